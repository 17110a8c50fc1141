//! The laws of a user's chain.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]

use super::*;
use crate::{
    chain::Submission,
    codec::Octets,
    id::ItemId,
    key::{AgreementKey, KemKey, SigningKey},
    time::Timestamp,
    user::{DeviceKeys, RecoveryKeys, RevokeReason},
};
use proptest::prelude::*;

/// A user under construction: keys by seed, entries as they are accepted.
struct Chain {
    user: UserId,
    state: State,
    entries: Vec<Entry>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn kem(seed: u8) -> KemKey {
    KemKey::from_slice(&[seed; crate::key::KEM_KEY_BYTES]).unwrap()
}

fn keys_of(seed: u8) -> DeviceKeys {
    DeviceKeys {
        signing: key(seed).verifying_key(),
        identity: AgreementKey::from_bytes([seed; 32]),
        sealing: kem(seed),
        bot: false,
        sealed_name: Octets::default(),
    }
}

fn id_of(seed: u8) -> DeviceId {
    keys_of(seed).device_id()
}

fn recovery_of(seed: u8) -> RecoveryKeys {
    RecoveryKeys { signing: key(seed).verifying_key(), sealing: kem(seed) }
}

fn puk(generation: u32) -> PukPublic {
    PukPublic {
        lane: Lane::Durable,
        generation,
        public: kem(0),
        commit: crate::id::Digest::ZERO,
        boxes_root: crate::id::Digest::ZERO,
    }
}

const RECOVERY: u8 = 99;

fn sign_as(user: UserId, statement: &Statement, signers: &[u8]) -> Submission {
    let chain = ChainId::of_user(user);
    let id = ItemId::from_bytes([u8::try_from(statement.seq).unwrap(); 16]);
    let body = codec::encode(statement);
    let at = Timestamp::from_millis(statement.seq);
    let mut submission =
        Submission::sign(&key(signers[0]), chain, id, Kind::UserStatement, body, at, None).unwrap();
    for signer in &signers[1..] {
        submission.signed = submission.signed.cosign(&key(*signer));
    }
    submission
}

impl Chain {
    /// A user whose first device has the key 1.
    fn begin() -> Self {
        Self::begin_signed_by(&[1, RECOVERY]).unwrap()
    }

    fn begin_signed_by(signers: &[u8]) -> Result<Self, Denied> {
        let statement = Statement::genesis(Genesis {
            home: "nest.example".parse().unwrap(),
            home_key: key(200).verifying_key().server_id(),
            recovery: recovery_of(RECOVERY),
            device: keys_of(1),
            puk: puk(1),
            nonce: Octets::default(),
        });
        let user = Statement::user_id(&codec::encode(&statement));
        let entry = sign_as(user, &statement, signers).place(ChainId::of_user(user), 0, None);
        let state = verify_and_apply(user, None, &entry)?;
        Ok(Self { user, state, entries: vec![entry] })
    }

    fn state_it(&mut self, action: Action, signers: &[u8]) -> Result<(), Denied> {
        let statement = Statement::next(self.user, self.state.head, action);
        let entry = sign_as(self.user, &statement, signers).place(
            ChainId::of_user(self.user),
            0,
            Some(self.state.head),
        );
        self.state = verify_and_apply(self.user, Some(&self.state), &entry)?;
        self.entries.push(entry);
        Ok(())
    }

    fn add(&mut self, seed: u8, signers: &[u8]) -> Result<(), Denied> {
        let keys = keys_of(seed);
        let message = reverse_message(self.user, self.state.head.hash, &codec::encode(&keys));
        let reverse = key(seed).sign(Domain::REVERSE, &message);
        self.state_it(Action::DeviceAdd(DeviceAdd { keys, reverse }), signers)
    }

    fn revoke(&mut self, seeds: &[u8], signers: &[u8]) -> Result<(), Denied> {
        let devices = seeds.iter().map(|seed| id_of(*seed)).collect();
        self.state_it(
            Action::DeviceRevoke(DeviceRevoke {
                devices,
                reason: RevokeReason::Retired,
                since_seq: None,
            }),
            signers,
        )
    }

    fn rotate(&mut self, signers: &[u8]) -> Result<(), Denied> {
        let next = self.state.puk().unwrap().generation + 1;
        self.state_it(
            Action::PukRotate(PukRotate { puk: puk(next), previous: Octets::default() }),
            signers,
        )
    }

    fn replace_recovery(&mut self, seed: u8, signers: &[u8]) -> Result<(), Denied> {
        let recovery = recovery_of(seed);
        let message = reverse_message(self.user, self.state.head.hash, &codec::encode(&recovery));
        let reverse = key(seed).sign(Domain::REVERSE, &message);
        self.state_it(Action::RecoveryRotate(RecoveryRotate { recovery, reverse }), signers)
    }
}

#[test]
fn a_genesis_is_signed_by_device_and_recovery_key_in_that_order() {
    assert!(Chain::begin_signed_by(&[1]).is_err());
    assert!(Chain::begin_signed_by(&[RECOVERY, 1]).is_err());
    assert!(Chain::begin_signed_by(&[1, 2]).is_err());
    assert_eq!(Chain::begin().state.live_device_ids(), [id_of(1)]);
}

#[test]
fn a_live_device_or_the_recovery_key_adds_devices_and_nobody_else() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    chain.add(3, &[2]).unwrap();
    chain.add(4, &[RECOVERY]).unwrap();
    assert_eq!(chain.add(5, &[66]), Err(Denied::NotAnAuthor));
    assert_eq!(chain.state.live_device_ids(), [id_of(1), id_of(2), id_of(3), id_of(4)]);
}

