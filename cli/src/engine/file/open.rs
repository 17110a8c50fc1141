//! Opening what was got, and putting it where it was asked for.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::failed;
use crate::{
    config::sync_directory_of,
    e2ee::file::{Attachment, HEADER_BYTES, Opener},
    error::{CommandError, Kind},
};

/// How many names are tried in a folder before it is given up.
const MAX_NAMES: u32 = 1_000;

/// Where a file is to be written.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Into a folder, under its own name or one like it that is free.
    Folder(PathBuf),
    /// To this very place, where there is nothing yet.
    New(PathBuf),
    /// To this very place, whatever is there.
    Over(PathBuf),
}

pub(super) fn another() -> CommandError {
    CommandError::new(
        Kind::Trust,
        "the server gave something else than the file that was sent; nothing was written",
    )
}

pub(super) fn exists(path: &Path) -> CommandError {
    CommandError::new(Kind::Usage, format!("{} exists already", path.display()))
        .hint("name another place, or say --force")
}

/// Checks and opens a sealed copy, and puts the file into its place in one step. The copy is removed when it is done with.
pub(super) fn open_to(
    attachment: &Attachment,
    part: &Path,
    target: &Target,
) -> Result<PathBuf, CommandError> {
    let read = |error: io::Error| failed(part, &error);
    let mut sealed = File::open(part).map_err(read)?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut sealed, &mut hasher).map_err(read)?;
    if hasher.finalize().as_bytes() != attachment.file.as_bytes() {
        fs::remove_file(part).map_err(read)?;
        return Err(another());
    }
    sealed.seek(SeekFrom::Start(0)).map_err(read)?;
    let folder = match target {
        Target::Folder(folder) => folder.clone(),
        Target::New(path) | Target::Over(path) => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        },
    };
    let written = folder.join(format!(".{}.rookery", uuid::Uuid::now_v7()));
    let outcome = open_into(attachment, sealed, &written)
        .and_then(|()| put_in_place(attachment, &written, &folder, target));
    // Under its own name, or of no use.
    fs::remove_file(&written).ok();
    let path = outcome?;
    fs::remove_file(part).map_err(read)?;
    Ok(path)
}

fn open_into(
    attachment: &Attachment,
    mut sealed: File,
    written: &Path,
) -> Result<(), CommandError> {
    let wrong = |error: io::Error| failed(written, &error);
    // Its hash is what its sender has said: what does not open was sealed so.
    let broken = |_| {
        let what = "the file was not sealed as its message says; nothing was written";
        CommandError::new(Kind::Trust, what)
    };
    let mut header = [0; HEADER_BYTES];
    sealed.read_exact(&mut header).map_err(wrong)?;
    let mut opener = Opener::begin(&attachment.key, attachment.size, &header).map_err(broken)?;
    // What is missing or closed is the folder, for the file has a name of its own.
    let folder = written.parent().unwrap_or(written);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(written)
        .map_err(|error| failed(folder, &error))?;
    let mut hash = Sha256::new();
    while let Some(wants) = opener.wants() {
        let mut chunk = vec![0; wants];
        sealed.read_exact(&mut chunk).map_err(wrong)?;
        let plain = opener.open(chunk).map_err(broken)?;
        hash.update(&plain);
        file.write_all(&plain).map_err(wrong)?;
    }
    let is_it: [u8; 32] = hash.finalize().into();
    if is_it != attachment.hash {
        return Err(another());
    }
    file.sync_all().map_err(wrong)
}

