//! What a hub takes in from the homes of its communities' members: statements, posts, blobs and signs of life of users for whom they speak.

use rookery_protocol::{
    chain::{Entry, HeadRef, Item},
    codec,
    id::{ChainId, ServerId, UserId},
    request::{
        Failure, RateClass, Refusal,
        blob::{BlobProgress, PutBlobError},
        channel::{PostError, Posted, Reads, ReadsError},
        community::AppendLogError,
        peer_place::{
            PeerAppendLog, PeerListReads, PeerPostChannel, PeerPutBlob, PeerTellPlaces, Sign,
        },
    },
};

use super::{
    Peer, Services,
    answer::peer_of,
    copy,
    place::{SIGNS_AT_ONCE, TOLD_AT_ONCE},
    place_check,
    place_copy::FetchError,
    place_right::vouched,
    place_say,
    place_users::{self, speaks_for},
    share,
};
use crate::{
    repository::{Limit, StorageError},
    service::{
        community::{append, author::Side, blob, post, reads},
        limit::{Bucket, Subject},
        seat::Seat,
    },
};

/// What comes of one chain with a statement, in entries and bytes.
const PAGE_ROWS: u32 = 256;
const CHAIN_BYTES: usize = 225 * 1024;
/// When to come again while as many users are copied as may be, in milliseconds: an hour.
const FULL: u64 = 3_600_000;
/// Chains that have gone on which a peer tells of for the charge of one item.
const TOLD_FOR_ONE: usize = 32;
/// Users' chains that come with a statement, in entries.
const MAX_CHAIN_ENTRIES: usize = 256;

/// Statements of a user of the peer.
pub async fn append(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerAppendLog,
) -> Result<HeadRef, Failure<AppendLogError>> {
    let peer = peer_of(services, root)?;
    charge(services, root, RateClass::PeerForward, request.request.statements.len())?;
    if request.chains.len() > MAX_CHAIN_ENTRIES {
        return Err(Refusal::Malformed.into());
    }
    // Before anything is fetched and kept of somebody who may have been invented.
    if place_say::right_of(&request.request.statements).is_some() {
        services.limiter.take(Bucket::PeerJoins, &Subject::Peer(root))?;
    }
    let from = vouched(services, seat, &peer, &request.from).await?;
    // Nobody's chain is kept for a community that is ordered elsewhere, or nowhere.
    let is_here = services.hosted(request.request.community).await?;
    let is_here = is_here.is_some_and(|hosted| hosted.row.hub.is_none());
    let added = place_say::added(&request.request.statements);
    for user in added.into_iter().map(|add| add.user).filter(|_| is_here) {
        let chain = ChainId::of_user(user);
        let entries = request.chains.iter().filter(|entry| entry.chain == chain).cloned();
        adopt_added(services, &peer, user, entries.collect()).await?;
    }
    append::append_by(services, (from.stored.user, Side::Abroad), request.request).await
}

/// Takes in the chain of somebody whom a user of the peer brings in, at the peer's charge.
async fn adopt_added(
    services: &Services,
    peer: &Peer,
    user: UserId,
    entries: Vec<Entry>,
) -> Result<(), Refusal> {
    if entries.is_empty() {
        return Ok(());
    }
    let throttled = |retry_after_ms| Refusal::Throttled { retry_after_ms };
    share::take_copy(services, peer).map_err(throttled)?;
    let room = share::room_for_foreigners(services, peer).await;
    let mut room = room.map_err(|error| super::super::refusal(&error))?;
    match place_users::adopt(services, peer, user, entries, &mut room).await {
        Ok(_) => Ok(()),
        Err(FetchError::TooMany) => Err(throttled(FULL)),
        Err(_) => Err(Refusal::Unavailable),
    }
}

/// Posts of a user of the peer.
pub async fn post(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerPostChannel,
) -> Result<Posted, Failure<PostError>> {
    let peer = peer_of(services, root)?;
    charge(services, root, RateClass::PeerForward, request.request.items.len())?;
    let from = vouched(services, seat, &peer, &request.from).await?;
    // Their chain is needed as far as what they post names it.
    let named = request.request.items.iter().filter_map(|submission| {
        let item: Item = codec::decode(submission.signed.payload.as_slice()).ok()?;
        let (user, seq) = place_check::named_in_post(item.kind, submission.body.as_slice())?;
        (user == from.stored.user).then_some(seq)
    });
    if let (Some(seq), Some(side)) = (named.max(), seat.peer_side())
        && seq > from.head.seq
    {
        let fetched = copy::fetch(services, &peer, &side.client, from.stored.user, None).await;
        if let Err(error) = fetched {
            tracing::debug!(peer = %peer.name, %error, "a chain that a post names was not fetched");
            return Err(Refusal::Unavailable.into());
        }
    }
    post::post_by(services, (from.stored.user, Side::Abroad), request.request).await
}

