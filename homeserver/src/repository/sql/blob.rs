//! Blobs and their parts.

use async_trait::async_trait;
use rookery_protocol::{
    id::{BlobId, CommunityId, UserId},
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Query, Row,
    row::{Cells, joined, to_row},
};
use crate::repository::{
    StorageError,
    blob::{BlobKey, BlobRepository, BlobView, ROW_BYTES, StoredBlob},
};

#[async_trait]
impl BlobView for Handle {
    async fn blob(&mut self, key: BlobKey) -> Result<Option<StoredBlob>, StorageError> {
        let text = "SELECT community, blob, user_id, size, have, named, at FROM blob
                    WHERE community = $1 AND blob = $2 AND user_id = $3";
        let row = self.first(keyed(text, &key)).await?;
        row.as_ref().map(blob_of).transpose()
    }

    async fn whole_blob(
        &mut self,
        community: CommunityId,
        blob: BlobId,
    ) -> Result<Option<StoredBlob>, StorageError> {
        let text = "SELECT community, blob, user_id, size, have, named, at FROM blob
                    WHERE community = $1 AND blob = $2 AND have = size ORDER BY user_id LIMIT 1";
        let select = query(text).bind(&community.as_bytes()[..]).bind(&blob.as_bytes()[..]);
        self.first(select).await?.as_ref().map(blob_of).transpose()
    }

    async fn blob_bytes(
        &mut self,
        key: BlobKey,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let text = "SELECT start, bytes FROM blob_part
                    WHERE community = $1 AND blob = $2 AND user_id = $3
                      AND start < $5 AND start + length(bytes) > $4 ORDER BY start";
        let end = offset.saturating_add(length);
        let select = keyed(text, &key).bind(to_row(offset)).bind(to_row(end));
        joined("blob_part", &self.all(select).await?, offset, end)
    }

    async fn unnamed_blobs(&mut self, user: UserId) -> Result<u32, StorageError> {
        let text = "SELECT COUNT(*) FROM blob WHERE user_id = $1 AND NOT named";
        let row = self.first(query(text).bind(&user.as_bytes()[..])).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("blob", row).number(0))
    }
}

#[async_trait]
impl BlobRepository for Handle {
    async fn append_blob(
        &mut self,
        key: BlobKey,
        size: u64,
        offset: u64,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Result<u64, u64>, StorageError> {
        let begin = "INSERT INTO blob (community, blob, user_id, size, have, named, at)
                     VALUES ($1, $2, $3, $4, 0, $6, $5) ON CONFLICT DO NOTHING";
        let begin = keyed(begin, &key).bind(to_row(size)).bind(at.to_row()).bind(false);
        if offset == 0 {
            self.execute(begin).await?;
        }
        let grow = "UPDATE blob SET have = have + $6, at = $7
                    WHERE community = $1 AND blob = $2 AND user_id = $3 AND size = $4 AND have = $5
                      AND have + $6 <= size";
        let grow = keyed(grow, &key)
            .bind(to_row(size))
            .bind(to_row(offset))
            .bind(to_row(bytes.len()))
            .bind(at.to_row());
        if self.execute(grow).await? == 0 {
            return Ok(Err(self.blob(key).await?.map_or(0, |blob| blob.have)));
        }
        let mut start = offset;
        for part in bytes.chunks(ROW_BYTES) {
            let text = "INSERT INTO blob_part (community, blob, user_id, start, bytes)
                        VALUES ($1, $2, $3, $4, $5)";
            self.execute(keyed(text, &key).bind(to_row(start)).bind(part)).await?;
            start = start.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        Ok(Ok(start))
    }

    async fn name_blob(&mut self, key: BlobKey) -> Result<(), StorageError> {
        let text = "UPDATE blob SET named = $4
                    WHERE community = $1 AND blob = $2 AND user_id = $3";
        self.execute(keyed(text, &key).bind(true)).await.map(|_| ())
    }

    async fn drop_blob(&mut self, key: BlobKey) -> Result<(), StorageError> {
        let text = "DELETE FROM blob WHERE community = $1 AND blob = $2 AND user_id = $3";
        self.execute(keyed(text, &key)).await.map(|_| ())
    }
}

fn keyed<'q>(text: &'static str, key: &'q BlobKey) -> Query<'q> {
    query(text)
        .bind(&key.community.as_bytes()[..])
        .bind(&key.blob.as_bytes()[..])
        .bind(&key.user.as_bytes()[..])
}

fn blob_of(row: &Row) -> Result<StoredBlob, StorageError> {
    let cells = Cells::of("blob", row);
    Ok(StoredBlob {
        key: BlobKey {
            community: cells.id(0, CommunityId::from_slice)?,
            blob: cells.id(1, BlobId::from_slice)?,
            user: cells.id(2, UserId::from_slice)?,
        },
        size: cells.number(3)?,
        have: cells.number(4)?,
        is_named: cells.flag(5)?,
        at: cells.time(6)?,
    })
}