fn put_in_place(
    attachment: &Attachment,
    written: &Path,
    folder: &Path,
    target: &Target,
) -> Result<PathBuf, CommandError> {
    let done = |path: &Path| {
        sync_directory_of(path).map_err(|error| failed(path, &error)).map(|()| path.to_owned())
    };
    match target {
        Target::Over(path) => {
            fs::rename(written, path).map_err(|error| failed(path, &error))?;
            done(path)
        }
        Target::New(path) => match fs::hard_link(written, path) {
            Ok(()) => done(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
            Err(error) => Err(failed(path, &error)),
        },
        Target::Folder(_) => {
            let name = attachment.file_name();
            for number in 1..=MAX_NAMES {
                let path = folder.join(numbered(&name, number));
                match fs::hard_link(written, &path) {
                    Ok(()) => return done(&path),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(failed(&path, &error)),
                }
            }
            Err(exists(&folder.join(name)))
        }
    }
}

/// `notes.txt`, `notes-2.txt`, `notes-3.txt`.
fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (1, _) => name.to_owned(),
        (_, Some((stem, end))) if !stem.is_empty() => format!("{stem}-{number}.{end}"),
        _ => format!("{name}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::id::BlobId;

    use super::*;
    use crate::e2ee::{
        SeededRandom,
        file::{FileKey, testing},
    };

    /// A sealed copy of `plain` at `part`, and what its message says of it.
    fn sealed(plain: &[u8], part: &Path) -> Attachment {
        let mut random = SeededRandom::new(1);
        let key = FileKey::draw(&mut random);
        let bytes = testing::sealed(&key, plain, &mut random);
        fs::write(part, &bytes).unwrap();
        Attachment {
            file: BlobId::from_bytes(*blake3::hash(&bytes).as_bytes()),
            server: "nest.example".parse().unwrap(),
            key,
            name: "../notes.txt".to_owned(),
            media_type: String::new(),
            size: plain.len() as u64,
            hash: Sha256::digest(plain).into(),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_opened_into_a_folder_under_a_free_harmless_name() {
        let folder = tempfile::tempdir().unwrap();
        let (part, target) = (folder.path().join("x.part"), folder.path().join("in"));
        fs::create_dir(&target).unwrap();
        let plain = vec![b'a'; 100_000];
        for name in ["notes.txt", "notes-2.txt", "notes-3.txt"] {
            let attachment = sealed(&plain, &part);
            let path = open_to(&attachment, &part, &Target::Folder(target.clone())).unwrap();
            assert_eq!(path, target.join(name));
            assert!(fs::read(path).unwrap() == plain && !part.exists());
        }
        assert_eq!(names(&target), ["notes-2.txt", "notes-3.txt", "notes.txt"]);
    }

    #[test]
    fn nothing_is_overwritten_unless_that_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let (part, path) = (folder.path().join("x.part"), folder.path().join("kept"));
        fs::write(&path, b"old").unwrap();
        let attachment = sealed(b"new", &part);
        let refused = open_to(&attachment, &part, &Target::New(path.clone())).unwrap_err();
        assert_eq!(refused.kind, Kind::Usage);
        assert_eq!((fs::read(&path).unwrap(), part.exists()), (b"old".to_vec(), true));
        open_to(&attachment, &part, &Target::Over(path.clone())).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["kept"]);
    }

    #[test]
    fn what_was_changed_on_its_way_or_sealed_otherwise_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (part, target) = (folder.path().join("x.part"), folder.path().join("in"));
        fs::create_dir(&target).unwrap();
        let into = Target::Folder(target.clone());
        let attachment = sealed(&vec![b'a'; 70_000], &part);
        let mut bytes = fs::read(&part).unwrap();
        bytes[66_000] ^= 1;
        fs::write(&part, bytes).unwrap();
        assert_eq!(open_to(&attachment, &part, &into).unwrap_err().kind, Kind::Trust);
        assert!(!part.exists(), "it begins anew");
        for lie in [
            Attachment { size: 69_000, ..sealed(&vec![b'a'; 70_000], &part) },
            Attachment { hash: [0; 32], ..sealed(&vec![b'a'; 70_000], &part) },
            Attachment {
                key: FileKey::draw(&mut SeededRandom::new(9)),
                ..sealed(&vec![b'a'; 70_000], &part)
            },
        ] {
            assert_eq!(open_to(&lie, &part, &into).unwrap_err().kind, Kind::Trust);
        }
        assert!(names(&target).is_empty());
    }

    #[test]
    fn a_second_one_of_a_name_is_numbered_before_its_end() {
        assert_eq!(numbered("a.tar.gz", 2), "a.tar-2.gz");
        assert_eq!(numbered("README", 3), "README-3");
    }
}
