//! Two devices against each other in simulated time.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]

use rookery_protocol::{
    chain::HeadRef,
    codec::Octets,
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind},
    id::{DeviceId, ItemId, RatchetId, ServerId},
    key::AgreementKey,
    prekey::{Bundle, PrekeyUpload},
    user::State,
};

use super::*;
use crate::e2ee::{
    Random as _, SeededRandom,
    identity::{DeviceSecrets, MadeFor},
    payload::{Payload, Text},
    prekey::PrekeyStore,
    puk::PukRing,
    random::array,
    recovery::RecoveryKey,
    statement::{Founder, found},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const DAY: Duration = Duration::from_hours(24);

/// A user with one device.
pub(crate) struct End {
    pub(crate) state: State,
    pub(crate) device: DeviceSecrets,
    pub(crate) keys: PrekeyStore,
    upload: PrekeyUpload,
    pub(crate) random: SeededRandom,
}

pub(crate) fn end(seed: u64) -> End {
    let mut random = SeededRandom::new(seed);
    let device = DeviceSecrets::generate(&mut random);
    let (recovery, ring) = (RecoveryKey::generate(&mut random), PukRing::generate(&mut random));
    let public = device.public(MadeFor::Person, Octets::default());
    let founder = Founder { device: &device, keys: &public, recovery: &recovery, ring: &ring };
    let home = "home.example".parse().unwrap();
    let state =
        found(home, ServerId::from_bytes([9; 32]), founder, NOW, &mut random).unwrap().state;
    let mut keys = PrekeyStore::new();
    keys.maintain(None, NOW, &mut random);
    let upload = keys.upload(&device).unwrap();
    End { state, device, keys, upload, random }
}

impl End {
    fn me(&self) -> Me<'_> {
        Me::of(&self.state, &self.device)
    }

    fn peer(&self) -> Peer<'_> {
        Peer::of(&self.state, self.device.id()).unwrap()
    }

    /// The bundle that the home gives out for the `number`th claim.
    fn bundle(&self, number: usize) -> Bundle {
        Bundle {
            suite: 1,
            user: self.state.user,
            device: self.device.id(),
            chain_head: self.state.head.into(),
            signed: self.upload.signed.clone().unwrap(),
            signed_kem: self.upload.signed_kem.clone().unwrap(),
            one_time: self.upload.one_time.get(number).cloned(),
            one_time_kem: self.upload.one_time_kem.get(number).cloned(),
        }
    }
}

fn text(words: &str) -> Payload {
    Payload::Text(Text { text: words.to_owned(), reply_to: None })
}

fn seal_at(
    from: &mut End,
    pair: Pair,
    to: &End,
    bundle: Option<&Bundle>,
    words: &str,
    now: Timestamp,
) -> Result<Sealed, Unsealed> {
    let payload = text(words);
    let message = ItemId::from_bytes(array(&mut from.random));
    let outgoing = Outgoing { message, to: to.state.user, payload: &payload };
    let me = Me::of(&from.state, &from.device);
    pair.seal(&me, &to.peer(), bundle, &outgoing, now, &mut from.random)
}

fn seal(
    from: &mut End,
    pair: Pair,
    to: &End,
    bundle: Option<&Bundle>,
    words: &str,
) -> (Pair, Envelope) {
    let Sealed { pair, envelope } = seal_at(from, pair, to, bundle, words, NOW).unwrap();
    (*pair, envelope)
}

fn open_at(
    to: &mut End,
    pair: &Pair,
    from: &End,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Opened, OpenError> {
    let me = Me::of(&to.state, &to.device);
    pair.open(&me, &from.peer(), &to.keys, envelope, now, &mut to.random)
}

/// Opens, and does what the store does: keeps the pair, spends the prekeys.
#[expect(clippy::needless_pass_by_value, reason = "the pair that was is not used again")]
fn take(to: &mut End, pair: Pair, from: &End, envelope: &Envelope) -> (Pair, String, SessionEvent) {
    let opened = open_at(to, &pair, from, envelope, NOW).unwrap();
    if let Some(spent) = opened.spent {
        to.keys.spend(spent);
    }
    let Payload::Text(Text { text, .. }) = opened.payload else { panic!("no text") };
    (*opened.pair, text, opened.session)
}

/// Two devices with a session that both have used.
fn talking() -> (End, End, Pair, Pair) {
    let (mut alice, mut bob) = (end(1), end(2));
    let bundle = bob.bundle(0);
    let (a, envelope) = seal(&mut alice, Pair::new(), &bob, Some(&bundle), "hello");
    let (b, ..) = take(&mut bob, Pair::new(), &alice, &envelope);
    let (b, envelope) = seal(&mut bob, b, &alice, None, "hello yourself");
    let (a, ..) = take(&mut alice, a, &bob, &envelope);
    (alice, bob, a, b)
}

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

fn flip<const MAX: usize>(bytes: &[u8], bit: usize) -> Octets<MAX> {
    let mut bytes = bytes.to_vec();
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    Octets::parse(bytes).unwrap()
}

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

/// The same envelope with its header changed.
fn with_header(envelope: &Envelope, change: impl FnOnce(&mut EnvelopeHeader)) -> Envelope {
    let mut header = envelope.read_header().unwrap();
    change(&mut header);
    Envelope { header: Octets::parse(codec::encode(&header)).unwrap(), ..envelope.clone() }
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
