//! Sender Keys: one device's ratchet for one channel and one epoch, which all of the audience open and only that device advances.
//!
//! The ratchet is Megolm (vodozemac, with full MACs): it goes forward only, and signs. Around it is a seal under the epoch's keys, which binds
//! the header that the hub reads. Megolm has neither associated data nor protection against replay, so its plaintext repeats the header's
//! hash, and an index is taken once. A key is known by its *announcement* only, which its device signed and the hub stores: there is no
//! other way in ("Practically-exploitable Cryptographic Vulnerabilities in Matrix", Albrecht et al. 2023).
//!
//! Like a [`pair`](super::pair), a key is a value: sealing takes it and gives the next one with the message, opening gives the next one with
//! what was opened, and an error leaves the old one as it was. Store the next one before bytes leave.

mod inbound;
mod outbound;
mod outcome;
mod ratchet;
#[cfg(test)]
mod tests;

use std::time::Duration;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    hash::labelled,
    id::{AudienceId, ChannelId, CommunityId, Digest},
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::epoch::EpochPlace;
pub use inbound::InboundSenderKey;
pub use outbound::OutboundSenderKey;
pub use outcome::{
    AnnounceFacts, MessageFacts, OpenError, Opened, OpenedMessage, SealError, Sealed, Unsealed,
};

/// How many messages one key seals.
pub const MAX_MESSAGES: u32 = 1_000;
/// How long one key is used.
pub const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// Which channel, in which epoch of its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelPlace {
    /// The epoch.
    pub epoch: EpochPlace,
    /// The channel.
    pub channel: ChannelId,
}

/// What Megolm seals.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct Inner {
    /// `LH("msg", header)`: this text is of that message.
    #[n(0)]
    #[zeroize(skip)]
    bind: Digest,
    /// The hash of the author's message before, in this channel.
    #[n(1)]
    #[zeroize(skip)]
    own_prev: Option<Digest>,
    /// The hash of the last entry of the channel that the author had seen.
    #[n(2)]
    #[zeroize(skip)]
    seen: Option<Digest>,
    #[n(3)]
    kind: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    content: Vec<u8>,
}

/// A [`ChannelPlace`] as it is stored.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PlaceRecord {
    #[n(0)]
    community: CommunityId,
    #[n(1)]
    audience: AudienceId,
    #[n(2)]
    epoch: u32,
    #[n(3)]
    channel: ChannelId,
}

impl From<ChannelPlace> for PlaceRecord {
    fn from(place: ChannelPlace) -> Self {
        let EpochPlace { community, audience, epoch } = place.epoch;
        Self { community, audience, epoch, channel: place.channel }
    }
}

impl From<&PlaceRecord> for ChannelPlace {
    fn from(record: &PlaceRecord) -> Self {
        let PlaceRecord { community, audience, epoch, channel } = *record;
        Self { epoch: EpochPlace { community, audience, epoch }, channel }
    }
}

/// `LH("msg", header)`: what ties the text inside to its header.
fn bind(header: &[u8]) -> Digest {
    labelled("msg", &[header])
}
