//! A user with a real chain.

use rookery_protocol::{
    chain::{Entry, Kind, Seen, Submission},
    codec::{self, Octets},
    community::PukPin,
    id::{ChainId, DeviceId, Digest, ItemId, UserId},
    key::{AgreementKey, Domain, SigningKey},
    time::Timestamp,
    user,
};

use super::kem;

/// A user with as many devices as were added; their keys follow from the user's number.
pub(crate) struct Person {
    number: u16,
    pub(crate) user: UserId,
    pub(crate) history: user::History,
    pub(crate) chain: Vec<Entry>,
    keys: Vec<SigningKey>,
}

pub(super) fn secret(number: u16, device: u8) -> SigningKey {
    let [high, low] = number.to_be_bytes();
    let mut seed = [device; 32];
    seed[0] = high;
    seed[1] = low;
    SigningKey::from_seed(&seed)
}

pub(super) const RECOVERY: u8 = 255;

fn device_keys(signing: &SigningKey) -> user::DeviceKeys {
    user::DeviceKeys {
        signing: signing.verifying_key(),
        identity: AgreementKey::from_bytes([1; 32]),
        sealing: kem(1),
        bot: false,
        sealed_name: Octets::default(),
    }
}

fn puk(generation: u32) -> user::PukPublic {
    user::PukPublic {
        lane: user::Lane::Durable,
        generation,
        public: kem(u8::try_from(generation).unwrap()),
        commit: Digest::ZERO,
        boxes_root: Digest::ZERO,
    }
}

impl Person {
    pub(crate) fn new(number: u16) -> Self {
        let first = secret(number, 0);
        let genesis = user::Statement::genesis(user::Genesis {
            home: "nest.example".parse().unwrap(),
            home_key: secret(0, RECOVERY).verifying_key().server_id(),
            recovery: user::RecoveryKeys {
                signing: secret(number, RECOVERY).verifying_key(),
                sealing: kem(2),
            },
            device: device_keys(&first),
            puk: puk(1),
            nonce: Octets::default(),
        });
        let user = user::Statement::user_id(&codec::encode(&genesis));
        let history = user::History::new(user);
        let mut person = Self { number, user, history, chain: vec![], keys: vec![first] };
        person.state(&genesis, &[0, RECOVERY]);
        person
    }

    fn state(&mut self, statement: &user::Statement, signers: &[u8]) {
        let chain = ChainId::of_user(self.user);
        let id = ItemId::from_bytes([u8::try_from(statement.seq).unwrap(); 16]);
        let mut submission = Submission::sign(
            &secret(self.number, signers[0]),
            chain,
            id,
            Kind::UserStatement,
            codec::encode(statement),
            Timestamp::from_millis(0),
            None,
        )
        .unwrap();
        for signer in &signers[1..] {
            submission.signed = submission.signed.cosign(&secret(self.number, *signer));
        }
        let entry = submission.place(chain, 0, self.history.latest().map(|state| state.head));
        self.history.extend(&entry).unwrap();
        self.chain.push(entry);
    }

    fn go_on(&mut self, action: user::Action, signer: u8) {
        let statement = user::Statement::next(self.user, self.head(), action);
        self.state(&statement, &[signer]);
    }

    pub(crate) fn head(&self) -> Seen {
        self.history.latest().unwrap().head
    }

    /// Their per-user key now.
    pub(crate) fn puk(&self) -> PukPin {
        PukPin::of(self.history.latest().unwrap().puk().unwrap())
    }

    pub(crate) fn key(&self, device: usize) -> &SigningKey {
        &self.keys[device]
    }

    pub(crate) fn device(&self, device: usize) -> DeviceId {
        self.keys[device].verifying_key().device_id()
    }

    /// Adds another device.
    pub(crate) fn add_device(&mut self) {
        let number = u8::try_from(self.keys.len()).unwrap();
        let key = secret(self.number, number);
        let keys = device_keys(&key);
        let message = user::reverse_message(self.user, self.head().hash, &codec::encode(&keys));
        let reverse = key.sign(Domain::REVERSE, &message);
        self.go_on(user::Action::DeviceAdd(user::DeviceAdd { keys, reverse }), 0);
        self.keys.push(key);
    }

    /// Revokes a device, and makes the new per-user key.
    pub(crate) fn revoke_device(&mut self, device: usize) {
        let devices = vec![self.device(device)];
        let reason = user::RevokeReason::Stolen;
        self.go_on(
            user::Action::DeviceRevoke(user::DeviceRevoke { devices, reason, since_seq: None }),
            0,
        );
        let next = self.puk().generation.saturating_add(1);
        self.go_on(
            user::Action::PukRotate(user::PukRotate {
                puk: puk(next),
                previous: Octets::default(),
            }),
            0,
        );
    }

    pub(crate) fn close(&mut self) {
        self.go_on(user::Action::Close(user::Close { successor: None }), 0);
    }
}
