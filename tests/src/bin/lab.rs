//! Plays the lab: real homeservers and devices under a schedule of faults, and an oracle of what must hold ([`rookery_tests::lab`]).
//!
//! As root, since it makes network namespaces: `target/release/lab --homes 5 --devices 20 --seed 7 --minutes 5`.

use anyhow::Result;
use clap::Parser;
use rookery_tests::lab::{Plan, play};
use tokio::time::Duration;

/// Runs homeservers and devices in network namespaces, lets much go wrong by a seed, and checks what must hold.
#[derive(Parser)]
struct Arguments {
    /// Homeservers, 3 to 8.
    #[arg(long, default_value_t = 5)]
    homes: usize,
    /// Devices: at least two a homeserver.
    #[arg(long, default_value_t = 20)]
    devices: usize,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// For how many minutes things go wrong, with each seed.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// For how many seconds, instead.
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// How many seconds everything may take to be well again.
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

fn main() -> Result<()> {
    let Arguments { homes, devices, seed, seeds, minutes, seconds, patience } = Arguments::parse();
    let time = Duration::from_secs(seconds.unwrap_or(minutes.saturating_mul(60)));
    let patience = Duration::from_secs(patience);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut violated = 0_u64;
    for seed in (0..seeds).map(|turn| seed.saturating_add(turn)) {
        let plan = Plan { homes, devices, seed, time, patience };
        match runtime.block_on(Box::pin(play(plan))) {
            Ok(report) => println!("seed {seed}: {report:?}"),
            Err(error) => {
                violated = violated.saturating_add(1);
                println!("seed {seed}: {error:#}");
            }
        }
    }
    anyhow::ensure!(violated == 0, "{violated} of {seeds} seeds did not hold");
    println!("everything held");
    Ok(())
}
