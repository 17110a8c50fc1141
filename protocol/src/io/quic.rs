//! The carrier: QUIC (RFC 9000) by quinn. Nothing above this file names it.

use std::{
    io::IoSliceMut,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use super::{
    frame::{self, FrameError, FrameReader},
    tls::{self, ServerTls, TlsError, Trust},
};
use crate::{id::ServerId, name::HostPort};

/// How often a quiet connection says that it is there. Below the shortest NAT binding that is common (30 s, RFC 4787 §4.3).
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// After how long without a word a connection is gone.
const IDLE_TIMEOUT_MS: u32 = 60_000;
/// How many packets the other end takes in before it acknowledges without waiting (draft-ietf-quic-ack-frequency): on most streams an
/// answer is due at once, which takes the acknowledgement along.
const UNACKNOWLEDGED: u32 = 8;
/// Requests that one connection may have under way. quinn keeps a place for each, 80 bytes, as long as the connection lives.
const MAX_STREAMS: u32 = 100;
/// What one stream, and one whole connection, may have on the way towards us: this bounds what a peer can make us hold.
const STREAM_WINDOW: u32 = 1_250_000;
const CONNECTION_WINDOW: u32 = 4_000_000;

/// How many of a host's addresses are tried.
const MAX_ADDRESSES: usize = 8;

/// Why a connection ends, as its other end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing more to say.
    Done,
    /// The session was ended, the device revoked, or the account disabled.
    SessionEnded,
    /// The server stops; come back.
    GoingAway,
    /// Too many connections.
    TooMany,
    /// The other end breaks the protocol.
    Misbehaved,
}

impl CloseReason {
    const ALL: [Self; 5] =
        [Self::Done, Self::SessionEnded, Self::GoingAway, Self::TooMany, Self::Misbehaved];

    const fn code(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::SessionEnded => 1,
            Self::GoingAway => 2,
            Self::TooMany => 3,
            Self::Misbehaved => 4,
        }
    }
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionLost {
    /// The other end closed it.
    #[error("the other side closed the connection ({0:?})")]
    Closed(CloseReason),
    /// Nothing was heard for too long.
    #[error("the connection timed out")]
    TimedOut,
    /// Nothing listens at the address.
    #[error("nothing listens there")]
    Refused,
    /// This end closed it.
    #[error("the connection was closed here")]
    ClosedHere,
    /// Anything else.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl From<quinn::ConnectionError> for ConnectionLost {
    fn from(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let code = close.error_code.into_inner();
                let reason =
                    CloseReason::ALL.into_iter().find(|reason| u64::from(reason.code()) == code);
                reason
                    .map_or_else(|| Self::Broken(format!("closed with code {code}")), Self::Closed)
            }
            quinn::ConnectionError::TimedOut => Self::TimedOut,
            quinn::ConnectionError::LocallyClosed => Self::ClosedHere,
            other => Self::Broken(other.to_string()),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has no address.
    #[error("{host} has no address")]
    NoAddress {
        /// Which.
        host: String,
        /// What the resolver says.
        #[source]
        source: Option<std::io::Error>,
    },
    /// Another server answers, or somebody who pretends.
    #[error("the server there is not the one that was pinned: its fingerprint is {found}")]
    WrongServer {
        /// Who answered.
        found: ServerId,
    },
    /// The certificate is not good for the name.
    #[error("the server's certificate is not trusted: {0}")]
    Untrusted(String),
    /// Nobody answers.
    #[error("the server does not answer: {0}")]
    Unreachable(ConnectionLost),
    /// No UDP socket.
    #[error("no socket could be opened")]
    Socket(#[from] std::io::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One connection. Copies are the same connection.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: quinn::Connection,
    /// Keeps a client's own socket for as long as the connection.
    _endpoint: Option<quinn::Endpoint>,
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct SendStream(quinn::SendStream);

/// The receiving half of a stream.
#[derive(Debug)]
pub struct RecvStream(FrameReader<quinn::RecvStream>);

impl Connection {
    /// Opens a stream; waits while as many are open as the other side allows.
    pub async fn open(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        let (send, recv) = self.inner.open_bi().await?;
        Ok((SendStream(send), RecvStream(FrameReader::new(recv))))
    }

    /// Waits for the other side to open a stream. Cancel-safe.
    pub async fn accept(&self) -> Result<(SendStream, RecvStream), ConnectionLost> {
        let (send, recv) = self.inner.accept_bi().await?;
        Ok((SendStream(send), RecvStream(FrameReader::new(recv))))
    }

    /// Sends a datagram: it may be lost, and old ones are dropped when there are too many.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), ConnectionLost> {
        self.inner
            .send_datagram(datagram)
            .map_err(|error| ConnectionLost::Broken(error.to_string()))
    }

    /// Waits for a datagram. Cancel-safe.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionLost> {
        Ok(self.inner.read_datagram().await?)
    }

    /// 32 bytes that only the two ends of this very connection know (RFC 8446 §7.5).
    ///
    /// # Panics
    ///
    /// Never: 32 bytes are less than TLS can export.
    #[must_use]
    pub fn exporter(&self, label: &[u8]) -> [u8; 32] {
        let mut output = [0; 32];
        #[expect(
            clippy::expect_used,
            reason = "TLS refuses only outputs of more than 8,160 bytes"
        )]
        self.inner
            .export_keying_material(&mut output, label, &[])
            .expect("32 bytes can be exported");
        output
    }

    /// Where the other end is now; it may move.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// Ends the connection at once; what is under way is lost.
    pub fn close(&self, reason: CloseReason) {
        self.inner.close(reason.code().into(), b"");
    }

    /// Waits for the end.
    pub async fn closed(&self) -> ConnectionLost {
        self.inner.closed().await.into()
    }

    /// Why the connection is gone, if it is.
    #[must_use]
    pub fn lost(&self) -> Option<ConnectionLost> {
        self.inner.close_reason().map(Into::into)
    }

    /// A number that no other connection of this process has.
    #[must_use]
    pub fn stable_id(&self) -> usize {
        self.inner.stable_id()
    }
}

