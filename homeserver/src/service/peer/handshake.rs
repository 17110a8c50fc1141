//! Who a peer is: its greeting, its proof, and what is done when its root is another one than before.

use std::{net::IpAddr, sync::Arc};

use rookery_protocol::{
    id::ServerId,
    name::ServerName,
    request::{
        Failure, Refusal,
        discovery::Rank,
        peer::{PeerHello, PeerHelloError, PeerHelloReply, PeerProve, PeerProveError},
        peering::{Federation, PeerStanding},
        server::ServerRecord,
    },
    session::{Principal, peer::Answering},
};

use super::{
    Peer, Services,
    discovery::{self, Asker, Unfound, rule},
    stranger,
};
use crate::{
    repository::{
        Repository, StorageError,
        peer::{PeerEdit, StoredFinding, StoredPeer},
    },
    service::seat::Seat,
};

/// 32 random bytes.
pub fn nonce() -> Result<[u8; 32], Refusal> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Refusal::Internal)?;
    Ok(nonce)
}

/// Counts whoever is turned away, and says why in the log.
pub fn refused(reason: &'static str, record: &ServerRecord) {
    metrics::counter!("rookery_peer_refused_total", "reason" => reason).increment(1);
    tracing::info!(
        peer = %record.name,
        root = %record.root.server_id(),
        reason,
        "a homeserver was turned away"
    );
}

/// Answers a greeting, with the proof of this side.
pub fn hello(
    services: &Services,
    seat: &Seat,
    request: &PeerHello,
) -> Result<PeerHelloReply, Failure<PeerHelloError>> {
    let side = seat.peer_side().ok_or(Refusal::NotPermitted)?;
    if seat.principal() != Principal::Anonymous {
        return Err(Refusal::NotPermitted.into());
    }
    if services.federation() == Federation::Off {
        return Err(Failure::Error(PeerHelloError::Off));
    }
    let record = services.identity.record();
    let own = record.oneself(&services.identity.online);
    let begun = Answering::begin(&own, request, nonce()?, &side.exporters);
    let (answering, reply) = begun.map_err(|error| {
        metrics::counter!("rookery_peer_refused_total", "reason" => "greeting").increment(1);
        Failure::Error(PeerHelloError::Refused { reason: error.to_string() })
    })?;
    side.begin(answering);
    Ok(reply)
}

/// What is known of a server that may come in.
enum Known {
    /// It is a peer.
    Peer,
    /// Nothing, and nobody has to have named it.
    Stranger,
}

/// Whether a server may come in that has proven to be this.
fn judge(
    services: &Services,
    record: &ServerRecord,
) -> Result<Known, (&'static str, PeerProveError)> {
    let root = record.root.server_id();
    if record.has_ended(services.clock.now()) {
        return Err(("ended record", PeerProveError::EndedRecord));
    }
    let Some(peer) = services.peers.named(&record.name) else {
        return match services.federation() {
            // A root has one name.
            Federation::Open if services.peers.rooted(root).is_none() => Ok(Known::Stranger),
            _ => Err(("unknown", PeerProveError::Unknown)),
        };
    };
    let stored = peer.stored();
    match stored.standing {
        PeerStanding::Blocked => return Err(("blocked", PeerProveError::Blocked)),
        PeerStanding::Paused => return Err(("paused", PeerProveError::Paused)),
        PeerStanding::Active => {}
    }
    // Whoever says to be a peer with another root is turned away and no more: only the address that an administrator gave can
    // put a peer into quarantine, or anybody could.
    if stored.root != Some(root) || stored.offered.is_some() {
        return Err(("other root", PeerProveError::OtherRoot));
    }
    if record.number < stored.record {
        return Err(("old record", PeerProveError::OldRecord));
    }
    Ok(Known::Peer)
}

/// All that a stranger is told whose name could not be found out to be its own. What came of looking is for this server's administrator: who
/// may choose the name chooses where is looked, and would learn what answers in the network here.
const UNVERIFIED: &str = "its record is neither published under the name nor shown under a certificate for it; `rookeryd key well-known` \
    prints what to publish";

/// Whether the name that a stranger at `address` goes by is its own: whoever owns the domain says which root it has. A name of a local
/// network is nobody's, so an administrator has to name it.
pub(super) async fn vet(
    services: &Arc<Services>,
    address: IpAddr,
    record: &ServerRecord,
) -> Result<(), (&'static str, Failure<PeerProveError>)> {
    let unverified =
        |reason: String| ("unverified name", Failure::Error(PeerProveError::Unverified { reason }));
    if !record.name.is_domain() {
        return Err(unverified(
            "it is a name of a local network, so its administrator has to add it by `rookeryd peer add`"
                .to_owned(),
        ));
    }
    // In a task of its own: what is found out serves the next attempt, though this connection may not wait for it.
    let (services_, name) = (Arc::clone(services), record.name.clone());
    let task = services
        .tasks
        .spawn(async move { discovery::owner(&services_, &name, Asker::Stranger(address)).await });
    match task.await.map_err(|_| ("broken", Refusal::Internal.into()))? {
        Ok(owner) if owner.record.root == record.root => Ok(()),
        Ok(_) => Err(("another's name", Failure::Error(PeerProveError::NotItsName))),
        Err(Unfound::Throttled { retry_after_ms }) => {
            Err(("too many look-ups", Refusal::Throttled { retry_after_ms }.into()))
        }
        Err(unfound) => {
            tracing::info!(peer = %record.name, %unfound, "whose name a stranger goes by was not found out");
            Err(unverified(UNVERIFIED.to_owned()))
        }
    }
}

/// There are as many strangers as may be: this one is let in when an administrator names it.
fn too_many(record: &ServerRecord) -> Failure<PeerProveError> {
    refused("too many strangers", record);
    Failure::Error(PeerProveError::Unknown)
}

