//! Plays seeds of the simulation: whole worlds in this process, in virtual time ([`rookery_tests::simulation`]).
//!
//! `target/release/simulation --seeds 5000` plays thousands; `--seed 46 --trace` shows one.

use anyhow::{Result, ensure};
use clap::Parser;
use rookery_tests::simulation::{Worlds, play_all};

/// Plays homeservers and clients in one process and in virtual time, with faults by the seed, and checks what must hold.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Shows what happened in each.
    #[arg(long)]
    trace: bool,
}

fn main() -> Result<()> {
    let Arguments { seed, seeds, trace } = Arguments::parse();
    let worlds = Worlds::make()?;
    let summary = play_all(&worlds, seed..seed.saturating_add(seeds), |seed, played| {
        if trace {
            println!("seed {seed}\n{}", played.trace.join("\n"));
        }
    });
    println!("{summary}");
    for wrong in &summary.wrong {
        println!("{wrong}");
    }
    ensure!(summary.wrong.is_empty(), "{} of {seeds} seeds did not hold", summary.wrong.len());
    println!("everything held");
    Ok(())
}
