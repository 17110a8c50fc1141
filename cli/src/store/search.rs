//! The search index at rest: segments as rows of sealed blocks, each padded to a multiple of 4 KiB and bound to its place.

use std::ops::Range;

use rookery_protocol::codec::{self, MAX_BATCH};
use sqlx::Row as _;
use zeroize::Zeroizing;

use super::{StoreError, Told, Unit};
use crate::search::segment::{Head, Segment};

/// What heads and blocks are padded to multiples of.
const BUCKET: usize = 4 * 1024;
const HEADS: &str = "segment";
const BLOCKS: &str = "segment_block";

/// A segment that is in the store.
#[derive(Clone, Debug)]
pub struct SegmentRow {
    id: i64,
    /// What it is about.
    pub head: Head,
}

impl Unit {
    /// All segments, in the order of the messages that they were made from.
    pub async fn segments(&mut self) -> Result<Vec<SegmentRow>, StoreError> {
        let rows = sqlx::query("SELECT segment, sealed FROM segment")
            .fetch_all(&mut *self.transaction)
            .await?;
        let mut segments = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, sealed): (i64, Vec<u8>) = (row.try_get("segment")?, row.try_get("sealed")?);
            let padded = self.vault.open_bytes(HEADS, &id.to_be_bytes(), &sealed)?;
            let damaged = || StoreError::Damaged { table: HEADS };
            let bytes = unpad(&padded).ok_or_else(damaged)?;
            let head: Head = codec::decode_within(bytes, MAX_BATCH).map_err(|_| damaged())?;
            segments.push(SegmentRow { id, head });
        }
        segments.sort_by_key(|row| row.head.after);
        Ok(segments)
    }

    /// Some blocks of a segment that follow one another.
    pub async fn segment_blocks(
        &mut self,
        row: &SegmentRow,
        numbers: Range<usize>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let damaged = || StoreError::Damaged { table: BLOCKS };
        let count = numbers.len();
        let rows = sqlx::query(
            "SELECT block, sealed FROM segment_block WHERE segment = $1 AND block >= $2 AND block < $3 ORDER BY block",
        )
        .bind(row.id)
        .bind(number_of(numbers.start))
        .bind(number_of(numbers.end))
        .fetch_all(&mut *self.transaction)
        .await?;
        if rows.len() != count {
            return Err(damaged());
        }
        let mut blocks = Vec::with_capacity(count);
        for found in rows {
            let (number, sealed): (i64, Vec<u8>) =
                (found.try_get("block")?, found.try_get("sealed")?);
            let padded = self.vault.open_bytes(BLOCKS, &block_key(row.id, number), &sealed)?;
            blocks.push(unpad(&padded).ok_or_else(damaged)?.to_vec());
        }
        Ok(blocks)
    }

    /// Adds a segment.
    pub async fn add_segment(&mut self, segment: &Segment) -> Result<(), StoreError> {
        // Its number is part of what its rows are sealed to, so it has to have one first.
        let id: i64 =
            sqlx::query_scalar("INSERT INTO segment (sealed) VALUES (x'') RETURNING segment")
                .fetch_one(&mut *self.transaction)
                .await?;
        let head = Zeroizing::new(codec::encode(&segment.head));
        sqlx::query("UPDATE segment SET sealed = $1 WHERE segment = $2")
            .bind(self.vault.seal_bytes(HEADS, &id.to_be_bytes(), &pad(&head)))
            .bind(id)
            .execute(&mut *self.transaction)
            .await?;
        for (number, block) in segment.blocks.iter().enumerate() {
            let number = number_of(number);
            let sealed = self.vault.seal_bytes(BLOCKS, &block_key(id, number), &pad(block));
            sqlx::query("INSERT INTO segment_block (segment, block, sealed) VALUES ($1, $2, $3)")
                .bind(id)
                .bind(number)
                .bind(sealed)
                .execute(&mut *self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Drops a segment.
    pub async fn drop_segment(&mut self, row: &SegmentRow) -> Result<(), StoreError> {
        for statement in [
            "DELETE FROM segment_block WHERE segment = $1",
            "DELETE FROM segment WHERE segment = $1",
        ] {
            sqlx::query(statement).bind(row.id).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Drops the whole index, so that it is made anew.
    pub async fn forget_index(&mut self) -> Result<(), StoreError> {
        for statement in ["DELETE FROM segment_block", "DELETE FROM segment"] {
            sqlx::query(statement).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// The newest that arrived after `position`, at most `count`, in the order of arrival.
    pub async fn told_last(&mut self, position: u64, count: u32) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(
            "SELECT position, item, kind, place, sealed FROM message WHERE position > $1 ORDER BY position DESC LIMIT $2",
        )
        .bind(position.cast_signed())
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().rev().map(|row| self.told(row)).collect()
    }
}

impl StoreError {
    /// Whether what is damaged is only the search index, which can be made anew.
    #[must_use]
    pub fn is_of_index(&self) -> bool {
        matches!(self, Self::Damaged { table: HEADS | BLOCKS })
    }
}

impl From<crate::search::segment::Damaged> for StoreError {
    fn from(_: crate::search::segment::Damaged) -> Self {
        Self::Damaged { table: BLOCKS }
    }
}

fn block_key(id: i64, number: i64) -> Vec<u8> {
    [id.to_be_bytes(), number.to_be_bytes()].concat()
}

fn number_of(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The length in four bytes, the bytes, and zeros up to a whole bucket.
fn pad(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let whole = bytes.len().saturating_add(4).next_multiple_of(BUCKET);
    let mut padded = Zeroizing::new(Vec::with_capacity(whole));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(bytes);
    padded.resize(whole, 0);
    padded
}

fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_show_in_steps_only() {
        for length in [0, 1, 4_091, 4_092, 4_093, 32 * 1024 - 4] {
            let bytes = vec![7; length];
            let padded = pad(&bytes);
            assert_eq!((padded.len() % BUCKET, unpad(&padded)), (0, Some(bytes.as_slice())));
        }
        assert_eq!(pad(&vec![7; crate::search::segment::BLOCK_BYTES]).len(), 32 * 1024);
        assert_eq!(unpad(&[0, 0, 0, 9, 1]), None);
    }
}
