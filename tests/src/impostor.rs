//! A homeserver that we play: it has keys of its own, and says and answers what it likes.

use std::path::Path;

use anyhow::{Context as _, Result};
use rookery_cli::e2ee::{
    OsRandom,
    identity::{DeviceSecrets, MadeFor},
    puk::PukRing,
    recovery::RecoveryKey,
    statement::{Founder, found},
};
use rookery_homeserver::{
    identity::{Absent, DataDir, Record, Said},
    service::peer::discovery::document,
};
use rookery_protocol::{
    chain::{Entry, HeadRef},
    codec,
    codec::MAX_BATCH,
    community::PukPin,
    id::{ChainId, ServerId, UserId},
    io::{Connection, client::Client},
    key::SigningKey,
    name::{HostPort, ServerName},
    request::{
        Answer, Never, Refusal, Request as _,
        chain::{Entries, ReadError},
        peer::{MovedChains, PeerHeads, PeerHelloReply, PeerProve, PeerReadChain},
        server::{ServerRecord, SignedServerRecord},
    },
    session::peer::{Dialling, Oneself},
    time::{Clock as _, SystemClock, Timestamp},
};

use crate::bare::random;

/// Its keys, and what it calls itself.
pub struct Impostor {
    root: Option<SigningKey>,
    /// Its record, under its root.
    pub signed: SignedServerRecord,
    /// What that says.
    pub record: ServerRecord,
    online: SigningKey,
}

/// One connection of its, greeted and answered.
pub struct Greeted {
    /// The connection.
    pub client: Client,
    /// What the other side has said.
    pub reply: PeerHelloReply,
    /// The proof that would be right.
    pub proof: PeerProve,
}

impl Impostor {
    /// Somebody who calls itself `name`.
    pub fn new(name: &str) -> Result<Self> {
        let (root, online) = (SigningKey::from_seed(&random()?), SigningKey::from_seed(&random()?));
        let record = ServerRecord {
            name: name.parse()?,
            root: root.verifying_key(),
            online: online.verifying_key(),
            number: 1,
            since: SystemClock.now(),
            until: SystemClock.now().plus(std::time::Duration::from_hours(24)),
            endpoint: None,
        };
        Ok(Self { signed: record.sign(&root)?, record, online, root: Some(root) })
    }

    /// The server whose data directory that is, which must not run.
    pub fn in_place_of(data: &Path) -> Result<Self> {
        let directory = DataDir::take(data, Absent::Refuse)?;
        let identity = directory.identity(&Said::default(), SystemClock.now())?;
        let record = identity.record();
        let (signed, record) = (record.signed.clone(), record.stated.clone());
        Ok(Self { signed, record, online: identity.online, root: identity.root })
    }

    /// Itself, with a record that ended a day ago.
    pub fn ended(self) -> Result<Self> {
        let root = self.root.as_ref().context("no root key")?;
        let day = std::time::Duration::from_hours(24);
        let until = SystemClock.now().as_millis().saturating_sub(day.as_millis().try_into()?);
        let record = ServerRecord { until: Timestamp::from_millis(until), ..self.record.clone() };
        Ok(Self { signed: record.sign(root)?, record, ..self })
    }

    /// Itself, with a record that says where it is.
    pub fn at(self, place: &str) -> Result<Self> {
        let root = self.root.as_ref().context("no root key")?;
        let endpoint = Some(place.parse()?);
        let record = ServerRecord { endpoint, ..self.record.clone() };
        Ok(Self { signed: record.sign(root)?, record, ..self })
    }

    /// Itself, with the record that another one has shown to it.
    #[must_use]
    pub fn with_record_of(self, other: &Self) -> Self {
        Self { signed: other.signed.clone(), record: other.record.clone(), ..self }
    }

    /// What is to be published under its name.
    #[must_use]
    pub fn document(&self) -> String {
        document::write(&Record { signed: self.signed.clone(), stated: self.record.clone() })
    }

    /// The fingerprint of its root key.
    #[must_use]
    pub fn root(&self) -> ServerId {
        self.record.root.server_id()
    }

    /// The key that signs what it says.
    #[must_use]
    pub const fn online(&self) -> &SigningKey {
        &self.online
    }

