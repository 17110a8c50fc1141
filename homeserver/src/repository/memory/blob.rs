//! Blobs.

use async_trait::async_trait;
use rookery_protocol::{
    id::{BlobId, CommunityId, UserId},
    time::Timestamp,
};

use super::Handle;
use crate::repository::{
    StorageError,
    blob::{BlobKey, BlobRepository, BlobView, StoredBlob},
};

#[async_trait]
impl BlobView for Handle {
    async fn blob(&mut self, key: BlobKey) -> Result<Option<StoredBlob>, StorageError> {
        Ok(self.rows().blobs.get(&key).map(|(blob, _)| *blob))
    }

    async fn whole_blob(
        &mut self,
        community: CommunityId,
        blob: BlobId,
    ) -> Result<Option<StoredBlob>, StorageError> {
        let rows = self.rows();
        let found = rows.blobs.values().find(|(stored, _)| {
            stored.key.community == community && stored.key.blob == blob && stored.is_whole()
        });
        Ok(found.map(|(stored, _)| *stored))
    }

    async fn blob_bytes(
        &mut self,
        key: BlobKey,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let rows = self.rows();
        let bytes = rows.blobs.get(&key).map_or(&[][..], |(_, bytes)| bytes);
        let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
        let (from, to) = (place(offset), place(offset.saturating_add(length)));
        Ok(bytes.get(from..to).unwrap_or_default().to_vec())
    }

    async fn unnamed_blobs(&mut self, user: UserId) -> Result<u32, StorageError> {
        let rows = self.rows();
        let unnamed =
            rows.blobs.values().filter(|(blob, _)| blob.key.user == user && !blob.is_named);
        Ok(u32::try_from(unnamed.count()).unwrap_or(u32::MAX))
    }
}

#[async_trait]
impl BlobRepository for Handle {
    async fn append_blob(
        &mut self,
        key: BlobKey,
        size: u64,
        offset: u64,
        new: &[u8],
        at: Timestamp,
    ) -> Result<Result<u64, u64>, StorageError> {
        let rows = self.change()?;
        if offset == 0 {
            let begun = StoredBlob { key, size, have: 0, is_named: false, at };
            rows.blobs.entry(key).or_insert_with(|| (begun, vec![]));
        }
        let Some((blob, bytes)) = rows.blobs.get_mut(&key) else { return Ok(Err(0)) };
        let after = offset.saturating_add(u64::try_from(new.len()).unwrap_or(u64::MAX));
        if blob.size != size || blob.have != offset || after > size {
            return Ok(Err(blob.have));
        }
        bytes.extend_from_slice(new);
        (blob.have, blob.at) = (after, at);
        Ok(Ok(after))
    }

    async fn name_blob(&mut self, key: BlobKey) -> Result<(), StorageError> {
        if let Some((blob, _)) = self.change()?.blobs.get_mut(&key) {
            blob.is_named = true;
        }
        Ok(())
    }

    async fn drop_blob(&mut self, key: BlobKey) -> Result<(), StorageError> {
        self.change()?.blobs.remove(&key);
        Ok(())
    }
}
