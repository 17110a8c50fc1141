//! The public halves of prekeys, each signed by its device.

use crate::{
    chain::HeadRef,
    hash::labelled,
    id::{DeviceId, UserId},
    key::{AgreementKey, Domain, Forged, KemKey, Signature, SigningKey, VerifyingKey},
    time::Timestamp,
    wire_struct,
};

wire_struct! {
    /// An X25519 prekey.
    pub struct EcPrekey {
        /// Rises with every key that the device makes.
        #[n(0)] pub id: u32,
        /// The key.
        #[n(1)] pub public: AgreementKey,
        /// Until when its owner keeps the private half.
        #[n(2)] pub expires: Timestamp,
        /// By the device.
        #[n(3)] pub signature: Signature,
    }
}

wire_struct! {
    /// An X-Wing prekey.
    pub struct KemPrekey {
        /// Rises with every key that the device makes.
        #[n(0)] pub id: u32,
        /// The key.
        #[n(1)] pub public: KemKey,
        /// Until when its owner keeps the private half.
        #[n(2)] pub expires: Timestamp,
        /// By the device.
        #[n(3)] pub signature: Signature,
    }
}

/// What a device signs of a prekey: whose it is, its number, its end and the key. Domains tell the four kinds apart.
fn signed_part(device: DeviceId, id: u32, expires: Timestamp, public: &[u8]) -> Vec<u8> {
    let (id, expires) = (id.to_be_bytes(), expires.as_millis().to_be_bytes());
    labelled("prekey", &[device.as_bytes(), &id, &expires, public]).as_bytes().to_vec()
}

impl EcPrekey {
    /// Signs a key in `domain`: [`Domain::PREKEY_EC`] or [`Domain::ONE_TIME_EC`].
    #[must_use]
    pub fn sign(
        device: &SigningKey,
        domain: Domain,
        id: u32,
        public: AgreementKey,
        expires: Timestamp,
    ) -> Self {
        let message =
            signed_part(device.verifying_key().device_id(), id, expires, public.as_bytes());
        Self { id, public, expires, signature: device.sign(domain, &message) }
    }

    /// Checks that the device of `key` signed this in `domain`.
    pub fn verify(&self, key: VerifyingKey, domain: Domain) -> Result<(), Forged> {
        let message = signed_part(key.device_id(), self.id, self.expires, self.public.as_bytes());
        key.verify(domain, &message, &self.signature)
    }
}

impl KemPrekey {
    /// Signs a key in `domain`: [`Domain::PREKEY_PQ`] or [`Domain::ONE_TIME_PQ`].
    #[must_use]
    pub fn sign(
        device: &SigningKey,
        domain: Domain,
        id: u32,
        public: KemKey,
        expires: Timestamp,
    ) -> Self {
        let message =
            signed_part(device.verifying_key().device_id(), id, expires, public.as_bytes());
        Self { id, public, expires, signature: device.sign(domain, &message) }
    }

    /// Checks that the device of `key` signed this in `domain`.
    pub fn verify(&self, key: VerifyingKey, domain: Domain) -> Result<(), Forged> {
        let message = signed_part(key.device_id(), self.id, self.expires, self.public.as_bytes());
        key.verify(domain, &message, &self.signature)
    }
}

wire_struct! {
    /// What a device publishes: the signed prekeys in force, and new one-time keys.
    pub struct PrekeyUpload {
        /// The signed X25519 prekey, if it is new.
        #[n(0)] pub signed: Option<EcPrekey>,
        /// The signed X-Wing prekey, if it is new.
        #[n(1)] pub signed_kem: Option<KemPrekey>,
        /// New one-time X25519 keys; at most 100.
        #[n(2)] pub one_time: Vec<EcPrekey>,
        /// New one-time X-Wing keys; at most 20.
        #[n(3)] pub one_time_kem: Vec<KemPrekey>,
    }
}

wire_struct! {
    /// What somebody needs to begin a session with one device.
    pub struct Bundle {
        /// The suite: 1.
        #[n(0)] pub suite: u8,
        /// Whose device.
        #[n(1)] pub user: UserId,
        /// Which.
        #[n(2)] pub device: DeviceId,
        /// The head of the user's chain, as the home has it.
        #[n(3)] pub chain_head: HeadRef,
        /// The signed X25519 prekey.
        #[n(4)] pub signed: EcPrekey,
        /// The signed X-Wing prekey.
        #[n(5)] pub signed_kem: KemPrekey,
        /// A one-time X25519 key, while there are any and the asker may have one.
        #[n(6)] pub one_time: Option<EcPrekey>,
        /// A one-time X-Wing key, likewise.
        #[n(7)] pub one_time_kem: Option<KemPrekey>,
    }
}

impl Bundle {
    /// Checks every signature in the bundle against the device's key, which the caller has from the verified chain.
    pub fn verify(&self, key: VerifyingKey) -> Result<(), Forged> {
        if self.suite != crate::version::SUITE || key.device_id() != self.device {
            return Err(Forged);
        }
        self.signed.verify(key, Domain::PREKEY_EC)?;
        self.signed_kem.verify(key, Domain::PREKEY_PQ)?;
        self.one_time.as_ref().map_or(Ok(()), |prekey| prekey.verify(key, Domain::ONE_TIME_EC))?;
        self.one_time_kem.as_ref().map_or(Ok(()), |prekey| prekey.verify(key, Domain::ONE_TIME_PQ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_prekey_cannot_pass_as_a_one_time_key() {
        let key = SigningKey::from_seed(&[1; 32]);
        let prekey = EcPrekey::sign(
            &key,
            Domain::PREKEY_EC,
            1,
            AgreementKey::from_bytes([2; 32]),
            Timestamp::from_millis(3),
        );
        assert!(prekey.verify(key.verifying_key(), Domain::PREKEY_EC).is_ok());
        assert!(prekey.verify(key.verifying_key(), Domain::ONE_TIME_EC).is_err());
        let moved = EcPrekey { id: 2, ..prekey };
        assert!(moved.verify(key.verifying_key(), Domain::PREKEY_EC).is_err());
    }
}
