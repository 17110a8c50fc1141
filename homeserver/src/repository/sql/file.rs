//! Files and their parts.

use async_trait::async_trait;
use rookery_protocol::{
    id::{BlobId, UserId},
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Query, Row,
    row::{Cells, joined, to_row},
};
use crate::repository::{
    StorageError,
    blob::ROW_BYTES,
    file::{FileKey, FileRepository, FileUse, FileView, StoredFile, counted},
};

#[async_trait]
impl FileView for Handle {
    async fn file(&mut self, key: FileKey) -> Result<Option<StoredFile>, StorageError> {
        let text = "SELECT file, user_id, size, have, whole, at, begun FROM file
                    WHERE file = $1 AND user_id = $2";
        let row = self.first(keyed(text, &key)).await?;
        row.as_ref().map(file_of).transpose()
    }

    async fn whole_file(&mut self, file: BlobId) -> Result<Option<StoredFile>, StorageError> {
        let text = "SELECT file, user_id, size, have, whole, at, begun FROM file
                    WHERE file = $1 AND whole ORDER BY user_id LIMIT 1";
        let row = self.first(query(text).bind(&file.as_bytes()[..])).await?;
        row.as_ref().map(file_of).transpose()
    }

    async fn file_bytes(
        &mut self,
        key: FileKey,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let text = "SELECT start, bytes FROM file_part
                    WHERE file = $1 AND user_id = $2
                      AND start >= $5 AND start < $4 AND start + length(bytes) > $3 ORDER BY start";
        let end = offset.saturating_add(length);
        // No row that begins before that reaches so far: nothing but what is given is looked at.
        let first = offset.saturating_sub(u64::try_from(ROW_BYTES).unwrap_or(u64::MAX));
        let select = keyed(text, &key).bind(to_row(offset)).bind(to_row(end)).bind(to_row(first));
        joined("file_part", &self.all(select).await?, offset, end)
    }

    async fn file_use(&mut self, user: UserId) -> Result<FileUse, StorageError> {
        let text =
            "SELECT (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM file_use WHERE user_id = $1),
                    (SELECT COUNT(*) FROM file WHERE user_id = $1 AND NOT whole),
                    (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM file_use)";
        let row = self.first(query(text).bind(&user.as_bytes()[..])).await?;
        let row = row.ok_or(StorageError::Inconsistent { table: "file" })?;
        let cells = Cells::of("file", &row);
        Ok(FileUse {
            of_user: cells.number(0)?,
            unfinished: cells.number(1)?,
            of_all: cells.number(2)?,
        })
    }
}

#[async_trait]
impl FileRepository for Handle {
    async fn begin_file(
        &mut self,
        key: FileKey,
        size: u64,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let text = "INSERT INTO file (file, user_id, size, have, whole, at, begun)
                    VALUES ($1, $2, $3, 0, $5, $4,
                            1 + COALESCE((SELECT begun FROM file_use WHERE user_id = $2), 0))
                    ON CONFLICT DO NOTHING";
        let insert = keyed(text, &key).bind(to_row(size)).bind(at.to_row()).bind(false);
        if self.execute(insert).await? > 0 {
            let text = "INSERT INTO file_use (user_id, bytes, begun) VALUES ($1, $2, 1)
                        ON CONFLICT (user_id) DO UPDATE
                        SET bytes = file_use.bytes + excluded.bytes, begun = file_use.begun + 1";
            let count = query(text).bind(&key.user.as_bytes()[..]).bind(to_row(counted(size)));
            self.execute(count).await?;
        }
        Ok(())
    }

    async fn append_file(
        &mut self,
        key: FileKey,
        offset: u64,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Result<u64, u64>, StorageError> {
        let grow = "UPDATE file SET have = have + $4, at = $5
                    WHERE file = $1 AND user_id = $2 AND have = $3 AND have + $4 <= size
                      AND NOT whole";
        let grow =
            keyed(grow, &key).bind(to_row(offset)).bind(to_row(bytes.len())).bind(at.to_row());
        if self.execute(grow).await? == 0 {
            return Ok(Err(self.file(key).await?.map_or(0, |file| file.have)));
        }
        let mut start = offset;
        for part in bytes.chunks(ROW_BYTES) {
            let text =
                "INSERT INTO file_part (file, user_id, start, bytes) VALUES ($1, $2, $3, $4)";
            self.execute(keyed(text, &key).bind(to_row(start)).bind(part)).await?;
            start = start.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        Ok(Ok(start))
    }

    async fn finish_file(
        &mut self,
        checked: StoredFile,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let text =
            "UPDATE file SET whole = $3, at = $4 WHERE file = $1 AND user_id = $2 AND begun = $5";
        let finish = keyed(text, &checked.key).bind(true).bind(at.to_row());
        Ok(self.execute(finish.bind(to_row(checked.begun))).await? > 0)
    }

    async fn drop_file(&mut self, key: FileKey) -> Result<(), StorageError> {
        let text = "DELETE FROM file WHERE file = $1 AND user_id = $2 RETURNING user_id, size";
        let dropped = self.all(keyed(text, &key)).await?;
        self.use_less(&dropped).await
    }
}

impl Handle {
    /// Takes off what files counted that were deleted: rows of their users and sizes.
    pub(super) async fn use_less(&mut self, deleted: &[Row]) -> Result<(), StorageError> {
        for row in deleted {
            let cells = Cells::of("file", row);
            let user = cells.id(0, UserId::from_slice)?;
            let bytes = to_row(counted(cells.number(1)?));
            let text = "UPDATE file_use SET bytes = bytes - $2 WHERE user_id = $1";
            self.execute(query(text).bind(&user.as_bytes()[..]).bind(bytes)).await?;
        }
        Ok(())
    }
}

fn keyed<'q>(text: &'static str, key: &'q FileKey) -> Query<'q> {
    query(text).bind(&key.file.as_bytes()[..]).bind(&key.user.as_bytes()[..])
}

fn file_of(row: &Row) -> Result<StoredFile, StorageError> {
    let cells = Cells::of("file", row);
    Ok(StoredFile {
        key: FileKey {
            file: cells.id(0, BlobId::from_slice)?,
            user: cells.id(1, UserId::from_slice)?,
        },
        size: cells.number(2)?,
        have: cells.number(3)?,
        is_whole: cells.flag(4)?,
        at: cells.time(5)?,
        begun: cells.number(6)?,
    })
}
