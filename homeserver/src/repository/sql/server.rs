//! What is true of the server as a whole: one row.

use async_trait::async_trait;
use rookery_protocol::{request::peering::Federation, time::Timestamp};
use sqlx::query;

use super::{Handle, row::Cells};
use crate::repository::{
    StorageError,
    server::{ServerRepository, ServerView},
};

const MISSING: StorageError = StorageError::Inconsistent { table: "server" };

#[async_trait]
impl ServerView for Handle {
    async fn federation(&mut self) -> Result<Option<Federation>, StorageError> {
        let row = self.first(query("SELECT federation FROM server")).await?.ok_or(MISSING)?;
        let number = Cells::of("server", &row).number_if_any(0)?;
        number.map(|number| Federation::from_number(number).ok_or(MISSING)).transpose()
    }

    async fn fenced(&mut self) -> Result<Option<Timestamp>, StorageError> {
        let row = self.first(query("SELECT fenced FROM server")).await?.ok_or(MISSING)?;
        Cells::of("server", &row).time_if_any(0)
    }
}

#[async_trait]
impl ServerRepository for Handle {
    async fn set_federation(&mut self, federation: Option<Federation>) -> Result<(), StorageError> {
        let number = federation.map(|federation| i64::from(federation.number()));
        self.execute(query("UPDATE server SET federation = $1").bind(number)).await.map(drop)
    }

    async fn set_fenced(&mut self, since: Option<Timestamp>) -> Result<(), StorageError> {
        let since = since.map(Timestamp::to_row);
        self.execute(query("UPDATE server SET fenced = $1").bind(since)).await.map(drop)
    }
}
