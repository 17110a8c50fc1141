//! Copies of communities: what a home takes in of what a hub shows, and what a hub lets a home have.

use std::sync::Arc;

use rookery_protocol::{
    chain::{Entry, Head, OwnerHead},
    community::{Action, Join, JoinBy, VouchedHead},
    id::{ChainId, Digest, UserId},
    key::SigningKey,
    request::{
        Failure,
        community::AppendLogError,
        peer_place::{PeerListPlaces, PeerReadUsers, WantedUser},
        peering::PeerStanding,
    },
};

use super::{
    super::{
        append,
        author::Side,
        copy,
        copy::{CopyFault, Taken},
        fork::{self, Compared, NotKept},
    },
    town::{CHANNEL, Citizen, Draft, Town, heard, puk},
};
use crate::{
    identity::Identity,
    repository::{Limit, abroad::CopiedHead, community::Belonging, peer::StoredPeer},
    service::{
        Services,
        peer::{Peer, place_answer, place_say, place_users},
        testing::{Bench, NOW, Person, bench_of, identity, identity_of},
    },
};

const ALL: Limit = Limit { rows: 1_000, bytes: usize::MAX };

/// Has `services` know the server of that identity, which has proven itself.
async fn know(services: &Services, other: &Identity) -> Arc<Peer> {
    let root = other.server();
    let stored = StoredPeer {
        name: other.name.clone(),
        address: None,
        root: Some(root),
        standing: PeerStanding::Active,
        offered: None,
        record: 1,
        added: NOW,
        roots: vec![root],
        findings: vec![],
    };
    let mut unit = services.storage.begin().await.unwrap();
    unit.put_peer(&stored).await.unwrap();
    unit.commit().await.unwrap();
    let peer = services.peers.put(stored, NOW);
    peer.prove(other.online.verifying_key());
    peer
}

pub(super) async fn entries(services: &Services, chain: ChainId) -> Vec<Entry> {
    let page = services.storage.read().await.unwrap().entries(chain, None, ALL).await.unwrap();
    page.rows.into_iter().map(|stored| stored.entry).collect()
}

pub(super) async fn head(services: &Services, chain: ChainId) -> CopiedHead {
    let stored = services.storage.read().await.unwrap().chain(chain).await.unwrap().unwrap();
    let head = services.sign_head(&stored).unwrap().unwrap();
    CopiedHead { head, record: Some(services.identity.record().signed.clone()) }
}

/// Shows `to` the chain of a user of `from`.
async fn introduce(from: &Services, to: &Services, user: UserId) {
    let shown = entries(from, ChainId::of_user(user)).await;
    let last = shown.last().unwrap().seq;
    let by = to.peers.named(&from.identity.name).unwrap();
    let adopted = place_users::adopt(to, &by, user, shown, &mut 1).await.unwrap();
    assert_eq!(adopted, Some(last));
}

/// A community on nest.example with alice, who lives there, and bob, who lives on garden.example.
pub(super) struct Abroad {
    pub(super) town: Town,
    pub(super) garden: Bench,
    /// The hub, as garden knows it.
    pub(super) nest: Arc<Peer>,
    pub(super) bob: Citizen,
}

impl Abroad {
    pub(super) async fn new() -> Self {
        let town = Town::open(&[]).await;
        let garden = bench_of(identity_of("garden.example", 2), &[]);
        let nest = know(&garden.services, &identity(1)).await;
        know(town.services(), &garden.services.identity).await;
        let bob = Citizen::new(&garden, "bob").await;
        introduce(&garden.services, town.services(), bob.user()).await;
        introduce(town.services(), &garden.services, town.alice.user()).await;
        let puk = puk(&garden.services, bob.user()).await;
        let abroad = Self { town, garden, nest, bob };
        abroad.say(Action::Join(Join { puk, by: JoinBy::Open })).await.unwrap();
        abroad
    }

    /// Has bob's home hand a statement of his to the hub.
    async fn say(&self, action: Action) -> Result<(), Failure<AppendLogError>> {
        let mut draft = Draft::on(&self.town.state().await);
        draft.say(self.town.services(), &self.bob, self.town.next(), action).await;
        let who = (self.bob.user(), Side::Abroad);
        append::append_by(self.town.services(), who, draft.request()).await.map(|_| ())
    }

