//! The asking end.

use std::{net::SocketAddr, time::Duration};

pub use super::tls::{Protocol, Trust};
use super::{
    CloseReason, ConnectError, Connection, ConnectionLost, RecvStream, SendStream, dial,
    frame::{self, FrameError},
    quic,
};
use crate::{
    codec::{self, MAX_BATCH, MAX_FRAME},
    id::ServerId,
    key::SigningKey,
    name::{HostPort, ServerName},
    request::{
        Answer, Refusal, Request,
        server::ServerInfo,
        session::{OpenError, OpenSession, SessionOpened},
    },
    session::{Follow, FollowDown, FollowError, FollowStarted, FollowUp, prove_connection},
};

/// How long a connection may take to come about.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may take: above the server's own deadline, and above its longest wait for a letter.
pub const CALL_PATIENCE: Duration = Duration::from_secs(40);
/// How long the other end may be silent before it is asked whether it is there, and how long that may take.
pub const SUSPICION: Duration = Duration::from_secs(2);
/// How soon a connection over TCP finds out whether QUIC works again; twice as long each further time, up to [`LONGEST_BACK_TO_QUIC`].
const BACK_TO_QUIC: Duration = Duration::from_secs(5);
const LONGEST_BACK_TO_QUIC: Duration = Duration::from_mins(1);
/// An answer with a page of entries is at most this long.
const MAX_ANSWER: usize = MAX_BATCH + MAX_FRAME;

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E: std::error::Error + 'static> {
    /// The request's own error.
    #[error(transparent)]
    Request(E),
    /// What any request can get.
    #[error(transparent)]
    Refused(Refusal),
    /// The connection is gone; whether the request was carried out is not known.
    #[error("no answer came")]
    Lost(#[from] ConnectionLost),
    /// The stream broke.
    #[error("the answer broke off")]
    Broken(#[from] FrameError),
    /// The answer is not what its type says.
    #[error("the server's answer cannot be read")]
    Malformed(#[from] codec::Malformed),
    /// No answer in time; whether the request was carried out is not known.
    #[error("the server took too long to answer")]
    TimedOut,
}

impl<E: std::error::Error + 'static> CallError<E> {
    /// Whether the same call may succeed later, without anybody changing it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Broken(_) | Self::TimedOut => true,
            Self::Refused(refusal) => {
                matches!(
                    refusal,
                    Refusal::Throttled { .. }
                        | Refusal::Unavailable
                        | Refusal::StorageFull
                        | Refusal::Internal
                )
            }
            Self::Request(_) | Self::Malformed(_) => false,
        }
    }
}

/// One socket for many connections to one server, as a load generator or a gateway wants it.
#[derive(Clone, Debug)]
pub struct Dialer {
    socket: quic::Socket,
    server: SocketAddr,
}

impl Dialer {
    /// Opens a socket towards `server`.
    pub fn towards(server: SocketAddr) -> Result<Self, ConnectError> {
        Ok(Self { socket: quic::Socket::towards(server)?, server })
    }

    /// Makes one more connection.
    pub async fn connect(&self, trust: Trust) -> Result<Client, ConnectError> {
        let name = self.server.ip().to_string();
        let (connection, server) = self
            .socket
            .connect(self.server, &name, (trust, Protocol::Device), CONNECT_PATIENCE)
            .await?;
        Ok(Client { connection: connection.into(), server, dialled: None })
    }
}

/// A connection to a server, and the calls over it. Copies share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
    server: Option<ServerId>,
    /// Where it was dialled, and can be again.
    dialled: Option<HostPort>,
}

impl Client {
    /// Connects to the server at `server_at` and makes sure, as `trust` says, that it is the right one.
    pub async fn connect(server_at: &HostPort, trust: Trust) -> Result<Self, ConnectError> {
        let how = (trust, Protocol::Device);
        let (connection, server) = dial::connect(server_at, how, CONNECT_PATIENCE).await?;
        Ok(Self { connection, server, dialled: Some(server_at.clone()) })
    }

