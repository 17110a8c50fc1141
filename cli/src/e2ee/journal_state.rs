//! The account's common state, as a fold over the journal in which the order does not matter.
//!
//! A map of last-writer-wins registers under a hybrid logical clock (Kulkarni et al. 2014), ties broken by device, and observed-remove sets
//! (Shapiro et al., "A comprehensive study of convergent and commutative replicated data types", 2011). Merging is commutative, associative
//! and idempotent, so a device that works offline and one that reads the journal twice end at the same state.

mod change;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed},
    id::{ChannelId, CommunityId, DeviceId, ItemId, UserId},
    time::Timestamp,
};
use zeroize::Zeroizing;

use super::{cbor::encode_secret, payload::SharedProfileKey, verify::Pin};
use change::Slot;
pub use change::{Change, Op, SetName, Stamp};

/// How far a writer's clock may be ahead and still move ours.
pub const MAX_AHEAD: Duration = Duration::from_mins(10);

/// One element of a set: the insertions that count and those that were taken back.
type Tags = (BTreeSet<Stamp>, BTreeSet<Stamp>);

/// The common state of a user's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    registers: BTreeMap<Slot, Op>,
    sets: BTreeMap<(SetName, Vec<u8>), Tags>,
    /// The last stamp of each device.
    clocks: BTreeMap<DeviceId, Stamp>,
}

impl JournalState {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stamps a change of this device's, so that it wins over everything that it was made in sight of. The clock follows other devices'
    /// stamps by ten minutes at most: a stale one cannot drag everybody into its future. (A register that a clock of next year wrote is
    /// still won, by a stamp just after that one.)
    #[must_use]
    pub fn stamp(&self, change: Change, device: DeviceId, now: Timestamp) -> Op {
        let furthest = now.plus(MAX_AHEAD);
        let wall = Stamp { at: now, counter: 0, device };
        let heard = self.clocks.values().filter(|stamp| stamp.at <= furthest).max();
        let dragged = self.clocks.values().any(|stamp| stamp.at > furthest).then_some(Stamp {
            at: furthest,
            counter: 0,
            device,
        });
        let slot = change.slot();
        let rival = slot.as_ref().and_then(Slot::rival);
        let written = slot.into_iter().chain(rival).filter_map(|slot| self.registers.get(&slot));
        let written = written.map(|op| op.stamp).max();
        let own = self.clocks.get(&device);
        let after =
            [heard, written.as_ref(), own].into_iter().flatten().map(|stamp| stamp.next(device));
        let stamp = after.chain(dragged).fold(wall, Stamp::max);
        Op { stamp, change }
    }

    /// A removal of `element` with every insertion of it that is known here.
    #[must_use]
    pub fn removal(&self, set: SetName, element: &[u8]) -> Change {
        let observed = self
            .tags(set, element)
            .map(|(there, _)| there.iter().copied().collect())
            .unwrap_or_default();
        Change::Remove { set, element: element.to_vec(), observed }
    }

    /// Takes in one operation; says whether it changed anything.
    pub fn apply(&mut self, op: &Op) -> bool {
        let clock = self.clocks.entry(op.stamp.device).or_insert(op.stamp);
        let newer = op.stamp > *clock;
        *clock = op.stamp.max(*clock);
        let changed = match (&op.change, op.change.slot()) {
            (Change::Insert { set, element }, _) => self.tag(*set, element, &[op.stamp], &[]),
            (Change::Remove { set, element, observed }, _) => {
                self.tag(*set, element, &[], observed)
            }
            (_, Some(slot)) => self.write(slot, op),
            (_, None) => false,
        };
        changed || newer
    }

    /// Takes in everything that `other` has.
    pub fn merge(&mut self, other: &Self) {
        for (slot, op) in &other.registers {
            self.write(slot.clone(), op);
        }
        for ((set, element), (there, gone)) in &other.sets {
            let (there, gone): (Vec<Stamp>, Vec<Stamp>) =
                (there.iter().copied().collect(), gone.iter().copied().collect());
            self.tag(*set, element, &there, &gone);
        }
        for (device, stamp) in &other.clocks {
            let clock = self.clocks.entry(*device).or_insert(*stamp);
            *clock = (*stamp).max(*clock);
        }
    }

