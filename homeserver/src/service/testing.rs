//! A server without a network, and people on it, for tests. What they seal is nonsense: nothing here could open it.

mod person;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use rookery_protocol::{
    id::ItemId,
    key::SigningKey,
    name::ServerName,
    request::{
        server::SignedServerRecord,
        session::{OpenSession, Tokens},
    },
    session::{Authenticated, Principal, prove_connection},
    time::{Clock as _, ManualClock, Timestamp},
};
use tokio_util::task::TaskTracker;

pub(crate) use self::person::{Device, Person};
use super::{
    Parts, Services, account,
    password::Passwords,
    peer::discovery::{Fetched, Seek, Unfound, rule::SrvRecord},
    seat::Seat,
    session,
};
use crate::{
    config::{Config, Loaded, Source},
    identity::Identity,
    repository::memory::Memory,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) fn identity(seed: u8) -> Identity {
    identity_of("nest.example", seed)
}

pub(crate) fn identity_of(name: &str, seed: u8) -> Identity {
    let (root, online) =
        (SigningKey::from_seed(&[seed; 32]), SigningKey::from_seed(&[seed ^ 0x80; 32]));
    Identity::unstored(name, root, online, NOW)
}

/// A server without a network, its clock, and its storage.
pub(crate) struct Bench {
    pub(crate) services: Arc<Services>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) storage: Memory,
}

/// A configuration that is open and has no limits but those in `settings`.
pub(crate) fn config(settings: &[(&str, &str)]) -> Config {
    let mut loaded = Loaded::default();
    loaded.lift_limits(&Source::Default);
    loaded.set("server.registration", "open", Source::Default).unwrap();
    for (key, value) in settings {
        loaded.set(key, value, Source::Default).unwrap();
    }
    loaded.config
}

pub(crate) fn bench(settings: &[(&str, &str)]) -> Bench {
    bench_of(identity(1), settings)
}

/// A server of that identity.
pub(crate) fn bench_of(identity: Identity, settings: &[(&str, &str)]) -> Bench {
    bench_in(identity, settings, Arc::new(Nowhere))
}

/// The same, in that world.
pub(crate) fn bench_in(
    identity: Identity,
    settings: &[(&str, &str)],
    seek: Arc<dyn Seek>,
) -> Bench {
    let clock = Arc::new(ManualClock::at(NOW));
    let storage = Memory::new(7);
    let services = Services::start(Parts {
        clock: clock.clone(),
        storage: Arc::new(storage.clone()),
        identity,
        config: config(settings),
        advertised: "nest.example".parse().unwrap(),
        passwords: Passwords::cheap(),
        seek,
        tasks: TaskTracker::new(),
    });
    Bench { services, clock, storage }
}

/// A world in which nobody answers.
struct Nowhere;

#[async_trait]
impl Seek for Nowhere {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unfound> {
        Err(Unfound::Silent(host.to_owned()))
    }

    async fn srv(&self, name: &ServerName) -> Result<Vec<SrvRecord>, Unfound> {
        Err(Unfound::Silent(name.to_string()))
    }

    async fn document(&self, name: &ServerName, _: &[SocketAddr]) -> Result<Fetched, Unfound> {
        Err(Unfound::Silent(name.to_string()))
    }

    async fn record(
        &self,
        name: &ServerName,
        _: &[SocketAddr],
    ) -> Result<SignedServerRecord, Unfound> {
        Err(Unfound::Silent(name.to_string()))
    }
}

/// An item id made of a number.
pub(crate) fn item(number: u32) -> ItemId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ItemId::from_bytes(bytes)
}

impl Bench {
    pub(crate) fn seat(&self, exporter: u8) -> Arc<Seat> {
        self.services.seats.sit(IpAddr::from([127, 0, 0, 1]), [exporter; 32], None).unwrap()
    }

    /// Somebody who has registered, logged in on a connection of their own.
    pub(crate) async fn person(&self, name: &str) -> (Person, Authenticated, Arc<Seat>, Tokens) {
        let person = Person::new(name, &self.services.identity);
        let seat = self.seat(name.as_bytes()[0]);
        let request = person.register(seat.exporter(), None, self.clock.now());
        let registered = account::register(&self.services, &seat, request).await.unwrap();
        let who = self.open(&seat, &person.device, &registered.tokens).await;
        (person, who, seat, registered.tokens)
    }

    /// Opens a session on a connection.
    pub(crate) async fn open(
        &self,
        seat: &Arc<Seat>,
        device: &Device,
        tokens: &Tokens,
    ) -> Authenticated {
        let proof = prove_connection(&device.key, seat.exporter(), &tokens.access);
        let request = OpenSession { access: tokens.access.clone(), proof };
        session::open(&self.services, seat, request).await.unwrap();
        match seat.principal() {
            Principal::Device(who) | Principal::Uncertified(who) => who,
            other => panic!("{other:?}"),
        }
    }

    /// Adds a second device to a person, logged in on a connection of its own.
    pub(crate) async fn second(
        &self,
        person: &mut Person,
        who: Authenticated,
    ) -> (Device, Authenticated, Arc<Seat>) {
        let device = Device::new([0x77; 32]);
        let seat = self.seat(0x77);
        let login = device.login(&person.name, seat.exporter(), self.clock.now());
        let reply = session::login(&self.services, &seat, login).await.unwrap();
        assert!(!reply.certified);
        let second = self.open(&seat, &device, &reply.tokens).await;
        assert!(matches!(seat.principal(), Principal::Uncertified(_)));
        let add = person.add(&device);
        let request = rookery_protocol::request::account::AppendStatements {
            statements: vec![add],
            boxes: vec![],
        };
        super::statement::append(&self.services, who, request).await.unwrap();
        assert!(matches!(seat.principal(), Principal::Device(_)), "certified at once");
        (device, second, seat)
    }
}
