//! Posts.

use std::time::Duration;

use rookery_protocol::{
    chain::{HeadRef, Seen},
    community::Action,
    id::{ChainId, Digest},
    request::{
        Failure,
        chain::ReadChain,
        channel::{ListReads, PostError},
    },
    session::{FollowDown, Principal},
};

use super::{
    super::reads,
    town::{CHANNEL, Citizen, Town, channel_set, heard},
};
use crate::service::chain;

#[tokio::test]
async fn a_post_goes_to_every_follower_and_again_is_answered_the_same() {
    let town = Town::open(&[]).await;
    let bob = town.joiner("bob").await;
    let feed = bob.follow(town.services(), &[town.channel()]);
    let items = vec![town.announce(&town.alice, 1).await, town.message(&town.alice, 1, 0, 1).await];
    let posted = town.post(&town.alice, items.clone()).await.unwrap();
    assert_eq!(posted.places, [0, 1]);
    assert_eq!(heard(&feed).0, [(town.channel(), 0), (town.channel(), 1)]);
    town.bench.clock.advance(Duration::from_mins(1));
    assert_eq!(town.post(&town.alice, items.clone()).await.unwrap(), posted);
    // What is new after what is there gets its place, and what is there keeps its own.
    let more = vec![items[1].clone(), town.message(&town.alice, 1, 1, 2).await];
    assert_eq!(town.post(&town.alice, more).await.unwrap().places, [1, 2]);
    assert_eq!(heard(&feed).0, [(town.channel(), 2)]);
    let theft = town.post(&bob, vec![items[1].clone()]).await;
    assert!(matches!(theft, Err(Failure::Error(PostError::Denied { .. }))), "{theft:?}");
}

#[tokio::test]
async fn posts_that_do_not_fit_are_refused_whole() {
    let town = Town::open(&[]).await;
    let bob = town.joiner("bob").await;
    let unknown = town.post(&bob, vec![town.message(&bob, 9, 0, 1).await]).await;
    assert!(matches!(unknown, Err(Failure::Error(PostError::Denied { .. }))), "no such key");
    let both = vec![town.announce(&bob, 1).await, town.message(&town.alice, 1, 0, 2).await];
    assert!(town.post(&bob, both).await.is_err(), "another's signature");
    assert!(
        town.services()
            .storage
            .read()
            .await
            .unwrap()
            .chain(town.channel())
            .await
            .unwrap()
            .unwrap()
            .head
            .is_none()
    );
    let first = vec![town.announce(&bob, 1).await, town.message(&bob, 1, 4, 3).await];
    town.post(&bob, first).await.unwrap();
    let used = town.post(&bob, vec![town.message(&bob, 1, 4, 4).await]).await;
    assert_eq!(used, Err(Failure::Error(PostError::UsedKey)));
    let state = town.state().await;
    let log: HeadRef = state.head.into();
    let unseen = Seen { seq: log.seq + 1, hash: Digest::from_bytes([1; 32]) };
    for (what, post) in [
        ("epoch", town.message_at(&bob, (1, 5, 5), 7, state.head)),
        ("log", town.message_at(&bob, (1, 5, 5), 0, unseen)),
    ] {
        let refused = town.post(&bob, vec![post]).await;
        assert_eq!(refused, Err(Failure::Error(PostError::Stale { log })), "{what}");
    }
    let carol = Citizen::new(&town.bench, "carol").await;
    let outside = town.post(&carol, vec![town.announce(&carol, 5).await]).await;
    assert_eq!(outside, Err(Failure::Error(PostError::NotFound)));
    // A key goes on after a restart: what is known of it is stored.
    let next = town.post(&bob, vec![town.message(&bob, 1, 5, 6).await]).await;
    assert_eq!(next.unwrap().places, [2]);
}

#[tokio::test]
async fn slow_mode_lets_each_speak_in_turn_and_the_owner_always() {
    let town = Town::open(&[]).await;
    let bob = town.joiner("bob").await;
    town.say(&town.alice, channel_set(10)).await.unwrap();
    let posted = vec![town.announce(&bob, 1).await, town.message(&bob, 1, 0, 1).await];
    town.post(&bob, posted).await.unwrap();
    town.bench.clock.advance(Duration::from_secs(4));
    let soon = town.post(&bob, vec![town.message(&bob, 1, 1, 2).await]).await;
    assert_eq!(soon, Err(Failure::Error(PostError::SlowMode { retry_after_ms: 6_000 })));
    let owner = vec![
        town.announce(&town.alice, 2).await,
        town.message(&town.alice, 2, 0, 3).await,
        town.message(&town.alice, 2, 1, 4).await,
    ];
    town.post(&town.alice, owner).await.unwrap();
    town.bench.clock.advance(Duration::from_secs(6));
    town.post(&bob, vec![town.message(&bob, 1, 1, 2).await]).await.unwrap();
}