/// Checks the proof of who has greeted, and takes the connection for that peer's.
pub async fn prove(
    services: &Arc<Services>,
    seat: &Arc<Seat>,
    request: &PeerProve,
) -> Result<(), Failure<PeerProveError>> {
    let unproven = || Failure::Error(PeerProveError::Unproven);
    let side = seat.peer_side().ok_or(Refusal::NotPermitted)?;
    let answering = side.take().ok_or_else(unproven)?;
    let claimed = answering.claimed().clone();
    let record = answering.handle_proof(request, &side.exporters).map_err(|_| {
        refused("proof", &claimed);
        unproven()
    })?;
    let known = judge(services, &record).map_err(|(reason, error)| {
        refused(reason, &record);
        Failure::Error(error)
    })?;
    if let Known::Stranger = known {
        if !stranger::is_room(services).await? {
            return Err(too_many(&record));
        }
        vet(services, seat.address(), &record).await.map_err(|(reason, failure)| {
            refused(reason, &record);
            failure
        })?;
        // Whatever was decided meanwhile holds.
        judge(services, &record).map_err(|(reason, error)| {
            refused(reason, &record);
            Failure::Error(error)
        })?;
    }
    let peer = if let Some(peer) = services.peers.named(&record.name) {
        peer
    } else {
        let stored = StoredPeer {
            name: record.name.clone(),
            address: None,
            root: Some(record.root.server_id()),
            standing: PeerStanding::Active,
            offered: None,
            record: record.number,
            added: services.clock.now(),
            roots: vec![],
            findings: vec![],
        };
        stranger::take_in(services, &stored).await?.ok_or_else(|| too_many(&record))?
    };
    note_record(services, &peer, &record).await?;
    // What was proven on it before stays, and one that is gone meanwhile is nobody's to take up.
    if !services.seats.raise_peer(seat, record.root.server_id()) {
        return Err(unproven());
    }
    peer.arrive(side.client.clone(), record.online);
    Ok(())
}

/// Notes the newest record of a peer, whose root has signed it.
pub async fn note_record(
    services: &Services,
    peer: &Peer,
    record: &ServerRecord,
) -> Result<(), StorageError> {
    if record.number > peer.stored().record {
        let newer = PeerEdit::Record { root: record.root.server_id(), number: record.number };
        edit(services, &peer.name, newer).await?;
    }
    peer.prove(record.online);
    let stored = peer.stored();
    if record.number < stored.record || stored.root != Some(record.root.server_id()) {
        return Ok(());
    }
    match &record.endpoint {
        Some(place) => {
            let place = place.clone();
            found(services, peer, StoredFinding { rank: Rank::Record, place, reached: None }).await
        }
        None if stored.findings.iter().any(|finding| finding.rank == Rank::Record) => {
            let lost = PeerEdit::Lost { root: record.root.server_id(), rank: Rank::Record };
            edit(services, &peer.name, lost).await.map(|_| ())
        }
        None => Ok(()),
    }
}

/// Notes where a peer is, if that is news.
pub async fn found(
    services: &Services,
    peer: &Peer,
    heard: StoredFinding,
) -> Result<(), StorageError> {
    let stored = peer.stored();
    if let (Some(root), Some(finding)) = (stored.root, rule::news(&stored.findings, heard)) {
        edit(services, &peer.name, PeerEdit::Found { root, finding }).await?;
    }
    Ok(())
}

/// A peer shows another root than the pinned one, at the address where it is dialled: nothing is said to it or taken from it until an
/// administrator accepts that.
pub async fn quarantine(
    services: &Services,
    peer: &Peer,
    found: ServerId,
) -> Result<(), StorageError> {
    let stored = peer.stored();
    tracing::warn!(
        peer = %peer.name,
        pinned = stored.root.map(tracing::field::display),
        %found,
        "the peer shows another root key than the pinned one: it is in quarantine until `rookeryd peer accept`"
    );
    metrics::counter!("rookery_peer_quarantined_total", "peer" => peer.name.to_string())
        .increment(1);
    if let Some(pinned) = stored.root {
        edit(services, &peer.name, PeerEdit::Offered { pinned, offered: found }).await?;
    }
    Ok(())
}

/// Stores a peer, unless there is one of that name, and keeps in memory what is stored.
pub async fn store(services: &Services, stored: StoredPeer) -> Result<Arc<Peer>, StorageError> {
    let _turn = services.peers.editing.lock().await;
    let mut unit = services.storage.begin().await?;
    unit.put_peer(&stored).await?;
    let kept = kept(services, unit, &stored.name).await?;
    kept.ok_or(StorageError::Inconsistent { table: "peer" })
}

/// Changes a peer, and keeps in memory what is stored: nothing is written but what is changed, so that whatever else is decided meanwhile
/// stands. Gives nothing when there is no peer of that name.
pub async fn edit(
    services: &Services,
    name: &ServerName,
    edit: PeerEdit,
) -> Result<Option<Arc<Peer>>, StorageError> {
    let _turn = services.peers.editing.lock().await;
    let mut unit = services.storage.begin().await?;
    unit.edit_peer(name, &edit).await?;
    kept(services, unit, name).await
}

/// Stores what `unit` has, and keeps in memory what it makes of a peer. Under the turn of who edits peers.
pub(super) async fn kept(
    services: &Services,
    mut unit: Box<dyn Repository>,
    name: &ServerName,
) -> Result<Option<Arc<Peer>>, StorageError> {
    let stored = unit.peers().await?.into_iter().find(|one| one.name == *name);
    unit.commit().await?;
    Ok(stored.map(|stored| services.peers.put(stored, services.clock.now())))
}
