//! Storing a batch: entries, chains, blobs, who belongs, in one unit of work.

use std::{collections::BTreeSet, sync::Arc};

use rookery_protocol::{
    community::CommunityKind,
    id::{ChainId, ChannelId, CommunityId, UserId},
    name::ServerName,
    request::{Failure, Refusal, community::AppendLogError},
};

use super::super::{Hosted, author::Author, belonging, copy, look, moving, spread};
use crate::{
    repository::{
        Repository, StorageError,
        chain::{Append, ChainKind, StoredEntry},
        community::{Belonging, ChainPlace, StoredCommunity},
    },
    service::{Services, peer::standing},
};

use super::{Batch, Error, Step, denied};

/// Stores the batch in one unit of work, and keeps what the community has become.
pub(super) async fn store(
    services: &Services,
    author: &Author,
    community: CommunityId,
    hosted: Option<&Hosted>,
    batch: &Batch,
) -> Result<Arc<Hosted>, Error> {
    let Some(last) = batch.steps.last() else { return Err(Refusal::Internal.into()) };
    let state = &last.after;
    let row = match hosted {
        Some(hosted) => hosted.row.clone(),
        None => StoredCommunity {
            community,
            kind: state.kind,
            founder: author.user(),
            owner: state.owner,
            is_frozen: false,
            is_deleted: false,
            created: services.clock.now(),
            hub: None,
            was_hub: false,
        },
    };
    let hosted = keep(services, row, batch).await?;
    if batch.before.is_none() {
        let is_group = state.kind == CommunityKind::Group;
        tracing::info!(%community, founder = %author.user(), is_group, "a community began");
    }
    Ok(hosted)
}

/// Stores a batch of the community of `row`, begun by it unless there was something before, and keeps what the community has become. Under
/// [`Services::order`].
pub(in crate::service::community) async fn keep(
    services: &Services,
    mut row: StoredCommunity,
    batch: &Batch,
) -> Result<Arc<Hosted>, Error> {
    let (at, community) = (services.clock.now(), row.community);
    let chain = ChainId::of_log(community);
    let Some(last) = batch.steps.last() else { return Err(Refusal::Internal.into()) };
    let state = &last.after;
    let farewells = spread::farewells(services, &row, batch).await?;
    let mut unit = services.storage.begin().await?;
    if batch.before.is_none() {
        if !unit.create_community(&row).await? {
            return Err(Failure::Error(AppendLogError::NotFound));
        }
        unit.create_chain(chain, ChainKind::Log, row.founder, 0, at).await?;
        unit.place_chain(chain, ChainPlace { community, channel: None }).await?;
        unit.settle_drop(community, true).await?;
    }
    append_steps(&mut *unit, chain, batch).await?;
    for channel in new_channels(batch) {
        let chain = ChainId::of_channel(community, channel);
        let owner_epoch = state.owner_epoch_at(channel, 0);
        unit.create_chain(chain, ChainKind::Channel, row.founder, owner_epoch, at).await?;
        unit.place_chain(chain, ChainPlace { community, channel: Some(channel) }).await?;
    }
    for key in &batch.named {
        unit.name_blob(*key).await?;
    }
    if state.is_deleted {
        unit.end_community(community).await?;
    } else {
        let mut changes = belonging::changes(batch);
        for (user, belonging) in &mut changes {
            if batch.unwanted.contains(user) {
                *belonging = Belonging::Named;
            }
        }
        unit.put_belongings(community, &changes).await?;
        if let Some(hub) = &row.hub {
            end_reading(services, &mut *unit, hub, &changes).await?;
        }
    }
    if let Some(head) = &batch.copied {
        copy::keep_head(&mut *unit, chain, head).await?;
    }
    for (peer, seq) in &farewells {
        unit.put_farewell(peer, community, *seq).await?;
    }
    if moving::is_handed_over(batch) {
        hand_over(services, &mut *unit, &mut row, batch).await?;
    }
    if row.owner != state.owner {
        row.owner = state.owner;
        unit.set_community_owner(community, row.owner).await?;
    }
    unit.commit().await?;
    row.is_deleted = state.is_deleted;
    let vouched = look::vouched(services, community, batch);
    let hosted = Arc::new(Hosted { row, state: state.clone(), vouched });
    if state.is_deleted {
        services.hub.folds.invalidate(&community);
    } else {
        services.hub.folds.insert(community, Arc::clone(&hosted));
    }
    spread::log_moved(services, &hosted, &farewells);
    Ok(hosted)
}

