//! What only PostgreSQL can do or suffer: several nodes on one database, copies.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::{backup::TABLES, *};
use crate::repository::{
    contract::{self, at, device, item, place, user},
    mailbox::{Deposit, Deposited, MailboxLimits},
    prekey::{ClaimedKeys, NewClaim, OneTime},
};

/// Runs a unit, and again as long as another node comes in between.
async fn insist<T>(
    storage: &dyn Storage,
    work: impl AsyncFn(&mut dyn Repository) -> Result<T, StorageError>,
) -> T {
    loop {
        let mut unit = storage.begin().await.unwrap();
        let outcome = match work(&mut *unit).await {
            Ok(outcome) => unit.commit().await.map(|()| outcome),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(outcome) => return outcome,
            Err(StorageError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn deposit(storage: &dyn Storage, batch: Vec<Deposit>) -> Vec<Deposited> {
    insist(storage, async |unit| unit.deposit(batch.clone(), MailboxLimits::default()).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_store_at_once_leave_no_gap_and_store_nothing_twice() {
    let place = place::Postgres::new("nodes_store").await;
    let other = place.another_node().await;
    contract::open_accounts(&*place).await;
    // Every batch goes to both nodes, and every node meets the mailboxes in another order.
    let batch = |number: u16| {
        let letters: &[(u8, u8, usize)] = if number.is_multiple_of(2) {
            &[(2, 2, 9), (3, 3, 9)]
        } else {
            &[(3, 3, 9), (2, 2, 9)]
        };
        (0..5)
            .map(|one| contract::mailbox::deposit(1, number * 10 + one, letters))
            .collect::<Vec<_>>()
    };
    let nodes: [&dyn Storage; 2] = [&*place, &other];
    let work = (0..40_u16).flat_map(|number| nodes.map(|node| deposit(node, batch(number))));
    let outcomes: Vec<Deposited> = join_all(work).await.into_iter().flatten().collect();
    let stored = outcomes.iter().filter(|one| matches!(one, Deposited::Stored { .. })).count();
    assert_eq!((stored, outcomes.len()), (200, 400));
    for number in [2, 3] {
        let rows = place
            .read()
            .await
            .unwrap()
            .waiting(device(number), 0, contract::ALL)
            .await
            .unwrap()
            .rows;
        assert_eq!(
            rows.iter().map(|row| row.position).collect::<Vec<_>>(),
            (1..=200).collect::<Vec<u64>>()
        );
    }
    // Acknowledging goes on beside storing.
    let acknowledge = async |node: &dyn Storage, through| {
        let through = [(device(3), through), (device(2), through)];
        insist(node, async |unit| unit.acknowledge(&through).await).await;
    };
    let work = (1..=20_u16).flat_map(|number| {
        nodes.map(|node| async move {
            acknowledge(node, u64::from(number) * 10).await;
            deposit(node, batch(100 + number)).await;
        })
    });
    join_all(work).await;
    let head = place.read().await.unwrap().mailbox_head(device(2)).await.unwrap();
    assert_eq!((head.last, head.count, head.bytes), (300, 100, 900));
    other.close().await;
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_never_give_a_key_twice() {
    let place = place::Postgres::new("nodes_claim").await;
    let other = place.another_node().await;
    contract::open_accounts(&*place).await;
    let mut unit = place.begin().await.unwrap();
    unit.put_prekeys(user(1), device(1), &contract::prekey::upload(1, 1..31), at(0)).await.unwrap();
    unit.commit().await.unwrap();
    let nodes: [&dyn Storage; 2] = [&*place, &other];
    let claim = async |node: &dyn Storage, number| {
        let devices = vec![(device(1), OneTime::Give)];
        let claim = NewClaim { requester: user(2), claim: item(number), at: at(1), devices };
        insist(node, async |unit| unit.claim_prekeys(&claim).await).await
    };
    // Every claim is made at both nodes at once.
    let work = (0..20).flat_map(|number| nodes.map(|node| claim(node, number)));
    let claimed: Vec<Vec<ClaimedKeys>> = join_all(work).await;
    for pair in claimed.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    let keys: BTreeSet<u32> =
        claimed.iter().map(|keys| keys[0].one_time.as_ref().unwrap().id).collect();
    assert_eq!(keys.len(), 20);
    assert_eq!(place.read().await.unwrap().prekey_counts(device(1)).await.unwrap().one_time, 10);
    other.close().await;
    place.close().await;
}

#[tokio::test]
async fn a_chain_that_is_held_does_not_grow() {
    let place = place::Postgres::new("nodes_hold").await;
    let other = place.another_node().await;
    contract::fill(&*place).await;
    let chain = rookery_protocol::id::ChainId::of_user(user(1));
    let mut holder = place.begin().await.unwrap();
    let head = holder.hold_chains(&[chain]).await.unwrap()[0].head;
    let more =
        contract::chain::entries(chain, rookery_protocol::chain::Kind::UserStatement, head, 20..21);
    let append = async {
        let mut unit = other.begin().await.unwrap();
        unit.append_entries(chain, &more).await.unwrap();
        unit.commit().await.unwrap();
    };
    let mut append = std::pin::pin!(append);
    let patience = Duration::from_millis(300);
    assert!(tokio::time::timeout(patience, append.as_mut()).await.is_err());
    assert_eq!(holder.chain(chain).await.unwrap().unwrap().head, head);
    drop(holder);
    append.await;
    assert_ne!(place.read().await.unwrap().chain(chain).await.unwrap().unwrap().head, head);
    other.close().await;
    place.close().await;
}

#[tokio::test]
async fn a_copy_is_another_life_without_one_time_keys() {
    let place = place::Postgres::new("backup").await;
    contract::fill(&*place).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    assert!(place.backup(&copy).await.unwrap() > 1000);
    assert!(matches!(place.backup(&copy).await, Err(BackupError::Exists(_))));

    let empty = place::Postgres::empty("restore").await;
    restore(&copy, &empty.settings(12)).await.unwrap();
    let again = restore(&copy, &empty.settings(13)).await;
    assert!(matches!(again, Err(BackupError::Unusable(_))), "{again:?}");
    let restored = Postgres::open(&empty.settings(14)).await.unwrap();
    assert_eq!(restored.incarnation(), 12);
    contract::check_restored(&restored).await;
    restored.close().await;
    empty.remove().await;

    let file = copy.join("rows.copy");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&file, bytes).unwrap();
    let empty = place::Postgres::empty("restore_broken").await;
    let broken = restore(&copy, &empty.settings(12)).await;
    assert!(matches!(broken, Err(BackupError::Unusable(_))), "{broken:?}");
    empty.remove().await;
    place.close().await;
}

#[tokio::test]
async fn a_copy_names_every_table() {
    let place = place::Postgres::new("tables").await;
    let mut connection = options(&place.settings(1).url).unwrap().connect().await.unwrap();
    let text =
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
                AND relnamespace = current_schema()::regnamespace";
    let rows = sqlx::query(text).fetch_all(&mut connection).await.unwrap();
    let found: BTreeSet<String> = rows.iter().map(|row| sqlx::Row::get(row, 0)).collect();
    let mut known: BTreeSet<String> = TABLES.iter().map(|table| (*table).to_owned()).collect();
    known.extend(["one_time_prekey".to_owned(), "_sqlx_migrations".to_owned()]);
    assert_eq!(found, known);
    sqlx::Connection::close(connection).await.unwrap();
    place.close().await;
}
