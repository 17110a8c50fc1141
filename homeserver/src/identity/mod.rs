//! The data directory, and the keys in it.
//!
//! The root key is the server's identity: links and `known_hosts` pin it. It signs the record that names the online key, which signs heads
//! and tokens, and the certificate. Both are 32 bytes in base32, in files of mode 0600 in a directory of mode 0700. One process at a time has
//! the directory: two servers on one database would give the same places twice.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rookery_protocol::{
    codec,
    id::{ServerId, from_base32, to_base32},
    key::SigningKey,
    name::ServerName,
    request::server::{ServerRecord, SignedServerRecord},
    time::Timestamp,
};
use zeroize::Zeroizing;

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
    /// The key that links pin.
    pub root: SigningKey,
    /// The key that signs heads and tokens.
    pub online: SigningKey,
    /// The root's word for the online key.
    pub record: SignedServerRecord,
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
        if !path.join(ROOT).exists() && absent == Absent::Refuse {
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
        self.path.join(ROOT).exists()
    }

    /// The server's identity; made with `name` when there is none yet.
    pub fn identity(
        &self,
        name: Option<&ServerName>,
        now: Timestamp,
    ) -> Result<Identity, DataDirError> {
        let (root, online) = (self.key(ROOT)?, self.key(ONLINE)?);
        let path = self.path.join(RECORD);
        let server = root.verifying_key().server_id();
        let damaged = || DataDirError::Damaged { path: path.clone() };
        let wrong = |source| DataDirError::File { path: path.clone(), source };
        let known = match fs::read(&path) {
            Ok(bytes) => {
                let signed: SignedServerRecord = codec::decode(&bytes).map_err(|_| damaged())?;
                Some((signed.verify(server).map_err(|_| damaged())?, signed))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(wrong(error)),
        };
        if let (Some((record, _)), Some(wanted)) = (&known, name)
            && record.name != *wanted
        {
            return Err(DataDirError::OtherName {
                known: record.name.clone(),
                wanted: wanted.clone(),
            });
        }
        let number = known.as_ref().map_or(1, |(record, _)| record.number.saturating_add(1));
        let name = known.as_ref().map(|(record, _)| record.name.clone()).or_else(|| name.cloned());
        let name = name.unwrap_or_else(host_name);
        let record = match known {
            Some((record, signed)) if record.online == online.verifying_key() => signed,
            _ => {
                let (root_key, online_key) = (root.verifying_key(), online.verifying_key());
                let record = ServerRecord {
                    name: name.clone(),
                    root: root_key,
                    online: online_key,
                    number,
                    since: now,
                };
                let signed = record.sign(&root).map_err(|_| damaged())?;
                write_private(&path, &codec::encode(&signed)).map_err(wrong)?;
                signed
            }
        };
        Ok(Identity { name, root, online, record })
    }

    /// Reads the key in `file`, or makes one.
    fn key(&self, file: &str) -> Result<SigningKey, DataDirError> {
        let path = self.path.join(file);
        let wrong = |source| DataDirError::File { path: path.clone(), source };
        let mut text = Zeroizing::new(String::new());
        match File::open(&path) {
            Ok(mut opened) => opened.read_to_string(&mut text).map_err(wrong)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *seed).map_err(|_| DataDirError::NoRandomness)?;
                write_private(&path, format!("{}\n", to_base32(&*seed)).as_bytes())
                    .map_err(wrong)?;
                return Ok(SigningKey::from_seed(&seed));
            }
            Err(error) => return Err(wrong(error)),
        };
        let seed = from_base32(text.trim()).map(Zeroizing::new);
        let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.as_slice().try_into().ok());
        seed.map(|seed| SigningKey::from_seed(&seed)).ok_or(DataDirError::Damaged { path })
    }
}

impl Identity {
    /// The root key's fingerprint.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.root.verifying_key().server_id()
    }

    /// A secret of the server's own for `purpose`, out of the online key.
    #[must_use]
    pub fn derived(&self, purpose: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, &*self.online.to_seed()))
    }
}

/// The files that make a server, besides its database.
pub const KEY_FILES: [&str; 3] = [ROOT, ONLINE, RECORD];
const ROOT: &str = "root.key";
const ONLINE: &str = "online.key";
const RECORD: &str = "server.record";

/// What the machine calls itself, made into a server name.
fn host_name() -> ServerName {
    let text = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let text = text.trim().to_ascii_lowercase().replace('_', "-");
    #[expect(clippy::expect_used, reason = "a literal that is a server name")]
    text.parse().unwrap_or_else(|_| "localhost".parse().expect("a server name"))
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename itself is durable once its directory is.
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_lasts_and_its_files_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let now = Timestamp::from_millis(1);
        let name: ServerName = "nest.example".parse().unwrap();
        let taken = DataDir::take(&path, Absent::Make).unwrap();
        let first = taken.identity(Some(&name), now).unwrap();
        assert!(matches!(DataDir::take(&path, Absent::Make), Err(DataDirError::InUse { .. })));
        drop(taken);
        let taken = DataDir::take(&path, Absent::Refuse).unwrap();
        let second = taken.identity(None, now).unwrap();
        assert_eq!(
            (first.server(), &first.record, first.name),
            (second.server(), &second.record, second.name)
        );
        for file in KEY_FILES {
            assert_eq!(
                fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777,
                0o600,
                "{file}"
            );
        }
        let other = "other.example".parse().unwrap();
        assert!(matches!(taken.identity(Some(&other), now), Err(DataDirError::OtherName { .. })));
    }

    #[test]
    fn a_server_that_is_not_there_is_not_made_by_looking() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            DataDir::take(folder.path(), Absent::Refuse),
            Err(DataDirError::Absent { .. })
        ));
    }
}
