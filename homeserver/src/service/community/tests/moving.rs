//! A community that is handed over to another server: from the hub to the home of one of its members.

use std::time::Duration;

use rookery_protocol::{
    chain::Seen,
    community::{Action, ChannelEnd, Handover},
    request::{
        Failure, Refusal,
        channel::{PostChannel, PostError},
        community::AppendLogError,
    },
};

use super::{
    super::{append, author::Side, copy::CopyFault, post, sender_key},
    copies::{Abroad, entries},
    town::{CHANNEL, Draft, sealed},
};

/// The next hub-to-be, with something said before, and the hand-over to it as things stand.
async fn ready() -> (Abroad, Handover) {
    let abroad = Abroad::new().await;
    let (town, alice) = (&abroad.town, &abroad.town.alice);
    let items = vec![town.announce(alice, 1).await, town.message(alice, 1, 0, 501).await];
    town.post(alice, items).await.unwrap();
    let said = entries(town.services(), town.channel()).await;
    let garden = &abroad.garden.services.identity;
    let end = ChannelEnd {
        channel: CHANNEL,
        last: said.last().map(rookery_protocol::chain::Entry::seen),
    };
    let handover = Handover {
        hub: garden.name.clone(),
        hub_key: garden.server(),
        owner_epoch: 1,
        ends: vec![end],
    };
    (abroad, handover)
}

fn hold(abroad: &Abroad) {
    let moves = &abroad.town.services().hub.moves;
    let garden = &abroad.garden.services.identity;
    moves.offer(abroad.town.community, &garden.name, garden.server());
    moves.hold(abroad.town.community);
}

#[tokio::test]
async fn nothing_is_handed_over_that_the_next_hub_is_not_ready_for() {
    let (abroad, handover) = ready().await;
    let (town, alice) = (&abroad.town, &abroad.town.alice);
    let state = |action: Handover| town.say(alice, Action::Handover(action));
    let denied = |answer: &Result<(), Failure<AppendLogError>>| {
        matches!(answer, Err(Failure::Error(AppendLogError::Denied { .. })))
    };
    assert!(denied(&state(handover.clone()).await), "nobody was asked");
    hold(&abroad);
    let nest = town.services().identity.server();
    assert!(denied(&state(Handover { hub_key: nest, ..handover.clone() }).await), "another one");
    let elsewhere = "shore.example".parse().unwrap();
    assert!(denied(&state(Handover { hub: elsewhere, ..handover.clone() }).await), "another one");
    // A channel ends where it ends.
    let end = |last| ChannelEnd { channel: CHANNEL, last };
    let before = handover.ends[0].last.map(|last| Seen { seq: last.seq - 1, ..last });
    for last in [None, before] {
        let wrong = Handover { ends: vec![end(last)], ..handover.clone() };
        let refused = state(wrong).await;
        let is_stale = matches!(refused, Err(Failure::Error(AppendLogError::Stale { .. })));
        assert!(is_stale, "{refused:?}");
    }
    assert_eq!(town.state().await.owner_epoch, 0);
    state(handover).await.unwrap();
    assert_eq!(town.state().await.owner_epoch, 1);
}

#[tokio::test]
async fn whatever_is_said_waits_for_the_hand_over_and_no_longer_than_its_moment() {
    let (abroad, _) = ready().await;
    let (town, alice) = (&abroad.town, &abroad.town.alice);
    hold(&abroad);
    let message = town.message(alice, 1, 1, 502).await;
    let held = town.post(alice, vec![message.clone()]).await;
    let is_held = |failure: &Failure<PostError>| {
        matches!(failure, Failure::Refused(Refusal::Throttled { .. }))
    };
    assert!(held.as_ref().is_err_and(is_held), "{held:?}");
    let edit = || {
        Action::Nickname(rookery_protocol::community::Nickname {
            user: alice.user(),
            name: Some(sealed()),
        })
    };
    assert!(matches!(town.say(alice, edit()).await, Err(Failure::Refused(_))));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(21)).await;
    tokio::time::resume();
    town.post(alice, vec![message]).await.unwrap();
    town.say(alice, edit()).await.unwrap();
}

#[tokio::test]
async fn the_next_hub_takes_it_when_all_is_there_and_goes_on_where_the_former_ended() {
    let (abroad, handover) = ready().await;
    let (town, garden) = (&abroad.town, &abroad.garden.services);
    hold(&abroad);
    town.say(&town.alice, Action::Handover(handover)).await.unwrap();
    let log = abroad.log().await;
    let (before, last) = log.split_at(log.len() - 1);
    abroad.take_log(before.to_vec()).await.unwrap();
    let refused = abroad.take_log(last.to_vec()).await;
    assert!(matches!(refused, Err(CopyFault::Incomplete(_))), "{refused:?}");
    abroad.take_channel(entries(town.services(), town.channel()).await).await.unwrap();
    let mut unit = garden.storage.begin().await.unwrap();
    let limit = crate::repository::Limit { rows: 100, bytes: usize::MAX };
    let rows = unit.entries(town.channel(), None, limit).await.unwrap().rows;
    sender_key::note(&mut *unit, town.channel(), &rows).await.unwrap();
    unit.commit().await.unwrap();
    abroad.take_log(last.to_vec()).await.unwrap();
    let here = garden.hosted(town.community).await.unwrap().unwrap();
    assert_eq!((here.row.hub.clone(), here.row.was_hub), (None, false));

    // The former one places nothing any more, and says where it went.
    let there = town.services().hosted(town.community).await.unwrap().unwrap();
    assert_eq!(there.row.hub.as_ref(), Some(&garden.identity.name));
    assert!(there.row.was_hub);
    let message = town.message(&town.alice, 1, 1, 502).await;
    let late = town.post(&town.alice, vec![message.clone()]).await;
    let is_elsewhere = |failure: &Failure<PostError>| matches!(failure, Failure::Error(PostError::HubAway { hub, .. }) if *hub == garden.identity.name);
    assert!(late.as_ref().is_err_and(is_elsewhere), "{late:?}");

    // The next one places the same post after what was said before; a key that was used is used there, too.
    let request =
        |item| PostChannel { community: town.community, channel: CHANNEL, items: vec![item] };
    let alice = (town.alice.user(), Side::Abroad);
    let posted = post::post_by(garden, alice, request(message)).await.unwrap();
    assert_eq!(posted.places, [2]);
    let again = town.message(&town.alice, 1, 0, 503).await;
    let used = post::post_by(garden, alice, request(again)).await;
    assert_eq!(used, Err(Failure::Error(PostError::UsedKey)));
    let mut draft = Draft::on(&here.state);
    draft.say(garden, &abroad.bob, 600, Action::Leave).await;
    append::append(garden, abroad.bob.who, draft.request()).await.unwrap();
    let placed = entries(garden, town.channel()).await;
    assert_eq!(placed.iter().map(|entry| entry.owner_epoch).collect::<Vec<_>>(), [0, 0, 1]);
    let log = entries(garden, town.log()).await;
    assert_eq!(log.last().map(|entry| entry.owner_epoch), Some(1));
}
