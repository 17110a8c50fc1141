//! LAYER 3: rows. It knows SQL and never a decision.
//!
//! A service asks [`Storage::read`] for a [`View`], which sees what is committed, or [`Storage::begin`] for a [`Repository`]: a unit of work
//! that can also change rows, and that leaves no trace unless [`Repository::commit`] says so. What is not there is `Ok(None)`; a row that
//! cannot be is [`StorageError::Inconsistent`]; the time and new ids are arguments. There is a trait an aggregate, each in two halves: what
//! can be asked (`…View`) and what can be done (`…Repository`), so that a reader cannot write.
//!
//! What is in here holds for memory, SQLite and PostgreSQL alike; `contract.rs` says it in tests.
//!
//! # Rules for whoever uses it
//!
//! - **Await nothing else while holding a unit.** SQLite has one writer: hash passwords, verify signatures and ask others before `begin`.
//! - **Answer after `commit` has returned**, never before: only then is it on disk.
//! - **Drop a unit after an error.** Whatever failed, the unit refuses every further question, and its `commit` fails.
//! - **Run a unit again on [`StorageError::Conflict`]**, from the beginning. With SQLite and in memory there is none; PostgreSQL's nodes
//!   can meet.

pub mod abroad;
pub mod account;
mod backup;
pub mod blob;
pub mod chain;
pub mod community;
pub mod contact;
#[cfg(test)]
pub(crate) mod contract;
pub mod device;
pub mod file;
pub mod invite;
pub mod mailbox;
pub mod memory;
mod migrate;
pub mod outstanding;
pub mod peer;
pub mod queue;

#[expect(clippy::duplicate_mod, reason = "the same queries, compiled once per database")]
pub mod postgres;
pub mod prekey;
pub mod retention;
pub mod server;
pub mod session;
pub mod sqlite;

use std::path::Path;

use async_trait::async_trait;

pub use self::{
    abroad::{AbroadRepository, AbroadView},
    account::{AccountRepository, AccountView},
    blob::{BlobRepository, BlobView},
    chain::{ChainRepository, ChainView},
    community::{CommunityRepository, CommunityView},
    contact::{ContactRepository, ContactView},
    device::{DeviceRepository, DeviceView},
    file::{FileRepository, FileView},
    invite::{InviteRepository, InviteView},
    mailbox::{MailboxRepository, MailboxView},
    outstanding::{OutstandingRepository, OutstandingView},
    peer::{PeerRepository, PeerView},
    prekey::{PrekeyRepository, PrekeyView},
    queue::{QueueRepository, QueueView},
    retention::{RetentionRepository, RetentionView},
    server::{ServerRepository, ServerView},
    session::{SessionRepository, SessionView},
};

/// Everything that can be asked.
///
/// Each question sees what is committed when it is asked; two questions need not see the same moment.
pub trait View:
    AccountView
    + InviteView
    + SessionView
    + DeviceView
    + ChainView
    + PrekeyView
    + MailboxView
    + ContactView
    + CommunityView
    + BlobView
    + FileView
    + PeerView
    + QueueView
    + OutstandingView
    + AbroadView
    + RetentionView
    + ServerView
    + Send
{
}

/// A unit of work: everything that can be asked and done, with no trace unless committed.
///
/// With SQLite and in memory it is alone while it lasts. With PostgreSQL other nodes' units go on beside it, so that what it was told may have
/// changed: what is decided on the state of a chain is asked by [`ChainRepository::hold_chains`], and every other change that depends on what
/// was there before says in its own words what it expects (take an invite, rotate a token, append to a chain, open an account).
///
/// Cancel-safe: dropping it, or any future of it, undoes all of it. A future that was dropped half-way leaves the unit as an error does.
#[async_trait]
pub trait Repository:
    View
    + AccountRepository
    + InviteRepository
    + SessionRepository
    + DeviceRepository
    + ChainRepository
    + PrekeyRepository
    + MailboxRepository
    + ContactRepository
    + CommunityRepository
    + BlobRepository
    + FileRepository
    + PeerRepository
    + QueueRepository
    + OutstandingRepository
    + AbroadRepository
    + RetentionRepository
    + ServerRepository
{
    /// Makes it lasting. When this returns `Ok`, everything of the unit is on disk, and every later question sees it.
    ///
    /// Dropping the future after it was first polled leaves open which of the two it became; nothing else is disturbed.
    async fn commit(self: Box<Self>) -> Result<(), StorageError>;
}

/// A database, open. Cheap to share behind an `Arc`.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Which kind it is, for people.
    fn kind(&self) -> Kind;

    /// Which life of the database this is: a random number from its creation or its last restore. Cursors carry it, because positions may be
    /// given again after a restore.
    fn incarnation(&self) -> u64;

    /// Begins a unit of work. With SQLite units wait here for their turn, in order of asking.
    async fn begin(&self) -> Result<Box<dyn Repository>, StorageError>;

    /// Takes a reader, which never waits for a writer.
    async fn read(&self) -> Result<Box<dyn View>, StorageError>;

    /// Finds out whether something can be stored now, by storing it.
    async fn probe(&self) -> Result<(), StorageError>;

    /// Copies everything, as of one moment and while work goes on, into the new folder `to`, and says how large the copy is.
    async fn backup(&self, to: &Path) -> Result<u64, BackupError>;

    /// Finishes what has begun, and closes. What is asked afterwards is [`StorageError::Unavailable`].
    async fn close(&self);
}

/// Which kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing lasts.
    Memory,
    /// One file.
    Sqlite,
    /// A server.
    Postgres,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// Why something was not stored or not read. Nothing of the unit is kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk is full. What is there can be read, and what is erased makes room.
    #[error("the disk is full")]
    Full,
    /// The database is away, closed, or busy for longer than we wait. It may come back by itself.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Another node's unit came in between: run this one again.
    #[error("another unit of work came in between")]
    Conflict,
    /// A row that no version of this program writes.
    #[error("a row of table {table} cannot be")]
    Inconsistent {
        /// Where it stands.
        table: &'static str,
    },
    /// The unit had failed or was cut off before, or the database answered what we did not expect: a bug, or a damaged disk.
    #[error("the database failed: {0}")]
    Broken(String),
}

/// Why there is no copy, or nothing was restored from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something at the target already; nothing is ever overwritten.
    #[error("{0} exists already: name a new folder")]
    Exists(std::path::PathBuf),
    /// The copy is not whole, was changed, or is of another version.
    #[error("the copy is not usable: {0}")]
    Unusable(String),
    /// The files could not be read or written.
    #[error("{path}")]
    Files {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// This kind of database keeps nothing that could be copied.
    #[error("a database in memory has no copies")]
    Unsupported,
}

/// How much a reader takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At most this many rows.
    pub rows: u32,
    /// No more rows once they have this many bytes together. The first row comes however large it is.
    pub bytes: usize,
}

/// Some rows, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}
