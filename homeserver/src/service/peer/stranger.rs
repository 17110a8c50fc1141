//! Peers that nobody here has named: in the mode `open` whoever owns their name comes in by themselves.
//!
//! Each costs a task, a row, and attempts to reach it, for as long as it is known; and whoever owns one domain owns as many names below it as
//! they like. So of those with which nobody here has anything to do there are at most [`MAX_IDLE`]; they are dialled ever more rarely while
//! they do not answer; and who was not reached for a week is forgotten, and may come again as it came before. Whom an administrator names,
//! and with whom people here have to do, is a peer like any other.
//!
//! People here have to do with a peer when one of them has accepted or asked somebody there, when something is on its way there, or when
//! somebody belongs to a community of either that has members of both. What only the peer has begun, such as a request that nobody has answered,
//! does not count, or a stranger could make itself one that is kept.

use std::{sync::Arc, time::Duration};

use rookery_protocol::name::ServerName;

use super::{Peer, Services, handshake};
use crate::repository::{StorageError, peer::StoredPeer};

/// How many peers there are that nobody has named and with which nobody here has anything to do: their tasks and rows take about 10 MiB, and
/// about one of them is dialled each second when none of them answers.
pub const MAX_IDLE: usize = 1_000;
/// How long one is kept that is not reached: longer than any holiday weekend of who runs it.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Whether one more may come.
pub async fn is_room(services: &Services) -> Result<bool, StorageError> {
    Ok(services.storage.read().await?.idle_strangers(None).await?.len() < MAX_IDLE)
}

/// Takes in a peer that nobody has named, if there is room still. Whoever has come by that name meanwhile stays.
pub async fn take_in(
    services: &Services,
    stored: &StoredPeer,
) -> Result<Option<Arc<Peer>>, StorageError> {
    let _turn = services.peers.editing.lock().await;
    let mut unit = services.storage.begin().await?;
    if unit.idle_strangers(None).await?.len() >= MAX_IDLE {
        return Ok(None);
    }
    if unit.put_peer(stored).await? {
        unit.put_stranger(&stored.name, stored.added).await?;
    }
    handshake::kept(services, unit, &stored.name).await
}

/// An administrator has decided something about a peer: it is no stranger any more.
pub async fn note_named(services: &Services, name: &ServerName) -> Result<(), StorageError> {
    let mut unit = services.storage.begin().await?;
    unit.end_stranger(name).await?;
    unit.commit().await
}

/// A peer was reached.
pub async fn note_reached(services: &Services, peer: &Peer) -> Result<(), StorageError> {
    let mut unit = services.storage.begin().await?;
    unit.reach_stranger(&peer.name, services.clock.now()).await?;
    unit.commit().await
}

/// Whether nobody here has named the peer or has anything to do with it.
pub async fn is_idle(services: &Services, peer: &Peer) -> Result<bool, StorageError> {
    let mut view = services.storage.read().await?;
    Ok(!view.idle_strangers(Some(&peer.name)).await?.is_empty())
}

/// Notes who is there, and forgets those who were not reached for too long.
pub async fn forget(services: &Services) -> Result<(), StorageError> {
    let now = services.clock.now();
    let mut unit = services.storage.begin().await?;
    for peer in services.peers.all().iter().filter(|peer| peer.client().is_some()) {
        unit.reach_stranger(&peer.name, now).await?;
    }
    unit.commit().await?;
    let idle = services.storage.read().await?.idle_strangers(None).await?;
    for (name, reached) in idle {
        if now.since(reached) >= KEPT
            && let Some(peer) = services.peers.named(&name)
        {
            forget_one(services, &peer).await?;
        }
    }
    Ok(())
}

