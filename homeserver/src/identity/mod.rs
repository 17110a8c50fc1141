//! The data directory, and the keys in it.
//!
//! The root key is the server's identity: links, `known_hosts` and peers pin it. It signs the record that names the online key, which signs
//! heads and tokens, and the certificate. A server renews its record by itself while it has its root key; an administrator may keep that
//! elsewhere ([`custody`]), and then brings it along when a record ends. All files are of mode 0600 in a directory of mode 0700. One
//! process at a time has the directory: two servers on one database would give the same places twice.

pub mod custody;
mod file;
mod record;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rookery_protocol::{
    id::ServerId,
    io::tls::{ServerTls, TlsError},
    key::SigningKey,
    name::ServerName,
    time::Timestamp,
};
use zeroize::Zeroizing;

pub use self::{
    file::write_private,
    record::{RENEWED, Record, SOON, Said, TERM},
};

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error("another rookeryd is using {}", path.display())]
    InUse {
        /// Which directory.
        path: PathBuf,
    },
    /// It was never set up.
    #[error("there is no server in {}", path.display())]
    Absent {
        /// Which directory.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("there is a server in {} already", path.display())]
    Present {
        /// Which directory.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The root key is needed, and it is not there.
    #[error("the root key is not in {}", path.display())]
    NoRoot {
        /// In which directory.
        path: PathBuf,
    },
    /// A key is another one than the server's root.
    #[error("the key in {} is not this server's root key", path.display())]
    OtherRoot {
        /// Which file.
        path: PathBuf,
    },
    /// No certificate could be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
    /// The name differs from the one that accounts were opened under.
    #[error(
        "this server is called {known}; accounts are bound to that name, so it cannot become {wanted}"
    )]
    OtherName {
        /// What it is called.
        known: ServerName,
        /// What was asked.
        wanted: ServerName,
    },
}

/// The directory, and the lock on it for as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Who the server is.
#[derive(Debug)]
pub struct Identity {
    /// Its name.
    pub name: ServerName,
    /// The key that links pin, unless it is kept elsewhere.
    pub root: Option<SigningKey>,
    /// The key that signs heads and tokens.
    pub online: SigningKey,
    server: ServerId,
    /// What sessions are kept by; it outlasts the online key, so that nobody has to log in anew after a rotation.
    sessions: file::Seed,
    record: RwLock<Arc<Record>>,
    said: Said,
    directory: PathBuf,
}

/// Whether a data directory may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It is made.
    Make,
    /// It is an error.
    Refuse,
}

