//! A message as it is kept, and which of them are asked for.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    name::ServerName,
    time::Timestamp,
};

use crate::e2ee::{file::Attachment, payload::Stay};

/// How far a message has come. The words are those of the interface for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum MessageState {
    /// Stored here, and waiting to be sent.
    #[n(1)]
    Queued,
    /// Stored at the home of its receiver.
    #[n(2)]
    Sent,
    /// Stored on a device of its receiver.
    #[n(3)]
    Delivered,
    /// Read.
    #[n(4)]
    Read,
    /// Given up; the reason stands beside it.
    #[n(5)]
    Failed,
    /// Somebody else's, and not read here yet.
    #[n(6)]
    Received,
    /// Placed in its channel by the hub.
    #[n(7)]
    Posted,
    /// Stored at this user's home, on its way to that of its receiver.
    #[n(8)]
    Waiting,
}

impl MessageState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Received => "received",
            Self::Posted => "posted",
            Self::Waiting => "waiting",
        }
    }

    /// Whether a message in this state may come to be in state `next`. Written as a table, because "later is greater" once dropped the
    /// step from sending to failed in another client.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use MessageState::{Delivered, Failed, Posted, Queued, Read, Received, Sent, Waiting};
        matches!(
            (self, next),
            (Queued, Sent | Waiting | Posted | Delivered | Read | Failed)
                | (Waiting, Queued | Sent | Waiting | Delivered | Read | Failed)
                | (Sent, Delivered | Read | Failed)
                | (Delivered | Received | Posted, Read)
                | (Failed, Queued | Sent | Waiting | Delivered | Read)
        )
    }
}

/// One message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Message {
    /// With whom the conversation is; oneself for notes to oneself.
    #[n(0)]
    pub conversation: UserId,
    /// Its id, chosen by its author.
    #[n(1)]
    pub item: ItemId,
    /// Who wrote it.
    #[n(2)]
    pub author: UserId,
    /// On which device.
    #[n(3)]
    pub device: DeviceId,
    /// By the author's clock, which never stands still within one device.
    #[n(4)]
    pub at: Timestamp,
    /// What it says.
    #[n(5)]
    pub text: String,
    /// How far it has come.
    #[n(6)]
    pub state: MessageState,
    /// Why it failed or waits.
    #[n(7)]
    pub reason: Option<String>,
    /// What it waits for, while it does.
    #[n(8)]
    pub waits: Option<Waits>,
    /// For how long it stays once it was read.
    #[n(9)]
    pub stays: Option<Stay>,
    /// The file that goes with it.
    #[n(10)]
    pub file: Option<Box<Attachment>>,
}

/// Which server a message waits for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Waits {
    /// The receiver's home.
    #[n(0)]
    pub server: ServerName,
    /// Since when.
    #[n(1)]
    pub since: Timestamp,
}

/// A message in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order of arrival at this device, from 1.
    pub position: u64,
    /// The message.
    pub message: Message,
}

/// Which part of the timeline is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest `count` of a conversation by the author's clock, oldest first.
    Last {
        /// With whom.
        conversation: UserId,
        /// How many.
        count: u32,
    },
    /// The `count` of a conversation right before a time and place, oldest first.
    Before {
        /// With whom.
        conversation: UserId,
        /// Before this time by the author's clock, and this place among what bears the same time.
        point: (Timestamp, u64),
        /// How many.
        count: u32,
    },
    /// The `count` of a conversation after a time and place, oldest first.
    From {
        /// With whom.
        conversation: UserId,
        /// After this time by the author's clock, and this place among what bears the same time.
        point: (Timestamp, u64),
        /// How many.
        count: u32,
    },
    /// What arrived after `position`, in the order of arrival, of all conversations.
    After {
        /// The last that is known.
        position: u64,
        /// At most this many.
        count: u32,
    },
}