/// A part of a blob, from a user of the peer who may read the community's log.
pub async fn put_blob(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerPutBlob,
) -> Result<BlobProgress, Failure<PutBlobError>> {
    let peer = peer_of(services, root)?;
    let from = vouched(services, seat, &peer, &request.from).await?;
    let hosted = services.hosted(request.request.community).await?;
    let hosted = hosted.filter(|hosted| hosted.may_read(from.stored.user, None));
    let hosted = hosted.ok_or(Refusal::NotPermitted)?;
    if let Some(hub) = hosted.row.hub.clone() {
        return Err(Failure::Error(PutBlobError::HubAway { hub, since: services.clock.now() }));
    }
    blob::put_by(services, from.stored.user, request.request).await
}

/// How far members have read, for a user of the peer.
pub async fn list_reads(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerListReads,
) -> Result<Reads, Failure<ReadsError>> {
    let peer = peer_of(services, root)?;
    let from = vouched(services, seat, &peer, &request.from).await?;
    let hosted = services.hosted(request.request.community).await?;
    if hosted.is_none_or(|hosted| hosted.row.hub.is_some()) {
        return Err(Failure::Error(ReadsError::NotFound));
    }
    reads::list_by(services, from.stored.user, request.request).await
}

/// Takes note of what has gone on at the peer, and passes signs of life on.
pub async fn tell(
    services: &Services,
    root: ServerId,
    request: PeerTellPlaces,
) -> Result<(), Refusal> {
    let peer = peer_of(services, root)?;
    if request.moved.len() > TOLD_AT_ONCE || request.signs.len() > SIGNS_AT_ONCE {
        return Err(Refusal::Malformed);
    }
    let told = request.moved.len().div_ceil(TOLD_FOR_ONE).saturating_add(request.signs.len());
    charge(services, root, RateClass::PeerForward, told)?;
    if !request.moved.is_empty() {
        peer.places.fetch(request.moved);
    }
    for sign in request.signs {
        let taken = take_sign(services, &peer, sign).await;
        taken.map_err(|error| super::super::refusal(&error))?;
    }
    Ok(())
}

async fn take_sign(services: &Services, peer: &Peer, sign: Sign) -> Result<(), StorageError> {
    let (Sign::Typing { community, channel, user } | Sign::Read { community, channel, user, .. }) =
        &sign;
    let Some(hosted) = services.hosted(*community).await? else { return Ok(()) };
    let is_theirs = if let Some(hub) = &hosted.row.hub {
        // The hub passes on what others have shown it; what people of this server have read, they say themselves.
        *hub == peer.name && services.resident(*user).await?.is_none()
    } else {
        let foreigner = services.foreigner(*user).await?;
        foreigner.is_some_and(|foreigner| speaks_for(peer, &foreigner))
    };
    if is_theirs && hosted.may_read(*user, Some(*channel)) {
        reads::take_sign(services, &hosted, sign, Some(peer.name.clone()));
    }
    Ok(())
}

/// The chains of users whom statements bring in, for a hub that need not have met them.
pub(super) async fn chains_of_added(
    services: &Services,
    statements: &[rookery_protocol::chain::Submission],
) -> Result<Vec<Entry>, StorageError> {
    let mut chains = vec![];
    for add in place_say::added(statements) {
        let limit = Limit { rows: PAGE_ROWS, bytes: CHAIN_BYTES };
        let mut view = services.storage.read().await?;
        let page = view.entries(ChainId::of_user(add.user), None, limit).await?;
        if chains.len().saturating_add(page.rows.len()) > MAX_CHAIN_ENTRIES {
            break;
        }
        chains.extend(page.rows.into_iter().map(|stored| stored.entry));
    }
    Ok(chains)
}

/// Charges the peer for what one request holds beside its first item, which every request is charged for.
pub(super) fn charge(
    services: &Services,
    root: ServerId,
    class: RateClass,
    items: usize,
) -> Result<(), Refusal> {
    (1..items).try_for_each(|_| services.limiter.take(Bucket::Class(class), &Subject::Peer(root)))
}
