//! The same streams over a network within the process.

use std::{net::SocketAddr, time::Duration};

use tokio::sync::{Mutex, mpsc};
use tokio_util::task::TaskTracker;

use super::{Connection, Facts, driver::drive, next_id};
use crate::{
    id::ServerId,
    io::{
        ConnectError, ConnectionLost,
        simulation::{Agreed, Dial, Dialled, Network},
        tls::{Protocol, ServerTls, Trust},
    },
};

/// Connects to `address` on `network`.
pub(in crate::io) async fn connect(
    network: &Network,
    address: SocketAddr,
    (trust, protocol): (Trust, Protocol),
    patience: Duration,
) -> Result<(Connection, Option<ServerId>), ConnectError> {
    let dialling = tokio::time::timeout(patience, network.dial(address, protocol)).await;
    let (root, end, agreed) = match dialling {
        Err(_) => return Err(ConnectError::Unreachable(ConnectionLost::TimedOut)),
        Ok(Dial::Refused) => return Err(ConnectError::Unreachable(ConnectionLost::Refused)),
        Ok(Dial::Reached { root, end, agreed }) => (root, end, agreed),
    };
    if let (Trust::Pinned(pinned), Some(found)) = (trust, root)
        && found != pinned
    {
        return Err(ConnectError::WrongServer { found });
    }
    let facts = agreed.facts(address);
    let connection = drive(end, facts, yamux::Mode::Client, &TaskTracker::new()).await;
    Ok((connection.map_err(ConnectError::Unreachable)?, root))
}

/// What listens on a network within the process.
pub(in crate::io) struct Endpoint {
    address: SocketAddr,
    dialled: Mutex<mpsc::Receiver<Dialled>>,
    drivers: TaskTracker,
}

/// Somebody who has dialled there.
pub(in crate::io) struct Attempt {
    dialled: Dialled,
    drivers: TaskTracker,
}

impl Endpoint {
    pub(in crate::io) fn bind(
        network: &Network,
        address: SocketAddr,
        tls: &ServerTls,
    ) -> Result<Self, ConnectError> {
        let dialled = network
            .bind(address, tls.root)
            .ok_or_else(|| ConnectError::Socket(std::io::ErrorKind::AddrNotAvailable.into()))?;
        Ok(Self { address, dialled: Mutex::new(dialled), drivers: TaskTracker::new() })
    }

    pub(in crate::io) const fn local(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::io) async fn accept(&self) -> Option<Attempt> {
        let dialled = self.dialled.lock().await.recv().await?;
        Some(Attempt { dialled, drivers: self.drivers.clone() })
    }
}

impl Attempt {
    pub(in crate::io) const fn remote(&self) -> SocketAddr {
        self.dialled.remote
    }

    pub(in crate::io) async fn establish(self) -> Result<Connection, ConnectionLost> {
        let Dialled { end, remote, agreed } = self.dialled;
        drive(end, agreed.facts(remote), yamux::Mode::Server, &self.drivers).await
    }
}

impl Agreed {
    fn facts(self, remote: SocketAddr) -> Facts {
        let Self { protocol, exporter, peer_exporters } = self;
        Facts { id: next_id(), remote, protocol, exporter, peer_exporters }
    }
}
