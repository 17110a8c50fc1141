//! What is forgotten in time, and the counts an administrator sees.

use async_trait::async_trait;
use rookery_protocol::time::Timestamp;

use super::StorageError;

/// Until when what is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Purge {
    /// Ids of messages that were stored before this: the same message sent again later is a new one.
    pub messages_before: Timestamp,
    /// Sessions that ended before this.
    pub sessions_ended_before: Timestamp,
    /// Sessions that were last used before this.
    pub sessions_idle_before: Timestamp,
    /// Records of claims that were made before this, and one-time keys that ended before it.
    pub claims_before: Timestamp,
    /// Invites that ended before this, and those made before it that are used up or withdrawn.
    pub invites_before: Timestamp,
    /// Blobs that no statement has named, and of which nothing came since this.
    pub blobs_before: Timestamp,
    /// Files that were whole before this.
    pub files_before: Timestamp,
    /// Files that are not whole, and of which nothing came since this.
    pub unfinished_files_before: Timestamp,
    /// At most this many rows of each kind, so that no unit takes long: call again while something was found.
    pub rows: u32,
}

/// How many files one [`Purge`] forgets.
pub const FILES: u32 = 16;

/// How much was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Ids of messages.
    pub messages: u64,
    /// Sessions.
    pub sessions: u64,
    /// Records of claims, and one-time keys.
    pub claims: u64,
    /// Invites.
    pub invites: u64,
    /// Blobs that nothing named.
    pub blobs: u64,
    /// Files; at most [`FILES`] at once, because each may be large.
    pub files: u64,
    /// Entries in channels of communities that have ended.
    pub entries: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Accounts that are not deleted.
    pub accounts: u64,
    /// Sessions that have not ended.
    pub sessions: u64,
    /// Envelopes that wait.
    pub waiting_envelopes: u64,
    /// What they take, in bytes.
    pub waiting_bytes: u64,
}

/// What can be counted.
#[async_trait]
pub trait RetentionView {
    /// Counts.
    async fn census(&mut self) -> Result<Census, StorageError>;
}

/// What can be forgotten.
#[async_trait]
pub trait RetentionRepository: RetentionView {
    /// Forgets what is over.
    async fn purge(&mut self, purge: &Purge) -> Result<Purged, StorageError>;
}
