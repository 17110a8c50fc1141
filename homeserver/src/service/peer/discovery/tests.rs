//! Looking for others in a world that is written down beforehand, and notes what it is asked.

use std::collections::HashMap;

use rookery_protocol::{
    id::ServerId,
    request::{Failure, peer::PeerProveError, peering::PeeringError},
};

use super::*;
use crate::{
    identity::Identity,
    repository::peer::StoredFinding,
    service::{
        peer::{
            admin, handshake,
            tests::{garden, garden_identity, stored},
        },
        testing::{Bench, bench_in, identity, identity_of},
    },
};

/// What there is, by host; what is not in it is not there.
#[derive(Default)]
struct Script {
    addresses: HashMap<String, Result<Vec<IpAddr>, Unfound>>,
    srv: Option<Result<Vec<SrvRecord>, Unfound>>,
    document: Option<Result<Fetched, Unfound>>,
    /// By the address of who shows it.
    records: HashMap<SocketAddr, SignedServerRecord>,
}

/// The world, and every question it was asked.
#[derive(Default)]
struct World {
    script: Mutex<Script>,
    asked: Mutex<Vec<String>>,
}

impl World {
    fn write(&self, write: impl FnOnce(&mut Script)) {
        write(&mut self.script.lock().unwrap());
    }

    fn note(&self, question: String) {
        self.asked.lock().unwrap().push(question);
    }

    /// What was asked since this was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn nothing<T>() -> Result<T, Unfound> {
    Err(Unfound::Nothing("nothing".to_owned()))
}

fn silent<T>() -> Result<T, Unfound> {
    Err(Unfound::Silent("no answer".to_owned()))
}

#[async_trait]
impl Seek for World {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unfound> {
        self.note(format!("address {host}"));
        self.script.lock().unwrap().addresses.get(host).cloned().unwrap_or_else(nothing)
    }

    async fn srv(&self, name: &ServerName) -> Result<Vec<SrvRecord>, Unfound> {
        self.note(format!("srv {name}"));
        self.script.lock().unwrap().srv.clone().unwrap_or_else(nothing)
    }

    async fn document(&self, name: &ServerName, at: &[SocketAddr]) -> Result<Fetched, Unfound> {
        self.note(format!("document {name} {at:?}"));
        self.script.lock().unwrap().document.clone().unwrap_or_else(nothing)
    }

    async fn record(
        &self,
        name: &ServerName,
        at: &[SocketAddr],
    ) -> Result<SignedServerRecord, Unfound> {
        self.note(format!("record {name} {at:?}"));
        let script = self.script.lock().unwrap();
        at.iter().find_map(|at| script.records.get(at)).cloned().map_or_else(nothing, Ok)
    }
}

const PUBLIC: &str = "1.2.3.4";
/// As they are by themselves.
const LIMITS: [(&str, &str); 2] =
    [("limits.fetch_address", "5/min"), ("limits.fetch_server", "20/s")];

fn fetched(of: &Identity, max_age: Option<Duration>) -> Fetched {
    let body = document::write(&of.record()).into_bytes();
    Fetched { status: 200, max_age, body }
}

fn at(address: &str) -> Vec<IpAddr> {
    vec![address.parse().unwrap()]
}

/// A server in a world where the garden has an address, and nothing else.
fn bench(settings: &[(&str, &str)]) -> (Bench, Arc<World>) {
    let world = Arc::new(World::default());
    world.write(|script| {
        script.addresses.insert("garden.example".to_owned(), Ok(at(PUBLIC)));
    });
    (bench_in(identity(1), settings, world.clone()), world)
}

async fn owner_of(bench: &Bench) -> Result<(ServerId, Rank), Unfound> {
    let found = owner(&bench.services, &garden(), Asker::Own).await?;
    Ok((found.record.root.server_id(), found.by))
}

