//! A device's prekeys: what others begin sessions with while it is away.
//!
//! The signed pair is renewed every seven days by the local clock alone: a key that turned when the *server* said that it had been used
//! would let the server, or anybody who asks it, take keys away (matrix-rust-sdk#3127). Private halves stay as long as a first envelope
//! may be on its way. A one-time key's private half goes with the first envelope that opened with it, and never with one that did not.

use std::{collections::BTreeSet, fmt, time::Duration};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed},
    key::{AgreementKey, Domain},
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    request::prekey::PrekeyCount,
    time::Timestamp,
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Random, cbor::encode_secret, identity::DeviceSecrets, kem::KemSecret, random::secret};

/// How often the signed prekeys are renewed.
pub const RENEWAL: Duration = Duration::from_hours(7 * 24);
/// How long a signed prekey's private half is kept once another has taken its place.
pub const RETENTION: Duration = Duration::from_hours(35 * 24);
/// How long a one-time key's private half is kept at most.
pub const ONE_TIME_RETENTION: Duration = Duration::from_hours(90 * 24);
/// How many one-time X25519 and X-Wing keys are published.
pub const PUBLISHED: (u32, u32) = (50, 10);
/// Below how many of either there are made more.
pub const REFILL_BELOW: (u32, u32) = (20, 4);
/// How many private halves of one-time keys are kept at most, the newest.
pub const ONE_TIME_CAP: usize = 500;

/// A private half, and what is to be known of it.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct Prekey {
    #[n(0)]
    id: u32,
    #[n(1)]
    #[zeroize(skip)]
    created: Timestamp,
    /// When another took its place.
    #[n(2)]
    #[zeroize(skip)]
    replaced: Option<Timestamp>,
    /// Whether the server has it.
    #[n(3)]
    confirmed: bool,
    #[cbor(n(4), with = "minicbor::bytes")]
    secret: [u8; 32],
}

/// A device's prekeys with their private halves.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct PrekeyStore {
    /// The number of the next key of any kind; no number is given twice.
    #[n(0)]
    next: u32,
    /// Signed X25519 keys, the one in force last.
    #[n(1)]
    signed: Vec<Prekey>,
    /// Signed X-Wing keys, likewise.
    #[n(2)]
    signed_kem: Vec<Prekey>,
    /// One-time X25519 keys, oldest first.
    #[n(3)]
    one_time: Vec<Prekey>,
    /// One-time X-Wing keys, likewise.
    #[n(4)]
    one_time_kem: Vec<Prekey>,
}

/// One-time keys that a first envelope used up. Hand it to [`PrekeyStore::spend`] in the transaction that stores what was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a one-time key that is not erased opens what it sealed for ever"]
pub struct SpentPrekeys {
    pub(crate) one_time: Option<u32>,
    pub(crate) one_time_kem: Option<u32>,
}

impl PrekeyStore {
    /// No prekeys at all; [`PrekeyStore::maintain`] makes the first.
    #[must_use]
    pub fn new() -> Self {
        Self { next: 1, signed: vec![], signed_kem: vec![], one_time: vec![], one_time_kem: vec![] }
    }

    /// Renews, refills and erases what is due. `left` is what the server says that it still has (nothing is refilled when absent, but for
    /// the very first keys). Says whether anything changed: then store the keys, and send [`PrekeyStore::upload`] afterwards.
    ///
    /// The caller delays the refill by a random time after connecting, so that it does not tell who came online (Prekey Pogo, 2025).
    pub fn maintain(
        &mut self,
        left: Option<PrekeyCount>,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> bool {
        let first = self.next == 1;
        let mut changed = self.renew(now, random) | self.erase(now);
        let left = left.or(first.then_some(PrekeyCount { one_time: 0, one_time_kem: 0 }));
        if let Some(left) = left {
            let missing_ec = missing(&self.one_time, left.one_time, (REFILL_BELOW.0, PUBLISHED.0));
            let missing_kem =
                missing(&self.one_time_kem, left.one_time_kem, (REFILL_BELOW.1, PUBLISHED.1));
            for _ in 0..missing_ec {
                let key = self.draw(now, random);
                self.one_time.push(key);
            }
            for _ in 0..missing_kem {
                let key = self.draw(now, random);
                self.one_time_kem.push(key);
            }
            changed |= missing_ec > 0 || missing_kem > 0;
        }
        changed | cap(&mut self.one_time) | cap(&mut self.one_time_kem)
    }

    /// What the server has not confirmed yet, if anything; the same again until [`PrekeyStore::confirm`].
    #[must_use]
    pub fn upload(&self, device: &DeviceSecrets) -> Option<PrekeyUpload> {
        let signing = device.signing();
        let ec = |domain, kept: Duration| {
            move |key: &Prekey| {
                let public = PublicKey::from(&StaticSecret::from(key.secret)).to_bytes();
                EcPrekey::sign(
                    signing,
                    domain,
                    key.id,
                    AgreementKey::from_bytes(public),
                    key.created.plus(kept),
                )
            }
        };
        let kem = |domain, kept: Duration| {
            move |key: &Prekey| {
                let public = KemSecret::from_seed(Zeroizing::new(key.secret)).public();
                KemPrekey::sign(signing, domain, key.id, public, key.created.plus(kept))
            }
        };
        let kept = RENEWAL.saturating_add(RETENTION);
        let upload = PrekeyUpload {
            signed: self
                .signed
                .last()
                .filter(|key| !key.confirmed)
                .map(ec(Domain::PREKEY_EC, kept)),
            signed_kem: self
                .signed_kem
                .last()
                .filter(|key| !key.confirmed)
                .map(kem(Domain::PREKEY_PQ, kept)),
            one_time: unconfirmed(&self.one_time)
                .map(ec(Domain::ONE_TIME_EC, ONE_TIME_RETENTION))
                .collect(),
            one_time_kem: unconfirmed(&self.one_time_kem)
                .map(kem(Domain::ONE_TIME_PQ, ONE_TIME_RETENTION))
                .collect(),
        };
        let empty = upload.signed.is_none()
            && upload.signed_kem.is_none()
            && upload.one_time.is_empty()
            && upload.one_time_kem.is_empty();
        (!empty).then_some(upload)
    }

    /// The server has taken `upload`.
    pub fn confirm(&mut self, upload: &PrekeyUpload) {
        let taken: BTreeSet<u32> = upload
            .signed
            .iter()
            .chain(&upload.one_time)
            .map(|key| key.id)
            .chain(upload.signed_kem.iter().chain(&upload.one_time_kem).map(|key| key.id))
            .collect();
        for key in self.all_mut() {
            key.confirmed |= taken.contains(&key.id);
        }
    }

    /// Erases the private halves of one-time keys that were used.
    pub fn spend(&mut self, spent: SpentPrekeys) {
        self.one_time.retain(|key| Some(key.id) != spent.one_time);
        self.one_time_kem.retain(|key| Some(key.id) != spent.one_time_kem);
    }

    /// Erases all one-time keys. After the server was restored from a backup it would hand old ones out twice, so it has dropped its own.
    pub fn forget_one_time(&mut self) {
        self.one_time.clear();
        self.one_time_kem.clear();
    }

    /// The keys as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        encode_secret(self)
    }

