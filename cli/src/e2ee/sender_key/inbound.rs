//! The side of a Sender Key that opens: another device's, or one's own to be read again.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Seen,
    codec::{self, Malformed},
    community::{Announce, AnnounceBody, History, MessageHeader, SenderKeyUse},
    id::{DeviceId, SenderKeyId, UserId},
    version::SUITE,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    ChannelPlace, Inner, OpenError, Opened, OpenedMessage, PlaceRecord, bind, ratchet::Receiving,
};
use crate::e2ee::{
    Unopenable,
    cbor::encode_secret,
    content::Content,
    epoch::{EpochKeys, EpochPlace},
    padding::{FLOOR, unpad},
};

/// A Sender Key that was announced.
///
/// It goes forward: what was opened does not open again. Where history is full it also keeps its first state, so that a page further back can
/// be [opened](InboundSenderKey::open_past) at any time; where it is not, what was opened is forgotten.
pub struct InboundSenderKey {
    id: SenderKeyId,
    place: ChannelPlace,
    user: UserId,
    device: DeviceId,
    /// Where in the user's chain the device was live when it announced the key.
    head: Seen,
    /// The next index that is new.
    next: u32,
    pub(super) latest: Receiving,
    pub(super) earliest: Option<Receiving>,
}

impl InboundSenderKey {
    /// Opens an announcement. Whoever calls has checked its entry: the signature of the header's device, live at the header's head, and the
    /// rules ([`judge_announce`](rookery_protocol::community::judge_announce)).
    pub fn from_announce(keys: &EpochKeys, announce: &Announce) -> Result<Self, OpenError> {
        let header: AnnounceBody =
            codec::decode(announce.header.as_slice()).map_err(|_| Unopenable)?;
        let place = ChannelPlace {
            epoch: EpochPlace {
                community: header.community,
                audience: header.audience,
                epoch: header.epoch,
            },
            channel: header.channel,
        };
        if place.epoch != keys.place() {
            return Err(OpenError::OtherEpoch);
        }
        let session_key = keys
            .announce_key(place.channel)
            .open(announce.header.as_slice(), announce.sealed.as_slice())?;
        let latest = Receiving::new(&session_key)?;
        if header.suite != SUITE || latest.first_index() != header.start_index {
            return Err(Unopenable.into());
        }
        let earliest = (header.history == History::Full).then(|| latest.duplicate());
        Ok(Self {
            id: header.sender_key,
            place,
            user: header.user,
            device: header.device,
            head: header.head,
            next: header.start_index,
            latest,
            earliest,
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> SenderKeyId {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub const fn place(&self) -> ChannelPlace {
        self.place
    }

    /// Whose it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// Of which device.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The head of the user's chain that the announcement named.
    #[must_use]
    pub const fn head(&self) -> Seen {
        self.head
    }

    /// What is known of it, for the rules to judge by.
    #[must_use]
    pub fn usage(&self) -> SenderKeyUse {
        SenderKeyUse {
            user: self.user,
            device: self.device,
            channel: self.place.channel,
            epoch: self.place.epoch.epoch,
            head: self.head,
            next_index: self.next,
        }
    }

    /// The least index that was not opened by [`InboundSenderKey::open`], nor passed over.
    #[must_use]
    pub const fn next_index(&self) -> u32 {
        self.next
    }

    /// Opens a message that comes after all that this key has opened. Whoever calls has checked its entry by
    /// [`judge_message`](rookery_protocol::community::judge_message).
    pub fn open(
        &self,
        keys: &EpochKeys,
        header: &[u8],
        sealed: &[u8],
    ) -> Result<Opened, OpenError> {
        let checked = self.check(keys, header)?;
        if checked.index < self.next {
            return Err(OpenError::UsedIndex);
        }
        let next = checked.index.checked_add(1).ok_or(Unopenable)?;
        let mut key = self.duplicate();
        let message = open_with(&mut key.latest, keys, checked, header, sealed)?;
        key.latest.forget_before(next);
        key.next = next;
        Ok(Opened { key: Box::new(key), message })
    }

    /// Opens a message of a page further back, any number of times: only where history is full. The key stays as it is.
    pub fn open_past(
        &self,
        keys: &EpochKeys,
        header: &[u8],
        sealed: &[u8],
    ) -> Result<OpenedMessage, OpenError> {
        let checked = self.check(keys, header)?;
        let mut earliest = self.earliest.as_ref().ok_or(OpenError::UsedIndex)?.duplicate();
        open_with(&mut earliest, keys, checked, header, sealed)
    }

    /// Reads the header, and checks that it is of this key and these keys.
    fn check(&self, keys: &EpochKeys, header: &[u8]) -> Result<MessageHeader, OpenError> {
        let header: MessageHeader = codec::decode(header).map_err(|_| Unopenable)?;
        if keys.place() != self.place.epoch {
            return Err(OpenError::OtherEpoch);
        }
        if header.sender_key != self.id {
            return Err(OpenError::OtherKey);
        }
        let EpochPlace { community, audience, epoch } = self.place.epoch;
        let is_ours = header.suite == SUITE
            && (header.community, header.audience, header.epoch) == (community, audience, epoch)
            && header.channel == self.place.channel
            && (header.user, header.device) == (self.user, self.device);
        if is_ours { Ok(header) } else { Err(Unopenable.into()) }
    }

    /// A second copy, for trying something on; one of the two is dropped.
    fn duplicate(&self) -> Self {
        Self {
            latest: self.latest.duplicate(),
            earliest: self.earliest.as_ref().map(Receiving::duplicate),
            ..*self
        }
    }

    /// The key as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        encode_secret(&InboundRecord {
            id: self.id,
            place: self.place.into(),
            user: self.user,
            device: self.device,
            head: self.head,
            next: self.next,
            latest: std::mem::take(&mut *self.latest.to_pickle()),
            earliest: self
                .earliest
                .as_ref()
                .map(|earliest| std::mem::take(&mut *earliest.to_pickle())),
        })
    }

    /// Reads what [`InboundSenderKey::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let record: InboundRecord = codec::decode(bytes)?;
        let earliest = record.earliest.as_ref().map(|pickle| Receiving::from_pickle(pickle));
        Ok(Self {
            id: record.id,
            place: (&record.place).into(),
            user: record.user,
            device: record.device,
            head: record.head,
            next: record.next,
            latest: Receiving::from_pickle(&record.latest)?,
            earliest: earliest.transpose()?,
        })
    }
}

