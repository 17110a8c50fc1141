//! What administrators see of peers, and decide about them.

use rookery_protocol::{
    id::ServerId,
    name::{HostPort, ServerName},
    request::{
        Failure,
        discovery::{AddedDomain, Rank},
        message::Returned,
        peering::{
            AddPeer, ChangePeer, Federation, PeerChange, PeerEntry, PeerLink, PeerList,
            PeerStanding, PeeringError,
        },
    },
};

use super::{
    Services,
    discovery::{self, Asker},
    handshake, outstanding, stranger,
};
use crate::{
    repository::{
        StorageError, View,
        peer::{PeerEdit, StoredFinding, StoredPeer},
    },
    service::fence,
};

const OFF: &str =
    "federation is switched off: `rookeryd policy federation allowlist` switches it on";
const ITSELF: &str = "that is this server itself";

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
    let found = stored.findings.into_iter().next().map(|finding| finding.place);
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
        found,
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
    if services.federation() == Federation::Off {
        return Err(refused(OFF));
    }
    if request.name == services.identity.name {
        return Err(refused(ITSELF));
    }
    put(services, &request.name, Some(request.address), request.root).await?;
    show(services, &request.name).await
}

/// Adds a peer by its domain name alone, with the root of whoever owns that.
pub async fn add_domain(
    services: &Services,
    name: &ServerName,
) -> Result<AddedDomain, Failure<PeeringError>> {
    if services.federation() == Federation::Off {
        return Err(refused(OFF));
    }
    if !name.is_domain() {
        return Err(refused(&format!(
            "{name} is a name of a local network, which nobody can look up or vouch for: say where the server is, and its root key's \
             fingerprint, which `rookeryd status` shows there: `rookeryd peer add {name} ADDRESS FINGERPRINT`"
        )));
    }
    if *name == services.identity.name {
        return Err(refused(ITSELF));
    }
    services.discovery.forget(name);
    let found = discovery::owner(services, name, Asker::Own).await;
    let owner = found.map_err(|unfound| {
        refused(&format!(
            "whose name {name} is cannot be found out: {unfound}. With `rookeryd peer add {name} ADDRESS FINGERPRINT` you say so yourself"
        ))
    })?;
    let root = owner.record.root.server_id();
    put(services, name, None, root).await?;
    if let Some(peer) = services.peers.named(name)
        && peer.stored().record <= owner.record.number
        && let Some(place) = owner.record.endpoint
    {
        let heard = StoredFinding { rank: Rank::Record, place, reached: None };
        handshake::found(services, &peer, heard).await?;
    }
    tracing::info!(peer = %name, %root, by = ?owner.by, "a peer was added by its name, and its root key pinned");
    Ok(AddedDomain { peer: show(services, name).await?, root, by: owner.by })
}

/// Puts a peer in, or gives one that is there a root if it has none, and another address.
async fn put(
    services: &Services,
    name: &ServerName,
    address: Option<HostPort>,
    root: ServerId,
) -> Result<(), Failure<PeeringError>> {
    if root == services.identity.server() {
        return Err(refused(ITSELF));
    }
    let mut view = services.storage.read().await?;
    let peers = view.peers().await?;
    drop(view);
    if peers.iter().any(|peer| peer.name != *name && peer.roots.contains(&root)) {
        return Err(refused("another peer has that root key"));
    }
    let is_pinned = |peer: &StoredPeer| peer.root.is_some_and(|pinned| pinned != root);
    let former = peers.into_iter().find(|peer| peer.name == *name);
    if former.as_ref().is_some_and(is_pinned) {
        return Err(refused(
            "that peer is pinned to another root key: `peer accept` pins this one instead",
        ));
    }
    let new = StoredPeer {
        name: name.clone(),
        address: address.clone(),
        root: Some(root),
        standing: PeerStanding::Active,
        offered: None,
        record: 0,
        added: services.clock.now(),
        roots: vec![],
        findings: vec![],
    };
    handshake::store(services, new).await?;
    stranger::note_named(services, name).await?;
    // One that was there before has the new place, and is what it was otherwise.
    let change = match address {
        Some(address) => PeerEdit::Place { address, root },
        None if former.is_some_and(|former| former.root.is_none()) => PeerEdit::Root(root),
        None => return Ok(()),
    };
    handshake::edit(services, name, change).await?;
    Ok(())
}

/// Changes a peer.
pub async fn change(services: &Services, request: ChangePeer) -> Result<(), Failure<PeeringError>> {
    let ChangePeer { name, change } = request;
    let former = stored(services, &name).await?;
    let not_found = || Failure::Error(PeeringError::NotFound);
    if matches!(change, PeerChange::Block | PeerChange::Pause | PeerChange::Resume) {
        stranger::note_named(services, &name).await?;
    }
    match change {
        PeerChange::Remove => {
            let former = former.ok_or_else(not_found)?;
            remove(services, &name).await?;
            cut(services, &former);
        }
        PeerChange::Block => {
            if let Some(former) = &former {
                cut(services, former);
            }
            let blocked = StoredPeer {
                name: name.clone(),
                address: None,
                root: None,
                standing: PeerStanding::Blocked,
                offered: None,
                record: 0,
                added: services.clock.now(),
                roots: vec![],
                findings: vec![],
            };
            handshake::store(services, blocked).await?;
            handshake::edit(services, &name, PeerEdit::Standing(PeerStanding::Blocked)).await?;
        }
        PeerChange::Pause => {
            let former = former.ok_or_else(not_found)?;
            cut(services, &former);
            handshake::edit(services, &name, PeerEdit::Standing(PeerStanding::Paused)).await?;
        }
        PeerChange::Resume => {
            let former = former.ok_or_else(not_found)?;
            if former.root.is_none() {
                return Err(refused("only its name is known: `peer add` says where it is"));
            }
            handshake::edit(services, &name, PeerEdit::Standing(PeerStanding::Active)).await?;
        }
        PeerChange::Retry => {
            former.ok_or_else(not_found)?;
            let mut unit = services.storage.begin().await?;
            unit.hurry_outbound(&name).await?;
            unit.commit().await?;
            services.discovery.forget(&name);
            if let Some(peer) = services.peers.named(&name) {
                peer.changed.notify_one();
                peer.wake.notify_one();
            }
        }
    }
    // Whom there is nothing more to do with is not waited for.
    fence::settle(services).await?;
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
    tracing::info!(peer = %name, %root, "a peer's root key was accepted");
    handshake::edit(services, name, PeerEdit::Root(root)).await?;
    stranger::note_named(services, name).await?;
    show(services, name).await
}

/// Forgets a peer. What devices here have on the way to it has come back to them, with the reason.
async fn remove(services: &Services, name: &ServerName) -> Result<(), StorageError> {
    // Whatever is queued for it meanwhile is judged before or after, never in between.
    let turn = services.order.lock().await;
    let editing = services.peers.editing.lock().await;
    let mut unit = services.storage.begin().await?;
    let owners = unit.keep_undelivered(name, &Returned::Removed).await?;
    unit.remove_peer(name).await?;
    unit.commit().await?;
    services.peers.remove(name);
    drop((editing, turn));
    for (_, device) in owners {
        outstanding::tell(services, device);
    }
    Ok(())
}

/// Ends the connections with a peer.
pub(super) fn cut(services: &Services, peer: &StoredPeer) {
    for root in &peer.roots {
        services.seats.cut_peer(*root);
    }
}
