//! What must not open, and what must not be sealed.

use super::*;

#[test]
fn a_changed_bit_anywhere_is_refused_and_changes_nothing() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (_, first) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "hello");
    let (mut alice2, mut bob2, a, b) = talking();
    let (_, later) = seal(&mut alice2, a, &bob2, None, "words");
    for (envelope, from, to, pair) in
        [(&first, &alice, &mut bob, Pair::new()), (&later, &alice2, &mut bob2, b)]
    {
        let before = pair.to_bytes();
        let whole = codec::encode(envelope);
        for bit in (0..whole.len() * 8).step_by(7) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(changed) = codec::decode::<Envelope>(&bytes) else {
                continue;
            };
            assert!(open_at(to, &pair, from, &changed, NOW).is_err(), "bit {bit}");
        }
        for length in (0..envelope.sealed.len()).step_by(13) {
            let sealed = Octets::parse(envelope.sealed.as_slice()[..length].to_vec()).unwrap();
            let cut = Envelope { sealed, ..envelope.clone() };
            assert_eq!(open_at(to, &pair, from, &cut, NOW).unwrap_err(), OpenError::Undecryptable);
        }
        assert_eq!(pair.to_bytes(), before);
        assert!(open_at(to, &pair, from, envelope, NOW).is_ok(), "the true one still opens");
    }
}

#[test]
fn no_field_of_the_header_can_be_another_s() {
    let (mut alice, mut bob, a, b) = talking();
    let (a, one) = seal(&mut alice, a, &bob, None, "one");
    let (_, two) = seal(&mut alice, a, &bob, None, "two");
    let other = two.read_header().unwrap();
    let changed = [
        with_header(&one, |header| header.message = other.message),
        with_header(&one, |header| header.kind = EnvelopeKind::Handshake),
        with_header(&one, |header| header.kind = EnvelopeKind::Resync),
        with_header(&one, |header| header.suite = 2),
        with_header(&one, |header| header.session = RatchetId::from_bytes([0; 16])),
        Envelope { sealed: two.sealed.clone(), ..one.clone() },
        Envelope { header: two.header.clone(), ..one.clone() },
    ];
    for changed in changed {
        assert_eq!(
            open_at(&mut bob, &b, &alice, &changed, NOW).unwrap_err(),
            OpenError::Undecryptable
        );
    }
    let misdirected = [
        with_header(&one, |header| header.dst_user = header.src_user),
        with_header(&one, |header| header.dst_device = header.src_device),
        with_header(&one, |header| header.src_user = header.dst_user),
        with_header(&one, |header| header.src_device = DeviceId::from_bytes([1; 32])),
    ];
    for changed in misdirected {
        assert_eq!(
            open_at(&mut bob, &b, &alice, &changed, NOW).unwrap_err(),
            OpenError::Misdirected
        );
    }
}

#[test]
fn what_was_taken_in_is_replayed_and_not_a_failure() {
    let (mut alice, mut bob, mut a, mut b) = talking();
    let mut sent = vec![];
    for number in 0..100 {
        let (next, envelope) = seal(&mut alice, a, &bob, None, "again");
        a = next;
        b = take(&mut bob, b, &alice, &envelope).0;
        sent.push(envelope);
        if number % 10 == 0 {
            let (next, envelope) = seal(&mut bob, b, &alice, None, "turn");
            b = next;
            a = take(&mut alice, a, &bob, &envelope).0;
        }
    }
    for envelope in &sent {
        assert_eq!(open_at(&mut bob, &b, &alice, envelope, NOW).unwrap_err(), OpenError::Replayed);
    }
}

#[test]
fn a_first_envelope_that_is_replayed_after_its_session_was_forgotten_is_known() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = Bundle { one_time: None, one_time_kem: None, ..bob.bundle(0) };
    let (_, first) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "hello");
    let (mut b, ..) = take(&mut bob, Pair::new(), &alice, &first);
    b.quarantine();
    assert_eq!(open_at(&mut bob, &b, &alice, &first, NOW).unwrap_err(), OpenError::Replayed);
}

