//! What can change of the common state, and when it did.

use std::time::Duration;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::{ChannelId, CommunityId, DeviceId, ItemId, UserId},
    time::Timestamp,
};

use crate::e2ee::{payload::SharedProfileKey, verify::Pin};

/// A hybrid logical clock's reading: ordered by time, then counter, then device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Stamp {
    /// Wall-clock time, or a little after it.
    #[n(0)]
    pub at: Timestamp,
    /// Tells apart what happened within a millisecond.
    #[n(1)]
    pub counter: u32,
    /// Whose.
    #[n(2)]
    pub device: DeviceId,
}

impl Stamp {
    /// The next stamp of `device` after this one.
    pub(super) fn next(self, device: DeviceId) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self { at: self.at, counter, device },
            None => Self { at: self.at.plus(Duration::from_millis(1)), counter: 0, device },
        }
    }
}

/// One change of the common state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Op {
    /// When, and by which device.
    #[n(0)]
    pub stamp: Stamp,
    /// What changes.
    #[n(1)]
    pub change: Change,
}

/// What can change. A change that this version does not know does not decode, and is kept by the journal as an unknown record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[non_exhaustive]
pub enum Change {
    /// Who a contact is: the pin of the first sight, or a later one.
    #[n(1)]
    Pin(#[n(0)] Pin),
    /// A person's own name for a contact; empty for none.
    #[n(2)]
    Nickname {
        /// Of whom.
        #[n(0)]
        user: UserId,
        /// The name.
        #[n(1)]
        name: String,
    },
    /// How far a conversation has been read.
    #[n(3)]
    ReadMark {
        /// With whom.
        #[n(0)]
        peer: UserId,
        /// The last message that was read.
        #[n(1)]
        message: ItemId,
        /// When that message was written.
        #[n(2)]
        at: Timestamp,
    },
    /// Whether a conversation makes noise.
    #[n(4)]
    Mute {
        /// With whom.
        #[n(0)]
        peer: UserId,
        /// Until when; not muted when absent.
        #[n(1)]
        until: Option<Timestamp>,
    },
    /// What is written and not sent; empty for none.
    #[n(5)]
    Draft {
        /// To whom.
        #[n(0)]
        peer: UserId,
        /// The text.
        #[n(1)]
        text: String,
    },
    /// A device's name.
    #[n(6)]
    DeviceName {
        /// Which.
        #[n(0)]
        device: DeviceId,
        /// The name.
        #[n(1)]
        name: String,
    },
    /// The key under which the profile is sealed.
    #[n(7)]
    ProfileKey(#[n(0)] SharedProfileKey),
    /// Whether a conversation is archived in the journal.
    #[n(8)]
    Archiving {
        /// With whom.
        #[n(0)]
        peer: UserId,
        /// Whether it is.
        #[n(1)]
        archived: bool,
    },
    /// The profile key that a contact sent.
    #[n(9)]
    ContactKey {
        /// Whose.
        #[n(0)]
        user: UserId,
        /// The key.
        #[n(1)]
        key: SharedProfileKey,
    },
    /// How far a channel has been read.
    #[n(10)]
    ChannelRead {
        /// Of which community.
        #[n(0)]
        community: CommunityId,
        /// Which.
        #[n(1)]
        channel: ChannelId,
        /// Through which place.
        #[n(2)]
        seq: u64,
    },
    /// Whether a channel makes noise.
    #[n(11)]
    ChannelMute {
        /// Of which community.
        #[n(0)]
        community: CommunityId,
        /// Which.
        #[n(1)]
        channel: ChannelId,
        /// Until when; not muted when absent.
        #[n(2)]
        until: Option<Timestamp>,
    },
    /// What is written to a channel and not sent; empty for none.
    #[n(12)]
    ChannelDraft {
        /// Of which community.
        #[n(0)]
        community: CommunityId,
        /// Which.
        #[n(1)]
        channel: ChannelId,
        /// The text.
        #[n(2)]
        text: String,
    },
    /// A setting of the account's, by its name; empty for what it is by itself.
    #[n(13)]
    Setting {
        /// Its name.
        #[n(0)]
        name: String,
        /// Its value.
        #[n(1)]
        value: String,
    },
    /// A conversation counts as unread from a message on, until it is read after this was written.
    #[n(14)]
    Unread {
        /// With whom.
        #[n(0)]
        peer: UserId,
        /// The first message that does.
        #[n(1)]
        message: ItemId,
        /// When that message was written.
        #[n(2)]
        at: Timestamp,
    },
    /// A channel counts as unread from a place on, until it is read after this was written.
    #[n(15)]
    ChannelUnread {
        /// Of which community.
        #[n(0)]
        community: CommunityId,
        /// Which.
        #[n(1)]
        channel: ChannelId,
        /// The first place that does.
        #[n(2)]
        from: u64,
    },
    /// Something is put into a set.
    #[n(20)]
    Insert {
        /// Into which.
        #[n(0)]
        set: SetName,
        /// What.
        #[cbor(n(1), with = "minicbor::bytes")]
        element: Vec<u8>,
    },
    /// Something is taken out of a set: the insertions that the writer had seen, and no others.
    #[n(21)]
    Remove {
        /// Out of which.
        #[n(0)]
        set: SetName,
        /// What.
        #[cbor(n(1), with = "minicbor::bytes")]
        element: Vec<u8>,
        /// The insertions.
        #[n(2)]
        observed: Vec<Stamp>,
    },
}

/// The sets there are; an element is the bytes of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum SetName {
    /// Users whose messages are not wanted.
    #[n(1)]
    Blocked,
    /// Conversations that stand at the top.
    #[n(2)]
    Favourite,
    /// Strangers whose requests were accepted.
    #[n(3)]
    Accepted,
}

/// Which register a change writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Pin(UserId),
    Nickname(UserId),
    ReadMark(UserId),
    Mute(UserId),
    Draft(UserId),
    DeviceName(DeviceId),
    ProfileKey,
    Archiving(UserId),
    ContactKey(UserId),
    ChannelRead(CommunityId, ChannelId),
    ChannelMute(CommunityId, ChannelId),
    ChannelDraft(CommunityId, ChannelId),
    Setting(String),
    Unread(UserId),
    ChannelUnread(CommunityId, ChannelId),
}

