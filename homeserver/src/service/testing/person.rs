//! People with devices, and what they hand in.

use std::time::Duration;

use rookery_protocol::{
    chain::{HeadRef, Kind, Seen, Submission},
    codec::{self, Octets},
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind},
    id::{ChainId, DeviceId, Digest, InviteToken, ItemId, RatchetId, UserId},
    key::{AgreementKey, Domain, HpkeBox, KEM_KEY_BYTES, KemKey, SigningKey},
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    request::{
        account::Register,
        message::{Purpose, SendMessage},
        session::Login,
    },
    session::prove_login,
    time::Timestamp,
    user::{
        Action, DeviceAdd, DeviceKeys, DeviceRevoke, Genesis, Lane, PukBox, PukPublic, PukRotate,
        RecoveryKeys, RevokeReason, Statement, reverse_message,
    },
};

use super::{NOW, PASSWORD};
use crate::identity::Identity;

/// One device of a person: its key, and the last id that it gave to anything.
pub(crate) struct Device {
    pub(crate) key: SigningKey,
    count: std::sync::atomic::AtomicU32,
}

impl Device {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { key: SigningKey::from_seed(&seed), count: std::sync::atomic::AtomicU32::new(1) }
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.key.verifying_key().device_id()
    }

    pub(crate) fn keys(&self) -> DeviceKeys {
        DeviceKeys {
            signing: self.key.verifying_key(),
            identity: AgreementKey::from_bytes([1; 32]),
            sealing: kem(),
            bot: false,
            sealed_name: Octets::default(),
        }
    }

    pub(crate) fn prekeys(&self, one_time: u32) -> PrekeyUpload {
        let expires = NOW.plus(Duration::from_hours(876_000));
        let next = || self.count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let ec = |domain| {
            EcPrekey::sign(&self.key, domain, next(), AgreementKey::from_bytes([2; 32]), expires)
        };
        let kem = |domain| KemPrekey::sign(&self.key, domain, next(), kem(), expires);
        PrekeyUpload {
            signed: Some(ec(Domain::PREKEY_EC)),
            signed_kem: Some(kem(Domain::PREKEY_PQ)),
            one_time: (0..one_time).map(|_| ec(Domain::ONE_TIME_EC)).collect(),
            one_time_kem: (0..one_time / 5).map(|_| kem(Domain::ONE_TIME_PQ)).collect(),
        }
    }

    /// A log-in for the connection with this exporter.
    pub(crate) fn login(&self, name: &str, exporter: &[u8; 32], at: Timestamp) -> Login {
        Login {
            name: name.parse().unwrap(),
            password: PASSWORD.to_owned(),
            device: self.key.verifying_key(),
            proof: prove_login(&self.key, exporter, name, at),
            at,
        }
    }
}

fn kem() -> KemKey {
    KemKey::from_slice(&[3; KEM_KEY_BYTES]).unwrap()
}

/// A person with a chain, as their first device makes it.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user: UserId,
    pub(crate) device: Device,
    pub(crate) recovery: SigningKey,
    genesis: Submission,
    boxes: Vec<PukBox>,
    pub(crate) head: Seen,
    pub(crate) live: Vec<DeviceId>,
}

fn boxes(generation: u32, devices: &[DeviceId]) -> Vec<PukBox> {
    let receivers = devices.iter().copied().map(Some).chain([None]);
    let sealed = HpkeBox::parse(vec![9; 40]).unwrap();
    receivers.map(|device| PukBox { generation, device, sealed: sealed.clone() }).collect()
}

fn puk(generation: u32, boxes: &[PukBox]) -> PukPublic {
    let commit = Digest::from_bytes([u8::try_from(generation).unwrap(); 32]);
    PukPublic {
        lane: Lane::Durable,
        generation,
        public: kem(),
        commit,
        boxes_root: PukBox::root(boxes),
    }
}

