use rookery_protocol::{
    id::{DeviceId, ServerId, UserId},
    time::Timestamp,
    user::State,
};

use super::*;
use crate::e2ee::{
    SeededRandom,
    identity::{DeviceSecrets, MadeFor},
    puk::{PukError, PukRing},
    recovery::RecoveryKey,
    statement::{Draft, Founder, Signer, Stated, found},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const PORTRAIT: Portrait<'static> =
    Portrait { made_for: MadeFor::Person, name: "desk", platform: "Linux" };

struct World {
    random: SeededRandom,
    old: DeviceSecrets,
    new: DeviceSecrets,
    ring: PukRing,
    state: State,
    code: LinkCode,
}

fn world() -> World {
    let mut random = SeededRandom::new(1);
    let (old, new) = (DeviceSecrets::generate(&mut random), DeviceSecrets::generate(&mut random));
    let (recovery, ring) = (RecoveryKey::generate(&mut random), PukRing::generate(&mut random));
    let keys = old.public(MadeFor::Person, ring.seal_device_name(old.id(), "laptop", &mut random));
    let founder = Founder { device: &old, keys: &keys, recovery: &recovery, ring: &ring };
    let home = "home.example".parse().unwrap();
    let state =
        found(home, ServerId::from_bytes([9; 32]), founder, NOW, &mut random).unwrap().state;
    let code = LinkCode::generate(7, &mut random);
    World { random, old, new, ring, state, code }
}

impl World {
    /// The same code, as the person types it.
    fn typed(&self) -> LinkCode {
        LinkCode::parse(&self.code.to_text()).unwrap()
    }

    /// Both sides up to the question whether to accept.
    fn asked(&mut self) -> (NewDeviceWaiting, OldDeviceAsked) {
        let user = self.state.user;
        let (new, letter) = NewDevice::begin(&self.new, user, &self.typed(), &mut self.random);
        let (old, letter) = OldDevice::begin(user, self.typed())
            .handle_exchange(&letter, self.new.id(), &mut self.random)
            .unwrap();
        let (new, letter) =
            new.handle_exchange(&letter, &self.new, PORTRAIT, &mut self.random).unwrap();
        (new, old.handle_introduction(&letter).unwrap())
    }

    /// Both sides up to the statement.
    fn agreed(&mut self) -> (NewDeviceConsented, OldDeviceAgreed) {
        let (new, old) = self.asked();
        let (old, letter) = old.accept(&self.state, &self.ring, &mut self.random);
        let (new, letter) = new.handle_offer(&letter, &self.new, &mut self.random).unwrap();
        (new, old.handle_consent(&letter).unwrap())
    }

    fn add(&mut self, agreed: &OldDeviceAgreed) -> Stated {
        let mut draft = Draft::after(&self.state);
        let keys = agreed.keys.clone();
        draft
            .add_device(Signer::Device(&self.old), keys, agreed.consent, NOW, &mut self.random)
            .unwrap();
        draft.box_for(self.new.id(), &self.ring, &mut self.random).unwrap();
        draft.finish()
    }
}

#[test]
fn a_device_is_linked_and_reads_what_came_before() {
    let mut world = world();
    let (_, asked) = world.asked();
    let introduction = asked.introduction();
    assert_eq!(
        (introduction.device, introduction.name.as_str(), introduction.platform.as_str()),
        (world.new.id(), "desk", "Linux")
    );
    let (new, agreed) = world.agreed();
    let stated = world.add(&agreed);
    let letter =
        agreed.welcome(stated.state.head.into(), stated.boxes.first().cloned(), &mut world.random);
    let Answer::Welcome(welcome) =
        new.handle_answer(&letter, &world.new, &mut world.random).unwrap()
    else {
        panic!()
    };
    assert_eq!(welcome.head, stated.state.head.into());
    let ring = welcome.ring(&stated.state, &world.new).unwrap();
    let name = &stated.state.live_device(world.new.id()).unwrap().keys.sealed_name;
    assert_eq!(ring.open_device_name(world.new.id(), name).unwrap(), "desk");
}

#[test]
fn history_can_be_withheld() {
    let mut world = world();
    let (new, agreed) = world.agreed();
    let stated = world.add(&agreed);
    let letter = agreed.welcome(stated.state.head.into(), None, &mut world.random);
    let Answer::Welcome(welcome) =
        new.handle_answer(&letter, &world.new, &mut world.random).unwrap()
    else {
        panic!()
    };
    assert!(!welcome.shares_history());
    assert_eq!(welcome.ring(&stated.state, &world.new).unwrap_err(), PukError::NoBox);
}

#[test]
fn a_chain_that_went_on_meanwhile_is_offered_again() {
    let mut world = world();
    let (new, agreed) = world.agreed();
    let mut draft = Draft::after(&world.state);
    draft.rotate_puk(Signer::Device(&world.old), &mut world.ring, NOW, &mut world.random).unwrap();
    world.state = draft.finish().state;
    let mut stale = Draft::after(&world.state);
    let refused = stale.add_device(
        Signer::Device(&world.old),
        agreed.keys.clone(),
        agreed.consent,
        NOW,
        &mut world.random,
    );
    assert!(refused.is_err(), "the consent was for another place");
    let (old, letter) = agreed.offer_again(&world.state, &mut world.random);
    let Answer::OfferedAgain(new, letter) =
        new.handle_answer(&letter, &world.new, &mut world.random).unwrap()
    else {
        panic!()
    };
    let agreed = old.handle_consent(&letter).unwrap();
    let stated = world.add(&agreed);
    let letter =
        agreed.welcome(stated.state.head.into(), stated.boxes.last().cloned(), &mut world.random);
    let Answer::Welcome(welcome) =
        new.handle_answer(&letter, &world.new, &mut world.random).unwrap()
    else {
        panic!()
    };
    assert_eq!(welcome.ring(&stated.state, &world.new).unwrap().generation(), 2);
}

#[test]
fn a_wrong_code_is_found_out_before_anything_is_shown_or_sent() {
    let mut world = world();
    let user = world.state.user;
    let wrong = LinkCode::parse("7-zoo-zoo-zoo").unwrap();
    let (new, letter) = NewDevice::begin(&world.new, user, &wrong, &mut world.random);
    let (old, letter) = OldDevice::begin(user, world.typed())
        .handle_exchange(&letter, world.new.id(), &mut world.random)
        .unwrap();
    let (_, letter) =
        new.handle_exchange(&letter, &world.new, PORTRAIT, &mut world.random).unwrap();
    assert_eq!(old.handle_introduction(&letter).unwrap_err(), LinkError::WrongCode);
}

#[test]
fn another_user_place_or_device_gives_another_key() {
    let mut world = world();
    let user = world.state.user;
    let elsewhere = LinkCode::parse(&world.code.to_text().replacen('7', "8", 1)).unwrap();
    let other_user = UserId::from_bytes([1; 32]);
    for (user_of_new, code) in [(other_user, world.typed()), (user, elsewhere)] {
        let (new, letter) = NewDevice::begin(&world.new, user_of_new, &code, &mut world.random);
        let (old, letter) = OldDevice::begin(user, world.typed())
            .handle_exchange(&letter, world.new.id(), &mut world.random)
            .unwrap();
        let (_, letter) =
            new.handle_exchange(&letter, &world.new, PORTRAIT, &mut world.random).unwrap();
        assert_eq!(old.handle_introduction(&letter).unwrap_err(), LinkError::WrongCode);
    }
    let (_, letter) = NewDevice::begin(&world.new, user, &world.typed(), &mut world.random);
    let another = DeviceId::from_bytes([2; 32]);
    let refused =
        OldDevice::begin(user, world.typed()).handle_exchange(&letter, another, &mut world.random);
    assert_eq!(refused.unwrap_err(), LinkError::OtherKeys);
}

#[test]
fn a_letter_that_is_changed_replayed_or_reflected_ends_it() {
    for bit in (0..400).step_by(23) {
        let mut world = world();
        let (new, old) = world.asked();
        let (_, letter) = old.accept(&world.state, &world.ring, &mut world.random);
        let mut bytes = letter.into_vec();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = Letter::parse(bytes).unwrap();
        assert!(new.handle_offer(&changed, &world.new, &mut world.random).is_err(), "bit {bit}");
    }
    let mut world = world();
    let (new, old) = world.asked();
    let (old, offer) = old.accept(&world.state, &world.ring, &mut world.random);
    let (new, _) = new.handle_offer(&offer, &world.new, &mut world.random).unwrap();
    assert_eq!(
        new.handle_answer(&offer, &world.new, &mut world.random).unwrap_err(),
        LinkError::Unexpected,
        "replayed"
    );
    assert_eq!(old.handle_consent(&offer).unwrap_err(), LinkError::WrongCode, "reflected");
}

#[test]
fn a_new_device_cannot_consent_with_other_keys_than_it_announced() {
    let mut world = world();
    let (new, old) = world.asked();
    let (old, letter) = old.accept(&world.state, &world.ring, &mut world.random);
    let other = DeviceSecrets::generate(&mut world.random);
    let (_, letter) = new.handle_offer(&letter, &other, &mut world.random).unwrap();
    assert_eq!(old.handle_consent(&letter).unwrap_err(), LinkError::OtherKeys);
}
