//! The one writer, and its group commit.
//!
//! A task owns the writing connection and lends it to one unit of work after another, in order of asking. All units that come while others
//! wait share one transaction, each in a savepoint of its own, and one fsync. Nobody waits for a group to fill: as soon as nobody is waiting
//! for the connection, or the group has 1,024 units, it is committed, and what arrives during the fsync is the next group.
//!
//! The first unit of a group needs no savepoint: before it there is nothing in the transaction. Most are alone, and under a savepoint
//! SQLite copies every page before it is changed.
//!
//! The connection goes back to the task when a unit commits, is dropped, or panics, so that no way to end a unit can keep it. A unit that
//! fails takes back what it did itself and nobody else's. When SQLite has rolled back the whole transaction (as it does when the disk is
//! full), or the commit fails, every unit of the group fails: none has been answered yet. The connection is then opened anew, and the next
//! group begins on a clean one. Frames of a failed commit are overwritten by the next one, so that an fsync that failed is never followed by
//! one that only seems to make it good.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::failure;
use crate::repository::StorageError;

/// Units in one transaction: enough to make the fsync cheap for each, few enough that the first does not wait long.
const GROUP: usize = 1024;
/// Units that wait for the connection. Whoever comes then waits for a place among them.
const QUEUE: usize = 1024;

/// The handle of the writer.
#[derive(Debug)]
pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Groups that were committed.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests count the groups"))]
    groups: Arc<AtomicU64>,
}

/// Somebody who wants the connection.
type Request = oneshot::Sender<Result<Turn, StorageError>>;
/// Somebody who waits for the group's commit.
type Answer = oneshot::Sender<Result<(), StorageError>>;

impl Writer {
    /// Starts the task, which opens further connections by `options` when it has to.
    pub(super) fn start(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let groups = Arc::default();
        let task = Task {
            options,
            connection: Some(connection),
            queue,
            group: vec![],
            units: 0,
            groups: Arc::clone(&groups),
        };
        tasks.spawn(task.run(closing.clone()));
        tasks.close();
        Self { requests, tasks, closing, groups }
    }

    /// How many groups have been committed.
    #[cfg(test)]
    pub(super) fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Waits for the connection. Cancel-safe: who stops waiting is passed over.
    pub(super) async fn begin(&self) -> Result<Turn, StorageError> {
        let (request, turn) = oneshot::channel();
        self.requests.send(request).await.map_err(|_| closed())?;
        turn.await.map_err(|_| closed())?
    }

    /// Serves who waits, then ends.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }
}

/// A unit's time with the connection.
#[derive(Debug)]
pub(super) struct Turn {
    /// Nothing once it has gone back.
    held: Option<(SqliteConnection, oneshot::Sender<Back>)>,
    failure: Option<StorageError>,
}

/// How a turn ends.
#[derive(Debug)]
struct Back {
    connection: SqliteConnection,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    /// Let it last, and say when it does.
    Keep(Answer),
    /// Take back what it did. It may have failed before.
    Undo(Option<StorageError>),
}

impl Turn {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StorageError> {
        let held = self.held.as_mut().map(|(connection, _)| connection);
        held.ok_or_else(|| StorageError::Broken("the unit has ended".to_owned()))
    }

    /// Remembers what the unit failed with, for the others in the group, should it have failed for all.
    pub(super) fn note(&mut self, error: &StorageError) {
        self.failure.get_or_insert_with(|| error.clone());
    }

    /// Ends the turn, and waits until what was done is on disk.
    pub(super) async fn commit(mut self) -> Result<(), StorageError> {
        let (answer, committed) = oneshot::channel();
        self.end(Verdict::Keep(answer));
        committed.await.map_err(|_| closed())?
    }