impl Person {
    /// Somebody new at the home of `home`.
    pub(crate) fn new(name: &str, home: &Identity) -> Self {
        let seed =
            |what: &str| *rookery_protocol::hash::labelled(what, &[name.as_bytes()]).as_bytes();
        let (device, recovery) =
            (Device::new(seed("device")), SigningKey::from_seed(&seed("recovery")));
        let boxes = boxes(1, &[device.id()]);
        let statement = Statement::genesis(Genesis {
            home: home.name.clone(),
            home_key: home.server(),
            recovery: RecoveryKeys { signing: recovery.verifying_key(), sealing: kem() },
            device: device.keys(),
            puk: puk(1, &boxes),
            nonce: Octets::parse(seed("nonce")[..16].to_vec()).unwrap(),
        });
        let body = codec::encode(&statement);
        let user = Statement::user_id(&body);
        let chain = ChainId::of_user(user);
        let mut genesis = Submission::sign(
            &device.key,
            chain,
            ItemId::from_bytes([0; 16]),
            Kind::UserStatement,
            body,
            NOW,
            None,
        )
        .unwrap();
        genesis.signed = genesis.signed.cosign(&recovery);
        let head = genesis.clone().place(chain, 0, None).seen();
        let live = vec![device.id()];
        Self { name: name.to_owned(), user, device, recovery, genesis, boxes, head, live }
    }

    pub(crate) fn register(
        &self,
        exporter: &[u8; 32],
        invite: Option<InviteToken>,
        at: Timestamp,
    ) -> Register {
        Register {
            name: self.name.parse().unwrap(),
            password: PASSWORD.to_owned(),
            invite,
            genesis: self.genesis.clone(),
            boxes: self.boxes.clone(),
            prekeys: self.device.prekeys(10),
            proof: prove_login(&self.device.key, exporter, &self.name, at),
            at,
            email: None,
        }
    }

    /// The next statement, signed by `author`; `self` takes it for accepted.
    pub(crate) fn state(&mut self, author: &SigningKey, action: Action) -> Submission {
        let statement = Statement::next(self.user, self.head, action);
        let chain = ChainId::of_user(self.user);
        let id = ItemId::from_bytes([u8::try_from(statement.seq).unwrap(); 16]);
        let body = codec::encode(&statement);
        let made =
            Submission::sign(author, chain, id, Kind::UserStatement, body, NOW, Some(self.head))
                .unwrap();
        self.head = made.clone().place(chain, 0, Some(self.head)).seen();
        made
    }

    /// The statement that adds `device`, signed by the first device.
    pub(crate) fn add(&mut self, device: &Device) -> Submission {
        let message = reverse_message(self.user, self.head.hash, &codec::encode(&device.keys()));
        let reverse = device.key.sign(Domain::REVERSE, &message);
        self.live.push(device.id());
        let key = SigningKey::from_seed(&self.device.key.to_seed());
        self.state(&key, Action::DeviceAdd(DeviceAdd { keys: device.keys(), reverse }))
    }

    /// The statement that revokes `device`, signed by `author`.
    pub(crate) fn revoke(&mut self, author: &SigningKey, device: DeviceId) -> Submission {
        self.live.retain(|live| *live != device);
        let revoke =
            DeviceRevoke { devices: vec![device], reason: RevokeReason::Retired, since_seq: None };
        self.state(author, Action::DeviceRevoke(revoke))
    }

    /// The statement with the next per-user key, and its boxes.
    pub(crate) fn rotate(&mut self, generation: u32) -> (Submission, Vec<PukBox>) {
        let boxes = boxes(generation, &self.live);
        let rotate = PukRotate { puk: puk(generation, &boxes), previous: Octets::default() };
        let key = SigningKey::from_seed(&self.device.key.to_seed());
        (self.state(&key, Action::PukRotate(rotate)), boxes)
    }

    pub(crate) fn head(&self) -> HeadRef {
        self.head.into()
    }

    /// A message to `to` from this person's `device`, with an envelope of `bytes` for each device that should get one.
    pub(crate) fn message(
        &self,
        device: DeviceId,
        to: &Self,
        message: ItemId,
        bytes: usize,
    ) -> SendMessage {
        let others =
            self.live.iter().filter(|live| **live != device).map(|live| (self.user, *live));
        let theirs = to.live.iter().filter(|_| to.user != self.user).map(|live| (to.user, *live));
        let envelope = |(dst_user, dst_device): (UserId, DeviceId)| {
            let header = EnvelopeHeader {
                suite: 1,
                kind: EnvelopeKind::Message,
                dst_user,
                dst_device,
                src_user: self.user,
                src_device: device,
                session: RatchetId::from_bytes([4; 16]),
                message,
            };
            Envelope {
                header: Octets::parse(codec::encode(&header)).unwrap(),
                sealed: Octets::parse(vec![0x5e; bytes]).unwrap(),
                initiation: None,
            }
        };
        SendMessage {
            message,
            to: to.user,
            to_head: to.head(),
            own_head: self.head(),
            envelopes: others.chain(theirs).map(envelope).collect(),
            purpose: Purpose::Message,
        }
    }
}
