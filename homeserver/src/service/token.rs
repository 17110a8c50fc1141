//! Tokens: what a session lives by.
//!
//! The access token is a JWT (RFC 7519, `EdDSA`) bound to the device's key by its thumbprint (RFC 7800, RFC 7638): whoever steals it lacks the
//! key. The refresh token of a generation is made from the session and the generation by a secret of the server (a keyed BLAKE3), so that
//! its successor can be given again until it is used, while the database holds hashes only; and so that a token of an
//! earlier generation is known for what it is, however old.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rookery_protocol::{
    id::{DeviceId, SessionId, UserId},
    key::VerifyingKey,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{identity::Identity, repository::session::TokenHash};

/// How long an access token is good: a stolen laptop that is revoked is cut at once, so this bounds only what many nodes have to agree on.
pub const ACCESS_LIFETIME: Duration = Duration::from_mins(15);

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    sid: String,
    dev: String,
    /// The generation of the refresh token that it came with.
    generation: u64,
    cnf: Confirmation,
    iat: u64,
    exp: u64,
}

/// The key that the token is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Confirmation {
    jkt: String,
}

/// An access token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose.
    pub user: UserId,
    /// Of which device.
    pub device: DeviceId,
    /// Of which session.
    pub session: SessionId,
    /// The generation of the refresh token that it came with.
    pub generation: u64,
    thumbprint: String,
}

/// Why an access token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccess {
    /// It is over.
    #[error("the access token has expired")]
    Expired,
    /// It is not ours, or was changed.
    #[error("the access token is not valid")]
    Invalid,
}

impl Access {
    /// Whether the token is bound to `key`.
    #[must_use]
    pub fn is_bound_to(&self, key: VerifyingKey) -> bool {
        self.thumbprint == thumbprint(key)
    }
}

/// A refresh token, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Of which session.
    pub session: SessionId,
    /// Which in its row.
    pub generation: u64,
    /// What the database knows it by.
    pub hash: TokenHash,
}

/// Makes and reads tokens.
pub struct Mint {
    issuer: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    refresh: Zeroizing<[u8; 32]>,
}

impl Mint {
    /// The mint of a server.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        // RFC 8410 §7: the ASN.1 around an Ed25519 seed in PKCS #8.
        const PKCS8: [u8; 16] =
            [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let der = Zeroizing::new([&PKCS8[..], &identity.online.to_seed()[..]].concat());
        Self {
            issuer: identity.server().to_string(),
            signing: EncodingKey::from_ed_der(&der),
            verifying: DecodingKey::from_ed_der(identity.online.verifying_key().as_bytes()),
            refresh: identity.derived("rookery 2026 refresh tokens of sessions"),
        }
    }

    /// An access token, and when it ends. Fails only if the signer does.
    pub fn access(
        &self,
        who: (UserId, SessionId),
        key: VerifyingKey,
        generation: u64,
        now: Timestamp,
    ) -> Result<(String, Timestamp), jsonwebtoken::errors::Error> {
        let expires = now.plus(ACCESS_LIFETIME);
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: who.0.to_string(),
            sid: who.1.to_string(),
            dev: key.device_id().to_string(),
            generation,
            cnf: Confirmation { jkt: thumbprint(key) },
            iat: now.as_millis() / 1000,
            exp: expires.as_millis() / 1000,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.signing)?;
        Ok((token, expires))
    }

    /// Reads an access token.
    pub fn read_access(&self, token: &str, now: Timestamp) -> Result<Access, BadAccess> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // The end is checked below, by the server's own clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation)
            .map_err(|_| BadAccess::Invalid)?
            .claims;
        if claims.exp <= now.as_millis() / 1000 {
            return Err(BadAccess::Expired);
        }
        Ok(Access {
            user: claims.sub.parse().map_err(|_| BadAccess::Invalid)?,
            device: claims.dev.parse().map_err(|_| BadAccess::Invalid)?,
            session: claims.sid.parse().map_err(|_| BadAccess::Invalid)?,
            generation: claims.generation,
            thumbprint: claims.cnf.jkt,
        })
    }

    /// The refresh token of `session` at `generation`, and its hash.
    #[must_use]
    pub fn refresh(&self, session: SessionId, generation: u64) -> (String, TokenHash) {
        let generation_bytes = generation.to_be_bytes();
        let mac = self.mac(session, generation_bytes);
        let bytes = [&session.as_bytes()[..], &generation_bytes, mac.as_bytes()].concat();
        (URL_SAFE_NO_PAD.encode(&bytes), hash(&bytes))
    }

    /// Takes a refresh token apart, if this server made it.
    #[must_use]
    pub fn read_refresh(&self, token: &str) -> Option<Refresh> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (session, rest) = bytes.split_at_checked(16)?;
        let (generation, mac) = rest.split_at_checked(8)?;
        let session = SessionId::from_slice(session)?;
        let generation: [u8; 8] = generation.try_into().ok()?;
        // blake3 compares hashes in constant time.
        let theirs = blake3::Hash::from_bytes(mac.try_into().ok()?);
        (self.mac(session, generation) == theirs).then(|| Refresh {
            session,
            generation: u64::from_be_bytes(generation),
            hash: hash(&bytes),
        })
    }

    fn mac(&self, session: SessionId, generation: [u8; 8]) -> blake3::Hash {
        blake3::keyed_hash(&self.refresh, &[&session.as_bytes()[..], &generation].concat())
    }
}

fn hash(token: &[u8]) -> TokenHash {
    TokenHash(*blake3::hash(token).as_bytes())
}

/// The thumbprint (RFC 7638) of a device's key as a JWK (RFC 8037).
fn thumbprint(key: VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(rookery_protocol::hash::plain(jwk.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use rookery_protocol::key::SigningKey;

    use super::*;

    fn mint(seed: u8) -> Mint {
        let identity = crate::service::testing::identity(seed);
        Mint::new(&identity)
    }

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        // RFC 8037 A.3.
        let key = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(
            thumbprint(VerifyingKey::from_slice(&key).unwrap()),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn an_access_token_is_good_for_its_server_its_key_and_its_time_only() {
        let key = SigningKey::from_seed(&[1; 32]).verifying_key();
        let who = (UserId::from_bytes([1; 32]), SessionId::from_bytes([2; 16]));
        let now = Timestamp::from_millis(1_790_000_000_000);
        let (token, expires) = mint(1).access(who, key, 3, now).unwrap();
        let access = mint(1).read_access(&token, now).unwrap();
        assert_eq!(
            (access.user, access.session, access.device, access.generation),
            (who.0, who.1, key.device_id(), 3)
        );
        assert!(
            access.is_bound_to(key)
                && !access.is_bound_to(SigningKey::from_seed(&[2; 32]).verifying_key())
        );
        assert_eq!(mint(1).read_access(&token, expires), Err(BadAccess::Expired));
        assert_eq!(mint(2).read_access(&token, now), Err(BadAccess::Invalid));
        for position in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            // The last character of a signature holds bits that base64 leaves out.
            let changed = String::from_utf8(bytes).unwrap();
            assert!(mint(1).read_access(&changed, now).is_err(), "changed at {position}");
        }
    }

    #[test]
    fn a_refresh_token_is_known_for_what_it_is() {
        let session = SessionId::from_bytes([2; 16]);
        let (token, hash) = mint(1).refresh(session, 7);
        assert_eq!(mint(1).read_refresh(&token), Some(Refresh { session, generation: 7, hash }));
        assert_eq!(mint(2).read_refresh(&token), None);
        assert_eq!(mint(1).read_refresh("nonsense"), None);
    }
}
