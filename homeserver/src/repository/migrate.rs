//! The schema, brought up to date when a database is opened. A migration that has landed is never edited; a database that is newer than the
//! program is refused.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
    postgres::PgConnection,
    sqlite::SqliteConnection,
};

use super::StorageError;

/// Number, name and text of each migration.
type Steps = [(i64, &'static str, &'static str)];

const SQLITE: &Steps =
    &[(1, "begin", include_str!("../../../migrations/homeserver/sqlite/0001_begin.sql"))];
const POSTGRES: &Steps =
    &[(1, "begin", include_str!("../../../migrations/homeserver/postgres/0001_begin.sql"))];

/// Brings an SQLite file up to date.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<(), StorageError> {
    run(SQLITE, connection).await
}

/// Brings a PostgreSQL database up to date, while other nodes that want the same wait.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<(), StorageError> {
    run(POSTGRES, connection).await
}

/// How far the schema of this program goes.
pub(super) fn newest() -> i64 {
    SQLITE.last().map_or(0, |step| step.0)
}

async fn run<C: Migrate>(steps: &Steps, connection: &mut C) -> Result<(), StorageError> {
    let migrations = steps.iter().map(|(number, name, text)| {
        Migration::new(*number, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run_direct(None, connection, false).await.map_err(failure)
}

fn failure(error: MigrateError) -> StorageError {
    StorageError::Broken(match error {
        MigrateError::VersionMissing(number) => format!(
            "the database has schema {number}, and this program knows up to {}: it is too old",
            newest()
        ),
        error => error.to_string(),
    })
}