#[test]
fn nobody_can_add_a_key_that_did_not_agree() {
    let mut chain = Chain::begin();
    let stolen = DeviceAdd { keys: keys_of(2), reverse: key(1).sign(Domain::REVERSE, b"anything") };
    assert_eq!(chain.state_it(Action::DeviceAdd(stolen), &[1]), Err(Denied::NoReverse));
}

#[test]
fn consent_to_be_added_holds_in_one_place_only() {
    let mut chain = Chain::begin();
    let keys = keys_of(3);
    let early = reverse_message(chain.user, chain.state.head.hash, &codec::encode(&keys));
    let reverse = key(3).sign(Domain::REVERSE, &early);
    chain.add(2, &[1]).unwrap();
    assert_eq!(
        chain.state_it(Action::DeviceAdd(DeviceAdd { keys, reverse }), &[1]),
        Err(Denied::NoReverse)
    );
}

#[test]
fn a_junior_device_cannot_evict_a_senior_one() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    chain.add(3, &[1]).unwrap();
    assert!(matches!(chain.revoke(&[1], &[2]), Err(Denied::NotEntitled(_))));
    assert!(matches!(chain.revoke(&[2], &[3]), Err(Denied::NotEntitled(_))));
    chain.revoke(&[3], &[2]).unwrap();
    assert_eq!(chain.state.live_device_ids(), [id_of(1), id_of(2)]);
}

#[test]
fn two_devices_together_or_the_recovery_key_evict_any() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    chain.add(3, &[1]).unwrap();
    chain.revoke(&[1], &[2, 3]).unwrap();
    chain.rotate(&[2]).unwrap();
    chain.revoke(&[2], &[RECOVERY]).unwrap();
    assert_eq!(chain.state.live_device_ids(), [id_of(3)]);
}

#[test]
fn one_device_signing_twice_is_not_two_devices() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    assert!(matches!(chain.revoke(&[1], &[2, 2]), Err(Denied::NotEntitled(_))));
}

#[test]
fn a_device_may_sign_itself_out_and_the_others_owe_a_new_key() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    chain.revoke(&[2], &[2]).unwrap();
    assert!(chain.state.owes_rotation);
    assert_eq!(chain.add(3, &[1]), Err(Denied::RotationOwed));
    assert_eq!(chain.rotate(&[2]), Err(Denied::NotAnAuthor));
    chain.rotate(&[1]).unwrap();
    chain.add(3, &[1]).unwrap();
}

#[test]
fn after_the_last_device_only_the_recovery_key_goes_on() {
    let mut chain = Chain::begin();
    chain.revoke(&[1], &[1]).unwrap();
    assert!(!chain.state.owes_rotation);
    assert_eq!(chain.add(2, &[1]), Err(Denied::NotAnAuthor));
    chain.add(2, &[RECOVERY]).unwrap();
}

#[test]
fn a_revoked_device_says_nothing_more_and_never_comes_back() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    chain.revoke(&[2], &[1]).unwrap();
    chain.rotate(&[1]).unwrap();
    assert_eq!(chain.add(3, &[2]), Err(Denied::NotAnAuthor));
    assert_eq!(chain.add(2, &[1]), Err(Denied::KnownDevice));
    let device = chain.state.devices.get(&id_of(2)).unwrap();
    assert!(device.was_live_at(1) && !device.was_live_at(2));
}

#[test]
fn a_thief_s_device_cannot_touch_the_recovery_key() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    chain.add(3, &[1]).unwrap();
    assert!(matches!(chain.replace_recovery(98, &[2]), Err(Denied::NotEntitled(_))));
    assert!(
        matches!(chain.replace_recovery(98, &[2, 3]), Err(Denied::NotEntitled(_))),
        "the oldest is not among them"
    );
    chain.replace_recovery(98, &[1, 3]).unwrap();
    assert_eq!(chain.add(4, &[RECOVERY]), Err(Denied::NotAnAuthor), "the old key is void");
    chain.replace_recovery(97, &[98]).unwrap();
}

#[test]
fn generations_rise_by_one() {
    let mut chain = Chain::begin();
    let skipping = PukRotate { puk: puk(3), previous: Octets::default() };
    assert_eq!(chain.state_it(Action::PukRotate(skipping), &[1]), Err(Denied::WrongGeneration));
    chain.rotate(&[1]).unwrap();
    assert_eq!(chain.state.puk().unwrap().generation, 2);
}

