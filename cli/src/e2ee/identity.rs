//! A device's own keys.
//!
//! Three, each for one thing: Ed25519 to sign, X25519 for handshakes, X-Wing for boxes of the per-user key. The last is long-lived and not
//! a prekey, so that a device that was away for a year still opens the box that waits for it.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed, Octets},
    id::{DeviceId, Digest, UserId},
    key::{AgreementKey, Domain, Signature, SigningKey},
    user::{DeviceKeys, reverse_message},
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Random, cbor::encode_secret, kem::KemSecret, random::secret};

/// A device's long-lived secrets: made once, before the first call to any server.
pub struct DeviceSecrets {
    signing: SigningKey,
    identity: StaticSecret,
    sealing: KemSecret,
}

impl DeviceSecrets {
    /// A new device.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self {
            signing: SigningKey::from_seed(&secret(random)),
            identity: StaticSecret::from(*secret(random)),
            sealing: KemSecret::generate(random),
        }
    }

    /// The device's id: `LH("dev", D_ed)`.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.signing.verifying_key().device_id()
    }

    /// What signs for the device: statements, log-ins, connections, prekeys.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What opens boxes of the per-user key, and nothing else.
    #[must_use]
    pub fn sealing(&self) -> &KemSecret {
        &self.sealing
    }

    /// The identity key of the handshake.
    pub(crate) fn identity(&self) -> &StaticSecret {
        &self.identity
    }

    /// The public half of the identity key.
    pub(crate) fn identity_public(&self) -> AgreementKey {
        AgreementKey::from_bytes(PublicKey::from(&self.identity).to_bytes())
    }

    /// The public halves, with the device's name as [`PukRing::seal_device_name`](super::puk::PukRing::seal_device_name) sealed it.
    #[must_use]
    pub fn public(&self, made_for: MadeFor, sealed_name: Octets<256>) -> DeviceKeys {
        DeviceKeys {
            signing: self.signing.verifying_key(),
            identity: self.identity_public(),
            sealing: self.sealing.public(),
            bot: made_for == MadeFor::Bot,
            sealed_name,
        }
    }

    /// The device's consent to be added with `keys` after `head` (its reverse signature).
    #[must_use]
    pub fn consent(&self, user: UserId, head: Digest, keys: &DeviceKeys) -> Signature {
        self.signing.sign(Domain::REVERSE, &reverse_message(user, head, &codec::encode(keys)))
    }

    /// The secrets as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        encode_secret(&DeviceRecord {
            signing: *self.signing.to_seed(),
            identity: self.identity.to_bytes(),
            sealing: *self.sealing.seed(),
        })
    }

    /// Reads what [`DeviceSecrets::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let record: DeviceRecord = codec::decode(bytes)?;
        Ok(Self {
            signing: SigningKey::from_seed(&record.signing),
            identity: StaticSecret::from(record.identity),
            sealing: KemSecret::from_seed(Zeroizing::new(record.sealing)),
        })
    }
}

impl fmt::Debug for DeviceSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeviceSecrets(secret of {:?})", self.id())
    }
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct DeviceRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    signing: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    identity: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    sealing: [u8; 32],
}

/// Who is behind a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// Somebody who reads and writes.
    Person,
    /// A program.
    Bot,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::SeededRandom;

    #[test]
    fn a_device_is_stored_and_read_back() {
        let device = DeviceSecrets::generate(&mut SeededRandom::new(1));
        let again = DeviceSecrets::from_bytes(&device.to_bytes()).unwrap();
        let name = Octets::default();
        assert_eq!(device.public(MadeFor::Bot, name.clone()), again.public(MadeFor::Bot, name));
        assert_ne!(device.id(), DeviceSecrets::generate(&mut SeededRandom::new(2)).id());
        assert!(DeviceSecrets::from_bytes(&device.to_bytes()[1..]).is_err());
    }

    #[test]
    fn a_device_s_keys_are_three_different_keys_and_print_none() {
        let device = DeviceSecrets::generate(&mut SeededRandom::new(1));
        let (signing, identity) = (*device.signing.to_seed(), device.identity.to_bytes());
        assert!(signing != identity && &identity != device.sealing.seed());
        assert_eq!(format!("{device:?}"), format!("DeviceSecrets(secret of {:?})", device.id()));
    }
}
