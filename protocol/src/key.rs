//! Public keys as they travel, and signatures under a domain.
//!
//! Every signature is Ed25519 over `"rookery/1/sig/" ‖ tag ‖ 0 ‖ message`, checked with `verify_strict`: one key signs many kinds of
//! things, and the tag keeps a signature over one kind from standing for another. A model without tags loses authentication.

use std::fmt;

use ed25519_dalek::Signer as _;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::{
    codec::Octets,
    hash::labelled,
    id::{DeviceId, ServerId},
    schema::leaf,
};

/// A signature that does not hold: other bytes, another key, another kind of thing, or no point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct Forged;

/// What a signature is about. The names are the tags of the specification; none is ever used for a second thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(&'static str);

/// All domains there are.
impl Domain {
    /// An item of a chain, by its author.
    pub const ITEM: Self = Self("item");
    /// A statement that another live device or the recovery key also signs.
    pub const COSIGN: Self = Self("cosign");
    /// A new device's consent to be added, and a new recovery key's to replace the old.
    pub const REVERSE: Self = Self("dev/rev");
    /// Heads of a chain, by their owner.
    pub const HEAD: Self = Self("head");
    /// A device's proof that it is at the other end of this TLS connection.
    pub const CONNECTION: Self = Self("connection");
    /// A device key's consent to a log-in or a refresh.
    pub const LOGIN: Self = Self("login");
    /// A server's root key over its online key.
    pub const SERVER: Self = Self("server");
    /// Signed X25519 prekey.
    pub const PREKEY_EC: Self = Self("pk/spk");
    /// Signed X-Wing prekey.
    pub const PREKEY_PQ: Self = Self("pk/pqspk");
    /// One-time X25519 prekey.
    pub const ONE_TIME_EC: Self = Self("pk/opk");
    /// One-time X-Wing prekey.
    pub const ONE_TIME_PQ: Self = Self("pk/pqopk");
    /// The holder of an invitation's link, for the user who comes by it.
    pub const INVITE: Self = Self("invite");
    /// A homeserver's proof that it is at the other end of this TLS connection.
    pub const PEER: Self = Self("peer");
    /// A device's word that it starts a session anew.
    pub const RESYNC: Self = Self("resync");

    fn message(self, message: &[u8]) -> Vec<u8> {
        [b"rookery/1/sig/", self.0.as_bytes(), &[0], message].concat()
    }
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// Takes 32 bytes that claim to be a key; [`VerifyingKey::verify`] finds out.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of a row, if they are 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that this key signed `message` in `domain`.
    pub fn verify(
        &self,
        domain: Domain,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), Forged> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| Forged)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&domain.message(message), &signature).map_err(|_| Forged)
    }

    /// The id of the device whose key this is.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        DeviceId::from_bytes(*labelled("dev", &[&self.0]).as_bytes())
    }

    /// The id of the server whose root key this is.
    #[must_use]
    pub fn server_id(&self) -> ServerId {
        ServerId::from_bytes(*labelled("server", &[&self.0]).as_bytes())
    }
}

/// An Ed25519 secret key. It is erased when dropped, and neither cloned, compared nor printed.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key whose 32 secret bytes are `seed`.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 secret bytes, to be kept sealed.
    #[must_use]
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` in `domain`.
    #[must_use]
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        Signature(self.0.sign(&domain.message(message)).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey(secret of {:?})", self.verifying_key())
    }
}

/// An Ed25519 signature: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes 64 bytes that claim to be a signature.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

/// An X25519 public key: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgreementKey([u8; 32]);

impl AgreementKey {
    /// Takes 32 bytes; a key that contributes nothing is found out when it is used.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// How many bytes an X-Wing public key has: ML-KEM-768 and X25519.
pub const KEM_KEY_BYTES: usize = 1216;

/// An X-Wing (X25519 with ML-KEM-768) public key: 1,216 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KemKey(Box<[u8; KEM_KEY_BYTES]>);

impl KemKey {
    /// Takes bytes that claim to be a key, if they are 1,216.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Box::<[u8; KEM_KEY_BYTES]>::try_from(bytes.to_vec().into_boxed_slice()).ok().map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEM_KEY_BYTES] {
        &self.0
    }
}

/// Gives a fixed-length key its codec, its schema and a short text for logs.
macro_rules! key_codec {
    ($($name:ident, $length:expr, $sample:literal, $from:expr;)*) => { $(
        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = decoder.bytes()?;
                let made: Option<Self> = $from(bytes);
                made.ok_or_else(|| minicbor::decode::Error::message("a key or signature of another length"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = crate::id::to_base32(self.as_bytes());
                write!(formatter, "{}({})", stringify!($name), text.get(..10).unwrap_or(&text))
            }
        }

        leaf! { $name => format!("bstr .size {}", $length), {
            let made: Option<Self> = $from(&[$sample; $length][..]);
            made.expect("a sample of the right length")
        }; }
    )* };
}

key_codec! {
    VerifyingKey, 32, 0x1d, |bytes: &[u8]| bytes.try_into().ok().map(VerifyingKey);
    Signature, 64, 0x51, |bytes: &[u8]| bytes.try_into().ok().map(Signature);
    AgreementKey, 32, 0xa9, |bytes: &[u8]| bytes.try_into().ok().map(AgreementKey);
    KemKey, KEM_KEY_BYTES, 0x8e, KemKey::from_slice;
}

/// A sealed letter to the holder of one X-Wing key: HPKE (RFC 9180) in base mode, encapsulation and ciphertext.
pub type HpkeBox = Octets<2048>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_its_bytes_and_its_domain_only() {
        let key = SigningKey::from_seed(&[7; 32]);
        let other = SigningKey::from_seed(&[8; 32]);
        let signature = key.sign(Domain::ITEM, b"words");
        assert_eq!(key.verifying_key().verify(Domain::ITEM, b"words", &signature), Ok(()));
        assert_eq!(key.verifying_key().verify(Domain::HEAD, b"words", &signature), Err(Forged));
        assert_eq!(key.verifying_key().verify(Domain::ITEM, b"wordz", &signature), Err(Forged));
        assert_eq!(other.verifying_key().verify(Domain::ITEM, b"words", &signature), Err(Forged));
        for bit in 0..512 {
            let mut bytes = *signature.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                key.verifying_key().verify(Domain::ITEM, b"words", &Signature::from_bytes(bytes)),
                Err(Forged)
            );
        }
    }

    #[test]
    fn a_small_order_key_signs_nothing() {
        // The identity point: a lenient verifier accepts R = identity, s = 0 for every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let key = VerifyingKey::from_bytes(identity);
        assert_eq!(
            key.verify(Domain::ITEM, b"anything", &Signature::from_bytes(signature)),
            Err(Forged)
        );
    }

    #[test]
    fn a_secret_key_prints_no_secret() {
        let key = SigningKey::from_seed(&[0x41; 32]);
        assert!(!format!("{key:?}").contains(&crate::id::to_base32(&[0x41; 32])[..8]));
    }
}