async fn forget_one(services: &Services, peer: &Peer) -> Result<(), StorageError> {
    // Whatever somebody here begins with it meanwhile counts before or after, never in between.
    let turn = services.order.lock().await;
    let editing = services.peers.editing.lock().await;
    let mut unit = services.storage.begin().await?;
    if peer.client().is_some() || unit.idle_strangers(Some(&peer.name)).await?.is_empty() {
        return Ok(());
    }
    unit.remove_peer(&peer.name).await?;
    unit.commit().await?;
    services.peers.remove(&peer.name);
    drop((editing, turn));
    super::admin::cut(services, &peer.stored());
    tracing::info!(peer = %peer.name, "a homeserver that came by itself was not reached for a week, and is forgotten");
    Ok(())
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        id::ServerId,
        request::{
            contact::ContactChange,
            peer::ContactAct,
            peering::{ChangePeer, PeerChange},
        },
    };

    use super::*;
    use crate::service::{
        peer::{
            admin, contact,
            tests::{act, address, foreigner, garden, stored},
        },
        testing::bench,
    };

    fn numbered(number: usize) -> StoredPeer {
        let mut root = [0; 32];
        root[..8].copy_from_slice(&number.to_be_bytes());
        let name = format!("garden{number}.example").parse().unwrap();
        StoredPeer { name, root: Some(ServerId::from_bytes(root)), ..stored() }
    }

    #[tokio::test]
    async fn so_many_may_come_by_themselves_until_somebody_here_wants_them() {
        let bench = bench(&[]);
        let services = &bench.services;
        let peer = take_in(services, &stored()).await.unwrap().unwrap();
        let mut unit = services.storage.begin().await.unwrap();
        for number in 1..MAX_IDLE {
            unit.put_peer(&numbered(number)).await.unwrap();
            unit.put_stranger(&numbered(number).name, services.clock.now()).await.unwrap();
        }
        unit.commit().await.unwrap();
        assert!(!is_room(services).await.unwrap());
        assert!(take_in(services, &numbered(0)).await.unwrap().is_none());
        assert!(services.peers.named(&numbered(0).name).is_none());
        // Somebody there asks, which is nothing yet; and is accepted.
        let (_, bob, ..) = bench.person("bob").await;
        let (_, carol) = foreigner(services, "carol").await;
        act(services, &peer, &carol, ("carol", 1), ContactAct::Ask).await;
        assert!(is_idle(services, &peer).await.unwrap() && !is_room(services).await.unwrap());
        contact::change(services, bob, &address("carol"), ContactChange::Accept).await.unwrap();
        assert!(!is_idle(services, &peer).await.unwrap() && is_room(services).await.unwrap());
        assert!(take_in(services, &numbered(0)).await.unwrap().is_some());
        assert!(!is_room(services).await.unwrap());
    }

    #[tokio::test]
    async fn who_is_not_reached_for_a_week_is_forgotten_unless_it_was_named() {
        let bench = bench(&[]);
        let services = &bench.services;
        for number in [1, 2, 3] {
            take_in(services, &numbered(number)).await.unwrap().unwrap();
        }
        handshake::store(services, stored()).await.unwrap();
        let resume = ChangePeer { name: numbered(2).name.clone(), change: PeerChange::Resume };
        admin::change(services, resume).await.unwrap();
        bench.clock.advance(KEPT / 2);
        forget(services).await.unwrap();
        assert_eq!(services.peers.all().len(), 4);
        let late = services.peers.named(&numbered(3).name).unwrap();
        note_reached(services, &late).await.unwrap();
        bench.clock.advance(KEPT / 2);
        forget(services).await.unwrap();
        let left: Vec<_> = services.peers.all().iter().map(|peer| peer.name.clone()).collect();
        assert_eq!(left, [garden(), numbered(2).name, late.name.clone()]);
        assert_eq!(services.peers.rooted(numbered(1).root.unwrap()).map(|_| ()), None);
        assert_eq!(services.storage.read().await.unwrap().peers().await.unwrap().len(), 3);
        assert!(take_in(services, &numbered(1)).await.unwrap().is_some(), "it may come again");
    }
}
