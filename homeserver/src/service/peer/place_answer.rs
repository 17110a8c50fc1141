//! What a hub shows the homes of its communities' members: what their users may read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rookery_protocol::{
    chain::HeadRef,
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
    place_copy,
    place_users::speaks_for,
};
use crate::{
    repository::{Limit, StorageError, chain::StoredChain},
    service::{
        chain,
        community::{Hosted, blob, fork::chain_of, read},
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
/// How many of the last statements a server may still have to read when its last user has gone.
const FAREWELL_ROWS: u32 = 4_096;

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
pub(super) async fn reads(
    services: &Services,
    peer: &Peer,
    hosted: &Hosted,
    channel: Option<ChannelId>,
) -> Result<bool, StorageError> {
    let community = hosted.row.community;
    let users = services.storage.read().await?.foreigners_of_in(&peer.name, community).await?;
    Theirs { services, peer, known: BTreeMap::new() }.read(hosted, &users, channel).await
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
    let found = places_of(services, &peer, &communities).await.map_err(storage)?;
    let (mut places, mut last, mut is_cut) = (vec![], None, false);
    for (community, found) in found {
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

/// Where the logs of communities stand for the peer, and the channels that somebody of its users may read; each community's together, in their
/// order. As many queries for all of them as for one.
async fn places_of(
    services: &Services,
    peer: &Peer,
    communities: &[CommunityId],
) -> Result<Vec<(CommunityId, Vec<PlaceHead>)>, StorageError> {
    let mut view = services.storage.read().await?;
    let mut users = BTreeMap::<CommunityId, Vec<UserId>>::new();
    for (community, user) in view.foreigners_of_in_all(&peer.name, communities).await? {
        users.entry(community).or_default().push(user);
    }
    let farewells = view.farewells(&peer.name, communities).await?;
    drop(view);
    let mut theirs = Theirs { services, peer, known: BTreeMap::new() };
    let mut spots = vec![];
    for community in communities {
        let hosted = services.hosted(*community).await?;
        let Some(hosted) = hosted.filter(|hosted| hosted.row.hub.is_none()) else { continue };
        let users = users.get(community).map(Vec::as_slice).unwrap_or_default();
        if theirs.read(&hosted, users, None).await? {
            spots.push((*community, None));
            for channel in hosted.state.channels.keys() {
                if theirs.read(&hosted, users, Some(*channel)).await? {
                    spots.push((*community, Some(*channel)));
                }
            }
        }
    }
    let chains: Vec<ChainId> =
        spots.iter().map(|(community, channel)| chain_of(*community, *channel)).collect();
    let stored = services.storage.read().await?.chains(&chains).await?;
    let heads: HashMap<ChainId, HeadRef> =
        stored.into_iter().filter_map(|stored| Some((stored.chain, stored.head?))).collect();
    let mut places = BTreeMap::<CommunityId, Vec<PlaceHead>>::new();
    for (community, channel) in &spots {
        let (community, channel) = (*community, *channel);
        let known = places.entry(community).or_default();
        if let Some(head) = heads.get(&chain_of(community, channel)) {
            known.push(PlaceHead { community, channel, head: *head });
        }
    }
    for (community, head) in farewells {
        let place = PlaceHead { community, channel: None, head };
        places.entry(community).or_insert_with(|| vec![place]);
    }
    let of = |community: &CommunityId| (*community, places.remove(community).unwrap_or_default());
    Ok(communities.iter().map(of).collect())
}

/// The users of a peer, each looked up once.
struct Theirs<'s> {
    services: &'s Services,
    peer: &'s Peer,
    known: BTreeMap<UserId, bool>,
}

impl Theirs<'_> {
    /// Whether one of `users`, for whom the peer speaks, may read the log or a channel.
    async fn read(
        &mut self,
        hosted: &Hosted,
        users: &[UserId],
        channel: Option<ChannelId>,
    ) -> Result<bool, StorageError> {
        for user in users.iter().filter(|user| hosted.may_read(**user, channel)) {
            if self.speaks_for(*user).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn speaks_for(&mut self, user: UserId) -> Result<bool, StorageError> {
        if let Some(known) = self.known.get(&user) {
            return Ok(*known);
        }
        let foreigner = self.services.foreigner(user).await?;
        let is_theirs = foreigner.is_some_and(|foreigner| speaks_for(self.peer, &foreigner));
        self.known.insert(user, is_theirs);
        Ok(is_theirs)
    }
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
    let right = right(services, seat, &peer, spot, request.guest.as_ref()).await?;
    let right = right.ok_or_else(not_found)?;
    let hosted = services.hosted(request.community).await?.ok_or_else(not_found)?;
    let named = match right {
        Right::All => None,
        Right::Through(through) => {
            let log = ChainId::of_log(request.community);
            Some(named_at_the_end(services, log, through).await?)
        }
    };
    let mut found = UserChains { entries: vec![], names: vec![], more: false };
    let mut left = PAGE_BYTES;
    let mut view = services.storage.read().await?;
    for wanted in request.users {
        let through = match &named {
            None => hosted.state.heads.contains_key(&wanted.user).then_some(u64::MAX),
            Some(named) => named.get(&wanted.user).copied(),
        };
        let Some(through) = through else { continue };
        if left == 0 {
            found.more = true;
            break;
        }
        let limit = Limit { rows: PAGE_ROWS, bytes: left };
        let page = view.entries(ChainId::of_user(wanted.user), wanted.after, limit).await?;
        let is_cut = page.rows.last().is_some_and(|last| last.entry.seq > through);
        for stored in page.rows.into_iter().take_while(|stored| stored.entry.seq <= through) {
            left = left.saturating_sub(codec::encode(&stored.entry).len());
            found.entries.push(stored.entry);
        }
        found.more |= page.more && !is_cut;
        found.names.extend(name_of(services, wanted.user).await?);
    }
    Ok(found)
}

/// Whom the last statements of a log up to a place are judged by, and how far: all that a server needs to know of anybody whose last user
/// went by one of them.
async fn named_at_the_end(
    services: &Services,
    log: ChainId,
    through: u64,
) -> Result<BTreeMap<UserId, u64>, StorageError> {
    let after = through.checked_sub(u64::from(FAREWELL_ROWS));
    let limit = Limit { rows: FAREWELL_ROWS, bytes: usize::MAX };
    let page = services.storage.read().await?.entries(log, after, limit).await?;
    let entries = page.rows.into_iter().map(|stored| stored.entry);
    let entries: Vec<_> = entries.filter(|entry| entry.seq <= through).collect();
    Ok(place_copy::named_in_log(&entries))
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