#[tokio::test]
async fn a_redaction_drops_the_body_and_the_chain_still_proves_itself() {
    let town = Town::open(&[]).await;
    let bob = town.joiner("bob").await;
    let posted = vec![town.announce(&bob, 1).await, town.message(&bob, 1, 0, 1).await];
    town.post(&bob, posted).await.unwrap();
    let alices =
        vec![town.announce(&town.alice, 2).await, town.message(&town.alice, 2, 0, 2).await];
    town.post(&town.alice, alices).await.unwrap();
    let others = town.post(&bob, vec![town.redact(&bob, vec![3], 3).await]).await;
    assert!(matches!(others, Err(Failure::Error(PostError::Denied { .. }))), "{others:?}");
    let announce = town.post(&town.alice, vec![town.redact(&town.alice, vec![0], 4).await]).await;
    assert!(matches!(announce, Err(Failure::Error(PostError::Denied { .. }))), "an announcement");
    town.post(&bob, vec![town.redact(&bob, vec![1], 5).await]).await.unwrap();
    // The owner moderates, and may erase what was posted a moment ago in the same breath.
    let breath = vec![
        town.message(&town.alice, 2, 1, 6).await,
        town.redact(&town.alice, vec![5, 3], 7).await,
    ];
    town.post(&town.alice, breath).await.unwrap();
    let request = ReadChain { chain: town.channel(), after: None, limit: 100 };
    let principal = Principal::Device(bob.who);
    let entries = chain::read(town.services(), principal, request).await.unwrap().entries;
    let erased: Vec<bool> = entries.iter().map(|entry| entry.body.is_none()).collect();
    assert_eq!(erased, [false, true, false, true, false, true, false]);
    let mut head = None;
    for entry in &entries {
        entry.verify_after(head).unwrap();
        head = Some(entry.seen());
    }
    let log = town.state().await.head.seq;
    assert!(entries.iter().all(|entry| entry.log_pos == Some(log)));
}

#[tokio::test]
async fn who_was_sent_away_gets_nothing_that_is_stored_later() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let (bob, carol) = (town.joiner("bob").await, town.joiner("carol").await);
    let feed = bob.follow(services, &[town.log(), town.channel()]);
    let first = vec![town.announce(&carol, 1).await, town.message(&carol, 1, 0, 1).await];
    town.post(&carol, first).await.unwrap();
    heard(&feed);
    town.kick(bob.user()).await;
    let (entries, notices) = heard(&feed);
    assert_eq!(entries.len(), 1, "who sends them away is the last that they hear: {entries:?}");
    for chain in [town.log(), town.channel()] {
        assert!(notices.contains(&FollowDown::Unfollowed { chain }));
        assert!(!feed.follows(chain));
    }
    assert!(notices.contains(&FollowDown::CommunitiesChanged));
    let old =
        town.post(&carol, vec![town.message_at(&carol, (1, 1, 2), 0, town.state().await.head)]);
    let log = town.state().await.head.into();
    assert_eq!(old.await, Err(Failure::Error(PostError::Stale { log })), "the epoch is over");
    let later = vec![town.announce(&carol, 2).await, town.message(&carol, 2, 0, 2).await];
    town.post(&carol, later).await.unwrap();
    assert_eq!(heard(&feed), (vec![], vec![]));
    for chain in [town.log(), town.channel()] {
        let request = ReadChain { chain, after: None, limit: 100 };
        assert!(chain::read(services, Principal::Device(bob.who), request).await.is_err());
        let wanted = rookery_protocol::session::FollowedChain { chain, have: None };
        crate::service::follow::more(services, bob.who, &feed, wanted).await.unwrap();
        assert!(!feed.follows(chain));
    }
    let back = town.post(&bob, vec![town.announce(&bob, 3).await]).await;
    assert_eq!(back, Err(Failure::Error(PostError::NotFound)));
}

