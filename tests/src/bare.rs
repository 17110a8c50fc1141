//! People without a client: real accounts with real signatures, whose sealed parts are random bytes, since no server can tell.
//!
//! The load generator uses them for their speed, and the attacks because a client of ours would not do what an attacker does.

pub mod community;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use rookery_cli::e2ee::{KemSecret, OsRandom};
use rookery_protocol::{
    chain::{HeadRef, Kind, Seen, Submission},
    codec::{self, Octets},
    community::PukPin,
    envelope::{Envelope, EnvelopeHeader, EnvelopeKind},
    id::{ChainId, DeviceId, Digest, ItemId, RatchetId, UserId},
    io::client::{Client, Dialer, Trust},
    key::{AgreementKey, Domain, HpkeBox, KemKey, SigningKey},
    name::JoinLink,
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    request::{
        account::Register,
        contact::RequestContact,
        message::{Purpose, SendMessage},
        session::Tokens,
    },
    session::prove_login,
    time::{Clock as _, SystemClock},
    user::{DeviceKeys, Genesis, Lane, PukBox, PukPublic, RecoveryKeys, Statement},
    version::SUITE,
};

/// One person with one device, connected.
#[derive(Clone, Debug)]
pub struct Bare {
    /// The account's name.
    pub name: String,
    /// Who they are.
    pub user: UserId,
    /// Their device.
    pub device: DeviceId,
    /// Where their chain stands.
    pub head: HeadRef,
    /// Their per-user key.
    pub puk: PukPin,
    /// The connection, opened for the device.
    pub client: Client,
    /// What their session lives by.
    pub tokens: Tokens,
    /// The device's key.
    pub key: Arc<SigningKey>,
}

/// Random bytes of the system.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// `count` random bytes of the system.
pub fn random_bytes(count: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// A key that others can seal for, as a client of ours does when an epoch begins; its secret is thrown away.
fn random_kem() -> KemKey {
    KemSecret::generate(&mut OsRandom).public()
}

impl Bare {
    /// Registers a new account and opens its session.
    pub async fn register(dialer: &Dialer, link: &JoinLink, name: String) -> anyhow::Result<Self> {
        let client = dialer.connect(Trust::Pinned(link.key)).await?;
        let key = SigningKey::from_seed(&random()?);
        let recovery = SigningKey::from_seed(&random()?);
        let device = key.verifying_key().device_id();
        let at = SystemClock.now();
        let sealed = || HpkeBox::parse(vec![0x5e; 1184]);
        let boxes = vec![
            PukBox { generation: 1, device: Some(device), sealed: sealed()? },
            PukBox { generation: 1, device: None, sealed: sealed()? },
        ];
        let puk = PukPublic {
            lane: Lane::Durable,
            generation: 1,
            public: random_kem(),
            commit: Digest::from_bytes(random()?),
            boxes_root: PukBox::root(&boxes),
        };
        let pin = PukPin::of(&puk);
        let statement = Statement::genesis(Genesis {
            home: link.server.clone(),
            home_key: link.key,
            recovery: RecoveryKeys { signing: recovery.verifying_key(), sealing: random_kem() },
            device: DeviceKeys {
                signing: key.verifying_key(),
                identity: AgreementKey::from_bytes(random()?),
                sealing: random_kem(),
                bot: false,
                sealed_name: Octets::default(),
            },
            puk,
            nonce: Octets::parse(random::<16>()?.to_vec())?,
        });
        let body = codec::encode(&statement);
        let user = Statement::user_id(&body);
        let chain = ChainId::of_user(user);
        let mut genesis = Submission::sign(
            &key,
            chain,
            ItemId::from_bytes(random()?),
            Kind::UserStatement,
            body,
            at,
            None,
        )?;
        genesis.signed = genesis.signed.cosign(&recovery);
        let head: HeadRef = genesis.clone().place(chain, 0, None).seen().into();
        let expires = at.plus(std::time::Duration::from_hours(24 * 30));
        let register = Register {
            name: name.parse()?,
            password: "a password for the load".to_owned(),
            invite: link.invite,
            genesis,
            boxes,
            prekeys: PrekeyUpload {
                signed: Some(EcPrekey::sign(
                    &key,
                    Domain::PREKEY_EC,
                    1,
                    AgreementKey::from_bytes(random()?),
                    expires,
                )),
                signed_kem: Some(KemPrekey::sign(
                    &key,
                    Domain::PREKEY_PQ,
                    1,
                    random_kem(),
                    expires,
                )),
                one_time: vec![],
                one_time_kem: vec![],
            },
            proof: prove_login(&key, &client.exporter(), &name, at),
            at,
            email: None,
        };
        let registered = client.call(&register).await.context("registering")?;
        client
            .open_session(&key, &registered.tokens.access)
            .await
            .context("opening the session")?;
        let tokens = registered.tokens;
        Ok(Self { name, user, device, head, puk: pin, client, tokens, key: Arc::new(key) })
    }

    /// Where their chain stands, as what they sign names it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen { seq: self.head.seq, hash: self.head.hash }
    }

    /// Makes both contacts of one another.
    pub async fn befriend(&self, other: &Self) -> anyhow::Result<()> {
        self.client.call(&RequestContact { name: other.name.parse()?, server: None }).await?;
        other.client.call(&RequestContact { name: self.name.parse()?, server: None }).await?;
        Ok(())
    }
}

/// Registers `count` people on the server at `address`, four at a time; passwords are hashed there, so this takes its time.
pub async fn populate(
    address: SocketAddr,
    link: &JoinLink,
    count: usize,
) -> anyhow::Result<Vec<Bare>> {
    let dialer = Dialer::towards(address)?;
    let one = |number: usize| Bare::register(&dialer, link, format!("person-{number}"));
    futures::stream::iter(0..count).map(one).buffered(4).try_collect().await
}

impl Bare {
    /// A message to `other`'s device of which nobody can open the one envelope, `sealed_bytes` long.
    pub fn message_to(
        &self,
        other: &Self,
        message: ItemId,
        sealed_bytes: usize,
    ) -> anyhow::Result<SendMessage> {
        let header = EnvelopeHeader {
            suite: SUITE,
            kind: EnvelopeKind::Message,
            dst_user: other.user,
            dst_device: other.device,
            src_user: self.user,
            src_device: self.device,
            session: RatchetId::from_bytes([0x5e; 16]),
            message,
        };
        let envelope = Envelope {
            header: Octets::parse(codec::encode(&header))?,
            sealed: Octets::parse(vec![0x5e; sealed_bytes])?,
            initiation: None,
        };
        Ok(SendMessage {
            message,
            to: other.user,
            to_head: other.head,
            own_head: self.head,
            envelopes: vec![envelope],
            purpose: Purpose::Message,
        })
    }
}
