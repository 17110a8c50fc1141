//! One connection's bytes, both ways.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::{Network, Spot};

/// What may be on its way; who sends waits with more.
const MOST: usize = 256 * 1024;

/// Both ways of one connection.
#[derive(Debug)]
pub(in crate::io) struct Wire {
    network: Network,
    /// Who has dialled, and who was.
    pub(super) spots: [Spot; 2],
    /// Which of the connections that the one has made to the other.
    number: u64,
    /// What each end has sent.
    ways: Mutex<[Way; 2]>,
}

/// What one end has sent, and how that end is.
#[derive(Debug, Default)]
struct Way {
    /// When it arrives, and what; an empty piece is the end.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    held: usize,
    /// How many pieces there have been.
    sent: u64,
    /// Nothing overtakes what was sent before.
    latest: Option<Instant>,
    is_finished: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// When the end that sends here breaks.
    breaks: Option<Instant>,
}

/// One end of a [`Wire`].
#[derive(Debug)]
pub(in crate::io) struct End {
    wire: Arc<Wire>,
    side: usize,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(network: Network, spots: [Spot; 2], number: u64) -> Self {
        Self { network, spots, number, ways: Mutex::default() }
    }

    /// The end of who has dialled, and the other.
    pub(super) fn ends(self: Arc<Self>) -> [End; 2] {
        let far = Arc::clone(&self);
        [End { wire: self, side: 0, sleep: None }, End { wire: far, side: 1, sleep: None }]
    }

    /// Has each end break at its time, unless it does so before.
    pub(super) fn break_at(&self, times: [Option<Instant>; 2]) {
        for (way, time) in self.ways().iter_mut().zip(times) {
            way.breaks = way.breaks.into_iter().chain(time).min();
        }
        self.wake();
    }

    /// Has both ends look again.
    pub(super) fn wake(&self) {
        let mut wakers = vec![];
        for way in self.ways().iter_mut() {
            wakers.extend(way.reader.take());
            wakers.extend(way.writer.take());
        }
        for waker in wakers {
            waker.wake();
        }
    }

    fn ways(&self) -> MutexGuard<'_, [Way; 2]> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cut_from(&self, side: usize) -> bool {
        let [one, other] = self.spots;
        let (from, to) = if side == 0 { (one, other) } else { (other, one) };
        self.network.weather(from, to).is_cut
    }

    fn takes_from(&self, side: usize, piece: u64) -> std::time::Duration {
        let [one, other] = self.spots;
        let (from, to) = if side == 0 { (one, other) } else { (other, one) };
        self.network.takes(from, to, (self.number, piece))
    }
}

/// The ways that the end `side` sends on and reads from.
fn both(ways: &mut [Way; 2], side: usize) -> (&mut Way, &mut Way) {
    let [first, second] = ways;
    if side == 0 { (first, second) } else { (second, first) }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl End {
    /// Sends `bytes`, or the end of them when there are none.
    fn send(&self, bytes: &[u8]) {
        let sent = both(&mut self.wire.ways(), self.side).0.sent;
        let takes = self.wire.takes_from(self.side, sent);
        let mut ways = self.wire.ways();
        let (out, _) = both(&mut ways, self.side);
        out.sent = sent.wrapping_add(1);
        if out.is_finished {
            return;
        }
        out.is_finished = bytes.is_empty();
        let now = Instant::now();
        let arrives = now.checked_add(takes).unwrap_or(now);
        let arrives = out.latest.map_or(arrives, |latest| latest.max(arrives));
        out.latest = Some(arrives);
        out.held = out.held.saturating_add(bytes.len());
        out.pieces.push_back((arrives, bytes.to_vec()));
        let waker = out.reader.take();
        drop(ways);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until `time`.
    fn poll_sleep(&mut self, time: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(time)));
        if sleep.deadline() != time {
            sleep.as_mut().reset(time);
        }
        sleep.as_mut().poll(context)
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let now = Instant::now();
            let is_cut = self.wire.is_cut_from(1_usize.saturating_sub(self.side));
            let wire = Arc::clone(&self.wire);
            let mut ways = wire.ways();
            let (out, incoming) = both(&mut ways, self.side);
            if out.breaks.is_some_and(|breaks| breaks <= now) {
                return Poll::Ready(Err(broken()));
            }
            let mut next = out.breaks;
            if !is_cut && let Some((arrives, piece)) = incoming.pieces.front_mut() {
                if *arrives <= now {
                    if piece.is_empty() {
                        return Poll::Ready(Ok(0));
                    }
                    let count = piece.len().min(buffer.len());
                    for (to, from) in buffer.iter_mut().zip(piece.drain(..count)) {
                        *to = from;
                    }
                    if piece.is_empty() {
                        incoming.pieces.pop_front();
                    }
                    incoming.held = incoming.held.saturating_sub(count);
                    let writer = incoming.writer.take();
                    drop(ways);
                    if let Some(writer) = writer {
                        writer.wake();
                    }
                    return Poll::Ready(Ok(count));
                }
                next = next.into_iter().chain([*arrives]).min();
            }
            incoming.reader = Some(context.waker().clone());
            drop(ways);
            match next {
                Some(next) if self.poll_sleep(next, context).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut ways = self.wire.ways();
        let (out, _) = both(&mut ways, self.side);
        if out.is_finished || out.breaks.is_some_and(|breaks| breaks <= Instant::now()) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if out.held >= MOST {
            out.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(ways);
        if !bytes.is_empty() {
            self.send(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send(&[]);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.send(&[]);
    }
}
