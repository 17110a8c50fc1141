//! Getting files: the sealed copy first, which goes on where it ended; then it is checked, opened, and put where it was asked for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
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
use tokio::time::Instant;

use super::{
    Engine, Pace, Reporter, blocking,
    enclose::kept_size,
    failed, folder, incoming,
    open::{Target, another, exists, open_to},
    throttled,
};
use crate::{
    e2ee::{content::Content, file::Attachment},
    engine::is_room,
    error::{CommandError, Kind},
};

/// Parts that are asked for at once.
const AT_ONCE: u64 = 4;
/// How often in turn nothing comes before it is given up.
const MAX_IN_VAIN: u32 = 5;
/// The wait after that.
const PAUSE: Duration = Duration::from_secs(1);

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
