use rookery_protocol::{id::Digest, user::Lane};

use super::*;
use crate::e2ee::{SeededRandom, Unopenable, identity::MadeFor, puk::Holder};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// A user with one device, and all that it takes to state more.
struct User {
    random: SeededRandom,
    device: DeviceSecrets,
    recovery: RecoveryKey,
    ring: PukRing,
    founding: Founding,
}

fn user(seed: u64) -> User {
    let mut random = SeededRandom::new(seed);
    let device = DeviceSecrets::generate(&mut random);
    let recovery = RecoveryKey::generate(&mut random);
    let ring = PukRing::generate(&mut random);
    let keys =
        device.public(MadeFor::Person, ring.seal_device_name(device.id(), "laptop", &mut random));
    let founder = Founder { device: &device, keys: &keys, recovery: &recovery, ring: &ring };
    let home_key = ServerId::from_bytes([9; 32]);
    let founding =
        found("home.example".parse().unwrap(), home_key, founder, NOW, &mut random).unwrap();
    User { random, device, recovery, ring, founding }
}

/// Adds a second device to `user`'s chain.
fn second(user: &mut User) -> (DeviceSecrets, Stated) {
    let device = DeviceSecrets::generate(&mut user.random);
    let mut draft = Draft::after(&user.founding.state);
    let keys = device.public(MadeFor::Person, Octets::default());
    let consent = device.consent(user.founding.user, draft.state().head.hash, &keys);
    draft.add_device(Signer::Device(&user.device), keys, consent, NOW, &mut user.random).unwrap();
    draft.box_for(device.id(), &user.ring, &mut user.random).unwrap();
    (device, draft.finish())
}

fn revoke(devices: Vec<DeviceId>) -> DeviceRevoke {
    DeviceRevoke { devices, reason: RevokeReason::Stolen, since_seq: None }
}

#[test]
fn a_genesis_is_taken_by_the_chain_s_rules_and_its_boxes_open() {
    let user = user(1);
    let Founding { state, genesis, boxes, user: id } = &user.founding;
    let chain = ChainId::of_user(*id);
    let entry = genesis.clone().place(chain, 0, None);
    assert_eq!(&verify_and_apply(*id, None, &entry).unwrap(), state);
    assert_eq!(PukBox::root(boxes), state.puk().unwrap().boxes_root);
    for holder in [Holder::Device(&user.device), Holder::Recovery(&user.recovery)] {
        let ring = PukRing::open(state, holder, boxes).unwrap();
        assert_eq!(ring.kem(1).unwrap().public(), state.puk().unwrap().public);
        let name = &state.live_device(user.device.id()).unwrap().keys.sealed_name;
        assert_eq!(ring.open_device_name(user.device.id(), name).unwrap(), "laptop");
    }
}

#[test]
fn a_revocation_comes_with_a_new_key_that_the_revoked_device_cannot_have() {
    let mut user = user(2);
    let (thief, stated) = second(&mut user);
    assert_eq!(
        PukRing::open(&stated.state, Holder::Device(&thief), &stated.boxes).unwrap().generation(),
        1
    );
    let mut draft = Draft::after(&stated.state);
    let signer = [Signer::Device(&user.device)];
    draft
        .revoke_devices(&signer, revoke(vec![thief.id()]), &mut user.ring, NOW, &mut user.random)
        .unwrap();
    let Stated { statements, boxes, state } = draft.finish();
    assert_eq!((statements.len(), state.owes_rotation, user.ring.generation()), (2, false, 2));
    assert_eq!(PukRing::open(&state, Holder::Device(&thief), &boxes).unwrap_err(), PukError::NoBox);
    // Another device's box is no help either.
    let stolen: Vec<PukBox> =
        boxes.iter().map(|one| PukBox { device: Some(thief.id()), ..one.clone() }).collect();
    assert!(PukRing::open(&state, Holder::Device(&thief), &stolen).is_err());
    for holder in [Holder::Device(&user.device), Holder::Recovery(&user.recovery)] {
        let ring = PukRing::open(&state, holder, &boxes).unwrap();
        assert_eq!(ring.generation(), 2);
        assert_eq!(ring.kem(1).unwrap().public(), user.ring.kem(1).unwrap().public());
    }
}

#[test]
fn a_junior_device_cannot_revoke_a_senior_one_even_here() {
    let mut user = user(3);
    let (junior, stated) = second(&mut user);
    let mut draft = Draft::after(&stated.state);
    let signer = [Signer::Device(&junior)];
    let denied = draft.revoke_devices(
        &signer,
        revoke(vec![user.device.id()]),
        &mut user.ring,
        NOW,
        &mut user.random,
    );
    assert!(matches!(denied, Err(StatementError::Denied(Denied::NotEntitled(_)))));
    assert!(draft.finish().statements.is_empty());
}

