//! What the two sides call the protocol.

/// ALPN (RFC 7301) of connections from devices.
pub const ALPN_DEVICE: &[u8] = b"rookery/1";
/// The suite of everything that is sealed or signed here; it stands inside what is signed and is never negotiated.
pub const SUITE: u8 = 1;
/// The TLS exporter's label (RFC 8446 §7.5) for a device's proof.
pub const EXPORTER_DEVICE: &[u8] = b"EXPORTER-rookery-device-v1";
