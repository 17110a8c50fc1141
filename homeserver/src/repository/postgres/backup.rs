//! Copies of a PostgreSQL database: all rows of one moment, in one file that any later PostgreSQL can be filled from.
//!
//! The file is a sequence of frames, each four bytes of length (big-endian) and so many bytes. A table is a frame of text (`table
//! column,column…`), then frames that together are `COPY … (FORMAT binary)`, then an empty frame. The manifest's hash covers all of it.

use std::path::Path;

use futures::TryStreamExt as _;
use sqlx::{
    Connection as _, Row as _,
    postgres::{PgConnection, PgPool},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter},
};

use super::{Settings, failure, options, row::to_row};
use crate::repository::{
    BackupError, Kind,
    backup::{Draft, at, blocking, check},
    migrate,
};

/// The file of rows in a copy.
const FILE: &str = "rows.copy";
/// All tables but that of one-time keys, which no copy has; each after those that it refers to.
pub(super) const TABLES: [&str; 37] = [
    "server",
    "account",
    "invite",
    "session",
    "device",
    "puk_box",
    "chain",
    "entry",
    "prekey",
    "claim",
    "message",
    "mailbox_head",
    "mailbox",
    "contact",
    "community",
    "community_chain",
    "membership",
    "sender_key",
    "channel_read",
    "blob",
    "blob_part",
    "file",
    "file_use",
    "file_part",
    "peer",
    "stranger",
    "peer_root",
    "peer_finding",
    "peer_reader",
    "foreigner",
    "outbound",
    "copied_head",
    "fork",
    "peer_farewell",
    "dropped_copy",
    "former_hub",
    "undelivered",
];
/// PostgreSQL sends a row a frame, and no row of ours is near to this.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Copies the database behind `pool` into the new folder `to`.
pub(super) async fn copy(pool: &PgPool, incarnation: u64, to: &Path) -> Result<u64, BackupError> {
    let to = to.to_owned();
    let draft = blocking(move || Draft::begin(&to)).await?;
    let path = draft.file(FILE);
    let mut frames =
        Frames { file: BufWriter::new(at(&path, File::create_new(&path).await)?), path: &path };
    let mut connection = pool.acquire().await.map_err(|error| failure(&error))?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut moment = connection.begin_with(begin).await.map_err(|error| failure(&error))?;
    for table in TABLES {
        frames.write_table(&mut moment, table).await?;
    }
    moment.rollback().await.map_err(|error| failure(&error))?;
    at(&path, frames.file.flush().await)?;
    drop(frames);
    blocking(move || draft.finish(FILE, Kind::Postgres, migrate::newest(), incarnation)).await
}

/// Fills the empty database of `settings` from the copy in the folder `from`, as the life of the database that `settings` name, without
/// one-time keys. All in one transaction: the database stays empty unless it is filled.
pub async fn restore(from: &Path, settings: &Settings) -> Result<(), BackupError> {
    let from = from.to_owned();
    let (manifest, path) = blocking(move || check(&from, Kind::Postgres)).await?;
    let options = options(&settings.url)?;
    let mut connection =
        PgConnection::connect_with(&options).await.map_err(|error| failure(&error))?;
    let mut unit = connection.begin().await.map_err(|error| failure(&error))?;
    let filled = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema())";
    let row = sqlx::query(filled).fetch_one(&mut *unit).await.map_err(|error| failure(&error))?;
    if row.try_get(0).map_err(|error| failure(&error))? {
        return Err(BackupError::Unusable("the database to be filled is not empty".to_owned()));
    }
    migrate::postgres_to(manifest.schema, &mut unit).await?;
    let mut file = BufReader::new(at(&path, File::open(&path).await)?);
    while let Some(title) = read_frame(&mut file, &path).await? {
        read_table(&mut unit, &title, &mut file, &path).await?;
    }
    let renew = sqlx::query("UPDATE server SET incarnation = $1");
    let renew = renew.bind(to_row(settings.incarnation)).execute(&mut *unit).await;
    renew.map_err(|error| failure(&error))?;
    unit.commit().await.map_err(|error| failure(&error))?;
    migrate::postgres(&mut connection).await?;
    Ok(connection.close().await.map_err(|error| failure(&error))?)
}

/// The file of rows while it is written.
struct Frames<'p> {
    file: BufWriter<File>,
    path: &'p Path,
}

impl Frames<'_> {
    async fn write_table(
        &mut self,
        connection: &mut PgConnection,
        table: &str,
    ) -> Result<(), BackupError> {
        let columns = "SELECT string_agg(attname::text, ',' ORDER BY attnum) FROM pg_attribute
                       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped";
        let row = sqlx::query(columns).bind(table).fetch_one(&mut *connection).await;
        let columns: String =
            row.and_then(|row| row.try_get(0)).map_err(|error| failure(&error))?;
        self.write(format!("{table} {columns}").as_bytes()).await?;
        let text = format!("COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT binary)");
        let mut rows = connection.copy_out_raw(&text).await.map_err(|error| failure(&error))?;
        while let Some(chunk) = rows.try_next().await.map_err(|error| failure(&error))? {
            if !chunk.is_empty() {
                self.write(&chunk).await?;
            }
        }
        self.write(&[]).await
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        at(self.path, self.file.write_all(&length.to_be_bytes()).await)?;
        at(self.path, self.file.write_all(frame).await)
    }
}

/// Fills the table that `title` names from the frames that follow.
async fn read_table(
    connection: &mut PgConnection,
    title: &[u8],
    file: &mut BufReader<File>,
    path: &Path,
) -> Result<(), BackupError> {
    let unusable = || BackupError::Unusable("a table in it is none of ours".to_owned());
    let (table, columns) = std::str::from_utf8(title)
        .ok()
        .and_then(|title| title.split_once(' '))
        .filter(|(table, _)| TABLES.contains(table))
        .filter(|(_, columns)| {
            columns.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b','))
        })
        .ok_or_else(unusable)?;
    let text = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
    let mut rows = connection.copy_in_raw(&text).await.map_err(|error| failure(&error))?;
    loop {
        let frame = read_frame(file, path).await?;
        match frame.as_deref() {
            None => return Err(BackupError::Unusable("it ends within a table".to_owned())),
            Some([]) => break,
            Some(frame) => rows.send(frame).await.map_err(|error| failure(&error))?,
        };
    }
    rows.finish().await.map(|_| ()).map_err(|error| BackupError::Storage(failure(&error)))
}

/// The next frame; nothing at the end of the file.
async fn read_frame(
    file: &mut BufReader<File>,
    path: &Path,
) -> Result<Option<Vec<u8>>, BackupError> {
    let mut length = [0; 4];
    match file.read_exact(&mut length).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => at(path, outcome.map(|_| ()))?,
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(BackupError::Unusable("a frame in it is too long".to_owned()));
    }
    let mut frame = vec![0; length];
    at(path, file.read_exact(&mut frame).await)?;
    Ok(Some(frame))
}
