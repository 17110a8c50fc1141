//! What a thief, a forger or a meddler tries against a real homeserver, and the error that each of them gets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rookery_protocol::{
    codec::Octets,
    id::{ItemId, ServerId},
    io::{
        ConnectError,
        client::{CallError, Client, Dialer, Trust},
    },
    key::SigningKey,
    name::JoinLink,
    request::{
        Refusal,
        device::ListDevices,
        message::SendError,
        session::{OpenError, Refresh, RefreshError},
    },
    session::{Follow, FollowDown, FollowUp, prove_login},
    time::{Clock as _, SystemClock},
};
use rookery_tests::{
    bare::{Bare, random},
    homeserver::Homeserver,
    world::World,
};

/// A homeserver with two people on it, who are contacts.
struct Scene {
    server: Homeserver,
    link: JoinLink,
    dialer: Dialer,
    alice: Bare,
    bob: Bare,
    _world: World,
}

async fn scene() -> Scene {
    let world = World::new().unwrap();
    let server = world.homeserver("nest.example").start().await.unwrap();
    let link: JoinLink = server.invite(2).await.unwrap().parse().unwrap();
    let dialer = Dialer::towards(server.ready().address.parse().unwrap()).unwrap();
    let alice = Bare::register(&dialer, &link, "alice".to_owned()).await.unwrap();
    let bob = Bare::register(&dialer, &link, "bob".to_owned()).await.unwrap();
    alice.befriend(&bob).await.unwrap();
    Scene { server, link, dialer, alice, bob, _world: world }
}

impl Scene {
    async fn connect(&self) -> Client {
        self.dialer.connect(Trust::Pinned(self.link.key)).await.unwrap()
    }

    async fn refresh(
        &self,
        token: &str,
        key: &SigningKey,
    ) -> Result<String, CallError<RefreshError>> {
        let client = self.connect().await;
        let at = SystemClock.now();
        let proof = prove_login(key, &client.exporter(), token, at);
        let refresh = Refresh { token: token.to_owned(), device: key.verifying_key(), proof, at };
        Ok(client.call(&refresh).await?.refresh)
    }
}

fn thief() -> SigningKey {
    SigningKey::from_seed(&random().unwrap())
}

