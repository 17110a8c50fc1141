//! What a device has sent to other servers that is not there yet, or has come back.

use rookery_protocol::{
    request::{
        Refusal,
        message::{Awaits, Outstanding, OutstandingMessages},
        peering::{KnownServer, KnownServers},
    },
    session::{Authenticated, FollowDown},
};

use super::Services;
use crate::{
    repository::StorageError,
    service::{feed::Live, refusal},
};

/// How many are listed at once.
const PAGE: u32 = 500;
/// How many are dismissed at once.
const MAX_DISMISSED: usize = 500;

/// What is not there yet, and what has come back.
pub async fn list(
    services: &Services,
    who: Authenticated,
) -> Result<OutstandingMessages, StorageError> {
    let mut view = services.storage.read().await?;
    let rows = view.outbound_of(who.user, who.device, PAGE).await?;
    let more = rows.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let messages = rows
        .into_iter()
        .filter_map(|row| {
            Some(Outstanding {
                message: row.outbound.item,
                to: row.outbound.receiver?,
                awaits: Awaits { server: row.peer, since: row.outbound.at },
                returned: row.returned,
                reason: row.reason,
            })
        })
        .collect();
    Ok(OutstandingMessages { messages, more })
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
