//! What a peer's users may do here, without a network: the peer is a row, and its users' chains are put in as if they had been fetched.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{
    chain::{HeadRef, Submission},
    id::{ChainId, ServerId, UserId},
    name::{Address, ServerName, UserName},
    request::{
        Failure, Refusal,
        contact::{ContactChange, Standing},
        message::{Returned, SendError},
        peer::{ContactAct, ForwardOutcome, ForwardedContact},
        peering::{ChangePeer, PeerChange, PeerStanding},
        server::ServerRecord,
    },
    session::Authenticated,
    user,
};
use tokio::sync::oneshot;

use super::{
    Peer, admin,
    copy::{self, Foreigner},
    handshake, outstanding, share,
};
use crate::{
    identity::Identity,
    repository::peer::{PeerEdit, StoredForeigner, StoredPeer},
    service::{
        Services, contact as local,
        message::{self, Answer, Lane, Origin},
        testing::{Bench, Device, NOW, Person, bench, identity_of, item},
    },
};

pub(super) fn garden() -> ServerName {
    "garden.example".parse().unwrap()
}

pub(super) fn garden_identity() -> Identity {
    identity_of("garden.example", 2)
}

pub(super) fn stored() -> StoredPeer {
    StoredPeer {
        name: garden(),
        address: None,
        root: Some(garden_identity().server()),
        standing: PeerStanding::Active,
        offered: None,
        record: 1,
        added: NOW,
        roots: vec![],
        findings: vec![],
    }
}

/// A bench that knows the peer garden.example.
pub(super) async fn with_garden(settings: &[(&str, &str)]) -> (Bench, Arc<Peer>) {
    let bench = bench(settings);
    let peer = handshake::store(&bench.services, stored()).await.unwrap();
    (bench, peer)
}

/// A user of the garden, whose chain has been copied.
pub(super) async fn foreigner(services: &Services, name: &str) -> (Person, Arc<Foreigner>) {
    let person = Person::new(name, &garden_identity());
    let genesis = person.register(&[0; 32], None, NOW).genesis;
    let entry = genesis.place(ChainId::of_user(person.user), 0, None);
    let state = user::verify_and_apply(person.user, None, &entry).unwrap();
    let stored = StoredForeigner {
        user: person.user,
        peer: garden(),
        name: Some(name.parse().unwrap()),
        head: None,
        brought: None,
    };
    let growth = copy::Growth { stored, state, entries: vec![entry] };
    let foreigner = copy::keep(services, growth).await.unwrap();
    (person, foreigner)
}

/// Their chain goes on by a device, and so does the copy.
pub(super) async fn goes_on(services: &Services, person: &mut Person, known: &Foreigner) {
    let (chain, before) = (ChainId::of_user(person.user), person.head);
    let added: Submission = person.add(&Device::new([0x66; 32]));
    let entry = added.place(chain, 0, Some(before));
    let state = user::verify_and_apply(person.user, Some(&known.state), &entry).unwrap();
    let growth = copy::Growth { stored: known.stored.clone(), state, entries: vec![entry] };
    copy::keep(services, growth).await.unwrap();
}

pub(super) fn address(name: &str) -> Address {
    super::contact::address_of(&garden(), &name.parse().unwrap())
}

/// What `act` of the foreigner, who is called `name`, towards Bob comes to.
pub(super) async fn act(
    services: &Services,
    peer: &Peer,
    foreigner: &Foreigner,
    (name, number): (&str, u32),
    act: ContactAct,
) -> ForwardOutcome {
    let to: UserName = "bob".parse().unwrap();
    let root = peer.stored().root.unwrap();
    let request = ForwardedContact { to, act };
    let from = (foreigner, &address(name));
    super::contact::take(services, (peer, root), from, item(number), &request).await.unwrap()
}

/// Bob's contacts: names and standings.
async fn contacts(services: &Services, bob: Authenticated) -> Vec<(String, Standing)> {
    let contacts = local::list(services, bob).await.unwrap().contacts;
    contacts.into_iter().map(|one| (one.name.to_string(), one.standing)).collect()
}

