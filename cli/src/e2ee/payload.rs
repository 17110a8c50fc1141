//! What is inside envelopes and the journal, as types.
//!
//! Everything has a number for its kind. A kind that this version does not know is kept as it is and skipped, never an error, so that an
//! old device survives a new one.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec,
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};

use super::journal_state::Op;

/// What a device says to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// Something that a person or a program wrote.
    Text(Text),
    /// What became of messages.
    Receipt(Receipt),
    /// The sender's profile key.
    ProfileKey(SharedProfileKey),
    /// The first word of a session that replaces a lost one.
    Reset(Reset),
    /// Of a kind that this version does not know: skip it.
    Unknown(Unknown),
}

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Text {
    /// The text; never empty by our own senders.
    #[n(0)]
    pub text: String,
    /// The message that it answers.
    #[n(1)]
    pub reply_to: Option<ItemId>,
}

/// What became of messages of the receiver's: sent in batches, and never about receipts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// What became of them.
    #[n(0)]
    pub kind: ReceiptKind,
    /// Which messages.
    #[n(1)]
    pub messages: Vec<ItemId>,
}

/// What can become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ReceiptKind {
    /// A device of the receiver's has stored it.
    #[n(1)]
    Delivered,
    /// It was shown to its receiver.
    #[n(2)]
    Read,
}

/// The sender's profile key, for the receiver to keep.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SharedProfileKey {
    /// The key.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
}

impl fmt::Debug for SharedProfileKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedProfileKey(secret)")
    }
}

/// Says that a session was lost, and how far its sender had got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reset {
    /// The highest number of the receiver's that the sender has taken in.
    #[n(0)]
    pub last_good: Option<u64>,
}

/// Something of a kind that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its kind.
    pub kind: u32,
    /// What it is, undecoded.
    pub bytes: Vec<u8>,
}

/// What the journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// One direct message, for devices that are linked or recovered later. Each message once, by its id.
    Archive(Archive),
    /// A change of the account's common state.
    Op(Op),
    /// Of a kind that this version does not know: skip it.
    Unknown(Unknown),
}

/// A direct message as it is archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// With whom the conversation is.
    pub peer: UserId,
    /// Which message.
    pub message: ItemId,
    /// Who wrote it.
    pub from: UserId,
    /// On which device.
    pub device: DeviceId,
    /// When, by the writer's clock.
    pub at: Timestamp,
    /// What it was.
    pub payload: Payload,
}

impl Payload {
    /// The number of its kind.
    #[must_use]
    pub fn kind(&self) -> u32 {
        unimplemented!()
    }

    /// Its encoding, without the kind.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads a payload. What does not decode as its kind is [`Payload::Unknown`]: it was authenticated, and is the sender's mistake.
    #[must_use]
    pub fn decode(kind: u32, bytes: &[u8]) -> Self {
        unimplemented!()
    }
}

impl Record {
    /// Its encoding, with its kind: the plaintext for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads the plaintext of an item of the journal.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        unimplemented!()
    }
}
