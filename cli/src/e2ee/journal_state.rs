//! The account's common state, as a fold over the journal in which the order does not matter.
//!
//! A map of last-writer-wins registers under a hybrid logical clock (Kulkarni et al. 2014), ties broken by device, and observed-remove sets
//! (Shapiro et al., "A comprehensive study of convergent and commutative replicated data types", 2011). Merging is commutative, associative
//! and idempotent, so a device that works offline and one that reads the journal twice end at the same state.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};

use super::{payload::SharedProfileKey, verify::Pin};

/// How far a writer's clock may be ahead and still move ours.
pub const MAX_AHEAD: std::time::Duration = std::time::Duration::from_secs(600);

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

/// One change of the common state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// When, and by which device.
    pub stamp: Stamp,
    /// What changes.
    pub change: Change,
}

/// What can change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Who a contact is: the pin of the first sight, or a later one.
    Pin(Pin),
    /// A person's own name for a contact; empty for none.
    Nickname {
        /// Of whom.
        user: UserId,
        /// The name.
        name: String,
    },
    /// How far a conversation has been read.
    ReadMark {
        /// With whom.
        peer: UserId,
        /// The last message that was read.
        message: ItemId,
        /// When that message was written.
        at: Timestamp,
    },
    /// Whether a conversation makes noise.
    Mute {
        /// With whom.
        peer: UserId,
        /// Until when; not muted when absent.
        until: Option<Timestamp>,
    },
    /// What is written and not sent; empty for none.
    Draft {
        /// To whom.
        peer: UserId,
        /// The text.
        text: String,
    },
    /// A device's name.
    DeviceName {
        /// Which.
        device: DeviceId,
        /// The name.
        name: String,
    },
    /// The key under which the profile is sealed.
    ProfileKey(SharedProfileKey),
    /// Whether a conversation is archived in the journal.
    Archiving {
        /// With whom.
        peer: UserId,
        /// Whether it is.
        archived: bool,
    },
    /// Something is put into a set.
    Insert {
        /// Into which.
        set: SetName,
        /// What.
        element: Vec<u8>,
    },
    /// Something is taken out of a set: the insertions that the writer had seen, and no others.
    Remove {
        /// Out of which.
        set: SetName,
        /// What.
        element: Vec<u8>,
        /// The insertions.
        observed: Vec<Stamp>,
    },
    /// Of a kind that this version does not know: kept, so that it can be passed on, and without effect.
    Unknown {
        /// Its kind.
        kind: u32,
        /// What it is, undecoded.
        bytes: Vec<u8>,
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

/// The common state of a user's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    _todo: (),
}

impl JournalState {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stamps a change of this device's, so that it wins over everything it was made in sight of. The clock follows other devices' stamps
    /// by ten minutes at most: a stale one cannot drag everybody into its future.
    #[must_use]
    pub fn stamp(&self, change: Change, device: DeviceId, now: Timestamp) -> Op {
        unimplemented!()
    }

    /// A removal of `element` with every insertion of it that is known here.
    #[must_use]
    pub fn removal(&self, set: SetName, element: &[u8]) -> Change {
        unimplemented!()
    }

    /// Takes in one operation; says whether it changed anything.
    pub fn apply(&mut self, op: &Op) -> bool {
        unimplemented!()
    }

    /// Takes in everything that `other` has.
    pub fn merge(&mut self, other: &Self) {
        unimplemented!()
    }

    /// Who a contact is.
    #[must_use]
    pub fn pin(&self, user: UserId) -> Option<&Pin> {
        unimplemented!()
    }

    /// All pins.
    pub fn pins(&self) -> impl Iterator<Item = &Pin> {
        [].into_iter()
    }

    /// A person's own name for a contact.
    #[must_use]
    pub fn nickname(&self, user: UserId) -> Option<&str> {
        unimplemented!()
    }

    /// How far the conversation with `peer` has been read: message and its time.
    #[must_use]
    pub fn read_mark(&self, peer: UserId) -> Option<(ItemId, Timestamp)> {
        unimplemented!()
    }

    /// Until when the conversation with `peer` is mute.
    #[must_use]
    pub fn muted_until(&self, peer: UserId) -> Option<Timestamp> {
        unimplemented!()
    }

    /// What is written to `peer` and not sent.
    #[must_use]
    pub fn draft(&self, peer: UserId) -> Option<&str> {
        unimplemented!()
    }

    /// A device's name.
    #[must_use]
    pub fn device_name(&self, device: DeviceId) -> Option<&str> {
        unimplemented!()
    }

    /// The key under which the profile is sealed.
    #[must_use]
    pub fn profile_key(&self) -> Option<&SharedProfileKey> {
        unimplemented!()
    }

    /// Whether the conversation with `peer` is archived: yes, unless it was switched off.
    #[must_use]
    pub fn archives(&self, peer: UserId) -> bool {
        unimplemented!()
    }

    /// Whether `element` is in `set`.
    #[must_use]
    pub fn contains(&self, set: SetName, element: &[u8]) -> bool {
        unimplemented!()
    }

    /// What is in `set`.
    #[must_use]
    pub fn elements(&self, set: SetName) -> Vec<Vec<u8>> {
        unimplemented!()
    }
}
