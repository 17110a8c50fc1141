//! What is typed at a terminal, and its size.

use std::{sync::mpsc, time::Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Answers, Key, PATIENCE, Terminal, cells, pty_size, reading::Order};

impl Terminal {
    /// Types `text` at once, as it stands.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.write(text.as_bytes()).map(drop)
    }

    /// Presses a key. What is pressed right after Escape may be taken for one key with it, as everywhere.
    pub fn press(&self, key: Key) -> Result<()> {
        let bytes = key.bytes(self.see().parser.screen().application_cursor());
        self.write(&bytes).map(drop)
    }

    /// Presses one key after another.
    pub fn press_all(&self, keys: &[Key]) -> Result<()> {
        keys.iter().try_for_each(|key| self.press(*key))
    }

    /// Pastes `text` as a terminal does: between marks if the program asked for them, and with a return for the end of each line.
    pub fn paste(&self, text: &str) -> Result<()> {
        let text = text.replace('\n', "\r");
        let is_marked = self.see().parser.screen().bracketed_paste();
        let (begin, end) = if is_marked { ("\x1b[200~", "\x1b[201~") } else { ("", "") };
        self.write(format!("{begin}{text}{end}").as_bytes()).map(drop)
    }

    /// Writes any bytes, and says when. Fails if the program does not take them in.
    pub fn write(&self, bytes: &[u8]) -> Result<Instant> {
        let (done, when) = mpsc::channel();
        let order = Order { bytes: bytes.to_vec(), done: Some(done) };
        self.orders.send(order).ok().context("the terminal is closed")?;
        match when.recv_timeout(PATIENCE) {
            Ok(at) => Ok(at),
            Err(_) => bail!("the program does not read what is typed\n{}", self.dump()),
        }
    }

    /// Gives the answers that were held back.
    pub fn release_answers(&self) -> Result<()> {
        let answers = {
            let mut state = self.see();
            state.answers = Answers::AtOnce;
            state.parser.callbacks_mut().take_answers()
        };
        ensure!(!answers.is_empty(), "nothing was asked of this terminal\n{}", self.dump());
        self.write(&answers).map(drop)
    }

    /// Makes the terminal another size, which its program is told by SIGWINCH.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let cells = cells(columns, rows)?;
        // What comes next is drawn for the new size, so the screen has it first.
        self.see().parser.set_size(cells.0, cells.1);
        self.master.resize(pty_size(columns, rows))
    }
}
