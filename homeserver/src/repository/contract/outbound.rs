//! Queues for peers: what waits keeps its order, comes back, and is counted.

use rookery_protocol::{name::ServerName, request::message::Returned};

use super::{
    at, device, item,
    peer::{ALL, garden, lane, outbound, peer, with_peer},
    user,
};
use crate::repository::{
    Limit, Repository, Storage,
    peer::{Backlog, Outbound, StoredPeer},
};

/// The ids of what is due, in order.
async fn due(unit: &mut dyn Repository, seconds: u64) -> Vec<rookery_protocol::id::ItemId> {
    let due = unit.outbound_due(&garden(), at(seconds), ALL).await.unwrap();
    due.into_iter().map(|one| one.outbound.item).collect()
}

pub(super) async fn a_queue_keeps_its_order_until_it_is_settled(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    unit.put_outbound(&garden(), &[outbound(2), outbound(1)]).await.unwrap();
    unit.put_outbound(&garden(), &[outbound(3)]).await.unwrap();
    let stored = unit.outbound_due(&garden(), at(0), ALL).await.unwrap();
    assert_eq!(stored.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(stored[0].outbound, outbound(2));
    let backlog = unit.backlog(&garden()).await.unwrap();
    assert_eq!(backlog, Backlog { count: 3, bytes: 300, oldest: Some(at(1)) });
    assert_eq!(unit.outbound_count(&garden(), user(1)).await.unwrap(), 3);
    assert_eq!(unit.outbound_count(&garden(), user(2)).await.unwrap(), 0);
    let few = Limit { rows: 10, bytes: 150 };
    assert_eq!(unit.outbound_due(&garden(), at(0), few).await.unwrap().len(), 2);
    unit.settle_outbound(&garden(), &[1, 3]).await.unwrap();
    assert_eq!(due(&mut *unit, 0).await, [item(1)]);
    unit.settle_outbound(&garden(), &[2]).await.unwrap();
    unit.put_outbound(&garden(), &[outbound(9)]).await.unwrap();
    let stored = unit.outbound_due(&garden(), at(0), ALL).await.unwrap();
    assert_eq!(stored[0].number, 4, "a number is given once");
}

pub(super) async fn a_lane_waits_as_one(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let other = |number| Outbound { lane: lane(2), ..outbound(number) };
    unit.put_outbound(&garden(), &[outbound(1), other(2)]).await.unwrap();
    unit.delay_lane(&garden(), lane(1), at(50), "its mailbox is full").await.unwrap();
    unit.put_outbound(&garden(), &[outbound(3), other(4)]).await.unwrap();
    assert_eq!(due(&mut *unit, 49).await, [item(2), item(4)], "nothing overtakes in its lane");
    assert_eq!(due(&mut *unit, 50).await, [item(1), item(2), item(3), item(4)]);
    unit.settle_outbound(&garden(), &[2, 4]).await.unwrap();
    assert_eq!(unit.outbound_next(&garden()).await.unwrap(), Some(at(50)));
    let waiting = unit.outbound_item(user(1), item(1)).await.unwrap().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("its mailbox is full"));
    unit.hurry_outbound(&garden()).await.unwrap();
    assert_eq!(due(&mut *unit, 0).await, [item(1), item(3)]);
}

pub(super) async fn what_joins_a_lane_meanwhile_waits_with_it(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    unit.put_outbound(&garden(), &[outbound(1)]).await.unwrap();
    unit.commit().await.unwrap();
    // Two units at one moment: something joins the lane, and the lane is delayed.
    let mut joining = storage.begin().await.unwrap();
    joining.put_outbound(&garden(), &[outbound(2)]).await.unwrap();
    let delaying = async {
        let mut unit = storage.begin().await.unwrap();
        unit.delay_lane(&garden(), lane(1), at(50), "its mailbox is full").await.unwrap();
        unit.commit().await.unwrap();
    };
    let joining = async {
        // Long enough for the other to be through, where nothing holds it.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        joining.commit().await.unwrap();
    };
    tokio::join!(delaying, joining);
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(due(&mut *unit, 49).await, [], "the second overtakes the first");
    assert_eq!(due(&mut *unit, 50).await, [item(1), item(2)]);
}

pub(super) async fn what_comes_back_stays_until_it_is_replaced_or_dismissed(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    unit.put_outbound(&garden(), &[outbound(1), outbound(2), outbound(3)]).await.unwrap();
    for number in [1, 2] {
        unit.return_outbound(&garden(), number, &Returned::NotFound).await.unwrap();
    }
    assert_eq!(due(&mut *unit, 0).await, [item(3)]);
    let mut returned = unit.returned_in(&garden(), lane(1)).await.unwrap();
    returned.sort();
    assert_eq!(returned, [item(1), item(2)]);
    assert_eq!(unit.backlog(&garden()).await.unwrap().count, 1);
    let listed = unit.outstanding(user(1), device(1), None, 100).await.unwrap();
    let states: Vec<_> =
        listed.iter().map(|one| (one.place.message, one.returned.is_some())).collect();
    assert_eq!(states, [(item(1), true), (item(2), true), (item(3), false)]);
    // The same again, sealed anew, takes its place behind the others.
    let anew = Outbound { content: vec![8; 10], ..outbound(1) };
    unit.put_outbound(&garden(), std::slice::from_ref(&anew)).await.unwrap();
    assert_eq!(due(&mut *unit, 0).await, [item(3), item(1)]);
    let stored = unit.outbound_item(user(1), item(1)).await.unwrap().unwrap();
    assert_eq!((stored.outbound, stored.returned), (anew, None));
    let all = [item(1), item(2), item(3)];
    assert_eq!(unit.dismiss_returned(user(1), device(2), &all).await.unwrap(), 0);
    assert_eq!(unit.dismiss_returned(user(1), device(1), &all).await.unwrap(), 1);
    assert_eq!(unit.outstanding(user(1), device(1), None, 100).await.unwrap().len(), 2);
}

