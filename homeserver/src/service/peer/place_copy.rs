//! Fetching from a hub what users here follow of its communities.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rookery_protocol::{
    chain::{Entry, HeadRef},
    id::{ChainId, CommunityId},
    io::client::{CallError, Client},
    request::{
        Refusal, Request,
        chain::{Entries, ReadError},
        peer_place::{Guest, PeerListPlaces, PeerReadPlace, PlaceHead},
    },
};

use super::{
    Peer, Services,
    place::{MAX_COPIED_BYTES, MAX_COPIES, Spot},
    place_check::{checked, named_in_channel},
    place_log::fetch_log,
    place_proof, place_users, place_want, share,
};
use crate::{
    repository::{StorageError, abroad::Copies},
    service::community::{
        Hosted,
        copy::{self, CopyFault},
        fork::chain_of,
    },
};

/// Entries asked for at once.
const PAGE: u32 = 256;
/// Pages of one chain that are fetched in one go: the rest comes with the next comparison.
pub(super) const MAX_PAGES: usize = 4_096;
/// Pages of a list of places.
const MAX_LISTS: usize = 1_024;

/// The waits before the hub is asked again that cannot answer now.
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum FetchError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The hub does not answer, or not now.
    #[error("the hub does not answer: {0}")]
    Unreachable(String),
    /// The hub shows no such place.
    #[error("the hub shows no such community or channel")]
    NotFound,
    /// There is as much of its communities as there may be.
    #[error(
        "there are {MAX_COPIES} communities of that hub here, or {MAX_COPIED_BYTES} bytes of them, or as many users that it brought"
    )]
    TooMany,
    /// The hub has had as much stored here as it may, for now.
    #[error("as much was copied from the hub as may be for now")]
    Throttled,
    /// What the hub shows was not taken in.
    #[error(transparent)]
    Fault(CopyFault),
}

impl From<CopyFault> for FetchError {
    fn from(fault: CopyFault) -> Self {
        match fault {
            CopyFault::Storage(error) => Self::Storage(error),
            fault => Self::Fault(fault),
        }
    }
}