    /// Who a contact is.
    #[must_use]
    pub fn pin(&self, user: UserId) -> Option<&Pin> {
        match self.change(&Slot::Pin(user)) {
            Some(Change::Pin(pin)) => Some(pin),
            _ => None,
        }
    }

    /// All pins.
    pub fn pins(&self) -> impl Iterator<Item = &Pin> {
        self.registers.values().filter_map(|op| match &op.change {
            Change::Pin(pin) => Some(pin),
            _ => None,
        })
    }

    /// A person's own name for a contact.
    #[must_use]
    pub fn nickname(&self, user: UserId) -> Option<&str> {
        match self.change(&Slot::Nickname(user)) {
            Some(Change::Nickname { name, .. }) => {
                Some(name.as_str()).filter(|name| !name.is_empty())
            }
            _ => None,
        }
    }

    /// How far the conversation with `peer` has been read: message and its time.
    #[must_use]
    pub fn read_mark(&self, peer: UserId) -> Option<(ItemId, Timestamp)> {
        match self.change(&Slot::ReadMark(peer)) {
            Some(Change::ReadMark { message, at, .. }) => Some((*message, *at)),
            _ => None,
        }
    }

    /// From which message on the conversation with `peer` counts as unread again, and when that was written: nothing if it was read since.
    #[must_use]
    pub fn unread_from(&self, peer: UserId) -> Option<(ItemId, Timestamp)> {
        match self.standing(&Slot::Unread(peer)) {
            Some(Change::Unread { message, at, .. }) => Some((*message, *at)),
            _ => None,
        }
    }

    /// All conversations with one person that count as unread again, each from when on.
    #[must_use]
    pub fn unread_marks(&self) -> Vec<(UserId, Timestamp)> {
        let peers = self.registers.keys().filter_map(|slot| match slot {
            Slot::Unread(peer) => Some(*peer),
            _ => None,
        });
        peers.filter_map(|peer| Some((peer, self.unread_from(peer)?.1))).collect()
    }

    /// From which place on a channel counts as unread again: nothing if it was read since.
    #[must_use]
    pub fn channel_unread_from(&self, community: CommunityId, channel: ChannelId) -> Option<u64> {
        match self.standing(&Slot::ChannelUnread(community, channel)) {
            Some(Change::ChannelUnread { from, .. }) => Some(*from),
            _ => None,
        }
    }

    /// Until when the conversation with `peer` is mute.
    #[must_use]
    pub fn muted_until(&self, peer: UserId) -> Option<Timestamp> {
        match self.change(&Slot::Mute(peer)) {
            Some(Change::Mute { until, .. }) => *until,
            _ => None,
        }
    }

