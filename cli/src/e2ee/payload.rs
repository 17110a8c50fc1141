//! What is inside envelopes and the journal, as types.
//!
//! Everything has a number for its kind. A kind that this version does not know is kept as it is and skipped, never an error, so that an
//! old device survives a new one.

use std::{fmt, time::Duration};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Seen,
    codec,
    id::{CommunityId, DeviceId, ItemId, UserId},
    time::Timestamp,
};

use super::{file::Attachment, journal_state::Op};

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
    /// What the sender has seen of the logs of shared communities.
    Heads(Heads),
    /// Of a kind that this version does not know: skip it.
    Unknown(Unknown),
}

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Text {
    /// The text; empty by our own senders only beside a file.
    #[n(0)]
    pub text: String,
    /// The message that it answers.
    #[n(1)]
    pub reply_to: Option<ItemId>,
    /// For how long it stays after it was read; for ever when absent.
    #[n(2)]
    pub stays: Option<Stay>,
    /// The file that goes with it.
    #[n(3)]
    pub file: Option<Box<Attachment>>,
}

/// For how long a message stays before every device forgets it, as its author has it: 1 s to 366 days. What says less or more means the
/// least or the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Stay(#[n(0)] u32);

impl Stay {
    /// The longest: 366 days.
    pub const MOST: Duration = Duration::from_hours(366 * 24);

    /// So many seconds; nothing for what is shorter than a second or longer than [`Stay::MOST`].
    #[must_use]
    pub fn of(time: Duration) -> Option<Self> {
        let seconds = u32::try_from(time.as_secs()).ok()?;
        (seconds > 0 && time <= Self::MOST).then_some(Self(seconds))
    }

    /// How many seconds, from 1 on.
    #[must_use]
    pub fn seconds(self) -> u32 {
        u32::try_from(self.time().as_secs()).unwrap_or(u32::MAX)
    }

    /// How long, from 1 s to [`Stay::MOST`].
    #[must_use]
    pub fn time(self) -> Duration {
        Duration::from_secs(u64::from(self.0)).clamp(Duration::from_secs(1), Self::MOST)
    }
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

/// What the sender has seen of the logs of communities that they share with the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Heads {
    /// One a community.
    #[n(0)]
    pub heads: Vec<SharedHead>,
}

/// How far the sender's log of a community goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SharedHead {
    /// Whose log.
    #[n(0)]
    pub community: CommunityId,
    /// The last entry that they have verified.
    #[n(1)]
    pub head: Seen,
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

/// A thing of some kind: how unknown kinds survive.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Tagged {
    #[n(0)]
    kind: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

/// An [`Archive`] as it is encoded.
#[derive(Encode, Decode)]
#[cbor(map)]
struct ArchiveRecord {
    #[n(0)]
    peer: UserId,
    #[n(1)]
    message: ItemId,
    #[n(2)]
    from: UserId,
    #[n(3)]
    device: DeviceId,
    #[n(4)]
    at: Timestamp,
    #[n(5)]
    payload: Tagged,
}

impl Payload {
    const TEXT: u32 = 1;
    const RECEIPT: u32 = 2;
    const PROFILE_KEY: u32 = 3;
    const RESET: u32 = 4;
    const HEADS: u32 = 5;

    /// The number of its kind.
    #[must_use]
    pub fn kind(&self) -> u32 {
        match self {
            Self::Text(_) => Self::TEXT,
            Self::Receipt(_) => Self::RECEIPT,
            Self::ProfileKey(_) => Self::PROFILE_KEY,
            Self::Reset(_) => Self::RESET,
            Self::Heads(_) => Self::HEADS,
            Self::Unknown(unknown) => unknown.kind,
        }
    }

    /// Its encoding, without the kind.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => codec::encode(text),
            Self::Receipt(receipt) => codec::encode(receipt),
            Self::ProfileKey(key) => codec::encode(key),
            Self::Reset(reset) => codec::encode(reset),
            Self::Heads(heads) => codec::encode(heads),
            Self::Unknown(unknown) => unknown.bytes.clone(),
        }
    }

    /// Reads a payload. What does not decode as its kind is [`Payload::Unknown`]: it was authenticated, and is the sender's mistake.
    #[must_use]
    pub fn decode(kind: u32, bytes: &[u8]) -> Self {
        let known = match kind {
            Self::TEXT => codec::decode(bytes).map(Self::Text).ok(),
            Self::RECEIPT => codec::decode(bytes).map(Self::Receipt).ok(),
            Self::PROFILE_KEY => codec::decode(bytes).map(Self::ProfileKey).ok(),
            Self::RESET => codec::decode(bytes).map(Self::Reset).ok(),
            Self::HEADS => codec::decode(bytes).map(Self::Heads).ok(),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Unknown(Unknown { kind, bytes: bytes.to_vec() }))
    }
}

