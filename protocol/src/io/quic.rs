//! The carrier: QUIC (RFC 9000) by quinn. Nothing outside this module names it.

mod dial;
mod listen;
mod runtime;

use std::net::SocketAddr;

use bytes::Bytes;
pub(super) use dial::Socket;
pub(super) use listen::{Attempt, Endpoint};

use super::{
    CloseReason, ConnectionLost,
    frame::{self, FrameError, FrameReader},
    tls::Protocol,
};
use crate::{
    session::peer::{Exporters, Role},
    version::{ALPN_PEER, EXPORTER_DEVICE, EXPORTER_PEER},
};

/// After how long without a word a connection is gone.
const IDLE_TIMEOUT_MS: u32 = 60_000;
/// How many packets the other end takes in before it acknowledges without waiting (draft-ietf-quic-ack-frequency): on most streams an
/// answer is due at once, which takes the acknowledgement along.
const UNACKNOWLEDGED: u32 = 8;
/// Requests that one connection may have under way; a client waits with more. quinn keeps a place for each, twice, in tables that double: with
/// one more they would take another 1.3 KiB as long as the connection lives.
const MAX_STREAMS: u32 = 28;
/// What one stream, and one whole connection, may have on the way towards us: this bounds what a peer can make us hold.
const STREAM_WINDOW: u32 = 1_250_000;
const CONNECTION_WINDOW: u32 = 4_000_000;

/// One connection. Copies are the same connection.
#[derive(Clone, Debug)]
pub(in crate::io) struct Connection {
    inner: quinn::Connection,
    /// Keeps a client's own socket for as long as the connection.
    _endpoint: Option<quinn::Endpoint>,
}

/// The sending half of a stream.
#[derive(Debug)]
pub(in crate::io) struct SendStream(quinn::SendStream);

/// The receiving half of a stream.
#[derive(Debug)]
pub(in crate::io) struct RecvStream(FrameReader<quinn::RecvStream>);

impl Connection {
    /// Opens a stream; waits while as many are open as the other side allows.
    pub(in crate::io) async fn open(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        let (send, recv) = self.inner.open_bi().await?;
        Ok((SendStream(send), RecvStream(FrameReader::new(recv))))
    }

    /// Waits for the other side to open a stream. Cancel-safe.
    pub(in crate::io) async fn accept(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        let (send, recv) = self.inner.accept_bi().await?;
        Ok((SendStream(send), RecvStream(FrameReader::new(recv))))
    }

    /// Sends a datagram: it may be lost, and old ones are dropped when there are too many.
    pub(in crate::io) fn send_datagram(&self, datagram: Bytes) -> Result<(), ConnectionLost> {
        self.inner
            .send_datagram(datagram)
            .map_err(|error| ConnectionLost::Broken(error.to_string()))
    }

    /// Waits for a datagram. Cancel-safe.
    pub(in crate::io) async fn read_datagram(&self) -> Result<Bytes, ConnectionLost> {
        Ok(self.inner.read_datagram().await?)
    }

    /// What the connection is for.
    #[must_use]
    pub(in crate::io) fn protocol(&self) -> Protocol {
        let data = self.inner.handshake_data();
        let data =
            data.and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
        match data.and_then(|data| data.protocol) {
            Some(name) if name == ALPN_PEER => Protocol::Peer,
            _ => Protocol::Device,
        }
    }

    /// What a device's proof on this connection covers.
    #[must_use]
    pub(in crate::io) fn exporter(&self) -> [u8; 32] {
        self.export(EXPORTER_DEVICE, &[])
    }

    /// What the proofs of two homeservers on this connection cover.
    #[must_use]
    pub(in crate::io) fn peer_exporters(&self) -> Exporters {
        Exporters {
            initiator: self.export(EXPORTER_PEER, Role::Initiator.context()),
            responder: self.export(EXPORTER_PEER, Role::Responder.context()),
        }
    }

