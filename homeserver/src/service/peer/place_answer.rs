//! What a hub shows the homes of its communities' members: what their users may read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rookery_protocol::{
    chain::HeadRef,
    codec::{self, Octets},
    id::{ChainId, ChannelId, CommunityId, ServerId, UserId},
    request::{
        Failure, Refusal,
        blob::{BlobPart, GetBlobError},
        chain::{Entries, ReadError},
        community::NamedUser,
        look::SnapshotPart,
        peer_place::{
            PeerGetBlob, PeerListPlaces, PeerReadPlace, PeerReadSnapshot, PeerReadUsers, PlaceHead,
            Places, UserChains, WantedUser,
        },
    },
};

use super::{
    Peer, Services,
    answer::peer_of,
    place_check,
    place_right::{Right, Theirs, right},
};
use crate::{
    repository::{Limit, StorageError, chain::StoredChain},
    service::{
        chain,
        community::{Hosted, blob, fork::chain_of, look},
        seat::Seat,
    },
};

/// Communities in one list, and places at most.
const COMMUNITIES: u32 = 64;
const MAX_PLACES: usize = 4_096;
/// Users whose chains are asked for at once.
pub(super) const MAX_USERS: usize = 256;
/// What one reply carries of users' chains, in bytes, and of one chain in entries.
const PAGE_BYTES: usize = 900 * 1024;
const PAGE_ROWS: u32 = 256;
/// How many of the last statements a server may still have to read when its last user has gone, and how much they may take, in bytes.
const FAREWELL_ROWS: u32 = 4_096;
const FAREWELL_BYTES: usize = 4 * 1024 * 1024;

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
    let mut theirs = Theirs::of(services, peer);
    let (mut spots, mut ends) = (vec![], BTreeMap::new());
    for community in communities {
        let hosted = services.hosted(*community).await?;
        let is_told = |hosted: &Arc<Hosted>| hosted.row.hub.is_none() || hosted.row.was_hub;
        let Some(hosted) = hosted.filter(is_told) else { continue };
        if hosted.row.was_hub {
            ends.insert(*community, Arc::clone(&hosted));
        }
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
        let head = match ends.get(&community) {
            // What another server has ordered since, that one tells.
            Some(hosted) => {
                let end = hosted.state.end_by(services.identity.server(), channel);
                end.map(|(_, end)| end.into())
            }
            None => heads.get(&chain_of(community, channel)).copied(),
        };
        known.extend(head.map(|head| PlaceHead { community, channel, head }));
    }
    for (community, head) in farewells {
        let place = PlaceHead { community, channel: None, head };
        places.entry(community).or_insert_with(|| vec![place]);
    }
    let of = |community: &CommunityId| (*community, places.remove(community).unwrap_or_default());
    Ok(communities.iter().map(of).collect())
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
    let PeerReadPlace { community, channel, mut after, limit, guest, last } = request;
    let spot = (community, channel);
    let before = right(services, seat, &peer, spot, guest.as_ref()).await?.ok_or_else(not_found)?;
    let chain = chain_of(community, channel);
    if last == Some(true) {
        after = chain::before_last(services, chain, limit).await?;
    }
    let page = match before {
        Right::All => chain::page(services, chain, after, limit).await?,
        Right::Ordered => page_of_ordered(services, spot, after).await?,
        Right::Through(through) => page_through(services, chain, after, through).await?,
    };
    let page = match page {
        Some(page) if channel.is_none() => {
            Some(own_word(services, &peer, (community, after), page).await?)
        }
        page => page,
    };
    // Whoever was sent away while this was read gets nothing that came after.
    if right(services, seat, &peer, spot, guest.as_ref()).await? != Some(before) {
        return Err(not_found());
    }
    page.ok_or_else(not_found)
}

/// A server that ordered the community once, and asks for what it ordered then of the log, was restored from a backup: it believes its own
/// word. What it finds in the log is that the community was handed over, and the channels come from where that went.
async fn own_word(
    services: &Services,
    peer: &Peer,
    (community, after): (CommunityId, Option<u64>),
    page: Entries,
) -> Result<Entries, StorageError> {
    let (Some(hosted), Some(root)) = (services.hosted(community).await?, peer.stored().root) else {
        return Ok(page);
    };
    let end = hosted.state.end_by(root, None).map(|(_, end)| end.seq);
    if hosted.state.hub_key == root || end.is_none() || after >= end {
        return Ok(page);
    }
    let log = ChainId::of_log(community);
    let word = services.storage.read().await?.copied_head(log).await?;
    Ok(Entries { head: word.map(|word| word.head).or(page.head), ..page })
}

