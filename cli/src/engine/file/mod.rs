//! Files that go with messages.
//!
//! A file is sealed into the profile's folder `files` first, and put from there ([`upload`]) before the message that names it leaves: so it
//! goes on where it ended after a lost connection or a restart, and nobody minds what becomes of the original. What is got ([`fetch`]) stands
//! there, sealed, until all of it has come and is what its name says; only then is it opened ([`open`]).

mod enclose;
mod fetch;
mod open;
mod upload;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use rookery_protocol::{
    id::{BlobId, ItemId},
    request::blob::PART_BYTES,
    time::Timestamp,
};

pub use self::enclose::FileOrder;
pub(super) use self::{enclose::kept_size, fetch::Turns};
pub(crate) use self::{fetch::SaveOrder, open::Target};
use super::Engine;
use crate::{
    config::Place,
    error::{CommandError, Kind},
    store::{StoreError, Transfer, TransferTask, Unit},
};

/// The folder of a profile with what is on its way.
const FOLDER: &str = "files";
/// How the name of what is being written there ends.
const DRAFT: &str = "draft";
/// How long something stays there that nobody goes on with.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How large the first part is, and the smallest on a slow line.
const FIRST_PART: usize = 64 * 1024;
const SMALLEST_PART: usize = 16 * 1024;
/// How long a part may take for the next one to be larger, and not smaller.
const QUICK: Duration = Duration::from_secs(1);

/// Where the sealed copy of a file stands until it was put.
fn outgoing(place: &Place, file: BlobId) -> PathBuf {
    place.directory().join(FOLDER).join(file.to_string())
}

/// Where what has come of a file stands until it is opened.
fn incoming(place: &Place, file: BlobId) -> PathBuf {
    place.directory().join(FOLDER).join(format!("{file}.part"))
}

/// Where something is written before it has its name.
fn draft(place: &Place) -> io::Result<PathBuf> {
    Ok(folder(place)?.join(format!("{}.{DRAFT}", uuid::Uuid::now_v7())))
}

/// A file of one's own in the profile's folder, for what is given or wanted as a stream. It goes with this value; one that a kill left goes
/// after a week, for its owner may be there before the engine is.
#[derive(Debug)]
pub(crate) struct Stream(PathBuf);

impl Stream {
    /// Names one that is not there yet.
    pub(crate) fn new(place: &Place) -> io::Result<Self> {
        Ok(Self(folder(place)?.join(format!("{}.stream", uuid::Uuid::now_v7()))))
    }

    /// One with all of `source`.
    pub(crate) fn of(place: &Place, source: &mut impl io::Read) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let stream = Self::new(place)?;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&stream.0)?;
        io::copy(source, &mut file)?;
        Ok(stream)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.0.display(), "a file was left behind");
        }
    }
}

fn folder(place: &Place) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = place.directory().join(FOLDER);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder)
}

/// Removes what a kill left in the profile's folder, before anything is added: drafts, and copies that no message waits for and that
/// nobody has gone on with for a week.
pub(super) fn tidy(place: &Place, waiting: &[Transfer], now: Timestamp) {
    let Ok(entries) = fs::read_dir(place.directory().join(FOLDER)) else { return };
    let is_old = |entry: &fs::DirEntry| {
        let touched = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
        let touched = touched.duration_since(UNIX_EPOCH).ok()?;
        Some(Duration::from_millis(now.as_millis()).checked_sub(touched)? > KEPT)
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_awaited = waiting.iter().any(|transfer| transfer.file.to_string() == name);
        let is_draft = Path::new(&name).extension().is_some_and(|end| end == DRAFT);
        if (is_draft || (!is_awaited && is_old(&entry) == Some(true)))
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(%error, name, "a file that nobody needs was left behind");
        }
    }
}

/// How large the parts are in which a file goes, by how long they take.
#[derive(Clone, Copy, Debug)]
struct Pace(usize);

impl Pace {
    const fn new() -> Self {
        Self(FIRST_PART)
    }

    /// The next one, where the last took `time`.
    fn note(&mut self, time: Duration) {
        self.0 = if time <= QUICK {
            self.0.saturating_mul(2).min(PART_BYTES)
        } else {
            (self.0 / 2).max(SMALLEST_PART)
        };
    }
}

/// How far a file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Of how many bytes how many.
    Under((u64, u64)),
    /// It is tried again later, and why.
    Waits(String),
}

impl Stage {
    /// Of how many bytes how many, while it is under way.
    pub(super) const fn part(&self) -> Option<(u64, u64)> {
        match self {
            Self::Under(part) => Some(*part),
            Self::Waits(_) => None,
        }
    }

    /// Why it waits.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Waits(why) => Some(why.clone()),
            Self::Under(_) => None,
        }
    }
}

/// How far files have come that are on their way.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<BTreeMap<BlobId, Stage>>);

impl Progress {
    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<BlobId, Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, file: BlobId, stage: Stage) {
        self.rows().insert(file, stage);
    }

    fn forget(&self, file: BlobId) {
        self.rows().remove(&file);
    }

    /// How far a file has come.
    pub(super) fn of(&self, file: BlobId) -> Option<Stage> {
        self.rows().get(&file).cloned()
    }
}

