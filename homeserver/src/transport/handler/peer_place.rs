//! What other homeservers ask about communities, and tell of their people.

use rookery_protocol::request::{
    Homeserver, Outcome,
    peer_people::{PeerFetchProfile, PeerTellPeople},
    peer_place::{
        PeerAppendLog, PeerCompareHeads, PeerGetBlob, PeerLeavePlace, PeerListPlaces,
        PeerListReads, PeerOfferPlace, PeerPostChannel, PeerPrepareMove, PeerPutBlob,
        PeerReadPlace, PeerReadSnapshot, PeerReadUsers, PeerTellForks, PeerTellPlaces,
    },
};

use crate::{
    service::peer::{
        people, place_adopt, place_answer, place_drop, place_heads, place_move, place_take,
    },
    transport::router::{Context, Router},
};

pub(super) fn add(router: Router) -> Router {
    router
        .on(list)
        .on(read)
        .on(users)
        .on(snapshot)
        .on(tell)
        .on(append)
        .on(post)
        .on(put_blob)
        .on(get_blob)
        .on(list_reads)
        .on(compare_heads)
        .on(tell_forks)
        .on(tell_people)
        .on(fetch_profile)
        .on(leave)
        .on(prepare_move)
        .on(offer)
}

async fn list(
    context: Context,
    peer: Homeserver,
    request: PeerListPlaces,
) -> Outcome<PeerListPlaces> {
    Ok(place_answer::list(&context.services, peer.0, request).await?)
}

async fn read(
    context: Context,
    peer: Homeserver,
    request: PeerReadPlace,
) -> Outcome<PeerReadPlace> {
    place_answer::read(&context.services, &context.seat, peer.0, request).await
}

async fn users(
    context: Context,
    peer: Homeserver,
    request: PeerReadUsers,
) -> Outcome<PeerReadUsers> {
    place_answer::users(&context.services, &context.seat, peer.0, request).await
}

async fn snapshot(
    context: Context,
    peer: Homeserver,
    request: PeerReadSnapshot,
) -> Outcome<PeerReadSnapshot> {
    place_answer::snapshot(&context.services, &context.seat, peer.0, request).await
}

async fn tell(
    context: Context,
    peer: Homeserver,
    request: PeerTellPlaces,
) -> Outcome<PeerTellPlaces> {
    Ok(place_take::tell(&context.services, peer.0, request).await?)
}

async fn append(
    context: Context,
    peer: Homeserver,
    request: PeerAppendLog,
) -> Outcome<PeerAppendLog> {
    place_take::append(&context.services, &context.seat, peer.0, request).await
}

async fn post(
    context: Context,
    peer: Homeserver,
    request: PeerPostChannel,
) -> Outcome<PeerPostChannel> {
    place_take::post(&context.services, &context.seat, peer.0, request).await
}

async fn put_blob(
    context: Context,
    peer: Homeserver,
    request: PeerPutBlob,
) -> Outcome<PeerPutBlob> {
    place_take::put_blob(&context.services, &context.seat, peer.0, request).await
}

async fn get_blob(
    context: Context,
    peer: Homeserver,
    request: PeerGetBlob,
) -> Outcome<PeerGetBlob> {
    place_answer::get_blob(&context.services, &context.seat, peer.0, request).await
}

async fn list_reads(
    context: Context,
    peer: Homeserver,
    request: PeerListReads,
) -> Outcome<PeerListReads> {
    place_take::list_reads(&context.services, &context.seat, peer.0, request).await
}

async fn compare_heads(
    context: Context,
    peer: Homeserver,
    request: PeerCompareHeads,
) -> Outcome<PeerCompareHeads> {
    Ok(place_heads::compare(&context.services, peer.0, request).await?)
}

async fn tell_forks(
    context: Context,
    peer: Homeserver,
    request: PeerTellForks,
) -> Outcome<PeerTellForks> {
    Ok(place_heads::tell(&context.services, peer.0, request).await?)
}

async fn tell_people(
    context: Context,
    peer: Homeserver,
    request: PeerTellPeople,
) -> Outcome<PeerTellPeople> {
    Ok(people::take(&context.services, peer.0, request).await?)
}

async fn fetch_profile(
    context: Context,
    peer: Homeserver,
    request: PeerFetchProfile,
) -> Outcome<PeerFetchProfile> {
    Ok(people::show_profile(&context.services, peer.0, request).await?)
}

async fn leave(
    context: Context,
    peer: Homeserver,
    request: PeerLeavePlace,
) -> Outcome<PeerLeavePlace> {
    Ok(place_drop::leave(&context.services, peer.0, request).await?)
}

async fn prepare_move(
    context: Context,
    peer: Homeserver,
    request: PeerPrepareMove,
) -> Outcome<PeerPrepareMove> {
    place_move::prepare_for(&context.services, &context.seat, peer.0, request).await
}

async fn offer(
    context: Context,
    peer: Homeserver,
    request: PeerOfferPlace,
) -> Outcome<PeerOfferPlace> {
    place_adopt::offer(&context.services, peer.0, request).await
}
