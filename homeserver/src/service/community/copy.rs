//! Copies of communities whose hub is another server: taken in as the hub has ordered them, each entry checked by the rules that clients run,
//! and served to users here like what this server orders itself.
//!
//! Copies stand in the same tables. What is not checked here is whether a post may stand where it stands: its readers do that, who have what
//! it takes, and a hub that places what it may not is found out by each of them.

use std::{collections::BTreeMap, sync::Arc};

use rookery_protocol::{
    chain::{self, Entry, HeadRef, Item, Kind, OwnerHead, Seen},
    codec,
    community::{self, Action, EpochStart, Handover, Redact, Refused, State, Statement},
    id::{ChainId, ChannelId, CommunityId, UserId},
};

use super::{
    Hosted,
    append::{self, Batch, Step},
    chains::Known,
    tell,
};
use crate::{
    repository::{
        Repository, StorageError,
        abroad::CopiedHead,
        chain::{Append, StoredChain, StoredEntry},
        community::StoredCommunity,
    },
    service::{Services, peer::Peer, statement},
};

/// Why something of a copy was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The community's hub is another server.
    #[error("the community has another hub")]
    NotTheirs,
    /// The community has ended here, or has no such channel.
    #[error("there is no such place")]
    NoPlace,
    /// More of a user's chain is needed than is here.
    #[error("the chain of {user} is not here as far as entry {seq}")]
    Missing {
        /// Whose.
        user: UserId,
        /// How far.
        seq: u64,
    },
    /// A channel names a place of the log that is not here yet.
    #[error("the log is not here so far")]
    LogBehind,
    /// What the hub shows breaks the rules, or contradicts what it has shown before.
    #[error("the hub shows what does not hold: {0}")]
    Broken(String),
    /// Something else has changed the copy meanwhile.
    #[error("the copy has changed meanwhile")]
    Raced,
    /// The community is handed over to this server, and not all of it is here yet.
    #[error("the community is handed over to this server, and not all of it is here yet")]
    Incomplete(Handover),
}

fn broken(error: impl std::fmt::Display) -> CopyFault {
    CopyFault::Broken(error.to_string())
}

/// Whether a peer is the hub of a community.
fn is_hub(peer: &Peer, state: &State) -> bool {
    state.hub == peer.name && peer.has_root(state.hub_key)
}

impl Services {
    /// The copy of a community whose hub is `peer`, if there is one.
    pub async fn copied(
        &self,
        peer: &Peer,
        community: CommunityId,
    ) -> Result<Option<Arc<Hosted>>, CopyFault> {
        match self.hosted(community).await? {
            Some(hosted) if hosted.row.hub.as_ref() == Some(&peer.name) => Ok(Some(hosted)),
            Some(_) => Err(CopyFault::NotTheirs),
            None => {
                let row = self.storage.read().await?.community(community).await?;
                if row.is_some() { Err(CopyFault::NoPlace) } else { Ok(None) }
            }
        }
    }
}

/// What became of entries of a log.
pub enum Taken {
    /// They are here. The epochs that they begin.
    Kept(Vec<EpochStart>),
    /// They lead from one hub towards another: what the peer is the hub of comes after them. Nothing of them is kept yet.
    Leading(Vec<Step>),
}

/// Takes in entries of a log that follow the copy, and those that have led to them; the signed head of a hub vouches for the last of them.
/// That is the peer who has placed it, or who became the hub by it.
pub async fn take_log(
    services: &Services,
    peer: &Peer,
    community: CommunityId,
    (mut steps, entries): (Vec<Step>, Vec<Entry>),
    head: CopiedHead,
) -> Result<Taken, CopyFault> {
    let hosted = services.hosted(community).await?;
    if hosted.as_ref().is_some_and(|hosted| hosted.row.hub.is_none()) {
        return Err(CopyFault::NotTheirs);
    }
    let before = hosted.as_ref().map(|hosted| hosted.state.clone());
    let reached = steps.last().map(|step| step.after.clone()).or_else(|| before.clone());
    steps.extend(judge(services, community, reached, entries).await?);
    let Some(last) = steps.last() else { return Ok(Taken::Kept(vec![])) };
    let placed_at = steps.iter().rev().nth(1).map(|step| &step.after).or(before.as_ref());
    let is_of_peer = is_hub(peer, placed_at.unwrap_or(&last.after)) || is_hub(peer, &last.after);
    if !is_of_peer {
        return Ok(Taken::Leading(steps));
    }
    let row = match (&hosted, steps.first()) {
        (Some(hosted), _) => hosted.row.clone(),
        (None, Some(first)) => StoredCommunity {
            community,
            kind: first.after.kind,
            founder: first.statement.author,
            owner: first.after.owner,
            is_frozen: false,
            is_deleted: false,
            created: services.clock.now(),
            hub: Some(first.after.hub.clone()),
            was_hub: false,
        },
        (None, None) => return Ok(Taken::Kept(vec![])),
    };
    let handed = match &last.statement.action {
        Action::Handover(handover) => Some(handover.clone()),
        _ => None,
    };
    let epochs = epochs_of(&steps);
    let unwanted = unwanted(services, &steps).await?;
    let batch =
        Batch { before, steps, named: vec![], copied: Some(head), unwanted, is_regained: false };
    let turn = services.order.lock().await;
    let Ok(hosted) = append::keep(services, row, &batch).await else {
        // Whatever was there first is read anew.
        services.hub.folds.invalidate(&community);
        let is_ours = |next: &Handover| next.hub_key == services.identity.server();
        return Err(handed.filter(is_ours).map_or(CopyFault::Raced, CopyFault::Incomplete));
    };
    tell::appended(services, &batch, &hosted);
    drop(turn);
    Ok(Taken::Kept(epochs))
}

