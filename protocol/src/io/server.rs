//! The listening end.

use std::net::SocketAddr;

use super::{
    CloseReason, ConnectError, Connection, ConnectionLost,
    quic::{Attempt, Endpoint},
    tls::ServerTls,
};

/// Takes connections on one address.
pub struct Listener(Endpoint);

/// Somebody who wants to connect. Nothing has been spent on them yet.
pub struct Incoming(Attempt);

impl Listener {
    /// Binds `address`; port 0 takes any that is free.
    pub fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        Endpoint::bind(address, tls).map(Self)
    }

    /// The address that was bound.
    pub fn local(&self) -> Result<SocketAddr, ConnectError> {
        self.0.local()
    }

    /// Waits for the next who wants to connect; `None` once closed. Cancel-safe.
    pub async fn accept(&self) -> Option<Incoming> {
        self.0.accept().await.map(Incoming)
    }

    /// Closes all connections and takes no more.
    pub fn close(&self, reason: CloseReason) {
        self.0.close(reason);
    }

    /// Waits until the other ends have heard that their connections are closed.
    pub async fn drained(&self) {
        self.0.wait_idle().await;
    }
}

impl Incoming {
    /// Where they claim to be.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.0.remote()
    }

    /// Whether they have shown that they receive at that address.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.0.is_validated()
    }

    /// Has them show that they receive at their address (RFC 9000 §8.1.2), at the price of one round trip.
    pub fn retry(self) {
        self.0.retry();
    }

    /// Turns them away.
    pub fn refuse(self) {
        self.0.refuse();
    }

    /// Completes the handshake.
    pub async fn establish(self) -> Result<Connection, ConnectionLost> {
        self.0.establish().await
    }
}
