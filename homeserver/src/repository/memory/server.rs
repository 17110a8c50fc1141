//! What is true of the server as a whole.

use async_trait::async_trait;
use rookery_protocol::{request::peering::Federation, time::Timestamp};

use super::Handle;
use crate::repository::{
    StorageError,
    server::{ServerRepository, ServerView},
};

#[async_trait]
impl ServerView for Handle {
    async fn federation(&mut self) -> Result<Option<Federation>, StorageError> {
        Ok(self.rows().federation)
    }

    async fn fenced(&mut self) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.rows().fenced)
    }
}

#[async_trait]
impl ServerRepository for Handle {
    async fn set_federation(&mut self, federation: Option<Federation>) -> Result<(), StorageError> {
        self.change()?.federation = federation;
        Ok(())
    }

    async fn set_fenced(&mut self, since: Option<Timestamp>) -> Result<(), StorageError> {
        self.change()?.fenced = since;
        Ok(())
    }
}
