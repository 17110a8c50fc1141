//! Everything in `sql/`, over PostgreSQL, and what only PostgreSQL needs.
//!
//! Units are transactions at READ COMMITTED: any node may take any request, and what a unit decides on is held by row locks or said in the
//! change itself. Rows are always locked in the order of their keys. Where two nodes meet all the same (a deadlock that PostgreSQL ends, the
//! same message or claim taken in by both), the unit fails with [`StorageError::Conflict`] and is run again. A commit returns after the
//! log's fsync, whatever the server's own default is.

mod backup;
#[cfg(test)]
mod tests;

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

use std::{path::Path, str::FromStr as _, time::Duration};

use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Postgres as Database, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow as Row},
};

pub use self::backup::restore;
use self::{
    many::Many,
    row::Cells,
    unit::{Handle, Query},
};
use super::{BackupError, Kind, Repository, Storage, StorageError, View, migrate};

/// Whether parameters of many rows are `$1`, `$2`, … or all `?`: PostgreSQL knows numbers only.
const NUMBERED: bool = true;
/// Where mailboxes stand. The rows are made if need be, and held until the unit ends.
static HEADS: Many = Many::new(
    "WITH wanted (number, device, user_id) AS (",
    3,
    "), heads AS (
         INSERT INTO mailbox_head (device, user_id, last, waiting, bytes)
         SELECT device, user_id, 0, 0, 0 FROM wanted ORDER BY device
         ON CONFLICT (device) DO UPDATE SET last = mailbox_head.last
         RETURNING device, last, waiting, bytes
     )
     SELECT string_agg(number || ' ' || last || ' ' || waiting || ' ' || bytes, ' ')
     FROM wanted JOIN heads ON heads.device = wanted.device",
);
/// That messages were stored.
static MESSAGES: Many =
    Many::new("INSERT INTO message (item, sender, at)", 3, " ON CONFLICT DO NOTHING");
/// The envelopes.
static ROWS: Many = Many::new("INSERT INTO mailbox (device, position, at, size, envelope)", 5, "");
/// Holds mailboxes that are there.
static HOLD_HEADS: Option<Many> = Some(Many::new(
    "SELECT device FROM mailbox_head WHERE device IN (",
    1,
    ") ORDER BY device FOR UPDATE",
));
/// Holds chains against appending, and lets others hold them too.
const HOLD_CHAINS: &str = ") ORDER BY chain FOR SHARE";

/// How long to wait for a connection, and for a row that another unit holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the database is, and how it is used.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:port/database`; it is a secret.
    pub url: String,
    /// Connections of this node.
    pub connections: u32,
    /// The incarnation of the database, should it be empty now.
    pub incarnation: u64,
}

/// Without the password.
impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("url", &"***")
            .field("connections", &self.connections)
            .field("incarnation", &self.incarnation)
            .finish()
    }
}

/// A PostgreSQL database, open.
#[derive(Debug)]
pub struct Postgres {
    incarnation: u64,
    pool: PgPool,
}

impl Postgres {
    /// Opens the database and brings its schema up to date.
    pub async fn open(settings: &Settings) -> Result<Self, StorageError> {
        let options = options(&settings.url)?;
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections.max(2))
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(|error| failure(&error))?;
        let mut connection = pool.acquire().await.map_err(|error| failure(&error))?;
        migrate::postgres(&mut connection).await?;
        let incarnation = incarnation(&mut connection, settings.incarnation).await?;
        drop(connection);
        Ok(Self { incarnation, pool })
    }

    async fn unit(&self) -> Result<Handle, StorageError> {
        let transaction = self.pool.begin().await.map_err(|error| failure(&error))?;
        Ok(Handle::new(Lease::Unit(transaction)))
    }
}

#[async_trait]
impl Storage for Postgres {
    fn kind(&self) -> Kind {
        Kind::Postgres
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    async fn begin(&self) -> Result<Box<dyn Repository>, StorageError> {
        Ok(Box::new(self.unit().await?))
    }

    async fn read(&self) -> Result<Box<dyn View>, StorageError> {
        let connection = self.pool.acquire().await.map_err(|error| failure(&error))?;
        Ok(Box::new(Handle::new(Lease::Reader(connection))))
    }

    async fn probe(&self) -> Result<(), StorageError> {
        let mut unit = Box::new(self.unit().await?);
        unit.plain("UPDATE server SET probes = probes + 1").await?;
        unit.commit().await
    }

    async fn backup(&self, to: &Path) -> Result<u64, BackupError> {
        backup::copy(&self.pool, self.incarnation, to).await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// A connection in use.
enum Lease {
    Reader(PoolConnection<Database>),
    Unit(Transaction<'static, Database>),
}

impl Lease {
    #[expect(clippy::unnecessary_wraps, reason = "the other database can have lost it")]
    fn connection(&mut self) -> Result<&mut PgConnection, StorageError> {
        Ok(match self {
            Self::Reader(connection) => connection,
            Self::Unit(transaction) => transaction,
        })
    }

    fn is_unit(&self) -> bool {
        matches!(self, Self::Unit(_))
    }

    /// A transaction of PostgreSQL's remembers by itself that it failed.
    #[expect(clippy::unused_self, reason = "the other database has to be told")]
    fn note(&mut self, _: &StorageError) {}

    async fn commit(self) -> Result<(), StorageError> {
        match self {
            Self::Reader(_) => Ok(()),
            Self::Unit(transaction) => transaction.commit().await.map_err(|error| failure(&error)),
        }
    }
}

fn options(url: &str) -> Result<PgConnectOptions, StorageError> {
    let wrong = |_| StorageError::Broken("the database's URL cannot be read".to_owned());
    let patience = PATIENCE.as_millis().to_string();
    let options = PgConnectOptions::from_str(url).map_err(wrong)?;
    Ok(options
        .application_name("rookeryd")
        .options([("synchronous_commit", "on"), ("lock_timeout", &patience)])
        .statement_cache_capacity(512)
        .disable_statement_logging())
}

async fn incarnation(connection: &mut PgConnection, new: u64) -> Result<u64, StorageError> {
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

/// What an error of the database means to us, by SQLSTATE (PostgreSQL, appendix A).
fn failure(error: &sqlx::Error) -> StorageError {
    let text = error.to_string();
    let code = match error {
        sqlx::Error::Database(error) => error.code(),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => return StorageError::Unavailable(text),
        _ => None,
    };
    match code.as_deref() {
        // disk_full.
        Some("53100") => StorageError::Full,
        // serialization_failure, deadlock_detected.
        Some("40001" | "40P01") => StorageError::Conflict,
        // read_only_sql_transaction, lock_not_available, query_canceled.
        Some("25006" | "55P03" | "57014") => StorageError::Unavailable(text),
        // Connections, resources, an administrator's shutdown, I/O.
        Some(code) if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            StorageError::Unavailable(text)
        }
        _ => StorageError::Broken(text),
    }
}
