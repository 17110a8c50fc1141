//! What a device keeps on its disk, sealed.
//!
//! One random *store key* seals everything. *Slots* wrap it, each under another secret: a passphrase stretched by Argon2id (RFC 9106), or
//! the 32 bytes of a key file or a systemd credential. The header stands in the clear, and commits to the store key: a slot that opens to
//! another key is found out (a non-committing AEAD alone would not notice).

mod header;

use std::{fmt, time::Duration};

use argon2::{Algorithm, Argon2, Params, Version};
use minicbor::{Decode, Encode};
use rookery_protocol::{hash::labelled, id::Digest};
use zeroize::Zeroizing;

use super::{
    Random, Unopenable,
    aead::Key,
    kdf::derive,
    padding::{pad, unpad},
    random::secret,
};

pub use header::StoreHeader;

/// How long trying a passphrase takes at least, where the machine lets it.
const WANTED: Duration = Duration::from_millis(700);
/// What no header may ask for: 4 GiB, 64 passes, 16 lanes. A header that was changed must not stop the machine.
const CEILING: PassphraseCost =
    PassphraseCost { memory_kib: 4 * 1024 * 1024, passes: 64, lanes: 16 };
/// What texts are padded to at least.
const TEXT_FLOOR: usize = 64;

/// What a passphrase costs to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PassphraseCost {
    /// Memory in KiB.
    #[n(0)]
    pub memory_kib: u32,
    /// Passes over it.
    #[n(1)]
    pub passes: u32,
    /// Lanes.
    #[n(2)]
    pub lanes: u32,
}

impl PassphraseCost {
    /// The least that is ever used: 64 MiB, three passes, one lane.
    pub const FLOOR: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// What is used where the machine has the memory: 256 MiB.
    pub const DEFAULT: Self = Self { memory_kib: 256 * 1024, passes: 3, lanes: 1 };

    /// The cost at which `measure` (which tries a cost, and says how long it took) takes 0.7 s at least, from [`PassphraseCost::DEFAULT`]
    /// on; where there is not the memory for a cost, half of it is tried, down to the floor.
    pub fn calibrate(mut measure: impl FnMut(Self) -> Option<Duration>) -> Self {
        let mut cost = Self::DEFAULT;
        loop {
            match measure(cost) {
                None if cost.memory_kib > Self::FLOOR.memory_kib => cost.memory_kib >>= 1,
                Some(took) if took < WANTED && cost.passes < CEILING.passes => {
                    cost.passes = cost.passes.saturating_add(1);
                }
                _ => return cost,
            }
        }
    }

    /// Stretches a fixed passphrase once, so that its time can be measured; nothing when there is not enough memory.
    #[must_use]
    pub fn try_once(self) -> Option<()> {
        self.stretch("a passphrase to measure by", &[0; 16]).ok().map(|_| ())
    }

    /// Argon2id (RFC 9106), version 1.3, 32 bytes.
    fn stretch(
        self,
        passphrase: &str,
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, LockedError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|error| LockedError::Damaged(error.to_string()))?;
        let blocks = params.block_count();
        let mut memory: Vec<argon2::Block> = Vec::new();
        memory.try_reserve_exact(blocks).map_err(|_| LockedError::Memory)?;
        memory.resize(blocks, argon2::Block::default());
        let mut output = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.as_bytes(),
                salt,
                output.as_mut(),
                &mut memory,
            )
            .map_err(|error| LockedError::Damaged(error.to_string()))?;
        Ok(output)
    }

    fn at_least_the_floor(self) -> Self {
        Self {
            memory_kib: self.memory_kib.max(Self::FLOOR.memory_kib),
            passes: self.passes.max(Self::FLOOR.passes),
            lanes: self.lanes.max(Self::FLOOR.lanes),
        }
    }

    fn is_within_reason(self) -> bool {
        self.at_least_the_floor() == self
            && self.memory_kib <= CEILING.memory_kib
            && self.passes <= CEILING.passes
            && self.lanes <= CEILING.lanes
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
        Self(secret(random))
    }

    /// The bytes of the file, which have to be 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
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

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Rows => "store/rows",
            Self::Ratchets => "store/ratchets",
            Self::Index => "store/index",
            Self::Files => "store/files",
            Self::Drafts => "store/drafts",
        }
    }
}

/// The key of an open store.
pub struct StoreKey(Zeroizing<[u8; 32]>);

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

impl Place<'_> {
    fn context(&self) -> Vec<u8> {
        let parts: [&[u8]; 4] =
            [self.table.as_bytes(), self.column.as_bytes(), self.row, &self.schema.to_be_bytes()];
        labelled("store/row", &parts).as_bytes().to_vec()
    }
}

impl StoreKey {
    /// Seals a value of fixed shape.
    #[must_use]
    pub fn seal_row(
        &self,
        purpose: Purpose,
        place: Place<'_>,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Vec<u8> {
        self.subkey(purpose).seal(&place.context(), plaintext, random)
    }

    /// Opens what [`StoreKey::seal_row`] sealed at the same place.
    pub fn open_row(
        &self,
        purpose: Purpose,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        self.subkey(purpose).open(&place.context(), sealed)
    }

    /// Seals what a person wrote, padded (PADMÉ, 64 bytes at least) so that its length tells little.
    #[must_use]
    pub fn seal_text(
        &self,
        purpose: Purpose,
        place: Place<'_>,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Vec<u8> {
        self.seal_row(purpose, place, &pad(plaintext, TEXT_FLOOR), random)
    }

    /// Opens what [`StoreKey::seal_text`] sealed at the same place.
    pub fn open_text(
        &self,
        purpose: Purpose,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        let padded = self.open_row(purpose, place, sealed)?;
        Ok(Zeroizing::new(unpad(&padded, TEXT_FLOOR)?.to_vec()))
    }

    /// A keyed hash of `value` for a key column, so that a row can be found and not read. Equal values of one column are equal.
    #[must_use]
    pub fn key_of(&self, table: &str, column: &str, value: &[u8]) -> Digest {
        let context = labelled("store/key", &[table.as_bytes(), column.as_bytes(), value]);
        Digest::from_bytes(*derive(self.0.as_ref(), "store/key", context.as_bytes()))
    }

    fn subkey(&self, purpose: Purpose) -> Key {
        Key::new(derive(self.0.as_ref(), purpose.label(), &[]))
    }

    fn commitment(&self, store: &[u8; 16]) -> Digest {
        Digest::from_bytes(*derive(self.0.as_ref(), "store/commit", store))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoreKey(secret)")
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyFile(secret)")
    }
}

impl fmt::Debug for Unlock<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Passphrase(_) => "Passphrase(secret)",
            Self::KeyFile(_) => "KeyFile(secret)",
        })
    }
}

#[cfg(test)]
#[path = "store_seal/tests.rs"]
mod tests;
