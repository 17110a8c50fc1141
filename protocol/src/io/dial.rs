//! Finding a server, over whichever carrier reaches it.
//!
//! QUIC goes first. When the host says that nothing takes UDP there, TCP is tried at once; when nothing is heard, after a head start. Whichever
//! is there first is taken, but QUIC is given a moment more where TCP was only a little sooner.

use std::{net::SocketAddr, pin::pin, time::Duration};

use super::{
    CloseReason, ConnectError, Connection, quic, tcp,
    tls::{Protocol, Trust},
};
use crate::{id::ServerId, name::HostPort};

/// How many of a host's addresses are tried.
const MAX_ADDRESSES: usize = 8;
/// How long QUIC is alone.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long QUIC may still take once TCP is there.
const GRACE: Duration = Duration::from_millis(250);

/// A connection, and the server's root where its certificate showed it.
type Reached = (Connection, Option<ServerId>);

/// Connects to the first address of `host` that answers.
pub(super) async fn connect(
    to: &HostPort,
    how: (Trust, Protocol),
    patience: Duration,
) -> Result<Reached, ConnectError> {
    connect_to(&addresses(to).await?, &to.host, how, patience).await
}

/// Connects to the first of `addresses` that answers, as the server `name`.
pub(super) async fn connect_to(
    addresses: &[SocketAddr],
    name: &str,
    how: (Trust, Protocol),
    patience: Duration,
) -> Result<Reached, ConnectError> {
    let mut last = ConnectError::NoAddress { host: name.to_owned(), source: None };
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match race(*address, name, how, patience).await {
            Err(error @ (ConnectError::NoAddress { .. } | ConnectError::Unreachable(_))) => {
                last = error;
            }
            decided => return decided,
        }
    }
    Err(last)
}

/// Whether a server takes QUIC connections from here.
pub(super) async fn takes_quic(
    to: &HostPort,
    how: (Trust, Protocol),
    patience: Duration,
) -> Result<(), ConnectError> {
    #[cfg(feature = "simulation")]
    if super::simulation::Network::here().is_some() {
        return Err(ConnectError::Unreachable(super::ConnectionLost::Refused));
    }
    let mut last = ConnectError::NoAddress { host: to.host.clone(), source: None };
    for address in addresses(to).await? {
        match by_quic(address, &to.host, how, patience).await {
            Ok((connection, _)) => {
                connection.close(CloseReason::Done);
                return Ok(());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn addresses(to: &HostPort) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await;
    let found = found.map_err(|source| ConnectError::NoAddress {
        host: to.host.clone(),
        source: Some(source),
    })?;
    Ok(found.take(MAX_ADDRESSES).collect())
}

async fn by_quic(
    address: SocketAddr,
    name: &str,
    how: (Trust, Protocol),
    patience: Duration,
) -> Result<Reached, ConnectError> {
    let socket = quic::Socket::towards(address)?;
    let (connection, server) = socket.connect(address, name, how, patience).await?;
    Ok((connection.into(), server))
}

async fn race(
    address: SocketAddr,
    name: &str,
    how: (Trust, Protocol),
    patience: Duration,
) -> Result<Reached, ConnectError> {
    #[cfg(feature = "simulation")]
    if let Some(network) = super::simulation::Network::here() {
        let (connection, server) =
            tcp::simulated::connect(&network, address, how, patience).await?;
        return Ok((connection.into(), server));
    }
    let mut by_quic = pin!(by_quic(address, name, how, patience));
    let mut by_tcp = pin!(async {
        let (connection, server) = tcp::connect(address, name, how, patience).await?;
        Ok((connection.into(), server))
    });
    let mut head_start = pin!(tokio::time::sleep(HEAD_START));
    let mut has_begun = false;
    loop {
        tokio::select! {
            biased;
            done = &mut by_quic => return match done {
                // What the first carrier says is what its user expects to hear of.
                Err(error @ ConnectError::Unreachable(_)) => match by_tcp.await {
                    Err(ConnectError::Unreachable(_)) => Err(error),
                    decided => decided,
                },
                decided => decided,
            },
            () = &mut head_start, if !has_begun => has_begun = true,
            done = &mut by_tcp, if has_begun => return match done {
                Ok(reached) => match tokio::time::timeout(GRACE, by_quic).await {
                    Ok(Ok(by_quic)) => {
                        reached.0.close(CloseReason::Done);
                        Ok(by_quic)
                    }
                    Ok(Err(_)) | Err(_) => Ok(reached),
                },
                Err(_) => by_quic.await,
            },
        }
    }
}
