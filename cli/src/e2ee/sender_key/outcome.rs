//! What goes into Sender Keys and what comes out of them.

use rookery_protocol::{
    chain::Seen,
    community::{ChannelMessage, History, MessageHeader},
    id::{DeviceId, Digest, ItemId, UserId},
};

use super::{InboundSenderKey, OutboundSenderKey};
use crate::e2ee::{Unopenable, content::Content};

/// What an announcement says beside the key.
#[derive(Clone, Copy, Debug)]
pub struct AnnounceFacts {
    /// Whose the key is.
    pub user: UserId,
    /// Of which device.
    pub device: DeviceId,
    /// The head of the user's chain at which the device is live.
    pub head: Seen,
    /// The audience's history setting.
    pub history: History,
}

/// What a message says beside its content.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts {
    /// Whose it is.
    pub user: UserId,
    /// By which device.
    pub device: DeviceId,
    /// The last entry of the community's log that the author has seen.
    pub log: Seen,
    /// The message's id.
    pub item: ItemId,
    /// The hash of the author's own message before, in this channel: whoever misses that one knows that it was withheld.
    pub own_prev: Option<Digest>,
    /// The hash of the last entry of the channel that the author has seen.
    pub seen: Option<Digest>,
}

/// What sealing gave: store `key` (and the message) before the message leaves.
#[derive(Debug)]
#[must_use = "the key has to be stored before the message leaves"]
pub struct Sealed {
    /// The key from now on.
    pub key: Box<OutboundSenderKey>,
    /// The message.
    pub message: ChannelMessage,
}

/// What did not seal: the key is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unsealed {
    /// The key, unchanged.
    pub key: Box<OutboundSenderKey>,
    /// Why.
    pub reason: SealError,
}

/// Why nothing was sealed or announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The keys are of another epoch than the Sender Key: the caller's mistake.
    #[error("the sender key is of another epoch")]
    OtherEpoch,
    /// The content is longer than a message takes, or mentions too many.
    #[error("the message is too long: at most {limit} bytes fit")]
    TooLong {
        /// How many would fit.
        limit: usize,
    },
    /// The key has sealed as many messages as one may: announce another.
    #[error("the sender key is used up")]
    Exhausted,
}

/// What was opened, and the key from then on: store both, then acknowledge.
#[derive(Debug)]
#[must_use = "the key has to be stored with the message"]
pub struct Opened {
    /// The key from now on.
    pub key: Box<InboundSenderKey>,
    /// The message.
    pub message: OpenedMessage,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedMessage {
    /// What it says of itself.
    pub header: MessageHeader,
    /// The hash of the author's own message before, in this channel.
    pub own_prev: Option<Digest>,
    /// The hash of the last entry of the channel that the author had seen.
    pub seen: Option<Digest>,
    /// What it says.
    pub content: Content,
}

/// Why an announcement or a message was not opened. The key is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The keys are of another epoch than the header says: the caller's mistake.
    #[error("the keys are of another epoch than the message")]
    OtherEpoch,
    /// The header names another Sender Key than this one: the caller's mistake.
    #[error("the message is sealed under another sender key")]
    OtherKey,
    /// Its index was taken in before, and history before it is not kept.
    #[error("the message was taken in before, or its key is forgotten")]
    UsedIndex,
    /// It does not open. There is one code for all causes.
    #[error(transparent)]
    Unopenable(#[from] Unopenable),
}
