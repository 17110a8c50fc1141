use proptest::prelude::*;

use super::*;

fn place(text: &str) -> HostPort {
    text.parse().unwrap()
}

fn finding(rank: Rank, at: &str, reached: Option<&str>) -> StoredFinding {
    let reached = reached.map(|text| text.parse().unwrap());
    StoredFinding { rank, place: place(at), reached }
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[test]
fn places_are_tried_in_the_order_of_ranks() {
    assert!(RANKS.is_sorted() && RANKS.first() == Some(&Rank::Override));
    for (number, rank) in (1..).zip(RANKS) {
        assert_eq!(Rank::from_number(number), Some(rank), "none is left out");
    }
    assert_eq!(Rank::from_number(6), None);
}

#[test]
fn a_document_is_kept_for_as_long_as_it_says_within_bounds() {
    let hours = Duration::from_hours;
    assert_eq!(lifetime(None), hours(24));
    assert_eq!(lifetime(Some(hours(3))), hours(3));
    assert_eq!(lifetime(Some(Duration::ZERO)), hours(1));
    assert_eq!(lifetime(Some(hours(10_000))), hours(168));
}

#[test]
fn who_is_silent_has_said_what_they_said_before_and_who_denies_has_not() {
    let known = [
        finding(Rank::WellKnown, "a.example", Some("192.0.2.1:1")),
        finding(Rank::Srv, "b.example", None),
    ];
    let silence = Word::Silence("no answer".to_owned());
    let before = candidates(Rank::WellKnown, &silence, &known);
    let reached = Some("192.0.2.1:1".parse().unwrap());
    let there = Candidate { rank: Rank::WellKnown, place: place("a.example"), reached };
    assert_eq!(before, std::slice::from_ref(&there));
    assert_eq!(candidates(Rank::WellKnown, &Word::Nowhere("404".to_owned()), &known), []);
    assert_eq!(candidates(Rank::Name, &silence, &known), [], "somebody else's word");
    // An address belongs to the place that it was found by.
    let moved = Word::There(vec![place("c.example"), place("a.example")]);
    let moved = candidates(Rank::WellKnown, &moved, &known);
    assert_eq!(moved[0].reached, None);
    assert_eq!(moved[1], there);
}

#[test]
fn srv_records_are_pointers_to_hosts_by_priority_and_weight() {
    let record = |priority, weight, port, target: &str| SrvRecord {
        priority,
        weight,
        port,
        target: target.to_owned(),
    };
    let records = vec![
        record(20, 0, 1, "last.example."),
        record(10, 1, 2, "Second.example."),
        record(10, 5, 3, "first.example"),
        record(0, 0, 4, "."),
        record(0, 0, 0, "none.example"),
        record(0, 0, 5, "no host"),
    ];
    let places: Vec<_> = by_srv(records).iter().map(ToString::to_string).collect();
    assert_eq!(places, ["first.example:3", "second.example:2", "last.example:1"]);
    let many = (0..99).map(|number| record(number, 0, 1, "a.example")).collect();
    assert_eq!(by_srv(many).len(), MAX_TARGETS);
}

#[test]
fn nobodys_word_leads_to_addresses_that_are_not_public() {
    for bad in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.0.9",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.9",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "fec0::1",
        "2001:db8::1",
        "2001::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "4000::1",
        "100::1",
    ] {
        assert!(denied(bad.parse().unwrap()).is_some(), "{bad}");
    }
    for good in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.169.0.1",
        "100.63.0.1",
        "100.128.0.1",
        "223.255.255.255",
        "169.253.0.1",
        "2a01:4f8::1",
        "2606:4700::1",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::1",
    ] {
        assert_eq!(denied(good.parse().unwrap()), None, "{good}");
    }
}

#[test]
fn what_was_kept_ends_and_what_ends_first_makes_room() {
    let mut memory = Memory::new(2);
    let hours = Duration::from_hours;
    memory.keep("a", 1, hours(1), NOW);
    assert_eq!(memory.recall("a", NOW.plus(Duration::from_mins(59))), Some(&1));
    assert_eq!(memory.recall("a", NOW.plus(hours(1))), None);
    memory.keep("b", 2, hours(3), NOW);
    memory.keep("c", 3, hours(2), NOW);
    assert_eq!([memory.recall("a", NOW), memory.recall("b", NOW)], [None, Some(&2)]);
    memory.keep("b", 4, hours(3), NOW);
    assert_eq!([memory.recall("b", NOW), memory.recall("c", NOW)], [Some(&4), Some(&3)]);
    memory.forget("b");
    assert_eq!(memory.recall("b", NOW), None);
    // A clock that was set back does not keep things for ever.
    memory.keep("d", 5, hours(1), NOW.plus(hours(9_000)));
    assert_eq!(memory.recall("d", NOW), None);
}

fn any_finding() -> impl Strategy<Value = StoredFinding> {
    (0..RANKS.len(), 0..3_u16, prop::option::of(0..3_u8)).prop_map(|(rank, port, last)| {
        let reached = last.map(|last| SocketAddr::from(([192, 0, 2, last], 1)));
        StoredFinding { rank: RANKS[rank], place: place(&format!("a.example:{port}")), reached }
    })
}

proptest! {
    #[test]
    fn a_word_overwrites_no_other_than_its_own(heard in prop::collection::vec(any_finding(), 0..20)) {
        let mut known: Vec<StoredFinding> = vec![];
        for one in heard {
            let before = known.clone();
            if let Some(new) = news(&known, one.clone()) {
                known.retain(|old| old.rank != new.rank);
                known.push(new);
            }
            for old in before.iter().filter(|old| old.rank != one.rank) {
                prop_assert!(known.contains(old), "{old:?} by {one:?}");
            }
            let kept = known.iter().find(|kept| kept.rank == one.rank);
            if one.rank == Rank::Override {
                prop_assert_eq!(kept, None, "an administrator's word is kept elsewhere");
            } else {
                let kept = kept.unwrap();
                prop_assert_eq!(&kept.place, &one.place, "the last word counts");
                prop_assert!(one.reached.is_none() || kept.reached == one.reached);
                prop_assert_eq!(news(&known, one.clone()), None, "said twice");
            }
        }
    }

    #[test]
    fn a_memory_keeps_to_its_bound(keys in prop::collection::vec((0..30_u8, 0..500_u64), 0..60)) {
        let mut memory = Memory::new(7);
        for (key, hours) in keys {
            memory.keep(&key.to_string(), key, Duration::from_hours(hours), NOW);
            prop_assert!(memory.kept.len() <= 7);
            prop_assert!(hours == 0 || memory.recall(&key.to_string(), NOW) == Some(&key));
        }
    }
}
