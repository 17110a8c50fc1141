//! Order, and what a peer says.

use rookery_protocol::{
    chain::HeadRef,
    id::{DeviceId, ItemId, UserId},
    request::message::Returned,
};

use super::{outcome::MAX_REASON, *};
use crate::{
    repository::peer::Outbound,
    service::{peer::tests::with_garden, testing::item},
};

fn sent(number: u32) -> Outbound {
    Outbound {
        sender: UserId::from_bytes([1; 32]),
        device: Some(DeviceId::from_bytes([1; 32])),
        item: item(number),
        receiver: Some(UserId::from_bytes([9; 32])),
        lane: Digest::from_bytes([1; 32]),
        at: Timestamp::from_millis(1),
        content: vec![7; 10],
    }
}

async fn due(services: &Services, peer: &Peer) -> Vec<StoredOutbound> {
    let mut view = services.storage.read().await.unwrap();
    view.outbound_due(&peer.name, services.clock.now(), BATCH).await.unwrap()
}

async fn queue(services: &Services, peer: &Peer, items: &[Outbound]) {
    let mut unit = services.storage.begin().await.unwrap();
    unit.put_outbound(&peer.name, items).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn nothing_overtakes_what_has_to_be_sealed_again() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    let apart = Outbound { lane: Digest::from_bytes([2; 32]), ..sent(4) };
    queue(services, &peer, &[sent(1), sent(2), sent(3), apart]).await;
    let first = due(services, &peer).await.remove(0);
    let to_head = HeadRef { seq: 1, hash: Digest::from_bytes([3; 32]) };
    write(services, &peer, vec![(first, ForwardOutcome::Stale { to_head })]).await.unwrap();
    let left: Vec<ItemId> =
        due(services, &peer).await.into_iter().map(|row| row.outbound.item).collect();
    assert_eq!(left, [item(4)], "what was written later goes on without it");
    let mut view = services.storage.read().await.unwrap();
    for number in 1..4 {
        let row = view.outbound_item(sent(1).sender, item(number)).await.unwrap().unwrap();
        assert_eq!(row.returned, Some(Returned::Stale { to_head }), "{number}");
    }
}

#[tokio::test]
async fn a_peer_that_is_always_behind_is_asked_now_and_then() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    queue(services, &peer, &[sent(1), sent(2)]).await;
    let rows = due(services, &peer).await;
    let behind = rows.into_iter().map(|row| (row, ForwardOutcome::Behind)).collect();
    write(services, &peer, behind).await.unwrap();
    assert!(due(services, &peer).await.is_empty(), "it is asked again at once");
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(due(services, &peer).await.len(), 2);
}

#[tokio::test]
async fn what_a_clock_that_was_wrong_made_wait_is_let_go() {
    let (bench, peer) = with_garden(&[]).await;
    let services = &bench.services;
    queue(services, &peer, &[sent(1)]).await;
    let row = due(services, &peer).await.remove(0);
    // A day ahead, it was told to wait for two seconds; now it is the right time again.
    let mut unit = services.storage.begin().await.unwrap();
    let wrong = services.clock.now().plus(Duration::from_hours(24));
    unit.delay_lane(&peer.name, row.outbound.lane, wrong, "later").await.unwrap();
    unit.commit().await.unwrap();
    assert!(due(services, &peer).await.is_empty());
    hurry(services, &peer).await.unwrap();
    assert_eq!(due(services, &peer).await.len(), 1);
}

#[test]
fn a_peer_s_reason_is_cut_and_cannot_drive_a_terminal() {
    let reason = format!("\u{1b}]0;x\u{7}no{}", "o".repeat(1_000_000));
    let ForwardOutcome::Refused { reason } = curbed(ForwardOutcome::Refused { reason }) else {
        panic!("it became something else");
    };
    assert!(reason.starts_with("]0;xnooo") && reason.chars().count() == MAX_REASON);
    assert_eq!(curbed(ForwardOutcome::Behind), ForwardOutcome::Behind);
}
