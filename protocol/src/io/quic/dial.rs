//! A client's side: telling a server that is not trusted from one that does not answer.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    super::{
        ConnectError, ConnectionLost,
        tls::{self, Protocol, TlsError, Trust},
    },
    Connection, bind,
    runtime::Patient,
    transport,
};
use crate::id::ServerId;

/// How often a quiet connection says that it is there. Below the shortest NAT binding that is common (30 s, RFC 4787 §4.3).
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A UDP socket of a client. Any number of connections can share it; copies are the same socket.
#[derive(Clone, Debug)]
pub(in crate::io) struct Socket(quinn::Endpoint);

impl Socket {
    /// Opens a socket that reaches addresses of the family of `to`.
    pub(in crate::io) fn towards(to: SocketAddr) -> Result<Self, ConnectError> {
        let local: SocketAddr = match to {
            SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = bind(local)?;
        let config = quinn::EndpointConfig::default();
        Ok(Self(quinn::Endpoint::new(config, None, socket, Arc::new(Patient))?))
    }

    /// Connects to `address`, whose certificate is to be good for `name` where `trust` looks at names.
    pub(in crate::io) async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
        (trust, protocol): (Trust, Protocol),
        patience: Duration,
    ) -> Result<(Connection, Option<ServerId>), ConnectError> {
        let (tls, seen) = tls::client_config(trust, protocol)?;
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
