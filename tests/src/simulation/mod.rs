//! The simulation: whole worlds in one process and in virtual time, thousands of them by their seeds.

mod clock;
mod device;
mod home;
mod judge;
mod schedule;
mod stage;
mod trouble;
mod world;

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path};

use anyhow::{Context as _, Result};
use rookery_protocol::io::simulation::{Network, Spot};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    time::{Duration, Instant, sleep},
};

use self::{schedule::Schedule, stage::Stage};
pub use self::world::{Size, World};
use crate::random::Random;

/// How long everything may take, after the last fault and the last deed, until it is well.
const HEALING: Duration = Duration::from_mins(8);
/// What comes twice does so by then.
const STILL: Duration = Duration::from_secs(20);

/// How one seed went.
#[derive(Debug, Clone)]
pub struct Played {
    /// Faults that struck.
    pub faults: usize,
    /// Messages that were taken.
    pub taken: usize,
    /// How long it took, from when nothing was wrong any more, until everything was well.
    pub healing: Duration,
    /// What happened, line by line.
    pub trace: Vec<String>,
}

/// Plays `seed` in a copy of `world`. What does not hold is an error that shows what was to happen, and what did.
pub fn play(world: &World, seed: u64) -> Result<Played> {
    let network = Network::new(seed);
    let _entered = network.enter();
    let runtime = runtime()?;
    let played = runtime.block_on(Box::pin(perform(world, network.clone(), seed)));
    runtime.shutdown_background();
    played
}

async fn perform(world: &World, network: Network, seed: u64) -> Result<Played> {
    let schedule = Schedule::of(seed, world.size);
    let stage = Stage::start(world, network).await?;
    let told = |error: anyhow::Error| {
        let trace = stage.trace().join("\n");
        error.context(format!("seed {seed}, {:?}:\n{schedule}\n{trace}\n", world.size))
    };
    let mut random = Random::of(seed.wrapping_mul(31));
    let (struck, acted) = tokio::join!(
        stage.strike_all(&schedule.faults),
        stage.act_all(&schedule.acts, &mut random)
    );
    struck.and(acted).map_err(told)?;
    let healed = Instant::now();
    loop {
        match Box::pin(stage.judge()).await {
            Ok(()) => break,
            Err(error) if healed.elapsed() >= HEALING => return Err(told(error)),
            Err(_) => sleep(Duration::from_secs(2)).await,
        }
    }
    let healing = healed.elapsed();
    stage.note(|| "all is well".to_owned());
    sleep(STILL).await;
    Box::pin(stage.judge()).await.context("it was well, and later was not").map_err(told)?;
    let taken = stage.said.borrow().iter().filter(|said| said.taken.is_some()).count();
    Ok(Played { faults: schedule.faults.len(), taken, healing, trace: stage.trace() })
}

/// A runtime on this thread whose time passes when everybody waits.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?)
}

fn spot_of_home(number: usize) -> Result<Spot> {
    Ok(Spot(u8::try_from(number)?.saturating_add(1)))
}

fn spot_of_device(number: usize) -> Result<Spot> {
    Ok(Spot(u8::try_from(number)?.saturating_add(101)))
}

/// A directory that is in memory where the system has such a place.
fn temporary() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(memory)
    {
        return Ok(folder);
    }
    Ok(tempfile::tempdir()?)
}

/// Copies the files of a folder, as they are at this moment.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // What `SQLite` shares between processes is made again from the journal.
        if entry.file_type()?.is_file() && !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
