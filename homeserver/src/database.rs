//! Which database: what the configuration's text means.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::repository::{
    Storage, StorageError,
    postgres::{self, Postgres},
    sqlite::{self, Sqlite},
};

/// The file in the data directory when nothing else is named.
const FILE: &str = "rookery.db";
/// How many read at one time. A read takes tens of microseconds, so that more would only wait for a core.
const READERS: u32 = 4;
/// How many connections to PostgreSQL one node has: its default is 100 for all of them.
const CONNECTIONS: u32 = 16;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the address may hold a password.
    Postgres(String),
}

impl Address {
    /// What `text` names, as seen from the data directory.
    pub fn parse(text: Option<&str>, data: &Path) -> Result<Self, StorageError> {
        let Some(text) = text else { return Ok(Self::Sqlite(data.join(FILE))) };
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self::Sqlite(data.join(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        // The text itself may hold a password, and is not repeated.
        Err(StorageError::Unavailable(
            "storage.database is neither sqlite:PATH nor postgres://…".to_owned(),
        ))
    }
}

/// Opens the database, makes it if need be, and brings its schema up to date.
pub async fn open(text: Option<&str>, data: &Path) -> Result<Arc<dyn Storage>, StorageError> {
    let incarnation = new_incarnation()?;
    Ok(match Address::parse(text, data)? {
        Address::Sqlite(path) => {
            Arc::new(Sqlite::open(sqlite::Settings { path, readers: READERS, incarnation }).await?)
        }
        Address::Postgres(url) => Arc::new(
            Postgres::open(&postgres::Settings { url, connections: CONNECTIONS, incarnation })
                .await?,
        ),
    })
}

/// How this program uses the PostgreSQL database at `url`.
#[must_use]
pub fn postgres_settings(url: String, incarnation: u64) -> postgres::Settings {
    postgres::Settings { url, connections: CONNECTIONS, incarnation }
}

/// A number for a new life of a database: random, so that no two lives share it. 63 bits, because databases have signed integers.
pub fn new_incarnation() -> Result<u64, StorageError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|_| StorageError::Broken("the system gives no randomness".to_owned()))?;
    Ok(u64::from_be_bytes(bytes) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_file_beside_the_keys_unless_said_otherwise() {
        let data = Path::new("/data");
        assert_eq!(Address::parse(None, data).unwrap(), Address::Sqlite("/data/rookery.db".into()));
        assert_eq!(
            Address::parse(Some("sqlite:/x/y.db"), data).unwrap(),
            Address::Sqlite("/x/y.db".into())
        );
        assert!(matches!(Address::parse(Some("postgres://h/d"), data), Ok(Address::Postgres(_))));
        let error = Address::parse(Some("mysql://u:secret@h"), data).unwrap_err().to_string();
        assert!(!error.contains("secret"));
    }
}