async fn may_read(services: &Services, bob: Authenticated) -> bool {
    services.storage.read().await.unwrap().peer_may_read(&garden(), bob.user).await.unwrap()
}

#[tokio::test]
async fn whoever_is_blocked_stays_so_under_another_name() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let (_, bob, ..) = bench.person("bob").await;
    let (_, carol) = foreigner(services, "carol").await;
    act(services, &peer, &carol, ("carol", 1), ContactAct::Ask).await;
    super::contact::change(services, bob, &address("carol"), ContactChange::Block).await.unwrap();
    act(services, &peer, &carol, ("dave", 2), ContactAct::Ask).await;
    act(services, &peer, &carol, ("dave", 3), ContactAct::Accept).await;
    assert_eq!(contacts(services, bob).await, [("carol".to_owned(), Standing::Blocked)]);
    let resident = services.resident(bob.user).await.unwrap().unwrap();
    assert_eq!(services.may_write(carol.stored.user, &resident).await.unwrap(), None);
}

#[tokio::test]
async fn only_a_live_standing_opens_a_chain() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let (_, bob, ..) = bench.person("bob").await;
    let (_, carol) = foreigner(services, "carol").await;
    let (_, dora) = foreigner(services, "dora").await;
    act(services, &peer, &carol, ("carol", 1), ContactAct::End).await;
    assert!(!may_read(services, bob).await, "there was nothing to end");
    act(services, &peer, &carol, ("carol", 2), ContactAct::Ask).await;
    act(services, &peer, &dora, ("dora", 1), ContactAct::Ask).await;
    assert!(may_read(services, bob).await);
    act(services, &peer, &carol, ("carol", 3), ContactAct::End).await;
    assert!(may_read(services, bob).await, "Dora's request stands");
    super::contact::change(services, bob, &address("dora"), ContactChange::Block).await.unwrap();
    assert!(!may_read(services, bob).await, "nobody there is anything to Bob any more");
    act(services, &peer, &dora, ("dora", 2), ContactAct::Ask).await;
    assert!(!may_read(services, bob).await, "a blocked person's request opens nothing");
}

#[tokio::test]
async fn a_name_that_is_noted_late_does_not_take_a_copy_back() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let (mut person, before) = foreigner(services, "carol").await;
    goes_on(services, &mut person, &before).await;
    copy::note_name(services, &peer, &before, &"caroline".parse().unwrap()).await.unwrap();
    let known = services.foreigner(person.user).await.unwrap().unwrap();
    assert_eq!(known.head, person.head(), "the copy went back");
    assert_eq!(known.live.len(), 2);
    assert_eq!(known.stored.name.as_ref().map(UserName::as_str), Some("caroline"));
}

/// A message of the foreigner to Bob, sealed for `head`, and handed in with what is in order with it.
async fn hand_in(
    services: &Services,
    (from, foreigner): (&Person, &Arc<Foreigner>),
    (bob, head): (&Person, HeadRef),
    number: u32,
    lane: &Arc<Lane>,
) -> oneshot::Receiver<Answer> {
    let sent = from.message(from.device.id(), bob, item(number), 10);
    let origin = (from.user, from.device.id());
    let letters =
        message::check_envelopes(origin, sent.message, &[bob.user], &sent.envelopes).unwrap();
    let name = from.name.parse().unwrap();
    let origin = Origin::Peer { foreigner: Arc::clone(foreigner), name, lane: Arc::clone(lane) };
    message::hand_in(services, origin, (bob.user, head), item(number), letters).await.unwrap()
}