    /// Reads what [`PrekeyStore::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode_within(bytes, codec::MAX_BATCH)
    }

    /// The private half of a signed X25519 key.
    pub(crate) fn signed(&self, id: u32) -> Option<StaticSecret> {
        find(&self.signed, id).map(|key| StaticSecret::from(key.secret))
    }

    /// The private half of a one-time X25519 key.
    pub(crate) fn one_time(&self, id: u32) -> Option<StaticSecret> {
        find(&self.one_time, id).map(|key| StaticSecret::from(key.secret))
    }

    /// The private half of an X-Wing key.
    pub(crate) fn kem(&self, id: u32, one_time: bool) -> Option<KemSecret> {
        let keys = if one_time { &self.one_time_kem } else { &self.signed_kem };
        find(keys, id).map(|key| KemSecret::from_seed(Zeroizing::new(key.secret)))
    }

    fn draw(&mut self, now: Timestamp, random: &mut dyn Random) -> Prekey {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        Prekey { id, created: now, replaced: None, confirmed: false, secret: *secret(random) }
    }

    /// Puts a new signed pair in force when the old one has served its time, by the local clock and nothing else. A clock that was a day
    /// ahead when the key was made, and has been set right since, counts as well.
    fn renew(&mut self, now: Timestamp, random: &mut dyn Random) -> bool {
        let serves = self.signed.last().is_some_and(|key| {
            now.since(key.created) < RENEWAL && key.created.since(now) < Duration::from_hours(24)
        });
        if serves {
            return false;
        }
        for key in self.signed.last_mut().into_iter().chain(self.signed_kem.last_mut()) {
            key.replaced = Some(now);
        }
        let (key, kem) = (self.draw(now, random), self.draw(now, random));
        self.signed.push(key);
        self.signed_kem.push(kem);
        true
    }

    /// Erases what was kept long enough. A signed key's time begins when another takes its place, so that a device which was away for a
    /// year still opens what was sealed with the last one that it published.
    fn erase(&mut self, now: Timestamp) -> bool {
        let before = self.all_mut().count();
        let stays =
            |key: &Prekey| key.replaced.is_none_or(|replaced| now.since(replaced) < RETENTION);
        self.signed.retain(stays);
        self.signed_kem.retain(stays);
        self.one_time.retain(|key| now.since(key.created) < ONE_TIME_RETENTION);
        self.one_time_kem.retain(|key| now.since(key.created) < ONE_TIME_RETENTION);
        before != self.all_mut().count()
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Prekey> {
        let Self { next: _, signed, signed_kem, one_time, one_time_kem } = self;
        signed.iter_mut().chain(signed_kem).chain(one_time).chain(one_time_kem)
    }
}

impl Default for PrekeyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PrekeyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "PrekeyStore(secret, {} and {} one-time keys)",
            self.one_time.len(),
            self.one_time_kem.len()
        )
    }
}

fn find(keys: &[Prekey], id: u32) -> Option<&Prekey> {
    keys.iter().find(|key| key.id == id)
}

fn unconfirmed(keys: &[Prekey]) -> impl Iterator<Item = &Prekey> {
    keys.iter().filter(|key| !key.confirmed)
}

/// How many keys to make when the server has `left`, and what is on its way counts as being there.
fn missing(keys: &[Prekey], left: u32, (below, published): (u32, u32)) -> u32 {
    let pending = u32::try_from(unconfirmed(keys).count()).unwrap_or(u32::MAX);
    let there = left.saturating_add(pending);
    if there < below { published.saturating_sub(there) } else { 0 }
}

/// Drops the oldest beyond [`ONE_TIME_CAP`].
fn cap(keys: &mut Vec<Prekey>) -> bool {
    let excess = keys.len().saturating_sub(ONE_TIME_CAP);
    keys.drain(..excess);
    excess > 0
}

#[cfg(test)]
#[path = "prekey/tests.rs"]
mod tests;