/// An error of the file system at `path`, in words.
fn failed(path: &Path, error: &io::Error) -> CommandError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::NotPermitted,
        _ => Kind::Failed,
    };
    let told = CommandError::new(kind, format!("{}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull => told.hint("make room on the disk, and try again"),
        _ => told,
    }
}

/// How long a part waits that the server has no room for at the moment.
fn throttled(retry_after_ms: u64) -> Duration {
    Duration::from_millis(retry_after_ms.clamp(10, 5_000))
}

/// Runs what waits for files where it may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let broken = |error: tokio::task::JoinError| CommandError::of(Kind::Failed, &error);
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

impl Engine {
    /// Has a home drop the file of a message that was written here, which is going.
    pub(super) async fn owe_file_drop(
        &self,
        unit: &mut Unit,
        file: BlobId,
    ) -> Result<(), StoreError> {
        unit.put_transfer(self.user, &Transfer::new(file, TransferTask::Drop, 0)).await
    }

    /// Waits until the file that a message goes with was put; not while there is no connection, and at most for `patience`.
    pub(super) async fn wait_uploaded(
        &self,
        task: TransferTask,
        tell: &Reporter,
        patience: Option<Duration>,
    ) -> Result<(), CommandError> {
        let put = self.wait_long_uploaded(task, tell);
        let Some(patience) = patience else { return put.await };
        // Whoever is out of patience is told so by what is waited for next.
        tokio::time::timeout(patience, put).await.unwrap_or(Ok(()))
    }

    async fn wait_long_uploaded(
        &self,
        task: TransferTask,
        tell: &Reporter,
    ) -> Result<(), CommandError> {
        let mut timeline = self.timeline.subscribe();
        let mut link = self.link.subscribe();
        loop {
            timeline.mark_unchanged();
            link.mark_unchanged();
            let transfer = self.store.read().await?.transfer_for(self.user, task).await?;
            let Some(transfer) = transfer else { return Ok(()) };
            if let Some(Stage::Under((have, size))) = self.progress.of(transfer.file) {
                tell.tell(have, size);
            }
            if matches!(&*link.borrow(), super::Link::Offline(_) | super::Link::Ended(_)) {
                return Ok(());
            }
            tokio::select! {
                _ = timeline.changed() => {}
                _ = link.changed() => {}
            }
        }
    }
}

/// Whom it is told how far a file has come.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<tokio::sync::watch::Sender<(u64, u64)>>);

impl Reporter {
    /// Who tells it, and where it is told: of how many bytes how many.
    #[must_use]
    pub fn new() -> (Self, tokio::sync::watch::Receiver<(u64, u64)>) {
        let (sender, receiver) = tokio::sync::watch::channel((0, 0));
        (Self(Some(sender)), receiver)
    }

    fn tell(&self, have: u64, size: u64) {
        if let Some(sender) = &self.0 {
            sender.send_replace((have, size));
        }
    }
}

/// The message that a transfer is for.
const fn message_of(task: TransferTask) -> Option<ItemId> {
    match task {
        TransferTask::ForPerson { item, .. } | TransferTask::ForChannel { item, .. } => Some(item),
        TransferTask::Drop => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_is_removed_and_what_somebody_needs_stays() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::find(Some(home.path().to_owned()), None).unwrap();
        let waits = Transfer::new(BlobId::from_bytes([1; 32]), TransferTask::Drop, 0);
        let other = BlobId::from_bytes([2; 32]);
        let half = draft(&place).unwrap();
        let given = Stream::of(&place, &mut &b"x"[..]).unwrap();
        let of_a_kill = given.path().with_extension("old.stream");
        let kept = [outgoing(&place, waits.file), incoming(&place, other), of_a_kill];
        for path in kept.iter().chain([&half]) {
            fs::write(path, b"x").unwrap();
        }
        let now = Timestamp::from_millis(
            fs::metadata(&half)
                .unwrap()
                .modified()
                .unwrap()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_millis()
                .try_into()
                .unwrap(),
        );
        tidy(&place, std::slice::from_ref(&waits), now);
        assert_eq!(kept.each_ref().map(|path| path.exists()), [true; 3]);
        assert!(!half.exists());
        tidy(&place, &[waits], now.plus(KEPT).plus(Duration::from_mins(1)));
        assert_eq!(kept.each_ref().map(|path| path.exists()), [true, false, false]);
        let path = given.path().to_owned();
        drop(given);
        assert!(!path.exists());
    }

    #[test]
    fn parts_grow_on_a_quick_line_and_shrink_on_a_slow_one() {
        let mut pace = Pace::new();
        for _ in 0..9 {
            pace.note(Duration::from_millis(20));
        }
        assert_eq!(pace.0, PART_BYTES);
        for _ in 0..9 {
            pace.note(Duration::from_secs(5));
        }
        assert_eq!(pace.0, SMALLEST_PART);
    }
}
