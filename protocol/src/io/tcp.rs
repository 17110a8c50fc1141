//! The other carrier: TLS 1.3 over TCP, with the streams of yamux in it. Nothing outside this module names that.
//!
//! The first stream that the dialling side opens is the connection's own: datagrams go over it as frames, and the reason of its end. What is
//! sent as a datagram is dropped, the oldest first, where it would have to wait.

mod dial;
mod driver;
mod gate;
mod listen;
mod own;
#[cfg(feature = "simulation")]
pub(super) mod simulated;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
pub(super) use dial::connect;
pub(super) use listen::{Attempt, Endpoint};
use tokio::{
    io::{AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

use self::{gate::Allowance, own::Own};
use super::{
    CloseReason, ConnectionLost,
    frame::{self, FrameError, FrameReader},
    tls::Protocol,
};
use crate::session::peer::Exporters;

/// Requests that one connection may have under way from each side; who asks waits with more. Fewer than over QUIC: each may have 256 KiB on the
/// way towards us, once somebody has proven who they are; before that the gate lets little through.
const MAX_STREAMS: usize = 12;

/// What is known of a connection once its handshake is over.
#[derive(Debug)]
struct Facts {
    id: usize,
    remote: SocketAddr,
    protocol: Protocol,
    exporter: [u8; 32],
    peer_exporters: Exporters,
}

/// Asks the driver for a stream.
type Ask = oneshot::Sender<Result<yamux::Stream, ConnectionLost>>;

/// One connection. Copies are the same connection, which ends when the last of them and of its streams is gone.
#[derive(Clone, Debug)]
pub(super) struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    facts: Facts,
    asks: mpsc::Sender<Ask>,
    may_open: Arc<Semaphore>,
    opened: tokio::sync::Mutex<mpsc::Receiver<yamux::Stream>>,
    own: Own,
    allowance: Arc<Allowance>,
    lost: watch::Receiver<Option<ConnectionLost>>,
    closed_here: Mutex<bool>,
}

/// What both halves of a stream keep.
#[derive(Debug)]
struct Kept {
    connection: Connection,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The sending half of a stream.
#[derive(Debug)]
pub(super) struct SendStream {
    half: WriteHalf<Compat<yamux::Stream>>,
    kept: Arc<Kept>,
}

/// The receiving half of a stream.
#[derive(Debug)]
pub(super) struct RecvStream {
    half: FrameReader<ReadHalf<Compat<yamux::Stream>>>,
    kept: Arc<Kept>,
}

fn next_id() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Connection {
    fn halves(
        &self,
        stream: yamux::Stream,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (SendStream, RecvStream) {
        let kept = Arc::new(Kept { connection: self.clone(), _permit: permit });
        let (read, write) = tokio::io::split(stream.compat());
        let recv = RecvStream { half: FrameReader::new(read), kept: Arc::clone(&kept) };
        (SendStream { half: write, kept }, recv)
    }

    /// Opens a stream; waits while as many are open as the other side allows.
    pub(super) async fn open(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        let permit = Arc::clone(&self.0.may_open).acquire_owned();
        let permit = tokio::select! {
            permit = permit => permit.ok(),
            lost = self.closed() => return Err(lost),
        };
        let (ask, answer) = oneshot::channel();
        if self.0.asks.send(ask).await.is_err() {
            return Err(self.closed().await);
        }
        match answer.await {
            Ok(stream) => Ok(self.halves(stream?, permit)),
            Err(_) => Err(self.closed().await),
        }
    }

    /// Waits for the other side to open a stream. Cancel-safe.
    pub(super) async fn accept(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        let mut opened = self.0.opened.lock().await;
        match opened.recv().await {
            Some(stream) => Ok(self.halves(stream, None)),
            None => Err(self.closed().await),
        }
    }

    /// Sends a datagram.
    pub(super) fn send_datagram(&self, datagram: Bytes) -> Result<(), ConnectionLost> {
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        self.0.own.send(datagram);
        Ok(())
    }

    /// Waits for a datagram. Cancel-safe.
    pub(super) async fn read_datagram(&self) -> Result<Bytes, ConnectionLost> {
        tokio::select! {
            datagram = self.0.own.read() => Ok(datagram),
            lost = self.closed() => Err(lost),
        }
    }

    /// What the connection is for.
    pub(super) fn protocol(&self) -> Protocol {
        self.0.facts.protocol
    }

    /// What a device's proof on this connection covers.
    pub(super) fn exporter(&self) -> [u8; 32] {
        self.0.facts.exporter
    }

    /// What the proofs of two homeservers on this connection cover.
    pub(super) fn peer_exporters(&self) -> Exporters {
        self.0.facts.peer_exporters
    }

    /// Takes in whatever comes from now on: somebody has proven who they are.
    pub(super) fn trust(&self) {
        self.0.allowance.lift();
    }

    /// Where the other end is.
    pub(super) fn remote(&self) -> SocketAddr {
        self.0.facts.remote
    }

    /// Ends the connection.
    pub(super) fn close(&self, reason: CloseReason) {
        *self.0.closed_here.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.own.close(reason);
    }

    /// Waits for the end.
    pub(super) async fn closed(&self) -> ConnectionLost {
        let mut lost = self.0.lost.clone();
        // The driver says why before it ends.
        let lost = lost.wait_for(Option::is_some).await.ok().and_then(|lost| lost.clone());
        self.of_ours(lost.unwrap_or_else(|| ConnectionLost::Broken("its task is gone".to_owned())))
    }

    /// Why the connection is gone, if it is.
    pub(super) fn lost(&self) -> Option<ConnectionLost> {
        let lost = self.0.lost.borrow().clone();
        lost.map(|lost| self.of_ours(lost))
    }

    /// What was closed here was not lost by anything else.
    fn of_ours(&self, lost: ConnectionLost) -> ConnectionLost {
        let is_ours = *self.0.closed_here.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ours { ConnectionLost::ClosedHere } else { lost }
    }

    /// What comes of `exchange`, or that it broke off: yamux wakes nobody who waits on a stream when its connection ends in order.
    async fn unless_lost<T>(
        &self,
        exchange: impl Future<Output = Result<T, FrameError>>,
    ) -> Result<T, FrameError> {
        tokio::select! {
            biased;
            done = exchange => done,
            lost = self.closed() => Err(FrameError::Broken(io::Error::other(lost))),
        }
    }

    /// A number that no other TCP connection of this process has.
    pub(super) fn stable_id(&self) -> usize {
        self.0.facts.id
    }
}

impl SendStream {
    /// Writes bytes as they are. Not cancel-safe.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let connection = &self.kept.connection;
        connection.unless_lost(async { Ok(self.half.write_all(bytes).await?) }).await
    }

    /// Writes one frame. Not cancel-safe.
    pub(super) async fn write_frame(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        let connection = &self.kept.connection;
        connection.unless_lost(frame::write_frame(&mut self.half, payload)).await
    }

    /// Says that nothing more comes.
    pub(super) async fn finish(&mut self) {
        // Fails only when the connection is gone, which its owner hears of.
        self.half.shutdown().await.ok();
    }

    /// Waits until everything is on its way.
    pub(super) async fn flushed(&mut self) {
        self.half.flush().await.ok();
    }
}

impl RecvStream {
    /// Reads one frame of at most `limit` bytes; `None` when the stream ended before it. Not cancel-safe.
    pub(super) async fn read_frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        let connection = &self.kept.connection;
        connection.unless_lost(self.half.read_frame(limit)).await
    }
}
