//! What a device has sent to other servers that is not there yet, or has come back.

use std::time::Duration;

use rookery_protocol::{
    request::{
        Refusal,
        message::{Awaits, Outstanding, OutstandingMessages, OutstandingPlace},
        peering::{KnownServer, KnownServers},
    },
    session::{Authenticated, FollowDown},
    time::Timestamp,
};

use super::Services;
use crate::{
    repository::StorageError,
    service::{feed::Live, refusal},
};

/// How many are listed at once.
/// One is at most about 1.5 KiB, so that a reply is well below what a frame takes.
const PAGE: u32 = 250;
/// How long what has come back is kept at least for a device that does not ask.
const KEEP_RETURNED: Duration = Duration::from_hours(35 * 24);
/// How many are dismissed at once.
const MAX_DISMISSED: usize = 500;

/// What is not there yet, and what has come back.
pub async fn list(
    services: &Services,
    who: Authenticated,
    after: Option<&OutstandingPlace>,
) -> Result<OutstandingMessages, StorageError> {
    let mut view = services.storage.read().await?;
    let rows = view.outstanding(who.user, who.device, after, PAGE).await?;
    let more = rows.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let last = rows.last().map(|row| row.place.clone());
    let messages = rows.into_iter().map(|row| Outstanding {
        message: row.place.message,
        to: row.receiver,
        awaits: Awaits { server: row.place.server, since: row.at },
        returned: row.returned,
        reason: row.reason,
    });
    Ok(OutstandingMessages { messages: messages.collect(), more, last })
}

/// Forgets what came back long ago to devices that are their users' no more. Whoever may still ask is told in the end, or they would take
/// it for delivered.
pub async fn forget(services: &Services) -> Result<(), StorageError> {
    let kept = u64::try_from(KEEP_RETURNED.as_millis()).unwrap_or(u64::MAX);
    let before = Timestamp::from_millis(services.clock.now().as_millis().saturating_sub(kept));
    let owners = services.storage.read().await?.returned_before(before).await?;
    for (user, device) in owners {
        let resident = services.resident(user).await?;
        if resident.is_some_and(|resident| resident.live.contains(&device)) {
            continue;
        }
        let mut unit = services.storage.begin().await?;
        unit.forget_returned(user, device).await?;
        unit.commit().await?;
    }
    Ok(())
}

/// Forgets what the device has taken note of.
pub async fn dismiss(
    services: &Services,
    who: Authenticated,
    items: &[rookery_protocol::id::ItemId],
) -> Result<(), Refusal> {
    if items.len() > MAX_DISMISSED {
        return Err(Refusal::Malformed);
    }
    let storage = |error| refusal(&error);
    let mut unit = services.storage.begin().await.map_err(storage)?;
    unit.dismiss_returned(who.user, who.device, items).await.map_err(storage)?;
    unit.commit().await.map_err(storage)
}

/// Tells a device that the list has changed, if it follows.
pub(super) fn tell(services: &Services, device: rookery_protocol::id::DeviceId) {
    if let Some(feed) = services.feeds.of_device(device) {
        feed.push(Live::notice(&FollowDown::OutstandingChanged));
    }
}

/// The servers that this one is in touch with, as a user sees them.
pub async fn servers(
    services: &Services,
    who: Authenticated,
) -> Result<KnownServers, StorageError> {
    let mut servers = vec![];
    let mut view = services.storage.read().await?;
    for peer in services.peers.all() {
        if services.peer(&peer.name).is_none() {
            continue;
        }
        let (link, since, _) = peer.state();
        servers.push(KnownServer {
            name: peer.name.clone(),
            link,
            since,
            is_quarantined: peer.stored().offered.is_some(),
            waiting: view.outbound_count(&peer.name, who.user).await?,
        });
    }
    Ok(KnownServers { servers })
}