    /// 32 bytes that only the two ends of this very connection know (RFC 8446 §7.5).
    ///
    /// # Panics
    ///
    /// Never: 32 bytes are less than TLS can export.
    fn export(&self, label: &[u8], context: &[u8]) -> [u8; 32] {
        let mut output = [0; 32];
        #[expect(
            clippy::expect_used,
            reason = "TLS refuses only outputs of more than 8,160 bytes"
        )]
        self.inner
            .export_keying_material(&mut output, label, context)
            .expect("32 bytes can be exported");
        output
    }

    /// Where the other end is now; it may move.
    #[must_use]
    pub(in crate::io) fn remote(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// Ends the connection at once; what is under way is lost.
    pub(in crate::io) fn close(&self, reason: CloseReason) {
        self.inner.close(reason.code().into(), b"");
    }

    /// Waits for the end.
    pub(in crate::io) async fn closed(&self) -> ConnectionLost {
        self.inner.closed().await.into()
    }

    /// Why the connection is gone, if it is.
    #[must_use]
    pub(in crate::io) fn lost(&self) -> Option<ConnectionLost> {
        self.inner.close_reason().map(Into::into)
    }

    /// How many packets have come on it so far, as many as there were UDP datagrams.
    #[must_use]
    pub(in crate::io) fn packets_received(&self) -> u64 {
        self.inner.stats().udp_rx.datagrams
    }

    /// A number that no other connection of this process has.
    #[must_use]
    pub(in crate::io) fn stable_id(&self) -> usize {
        self.inner.stable_id()
    }
}

impl SendStream {
    /// Writes bytes as they are. Not cancel-safe.
    pub(in crate::io) async fn write(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.0.write_all(bytes).await.map_err(|error| FrameError::Broken(error.into()))
    }

    /// Writes bytes without copying them. Not cancel-safe.
    pub(in crate::io) async fn write_chunk(&mut self, bytes: Bytes) -> Result<(), FrameError> {
        self.0.write_chunk(bytes).await.map_err(|error| FrameError::Broken(error.into()))
    }

    /// Writes one frame. Not cancel-safe.
    pub(in crate::io) async fn write_frame(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        frame::write_frame(&mut self.0, payload).await
    }

    /// Says that nothing more comes.
    pub(in crate::io) fn finish(&mut self) {
        // Fails only when the stream was finished or reset before, which is as good.
        self.0.finish().ok();
    }

    /// Breaks the stream off, so that the other side does not take it for finished.
    pub(in crate::io) fn reset(&mut self) {
        self.0.reset(0_u32.into()).ok();
    }

    /// Waits until the other side has everything, or wants no more.
    pub(in crate::io) async fn stopped(&mut self) {
        self.0.stopped().await.ok();
    }
}

impl RecvStream {
    /// Reads one frame of at most `limit` bytes; `None` when the stream ended before it. Not cancel-safe.
    pub(in crate::io) async fn read_frame(
        &mut self,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, FrameError> {
        self.0.read_frame(limit).await
    }

    /// Tells the other side to send no more.
    pub(in crate::io) fn stop(&mut self) {
        self.0.stream().stop(0_u32.into()).ok();
    }
}

impl From<quinn::ConnectionError> for ConnectionLost {
    fn from(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => {
                CloseReason::told(close.error_code.into_inner())
            }
            quinn::ConnectionError::TimedOut => Self::TimedOut,
            quinn::ConnectionError::LocallyClosed => Self::ClosedHere,
            other => Self::Broken(other.to_string()),
        }
    }
}

/// How much may wait in the kernel for a socket, if the system lets it (`net.core.rmem_max`). One socket serves all connections, and what comes
/// while it is full is lost: with the usual 200 KiB, a fifth of all packets was, when a thousand devices acknowledged at one time.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Binds a socket that takes bursts in.
fn bind(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    let state = quinn::udp::UdpSocketState::new((&socket).into())?;
    // A system that does not grant them works with smaller ones.
    state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER).ok();
    state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER).ok();
    Ok(socket)
}

fn transport() -> quinn::TransportConfig {
    let mut acknowledgements = quinn::AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(UNACKNOWLEDGED.into());
    let mut config = quinn::TransportConfig::default();
    config
        .ack_frequency_config(Some(acknowledgements))
        .max_idle_timeout(Some(quinn::VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(0_u32.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(u64::from(CONNECTION_WINDOW));
    config
}
