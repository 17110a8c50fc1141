//! Reading rows: through the constructors of what they hold, so that a value that cannot be is found where it stands.

use rookery_protocol::{codec, time::Timestamp};
use sqlx::Row as _;

use super::Row;
use crate::repository::StorageError;

/// The bytes from `offset` up to `end` of what is kept in parts: of rows with where a part begins and what is in it, those that reach into it.
pub(super) fn joined(
    table: &'static str,
    rows: &[Row],
    offset: u64,
    end: u64,
) -> Result<Vec<u8>, StorageError> {
    let mut found = vec![];
    for row in rows {
        let cells = Cells::of(table, row);
        let (start, bytes) = (cells.number::<u64>(0)?, cells.bytes(1)?);
        let within = |place: u64| usize::try_from(place.saturating_sub(start));
        let (from, to) = (within(offset).unwrap_or(0), within(end).unwrap_or(usize::MAX));
        let part = bytes.get(from..to.min(bytes.len()));
        found.extend_from_slice(part.ok_or_else(|| cells.impossible())?);
    }
    Ok(found)
}

/// A row of one table.
pub(super) struct Cells<'r> {
    row: &'r Row,
    table: &'static str,
}

impl<'r> Cells<'r> {
    pub(super) fn of(table: &'static str, row: &'r Row) -> Self {
        Self { row, table }
    }

    /// What says that this row cannot be.
    pub(super) fn impossible(&self) -> StorageError {
        StorageError::Inconsistent { table: self.table }
    }

    pub(super) fn bytes(&self, column: usize) -> Result<&'r [u8], StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    pub(super) fn bytes_if_any(&self, column: usize) -> Result<Option<&'r [u8]>, StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    pub(super) fn text(&self, column: usize) -> Result<&'r str, StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    pub(super) fn text_if_any(&self, column: usize) -> Result<Option<String>, StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    pub(super) fn flag(&self, column: usize) -> Result<bool, StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    fn integer(&self, column: usize) -> Result<i64, StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    fn integer_if_any(&self, column: usize) -> Result<Option<i64>, StorageError> {
        self.row.try_get(column).map_err(|_| self.impossible())
    }

    /// A number that is not negative, of whatever width.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, StorageError> {
        T::try_from(self.integer(column)?).map_err(|_| self.impossible())
    }

    pub(super) fn number_if_any<T: TryFrom<i64>>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StorageError> {
        let integer = self.integer_if_any(column)?;
        integer.map(T::try_from).transpose().map_err(|_| self.impossible())
    }

    pub(super) fn time(&self, column: usize) -> Result<Timestamp, StorageError> {
        self.number(column).map(Timestamp::from_millis)
    }

    pub(super) fn time_if_any(&self, column: usize) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.number_if_any(column)?.map(Timestamp::from_millis))
    }

    /// An identifier, through its constructor.
    pub(super) fn id<T>(
        &self,
        column: usize,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<T, StorageError> {
        parse(self.bytes(column)?).ok_or_else(|| self.impossible())
    }

    pub(super) fn id_if_any<T>(
        &self,
        column: usize,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StorageError> {
        let bytes = self.bytes_if_any(column)?;
        bytes.map(|bytes| parse(bytes).ok_or_else(|| self.impossible())).transpose()
    }

    /// A choice, through the number that stands for it.
    pub(super) fn choice<T>(
        &self,
        column: usize,
        parse: fn(u32) -> Option<T>,
    ) -> Result<T, StorageError> {
        parse(self.number(column)?).ok_or_else(|| self.impossible())
    }

    /// A value of the protocol, decoded as strictly as from a stranger.
    pub(super) fn wire<T: for<'b> minicbor::Decode<'b, ()>>(
        &self,
        column: usize,
    ) -> Result<T, StorageError> {
        codec::decode(self.bytes(column)?).map_err(|_| self.impossible())
    }

    pub(super) fn wire_if_any<T: for<'b> minicbor::Decode<'b, ()>>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StorageError> {
        let bytes = self.bytes_if_any(column)?;
        bytes.map(codec::decode).transpose().map_err(|_| self.impossible())
    }
}

/// A number as databases keep it. Nothing that we count comes near the end of it.
pub(super) fn to_row<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
