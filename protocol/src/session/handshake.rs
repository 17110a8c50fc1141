//! Who is at the other end of a connection.
//!
//! The server proves itself by its certificate. A device proves itself by signing the TLS exporter (RFC 8446 §7.5) of this very connection
//! with its device key, together with the access token: a stolen token is worthless without the key, and a proof is worthless elsewhere.

use crate::{
    hash::labelled,
    id::{DeviceId, ServerId, SessionId, UserId},
    key::{Domain, Forged, Signature, SigningKey, VerifyingKey},
    time::Timestamp,
};

/// How far a log-in's time may be from the server's clock.
pub const LOGIN_TOLERANCE: std::time::Duration = std::time::Duration::from_mins(10);

/// Who has proven what on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody has proven anything.
    Anonymous,
    /// The password was right, but the device is not in the user's chain.
    Uncertified(Authenticated),
    /// A live device of the user.
    Device(Authenticated),
    /// Another homeserver, by its root.
    Peer(ServerId),
    /// Whoever may open the administrator's socket.
    Administrator,
}

/// A device's session at its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authenticated {
    /// Whose.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// Which log-in.
    pub session: SessionId,
}

/// Signs the connection whose exporter is `exporter`, for `token`.
#[must_use]
pub fn prove_connection(device: &SigningKey, exporter: &[u8; 32], token: &str) -> Signature {
    device
        .sign(Domain::CONNECTION, labelled("connection", &[exporter, token.as_bytes()]).as_bytes())
}

/// Checks a proof made by [`prove_connection`].
pub fn check_connection(
    key: VerifyingKey,
    exporter: &[u8; 32],
    token: &str,
    proof: &Signature,
) -> Result<(), Forged> {
    key.verify(
        Domain::CONNECTION,
        labelled("connection", &[exporter, token.as_bytes()]).as_bytes(),
        proof,
    )
}

/// Signs the wish to log in, or to refresh with `secret` (the name, or the old token), on this connection.
#[must_use]
pub fn prove_login(
    device: &SigningKey,
    exporter: &[u8; 32],
    secret: &str,
    at: Timestamp,
) -> Signature {
    device.sign(Domain::LOGIN, &login_message(exporter, secret, at))
}

/// Checks a proof made by [`prove_login`].
pub fn check_login(
    key: VerifyingKey,
    exporter: &[u8; 32],
    secret: &str,
    at: Timestamp,
    proof: &Signature,
) -> Result<(), Forged> {
    key.verify(Domain::LOGIN, &login_message(exporter, secret, at), proof)
}

fn login_message(exporter: &[u8; 32], secret: &str, at: Timestamp) -> Vec<u8> {
    labelled("login", &[exporter, secret.as_bytes(), &at.as_millis().to_be_bytes()])
        .as_bytes()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_on_its_own_connection_and_for_its_own_token_only() {
        let key = SigningKey::from_seed(&[1; 32]);
        let proof = prove_connection(&key, &[2; 32], "token");
        assert!(check_connection(key.verifying_key(), &[2; 32], "token", &proof).is_ok());
        assert!(check_connection(key.verifying_key(), &[3; 32], "token", &proof).is_err());
        assert!(check_connection(key.verifying_key(), &[2; 32], "other", &proof).is_err());
    }
}
