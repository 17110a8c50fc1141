//! Files that only the server's user may read, written whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rookery_protocol::{
    id::{from_base32, to_base32},
    key::SigningKey,
};
use zeroize::Zeroizing;

use super::DataDirError;

/// 32 secret bytes.
pub(super) type Seed = Zeroizing<[u8; 32]>;

/// 32 random bytes.
pub(super) fn random() -> Result<Seed, DataDirError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| DataDirError::NoRandomness)?;
    Ok(seed)
}

/// What a secret is written as: a line of base32.
pub(super) fn as_text(seed: &Seed) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", Zeroizing::new(to_base32(&**seed)).as_str()))
}

/// The 32 bytes in a file, if there is one.
pub(super) fn read_seed(path: &Path) -> Result<Option<Seed>, DataDirError> {
    let wrong = |source| DataDirError::File { path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::new());
    match File::open(path) {
        Ok(mut opened) => opened.read_to_string(&mut text).map_err(wrong)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    let seed = from_base32(text.trim()).map(Zeroizing::new);
    let seed = seed.and_then(|seed| seed.as_slice().try_into().ok().map(Zeroizing::new));
    seed.map(Some).ok_or_else(|| DataDirError::Damaged { path: path.to_owned() })
}

/// The 32 bytes in a file, made at random when there is none.
pub(super) fn seed(path: &Path) -> Result<Seed, DataDirError> {
    if let Some(seed) = read_seed(path)? {
        return Ok(seed);
    }
    let seed = random()?;
    let wrong = |source| DataDirError::File { path: path.to_owned(), source };
    write_private(path, as_text(&seed).as_bytes()).map_err(wrong)?;
    Ok(seed)
}

/// The key in a file, if there is one.
pub(super) fn read_key(path: &Path) -> Result<Option<SigningKey>, DataDirError> {
    Ok(read_seed(path)?.map(|seed| SigningKey::from_seed(&seed)))
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
    sync_folder(path)
}

/// Writes such a file where there is none yet: nothing is ever written over.
pub(super) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_folder(path)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), DataDirError> {
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed.and_then(|()| sync_folder(path)),
    };
    removed.map_err(|source| DataDirError::File { path: path.to_owned(), source })
}

/// A new name is durable once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
