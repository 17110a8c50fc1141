//! A device's prekeys: what others begin sessions with while it is away.
//!
//! The signed pair is renewed every seven days by the local clock alone: a key that turned when the *server* said that it had been used
//! would let the server, or anybody who asks it, take keys away (matrix-rust-sdk#3127). Private halves stay as long as a first envelope
//! may be on its way. A one-time key's private half goes with the first envelope that opened with it, and never with one that did not.

use std::{collections::BTreeMap, fmt, time::Duration};

use rookery_protocol::{
    codec::Malformed,
    prekey::PrekeyUpload,
    request::prekey::PrekeyCount,
    time::Timestamp,
};
use zeroize::Zeroizing;

use super::{Random, identity::DeviceSecrets, kem::KemSecret};

/// How often the signed prekeys are renewed.
pub const RENEWAL: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long a signed prekey's private half is kept once another has taken its place.
pub const RETENTION: Duration = Duration::from_secs(35 * 24 * 3_600);
/// How long a one-time key's private half is kept at most.
pub const ONE_TIME_RETENTION: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How many one-time X25519 and X-Wing keys are published.
pub const PUBLISHED: (u32, u32) = (50, 10);
/// Below how many of either there are made more.
pub const REFILL_BELOW: (u32, u32) = (20, 4);
/// How many private halves of one-time keys are kept at most, the newest.
pub const ONE_TIME_CAP: usize = 500;

/// A device's prekeys with their private halves.
pub struct PrekeyStore {
    _todo: (),
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
        unimplemented!()
    }

    /// Renews, refills and erases what is due. `left` is what the server says that it still has (nothing is refilled when absent, but for
    /// the very first keys). Says whether anything changed: then store the keys, and send [`PrekeyStore::upload`] afterwards.
    ///
    /// The caller delays the refill by a random time after connecting, so that it does not tell who came online (Prekey Pogo, 2025).
    pub fn maintain(&mut self, device: &DeviceSecrets, left: Option<PrekeyCount>, now: Timestamp, random: &mut dyn Random) -> bool {
        unimplemented!()
    }

    /// What the server has not confirmed yet, if anything; the same again until [`PrekeyStore::confirm`].
    #[must_use]
    pub fn upload(&self, device: &DeviceSecrets) -> Option<PrekeyUpload> {
        unimplemented!()
    }

    /// The server has taken `upload`.
    pub fn confirm(&mut self, upload: &PrekeyUpload) {
        unimplemented!()
    }

    /// Erases the private halves of one-time keys that were used.
    pub fn spend(&mut self, spent: SpentPrekeys) {
        unimplemented!()
    }

    /// Forgets all one-time keys, as after the server was restored from a backup: old ones could be handed out twice.
    pub fn forget_one_time(&mut self) {
        unimplemented!()
    }

    /// The keys as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        unimplemented!()
    }

    /// Reads what [`PrekeyStore::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        unimplemented!()
    }
}
