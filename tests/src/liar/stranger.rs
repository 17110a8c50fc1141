//! Somebody on the lying server whom nobody let in, with real keys: whatever opens for them was sealed for a stranger.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rookery_cli::e2ee::{
    OsRandom,
    epoch::{EpochPlace, EpochSecret, Receiver, WrapContext, wrap_at},
    identity::{DeviceSecrets, MadeFor},
    puk::PukRing,
    recovery::RecoveryKey,
    statement::{Founder, found},
};
use rookery_protocol::{
    chain::{Entry, Seen},
    codec,
    community::{Action, PukPin},
    id::{ChainId, CommunityId, UserId},
    io::client::{Client, Trust},
    key::{AgreementKey, Domain, HpkeBox, KEM_KEY_BYTES, KemKey},
    name::JoinLink,
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    request::account::Register,
    session::prove_login,
    time::{Clock as _, SystemClock},
    user,
};

use super::{Liar, statement_of};
use crate::bare::random;

/// A registered user whose secrets are at hand.
pub struct Stranger {
    /// Who they are.
    pub user: UserId,
    /// Their device.
    pub device: DeviceSecrets,
    /// Their per-user key.
    pub ring: PukRing,
    /// Where their chain stands.
    pub head: Seen,
    /// Their connection.
    pub client: Client,
}

impl Stranger {
    /// Registers one by `link`.
    pub async fn register(link: &JoinLink, name: &str) -> Result<Self> {
        let client = Client::connect(&link.address, Trust::Pinned(link.key)).await?;
        let (device, recovery) =
            (DeviceSecrets::generate(&mut OsRandom), RecoveryKey::generate(&mut OsRandom));
        let ring = PukRing::generate(&mut OsRandom);
        let sealed_name = ring.seal_device_name(device.id(), "burrow", &mut OsRandom);
        let keys = device.public(MadeFor::Person, sealed_name);
        let founder = Founder { device: &device, keys: &keys, recovery: &recovery, ring: &ring };
        let at = SystemClock.now();
        let founding = found(link.server.clone(), link.key, founder, at, &mut OsRandom)?;
        let head = founding.genesis.clone().place(ChainId::of_user(founding.user), 0, None).seen();
        let (signing, expires) = (device.signing(), at.plus(Duration::from_hours(24 * 30)));
        let kem = KemKey::from_slice(&random::<KEM_KEY_BYTES>()?).context("a key")?;
        let ec = AgreementKey::from_bytes(random()?);
        let request = Register {
            name: name.parse()?,
            password: "a password of nobody's".to_owned(),
            invite: link.invite,
            genesis: founding.genesis,
            boxes: founding.boxes,
            prekeys: PrekeyUpload {
                signed: Some(EcPrekey::sign(signing, Domain::PREKEY_EC, 1, ec, expires)),
                signed_kem: Some(KemPrekey::sign(signing, Domain::PREKEY_PQ, 1, kem, expires)),
                one_time: vec![],
                one_time_kem: vec![],
            },
            proof: prove_login(signing, &client.exporter(), name, at),
            at,
            email: None,
        };
        let registered = client.call(&request).await.context("registering")?;
        client.open_session(signing, &registered.tokens.access).await.context("the session")?;
        Ok(Self { user: founding.user, device, ring, head, client })
    }

    /// What a log pins of their per-user key.
    pub fn pin(&self) -> Result<PukPin> {
        let key = self.ring.kem(1).context("a per-user key")?.public();
        Ok(PukPin { generation: 1, public: rookery_protocol::hash::plain(key.as_bytes()) })
    }

    /// Every secret of the community that opens for them: each wrap that was ever put up or stated, taken for theirs or for any member's.
    pub async fn opens(&self, liar: &Liar, community: CommunityId) -> Result<usize> {
        let log = liar.entries(ChainId::of_log(community)).await?;
        let mut wraps: Vec<(EpochPlace, HpkeBox)> = vec![];
        let (mut contexts, mut receivers) = (vec![], vec![Receiver::User(self.user)]);
        for entry in &log {
            let statement = statement_of(entry)?;
            receivers.push(Receiver::User(statement.author));
            match statement.action {
                Action::Epoch(start) => {
                    let place =
                        EpochPlace { community, audience: start.audience, epoch: start.epoch };
                    contexts.push((
                        WrapContext { place, roster_root: start.roster_root },
                        start.commit,
                    ));
                    let blob = liar.blob(community, start.wraps).await?;
                    wraps.extend((0..).map_while(|index| Some((place, wrap_at(&blob, index)?))));
                }
                Action::Admit(admit) => {
                    let (audience, epoch) = (admit.audience, admit.epoch);
                    wraps.push((EpochPlace { community, audience, epoch }, admit.wrap));
                }
                _ => {}
            }
        }
        receivers.dedup();
        let key = self.ring.kem(1).context("a per-user key")?;
        let mut opened = 0_usize;
        for (place, wrap) in &wraps {
            let of_place = contexts.iter().filter(|(context, _)| context.place == *place);
            for (context, commit) in of_place {
                let opens = |receiver: &Receiver| {
                    EpochSecret::unwrap(&key, context, *receiver, wrap, commit).is_ok()
                };
                opened = opened.saturating_add(receivers.iter().filter(|one| opens(one)).count());
            }
        }
        Ok(opened)
    }

    /// A statement that adds their device to the chain of `user`, which ends with `head`: signed by themselves, since by nobody else.
    pub fn add_own_device_to(&self, user: UserId, head: Seen) -> Result<Entry> {
        let sealed_name = self.ring.seal_device_name(self.device.id(), "yours", &mut OsRandom);
        let keys = self.device.public(MadeFor::Person, sealed_name);
        let reverse = self.device.consent(user, head.hash, &keys);
        let action = user::Action::DeviceAdd(user::DeviceAdd { keys, reverse });
        let body = codec::encode(&user::Statement::next(user, head, action));
        let (chain, kind) = (ChainId::of_user(user), rookery_protocol::chain::Kind::UserStatement);
        let item = rookery_protocol::id::ItemId::from_bytes(random()?);
        let (signing, at) = (self.device.signing(), SystemClock.now());
        let signed =
            rookery_protocol::chain::Submission::sign(signing, chain, item, kind, body, at, None)?;
        Ok(signed.place(chain, 0, Some(head)))
    }
}
