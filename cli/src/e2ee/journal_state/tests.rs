#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]

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
    Change::Draft { peer: user(1), text: text.to_owned() }
}

fn item(number: u64) -> ItemId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ItemId::from_bytes(bytes)
}

fn read(peer: u8, at: u64) -> Change {
    Change::ReadMark { peer: user(peer), message: item(at), at: Timestamp::from_millis(at) }
}

fn unread(peer: u8, at: u64) -> Change {
    Change::Unread { peer: user(peer), message: item(at), at: Timestamp::from_millis(at) }
}

fn room(number: u8) -> (CommunityId, ChannelId) {
    (CommunityId::from_bytes([1; 32]), ChannelId::from_number(number.into()))
}

fn channel_read(number: u8, seq: u64) -> Change {
    let (community, channel) = room(number);
    Change::ChannelRead { community, channel, seq }
}

fn channel_unread(number: u8, from: u64) -> Change {
    let (community, channel) = room(number);
    Change::ChannelUnread { community, channel, from }
}

fn changes() -> impl Strategy<Value = Change> {
    let set = prop::sample::select(vec![SetName::Blocked, SetName::Favourite]);
    prop_oneof![
        (0_u8..3, "[a-c]{0,2}").prop_map(|(peer, text)| Change::Draft { peer: user(peer), text }),
        (0_u8..3, any::<bool>())
            .prop_map(|(peer, archived)| Change::Archiving { peer: user(peer), archived }),
        (0_u8..2, 0_u64..4).prop_map(|(peer, at)| read(peer, at)),
        (0_u8..2, 0_u64..4).prop_map(|(peer, at)| unread(peer, at)),
        (0_u8..2, 0_u64..4).prop_map(|(channel, seq)| channel_read(channel, seq)),
        (0_u8..2, 0_u64..4).prop_map(|(channel, from)| channel_unread(channel, from)),
        (set.clone(), 0_u8..3)
            .prop_map(|(set, element)| Change::Insert { set, element: vec![element] }),
        (set, 0_u8..3, prop::collection::vec(stamps(), 0..4)).prop_map(
            |(set, element, observed)| Change::Remove { set, element: vec![element], observed }
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

    /// However far each device's clock is off, what is written in sight of something else counts after it, wherever the two arrive first.
    #[test]
    fn a_read_in_sight_of_a_mark_ends_it_and_a_mark_in_sight_of_a_read_stands(
        before in histories(),
        clocks in prop::collection::vec((0_u8..3, 0_u64..2_000_000_000_000, any::<bool>()), 1..8),
        seed in any::<usize>(),
    ) {
        let mut state = fold(&before);
        let mut ops = before;
        let mut is_unread = false;
        for (number, at, marks) in clocks {
            is_unread = marks;
            let (direct, channel) =
                if marks { (unread(1, at), channel_unread(1, at)) } else { (read(1, at), channel_read(1, at)) };
            for change in [direct, channel] {
                let op = state.stamp(change, device(number), Timestamp::from_millis(at));
                state.apply(&op);
                ops.push(op);
            }
        }
        let middle = seed % ops.len();
        ops.rotate_left(middle);
        let elsewhere = fold(&ops);
        let (community, channel) = room(1);
        for state in [&state, &elsewhere] {
            prop_assert_eq!(state.unread_from(user(1)).is_some(), is_unread);
            prop_assert_eq!(state.channel_unread_from(community, channel).is_some(), is_unread);
            prop_assert_eq!(state.unread_marks().iter().any(|(peer, _)| *peer == user(1)), is_unread);
        }
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
    let second =
        state.stamp(draft("second"), device(2), Timestamp::from_millis(NOW.as_millis() - 60_000));
    state.apply(&second);
    assert!(!state.apply(&first));
    assert_eq!(state.draft(user(1)), Some("second"));
}

#[test]
fn a_clock_more_than_ten_minutes_ahead_is_clamped() {
    let mut state = JournalState::new();
    let year = NOW.plus(Duration::from_hours(365 * 24));
    let future = state.stamp(draft("from next year"), device(1), year);
    state.apply(&future);
    let other =
        state.stamp(Change::Nickname { user: user(2), name: "x".to_owned() }, device(2), NOW);
    assert_eq!(other.stamp.at, NOW.plus(MAX_AHEAD));
    state.apply(&other);
    let again =
        state.stamp(Change::Nickname { user: user(3), name: "y".to_owned() }, device(2), NOW);
    assert!(again.stamp > other.stamp && again.stamp.at == other.stamp.at);
    // What the stale clock wrote can still be overwritten, here and everywhere.
    let fix = state.stamp(draft("from today"), device(2), NOW);
    let mut elsewhere = JournalState::new();
    elsewhere.apply(&fix);
    elsewhere.apply(&future);
    assert_eq!(elsewhere.draft(user(1)), Some("from today"));
}

#[test]
fn a_clock_within_ten_minutes_is_followed() {
    let mut state = JournalState::new();
    let ahead = NOW.plus(Duration::from_mins(5));
    let op = state.stamp(draft("ahead"), device(1), ahead);
    state.apply(&op);
    let next = state.stamp(Change::ProfileKey(SharedProfileKey { key: [1; 32] }), device(2), NOW);
    assert_eq!((next.stamp.at, next.stamp.counter), (ahead, 1));
}

#[test]
fn a_removal_takes_what_it_saw_and_an_insertion_elsewhere_survives() {
    let (mut here, mut there) = (JournalState::new(), JournalState::new());
    let insert =
        |element: &[u8]| Change::Insert { set: SetName::Blocked, element: element.to_vec() };
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
    let op = state.stamp(Change::Archiving { peer: user(1), archived: false }, device(1), NOW);
    state.apply(&op);
    assert!(!state.archives(user(1)) && state.archives(user(2)));
}
