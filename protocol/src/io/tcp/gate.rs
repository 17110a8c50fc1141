//! What may come over a connection before anybody has proven anything on it.
//!
//! yamux takes in whatever its windows allow, 256 KiB a stream, and a frame of one byte costs many times that in memory; its windows cannot
//! be made smaller or changed later. So the bytes are counted below it: once the allowance is used up nothing more is read, and what the
//! other side sends stays with it, until somebody has proven something or the connection is given up.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use futures::io::{AsyncRead, AsyncWrite};

use crate::io::tls::Protocol;

/// For a homeserver: its greeting and its proof take about 2 KiB.
const PEER: usize = 16 * 1024;
/// For a device: a registration takes about 40 KiB, and a person may have to try more than one name.
const DEVICE: usize = 256 * 1024;

/// How much more may be read.
#[derive(Debug)]
pub(super) struct Allowance {
    is_lifted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: usize,
    waiting: Option<Waker>,
}

impl Allowance {
    /// Of a connection on which nobody has proven anything.
    pub(super) fn of(protocol: Protocol) -> Arc<Self> {
        let left = match protocol {
            Protocol::Peer => PEER,
            Protocol::Device => DEVICE,
        };
        let state = Mutex::new(State { left, waiting: None });
        Arc::new(Self { is_lifted: AtomicBool::new(false), state })
    }

    /// Of a connection that was made from here.
    pub(super) fn without_end() -> Arc<Self> {
        let state = Mutex::new(State { left: 0, waiting: None });
        Arc::new(Self { is_lifted: AtomicBool::new(true), state })
    }

    /// From now on everything may be read.
    pub(super) fn lift(&self) {
        self.is_lifted.store(true, Ordering::Release);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }

    /// How much may be read now; whoever may read nothing is woken when that changes.
    fn poll_left(&self, context: &Context<'_>) -> Poll<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: whoever lifts it meanwhile finds the waker, or is seen here.
        if self.is_lifted.load(Ordering::Acquire) {
            return Poll::Ready(usize::MAX);
        }
        if state.left == 0 {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.left)
    }

    fn spend(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left = state.left.saturating_sub(bytes);
    }
}

/// A socket of which no more is read than the allowance lets.
#[derive(Debug)]
pub(super) struct Gate<T> {
    socket: T,
    allowance: Arc<Allowance>,
}

impl<T> Gate<T> {
    pub(super) const fn new(socket: T, allowance: Arc<Allowance>) -> Self {
        Self { socket, allowance }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gate<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.allowance.is_lifted.load(Ordering::Acquire) {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let left = ready!(self.allowance.poll_left(context)).min(buffer.len());
        let allowed = buffer.get_mut(..left).unwrap_or_default();
        let read = ready!(Pin::new(&mut self.socket).poll_read(context, allowed))?;
        self.allowance.spend(read);
        Poll::Ready(Ok(read))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gate<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }
}