    fn end(&mut self, verdict: Verdict) {
        if let Some((connection, back)) = self.held.take() {
            // The task waits for it, or has been aborted together with the process.
            drop(back.send(Back { connection, verdict }));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let failure = self.failure.take();
        self.end(Verdict::Undo(failure));
    }
}

/// The task that owns the connection.
struct Task {
    options: SqliteConnectOptions,
    /// Nothing while it is lent, or after it was given up.
    connection: Option<SqliteConnection>,
    queue: mpsc::Receiver<Request>,
    /// Those whose units are kept, and wait for the commit.
    group: Vec<Answer>,
    /// Units in the open transaction, kept or undone; there is none while this is zero.
    units: usize,
    groups: Arc<AtomicU64>,
}

impl Task {
    async fn run(mut self, closing: CancellationToken) {
        loop {
            let request = tokio::select! {
                biased;
                request = self.queue.recv() => request,
                () = closing.cancelled() => {
                    self.queue.close();
                    self.queue.recv().await
                }
            };
            let Some(request) = request else { break };
            if let Err(error) = self.serve_group(request).await {
                self.give_up(&error).await;
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database was not closed in order; its log is replayed at the next start");
        }
    }

    /// Lends the connection to `first` and to all who wait, and commits. An error fails the whole group.
    async fn serve_group(&mut self, first: Request) -> Result<(), StorageError> {
        let mut next = Some(first);
        while let Some(request) = next {
            if !request.is_closed() {
                self.serve(request).await?;
            }
            if self.units >= GROUP {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        if self.units == 0 {
            return Ok(());
        }
        let end = if self.group.is_empty() { "ROLLBACK" } else { "COMMIT" };
        self.say(end).await?;
        self.units = 0;
        self.groups.fetch_add(1, Ordering::Relaxed);
        for answer in self.group.drain(..) {
            // Who no longer waits has chosen not to know.
            drop(answer.send(Ok(())));
        }
        Ok(())
    }

    /// Lends the connection to one unit. An error is one of the transaction: the whole group's.
    async fn serve(&mut self, request: Request) -> Result<(), StorageError> {
        if let Err(error) = self.open_unit().await {
            drop(request.send(Err(error.clone())));
            return Err(error);
        }
        self.units = self.units.saturating_add(1);
        let lost = || StorageError::Broken("a unit lost the connection".to_owned());
        let connection = self.connection.take().ok_or_else(lost)?;
        let (back, returned) = oneshot::channel();
        // Should nobody take it any more, the turn comes straight back.
        drop(request.send(Ok(Turn { held: Some((connection, back)), failure: None })));
        let Back { connection, verdict } = returned.await.map_err(|_| lost())?;
        self.connection = Some(connection);
        match verdict {
            Verdict::Keep(answer) => self.group.push(answer),
            // SQLite may have rolled back everything; then there is no savepoint, and the group has failed with the unit.
            Verdict::Undo(failure) => {
                self.undo().await.map_err(|error| failure.unwrap_or(error))?;
            }
        }
        Ok(())
    }

    /// Takes back the last unit: the first of a transaction together with it.
    async fn undo(&mut self) -> Result<(), StorageError> {
        if self.units > 1 {
            return self.say("ROLLBACK TO unit").await;
        }
        self.say("ROLLBACK").await?;
        self.units = 0;
        Ok(())
    }

    async fn open_unit(&mut self) -> Result<(), StorageError> {
        if self.connection.is_none() {
            let connection = self.options.clone().connect().await;
            self.connection = Some(connection.map_err(|error| failure(&error))?);
        }
        self.say(match self.units {
            0 => "BEGIN IMMEDIATE",
            1 => "SAVEPOINT unit",
            _ => "RELEASE unit; SAVEPOINT unit",
        })
        .await
    }

    async fn say(&mut self, text: &'static str) -> Result<(), StorageError> {
        let connection = self.connection.as_mut();
        let connection =
            connection.ok_or_else(|| StorageError::Broken("no connection".to_owned()))?;
        sqlx::query(text).execute(connection).await.map(|_| ()).map_err(|error| failure(&error))
    }

    /// Fails the group, and lets go of the connection together with its transaction.
    async fn give_up(&mut self, error: &StorageError) {
        tracing::error!(%error, units = self.units, "nothing of a group of units was stored");
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing the connection of a failed group");
        }
        self.units = 0;
        for answer in self.group.drain(..) {
            drop(answer.send(Err(error.clone())));
        }
    }
}

fn closed() -> StorageError {
    StorageError::Unavailable("the database was closed".to_owned())
}