fn new_id() -> ItemId {
    ItemId::from_bytes(random().unwrap())
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_session() {
    let scene = scene().await;
    let stolen = scene.alice.tokens.refresh.clone();
    let error = scene.refresh(&stolen, &thief()).await.unwrap_err();
    assert!(matches!(error, CallError::Request(RefreshError::Reused)), "{error:?}");
    let error = scene.refresh(&stolen, &scene.alice.key).await.unwrap_err();
    assert!(
        matches!(error, CallError::Request(RefreshError::Ended | RefreshError::Reused)),
        "{error:?}"
    );
    let client = scene.connect().await;
    let error =
        client.open_session(&scene.alice.key, &scene.alice.tokens.access).await.unwrap_err();
    assert!(matches!(error, CallError::Request(OpenError::Ended)), "{error:?}");
}

#[tokio::test]
async fn a_lost_answer_is_not_theft_but_an_old_token_is() {
    let scene = scene().await;
    let first = scene.alice.tokens.refresh.clone();
    let second = scene.refresh(&first, &scene.alice.key).await.unwrap();
    assert_eq!(
        scene.refresh(&first, &scene.alice.key).await.unwrap(),
        second,
        "the answer was lost, and asked for again"
    );
    let third = scene.refresh(&second, &scene.alice.key).await.unwrap();
    let error = scene.refresh(&first, &scene.alice.key).await.unwrap_err();
    assert!(
        matches!(error, CallError::Request(RefreshError::Reused | RefreshError::Ended)),
        "{error:?}"
    );
    let error = scene.refresh(&third, &scene.alice.key).await.unwrap_err();
    assert!(matches!(error, CallError::Request(RefreshError::Ended)), "{error:?}");
}

#[tokio::test]
async fn a_stolen_access_token_opens_nothing_without_its_device_s_key() {
    let scene = scene().await;
    let client = scene.connect().await;
    let error = client.open_session(&thief(), &scene.alice.tokens.access).await.unwrap_err();
    assert!(matches!(error, CallError::Request(OpenError::WrongDevice)), "{error:?}");
    let error = client.call(&ListDevices {}).await.unwrap_err();
    assert!(
        matches!(error, CallError::Refused(Refusal::NotAuthenticated | Refusal::NotPermitted)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_changed_access_token_is_no_token() {
    let scene = scene().await;
    let client = scene.connect().await;
    let token = &scene.alice.tokens.access;
    let middle = token.len() / 2;
    let other = if token.as_bytes().get(middle) == Some(&b'A') { "B" } else { "A" };
    let changed =
        format!("{}{other}{}", token.get(..middle).unwrap(), token.get(middle + 1..).unwrap());
    let error = client.open_session(&scene.alice.key, &changed).await.unwrap_err();
    assert!(matches!(error, CallError::Request(OpenError::InvalidToken)), "{error:?}");
}

#[tokio::test]
async fn the_same_message_again_is_the_same_message() {
    let scene = scene().await;
    let message = scene.alice.message_to(&scene.bob, new_id(), 400).unwrap();
    let first = scene.alice.client.call(&message).await.unwrap();
    let again = scene.alice.client.call(&message).await.unwrap();
    assert_eq!(first, again);
    let (_, mut down, mut up) =
        scene.bob.client.follow(&Follow { mailbox: None, chains: vec![] }).await.unwrap();
    let mut envelopes = 0;
    loop {
        match down.recv().await.unwrap() {
            FollowDown::Envelope { position, .. } => {
                envelopes += 1;
                up.send(&FollowUp::Acknowledge { through: position }).await.unwrap();
            }
            FollowDown::CaughtUp => break,
            _ => {}
        }
    }
    assert_eq!(envelopes, 1);
}

#[tokio::test]
async fn an_envelope_goes_where_its_header_says_and_comes_from_who_sends_it() {
    let scene = scene().await;
    let mut forged = scene.alice.message_to(&scene.bob, new_id(), 400).unwrap();
    forged.message = new_id();
    let error = scene.alice.client.call(&forged).await.unwrap_err();
    assert!(
        matches!(error, CallError::Request(SendError::Refused { .. })),
        "another message's: {error:?}"
    );
    let stolen = scene.alice.message_to(&scene.bob, new_id(), 400).unwrap();
    let error = scene.bob.client.call(&stolen).await.unwrap_err();
    assert!(
        matches!(error, CallError::Request(SendError::Refused { .. } | SendError::Stale { .. })),
        "another sender's: {error:?}"
    );
    let mut flipped = scene.alice.message_to(&scene.bob, new_id(), 400).unwrap();
    let envelope = flipped.envelopes.first_mut().unwrap();
    let mut header = envelope.header.as_slice().to_vec();
    *header.last_mut().unwrap() ^= 1;
    envelope.header = Octets::parse(header).unwrap();
    let error = scene.alice.client.call(&flipped).await.unwrap_err();
    assert!(
        matches!(error, CallError::Request(SendError::Refused { .. })),
        "a flipped bit: {error:?}"
    );
}

#[tokio::test]
async fn a_message_for_old_devices_is_stale() {
    let scene = scene().await;
    let mut message = scene.alice.message_to(&scene.bob, new_id(), 400).unwrap();
    message.to_head = scene.alice.head;
    let error = scene.alice.client.call(&message).await.unwrap_err();
    match error {
        CallError::Request(SendError::Stale { to_head, own_head }) => {
            assert_eq!((to_head, own_head), (scene.bob.head, scene.alice.head));
        }
        other => panic!("not stale: {other:?}"),
    }
    let mut missing = scene.alice.message_to(&scene.bob, new_id(), 400).unwrap();
    missing.envelopes.clear();
    let error = scene.alice.client.call(&missing).await.unwrap_err();
    assert!(
        matches!(error, CallError::Request(SendError::Stale { .. } | SendError::Refused { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_server_in_its_place_is_found_out() {
    let scene = scene().await;
    let wrong = ServerId::from_bytes(random().unwrap());
    match scene.dialer.connect(Trust::Pinned(wrong)).await {
        Err(ConnectError::WrongServer { found }) => assert_eq!(found, scene.link.key),
        other => panic!("a wrong pin was accepted or not told: {other:?}"),
    }
}

#[tokio::test]
async fn garbage_costs_its_sender_only() {
    let mut scene = scene().await;
    for garbage in [
        &b""[..],
        &[0xff; 64],
        &[0, 0, 0, 4, b'n', b'o', b'p', b'e', 0, 0, 0, 1, 0],
        &[0xff, 0xff, 0xff, 0xff],
    ] {
        let client = scene.connect().await;
        let (mut send, mut recv) = client.connection().open().await.unwrap();
        send.write(garbage).await.unwrap();
        send.finish().await;
        // An answer, a reset or a close: anything but a wait.
        drop(
            tokio::time::timeout(std::time::Duration::from_secs(10), recv.read_frame(1024))
                .await
                .unwrap(),
        );
    }
    assert!(scene.alice.client.call(&ListDevices {}).await.is_ok());
    assert!(scene.server.runs().unwrap());
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_let_go_within_the_time_of_a_handshake() {
    let scene = scene().await;
    let address = scene.server.ready().address.clone();
    let mut silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut heard = [0; 64];
    let ended = tokio::time::timeout(
        std::time::Duration::from_secs(30),
        tokio::io::AsyncReadExt::read(&mut silent, &mut heard),
    );
    let ended = ended.await.expect("it is held for ever");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
