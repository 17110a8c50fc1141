//! The simulation: whole worlds in one process and in virtual time, thousands of them by their seeds.

mod clock;
mod device;
mod home;
mod schedule;
mod world;

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path};

use anyhow::Result;
use rookery_protocol::io::simulation::Spot;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub use self::world::{Size, World};

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
