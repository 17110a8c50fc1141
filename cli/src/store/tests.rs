use rookery_protocol::{
    chain::Entry,
    id::{ChainId, DeviceId, ItemId, ServerId, UserId},
    request::message::Purpose,
    time::Timestamp,
};

use super::*;
use crate::{
    config::Place,
    e2ee::{
        OsRandom,
        identity::{DeviceSecrets, MadeFor},
        pair::Pair,
        payload::Stay,
        puk::PukRing,
        recovery::RecoveryKey,
        statement::{Draft, Founder, Signer, found},
    },
};

const ALICE: UserId = UserId::from_bytes([0xa1; 32]);
const BOB: UserId = UserId::from_bytes([0xb0; 32]);
const SECRET_WORDS: &str = "the heron flies at midnight";

async fn store() -> (tempfile::TempDir, Place, Store) {
    let home = tempfile::tempdir().unwrap();
    let place = Place::find(Some(home.path().to_owned()), None).unwrap();
    let store = create(&place, Secret::Found).await.unwrap();
    (home, place, store)
}

fn message(number: u8, state: MessageState) -> Message {
    Message {
        conversation: BOB,
        item: ItemId::from_bytes([number; 16]),
        author: ALICE,
        device: DeviceId::from_bytes([1; 32]),
        at: Timestamp::from_millis(1_000 + u64::from(number)),
        text: format!("{SECRET_WORDS} {number}"),
        state,
        reason: None,
        waits: None,
        stays: None,
        file: None,
    }
}

fn outgoing(number: u8) -> Outgoing {
    Outgoing {
        to: BOB,
        item: ItemId::from_bytes([number; 16]),
        purpose: Purpose::Message,
        content: SECRET_WORDS.as_bytes().to_vec(),
        since: Timestamp::from_millis(1),
        not_before: Timestamp::from_millis(0),
        attempts: 0,
        trouble: None,
        sealed: None,
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn nothing_that_was_written_can_be_read_in_the_files() {
    let (home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    unit.add_message(&message(1, MessageState::Queued)).await.unwrap();
    unit.enqueue(ALICE, &outgoing(1)).await.unwrap();
    unit.owe_receipt(Receipt { to: BOB, item: ItemId::from_bytes([7; 16]), read: true })
        .await
        .unwrap();
    unit.put_pair(DeviceId::from_bytes([0xd0; 32]), &Pair::new()).await.unwrap();
    unit.commit().await.unwrap();
    store.close().await;
    let mut files = 0;
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        assert!(!contains(&bytes, SECRET_WORDS.as_bytes()), "{}", path.display());
        for id in [&ALICE.as_bytes()[..], BOB.as_bytes(), &[0xd0; 32], &[7; 16]] {
            assert!(!contains(&bytes, id), "{} names somebody", path.display());
        }
    }
    assert!(files >= 2, "the store and its key file");
}

#[tokio::test]
async fn an_uncommitted_unit_leaves_no_trace() {
    let (_home, place, store) = store().await;
    let mut unit = store.write().await.unwrap();
    unit.add_message(&message(1, MessageState::Queued)).await.unwrap();
    unit.enqueue(ALICE, &outgoing(1)).await.unwrap();
    drop(unit);
    store.close().await;
    let store = unlock(&place, Secret::Found).await.unwrap();
    let mut unit = store.read().await.unwrap();
    assert_eq!(unit.last_position().await.unwrap(), 0);
    assert_eq!(unit.outbox_length().await.unwrap(), 0);
}

/// A user's genesis, and two other statements that could follow it.
fn statements() -> (UserId, Entry, [Entry; 2]) {
    let (now, mut random) = (Timestamp::from_millis(1_790_000_000_000), OsRandom);
    let (device, ring) = (DeviceSecrets::generate(&mut random), PukRing::generate(&mut random));
    let recovery = RecoveryKey::generate(&mut random);
    let keys =
        device.public(MadeFor::Person, ring.seal_device_name(device.id(), "laptop", &mut random));
    let founder = Founder { device: &device, keys: &keys, recovery: &recovery, ring: &ring };
    let home_key = ServerId::from_bytes([9; 32]);
    let founding =
        found("home.example".parse().unwrap(), home_key, founder, now, &mut random).unwrap();
    let chain = ChainId::of_user(founding.user);
    let closing = || {
        let mut draft = Draft::after(&founding.state);
        draft.close(Signer::Recovery(&recovery), None, now, &mut OsRandom).unwrap();
        let statement = draft.finish().statements.remove(0);
        statement.place(chain, 0, Some(founding.state.head))
    };
    let others = [closing(), closing()];
    (founding.user, founding.genesis.place(chain, 0, None), others)
}

#[tokio::test]
async fn a_chain_in_memory_is_never_other_than_the_one_that_was_committed() {
    let (_home, _, store) = store().await;
    let (user, genesis, [dropped, kept]) = statements();
    let chain = async |store: &Store| {
        let chain = store.read().await.unwrap().chain(user).await.unwrap();
        chain.map(|chain| chain.entries.clone())
    };
    let mut unit = store.write().await.unwrap();
    unit.add_statement(user, &genesis).await.unwrap();
    assert_eq!(unit.chain(user).await.unwrap().unwrap().entries, vec![genesis.clone()]);
    drop(unit);
    assert_eq!(chain(&store).await, None);
    let mut unit = store.write().await.unwrap();
    unit.add_statement(user, &genesis).await.unwrap();
    unit.commit().await.unwrap();
    for _ in 0..2 {
        assert_eq!(chain(&store).await, Some(vec![genesis.clone()]));
    }
    let mut unit = store.write().await.unwrap();
    unit.add_statement(user, &dropped).await.unwrap();
    assert_eq!(unit.chain(user).await.unwrap().unwrap().entries, [genesis.clone(), dropped]);
    drop(unit);
    assert_eq!(chain(&store).await, Some(vec![genesis.clone()]));
    let mut unit = store.write().await.unwrap();
    unit.add_statement(user, &kept).await.unwrap();
    unit.commit().await.unwrap();
    for _ in 0..2 {
        assert_eq!(chain(&store).await, Some(vec![genesis.clone(), kept.clone()]));
    }
}

#[tokio::test]
async fn another_key_is_refused_and_an_exposed_one_too() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_home, place, store) = store().await;
    store.close().await;
    std::fs::set_permissions(place.key_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(unlock(&place, Secret::Found).await, Err(UnlockError::Exposed)));
    std::fs::remove_file(place.key_file()).unwrap();
    assert!(matches!(unlock(&place, Secret::Found).await, Err(UnlockError::NeedsPassphrase)));
    crate::config::write_private(&place.key_file(), &[9; 32]).unwrap();
    assert!(matches!(unlock(&place, Secret::Found).await, Err(UnlockError::Locked(_))));
}

