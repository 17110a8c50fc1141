//! Communities whose members live on several homeservers.
//!
//! The *hub* of a community orders it; the home of a member is a follower. It keeps a copy of the log and of those channels that somebody of
//! its users may read, one for all of them, in the tables in which its own communities stand: so its users' devices read, page and follow as
//! ever, also while the hub is away. What they hand in goes through their home to the hub and the hub's answer back to the device, which keeps
//! what could not be handed in (`place_say.rs`; `place_take.rs` is the hub's side). Nothing is queued in between: an epoch that ends while a post waits would have it
//! sealed anew by the device in any case.
//!
//! - **Who may what.** A peer reads a chain while one of its users may (by the hub's fold of the log, asked at each page), and of a log that
//!   its last user was parted from, the statements up to that one and nothing after (`place_answer.rs`). It speaks for users
//!   whose chains begin at one of its roots. A user who does not belong yet is a *guest*, by an invitation's right, for the log and what goes
//!   with it.
//! - **What is trusted.** Nothing: entries are taken in when they follow what is there, their authors' signatures hold, the rules allow the
//!   statement, and the hub's signed head contains them (`place_copy.rs`). Users' chains that the log speaks of come from the
//!   hub, wherever the users live; they prove themselves from their genesis on.
//! - **When.** Heads are compared at each connection and every minute. In between the hub tells of chains that have gone on, newest head for
//!   each, and the home fetches. What is told and lost is found by comparing.
//! - **What is stored.** A community whose log has somebody here have to do with it (`place_want.rs`), or that somebody here looks at to join.
//! - **What is dropped.** A copy with which nobody here has had to do for a while (`place_drop.rs`). The hub is told, and shows nothing of it
//!   any more; whoever comes to the community again gets a new copy.
//! - **Hubs that lie.** Homes show each other what hubs have said, when they connect and every ten minutes (`place_heads.rs`). Two histories
//!   that a hub has signed are a proof, after which nothing is handed to it or taken from it for that community.
//! - **Handing over.** A community is moved to another server when that has a copy of all of it and its owner states so (`place_move.rs` at
//!   the hub, `place_adopt.rs` at the next one). The former hub goes on to show what it ordered, as far as its own word goes; homes follow by
//!   the statement, which either of the two shows them. While the hub that a home knows answers, no other is believed to have become it.
//! - **Bounds.** One task a connection, sequential; 256 entries or 1 MiB a page; one row a chain in what is to be told or fetched; at most
//!   20,000 communities of one hub and 4 GiB of them; so many requests under way for devices at one hub, beyond which they are throttled. All charged to
//!   the peer's rate.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rookery_protocol::{
    chain::HeadRef,
    id::{ChannelId, CommunityId},
    io::client::{CallError, Client},
    request::{
        Refusal,
        peer_place::{PeerTellPlaces, PlaceHead, Sign},
    },
};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::{Peer, Services, place_copy, place_heads};

/// Communities of one hub that there are copies of.
pub(super) const MAX_COPIES: u64 = 20_000;
/// What the communities of one hub take here, at most, in bytes.
pub(super) const MAX_COPIED_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Requests of devices that are under way at one hub.
const UNDER_WAY: usize = 64;
/// Chains that are told of at once.
pub(super) const TOLD_AT_ONCE: usize = 1_024;
/// Signs of life that are told of at once, and that wait at most.
pub(super) const SIGNS_AT_ONCE: usize = 256;
/// Chains that wait to be fetched one by one; with more, all heads are compared.
const MAX_TO_FETCH: usize = 4_096;
/// How often heads are compared: what was told and lost is found then.
const COMPARE: Duration = Duration::from_mins(1);
/// How often it is compared with the peer what hubs have said.
const EXCHANGE: Duration = Duration::from_mins(10);
/// The wait after the peer could not be told, or a comparison failed.
const RETRY: Duration = Duration::from_secs(2);

/// A log, or a channel.
pub(super) type Spot = (CommunityId, Option<ChannelId>);

/// What is to be told to a peer, and fetched from it.
#[derive(Debug)]
pub struct Queue {
    to_tell: Mutex<ToTell>,
    some_to_tell: Notify,
    to_fetch: Mutex<ToFetch>,
    some_to_fetch: Notify,
    under_way: Semaphore,
}

#[derive(Debug, Default)]
struct ToTell {
    moved: BTreeMap<Spot, HeadRef>,
    signs: VecDeque<Sign>,
}

#[derive(Debug, Default)]
struct ToFetch {
    moved: BTreeMap<Spot, HeadRef>,
    /// More than are kept: all heads are compared.
    all: bool,
    /// What hubs have said is compared.
    heads: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            to_tell: Mutex::default(),
            some_to_tell: Notify::new(),
            to_fetch: Mutex::default(),
            some_to_fetch: Notify::new(),
            under_way: Semaphore::new(UNDER_WAY),
        }
    }
}

impl Queue {
    /// Tells the peer that a log or a channel has gone on.
    pub fn note_moved(&self, place: &PlaceHead) {
        lock(&self.to_tell).moved.insert((place.community, place.channel), place.head);
        self.some_to_tell.notify_one();
    }

