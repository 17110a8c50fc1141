//! What a user's devices keep for one another: sealed under the per-user key, bound to its place.
//!
//! The journal is a chain that the home stores and cannot read. Each item's body is `{generation, sealed}`; the associated data is the
//! chain, the item's id, the author's device and the generation, so that no body stands in for another. Plaintexts are padded by PADMÉ.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, Octets},
    hash::{self, labelled},
    id::{ChainId, DeviceId, ItemId, UserId},
    time::Timestamp,
    user::State,
};
use zeroize::Zeroizing;

use super::{
    Random,
    aead::{Key, Unopenable},
    identity::DeviceSecrets,
    kdf::derive,
    padding::{FLOOR, pad, unpad},
    puk::PukRing,
    random::secret,
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

/// A body of the journal.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    generation: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

/// Where a body stands: all of it is bound into the seal.
#[derive(Clone, Copy, Debug)]
pub struct JournalPlace {
    /// The journal.
    pub chain: ChainId,
    /// The item.
    pub item: ItemId,
    /// The device that signs it.
    pub author: DeviceId,
}

impl JournalPlace {
    fn context(&self, generation: u32) -> Vec<u8> {
        let parts: [&[u8]; 4] = [
            self.chain.as_bytes(),
            self.item.as_bytes(),
            self.author.as_bytes(),
            &generation.to_be_bytes(),
        ];
        labelled("journal", &parts).as_bytes().to_vec()
    }
}

/// Seals `plaintext` as the body that stands at `place`.
#[must_use]
pub fn seal_journal(
    ring: &PukRing,
    place: JournalPlace,
    plaintext: &[u8],
    random: &mut dyn Random,
) -> Vec<u8> {
    let (generation, key) = ring.state_key("journal");
    let sealed = key.seal(&place.context(generation), &pad(plaintext, FLOOR), random);
    codec::encode(&Body { generation, sealed })
}

/// Opens what [`seal_journal`] sealed for the same place.
pub fn open_journal(
    ring: &PukRing,
    place: JournalPlace,
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, JournalError> {
    let Body { generation, sealed } = codec::decode(body).map_err(|_| Unopenable)?;
    let key = ring
        .state_key_of(generation, "journal")
        .ok_or(JournalError::UnknownGeneration { generation })?;
    let padded = key.open(&place.context(generation), &sealed)?;
    Ok(Zeroizing::new(unpad(&padded, FLOOR)?.to_vec()))
}

/// Who writes to a journal.
#[derive(Clone, Copy, Debug)]
pub struct JournalWriter<'a> {
    /// Whose journal.
    pub user: UserId,
    /// The per-user key.
    pub ring: &'a PukRing,
    /// The device that writes.
    pub device: &'a DeviceSecrets,
}

impl JournalWriter<'_> {
    /// Seals and signs one item, for `journal/append/1`. `seen` is the last entry of the journal that this device has.
    pub fn write(
        &self,
        item: ItemId,
        plaintext: &[u8],
        seen: Option<Seen>,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Submission, codec::Malformed> {
        let chain = ChainId::of_journal(self.user);
        let place = JournalPlace { chain, item, author: self.device.id() };
        let body = seal_journal(self.ring, place, plaintext, random);
        Submission::sign(self.device.signing(), chain, item, Kind::Journal, body, now, seen)
    }
}

/// Opens an entry whose place in the journal the caller has checked ([`Entry::verify_after`]), if it is by a device that the user of
/// `state` has or had. The caller decides what a device that was revoked meanwhile may still have said.
pub fn read_journal(
    ring: &PukRing,
    state: &State,
    entry: &Entry,
) -> Result<JournalItem, JournalError> {
    let item = entry.signed.verify().map_err(|_| JournalError::NotOurs)?;
    let author = entry.signed.author().ok_or(JournalError::NotOurs)?.device_id();
    let chain = ChainId::of_journal(state.user);
    let ours = entry.chain == chain && item.chain == chain && item.kind == Kind::Journal;
    if !ours || !state.devices.contains_key(&author) {
        return Err(JournalError::NotOurs);
    }
    let body = entry
        .body
        .as_ref()
        .filter(|body| hash::plain(body.as_slice()) == item.body_hash)
        .ok_or(Unopenable)?;
    let place = JournalPlace { chain, item: item.item_id, author };
    let plaintext = open_journal(ring, place, body.as_slice())?;
    Ok(JournalItem { author, item: item.item_id, at: item.at, plaintext })
}

/// How long a device's name may be, in bytes of UTF-8.
pub const DEVICE_NAME_BYTES: usize = 100;
/// What a device's name is padded to, so that all are as long.
const PADDED_NAME: usize = 128;

impl PukRing {
    /// Seals a device's name for the user's other devices. Contacts read the chain and hold the profile key, so it is the per-user key
    /// that seals this. What is longer than [`DEVICE_NAME_BYTES`] is cut.
    #[must_use]
    pub fn seal_device_name(
        &self,
        device: DeviceId,
        name: &str,
        random: &mut dyn Random,
    ) -> Octets<256> {
        let (generation, key) = self.state_key("device-name");
        let name = name.get(..name.floor_char_boundary(DEVICE_NAME_BYTES)).unwrap_or_default();
        let sealed =
            key.seal(&name_context(device, generation), &pad(name.as_bytes(), PADDED_NAME), random);
        Octets::parse(codec::encode(&Body { generation, sealed })).unwrap_or_default()
    }

    /// Opens what [`PukRing::seal_device_name`] sealed.
    pub fn open_device_name(
        &self,
        device: DeviceId,
        sealed: &Octets<256>,
    ) -> Result<String, JournalError> {
        let Body { generation, sealed } =
            codec::decode(sealed.as_slice()).map_err(|_| Unopenable)?;
        let key = self
            .state_key_of(generation, "device-name")
            .ok_or(JournalError::UnknownGeneration { generation })?;
        let padded = key.open(&name_context(device, generation), &sealed)?;
        Ok(String::from_utf8(unpad(&padded, PADDED_NAME)?.to_vec()).map_err(|_| Unopenable)?)
    }
}

fn name_context(device: DeviceId, generation: u32) -> Vec<u8> {
    labelled("device-name", &[device.as_bytes(), &generation.to_be_bytes()]).as_bytes().to_vec()
}

/// What of a user's profile is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfilePart {
    /// Display name, names, picture, locale, time zone.
    Profile,
    /// The status text.
    Status,
}

