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

pub(super) struct Postgres {
    storage: postgres::Postgres,
    server: PgConnectOptions,
    database: String,
}

impl Postgres {
    pub(super) async fn new(law: &str) -> Self {
        let url = std::env::var("ROOKERY_TEST_POSTGRES").expect(
            "ROOKERY_TEST_POSTGRES is not set: run the tests by `tests/postgres run cargo test`, so that the laws are tried on PostgreSQL too",
        );
        let server: PgConnectOptions = url.parse().unwrap();
        let mut number = [0; 4];
        getrandom::fill(&mut number).unwrap();
        let law = law.get(..40).unwrap_or(law);
        let database = format!("{law}_{:08x}", u32::from_be_bytes(number));
        let mut connection = server.connect().await.unwrap();
        let text = format!("CREATE DATABASE {database}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let url = server.clone().database(&database).to_url_lossy().to_string();
        let settings = postgres::Settings { url, connections: 4, incarnation: INCARNATION };
        let storage = postgres::Postgres::open(&settings).await.unwrap();
        Self { storage, server, database }
    }

    pub(super) async fn close(self) {
        tokio::time::timeout(Duration::from_secs(20), self.storage.close()).await.unwrap();
        let mut connection = self.server.connect().await.unwrap();
        let text = format!("DROP DATABASE {}", self.database);
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Deref for Postgres {
    type Target = dyn Storage;
    fn deref(&self) -> &Self::Target {
        &self.storage
    }
}
