//! Files that users have sent: ciphertext by its own hash, kept in parts.

use async_trait::async_trait;
use rookery_protocol::{
    id::{BlobId, UserId},
    time::Timestamp,
};

use super::StorageError;

/// Which file, and who has put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileKey {
    /// Its name.
    pub file: BlobId,
    /// Who puts it: what is not whole yet is in nobody else's way.
    pub user: UserId,
}

/// How much of a file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Which.
    pub key: FileKey,
    /// The number of this beginning among all of the user's: one that begins anew under the same name is another file.
    pub begun: u64,
    /// How large the whole is, in bytes.
    pub size: u64,
    /// So many bytes are there, from the beginning.
    pub have: u64,
    /// Whether all of it is there and was checked.
    pub is_whole: bool,
    /// When the last part came.
    pub at: Timestamp,
}

/// What a file counts at the least, in bytes: many small ones take room too.
const LEAST: u64 = 4_096;

/// What a file of `size` bytes counts.
#[must_use]
pub fn counted(size: u64) -> u64 {
    size.max(LEAST)
}

/// What files count ([`counted`]), by the sizes that they have or will have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileUse {
    /// Those of one user, in bytes.
    pub of_user: u64,
    /// How many of the user's are not whole.
    pub unfinished: u32,
    /// Those of all users, in bytes.
    pub of_all: u64,
}

/// What can be asked about files.
#[async_trait]
pub trait FileView {
    /// How much of the user's file is there.
    async fn file(&mut self, key: FileKey) -> Result<Option<StoredFile>, StorageError>;

    /// One of the files of that name that are whole, whoever has put it.
    async fn whole_file(&mut self, file: BlobId) -> Result<Option<StoredFile>, StorageError>;

    /// At most `length` bytes of it from `offset` on, as far as they are there.
    async fn file_bytes(
        &mut self,
        key: FileKey,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError>;

    /// What files count.
    async fn file_use(&mut self, user: UserId) -> Result<FileUse, StorageError>;
}

/// What can be done to files.
#[async_trait]
pub trait FileRepository: FileView {
    /// Begins a file, of which nothing is there; one that has begun stays as it is.
    async fn begin_file(
        &mut self,
        key: FileKey,
        size: u64,
        at: Timestamp,
    ) -> Result<(), StorageError>;

    /// Puts the next bytes of a file that has begun, in rows of at most [`super::blob::ROW_BYTES`], if it ends where they begin and is not
    /// whole. Says how much is there after it, or nothing was stored and how much there is.
    async fn append_file(
        &mut self,
        key: FileKey,
        offset: u64,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Result<u64, u64>, StorageError>;

    /// All of a file is there, and was checked. Nothing is done, and it says no, if another one has begun in its place meanwhile.
    async fn finish_file(
        &mut self,
        checked: StoredFile,
        at: Timestamp,
    ) -> Result<bool, StorageError>;

    /// Forgets a file.
    async fn drop_file(&mut self, key: FileKey) -> Result<(), StorageError>;
}
