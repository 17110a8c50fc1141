//! The listening end: QUIC, and TCP on the same port for those who are let no UDP through.

use std::net::SocketAddr;

use super::{CloseReason, ConnectError, Connection, ConnectionLost, quic, tcp, tls::ServerTls};

/// How many ports are tried where any will do, since each has to be free for both carriers.
const TRIES: usize = 16;

/// Takes connections on one address.
pub struct Listener(Carriers);

enum Carriers {
    Both {
        quic: quic::Endpoint,
        tcp: tcp::Endpoint,
    },
    #[cfg(feature = "simulation")]
    Simulated(tcp::simulated::Endpoint),
}

/// Somebody who wants to connect. Nothing has been spent on them yet.
pub struct Incoming(Attempt);

enum Attempt {
    Quic(Box<quic::Attempt>),
    Tcp(tcp::Attempt),
    #[cfg(feature = "simulation")]
    Simulated(Box<tcp::simulated::Attempt>),
}

impl Listener {
    /// Binds `address`, for UDP and for TCP; port 0 takes any that is free.
    pub fn bind(address: SocketAddr, tls: &ServerTls) -> Result<Self, ConnectError> {
        #[cfg(feature = "simulation")]
        if let Some(network) = super::simulation::Network::here() {
            let endpoint = tcp::simulated::Endpoint::bind(&network, address, tls)?;
            return Ok(Self(Carriers::Simulated(endpoint)));
        }
        let mut tries = if address.port() == 0 { TRIES } else { 1 };
        loop {
            let quic = quic::Endpoint::bind(address, tls)?;
            match tcp::Endpoint::bind(quic.local()?, tls) {
                Ok(tcp) => return Ok(Self(Carriers::Both { quic, tcp })),
                Err(error) => {
                    tries = tries.saturating_sub(1);
                    if tries == 0 {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The address that was bound.
    pub fn local(&self) -> Result<SocketAddr, ConnectError> {
        match &self.0 {
            Carriers::Both { quic, .. } => quic.local(),
            #[cfg(feature = "simulation")]
            Carriers::Simulated(endpoint) => Ok(endpoint.local()),
        }
    }

    /// Waits for the next who wants to connect; `None` once closed. Cancel-safe.
    pub async fn accept(&self) -> Option<Incoming> {
        match &self.0 {
            Carriers::Both { quic, tcp } => tokio::select! {
                attempt = quic.accept() => attempt.map(|attempt| Incoming(Attempt::Quic(Box::new(attempt)))),
                attempt = tcp.accept() => Some(Incoming(Attempt::Tcp(attempt))),
            },
            #[cfg(feature = "simulation")]
            Carriers::Simulated(endpoint) => {
                let attempt = endpoint.accept().await;
                attempt.map(|attempt| Incoming(Attempt::Simulated(Box::new(attempt))))
            }
        }
    }

    /// Closes all connections over QUIC and takes no more; who holds one over TCP closes it.
    pub fn close(&self, reason: CloseReason) {
        match &self.0 {
            Carriers::Both { quic, .. } => quic.close(reason),
            #[cfg(feature = "simulation")]
            Carriers::Simulated(_) => {}
        }
    }

    /// Waits until the other ends have heard that their connections are closed.
    pub async fn drained(&self) {
        match &self.0 {
            Carriers::Both { quic, tcp } => {
                tokio::join!(quic.wait_idle(), tcp.wait_idle());
            }
            #[cfg(feature = "simulation")]
            Carriers::Simulated(_) => {}
        }
    }
}

impl Incoming {
    /// Where they claim to be.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        match &self.0 {
            Attempt::Quic(attempt) => attempt.remote(),
            Attempt::Tcp(attempt) => attempt.remote(),
            #[cfg(feature = "simulation")]
            Attempt::Simulated(attempt) => attempt.remote(),
        }
    }

    /// Whether they have shown that they receive at that address.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        match &self.0 {
            Attempt::Quic(attempt) => attempt.is_validated(),
            Attempt::Tcp(_) => true,
            #[cfg(feature = "simulation")]
            Attempt::Simulated(_) => true,
        }
    }

    /// Has them show that they receive at their address (RFC 9000 §8.1.2), at the price of one round trip.
    pub fn retry(self) {
        if let Attempt::Quic(attempt) = self.0 {
            attempt.retry();
        }
    }

    /// Turns them away.
    pub fn refuse(self) {
        if let Attempt::Quic(attempt) = self.0 {
            attempt.refuse();
        }
    }

    /// Completes the handshake.
    pub async fn establish(self) -> Result<Connection, ConnectionLost> {
        match self.0 {
            Attempt::Quic(attempt) => attempt.establish().await.map(Into::into),
            Attempt::Tcp(attempt) => attempt.establish().await.map(Into::into),
            #[cfg(feature = "simulation")]
            Attempt::Simulated(attempt) => attempt.establish().await.map(Into::into),
        }
    }
}
