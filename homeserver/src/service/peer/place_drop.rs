//! Copies that nobody here needs any more. When the last who lives here has left a community, its copy stays for a while, then it goes: its
//! log, its channels and its blobs, and nothing that others share, such as the chains of its members. It goes in small pieces, and in an order
//! in which a crash leaves nothing half there: what is being dropped is no community any more, and who comes again finishes that first.
//!
//! How far the log was here is remembered until the hub knows. So nobody is taken to have to do with the community by what they stated before.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures::FutureExt as _;
use rookery_protocol::{
    id::{CommunityId, ServerId},
    io::client::{CallError, Client},
    request::{
        Refusal,
        peer_place::{PeerLeavePlace, PlaceLeft},
    },
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

use super::{Peer, Services, answer::peer_of, place_copy::ask};
use crate::repository::StorageError;

/// How often it is looked for copies that nobody needs, where the time for which they are kept is not shorter still.
const ROUND: Duration = Duration::from_mins(1);
const SHORTEST: Duration = Duration::from_secs(1);
/// Copies that are looked up at once, and hubs' communities in one go.
const AT_ONCE: u32 = 64;
/// Copies of which is noted in one unit of work whether they are needed.
const NOTED: u32 = 256;
/// Entries in one unit of work, so that none takes long.
const ENTRIES: u32 = 2_000;
/// Blobs in one unit of work: each is of up to 24 MiB, in parts that go with it.
const BLOBS: u32 = 8;

/// Drops what nobody needs and tells the hubs, until `stop`.
pub async fn run(services: Weak<Services>, stop: CancellationToken) {
    loop {
        let Some(wait) = services.upgrade().map(|services| services.config.keep_unused_copies.0)
        else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(wait.clamp(SHORTEST, ROUND)) => {}
            () = stop.cancelled() => return,
        }
        let Some(services) = services.upgrade() else { return };
        if let Err(error) = round(&services).await {
            tracing::warn!(%error, "copies that nobody needs were not dropped; it is tried again");
        }
        for peer in services.peers.all() {
            if let Err(error) = tell_apart(&services, &peer, &stop).await {
                tracing::warn!(peer = %peer.name, %error, "which copies were dropped was not looked up");
            }
        }
    }
}

/// Tells a hub which copies of its communities were dropped, in a task of its own unless one is at it already: however long one hub takes to
/// answer, the others are told.
async fn tell_apart(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    stop: &CancellationToken,
) -> Result<(), StorageError> {
    let Some(client) = peer.client() else { return Ok(()) };
    let Ok(turn) = Arc::clone(&peer.parting).try_lock_owned() else { return Ok(()) };
    let untold = services.storage.read().await?.dropped_untold(&peer.name, AT_ONCE).await?;
    if untold.is_empty() {
        return Ok(());
    }
    let (services_, peer_, stop_) = (Arc::clone(services), Arc::clone(peer), stop.clone());
    services.tasks.spawn(async move {
        let telling = tell(&services_, &peer_, &client, untold);
        if let Some(Err(error)) = stop_.run_until_cancelled(telling).await {
            tracing::warn!(peer = %peer_.name, %error, "that the hub knows which copies were dropped was not noted");
        }
        drop(turn);
    });
    Ok(())
}

/// Drops each copy that nobody has needed for long enough.
pub async fn round(services: &Arc<Services>) -> Result<(), StorageError> {
    let now = services.clock.now();
    let kept = u64::try_from(services.config.keep_unused_copies.0.as_millis()).unwrap_or(u64::MAX);
    let before = Timestamp::from_millis(now.as_millis().saturating_sub(kept));
    note_copies(services, now).await?;
    let due = services.storage.read().await?.unused_copies(before, AT_ONCE).await?;
    for community in due {
        drop_copy(services, community).await?;
    }
    Ok(())
}

/// Notes which copies are needed. They are looked for by reading: who writes waits for nothing but those that have changed. What is left over
/// is noted in the next round.
async fn note_copies(services: &Services, now: Timestamp) -> Result<(), StorageError> {
    let changed = services.storage.read().await?.copies_to_note(NOTED).await?;
    if changed.is_empty() {
        return Ok(());
    }
    let mut unit = services.storage.begin().await?;
    for community in changed {
        unit.note_copy(community, now).await?;
    }
    unit.commit().await
}

