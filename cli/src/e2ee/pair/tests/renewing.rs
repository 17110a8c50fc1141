//! Sessions that take the place of others: healed, begun by both at once, begun anew after a loss.

use super::*;

#[test]
fn numbers_never_come_twice_whatever_happens_to_sessions() {
    let (mut alice, mut bob, mut a, mut b) = talking();
    let mut numbers = std::collections::BTreeSet::new();
    for round in 1..6 {
        if round % 2 == 0 {
            a.quarantine();
        }
        let bundle = bob.bundle(round);
        for _ in 0..3 {
            let (next, envelope) = seal(&mut alice, a, &bob, Some(&bundle), "count");
            a = Pair::from_bytes(&next.to_bytes()).unwrap();
            let opened = open_at(&mut bob, &b, &alice, &envelope, NOW).unwrap();
            assert!(numbers.insert(opened.n));
            b = *opened.pair;
        }
    }
    assert_eq!(numbers.len(), 15);
}

#[test]
fn of_two_simultaneous_sessions_the_lower_wins_on_both_sides_and_nothing_is_lost() {
    for seed in 10..20 {
        let (mut alice, mut bob) = (end(seed), end(seed + 100));
        let (for_bob, for_alice) = (bob.bundle(0), alice.bundle(0));
        let (a, from_alice) = seal(&mut alice, Pair::new(), &bob, Some(&for_bob), "from alice");
        let (b, from_bob) = seal(&mut bob, Pair::new(), &alice, Some(&for_alice), "from bob");
        let (a, words, _) = take(&mut alice, a, &bob, &from_bob);
        assert_eq!(words, "from bob");
        let (b, words, _) = take(&mut bob, b, &alice, &from_alice);
        assert_eq!(words, "from alice");
        let lower =
            from_alice.read_header().unwrap().session.min(from_bob.read_header().unwrap().session);
        assert_eq!((a.active.as_ref().unwrap().id, b.active.as_ref().unwrap().id), (lower, lower));
        let (a, envelope) = seal(&mut alice, a, &bob, None, "on");
        let (b, ..) = take(&mut bob, b, &alice, &envelope);
        let (_, envelope) = seal(&mut bob, b, &alice, None, "and on");
        take(&mut alice, a, &bob, &envelope);
    }
}

#[test]
fn a_session_is_healed_by_time_by_count_and_by_a_new_per_user_key() {
    let (mut alice, bob, a, _) = talking();
    assert_eq!(a.bundle_need(&alice.me(), &bob.peer(), NOW.plus(DAY * 6)), BundleNeed::None);
    assert_eq!(a.bundle_need(&alice.me(), &bob.peer(), NOW.plus(DAY * 7)), BundleNeed::Due);
    assert_eq!(a.bundle_need(&alice.me(), &bob.peer(), NOW.plus(DAY * 14)), BundleNeed::Required);
    let turned = Me { puk_generation: 2, ..alice.me() };
    assert_eq!(a.bundle_need(&turned, &bob.peer(), NOW), BundleNeed::Due);
    let turned = Peer { puk_generation: 2, ..bob.peer() };
    assert_eq!(a.bundle_need(&alice.me(), &turned, NOW), BundleNeed::Due);
    let mut a = a;
    a.active.as_mut().unwrap().messages = REHANDSHAKE_MESSAGES;
    assert_eq!(a.bundle_need(&alice.me(), &bob.peer(), NOW), BundleNeed::Due);
    // Without a bundle the old session still serves.
    assert!(seal_at(&mut alice, a, &bob, None, "on", NOW).is_ok());
}

#[test]
fn a_healed_session_names_the_old_one_and_the_old_one_opens_for_a_day_more() {
    let (mut alice, mut bob, a, b) = talking();
    let old = a.active.as_ref().unwrap().id;
    let (b, on_its_way) = seal(&mut bob, b, &alice, None, "on its way");
    let later = NOW.plus(DAY * 8);
    let bundle = bob.bundle(1);
    let Sealed { pair: a, envelope } =
        seal_at(&mut alice, a, &bob, Some(&bundle), "healed", later).unwrap();
    assert_eq!(envelope.initiation.as_ref().unwrap().previous, Some(old));
    let opened = open_at(&mut bob, &b, &alice, &envelope, later).unwrap();
    assert_eq!(opened.session, SessionEvent::Begun);
    let Sealed { envelope: answer, .. } =
        seal_at(&mut bob, *opened.pair, &alice, None, "good", later).unwrap();
    let a = *open_at(&mut alice, &a, &bob, &answer, later).unwrap().pair;
    assert!(open_at(&mut alice, &a, &bob, &on_its_way, later.plus(DAY / 2)).is_ok());
    let Sealed { pair: a, .. } = seal_at(&mut alice, a, &bob, None, "on", later.plus(DAY)).unwrap();
    assert_eq!(
        open_at(&mut alice, &a, &bob, &on_its_way, later.plus(DAY)).unwrap_err(),
        OpenError::Undecryptable
    );
}

#[test]
fn an_old_session_stays_until_the_other_device_is_heard_in_the_new_one() {
    let (mut alice, mut bob, a, b) = talking();
    let bundle = bob.bundle(1);
    let Sealed { pair: a, .. } =
        seal_at(&mut alice, a, &bob, Some(&bundle), "healed", NOW.plus(DAY * 8)).unwrap();
    // Bob was away for a month, and writes before he reads.
    let (_, envelope) = seal(&mut bob, b, &alice, None, "I am back");
    assert!(open_at(&mut alice, &a, &bob, &envelope, NOW.plus(DAY * 38)).is_ok());
}

