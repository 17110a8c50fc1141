//! Other homeservers: who they are here, how the connection to each stands, and what is handed over.
//!
//! One task a peer keeps its connection ([`crate::service::peer::forward`] is what it does with it), and a peer's trouble is its own: no queue,
//! no lock and no worker is shared between two of them. What must arrive lies in the database until the other side has stored it.
//!
//! A user of another server is a *foreigner*. There is a copy of their chain, checked entry by entry as clients check it, and the server
//! serves its users from it. A peer speaks for the users whose chains begin at one of its roots, and for nobody else.

pub mod admin;
pub mod answer;
pub mod contact;
pub mod copy;
pub mod discovery;
pub mod file;
pub mod forward;
pub mod give_back;
pub mod handshake;
mod one;
pub mod outstanding;
pub mod people;
pub mod place;
pub mod place_adopt;
pub mod place_answer;
pub mod place_ask;
mod place_blob;
mod place_check;
pub(in crate::service) mod place_copy;
pub mod place_drop;
pub mod place_heads;
mod place_log;
pub mod place_look;
pub mod place_move;
mod place_proof;
mod place_right;
pub mod place_say;
pub mod place_take;
pub(in crate::service) mod place_users;
mod place_want;
pub mod policy;
pub mod receive;
pub mod regain;
mod regain_users;
mod share;
pub(super) mod standing;
pub mod stranger;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use rookery_protocol::{
    id::{CommunityId, ServerId, UserId},
    name::ServerName,
    request::peering::{Federation, PeerStanding},
    time::Timestamp,
};
use tokio::sync::Notify;

use self::copy::Foreigner;
pub use self::one::{Link, Peer};
use super::Services;
use crate::repository::{StorageError, abroad::Copies, peer::StoredPeer};

/// Foreigners in memory: about 10 KiB each.
const MAX_FOREIGNERS: u64 = 20_000;
/// Who was let read whom, in memory.
const MAX_GRANTS: u64 = 100_000;
/// Hubs whose communities are counted, and how long that holds: it is a bound on gigabytes, and what comes in meanwhile is some megabytes.
const MAX_COUNTED: u64 = 10_000;
const COUNTED: Duration = Duration::from_secs(10);
/// Communities that concern nobody here, in memory.
const MAX_UNWANTED: u64 = 100_000;
/// How long a peer's word on that holds.
const GRANT: Duration = Duration::from_hours(1);

/// All peers.
pub struct Peers {
    policy: policy::InForce,
    next: AtomicU64,
    rows: RwLock<Rows>,
    /// A peer was added.
    pub added: Notify,
    /// Held while a peer's row is changed, so that what is in memory is what was stored last.
    editing: tokio::sync::Mutex<()>,
    foreigners: Cache<UserId, Arc<Foreigner>>,
    /// How much there is of the communities of each hub, as it was counted a moment ago.
    copies: Cache<ServerName, Copies>,
    /// Communities, by the hub that tells of them, that concern nobody here as far as those entries.
    unwanted: Cache<(ServerName, CommunityId), u64>,
    /// Communities that are being taken over.
    under_way: place_adopt::UnderWay,
    /// Local users who may read foreigners' chains by their homes' word.
    grants: Cache<(UserId, UserId), ()>,
}

#[derive(Default)]
struct Rows {
    named: BTreeMap<ServerName, Arc<Peer>>,
    /// By the pinned root: whose each request of a peer is is found by that.
    rooted: HashMap<ServerId, Arc<Peer>>,
}

impl Rows {
    /// Finds everybody by the root that is pinned now. Should two have one root, it is the first one's.
    fn index(&mut self) {
        let rooted = |peer: &Arc<Peer>| Some((peer.stored().root?, Arc::clone(peer)));
        self.rooted = self.named.values().rev().filter_map(rooted).collect();
    }
}

impl Peers {
    /// Nobody yet.
    #[must_use]
    pub fn new(federation: Federation) -> Self {
        Self {
            policy: policy::InForce::new(federation),
            next: AtomicU64::new(0),
            rows: RwLock::default(),
            added: Notify::new(),
            editing: tokio::sync::Mutex::default(),
            foreigners: Cache::new(MAX_FOREIGNERS),
            copies: Cache::builder().max_capacity(MAX_COUNTED).time_to_live(COUNTED).build(),
            unwanted: Cache::new(MAX_UNWANTED),
            under_way: place_adopt::UnderWay::default(),
            grants: Cache::builder().max_capacity(MAX_GRANTS).time_to_live(GRANT).build(),
        }
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.rows().named.values().cloned().collect()
    }

    /// The peer of that name.
    #[must_use]
    pub fn named(&self, name: &ServerName) -> Option<Arc<Peer>> {
        self.rows().named.get(name).cloned()
    }

    /// The peer whose pinned root that is.
    #[must_use]
    pub fn rooted(&self, root: ServerId) -> Option<Arc<Peer>> {
        self.rows().rooted.get(&root).cloned()
    }

    fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a peer has become, after it was stored.
    pub fn put(&self, stored: StoredPeer, now: Timestamp) -> Arc<Peer> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = rows.named.get(&stored.name).map(Arc::clone) {
            let is_moved = peer.stored().root != stored.root;
            peer.store(stored);
            if is_moved {
                rows.index();
            }
            return peer;
        }
        let name = stored.name.clone();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let peer = Arc::new(Peer::new(number, stored, self.policy.switch(), now));
        rows.named.insert(name, Arc::clone(&peer));
        rows.index();
        drop(rows);
        self.added.notify_one();
        peer
    }

    /// Forgets a peer, after that was stored.
    pub fn remove(&self, name: &ServerName) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let removed = rows.named.remove(name);
        rows.index();
        drop(rows);
        if let Some(peer) = removed {
            peer.end.cancel();
        }
    }
}

/// Reads the peers, when a server starts.
pub async fn load(services: &Services) -> Result<(), StorageError> {
    policy::load(services).await?;
    let now = services.clock.now();
    let mut view = services.storage.read().await?;
    for stored in view.peers().await? {
        let backlog = view.backlog(&stored.name).await?;
        let peer = services.peers.put(stored, now);
        peer.note_queue(backlog.count, backlog.bytes);
    }
    Ok(())
}

impl Services {
    /// How much there is here of the communities of a hub.
    async fn copies_of(&self, hub: &Peer) -> Result<Copies, StorageError> {
        if let Some(counted) = self.peers.copies.get(&hub.name) {
            return Ok(counted);
        }
        let counted = self.storage.read().await?.copies_of(&hub.name).await?;
        self.peers.copies.insert(hub.name.clone(), counted);
        Ok(counted)
    }

    /// Whether `server` is this one.
    #[must_use]
    pub fn is_here(&self, server: Option<&ServerName>) -> bool {
        server.is_none_or(|server| *server == self.identity.name)
    }

    /// The peer `name`, if this server has to do with it.
    #[must_use]
    pub fn peer(&self, name: &ServerName) -> Option<Arc<Peer>> {
        let peer = self.peers.named(name)?;
        let stored = peer.stored();
        let is_known = stored.root.is_some() && stored.standing != PeerStanding::Blocked;
        (self.federation() != Federation::Off && is_known).then_some(peer)
    }
}
