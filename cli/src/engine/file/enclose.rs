//! Sealing a file into the profile's folder, where it waits to be put.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rookery_protocol::{id::BlobId, name::ServerName};
use sha2::{Digest as _, Sha256};

use super::{Engine, blocking, draft, failed, outgoing};
use crate::{
    config::{Place, sync_directory_of},
    e2ee::{
        OsRandom,
        file::{Attachment, FileKey, NAME_BYTES, Sealer, sealed_size},
    },
    error::{CommandError, Kind},
};

/// What a file is by the end of its name, where its sender does not say. It decides nothing: readers are told, and no more.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("zip", "application/zip"),
];
const ANY_TYPE: &str = "application/octet-stream";

/// A file that somebody wants to send.
#[derive(Clone, Debug)]
pub struct FileOrder {
    /// Where it is.
    pub path: PathBuf,
    /// What it is to be called; as it is called there when absent.
    pub name: Option<String>,
}

impl Engine {
    /// Seals the file that goes with a message, if one does, into the profile's folder.
    pub(in super::super) async fn enclose(
        &self,
        order: Option<FileOrder>,
    ) -> Result<Option<Box<Attachment>>, CommandError> {
        let Some(order) = order else { return Ok(None) };
        let (place, server) = (self.place.clone(), self.account().server);
        blocking(move || seal_into(&place, server, &order).map(Box::new).map(Some)).await
    }

    /// Removes a sealed copy that nothing waits for.
    pub(in super::super) fn discard(&self, file: BlobId) {
        let path = outgoing(&self.place, file);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "a sealed copy was left behind");
        }
    }
}

fn seal_into(
    place: &Place,
    server: ServerName,
    order: &FileOrder,
) -> Result<Attachment, CommandError> {
    let FileOrder { path, name } = order;
    let wrong = |error: io::Error| failed(path, &error);
    let metadata = fs::metadata(path).map_err(wrong)?;
    if !metadata.is_file() {
        let what = format!("{} is no file", path.display());
        return Err(CommandError::new(Kind::Usage, what)
            .hint("a folder is sent as one file: `tar c FOLDER | rookery send ROOM --file -`"));
    }
    let size = metadata.len();
    let name = name.clone().or_else(|| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name = name.map(|name| cut(&name)).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| CommandError::new(Kind::Usage, "the file needs a name"))?;
    let key = FileKey::draw(&mut OsRandom);
    let too_large = || CommandError::new(Kind::Usage, "a file of that size cannot be sealed");
    let (sealer, header) = Sealer::begin(&key, size, &mut OsRandom).ok_or_else(too_large)?;
    let source = File::open(path).map_err(wrong)?;
    let written = draft(place).map_err(|error| failed(place.directory(), &error))?;
    let outcome = seal_to(source, sealer, &header, &written, path);
    let named = outcome.and_then(|(file, hash)| {
        let target = outgoing(place, file);
        fs::rename(&written, &target)
            .and_then(|()| sync_directory_of(&target))
            .map_err(|error| failed(&target, &error))?;
        Ok((file, hash))
    });
    if named.is_err() {
        fs::remove_file(&written).ok();
    }
    let (file, hash) = named?;
    let media_type = media_type(&name).to_owned();
    Ok(Attachment { file, server, key, name, media_type, size, hash })
}

/// Seals all of `source`, and gives the hashes of what comes out and of what went in.
fn seal_to(
    mut source: File,
    mut sealer: Sealer,
    header: &[u8],
    target: &Path,
    path: &Path,
) -> Result<(BlobId, [u8; 32]), CommandError> {
    let kept = |error: io::Error| failed(target, &error);
    let changed = || {
        let what = format!("{} changed while it was read; nothing was sent", path.display());
        CommandError::new(Kind::Failed, what).hint("try it again")
    };
    let mut output =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(kept)?;
    let (mut name, mut hash) = (blake3::Hasher::new(), Sha256::new());
    output.write_all(header).map_err(kept)?;
    name.update(header);
    while let Some(wants) = sealer.wants() {
        let mut chunk = vec![0; wants];
        source.read_exact(&mut chunk).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(),
            _ => failed(path, &error),
        })?;
        hash.update(&chunk);
        let chunk = sealer.seal(chunk).ok_or_else(changed)?;
        output.write_all(&chunk).map_err(kept)?;
        name.update(&chunk);
    }
    if source.read(&mut [0]).map_err(|error| failed(path, &error))? > 0 {
        return Err(changed());
    }
    output.sync_all().map_err(kept)?;
    Ok((BlobId::from_bytes(*name.finalize().as_bytes()), hash.finalize().into()))
}

/// How large the file is where it is kept.
pub(in super::super) fn kept_size(attachment: &Attachment) -> u64 {
    sealed_size(attachment.size).unwrap_or(u64::MAX)
}

/// A name of at most [`NAME_BYTES`], without what stands before it in a path.
fn cut(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or_default().trim().to_owned();
    if name.len() <= NAME_BYTES {
        return name;
    }
    let end = (0..=NAME_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name.get(..end).unwrap_or_default().to_owned()
}

fn media_type(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    MEDIA_TYPES
        .iter()
        .find(|(known, _)| *known == end)
        .map_or(ANY_TYPE, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::file::HEADER_BYTES;

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::find(Some(folder.path().to_owned()), None).unwrap();
        place.create().unwrap();
        (folder, place)
    }

    fn order(path: &Path) -> FileOrder {
        FileOrder { path: path.to_owned(), name: None }
    }

    #[test]
    fn a_file_is_sealed_beside_the_store_under_the_hash_of_what_came_out() {
        let (folder, place) = place();
        let path = folder.path().join("notes.md");
        fs::write(&path, vec![b'x'; 200_000]).unwrap();
        let server: ServerName = "nest.example".parse().unwrap();
        let attachment = seal_into(&place, server, &order(&path)).unwrap();
        assert_eq!((attachment.name.as_str(), attachment.size), ("notes.md", 200_000));
        assert_eq!(attachment.media_type, "text/markdown");
        let hash: [u8; 32] = Sha256::digest(vec![b'x'; 200_000]).into();
        assert_eq!(attachment.hash, hash);
        let sealed = fs::read(outgoing(&place, attachment.file)).unwrap();
        assert_eq!(sealed.len() as u64, kept_size(&attachment));
        assert_eq!(blake3::hash(&sealed).as_bytes(), attachment.file.as_bytes());
        assert!(!sealed[HEADER_BYTES..].windows(8).any(|window| window == b"xxxxxxxx"));
    }

    #[test]
    fn what_is_no_file_says_so_and_leaves_nothing_behind() {
        let (folder, place) = place();
        let server = || "nest.example".parse::<ServerName>().unwrap();
        let missing = seal_into(&place, server(), &order(&folder.path().join("missing")));
        assert_eq!(missing.unwrap_err().kind, Kind::NotFound);
        let directory = seal_into(&place, server(), &order(folder.path()));
        assert_eq!(directory.unwrap_err().kind, Kind::Usage);
        let left = fs::read_dir(place.directory().join(super::super::FOLDER));
        assert!(left.is_err() || left.unwrap().next().is_none());
    }

    #[test]
    fn names_are_cut_between_letters_and_carry_no_path() {
        assert_eq!(cut("a/b/ c.txt "), "c.txt");
        assert_eq!(cut(&"ü".repeat(200)).len(), 254);
        assert_eq!(media_type("A.PNG"), "image/png");
        assert_eq!(media_type("png"), ANY_TYPE);
    }
}