impl fmt::Debug for InboundSenderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InboundSenderKey(secret of {:?}, next {})", self.id, self.next)
    }
}

/// Takes the outer seal off, opens the ratchet's, and checks that the text is of that header.
fn open_with(
    ratchet: &mut Receiving,
    keys: &EpochKeys,
    checked: MessageHeader,
    header: &[u8],
    sealed: &[u8],
) -> Result<OpenedMessage, OpenError> {
    let message = keys.message_key(checked.channel).open(header, sealed)?;
    let padded = ratchet.open(checked.index, &message)?;
    let inner: Inner = codec::decode(unpad(&padded, FLOOR)?).map_err(|_| Unopenable)?;
    if inner.bind != bind(header) {
        return Err(Unopenable.into());
    }
    Ok(OpenedMessage {
        header: checked,
        own_prev: inner.own_prev,
        seen: inner.seen,
        content: Content::decode(inner.kind, &inner.content),
    })
}

/// An [`InboundSenderKey`] as it is stored, in the sealed store only.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct InboundRecord {
    #[n(0)]
    #[zeroize(skip)]
    id: SenderKeyId,
    #[n(1)]
    #[zeroize(skip)]
    place: PlaceRecord,
    #[n(2)]
    #[zeroize(skip)]
    user: UserId,
    #[n(3)]
    #[zeroize(skip)]
    device: DeviceId,
    #[n(4)]
    next: u32,
    #[cbor(n(5), with = "minicbor::bytes")]
    latest: Vec<u8>,
    #[cbor(n(6), with = "minicbor::bytes")]
    earliest: Option<Vec<u8>>,
    #[n(7)]
    #[zeroize(skip)]
    head: Seen,
}
