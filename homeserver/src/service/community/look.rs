//! Snapshots of logs, which their owners have vouched for, as newcomers to large communities get them.

use std::sync::{Arc, OnceLock};

use rookery_protocol::{
    chain::Entry,
    codec::Octets,
    community::State,
    id::{ChainId, CommunityId},
    request::{
        Refusal,
        look::{SNAPSHOT_PART_BYTES, SnapshotPart, Snapshotted},
    },
};

use super::{Hosted, append::Batch};
use crate::{
    repository::{Limit, StorageError},
    service::Services,
};

/// A community that has had more owners is read from its log: their statements go with every part.
const MAX_OWNERS: usize = 64;

/// What an owner has vouched for.
#[derive(Debug)]
pub struct Vouched {
    /// The statement.
    entry: Entry,
    /// What the log had come to before it.
    before: State,
    /// The same as bytes, once somebody has asked.
    bytes: OnceLock<Vec<u8>>,
}

impl Vouched {
    /// What `entry` vouches for, by which a log went on from `before` to `after`; nothing if it says something else.
    pub(super) fn by(entry: &Entry, before: Option<&State>, after: &State) -> Option<Arc<Self>> {
        let before = before.filter(|_| after.vouched == Some(entry.seq))?.clone();
        Some(Arc::new(Self { entry: entry.clone(), before, bytes: OnceLock::new() }))
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get_or_init(|| self.before.snapshot().encode())
    }
}

/// What the owner of a community has last vouched for, after a batch.
pub(super) fn vouched(
    services: &Services,
    community: CommunityId,
    batch: &Batch,
) -> Option<Arc<Vouched>> {
    let mut before = batch.before.as_ref();
    let mut newest = None;
    for step in &batch.steps {
        newest = Vouched::by(&step.stored.entry, before, &step.after).or(newest);
        before = Some(&step.after);
    }
    let known = || services.hub.folds.get(&community)?.vouched.clone();
    newest.or_else(known)
}

/// A part of the newest snapshot, with what proves whose word it is. Whoever asks may read the log.
pub async fn part(
    services: &Services,
    hosted: &Hosted,
    offset: u64,
) -> Result<SnapshotPart, Refusal> {
    let head = hosted.head();
    let vouched = hosted.vouched.as_ref();
    let Some(vouched) = vouched.filter(|_| hosted.state.owners.size() <= MAX_OWNERS) else {
        return Ok(SnapshotPart { snapshot: None, head });
    };
    let owners = owners(services, &vouched.before).await;
    let owners = owners.map_err(|error| super::super::refusal(&error))?;
    let bytes = vouched.bytes();
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let rest = usize::try_from(offset).ok().and_then(|from| bytes.get(from..));
    let rest = rest.ok_or(Refusal::Malformed)?;
    let bytes = rest.get(..SNAPSHOT_PART_BYTES).unwrap_or(rest).to_vec();
    let bytes = Octets::parse(bytes).map_err(|_| Refusal::Internal)?;
    let snapshot = Snapshotted { entry: vouched.entry.clone(), owners, size, bytes };
    Ok(SnapshotPart { snapshot: Some(snapshot), head })
}

/// The statements by which a community got its owners.
async fn owners(services: &Services, state: &State) -> Result<Vec<Entry>, StorageError> {
    let log = ChainId::of_log(state.community);
    let one = Limit { rows: 1, bytes: usize::MAX };
    let mut view = services.storage.read().await?;
    let mut entries = vec![];
    for seq in state.owners.keys() {
        let page = view.entries(log, seq.checked_sub(1), one).await?;
        let entry =
            page.rows.into_iter().map(|stored| stored.entry).find(|entry| entry.seq == *seq);
        entries.push(entry.ok_or(StorageError::Inconsistent { table: "entry" })?);
    }
    Ok(entries)
}
