//! One connection and its streams, whichever carries them.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{CloseReason, ConnectionLost, frame::FrameError, quic, tcp, tls::Protocol};
use crate::session::peer::Exporters;

/// One connection. Copies are the same connection.
#[derive(Clone, Debug)]
pub struct Connection(Carrier);

#[derive(Clone, Debug)]
enum Carrier {
    Quic(quic::Connection),
    Tcp(tcp::Connection),
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct SendStream(Sending);

#[derive(Debug)]
enum Sending {
    Quic(quic::SendStream),
    Tcp(tcp::SendStream),
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct RecvStream(Receiving);

#[derive(Debug)]
enum Receiving {
    Quic(quic::RecvStream),
    Tcp(tcp::RecvStream),
}

impl From<quic::Connection> for Connection {
    fn from(connection: quic::Connection) -> Self {
        Self(Carrier::Quic(connection))
    }
}

impl From<tcp::Connection> for Connection {
    fn from(connection: tcp::Connection) -> Self {
        Self(Carrier::Tcp(connection))
    }
}

fn of_quic((send, recv): (quic::SendStream, quic::RecvStream)) -> (SendStream, RecvStream) {
    (SendStream(Sending::Quic(send)), RecvStream(Receiving::Quic(recv)))
}

fn of_tcp((send, recv): (tcp::SendStream, tcp::RecvStream)) -> (SendStream, RecvStream) {
    (SendStream(Sending::Tcp(send)), RecvStream(Receiving::Tcp(recv)))
}

impl Connection {
    /// Whether it goes over TCP, since no UDP came through when it was made.
    #[must_use]
    pub const fn is_fallback(&self) -> bool {
        matches!(self.0, Carrier::Tcp(_))
    }

    /// Opens a stream; waits while as many are open as the other side allows.
    pub async fn open(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        match &self.0 {
            Carrier::Quic(connection) => connection.open().await.map(of_quic),
            Carrier::Tcp(connection) => connection.open().await.map(of_tcp),
        }
    }

    /// Waits for the other side to open a stream. Cancel-safe.
    pub async fn accept(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        match &self.0 {
            Carrier::Quic(connection) => connection.accept().await.map(of_quic),
            Carrier::Tcp(connection) => connection.accept().await.map(of_tcp),
        }
    }

    /// Sends a datagram: it may be lost, and old ones are dropped when there are too many.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), ConnectionLost> {
        match &self.0 {
            Carrier::Quic(connection) => connection.send_datagram(datagram),
            Carrier::Tcp(connection) => connection.send_datagram(datagram),
        }
    }

    /// Waits for a datagram. Cancel-safe.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionLost> {
        match &self.0 {
            Carrier::Quic(connection) => connection.read_datagram().await,
            Carrier::Tcp(connection) => connection.read_datagram().await,
        }
    }

