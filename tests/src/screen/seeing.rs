//! What is seen on a terminal, and waited for.

use std::{
    fmt::Write as _,
    sync::PoisonError,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use vt100::Screen;

use super::{
    Emulator, GLANCE, PATIENCE, Terminal, later, now,
    reading::{State, Watch},
    text_of,
};

impl Terminal {
    /// The rows from above to below, without the blanks at their ends.
    #[must_use]
    pub fn screen(&self) -> String {
        text_of(self.see().parser.screen())
    }

    /// One row, counted from 0; negative ones from below.
    #[must_use]
    pub fn row(&self, number: isize) -> String {
        let screen = self.screen();
        let rows: Vec<&str> = screen.split('\n').collect();
        let index = match usize::try_from(number) {
            Ok(index) => Some(index),
            Err(_) => rows.len().checked_sub(number.unsigned_abs()),
        };
        index.and_then(|index| rows.get(index).copied()).unwrap_or_default().to_owned()
    }

    /// Column and row of the cursor, from 0, and whether it is shown.
    #[must_use]
    pub fn cursor(&self) -> (u16, u16, bool) {
        let state = self.see();
        let (row, column) = state.parser.screen().cursor_position();
        (column, row, !state.parser.screen().hide_cursor())
    }

    /// Asks something of the screen, and of what the emulator remembers beside it.
    pub fn look<T>(&self, ask: impl FnOnce(&Screen, &Emulator) -> T) -> T {
        let state = self.see();
        ask(state.parser.screen(), state.parser.callbacks())
    }

    /// How many bytes the program has written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.see().bytes
    }

    /// When the last of them came.
    #[must_use]
    pub fn last_written(&self) -> Instant {
        self.see().last_at
    }

    /// The last bytes that it wrote, up to some megabytes.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.see().tail.clone()
    }

    /// What it wrote after the first `mark` bytes, as far as that is kept.
    #[must_use]
    pub fn raw_since(&self, mark: u64) -> Vec<u8> {
        let state = self.see();
        let new = usize::try_from(state.bytes.saturating_sub(mark)).unwrap_or(usize::MAX);
        let from = state.tail.len().saturating_sub(new);
        state.tail.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits until the screen is as `shows` says.
    pub fn wait_for(&mut self, what: &str, shows: impl Fn(&Screen) -> bool) -> Result<()> {
        self.wait_within(PATIENCE, what, shows)
    }

    /// Waits so, but not longer than `limit`.
    pub fn wait_within(
        &mut self,
        limit: Duration,
        what: &str,
        shows: impl Fn(&Screen) -> bool,
    ) -> Result<()> {
        self.wait_until(limit, what, |state| shows(state.parser.screen()).then_some(()))
    }

    /// Waits until `text` stands somewhere on the screen.
    pub fn wait_text(&mut self, text: &str) -> Result<()> {
        self.wait_text_within(PATIENCE, text)
    }

    /// Waits so, but not longer than `limit`.
    pub fn wait_text_within(&mut self, limit: Duration, text: &str) -> Result<()> {
        self.wait_within(limit, &format!("{text:?}"), |screen| text_of(screen).contains(text))
    }

    /// Waits until `text` stands nowhere on the screen any more.
    pub fn wait_no_text(&mut self, text: &str) -> Result<()> {
        self.wait_for(&format!("{text:?} to go"), |screen| !text_of(screen).contains(text))
    }

    /// Waits until more than `bytes` have been written, but not longer than `limit`.
    pub fn wait_written(&mut self, limit: Duration, bytes: u64) -> Result<()> {
        self.wait_until(limit, "anything new", |state| (state.bytes > bytes).then_some(()))
    }

    /// Waits until nothing has been written for as long as `quiet`, and gives the number of bytes until then.
    pub fn wait_quiet(&mut self, quiet: Duration) -> Result<u64> {
        let deadline = later(PATIENCE)?;
        let mut state = self.see();
        loop {
            let before = state.bytes;
            let waited = self.seen.changed.wait_timeout(state, quiet);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.bytes == before {
                return Ok(before);
            }
            if now() > deadline {
                drop(state);
                bail!("the program does not stop writing\n{}", self.dump());
            }
        }
    }

    /// When the program was started.
    #[must_use]
    pub const fn begun(&self) -> Instant {
        self.begun
    }

    /// Notes from now on when the screen first is as `shows` says.
    pub fn watch(&self, shows: impl Fn(&Screen) -> bool + Send + 'static) {
        self.see().watch = Some(Watch { shows: Box::new(shows), at: None });
    }

    /// Waits until it is so, and says when it came to be.
    pub fn watched(&mut self, limit: Duration, what: &str) -> Result<Instant> {
        self.wait_until(limit, what, |state| state.watch.as_ref().and_then(|watch| watch.at))
    }

    /// Writes `bytes` and says how long it took until the screen was as `shows` says.
    pub fn time(
        &mut self,
        bytes: &[u8],
        what: &str,
        shows: impl Fn(&Screen) -> bool + Send + 'static,
    ) -> Result<Duration> {
        self.watch(shows);
        let begun = self.write(bytes)?;
        Ok(self.watched(PATIENCE, what)?.saturating_duration_since(begun))
    }

    fn wait_until<T>(
        &mut self,
        limit: Duration,
        what: &str,
        ready: impl Fn(&State) -> Option<T>,
    ) -> Result<T> {
        let deadline = later(limit)?;
        loop {
            // Asked before the screen is looked at: what an ended program has written last still counts.
            let has_ended = self.has_ended()?;
            let state = self.see();
            if let Some(found) = ready(&state) {
                return Ok(found);
            }
            if now() < deadline && !(has_ended && state.has_ended) {
                drop(self.seen.changed.wait_timeout(state, GLANCE));
                continue;
            }
            drop(state);
            let end = self.status.as_ref().map(|status| format!(" (it ended: {status})"));
            let end = end.unwrap_or_default();
            bail!("{what} was not shown within {limit:?}{end}\n{}", self.dump());
        }
    }

    /// The whole screen, and what else a terminal remembers, for an error's message.
    #[must_use]
    pub fn dump(&self) -> String {
        let state = self.see();
        let screen = state.parser.screen();
        let (rows, columns) = screen.size();
        let (row, column) = screen.cursor_position();
        let mut text = String::new();
        let line = "-".repeat(usize::from(columns.get()));
        writeln!(text, "+{line}+ {columns}x{rows}, cursor at {column},{row}").ok();
        for row in text_of(screen).split('\n') {
            writeln!(text, "|{row}").ok();
        }
        writeln!(text, "+{line}+ {} bytes, the last:", state.bytes).ok();
        let last = state.tail.len().saturating_sub(300);
        text.push_str(&state.tail.get(last..).unwrap_or_default().escape_ascii().to_string());
        text
    }
}
