//! A whole server over QUIC on loopback, and two people on it.

use std::path::Path;

use rookery_protocol::{
    chain::Entry,
    io::client::{Client, FollowReceiver, FollowSender, Trust},
    name::JoinLink,
    request::{
        Refusal,
        account::Register,
        message::SendMessage,
        presence::PresenceState,
        session::{ListSessions, OpenError, OpenSession, Tokens},
    },
    session::{Cursor, Follow, FollowDown, FollowUp, FollowedChain, prove_connection},
    time::SystemClock,
};

use super::*;
use crate::{
    config::{Loaded, Source},
    database,
    identity::Absent,
    service::testing::{Person, item},
};
use rookery_protocol::{id::ChainId, io::client::CallError};

async fn serve(folder: &Path) -> Running {
    let data = DataDir::take(folder, Absent::Make).unwrap();
    let storage = database::open(None, folder).await.unwrap();
    let mut loaded = Loaded::default();
    loaded.set("server.listen", "127.0.0.1:0", Source::Default).unwrap();
    loaded.set("server.name", "nest.example", Source::Default).unwrap();
    loaded.lift_limits(&Source::Default);
    let clock = Arc::new(SystemClock);
    let passwords = Passwords::cheap();
    start(Ingredients { data, storage, config: loaded.config, clock, passwords }, None)
        .await
        .unwrap()
}

async fn register(link: &JoinLink, person: &Person) -> (Client, Tokens) {
    let client = Client::connect(&link.address, Trust::Pinned(link.key)).await.unwrap();
    let request: Register = person.register(&client.exporter(), link.invite, SystemClock.now());
    let registered = client.call(&request).await.unwrap();
    assert_eq!(registered.user, person.user);
    client.open_session(&person.device.key, &registered.tokens.access).await.unwrap();
    (client, registered.tokens)
}

async fn follow(
    client: &Client,
    chains: &[&Person],
    mailbox: Option<Cursor>,
) -> (u64, FollowReceiver, FollowSender) {
    let chain =
        |person: &&Person| FollowedChain { chain: ChainId::of_user(person.user), have: None };
    let request = Follow { mailbox, chains: chains.iter().map(chain).collect() };
    let (started, receiver, sender) = client.follow(&request).await.unwrap();
    (started.incarnation, receiver, sender)
}

async fn next(receiver: &mut FollowReceiver) -> FollowDown {
    tokio::time::timeout(Duration::from_secs(5), receiver.recv())
        .await
        .expect("nothing came")
        .unwrap()
}

async fn next_envelope(receiver: &mut FollowReceiver) -> u64 {
    loop {
        if let FollowDown::Envelope { position, .. } = next(receiver).await {
            return position;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_register_write_follow_and_nothing_is_lost_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).await;
    let link = running.first_invite().await.unwrap();
    let alice = Person::new("alice", &running.services.identity);
    let bob = Person::new("bob", &running.services.identity);
    let (alices, _) = register(&link, &alice).await;
    let (bobs, bobs_tokens) = register(&link, &bob).await;

    // A stranger writes: it is delivered live, after the receiver's own chain was caught up with.
    let (_, mut down, mut up) = follow(&bobs, &[&bob], None).await;
    assert!(matches!(next(&mut down).await, FollowDown::Entry(Entry { seq: 0, .. })));
    assert_eq!(next(&mut down).await, FollowDown::CaughtUp);
    assert!(matches!(
        next(&mut down).await,
        FollowDown::Presence { state: PresenceState::Online, .. }
    ));
    let message = |number| alice.message(alice.device.id(), &bob, item(number), 300);
    let sent = alices.call(&message(1)).await.unwrap();
    assert_eq!(
        alices.call(&message(1)).await.unwrap(),
        sent,
        "the same message is answered as the first time"
    );
    assert_eq!(next_envelope(&mut down).await, 1);
    for number in 2..=40 {
        alices.call(&message(number)).await.unwrap();
    }
    for position in 2..=40 {
        assert_eq!(next_envelope(&mut down).await, position);
    }
    up.send(&FollowUp::Acknowledge { through: 30 }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;

    // The server stops in order, and comes back with all that was not acknowledged.
    running.stop().await;
    let running = serve(folder.path()).await;
    let address = HostPort { host: "127.0.0.1".to_owned(), port: running.address.port() };
    let bobs = Client::connect(&address, Trust::Pinned(link.key)).await.unwrap();
    bobs.open_session(&bob.device.key, &bobs_tokens.access).await.unwrap();
    let (incarnation, mut down, _up) = follow(&bobs, &[], None).await;
    for position in 31..=40 {
        assert_eq!(next_envelope(&mut down).await, position);
    }
    let (_, mut down, _up) = follow(&bobs, &[], Some(Cursor { incarnation, position: 38 })).await;
    assert_eq!(next_envelope(&mut down).await, 39);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stolen_or_missing_is_refused_with_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let running = serve(folder.path()).await;
    let link = running.first_invite().await.unwrap();
    let alice = Person::new("alice", &running.services.identity);
    let (alices, tokens) = register(&link, &alice).await;
    assert!(alices.call(&ListSessions {}).await.is_ok());

    let thief = Client::connect(&link.address, Trust::Pinned(link.key)).await.unwrap();
    assert!(matches!(
        thief.call(&ListSessions {}).await,
        Err(CallError::Refused(Refusal::NotAuthenticated))
    ));
    let other = rookery_protocol::key::SigningKey::from_seed(&[9; 32]);
    let proof = prove_connection(&other, &thief.exporter(), &tokens.access);
    let stolen = OpenSession { access: tokens.access.clone(), proof };
    assert!(matches!(thief.call(&stolen).await, Err(CallError::Request(OpenError::WrongDevice))));
    // A proof that was made for another connection.
    let proof = prove_connection(&alice.device.key, &alices.exporter(), &tokens.access);
    let replayed = OpenSession { access: tokens.access.clone(), proof };
    assert!(matches!(thief.call(&replayed).await, Err(CallError::Request(OpenError::WrongDevice))));
    assert!(matches!(
        thief.follow(&Follow { mailbox: None, chains: vec![] }).await,
        Err(CallError::Refused(Refusal::NotAuthenticated))
    ));
    let message: SendMessage = alice.message(alice.device.id(), &alice, item(1), 10);
    assert!(matches!(
        thief.call(&message).await,
        Err(CallError::Refused(Refusal::NotAuthenticated))
    ));
    running.stop().await;
}
