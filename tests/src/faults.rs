//! Faults beneath a program's files, without a line of its code knowing: what `tests/faults/preload.c` can do.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::process::{PATIENCE, run};

/// What becomes of a write that has not been synced when the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// It stands, as after a mere crash.
    Stands,
    /// It is lost when the program is killed, as if it were the power that went.
    IsLost,
    /// It is lost even if the program ends in order, as if the power went a moment later.
    IsLostAtAnyEnd,
}

/// What can be made to go wrong while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every write fails for want of space.
    DiskFull,
    /// Every write fails.
    WriteError,
    /// Every sync fails, and what it should have kept is never written.
    SyncError,
    /// After so many more writes and syncs, the program is killed in the midst of the next.
    KilledAfter(u64),
}

/// The fault library, compiled, and aimed at the files below one directory.
#[derive(Debug)]
pub struct Faults {
    library: PathBuf,
    directory: PathBuf,
    control: PathBuf,
    clock: PathBuf,
    unsynced: Unsynced,
}

impl Faults {
    /// Compiles the library into `workshop`, a directory of its own, and aims it at `directory`.
    pub async fn aim(workshop: &Path, directory: &Path, unsynced: Unsynced) -> Result<Self> {
        fs::create_dir_all(workshop)?;
        let (library, control) = (workshop.join("preload.so"), workshop.join("control"));
        let clock = workshop.join("clock");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/preload.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        compiler.arg(&library).arg(source).arg("-ldl");
        run(compiler, b"", PATIENCE).await?.success().context("compiling the fault library")?;
        Ok(Self { library, directory: directory.to_owned(), control, clock, unsynced })
    }

    /// Makes `command` run under the library.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("ROOKERY_FAULT_DIR", &self.directory)
            .env("ROOKERY_FAULT_CONTROL", &self.control)
            .env("ROOKERY_FAULT_CLOCK", &self.clock);
        match self.unsynced {
            Unsynced::Stands => command.env_remove("ROOKERY_FAULT_POWER_CUT"),
            Unsynced::IsLost => command.env("ROOKERY_FAULT_POWER_CUT", "at-kill"),
            Unsynced::IsLostAtAnyEnd => command.env("ROOKERY_FAULT_POWER_CUT", "at-any-end"),
        };
    }

    /// Lets `fault` strike from now on.
    pub fn set(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::DiskFull => self.write_control("enospc"),
            Fault::WriteError => self.write_control("eio-write"),
            Fault::SyncError => self.write_control("eio-fsync"),
            Fault::KilledAfter(acts) => self.write_control(&format!("kill {acts}")),
        }
    }

    /// Lets the program see the time of day `seconds` later than it is, or earlier where that is negative. How much time
    /// passes stays as it is.
    pub fn shift_clock(&self, seconds: i64) -> Result<()> {
        replace(&self.clock, &seconds.to_string())
    }

    /// Lets nothing go wrong from now on.
    pub fn clear(&self) -> Result<()> {
        self.write_control("")
    }

    /// Fails unless the process `id` has the library loaded: a static binary, or one that was started past it, would
    /// pass every test of this kind.
    pub fn ensure_loaded(&self, id: u32) -> Result<()> {
        let maps = fs::read_to_string(format!("/proc/{id}/maps"))?;
        ensure!(
            maps.contains(&*self.library.to_string_lossy()),
            "process {id} runs without the fault library"
        );
        Ok(())
    }

    /// Replaces the control file in one step, since it may be read at any moment. The comment behind the word makes
    /// each content new, so that setting the same fault twice counts from the second time.
    fn write_control(&self, content: &str) -> Result<()> {
        static TURN: AtomicU64 = AtomicU64::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let text = if content.is_empty() { String::new() } else { format!("{content} #{turn}") };
        replace(&self.control, &text)
    }
}

/// Gives a file that may be read at any moment another content, in one step.
fn replace(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(&new, file)?)
}