#[test]
fn a_recovered_device_adds_itself_and_reads_all_generations() {
    let mut user = user(4);
    let mut draft = Draft::after(&user.founding.state);
    draft.rotate_puk(Signer::Device(&user.device), &mut user.ring, NOW, &mut user.random).unwrap();
    let Stated { state, boxes, .. } = draft.finish();
    // Everything is lost but the recovery key.
    let recovery = RecoveryKey::parse(&user.recovery.to_text()).unwrap();
    let mut ring = PukRing::open(&state, Holder::Recovery(&recovery), &boxes).unwrap();
    let device = DeviceSecrets::generate(&mut user.random);
    let mut draft = Draft::after(&state);
    let keys =
        device.public(MadeFor::Person, ring.seal_device_name(device.id(), "new", &mut user.random));
    let consent = device.consent(state.user, draft.state().head.hash, &keys);
    draft.add_device(Signer::Recovery(&recovery), keys, consent, NOW, &mut user.random).unwrap();
    let signer = [Signer::Recovery(&recovery)];
    draft
        .revoke_devices(&signer, revoke(vec![user.device.id()]), &mut ring, NOW, &mut user.random)
        .unwrap();
    let Stated { state, boxes, .. } = draft.finish();
    let mine = PukRing::open(&state, Holder::Device(&device), &boxes).unwrap();
    assert_eq!((mine.generation(), state.live_device_ids()), (3, vec![device.id()]));
    assert_eq!(mine.kem(1).unwrap().public(), user.ring.kem(1).unwrap().public());
}

#[test]
fn a_new_recovery_key_is_replaced_with_its_consent_and_an_account_closed() {
    let mut user = user(5);
    let new = RecoveryKey::generate(&mut user.random);
    let mut draft = Draft::after(&user.founding.state);
    draft
        .replace_recovery(&[Signer::Recovery(&user.recovery)], &new, NOW, &mut user.random)
        .unwrap();
    draft.rotate_puk(Signer::Device(&user.device), &mut user.ring, NOW, &mut user.random).unwrap();
    let boxes = draft.boxes.clone();
    assert!(PukRing::open(draft.state(), Holder::Recovery(&new), &boxes).is_ok());
    assert!(PukRing::open(draft.state(), Holder::Recovery(&user.recovery), &boxes).is_err());
    draft.close(Signer::Recovery(&new), None, NOW, &mut user.random).unwrap();
    assert!(draft.finish().state.closed);
}

#[test]
fn a_device_that_signs_out_makes_no_key_and_the_next_one_owes_it() {
    let mut user = user(6);
    let (other, stated) = second(&mut user);
    let mut draft = Draft::after(&stated.state);
    draft.sign_out(&other, NOW, &mut user.random).unwrap();
    let state = draft.finish().state;
    assert!(state.owes_rotation);
    let mut draft = Draft::after(&state);
    draft.rotate_puk(Signer::Device(&user.device), &mut user.ring, NOW, &mut user.random).unwrap();
    assert!(!draft.state().owes_rotation);
}

#[test]
fn a_box_with_another_seed_than_the_chain_s_is_found_out() {
    let mut user = user(7);
    let mut draft = Draft::after(&user.founding.state);
    draft.rotate_puk(Signer::Device(&user.device), &mut user.ring, NOW, &mut user.random).unwrap();
    let Stated { state, boxes, .. } = draft.finish();
    // Whoever rotates commits to one seed; here they gave this device another one.
    let mut lie = state.clone();
    let public = lie.puk().unwrap().clone();
    let commit = Digest::from_bytes([1; 32]);
    lie.puks = lie.puks.insert(2, rookery_protocol::user::PukPublic { commit, ..public.clone() });
    assert_eq!(
        PukRing::open(&lie, Holder::Device(&user.device), &boxes).unwrap_err(),
        PukError::Unopenable(Unopenable)
    );
    let (_, seed) = user.ring.newest_seed().unwrap();
    assert_eq!(PukRing::from_seed(&lie, 2, seed).unwrap_err(), PukError::OtherSeed);
    assert_eq!(public.lane, Lane::Durable);
}

#[test]
fn every_changed_bit_of_a_box_or_link_is_refused() {
    let mut user = user(8);
    let mut draft = Draft::after(&user.founding.state);
    draft.rotate_puk(Signer::Device(&user.device), &mut user.ring, NOW, &mut user.random).unwrap();
    let Stated { state, boxes, .. } = draft.finish();
    let mine = boxes.iter().find(|one| one.device.is_some()).unwrap();
    for bit in (0..mine.sealed.len() * 8).step_by(89) {
        let mut bytes = mine.sealed.as_slice().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = PukBox { sealed: Octets::parse(bytes).unwrap(), ..mine.clone() };
        assert!(
            PukRing::open(&state, Holder::Device(&user.device), &[changed]).is_err(),
            "bit {bit}"
        );
    }
    let link = state.puk_links.get(&2).unwrap().clone();
    for bit in 0..link.len() * 8 {
        let mut bytes = link.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut changed = state.clone();
        changed.puk_links = changed.puk_links.insert(2, bytes);
        let (_, seed) = user.ring.newest_seed().unwrap();
        assert_eq!(
            PukRing::from_seed(&changed, 2, seed).unwrap_err(),
            PukError::Unopenable(Unopenable)
        );
    }
}

#[test]
fn a_ring_is_stored_and_read_back() {
    let mut user = user(9);
    user.ring.advance(&mut user.random);
    let again = PukRing::from_bytes(&user.ring.to_bytes()).unwrap();
    assert_eq!((again.generation(), again.newest_seed()), (2, user.ring.newest_seed()));
    assert!(PukRing::from_bytes(&[0xa1, 0, 0x80]).is_err());
    assert!(!format!("{again:?}").contains("seed"));
}