    /// What the connection is for.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match &self.0 {
            Carrier::Quic(connection) => connection.protocol(),
            Carrier::Tcp(connection) => connection.protocol(),
        }
    }

    /// What a device's proof on this connection covers: 32 bytes that only its two ends know (RFC 8446 §7.5).
    #[must_use]
    pub fn exporter(&self) -> [u8; 32] {
        match &self.0 {
            Carrier::Quic(connection) => connection.exporter(),
            Carrier::Tcp(connection) => connection.exporter(),
        }
    }

    /// What the proofs of two homeservers on this connection cover.
    #[must_use]
    pub fn peer_exporters(&self) -> Exporters {
        match &self.0 {
            Carrier::Quic(connection) => connection.peer_exporters(),
            Carrier::Tcp(connection) => connection.peer_exporters(),
        }
    }

    /// Takes in from the other end whatever comes, as of somebody who has proven who they are. Before that a server reads little of a connection
    /// over TCP; QUIC's own windows bound what comes there.
    pub fn trust(&self) {
        match &self.0 {
            Carrier::Quic(_) => {}
            Carrier::Tcp(connection) => connection.trust(),
        }
    }

    /// Where the other end is now; it may move.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        match &self.0 {
            Carrier::Quic(connection) => connection.remote(),
            Carrier::Tcp(connection) => connection.remote(),
        }
    }

    /// Ends the connection at once; what is under way is lost.
    pub fn close(&self, reason: CloseReason) {
        match &self.0 {
            Carrier::Quic(connection) => connection.close(reason),
            Carrier::Tcp(connection) => connection.close(reason),
        }
    }

    /// Waits for the end.
    pub async fn closed(&self) -> ConnectionLost {
        match &self.0 {
            Carrier::Quic(connection) => connection.closed().await,
            Carrier::Tcp(connection) => connection.closed().await,
        }
    }

    /// Why the connection is gone, if it is.
    #[must_use]
    pub fn lost(&self) -> Option<ConnectionLost> {
        match &self.0 {
            Carrier::Quic(connection) => connection.lost(),
            Carrier::Tcp(connection) => connection.lost(),
        }
    }

    /// How many packets have come on it so far, as many as there were UDP datagrams; none over TCP, which does not say.
    #[must_use]
    pub fn packets_received(&self) -> u64 {
        match &self.0 {
            Carrier::Quic(connection) => connection.packets_received(),
            Carrier::Tcp(_) => 0,
        }
    }

    /// A number that no other connection of this process has.
    #[must_use]
    pub fn stable_id(&self) -> usize {
        match &self.0 {
            // Both count for themselves.
            Carrier::Quic(connection) => connection.stable_id().wrapping_mul(2),
            Carrier::Tcp(connection) => connection.stable_id().wrapping_mul(2).wrapping_add(1),
        }
    }
}

impl SendStream {
    /// Writes bytes as they are. Not cancel-safe.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        match &mut self.0 {
            Sending::Quic(stream) => stream.write(bytes).await,
            Sending::Tcp(stream) => stream.write(bytes).await,
        }
    }

    /// Writes bytes without copying them, where that can be. Not cancel-safe.
    pub async fn write_chunk(&mut self, bytes: Bytes) -> Result<(), FrameError> {
        match &mut self.0 {
            Sending::Quic(stream) => stream.write_chunk(bytes).await,
            Sending::Tcp(stream) => stream.write(&bytes).await,
        }
    }

    /// Writes one frame. Not cancel-safe.
    pub async fn write_frame(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        match &mut self.0 {
            Sending::Quic(stream) => stream.write_frame(payload).await,
            Sending::Tcp(stream) => stream.write_frame(payload).await,
        }
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        match &mut self.0 {
            Sending::Quic(stream) => stream.finish(),
            Sending::Tcp(stream) => stream.finish().await,
        }
    }

    /// Breaks the stream off, so that the other side does not take it for finished. Over TCP this is done once both halves are gone.
    pub fn reset(&mut self) {
        if let Sending::Quic(stream) = &mut self.0 {
            stream.reset();
        }
    }

    /// Waits until the other side has everything, or wants no more; over TCP, until it is on its way.
    pub async fn stopped(&mut self) {
        match &mut self.0 {
            Sending::Quic(stream) => stream.stopped().await,
            Sending::Tcp(stream) => stream.flushed().await,
        }
    }
}

impl RecvStream {
    /// Reads one frame of at most `limit` bytes; `None` when the stream ended before it. Not cancel-safe.
    pub async fn read_frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        match &mut self.0 {
            Receiving::Quic(stream) => stream.read_frame(limit).await,
            Receiving::Tcp(stream) => stream.read_frame(limit).await,
        }
    }

    /// Tells the other side to send no more. Over TCP this is done once both halves are gone.
    pub fn stop(&mut self) {
        if let Receiving::Quic(stream) = &mut self.0 {
            stream.stop();
        }
    }
}
