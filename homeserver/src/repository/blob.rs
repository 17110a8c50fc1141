//! Blobs of communities: ciphertext by its own hash, kept in parts.

use async_trait::async_trait;
use rookery_protocol::{
    id::{BlobId, CommunityId, UserId},
    time::Timestamp,
};

use super::StorageError;

/// How much of a blob one row holds, at most.
pub const ROW_BYTES: usize = 256 * 1024;

/// Which blob, and who puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobKey {
    /// Of which community, which need not be there yet.
    pub community: CommunityId,
    /// Its name.
    pub blob: BlobId,
    /// Who puts it: what is not whole yet is in nobody else's way.
    pub user: UserId,
}

/// How much of a blob is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Which.
    pub key: BlobKey,
    /// How large the whole is.
    pub size: u64,
    /// So many bytes are there, from the beginning.
    pub have: u64,
    /// Whether a statement names it.
    pub is_named: bool,
    /// When the last part came.
    pub at: Timestamp,
}

impl StoredBlob {
    /// Whether all of it is there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.have == self.size
    }
}

/// What can be asked about blobs.
#[async_trait]
pub trait BlobView {
    /// How much of the blob is there.
    async fn blob(&mut self, key: BlobKey) -> Result<Option<StoredBlob>, StorageError>;

    /// One of the blobs of that name that are whole, whoever put it.
    async fn whole_blob(
        &mut self,
        community: CommunityId,
        blob: BlobId,
    ) -> Result<Option<StoredBlob>, StorageError>;

    /// At most `length` bytes of it from `offset` on, as far as they are there.
    async fn blob_bytes(
        &mut self,
        key: BlobKey,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError>;

    /// How many blobs the user has put that no statement names.
    async fn unnamed_blobs(&mut self, user: UserId) -> Result<u32, StorageError>;
}

/// What can be done to blobs.
#[async_trait]
pub trait BlobRepository: BlobView {
    /// Puts the next bytes of a blob, in rows of at most [`ROW_BYTES`], if it ends where they begin. Says how much is there after it, or
    /// nothing was stored and how much there is.
    async fn append_blob(
        &mut self,
        key: BlobKey,
        size: u64,
        offset: u64,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Result<u64, u64>, StorageError>;

    /// Keeps a blob for as long as its community lasts.
    async fn name_blob(&mut self, key: BlobKey) -> Result<(), StorageError>;

    /// Forgets a blob.
    async fn drop_blob(&mut self, key: BlobKey) -> Result<(), StorageError>;
}
