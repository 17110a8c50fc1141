//! Live feeds: what has just been stored, on its way to the devices that follow.
//!
//! A feed is one follow stream's queue in memory. Pushing never waits: a feed that would grow past [`FEED_BYTES`] is emptied instead and
//! marked *behind*, and its stream reads what it missed from the database by its cursor. So a slow reader costs nobody else, and memory is
//! bounded by the number of connections.

mod rounds;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;
use rookery_protocol::{
    codec,
    id::{ChainId, DeviceId, UserId},
    session::FollowDown,
};
use tokio::sync::Notify;

pub use self::rounds::Waker;
use self::rounds::{Asleep, rounds};

/// What one follow stream may have waiting: 512 KiB, a thousand messages.
pub const FEED_BYTES: usize = 512 * 1024;
/// What an item costs beside its bytes.
const ITEM_BYTES: usize = 64;

/// Something to be sent down a follow stream, encoded as a [`FollowDown`].
#[derive(Clone, Debug)]
pub enum Live {
    /// An envelope.
    Envelope {
        /// Its place in the mailbox.
        position: u64,
        /// The frame.
        frame: Bytes,
    },
    /// An entry of a followed chain.
    Entry {
        /// Which.
        chain: ChainId,
        /// Its place.
        seq: u64,
        /// The frame.
        frame: Bytes,
    },
    /// A chain that is now followed from after a place: to be read from the database first.
    Begin {
        /// Which.
        chain: ChainId,
        /// What the follower has of it.
        have: Option<u64>,
    },
    /// A chain that is followed no more.
    End {
        /// Which.
        chain: ChainId,
    },
    /// A notice.
    Notice(Bytes),
}

impl Live {
    /// A notice of `down`.
    #[must_use]
    pub fn notice(down: &FollowDown) -> Self {
        Self::Notice(codec::encode(down).into())
    }

    fn cost(&self) -> usize {
        let bytes = match self {
            Self::Envelope { frame, .. } | Self::Entry { frame, .. } | Self::Notice(frame) => {
                frame.len()
            }
            Self::Begin { .. } | Self::End { .. } => 0,
        };
        bytes.saturating_add(ITEM_BYTES)
    }

    /// Whether it can be had from nowhere else.
    fn is_control(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::End { .. })
    }
}

/// What a follow stream takes out of its feed at one time.
#[derive(Debug, Default)]
pub struct Taken {
    /// In the order in which it was stored.
    pub items: VecDeque<Live>,
    /// Something is missing: read on from the cursors.
    pub behind: bool,
    /// Another follow stream of the device has taken over.
    pub replaced: bool,
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && !self.behind && !self.replaced
    }
}

/// One follow stream's queue.
#[derive(Debug)]
pub struct Feed {
    /// Whose.
    pub user: UserId,
    /// Of which device.
    pub device: DeviceId,
    queue: Mutex<Queue>,
    chains: Mutex<HashSet<ChainId>>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    taken: Taken,
    bytes: usize,
}

impl Feed {
    /// Puts `live` in and wakes the stream.
    pub fn push(&self, live: Live) {
        if self.put(live) {
            self.wake();
        }
    }

    /// Puts `live` in, or marks the feed behind. Whether the stream has to be woken for it: whoever put in what was there before sees to it
    /// already, so that a stream is woken once for all that one commit has for it.
    #[must_use]
    pub fn put(&self, live: Live) -> bool {
        let mut queue = self.queue();
        let was_empty = queue.taken.is_empty();
        let bytes = queue.bytes.saturating_add(live.cost());
        if bytes > FEED_BYTES {
            metrics::counter!("rookery_slow_consumers_total").increment(1);
            queue.taken.items.retain(Live::is_control);
            queue.taken.behind = true;
            queue.bytes = queue.taken.items.iter().map(Live::cost).sum();
        }
        if !queue.taken.behind || live.is_control() {
            queue.bytes = queue.bytes.saturating_add(live.cost());
            queue.taken.items.push_back(live);
        }
        was_empty
    }

    /// Has the stream take what was put in.
    pub fn wake(&self) {
        self.filled.notify_one();
    }

    /// Has the stream read from the database what it missed.
    pub fn fall_behind(&self) {
        self.queue().taken.behind = true;
        self.filled.notify_one();
    }

    /// Whether the stream follows `chain`.
    #[must_use]
    pub fn follows(&self, chain: ChainId) -> bool {
        self.chains().contains(&chain)
    }