/// The epochs that statements begin.
pub(super) fn epochs_of(steps: &[Step]) -> Vec<EpochStart> {
    let epochs = steps.iter().filter_map(|step| match &step.statement.action {
        Action::Epoch(start) => Some(start.clone()),
        _ => None,
    });
    epochs.collect()
}

/// Where a hub's word says that a chain stands. It was checked when it came.
#[must_use]
pub fn place_of_head(copied: &CopiedHead, chain: ChainId) -> Option<HeadRef> {
    let word: OwnerHead = codec::decode(copied.head.payload.as_slice()).ok()?;
    let head = word.heads.into_iter().find(|head| head.chain == chain)?;
    Some(HeadRef { seq: head.seq, hash: head.hash })
}

/// Keeps the hub's word for where a chain stands, unless there is a newer one.
pub(super) async fn keep_head(
    unit: &mut dyn Repository,
    chain: ChainId,
    head: &CopiedHead,
) -> Result<(), StorageError> {
    let seq = |copied: &CopiedHead| place_of_head(copied, chain).map(|head| head.seq);
    let known = unit.copied_head(chain).await?;
    if known.is_none_or(|known| seq(&known) <= seq(head)) {
        unit.put_copied_head(chain, head).await?;
    }
    Ok(())
}

/// Users here whom somebody has brought in who may not write to them: for them there is no such community.
async fn unwanted(services: &Services, steps: &[Step]) -> Result<Vec<UserId>, StorageError> {
    let mut unwanted = vec![];
    for Step { statement, .. } in steps {
        let user = match &statement.action {
            Action::Add(add) => add.user,
            Action::InviteCreate(create) => match create.user {
                Some(user) => user,
                None => continue,
            },
            _ => continue,
        };
        let Some(added) = services.resident(user).await? else { continue };
        let is_own = services.resident(statement.author).await?.is_some();
        if !is_own && services.may_write(statement.author, &added).await?.is_none() {
            tracing::info!(%user, by = %statement.author, "somebody was brought into a community, or invited, by whom they do not let write to them");
            unwanted.push(user);
        }
    }
    Ok(unwanted)
}

/// Runs the rules, from which the hub is not exempt.
pub(super) async fn judge(
    services: &Services,
    community: CommunityId,
    mut state: Option<State>,
    entries: Vec<Entry>,
) -> Result<Vec<Step>, CopyFault> {
    let at = services.clock.now();
    let items = chain::verify_all(&entries);
    let mut view = services.storage.read().await?;
    let mut known = Known::default();
    let mut steps = Vec::with_capacity(entries.len());
    for (entry, item) in entries.into_iter().zip(items) {
        let after = loop {
            let judged =
                community::apply_verified(community, state.as_ref(), &entry, item.clone(), &known);
            match judged {
                Ok(after) => break after,
                Err(Refused::Denied(error)) => return Err(broken(error)),
                Err(Refused::Hold { user, head }) => {
                    if !services.bring(&mut *view, &mut known, user, head.seq).await? {
                        return Err(CopyFault::Missing { user, seq: head.seq });
                    }
                }
            }
        };
        let item = item.map_err(broken)?;
        let body = entry.body.as_ref().ok_or_else(|| broken("a statement without its body"))?;
        let statement: Statement = codec::decode(body.as_slice()).map_err(broken)?;
        state = Some(after.clone());
        let stored = stored(entry, &item, at)?;
        steps.push(Step { stored, statement, after });
    }
    Ok(steps)
}

