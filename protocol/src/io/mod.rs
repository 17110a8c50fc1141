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
mod tcp;
pub mod tls;

pub use carrier::{Connection, RecvStream, SendStream};
pub use reason::{CloseReason, ConnectError, ConnectionLost};