impl Slot {
    /// The register that this one is weighed against: of the two, the one that was written later counts.
    pub(super) fn rival(&self) -> Option<Self> {
        Some(match self {
            Self::ReadMark(peer) => Self::Unread(*peer),
            Self::Unread(peer) => Self::ReadMark(*peer),
            Self::ChannelRead(community, channel) => Self::ChannelUnread(*community, *channel),
            Self::ChannelUnread(community, channel) => Self::ChannelRead(*community, *channel),
            _ => return None,
        })
    }
}

impl Change {
    /// The register, or nothing when it is a set's.
    pub(super) fn slot(&self) -> Option<Slot> {
        Some(match self {
            Self::Pin(pin) => Slot::Pin(pin.user),
            Self::Nickname { user, .. } => Slot::Nickname(*user),
            Self::ReadMark { peer, .. } => Slot::ReadMark(*peer),
            Self::Mute { peer, .. } => Slot::Mute(*peer),
            Self::Draft { peer, .. } => Slot::Draft(*peer),
            Self::DeviceName { device, .. } => Slot::DeviceName(*device),
            Self::ProfileKey(_) => Slot::ProfileKey,
            Self::Archiving { peer, .. } => Slot::Archiving(*peer),
            Self::ContactKey { user, .. } => Slot::ContactKey(*user),
            Self::ChannelRead { community, channel, .. } => Slot::ChannelRead(*community, *channel),
            Self::ChannelMute { community, channel, .. } => Slot::ChannelMute(*community, *channel),
            Self::ChannelDraft { community, channel, .. } => {
                Slot::ChannelDraft(*community, *channel)
            }
            Self::Setting { name, .. } => Slot::Setting(name.clone()),
            Self::Unread { peer, .. } => Slot::Unread(*peer),
            Self::ChannelUnread { community, channel, .. } => {
                Slot::ChannelUnread(*community, *channel)
            }
            Self::Insert { .. } | Self::Remove { .. } => return None,
        })
    }
}
