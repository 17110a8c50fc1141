//! What a hub shows the homes of its communities' members: what their users may read.

use std::sync::Arc;

use rookery_protocol::{
    codec,
    id::{ChainId, ChannelId, CommunityId, ServerId, UserId},
    request::{
        Failure, Refusal,
        blob::{BlobPart, GetBlobError},
        chain::{Entries, ReadError},
        community::NamedUser,
        peer_place::{
            Guest, OnBehalf, PeerGetBlob, PeerListPlaces, PeerReadPlace, PeerReadUsers, PlaceHead,
            Places, UserChains,
        },
    },
};

use super::{
    Peer, Services,
    answer::peer_of,
    copy::{self, CopyError, Foreigner},
    place_users::speaks_for,
};
use crate::{
    repository::{Limit, StorageError, chain::StoredChain},
    service::{
        chain,
        community::{Hosted, blob, read},
        seat::Seat,
    },
};

/// Communities in one list, and places at most.
const COMMUNITIES: u32 = 64;
const MAX_PLACES: usize = 4_096;
/// Users whose chains are asked for at once.
const MAX_USERS: usize = 256;
/// What one reply carries of users' chains, in bytes, and of one chain in entries.
const PAGE_BYTES: usize = 900 * 1024;
const PAGE_ROWS: u32 = 256;

/// How much of a log a peer may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// All of it, for somebody of its users.
    All,
    /// What there was when the last of them went.
    Through(u64),
}

/// Makes sure that the peer speaks for whom it asks, and knows their chain as far as it says.
pub(super) async fn vouched(
    services: &Services,
    seat: &Seat,
    peer: &Peer,
    from: &OnBehalf,
) -> Result<Arc<Foreigner>, Refusal> {
    let side = seat.peer_side().ok_or(Refusal::NotPermitted)?;
    let reached = copy::reach(services, peer, &side.client, from.user, Some(from.head)).await;
    let foreigner = match reached {
        Ok(foreigner) if speaks_for(peer, &foreigner) => foreigner,
        Err(CopyError::Storage(error)) => return Err(super::super::refusal(&error)),
        Err(CopyError::Unreachable(_)) => return Err(Refusal::Unavailable),
        Ok(_) | Err(_) => {
            metrics::counter!("rookery_peer_refused_total", "reason" => "other server's user")
                .increment(1);
            tracing::warn!(peer = %peer.name, user = %from.user, "the peer spoke for a user who is not its own");
            return Err(Refusal::NotPermitted);
        }
    };
    let noted = copy::note_name(services, &foreigner, &from.name).await;
    noted.map_err(|error| super::super::refusal(&error))?;
    Ok(foreigner)
}

/// What the peer may read of a log (all or nothing of a channel).
async fn right(
    services: &Services,
    seat: &Seat,
    peer: &Peer,
    (community, channel): (CommunityId, Option<ChannelId>),
    guest: Option<&Guest>,
) -> Result<Option<Right>, Refusal> {
    let storage = |error: StorageError| super::super::refusal(&error);
    let hosted = services.hosted(community).await.map_err(storage)?;
    // What a hub has ordered it may have back.
    if hosted.as_ref().is_some_and(|hosted| hosted.row.hub.as_ref() == Some(&peer.name)) {
        return Ok(Some(Right::All));
    }
    if let Some(hosted) = hosted.filter(|hosted| hosted.row.hub.is_none()) {
        if reads(services, peer, &hosted, channel).await.map_err(storage)? {
            return Ok(Some(Right::All));
        }
        if let (Some(guest), None) = (guest, channel) {
            vouched(services, seat, peer, &guest.user).await?;
            if read::may_join(services, &hosted, guest.user.user, &guest.by) {
                return Ok(Some(Right::All));
            }
        }
    }
    if channel.is_some() {
        return Ok(None);
    }
    let mut view = services.storage.read().await.map_err(storage)?;
    let through = view.farewell(&peer.name, community).await.map_err(storage)?;
    Ok(through.map(Right::Through))
}

