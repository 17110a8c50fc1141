//! Shells over the pure parts: bytes over QUIC, TLS, and the two ends of a call.
//!
//! What is above this module speaks of [`Connection`], [`SendStream`] and [`RecvStream`]; that there is QUIC (RFC 9000) beneath, and quinn,
//! is known to `quic.rs` alone, so that another carrier of the same streams can take its place.

pub mod client;
pub mod frame;
mod quic;
pub mod server;
pub mod tls;

pub use quic::{CloseReason, ConnectError, Connection, ConnectionLost, RecvStream, SendStream};
