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

const SQLITE: &Steps = &[
    (1, "begin", include_str!("../../../migrations/homeserver/sqlite/0001_begin.sql")),
    (2, "communities", include_str!("../../../migrations/homeserver/sqlite/0002_communities.sql")),
    (3, "peers", include_str!("../../../migrations/homeserver/sqlite/0003_peers.sql")),
    (4, "abroad", include_str!("../../../migrations/homeserver/sqlite/0004_abroad.sql")),
    (5, "undelivered", include_str!("../../../migrations/homeserver/sqlite/0005_undelivered.sql")),
    (6, "server", include_str!("../../../migrations/homeserver/sqlite/0006_server.sql")),
    (7, "forks", include_str!("../../../migrations/homeserver/sqlite/0007_forks.sql")),
    (8, "findings", include_str!("../../../migrations/homeserver/sqlite/0008_findings.sql")),
    (9, "unused", include_str!("../../../migrations/homeserver/sqlite/0009_unused.sql")),
    (10, "moved", include_str!("../../../migrations/homeserver/sqlite/0010_moved.sql")),
    (11, "strangers", include_str!("../../../migrations/homeserver/sqlite/0011_strangers.sql")),
    (12, "files", include_str!("../../../migrations/homeserver/sqlite/0012_files.sql")),
];
const POSTGRES: &Steps = &[
    (1, "begin", include_str!("../../../migrations/homeserver/postgres/0001_begin.sql")),
    (
        2,
        "communities",
        include_str!("../../../migrations/homeserver/postgres/0002_communities.sql"),
    ),
    (3, "peers", include_str!("../../../migrations/homeserver/postgres/0003_peers.sql")),
    (4, "abroad", include_str!("../../../migrations/homeserver/postgres/0004_abroad.sql")),
    (
        5,
        "undelivered",
        include_str!("../../../migrations/homeserver/postgres/0005_undelivered.sql"),
    ),
    (6, "server", include_str!("../../../migrations/homeserver/postgres/0006_server.sql")),
    (7, "forks", include_str!("../../../migrations/homeserver/postgres/0007_forks.sql")),
    (8, "findings", include_str!("../../../migrations/homeserver/postgres/0008_findings.sql")),
    (9, "unused", include_str!("../../../migrations/homeserver/postgres/0009_unused.sql")),
    (10, "moved", include_str!("../../../migrations/homeserver/postgres/0010_moved.sql")),
    (11, "strangers", include_str!("../../../migrations/homeserver/postgres/0011_strangers.sql")),
    (12, "files", include_str!("../../../migrations/homeserver/postgres/0012_files.sql")),
];

/// Brings an SQLite file up to date.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<(), StorageError> {
    run(SQLITE, None, connection).await
}

/// Brings a PostgreSQL database up to date, while other nodes that want the same wait.
pub(super) async fn postgres(connection: &mut PgConnection) -> Result<(), StorageError> {
    run(POSTGRES, None, connection).await
}

/// Gives an empty PostgreSQL database the schema that a copy was made with.
pub(super) async fn postgres_to(
    schema: i64,
    connection: &mut PgConnection,
) -> Result<(), StorageError> {
    run(POSTGRES, Some(schema), connection).await
}

/// How far the schema of this program goes.
pub(super) fn newest() -> i64 {
    SQLITE.last().map_or(0, |step| step.0)
}

async fn run<C: Migrate>(
    steps: &Steps,
    target: Option<i64>,
    connection: &mut C,
) -> Result<(), StorageError> {
    let migrations = steps.iter().map(|(number, name, text)| {
        Migration::new(*number, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run_direct(target, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(number) => StorageError::Broken(format!(
            "the database has schema {number}, and this program knows up to {}: it is too old",
            newest()
        )),
        error => StorageError::Broken(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_go_equally_far() {
        let numbers = |steps: &Steps| steps.iter().map(|step| step.0).collect::<Vec<_>>();
        assert_eq!(numbers(SQLITE), numbers(POSTGRES));
    }
}
