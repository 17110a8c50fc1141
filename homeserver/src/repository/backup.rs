//! Copies of a database: a new folder with one file of rows and a manifest that names its hash.
//!
//! A copy is written under another name and put into its place when it is whole and on disk, so that a folder with a manifest is a copy.
//! What is restored from one is another life of the database: it gets a new incarnation, so that nobody takes positions
//! that are given again for those they know, and no one-time keys, because some may have been given away since.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{BackupError, Kind};

/// The version of this format.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";

/// What a copy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// `sqlite` or `postgres`: what kind the file is for.
    database: String,
    /// How far the schema goes.
    pub(super) schema: i64,
    /// Of which life of the database it is a copy.
    incarnation: u64,
    /// The file of rows, beside the manifest.
    file: String,
    bytes: u64,
    /// BLAKE3 of the file.
    hash: String,
}

/// A copy in the making: a folder that becomes `to` when it is whole, and goes away otherwise.
#[derive(Debug)]
pub(super) struct Draft {
    to: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Makes the folder, beside where it shall be.
    pub(super) fn begin(to: &Path) -> Result<Self, BackupError> {
        if to.exists() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let draft = to.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        at(&draft, fs::create_dir(&draft))?;
        Ok(Self { to: to.to_owned(), draft })
    }

    /// Where the file of rows is to be written.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.draft.join(name)
    }

    /// Writes the manifest, and puts the copy into its place. Says how many bytes the rows take.
    pub(super) fn finish(
        self,
        name: &str,
        kind: Kind,
        schema: i64,
        incarnation: u64,
    ) -> Result<u64, BackupError> {
        let path = self.file(name);
        let (bytes, hash) = hash_of(&path)?;
        at(&path, File::open(&path).and_then(|file| file.sync_all()))?;
        let manifest = Manifest {
            format: FORMAT,
            database: kind.to_string(),
            schema,
            incarnation,
            file: name.to_owned(),
            bytes,
            hash,
        };
        let path = self.file(MANIFEST);
        let written = File::create_new(&path).and_then(|file| {
            serde_json::to_writer_pretty(&file, &manifest)?;
            file.sync_all()
        });
        at(&path, written)?;
        sync_folder(&self.draft)?;
        if self.to.exists() {
            return Err(BackupError::Exists(self.to.clone()));
        }
        at(&self.to, fs::rename(&self.draft, &self.to))?;
        sync_folder(&parent(&self.to))?;
        Ok(bytes)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // When it was put into its place there is nothing here any more.
        if self.draft.exists()
            && let Err(error) = fs::remove_dir_all(&self.draft)
        {
            tracing::warn!(%error, path = %self.draft.display(), "an unfinished copy was left behind");
        }
    }
}

/// Checks that the folder `from` is a whole copy for this kind of database, and gives its manifest and file of rows.
pub(super) fn check(from: &Path, kind: Kind) -> Result<(Manifest, PathBuf), BackupError> {
    let path = from.join(MANIFEST);
    let text = at(&path, fs::read(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| BackupError::Unusable(format!("its manifest is unreadable: {error}")))?;
    let unusable = |why: String| Err(BackupError::Unusable(why));
    if manifest.format != FORMAT {
        return unusable(format!("its format is {}, not {FORMAT}", manifest.format));
    }
    if manifest.database != kind.to_string() {
        return unusable(format!("it is one of {}, not of {kind}", manifest.database));
    }
    if manifest.schema > super::migrate::newest() {
        return unusable("a newer version of the program made it".to_owned());
    }
    if Path::new(&manifest.file).file_name() != Some(manifest.file.as_ref()) {
        return unusable("its manifest names a file elsewhere".to_owned());
    }
    let file = from.join(&manifest.file);
    if hash_of(&file)? != (manifest.bytes, manifest.hash.clone()) {
        return unusable("its rows are not what its manifest says".to_owned());
    }
    Ok((manifest, file))
}

/// How long a file is, and BLAKE3 of it.
fn hash_of(path: &Path) -> Result<(u64, String), BackupError> {
    let mut hasher = blake3::Hasher::new();
    let bytes = at(path, File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher)))?;
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}

/// Makes names in a folder last.
pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    at(path, File::open(path).and_then(|folder| folder.sync_all()))
}

/// The folder that a path is in.
pub(super) fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Says where an error of the file system happened.
pub(super) fn at<T>(path: &Path, outcome: io::Result<T>) -> Result<T, BackupError> {
    outcome.map_err(|source| BackupError::Files { path: path.to_owned(), source })
}

/// Runs what waits for files where it may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let broken = |error: tokio::task::JoinError| {
        BackupError::Storage(super::StorageError::Broken(error.to_string()))
    };
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}
