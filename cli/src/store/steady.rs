//! The store's database where nothing may wait for another thread: in a simulation, in which time passes whenever every task waits.
//!
//! It is the same file and the same statements. Each statement is over when it returns, though: the thread waits for it, and so the order of what
//! happens is the same every time. Elsewhere connections are pooled, and a task that waits for one lets others go on.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use futures::{Stream, future::BoxFuture, stream::BoxStream};
use sqlx::{
    ConnectOptions as _, Connection as _, Either, Error, Execute, Executor, SqlStr, Sqlite,
    SqliteConnection, Transaction,
    sqlite::{SqliteConnectOptions, SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTypeInfo},
};
use tokio::sync::OwnedMutexGuard;

/// The connections to one file: one that writes, and whatever reads.
#[derive(Clone, Debug)]
pub(super) struct Steady(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: SqliteConnectOptions,
    writer: Arc<tokio::sync::Mutex<Option<SqliteConnection>>>,
    readers: Mutex<Option<Vec<SqliteConnection>>>,
}

/// A unit under way, on a connection of a pool or of a [`Steady`] database.
#[derive(Debug)]
pub(super) enum Turn {
    Pooled(Transaction<'static, Sqlite>),
    Held(Held),
}

/// A connection to a [`Steady`] database in a unit, until that is over.
#[derive(Debug)]
pub(super) struct Held(Option<Hold>);

#[derive(Debug)]
enum Hold {
    Writing(OwnedMutexGuard<Option<SqliteConnection>>),
    Reading(Box<SqliteConnection>, Steady),
}

impl Steady {
    /// Opens the file.
    pub(super) fn open(options: SqliteConnectOptions) -> Result<Self, Error> {
        let writer = Arc::new(tokio::sync::Mutex::new(Some(wait(options.connect())?)));
        Ok(Self(Arc::new(Shared { options, writer, readers: Mutex::new(Some(vec![])) })))
    }

    /// Begins a unit that writes; waits for the one before it to end.
    pub(super) async fn write(&self) -> Result<Turn, Error> {
        let mut connection = Arc::clone(&self.0.writer).lock_owned().await;
        wait(open(&mut connection)?.execute("BEGIN IMMEDIATE"))?;
        Ok(Turn::Held(Held(Some(Hold::Writing(connection)))))
    }

    /// Begins a unit that reads.
    pub(super) fn read(&self) -> Result<Turn, Error> {
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = readers.as_mut().ok_or(Error::PoolClosed)?.pop();
        drop(readers);
        let mut connection = match reader {
            Some(connection) => connection,
            None => wait(self.0.options.connect())?,
        };
        wait(connection.execute("BEGIN"))?;
        Ok(Turn::Held(Held(Some(Hold::Reading(Box::new(connection), self.clone())))))
    }

    /// Closes the file.
    pub(super) async fn close(&self) {
        let readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.0.writer.lock().await.take();
        for connection in readers.into_iter().flatten().chain(writer) {
            wait(connection.close()).ok();
        }
    }
}

fn open(connection: &mut Option<SqliteConnection>) -> Result<&mut SqliteConnection, Error> {
    connection.as_mut().ok_or(Error::PoolClosed)
}

impl Turn {
    /// Makes what was written durable.
    pub(super) async fn commit(self: Box<Self>) -> Result<(), Error> {
        match *self {
            Self::Pooled(transaction) => transaction.commit().await,
            Self::Held(mut held) => held.end("COMMIT"),
        }
    }
}

impl Held {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        match self.0.as_mut() {
            Some(Hold::Writing(connection)) => open(connection),
            Some(Hold::Reading(connection, _)) => Ok(&mut *connection),
            None => Err(Error::PoolClosed),
        }
    }

    /// Ends the unit, and gives its connection back.
    fn end(&mut self, how: &'static str) -> Result<(), Error> {
        let ended = self.connection().and_then(|connection| wait(connection.execute(how)));
        if let Some(Hold::Reading(connection, of)) = self.0.take()
            && ended.is_ok()
            && let Some(readers) =
                of.0.readers.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            readers.push(*connection);
        }
        ended.map(|_| ())
    }
}

/// A unit that was not committed leaves nothing.
impl Drop for Held {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.end("ROLLBACK").ok();
        }
    }
}

impl<'c> Executor<'c> for &'c mut Turn {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        match self {
            Turn::Pooled(transaction) => transaction.fetch_many(query),
            Turn::Held(held) => match held.connection() {
                Ok(connection) => Box::pin(Waiting(connection.fetch_many(query))),
                Err(error) => Box::pin(futures::stream::iter([Err(error)])),
            },
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<SqliteRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        match self {
            Turn::Pooled(transaction) => transaction.fetch_optional(query),
            Turn::Held(held) => match held.connection() {
                Ok(connection) => Box::pin(Waiting(connection.fetch_optional(query))),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            },
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [SqliteTypeInfo],
    ) -> BoxFuture<'e, Result<SqliteStatement, Error>>
    where
        'c: 'e,
    {
        match self {
            Turn::Pooled(transaction) => transaction.prepare_with(sql, parameters),
            Turn::Held(held) => match held.connection() {
                Ok(connection) => Box::pin(Waiting(connection.prepare_with(sql, parameters))),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            },
        }
    }
}

/// Something that is ready whenever it is asked: the thread waits for it.
struct Waiting<T>(Pin<Box<T>>)
where
    T: ?Sized;

impl<T: Future + ?Sized> Future for Waiting<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T::Output> {
        Poll::Ready(until_ready(|context| self.0.as_mut().poll(context)))
    }
}

impl<T: Stream + ?Sized> Stream for Waiting<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T::Item>> {
        Poll::Ready(until_ready(|context| self.0.as_mut().poll_next(context)))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn until_ready<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

/// Has the thread wait for `future`.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    until_ready(|context| future.as_mut().poll(context))
}