    /// Connects to another homeserver. Nobody is proven to anybody yet ([`crate::session::peer`]).
    pub async fn connect_peer(server_at: &HostPort) -> Result<Self, ConnectError> {
        let how = (Trust::Proof, Protocol::Peer);
        let (connection, server) = dial::connect(server_at, how, CONNECT_PATIENCE).await?;
        Ok(Self { connection, server, dialled: Some(server_at.clone()) })
    }

    /// Connects to a server at the first of `addresses` that answers within `patience`; where `trust` looks at names, its certificate is to be
    /// good for `name`. No name is looked up, now or later.
    pub async fn connect_to(
        addresses: &[SocketAddr],
        name: &ServerName,
        trust: Trust,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        Self::connect_at(addresses, name, (trust, Protocol::Device), patience).await
    }

    /// Connects to another homeserver in the same way. Nobody is proven to anybody yet.
    pub async fn connect_peer_to(
        addresses: &[SocketAddr],
        name: &ServerName,
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        Self::connect_at(addresses, name, (Trust::Proof, Protocol::Peer), patience).await
    }

    async fn connect_at(
        addresses: &[SocketAddr],
        name: &ServerName,
        how: (Trust, Protocol),
        patience: Duration,
    ) -> Result<Self, ConnectError> {
        let (connection, server) =
            dial::connect_to(addresses, name.as_str(), how, patience).await?;
        let remote = connection.remote();
        let dialled = Some(HostPort { host: remote.ip().to_string(), port: remote.port() });
        Ok(Self { connection, server, dialled })
    }

    /// Calls over a connection that the other side has made, or that is in use otherwise.
    #[must_use]
    pub const fn over(connection: Connection) -> Self {
        Self { connection, server: None, dialled: None }
    }

    /// Whether the connection was made from here, to a known address.
    #[must_use]
    pub const fn is_dialled(&self) -> bool {
        self.dialled.is_some()
    }

    /// The server's root, when its certificate showed it (it does not under [`Trust::WebPki`]).
    #[must_use]
    pub fn server_id(&self) -> Option<ServerId> {
        self.server
    }

    /// The connection itself.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What carries the connection, in a word: `quic` or `tcp`.
    #[must_use]
    pub const fn carrier(&self) -> &'static str {
        if self.connection.is_fallback() { "tcp" } else { "quic" }
    }

    /// The exporter that a device's proof covers.
    #[must_use]
    pub fn exporter(&self) -> [u8; 32] {
        self.connection.exporter()
    }

    /// Asks `request` on a stream of its own. Dropping the future gives the answer up; the server may still carry the request out.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Reply, CallError<R::Error>> {
        let exchange = async {
            let (mut send, mut recv) = self.connection.open().await?;
            begin::<R>(&mut send, request).await?;
            send.finish().await;
            read_answer::<R>(&mut recv).await
        };
        tokio::time::timeout(CALL_PATIENCE, exchange).await.unwrap_or(Err(CallError::TimedOut))
    }

    /// Raises the connection to the device's principal.
    pub async fn open_session(
        &self,
        device: &SigningKey,
        access: &str,
    ) -> Result<SessionOpened, CallError<OpenError>> {
        let proof = prove_connection(device, &self.exporter(), access);
        self.call(&OpenSession { access: access.to_owned(), proof }).await
    }

    /// Opens the follow stream.
    pub async fn follow(
        &self,
        follow: &Follow,
    ) -> Result<(FollowStarted, FollowReceiver, FollowSender), CallError<FollowError>> {
        let (mut send, mut recv) = self.connection.open().await?;
        begin::<Follow>(&mut send, follow).await?;
        let started = tokio::time::timeout(CALL_PATIENCE, read_answer::<Follow>(&mut recv))
            .await
            .unwrap_or(Err(CallError::TimedOut))?;
        Ok((started, FollowReceiver(recv), FollowSender(send)))
    }

    /// Makes a call as [`Client::call`] does, and watches the connection under it: an end that was killed says nothing, and its restarted self
    /// does not know us. When there is no answer for [`SUSPICION`] the other end is asked something small, and the connection is given up if
    /// that stays unanswered.
    pub async fn call_watched<R: Request>(
        &self,
        request: &R,
    ) -> Result<R::Reply, CallError<R::Error>> {
        let mut call = std::pin::pin!(self.call(request));
        loop {
            tokio::select! {
                answer = &mut call => return answer,
                () = tokio::time::sleep(SUSPICION) => {
                    if !self.is_there().await {
                        tracing::debug!("the other end is silent; the connection is given up");
                        // Which ends the call as well.
                        self.close();
                        return call.await;
                    }
                }
            }
        }
    }

    /// Whether the other end answers something small within [`SUSPICION`]. A refusal is an answer, too.
    pub async fn is_there(&self) -> bool {
        let answer = tokio::time::timeout(SUSPICION, self.call(&ServerInfo {})).await;
        matches!(answer, Ok(Ok(_) | Err(CallError::Refused(_))))
    }

    /// Where the connection goes over TCP and was made from here, waits until the server takes QUIC connections, and then ends it: whoever keeps
    /// a connection makes the next one, which is better. Otherwise waits without end.
    pub async fn until_quic_works(&self) {
        let Some(server) = self.dialled.as_ref().filter(|_| self.connection.is_fallback()) else {
            return std::future::pending().await;
        };
        let how = (Trust::Proof, self.connection.protocol());
        let mut wait = BACK_TO_QUIC;
        loop {
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(LONGEST_BACK_TO_QUIC);
            match dial::takes_quic(server, how, SUSPICION).await {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, "still no QUIC"),
            }
        }
        tracing::info!(%server, "QUIC works again");
        self.close();
    }

    /// Waits until the connection is gone.
    pub async fn closed(&self) -> ConnectionLost {
        self.connection.closed().await
    }

    /// Ends the connection in order.
    pub fn close(&self) {
        self.connection.close(CloseReason::Done);
    }
}

