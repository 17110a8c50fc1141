//! Where a law is tried: an empty storage of each kind, which is gone afterwards.

use std::{ops::Deref, time::Duration};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

use crate::repository::{Storage, memory, postgres, sqlite};

const INCARNATION: u64 = 0x1234_5678_9abc;

pub(super) struct Memory(memory::Memory);

impl Memory {
    pub(super) fn new() -> Self {
        Self(memory::Memory::new(INCARNATION))
    }
}

impl Deref for Memory {
    type Target = dyn Storage;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

pub(super) struct Sqlite {
    storage: sqlite::Sqlite,
    _folder: tempfile::TempDir,
}

impl Sqlite {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rookery.db");
        let settings = sqlite::Settings { path, readers: 2, incarnation: INCARNATION };
        Self { storage: sqlite::Sqlite::open(settings).await.unwrap(), _folder: folder }
    }

    pub(super) async fn close(self) {
        self.storage.close().await;
    }
}

impl Deref for Sqlite {
    type Target = dyn Storage;
    fn deref(&self) -> &Self::Target {
        &self.storage
    }
}

pub(crate) struct Postgres {
    /// Nothing while the database is empty.
    storage: Option<postgres::Postgres>,
    server: PgConnectOptions,
    database: String,
}

impl Postgres {
    /// An open database.
    pub(crate) async fn new(law: &str) -> Self {
        let mut place = Self::empty(law).await;
        place.storage = Some(place.another_node().await);
        place
    }

    /// A database without tables.
    pub(crate) async fn empty(law: &str) -> Self {
        let url = std::env::var("ROOKERY_TEST_POSTGRES").expect(
            "ROOKERY_TEST_POSTGRES is not set: run the tests by `tests/postgres run cargo test`, \
             so that the laws are tried on PostgreSQL too",
        );
        let server: PgConnectOptions = url.parse().unwrap();
        let mut number = [0; 4];
        getrandom::fill(&mut number).unwrap();
        let law = law.get(..40).unwrap_or(law);
        let database = format!("{law}_{:08x}", u32::from_be_bytes(number));
        let place = Self { storage: None, server, database };
        place.on_server(format!("CREATE DATABASE {}", place.database)).await;
        place
    }

    pub(crate) fn settings(&self, incarnation: u64) -> postgres::Settings {
        let url = self.server.clone().database(&self.database).to_url_lossy().to_string();
        postgres::Settings { url, connections: 4, incarnation }
    }

    /// The same database, opened once more.
    pub(crate) async fn another_node(&self) -> postgres::Postgres {
        postgres::Postgres::open(&self.settings(INCARNATION)).await.unwrap()
    }

    pub(crate) async fn close(mut self) {
        if let Some(storage) = self.storage.take() {
            tokio::time::timeout(Duration::from_secs(20), storage.close()).await.unwrap();
        }
        self.remove().await;
    }

    pub(crate) async fn remove(self) {
        self.on_server(format!("DROP DATABASE {}", self.database)).await;
    }

    async fn on_server(&self, text: String) {
        let mut connection = self.server.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Deref for Postgres {
    type Target = dyn Storage;
    fn deref(&self) -> &Self::Target {
        self.storage.as_ref().unwrap()
    }
}
