//! Everything in `sql/`, over SQLite, and what only SQLite needs: one writer that commits in groups, and a pool of readers.
//!
//! The file is in WAL mode with `synchronous = FULL`: a commit returns after the log's fsync, and readers never wait for the writer.

mod backup;
#[cfg(test)]
mod tests;
mod writer;

#[path = "../sql/abroad/mod.rs"]
mod abroad;
#[path = "../sql/account.rs"]
mod account;
#[path = "../sql/blob.rs"]
mod blob;
#[path = "../sql/chain.rs"]
mod chain;
#[path = "../sql/community.rs"]
mod community;
#[path = "../sql/contact.rs"]
mod contact;
#[path = "../sql/device.rs"]
mod device;
#[path = "../sql/file.rs"]
mod file;
#[path = "../sql/invite.rs"]
mod invite;
#[path = "../sql/mailbox.rs"]
mod mailbox;
#[path = "../sql/many.rs"]
mod many;
#[path = "../sql/outstanding.rs"]
mod outstanding;
#[path = "../sql/peer.rs"]
mod peer;
#[path = "../sql/prekey.rs"]
mod prekey;
#[path = "../sql/queue.rs"]
mod queue;
#[path = "../sql/retention.rs"]
mod retention;
#[path = "../sql/row.rs"]
mod row;
#[path = "../sql/server.rs"]
mod server;
#[path = "../sql/session.rs"]
mod session;
#[path = "../sql/unit.rs"]
mod unit;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Sqlite as Database,
    pool::PoolConnection,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
        SqliteRow as Row, SqliteSynchronous,
    },
};

pub use self::backup::restore;
use self::{
    many::Many,
    row::Cells,
    unit::{Handle, Query},
    writer::{Turn, Writer},
};
use super::{BackupError, Kind, Repository, Storage, StorageError, View, migrate};

/// Whether parameters of many rows are `$1`, `$2`, … or all `?`: to find the name of each, SQLite walks through all of them.
const NUMBERED: bool = false;
/// That messages were stored. A row that cannot be fails its whole unit, so that SQLite need not be ready to take back this query alone,
/// for which it would copy every page before it is changed.
static MESSAGES: Many =
    Many::new("INSERT OR FAIL INTO message (item, sender, at)", 3, " ON CONFLICT DO NOTHING");
/// The envelopes.
static ROWS: Many =
    Many::new("INSERT OR FAIL INTO mailbox (device, position, at, size, envelope)", 5, "");
/// Where mailboxes stand. The writer is alone, so that nothing need be held.
static HEADS: Many = Many::new(
    "WITH wanted (number, device, user_id) AS (",
    3,
    ") SELECT string_agg(number || ' ' || last || ' ' || waiting || ' ' || bytes, ' ')
     FROM wanted CROSS JOIN mailbox_head WHERE mailbox_head.device = wanted.device",
);
/// The writer is alone.
static HOLD_HEADS: Option<Many> = None;
/// The writer is alone.
const HOLD_CHAINS: &str = ")";

/// How long to wait for another process that has the file, such as a copy under way.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many pages the log holds before they go into the file: 16 MiB. Mailbox pages are written again and again, so that fewer, larger
/// checkpoints write each of them once.
const CHECKPOINT_PAGES: &str = "4096";

/// What each connection keeps of the file in memory: 8 MiB. The kernel keeps the rest, once for all of them.
const CACHE: &str = "-8192";

/// Where the file is, and how it is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file; it is made when it is not there.
    pub path: PathBuf,
    /// How many can read at once.
    pub readers: u32,
    /// The incarnation of the database, should it be made now.
    pub incarnation: u64,
}

/// An SQLite database, open.
#[derive(Debug)]
pub struct Sqlite {
    incarnation: u64,
    path: PathBuf,
    writer: Writer,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens the file, makes it if need be, and brings its schema up to date.
    pub async fn open(settings: Settings) -> Result<Self, StorageError> {
        let options = options(&settings.path);
        let mut connection = options.clone().connect().await.map_err(|error| failure(&error))?;
        migrate::sqlite(&mut connection).await?;
        let incarnation = incarnation(&mut connection, settings.incarnation).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(settings.readers.max(1))
            .acquire_timeout(BUSY_TIMEOUT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone().pragma("query_only", "on"));
        let writer = Writer::start(options, connection);
        Ok(Self { incarnation, path: settings.path, writer, readers })
    }
}

#[async_trait]
impl Storage for Sqlite {
    fn kind(&self) -> Kind {
        Kind::Sqlite
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    async fn begin(&self) -> Result<Box<dyn Repository>, StorageError> {
        Ok(Box::new(Handle::new(Lease::Unit(self.writer.begin().await?))))
    }

    async fn read(&self) -> Result<Box<dyn View>, StorageError> {
        let connection = self.readers.acquire().await.map_err(|error| failure(&error))?;
        Ok(Box::new(Handle::new(Lease::Reader(connection))))
    }

    async fn probe(&self) -> Result<(), StorageError> {
        let mut unit = Box::new(Handle::new(Lease::Unit(self.writer.begin().await?)));
        unit.plain("UPDATE server SET probes = probes + 1").await?;
        unit.commit().await
    }

    async fn backup(&self, to: &Path) -> Result<u64, BackupError> {
        backup::copy(&self.path, self.incarnation, to).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A connection in use.
enum Lease {
    Reader(PoolConnection<Database>),
    Unit(Turn),
}

impl Lease {
    fn connection(&mut self) -> Result<&mut SqliteConnection, StorageError> {
        match self {
            Self::Reader(connection) => Ok(connection),
            Self::Unit(turn) => turn.connection(),
        }
    }

    fn is_unit(&self) -> bool {
        matches!(self, Self::Unit(_))
    }

    /// Remembers what the unit failed with.
    fn note(&mut self, error: &StorageError) {
        if let Self::Unit(turn) = self {
            turn.note(error);
        }
    }

    async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Reader(_) => Ok(()),
            Self::Unit(turn) => turn.commit().await,
        }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        // After a burst the log goes back to this.
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", CACHE)
        .pragma("temp_store", "memory")
        .statement_cache_capacity(512)
        .row_buffer_size(512)
        .disable_statement_logging()
}

async fn incarnation(connection: &mut SqliteConnection, new: u64) -> Result<u64, StorageError> {
    sqlx::query("INSERT INTO server (one, incarnation) VALUES (1, $1) ON CONFLICT DO NOTHING")
        .bind(row::to_row(new))
        .execute(&mut *connection)
        .await
        .map_err(|error| failure(&error))?;
    let row = sqlx::query("SELECT incarnation FROM server")
        .fetch_one(connection)
        .await
        .map_err(|error| failure(&error))?;
    Cells::of("server", &row).number(0)
}

/// What an error of the database means to us. The numbers are SQLite's primary result codes.
fn failure(error: &sqlx::Error) -> StorageError {
    let text = error.to_string();
    let code = match error {
        sqlx::Error::Database(error) => {
            error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff)
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            return StorageError::Unavailable(text);
        }
        _ => None,
    };
    match code {
        // SQLITE_FULL.
        Some(13) => StorageError::Full,
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN.
        Some(5 | 6 | 8 | 10 | 14) => StorageError::Unavailable(text),
        _ => StorageError::Broken(text),
    }
}