impl SendStream {
    /// Writes bytes as they are. Not cancel-safe.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.0.write_all(bytes).await.map_err(|error| FrameError::Broken(error.into()))
    }

    /// Writes bytes without copying them. Not cancel-safe.
    pub async fn write_chunk(&mut self, bytes: Bytes) -> Result<(), FrameError> {
        self.0.write_chunk(bytes).await.map_err(|error| FrameError::Broken(error.into()))
    }

    /// Writes one frame. Not cancel-safe.
    pub async fn write_frame(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        frame::write_frame(&mut self.0, payload).await
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        // Fails only when the stream was finished or reset before, which is as good.
        self.0.finish().ok();
    }

    /// Breaks the stream off, so that the other side does not take it for finished.
    pub fn reset(&mut self) {
        self.0.reset(0_u32.into()).ok();
    }

    /// Waits until the other side has everything, or wants no more.
    pub async fn stopped(&mut self) {
        self.0.stopped().await.ok();
    }
}

impl RecvStream {
    /// Reads one frame of at most `limit` bytes; `None` when the stream ended before it. Not cancel-safe.
    pub async fn read_frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        self.0.read_frame(limit).await
    }

    /// Tells the other side to send no more.
    pub fn stop(&mut self) {
        self.0.stream().stop(0_u32.into()).ok();
    }
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

/// A UDP socket of a client. Any number of connections can share it; copies are the same socket.
#[derive(Clone, Debug)]
pub(super) struct Socket(quinn::Endpoint);

impl Socket {
    /// Opens a socket that reaches addresses of the family of `to`.
    pub(super) fn towards(to: SocketAddr) -> Result<Self, ConnectError> {
        let local = match to {
            SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        Ok(Self(quinn::Endpoint::client(local)?))
    }

    /// Connects to `address`, whose certificate is to be good for `name` where `trust` looks at names.
    pub(super) async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
        trust: Trust,
        patience: Duration,
    ) -> Result<(Connection, Option<ServerId>), ConnectError> {
        let (tls, seen) = tls::client_config(trust)?;
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = transport();
        transport.keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        let name = if trust == Trust::WebPki { name } else { tls::PINNED_NAME };
        let connecting = self.0.connect_with(config, address, name).map_err(|error| {
            ConnectError::Unreachable(ConnectionLost::Broken(error.to_string()))
        })?;
        let connected = tokio::select! {
            connected = tokio::time::timeout(patience, connecting) => connected,
            () = refused(address) => return Err(ConnectError::Unreachable(ConnectionLost::Refused)),
        };
        match connected {
            Ok(Ok(inner)) => {
                let connection = Connection { inner, _endpoint: Some(self.0.clone()) };
                Ok((connection, seen.get().copied()))
            }
            Ok(Err(error)) => Err(explain(&error, &seen, trust)),
            Err(_) => Err(ConnectError::Unreachable(ConnectionLost::TimedOut)),
        }
    }
}

