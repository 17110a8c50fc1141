//! One peer: what is known of it, its connection, and what waits for it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rookery_protocol::{
    id::{ItemId, ServerId, UserId},
    io::client::Client,
    key::VerifyingKey,
    name::ServerName,
    request::{
        message::Returned,
        peering::{PeerLink, PeerStanding},
        server::SignedServerRecord,
    },
    time::Timestamp,
};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{people, place};
use crate::{config::Config, repository::peer::StoredPeer};

/// How the connection to a peer stands.
#[derive(Clone, Debug)]
pub enum Link {
    /// There is one.
    Up(Client),
    /// There is none; why, if an attempt was made.
    Down(Option<String>),
    /// There is none, and none is tried for.
    Off,
}

/// Who waits for what becomes of which thing: nothing when it has arrived.
type Waiters = HashMap<(UserId, ItemId), Vec<oneshot::Sender<Option<Returned>>>>;

/// One peer.
#[derive(Debug)]
pub struct Peer {
    /// A number that no other peer of this process has.
    pub number: u64,
    /// Its name.
    pub name: ServerName,
    stored: RwLock<StoredPeer>,
    link: Mutex<(Link, Timestamp)>,
    /// The online key that it last proved.
    online: RwLock<Option<VerifyingKey>>,
    /// The record, under its root, that names it.
    record: RwLock<Option<SignedServerRecord>>,
    /// A connection that it has made, not taken up yet.
    inbound: Mutex<Option<Client>>,
    /// The connection that was used before the one in use. Two servers that dial each other at once may end one of the two.
    spare: Mutex<Option<Client>>,
    /// It has made a connection.
    pub arrived: Notify,
    /// Something is to be handed over.
    pub wake: Notify,
    /// Its row has changed, or it is to be tried at once.
    pub changed: Notify,
    /// What is told and fetched of communities.
    pub places: place::Queue,
    /// What is told of people here.
    pub people: people::Queue,
    /// It was removed.
    pub end: CancellationToken,
    /// Held while copies of its users are written.
    pub(super) copying: tokio::sync::Mutex<()>,
    /// Held while it is told which copies of its communities were dropped.
    pub(super) parting: Arc<tokio::sync::Mutex<()>>,
    /// Who waits for what becomes of something: at most one row a request under way.
    waiters: Mutex<Waiters>,
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    /// There is nothing to do with any peer.
    is_off: Arc<AtomicBool>,
}

impl Peer {
    /// One of which nothing is known but what is stored.
    pub(super) fn new(
        number: u64,
        stored: StoredPeer,
        is_off: Arc<AtomicBool>,
        now: Timestamp,
    ) -> Self {
        Self {
            number,
            name: stored.name.clone(),
            stored: RwLock::new(stored),
            link: Mutex::new((Link::Down(None), now)),
            online: RwLock::default(),
            record: RwLock::default(),
            inbound: Mutex::default(),
            spare: Mutex::default(),
            arrived: Notify::new(),
            wake: Notify::new(),
            changed: Notify::new(),
            places: place::Queue::default(),
            people: people::Queue::default(),
            end: CancellationToken::new(),
            copying: tokio::sync::Mutex::default(),
            parting: Arc::default(),
            waiters: Mutex::default(),
            waiting: AtomicU64::new(0),
            waiting_bytes: AtomicU64::new(0),
            is_off,
        }
    }

    /// Keeps what was stored of it.
    pub(super) fn store(&self, stored: StoredPeer) {
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = stored;
        self.changed.notify_one();
    }

    /// What is stored of it.
    #[must_use]
    pub fn stored(&self) -> StoredPeer {
        self.stored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is to be talked to.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        if self.is_off.load(Ordering::Relaxed) {
            return false;
        }
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        stored.standing == PeerStanding::Active && stored.offered.is_none() && stored.root.is_some()
    }

    /// Whether it speaks for users whose chains begin at `root`.
    #[must_use]
    pub fn has_root(&self, root: ServerId) -> bool {
        self.stored.read().unwrap_or_else(PoisonError::into_inner).roots.contains(&root)
    }

