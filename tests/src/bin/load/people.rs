//! People for the load: real accounts with real signatures, whose sealed parts are random bytes, since no server can tell.

use std::sync::Arc;

use anyhow::Context as _;
use rookery_protocol::{
    chain::{HeadRef, Kind, Submission},
    codec::{self, Octets},
    hash,
    id::{ChainId, DeviceId, Digest, ItemId, UserId},
    io::client::{Client, Dialer},
    key::{AgreementKey, Domain, HpkeBox, KEM_KEY_BYTES, KemKey, SigningKey},
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    request::{account::Register, contact::RequestContact, session::Tokens},
    session::prove_login,
    time::{Clock as _, SystemClock},
    user::{DeviceKeys, Genesis, Lane, PukBox, PukPublic, RecoveryKeys, Statement},
};

use crate::server::Server;

/// One person with one device, connected.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) head: HeadRef,
    pub(crate) client: Client,
    pub(crate) tokens: Tokens,
    pub(crate) key: Arc<SigningKey>,
}

pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

fn random_kem() -> anyhow::Result<KemKey> {
    KemKey::from_slice(&random::<KEM_KEY_BYTES>()?).context("a key of the right length")
}

impl Person {
    /// Registers a new account and opens its session.
    pub(crate) async fn register(server: &Server, dialer: &Dialer, name: String) -> anyhow::Result<Self> {
        let client = dialer.connect(server.trust()).await?;
        let key = SigningKey::from_seed(&random()?);
        let recovery = SigningKey::from_seed(&random()?);
        let device = key.verifying_key().device_id();
        let at = SystemClock.now();
        let sealed = || HpkeBox::parse(vec![0x5e; 1184]);
        let boxes = vec![
            PukBox { generation: 1, device: Some(device), sealed: sealed()? },
            PukBox { generation: 1, device: None, sealed: sealed()? },
        ];
        let statement = Statement::genesis(Genesis {
            home: server.invite.server.clone(),
            home_key: server.invite.key,
            recovery: RecoveryKeys { signing: recovery.verifying_key(), sealing: random_kem()? },
            device: DeviceKeys {
                signing: key.verifying_key(),
                identity: AgreementKey::from_bytes(random()?),
                sealing: random_kem()?,
                bot: false,
                sealed_name: Octets::default(),
            },
            puk: PukPublic {
                lane: Lane::Durable,
                generation: 1,
                public: random_kem()?,
                commit: Digest::from_bytes(random()?),
                boxes_root: PukBox::root(&boxes),
            },
            nonce: Octets::parse(random::<16>()?.to_vec())?,
        });
        let body = codec::encode(&statement);
        let user = Statement::user_id(&body);
        let chain = ChainId::of_user(user);
        let mut genesis =
            Submission::sign(&key, chain, ItemId::from_bytes(random()?), Kind::UserStatement, body, at, None)?;
        genesis.signed = genesis.signed.cosign(&recovery);
        let head: HeadRef = genesis.clone().place(chain, 0, None).seen().into();
        let expires = at.plus(std::time::Duration::from_hours(24 * 30));
        let register = Register {
            name: name.parse()?,
            password: "a password for the load".to_owned(),
            invite: server.invite.invite,
            genesis,
            boxes,
            prekeys: PrekeyUpload {
                signed: Some(EcPrekey::sign(&key, Domain::PREKEY_EC, 1, AgreementKey::from_bytes(random()?), expires)),
                signed_kem: Some(KemPrekey::sign(&key, Domain::PREKEY_PQ, 1, random_kem()?, expires)),
                one_time: vec![],
                one_time_kem: vec![],
            },
            proof: prove_login(&key, &client.exporter(), &name, at),
            at,
            email: None,
        };
        let registered = client.call(&register).await.context("registering")?;
        client.open_session(&key, &registered.tokens.access).await.context("opening the session")?;
        let tokens = registered.tokens;
        Ok(Self { name, user, device, head, client, tokens, key: Arc::new(key) })
    }

    /// Makes both contacts of one another.
    pub(crate) async fn befriend(&self, other: &Self) -> anyhow::Result<()> {
        self.client.call(&RequestContact { name: other.name.parse()? }).await?;
        other.client.call(&RequestContact { name: self.name.parse()? }).await?;
        Ok(())
    }
}

/// Registers `count` people; passwords are hashed on the server, so this takes its time.
pub(crate) async fn populate(server: &Server, count: usize) -> anyhow::Result<Vec<Person>> {
    let dialer = Dialer::towards(server.address)?;
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        people.push(Person::register(server, &dialer, format!("person-{number}")).await?);
    }
    Ok(people)
}

/// A made-up session id for envelopes that nobody opens.
pub(crate) fn made_up_session(one: DeviceId, two: DeviceId) -> [u8; 16] {
    let hash = hash::labelled("load", &[one.as_bytes(), two.as_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(hash.as_bytes().split_at(16).0);
    id
}