    /// What is written to `peer` and not sent.
    #[must_use]
    pub fn draft(&self, peer: UserId) -> Option<&str> {
        match self.change(&Slot::Draft(peer)) {
            Some(Change::Draft { text, .. }) => Some(text.as_str()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// Until when a channel is mute.
    #[must_use]
    pub fn channel_muted_until(
        &self,
        community: CommunityId,
        channel: ChannelId,
    ) -> Option<Timestamp> {
        match self.change(&Slot::ChannelMute(community, channel)) {
            Some(Change::ChannelMute { until, .. }) => *until,
            _ => None,
        }
    }

    /// What is written to a channel and not sent.
    #[must_use]
    pub fn channel_draft(&self, community: CommunityId, channel: ChannelId) -> Option<&str> {
        match self.change(&Slot::ChannelDraft(community, channel)) {
            Some(Change::ChannelDraft { text, .. }) => {
                Some(text.as_str()).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }

    /// How far a channel has been read.
    #[must_use]
    pub fn channel_read(&self, community: CommunityId, channel: ChannelId) -> Option<u64> {
        match self.change(&Slot::ChannelRead(community, channel)) {
            Some(Change::ChannelRead { seq, .. }) => Some(*seq),
            _ => None,
        }
    }

    /// One setting, if it is not empty.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        match self.change(&Slot::Setting(name.to_owned())) {
            Some(Change::Setting { value, .. }) => {
                Some(value.as_str()).filter(|value| !value.is_empty())
            }
            _ => None,
        }
    }

    /// A device's name.
    #[must_use]
    pub fn device_name(&self, device: DeviceId) -> Option<&str> {
        match self.change(&Slot::DeviceName(device)) {
            Some(Change::DeviceName { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// The key under which the user's own profile is sealed.
    #[must_use]
    pub fn profile_key(&self) -> Option<&SharedProfileKey> {
        match self.change(&Slot::ProfileKey) {
            Some(Change::ProfileKey(key)) => Some(key),
            _ => None,
        }
    }

    /// The profile key that a contact sent.
    #[must_use]
    pub fn contact_key(&self, user: UserId) -> Option<&SharedProfileKey> {
        match self.change(&Slot::ContactKey(user)) {
            Some(Change::ContactKey { key, .. }) => Some(key),
            _ => None,
        }
    }

    /// Whether the conversation with `peer` is archived: yes, unless it was switched off.
    #[must_use]
    pub fn archives(&self, peer: UserId) -> bool {
        !matches!(
            self.change(&Slot::Archiving(peer)),
            Some(Change::Archiving { archived: false, .. })
        )
    }

    /// Whether `element` is in `set`.
    #[must_use]
    pub fn contains(&self, set: SetName, element: &[u8]) -> bool {
        self.tags(set, element).is_some_and(|(there, _)| !there.is_empty())
    }

    /// What is in `set`.
    #[must_use]
    pub fn elements(&self, set: SetName) -> Vec<Vec<u8>> {
        let there =
            self.sets.iter().filter(|((name, _), (there, _))| *name == set && !there.is_empty());
        there.map(|((_, element), _)| element.clone()).collect()
    }

    /// The state as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let sets = self.sets.iter().map(|((set, element), (there, gone))| SetRecord {
            set: *set,
            element: element.clone(),
            there: there.iter().copied().collect(),
            gone: gone.iter().copied().collect(),
        });
        encode_secret(&StateRecord {
            registers: self.registers.values().cloned().collect(),
            sets: sets.collect(),
            clocks: self.clocks.values().copied().collect(),
        })
    }

    /// Reads what [`JournalState::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let StateRecord { registers, sets, clocks } = codec::decode_within(bytes, usize::MAX)?;
        let mut state = Self::new();
        for op in &registers {
            state.apply(op);
        }
        for record in sets {
            state.tag(record.set, &record.element, &record.there, &record.gone);
        }
        for stamp in clocks {
            state.clocks.insert(stamp.device, stamp);
        }
        Ok(state)
    }

    /// What a register says, unless its rival was written later.
    fn standing(&self, slot: &Slot) -> Option<&Change> {
        let own = self.registers.get(slot)?;
        let rival = slot.rival().and_then(|rival| self.registers.get(&rival));
        rival.is_none_or(|rival| rival.stamp < own.stamp).then_some(&own.change)
    }

    fn change(&self, slot: &Slot) -> Option<&Change> {
        self.registers.get(slot).map(|op| &op.change)
    }

    fn tags(&self, set: SetName, element: &[u8]) -> Option<&Tags> {
        self.sets.get(&(set, element.to_vec()))
    }

    /// The later stamp wins; of two changes under one stamp, which no honest device makes, the one whose encoding is greater.
    fn write(&mut self, slot: Slot, op: &Op) -> bool {
        let wins = self.registers.get(&slot).is_none_or(|held| {
            (op.stamp, codec::encode(&op.change)) > (held.stamp, codec::encode(&held.change))
        });
        if wins {
            self.registers.insert(slot, op.clone());
        }
        wins
    }

    fn tag(&mut self, set: SetName, element: &[u8], inserted: &[Stamp], removed: &[Stamp]) -> bool {
        let (there, gone) = self.sets.entry((set, element.to_vec())).or_default();
        let before = (there.len(), gone.len());
        gone.extend(removed);
        there.extend(inserted);
        there.retain(|stamp| !gone.contains(stamp));
        before != (there.len(), gone.len())
    }
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct StateRecord {
    #[n(0)]
    registers: Vec<Op>,
    #[n(1)]
    sets: Vec<SetRecord>,
    #[n(2)]
    clocks: Vec<Stamp>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct SetRecord {
    #[n(0)]
    set: SetName,
    #[cbor(n(1), with = "minicbor::bytes")]
    element: Vec<u8>,
    #[n(2)]
    there: Vec<Stamp>,
    #[n(3)]
    gone: Vec<Stamp>,
}

#[cfg(test)]
#[path = "journal_state/tests.rs"]
mod tests;
