//! What is true of the server as a whole.

use async_trait::async_trait;
use rookery_protocol::{request::peering::Federation, time::Timestamp};

use super::StorageError;

/// What is read.
#[async_trait]
pub trait ServerView {
    /// What an administrator has decided while the server ran, instead of what the configuration says.
    async fn federation(&mut self) -> Result<Option<Federation>, StorageError>;

    /// Since when a restored database waits for what its peers have kept of it.
    async fn fenced(&mut self) -> Result<Option<Timestamp>, StorageError>;
}

/// What is changed.
#[async_trait]
pub trait ServerRepository: ServerView {
    /// Decides with which other homeservers there is anything to do; with nothing, the configuration does.
    async fn set_federation(&mut self, federation: Option<Federation>) -> Result<(), StorageError>;

    /// Has a restored database wait, or not any more.
    async fn set_fenced(&mut self, since: Option<Timestamp>) -> Result<(), StorageError>;
}
