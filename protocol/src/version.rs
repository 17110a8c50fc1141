//! What the two sides call the protocol.

/// ALPN (RFC 7301) of connections from devices.
pub const ALPN_DEVICE: &[u8] = b"rookery/1";
/// ALPN of connections from other homeservers.
pub const ALPN_PEER: &[u8] = b"rookery-peer/1";
/// The version of what homeservers say to each other.
pub const PEER_VERSION: u32 = 1;
/// The suite of everything that is sealed or signed here; it stands inside what is signed and is never negotiated.
pub const SUITE: u8 = 1;
/// The TLS exporter's label (RFC 8446 §7.5) for a device's proof.
pub const EXPORTER_DEVICE: &[u8] = b"EXPORTER-rookery-device-v1";
/// The same for the proofs of two homeservers; the role is its context.
pub const EXPORTER_PEER: &[u8] = b"EXPORTER-rookery-peer-v1";
