//! Handing a community over to another server, at the hub: the next one takes a copy of all of it, then the owner states that it is handed over.

use std::sync::Arc;

use rookery_protocol::{
    chain::Seen,
    community::{ChannelEnd, Handover},
    id::{CommunityId, ServerId, UserId},
    io::client::{CallError, Client},
    name::ServerName,
    request::{
        Failure, Refusal,
        community::{MoveStep, PrepareMove, PrepareMoveError},
        peer_place::{PeerOfferError, PeerOfferPlace, PeerPrepareMove, PlaceHead},
    },
    session::Authenticated,
};

use super::{
    Peer, Services, answer::peer_of, forward::short, place_copy, place_right::vouched, place_say,
};
use crate::{
    repository::StorageError,
    service::{
        community::{Hosted, fork::chain_of},
        seat::Seat,
    },
};

/// How often the next hub is shown what came last, while nothing more is placed.
const TRIES: usize = 3;

type Error = Failure<PrepareMoveError>;

fn denied(reason: &str) -> Error {
    Failure::Error(PrepareMoveError::Denied { reason: reason.to_owned() })
}

/// Has a community made ready to be handed over, wherever its hub is.
pub async fn prepare(
    services: &Services,
    who: Authenticated,
    request: PrepareMove,
) -> Result<MoveStep, Error> {
    match place_say::hand_on_move(services, who.user, &request).await? {
        Some(step) => Ok(step),
        None => prepare_by(services, who.user, request).await,
    }
}

/// The same for a user of a peer.
pub async fn prepare_for(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerPrepareMove,
) -> Result<MoveStep, Error> {
    let peer = peer_of(services, root)?;
    let from = vouched(services, seat, &peer, &request.from).await?;
    prepare_by(services, from.stored.user, request.request).await
}

async fn prepare_by(
    services: &Services,
    user: UserId,
    PrepareMove { community, to }: PrepareMove,
) -> Result<MoveStep, Error> {
    let not_found = || Failure::Error(PrepareMoveError::NotFound);
    let hosted = services.hosted(community).await?.ok_or_else(not_found)?;
    if !hosted.may_read_log(user) || hosted.row.hub.is_some() {
        return Err(not_found());
    }
    if hosted.state.owner != user {
        return Err(denied("only its owner moves a community to another server"));
    }
    if hosted.row.is_frozen {
        return Err(denied("the server's administrator has frozen this community"));
    }
    if services.is_here(Some(&to)) {
        return Err(denied("the community is on that server already"));
    }
    let away = || Failure::Error(PrepareMoveError::NextAway { hub: to.clone() });
    let next = services.peer(&to).ok_or_else(away)?;
    let (client, root) = next.client().zip(next.stored().root).ok_or_else(away)?;
    services.hub.moves.offer(community, &to, root);
    let next = Next { peer: &next, client };
    let mut shown = standing(services, &hosted).await?;
    if let Offered::NotYet(reason) = next.takes(community, &shown).await? {
        return Ok(MoveStep::Underway { reason });
    }
    services.hub.moves.hold(community);
    let mut kept = None;
    for _ in 0..TRIES {
        // Whatever was being placed is placed.
        drop(services.order.lock().await);
        let hosted = services.hosted(community).await?.ok_or_else(not_found)?;
        let stands = standing(services, &hosted).await?;
        if stands == shown {
            let handover = handover(&hosted, &to, root, &shown);
            return Ok(MoveStep::Ready { handover });
        }
        shown = stands;
        match next.takes(community, &shown).await {
            Ok(Offered::Whole) => {}
            Ok(Offered::NotYet(reason)) => {
                kept = reason;
                break;
            }
            Err(error) => {
                services.hub.moves.release(community);
                return Err(error);
            }
        }
    }
    services.hub.moves.release(community);
    Ok(MoveStep::Underway { reason: kept })
}

/// The server that is to be the hub.
struct Next<'p> {
    peer: &'p Arc<Peer>,
    client: Client,
}

/// What the next hub says to what it is offered.
enum Offered {
    /// It has all of it.
    Whole,
    /// Not yet; and what keeps it.
    NotYet(Option<String>),
}

impl Next<'_> {
    /// Whether it has all of a community as far as that.
    async fn takes(&self, community: CommunityId, places: &[PlaceHead]) -> Result<Offered, Error> {
        let offer = PeerOfferPlace { community, places: places.to_vec() };
        let hub = self.peer.name.clone();
        let declined =
            |reason| Failure::Error(PrepareMoveError::Declined { hub: hub.clone(), reason });
        match place_copy::ask(&self.client, &offer).await {
            Ok(offered) if offered.is_ready => Ok(Offered::Whole),
            Ok(offered) => Ok(Offered::NotYet(offered.reason.as_deref().map(short))),
            Err(CallError::Request(PeerOfferError::Declined { reason })) => {
                Err(declined(short(&reason)))
            }
            Err(CallError::Refused(Refusal::UnknownMethod)) => {
                Err(declined("its software is too old for it".to_owned()))
            }
            Err(CallError::Refused(
                refusal @ (Refusal::Throttled { .. } | Refusal::Unavailable),
            )) => Ok(Offered::NotYet(Some(refusal.to_string()))),
            Err(error) => {
                tracing::info!(peer = %hub, %community, %error, "the next hub did not answer");
                Err(Failure::Error(PrepareMoveError::NextAway { hub }))
            }
        }
    }
}

/// Where the log and all channels of a community stand; what is empty is left out.
async fn standing(services: &Services, hosted: &Hosted) -> Result<Vec<PlaceHead>, StorageError> {
    let community = hosted.row.community;
    let channels = hosted.state.channels.keys().map(|channel| Some(*channel));
    let spots: Vec<_> = std::iter::once(None).chain(channels).collect();
    let chains: Vec<_> = spots.iter().map(|channel| chain_of(community, *channel)).collect();
    let stored = services.storage.read().await?.chains(&chains).await?;
    let stand = spots.into_iter().zip(chains).filter_map(|(channel, chain)| {
        let found = stored.iter().find(|stored| stored.chain == chain)?;
        Some(PlaceHead { community, channel, head: found.head? })
    });
    Ok(stand.collect())
}

/// The statement that hands a community over as it stands.
fn handover(hosted: &Hosted, to: &ServerName, root: ServerId, shown: &[PlaceHead]) -> Handover {
    let ends = hosted.state.channels.keys().map(|channel| {
        let found = shown.iter().find(|place| place.channel == Some(*channel));
        ChannelEnd { channel: *channel, last: found.map(|place| Seen::from(place.head)) }
    });
    Handover {
        hub: to.clone(),
        hub_key: root,
        owner_epoch: hosted.state.owner_epoch.saturating_add(1),
        ends: ends.collect(),
    }
}
