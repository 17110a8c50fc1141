//! Communities over the real rules and the real sealing, in one process and by a seed: people come, go and are sent away, devices are linked
//! and revoked, wraps are lost, the hub dies between two writes, and the network delays, repeats and mixes up what it carries.
//!
//! Only the order of events is made up here. [`people`] are real chains, the [`hub`] is the real judge with a list for its memory, a
//! [`device`] does what a client has to do with what it is told, and [`run`] draws what happens. [`check`] says what must hold in the end.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::similar_names,
    clippy::wrong_self_convention,
    reason = "small numbers, and the words of the model"
)]

mod check;
mod device;
mod hub;
mod people;
mod run;

use std::env;

/// Runs in the ordinary tests.
const FEW: u64 = 40;

/// How many seeds to try: `ROOKERY_SEEDS` says otherwise, and `ROOKERY_SEED` one alone.
fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("ROOKERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOKERY_SEEDS").unwrap_or(FEW),
    }
}

#[test]
fn whatever_happens_who_may_read_reads_and_nobody_else() {
    let mut said = 0;
    for seed in seeds() {
        let run = std::panic::catch_unwind(|| run::run(seed));
        let Ok(messages) = run else { panic!("run again with ROOKERY_SEED={seed}") };
        said += messages;
    }
    assert!(said > 0, "nobody said anything");
}
