//! Other homeservers: who they are, what must arrive there, and whose chains are copied from them.

use std::net::SocketAddr;

use async_trait::async_trait;
use rookery_protocol::{
    chain::SignedHead,
    id::{DeviceId, Digest, ItemId, ServerId, UserId},
    name::{HostPort, ServerName, UserName},
    request::{discovery::Rank, message::Returned, peering::PeerStanding},
    time::Timestamp,
};

use super::StorageError;

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPeer {
    /// Its name.
    pub name: ServerName,
    /// Where it is dialled; absent for one that only dials.
    pub address: Option<HostPort>,
    /// The pinned root; absent for a name that is only blocked.
    pub root: Option<ServerId>,
    /// What was decided about it.
    pub standing: PeerStanding,
    /// The root that it showed instead of the pinned one.
    pub offered: Option<ServerId>,
    /// The number of the newest record that it showed.
    pub record: u64,
    /// Since when it is known.
    pub added: Timestamp,
    /// Every root that it was known by here, the pinned one among them; in the order of their bytes.
    pub roots: Vec<ServerId>,
    /// Where others than the administrator say that it is; one for each rank, the highest first.
    pub findings: Vec<StoredFinding>,
}

/// Where somebody says that a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFinding {
    /// Who says so; never the administrator, whose word is [`StoredPeer::address`].
    pub rank: Rank,
    /// Where.
    pub place: HostPort,
    /// The address at which it has proven itself there, if it has.
    pub reached: Option<SocketAddr>,
}

/// A user of another server, of whose chain there is a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredForeigner {
    /// Who.
    pub user: UserId,
    /// Their home.
    pub peer: ServerName,
    /// By which name they are known there, as far as it was told.
    pub name: Option<UserName>,
    /// Their home's word for where the chain stands.
    pub head: Option<SignedHead>,
    /// The peer that had us store their chain, which need not be honest about who there is; absent when that was their home.
    pub brought: Option<ServerName>,
}

/// What must arrive at a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// Who sends.
    pub sender: UserId,
    /// Which of their devices wants to know what becomes of it.
    pub device: Option<DeviceId>,
    /// Its id: the same sender's same id is the same thing.
    pub item: ItemId,
    /// To whom, where that is a user by id.
    pub receiver: Option<UserId>,
    /// What has one lane is handed over in its order.
    pub lane: Digest,
    /// Since when it waits.
    pub at: Timestamp,
    /// What is handed over, encoded.
    pub content: Vec<u8>,
}

/// The same, in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutbound {
    /// For which peer.
    pub peer: ServerName,
    /// Its place in the queue: numbers rise.
    pub number: u64,
    /// What.
    pub outbound: Outbound,
    /// When it is handed over at the earliest.
    pub not_before: Timestamp,
    /// Why it has come back; absent while it is to be handed over.
    pub returned: Option<Returned>,
    /// Why it waits, for people.
    pub reason: Option<String>,
}

/// How much waits for a peer, what has come back not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
}

/// A change of one peer: of what is decided together, and of nothing else, so that two who change different things never undo each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEdit {
    /// What was decided about it.
    Standing(PeerStanding),
    /// Where it is dialled, and its root: the pinned one, or the first.
    Place {
        /// Where.
        address: HostPort,
        /// Which.
        root: ServerId,
    },
    /// Another root is pinned, or the same one again, which ends a quarantine. Records are counted by each root anew, and where the server of
    /// another root was found is forgotten.
    Root(ServerId),
    /// A newer record was shown.
    Record {
        /// By the root that is pinned.
        root: ServerId,
        /// Its number.
        number: u64,
    },
    /// It shows another root than the pinned one.
    Offered {
        /// The one that was pinned when that was seen.
        pinned: ServerId,
        /// The one that it showed.
        offered: ServerId,
    },
    /// Somebody says where it is. That takes the place of what the same one has said before, and of nobody else's word.
    Found {
        /// The root that was pinned when that was heard.
        root: ServerId,
        /// Who says where.
        finding: StoredFinding,
    },
    /// One who has said where it is says so no more.
    Lost {
        /// The root that was pinned when that was heard.
        root: ServerId,
        /// Who.
        rank: Rank,
    },
}

/// What can be asked about peers.
#[async_trait]
pub trait PeerView {
    /// All peers, by name.
    async fn peers(&mut self) -> Result<Vec<StoredPeer>, StorageError>;

    /// Peers that no administrator has named and with which nobody here has anything to do, with the time at which each was reached last; by name.
    /// Of all, or of `only` that one. People here have to do with a peer when they have accepted or asked somebody there, when something waits to
    /// be handed over, when they belong to a community of its, or people of it to one of this server.
    async fn idle_strangers(
        &mut self,
        only: Option<&ServerName>,
    ) -> Result<Vec<(ServerName, Timestamp)>, StorageError>;

    /// Whether `peer` may read the chain of `user`: because it was let, because a user of it has to do with a community of this server that
    /// names them, or because they have to do with a community whose hub it is.
    async fn peer_may_read(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<bool, StorageError>;

    /// The user of another server.
    async fn foreigner(&mut self, user: UserId) -> Result<Option<StoredForeigner>, StorageError>;

    /// The user whom `peer` calls `name`.
    async fn foreigner_named(
        &mut self,
        peer: &ServerName,
        name: &UserName,
    ) -> Result<Option<UserId>, StorageError>;

    /// Users of `peer`, by id, after `after`.
    async fn foreigners_of(
        &mut self,
        peer: &ServerName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserId>, StorageError>;

    /// How many users of other servers `peer` has had us store: its own, and others.
    async fn foreigner_count(&mut self, peer: &ServerName) -> Result<u64, StorageError>;
}

/// What can be done about peers.
#[async_trait]
pub trait PeerRepository: PeerView {
    /// Puts a peer in, unless there is one of that name. Says whether it did.
    async fn put_peer(&mut self, peer: &StoredPeer) -> Result<bool, StorageError>;

    /// Changes a peer, if it is as the change takes it to be; says whether it was. A root that is pinned joins those it was known by.
    async fn edit_peer(&mut self, name: &ServerName, edit: &PeerEdit)
    -> Result<bool, StorageError>;

    /// Notes of a peer that no administrator has named it, and when it was reached.
    async fn put_stranger(
        &mut self,
        name: &ServerName,
        reached: Timestamp,
    ) -> Result<(), StorageError>;

    /// Notes when a peer was reached last, if no administrator has named it.
    async fn reach_stranger(
        &mut self,
        name: &ServerName,
        reached: Timestamp,
    ) -> Result<(), StorageError>;

    /// An administrator has named a peer.
    async fn end_stranger(&mut self, name: &ServerName) -> Result<(), StorageError>;

    /// Forgets a peer, with its queue. Says whether there was one.
    async fn remove_peer(&mut self, name: &ServerName) -> Result<bool, StorageError>;

    /// From now on `peer` may read the chain of `user`.
    async fn let_peer_read(&mut self, peer: &ServerName, user: UserId) -> Result<(), StorageError>;

    /// From now on `peer` may not read the chain of `user`.
    async fn end_peer_reading(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<(), StorageError>;

    /// Notes by which name a user of another server is known there, and nothing else of them.
    async fn name_foreigner(&mut self, user: UserId, name: &UserName) -> Result<(), StorageError>;

    /// Notes a user of another server, in place of what was noted before.
    async fn put_foreigner(&mut self, foreigner: &StoredForeigner) -> Result<(), StorageError>;
}

impl Outbound {
    /// What it takes of a queue, in bytes.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.content.len()).unwrap_or(u64::MAX)
    }
}
