//! Copies of an SQLite database: `VACUUM INTO`, which reads one moment and keeps nobody from writing.

use std::{fs, path::Path};

use sqlx::{ConnectOptions as _, Connection as _};

use super::{failure, options, row::to_row};
use crate::repository::{
    BackupError, Kind, StorageError,
    backup::{Draft, at, blocking, check, parent, sync_folder},
    migrate,
};

/// The file of rows in a copy.
const FILE: &str = "rookery.db";

/// Copies the database at `path` into the new folder `to`.
pub(super) async fn copy(path: &Path, incarnation: u64, to: &Path) -> Result<u64, BackupError> {
    let to = to.to_owned();
    let draft = blocking(move || Draft::begin(&to)).await?;
    let options = options(path).create_if_missing(false);
    let mut connection = options.connect().await.map_err(|error| failure(&error))?;
    let file = draft.file(FILE).to_string_lossy().into_owned();
    let copied = sqlx::query("VACUUM INTO $1").bind(file).execute(&mut connection).await;
    copied.map_err(|error| failure(&error))?;
    connection.close().await.map_err(|error| failure(&error))?;
    blocking(move || draft.finish(FILE, Kind::Sqlite, migrate::newest(), incarnation)).await
}

/// Makes a database at the new file `path` out of the copy in the folder `from`, as the life `incarnation` of the database, without its
/// one-time keys. Nothing is there unless all is.
pub async fn restore(from: &Path, path: &Path, incarnation: u64) -> Result<(), BackupError> {
    let (from, to) = (from.to_owned(), path.to_owned());
    let partial = path.with_extension("restoring");
    let draft = partial.clone();
    blocking(move || {
        if to.exists() {
            return Err(BackupError::Exists(to));
        }
        let (_, file) = check(&from, Kind::Sqlite)?;
        at(&draft, fs::copy(&file, &draft)).map(|_| ())
    })
    .await?;
    revive(&partial, incarnation).await?;
    let to = path.to_owned();
    blocking(move || {
        at(&to, fs::rename(&partial, &to))?;
        sync_folder(&parent(&to))
    })
    .await
}

/// Makes another life of the copied file.
async fn revive(path: &Path, incarnation: u64) -> Result<(), StorageError> {
    let options = options(path).create_if_missing(false);
    let mut connection = options.connect().await.map_err(|error| failure(&error))?;
    migrate::sqlite(&mut connection).await?;
    for text in ["BEGIN IMMEDIATE", "DELETE FROM one_time_prekey"] {
        sqlx::query(text).execute(&mut connection).await.map_err(|error| failure(&error))?;
    }
    let renew = sqlx::query("UPDATE server SET incarnation = $1").bind(to_row(incarnation));
    renew.execute(&mut connection).await.map_err(|error| failure(&error))?;
    sqlx::query("COMMIT").execute(&mut connection).await.map_err(|error| failure(&error))?;
    // Closing writes the log back into the file, so that the file alone is the database.
    connection.close().await.map_err(|error| failure(&error))
}