    pub(super) async fn take_log(&self, entries: Vec<Entry>) -> Result<(), CopyFault> {
        let head = head(self.town.services(), self.town.log()).await;
        let services = &self.garden.services;
        let entries = (vec![], entries);
        copy::take_log(services, &self.nest, self.town.community, entries, head).await.map(|_| ())
    }

    pub(super) async fn take_channel(&self, entries: Vec<Entry>) -> Result<(), CopyFault> {
        let head = head(self.town.services(), self.town.channel()).await;
        let place = (self.town.community, CHANNEL);
        copy::take_channel(&self.garden.services, &self.nest, place, entries, head).await
    }

    pub(super) async fn log(&self) -> Vec<Entry> {
        entries(self.town.services(), self.town.log()).await
    }
}

#[tokio::test]
async fn a_copy_comes_to_what_the_hub_has() {
    let abroad = Abroad::new().await;
    let log = abroad.log().await;
    let (first, rest) = log.split_at(2);
    abroad.take_log(first.to_vec()).await.unwrap();
    abroad.take_log(rest.to_vec()).await.unwrap();
    let garden = &abroad.garden.services;
    let copy = garden.hosted(abroad.town.community).await.unwrap().unwrap();
    assert_eq!(copy.state, abroad.town.state().await);
    assert_eq!(copy.row.hub.as_ref().unwrap().as_str(), "nest.example");
    // After a restart it is read from the disk.
    garden.hub.folds.invalidate(&abroad.town.community);
    let copy = garden.hosted(abroad.town.community).await.unwrap().unwrap();
    assert_eq!(copy.state, abroad.town.state().await);
    let mut view = garden.storage.read().await.unwrap();
    let listed = view.communities_of(abroad.bob.user()).await.unwrap();
    assert_eq!(listed.first().unwrap().1, Belonging::Member);
    let signed = view.copied_head(abroad.town.log()).await.unwrap().unwrap();
    assert_eq!(signed, head(abroad.town.services(), abroad.town.log()).await, "the hub's word");
    // Nobody appends to a copy but its hub: whoever tries is told to try there.
    let mut draft = Draft::on(&copy.state);
    draft.say(garden, &abroad.bob, 900, Action::Leave).await;
    let refused = append::append(garden, abroad.bob.who, draft.request()).await;
    assert!(matches!(refused, Err(Failure::Error(AppendLogError::HubAway { .. }))), "{refused:?}");
}

#[tokio::test]
async fn a_log_is_not_taken_in_that_has_a_gap_or_another_hub_or_speaks_of_unknown_devices() {
    let abroad = Abroad::new().await;
    let log = abroad.log().await;
    let gap = [&log[..1], &log[2..]].concat();
    assert!(matches!(abroad.take_log(gap).await, Err(CopyFault::Broken(_))));
    let mut forged = log.clone();
    forged[2].body = log[1].body.clone();
    assert!(matches!(abroad.take_log(forged).await, Err(CopyFault::Broken(_))));
    assert!(abroad.garden.services.hosted(abroad.town.community).await.unwrap().is_none());
    // Another server that shows it is not its hub.
    let shore = identity_of("shore.example", 3);
    let peer = know(&abroad.garden.services, &shore).await;
    let (services, community) = (&abroad.garden.services, abroad.town.community);
    let word = head(abroad.town.services(), abroad.town.log()).await;
    let all = || (vec![], log.clone());
    let shown = copy::take_log(services, &peer, community, all(), word.clone()).await.unwrap();
    assert!(matches!(shown, Taken::Leading(steps) if steps.len() == log.len()));
    assert!(services.hosted(community).await.unwrap().is_none());
    abroad.take_log(log.clone()).await.unwrap();
    let refused = copy::take_log(services, &peer, community, all(), word.clone()).await;
    assert!(matches!(refused, Err(CopyFault::Broken(_))));
    // A server that has not met alice holds the log.
    let elsewhere = bench_of(identity_of("shore.example", 3), &[]);
    let nest = know(&elsewhere.services, &identity(1)).await;
    let held = copy::take_log(&elsewhere.services, &nest, community, all(), word).await;
    let alice = abroad.town.alice.user();
    assert!(matches!(held, Err(CopyFault::Missing { user, .. }) if user == alice));
}