#[test]
fn ten_devices_are_enough() {
    let mut chain = Chain::begin();
    for seed in 2..=10 {
        chain.add(seed, &[1]).unwrap();
    }
    assert_eq!(chain.add(11, &[1]), Err(Denied::TooManyDevices));
}

#[test]
fn nothing_comes_after_the_end() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    assert!(matches!(
        chain.state_it(Action::Close(Close { successor: None }), &[2]),
        Err(Denied::NotEntitled(_))
    ));
    chain.state_it(Action::Close(Close { successor: None }), &[RECOVERY]).unwrap();
    assert_eq!(chain.add(3, &[1]), Err(Denied::Closed));
    assert!(chain.state.live_device(id_of(1)).is_none());
}

#[test]
fn a_statement_holds_for_its_own_user_and_place() {
    let mut chain = Chain::begin();
    chain.add(2, &[1]).unwrap();
    let again = chain.entries[1].clone();
    assert!(matches!(
        verify_and_apply(chain.user, Some(&chain.state), &again),
        Err(Denied::Broken(BrokenEntry::Gap { .. }))
    ));
    let other = UserId::from_bytes([5; 32]);
    assert!(verify_and_apply(other, None, &chain.entries[0]).is_err());
    let mut erased = chain.entries[1].clone();
    erased.body = None;
    let first = verify_and_apply(chain.user, None, &chain.entries[0]).unwrap();
    assert_eq!(verify_and_apply(chain.user, Some(&first), &erased), Err(Denied::Erased));
}

#[test]
fn the_owner_cannot_move_a_statement_to_another_place() {
    let mut chain = Chain::begin();
    let statement = Statement::next(
        chain.user,
        chain.state.head,
        Action::PukRotate(PukRotate { puk: puk(2), previous: Octets::default() }),
    );
    let signed = sign_as(chain.user, &statement, &[1]);
    chain.add(2, &[1]).unwrap();
    let moved = signed.place(ChainId::of_user(chain.user), 0, Some(chain.state.head));
    assert_eq!(
        verify_and_apply(chain.user, Some(&chain.state), &moved),
        Err(Denied::Misplaced("another place"))
    );
}

/// Any act by any signers: the state stays lawful whatever happens.
fn act(chain: &mut Chain, what: u8, about: u8, signers: &[u8]) -> Result<(), Denied> {
    let subject = about % 12 + 1;
    match what % 12 {
        0..=4 => chain.add(subject, signers),
        5..=7 => chain.revoke(&[subject], signers),
        8 | 9 => chain.rotate(signers),
        10 => chain.replace_recovery(90 + about % 9, signers),
        _ => chain.state_it(Action::Close(Close { successor: None }), signers),
    }
}

/// One who signs: mostly the first device, now and then another one or a recovery key.
fn signer() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(1_u8), 2 => 1_u8..12, 2 => Just(RECOVERY), 1 => 90_u8..100]
}

/// Whether the owner of `seed`'s key may say anything about the user: a live device of theirs, or their recovery key.
fn is_entitled(state: &State, seed: u8) -> bool {
    state.live_device(id_of(seed)).is_some() || state.recovery == recovery_of(seed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_tried_the_chain_replays_to_the_same_lawful_state(
        acts in prop::collection::vec((any::<u8>(), any::<u8>(), prop::collection::vec(signer(), 1..3)), 0..24)
    ) {
        let mut chain = Chain::begin();
        for (what, about, signers) in &acts {
            let before = chain.state.clone();
            if act(&mut chain, *what, *about, signers).is_err() {
                prop_assert_eq!(&chain.state, &before);
                continue;
            }
            prop_assert!(!before.closed, "something was said after the end");
            prop_assert!(signers.iter().all(|seed| is_entitled(&before, *seed)), "{:?} were heard", signers);
            for (id, device) in before.devices.iter().filter(|(_, device)| !device.is_live()) {
                prop_assert_eq!(chain.state.devices.get(id), Some(device), "a revoked device has changed");
            }
        }
        let mut replayed = None;
        for entry in &chain.entries {
            replayed = Some(verify_and_apply(chain.user, replayed.as_ref(), entry).unwrap());
        }
        prop_assert_eq!(replayed.as_ref(), Some(&chain.state));
        prop_assert!(chain.state.live_devices().len() <= MAX_LIVE_DEVICES);
        let generations: Vec<u32> = chain.state.puks.keys().copied().collect();
        let expected: Vec<u32> = (1..=u32::try_from(generations.len()).unwrap()).collect();
        prop_assert_eq!(generations, expected);
    }

    #[test]
    fn no_bytes_make_apply_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let chain = Chain::begin();
        let submission = Submission::sign(
            &key(1), ChainId::of_user(chain.user), ItemId::from_bytes([1; 16]), Kind::UserStatement, body, Timestamp::from_millis(0), None,
        ).unwrap();
        let entry = submission.place(ChainId::of_user(chain.user), 0, Some(chain.state.head));
        prop_assert!(verify_and_apply(chain.user, Some(&chain.state), &entry).is_err());
    }
}
