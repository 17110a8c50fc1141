//! Files.

use async_trait::async_trait;
use rookery_protocol::{
    id::{BlobId, UserId},
    time::Timestamp,
};

use super::Handle;
use crate::repository::{
    StorageError,
    file::{FileKey, FileRepository, FileUse, FileView, StoredFile, counted},
};

#[async_trait]
impl FileView for Handle {
    async fn file(&mut self, key: FileKey) -> Result<Option<StoredFile>, StorageError> {
        Ok(self.rows().files.get(&key).map(|(file, _)| *file))
    }

    async fn whole_file(&mut self, file: BlobId) -> Result<Option<StoredFile>, StorageError> {
        let rows = self.rows();
        let mut files = rows.files.values().map(|(stored, _)| *stored);
        Ok(files.find(|stored| stored.key.file == file && stored.is_whole))
    }

    async fn file_bytes(
        &mut self,
        key: FileKey,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let rows = self.rows();
        let bytes = rows.files.get(&key).map_or(&[][..], |(_, bytes)| bytes);
        let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
        let (from, to) = (place(offset), place(offset.saturating_add(length)));
        Ok(bytes.get(from..to).unwrap_or_default().to_vec())
    }

    async fn file_use(&mut self, user: UserId) -> Result<FileUse, StorageError> {
        let mut sum = FileUse::default();
        for (file, _) in self.rows().files.values() {
            sum.of_all = sum.of_all.saturating_add(counted(file.size));
            if file.key.user == user {
                sum.of_user = sum.of_user.saturating_add(counted(file.size));
                sum.unfinished = sum.unfinished.saturating_add(u32::from(!file.is_whole));
            }
        }
        Ok(sum)
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
        let rows = self.change()?;
        if !rows.files.contains_key(&key) {
            let begun = rows.files_begun.entry(key.user).or_default();
            *begun = begun.saturating_add(1);
            let file = StoredFile { key, begun: *begun, size, have: 0, is_whole: false, at };
            rows.files.insert(key, (file, vec![]));
        }
        Ok(())
    }

    async fn append_file(
        &mut self,
        key: FileKey,
        offset: u64,
        new: &[u8],
        at: Timestamp,
    ) -> Result<Result<u64, u64>, StorageError> {
        let rows = self.change()?;
        let Some((file, bytes)) = rows.files.get_mut(&key) else { return Ok(Err(0)) };
        let after = offset.saturating_add(u64::try_from(new.len()).unwrap_or(u64::MAX));
        if file.have != offset || after > file.size || file.is_whole {
            return Ok(Err(file.have));
        }
        bytes.extend_from_slice(new);
        (file.have, file.at) = (after, at);
        Ok(Ok(after))
    }

    async fn finish_file(
        &mut self,
        checked: StoredFile,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let known = self.change()?.files.get_mut(&checked.key);
        let known = known.filter(|(file, _)| file.begun == checked.begun);
        Ok(known.map(|(file, _)| (file.is_whole, file.at) = (true, at)).is_some())
    }

    async fn drop_file(&mut self, key: FileKey) -> Result<(), StorageError> {
        self.change()?.files.remove(&key);
        Ok(())
    }
}