#[test]
fn three_failures_within_a_day_call_for_one_reset_an_hour() {
    let mut pair = Pair::new();
    assert_eq!(pair.note_failure(NOW), AfterFailure::Wait);
    assert_eq!(
        pair.note_failure(NOW.plus(DAY * 2)),
        AfterFailure::Wait,
        "the first is too long ago"
    );
    assert_eq!(pair.note_failure(NOW.plus(DAY * 2)), AfterFailure::Wait);
    assert_eq!(pair.note_failure(NOW.plus(DAY * 2)), AfterFailure::Resync);
    pair.own_reset = Some(NOW.plus(DAY * 2));
    assert_eq!(pair.note_failure(NOW.plus(DAY * 2 + DAY / 25)), AfterFailure::Wait);
    assert_eq!(pair.note_failure(NOW.plus(DAY * 2 + DAY / 24)), AfterFailure::Resync);
}

#[test]
fn a_reset_is_signed_shown_counted_and_tells_how_far_its_sender_got() {
    let (mut alice, mut bob, a, b) = talking();
    // Bob's store was lost but for the numbers.
    let mut b = b;
    b.quarantine();
    let bundle = alice.bundle(3);
    let message = ItemId::from_bytes([5; 16]);
    let me = Me::of(&bob.state, &bob.device);
    let Sealed { pair: b, envelope } =
        b.seal_reset(&me, &alice.peer(), &bundle, message, NOW, &mut bob.random).unwrap();
    let unsigned = with_header(&envelope, |header| header.kind = EnvelopeKind::Handshake);
    let mut forged = envelope.clone();
    forged.initiation.as_mut().unwrap().resync =
        Some(alice.device.signing().sign(rookery_protocol::key::Domain::RESYNC, b"no"));
    for wrong in [unsigned, forged] {
        assert_eq!(
            open_at(&mut alice, &a, &bob, &wrong, NOW).unwrap_err(),
            OpenError::Undecryptable
        );
    }
    let opened = open_at(&mut alice, &a, &bob, &envelope, NOW).unwrap();
    assert_eq!(opened.session, SessionEvent::Reset { last_good: Some(1) });
    let (a, envelope) = seal(&mut alice, *opened.pair, &bob, None, "again");
    let (b, words, _) = take(&mut bob, *b, &alice, &envelope);
    assert_eq!((words.as_str(), a.resets.len(), b.resets.len()), ("again", 1, 1));
    let soon = b.seal_reset(
        &Me::of(&bob.state, &bob.device),
        &alice.peer(),
        &bundle,
        message,
        NOW,
        &mut bob.random,
    );
    assert_eq!(soon.unwrap_err().reason, SealError::TooSoon);
}

#[test]
fn three_resets_within_thirty_days_are_alarming() {
    let mut pair = Pair::new();
    for day in [0, 20, 31] {
        remember(&mut pair.resets, NOW.plus(DAY * day));
    }
    assert!(!pair.clone_alarm(NOW.plus(DAY * 31)));
    remember(&mut pair.resets, NOW.plus(DAY * 32));
    assert!(pair.clone_alarm(NOW.plus(DAY * 32)));
}

#[test]
fn a_sender_on_an_old_copy_skips_the_numbers_that_are_taken() {
    let (mut alice, mut bob, a, b) = talking();
    let old = a.to_bytes();
    let (mut a, mut b) = (a, b);
    for _ in 0..5 {
        let (next, envelope) = seal(&mut alice, a, &bob, None, "x");
        a = next;
        b = take(&mut bob, b, &alice, &envelope).0;
    }
    let mut restored = Pair::from_bytes(&old).unwrap();
    restored.quarantine();
    let bundle = alice.bundle(4);
    let me = Me::of(&bob.state, &bob.device);
    let message = ItemId::from_bytes([5; 16]);
    let Sealed { envelope, .. } =
        b.seal_reset(&me, &alice.peer(), &bundle, message, NOW, &mut bob.random).unwrap();
    let opened = open_at(&mut alice, &restored, &bob, &envelope, NOW).unwrap();
    assert_eq!(opened.pair.next, 7);
}

#[test]
fn a_reset_out_of_an_old_copy_is_no_replay() {
    let (mut alice, mut bob, a, b) = talking();
    let old = b.to_bytes();
    let (mut a, mut b) = (a, b);
    for _ in 0..5 {
        let (next, envelope) = seal(&mut bob, b, &alice, None, "x");
        b = next;
        a = take(&mut alice, a, &bob, &envelope).0;
    }
    let restored = Pair::from_bytes(&old).unwrap();
    let bundle = alice.bundle(4);
    let me = Me::of(&bob.state, &bob.device);
    let message = ItemId::from_bytes([5; 16]);
    let Sealed { pair: restored, envelope } =
        restored.seal_reset(&me, &alice.peer(), &bundle, message, NOW, &mut bob.random).unwrap();
    let opened = open_at(&mut alice, &a, &bob, &envelope, NOW).unwrap();
    assert!(matches!(opened.session, SessionEvent::Reset { .. }) && opened.pair.was_reset());
    let (_, envelope) = seal(&mut bob, *restored, &alice, None, "and on");
    assert_eq!(take(&mut alice, *opened.pair, &bob, &envelope).1, "and on");
}
