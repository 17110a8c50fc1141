//! The program in a terminal: its end, and what it has left behind.

use std::{sync::PoisonError, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use portable_pty::ExitStatus;
use vt100::MouseProtocolMode;

use super::{GLANCE, PATIENCE, Terminal, later, modes_of_line, now, signal};

impl Terminal {
    /// Its process id. In a multiplexer, the multiplexer's client.
    pub fn id(&self) -> Result<u32> {
        self.child.process_id().context("no process id")
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.id()?, name)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
            if self.status.is_some() {
                // The reader comes to an end when nobody has the line any more, and by then it has read everything.
                self.note_line();
                self.slave = None;
            }
        }
        Ok(self.status.is_some())
    }

    /// Waits until it has ended and all that it wrote is read.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        let deadline = later(PATIENCE)?;
        while !self.has_ended()? {
            if now() > deadline {
                bail!("the program still runs\n{}", self.dump());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let mut state = self.see();
        while !state.has_ended && now() < deadline {
            let waited = self.seen.changed.wait_timeout(state, GLANCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.status.clone().context("no status")
    }

    /// What the program has left switched on that was off before: nothing, if it restored its terminal.
    #[must_use]
    pub fn left_behind(&self) -> Vec<String> {
        let state = self.see();
        let (screen, emulator) = (state.parser.screen(), state.parser.callbacks());
        let plain = vt100::Color::Default;
        let mut left: Vec<String> = [
            (screen.alternate_screen(), "the alternate screen"),
            (screen.hide_cursor(), "a hidden cursor"),
            (screen.bracketed_paste(), "bracketed paste"),
            (screen.mouse_protocol_mode() != MouseProtocolMode::None, "mouse reports"),
            (screen.application_cursor(), "application cursor keys"),
            (screen.application_keypad(), "the application keypad"),
            (screen.fgcolor() != plain || screen.bgcolor() != plain, "a colour"),
            (screen.bold() || screen.dim() || screen.inverse(), "an attribute"),
            (screen.italic() || screen.underline(), "an attribute"),
        ]
        .into_iter()
        .filter(|(is_left, _)| *is_left)
        .map(|(_, name)| name.to_owned())
        .collect();
        left.extend(emulator.left_behind());
        let line = emulator.line.clone().unwrap_or_else(|| modes_of_line(&*self.master));
        drop(state);
        if line != self.before {
            left.push(format!("the line's modes: {line}, before {}", self.before));
        }
        left
    }

    /// Fails unless the program has restored its terminal.
    pub fn ensure_restored(&self) -> Result<()> {
        let left = self.left_behind();
        ensure!(left.is_empty(), "left behind: {}\n{}", left.join(", "), self.dump());
        Ok(())
    }

    /// Runs a command of the multiplexer that the program runs in, such as `kill-server` or `detach-client`, and gives what it says.
    pub fn multiplexer(&self, words: &[&str]) -> Result<String> {
        self.session.as_ref().context("no multiplexer")?.run(words)
    }

    /// Notes what the program has done to the line, while it is open.
    fn note_line(&self) {
        let line = modes_of_line(&*self.master);
        self.see().parser.callbacks_mut().line = Some(line);
    }
}
