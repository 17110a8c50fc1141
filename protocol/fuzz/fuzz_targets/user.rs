//! A user's chain as a stranger might send it: entries, one after the other, into the fold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rookery_protocol::{
    chain::Entry,
    codec,
    id::UserId,
    user::{Statement, verify_and_apply},
};

fuzz_target!(|data: &[u8]| {
    let Ok(entries) = codec::decode::<Vec<Entry>>(data) else { return };
    let genesis = entries.first().and_then(|entry| entry.body.as_ref()).map_or(&[][..], |body| body.as_slice());
    let user: UserId = Statement::user_id(genesis);
    let mut state = None;
    for entry in &entries {
        match verify_and_apply(user, state.as_ref(), entry) {
            Ok(next) => state = Some(next),
            Err(_) => return,
        }
    }
});
