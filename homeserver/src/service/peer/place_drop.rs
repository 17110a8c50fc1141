//! Copies that nobody here needs any more. When the last who lives here has left a community, its copy stays for a while, then it goes: its
//! log, its channels and its blobs, and nothing that others share, such as the chains of its members. It goes in small pieces, and in an order
//! in which a crash leaves nothing half there: what is being dropped is no community any more, and who comes again finishes that first.
//!
//! How far the log was here is remembered until the hub knows. So nobody is taken to have to do with the community by what they stated before.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

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
/// Entries or blobs in one unit of work, so that none takes long.
const ROWS: u32 = 2_000;

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
            if let Some(client) = peer.client()
                && let Err(error) = tell(&services, &peer, &client).await
            {
                tracing::debug!(peer = %peer.name, %error, "the hub was not told which copies were dropped");
            }
        }
    }
}

/// Drops each copy that nobody has needed for long enough.
pub async fn round(services: &Arc<Services>) -> Result<(), StorageError> {
    let now = services.clock.now();
    let kept = u64::try_from(services.config.keep_unused_copies.0.as_millis()).unwrap_or(u64::MAX);
    let before = Timestamp::from_millis(now.as_millis().saturating_sub(kept));
    let mut unit = services.storage.begin().await?;
    unit.note_unused_copies(now).await?;
    unit.commit().await?;
    let due = services.storage.read().await?.unused_copies(before, AT_ONCE).await?;
    for community in due {
        drop_copy(services, community).await?;
    }
    Ok(())
}

async fn drop_copy(services: &Services, community: CommunityId) -> Result<(), StorageError> {
    // Nobody brings it up to date meanwhile, and nobody comes to belong to it.
    let copying = services.hub.copying(community).await;
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
        let more = unit.go_on_with_drop(community, ROWS).await?;
        unit.commit().await?;
        if !more {
            services.hub.forget(community);
            return Ok(());
        }
    }
}

/// Tells a hub which copies of its communities were dropped.
async fn tell(services: &Services, peer: &Peer, client: &Client) -> Result<(), StorageError> {
    let untold = services.storage.read().await?.dropped_untold(&peer.name, AT_ONCE).await?;
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
