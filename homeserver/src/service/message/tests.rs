use std::time::Duration;

use rookery_protocol::{
    request::{
        contact::{ContactChange, Standing},
        message::SendError,
    },
    schema::Schema as _,
    session::FollowDown,
};

use super::*;
use crate::{
    repository::StorageError,
    service::{
        contact,
        feed::Live,
        testing::{bench, item},
    },
};

#[test]
fn a_frame_is_what_the_codec_makes_of_it() {
    for (position, at) in [(1, 1), (500, 1_790_000_000_000), (u64::from(u32::MAX) + 1, 70_000)] {
        let at = Timestamp::from_millis(at);
        let envelope = Envelope::sample();
        let made = frame(position, at, &codec::encode(&envelope));
        assert_eq!(made, codec::encode(&FollowDown::Envelope { position, at, envelope }));
    }
}

#[tokio::test]
async fn a_message_goes_to_every_live_device_of_both_sides_or_to_none() {
    let bench = bench(&[]);
    let services = &bench.services;
    let (alice, alices, _, _) = bench.person("alice").await;
    let (mut bob, bobs, _, _) = bench.person("bob").await;
    let before = alice.message(alices.device, &bob, item(1), 10);
    let (second, ..) = bench.second(&mut bob, bobs).await;
    let stale = SendError::Stale { to_head: bob.head(), own_head: alice.head() };
    assert_eq!(send(services, alices, before).await, Err(Failure::Error(stale)));

    let good = alice.message(alices.device, &bob, item(1), 10);
    assert_eq!(good.envelopes.len(), 2);
    for leave_out in 0..2 {
        let mut short = good.clone();
        short.envelopes.remove(leave_out);
        assert!(matches!(
            send(services, alices, short).await,
            Err(Failure::Error(SendError::Refused { .. }))
        ));
    }
    let sent = send(services, alices, good.clone()).await.unwrap();
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(
        send(services, alices, good).await.unwrap(),
        sent,
        "the same id again is answered as the first time"
    );
    let mut view = services.storage.read().await.unwrap();
    for device in [bobs.device, second.id()] {
        assert_eq!(view.mailbox_head(device).await.unwrap().count, 1);
    }
}

#[tokio::test]
async fn nobody_sends_in_another_s_name() {
    let bench = bench(&[]);
    let (alice, alices, _, _) = bench.person("alice").await;
    let (bob, bobs, _, _) = bench.person("bob").await;
    let forged = alice.message(alices.device, &bob, item(1), 10);
    assert!(matches!(
        send(&bench.services, bobs, forged).await,
        Err(Failure::Error(SendError::Refused { .. }))
    ));
    let mut other = alice.message(alices.device, &bob, item(1), 10);
    other.message = item(2);
    assert!(matches!(
        send(&bench.services, alices, other).await,
        Err(Failure::Error(SendError::Refused { .. }))
    ));
}

#[tokio::test]
async fn a_stranger_s_message_lands_as_a_request_and_a_blocked_one_does_not_land() {
    let bench = bench(&[]);
    let services = &bench.services;
    let (alice, alices, _, _) = bench.person("alice").await;
    let (bob, bobs, _, _) = bench.person("bob").await;
    let message = |number| alice.message(alices.device, &bob, item(number), 10);
    send(services, alices, message(1)).await.unwrap();
    let listed = contact::list(services, bobs).await.unwrap().contacts;
    assert!(
        listed.len() == 1
            && listed[0].standing == Standing::Stranger
            && listed[0].user == Some(alice.user)
    );
    assert!(contact::list(services, alices).await.unwrap().contacts.is_empty());

    contact::change(services, bobs, "alice".parse().unwrap(), ContactChange::Block).await.unwrap();
    assert_eq!(send(services, alices, message(2)).await, Err(Failure::Error(SendError::NotFound)));
    assert!(
        send(services, alices, message(1)).await.is_ok(),
        "what was stored before stays stored"
    );
    let mut to_nobody = message(3);
    to_nobody.to = UserId::from_bytes([0x99; 32]);
    to_nobody.envelopes.clear();
    assert_eq!(
        send(services, alices, to_nobody).await,
        Err(Failure::Error(SendError::NotFound)),
        "absent and blocking look alike"
    );
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_takes_again_once_it_is_read() {
    let bench = bench(&[("storage.mailbox_envelopes", "2")]);
    let services = &bench.services;
    let (alice, alices, _, _) = bench.person("alice").await;
    let (bob, bobs, _, _) = bench.person("bob").await;
    let message = |number| alice.message(alices.device, &bob, item(number), 10);
    send(services, alices, message(1)).await.unwrap();
    send(services, alices, message(2)).await.unwrap();
    let full = SendError::MailboxFull { devices: vec![bobs.device] };
    assert_eq!(send(services, alices, message(3)).await, Err(Failure::Error(full)));
    acknowledge(services, bobs.device, 1);
    // The acknowledgement goes with the next batch.
    send(services, alices, alice.message(alices.device, &alice, item(9), 10)).await.unwrap();
    send(services, alices, message(3)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_recovers_by_itself() {
    let bench = bench(&[]);
    let services = &bench.services;
    let (alice, alices, _, _) = bench.person("alice").await;
    let (bob, ..) = bench.person("bob").await;
    bench.storage.fail_with(Some(StorageError::Full));
    let message = alice.message(alices.device, &bob, item(1), 10);
    assert_eq!(send(services, alices, message.clone()).await, Err(Refusal::StorageFull.into()));
    bench.storage.fail_with(None);
    send(services, alices, message).await.unwrap();
}

#[tokio::test]
async fn a_follower_hears_from_memory_in_the_order_of_positions() {
    let bench = bench(&[]);
    let services = &bench.services;
    let (alice, alices, _, _) = bench.person("alice").await;
    let (bob, bobs, _, _) = bench.person("bob").await;
    let feed = services.feeds.open(bobs.user, bobs.device);
    let sends = (0..50)
        .map(|number| send(services, alices, alice.message(alices.device, &bob, item(number), 10)));
    assert!(futures::future::join_all(sends).await.iter().all(Result::is_ok));
    let positions: Vec<u64> = feed
        .take()
        .unwrap()
        .items
        .iter()
        .filter_map(|live| match live {
            Live::Envelope { position, .. } => Some(*position),
            _ => None,
        })
        .collect();
    assert_eq!(positions, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_writes_too_much_is_told_when_to_go_on() {
    let bench = bench(&[("limits.post_device", "1/s burst 2")]);
    let services = &bench.services;
    let (alice, alices, _, _) = bench.person("alice").await;
    let message = |number| alice.message(alices.device, &alice, item(number), 10);
    send(services, alices, message(1)).await.unwrap();
    send(services, alices, message(2)).await.unwrap();
    let Err(Failure::Refused(Refusal::Throttled { retry_after_ms })) =
        send(services, alices, message(3)).await
    else {
        panic!("not throttled");
    };
    bench.clock.advance(Duration::from_millis(retry_after_ms));
    send(services, alices, message(3)).await.unwrap();
}
