//! A restored server waits: what it had ordered after the copy was made, its peers may still have, and what it ordered in those places now
//! would contradict that.
//!
//! While the fence is closed, the server is read and nothing is changed. It opens once every peer that there is to do with has been asked
//! ([`super::peer::regain`]), or when an administrator says so.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rookery_protocol::{
    name::ServerName,
    request::{
        Failure,
        peering::{PeerStanding, PeeringError},
    },
    time::Timestamp,
};

use super::Services;
use crate::repository::{Storage, StorageError, peer::StoredPeer};

/// Whether the server waits, and who has been asked.
#[derive(Debug, Default)]
pub struct Fence {
    is_closed: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    since: Option<Timestamp>,
    asked: BTreeSet<ServerName>,
}

impl Fence {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// Since when the server waits, if it does, and for whom.
#[must_use]
pub fn waits(services: &Services) -> Option<(Timestamp, Vec<ServerName>)> {
    let waiting = services.fence.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let since = waiting.since?;
    let peers = services.peers.all();
    let left = peers.iter().filter(|peer| peer.is_wanted() && !waiting.asked.contains(&peer.name));
    Some((since, left.map(|peer| peer.name.clone()).collect()))
}

/// Reads whether the server waits, when it starts.
pub async fn load(services: &Services) -> Result<(), StorageError> {
    let since = services.storage.read().await?.fenced().await?;
    services.fence.waiting.lock().unwrap_or_else(PoisonError::into_inner).since = since;
    services.fence.is_closed.store(since.is_some(), Ordering::Relaxed);
    if since.is_some() {
        tracing::warn!(
            "this server was restored: nothing is changed until its peers were asked for what they have kept"
        );
    }
    settle(services).await
}

/// Notes that a peer has given back what it had.
pub async fn asked(services: &Services, peer: &ServerName) -> Result<(), StorageError> {
    let waiting = &services.fence.waiting;
    waiting.lock().unwrap_or_else(PoisonError::into_inner).asked.insert(peer.clone());
    settle(services).await
}

/// Opens the fence if there is nobody left to ask.
pub async fn settle(services: &Services) -> Result<(), StorageError> {
    match waits(services) {
        Some((_, left)) if left.is_empty() => open(services).await,
        _ => Ok(()),
    }
}

/// Closes the fence of a database that was just restored, if there are peers to be asked. Gives whether it did.
pub async fn close(storage: &dyn Storage, now: Timestamp) -> Result<bool, StorageError> {
    let mut unit = storage.begin().await?;
    let is_asked = |peer: &StoredPeer| peer.standing == PeerStanding::Active && peer.root.is_some();
    let is_closed = unit.peers().await?.iter().any(is_asked);
    if is_closed {
        unit.set_fenced(Some(now)).await?;
    }
    unit.commit().await?;
    Ok(is_closed)
}

async fn open(services: &Services) -> Result<(), StorageError> {
    let mut unit = services.storage.begin().await?;
    unit.set_fenced(None).await?;
    unit.commit().await?;
    services.fence.waiting.lock().unwrap_or_else(PoisonError::into_inner).since = None;
    services.fence.is_closed.store(false, Ordering::Relaxed);
    tracing::info!("this server goes on");
    for peer in services.peers.all() {
        peer.wake.notify_one();
    }
    Ok(())
}

/// Opens it, whoever was not asked.
pub async fn force(services: &Services) -> Result<(), Failure<PeeringError>> {
    let Some((_, left)) = waits(services) else {
        let reason = "the server does not wait for anybody".to_owned();
        return Err(Failure::Error(PeeringError::Refused { reason }));
    };
    tracing::warn!(
        ?left,
        "an administrator has the server go on without what these peers may have"
    );
    Ok(open(services).await?)
}
