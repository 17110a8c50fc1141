//! A reader or a unit of work on one connection, and how it asks.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use super::{Database, Lease, Row, failure, many::Many};
use crate::repository::{Limit, Page, Repository, StorageError, View};

/// A query with what is bound to it.
pub(super) type Query<'q> =
    sqlx::query::Query<'q, Database, <Database as sqlx::Database>::Arguments>;

/// A reader, or a unit of work.
pub(super) struct Handle {
    lease: Lease,
    state: State,
}

/// Whether a unit may still become something.
enum State {
    /// All is well.
    Sound,
    /// A query is under way. Found at the beginning of the next one, it was cut off, and nobody knows what it did.
    Asking,
    /// A query failed. PostgreSQL refuses everything after that; SQLite may have rolled back, and would take the rest alone.
    Failed(StorageError),
}

impl Handle {
    pub(super) fn new(lease: Lease) -> Self {
        Self { lease, state: State::Sound }
    }

    /// Runs `query`, and says how many rows it changed.
    pub(super) async fn execute(&mut self, query: Query<'_>) -> Result<u64, StorageError> {
        self.enter()?;
        let outcome = query.execute(self.lease.connection()?).await;
        self.leave(outcome).map(|done| done.rows_affected())
    }

    /// Runs `query` for its first row.
    pub(super) async fn first(&mut self, query: Query<'_>) -> Result<Option<Row>, StorageError> {
        self.enter()?;
        let outcome = query.fetch_optional(self.lease.connection()?).await;
        self.leave(outcome)
    }

    /// Runs `query` for all its rows.
    pub(super) async fn all(&mut self, query: Query<'_>) -> Result<Vec<Row>, StorageError> {
        self.enter()?;
        let outcome = query.fetch_all(self.lease.connection()?).await;
        self.leave(outcome)
    }

    /// Runs a query that begins nothing and binds nothing.
    pub(super) async fn plain(&mut self, text: &'static str) -> Result<u64, StorageError> {
        self.execute(sqlx::query(text)).await
    }

    /// Runs `many` for all of `rows`, in as few queries as it takes, and says how many rows were changed. `bind` binds one row, by values
    /// that it gives away.
    pub(super) async fn execute_many<T>(
        &mut self,
        many: &Many,
        rows: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        bind: impl Fn(Query<'static>, T) -> Query<'static>,
    ) -> Result<u64, StorageError> {
        let mut rows = rows.into_iter();
        let mut changed = 0_u64;
        while rows.len() > 0 {
            let (count, text) = many.text(rows.len());
            let query = rows.by_ref().take(count).fold(sqlx::query(AssertSqlSafe(text)), &bind);
            changed = changed.saturating_add(self.execute(query).await?);
        }
        Ok(changed)
    }

    /// Runs `many` for all of `rows`, and gives all rows that come back.
    pub(super) async fn all_many<T>(
        &mut self,
        many: &Many,
        rows: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        bind: impl Fn(Query<'static>, T) -> Query<'static>,
    ) -> Result<Vec<Row>, StorageError> {
        let mut rows = rows.into_iter();
        let mut found = vec![];
        while rows.len() > 0 {
            let (count, text) = many.text(rows.len());
            let query = rows.by_ref().take(count).fold(sqlx::query(AssertSqlSafe(text)), &bind);
            found.append(&mut self.all(query).await?);
        }
        Ok(found)
    }

    /// Takes rows until `limit`; `size` says what one of them takes. The query asks for one row more than the limit has.
    pub(super) async fn page(
        &mut self,
        query: Query<'_>,
        limit: Limit,
        size: impl Fn(&Row) -> Result<usize, StorageError>,
    ) -> Result<Page<Row>, StorageError> {
        self.enter()?;
        let most = usize::try_from(limit.rows).unwrap_or(usize::MAX);
        let (mut rows, mut bytes, mut more) = (vec![], 0_usize, false);
        let mut coming = query.fetch(self.lease.connection()?);
        let outcome = loop {
            let row = match coming.try_next().await {
                Ok(Some(row)) => row,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if rows.len() >= most || (bytes >= limit.bytes && !rows.is_empty()) {
                more = true;
                break Ok(());
            }
            bytes = bytes.saturating_add(size(&row)?);
            rows.push(row);
        };
        drop(coming);
        self.leave(outcome)?;
        Ok(Page { rows, more })
    }

    /// Ends the unit, because another node came in between.
    pub(super) fn meet(&mut self) -> StorageError {
        self.lease.note(&StorageError::Conflict);
        self.state = State::Failed(StorageError::Conflict);
        StorageError::Conflict
    }

    fn enter(&mut self) -> Result<(), StorageError> {
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            State::Asking if self.lease.is_unit() => {
                let cut = StorageError::Broken("a query of this unit was cut off".to_owned());
                self.state = State::Failed(cut.clone());
                Err(cut)
            }
            State::Sound | State::Asking => {
                self.state = State::Asking;
                Ok(())
            }
        }
    }

    fn leave<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T, StorageError> {
        let outcome = outcome.map_err(|error| failure(&error));
        self.state = match &outcome {
            Err(error) if self.lease.is_unit() => {
                self.lease.note(error);
                State::Failed(error.clone())
            }
            _ => State::Sound,
        };
        outcome
    }
}

impl View for Handle {}

#[async_trait]
impl Repository for Handle {
    async fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.enter()?;
        let Self { lease, .. } = *self;
        lease.commit().await
    }
}