/// Compares the heads of all that users here may read at the peer with what is here, and fetches what is new.
pub(super) async fn compare(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    client: &Client,
) -> Result<(), FetchError> {
    let mut after = None;
    for _ in 0..MAX_LISTS {
        let request = PeerListPlaces { after, only: None };
        let page = match ask(client, &request).await {
            // An older server has no communities for others.
            Err(CallError::Refused(Refusal::UnknownMethod)) => return Ok(()),
            page => page.map_err(unreachable)?,
        };
        let moved = page.places.into_iter().map(|place| (spot(&place), place.head)).collect();
        fetch_moved(services, peer, client, moved).await;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

/// Asks the hub, and once more a moment later what it cannot answer now: its other work has come in between, or it asks for patience.
pub(super) async fn ask<R: Request>(
    client: &Client,
    request: &R,
) -> Result<R::Reply, CallError<R::Error>> {
    for wait in PATIENCE {
        match client.call_watched(request).await {
            Err(CallError::Refused(Refusal::Unavailable)) => tokio::time::sleep(wait).await,
            Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                tokio::time::sleep(wait.max(Duration::from_millis(retry_after_ms.min(1_000))))
                    .await;
            }
            answer => return answer,
        }
    }
    client.call_watched(request).await
}

fn spot(place: &PlaceHead) -> Spot {
    (place.community, place.channel)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(super) fn unreachable<E: std::error::Error + 'static>(error: CallError<E>) -> FetchError {
    FetchError::Unreachable(error.to_string())
}

/// Fetches those of the places that are behind the told heads. One community's trouble says nothing about the others.
pub(super) async fn fetch_moved(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    client: &Client,
    moved: BTreeMap<Spot, HeadRef>,
) {
    let mut communities = BTreeMap::<CommunityId, BTreeMap<Spot, HeadRef>>::new();
    for (spot, head) in moved {
        communities.entry(spot.0).or_default().insert(spot, head);
    }
    for (community, moved) in communities {
        match fetch_community(services, peer, client, community, moved).await {
            Ok(()) | Err(FetchError::Unreachable(_) | FetchError::Throttled) => {}
            Err(error) => {
                metrics::counter!("rookery_peer_copies_refused_total", "peer" => peer.name.to_string())
                    .increment(1);
                tracing::warn!(peer = %peer.name, %community, %error, "a copy of a community was not brought up to date");
            }
        }
        if client.connection().lost().is_some() {
            return;
        }
    }
}

async fn fetch_community(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    mut moved: BTreeMap<Spot, HeadRef>,
) -> Result<(), FetchError> {
    let turn = services.hub.copying(community).await;
    if services.is_forked(community).await? {
        return Ok(());
    }
    let told = moved.remove(&(community, None));
    if told.is_none() && services.hosted(community).await?.is_none() {
        // Its log comes with the next comparison.
        return Ok(());
    }
    if let Some(told) = told
        && is_moved(services, peer, client, (community, None), told).await?
        && is_wanted(services, peer, client, community, told).await?
        && fetch_log(services, peer, client, community, None).await?
    {
        // What may be read may have changed with it.
        let request = PeerListPlaces { after: None, only: Some(community) };
        let page = ask(client, &request).await.map_err(unreachable)?;
        let of_it = page.places.iter().filter(|place| place.community == community);
        moved.extend(of_it.map(|place| (spot(place), place.head)));
    }
    let hosted = match services.copied(peer, community).await {
        // It was handed over: what follows is for the next hub to show.
        Err(CopyFault::NotTheirs) => return Ok(()),
        hosted => hosted.or_else(gone)?,
    };
    let Some(hosted) = hosted else { return Ok(()) };
    let residents = services.storage.read().await?.residents_in(community).await?;
    for (spot, head) in moved {
        let Some(channel) = spot.1 else { continue };
        let is_read = residents.iter().any(|user| hosted.may_read(*user, Some(channel)));
        if is_read && is_moved(services, peer, client, spot, head).await? {
            fetch_channel(services, peer, client, spot).await?;
        }
    }
    drop(turn);
    Ok(())
}

/// Whether somebody here has to do with a community, or comes to by what its log says after what is here of it.
async fn is_wanted(
    services: &Services,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    told: HeadRef,
) -> Result<bool, FetchError> {
    let mut view = services.storage.read().await?;
    if !view.residents_in(community).await?.is_empty() {
        return Ok(true);
    }
    let here = view.chain(ChainId::of_log(community)).await?.and_then(|stored| stored.head);
    // What was here once, and was dropped, concerns nobody here.
    let before = view.dropped_copy(community).await?;
    drop(view);
    let key = (peer.name.clone(), community);
    let looked_at = services.peers.unwanted.get(&key);
    let after = here.map(|here| here.seq).max(before).max(looked_at);
    let concerns =
        place_want::concerns(services, peer, client, community, (after, told.seq)).await?;
    if !concerns {
        services.peers.unwanted.insert(key, told.seq);
    }
    Ok(concerns)
}

/// A community that has ended is nothing to be fetched.
fn gone(fault: CopyFault) -> Result<Option<Arc<Hosted>>, CopyFault> {
    if matches!(fault, CopyFault::NoPlace) { Ok(None) } else { Err(fault) }
}

/// Whether the hub has more of a chain than is here, by the head that it tells. One that contradicts what is here is looked into: the hub is
/// asked for what it has signed, until that is a proof.
async fn is_moved(
    services: &Services,
    peer: &Peer,
    client: &Client,
    spot: Spot,
    told: HeadRef,
) -> Result<bool, FetchError> {
    let chain = chain_of(spot.0, spot.1);
    let mut view = services.storage.read().await?;
    let here = view.chain(chain).await?.and_then(|stored| stored.head);
    let Some(here) = here else {
        let before = if spot.1.is_none() { view.dropped_copy(spot.0).await? } else { None };
        return Ok(before.is_none_or(|before| told.seq > before));
    };
    let same = view.entry_hash(chain, told.seq.min(here.seq)).await?;
    drop(view);
    if told.seq > here.seq {
        return Ok(true);
    }
    if same.is_some_and(|same| same.hash != told.hash) {
        tracing::warn!(peer = %peer.name, %chain, seq = told.seq, "the hub tells of another entry than it has shown");
        place_proof::look(services, peer, client, spot).await?;
    }
    Ok(false)
}

/// Refuses what goes beyond the bounds of one hub.
pub(super) async fn check_room(
    services: &Services,
    peer: &Peer,
    is_new: bool,
) -> Result<(), FetchError> {
    share::take_copy(services, peer).map_err(|_| FetchError::Throttled)?;
    let Copies { count, bytes } = services.copies_of(peer).await?;
    if (is_new && count >= MAX_COPIES) || bytes >= MAX_COPIED_BYTES {
        return Err(FetchError::TooMany);
    }
    Ok(())
}

/// Has a hub that has shown what does not hold asked for what it has signed.
pub(super) async fn look_into<T>(
    services: &Services,
    peer: &Peer,
    client: &Client,
    spot: Spot,
    done: Result<T, FetchError>,
) -> Result<T, FetchError> {
    if matches!(done, Err(FetchError::Fault(CopyFault::Broken(_))))
        && let Err(error) = place_proof::look(services, peer, client, spot).await
    {
        tracing::debug!(peer = %peer.name, %error, "what does not hold was not looked into");
    }
    done
}

pub(super) async fn fetch_channel(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    spot: Spot,
) -> Result<(), FetchError> {
    let done = go_on_with_channel(services, peer, client, spot).await;
    look_into(services, peer, client, spot, done).await
}

async fn go_on_with_channel(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    spot: Spot,
) -> Result<(), FetchError> {
    let (community, Some(channel)) = spot else { return Ok(()) };
    let chain = ChainId::of_channel(community, channel);
    for _ in 0..MAX_PAGES {
        let stored = services.storage.read().await?.chain(chain).await?;
        let Some(stored) = stored else { return Err(CopyFault::NoPlace.into()) };
        let after = stored.head.map(|head| head.seq);
        let page = match read(client, spot, after, None).await {
            // Nobody here may read it any more: the log says so, or will.
            Err(FetchError::NotFound) => return Ok(()),
            page => page?,
        };
        if page.entries.is_empty() {
            return Ok(());
        }
        check_room(services, peer, false).await?;
        let (entries, head) =
            checked(services, peer, client, spot, page.entries, page.head).await?;
        if entries.is_empty() {
            return Ok(());
        }
        let furthest = entries.iter().filter_map(|entry| entry.log_pos).max();
        let log = services.copied(peer, community).await?.map(|hosted| hosted.state.head.seq);
        if furthest > log {
            fetch_log(services, peer, client, community, None).await?;
        }
        let wanted = named_in_channel(&entries);
        place_users::fetch(services, peer, client, (community, None), wanted).await?;
        count(peer, &entries);
        copy::take_channel(services, peer, (community, channel), entries, head).await?;
        if !page.more {
            return Ok(());
        }
    }
    Ok(())
}

pub(super) fn count(peer: &Peer, entries: &[Entry]) {
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    metrics::counter!("rookery_peer_entries_copied_total", "peer" => peer.name.to_string())
        .increment(count);
}

pub(super) async fn read(
    client: &Client,
    (community, channel): Spot,
    after: Option<u64>,
    guest: Option<&Guest>,
) -> Result<Entries, FetchError> {
    let guest = guest.cloned();
    let request = PeerReadPlace { community, channel, after, limit: PAGE, guest, last: None };
    ask(client, &request).await.map_err(|error| match error {
        CallError::Request(ReadError::NotFound) => FetchError::NotFound,
        error => unreachable(error),
    })
}