/// Some entries of a log, or a channel, of those that this server has ordered.
async fn page_of_ordered(
    services: &Services,
    (community, channel): (CommunityId, Option<ChannelId>),
    after: Option<u64>,
) -> Result<Option<Entries>, Failure<ReadError>> {
    let Some(hosted) = services.hosted(community).await? else { return Ok(None) };
    let shown = services.shown_through(&hosted, channel).await?;
    match shown.and_then(|shown| Some((shown.head?, shown))) {
        Some((head, shown)) => page_before(services, shown, after, head).await.map(Some),
        None => Ok(Some(Entries { entries: vec![], head: None, more: false })),
    }
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
    drop(view);
    page_before(services, stored, after, head).await.map(Some)
}

async fn page_before(
    services: &Services,
    stored: StoredChain,
    after: Option<u64>,
    head: HeadRef,
) -> Result<Entries, Failure<ReadError>> {
    let mut view = services.storage.read().await?;
    let (chain, through) = (stored.chain, head.seq);
    let limit = Limit { rows: PAGE_ROWS, bytes: PAGE_BYTES };
    let page = view.entries(chain, after, limit).await?;
    let mut entries: Vec<_> = page.rows.into_iter().map(|stored| stored.entry).collect();
    entries.retain(|entry| entry.seq <= through);
    let more = entries.last().is_some_and(|last| last.seq < through);
    let head = services.sign_head(&StoredChain { head: Some(head), ..stored })?;
    Ok(Entries { entries, head, more })
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
        Right::All | Right::Ordered => None,
        Right::Through(_) if request.users.is_empty() => None,
        Right::Through(through) => {
            let log = ChainId::of_log(request.community);
            Some(named_at_the_end(services, log, through).await?)
        }
    };
    Ok(chains_of(services, &hosted, request.users, named.as_ref()).await?)
}

/// The chains of users whom a log names: of those that it does in `named` as far as it does there, if that is given.
pub(super) async fn chains_of(
    services: &Services,
    hosted: &Hosted,
    users: Vec<WantedUser>,
    named: Option<&BTreeMap<UserId, u64>>,
) -> Result<UserChains, StorageError> {
    let mut found = UserChains { entries: vec![], names: vec![], more: false };
    if users.is_empty() {
        return Ok(found);
    }
    let mut left = PAGE_BYTES;
    let mut view = services.storage.read().await?;
    for wanted in users {
        let through = match named {
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
/// went by one of them. It is read from the end, and no further than its bounds in statements and bytes.
async fn named_at_the_end(
    services: &Services,
    log: ChainId,
    through: u64,
) -> Result<BTreeMap<UserId, u64>, StorageError> {
    let mut named = BTreeMap::<UserId, u64>::new();
    let (mut end, mut rows, mut left) = (Some(through), FAREWELL_ROWS, FAREWELL_BYTES);
    while let Some(last) = end
        && rows > 0
        && left > 0
    {
        let after = last.checked_sub(u64::from(PAGE_ROWS));
        let limit = Limit { rows: PAGE_ROWS, bytes: PAGE_BYTES };
        let page = services.storage.read().await?.entries(log, after, limit).await?;
        let entries = page.rows.into_iter().map(|stored| stored.entry);
        let entries: Vec<_> = entries.filter(|entry| entry.seq <= last).collect();
        let is_whole = entries.last().is_some_and(|entry| entry.seq == last);
        let bytes = entries.iter().map(|entry| entry.body.as_ref().map_or(0, Octets::len));
        left = left.saturating_sub(bytes.sum());
        rows = rows.saturating_sub(PAGE_ROWS);
        for (user, seq) in place_check::named_in_log(&entries) {
            let known = named.entry(user).or_default();
            *known = seq.max(*known);
        }
        end = after.filter(|_| is_whole);
    }
    Ok(named)
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

/// A part of the newest snapshot of a log.
pub async fn snapshot(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerReadSnapshot,
) -> Result<SnapshotPart, Failure<ReadError>> {
    let peer = peer_of(services, root)?;
    let PeerReadSnapshot { community, offset, guest } = request;
    let not_found = || Failure::Error(ReadError::NotFound);
    let right = right(services, seat, &peer, (community, None), guest.as_ref()).await?;
    if !matches!(right, Some(Right::All)) {
        return Err(not_found());
    }
    let hosted = services.hosted(community).await?.ok_or_else(not_found)?;
    Ok(look::part(services, &hosted, offset).await?)
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
    if !matches!(right, Some(Right::All | Right::Ordered)) {
        return Err(Failure::Error(GetBlobError::NotFound));
    }
    blob::part(services, request).await
}