pub(super) async fn what_waits_for_too_long_comes_back(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let nobodys = Outbound { device: None, receiver: None, ..outbound(2) };
    unit.put_outbound(&garden(), &[outbound(1), nobodys, outbound(30)]).await.unwrap();
    let expired = unit.expire_outbound(&garden(), at(10)).await.unwrap();
    assert_eq!(expired, [(user(1), device(1))]);
    assert_eq!(due(&mut *unit, 99).await, [item(30)]);
    let returned = unit.outbound_item(user(1), item(1)).await.unwrap().unwrap().returned;
    assert_eq!(returned, Some(Returned::Expired));
    assert_eq!(unit.outbound_item(user(1), item(2)).await.unwrap(), None, "nobody asks for it");
    // It stays until its device has taken note, or is no device any more.
    assert_eq!(unit.expire_outbound(&garden(), at(99)).await.unwrap(), [(user(1), device(1))]);
    assert_eq!(unit.returned_before(at(0)).await.unwrap(), []);
    assert_eq!(unit.returned_before(at(50)).await.unwrap(), [(user(1), device(1))]);
    unit.forget_returned(user(1), device(2)).await.unwrap();
    assert_eq!(unit.outstanding(user(1), device(1), None, 100).await.unwrap().len(), 2);
    unit.forget_returned(user(1), device(1)).await.unwrap();
    assert_eq!(unit.outstanding(user(1), device(1), None, 100).await.unwrap(), []);
}

pub(super) async fn what_waits_for_a_removed_peer_has_come_back(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let nobodys = Outbound { device: None, receiver: None, ..outbound(3) };
    unit.put_outbound(&garden(), &[outbound(1), outbound(2), nobodys]).await.unwrap();
    unit.return_outbound(&garden(), 2, &Returned::NotFound).await.unwrap();
    let owners = unit.keep_undelivered(&garden(), &Returned::Removed).await.unwrap();
    assert_eq!(owners, [(user(1), device(1))]);
    assert!(unit.remove_peer(&garden()).await.unwrap());
    let listed = unit.outstanding(user(1), device(1), None, 100).await.unwrap();
    let why: Vec<_> = listed.into_iter().map(|one| (one.place.message, one.returned)).collect();
    let expected = [(item(1), Some(Returned::Removed)), (item(2), Some(Returned::NotFound))];
    assert_eq!(why, expected);
    assert!(unit.is_undelivered(user(1), item(1)).await.unwrap());
    assert_eq!(unit.returned_before(at(9)).await.unwrap(), [(user(1), device(1))]);
    assert_eq!(unit.dismiss_returned(user(1), device(1), &[item(2)]).await.unwrap(), 1);
    // Sent again to the same name, it waits as anything does.
    unit.put_peer(&peer(1)).await.unwrap();
    unit.put_outbound(&garden(), &[outbound(1)]).await.unwrap();
    assert!(!unit.is_undelivered(user(1), item(1)).await.unwrap());
    let listed = unit.outstanding(user(1), device(1), None, 100).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed.iter().all(|one| one.returned.is_none()));
}

pub(super) async fn what_is_outstanding_is_listed_page_by_page(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let aviary: ServerName = "aviary.example".parse().unwrap();
    let other = StoredPeer { name: aviary.clone(), root: None, roots: vec![], ..peer(2) };
    unit.put_peer(&other).await.unwrap();
    let anothers = Outbound { device: Some(device(2)), ..outbound(9) };
    unit.put_outbound(&garden(), &[outbound(1), outbound(2), anothers]).await.unwrap();
    unit.put_outbound(&aviary, &[outbound(3), outbound(4)]).await.unwrap();
    let (mut after, mut seen) = (None, vec![]);
    for _ in 0..9 {
        let page = unit.outstanding(user(1), device(1), after.as_ref(), 1).await.unwrap();
        let Some(last) = page.into_iter().next() else { break };
        seen.push((last.place.server.clone(), last.place.message));
        after = Some(last.place);
    }
    let expected = [(&aviary, 3), (&aviary, 4), (&garden(), 1), (&garden(), 2)]
        .map(|(server, number)| (server.clone(), item(number)));
    assert_eq!(seen, expected);
}

pub(super) async fn a_lane_comes_back_as_one(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let apart = Outbound { lane: lane(2), ..outbound(4) };
    unit.put_outbound(&garden(), &[outbound(1), outbound(2), outbound(3), apart]).await.unwrap();
    let recalled = unit.return_lane(&garden(), lane(1), 1, &Returned::NotFound).await.unwrap();
    let mut items: Vec<_> = recalled.iter().map(|one| (one.item, one.size)).collect();
    items.sort();
    assert_eq!(items, [(item(2), 100), (item(3), 100)]);
    assert_eq!(due(&mut *unit, 0).await, [item(1), item(4)]);
    assert_eq!(unit.return_lane(&garden(), lane(1), 1, &Returned::NotFound).await.unwrap(), []);
}