#[tokio::test]
async fn posts_are_taken_in_in_their_order_after_the_log_and_erased_as_at_the_hub() {
    let abroad = Abroad::new().await;
    let (town, alice) = (&abroad.town, &abroad.town.alice);
    let items = vec![town.announce(alice, 1).await, town.message(alice, 1, 0, 501).await];
    town.post(alice, items).await.unwrap();
    let said = entries(town.services(), town.channel()).await;
    let refused = abroad.take_channel(said.clone()).await;
    assert!(matches!(refused, Err(CopyFault::NoPlace)), "{refused:?}");
    let log = abroad.log().await;
    let before = log.len() - 1;
    abroad.take_log(log[..before].to_vec()).await.unwrap();
    // It was said at a place of the log that is not here yet.
    let refused = abroad.take_channel(said.clone()).await;
    assert!(matches!(refused, Err(CopyFault::LogBehind)), "{refused:?}");
    abroad.take_log(log[before..].to_vec()).await.unwrap();
    let refused = abroad.take_channel(said[1..].to_vec()).await;
    assert!(matches!(refused, Err(CopyFault::Broken(_))), "{refused:?}");
    let mut forged = said.clone();
    forged[1].body = said[0].body.clone();
    let refused = abroad.take_channel(forged).await;
    assert!(matches!(refused, Err(CopyFault::Broken(_))), "{refused:?}");
    abroad.take_channel(said.clone()).await.unwrap();
    let garden = &abroad.garden.services;
    assert_eq!(entries(garden, town.channel()).await, said);

    let redact = town.redact(alice, vec![0, 1], 502).await;
    let refused = town.post(alice, vec![redact]).await;
    assert!(refused.is_err(), "an announcement is never erased");
    let redact = town.redact(alice, vec![1], 503).await;
    town.post(alice, vec![redact]).await.unwrap();
    let all = entries(town.services(), town.channel()).await;
    abroad.take_channel(all[2..].to_vec()).await.unwrap();
    let here = entries(garden, town.channel()).await;
    assert_eq!(here, all, "byte for byte");
    assert!(here[1].body.is_none() && here[0].body.is_some());
}

#[tokio::test]
async fn the_home_of_who_is_sent_away_may_read_the_log_up_to_then() {
    let abroad = Abroad::new().await;
    let (services, community) = (abroad.town.services(), abroad.town.community);
    let garden = abroad.garden.services.identity.name.clone();
    let mut view = services.storage.read().await.unwrap();
    assert_eq!(view.farewell(&garden, community).await.unwrap(), None);
    assert_eq!(view.foreigners_of_in(&garden, community).await.unwrap(), [abroad.bob.user()]);
    let before = abroad.town.state().await.head.seq;
    abroad.town.kick(abroad.bob.user()).await;
    let mut view = services.storage.read().await.unwrap();
    assert_eq!(view.farewell(&garden, community).await.unwrap(), Some(before + 1), "the kick");
    assert_eq!(view.foreigners_of_in(&garden, community).await.unwrap(), []);
    assert_eq!(abroad.town.state().await.head.seq, before + 2, "the epoch after it is not theirs");
    // His home is told by its copy, and he by his home.
    let log = abroad.log().await;
    let through = usize::try_from(before + 2).unwrap();
    abroad.take_log(log[..through].to_vec()).await.unwrap();
    let mut view = abroad.garden.services.storage.read().await.unwrap();
    assert_eq!(view.communities_of(abroad.bob.user()).await.unwrap(), []);
}

/// The hub's word, under the key of `online`, for where the log stands.
fn word(abroad: &Abroad, online: &SigningKey, seq: u64, hash: Digest) -> VouchedHead {
    let head = Head { chain: abroad.town.log(), owner_epoch: 0, seq, hash, at: NOW };
    let head = OwnerHead { heads: vec![head] }.sign(online).unwrap();
    VouchedHead { head, record: abroad.town.services().identity.record().signed.clone() }
}