#[tokio::test]
async fn after_something_that_has_to_be_sealed_again_nothing_of_its_lane_is_taken() {
    let (bench, _) = with_garden(&[]).await;
    let services = &bench.services;
    let (bob, ..) = bench.person("bob").await;
    let (carol, foreigner) = foreigner(services, "carol").await;
    let carol = (&carol, &foreigner);
    let lane = Arc::new(Lane::default());
    let old = HeadRef { seq: 7, ..bob.head() };
    let stale = hand_in(services, carol, (&bob, old), 1, &lane).await;
    let later = hand_in(services, carol, (&bob, bob.head()), 2, &lane).await;
    let stale = stale.await.unwrap();
    assert!(matches!(stale, Err(Failure::Error(SendError::Stale { .. }))), "{stale:?}");
    let later = later.await.unwrap();
    assert_eq!(later, Err(Refusal::Unavailable.into()), "it overtakes");
    let apart = hand_in(services, carol, (&bob, bob.head()), 3, &Arc::default()).await;
    assert!(apart.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_name_that_is_blocked_before_its_bearer_is_known_blocks_them_by_any_other() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let (_, bob, ..) = bench.person("bob").await;
    super::contact::change(services, bob, &address("carol"), ContactChange::Block).await.unwrap();
    let (_, carol) = foreigner(services, "carol").await;
    act(services, &peer, &carol, ("carol", 1), ContactAct::Ask).await;
    act(services, &peer, &carol, ("dave", 2), ContactAct::Ask).await;
    assert_eq!(contacts(services, bob).await, [("carol".to_owned(), Standing::Blocked)]);
    // Somebody whose name is known from elsewhere is blocked as who they are at once.
    let (_, dora) = foreigner(services, "dora").await;
    super::contact::change(services, bob, &address("dora"), ContactChange::Block).await.unwrap();
    act(services, &peer, &dora, ("doris", 3), ContactAct::Ask).await;
    assert_eq!(contacts(services, bob).await.len(), 2);
}

#[tokio::test]
async fn a_known_name_is_not_taken_over_by_another_user() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let (_, bob, ..) = bench.person("bob").await;
    let (_, carol) = foreigner(services, "carol").await;
    let (_, dora) = foreigner(services, "dora").await;
    act(services, &peer, &carol, ("carol", 1), ContactAct::Ask).await;
    let taken = act(services, &peer, &dora, ("carol", 2), ContactAct::Ask).await;
    assert!(matches!(taken, ForwardOutcome::Refused { .. }), "{taken:?}");
    // And one user is one contact, whatever they are called next.
    act(services, &peer, &carol, ("caroline", 3), ContactAct::Ask).await;
    assert_eq!(contacts(services, bob).await, [("carol".to_owned(), Standing::Asking)]);
}

#[tokio::test]
async fn what_waits_for_a_peer_that_is_removed_is_told_to_have_failed() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let (alice, who, ..) = bench.person("alice").await;
    let (carol, _) = foreigner(services, "carol").await;
    let mut message = alice.message(who.device, &carol, item(1), 10);
    message.to_head = carol.head();
    let sent = message::send(services, who, message).await.unwrap();
    assert!(sent.awaits.is_some(), "{sent:?}");
    let remove = ChangePeer { name: garden(), change: PeerChange::Remove };
    admin::change(services, remove).await.unwrap();
    let listed = outstanding::list(services, who, None).await.unwrap();
    let why: Vec<_> = listed.messages.into_iter().map(|one| (one.message, one.returned)).collect();
    assert_eq!(why, [(item(1), Some(Returned::Removed))]);
    // It is not forgotten for as long as the device may ask.
    bench.clock.advance(Duration::from_hours(24 * 400));
    outstanding::forget(services).await.unwrap();
    assert_eq!(outstanding::list(services, who, None).await.unwrap().messages.len(), 1);
    outstanding::dismiss(services, who, &[item(1)]).await.unwrap();
    assert_eq!(outstanding::list(services, who, None).await.unwrap().messages, []);
    assert_eq!(peer.name, garden());
}

#[tokio::test]
async fn an_administrator_s_block_outlasts_whatever_is_noted_meanwhile() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    // It is stored, and whoever notes something has not heard of it.
    let mut unit = services.storage.begin().await.unwrap();
    let blocked = PeerEdit::Standing(PeerStanding::Blocked);
    unit.edit_peer(&garden(), &blocked).await.unwrap();
    unit.commit().await.unwrap();
    assert!(peer.is_wanted(), "it has heard of it");
    let record = ServerRecord { number: 5, ..garden_identity().record().stated.clone() };
    handshake::note_record(services, &peer, &record).await.unwrap();
    let other = ServerId::from_bytes([9; 32]);
    handshake::quarantine(services, &peer, other).await.unwrap();
    let stored = services.storage.read().await.unwrap().peers().await.unwrap().remove(0);
    assert_eq!((stored.standing, stored.record), (PeerStanding::Blocked, 5));
    assert_eq!(peer.stored(), stored, "memory is as the row is");
}

