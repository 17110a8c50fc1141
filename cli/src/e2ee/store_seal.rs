//! What a device keeps on its disk, sealed.
//!
//! One random *store key* seals everything. *Slots* wrap it, each under another secret: a passphrase stretched by Argon2id (RFC 9106), or
//! the 32 bytes of a key file or a systemd credential. The header stands in the clear, and commits to the store key: a slot that opens to
//! another key is found out (a non-committing AEAD alone would not notice).

use std::{fmt, time::Duration};

use rookery_protocol::{codec::Malformed, id::Digest};
use zeroize::Zeroizing;

use super::{Random, Unopenable};

/// What a passphrase costs to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl PassphraseCost {
    /// The least that is ever used: 64 MiB, three passes, one lane.
    pub const FLOOR: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// What is used where the machine has the memory: 256 MiB.
    pub const DEFAULT: Self = Self { memory_kib: 256 * 1024, passes: 3, lanes: 1 };

    /// The cost at which `measure` (which tries a cost, and says how long it took) takes 0.7 s at least, from [`PassphraseCost::DEFAULT`]
    /// on; a cost for which there is no memory is halved, down to the floor.
    pub fn calibrate(measure: impl FnMut(Self) -> Option<Duration>) -> Self {
        unimplemented!()
    }

    /// Stretches a fixed passphrase once, so that its time can be measured; nothing when there is not enough memory.
    #[must_use]
    pub fn try_once(self) -> Option<()> {
        unimplemented!()
    }
}

/// What opens a store.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// What a person types.
    Passphrase(&'a str),
    /// The bytes of a key file or a credential.
    KeyFile(&'a KeyFile),
}

/// 32 random bytes that stand in a file of mode 0600, a systemd credential or a keyring.
pub struct KeyFile(Zeroizing<[u8; 32]>);

impl KeyFile {
    /// New bytes.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        unimplemented!()
    }

    /// The bytes of the file, which have to be 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        unimplemented!()
    }

    /// The bytes for the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why a store did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockedError {
    /// No slot of this kind.
    #[error("the store has no slot for {0}")]
    NoSlot(&'static str),
    /// The secret is another one, or the header was changed.
    #[error("that does not open the store")]
    Wrong,
    /// The header is none, or asks for a cost beyond reason.
    #[error("the store's header is damaged: {0}")]
    Damaged(String),
    /// The last slot cannot be taken away.
    #[error("the store would have no slot left")]
    LastSlot,
    /// There is not enough memory to stretch the passphrase.
    #[error("there is not enough memory to open the store with a passphrase")]
    Memory,
}

/// The header of a store: its slots, in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHeader {
    _todo: (),
}

impl StoreHeader {
    /// A new store with one slot. `cost` counts for a passphrase, and is raised to the floor.
    pub fn create(first: Unlock<'_>, cost: PassphraseCost, random: &mut dyn Random) -> Result<(Self, StoreKey), LockedError> {
        unimplemented!()
    }

    /// Opens the store.
    pub fn unlock(&self, with: Unlock<'_>) -> Result<StoreKey, LockedError> {
        unimplemented!()
    }

    /// Adds a slot.
    pub fn add_slot(&mut self, key: &StoreKey, new: Unlock<'_>, cost: PassphraseCost, random: &mut dyn Random) -> Result<(), LockedError> {
        unimplemented!()
    }

    /// Takes away the slot that `with` opens, unless it is the last.
    pub fn remove_slot(&mut self, with: Unlock<'_>) -> Result<(), LockedError> {
        unimplemented!()
    }

    /// Whether a passphrase, a key file opens it.
    #[must_use]
    pub fn slots(&self) -> Slots {
        unimplemented!()
    }

    /// The header as bytes, to be stored in the clear.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads what [`StoreHeader::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LockedError> {
        unimplemented!()
    }
}

/// How many slots of each kind a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Passphrases.
    pub passphrases: usize,
    /// Key files.
    pub key_files: usize,
}

/// What a subkey of the store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Columns of rows.
    Rows,
    /// Identity, prekeys, sessions.
    Ratchets,
    /// The search index.
    Index,
    /// Files.
    Files,
    /// Drafts.
    Drafts,
}

/// The key of an open store.
pub struct StoreKey {
    _todo: (),
}

/// Where a sealed value stands; all of it is bound into the seal.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// What identifies the row: its key columns, encoded.
    pub row: &'a [u8],
    /// The version of the schema that the column's encoding belongs to.
    pub schema: u32,
}

impl StoreKey {
    /// Seals a value of fixed shape.
    #[must_use]
    pub fn seal_row(&self, purpose: Purpose, place: Place<'_>, plaintext: &[u8], random: &mut dyn Random) -> Vec<u8> {
        unimplemented!()
    }

    /// Opens what [`StoreKey::seal_row`] sealed at the same place.
    pub fn open_row(&self, purpose: Purpose, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        unimplemented!()
    }

    /// Seals what a person wrote, padded (PADMÉ, 64 bytes at least) so that its length tells little.
    #[must_use]
    pub fn seal_text(&self, purpose: Purpose, place: Place<'_>, plaintext: &[u8], random: &mut dyn Random) -> Vec<u8> {
        unimplemented!()
    }

    /// Opens what [`StoreKey::seal_text`] sealed at the same place.
    pub fn open_text(&self, purpose: Purpose, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        unimplemented!()
    }

    /// A keyed hash of `value` for a key column, so that a row can be found and not read. Equal values of one column are equal.
    #[must_use]
    pub fn key_of(&self, table: &str, column: &str, value: &[u8]) -> Digest {
        unimplemented!()
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreKey(secret)")
    }
}
