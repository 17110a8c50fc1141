//! Where a profile lives.
//!
//! `ROOKERY_HOME` names one directory for everything; without it the XDG data directory is used. The profile called `default` is the
//! directory itself, any other stands in `profiles/NAME` under it. Directories are 0700 and files 0600.

use std::{
    fs, io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use rookery_protocol::{
    hash,
    id::{ServerId, to_base32},
    name::{HostPort, ServerName},
};

use crate::error::{CommandError, Kind};

/// The longest path of a socket: systems differ between 104 and 108 bytes with the zero.
const MAX_SOCKET_PATH: usize = 100;

/// The directories of one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    root: PathBuf,
    directory: PathBuf,
    profile: String,
}

impl Place {
    /// The place of `profile` under `home`, or under the XDG data directory when there is none.
    pub fn find(home: Option<PathBuf>, profile: Option<&str>) -> Result<Self, CommandError> {
        let root = match home {
            Some(home) => std::path::absolute(home)?,
            None => directories::ProjectDirs::from("", "", "rookery")
                .map(|directories| directories.data_dir().to_owned())
                .ok_or_else(|| {
                    CommandError::new(Kind::Failed, "no home directory is known")
                        .hint("set ROOKERY_HOME")
                })?,
        };
        let profile = profile.unwrap_or("default").to_owned();
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if profile.is_empty()
            || profile.starts_with('.')
            || profile.len() > 64
            || !profile.bytes().all(good)
        {
            return Err(CommandError::new(
                Kind::Usage,
                "a profile's name is 1 to 64 of a-z A-Z 0-9 . _ -",
            ));
        }
        let directory =
            if profile == "default" { root.clone() } else { root.join("profiles").join(&profile) };
        Ok(Self { root, directory, profile })
    }

    /// Makes the profile's directory, private to its user.
    pub fn create(&self) -> Result<(), CommandError> {
        private_directory(&self.directory)
    }

    /// The profile's name.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The profile's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The sealed store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.directory.join("store.sqlite")
    }

    /// The key file that unlocks the store where nobody can type a passphrase.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.directory.join("store.key")
    }

    /// The file whose lock makes its holder the profile's one owner.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// Where the recovery key goes when no other place was named.
    #[must_use]
    pub fn recovery_key(&self) -> PathBuf {
        self.directory.join("recovery-key")
    }

    /// The servers that were met, with the fingerprints of their root keys.
    #[must_use]
    pub fn known_hosts(&self) -> KnownHosts {
        KnownHosts { path: self.root.join("known_hosts") }
    }

    /// The agent's socket: in the runtime directory, or under the profile where there is none or its path is too long.
    pub fn socket(&self) -> Result<PathBuf, CommandError> {
        let tag = to_base32(
            hash::labelled("socket", &[self.directory.as_os_str().as_encoded_bytes()]).as_bytes(),
        );
        let name = format!("{}-{}.sock", self.profile, tag.get(..12).unwrap_or(&tag));
        let runtime = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute() && path.is_dir());
        let places =
            [runtime.map(|runtime| runtime.join("rookery")), Some(self.directory.join("run"))];
        for directory in places.into_iter().flatten() {
            let path = directory.join(&name);
            if path.as_os_str().len() <= MAX_SOCKET_PATH && private_directory(&directory).is_ok() {
                return Ok(path);
            }
        }
        // Under a very deep home, a shorter name is the last resort.
        let path = self.directory.join("run").join("s");
        private_directory(&self.directory.join("run"))?;
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(path);
        }
        Err(CommandError::new(Kind::Failed, format!("the path {} is too long for a socket", path.display()))
            .hint("set XDG_RUNTIME_DIR to a directory with a short path, or ROOKERY_HOME to a shorter one"))
    }
}

/// Makes `directory` with mode 0700; one that is there has to belong to this user.
fn private_directory(directory: &Path) -> Result<(), CommandError> {
    let absent: Vec<_> = directory.ancestors().take_while(|one| !one.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        CommandError::new(
            Kind::Failed,
            format!("the directory {} cannot be made: {error}", directory.display()),
        )
    })?;
    // A store in a directory whose own name is not on the disk would be gone with it.
    for made in absent {
        sync_directory_of(made)?;
    }
    let metadata = fs::metadata(directory)?;
    if !is_private(&metadata) && metadata.uid() == own_uid()? {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether nobody but its owner may do anything with a file.
#[must_use]
#[expect(clippy::verbose_bit_mask, reason = "permissions are read in octal")]
pub fn is_private(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o077 == 0
}

/// The user that this process runs as.
pub fn own_uid() -> io::Result<u32> {
    // Whoever makes a file owns it, and that is all that is needed here: no call into the C library for it.
    if let Ok(metadata) = fs::metadata("/proc/self") {
        return Ok(metadata.uid());
    }
    let path = std::env::temp_dir().join(format!("rookery-uid-{}", std::process::id()));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let uid = file.metadata()?.uid();
    fs::remove_file(path)?;
    Ok(uid)
}

/// Writes a new file with mode 0600, through to the disk. One that is there is never overwritten.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_directory_of(path)
}