#[test]
fn a_bundle_that_is_another_s_forged_or_weak_is_refused() {
    let (mut alice, bob) = (end(1), end(2));
    let mut refuse = |bundle: Bundle, why: SealError| {
        let unsealed = seal_at(&mut alice, Pair::new(), &bob, Some(&bundle), "x", NOW).unwrap_err();
        assert_eq!((unsealed.reason, unsealed.pair.next), (why, 1));
    };
    let forged = || SealError::BadBundle("a signature does not hold");
    let good = bob.bundle(0);
    refuse(
        Bundle { device: DeviceId::from_bytes([1; 32]), ..good.clone() },
        SealError::BadBundle("it is another device's"),
    );
    refuse(Bundle { suite: 2, ..good.clone() }, forged());
    let mut moved = good.clone();
    moved.signed.id += 1;
    refuse(moved, forged());
    let mut swapped = good.clone();
    swapped.one_time = Some(swapped.signed.clone());
    refuse(swapped, forged());
    let fork = HeadRef { hash: Digest::from_bytes([1; 32]), ..good.chain_head };
    refuse(Bundle { chain_head: fork, ..good.clone() }, SealError::Forked);
    // A key of small order, signed by its device all the same.
    for zero in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let zero = AgreementKey::from_bytes(zero);
        let domain = rookery_protocol::key::Domain::PREKEY_EC;
        let signed =
            rookery_protocol::prekey::EcPrekey::sign(bob.device.signing(), domain, 9, zero, NOW);
        refuse(
            Bundle { signed, ..good.clone() },
            SealError::BadBundle("a key contributes nothing"),
        );
    }
}

#[test]
fn a_zero_ephemeral_key_is_refused_by_the_responder() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (_, mut envelope) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "x");
    envelope.initiation.as_mut().unwrap().ephemeral = AgreementKey::from_bytes([0; 32]);
    assert_eq!(
        open_at(&mut bob, &Pair::new(), &alice, &envelope, NOW).unwrap_err(),
        OpenError::Undecryptable
    );
}

#[test]
fn heads_that_are_newer_wait_and_heads_that_contradict_stop() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (_, honest) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "x");
    let head = alice.state.head;
    alice.state.head.seq += 1;
    let (_, newer) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "x");
    alice.state.head = head;
    assert_eq!(
        open_at(&mut bob, &Pair::new(), &alice, &newer, NOW).unwrap_err(),
        OpenError::ChainBehind
    );
    let mut other = end(1);
    other.state.head.hash = Digest::from_bytes([3; 32]);
    assert_eq!(
        open_at(&mut bob, &Pair::new(), &other, &honest, NOW).unwrap_err(),
        OpenError::Forked
    );
    let opened = open_at(&mut bob, &Pair::new(), &alice, &honest, NOW);
    assert!(opened.is_ok());
}

#[test]
fn disagreeing_about_who_somebody_is_gives_different_keys() {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (_, envelope) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "x");
    // The home shows bob another identity key for alice's device than she has.
    let mut state = alice.state.clone();
    let mut device = state.devices.get(&alice.device.id()).unwrap().clone();
    device.keys.identity = bob.peer().keys.identity;
    state.devices = state.devices.insert(alice.device.id(), device);
    let me = Me::of(&bob.state, &bob.device);
    let liar = Peer::of(&state, alice.device.id()).unwrap();
    let result = Pair::new().open(&me, &liar, &bob.keys, &envelope, NOW, &mut bob.random);
    assert_eq!(result.unwrap_err(), OpenError::Undecryptable);
}

#[test]
fn a_stranger_cannot_put_words_under_another_conversation() {
    let (mut alice, mut bob, a, b) = talking();
    let payload = text("x");
    let outgoing =
        Outgoing { message: ItemId::from_bytes([1; 16]), to: alice.state.user, payload: &payload };
    let me = Me::of(&alice.state, &alice.device);
    let Sealed { envelope, .. } =
        a.seal(&me, &bob.peer(), None, &outgoing, NOW, &mut alice.random).unwrap();
    assert_eq!(
        open_at(&mut bob, &b, &alice, &envelope, NOW).unwrap_err(),
        OpenError::Undecryptable
    );
}
