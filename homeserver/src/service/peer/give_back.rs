//! What is kept here of what another homeserver has ordered, for that homeserver: it asks when it was restored from a copy.

use rookery_protocol::{
    id::{ChainId, ServerId},
    request::{
        Refusal,
        peer_place::{PlaceHead, Places},
        peer_return::{KeptChain, KeptChains, PeerReturnPlaces, PeerReturnUsers},
    },
};

use super::{Services, answer::peer_of};
use crate::repository::StorageError;

/// Chains of users in one list.
const USERS: u32 = 1_000;
/// Communities in one list.
const COMMUNITIES: u32 = 64;

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn refused(error: StorageError) -> Refusal {
    super::super::refusal(&error)
}

/// How far the chains of the peer's users are here.
pub async fn users(
    services: &Services,
    root: ServerId,
    request: PeerReturnUsers,
) -> Result<KeptChains, Refusal> {
    let peer = peer_of(services, root)?;
    let mut view = services.storage.read().await.map_err(refused)?;
    let users = view.foreigners_of(&peer.name, request.after, USERS).await.map_err(refused)?;
    let ids: Vec<ChainId> = users.iter().map(|user| ChainId::of_user(*user)).collect();
    let stored = view.chains(&ids).await.map_err(refused)?;
    let kept = |user| {
        let chain = stored.iter().find(|stored| stored.chain == ChainId::of_user(user))?;
        Some(KeptChain { user, head: chain.head? })
    };
    let more = users.len() >= usize::try_from(USERS).unwrap_or(usize::MAX);
    Ok(KeptChains { chains: users.iter().filter_map(|user| kept(*user)).collect(), more })
}

/// How far the logs and channels are here of communities that the peer is the hub of, or was.
pub async fn places(
    services: &Services,
    root: ServerId,
    request: PeerReturnPlaces,
) -> Result<Places, Refusal> {
    let peer = peer_of(services, root)?;
    let mut view = services.storage.read().await.map_err(refused)?;
    let found = view.copies_from(&peer.name, request.after, COMMUNITIES).await.map_err(refused)?;
    let mut places = vec![];
    for community in &found {
        let community = *community;
        let hosted = services.hosted(community).await.map_err(refused)?;
        let is_by_peer = |root| {
            hosted.as_ref().is_some_and(|hosted| hosted.state.hubs().any(|hub| hub.2 == root))
        };
        if !peer.stored().root.is_some_and(is_by_peer) {
            continue;
        }
        let Some(hosted) = hosted else { continue };
        let channels = hosted.state.channels.keys().map(|channel| Some(*channel));
        let spots: Vec<_> = [None].into_iter().chain(channels).collect();
        let chain_of = |channel: Option<_>| match channel {
            Some(channel) => ChainId::of_channel(community, channel),
            None => ChainId::of_log(community),
        };
        let ids: Vec<ChainId> = spots.iter().map(|channel| chain_of(*channel)).collect();
        let stored = view.chains(&ids).await.map_err(refused)?;
        places.extend(spots.into_iter().filter_map(|channel| {
            let chain = stored.iter().find(|stored| stored.chain == chain_of(channel))?;
            Some(PlaceHead { community, channel, head: chain.head? })
        }));
    }
    let is_full = found.len() >= usize::try_from(COMMUNITIES).unwrap_or(usize::MAX);
    Ok(Places { places, next: found.last().copied().filter(|_| is_full) })
}
