//! Chains: append-only, hash-linked, generic over what is in them.

use async_trait::async_trait;
use rookery_protocol::{
    chain::{Entry, HeadRef, Kind},
    codec,
    id::{ChainId, DeviceId, Digest, ItemId, UserId},
    time::Timestamp,
};

use super::{Limit, Page, StorageError};

/// What a chain is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainKind {
    /// A user's statements about their devices and keys.
    User,
    /// A user's private journal.
    Journal,
    /// The log of a community's statements; its owner is the founder.
    Log,
    /// A channel of a community; its owner is the community's founder.
    Channel,
}

impl ChainKind {
    /// The number that stands for it in rows.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::User => 1,
            Self::Journal => 2,
            Self::Log => 3,
            Self::Channel => 4,
        }
    }

    /// The kind that `number` stands for.
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::User),
            2 => Some(Self::Journal),
            3 => Some(Self::Log),
            4 => Some(Self::Channel),
            _ => None,
        }
    }
}

/// A chain, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChain {
    /// Which.
    pub chain: ChainId,
    /// What about.
    pub kind: ChainKind,
    /// Whose.
    pub owner: UserId,
    /// In which period of ownership.
    pub owner_epoch: u64,
    /// The last entry; nothing while there is none.
    pub head: Option<HeadRef>,
    /// When the last entry was accepted, or the chain made.
    pub at: Timestamp,
    /// What its entries and bodies take, in bytes.
    pub bytes: u64,
}

/// An entry with what the home finds it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry, with its body unless that was erased.
    pub entry: Entry,
    /// Its item id: unique in its chain.
    pub item: ItemId,
    /// What kind it is.
    pub kind: Kind,
    /// The device that signed it; for what a recovery key signed, the id that its key would have as a device.
    pub author: DeviceId,
    /// When the home accepted it.
    pub at: Timestamp,
}

/// What the home finds an entry by, without the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryNote {
    /// In which chain.
    pub chain: ChainId,
    /// Its place.
    pub seq: u64,
    /// Its item id.
    pub item: ItemId,
    /// What kind it is.
    pub kind: Kind,
    /// The device that signed it.
    pub author: DeviceId,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What came of appending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// The entries are the chain's last; this is its head now.
    Done(HeadRef),
    /// There is no such chain.
    NoChain,
    /// One of the item ids is in the chain already, or comes twice. Nothing was stored.
    ItemExists,
    /// The chain does not end where the first entry begins, its ownership is of another period, or the entries do not follow one another.
    /// Nothing was stored; this is its head.
    Stale(Option<HeadRef>),
}

/// What can be asked about chains.
#[async_trait]
pub trait ChainView {
    /// Where the chain stands.
    async fn chain(&mut self, chain: ChainId) -> Result<Option<StoredChain>, StorageError>;

    /// Where several chains stand, in no order; unknown ones are left out.
    async fn chains(&mut self, chains: &[ChainId]) -> Result<Vec<StoredChain>, StorageError>;

    /// All entries of several short chains, each chain's in order and together.
    async fn entries_of(&mut self, chains: &[ChainId]) -> Result<Vec<StoredEntry>, StorageError>;

    /// Entries after place `after` (from the beginning when absent), in order.
    async fn entries(
        &mut self,
        chain: ChainId,
        after: Option<u64>,
        limit: Limit,
    ) -> Result<Page<StoredEntry>, StorageError>;

    /// The hash of the entry at `seq`, for a follower that says what it has.
    async fn entry_hash(
        &mut self,
        chain: ChainId,
        seq: u64,
    ) -> Result<Option<HeadRef>, StorageError>;

    /// The places of those `items` that are in the chain, in no order.
    async fn places(
        &mut self,
        chain: ChainId,
        items: &[ItemId],
    ) -> Result<Vec<(ItemId, u64)>, StorageError>;

    /// What is known of those items of several chains, in no order; unknown ones are left out.
    async fn notes_of(
        &mut self,
        items: &[(ChainId, ItemId)],
    ) -> Result<Vec<EntryNote>, StorageError>;

    /// What is known of the entries at those places of several chains, in no order; unknown ones are left out.
    async fn notes_at(&mut self, places: &[(ChainId, u64)])
    -> Result<Vec<EntryNote>, StorageError>;
}

/// What can be done to chains.
#[async_trait]
pub trait ChainRepository: ChainView {
    /// Where chains stand, as [`ChainView::chains`] says it, and keeps them from growing by others until the unit ends: what is decided on
    /// their heads still holds when the unit commits. It costs nothing with SQLite, where a unit is alone anyway.
    async fn hold_chains(&mut self, chains: &[ChainId]) -> Result<Vec<StoredChain>, StorageError>;

    /// Makes an empty chain. Says whether it is new; one that is there stays as it is.
    async fn create_chain(
        &mut self,
        chain: ChainId,
        kind: ChainKind,
        owner: UserId,
        owner_epoch: u64,
        at: Timestamp,
    ) -> Result<bool, StorageError>;

    /// Appends `entries`, which follow one another, if the chain ends just before the first of them and they are of its period of
    /// ownership. All or none. At least one entry.
    async fn append_entries(
        &mut self,
        chain: ChainId,
        entries: &[StoredEntry],
    ) -> Result<Append, StorageError>;

    /// Appends to several chains at once, each once, whose heads and items were asked in this unit. At least one entry each. A chain that
    /// does not end just before its first entry fails the unit with [`StorageError::Conflict`]: another node came in between.
    async fn append_to_many(
        &mut self,
        batches: &[(ChainId, Vec<StoredEntry>)],
    ) -> Result<(), StorageError>;

    /// From now on the entries of that period of ownership follow.
    async fn set_owner_epoch(
        &mut self,
        chain: ChainId,
        owner_epoch: u64,
    ) -> Result<(), StorageError>;

    /// Erases the bodies of those `items`; the chain still proves itself. Says how many there were.
    async fn erase_bodies(&mut self, chain: ChainId, items: &[ItemId])
    -> Result<u64, StorageError>;
}

impl StoredEntry {
    /// Whether this is what comes after `head` in `chain`, in that period of ownership.
    pub(super) fn follows(&self, chain: ChainId, owner_epoch: u64, head: Option<HeadRef>) -> bool {
        let (seq, prev) =
            head.map_or((0, Digest::ZERO), |head| (head.seq.saturating_add(1), head.hash));
        let entry = &self.entry;
        entry.chain == chain
            && entry.owner_epoch == owner_epoch
            && entry.seq == seq
            && entry.prev == prev
    }

    /// The entry as it is encoded without its body.
    pub(super) fn encode_bare(&self) -> Vec<u8> {
        let Entry { chain, owner_epoch, seq, prev, log_pos, signed, body: _ } = &self.entry;
        codec::encode(&Entry {
            chain: *chain,
            owner_epoch: *owner_epoch,
            seq: *seq,
            prev: *prev,
            log_pos: *log_pos,
            signed: signed.clone(),
            body: None,
        })
    }

    /// What is known of it without it.
    pub(super) fn note(&self) -> EntryNote {
        EntryNote {
            chain: self.entry.chain,
            seq: self.entry.seq,
            item: self.item,
            kind: self.kind,
            author: self.author,
            at: self.at,
        }
    }

    /// What it takes, in bytes: the encoded entry and its body.
    pub(super) fn bytes(&self) -> u64 {
        let body = self.entry.body.as_ref().map_or(0, codec::Octets::len);
        u64::try_from(self.encode_bare().len().saturating_add(body)).unwrap_or(u64::MAX)
    }
}
