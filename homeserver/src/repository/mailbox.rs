//! Mailboxes: envelopes for one device, in order, until the device acknowledges them. The hot path: everything here takes many at once.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};

use super::{Limit, Page, StorageError};

/// An envelope on its way into a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Whose device.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// The encoded envelope.
    pub envelope: Vec<u8>,
}

/// One message: its envelopes go into their mailboxes, all or none.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// Who sends.
    pub sender: UserId,
    /// Chosen by who sends; the same again is the same message.
    pub message: ItemId,
    /// When the home takes it.
    pub at: Timestamp,
    /// The envelopes, each for another device.
    pub letters: Vec<Letter>,
}

/// How much a mailbox takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Envelopes.
    pub count: u64,
    /// Bytes of encoded envelopes.
    pub bytes: u64,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self { count: 100_000, bytes: 256 * 1024 * 1024 }
    }
}

/// What came of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deposited {
    /// It is stored: a position for each letter, in their order.
    Stored {
        /// The positions.
        positions: Vec<u64>,
    },
    /// It had been stored already, at this time: by an earlier deposit, or one before it in the same batch.
    Duplicate {
        /// When.
        at: Timestamp,
    },
    /// These mailboxes cannot take it. Nothing of it was stored, and its id is free.
    Full {
        /// Which, in the order of its letters.
        devices: Vec<DeviceId>,
    },
}

/// Where a mailbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxHead {
    /// The last position that was ever given; 0 before the first.
    pub last: u64,
    /// Envelopes that wait.
    pub count: u64,
    /// What they take, in bytes.
    pub bytes: u64,
}

/// An envelope that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its position: from 1, without gaps.
    pub position: u64,
    /// When the home took it.
    pub at: Timestamp,
    /// The encoded envelope.
    pub envelope: Vec<u8>,
}

/// What can be asked about mailboxes.
#[async_trait]
pub trait MailboxView {
    /// Where the mailbox of `device` stands; all zero for one that never got anything.
    async fn mailbox_head(&mut self, device: DeviceId) -> Result<MailboxHead, StorageError>;

    /// What waits after `after`, in order.
    async fn waiting(
        &mut self,
        device: DeviceId,
        after: u64,
        limit: Limit,
    ) -> Result<Page<Waiting>, StorageError>;

    /// When a message was stored, if it was.
    async fn deposited(
        &mut self,
        sender: UserId,
        message: ItemId,
    ) -> Result<Option<Timestamp>, StorageError>;
}

/// What can be done to mailboxes.
#[async_trait]
pub trait MailboxRepository: MailboxView {
    /// Stores many messages of many senders, in order, and says what came of each. Best called with what has gathered while the last commit
    /// was under way; at most 1,024 at once.
    async fn deposit(
        &mut self,
        batch: Vec<Deposit>,
        limits: MailboxLimits,
    ) -> Result<Vec<Deposited>, StorageError>;

    /// Erases, for each device, everything through a position. Positions that are gone already, or were never given, are passed over.
    async fn acknowledge(&mut self, through: &[(DeviceId, u64)]) -> Result<(), StorageError>;
}

impl Letter {
    /// What it takes of a mailbox, in bytes.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.envelope.len()).unwrap_or(u64::MAX)
    }
}

impl MailboxHead {
    /// Takes one more of `size` bytes, and gives it its position.
    pub(super) fn put(&mut self, size: u64) -> u64 {
        self.last = self.last.saturating_add(1);
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.last
    }

    /// Lets go of one of `size` bytes.
    pub(super) fn forget(&mut self, size: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
    }
}