async fn begin<R: Request>(send: &mut SendStream, request: &R) -> Result<(), FrameError> {
    let body = codec::encode(request);
    let mut buffer = Vec::with_capacity(body.len().saturating_add(64));
    frame::put(&mut buffer, R::METHOD.as_bytes());
    frame::put(&mut buffer, &body);
    send.write(&buffer).await
}

async fn read_answer<R: Request>(recv: &mut RecvStream) -> Result<R::Reply, CallError<R::Error>> {
    let early_end = || FrameError::Broken(std::io::ErrorKind::UnexpectedEof.into());
    let bytes = recv.read_frame(MAX_ANSWER).await?.ok_or_else(early_end)?;
    match codec::decode_within::<Answer<R::Reply, R::Error>>(&bytes, MAX_ANSWER)? {
        Answer::Reply(reply) => Ok(reply),
        Answer::Error(error) => Err(CallError::Request(error)),
        Answer::Refused(refusal) => Err(CallError::Refused(refusal)),
    }
}

/// What comes down the follow stream.
#[derive(Debug)]
pub struct FollowReceiver(RecvStream);

/// What goes up it.
#[derive(Debug)]
pub struct FollowSender(SendStream);

/// Why a follow stream ended.
#[derive(Debug, thiserror::Error)]
pub enum FollowEnded {
    /// The server finished it.
    #[error("the server ended the stream")]
    Finished,
    /// It broke.
    #[error(transparent)]
    Broken(#[from] FrameError),
    /// A frame is not what its type says.
    #[error("the server sent something that cannot be read")]
    Malformed(#[from] codec::Malformed),
}

impl FollowReceiver {
    /// Waits for the next frame. Not cancel-safe: give the receiver a task of its own.
    pub async fn recv(&mut self) -> Result<FollowDown, FollowEnded> {
        let bytes = self.0.read_frame(MAX_ANSWER).await?.ok_or(FollowEnded::Finished)?;
        Ok(codec::decode_within(&bytes, MAX_ANSWER)?)
    }
}

impl FollowSender {
    /// Sends a frame. Not cancel-safe.
    pub async fn send(&mut self, up: &FollowUp) -> Result<(), FrameError> {
        self.0.write_frame(&codec::encode(up)).await
    }
}
