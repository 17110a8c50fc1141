//! Shells over the pure parts: bytes over the network, TLS, and the two ends of a call.
//!
//! What is above this module speaks of [`Connection`], [`SendStream`] and [`RecvStream`]. There are two carriers beneath: QUIC (RFC 9000), and
//! where no UDP comes through, the same streams over TLS on TCP. Which crates they are made of is known to `quic.rs` and `tcp.rs` alone.

mod carrier;
pub mod client;
mod dial;
pub mod frame;
pub mod https;
mod quic;
mod reason;
pub mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
mod tcp;
pub mod tls;

pub use carrier::{Connection, RecvStream, SendStream};
pub use reason::{CloseReason, ConnectError, ConnectionLost};

/// A random number for jitter. Without randomness nothing is spread, and nothing else is lost.
#[must_use]
pub fn draw() -> u32 {
    #[cfg(feature = "simulation")]
    if let Some(network) = simulation::Network::here() {
        let [.., a, b, c, d] = network.draw().to_be_bytes();
        return u32::from_be_bytes([a, b, c, d]);
    }
    let mut bytes = [0xff; 4];
    getrandom::fill(&mut bytes).ok();
    u32::from_le_bytes(bytes)
}
