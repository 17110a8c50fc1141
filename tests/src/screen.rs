//! A program in a pseudo-terminal, as a person has it before them: keys go in, and what comes out is read by a terminal emulator.
//!
//! Everything that a terminal remembers is kept: the rows, the cursor, modes that were switched on, what was asked of it, and all bytes. A wait
//! for something to be shown is a wait for that condition, bounded, and its error holds the whole screen. The bytes are read by a thread of their
//! own, which notes when each came, so that what is measured does not depend on who looks. These calls block, like the terminal they stand for.

mod emulator;
mod key;
mod multiplexer;
mod program;
pub mod raw;
mod reading;
mod seeing;
mod setup;
mod typing;

use std::{
    num::NonZeroU16,
    process::Command,
    sync::{Arc, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use portable_pty::{Child, ExitStatus, MasterPty, PtySize, SlavePty};

use self::reading::{Order, Seen, State};
pub use self::{
    emulator::{Answers, Emulator},
    key::Key,
    multiplexer::Multiplexer,
    setup::Setup,
};
pub use vt100::Screen;

/// Longer than anything on a screen takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a wait looks whether the program has ended.
const GLANCE: Duration = Duration::from_millis(20);

/// A terminal with a program in it, which is killed when this is dropped.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// Kept open as the shell does that a program was started from; without it, what the program did to the line would be lost with it.
    slave: Option<Box<dyn SlavePty + Send>>,
    seen: Arc<Seen>,
    orders: mpsc::Sender<Order>,
    before: String,
    begun: Instant,
    session: Option<multiplexer::Session>,
    status: Option<ExitStatus>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.dump())
    }
}

impl Terminal {
    fn see(&self) -> MutexGuard<'_, State> {
        self.seen.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.end();
        }
        if self.status.is_none() {
            if let Ok(id) = self.id() {
                signal(id, "KILL").ok();
            }
            self.child.wait().ok();
        }
    }
}

/// Sends the process `id` a signal, such as `TERM`. The shell's own `kill` is the only one that is everywhere.
pub fn signal(id: u32, name: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status()?;
    ensure!(status.success(), "no signal {name} for {id}");
    Ok(())
}

/// The rows of a screen, without the blanks at their ends.
#[must_use]
pub fn text_of(screen: &Screen) -> String {
    let (_, columns) = screen.size();
    let rows: Vec<String> =
        screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n")
}

/// What the line discipline does to what is typed: echo, line editing, signals.
fn modes_of_line(master: &dyn MasterPty) -> String {
    master.get_termios().map(|modes| format!("{modes:?}")).unwrap_or_default()
}

const fn pty_size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// Rows and columns, as the emulator wants them.
fn cells(columns: u16, rows: u16) -> Result<(NonZeroU16, NonZeroU16)> {
    let pair = NonZeroU16::new(rows).zip(NonZeroU16::new(columns));
    pair.context("a terminal has at least one cell")
}

/// The wall clock, which real programs run by.
#[expect(clippy::disallowed_methods, reason = "real programs are waited for and measured")]
fn now() -> Instant {
    Instant::now()
}

fn later(limit: Duration) -> Result<Instant> {
    now().checked_add(limit).context("time")
}

#[cfg(test)]
mod tests;
