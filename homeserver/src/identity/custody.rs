//! Where the root key is kept, and what takes the place of an online key.
//!
//! A thief of the online key is the server until its record ends, and no longer; a thief of the root key is it for ever. So the root key can be
//! taken out of the data directory, to be brought along when a record ends or the online key is to be another. What is done here is done
//! while no server runs on the directory.

use std::path::{Path, PathBuf};

use rookery_protocol::{io::tls::ServerTls, key::SigningKey, time::Timestamp};

use super::{
    CERTIFICATE, DataDir, DataDirError, ONLINE, RECORD, ROOT, file,
    record::{Record, Said},
};

/// An online key whose record is not there yet.
const NEXT_ONLINE: &str = "online.key.next";

/// What can be seen of a server's keys without taking its directory.
#[derive(Debug)]
pub struct Look {
    /// What the root says of it.
    pub record: Record,
    /// Whether the root key is in the directory.
    pub has_root: bool,
}

/// Looks at the keys in a directory, whether or not a server runs on it.
pub fn look(directory: &Path) -> Result<Look, DataDirError> {
    let record = Record::read(&directory.join(RECORD))?;
    let record = record.ok_or_else(|| DataDirError::Absent { path: directory.to_owned() })?;
    Ok(Look { record, has_root: directory.join(ROOT).exists() })
}

impl DataDir {
    /// Makes another online key, and the record and the certificate for it. The root key is in the directory, or in the file `elsewhere`.
    pub fn rotate(
        &self,
        elsewhere: Option<&Path>,
        said: &Said,
        now: Timestamp,
    ) -> Result<Record, DataDirError> {
        finish_rotation(self)?;
        let former = look(self.path())?.record;
        let at_hand = self.path().join(ROOT);
        let file = elsewhere.unwrap_or(&at_hand);
        let no_root = || DataDirError::NoRoot { path: self.path().to_owned() };
        let root = file::read_key(file)?.ok_or_else(no_root)?;
        if root.verifying_key() != former.stated.root {
            return Err(DataDirError::OtherRoot { path: file.to_owned() });
        }
        let seed = file::random()?;
        let online = SigningKey::from_seed(&seed);
        let path = self.path().join(RECORD);
        let record = Record::sign(&root, &online, Some(&former.stated), said, now)
            .map_err(|_| DataDirError::Damaged { path: path.clone() })?;
        self.write(NEXT_ONLINE, file::as_text(&seed).as_bytes())?;
        if !at_hand.exists() {
            self.write(CERTIFICATE, ServerTls::issue(&root, record.stated.until)?.as_bytes())?;
        }
        // From here on the next key is the one, whatever happens before it has its place.
        record.write(&path)?;
        finish_rotation(self)?;
        Ok(record)
    }

    /// Makes a new record of the keys that are here, after they were restored from a copy: others may have seen newer ones than the copied.
    /// Without the root key the copied one stays.
    pub fn renew_restored(&self, said: &Said, now: Timestamp) -> Result<(), DataDirError> {
        let former = look(self.path())?.record.stated;
        let path = self.path().join(RECORD);
        let damaged = || DataDirError::Damaged { path: path.clone() };
        let Some(root) = file::read_key(&self.path().join(ROOT))? else { return Ok(()) };
        let online = file::read_key(&self.path().join(ONLINE))?.ok_or_else(damaged)?;
        let record = Record::sign(&root, &online, Some(&former), said, now);
        record.map_err(|_| damaged())?.write(&path)
    }

    /// Takes the root key out of the directory, into a file that must not be there yet. The server goes on without it until its record ends.
    pub fn export_root(
        &self,
        to: &Path,
        said: &Said,
        now: Timestamp,
    ) -> Result<Record, DataDirError> {
        let no_root = || DataDirError::NoRoot { path: self.path().to_owned() };
        let here = self.path().join(ROOT);
        let seed = file::read_seed(&here)?.ok_or_else(no_root)?;
        let wrong = |source| DataDirError::File { path: to.to_owned(), source };
        file::create_private(to, file::as_text(&seed).as_bytes()).map_err(wrong)?;
        let written = file::read_seed(to)?;
        if written.is_none_or(|written| *written != *seed) {
            return Err(DataDirError::Damaged { path: to.to_owned() });
        }
        // The record and the certificate are good for a whole term from now on.
        let record = self.rotate(Some(to), said, now)?;
        let root = SigningKey::from_seed(&seed);
        self.write(CERTIFICATE, ServerTls::issue(&root, record.stated.until)?.as_bytes())?;
        file::remove(&here)?;
        Ok(record)
    }

    /// Brings the root key back into the directory.
    pub fn import_root(&self, from: &Path) -> Result<(), DataDirError> {
        let absent = || DataDirError::NoRoot { path: from.to_owned() };
        let seed = file::read_seed(from)?.ok_or_else(absent)?;
        let root = SigningKey::from_seed(&seed).verifying_key();
        if look(self.path())?.record.stated.root != root {
            return Err(DataDirError::OtherRoot { path: from.to_owned() });
        }
        self.write(ROOT, file::as_text(&seed).as_bytes())?;
        file::remove(&self.path().join(CERTIFICATE))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let path: PathBuf = self.path().join(name);
        file::write_private(&path, bytes).map_err(|source| DataDirError::File { path, source })
    }
}

/// Ends a rotation that broke off: the record says which key is the one.
pub(super) fn finish_rotation(directory: &DataDir) -> Result<(), DataDirError> {
    let path = directory.path().join(NEXT_ONLINE);
    let Some(seed) = file::read_seed(&path)? else { return Ok(()) };
    let record = Record::read(&directory.path().join(RECORD))?;
    let next = SigningKey::from_seed(&seed).verifying_key();
    if record.is_some_and(|record| record.stated.online == next) {
        directory.write(ONLINE, file::as_text(&seed).as_bytes())?;
    }
    file::remove(&path)
}
