//! Copies of communities: what a home takes in of what a hub shows, and what a hub lets a home have.

use std::sync::Arc;

use rookery_protocol::{
    chain::{Entry, SignedHead},
    community::{Action, Join, JoinBy},
    id::{ChainId, UserId},
    request::{Failure, community::AppendLogError, peering::PeerStanding},
};

use super::{
    super::{append, author::Side, copy, copy::CopyFault},
    town::{CHANNEL, Citizen, Draft, Town, puk},
};
use crate::{
    identity::Identity,
    repository::{Limit, community::Belonging, peer::StoredPeer},
    service::{
        Services,
        peer::{Peer, place_users},
        testing::{Bench, NOW, bench_of, identity, identity_of},
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
    };
    let mut unit = services.storage.begin().await.unwrap();
    unit.put_peer(&stored).await.unwrap();
    unit.commit().await.unwrap();
    let peer = services.peers.put(stored, NOW);
    peer.prove(other.online.verifying_key());
    peer
}

async fn entries(services: &Services, chain: ChainId) -> Vec<Entry> {
    let page = services.storage.read().await.unwrap().entries(chain, None, ALL).await.unwrap();
    page.rows.into_iter().map(|stored| stored.entry).collect()
}

async fn head(services: &Services, chain: ChainId) -> SignedHead {
    let stored = services.storage.read().await.unwrap().chain(chain).await.unwrap().unwrap();
    services.sign_head(&stored).unwrap().unwrap()
}

/// Shows `to` the chain of a user of `from`.
async fn introduce(from: &Services, to: &Services, user: UserId) {
    let shown = entries(from, ChainId::of_user(user)).await;
    let last = shown.last().unwrap().seq;
    assert_eq!(place_users::adopt(to, user, shown).await.unwrap(), Some(last));
}

/// A community on nest.example with alice, who lives there, and bob, who lives on garden.example.
struct Abroad {
    town: Town,
    garden: Bench,
    /// The hub, as garden knows it.
    nest: Arc<Peer>,
    bob: Citizen,
}

impl Abroad {
    async fn new() -> Self {
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

    async fn take_log(&self, entries: Vec<Entry>) -> Result<(), CopyFault> {
        let head = head(self.town.services(), self.town.log()).await;
        let services = &self.garden.services;
        copy::take_log(services, &self.nest, self.town.community, entries, head).await.map(|_| ())
    }

    async fn take_channel(&self, entries: Vec<Entry>) -> Result<(), CopyFault> {
        let head = head(self.town.services(), self.town.channel()).await;
        let place = (self.town.community, CHANNEL);
        copy::take_channel(&self.garden.services, &self.nest, place, entries, head).await
    }

    async fn log(&self) -> Vec<Entry> {
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
    // Nobody appends to a copy but its hub.
    let mut draft = Draft::on(&copy.state);
    draft.say(garden, &abroad.bob, 900, Action::Leave).await;
    let refused = append::append(garden, abroad.bob.who, draft.request()).await;
    assert!(matches!(refused, Err(Failure::Error(AppendLogError::NotFound))), "{refused:?}");
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
    let refused = copy::take_log(services, &peer, community, log.clone(), word.clone()).await;
    assert!(matches!(refused, Err(CopyFault::NotTheirs)), "{refused:?}");
    abroad.take_log(log.clone()).await.unwrap();
    let refused = copy::take_log(services, &peer, community, log.clone(), word.clone()).await;
    assert!(matches!(refused, Err(CopyFault::NotTheirs)), "{refused:?}");
    // A server that has not met alice holds the log.
    let elsewhere = bench_of(identity_of("shore.example", 3), &[]);
    let nest = know(&elsewhere.services, &identity(1)).await;
    let held = copy::take_log(&elsewhere.services, &nest, community, log, word).await;
    let alice = abroad.town.alice.user();
    assert!(matches!(held, Err(CopyFault::Missing { user, .. }) if user == alice), "{held:?}");
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
