//! What a user's devices keep for one another: sealed under the per-user key, bound to its place.
//!
//! The journal is a chain that the home stores and cannot read. Each item's body is `{generation, sealed}`; the associated data is the
//! chain, the item's id, the author's device and the generation, so that no body stands in for another. Plaintexts are padded by PADMÉ.

use std::fmt;

use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, MAX_BODY, Octets},
    hash::labelled,
    id::{ChainId, DeviceId, ItemId, UserId},
    time::Timestamp,
    user::State,
};
use zeroize::Zeroizing;

use super::{
    Random,
    aead::{Key, Unopenable},
    identity::DeviceSecrets,
    padding::{FLOOR, pad, unpad},
    puk::PukRing,
};

/// Why an entry of the journal was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Not signed by a device of this user, or not an item of the journal.
    #[error("the journal's entry is not by a device of this account")]
    NotOurs,
    /// Sealed under a generation of the per-user key that is not here yet: fetch the chain and the boxes, and try again.
    #[error("the journal's entry needs generation {generation} of the per-user key")]
    UnknownGeneration {
        /// Which.
        generation: u32,
    },
    /// It does not open.
    #[error(transparent)]
    Unopenable(#[from] Unopenable),
}

/// An entry of the journal that was opened.
#[derive(Debug)]
pub struct JournalItem {
    /// Who wrote it.
    pub author: DeviceId,
    /// Its id.
    pub item: ItemId,
    /// When, by the author's clock.
    pub at: Timestamp,
    /// What was sealed: a [`Record`](super::payload::Record).
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// Seals `plaintext` as the body of item `item` of `chain`, which `author` will sign.
#[must_use]
pub fn seal_journal(ring: &PukRing, chain: ChainId, item: ItemId, author: DeviceId, plaintext: &[u8], random: &mut dyn Random) -> Vec<u8> {
    unimplemented!()
}

/// Opens what [`seal_journal`] sealed.
pub fn open_journal(ring: &PukRing, chain: ChainId, item: ItemId, author: DeviceId, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, JournalError> {
    unimplemented!()
}

/// Seals and signs one item of `user`'s journal, for `journal/append/1`.
pub fn write_journal(ring: &PukRing, user: UserId, device: &DeviceSecrets, item: ItemId, plaintext: &[u8], seen: Option<Seen>, now: Timestamp, random: &mut dyn Random) -> Result<Submission, codec::Malformed> {
    unimplemented!()
}

/// Checks that `entry`, whose place the caller has checked ([`Entry::verify_after`]), is by a device that `state`'s user has or had, and opens it.
pub fn read_journal(ring: &PukRing, state: &State, entry: &Entry) -> Result<JournalItem, JournalError> {
    unimplemented!()
}

impl PukRing {
    /// Seals a device's name for the user's other devices. Contacts read the chain and hold the profile key, so it is the per-user key
    /// that seals this. Names longer than 100 bytes are cut.
    #[must_use]
    pub fn seal_device_name(&self, device: DeviceId, name: &str, random: &mut dyn Random) -> Octets<256> {
        unimplemented!()
    }

    /// Opens what [`PukRing::seal_device_name`] sealed.
    pub fn open_device_name(&self, device: DeviceId, sealed: &Octets<256>) -> Result<String, JournalError> {
        unimplemented!()
    }
}

/// What of a user's profile is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfilePart {
    /// Display name, names, picture, locale, time zone.
    Profile,
    /// The status text.
    Status,
}

/// The key under which a user's profile is sealed. Contacts get it in envelopes; it is kept in the journal.
pub struct ProfileKey(Zeroizing<[u8; 32]>);

impl ProfileKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        unimplemented!()
    }

    /// The key that a contact sent.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be sent sealed or kept sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `part` of `user`'s profile.
    #[must_use]
    pub fn seal(&self, user: UserId, part: ProfilePart, plaintext: &[u8], random: &mut dyn Random) -> Vec<u8> {
        unimplemented!()
    }

    /// Opens `part` of `user`'s profile.
    pub fn open(&self, user: UserId, part: ProfilePart, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        unimplemented!()
    }
}

impl fmt::Debug for ProfileKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProfileKey(secret)")
    }
}
