//! The account's common state, as a fold over the journal in which the order does not matter.
//!
//! A map of last-writer-wins registers under a hybrid logical clock (Kulkarni et al. 2014), ties broken by device, and observed-remove sets
//! (Shapiro et al., "A comprehensive study of convergent and commutative replicated data types", 2011). Merging is commutative, associative
//! and idempotent, so a device that works offline and one that reads the journal twice end at the same state.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed},
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};
use zeroize::Zeroizing;

use super::{cbor::encode_secret, payload::SharedProfileKey, verify::Pin};

/// How far a writer's clock may be ahead and still move ours.
pub const MAX_AHEAD: Duration = Duration::from_secs(600);

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
    fn next(self, device: DeviceId) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self {
                at: self.at,
                counter,
                device,
            },
            None => Self {
                at: self.at.plus(Duration::from_millis(1)),
                counter: 0,
                device,
            },
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Pin(UserId),
    Nickname(UserId),
    ReadMark(UserId),
    Mute(UserId),
    Draft(UserId),
    DeviceName(DeviceId),
    ProfileKey,
    Archiving(UserId),
    ContactKey(UserId),
}

impl Change {
    /// The register, or nothing when it is a set's.
    fn slot(&self) -> Option<Slot> {
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
            Self::Insert { .. } | Self::Remove { .. } => return None,
        })
    }
}

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
        let wall = Stamp {
            at: now,
            counter: 0,
            device,
        };
        let heard = self
            .clocks
            .values()
            .filter(|stamp| stamp.at <= furthest)
            .max();
        let dragged = self
            .clocks
            .values()
            .any(|stamp| stamp.at > furthest)
            .then_some(Stamp {
                at: furthest,
                counter: 0,
                device,
            });
        let written = change
            .slot()
            .and_then(|slot| self.registers.get(&slot))
            .map(|op| op.stamp);
        let own = self.clocks.get(&device);
        let after = [heard, written.as_ref(), own]
            .into_iter()
            .flatten()
            .map(|stamp| stamp.next(device));
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
        Change::Remove {
            set,
            element: element.to_vec(),
            observed,
        }
    }

    /// Takes in one operation; says whether it changed anything.
    pub fn apply(&mut self, op: &Op) -> bool {
        let clock = self.clocks.entry(op.stamp.device).or_insert(op.stamp);
        let newer = op.stamp > *clock;
        *clock = op.stamp.max(*clock);
        let changed = match (&op.change, op.change.slot()) {
            (Change::Insert { set, element }, _) => self.tag(*set, element, &[op.stamp], &[]),
            (
                Change::Remove {
                    set,
                    element,
                    observed,
                },
                _,
            ) => self.tag(*set, element, &[], observed),
            (_, Some(slot)) => self.write(slot, op),
            (_, None) => false,
        };
        changed || newer
    }

    /// Takes in everything that `other` has.
    pub fn merge(&mut self, other: &Self) {
        for (slot, op) in &other.registers {
            self.write(*slot, op);
        }
        for ((set, element), (there, gone)) in &other.sets {
            let (there, gone): (Vec<Stamp>, Vec<Stamp>) = (
                there.iter().copied().collect(),
                gone.iter().copied().collect(),
            );
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
        match self.change(Slot::Pin(user)) {
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
        match self.change(Slot::Nickname(user)) {
            Some(Change::Nickname { name, .. }) => {
                Some(name.as_str()).filter(|name| !name.is_empty())
            }
            _ => None,
        }
    }

    /// How far the conversation with `peer` has been read: message and its time.
    #[must_use]
    pub fn read_mark(&self, peer: UserId) -> Option<(ItemId, Timestamp)> {
        match self.change(Slot::ReadMark(peer)) {
            Some(Change::ReadMark { message, at, .. }) => Some((*message, *at)),
            _ => None,
        }
    }

    /// Until when the conversation with `peer` is mute.
    #[must_use]
    pub fn muted_until(&self, peer: UserId) -> Option<Timestamp> {
        match self.change(Slot::Mute(peer)) {
            Some(Change::Mute { until, .. }) => *until,
            _ => None,
        }
    }

    /// What is written to `peer` and not sent.
    #[must_use]
    pub fn draft(&self, peer: UserId) -> Option<&str> {
        match self.change(Slot::Draft(peer)) {
            Some(Change::Draft { text, .. }) => Some(text.as_str()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// A device's name.
    #[must_use]
    pub fn device_name(&self, device: DeviceId) -> Option<&str> {
        match self.change(Slot::DeviceName(device)) {
            Some(Change::DeviceName { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// The key under which the user's own profile is sealed.
    #[must_use]
    pub fn profile_key(&self) -> Option<&SharedProfileKey> {
        match self.change(Slot::ProfileKey) {
            Some(Change::ProfileKey(key)) => Some(key),
            _ => None,
        }
    }

    /// The profile key that a contact sent.
    #[must_use]
    pub fn contact_key(&self, user: UserId) -> Option<&SharedProfileKey> {
        match self.change(Slot::ContactKey(user)) {
            Some(Change::ContactKey { key, .. }) => Some(key),
            _ => None,
        }
    }

    /// Whether the conversation with `peer` is archived: yes, unless it was switched off.
    #[must_use]
    pub fn archives(&self, peer: UserId) -> bool {
        !matches!(
            self.change(Slot::Archiving(peer)),
            Some(Change::Archiving {
                archived: false,
                ..
            })
        )
    }

    /// Whether `element` is in `set`.
    #[must_use]
    pub fn contains(&self, set: SetName, element: &[u8]) -> bool {
        self.tags(set, element)
            .is_some_and(|(there, _)| !there.is_empty())
    }

    /// What is in `set`.
    #[must_use]
    pub fn elements(&self, set: SetName) -> Vec<Vec<u8>> {
        let there = self
            .sets
            .iter()
            .filter(|((name, _), (there, _))| *name == set && !there.is_empty());
        there.map(|((_, element), _)| element.clone()).collect()
    }

    /// The state as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let sets = self
            .sets
            .iter()
            .map(|((set, element), (there, gone))| SetRecord {
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
        let StateRecord {
            registers,
            sets,
            clocks,
        } = codec::decode_within(bytes, usize::MAX)?;
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

    fn change(&self, slot: Slot) -> Option<&Change> {
        self.registers.get(&slot).map(|op| &op.change)
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::e2ee::payload::Record;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn device(number: u8) -> DeviceId {
        DeviceId::from_bytes([number; 32])
    }

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 32])
    }

    fn draft(text: &str) -> Change {
        Change::Draft {
            peer: user(1),
            text: text.to_owned(),
        }
    }

    fn changes() -> impl Strategy<Value = Change> {
        let set = prop::sample::select(vec![SetName::Blocked, SetName::Favourite]);
        prop_oneof![
            (0_u8..3, "[a-c]{0,2}").prop_map(|(peer, text)| Change::Draft {
                peer: user(peer),
                text
            }),
            (0_u8..3, any::<bool>()).prop_map(|(peer, archived)| Change::Archiving {
                peer: user(peer),
                archived
            }),
            (set.clone(), 0_u8..3).prop_map(|(set, element)| Change::Insert {
                set,
                element: vec![element]
            }),
            (set, 0_u8..3, prop::collection::vec(stamps(), 0..4)).prop_map(
                |(set, element, observed)| Change::Remove {
                    set,
                    element: vec![element],
                    observed
                }
            ),
        ]
    }

    fn stamps() -> impl Strategy<Value = Stamp> {
        (0_u64..4, 0_u32..2, 0_u8..3).prop_map(|(at, counter, number)| Stamp {
            at: Timestamp::from_millis(at),
            counter,
            device: device(number),
        })
    }

    fn histories() -> impl Strategy<Value = Vec<Op>> {
        prop::collection::vec(
            (stamps(), changes()).prop_map(|(stamp, change)| Op { stamp, change }),
            0..14,
        )
    }

    fn fold<'a>(ops: impl IntoIterator<Item = &'a Op>) -> JournalState {
        let mut state = JournalState::new();
        for op in ops {
            state.apply(op);
        }
        state
    }

    fn merged(one: &JournalState, other: &JournalState) -> JournalState {
        let mut state = one.clone();
        state.merge(other);
        state
    }

    proptest! {
        #[test]
        fn merging_is_commutative_associative_and_idempotent(a in histories(), b in histories(), c in histories()) {
            let (a, b, c) = (fold(&a), fold(&b), fold(&c));
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&a, &JournalState::new()), a);
        }

        #[test]
        fn order_and_repetition_do_not_matter(ops in histories(), seed in any::<usize>()) {
            let mut other = ops.clone();
            if !other.is_empty() {
                let middle = seed % other.len();
                other.rotate_left(middle);
                other.reverse();
                other.extend_from_slice(&ops[middle..]);
            }
            prop_assert_eq!(fold(&ops), fold(&other));
            let (left, right) = ops.split_at(ops.len() / 2);
            prop_assert_eq!(merged(&fold(left), &fold(right)), fold(&ops));
        }

        #[test]
        fn a_state_is_stored_and_read_back_and_an_operation_as_well(ops in histories()) {
            let state = fold(&ops);
            prop_assert_eq!(JournalState::from_bytes(&state.to_bytes()).unwrap(), state);
            for op in ops {
                let record = Record::Op(op);
                prop_assert_eq!(Record::decode(&record.encode()), record);
            }
        }
    }

    #[test]
    fn a_later_write_wins_and_one_in_sight_of_another_always_does() {
        let mut state = JournalState::new();
        let first = state.stamp(draft("first"), device(1), NOW);
        state.apply(&first);
        // The other device's clock is a minute behind, but it has seen the first write.
        let second = state.stamp(
            draft("second"),
            device(2),
            Timestamp::from_millis(NOW.as_millis() - 60_000),
        );
        state.apply(&second);
        assert!(!state.apply(&first));
        assert_eq!(state.draft(user(1)), Some("second"));
    }

    #[test]
    fn a_clock_more_than_ten_minutes_ahead_is_clamped() {
        let mut state = JournalState::new();
        let year = NOW.plus(Duration::from_secs(365 * 24 * 3_600));
        let stale = state.stamp(draft("from next year"), device(1), year);
        state.apply(&stale);
        let other = state.stamp(
            Change::Nickname {
                user: user(2),
                name: "x".to_owned(),
            },
            device(2),
            NOW,
        );
        assert_eq!(other.stamp.at, NOW.plus(MAX_AHEAD));
        state.apply(&other);
        let again = state.stamp(
            Change::Nickname {
                user: user(3),
                name: "y".to_owned(),
            },
            device(2),
            NOW,
        );
        assert!(again.stamp > other.stamp && again.stamp.at == other.stamp.at);
        // What the stale clock wrote can still be overwritten, here and everywhere.
        let fix = state.stamp(draft("from today"), device(2), NOW);
        let mut elsewhere = JournalState::new();
        elsewhere.apply(&fix);
        elsewhere.apply(&stale);
        assert_eq!(elsewhere.draft(user(1)), Some("from today"));
    }

    #[test]
    fn a_clock_within_ten_minutes_is_followed() {
        let mut state = JournalState::new();
        let ahead = NOW.plus(Duration::from_secs(300));
        let op = state.stamp(draft("ahead"), device(1), ahead);
        state.apply(&op);
        let next = state.stamp(
            Change::ProfileKey(SharedProfileKey { key: [1; 32] }),
            device(2),
            NOW,
        );
        assert_eq!((next.stamp.at, next.stamp.counter), (ahead, 1));
    }

    #[test]
    fn a_removal_takes_what_it_saw_and_an_insertion_elsewhere_survives() {
        let (mut here, mut there) = (JournalState::new(), JournalState::new());
        let insert = |element: &[u8]| Change::Insert {
            set: SetName::Blocked,
            element: element.to_vec(),
        };
        let op = here.stamp(insert(b"eve"), device(1), NOW);
        here.apply(&op);
        there.apply(&op);
        let again = there.stamp(insert(b"eve"), device(2), NOW);
        there.apply(&again);
        let removal = here.stamp(here.removal(SetName::Blocked, b"eve"), device(1), NOW);
        here.apply(&removal);
        assert!(!here.contains(SetName::Blocked, b"eve"));
        assert!(merged(&here, &there).contains(SetName::Blocked, b"eve"));
        let removal = there.stamp(there.removal(SetName::Blocked, b"eve"), device(2), NOW);
        there.apply(&removal);
        assert!(merged(&here, &there).elements(SetName::Blocked).is_empty());
    }

    #[test]
    fn archiving_is_on_until_it_is_switched_off() {
        let mut state = JournalState::new();
        assert!(state.archives(user(1)));
        let op = state.stamp(
            Change::Archiving {
                peer: user(1),
                archived: false,
            },
            device(1),
            NOW,
        );
        state.apply(&op);
        assert!(!state.archives(user(1)) && state.archives(user(2)));
    }
}