impl ProfilePart {
    fn label(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Status => "status",
        }
    }

    /// A status text has at most 1,024 bytes on the wire; a profile is no shorter than any other small thing.
    fn floor(self) -> usize {
        match self {
            Self::Profile => FLOOR,
            Self::Status => 64,
        }
    }
}

/// The key under which a user's profile is sealed. Contacts get it in envelopes; it is kept in the journal.
pub struct ProfileKey(Zeroizing<[u8; 32]>);

impl ProfileKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(secret(random))
    }

    /// The key that a contact sent, or that is in the journal.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to be sent sealed or kept sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `part` of `user`'s profile, padded.
    #[must_use]
    pub fn seal(
        &self,
        user: UserId,
        part: ProfilePart,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Vec<u8> {
        self.part_key(part).seal(user.as_bytes(), &pad(plaintext, part.floor()), random)
    }

    /// Opens `part` of `user`'s profile.
    pub fn open(
        &self,
        user: UserId,
        part: ProfilePart,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        let padded = self.part_key(part).open(user.as_bytes(), sealed)?;
        Ok(Zeroizing::new(unpad(&padded, part.floor())?.to_vec()))
    }

    fn part_key(&self, part: ProfilePart) -> Key {
        Key::new(derive(self.0.as_ref(), part.label(), &[]))
    }
}

impl fmt::Debug for ProfileKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProfileKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::SeededRandom;

    fn place() -> JournalPlace {
        JournalPlace {
            chain: ChainId::from_bytes([1; 32]),
            item: ItemId::from_bytes([2; 16]),
            author: DeviceId::from_bytes([3; 32]),
        }
    }

    #[test]
    fn a_body_opens_at_its_own_place_only() {
        let mut random = SeededRandom::new(1);
        let ring = PukRing::generate(&mut random);
        let body = seal_journal(&ring, place(), b"words", &mut random);
        assert_eq!(open_journal(&ring, place(), &body).unwrap().as_slice(), b"words");
        let others = [
            JournalPlace { chain: ChainId::from_bytes([9; 32]), ..place() },
            JournalPlace { item: ItemId::from_bytes([9; 16]), ..place() },
            JournalPlace { author: DeviceId::from_bytes([9; 32]), ..place() },
        ];
        for other in others {
            assert_eq!(
                open_journal(&ring, other, &body),
                Err(JournalError::Unopenable(Unopenable))
            );
        }
        let other = PukRing::generate(&mut random);
        assert_eq!(open_journal(&other, place(), &body), Err(JournalError::Unopenable(Unopenable)));
    }

    #[test]
    fn every_changed_bit_is_refused_and_short_texts_are_as_long() {
        let mut random = SeededRandom::new(2);
        let ring = PukRing::generate(&mut random);
        let body = seal_journal(&ring, place(), b"words", &mut random);
        assert_eq!(body.len(), seal_journal(&ring, place(), &[7; 200], &mut random).len());
        for bit in 0..body.len() * 8 {
            let mut changed = body.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open_journal(&ring, place(), &changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_generation_than_the_ring_has_is_said_to_be_missing() {
        let mut random = SeededRandom::new(3);
        let old = PukRing::generate(&mut random);
        let mut ring = PukRing::from_bytes(&old.to_bytes()).unwrap();
        ring.advance(&mut random);
        let body = seal_journal(&ring, place(), b"words", &mut random);
        assert_eq!(
            open_journal(&old, place(), &body),
            Err(JournalError::UnknownGeneration { generation: 2 })
        );
        let before = seal_journal(&old, place(), b"words", &mut random);
        assert!(open_journal(&ring, place(), &before).is_ok());
    }

    #[test]
    fn a_device_s_name_is_for_its_device_and_never_too_long() {
        let mut random = SeededRandom::new(4);
        let ring = PukRing::generate(&mut random);
        let (one, other) = (DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
        let sealed = ring.seal_device_name(one, &"é".repeat(80), &mut random);
        assert_eq!(ring.open_device_name(one, &sealed).unwrap(), "é".repeat(50));
        assert!(ring.open_device_name(other, &sealed).is_err());
        assert_eq!(sealed.len(), ring.seal_device_name(one, "", &mut random).len());
    }

    #[test]
    fn a_profile_and_a_status_do_not_stand_for_each_other_or_for_another_user_s() {
        let mut random = SeededRandom::new(5);
        let key = ProfileKey::generate(&mut random);
        let (one, other) = (UserId::from_bytes([1; 32]), UserId::from_bytes([2; 32]));
        let sealed = key.seal(one, ProfilePart::Status, b"away", &mut random);
        assert_eq!(key.open(one, ProfilePart::Status, &sealed).unwrap().as_slice(), b"away");
        assert_eq!(key.open(one, ProfilePart::Profile, &sealed), Err(Unopenable));
        assert_eq!(key.open(other, ProfilePart::Status, &sealed), Err(Unopenable));
    }
}