#[tokio::test]
async fn an_older_word_of_the_hub_does_not_take_the_place_of_a_newer_one() {
    let abroad = Abroad::new().await;
    let log = abroad.log().await;
    let (first, rest) = log.split_at(2);
    abroad.take_log(first.to_vec()).await.unwrap();
    let services = &abroad.garden.services;
    let newest = head(abroad.town.services(), abroad.town.log()).await;
    let last = first.last().unwrap();
    let old = word(&abroad, &abroad.town.services().identity.online, last.seq, last.hash());
    let old = CopiedHead { head: old.head, record: Some(old.record) };
    let taken =
        copy::take_log(services, &abroad.nest, abroad.town.community, (vec![], rest.to_vec()), old);
    taken.await.unwrap();
    let mut view = services.storage.read().await.unwrap();
    assert_eq!(view.copied_head(abroad.town.log()).await.unwrap(), Some(newest));
}

#[tokio::test]
async fn two_histories_are_proven_kept_and_told_and_nothing_is_handed_to_their_hub() {
    let abroad = Abroad::new().await;
    let log = abroad.log().await;
    abroad.take_log(log.clone()).await.unwrap();
    let (garden, community) = (&abroad.garden.services, abroad.town.community);
    let hosted = garden.hosted(community).await.unwrap().unwrap();
    let online = &abroad.town.services().identity.online;
    let compare = async |seq: u64, hash, online: &SigningKey| {
        let theirs = word(&abroad, online, seq, hash);
        fork::compare(garden, &hosted, None, &theirs).await.unwrap()
    };
    let last = log.last().unwrap();
    let other = Digest::from_bytes([7; 32]);
    assert_eq!(compare(last.seq, last.hash(), online).await, Compared::Borne);
    assert_eq!(compare(1, log[1].hash(), online).await, Compared::Borne);
    assert_eq!(compare(last.seq + 1, other, online).await, Compared::Further);
    let stranger = SigningKey::from_seed(&[9; 32]);
    assert_eq!(compare(1, other, &stranger).await, Compared::Unknown);
    assert!(!garden.is_forked(community).await.unwrap());
    // At its own height, and below it, where its log leads to what was signed.
    for seq in [last.seq, 1] {
        let Compared::Forked(found) = compare(seq, other, online).await else {
            panic!("not found out at {seq}")
        };
        let shown = found.verify().unwrap();
        assert_eq!((shown.community, shown.seq, shown.one), (community, seq, other));
        let feed = abroad.bob.follow(garden, &[]);
        let is_first = seq == last.seq;
        assert_eq!(fork::note(garden, &found).await.unwrap(), is_first, "one of a chain is kept");
        let (_, notices) = heard(&feed);
        assert_eq!(!notices.is_empty(), is_first, "{notices:?}");
    }
    assert!(garden.is_forked(community).await.unwrap());
    let mut broken = garden.storage.read().await.unwrap().forks_of(community).await.unwrap();
    broken[0].base = log[0].hash();
    let refused = fork::note(garden, &broken[0]).await;
    assert!(matches!(refused, Err(NotKept::NoProof(_))), "{refused:?}");

    let read_by = fork::read(garden, abroad.bob.who, community).await.unwrap();
    assert_eq!(read_by.forks.len(), 1);
    let eve = Citizen::new(&abroad.garden, "eve").await;
    assert!(fork::read(garden, eve.who, community).await.is_err(), "she has nothing to do with it");
    let mut draft = Draft::on(&hosted.state);
    draft.say(garden, &abroad.bob, 901, Action::Leave).await;
    let refused = place_say::append(garden, abroad.bob.who, draft.request()).await;
    let is_refused = matches!(refused, Err(Failure::Error(AppendLogError::HubForked { .. })));
    assert!(is_refused, "{refused:?}");
}

