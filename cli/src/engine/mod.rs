//! The engine: joins the connection, [`crate::e2ee`] and the [`Store`] of one profile.
//!
//! What is decided is written down before it is done, so that a kill at any moment loses nothing: a message is in the store before it is in
//! the outbox's hands, a ratchet's next state before the envelope leaves, a received message before its acknowledgement. Some tasks work
//! on that: the *link* keeps a connection and takes in what comes, the *outbox* sends letters and the *postings* messages of channels, the
//! *keeper* does what a member owes a community, the *indexer* makes messages findable, and the *chores* do what can wait (receipts, the
//! journal, prekeys, contacts). They share nothing but the store and a few signals; the store's one writer is what orders them.

mod account;
mod chains;
mod chores;
mod community;
mod contacts;
mod devices;
mod enter;
mod expiry;
mod file;
mod home;
mod index;
mod journal;
mod keys;
mod link;
mod linking;
mod live;
mod outbox;
mod outstanding;
mod people;
mod prekeys;
mod profile;
mod queue;
mod receipts;
mod receive;
mod refusal;
mod rooms;
mod roots;
mod seal;
mod search;
mod send;
mod settings;
mod timeline;
mod unread;
mod watching;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rookery_protocol::{
    id::{ChainId, DeviceId, ItemId, UserId},
    io::{client::Client, draw},
    time::{Clock, SystemClock, Timestamp},
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use account::whoami_line;
pub(crate) use community::{
    ChannelOrder, FoundOrder, Grant, InviteOrder, Joined, Left, LogOrder, MemberChange, NewChannel,
    ReadOrder, Reported, RoleOrder, Room, SayOrder, Spot, Whom, is_room,
};
pub(crate) use enter::new_recovery_key;
pub use enter::{Entered, LoginOrder, RegisterOrder, login, recover, register};
pub use file::{FileOrder, Reporter};
pub(crate) use file::{SaveOrder, Stream, Target};
pub use index::{Policy, index_next};
pub(crate) use keys::locked;
pub use link::Link;
pub use linking::link_new_device;
pub use search::{Found, Mark, find};
pub use send::{MAX_MESSAGE, SendOrder, Staying};
pub use timeline::{TailOrder, TailReader};

use crate::{
    config::Place,
    e2ee::{identity::DeviceSecrets, journal_state::JournalState},
    engine::chores::{Due, Resets},
    error::{CommandError, Kind},
    store::{Account, AccountStage, Outgoing, Posting, Store, StoreError, Transfer},
};

/// How long a verb waits for the first connection before it says that there is none.
const CONNECT_PATIENCE: Duration = Duration::from_secs(11);

/// One profile at work.
pub struct Engine {
    store: Store,
    place: Place,
    clock: Arc<dyn Clock>,
    secrets: DeviceSecrets,
    user: UserId,
    device: DeviceId,
    account: Mutex<Account>,
    journal: Mutex<JournalState>,
    linking: Mutex<Option<linking::Asked>>,
    link: watch::Sender<Link>,
    /// Rises whenever a message was added or has changed.
    timeline: watch::Sender<u64>,
    due: Mutex<Due>,
    outbox_wake: Notify,
    chores_wake: Notify,
    books: community::Books,
    live: live::Live,
    metadata_keys: community::MetadataKeys,
    community_chores: Mutex<community::Owed>,
    /// Chains of communities that the present connection follows.
    followed_chains: Mutex<BTreeSet<ChainId>>,
    /// Held while something of a channel is taken in.
    channel_turn: tokio::sync::Mutex<()>,
    postings_wake: Notify,
    leaves_wake: Notify,
    /// Held while a leave is tried, or taken back.
    leaving_turn: tokio::sync::Mutex<()>,
    hubs_away: community::HubsAway,
    keeper_wake: Notify,
    transfers_wake: Notify,
    progress: file::Progress,
    fetching: file::Turns,
    tasks: TaskTracker,
    drain: CancellationToken,
    /// Cancelled when the store is to be closed until somebody types its passphrase again.
    locking: CancellationToken,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("user", &self.user)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// The engine of the profile whose store is open. It does nothing before [`Engine::start`].
    pub async fn open(place: Place, store: Store) -> Result<Arc<Self>, CommandError> {
        Self::open_at(place, store, Arc::new(SystemClock)).await
    }

