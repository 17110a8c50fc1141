//! Every decoder of the protocol: the first byte chooses the type, the rest is what it reads.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rookery_protocol::{request::registry::Registry, schema::Rule};

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| Registry::complete().catalogue.rules.into_values().collect());

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let rule = &RULES[usize::from(*choice) % RULES.len()];
    if let Ok(again) = (rule.round_trip)(bytes) {
        assert_eq!((rule.round_trip)(&again).as_ref(), Ok(&again), "what is encoded is a fixed point");
    }
});
