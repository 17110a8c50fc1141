//! A server's side.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

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

/// Has the system notice an end that is gone without a word; and has small frames go out at once.
pub(super) fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let wanted =
        socket2::TcpKeepalive::new().with_time(QUIET).with_interval(ASK_EVERY).with_retries(ASKS);
    socket2::SockRef::from(socket).set_tcp_keepalive(&wanted)
}

/// A bound TCP socket that takes connections.
pub(in crate::io) struct Endpoint {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

/// Somebody who has connected, and not shown yet that they speak TLS.
pub(in crate::io) struct Attempt {
    socket: TcpStream,
    remote: SocketAddr,
    acceptor: TlsAcceptor,
}

impl Endpoint {
    pub(in crate::io) fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        Ok(Self { listener: TcpListener::from_std(listener)?, acceptor })
    }

    pub(in crate::io) async fn accept(&self) -> Attempt {
        loop {
            match self.listener.accept().await {
                Ok((socket, remote)) => {
                    return Attempt { socket, remote, acceptor: self.acceptor.clone() };
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be taken over TCP");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
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
        Ok(drive(stream.compat(), facts, yamux::Mode::Server))
    }
}
