//! A server's side.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{compat::TokioAsyncReadCompatExt as _, task::TaskTracker};

use super::{Connection, Facts, driver::drive};
use crate::{
    io::{
        ConnectError, ConnectionLost,
        tls::{Protocol, ServerTls},
    },
    version::ALPN_PEER,
};

/// After how long without a word the system asks whether the other end is there, and how often, before the connection counts as gone.
const QUIET: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASKS: u32 = 4;
/// How long to wait after the system could not give a connection, as when there are no descriptors left.
const BREATH: Duration = Duration::from_millis(100);
/// How long the last words of all connections may take, at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long what was sent may stay unacknowledged (RFC 5482): the system asks nothing while it waits for that.
#[cfg(target_os = "linux")]
const UNHEARD: Duration = Duration::from_mins(1);

/// Has the system notice an end that is gone without a word; and has small frames go out at once.
pub(super) fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let wanted =
        socket2::TcpKeepalive::new().with_time(QUIET).with_interval(ASK_EVERY).with_retries(ASKS);
    let socket = socket2::SockRef::from(socket);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNHEARD))?;
    socket.set_tcp_keepalive(&wanted)
}

/// A bound TCP socket that takes connections.
pub(in crate::io) struct Endpoint {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    drivers: TaskTracker,
}

/// Somebody who has connected, and not shown yet that they speak TLS.
pub(in crate::io) struct Attempt {
    socket: TcpStream,
    remote: SocketAddr,
    acceptor: TlsAcceptor,
    drivers: TaskTracker,
}

impl Endpoint {
    pub(in crate::io) fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { listener, acceptor, drivers: TaskTracker::new() })
    }

    pub(in crate::io) async fn accept(&self) -> Attempt {
        loop {
            match self.listener.accept().await {
                Ok((socket, remote)) => {
                    let (acceptor, drivers) = (self.acceptor.clone(), self.drivers.clone());
                    return Attempt { socket, remote, acceptor, drivers };
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be taken over TCP");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// Waits a moment until the other ends have heard that their connections are closed.
    pub(in crate::io) async fn wait_idle(&self) {
        self.drivers.close();
        tokio::time::timeout(LAST_WORDS, self.drivers.wait()).await.ok();
    }
}

impl Attempt {
    pub(in crate::io) fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(in crate::io) async fn establish(self) -> Result<Connection, ConnectionLost> {
        let broken = |error: &dyn std::fmt::Display| ConnectionLost::Broken(error.to_string());
        keep_alive(&self.socket).map_err(|error| broken(&error))?;
        let stream = self.acceptor.accept(self.socket).await.map_err(|error| broken(&error))?;
        let session = stream.get_ref().1;
        let protocol = match session.alpn_protocol() {
            Some(name) if name == ALPN_PEER => Protocol::Peer,
            _ => Protocol::Device,
        };
        let facts = Facts::of(self.remote, session, protocol).map_err(|error| broken(&error))?;
        drive(stream.compat(), facts, yamux::Mode::Server, &self.drivers).await
    }
}
