//! What administrators see of peers, and decide about them.

use rookery_protocol::{
    id::ServerId,
    name::ServerName,
    request::{
        Failure,
        peering::{
            AddPeer, ChangePeer, PeerChange, PeerEntry, PeerLink, PeerList, PeerStanding,
            PeeringError,
        },
    },
};

use super::{Services, handshake};
use crate::{
    config::Federation,
    repository::{StorageError, View, peer::StoredPeer},
};

fn refused(reason: &str) -> Failure<PeeringError> {
    Failure::Error(PeeringError::Refused { reason: reason.to_owned() })
}

/// All peers.
pub async fn list(services: &Services) -> Result<PeerList, StorageError> {
    let mut view = services.storage.read().await?;
    let mut peers = vec![];
    for stored in view.peers().await? {
        peers.push(entry(services, &mut *view, stored).await?);
    }
    Ok(PeerList { peers })
}

/// One peer.
pub async fn show(
    services: &Services,
    name: &ServerName,
) -> Result<PeerEntry, Failure<PeeringError>> {
    let mut view = services.storage.read().await?;
    let stored = view.peers().await?.into_iter().find(|peer| peer.name == *name);
    let stored = stored.ok_or(Failure::Error(PeeringError::NotFound))?;
    Ok(entry(services, &mut *view, stored).await?)
}

async fn entry(
    services: &Services,
    view: &mut dyn View,
    stored: StoredPeer,
) -> Result<PeerEntry, StorageError> {
    let backlog = view.backlog(&stored.name).await?;
    let followed = view.foreigner_count(&stored.name).await?;
    let known = services.peers.named(&stored.name).map(|peer| peer.state());
    let (link, since, reason) = known.unwrap_or((PeerLink::Off, services.clock.now(), None));
    Ok(PeerEntry {
        name: stored.name,
        address: stored.address,
        root: stored.root,
        standing: stored.standing,
        offered: stored.offered,
        link,
        since,
        reason,
        waiting: backlog.count,
        oldest: backlog.oldest,
        followed,
    })
}

async fn stored(
    services: &Services,
    name: &ServerName,
) -> Result<Option<StoredPeer>, StorageError> {
    let mut view = services.storage.read().await?;
    Ok(view.peers().await?.into_iter().find(|peer| peer.name == *name))
}

/// Adds a peer, or gives one that is there another address.
pub async fn add(
    services: &Services,
    request: AddPeer,
) -> Result<PeerEntry, Failure<PeeringError>> {
    if services.config.federation == Federation::Off {
        return Err(refused("federation is switched off: set server.federation"));
    }
    if request.name == services.identity.name || request.root == services.identity.server() {
        return Err(refused("that is this server itself"));
    }
    let mut view = services.storage.read().await?;
    let peers = view.peers().await?;
    drop(view);
    if peers.iter().any(|peer| peer.name != request.name && peer.roots.contains(&request.root)) {
        return Err(refused("another peer has that root key"));
    }
    let former = peers.into_iter().find(|peer| peer.name == request.name);
    let peer = match former {
        Some(former) if former.root.is_some_and(|root| root != request.root) => {
            return Err(refused(
                "that peer is pinned to another root key: `peer accept` pins this one instead",
            ));
        }
        Some(former) => {
            StoredPeer { address: Some(request.address), root: Some(request.root), ..former }
        }
        None => StoredPeer {
            name: request.name.clone(),
            address: Some(request.address),
            root: Some(request.root),
            standing: PeerStanding::Active,
            offered: None,
            record: 0,
            added: services.clock.now(),
            roots: vec![],
        },
    };
    handshake::store(services, peer).await?;
    show(services, &request.name).await
}

/// Changes a peer.
pub async fn change(services: &Services, request: ChangePeer) -> Result<(), Failure<PeeringError>> {
    let ChangePeer { name, change } = request;
    let former = stored(services, &name).await?;
    let not_found = || Failure::Error(PeeringError::NotFound);
    match change {
        PeerChange::Remove => {
            let former = former.ok_or_else(not_found)?;
            // Whatever is queued for it meanwhile is judged before or after, never in between.
            let turn = services.order.lock().await;
            let mut unit = services.storage.begin().await?;
            unit.remove_peer(&name).await?;
            unit.commit().await?;
            services.peers.remove(&name);
            drop(turn);
            cut(services, &former);
        }
        PeerChange::Block => {
            let blocked = former.unwrap_or_else(|| StoredPeer {
                name,
                address: None,
                root: None,
                standing: PeerStanding::Blocked,
                offered: None,
                record: 0,
                added: services.clock.now(),
                roots: vec![],
            });
            cut(services, &blocked);
            let blocked = StoredPeer { standing: PeerStanding::Blocked, ..blocked };
            handshake::store(services, blocked).await?;
        }
        PeerChange::Pause => {
            let former = former.ok_or_else(not_found)?;
            cut(services, &former);
            let paused = StoredPeer { standing: PeerStanding::Paused, ..former };
            handshake::store(services, paused).await?;
        }
        PeerChange::Resume => {
            let former = former.ok_or_else(not_found)?;
            if former.root.is_none() {
                return Err(refused("only its name is known: `peer add` says where it is"));
            }
            let resumed = StoredPeer { standing: PeerStanding::Active, ..former };
            handshake::store(services, resumed).await?;
        }
        PeerChange::Retry => {
            former.ok_or_else(not_found)?;
            let mut unit = services.storage.begin().await?;
            unit.hurry_outbound(&name).await?;
            unit.commit().await?;
            if let Some(peer) = services.peers.named(&name) {
                peer.changed.notify_one();
                peer.wake.notify_one();
            }
        }
    }
    Ok(())
}

/// Pins another root, which ends a quarantine.
pub async fn accept(
    services: &Services,
    name: &ServerName,
    root: ServerId,
) -> Result<PeerEntry, Failure<PeeringError>> {
    let former = stored(services, name).await?;
    let former = former.ok_or(Failure::Error(PeeringError::NotFound))?;
    if former.offered.is_some_and(|offered| offered != root && former.root != Some(root)) {
        return Err(refused("the peer shows another root key than that: `peer show` says which"));
    }
    cut(services, &former);
    // Records are counted by each root anew.
    let record = if former.root == Some(root) { former.record } else { 0 };
    tracing::info!(peer = %name, %root, "a peer's root key was accepted");
    handshake::store(services, StoredPeer { root: Some(root), offered: None, record, ..former })
        .await?;
    show(services, name).await
}

/// Ends the connections with a peer.
fn cut(services: &Services, peer: &StoredPeer) {
    for root in &peer.roots {
        services.seats.cut_peer(*root);
    }
}
