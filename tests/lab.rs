//! A small lab: three homeservers and eight devices in network namespaces, under a schedule of faults made of a seed.
//!
//! `ROOKERY_LAB_SEEDS` names the seeds, with commas. The large one is a program: `target/release/lab`.

use std::{env, time::Duration};

use anyhow::{Context, Result};
use rookery_tests::lab::{Plan, play};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_holds_whatever_goes_wrong() -> Result<()> {
    let seeds = env::var("ROOKERY_LAB_SEEDS").unwrap_or_else(|_| "7665".to_owned());
    for seed in seeds.split(',') {
        let seed = seed.trim().parse().context("ROOKERY_LAB_SEEDS holds numbers with commas")?;
        let (time, patience) = (Duration::from_secs(25), Duration::from_mins(2));
        let report = Box::pin(play(Plan { homes: 3, devices: 8, seed, time, patience })).await?;
        println!("seed {seed}: {report:?}");
    }
    Ok(())
}