/// Brings `path`'s name to the disk: a new or a renamed file is durable only when its directory is.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => fs::File::open(".")?.sync_all(),
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Replaces `path` by `bytes` in one step and durably: a reader sees the old or the new, never a part.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    // Renamed before its bytes are on disk, it would be empty after a power cut.
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory_of(path)
}

/// `known_hosts`: one server a line, `host:port name fingerprint`, as SSH keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHosts {
    path: PathBuf,
}

/// One line of `known_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    /// Where it listens.
    pub address: HostPort,
    /// Its name.
    pub server: ServerName,
    /// Its root key.
    pub key: ServerId,
}

impl KnownHosts {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that are known. Lines that are empty, begin with `#` or are not understood are passed over.
    pub fn read(&self) -> io::Result<Vec<KnownHost>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(parse_known_host).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
            Err(error) => Err(error),
        }
    }

    /// The pin of the server at `address`.
    pub fn find(&self, address: &HostPort) -> io::Result<Option<KnownHost>> {
        Ok(self.read()?.into_iter().find(|host| host.address == *address))
    }

    /// Pins a server. Another key for the same address is refused: whoever means it takes the old line out first.
    pub fn pin(&self, host: &KnownHost) -> Result<(), CommandError> {
        match self.find(&host.address)? {
            Some(known) if known.key != host.key => Err(CommandError::new(
                Kind::Trust,
                format!("the server at {} is not the one that was met before: its fingerprint was {}, and is said to be {} now; nothing was sent to it", host.address, known.key, host.key),
            )
            .hint(format!("if its administrator confirms the new fingerprint, take the line of {} out of {}", host.address, self.path.display()))),
            Some(_) => Ok(()),
            None => {
                let mut text = match fs::read_to_string(&self.path) {
                    Ok(text) => text,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                    Err(error) => return Err(error.into()),
                };
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                let line = format!("{} {} {}\n", host.address, host.server, host.key);
                text.push_str(&line);
                if let Some(parent) = self.path.parent() {
                    private_directory(parent)?;
                }
                Ok(replace(&self.path, text.as_bytes())?)
            }
        }
    }
}

fn parse_known_host(line: &str) -> Option<KnownHost> {
    let mut words = line.split_whitespace();
    let first = words.next().filter(|word| !word.starts_with('#'))?;
    Some(KnownHost {
        address: first.parse().ok()?,
        server: words.next()?.parse().ok()?,
        key: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_cannot_leave_its_home() {
        let home = Some(PathBuf::from("/nowhere"));
        assert_eq!(Place::find(home.clone(), None).unwrap().directory(), Path::new("/nowhere"));
        assert_eq!(
            Place::find(home.clone(), Some("work")).unwrap().directory(),
            Path::new("/nowhere/profiles/work")
        );
        for bad in ["", "..", ".x", "a/b", "a b"] {
            assert!(Place::find(home.clone(), Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_server_with_another_key_is_refused_and_the_old_pin_stays() {
        let home = tempfile::tempdir().unwrap();
        let hosts = Place::find(Some(home.path().to_owned()), None).unwrap().known_hosts();
        let host = KnownHost {
            address: "127.0.0.1:7665".parse().unwrap(),
            server: "nest".parse().unwrap(),
            key: ServerId::from_bytes([1; 32]),
        };
        hosts.pin(&host).unwrap();
        hosts.pin(&host).unwrap();
        let other = KnownHost { key: ServerId::from_bytes([2; 32]), ..host.clone() };
        assert_eq!(hosts.pin(&other).unwrap_err().kind, Kind::Trust);
        assert_eq!(hosts.read().unwrap(), [host]);
    }

    #[test]
    fn a_secret_file_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("recovery-key");
        write_private(&path, b"one").unwrap();
        assert!(write_private(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