fn stored(
    entry: Entry,
    item: &Item,
    at: rookery_protocol::time::Timestamp,
) -> Result<StoredEntry, CopyFault> {
    let author = entry.signed.author().ok_or_else(|| broken("an entry without an author"))?;
    let author = author.device_id();
    Ok(StoredEntry { entry, item: item.item_id, kind: item.kind, author, at })
}

/// Posts that follow what is here of a channel.
pub(super) struct Posts {
    /// They.
    pub(super) rows: Vec<StoredEntry>,
    /// Places that they erase.
    erased: Vec<(ChainId, u64)>,
}

impl Posts {
    /// Appends them, each period of ownership for itself.
    pub(super) async fn append(
        &self,
        unit: &mut dyn Repository,
        (state, channel): (&State, ChannelId),
    ) -> Result<(), CopyFault> {
        let chain = ChainId::of_channel(state.community, channel);
        let is_of_one = |one: &StoredEntry, other: &StoredEntry| {
            one.entry.owner_epoch == other.entry.owner_epoch
        };
        for rows in self.rows.chunk_by(is_of_one) {
            match unit.append_entries(chain, rows).await? {
                Append::Done(head) => {
                    let next = state.owner_epoch_at(channel, head.seq.saturating_add(1));
                    unit.set_owner_epoch(chain, next).await?;
                }
                Append::ItemExists => return Err(broken("an item that stands there already")),
                Append::Stale(_) | Append::NoChain => return Err(CopyFault::Raced),
            }
        }
        Ok(())
    }

    /// Erases what they erase: the hub has done so by its judgement, and shows it no more.
    pub(super) async fn erase(&self, unit: &mut dyn Repository) -> Result<(), StorageError> {
        let targets = unit.notes_at(&self.erased).await?;
        let targets = targets.into_iter().filter(|note| note.kind == Kind::Message);
        let mut chains = BTreeMap::<ChainId, Vec<_>>::new();
        for note in targets {
            chains.entry(note.chain).or_default().push(note.item);
        }
        for (chain, items) in chains {
            unit.erase_bodies(chain, &items).await?;
        }
        Ok(())
    }
}

/// Checks that entries follow what is known of a channel, by what the community is now.
pub(super) fn check_posts(
    services: &Services,
    known: &StoredChain,
    (state, channel): (&State, ChannelId),
    entries: Vec<Entry>,
) -> Result<Posts, CopyFault> {
    let items = chain::verify_all(&entries);
    let mut last: Option<Seen> = known.head.map(Seen::from);
    let mut posts = Posts { rows: Vec::with_capacity(entries.len()), erased: vec![] };
    for (entry, item) in entries.into_iter().zip(items) {
        if entry.chain != known.chain {
            return Err(broken("an entry of another chain"));
        }
        entry.check_place(last).map_err(broken)?;
        let item = item.map_err(broken)?;
        let position = entry.log_pos.ok_or_else(|| broken("a post without a place in the log"))?;
        if position > state.head.seq {
            return Err(CopyFault::LogBehind);
        }
        state.check_term(channel, &entry).map_err(broken)?;
        if !matches!(item.kind, Kind::Announce | Kind::Message | Kind::Redact) {
            return Err(broken("another kind of entry"));
        }
        if item.kind == Kind::Redact
            && let Some(body) = &entry.body
        {
            let redact: Redact = codec::decode(body.as_slice()).map_err(broken)?;
            posts.erased.extend(redact.targets.into_iter().map(|seq| (known.chain, seq)));
        }
        last = Some(entry.seen());
        posts.rows.push(stored(entry, &item, services.clock.now())?);
    }
    Ok(posts)
}

/// Takes in entries of a channel that follow the copy; the hub's signed head vouches for the last of them.
pub async fn take_channel(
    services: &Services,
    peer: &Peer,
    (community, channel): (CommunityId, ChannelId),
    entries: Vec<Entry>,
    head: CopiedHead,
) -> Result<(), CopyFault> {
    let chain = ChainId::of_channel(community, channel);
    let hosted = services.copied(peer, community).await?.ok_or(CopyFault::NoPlace)?;
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let known = unit.chain(chain).await?.ok_or(CopyFault::NoPlace)?;
    let posts = check_posts(services, &known, (&hosted.state, channel), entries)?;
    if posts.rows.is_empty() {
        return Ok(());
    }
    posts.append(&mut *unit, (&hosted.state, channel)).await?;
    posts.erase(&mut *unit).await?;
    keep_head(&mut *unit, chain, &head).await?;
    unit.commit().await?;
    let lives: Vec<_> = posts.rows.iter().map(|row| statement::live(&row.entry)).collect();
    services.feeds.put_in_chain(chain, &lives);
    drop(turn);
    Ok(())
}
