//! The threads that read what a program writes and type what it is to read.

use std::{
    io::{Read, Write},
    sync::{Condvar, Mutex, PoisonError, mpsc},
    time::Instant,
};

use vt100::{Parser, Screen};

use super::{Answers, Emulator, now};

/// Bytes of the program's output that are kept; beyond twice as many, the older half goes.
const KEPT: usize = 4 << 20;

/// What the reading thread shares.
pub(super) struct Seen {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

pub(super) struct State {
    pub(super) parser: Parser<Emulator>,
    pub(super) bytes: u64,
    pub(super) last_at: Instant,
    pub(super) tail: Vec<u8>,
    pub(super) watch: Option<Watch>,
    pub(super) answers: Answers,
    pub(super) has_ended: bool,
}

pub(super) struct Watch {
    pub(super) shows: Box<dyn Fn(&Screen) -> bool + Send>,
    pub(super) at: Option<Instant>,
}

/// Bytes that are to be typed.
pub(super) struct Order {
    pub(super) bytes: Vec<u8>,
    pub(super) done: Option<mpsc::Sender<Instant>>,
}

impl State {
    /// Takes in what was read at `at`, and gives what the terminal answers.
    fn take(&mut self, bytes: &[u8], at: Instant) -> Vec<u8> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or_default());
        self.last_at = at;
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > KEPT.saturating_mul(2) {
            self.tail.drain(..KEPT);
        }
        self.parser.process(bytes);
        if let Some(watch) = &mut self.watch
            && watch.at.is_none()
            && (watch.shows)(self.parser.screen())
        {
            watch.at = Some(at);
        }
        match self.answers {
            Answers::AtOnce => self.parser.callbacks_mut().take_answers(),
            Answers::Never | Answers::Held => Vec::new(),
        }
    }
}

pub(super) fn read_all(
    mut reader: Box<dyn Read + Send>,
    seen: &Seen,
    orders: &mpsc::Sender<Order>,
) {
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = reader.read(&mut buffer).unwrap_or(0);
        let at = now();
        let mut state = seen.state.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            state.has_ended = true;
            seen.changed.notify_all();
            return;
        }
        let answers = state.take(buffer.get(..count).unwrap_or_default(), at);
        drop(state);
        seen.changed.notify_all();
        if !answers.is_empty() {
            orders.send(Order { bytes: answers, done: None }).ok();
        }
    }
}

/// Types in a thread of its own: a program that does not read must not stop those who look at its screen.
pub(super) fn write_all(mut writer: Box<dyn Write + Send>, orders: &mpsc::Receiver<Order>) {
    for Order { bytes, done } in orders {
        let at = now();
        let is_written = writer.write_all(&bytes).and_then(|()| writer.flush()).is_ok();
        if let Some(done) = done.filter(|_| is_written) {
            done.send(at).ok();
        }
    }
}
