//! A storage of plain maps: a strict double for the tests of what stands on it, held to the same contract as the databases.
//!
//! A unit works on a copy, made when it first writes, and a commit puts the copy into place; so a unit that is dropped leaves nothing. It can
//! be told to fail ([`Memory::fail_with`]), as a full disk does.

mod abroad;
mod account;
mod blob;
mod chain;
mod community;
mod contact;
mod device;
mod file;
mod mailbox;
mod outstanding;
mod peer;
mod prekey;
mod queue;
mod server;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use rookery_protocol::{
    chain::Entry,
    community::Fork,
    id::{ChainId, CommunityId, DeviceId, ItemId, SenderKeyId, UserId},
    name::{Address, ServerName, UserName},
    prekey::{EcPrekey, KemPrekey},
    request::peering::Federation,
    time::Timestamp,
    user::PukBox,
};
use tokio::sync::OwnedMutexGuard;

use super::{
    BackupError, Kind, Repository, Storage, StorageError, View,
    abroad::CopiedHead,
    account::{Account, StoredPresence, StoredProfile},
    blob::{BlobKey, StoredBlob},
    chain::{ChainKind, StoredChain, StoredEntry},
    community::{Belonging, ChainPlace, StoredCommunity, StoredSenderKey},
    contact::StoredContact,
    file::{FileKey, StoredFile},
    invite::{InviteHash, StoredInvite},
    mailbox::{MailboxHead, Waiting},
    outstanding::StoredOutstanding,
    peer::{StoredForeigner, StoredOutbound, StoredPeer},
    prekey::ClaimedKeys,
    session::StoredSession,
};

/// Rows in memory. Copies of the handle are the same storage.
#[derive(Clone, Debug)]
pub struct Memory {
    incarnation: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    committed: Mutex<Arc<Rows>>,
    failure: Mutex<Option<StorageError>>,
    closed: AtomicBool,
    writer: Arc<tokio::sync::Mutex<()>>,
}

/// All rows there are.
#[derive(Clone, Debug, Default)]
struct Rows {
    accounts: BTreeMap<UserId, Account>,
    names: BTreeMap<UserName, UserId>,
    profiles: BTreeMap<UserId, StoredProfile>,
    presences: BTreeMap<UserId, StoredPresence>,
    invites: BTreeMap<InviteHash, StoredInvite>,
    sessions: BTreeMap<rookery_protocol::id::SessionId, StoredSession>,
    devices: BTreeMap<DeviceId, (UserId, Timestamp)>,
    boxes: BTreeMap<(UserId, Option<DeviceId>, u32), PukBox>,
    chains: BTreeMap<ChainId, (StoredChain, Vec<StoredEntry>)>,
    prekeys: BTreeMap<DeviceId, Prekeys>,
    claims: BTreeMap<(UserId, ItemId, DeviceId), (Timestamp, ClaimedKeys)>,
    messages: BTreeMap<(UserId, ItemId), Timestamp>,
    mailboxes: BTreeMap<DeviceId, Mailbox>,
    contacts: BTreeMap<(UserId, Address), StoredContact>,
    communities: BTreeMap<CommunityId, StoredCommunity>,
    places: BTreeMap<ChainId, ChainPlace>,
    belongings: BTreeMap<(CommunityId, UserId), Belonging>,
    sender_keys: BTreeMap<(ChainId, SenderKeyId), StoredSenderKey>,
    reads: BTreeMap<(ChainId, UserId), u64>,
    blobs: BTreeMap<BlobKey, (StoredBlob, Vec<u8>)>,
    files: BTreeMap<FileKey, (StoredFile, Vec<u8>)>,
    files_begun: BTreeMap<UserId, u64>,
    /// With the last number that was given in each one's queue.
    peers: BTreeMap<ServerName, (StoredPeer, u64)>,
    /// When each was reached last.
    strangers: BTreeMap<ServerName, Timestamp>,
    peer_readers: BTreeSet<(ServerName, UserId)>,
    foreigners: BTreeMap<UserId, StoredForeigner>,
    outbound: BTreeMap<(ServerName, u64), StoredOutbound>,
    undelivered: BTreeMap<(UserId, ItemId), (DeviceId, StoredOutstanding)>,
    copied_heads: BTreeMap<ChainId, CopiedHead>,
    forks: BTreeMap<ChainId, (CommunityId, Fork)>,
    farewells: BTreeMap<(ServerName, CommunityId), u64>,
    former_hubs: BTreeSet<(ServerName, CommunityId)>,
    /// Copies that nobody needs.
    unused: BTreeMap<CommunityId, Timestamp>,
    /// The hub, through which place the log was here, and whether the hub was told.
    dropped: BTreeMap<CommunityId, (ServerName, u64, bool)>,
    federation: Option<Federation>,
    fenced: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Prekeys {
    user: UserId,
    signed: Option<EcPrekey>,
    signed_kem: Option<KemPrekey>,
    one_time: BTreeMap<u32, EcPrekey>,
    one_time_kem: BTreeMap<u32, KemPrekey>,
    highest: Option<u32>,
    highest_kem: Option<u32>,
}

#[derive(Clone, Debug)]
struct Mailbox {
    user: UserId,
    head: MailboxHead,
    waiting: BTreeMap<u64, Waiting>,
}

impl Memory {
    /// An empty storage.
    #[must_use]
    pub fn new(incarnation: u64) -> Self {
        Self { incarnation, shared: Arc::default() }
    }