impl Record {
    const ARCHIVE: u32 = 1;
    const OP: u32 = 2;

    /// Its encoding, with its kind: the plaintext for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::Archive(archive) => (Self::ARCHIVE, archive.encode()),
            Self::Op(op) => (Self::OP, codec::encode(op)),
            Self::Unknown(unknown) => (unknown.kind, unknown.bytes.clone()),
        };
        codec::encode(&Tagged { kind, bytes })
    }

    /// Reads the plaintext of an item of the journal. What cannot be read at all is unknown, of kind 0.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let Ok(Tagged { kind, bytes }) = codec::decode(bytes) else {
            return Self::Unknown(Unknown { kind: 0, bytes: bytes.to_vec() });
        };
        let known = match kind {
            Self::ARCHIVE => Archive::decode(&bytes).map(Self::Archive),
            Self::OP => codec::decode(&bytes).map(Self::Op).ok(),
            _ => None,
        };
        known.unwrap_or(Self::Unknown(Unknown { kind, bytes }))
    }
}

impl Archive {
    fn encode(&self) -> Vec<u8> {
        let Self { peer, message, from, device, at, payload } = self;
        let payload = Tagged { kind: payload.kind(), bytes: payload.encode() };
        codec::encode(&ArchiveRecord {
            peer: *peer,
            message: *message,
            from: *from,
            device: *device,
            at: *at,
            payload,
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ArchiveRecord { peer, message, from, device, at, payload } =
            codec::decode(bytes).ok()?;
        Some(Self {
            peer,
            message,
            from,
            device,
            at,
            payload: Payload::decode(payload.kind, &payload.bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use rookery_protocol::id::Digest;

    use super::*;

    fn payloads() -> Vec<Payload> {
        let id = ItemId::from_bytes([7; 16]);
        vec![
            Payload::Text(Text {
                text: "Grüße".to_owned(),
                reply_to: Some(id),
                stays: None,
                file: None,
            }),
            Payload::Receipt(Receipt { kind: ReceiptKind::Read, messages: vec![id, id] }),
            Payload::ProfileKey(SharedProfileKey { key: [3; 32] }),
            Payload::Reset(Reset { last_good: Some(9) }),
            Payload::Heads(Heads {
                heads: vec![SharedHead {
                    community: CommunityId::from_bytes([5; 32]),
                    head: Seen { seq: 7, hash: Digest::from_bytes([6; 32]) },
                }],
            }),
            Payload::Unknown(Unknown { kind: 77, bytes: vec![1, 2, 3] }),
        ]
    }

    #[test]
    fn every_payload_is_read_back_from_an_envelope_and_from_the_archive() {
        for payload in payloads() {
            assert_eq!(Payload::decode(payload.kind(), &payload.encode()), payload);
            let user = UserId::from_bytes([1; 32]);
            let archive = Record::Archive(Archive {
                peer: user,
                message: ItemId::from_bytes([2; 16]),
                from: user,
                device: DeviceId::from_bytes([3; 32]),
                at: Timestamp::from_millis(4),
                payload,
            });
            assert_eq!(Record::decode(&archive.encode()), archive);
        }
    }

    #[test]
    fn what_is_not_known_is_kept_as_it_came() {
        let unknown = Record::Unknown(Unknown { kind: 99, bytes: vec![0xff; 5] });
        assert_eq!(Record::decode(&unknown.encode()), unknown);
        assert_eq!(
            Payload::decode(1, b"no text"),
            Payload::Unknown(Unknown { kind: 1, bytes: b"no text".to_vec() })
        );
    }

    #[test]
    fn a_profile_key_is_not_printed() {
        assert_eq!(format!("{:?}", SharedProfileKey { key: [65; 32] }), "SharedProfileKey(secret)");
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(kind in 0_u32..7, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Payload::decode(kind, &bytes));
            drop(Record::decode(&bytes));
        }
    }
}