impl DataDir {
    /// Takes the directory for this process alone.
    pub fn take(path: &Path, absent: Absent) -> Result<Self, DataDirError> {
        let wrong = |source| DataDirError::File { path: path.to_owned(), source };
        if !path.join(RECORD).exists() && absent == Absent::Refuse {
            return Err(DataDirError::Absent { path: path.to_owned() });
        }
        if !path.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
        }
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(DataDirError::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(wrong(source)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a server was set up in it.
    #[must_use]
    pub fn has_identity(&self) -> bool {
        self.path.join(RECORD).exists()
    }

    /// The server's identity, made with what is `said` when there is none yet. Renews its record where the root key is there and the record is
    /// due, or says something else.
    pub fn identity(&self, said: &Said, now: Timestamp) -> Result<Identity, DataDirError> {
        custody::finish_rotation(self)?;
        let path = self.path.join(RECORD);
        let known = Record::read(&path)?;
        if let (Some(record), Some(wanted)) = (&known, &said.name)
            && record.stated.name != *wanted
        {
            let (known, wanted) = (record.stated.name.clone(), wanted.clone());
            return Err(DataDirError::OtherName { known, wanted });
        }
        let (root, online) = if let Some(record) = &known {
            self.keys_of(record)?
        } else {
            let seed = |name: &str| file::seed(&self.path.join(name));
            let (root, online) = (seed(ROOT)?, seed(ONLINE)?);
            (Some(SigningKey::from_seed(&root)), SigningKey::from_seed(&online))
        };
        let sessions = file::seed(&self.path.join(SESSIONS))?;
        let record = match (known, &root) {
            (Some(record), None) => record,
            (Some(record), Some(_)) if !is_due(&record, said, now) => record,
            (known, Some(root)) => {
                let former = known.as_ref().map(|record| &record.stated);
                let record = Record::sign(root, &online, former, said, now)
                    .map_err(|_| DataDirError::Damaged { path: path.clone() })?;
                record.write(&path)?;
                record
            }
            (None, None) => return Err(DataDirError::NoRoot { path: self.path.clone() }),
        };
        Ok(Identity {
            name: record.stated.name.clone(),
            server: record.stated.root.server_id(),
            root,
            online,
            sessions,
            record: RwLock::new(Arc::new(record)),
            said: said.clone(),
            directory: self.path.clone(),
        })
    }

    /// The keys that a record names: the root key, if it is here, and the online key. A server that is there has its keys; without them it
    /// is another one.
    fn keys_of(&self, record: &Record) -> Result<(Option<SigningKey>, SigningKey), DataDirError> {
        let (root_file, online_file) = (self.path.join(ROOT), self.path.join(ONLINE));
        let root = file::read_key(&root_file)?;
        if root.as_ref().is_some_and(|root| root.verifying_key() != record.stated.root) {
            return Err(DataDirError::Damaged { path: root_file });
        }
        let online = file::read_key(&online_file)?;
        let online = online.filter(|key| key.verifying_key() == record.stated.online);
        Ok((root, online.ok_or(DataDirError::Damaged { path: online_file })?))
    }
}

/// Whether a record is to be made anew.
fn is_due(record: &Record, said: &Said, now: Timestamp) -> bool {
    let is_elsewhere = said.endpoint.is_some() && record.stated.endpoint != said.endpoint;
    record.left(now) < RENEWED || is_elsewhere
}

impl Identity {
    /// The root key's fingerprint.
    #[must_use]
    pub const fn server(&self) -> ServerId {
        self.server
    }

    /// What the root says of this server.
    #[must_use]
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the next record, if it is time for that and the root key is there. Gives whether it was made.
    pub fn renew(&self, now: Timestamp) -> Result<bool, DataDirError> {
        let (Some(root), former) = (&self.root, self.record()) else { return Ok(false) };
        if !is_due(&former, &self.said, now) {
            return Ok(false);
        }
        let path = self.directory.join(RECORD);
        let next = Record::sign(root, &self.online, Some(&former.stated), &self.said, now)
            .map_err(|_| DataDirError::Damaged { path: path.clone() })?;
        next.write(&path)?;
        *self.record.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(true)
    }

    /// The certificate of a server that has none of the public web: under the root, for a key of this process, or the one that was made when the
    /// root key was taken away.
    pub fn tls(&self) -> Result<ServerTls, DataDirError> {
        if let Some(root) = &self.root {
            return Ok(ServerTls::self_signed(root)?);
        }
        let path = self.directory.join(CERTIFICATE);
        let pem = fs::read(&path).map(Zeroizing::new);
        let pem = pem.map_err(|source| DataDirError::File { path, source })?;
        Ok(ServerTls::from_pem(&pem, &pem)?)
    }

    /// A secret for `purpose` that lasts as long as the server.
    #[must_use]
    pub fn derived(&self, purpose: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, &*self.sessions))
    }

    /// An identity that is in no directory, as for tests of services.
    #[cfg(test)]
    pub(crate) fn unstored(
        name: &str,
        root: SigningKey,
        online: SigningKey,
        now: Timestamp,
    ) -> Self {
        let said = Said { name: Some(name.parse().unwrap()), endpoint: None };
        let record = Record::sign(&root, &online, None, &said, now).unwrap();
        Self {
            name: record.stated.name.clone(),
            server: record.stated.root.server_id(),
            sessions: Zeroizing::new(*root.to_seed()),
            root: Some(root),
            online,
            record: RwLock::new(Arc::new(record)),
            said,
            directory: PathBuf::new(),
        }
    }
}

/// The root key: it may be kept elsewhere.
pub const ROOT: &str = "root.key";
/// The online key.
const ONLINE: &str = "online.key";
/// The secret that sessions are kept by.
const SESSIONS: &str = "session.key";
/// The certificate and its key of a server whose root key is elsewhere.
const CERTIFICATE: &str = "certificate.pem";
/// The record: a directory that has it has a server.
const RECORD: &str = "server.record";

/// The files that make a server, besides its database, in the order in which they are copied: the record comes last, which says that all are
/// there. Whether each has to be.
pub const KEY_FILES: [(&str, bool); 5] =
    [(ROOT, false), (CERTIFICATE, false), (ONLINE, true), (SESSIONS, true), (RECORD, true)];

/// Copies the files that make a server. Gives how many bytes they have.
pub fn copy_keys(from: &Path, to: &Path) -> Result<u64, DataDirError> {
    let mut bytes = 0_u64;
    for (name, is_needed) in KEY_FILES {
        let path = from.join(name);
        let found = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_needed => continue,
            found => found.map(Zeroizing::new),
        };
        let copied = found.and_then(|found| {
            write_private(&to.join(name), &found)?;
            Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
        });
        let length = copied.map_err(|source| DataDirError::File { path, source })?;
        bytes = bytes.saturating_add(length);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