/// Whether some user of the peer may read the log, or a channel.
async fn reads(
    services: &Services,
    peer: &Peer,
    hosted: &Hosted,
    channel: Option<ChannelId>,
) -> Result<bool, StorageError> {
    let community = hosted.row.community;
    let users = services.storage.read().await?.foreigners_of_in(&peer.name, community).await?;
    for user in users {
        if hosted.may_read(user, channel)
            && let Some(foreigner) = services.foreigner(user).await?
            && speaks_for(peer, &foreigner)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which communities the peer's users have to do with, and where their logs and channels stand.
pub async fn list(
    services: &Services,
    root: ServerId,
    request: PeerListPlaces,
) -> Result<Places, Refusal> {
    let peer = peer_of(services, root)?;
    let storage = |error: StorageError| super::super::refusal(&error);
    let communities = if let Some(community) = request.only {
        vec![community]
    } else {
        let mut view = services.storage.read().await.map_err(storage)?;
        let found = view.communities_for(&peer.name, request.after, COMMUNITIES).await;
        found.map_err(storage)?
    };
    let is_full = communities.len() >= usize::try_from(COMMUNITIES).unwrap_or(usize::MAX);
    let (mut places, mut last, mut is_cut) = (vec![], None, false);
    for community in communities {
        let found = places_of(services, &peer, community).await.map_err(storage)?;
        if !places.is_empty() && places.len().saturating_add(found.len()) > MAX_PLACES {
            is_cut = true;
            break;
        }
        places.extend(found);
        last = Some(community);
    }
    places.truncate(MAX_PLACES);
    let next = last.filter(|_| request.only.is_none() && (is_full || is_cut));
    Ok(Places { places, next })
}

/// Where the log of a community stands for the peer, and the channels that somebody of its users may read.
async fn places_of(
    services: &Services,
    peer: &Peer,
    community: CommunityId,
) -> Result<Vec<PlaceHead>, StorageError> {
    let log = ChainId::of_log(community);
    let hosted = services.hosted(community).await?;
    let mut spots = vec![];
    if let Some(hosted) = hosted.filter(|hosted| hosted.row.hub.is_none())
        && reads(services, peer, &hosted, None).await?
    {
        spots.push((log, None));
        for channel in hosted.state.channels.keys() {
            if reads(services, peer, &hosted, Some(*channel)).await? {
                spots.push((ChainId::of_channel(community, *channel), Some(*channel)));
            }
        }
    }
    let mut view = services.storage.read().await?;
    if spots.is_empty() {
        let Some(through) = view.farewell(&peer.name, community).await? else { return Ok(vec![]) };
        let head = view.entry_hash(log, through).await?;
        let place = |head| PlaceHead { community, channel: None, head };
        return Ok(head.map(place).into_iter().collect());
    }
    let chains: Vec<ChainId> = spots.iter().map(|(chain, _)| *chain).collect();
    let stored = view.chains(&chains).await?;
    let head_of = |chain| stored.iter().find(|stored| stored.chain == chain)?.head;
    let places = spots.into_iter().filter_map(|(chain, channel)| {
        Some(PlaceHead { community, channel, head: head_of(chain)? })
    });
    Ok(places.collect())
}

/// Entries of a log or a channel.
pub async fn read(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerReadPlace,
) -> Result<Entries, Failure<ReadError>> {
    let peer = peer_of(services, root)?;
    let not_found = || Failure::Error(ReadError::NotFound);
    let PeerReadPlace { community, channel, after, limit, guest } = request;
    let spot = (community, channel);
    let before = right(services, seat, &peer, spot, guest.as_ref()).await?.ok_or_else(not_found)?;
    let chain = match channel {
        Some(channel) => ChainId::of_channel(community, channel),
        None => ChainId::of_log(community),
    };
    let page = match before {
        Right::All => chain::page(services, chain, after, limit).await?,
        Right::Through(through) => page_through(services, chain, after, through).await?,
    };
    // Whoever was sent away while this was read gets nothing that came after.
    if right(services, seat, &peer, spot, guest.as_ref()).await? != Some(before) {
        return Err(not_found());
    }
    page.ok_or_else(not_found)
}

/// Some entries of a log up to a place, as if it ended there.
async fn page_through(
    services: &Services,
    chain: ChainId,
    after: Option<u64>,
    through: u64,
) -> Result<Option<Entries>, Failure<ReadError>> {
    let mut view = services.storage.read().await?;
    let Some(stored) = view.chain(chain).await? else { return Ok(None) };
    let Some(head) = view.entry_hash(chain, through).await? else { return Ok(None) };
    let limit = Limit { rows: PAGE_ROWS, bytes: PAGE_BYTES };
    let page = view.entries(chain, after, limit).await?;
    let mut entries: Vec<_> = page.rows.into_iter().map(|stored| stored.entry).collect();
    entries.retain(|entry| entry.seq <= through);
    let more = entries.last().is_some_and(|last| last.seq < through);
    let head = services.sign_head(&StoredChain { head: Some(head), ..stored })?;
    Ok(Some(Entries { entries, head, more }))
}

/// The chains of users whom a log names.
pub async fn users(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerReadUsers,
) -> Result<UserChains, Failure<ReadError>> {
    let peer = peer_of(services, root)?;
    let not_found = || Failure::Error(ReadError::NotFound);
    if request.users.len() > MAX_USERS {
        return Err(Refusal::Malformed.into());
    }
    let spot = (request.community, None);
    right(services, seat, &peer, spot, request.guest.as_ref()).await?.ok_or_else(not_found)?;
    let hosted = services.hosted(request.community).await?.ok_or_else(not_found)?;
    let mut found = UserChains { entries: vec![], names: vec![], more: false };
    let (mut left, mut granted) = (PAGE_BYTES, vec![]);
    let mut view = services.storage.read().await?;
    for wanted in request.users {
        if !hosted.state.heads.contains_key(&wanted.user) {
            continue;
        }
        if left == 0 {
            found.more = true;
            break;
        }
        let limit = Limit { rows: PAGE_ROWS, bytes: left };
        let page = view.entries(ChainId::of_user(wanted.user), wanted.after, limit).await?;
        for stored in page.rows {
            left = left.saturating_sub(codec::encode(&stored.entry).len());
            found.entries.push(stored.entry);
        }
        found.more |= page.more;
        if let Some(named) = name_of(services, wanted.user).await? {
            if named.server.is_none() && !view.peer_may_read(&peer.name, wanted.user).await? {
                granted.push(wanted.user);
            }
            found.names.push(named);
        }
    }
    drop(view);
    if !granted.is_empty() {
        // From here on their chains are compared with the peer's copies.
        let mut unit = services.storage.begin().await?;
        for user in granted {
            unit.let_peer_read(&peer.name, user).await?;
        }
        unit.commit().await?;
    }
    Ok(found)
}

async fn name_of(services: &Services, user: UserId) -> Result<Option<NamedUser>, StorageError> {
    if let Some(resident) = services.resident(user).await? {
        return Ok(Some(NamedUser { user, name: resident.name.clone(), server: None }));
    }
    let foreigner = services.foreigner(user).await?;
    Ok(foreigner.and_then(|foreigner| {
        let (name, server) = (foreigner.stored.name.clone()?, foreigner.stored.peer.clone());
        Some(NamedUser { user, name, server: Some(server) })
    }))
}

/// A part of a blob of a community.
pub async fn get_blob(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerGetBlob,
) -> Result<BlobPart, Failure<GetBlobError>> {
    let peer = peer_of(services, root)?;
    let PeerGetBlob { request, guest } = request;
    let right = right(services, seat, &peer, (request.community, None), guest.as_ref()).await?;
    if right != Some(Right::All) {
        return Err(Failure::Error(GetBlobError::NotFound));
    }
    blob::part(services, request).await
}
