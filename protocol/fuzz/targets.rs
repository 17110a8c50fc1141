//! What each fuzz target does with its input. The fuzzers (`fuzz_targets/`) and the replay on stable (`tests/fuzz.rs`) share it.

use std::sync::LazyLock;

use rookery_protocol::{
    chain::Entry,
    codec,
    request::registry::Registry,
    schema::Rule,
    user::{Statement, verify_and_apply},
};

/// Every wire type there is.
pub(crate) static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| Registry::complete().catalogue.rules.into_values().collect());

/// Every decoder: the first byte chooses the type, the rest is what it reads.
pub(crate) fn wire(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let rule = &RULES[usize::from(*choice) % RULES.len()];
    if let Ok(again) = (rule.round_trip)(bytes) {
        assert_eq!(
            (rule.round_trip)(&again).as_ref(),
            Ok(&again),
            "what is encoded is a fixed point"
        );
    }
}

/// A user's chain as a stranger might send it: entries, one after the other, into the fold.
pub(crate) fn user(data: &[u8]) {
    let Ok(entries) = codec::decode::<Vec<Entry>>(data) else { return };
    let genesis = entries.first().and_then(|entry| entry.body.as_ref());
    let user = Statement::user_id(genesis.map_or(&[][..], |body| body.as_slice()));
    let mut state = None;
    for entry in &entries {
        match verify_and_apply(user, state.as_ref(), entry) {
            Ok(next) => state = Some(next),
            Err(_) => return,
        }
    }
}