#[tokio::test]
async fn invented_users_take_of_the_room_of_who_shows_them_wherever_they_say_to_live() {
    let garden = bench_of(identity_of("garden.example", 2), &[("storage.peer_foreigners", "2")]);
    let services = &garden.services;
    let nest = know(services, &identity(1)).await;
    let shore = identity_of("shore.example", 3);
    know(services, &shore).await;
    let mut room = 2;
    for number in 0..3 {
        let invented = Person::new(&format!("ghost{number}"), &shore);
        let genesis = invented.register(&[0; 32], None, NOW).genesis;
        let entry = genesis.place(ChainId::of_user(invented.user), 0, None);
        let adopted =
            place_users::adopt(services, &nest, invented.user, vec![entry.clone()], &mut room)
                .await;
        assert_eq!(adopted.is_ok(), number < 2, "{adopted:?}");
        // Who is known costs nothing more.
        if number < 2 {
            let (user, entries) = (invented.user, vec![entry]);
            let again = place_users::adopt(services, &nest, user, entries, &mut 0).await;
            assert_eq!(again.unwrap(), Some(0));
        }
    }
    let mut view = services.storage.read().await.unwrap();
    assert_eq!(view.foreigner_count(&nest.name).await.unwrap(), 2);
    assert_eq!(view.foreigner_count(&shore.name).await.unwrap(), 0, "its room is its own");
}

/// What nest lets garden have of alice's chain after `after`.
async fn chain_of_alice(abroad: &Abroad, after: Option<u64>) -> Option<Vec<u64>> {
    let services = abroad.town.services();
    let users = vec![WantedUser { user: abroad.town.alice.user(), after }];
    let request = PeerReadUsers { community: abroad.town.community, users, guest: None };
    let root = abroad.garden.services.identity.server();
    let seat = services.seats.administrator();
    let found = place_answer::users(services, &seat, root, request).await.ok()?;
    Some(found.entries.into_iter().map(|entry| entry.seq).collect())
}

#[tokio::test]
async fn a_server_whose_last_user_was_sent_away_reads_no_more_of_anybody_s_chain() {
    let mut abroad = Abroad::new().await;
    let garden = abroad.garden.services.identity.name.clone();
    let owner = abroad.town.alice.user();
    assert_eq!(chain_of_alice(&abroad, None).await, Some(vec![0]));
    let may_read = async |abroad: &Abroad| {
        let mut view = abroad.town.services().storage.read().await.unwrap();
        view.peer_may_read(&garden, owner).await.unwrap()
    };
    assert!(may_read(&abroad).await);
    abroad.town.kick(abroad.bob.user()).await;
    assert!(!may_read(&abroad).await, "the right outlasts who had it");
    // What the statement says by which he went is checked by her chain as it was then.
    assert_eq!(chain_of_alice(&abroad, None).await, Some(vec![0]));
    let Town { bench, alice, .. } = &mut abroad.town;
    bench.second(&mut alice.person, alice.who).await;
    assert_eq!(chain_of_alice(&abroad, None).await, Some(vec![0]), "her new device is not theirs");
    let stranger = abroad.town.joiner("dora").await;
    let users = vec![WantedUser { user: stranger.user(), after: None }];
    let request = PeerReadUsers { community: abroad.town.community, users, guest: None };
    let (services, root) = (abroad.town.services(), abroad.garden.services.identity.server());
    let seat = services.seats.administrator();
    let found = place_answer::users(services, &seat, root, request).await.unwrap();
    assert_eq!(found.entries, [], "who came after him is nobody to them");
}

#[tokio::test]
async fn a_hub_lists_what_a_server_s_users_read_and_where_they_went() {
    let abroad = Abroad::new().await;
    let (services, community) = (abroad.town.services(), abroad.town.community);
    let root = abroad.garden.services.identity.server();
    let list = async || {
        let request = PeerListPlaces { after: None, only: None };
        place_answer::list(services, root, request).await.unwrap()
    };
    let alice = &abroad.town.alice;
    let items = vec![abroad.town.announce(alice, 1).await];
    abroad.town.post(alice, items).await.unwrap();
    let places = list().await;
    let shown: Vec<_> = places.places.iter().map(|one| (one.community, one.channel)).collect();
    assert_eq!(shown, [(community, None), (community, Some(CHANNEL))]);
    assert_eq!(places.places[0].head, abroad.town.state().await.head.into());
    let before = abroad.town.state().await.head.seq;
    abroad.town.kick(abroad.bob.user()).await;
    let places = list().await.places;
    assert_eq!(places.len(), 1);
    assert_eq!((places[0].channel, places[0].head.seq), (None, before + 1), "the kick");
}