    /// The same by another clock.
    pub async fn open_at(
        place: Place,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, CommandError> {
        let mut unit = store.read().await?;
        let nobody = || {
            CommandError::new(Kind::Locked, "nobody is logged in here").hint("`rookery register LINK NAME` opens an account, `rookery login` adds this device to one")
        };
        let account = unit.account().await?.ok_or_else(nobody)?;
        let secrets = unit.device().await?.ok_or_else(nobody)?;
        let journal = journal::fold(&mut unit).await?;
        let files = unit.transfers(u32::MAX).await?;
        drop(unit);
        file::tidy(&place, &files, clock.now());
        Ok(Arc::new(Self {
            user: account.user,
            device: account.device,
            store,
            place,
            clock,
            secrets,
            account: Mutex::new(account),
            journal: Mutex::new(journal),
            linking: Mutex::new(None),
            link: watch::Sender::new(Link::Connecting),
            timeline: watch::Sender::new(0),
            due: Mutex::new(Due::at_start()),
            outbox_wake: Notify::new(),
            chores_wake: Notify::new(),
            books: community::Books::default(),
            live: live::Live::default(),
            metadata_keys: community::MetadataKeys::default(),
            community_chores: Mutex::default(),
            followed_chains: Mutex::default(),
            channel_turn: tokio::sync::Mutex::default(),
            postings_wake: Notify::new(),
            leaves_wake: Notify::new(),
            leaving_turn: tokio::sync::Mutex::default(),
            hubs_away: community::HubsAway::default(),
            keeper_wake: Notify::new(),
            transfers_wake: Notify::new(),
            progress: file::Progress::default(),
            fetching: file::Turns::default(),
            tasks: TaskTracker::new(),
            drain: CancellationToken::new(),
            locking: CancellationToken::new(),
        }))
    }

    /// Starts the link, the outbox and the chores.
    pub fn start(self: &Arc<Self>) {
        self.tasks.spawn(Arc::clone(self).run_link());
        self.tasks.spawn(Arc::clone(self).run_queue::<Outgoing>());
        self.tasks.spawn(Arc::clone(self).run_chores());
        self.tasks.spawn(Arc::clone(self).run_queue::<Posting>());
        self.tasks.spawn(Arc::clone(self).run_queue::<community::Departure>());
        self.tasks.spawn(Arc::clone(self).run_keeper());
        self.tasks.spawn(Arc::clone(self).run_indexer());
        self.tasks.spawn(Arc::clone(self).run_expiry());
        self.tasks.spawn(Arc::clone(self).run_queue::<Transfer>());
    }

    /// Lets what is owed go out, for `patience` at most, then stops in order. Whatever is left stays in the store.
    pub async fn stop(&self, patience: Duration) {
        tokio::time::timeout(patience, self.settle()).await.ok();
        self.drain.cancel();
        // The tasks that read and write frames end with the connection and with the last hold on it.
        let ending = CommandError::new(Kind::NoConnection, "this program is ending");
        if let Link::Online(online) = self.link.send_replace(Link::Offline(ending)) {
            online.client.close();
        }
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await.ok();
        self.store.close().await;
    }

    /// Makes a newly certified device useful: its keys published, its history read, its mailbox taken in.
    pub async fn settle_in(&self, patience: Duration) -> Result<(), CommandError> {
        let client = self.online().await?;
        self.publish_prekeys(&client, None).await?;
        if self.wait_caught_up(patience).await {
            return Ok(());
        }
        Err(CommandError::new(
            Kind::Timeout,
            "this device is certified, and has not read all of the history yet",
        )
        .hint("it goes on the next time that it is online"))
    }

    /// The profile's place.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How the connection stands, and each change of it.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// The account, as it is now.
    #[must_use]
    pub fn account(&self) -> Account {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What time it is, by the profile's clock.
    pub(crate) fn time(&self) -> Timestamp {
        self.now()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, JournalState> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a chore, and wakes who does it.
    fn owe(&self, note: impl FnOnce(&mut Due)) {
        note(&mut self.due());
        self.chores_wake.notify_one();
    }

    fn timeline_changed(&self) {
        self.timeline.send_modify(|revision| *revision = revision.wrapping_add(1));
    }

    /// Changes the account, in the store first.
    async fn change_account(&self, change: impl FnOnce(&mut Account)) -> Result<(), StoreError> {
        let mut account = self.account();
        change(&mut account);
        let mut unit = self.store.write().await?;
        unit.put_value(crate::store::Name::Account, &account).await?;
        unit.commit().await?;
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = account;
        Ok(())
    }

    /// The connection, once it is there: waits for the first attempt, and says why when it fails.
    async fn online(&self) -> Result<Client, CommandError> {
        self.wait_online(CONNECT_PATIENCE).await
    }

    async fn wait_online(&self, patience: Duration) -> Result<Client, CommandError> {
        let mut link = self.link.subscribe();
        let settled = async {
            loop {
                match &*link.borrow_and_update() {
                    Link::Online(online) => return Ok(online.client.clone()),
                    Link::Offline(trouble) | Link::Ended(trouble) => return Err(trouble.clone()),
                    Link::Connecting => {}
                }
                if link.changed().await.is_err() {
                    return Err(CommandError::new(Kind::NoConnection, "this program is ending"));
                }
            }
        };
        let late = || CommandError::new(Kind::NoConnection, "the server does not answer");
        tokio::time::timeout(patience, settled).await.unwrap_or_else(|_| Err(late()))
    }

    /// Waits until nothing is owed that can go out now, or there is no connection.
    async fn settle(&self) {
        loop {
            if !matches!(&*self.link.borrow(), Link::Online(_)) {
                return;
            }
            match self.is_settled().await {
                Ok(false) => {}
                _ => return,
            }
            // Each of these signals comes after a step that may have been the last.
            self.chores_wake.notify_one();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_settled(&self) -> Result<bool, StoreError> {
        let now = self.now();
        let may_owe_resets = self.due().resets == Resets::MayBeOwed;
        let mut unit = self.store.read().await?;
        let waits = unit
            .outbox_fronts(16)
            .await?
            .iter()
            .any(|outgoing| outgoing.not_before <= now && outgoing.trouble.is_none());
        let posts = unit
            .posting_fronts(16)
            .await?
            .iter()
            .any(|posting| posting.not_before <= now && posting.trouble.is_none());
        if waits || posts || (may_owe_resets && !unit.resets_owed().await?.is_empty()) {
            return Ok(false);
        }
        Ok(unit.receipts_owed(1).await?.is_empty() && unit.journal_owed(1).await?.is_empty())
    }

    fn is_certified(&self) -> bool {
        self.account().stage == AccountStage::Certified
    }
}

/// A new id for a message or an entry: `UUIDv7`, as the protocol asks.
fn new_item() -> ItemId {
    ItemId::from_bytes(uuid::Uuid::now_v7().into_bytes())
}

/// Sixteen bytes of a hash as an id: the same on every device.
fn derived_item(tag: &str, parts: &[&[u8]]) -> ItemId {
    let hash = rookery_protocol::hash::labelled(tag, parts);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(hash.as_bytes().split_at(16).0);
    ItemId::from_bytes(bytes)
}

/// The id under which `item` is sent again for a session that was lost.
fn again(item: ItemId) -> ItemId {
    derived_item("message/again", &[item.as_bytes()])
}