    /// The connection, if there is one.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        match &self.link().0 {
            Link::Up(client) => Some(client.clone()),
            Link::Down(_) | Link::Off => None,
        }
    }

    /// How the connection stands, since when, and why there is none.
    #[must_use]
    pub fn state(&self) -> (PeerLink, Timestamp, Option<String>) {
        let link = self.link();
        match &link.0 {
            Link::Up(_) => (PeerLink::Up, link.1, None),
            Link::Down(reason) => (PeerLink::Down, link.1, reason.clone()),
            Link::Off => (PeerLink::Off, link.1, None),
        }
    }

    /// Notes how the connection stands. The time is that of the last change between being there and not.
    pub fn set_link(&self, link: Link, now: Timestamp) {
        let mut known = self.link();
        let is_same = matches!(
            (&known.0, &link),
            (Link::Up(_), Link::Up(_)) | (Link::Down(_), Link::Down(_)) | (Link::Off, Link::Off)
        );
        let up = if matches!(link, Link::Up(_)) { 1.0 } else { 0.0 };
        metrics::gauge!("rookery_peer_up", "peer" => self.name.to_string()).set(up);
        if !is_same {
            match &link {
                Link::Up(_) => tracing::info!(peer = %self.name, "the peer is reached"),
                Link::Down(reason) => {
                    tracing::info!(peer = %self.name, reason = reason.as_deref(), "the peer is not reached");
                }
                Link::Off => tracing::info!(peer = %self.name, "the peer is not tried for"),
            }
        }
        let since = if is_same { known.1 } else { now };
        *known = (link, since);
    }

    /// Hands in a connection that the peer has made; the newest is the one that works.
    pub fn arrive(&self, client: Client, online: VerifyingKey) {
        self.prove(online);
        *self.inbound.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        self.arrived.notify_one();
    }

    /// Takes up the connection that the peer has made, if it has made one.
    pub fn take_inbound(&self) -> Option<Client> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether it has made a connection that was not taken up.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        let inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        inbound.as_ref().is_some_and(|client| client.connection().lost().is_none())
    }

    /// Keeps a connection in reserve that another one has replaced.
    pub fn keep_spare(&self, client: Client) {
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
    }

    /// Takes a connection that is there beside the one in use, if there is one: one that the peer has made, or the one from before.
    pub fn take_other(&self) -> Option<Client> {
        let is_there = |client: &Client| client.connection().lost().is_none();
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.take_inbound().filter(is_there).or_else(|| spare().filter(is_there))
    }

    /// Ends the connection `client` if it is still the one in reserve, and was made from here.
    pub fn retire(&self, client: &Client) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let number = client.connection().stable_id();
        if client.is_dialled()
            && spare.as_ref().is_some_and(|spare| spare.connection().stable_id() == number)
        {
            *spare = None;
            client.close();
        }
    }

    /// Notes the online key that the peer has proven.
    pub fn prove(&self, online: VerifyingKey) {
        *self.online.write().unwrap_or_else(PoisonError::into_inner) = Some(online);
    }

    pub(super) fn online(&self) -> Option<VerifyingKey> {
        *self.online.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self) -> Option<SignedServerRecord> {
        self.record.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the record that the peer has shown.
    pub(super) fn note_record(&self, record: SignedServerRecord) {
        *self.record.write().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    /// Waits for what becomes of something that is handed over: nothing when it has arrived.
    pub(in crate::service) fn watch(
        &self,
        sender: UserId,
        item: ItemId,
    ) -> oneshot::Receiver<Option<Returned>> {
        let (tell, told) = oneshot::channel();
        self.waiters().entry((sender, item)).or_default().push(tell);
        told
    }

    pub(super) fn tell(&self, sender: UserId, item: ItemId, outcome: Option<&Returned>) {
        for waiter in self.waiters().remove(&(sender, item)).into_iter().flatten() {
            // Whoever waited may have given up.
            waiter.send(outcome.cloned()).ok();
        }
    }

    /// Forgets who has given up waiting.
    pub(super) fn forget_waiters(&self) {
        self.waiters().retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }

    pub(super) fn note_queue(&self, count: u64, bytes: u64) {
        self.waiting.store(count, Ordering::Relaxed);
        self.waiting_bytes.store(bytes, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a number of about so much")]
        metrics::gauge!("rookery_peer_waiting", "peer" => self.name.to_string()).set(count as f64);
    }

    /// Whether its queue takes one more of so many bytes.
    pub fn has_room(&self, config: &Config, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.waiting.load(Ordering::Relaxed) < config.peer_items
            && self.waiting_bytes.load(Ordering::Relaxed).saturating_add(bytes) <= config.peer_bytes
    }

    pub(in crate::service) fn note_queued(&self, bytes: usize) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Something has left the queue. What was counted wrongly meanwhile is put right each minute.
    pub(super) fn note_gone(&self, bytes: usize) {
        let less = |by: u64| move |count: u64| Some(count.saturating_sub(by));
        let (relaxed, bytes) = (Ordering::Relaxed, u64::try_from(bytes).unwrap_or(u64::MAX));
        self.waiting.fetch_update(relaxed, relaxed, less(1)).ok();
        self.waiting_bytes.fetch_update(relaxed, relaxed, less(bytes)).ok();
    }

    fn link(&self) -> MutexGuard<'_, (Link, Timestamp)> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
