//! The store's key at work: sealing rows, hashing key columns.

use minicbor::{Decode, Encode};
use rookery_protocol::codec::{self, MAX_BATCH};
use zeroize::Zeroizing;

use super::StoreError;
use crate::e2ee::{
    OsRandom,
    store_seal::{Place, Purpose, StoreKey},
};

/// The version of the schema that rows are bound to. It rises when the encoding of a sealed column changes.
const SCHEMA: u32 = 1;

/// Seals and opens rows. All sealed columns are called `sealed`.
#[derive(Debug)]
pub struct Vault {
    key: StoreKey,
}

impl Vault {
    /// Works with `key`.
    #[must_use]
    pub fn new(key: StoreKey) -> Self {
        Self { key }
    }

    /// The key, for the slots of the store's header.
    #[must_use]
    pub fn key(&self) -> &StoreKey {
        &self.key
    }

    pub(super) fn seal<T: Encode<()>>(
        &self,
        table: &'static str,
        row: &[u8],
        value: &T,
    ) -> Vec<u8> {
        let bytes = Zeroizing::new(codec::encode(value));
        self.seal_bytes(table, row, &bytes)
    }

    pub(super) fn open<T: for<'b> Decode<'b, ()>>(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let bytes = self.open_bytes(table, row, sealed)?;
        codec::decode_within(&bytes, MAX_BATCH).map_err(|_| StoreError::Damaged { table })
    }

    pub(super) fn seal_bytes(&self, table: &'static str, row: &[u8], bytes: &[u8]) -> Vec<u8> {
        self.key.seal_row(purpose_of(table), place(table, row), bytes, &mut OsRandom)
    }

    pub(super) fn open_bytes(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.key
            .open_row(purpose_of(table), place(table, row), sealed)
            .map_err(|_| StoreError::Damaged { table })
    }

    /// Seals what a person wrote, padded.
    pub(super) fn seal_text<T: Encode<()>>(
        &self,
        table: &'static str,
        row: &[u8],
        value: &T,
    ) -> Vec<u8> {
        let bytes = Zeroizing::new(codec::encode(value));
        self.key.seal_text(purpose_of(table), place(table, row), &bytes, &mut OsRandom)
    }

    pub(super) fn open_text<T: for<'b> Decode<'b, ()>>(
        &self,
        table: &'static str,
        row: &[u8],
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let damaged = || StoreError::Damaged { table };
        let bytes = self
            .key
            .open_text(purpose_of(table), place(table, row), sealed)
            .map_err(|_| damaged())?;
        codec::decode_within(&bytes, MAX_BATCH).map_err(|_| damaged())
    }

    /// The keyed hash that stands for `parts`, all of fixed length, in a key column of `table`.
    pub(super) fn index(&self, table: &'static str, parts: &[&[u8]]) -> Vec<u8> {
        self.key.key_of(table, "key", &parts.concat()).as_bytes().to_vec()
    }
}

fn place<'a>(table: &'a str, row: &'a [u8]) -> Place<'a> {
    Place { table, column: "sealed", row, schema: SCHEMA }
}

/// Secrets of the device and its ratchets have a subkey of their own.
fn purpose_of(table: &str) -> Purpose {
    match table {
        "value" | "pair" | "epoch" | "sender_key" | "own_sender_key" => Purpose::Ratchets,
        "draft" => Purpose::Drafts,
        "segment" | "segment_block" => Purpose::Index,
        _ => Purpose::Rows,
    }
}