async fn drop_copy(services: &Services, community: CommunityId) -> Result<(), StorageError> {
    // Nobody brings it up to date meanwhile, and nobody comes to belong to it. Whoever has its turn may wait for a hub, and the other copies are
    // not to wait with them: this one is dropped in a later round.
    let Some(copying) = services.hub.copying(community).now_or_never() else { return Ok(()) };
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    if unit.begin_drop(community).await? {
        unit.commit().await?;
        tracing::info!(%community, "the copy of a community that nobody here belongs to is dropped");
        metrics::counter!("rookery_copies_dropped_total").increment(1);
    } else {
        drop(unit);
    }
    services.hub.forget(community);
    drop(turn);
    finish(services, community).await?;
    drop(copying);
    Ok(())
}

/// Drops what is left of a copy that is being dropped, if it is. Under the community's turn.
pub(super) async fn finish(
    services: &Services,
    community: CommunityId,
) -> Result<(), StorageError> {
    loop {
        let mut unit = services.storage.begin().await?;
        let more = unit.go_on_with_drop(community, ENTRIES, BLOBS).await?;
        unit.commit().await?;
        if !more {
            services.hub.forget(community);
            return Ok(());
        }
    }
}

async fn tell(
    services: &Services,
    peer: &Peer,
    client: &Client,
    untold: Vec<CommunityId>,
) -> Result<(), StorageError> {
    for community in untold {
        let is_over = match ask(client, &PeerLeavePlace { community }).await {
            Ok(PlaceLeft { is_over }) => is_over,
            // An older server goes on showing what there was.
            Err(CallError::Refused(Refusal::UnknownMethod)) => false,
            Err(error) => {
                tracing::debug!(peer = %peer.name, %community, %error, "the hub was not told that a copy was dropped");
                return Ok(());
            }
        };
        let _copying = services.hub.copying(community).await;
        let mut unit = services.storage.begin().await?;
        // Somebody may have come again meanwhile: then there is nothing to be settled.
        unit.settle_drop(community, is_over).await?;
        unit.commit().await?;
        tracing::info!(peer = %peer.name, %community, "the hub knows that the copy was dropped");
    }
    Ok(())
}

/// A peer needs nothing of a log any more: it gets nothing of it any more, unless somebody of its users has to do with the community.
pub async fn leave(
    services: &Services,
    root: ServerId,
    request: PeerLeavePlace,
) -> Result<PlaceLeft, Refusal> {
    let storage = |error: StorageError| super::super::refusal(&error);
    let peer = peer_of(services, root)?;
    let community = request.community;
    let mut unit = services.storage.begin().await.map_err(storage)?;
    let theirs = unit.foreigners_of_in(&peer.name, community).await.map_err(storage)?;
    if !theirs.is_empty() {
        return Ok(PlaceLeft { is_over: false });
    }
    unit.end_farewell(&peer.name, community).await.map_err(storage)?;
    unit.commit().await.map_err(storage)?;
    Ok(PlaceLeft { is_over: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        repository::{
            community::StoredCommunity,
            contract::community::{community, id},
        },
        service::peer::tests::{garden, with_garden},
    };

    #[tokio::test]
    async fn a_copy_that_somebody_is_at_holds_up_no_other() {
        let (bench, _) = with_garden(&[]).await;
        let services = &bench.services;
        let mut unit = services.storage.begin().await.unwrap();
        for number in [1, 2] {
            let copy = StoredCommunity { hub: Some(garden()), ..community(number) };
            assert!(unit.create_community(&copy).await.unwrap());
        }
        unit.commit().await.unwrap();
        round(services).await.unwrap();
        bench.clock.advance(services.config.keep_unused_copies.0);
        let turn = services.hub.copying(id(1)).await;
        let left = async |number| {
            let mut view = services.storage.read().await.unwrap();
            view.community(id(number)).await.unwrap().is_some()
        };
        tokio::time::timeout(Duration::from_secs(5), round(services)).await.unwrap().unwrap();
        assert_eq!((left(1).await, left(2).await), (true, false));
        drop(turn);
        round(services).await.unwrap();
        assert!(!left(1).await);
    }
}