    fn oneself(&self) -> Oneself<'_> {
        Oneself { signed: &self.signed, record: &self.record, online: &self.online }
    }

    /// Connects to the server `name` at `address`, greets it, and hears its answer.
    pub async fn greet(&self, address: &str, name: &str) -> Result<Greeted> {
        let (address, name): (HostPort, ServerName) = (address.parse()?, name.parse()?);
        let client = Client::connect_peer(&address).await?;
        let (dialling, hello) = Dialling::begin(&self.oneself(), &name, random()?)?;
        let reply = client.call(&hello).await?;
        let exporters = client.connection().peer_exporters();
        let (_, proof) = dialling.handle_reply(&self.oneself(), &reply, &exporters)?;
        Ok(Greeted { client, reply, proof })
    }

    /// The same, and proves itself.
    pub async fn connect(&self, address: &str, name: &str) -> Result<Client> {
        let Greeted { client, proof, .. } = self.greet(address, name).await?;
        client.call(&proof).await?;
        Ok(client)
    }
}

/// Does `work` while whatever the other side asks on `connection` is answered, as [`serve`] does.
///
/// A homeserver asks its peers at any time, and leaves one that does not answer: who does more than one call plays its part meanwhile.
pub async fn attended<T>(
    connection: &Connection,
    answer: impl AsyncFn(&str, &[u8]) -> Result<Option<Vec<u8>>>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        done = work => done,
        Err(ended) = serve(connection, answer) => Err(ended),
    }
}

/// Answers what is asked on `connection` by `answer`, of the method and the body, until it ends. For what that has no answer to, no chain has
/// moved, and other methods are unknown.
pub async fn serve(
    connection: &Connection,
    answer: impl AsyncFn(&str, &[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    loop {
        let (mut send, mut recv) = connection.accept().await?;
        // Who asks may give up a question, and ask others.
        let Ok(Some(method)) = recv.read_frame(64).await else { continue };
        let Ok(Some(body)) = recv.read_frame(MAX_BATCH).await else { continue };
        let known = answer(std::str::from_utf8(&method)?, &body).await?;
        if send.write_frame(&known.unwrap_or_else(|| otherwise(&method))).await.is_ok() {
            send.finish().await;
        }
    }
}

/// What a server answers that has nothing new to tell. Whoever refuses to compare heads is left, and comparing comes at any time.
fn otherwise(method: &[u8]) -> Vec<u8> {
    if method == PeerHeads::METHOD.as_bytes() {
        let same: Answer<MovedChains, Never> = Answer::Reply(MovedChains { moved: vec![] });
        return codec::encode(&same);
    }
    let unknown: Answer<(), Never> = Answer::Refused(Refusal::UnknownMethod);
    codec::encode(&unknown)
}

/// A user whom nobody has registered: their chain's first statement, and what its device signs with.
pub struct Invented {
    /// Who they are.
    pub user: UserId,
    /// Their device.
    pub device: DeviceSecrets,
    /// Where their chain stands.
    pub head: HeadRef,
    /// Their per-user key.
    pub puk: PukPin,
    genesis: Entry,
}

impl Invented {
    /// Somebody who says to live on the server `home` with the root key `root`.
    pub fn new(home: &str, root: ServerId) -> Result<Self> {
        let (device, recovery) =
            (DeviceSecrets::generate(&mut OsRandom), RecoveryKey::generate(&mut OsRandom));
        let ring = PukRing::generate(&mut OsRandom);
        let sealed_name = ring.seal_device_name(device.id(), "burrow", &mut OsRandom);
        let keys = device.public(MadeFor::Person, sealed_name);
        let founder = Founder { device: &device, keys: &keys, recovery: &recovery, ring: &ring };
        let founding = found(home.parse()?, root, founder, SystemClock.now(), &mut OsRandom)?;
        let genesis = founding.genesis.place(ChainId::of_user(founding.user), 0, None);
        let head = genesis.seen().into();
        let puk = PukPin::of(founding.state.puk().context("no per-user key")?);
        Ok(Self { user: founding.user, device, head, puk, genesis })
    }

    /// What their server answers when it is asked for their chain, and nothing to other questions.
    pub fn answer(&self, method: &str, body: &[u8]) -> Result<Option<Vec<u8>>> {
        if method != PeerReadChain::METHOD
            || codec::decode::<PeerReadChain>(body)?.user != self.user
        {
            return Ok(None);
        }
        let entries = Entries { entries: vec![self.genesis.clone()], head: None, more: false };
        Ok(Some(codec::encode(&Answer::<Entries, ReadError>::Reply(entries))))
    }
}