#[tokio::test]
async fn what_is_published_is_asked_for_once_a_day_or_as_long_as_it_says() {
    let (bench, world) = bench(&[]);
    let hours = Duration::from_hours;
    world.write(|script| script.document = Some(Ok(fetched(&garden_identity(), None))));
    let expected = Ok((garden_identity().server(), Rank::WellKnown));
    assert_eq!(owner_of(&bench).await, expected);
    assert_eq!(world.asked(), ["address garden.example", "document garden.example [1.2.3.4:443]"]);
    bench.clock.advance(hours(23));
    assert_eq!(owner_of(&bench).await, expected);
    assert_eq!(world.asked(), [""; 0], "it is kept");
    world.write(|script| script.document = Some(Ok(fetched(&garden_identity(), Some(hours(2))))));
    bench.clock.advance(hours(1));
    assert_eq!(owner_of(&bench).await, expected);
    assert_eq!(world.asked().len(), 2);
    bench.clock.advance(hours(2));
    assert_eq!(owner_of(&bench).await, expected);
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn that_there_is_nothing_is_known_for_an_hour_and_silence_for_a_minute() {
    let (bench, world) = bench(&[]);
    assert!(matches!(owner_of(&bench).await, Err(Unfound::Nothing(_))));
    assert!(!world.asked().is_empty());
    bench.clock.advance(Duration::from_mins(59));
    assert!(matches!(owner_of(&bench).await, Err(Unfound::Nothing(_))));
    assert_eq!(world.asked(), [""; 0]);
    world.write(|script| {
        script.addresses.insert("garden.example".to_owned(), silent());
    });
    bench.clock.advance(Duration::from_mins(1));
    assert!(matches!(owner_of(&bench).await, Err(Unfound::Silent(_))));
    assert_eq!(world.asked(), ["address garden.example"], "nobody asks twice who got no answer");
    world.write(|script| {
        script.addresses.insert("garden.example".to_owned(), Ok(at(PUBLIC)));
        script.document = Some(Ok(fetched(&garden_identity(), None)));
    });
    assert!(owner_of(&bench).await.is_err());
    assert_eq!(world.asked(), [""; 0]);
    bench.clock.advance(Duration::from_mins(1));
    assert!(owner_of(&bench).await.is_ok());
}

#[tokio::test]
async fn nobody_is_connected_to_at_an_address_that_is_not_public() {
    for address in ["127.0.0.1", "10.1.2.3", "::1", "169.254.169.254", "0.0.0.0", "ff02::1"] {
        let (bench, world) = bench(&[]);
        world.write(|script| {
            script.addresses.insert("garden.example".to_owned(), Ok(at(address)));
            script.addresses.insert("burrow.example".to_owned(), Ok(at(address)));
            let target = "burrow.example.".to_owned();
            let pointer = SrvRecord { priority: 0, weight: 0, port: 9, target };
            script.srv = Some(Ok(vec![pointer]));
            script.document = Some(Ok(fetched(&garden_identity(), None)));
        });
        let refused = owner_of(&bench).await.unwrap_err().to_string();
        assert!(refused.contains(address), "{refused}");
        let asked = world.asked();
        let connected = |one: &String| one.starts_with("document") || one.starts_with("record");
        assert!(!asked.iter().any(connected), "{asked:?}");
        assert!(asked.contains(&"address burrow.example".to_owned()), "{asked:?}");
    }
    let (bench, world) = bench(&[("discovery.private_addresses", "allow")]);
    world.write(|script| {
        script.addresses.insert("garden.example".to_owned(), Ok(at("127.0.0.1")));
        script.document = Some(Ok(fetched(&garden_identity(), None)));
    });
    assert!(owner_of(&bench).await.is_ok());
}

#[tokio::test]
async fn of_a_name_with_both_kinds_of_addresses_the_public_ones_are_connected_to() {
    let (bench, world) = bench(&[]);
    world.write(|script| {
        let both = ["10.0.0.1", PUBLIC, "::1"].map(|text| text.parse().unwrap()).to_vec();
        script.addresses.insert("garden.example".to_owned(), Ok(both));
        script.document = Some(Ok(fetched(&garden_identity(), None)));
    });
    assert!(owner_of(&bench).await.is_ok());
    assert_eq!(world.asked().last().unwrap(), "document garden.example [1.2.3.4:443]");
    // A name that leads elsewhere the next time is looked at the next time.
    world.write(|script| {
        script.addresses.insert("garden.example".to_owned(), Ok(at("10.0.0.1")));
    });
    bench.services.discovery.forget(&garden());
    assert!(owner_of(&bench).await.is_err());
    // An address in a record is no better than one in a name server.
    let place: HostPort = "10.0.0.1:7665".parse().unwrap();
    let candidate = Candidate { rank: Rank::Record, place, reached: None };
    assert!(addresses(&bench.services, &candidate).await.is_err());
    let place: HostPort = "burrow.example:7665".parse().unwrap();
    world.write(|script| {
        script.addresses.insert("burrow.example".to_owned(), silent());
    });
    let reached = Some("10.0.0.1:7665".parse().unwrap());
    let candidate = Candidate { rank: Rank::Record, place, reached };
    assert!(addresses(&bench.services, &candidate).await.is_err(), "nor one from before");
}

#[tokio::test]
async fn who_publishes_nothing_shows_their_record_where_srv_or_the_name_leads() {
    let (bench, world) = bench(&[]);
    let (own, others) = (garden_identity(), identity_of("nest.example", 5));
    let place = |text: &str| text.parse::<SocketAddr>().unwrap();
    world.write(|script| {
        script.addresses.insert("burrow.example".to_owned(), Ok(at("5.6.7.8")));
        let target = "burrow.example.".to_owned();
        let pointer = SrvRecord { priority: 0, weight: 0, port: 9, target };
        script.srv = Some(Ok(vec![pointer]));
        // Whoever is there has a certificate for the name and the record of another one.
        script.records.insert(place("5.6.7.8:9"), others.record().signed.clone());
        script.records.insert(place("1.2.3.4:443"), own.record().signed.clone());
    });
    assert_eq!(owner_of(&bench).await, Ok((own.server(), Rank::Name)));
    let asked = world.asked();
    let shown: Vec<_> = asked.iter().filter(|one| one.starts_with("record")).collect();
    let expected = ["[5.6.7.8:9]", "[1.2.3.4:7665]", "[1.2.3.4:443]"]
        .map(|place| format!("record garden.example {place}"));
    assert_eq!(shown, expected.iter().collect::<Vec<_>>());
    assert_eq!(owner_of(&bench).await, Ok((own.server(), Rank::Name)));
    assert_eq!(world.asked(), [""; 0], "it is kept");
    world.write(|script| {
        script.records.insert(place("5.6.7.8:9"), own.record().signed.clone());
    });
    bench.services.discovery.forget(&garden());
    assert_eq!(owner_of(&bench).await, Ok((own.server(), Rank::Srv)));
}

#[tokio::test]
async fn a_stale_pointer_does_not_beat_what_is_published() {
    let (bench, world) = bench(&[]);
    let peer = handshake::store(&bench.services, stored()).await.unwrap();
    let old: HostPort = "old.example:9".parse().unwrap();
    let reached = Some("5.6.7.8:9".parse().unwrap());
    let heard = StoredFinding { rank: Rank::Srv, place: old.clone(), reached };
    handshake::found(&bench.services, &peer, heard.clone()).await.unwrap();
    world.write(|script| {
        script.document = Some(Ok(fetched(&garden_identity(), None)));
        script.srv = Some(silent());
    });
    let mut tried = vec![];
    for rank in rule::RANKS {
        let heard = hear(&bench.services, &garden(), Some(&peer), rank).await;
        tried.extend(heard.candidates.into_iter().map(|one| (one.rank, one.place.to_string())));
    }
    let expected = [
        (Rank::WellKnown, "garden.example:7665"),
        (Rank::Srv, "old.example:9"),
        (Rank::Name, "garden.example:7665"),
        (Rank::Name, "garden.example:443"),
    ];
    assert_eq!(tried, expected.map(|(rank, place)| (rank, place.to_owned())));
    // Both are kept, each by itself.
    let newer = StoredFinding { rank: Rank::WellKnown, ..heard.clone() };
    handshake::found(&bench.services, &peer, newer.clone()).await.unwrap();
    assert_eq!(peer.stored().findings, [newer, heard]);
}

#[tokio::test]
async fn without_name_servers_a_peer_is_sought_where_it_was() {
    let (bench, world) = bench(&[]);
    let peer = handshake::store(&bench.services, stored()).await.unwrap();
    world.write(|script| {
        script.srv = Some(silent());
        script.addresses.insert("garden.example".to_owned(), silent());
        script.addresses.insert("burrow.example".to_owned(), silent());
    });
    let place: HostPort = "burrow.example:9".parse().unwrap();
    let reached = Some("5.6.7.8:9".parse().unwrap());
    let heard = StoredFinding { rank: Rank::Srv, place, reached };
    handshake::found(&bench.services, &peer, heard).await.unwrap();
    let heard = hear(&bench.services, &garden(), Some(&peer), Rank::Srv).await;
    let [candidate] = heard.candidates.as_slice() else { panic!("{heard:?}") };
    let addresses = addresses(&bench.services, candidate).await.unwrap();
    assert_eq!(addresses, ["5.6.7.8:9".parse().unwrap()]);
}

#[tokio::test]
async fn strangers_have_this_server_look_five_times_a_minute() {
    let (bench, world) = bench(&LIMITS);
    world.write(|script| script.document = Some(Ok(fetched(&garden_identity(), None))));
    let stranger = Asker::Stranger("192.0.2.9".parse().unwrap());
    let mut throttled = 0;
    for number in 0..9 {
        let name: ServerName = format!("garden{number}.example").parse().unwrap();
        world.write(|script| {
            script.addresses.insert(name.to_string(), Ok(at(PUBLIC)));
        });
        let found = published(&bench.services, &name, stranger).await;
        if matches!(found, Err(Unfound::Throttled { .. })) {
            throttled += 1;
        }
    }
    assert_eq!(throttled, 4);
    let documents = world.asked().iter().filter(|one| one.starts_with("document")).count();
    assert_eq!(documents, 5);
    // What is known costs nothing, and another address has its own.
    let first = "garden0.example".parse().unwrap();
    assert!(!matches!(
        published(&bench.services, &first, stranger).await,
        Err(Unfound::Throttled { .. })
    ));
    let other = Asker::Stranger("192.0.2.10".parse().unwrap());
    let last = "garden8.example".parse().unwrap();
    assert!(!matches!(
        published(&bench.services, &last, other).await,
        Err(Unfound::Throttled { .. })
    ));
}

#[tokio::test]
async fn the_whole_server_looks_twenty_times_a_second() {
    let (bench, world) = bench(&LIMITS);
    for number in 0..30 {
        let name: ServerName = format!("garden{number}.example").parse().unwrap();
        world.write(|script| {
            script.addresses.insert(name.to_string(), Ok(at(PUBLIC)));
        });
        let stranger = Asker::Stranger(IpAddr::from([192, 0, 2, number]));
        published(&bench.services, &name, stranger).await.ok();
    }
    let documents = world.asked().iter().filter(|one| one.starts_with("document")).count();
    assert_eq!(documents, 20);
}

#[tokio::test]
async fn a_peer_is_added_by_its_domain_with_the_root_of_its_owner() {
    let (bench, world) = bench(&[]);
    world.write(|script| script.document = Some(Ok(fetched(&garden_identity(), None))));
    let added = admin::add_domain(&bench.services, &garden()).await.unwrap();
    assert_eq!((added.root, added.by), (garden_identity().server(), Rank::WellKnown));
    assert_eq!(added.peer.root, Some(garden_identity().server()));
    assert_eq!(added.peer.address, None);
    // Another owner does not change what is pinned.
    world.write(|script| {
        script.document = Some(Ok(fetched(&identity_of("garden.example", 7), None)));
    });
    let refused = admin::add_domain(&bench.services, &garden()).await.unwrap_err();
    let Failure::Error(PeeringError::Refused { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("peer accept"), "{reason}");
    let peer = bench.services.peers.named(&garden()).unwrap();
    assert_eq!(
        other_owner(&bench.services, &peer),
        Some(identity_of("garden.example", 7).server())
    );
    let heard = hear(&bench.services, &garden(), Some(&peer), Rank::WellKnown).await;
    assert_eq!(heard.candidates, [], "another one's place");
}

#[tokio::test]
async fn a_name_of_a_local_network_is_not_looked_up() {
    let (bench, world) = bench(&[]);
    for name in ["garden", "127.0.0.1"] {
        let refused = admin::add_domain(&bench.services, &name.parse().unwrap()).await;
        let Err(Failure::Error(PeeringError::Refused { reason })) = refused else {
            panic!("{refused:?}")
        };
        assert!(reason.contains("ADDRESS FINGERPRINT"), "{reason}");
        let name = name.parse().unwrap();
        assert!(owner(&bench.services, &name, Asker::Own).await.is_err());
        for rank in rule::RANKS {
            assert_eq!(hear(&bench.services, &name, None, rank).await.candidates, []);
        }
    }
    assert_eq!(world.asked(), [""; 0]);
    let (bench, world) = self::bench(&[("discovery.nameserver", "off")]);
    assert!(owner_of(&bench).await.is_err());
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test]
async fn a_stranger_does_not_learn_what_was_found_on_its_word() {
    let (bench, world) = bench(&[]);
    let mut told = vec![];
    for address in [Ok(at("10.1.2.3")), Ok(at(PUBLIC)), silent(), nothing()] {
        world.write(|script| {
            script.addresses.insert("garden.example".to_owned(), address);
        });
        bench.services.discovery.forget(&garden());
        let record = garden_identity().record();
        let stranger = "192.0.2.9".parse().unwrap();
        let refused = handshake::vet(&bench.services, stranger, &record.stated).await.unwrap_err();
        told.push(refused.1);
        // Who runs the server does.
        assert!(owner_of(&bench).await.is_err());
    }
    told.dedup();
    let [Failure::Error(PeerProveError::Unverified { reason })] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(!reason.contains("10.1.2.3") && !reason.contains("garden"), "{reason}");
}