    /// Tells the peer of a sign of life.
    pub fn note_sign(&self, sign: Sign) {
        let mut waiting = lock(&self.to_tell);
        if waiting.signs.len() >= SIGNS_AT_ONCE {
            waiting.signs.pop_front();
        }
        waiting.signs.push_back(sign);
        drop(waiting);
        self.some_to_tell.notify_one();
    }

    /// Fetches what the peer says has gone on.
    pub(super) fn fetch(&self, moved: impl IntoIterator<Item = PlaceHead>) {
        let mut waiting = lock(&self.to_fetch);
        for place in moved {
            if waiting.moved.len() >= MAX_TO_FETCH {
                waiting.moved.clear();
                waiting.all = true;
            }
            if !waiting.all {
                waiting.moved.insert((place.community, place.channel), place.head);
            }
        }
        drop(waiting);
        self.some_to_fetch.notify_one();
    }

    /// Compares all heads as soon as may be.
    pub(super) fn compare_soon(&self) {
        lock(&self.to_fetch).all = true;
        self.some_to_fetch.notify_one();
    }

    /// Compares with the peer what hubs have said, as soon as may be.
    pub fn heads_soon(&self) {
        lock(&self.to_fetch).heads = true;
        self.some_to_fetch.notify_one();
    }

    /// Room for one more request of a device; none while too many are under way.
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.under_way.try_acquire().ok()
    }

    fn take_to_tell(&self) -> PeerTellPlaces {
        let mut waiting = lock(&self.to_tell);
        let mut moved = vec![];
        while moved.len() < TOLD_AT_ONCE
            && let Some(((community, channel), head)) = waiting.moved.pop_first()
        {
            moved.push(PlaceHead { community, channel, head });
        }
        PeerTellPlaces { moved, signs: waiting.signs.drain(..).collect() }
    }

    /// The newest heads stay to be told.
    fn tell_again(&self, moved: Vec<PlaceHead>) {
        let mut waiting = lock(&self.to_tell);
        for place in moved {
            waiting.moved.entry((place.community, place.channel)).or_insert(place.head);
        }
    }

    fn take_to_fetch(&self) -> ToFetch {
        std::mem::take(&mut *lock(&self.to_fetch))
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the peer what its users follow here, and keeps copies of what users here follow there, for as long as the connection is used.
/// Dropping it leaves nothing half done.
pub async fn run(services: &Arc<Services>, peer: &Arc<Peer>, client: &Client) -> Infallible {
    let (never, _) = tokio::join!(tell(peer, client), follow(services, peer, client));
    never
}

async fn tell(peer: &Peer, client: &Client) -> Infallible {
    loop {
        let told = peer.places.take_to_tell();
        if told.moved.is_empty() && told.signs.is_empty() {
            peer.places.some_to_tell.notified().await;
            continue;
        }
        match client.call_watched(&told).await {
            Ok(()) => {
                let count = u64::try_from(told.moved.len()).unwrap_or(u64::MAX);
                metrics::counter!("rookery_peer_places_told_total", "peer" => peer.name.to_string())
                    .increment(count);
            }
            Err(error) => {
                tracing::debug!(peer = %peer.name, %error, "the peer was not told what has gone on");
                peer.places.tell_again(told.moved);
                let wait = match error {
                    CallError::Refused(Refusal::Throttled { retry_after_ms }) => {
                        Duration::from_millis(retry_after_ms.clamp(100, 60_000))
                    }
                    _ => RETRY,
                };
                tokio::time::sleep(wait).await;
            }
        }
    }
}

async fn follow(services: &Arc<Services>, peer: &Arc<Peer>, client: &Client) -> Infallible {
    let mut compare_at = tokio::time::Instant::now();
    let mut exchange_at = compare_at;
    loop {
        let now = tokio::time::Instant::now();
        let mut wanted =
            ToFetch { all: compare_at <= now, heads: exchange_at <= now, ..ToFetch::default() };
        if !wanted.all && !wanted.heads {
            tokio::select! {
                () = peer.places.some_to_fetch.notified() => {}
                () = tokio::time::sleep_until(compare_at.min(exchange_at)) => continue,
            }
        }
        let told = peer.places.take_to_fetch();
        wanted.all |= told.all;
        wanted.heads |= told.heads;
        wanted.moved = told.moved;
        let (is_comparison, is_exchange) = (wanted.all, wanted.heads);
        // Apart from this future, which ends with the connection: what has been stored is to be told to who follows.
        let (services_, peer_, client_) = (Arc::clone(services), Arc::clone(peer), client.clone());
        let fetched = services.tasks.spawn(async move {
            let ToFetch { moved, all, heads } = wanted;
            place_copy::fetch_moved(&services_, &peer_, &client_, moved).await;
            if all {
                place_copy::compare(&services_, &peer_, &client_).await?;
            }
            if heads { place_heads::exchange(&services_, &peer_, &client_).await } else { Ok(()) }
        });
        let done = match fetched.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.name, %error, "copies were not compared");
                false
            }
            Err(_) => false,
        };
        let later = |wait| tokio::time::Instant::now().checked_add(wait);
        if is_comparison {
            compare_at = later(if done { COMPARE } else { RETRY }).unwrap_or(compare_at);
        }
        if is_exchange {
            exchange_at = later(if done { EXCHANGE } else { RETRY }).unwrap_or(exchange_at);
        }
    }
}
