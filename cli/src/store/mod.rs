//! The device's own sealed store: one SQLite file a profile, opened by the one process that owns the profile.
//!
//! Every value is sealed under a key that is not in the file, and bound to its table, column, row and the schema's version, so that rows
//! can be neither read nor swapped. Key columns are keyed hashes: the contact graph does not show. What does show to a thief of the disk is
//! how many rows there are, how large they are, and when they were written.
//!
//! Several writes are one [`Unit`]: it leaves no trace unless it is committed, and only one at a time can write. That is also what keeps a
//! ratchet from being used twice: whoever seals or opens holds the unit in which the ratchet's next state is written.

mod account;
mod chain;
mod channel;
mod community;
mod contact;
mod expiring;
mod journal;
mod key;
mod outbox;
mod pair;
mod post;
mod posting;
mod search;
#[cfg(feature = "simulation")]
mod steady;
mod timeline;
mod transfer;
mod vault;

use std::{os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use account::{Account, AccountStage, Name, Refused, Registering, Session};
pub use chain::StoredChain;
pub use channel::ChannelRow;
pub use community::{CommunityRow, Leaving, Standing};
pub use contact::ContactRow;
pub use expiring::{EXPIRED, Expiring};
pub use journal::JournalEntry;
pub use key::{Secret, UnlockError, create, opens_by_itself, unlock};
pub use outbox::{Outgoing, Receipt, SealedRequest, Unconfirmed};
pub use post::{Abouts, Erased, Place, PlacedPost, Post, PostPage, Told};
pub use posting::Posting;
pub use search::SegmentRow;
pub use timeline::{Message, MessageState, Page, Placed, Waits};
pub use transfer::{Transfer, TransferTask};
pub use vault::Vault;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full: nothing of the unit was written, what is there can be read.
    #[error("the disk is full; nothing was changed")]
    Full,
    /// The database cannot be read or written.
    #[error("the local store cannot be used")]
    Database(#[source] sqlx::Error),
    /// A row cannot be opened with this profile's key, or holds what it should not: it was changed or damaged.
    #[error("a row of the local store's table {table:?} is damaged, or belongs to another store")]
    Damaged {
        /// Where.
        table: &'static str,
    },
    /// The file was written by a newer version.
    #[error(
        "the local store has schema {found}, and this version knows {known}: it was made by a newer rookery"
    )]
    Newer {
        /// The file's.
        found: i64,
        /// Ours.
        known: i64,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // 13 is SQLITE_FULL; its extended codes keep it in the low byte.
        let code = error
            .as_database_error()
            .and_then(|error| error.code().and_then(|code| code.parse::<i64>().ok()));
        if code.is_some_and(|code| code & 0xff == 13) { Self::Full } else { Self::Database(error) }
    }
}

/// The schema, a file a version. A landed migration is never edited.
const MIGRATIONS: [&str; 6] = [
    include_str!("../../../migrations/client/0001_initial.sql"),
    include_str!("../../../migrations/client/0002_communities.sql"),
    include_str!("../../../migrations/client/0003_search.sql"),
    include_str!("../../../migrations/client/0004_seen.sql"),
    include_str!("../../../migrations/client/0005_expiring.sql"),
    include_str!("../../../migrations/client/0006_files.sql"),
];
/// Readers beside the writer: a page of history does not wait for an envelope.
const READERS: u32 = 2;
/// One process owns the profile, so the only rival is a checkpoint.
const BUSY: Duration = Duration::from_secs(10);

/// The database before it is unlocked: only its header can be read.
#[derive(Clone, Debug)]
pub struct Locked(Database);

#[derive(Clone, Debug)]
enum Database {
    Pooled {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    #[cfg(feature = "simulation")]
    Steady(steady::Steady),
}

#[cfg(not(feature = "simulation"))]
type Turn = Transaction<'static, Sqlite>;
#[cfg(feature = "simulation")]
type Turn = Box<steady::Turn>;

/// The unlocked store. Copies share it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Locked,
    vault: Arc<Vault>,
    chains: Arc<chain::Chains>,
}

/// A unit of work: all of it is written at [`Unit::commit`], or nothing.
#[derive(Debug)]
pub struct Unit {
    transaction: Turn,
    vault: Arc<Vault>,
    chains: Arc<chain::Chains>,
}

