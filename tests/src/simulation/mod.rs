//! The simulation: whole worlds in one process and in virtual time, many of them by their seeds.
//!
//! What runs is the product: real homeservers over the storage in memory, and real clients' engines over their real stores, on one thread whose clock
//! goes on when everybody waits. They are joined by a network within the process ([`rookery_protocol::io::simulation`]), whose ways delay, lose, and are
//! cut one way or both; homes and clients are killed, and have then what they had committed; a home's clock jumps. Meanwhile people write to each other
//! and into a community across homes, read, join, leave, are sent away, and are given roles. A [`World`] with registrations, contacts and the community
//! is made once, and copied for each seed.
//!
//! When nothing is wrong any more nobody helps, and within a minute must hold of the invariants: I1, I2 and I4 by the [`crate::oracle`]; I3, the
//! copies of a chain on all homes are beginnings of each other, byte by byte, and the community's are whole wherever a member is at home; I5, who is out
//! shows nothing that was begun after that was acknowledged; I6, members agree about the community; I7, nobody is warned; I9, nothing waits any more.
//!
//! A seed decides what people do, what goes wrong, when everything arrives, and the jitter of every back-off. What it does not decide are keys and ids,
//! and which of several things that are ready at the same moment a task takes first: so a seed goes the same way again in all that people see and do,
//! and moments may differ by milliseconds.
//!
//! Not simulated: QUIC and TLS (the streams are those of the carrier over TCP, without TLS beneath; the lab has both), `SQLite` and PostgreSQL below a
//! homeserver, disks that are full or forget what was not synced, several devices of one person and their revocation, groups, blobs, private channels, a
//! community's move to another hub, and limits, which are lifted.

mod clock;
mod device;
mod home;
mod judge;
mod many;
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

pub use self::{
    many::{Summary, Worlds, play_all},
    world::{Size, World},
};
use self::{schedule::Schedule, stage::Stage};
use crate::random::Random;

/// How long everything may take, after the last fault and the last deed, until it is well.
const HEALING: Duration = Duration::from_mins(1);
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
    let mut last = String::new();
    loop {
        match Box::pin(stage.judge()).await {
            Ok(()) => break,
            Err(error) if healed.elapsed() >= HEALING => return Err(told(error)),
            Err(error) => {
                let why = format!("not yet well: {error:#}");
                if why != last {
                    stage.note(|| why.clone());
                    last = why;
                }
                sleep(Duration::from_secs(2)).await;
            }
        }
    }
    let healing = healed.elapsed();
    stage.note(|| "all is well".to_owned());
    sleep(STILL).await;
    Box::pin(stage.judge()).await.context("it was well, and later was not").map_err(told)?;
    let taken = stage.said.borrow().iter().filter(|said| said.taken.is_some()).count();
    Ok(Played { faults: schedule.faults.len(), taken, healing, trace: stage.trace() })
}

/// The time so much later.
fn after(time: Instant, span: Duration) -> Instant {
    time.checked_add(span).unwrap_or(time)
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
