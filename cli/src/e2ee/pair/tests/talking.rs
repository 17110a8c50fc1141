//! Sessions that begin and go on.

use super::*;

#[test]
fn two_devices_talk_both_ways_in_any_order() {
    let (mut alice, mut bob, mut a, mut b) = talking();
    for round in 0..20 {
        let mut letters = vec![];
        for number in 0..8 {
            let words = format!("{round} {number}");
            let (next, envelope) = seal(&mut alice, a, &bob, None, &words);
            a = next;
            letters.push((words, envelope));
        }
        letters.rotate_left(round % 8);
        letters.swap(0, 5);
        for (words, envelope) in letters {
            let (next, got, _) = take(&mut bob, b, &alice, &envelope);
            b = next;
            assert_eq!(got, words);
        }
        let (next, envelope) = seal(&mut bob, b, &alice, None, "yes");
        b = next;
        a = take(&mut alice, a, &bob, &envelope).0;
    }
}

#[test]
fn a_first_envelope_works_with_signed_prekeys_only() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = Bundle { one_time: None, one_time_kem: None, ..bob.bundle(0) };
    let (_, envelope) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "hello");
    let opened = open_at(&mut bob, &Pair::new(), &alice, &envelope, NOW).unwrap();
    assert_eq!((opened.spent, opened.session, opened.n), (None, SessionEvent::Begun, 1));
}

#[test]
fn one_time_keys_are_spent_by_what_opens_and_not_by_what_does_not() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (_, envelope) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "hello");
    let mut broken = envelope.clone();
    broken.sealed = flip(envelope.sealed.as_slice(), 400);
    assert_eq!(
        open_at(&mut bob, &Pair::new(), &alice, &broken, NOW).unwrap_err(),
        OpenError::Undecryptable
    );
    let opened = open_at(&mut bob, &Pair::new(), &alice, &envelope, NOW).unwrap();
    bob.keys.spend(opened.spent.unwrap());
    assert_eq!(
        open_at(&mut bob, &Pair::new(), &alice, &envelope, NOW).unwrap_err(),
        OpenError::Undecryptable
    );
}

#[test]
fn nothing_seals_without_a_bundle_and_the_pair_comes_back() {
    let (mut alice, bob) = (end(1), end(2));
    let unsealed = seal_at(&mut alice, Pair::new(), &bob, None, "hello", NOW).unwrap_err();
    assert_eq!((unsealed.reason, unsealed.pair.next), (SealError::NeedsBundle, 1));
}

#[test]
fn a_pair_goes_on_after_being_stored() {
    let (mut alice, mut bob, a, b) = talking();
    let (a, skipped) = seal(&mut alice, a, &bob, None, "late");
    let a = Pair::from_bytes(&a.to_bytes()).unwrap();
    let (_, envelope) = seal(&mut alice, a, &bob, None, "soon");
    let (b, words, _) = take(&mut bob, b, &alice, &envelope);
    let b = Pair::from_bytes(&b.to_bytes()).unwrap();
    let (_, late, _) = take(&mut bob, b, &alice, &skipped);
    assert_eq!((words.as_str(), late.as_str()), ("soon", "late"));
}

#[test]
fn small_payloads_are_all_as_long_and_too_long_ones_are_refused() {
    let (mut alice, bob, a, _) = talking();
    let (a, short) = seal(&mut alice, a, &bob, None, "a");
    let (a, longer) = seal(&mut alice, a, &bob, None, &"a".repeat(90));
    assert_eq!(short.sealed.len(), longer.sealed.len());
    let (a, longest) = seal(&mut alice, a, &bob, None, &"a".repeat(PAYLOAD_BYTES - 10));
    assert!(longest.sealed.len() <= 48 * 1024);
    let refused = seal_at(&mut alice, a, &bob, None, &"a".repeat(PAYLOAD_BYTES), NOW).unwrap_err();
    assert_eq!(refused.reason, SealError::TooLong { limit: PAYLOAD_BYTES });
}

#[test]
fn a_revoked_device_is_no_peer() {
    let alice = end(1);
    let mut state = alice.state.clone();
    let mut device = state.devices.get(&alice.device.id()).unwrap().clone();
    device.revoked = Some(1);
    state.devices = state.devices.insert(alice.device.id(), device);
    assert!(Peer::of(&state, alice.device.id()).is_none());
}

#[test]
fn a_pair_prints_no_secret() {
    let (.., a, _) = talking();
    let printed = format!("{a:?}");
    assert!(printed.starts_with("Pair(secret") && printed.len() < 120, "{printed}");
}

#[test]
fn the_source_of_randomness_is_asked_for_every_seal() {
    let (mut alice, bob, a, _) = talking();
    let copy = Pair::from_bytes(&a.to_bytes()).unwrap();
    let (_, one) = seal(&mut alice, a, &bob, None, "same");
    let (_, two) = seal(&mut alice, copy, &bob, None, "same");
    assert_ne!(one.sealed, two.sealed);
    alice.random.fill(&mut [0; 1]);
}
