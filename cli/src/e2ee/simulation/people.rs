//! Users with real chains, devices and per-user keys.

use std::sync::OnceLock;

use rookery_protocol::{
    chain::{Entry, Seen, Submission},
    community::{Chains, Missing, PukPin},
    id::{ChainId, ServerId, UserId},
    time::Timestamp,
    user::{self, DeviceRevoke, RevokeReason},
};

use crate::e2ee::{
    SeededRandom,
    identity::{DeviceSecrets, MadeFor},
    puk::PukRing,
    recovery::RecoveryKey,
    statement::{Draft, Founder, Signer, found},
};

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
/// How many users there are, and how many devices one can have.
pub(super) const USERS: usize = 4;
pub(super) const DEVICES: usize = 4;

/// One device of a user.
pub(super) struct Device {
    pub(super) secrets: DeviceSecrets,
    pub(super) is_live: bool,
    /// The newest generation of the per-user key that it was ever given.
    pub(super) generation: u32,
}

/// One user.
pub(super) struct Person {
    pub(super) user: UserId,
    pub(super) devices: Vec<Device>,
    pub(super) ring: PukRing,
    pub(super) chain: user::History,
    /// Keys for devices that are yet to come: they take long to draw.
    spare: Vec<DeviceSecrets>,
}

/// What takes long to draw, once for all runs.
struct Template {
    devices: Vec<Vec<u8>>,
    ring: Vec<u8>,
    user: UserId,
    genesis: Submission,
}

fn templates() -> &'static [Template] {
    static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();
    TEMPLATES.get_or_init(|| (0..USERS).map(template).collect())
}

fn template(number: usize) -> Template {
    let mut random = SeededRandom::new(1_000_000 + number as u64);
    let devices: Vec<_> = (0..DEVICES).map(|_| DeviceSecrets::generate(&mut random)).collect();
    let (ring, recovery) = (PukRing::generate(&mut random), RecoveryKey::generate(&mut random));
    let name = ring.seal_device_name(devices[0].id(), "first", &mut random);
    let keys = devices[0].public(MadeFor::Person, name);
    let founder = Founder { device: &devices[0], keys: &keys, recovery: &recovery, ring: &ring };
    let home = ("home.example".parse().unwrap(), ServerId::from_bytes([9; 32]));
    let founding = found(home.0, home.1, founder, NOW, &mut random).unwrap();
    Template {
        devices: devices.iter().map(|device| device.to_bytes().to_vec()).collect(),
        ring: ring.to_bytes().to_vec(),
        user: founding.user,
        genesis: founding.genesis,
    }
}

impl Person {
    fn new(template: &Template) -> Self {
        let mut spare: Vec<_> = template
            .devices
            .iter()
            .rev()
            .map(|bytes| DeviceSecrets::from_bytes(bytes).unwrap())
            .collect();
        let first = Device { secrets: spare.pop().unwrap(), is_live: true, generation: 1 };
        let mut person = Self {
            user: template.user,
            devices: vec![first],
            ring: PukRing::from_bytes(&template.ring).unwrap(),
            chain: user::History::new(template.user),
            spare,
        };
        person.place(template.genesis.clone());
        person
    }

    fn place(&mut self, statement: Submission) {
        let head = self.chain.latest().map(|state| state.head);
        let entry: Entry = statement.place(ChainId::of_user(self.user), 0, head);
        self.chain.extend(&entry).unwrap();
    }

    pub(super) fn state(&self) -> &user::State {
        self.chain.latest().unwrap()
    }

    pub(super) fn pin(&self) -> PukPin {
        PukPin::of(self.state().puk().unwrap())
    }

    /// Links one more device; says which, unless there are as many as there can be.
    pub(super) fn link(&mut self, random: &mut SeededRandom) -> Option<usize> {
        let new = self.spare.pop()?;
        let by = self.devices.iter().position(|device| device.is_live).unwrap();
        let name = self.ring.seal_device_name(new.id(), "another", random);
        let keys = new.public(MadeFor::Person, name);
        let mut draft = Draft::after(self.state());
        let reverse = new.consent(self.user, self.state().head.hash, &keys);
        let signer = Signer::Device(&self.devices[by].secrets);
        draft.add_device(signer, keys, reverse, NOW, random).unwrap();
        for statement in draft.finish().statements {
            self.place(statement);
        }
        let generation = self.ring.generation();
        self.devices.push(Device { secrets: new, is_live: true, generation });
        Some(self.devices.len() - 1)
    }

    /// Revokes a device that is not the oldest live one, by that one.
    pub(super) fn revoke(&mut self, gone: usize, random: &mut SeededRandom) -> bool {
        let by = self.devices.iter().position(|device| device.is_live).unwrap();
        if gone <= by || !self.devices[gone].is_live {
            return false;
        }
        let mut draft = Draft::after(self.state());
        let devices = vec![self.devices[gone].secrets.id()];
        let revoke = DeviceRevoke { devices, reason: RevokeReason::Stolen, since_seq: None };
        let signers = [Signer::Device(&self.devices[by].secrets)];
        draft.revoke_devices(&signers, revoke, &mut self.ring, NOW, random).unwrap();
        for statement in draft.finish().statements {
            self.place(statement);
        }
        self.devices[gone].is_live = false;
        let generation = self.ring.generation();
        for device in self.devices.iter_mut().filter(|device| device.is_live) {
            device.generation = generation;
        }
        true
    }
}

pub(super) struct People(pub(super) Vec<Person>);

impl People {
    pub(super) fn new() -> Self {
        Self(templates().iter().map(Person::new).collect())
    }

    pub(super) fn of(&self, user: UserId) -> &Person {
        self.0.iter().find(|person| person.user == user).unwrap()
    }
}

impl Chains for People {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        self.of(user).chain.at(head).cloned()
    }
}
