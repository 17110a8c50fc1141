//! What peers ask: names, chains, heads and prekeys of users who live here, for their own users.

use rookery_protocol::{
    id::{ChainId, ServerId, UserId},
    request::{
        Failure, Refusal,
        chain::{Entries, ReadError, ResolvedUser},
        peer::{MovedChain, MovedChains, PeerClaim, PeerHeads, PeerReadChain, PeerResolve},
        prekey::{Bundles, ClaimError, ClaimPrekeys},
    },
};

use super::{
    Peer, Services,
    copy::{self, CopyError},
    place_users::speaks_for,
};
use crate::{
    repository::chain::ChainKind,
    service::{chain, prekey, seat::Seat},
};

/// How many chains are compared at once.
const MAX_CHAINS: usize = 2_000;

/// The peer whose connection this is.
pub fn peer_of(services: &Services, root: ServerId) -> Result<std::sync::Arc<Peer>, Refusal> {
    services.peers.rooted(root).filter(|peer| peer.is_wanted()).ok_or(Refusal::NotPermitted)
}

/// Makes sure that `asker` is a user of the peer, by their chain.
async fn vouched(
    services: &Services,
    seat: &Seat,
    peer: &Peer,
    asker: UserId,
) -> Result<(), Refusal> {
    let side = seat.peer_side().ok_or(Refusal::NotPermitted)?;
    match copy::reach(services, peer, &side.client, asker, None).await {
        Ok(_) => Ok(()),
        Err(CopyError::Storage(error)) => Err(super::super::refusal(&error)),
        Err(CopyError::Unreachable(_)) => Err(Refusal::Unavailable),
        Err(CopyError::Throttled { retry_after_ms }) => Err(Refusal::Throttled { retry_after_ms }),
        Err(error) => {
            tracing::debug!(peer = %peer.name, user = %asker, %error, "a peer asked for somebody who is not its user");
            Err(Refusal::NotPermitted)
        }
    }
}

/// Whose name it is, for a user of the peer. From then on the peer may read that user's chain.
pub async fn resolve(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerResolve,
) -> Result<ResolvedUser, Failure<ReadError>> {
    let peer = peer_of(services, root)?;
    vouched(services, seat, &peer, request.asker).await?;
    let resolved = chain::resolve(services, request.asker, &request.name).await?;
    let mut unit = services.storage.begin().await?;
    unit.let_peer_read(&peer.name, resolved.user).await?;
    unit.commit().await?;
    Ok(resolved)
}

/// Entries of the chain of a user who lives here.
pub async fn read_chain(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerReadChain,
) -> Result<Entries, Failure<ReadError>> {
    let peer = peer_of(services, root)?;
    let not_found = || Failure::Error(ReadError::NotFound);
    let kept = services.foreigner(request.user).await?;
    let is_theirs = kept.is_some_and(|kept| speaks_for(&peer, &kept));
    if !is_theirs {
        services.resident(request.user).await?.ok_or_else(not_found)?;
    }
    if is_theirs {
        // What the peer's own user has stated it may have back.
    } else if let Some(asker) = request.asker {
        vouched(services, seat, &peer, asker).await?;
        if !services.may_read_user(asker, request.user).await? {
            return Err(not_found());
        }
        let mut unit = services.storage.begin().await?;
        unit.let_peer_read(&peer.name, request.user).await?;
        unit.commit().await?;
    } else {
        let mut view = services.storage.read().await?;
        if !view.peer_may_read(&peer.name, request.user).await? {
            return Err(not_found());
        }
    }
    let page =
        chain::page(services, ChainId::of_user(request.user), request.after, request.limit).await?;
    page.ok_or_else(not_found)
}

/// Those of the chains that stand elsewhere than the peer has them.
pub async fn heads(
    services: &Services,
    root: ServerId,
    request: PeerHeads,
) -> Result<MovedChains, Refusal> {
    let peer = peer_of(services, root)?;
    if request.chains.len() > MAX_CHAINS {
        return Err(Refusal::Malformed);
    }
    let storage = |error| super::super::refusal(&error);
    let ids: Vec<ChainId> = request.chains.iter().map(|followed| followed.chain).collect();
    let mut view = services.storage.read().await.map_err(storage)?;
    let mut moved = vec![];
    for stored in view.chains(&ids).await.map_err(storage)? {
        let Some(head) = stored.head.filter(|_| stored.kind == ChainKind::User) else { continue };
        let known = request.chains.iter().find(|followed| followed.chain == stored.chain);
        if known.and_then(|followed| followed.have) == Some(head) {
            continue;
        }
        if view.peer_may_read(&peer.name, stored.owner).await.map_err(storage)? {
            moved.push(MovedChain { chain: stored.chain, head });
        }
    }
    Ok(MovedChains { moved })
}

/// A bundle of each of a user's devices, for a user of the peer.
pub async fn claim(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerClaim,
) -> Result<Bundles, Failure<ClaimError>> {
    let peer = peer_of(services, root)?;
    vouched(services, seat, &peer, request.asker).await?;
    let PeerClaim { asker, claim, user, devices } = request;
    if services.resident(user).await?.is_none() {
        return Err(Failure::Error(ClaimError::NotFound));
    }
    prekey::claim(services, asker, ClaimPrekeys { claim, user, devices }).await
}