    /// What a disk would have when the power goes: another storage, of what is committed here.
    #[must_use]
    pub fn cut(&self) -> Self {
        let shared = Shared { committed: Mutex::new(self.shared.committed()), ..Shared::default() };
        Self { incarnation: self.incarnation, shared: Arc::new(shared) }
    }

    /// All chains that more than one home may have, as they are committed: whoever compares copies asks for them.
    #[must_use]
    pub fn shared_chains(&self) -> BTreeMap<ChainId, Vec<Entry>> {
        let rows = self.shared.committed();
        let shared = rows.chains.iter().filter(|(_, (chain, _))| chain.kind != ChainKind::Journal);
        shared
            .map(|(chain, (_, stored))| {
                (*chain, stored.iter().map(|stored| stored.entry.clone()).collect())
            })
            .collect()
    }

    /// From now on units begin and then fail with `failure`; `None` ends that. Reading goes on.
    pub fn fail_with(&self, failure: Option<StorageError>) {
        *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

impl Shared {
    fn committed(&self) -> Arc<Rows> {
        Arc::clone(&self.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn open(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(StorageError::Unavailable("the database was closed".to_owned()));
        }
        Ok(())
    }

    fn failure(&self) -> Result<(), StorageError> {
        self.open()?;
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

#[async_trait]
impl Storage for Memory {
    fn kind(&self) -> Kind {
        Kind::Memory
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    async fn begin(&self) -> Result<Box<dyn Repository>, StorageError> {
        self.shared.open()?;
        let turn = Arc::clone(&self.shared.writer).lock_owned().await;
        let rows = self.shared.committed();
        Ok(Box::new(Handle {
            shared: Arc::clone(&self.shared),
            unit: Some(Unit { rows, turn, failed: None }),
        }))
    }

    async fn read(&self) -> Result<Box<dyn View>, StorageError> {
        self.shared.open()?;
        Ok(Box::new(Handle { shared: Arc::clone(&self.shared), unit: None }))
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.shared.failure()
    }

    async fn backup(&self, _: &Path) -> Result<u64, BackupError> {
        Err(BackupError::Unsupported)
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
    }
}

/// A reader, or a unit of work.
struct Handle {
    shared: Arc<Shared>,
    unit: Option<Unit>,
}

struct Unit {
    rows: Arc<Rows>,
    turn: OwnedMutexGuard<()>,
    /// What it failed with; it takes nothing more.
    failed: Option<StorageError>,
}

impl Handle {
    /// What it sees.
    fn rows(&self) -> Arc<Rows> {
        self.unit.as_ref().map_or_else(|| self.shared.committed(), |unit| Arc::clone(&unit.rows))
    }

    /// What it may change.
    fn change(&mut self) -> Result<&mut Rows, StorageError> {
        let failure = self.shared.failure();
        let Some(unit) = self.unit.as_mut() else {
            return Err(StorageError::Broken("a reader cannot write".to_owned()));
        };
        unit.failed = unit.failed.take().or(failure.err());
        unit.failed.as_ref().map_or(Ok(()), |failure| Err(failure.clone()))?;
        Ok(Arc::make_mut(&mut unit.rows))
    }
}

impl View for Handle {}

#[async_trait]
impl Repository for Handle {
    async fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.change()?;
        if let Some(Unit { rows, turn, .. }) = self.unit.take() {
            *self.shared.committed.lock().unwrap_or_else(PoisonError::into_inner) = rows;
            drop(turn);
        }
        Ok(())
    }
}
