//! LAYER 2: decisions. It knows storage by its traits, and neither sockets nor SQL.
//!
//! [`Services`] holds what all of them share; each module is a family of decisions over it. What can be answered only after it is on disk
//! is answered after `commit` has returned. Two kinds of writes have to agree on who may get what, messages and changes of a user's
//! devices or relations: they take their turns under [`Services::order`], so that nothing is stored for a device after its revocation.

pub mod account;
pub mod admin;
pub mod chain;
pub mod community;
pub mod contact;
pub mod directory;
pub mod feed;
pub mod fence;
pub mod file;
pub mod follow;
pub mod invite;
pub mod journal;
pub mod limit;
pub mod link;
pub mod message;
mod parts;
pub mod password;
pub mod peer;
pub mod prekey;
pub mod presence;
pub mod retention;
pub mod seat;
pub mod seen;
pub mod session;
pub mod statement;
#[cfg(test)]
pub(crate) mod testing;
pub mod token;

use std::sync::Arc;

use rookery_protocol::{
    chain::{Head, OwnerHead, SignedHead},
    name::HostPort,
    request::{Failure, Refusal},
    time::{Clock, Timestamp},
};
use tokio_util::task::TaskTracker;

use self::{
    community::Hub,
    directory::Directory,
    feed::Feeds,
    fence::Fence,
    limit::Limiter,
    link::Places,
    message::Outbox,
    password::Passwords,
    peer::{
        Peers,
        discovery::{Discovery, Seek},
    },
    presence::Presences,
    seat::Seats,
    seen::Seen,
    token::Mint,
};
use crate::{
    config::Config,
    identity::Identity,
    repository::{Storage, StorageError, chain::StoredChain},
};

/// Everything that decisions are made with.
pub struct Services {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What lasts.
    pub storage: Arc<dyn Storage>,
    /// Who the server is.
    pub identity: Identity,
    /// How it is set up.
    pub config: Config,
    /// Where clients reach it, for links.
    pub advertised: HostPort,
    /// Since when it runs.
    pub since: Timestamp,
    /// How often who may do what.
    pub limiter: Limiter,
    /// Who is connected.
    pub seats: Seats,
    /// Who follows.
    pub feeds: Feeds,
    /// Who people are.
    pub directory: Directory,
    /// How people are.
    pub presences: Presences,
    /// Where devices meet to be linked.
    pub places: Places,
    /// When devices and sessions were last there.
    pub seen: Seen,
    /// What sessions live by.
    pub mint: Mint,
    /// Passwords, hashed a few at a time.
    pub passwords: Passwords,
    /// Messages on their way into mailboxes.
    pub outbox: Outbox,
    /// Other homeservers.
    pub peers: Peers,
    /// Where they are.
    pub discovery: Discovery,
    /// Whether nothing is to be changed yet.
    pub fence: Fence,
    /// Communities, and copies of them.
    pub hub: Hub,
    /// Held while something is stored that depends on who may get what, or changes it.
    pub order: tokio::sync::Mutex<()>,
    /// Held while a file is checked.
    pub checking: tokio::sync::Mutex<()>,
    /// What goes on in the background.
    pub tasks: TaskTracker,
}

/// What services are made of.
pub struct Parts {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What lasts.
    pub storage: Arc<dyn Storage>,
    /// Who the server is.
    pub identity: Identity,
    /// How it is set up.
    pub config: Config,
    /// Where clients reach it.
    pub advertised: HostPort,
    /// How passwords are hashed.
    pub passwords: Passwords,
    /// Who finds out where other homeservers are.
    pub seek: Arc<dyn Seek>,
    /// Where background tasks belong.
    pub tasks: TaskTracker,
}

impl Services {
    /// Puts them together, and starts the task that stores messages.
    #[must_use]
    pub fn start(parts: Parts) -> Arc<Self> {
        let Parts { clock, storage, identity, config, advertised, passwords, seek, tasks } = parts;
        let (outbox, inlet) = message::queue();
        let (hub, posts, outlet) = community::hub();
        let (feeds, waker) = Feeds::new();
        let services = Arc::new(Self {
            since: clock.now(),
            limiter: Limiter::new(&config.limits, Arc::clone(&clock)),
            seats: Seats::default(),
            feeds,
            directory: Directory::default(),
            presences: Presences::default(),
            places: Places::default(),
            seen: Seen::default(),
            mint: Mint::new(&identity),
            peers: Peers::new(config.federation),
            discovery: Discovery::new(seek),
            order: tokio::sync::Mutex::default(),
            checking: tokio::sync::Mutex::default(),
            clock,
            storage,
            identity,
            config,
            advertised,
            passwords,
            outbox,
            fence: Fence::default(),
            hub,
            tasks,
        });
        services.tasks.spawn(waker.run());
        services.tasks.spawn(message::store_all(Arc::downgrade(&services), inlet));
        services.tasks.spawn(community::post::store_all(Arc::downgrade(&services), posts));
        services.tasks.spawn(community::spread::run(Arc::downgrade(&services), outlet));
        services
    }

    /// The server's word for where a chain stands.
    pub fn sign_head(&self, chain: &StoredChain) -> Result<Option<SignedHead>, Refusal> {
        let Some(head) = chain.head else { return Ok(None) };
        let head = Head {
            chain: chain.chain,
            owner_epoch: chain.owner_epoch,
            seq: head.seq,
            hash: head.hash,
            at: chain.at,
        };
        let signed = OwnerHead { heads: vec![head] }.sign(&self.identity.online);
        signed.map(Some).map_err(|_| Refusal::Internal)
    }
}

/// Where a failure of storage meets the wire: the cause goes into the log, and what a peer can do about it to the peer.
#[must_use]
pub fn refusal(error: &StorageError) -> Refusal {
    match error {
        StorageError::Full => {
            tracing::warn!("the disk is full: nothing new is stored");
            Refusal::StorageFull
        }
        StorageError::Unavailable(_) | StorageError::Conflict => {
            tracing::warn!(%error, "the database could not answer");
            Refusal::Unavailable
        }
        StorageError::Inconsistent { .. } | StorageError::Broken(_) => {
            tracing::error!(%error, "the database failed");
            Refusal::Internal
        }
    }
}

impl<E> From<StorageError> for Failure<E> {
    fn from(error: StorageError) -> Self {
        Self::Refused(refusal(&error))
    }
}