impl Locked {
    /// Opens the file at `path`, and makes it when there is none. Its directory has to be private already.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .pragma("secure_delete", "on")
            .busy_timeout(BUSY);
        #[cfg(feature = "simulation")]
        if rookery_protocol::io::simulation::Network::here().is_some() {
            let locked = Self(Database::Steady(steady::Steady::open(options)?));
            locked.migrate().await?;
            return Ok(locked);
        }
        let writer =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        // Readers are connected when first needed.
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options);
        let locked = Self(Database::Pooled { writer, readers });
        locked.migrate().await?;
        Ok(locked)
    }

    /// The store's header, if one was written: a store without one has never been used.
    pub async fn header(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut turn = self.begin_reading().await?;
        Ok(sqlx::query_scalar("SELECT bytes FROM header WHERE id = 1")
            .fetch_optional(&mut *turn)
            .await?)
    }

    /// Writes the header of a new store, or one whose slots have changed.
    pub async fn write_header(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut turn = self.begin_writing().await?;
        sqlx::query("INSERT INTO header (id, bytes) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes")
            .bind(bytes)
            .execute(&mut *turn)
            .await?;
        Ok(turn.commit().await?)
    }

    /// The store, now that its key is there.
    #[must_use]
    pub fn unlock(self, vault: Vault) -> Store {
        Store { database: self, vault: Arc::new(vault), chains: Arc::default() }
    }

    async fn begin_writing(&self) -> Result<Turn, sqlx::Error> {
        match &self.0 {
            Database::Pooled { writer, .. } => pooled(writer.begin_with("BEGIN IMMEDIATE")).await,
            #[cfg(feature = "simulation")]
            Database::Steady(steady) => Ok(Box::new(steady.write().await?)),
        }
    }

    async fn begin_reading(&self) -> Result<Turn, sqlx::Error> {
        match &self.0 {
            Database::Pooled { readers, .. } => pooled(readers.begin()).await,
            #[cfg(feature = "simulation")]
            Database::Steady(steady) => Ok(Box::new(steady.read()?)),
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut turn = self.begin_writing().await?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *turn).await?;
        drop(turn);
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        let done = usize::try_from(found).unwrap_or(0);
        for (index, script) in MIGRATIONS.iter().enumerate().skip(done) {
            let mut turn = self.begin_writing().await?;
            sqlx::raw_sql(*script).execute(&mut *turn).await?;
            let version = SET_VERSION.get(index).copied().unwrap_or_default();
            sqlx::raw_sql(version).execute(&mut *turn).await?;
            turn.commit().await?;
        }
        Ok(())
    }
}

impl Store {
    /// Begins a unit that writes. It waits for the one before it to end.
    pub async fn write(&self) -> Result<Unit, StoreError> {
        Ok(self.unit(self.database.begin_writing().await?))
    }

    /// Begins a unit that only reads: a snapshot, beside whatever is being written.
    pub async fn read(&self) -> Result<Unit, StoreError> {
        Ok(self.unit(self.database.begin_reading().await?))
    }

    fn unit(&self, transaction: Turn) -> Unit {
        let (vault, chains) = (Arc::clone(&self.vault), Arc::clone(&self.chains));
        Unit { transaction, vault, chains }
    }

    /// The database under the store, for its header.
    #[must_use]
    pub fn locked(&self) -> &Locked {
        &self.database
    }

    /// Closes the file in order.
    pub async fn close(&self) {
        match &self.database.0 {
            Database::Pooled { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            #[cfg(feature = "simulation")]
            Database::Steady(steady) => steady.close().await,
        }
    }
}

impl Unit {
    /// Makes everything of this unit durable.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

/// Makes the file, unless it is there: `SQLite` would let the group and others read it; its journals take after it.
fn make_private(path: &Path) -> std::io::Result<()> {
    match std::fs::File::options().create_new(true).append(true).mode(0o600).open(path) {
        Ok(_) => crate::config::sync_directory_of(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

async fn pooled(
    begins: impl Future<Output = Result<Transaction<'static, Sqlite>, sqlx::Error>>,
) -> Result<Turn, sqlx::Error> {
    let transaction = begins.await?;
    #[cfg(feature = "simulation")]
    let transaction = Box::new(steady::Turn::Pooled(transaction));
    Ok(transaction)
}

/// A pragma takes no parameter, so each version is spelt out.
const SET_VERSION: [&str; MIGRATIONS.len()] = [
    "PRAGMA user_version = 1",
    "PRAGMA user_version = 2",
    "PRAGMA user_version = 3",
    "PRAGMA user_version = 4",
    "PRAGMA user_version = 5",
    "PRAGMA user_version = 6",
];

#[cfg(test)]
mod tests;