#[tokio::test]
async fn a_peer_is_found_by_the_root_that_is_pinned_now() {
    let (bench, peer) = with_garden(&[]).await;
    let peers = &bench.services.peers;
    let found = |root| peers.rooted(root).map(|peer| peer.name.clone());
    let (old, new) = (peer.stored().root.unwrap(), ServerId::from_bytes([9; 32]));
    assert_eq!((found(old), found(new)), (Some(garden()), None));
    admin::accept(&bench.services, &garden(), new).await.unwrap();
    assert_eq!((found(old), found(new)), (None, Some(garden())));
    let remove = ChangePeer { name: garden(), change: PeerChange::Remove };
    admin::change(&bench.services, remove).await.unwrap();
    assert_eq!(found(new), None);
}

#[tokio::test]
async fn what_a_peer_costs_is_bounded_and_it_is_told_when_to_come_again() {
    let settings = [
        ("storage.peer_foreigners", "1"),
        ("limits.peer_copies", "1/min burst 2"),
        ("limits.peer_sender", "1/min burst 1"),
        ("limits.peer_contacts", "1/min burst 1"),
    ];
    let (bench, peer) = with_garden(&settings).await;
    let services = &bench.services;
    assert_eq!(share::admit_foreigner(services, &peer).await.unwrap(), Ok(()));
    let (carol, known) = foreigner(services, "carol").await;
    let full = share::admit_foreigner(services, &peer).await.unwrap();
    assert!(full.is_err_and(|retry_after_ms| retry_after_ms > 60_000));
    for takes in [true, true, false] {
        assert_eq!(share::take_copy(services, &peer).is_ok(), takes);
    }
    // Names are written down no more; what is known stays.
    copy::note_name(services, &peer, &known, &"caroline".parse().unwrap()).await.unwrap();
    let known = services.foreigner(carol.user).await.unwrap().unwrap();
    assert_eq!(known.stored.name.as_ref().map(UserName::as_str), Some("carol"));
    // One sender's share is theirs.
    let [one, two] = [1, 2].map(|number| UserId::from_bytes([number; 32]));
    assert!(share::take_sender(services, &peer, one).is_ok());
    let later = share::take_sender(services, &peer, one).unwrap_err();
    assert!(share::take_sender(services, &peer, two).is_ok());
    assert!(share::take_contact(services, &peer).is_ok());
    assert!(share::take_contact(services, &peer).is_err());
    bench.clock.advance(Duration::from_millis(later));
    assert!(share::take_sender(services, &peer, one).is_ok());
}

#[tokio::test]
async fn answers_to_a_peer_that_does_not_fetch_them_have_an_end() {
    let (bench, peer) = with_garden(&[("storage.peer_items", "2")]).await;
    let services = &bench.services;
    let (_, bob, ..) = bench.person("bob").await;
    let (_, carol) = foreigner(services, "carol").await;
    act(services, &peer, &carol, ("carol", 0), ContactAct::Ask).await;
    let accept = ContactChange::Accept;
    super::contact::change(services, bob, &address("carol"), accept).await.unwrap();
    let mut outcomes = vec![];
    for number in 1..4 {
        outcomes.push(act(services, &peer, &carol, ("carol", number), ContactAct::Ask).await);
    }
    let is_later = |outcome: &ForwardOutcome| matches!(outcome, ForwardOutcome::Later { .. });
    let later: Vec<_> = outcomes.iter().map(is_later).collect();
    assert_eq!(later, [false, true, true]);
    let mut view = services.storage.read().await.unwrap();
    assert_eq!(view.backlog(&garden()).await.unwrap().count, 2);
}
