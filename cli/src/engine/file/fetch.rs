//! Getting files: the sealed copy first, which goes on where it ended; then it is checked, opened, and put where it was asked for.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use rookery_protocol::{
    id::{BlobId, ItemId},
    io::client::{CallError, Client},
    request::{
        Refusal,
        blob::BlobPart,
        file::{GetFile, GetFileError},
    },
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    Engine, Pace, Reporter, blocking, enclose::kept_size, failed, folder, incoming, throttled,
};
use crate::{
    config::sync_directory_of,
    e2ee::{
        content::Content,
        file::{Attachment, HEADER_BYTES, Opener},
    },
    engine::is_room,
    error::{CommandError, Kind},
};

/// Parts that are asked for at once.
const AT_ONCE: u64 = 4;
/// How often in turn nothing comes before it is given up.
const MAX_IN_VAIN: u32 = 5;
/// The wait after that.
const PAUSE: Duration = Duration::from_secs(1);
/// How many names are tried in a folder before it is given up.
const MAX_NAMES: u32 = 1_000;

/// A file that somebody wants to have.
#[derive(Clone, Debug)]
pub(crate) struct SaveOrder {
    /// In which conversation.
    pub(crate) room: String,
    /// With which message, by id.
    pub(crate) message: String,
    /// Where to.
    pub(crate) target: Target,
}

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

/// A file that was written.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// Where.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) attachment: Attachment,
}

/// Files that are being got: nobody writes into what another writes.
#[derive(Debug, Default)]
pub(in super::super) struct Turns(
    std::sync::Mutex<std::collections::BTreeMap<BlobId, Arc<tokio::sync::Mutex<()>>>>,
);

impl Turns {
    fn of(&self, file: BlobId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(file).or_default())
    }
}

impl Engine {
    /// Gets the file of a message and writes it where it was asked for.
    pub(crate) async fn save_file(
        &self,
        order: SaveOrder,
        tell: &Reporter,
    ) -> Result<Saved, CommandError> {
        let attachment = self.attachment_of(&order.room, &order.message).await?;
        if let Target::New(path) = &order.target
            && path.symlink_metadata().is_ok()
        {
            return Err(exists(path));
        }
        let turn = self.fetching.of(attachment.file);
        let _turn = turn.lock().await;
        let part = incoming(&self.place, attachment.file);
        self.fetch_sealed(&attachment, &part, tell).await?;
        let (known, target) = (attachment.clone(), order.target);
        let path = blocking(move || open_to(&known, &part, &target)).await?;
        Ok(Saved { path, attachment })
    }

    /// The file that goes with a message.
    pub(crate) async fn attachment_of(
        &self,
        room: &str,
        message: &str,
    ) -> Result<Attachment, CommandError> {
        let found = if is_room(room) {
            let room = self.known_room(room).await?;
            let post = self.post_named(&room, message).await?.post;
            match post.said() {
                Content::Text(text) if post.erased.is_none() => text.file,
                _ => None,
            }
        } else {
            let item: ItemId = message.parse().map_err(|_| {
                CommandError::new(Kind::Usage, format!("{message:?} is not a message's id"))
                    .hint("`rookery read --json` shows ids")
            })?;
            let contact = self.person_named(room).await?;
            let mut unit = self.store.read().await?;
            let mut found = unit.message(contact.user, contact.user, item).await?;
            if found.is_none() {
                found = unit.message(contact.user, self.user, item).await?;
            }
            let none = || {
                let what = format!("there is no message {message} with {room}");
                CommandError::new(Kind::NotFound, what)
            };
            found.ok_or_else(none)?.message.file
        };
        found
            .map(|file| *file)
            .filter(Attachment::is_possible)
            .ok_or_else(|| CommandError::new(Kind::NotFound, "no file goes with that message"))
    }

