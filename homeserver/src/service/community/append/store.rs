//! Storing a batch: entries, chains, blobs, who belongs, in one unit of work.

use std::sync::Arc;

use rookery_protocol::{
    community::CommunityKind,
    id::{ChainId, ChannelId, CommunityId, UserId},
    name::ServerName,
    request::{Failure, Refusal, community::AppendLogError},
};

use super::super::{Hosted, author::Author, belonging, copy, spread};
use crate::{
    repository::{
        Repository, StorageError,
        chain::{Append, ChainKind, StoredEntry},
        community::{Belonging, ChainPlace, StoredCommunity},
    },
    service::{Services, peer::standing},
};

use super::{Batch, Error, denied};

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
    let entries: Vec<StoredEntry> = batch.steps.iter().map(|step| step.stored.clone()).collect();
    match unit.append_entries(chain, &entries).await? {
        Append::Done(_) => {}
        Append::Stale(head) => return Err(Failure::Error(AppendLogError::Stale { head })),
        Append::ItemExists => return Err(denied("a statement's item id was used before")),
        Append::NoChain => return Err(Refusal::Internal.into()),
    }
    for channel in new_channels(batch) {
        let chain = ChainId::of_channel(community, channel);
        unit.create_chain(chain, ChainKind::Channel, row.founder, 0, at).await?;
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
    if row.owner != state.owner {
        row.owner = state.owner;
        unit.set_community_owner(community, row.owner).await?;
    }
    unit.commit().await?;
    row.is_deleted = state.is_deleted;
    let hosted = Arc::new(Hosted { row, state: state.clone() });
    if state.is_deleted {
        services.hub.folds.invalidate(&community);
    } else {
        services.hub.folds.insert(community, Arc::clone(&hosted));
    }
    spread::log_moved(services, &hosted, &farewells);
    Ok(hosted)
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
