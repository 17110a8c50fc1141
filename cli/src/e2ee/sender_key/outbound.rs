//! The side of a Sender Key that seals: this device's own.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed, Octets},
    community::{Announce, AnnounceBody, ChannelMessage, MessageHeader},
    id::SenderKeyId,
    time::Timestamp,
    version::SUITE,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    AnnounceFacts, ChannelPlace, Inner, MAX_AGE, MAX_MESSAGES, MessageFacts, PlaceRecord,
    SealError, Sealed, Unsealed, bind, ratchet::Sending,
};
use crate::e2ee::{
    Random,
    cbor::encode_secret,
    content::{CONTENT_BYTES, Content},
    epoch::{EpochKeys, EpochPlace},
    padding::{FLOOR, pad},
    random::array,
};

/// This device's Sender Key for one channel and one epoch.
pub struct OutboundSenderKey {
    id: SenderKeyId,
    place: ChannelPlace,
    created: Timestamp,
    count: u32,
    pub(super) ratchet: Sending,
}

impl OutboundSenderKey {
    /// Draws a key. It is of use once it is announced.
    #[must_use]
    pub fn generate(place: ChannelPlace, now: Timestamp, random: &mut dyn Random) -> Self {
        let id = SenderKeyId::from_bytes(array(random));
        Self { id, place, created: now, count: 0, ratchet: Sending::generate(random) }
    }

    /// Its id: 16 random bytes.
    #[must_use]
    pub const fn id(&self) -> SenderKeyId {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub const fn place(&self) -> ChannelPlace {
        self.place
    }

    /// When it was drawn.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// How many messages it has sealed.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The index of the next message.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.ratchet.index()
    }

    /// Whether another key has to be announced before anything is sealed: after [`MAX_MESSAGES`], or [`MAX_AGE`].
    #[must_use]
    pub fn must_replace(&self, now: Timestamp) -> bool {
        self.count >= MAX_MESSAGES || now.since(self.created) >= MAX_AGE
    }

    /// The key as it goes to the audience: whoever has the epoch's keys opens messages from the present index on. Its item's id is
    /// [`announce_item`](rookery_protocol::community::announce_item).
    pub fn announce(
        &self,
        keys: &EpochKeys,
        facts: &AnnounceFacts,
        random: &mut dyn Random,
    ) -> Result<Announce, SealError> {
        self.check_epoch(keys)?;
        let EpochPlace { community, audience, epoch } = self.place.epoch;
        let header = codec::encode(&AnnounceBody {
            suite: SUITE,
            community,
            channel: self.place.channel,
            audience,
            epoch,
            user: facts.user,
            device: facts.device,
            head: facts.head,
            sender_key: self.id,
            start_index: self.index(),
            history: facts.history,
        });
        let session_key = self.ratchet.session_key();
        let sealed = keys.announce_key(self.place.channel).seal(&header, &session_key, random);
        Ok(Announce { header: bounded(header)?, sealed: bounded(sealed)? })
    }

    /// Seals `content`, and gives the key at its next index.
    pub fn seal(
        self,
        keys: &EpochKeys,
        facts: &MessageFacts,
        content: &Content,
        random: &mut dyn Random,
    ) -> Result<Sealed, Unsealed> {
        match self.compose(keys, facts, content, random) {
            Ok((ratchet, message)) => {
                let count = self.count.saturating_add(1);
                Ok(Sealed { key: Box::new(Self { count, ratchet, ..self }), message })
            }
            Err(reason) => Err(Unsealed { key: Box::new(self), reason }),
        }
    }

    /// Seals on a copy of the ratchet.
    fn compose(
        &self,
        keys: &EpochKeys,
        facts: &MessageFacts,
        content: &Content,
        random: &mut dyn Random,
    ) -> Result<(Sending, ChannelMessage), SealError> {
        self.check_epoch(keys)?;
        if self.count >= MAX_MESSAGES {
            return Err(SealError::Exhausted);
        }
        let header = codec::encode(&self.header(facts));
        let plaintext = pad(&inner(&header, facts, content)?, FLOOR);
        let mut ratchet = self.ratchet.duplicate();
        let message = ratchet.seal(&plaintext);
        let sealed = keys.message_key(self.place.channel).seal(&header, &message, random);
        Ok((ratchet, ChannelMessage { header: bounded(header)?, sealed: bounded(sealed)? }))
    }

    fn header(&self, facts: &MessageFacts) -> MessageHeader {
        let EpochPlace { community, audience, epoch } = self.place.epoch;
        MessageHeader {
            suite: SUITE,
            community,
            channel: self.place.channel,
            audience,
            epoch,
            log: facts.log,
            user: facts.user,
            device: facts.device,
            sender_key: self.id,
            index: self.index(),
            item: facts.item,
        }
    }

    fn check_epoch(&self, keys: &EpochKeys) -> Result<(), SealError> {
        if keys.place() == self.place.epoch { Ok(()) } else { Err(SealError::OtherEpoch) }
    }

    /// The key as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        encode_secret(&OutboundRecord {
            id: self.id,
            place: self.place.into(),
            created: self.created,
            count: self.count,
            pickle: std::mem::take(&mut *self.ratchet.to_pickle()),
        })
    }

    /// Reads what [`OutboundSenderKey::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let record: OutboundRecord = codec::decode(bytes)?;
        Ok(Self {
            id: record.id,
            place: (&record.place).into(),
            created: record.created,
            count: record.count,
            ratchet: Sending::from_pickle(&record.pickle)?,
        })
    }
}

impl fmt::Debug for OutboundSenderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OutboundSenderKey(secret of {:?}, index {})", self.id, self.index())
    }
}

/// An [`OutboundSenderKey`] as it is stored, in the sealed store only.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct OutboundRecord {
    #[n(0)]
    #[zeroize(skip)]
    id: SenderKeyId,
    #[n(1)]
    #[zeroize(skip)]
    place: PlaceRecord,
    #[n(2)]
    #[zeroize(skip)]
    created: Timestamp,
    #[n(3)]
    count: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    pickle: Vec<u8>,
}

/// Megolm's plaintext, without its padding.
fn inner(
    header: &[u8],
    facts: &MessageFacts,
    content: &Content,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let inner = Inner {
        bind: bind(header),
        own_prev: facts.own_prev,
        seen: facts.seen,
        kind: content.kind(),
        content: content.encode(),
    };
    if inner.content.len() > CONTENT_BYTES || !content.is_within_bounds() {
        return Err(SealError::TooLong { limit: CONTENT_BYTES });
    }
    Ok(encode_secret(&inner))
}

/// `bytes` in a field of the wire. All of them fit, by the bounds above.
fn bounded<const MAX: usize>(bytes: Vec<u8>) -> Result<Octets<MAX>, SealError> {
    Octets::parse(bytes).map_err(|_| SealError::TooLong { limit: CONTENT_BYTES })
}

/// The header of a message, for a test that forges one.
#[cfg(test)]
impl OutboundSenderKey {
    pub(super) fn header_of(&self, facts: &MessageFacts) -> Vec<u8> {
        codec::encode(&self.header(facts))
    }
}

/// What Megolm seals, for a test that forges a message.
#[cfg(test)]
pub(super) fn plaintext_of(
    header: &[u8],
    facts: &MessageFacts,
    content: &Content,
) -> Zeroizing<Vec<u8>> {
    pad(&inner(header, facts, content).unwrap(), FLOOR)
}
