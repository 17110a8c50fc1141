//! Dozens of worlds by their seeds, each in one process and in virtual time.
//!
//! `ROOKERY_SIMULATION_SEEDS` says how many are played, and `ROOKERY_TEST_SEED` from which on. `tests/run` plays thousands beside everything else.

use std::env;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::simulation::{Size, World, Worlds, play, play_all};

/// How many seeds are played when nobody says so.
const SEEDS: u64 = 40;

#[test]
fn everything_holds_with_every_seed() -> Result<()> {
    let number = |name: &str, otherwise: u64| match env::var(name) {
        Ok(text) => text.trim().parse().with_context(|| format!("{name} is a number")),
        Err(_) => Ok(otherwise),
    };
    let first = number("ROOKERY_TEST_SEED", 1)?;
    let count = number("ROOKERY_SIMULATION_SEEDS", SEEDS)?;
    println!("seeds: ROOKERY_TEST_SEED={first} ROOKERY_SIMULATION_SEEDS={count}");
    let summary = play_all(&Worlds::make()?, first..first.saturating_add(count), |_, _| {});
    println!("{summary}");
    ensure!(summary.wrong.is_empty(), "{}", summary.wrong.join("\n"));
    ensure!(summary.faults > 0 && summary.taken > 0, "nothing was shown");
    Ok(())
}

/// What happened, without its moments: which of several things that are ready at once goes first is not the seed's.
fn told(world: &World, seed: u64) -> Result<Vec<String>> {
    let told = |line: &String| line.trim_start().split_once(' ').map(|(_, what)| what.to_owned());
    Ok(play(world, seed)?.trace.iter().filter_map(told).collect())
}

#[test]
fn a_seed_makes_the_same_world_go_the_same_way() -> Result<()> {
    let world = World::make(Size { homes: 2, devices: 3 })?;
    for seed in [3, 8, 46, 69] {
        let (once, again) = (told(&world, seed)?, told(&world, seed)?);
        ensure!(once == again, "seed {seed}:\n{once:#?}\n\nagain:\n{again:#?}");
    }
    Ok(())
}