#[tokio::test]
async fn a_row_in_another_row_s_place_is_damage() {
    let (_home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    for number in [1, 2] {
        unit.add_message(&message(number, MessageState::Sent)).await.unwrap();
    }
    sqlx::query("UPDATE message SET sealed = (SELECT sealed FROM message WHERE position = 1) WHERE position = 2")
        .execute(&mut *unit.transaction)
        .await
        .unwrap();
    let page = unit.page(Page::After { position: 0, count: 10 }).await;
    assert!(matches!(page, Err(StoreError::Damaged { table: "message" })));
}

#[tokio::test]
async fn a_message_is_there_once_and_keeps_its_place() {
    let (_home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    assert_eq!(unit.add_message(&message(2, MessageState::Sent)).await.unwrap(), Some(1));
    assert_eq!(unit.add_message(&message(2, MessageState::Sent)).await.unwrap(), None);
    assert_eq!(
        unit.add_message(&message(1, MessageState::Sent))
            .await
            .unwrap()
            .map(|position| position > 1),
        Some(true)
    );
    let arrived = unit.page(Page::After { position: 0, count: 10 }).await.unwrap();
    let written = unit.page(Page::Last { conversation: BOB, count: 10 }).await.unwrap();
    let numbers = |page: &[Placed]| {
        page.iter().map(|placed| placed.message.item.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&arrived), [2, 1], "tail tells in the order of arrival");
    assert_eq!(numbers(&written), [1, 2], "read tells in the order of writing");
}

#[tokio::test]
async fn a_state_never_goes_back() {
    let (_home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    unit.add_message(&message(1, MessageState::Queued)).await.unwrap();
    let item = ItemId::from_bytes([1; 16]);
    assert!(unit.move_message(BOB, ALICE, item, MessageState::Read, None).await.unwrap());
    for earlier in
        [MessageState::Queued, MessageState::Sent, MessageState::Delivered, MessageState::Failed]
    {
        assert!(!unit.move_message(BOB, ALICE, item, earlier, None).await.unwrap(), "{earlier:?}");
    }
    assert!(MessageState::Queued.may_become(MessageState::Failed));
    assert!(MessageState::Failed.may_become(MessageState::Queued));
    assert!(MessageState::Received.may_become(MessageState::Read));
}

#[tokio::test]
async fn nothing_overtakes_within_a_conversation() {
    let (_home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    for number in [3, 1, 2] {
        assert!(unit.enqueue(ALICE, &outgoing(number)).await.unwrap());
    }
    assert!(!unit.enqueue(ALICE, &outgoing(3)).await.unwrap(), "the same id again is the same");
    for expected in [3, 1, 2] {
        let fronts = unit.outbox_fronts(8).await.unwrap();
        let items: Vec<_> = fronts.iter().map(|front| front.item).collect();
        assert_eq!(items, [ItemId::from_bytes([expected; 16])]);
        unit.dequeue(ALICE, BOB, items[0]).await.unwrap();
    }
}

#[tokio::test]
async fn a_reading_replaces_a_delivery_that_was_owed_and_not_the_other_way_round() {
    let (_home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    let item = ItemId::from_bytes([1; 16]);
    let (delivered, read) =
        (Receipt { to: BOB, item, read: false }, Receipt { to: BOB, item, read: true });
    unit.owe_receipt(delivered).await.unwrap();
    unit.owe_receipt(read).await.unwrap();
    unit.owe_receipt(delivered).await.unwrap();
    unit.settle_receipt(delivered).await.unwrap();
    assert_eq!(unit.receipts_owed(10).await.unwrap(), [read], "only the delivery was told");
    unit.settle_receipt(read).await.unwrap();
    assert_eq!(unit.receipts_owed(10).await.unwrap(), []);
}

#[tokio::test]
async fn one_s_own_times_rise_even_when_the_clock_goes_back() {
    let (_home, _, store) = store().await;
    let mut unit = store.write().await.unwrap();
    unit.add_message(&message(1, MessageState::Queued)).await.unwrap();
    let next = unit.next_time(BOB, ALICE, Timestamp::from_millis(5)).await.unwrap();
    assert_eq!(next, Timestamp::from_millis(1_002));
}

#[tokio::test]
async fn a_message_s_time_runs_once_it_is_sent_or_read_and_not_before() {
    let (_home, _, store) = store().await;
    let stays = Stay::of(Duration::from_mins(1));
    let waiting = Message { stays, ..message(1, MessageState::Queued) };
    let unread = Message { stays, ..message(2, MessageState::Received) };
    let lasting = message(3, MessageState::Read);
    let mut unit = store.write().await.unwrap();
    for message in [&waiting, &unread, &lasting] {
        unit.add_message(message).await.unwrap();
    }
    let now = Timestamp::from_millis(50_000);
    assert_eq!(unit.next_due().await.unwrap(), None);
    for (message, state) in [(&unread, MessageState::Read), (&waiting, MessageState::Sent)] {
        unit.move_message(BOB, ALICE, message.item, state, None).await.unwrap();
    }
    let due = unit.due(now, 10).await.unwrap();
    assert_eq!(
        due.iter().map(|one| (one.position, one.is_timed)).collect::<Vec<_>>(),
        [(1, false), (2, false)]
    );
    for one in &due {
        unit.set_due(one.position, now.plus(Duration::from_secs(one.position))).await.unwrap();
    }
    // A later step of the message does not set its time anew.
    unit.move_message(BOB, ALICE, waiting.item, MessageState::Delivered, None).await.unwrap();
    assert_eq!(unit.due(now, 10).await.unwrap(), []);
    assert_eq!(unit.next_due().await.unwrap(), Some(now.plus(Duration::from_secs(1))));
    unit.commit().await.unwrap();

    let mut unit = store.write().await.unwrap();
    let later = now.plus(Duration::from_secs(1));
    let due = unit.due(later, 10).await.unwrap();
    let [Expiring { position: 1, is_timed: true, told: Some(Told::Direct(placed)) }] =
        due.as_slice()
    else {
        panic!("{due:?}");
    };
    unit.expire_message(placed.message.clone()).await.unwrap();
    unit.settle_expiry(1).await.unwrap();
    let gone = unit.message(BOB, ALICE, waiting.item).await.unwrap().unwrap().message;
    assert!(gone.has_expired() && gone.state == MessageState::Delivered, "{gone:?}");
    // It comes back neither by another way nor by its receipts.
    assert_eq!(unit.add_message(&waiting).await.unwrap(), None);
    unit.move_message(BOB, ALICE, waiting.item, MessageState::Read, None).await.unwrap();
    assert_eq!(unit.due(later, 10).await.unwrap(), []);
}