/// Waits until the host says that nothing listens at `address`; without end when it says nothing.
///
/// A QUIC socket serves many peers, so the kernel does not tell it of ICMP errors; a connected one it does. The byte that is sent is no QUIC
/// packet (RFC 8999 §5), which a server that is there drops unseen.
async fn refused(address: SocketAddr) {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let probe = async {
        let socket = tokio::net::UdpSocket::bind(local).await?;
        socket.connect(address).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    match probe.await {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
        _ => std::future::pending().await,
    }
}

/// Connects to the first address of `host` that answers.
pub(super) async fn connect(
    to: &HostPort,
    trust: Trust,
    patience: Duration,
) -> Result<(Connection, Option<ServerId>), ConnectError> {
    let addresses =
        tokio::net::lookup_host((to.host.as_str(), to.port)).await.map_err(|source| {
            ConnectError::NoAddress { host: to.host.clone(), source: Some(source) }
        })?;
    let mut last = ConnectError::NoAddress { host: to.host.clone(), source: None };
    for address in addresses.take(MAX_ADDRESSES) {
        match Socket::towards(address)?.connect(address, &to.host, trust, patience).await {
            Err(error @ (ConnectError::NoAddress { .. } | ConnectError::Unreachable(_))) => {
                last = error;
            }
            decided => return decided,
        }
    }
    Err(last)
}

/// Tells a server that is not trusted from one that does not answer.
fn explain(
    error: &quinn::ConnectionError,
    seen: &OnceLock<ServerId>,
    trust: Trust,
) -> ConnectError {
    if let (Trust::Pinned(pinned), Some(found)) = (trust, seen.get())
        && *found != pinned
    {
        return ConnectError::WrongServer { found: *found };
    }
    match error {
        quinn::ConnectionError::TransportError(cause)
            if (0x100..0x200).contains(&u64::from(cause.code)) =>
        {
            ConnectError::Untrusted(cause.reason.clone())
        }
        _ => ConnectError::Unreachable(error.clone().into()),
    }
}

/// A bound UDP socket that takes connections.
pub(super) struct Endpoint(quinn::Endpoint);

/// How many packets go to the kernel at once. Every connection keeps a buffer for so many as long as it lives.
const BURST: usize = 4;

/// A socket whose bursts are of [`BURST`] packets at most.
#[derive(Debug)]
struct ShortBursts(Arc<dyn quinn::AsyncUdpSocket>);

impl quinn::AsyncUdpSocket for ShortBursts {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn quinn::UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &quinn::udp::Transmit) -> std::io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [quinn::udp::RecvMeta],
    ) -> Poll<std::io::Result<usize>> {
        self.0.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments().min(BURST)
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}

/// Somebody who wants to connect.
pub(super) struct Attempt(quinn::Incoming);

impl Endpoint {
    pub(super) fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(Arc::clone(&tls.config))
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        let socket = std::net::UdpSocket::bind(address)?;
        let socket = quinn::Runtime::wrap_udp_socket(&quinn::TokioRuntime, socket)?;
        Ok(Self(quinn::Endpoint::new_with_abstract_socket(
            quinn::EndpointConfig::default(),
            Some(config),
            Arc::new(ShortBursts(socket)),
            Arc::new(quinn::TokioRuntime),
        )?))
    }

    pub(super) fn local(&self) -> Result<SocketAddr, ConnectError> {
        Ok(self.0.local_addr()?)
    }

    pub(super) async fn accept(&self) -> Option<Attempt> {
        self.0.accept().await.map(Attempt)
    }

    pub(super) fn close(&self, reason: CloseReason) {
        self.0.close(reason.code().into(), b"");
    }

    pub(super) async fn wait_idle(&self) {
        self.0.wait_idle().await;
    }
}

impl Attempt {
    pub(super) fn remote(&self) -> SocketAddr {
        self.0.remote_address()
    }

    pub(super) fn is_validated(&self) -> bool {
        self.0.remote_address_validated()
    }

    pub(super) fn retry(self) {
        self.0.retry().ok();
    }

    pub(super) fn refuse(self) {
        self.0.refuse();
    }

    pub(super) async fn establish(self) -> Result<Connection, ConnectionLost> {
        let inner = self.0.accept()?.await?;
        Ok(Connection { inner, _endpoint: None })
    }
}
