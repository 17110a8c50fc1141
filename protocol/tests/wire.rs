//! Holds the committed schema, reference and golden bytes against the code.
//!
//! `ROOKERY_WRITE_SCHEMA=1 cargo test -p rookery-protocol --test wire` writes them anew; a change of the golden bytes is a change of the
//! protocol, and is reviewed as one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write as _, path::PathBuf};

use rookery_protocol::request::registry::Registry;

fn committed(name: &str, written: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    if std::env::var_os("ROOKERY_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == written,
        "protocol/schema/{name} is not what the code says: look at the difference, then write it anew with ROOKERY_WRITE_SCHEMA=1"
    );
}

#[test]
fn the_committed_schema_is_the_code_s() {
    committed("rookery.cddl", &Registry::complete().cddl());
}

#[test]
fn the_committed_reference_is_the_code_s() {
    committed("REQUESTS.md", &Registry::complete().reference());
}

#[test]
fn every_type_has_its_golden_bytes() {
    committed("golden.txt", &Registry::complete().golden());
}

/// The schema of one type: its rule first, as CDDL's root, then those that it uses. The whole schema takes seconds to read each time.
fn rooted_at(registry: &Registry, name: &str) -> String {
    let rules = &registry.catalogue.rules;
    let (mut wanted, mut taken) = (vec![name.to_owned()], std::collections::BTreeSet::new());
    let mut text = String::new();
    while let Some(name) = wanted.pop() {
        let Some(rule) = rules.get(&name).filter(|_| taken.insert(name.clone())) else { continue };
        writeln!(text, "{name} = {}", rule.definition).unwrap();
        let words = rule
            .definition
            .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
        wanted.extend(words.filter(|word| rules.contains_key(*word)).map(str::to_owned));
    }
    text
}

#[test]
fn every_golden_value_is_valid_by_the_schema_and_comes_back_as_it_was() {
    let registry = Registry::complete();
    for (name, rule) in &registry.catalogue.rules {
        let rooted = rooted_at(&registry, name);
        for bytes in &rule.golden {
            cddl::validate_cbor_from_slice(&rooted, bytes, None)
                .unwrap_or_else(|error| panic!("{name} does not fit the schema: {error}"));
            assert_eq!((rule.round_trip)(bytes).as_ref(), Ok(bytes), "{name}");
        }
    }
}

#[test]
fn the_schema_can_tell_wrong_from_right() {
    let registry = Registry::complete();
    let rooted = rooted_at(&registry, "sent");
    assert!(cddl::validate_cbor_from_slice(&rooted, &[0xa1, 0x00, 0x61, 0x78], None).is_err());
}

#[test]
fn every_truncation_and_every_flipped_bit_of_every_type_is_refused_or_read_without_panic() {
    for rule in Registry::complete().catalogue.rules.values() {
        for bytes in rule.golden.iter().filter(|bytes| bytes.len() < 4_096) {
            for end in 0..bytes.len() {
                assert!((rule.round_trip)(&bytes[..end]).is_err());
            }
            for bit in 0..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                if let Ok(again) = (rule.round_trip)(&other) {
                    assert!(again.len() <= other.len() + 8);
                }
            }
        }
    }
}

#[test]
fn no_method_is_named_twice() {
    let methods: Vec<_> =
        Registry::complete().requests.iter().map(|request| request.method).collect();
    let mut unique = methods.clone();
    unique.dedup();
    assert_eq!(methods, unique);
}