#[tokio::test]
async fn many_channels_are_stored_in_one_batch_and_a_deleted_channel_is_none() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let mut citizens = vec![];
    for number in 0..8_u8 {
        citizens.push(town.joiner(&format!("user{number}")).await);
    }
    let mut posts = vec![];
    for (number, citizen) in (10_u8..).zip(&citizens) {
        let items = vec![
            town.announce(citizen, number).await,
            town.message(citizen, number, 0, number.into()).await,
        ];
        posts.push(town.post(citizen, items));
    }
    let mut places = vec![];
    for posted in futures::future::join_all(posts).await {
        places.extend(posted.unwrap().places);
    }
    places.sort_unstable();
    assert_eq!(places, (0..16).collect::<Vec<u64>>());
    let feed = citizens[0].follow(services, &[town.channel()]);
    town.say(&town.alice, Action::ChannelDelete { channel: CHANNEL }).await.unwrap();
    assert!(heard(&feed).1.contains(&FollowDown::Unfollowed { chain: town.channel() }));
    let gone = town.post(&citizens[0], vec![town.message(&citizens[0], 10, 1, 99).await]).await;
    assert_eq!(gone, Err(Failure::Error(PostError::NotFound)));
}

#[tokio::test]
async fn who_types_and_reads_is_told_to_other_followers() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let (bob, carol) = (town.joiner("bob").await, town.joiner("carol").await);
    let chain: ChainId = town.channel();
    let (bobs, carols) = (bob.follow(services, &[chain]), carol.follow(services, &[chain]));
    reads::typing(services, bob.who, &bobs, chain).await.unwrap();
    reads::note(services, bob.who, &bobs, chain, 7).await.unwrap();
    reads::note(services, bob.who, &bobs, chain, 5).await.unwrap();
    let user = bob.user();
    let told = heard(&carols).1;
    assert!(told.contains(&FollowDown::TypingIn { chain, user }));
    assert!(told.contains(&FollowDown::ReadIn { chain, user, seq: 7 }));
    assert_eq!(heard(&bobs).1, []);
    let request = ListReads { community: town.community, channel: CHANNEL };
    let listed = async || {
        let reads = reads::list(services, carol.who, request.clone()).await.unwrap().reads;
        reads.iter().map(|read| (read.user, read.seq)).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [(user, 7)]);
    // A post takes the marks along into the database.
    town.post(&carol, vec![town.announce(&carol, 1).await]).await.unwrap();
    let stored = services.storage.read().await.unwrap().channel_reads(chain).await.unwrap();
    assert_eq!(stored, [(user, 7)]);
    assert_eq!(listed().await, [(user, 7)]);
    let dave = Citizen::new(&town.bench, "dave").await;
    assert!(reads::list(services, dave.who, request).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kick_among_posts_cuts_cleanly() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let (bob, carol) = (town.joiner("bob").await, town.joiner("carol").await);
    for (citizen, key) in [(&bob, 1), (&carol, 2)] {
        town.post(citizen, vec![town.announce(citizen, key).await]).await.unwrap();
    }
    let feed = bob.follow(services, &[town.channel()]);
    let state = town.state().await;
    let pour = async |citizen: &Citizen, key: u8| {
        let mut last = 0;
        for index in 0..60 {
            let id = u32::from(key) * 1_000 + index;
            let message = town.message_at(citizen, (key, index, id), 0, state.head);
            match town.post(citizen, vec![message]).await {
                Ok(posted) => last = posted.places[0],
                Err(_) => break,
            }
        }
        last
    };
    let (bobs, carols, ()) = tokio::join!(pour(&bob, 1), pour(&carol, 2), town.kick(bob.user()));
    let kicked = town.state().await.head.seq;
    let after = vec![town.announce(&carol, 3).await, town.message(&carol, 3, 0, 9).await];
    let places = town.post(&carol, after).await.unwrap().places;
    assert!(places[0] > bobs.max(carols));
    let mut view = services.storage.read().await.unwrap();
    let all = crate::repository::Limit { rows: 1_000, bytes: usize::MAX };
    let entries = view.entries(town.channel(), None, all).await.unwrap().rows;
    let (old, new): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|stored| stored.entry.log_pos < Some(kicked));
    assert!(new.iter().all(|stored| stored.author == carol.who.device));
    let last_old = old.last().map(|stored| stored.entry.seq);
    let last_heard = heard(&feed).0.last().map(|(_, seq)| *seq);
    assert!(last_heard <= last_old, "{last_heard:?} was heard, and {last_old:?} was the last");
}