    /// Waits for something, and takes all there is. Cancel-safe.
    pub async fn next(&self) -> Taken {
        loop {
            if let Some(taken) = self.take() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// Takes all there is, if there is something.
    pub fn take(&self) -> Option<Taken> {
        let mut queue = self.queue();
        if queue.taken.is_empty() {
            return None;
        }
        queue.bytes = 0;
        Some(std::mem::take(&mut queue.taken))
    }

    fn replace(&self) {
        self.queue().taken.replaced = true;
        self.filled.notify_one();
    }

    fn chains(&self) -> MutexGuard<'_, HashSet<ChainId>> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All feeds there are.
#[derive(Debug)]
pub struct Feeds {
    devices: RwLock<HashMap<DeviceId, Arc<Feed>>>,
    users: RwLock<HashMap<UserId, Vec<Arc<Feed>>>>,
    chains: RwLock<HashMap<ChainId, Vec<Arc<Feed>>>>,
    asleep: Asleep,
}

impl Feeds {
    /// No feeds, and what wakes those who read channels.
    #[must_use]
    pub fn new() -> (Self, Waker) {
        let (asleep, waker) = rounds();
        let feeds = Self {
            devices: RwLock::default(),
            users: RwLock::default(),
            chains: RwLock::default(),
            asleep,
        };
        (feeds, waker)
    }

    /// Opens the device's feed. A feed that it had before ends: its connection is most likely dead.
    pub fn open(&self, user: UserId, device: DeviceId) -> Arc<Feed> {
        let feed = Arc::new(Feed {
            user,
            device,
            queue: Mutex::default(),
            chains: Mutex::default(),
            filled: Notify::new(),
        });
        let former = self
            .devices
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(device, Arc::clone(&feed));
        if let Some(former) = former {
            former.replace();
            self.forget(&former);
        }
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        users.entry(user).or_default().push(Arc::clone(&feed));
        feed
    }

    /// The stream is gone; whether it was the user's last.
    pub fn close(&self, feed: &Arc<Feed>) -> bool {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        if devices.get(&feed.device).is_some_and(|current| Arc::ptr_eq(current, feed)) {
            devices.remove(&feed.device);
        }
        drop(devices);
        self.forget(feed);
        !self.is_followed(feed.user)
    }

    fn forget(&self, feed: &Arc<Feed>) {
        let is_it = |other: &Arc<Feed>| Arc::ptr_eq(other, feed);
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(feeds) = users.get_mut(&feed.user) {
            feeds.retain(|other| !is_it(other));
            if feeds.is_empty() {
                users.remove(&feed.user);
            }
        }
        drop(users);
        let chains = std::mem::take(&mut *feed.chains());
        for chain in chains {
            self.unfollow(feed, chain);
        }
    }

    /// Has `feed` follow `chain` from now on.
    pub fn follow(&self, feed: &Arc<Feed>, chain: ChainId) {
        let mut chains = self.chains.write().unwrap_or_else(PoisonError::into_inner);
        let feeds = chains.entry(chain).or_default();
        if feed.chains().insert(chain) {
            feeds.push(Arc::clone(feed));
        }
    }

    /// How many chains `feed` follows.
    #[must_use]
    pub fn followed_by(&self, feed: &Arc<Feed>) -> usize {
        feed.chains().len()
    }

    /// Has `feed` follow `chain` no more.
    pub fn unfollow(&self, feed: &Arc<Feed>, chain: ChainId) {
        feed.chains().remove(&chain);
        let mut chains = self.chains.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(feeds) = chains.get_mut(&chain) {
            feeds.retain(|other| !Arc::ptr_eq(other, feed));
            if feeds.is_empty() {
                chains.remove(&chain);
            }
        }
    }

    /// The device's feed, if it follows.
    #[must_use]
    pub fn of_device(&self, device: DeviceId) -> Option<Arc<Feed>> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner).get(&device).cloned()
    }

    /// Whether any device of the user follows.
    #[must_use]
    pub fn is_followed(&self, user: UserId) -> bool {
        self.users.read().unwrap_or_else(PoisonError::into_inner).contains_key(&user)
    }

    /// Pushes `live` to all devices of the user.
    pub fn push_user(&self, user: UserId, live: &Live) {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.get(&user).into_iter().flatten().for_each(|feed| feed.push(live.clone()));
    }

    /// Pushes `live` to those devices of the user that do not follow `chain`.
    pub fn push_user_unless_following(&self, user: UserId, chain: ChainId, live: &Live) {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        let following = chains.get(&chain).map(Vec::as_slice).unwrap_or_default();
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        let feeds = users.get(&user).into_iter().flatten();
        let others = feeds.filter(|feed| !following.iter().any(|other| Arc::ptr_eq(other, feed)));
        others.for_each(|feed| feed.push(live.clone()));
    }

    /// Pushes `live` to all that follow the chain.
    pub fn push_chain(&self, chain: ChainId, live: &Live) {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        chains.get(&chain).into_iter().flatten().for_each(|feed| feed.push(live.clone()));
    }

    /// Puts the entries of one commit in for all that follow the chain, who are woken in the next round, and says how many they are.
    pub fn put_in_chain(&self, chain: ChainId, lives: &[Live]) -> usize {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        let feeds = chains.get(&chain).map(Vec::as_slice).unwrap_or_default();
        let mut readers = Vec::with_capacity(feeds.len());
        for feed in feeds {
            // All of them are put in: no short circuit.
            let sleeps = lives.iter().filter(|live| feed.put((*live).clone())).count() > 0;
            if sleeps {
                readers.push(Arc::clone(feed));
            }
        }
        self.asleep.add(readers, feeds.len().saturating_mul(lives.len()));
        feeds.len()
    }

    /// Pushes `live` to all that follow the chain but those of `user`.
    pub fn push_chain_beside(&self, chain: ChainId, user: UserId, live: &Live) {
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        let feeds = chains.get(&chain).into_iter().flatten().filter(|feed| feed.user != user);
        feeds.for_each(|feed| feed.push(live.clone()));
    }

    /// Whether anybody follows the chain.
    #[must_use]
    pub fn is_chain_followed(&self, chain: ChainId) -> bool {
        self.chains.read().unwrap_or_else(PoisonError::into_inner).contains_key(&chain)
    }

    /// Has those whom `keeps` does not name follow the chain no more, and tells them.
    pub fn sweep(&self, chain: ChainId, keeps: impl Fn(UserId) -> bool) {
        let gone: Vec<Arc<Feed>> = {
            let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
            let feeds = chains.get(&chain).into_iter().flatten();
            feeds.filter(|feed| !keeps(feed.user)).cloned().collect()
        };
        for feed in gone {
            self.end(&feed, chain);
        }
    }

    /// Has `feed` follow `chain` no more, and tells it.
    pub fn end(&self, feed: &Arc<Feed>, chain: ChainId) {
        self.unfollow(feed, chain);
        feed.push(Live::End { chain });
        feed.push(Live::notice(&FollowDown::Unfollowed { chain }));
    }
}