    /// Gets what is missing of a sealed copy.
    async fn fetch_sealed(
        &self,
        attachment: &Attachment,
        path: &Path,
        tell: &Reporter,
    ) -> Result<(), CommandError> {
        let wrong = |error: io::Error| failed(path, &error);
        folder(&self.place).map_err(wrong)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(wrong)?;
        let size = kept_size(attachment);
        let mut have = file.metadata().map_err(wrong)?.len();
        if have > size {
            file.set_len(0).map_err(wrong)?;
            have = 0;
        }
        file.seek(SeekFrom::Start(have)).map_err(wrong)?;
        let (mut pace, mut in_vain) = (Pace::new(), 0_u32);
        while have < size {
            tell.tell(have, size);
            let client = self.online().await?;
            let begun = Instant::now();
            let before = have;
            let trouble =
                self.fetch_round(&client, attachment, (&mut have, size), &mut file, pace.0);
            let trouble = trouble.await?;
            if have > before {
                pace.note(begun.elapsed());
                in_vain = 0;
            }
            let Some(trouble) = trouble else { continue };
            in_vain = in_vain.saturating_add(1);
            if in_vain >= MAX_IN_VAIN {
                return Err(
                    trouble.hint("what has come is kept for a week: the same command goes on")
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
        tell.tell(have, size);
        Ok(())
    }

    /// Gets the next parts, several at once, and writes them in their order. Says why there are no more, if trying again may help.
    async fn fetch_round(
        &self,
        client: &Client,
        attachment: &Attachment,
        (have, size): (&mut u64, u64),
        file: &mut File,
        length: usize,
    ) -> Result<Option<CommandError>, CommandError> {
        let step = u64::try_from(length).unwrap_or(u64::MAX);
        let parts = (0..AT_ONCE)
            .map(|part| have.saturating_add(step.saturating_mul(part)))
            .filter(|offset| *offset < size)
            .map(|offset| async move {
                let request = GetFile {
                    file: attachment.file,
                    server: Some(attachment.server.clone()),
                    offset,
                    length: u32::try_from(length).unwrap_or(u32::MAX),
                };
                (offset, client.call_watched(&request).await)
            });
        for (offset, answer) in join_all(parts).await {
            let BlobPart { size: whole, bytes } = match answer {
                Ok(part) => part,
                Err(CallError::Request(error)) => return Err(ungot(&error)),
                Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                    tokio::time::sleep(throttled(retry_after_ms)).await;
                    return Ok(None);
                }
                Err(CallError::Refused(
                    refusal @ (Refusal::UnknownMethod | Refusal::NotPermitted),
                )) => return Err(CommandError::of(Kind::Failed, &refusal)),
                Err(error) => return Ok(Some(CommandError::of(Kind::NoConnection, &error))),
            };
            let came = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if whole != size || came == 0 || offset != *have || came > size.saturating_sub(offset) {
                return Err(another());
            }
            file.write_all(bytes.as_slice())
                .map_err(|error| failed(self.place.directory(), &error))?;
            *have = have.saturating_add(came);
            if came < step {
                // The last one, or a server that gives less at once: the next round begins where this one ended.
                return Ok(None);
            }
        }
        Ok(None)
    }
}

fn ungot(error: &GetFileError) -> CommandError {
    match error {
        GetFileError::NotFound => CommandError::of(Kind::NotFound, error)
            .hint("its server has forgotten it in time, or its sender has deleted it"),
        GetFileError::ServerAway { .. } => CommandError::of(Kind::NoConnection, error)
            .hint("what has come is kept for a week: the same command goes on"),
        GetFileError::UnknownServer { .. } => CommandError::of(Kind::Failed, error),
    }
}

fn another() -> CommandError {
    CommandError::new(
        Kind::Trust,
        "the server gave something else than the file that was sent; nothing was written",
    )
}

fn exists(path: &Path) -> CommandError {
    CommandError::new(Kind::Usage, format!("{} exists already", path.display()))
        .hint("name another place, or say --force")
}

/// Checks and opens a sealed copy, and puts the file into its place in one step. The copy is removed when it is done with.
fn open_to(attachment: &Attachment, part: &Path, target: &Target) -> Result<PathBuf, CommandError> {
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
    use super::*;
    use crate::e2ee::{
        SeededRandom,
        file::{FileKey, Sealer},
    };

    /// A sealed copy of `plain` at `part`, and what its message says of it.
    fn sealed(plain: &[u8], part: &Path) -> Attachment {
        let mut random = SeededRandom::new(1);
        let key = FileKey::draw(&mut random);
        let size = plain.len() as u64;
        let (mut sealer, header) = Sealer::begin(&key, size, &mut random).unwrap();
        let (mut bytes, mut rest) = (header.to_vec(), plain);
        while let Some(wants) = sealer.wants() {
            let (chunk, after) = rest.split_at(wants);
            bytes.extend(sealer.seal(chunk.to_vec()).unwrap());
            rest = after;
        }
        fs::write(part, &bytes).unwrap();
        Attachment {
            file: BlobId::from_bytes(*blake3::hash(&bytes).as_bytes()),
            server: "nest.example".parse().unwrap(),
            key,
            name: "../notes.txt".to_owned(),
            media_type: String::new(),
            size,
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