/// Appends the statements of a batch, each period of ownership for itself.
async fn append_steps(
    unit: &mut dyn Repository,
    chain: ChainId,
    batch: &Batch,
) -> Result<(), Error> {
    let is_of_one =
        |one: &Step, other: &Step| one.stored.entry.owner_epoch == other.stored.entry.owner_epoch;
    for steps in batch.steps.chunk_by(is_of_one) {
        let entries: Vec<StoredEntry> = steps.iter().map(|step| step.stored.clone()).collect();
        match unit.append_entries(chain, &entries).await? {
            Append::Done(_) => {}
            Append::Stale(head) => return Err(Failure::Error(AppendLogError::Stale { head })),
            Append::ItemExists => return Err(denied("a statement's item id was used before")),
            Append::NoChain => return Err(Refusal::Internal.into()),
        }
        if let Some(last) = steps.last() {
            unit.set_owner_epoch(chain, last.after.owner_epoch).await?;
        }
    }
    Ok(())
}

/// Another server is the hub from now on, or this one: then all of the community is here.
async fn hand_over(
    services: &Services,
    unit: &mut dyn Repository,
    row: &mut StoredCommunity,
    batch: &Batch,
) -> Result<(), Error> {
    let Some(Step { after: state, .. }) = batch.steps.last() else { return Ok(()) };
    let own = services.identity.server();
    let (was_hub, is_hub) = (row.hub.is_none(), state.hub_key == own);
    let is_complete = !batch.is_regained && was_hub != is_hub;
    if is_complete && !moving::stands_at_ends(unit, state).await? {
        // Something was placed in a channel that the hand-over does not know, or is not here yet.
        let head = unit.chain(ChainId::of_log(row.community)).await?.and_then(|log| log.head);
        return Err(Failure::Error(AppendLogError::Stale { head }));
    }
    row.hub = (!is_hub).then(|| state.hub.clone());
    row.was_hub = !is_hub && state.hubs().any(|(_, _, root)| root == own);
    unit.set_community_hub(row.community, row.hub.as_ref(), row.was_hub).await?;
    for term in state.terms.values().filter(|term| term.hub_key != own) {
        unit.put_former_hub(row.community, &term.hub).await?;
    }
    let channels =
        state.channels.keys().chain(state.terms.values().flat_map(|term| term.ends.keys()));
    let channels: BTreeSet<ChannelId> = channels.copied().collect();
    for channel in channels {
        let chain = ChainId::of_channel(row.community, channel);
        let Some(stored) = unit.chain(chain).await? else { continue };
        let next = stored.head.map_or(0, |head| head.seq.saturating_add(1));
        unit.set_owner_epoch(chain, state.owner_epoch_at(channel, next)).await?;
    }
    services.hub.moves.end(row.community);
    Ok(())
}

/// The hub may not read the chains of those any more whom the batch has parted from it, unless they have to do with it otherwise.
async fn end_reading(
    services: &Services,
    unit: &mut dyn Repository,
    hub: &ServerName,
    changes: &[(UserId, Belonging)],
) -> Result<(), StorageError> {
    for (user, _) in changes.iter().filter(|(_, now)| *now == Belonging::Named) {
        if services.resident(*user).await?.is_some() {
            standing::close(unit, hub, *user).await?;
        }
    }
    Ok(())
}

/// Channels whose chains are to be made.
fn new_channels(batch: &Batch) -> Vec<ChannelId> {
    let Some(last) = batch.steps.last() else { return vec![] };
    let is_known = |channel: &ChannelId| {
        batch.before.as_ref().is_some_and(|before| before.channels.contains_key(channel))
    };
    last.after.channels.keys().copied().filter(|channel| !is_known(channel)).collect()
}
