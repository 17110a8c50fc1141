//! What a unit of work is.

use futures::{FutureExt as _, future::join_all};

use super::{account, at, commit, open_accounts, user};
use crate::repository::{Storage, StorageError, account::Opened, invite::*};

pub(super) async fn an_uncommitted_unit_leaves_no_trace(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.open_account(&account(1, "alice")).await.unwrap(), Opened::New);
    drop(unit);
    assert_eq!(storage.read().await.unwrap().account(user(1)).await.unwrap(), None);
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.open_account(&account(1, "alice")).await.unwrap(), Opened::New);
    unit.commit().await.unwrap();
    assert!(storage.read().await.unwrap().account(user(1)).await.unwrap().is_some());
}

pub(super) async fn a_reader_sees_what_is_committed_and_nothing_else(storage: &dyn Storage) {
    let mut reader = storage.read().await.unwrap();
    assert_eq!(reader.account(user(1)).await.unwrap(), None);
    let mut unit = storage.begin().await.unwrap();
    unit.open_account(&account(1, "alice")).await.unwrap();
    assert_eq!(reader.account(user(1)).await.unwrap(), None);
    unit.commit().await.unwrap();
    assert!(reader.account(user(1)).await.unwrap().is_some());
}

pub(super) async fn a_unit_sees_its_own_changes(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    unit.open_account(&account(1, "alice")).await.unwrap();
    assert!(unit.account_by_name(&"alice".parse().unwrap()).await.unwrap().is_some());
    assert!(unit.set_password(user(1), "other").await.unwrap());
    assert_eq!(unit.account(user(1)).await.unwrap().unwrap().password, "other");
}

pub(super) async fn units_that_come_together_all_last(storage: &dyn Storage) {
    open_invite(storage, 1000).await;
    join_all((0..50).map(|_| take_one(storage))).await;
    let left = storage.read().await.unwrap().invites().await.unwrap()[0].uses_left;
    assert_eq!(left, 950);
}

pub(super) async fn a_unit_that_is_dropped_takes_none_of_its_neighbours_along(
    storage: &dyn Storage,
) {
    open_invite(storage, 1000).await;
    join_all((0..60).map(async |number: u32| {
        let mut unit = storage.begin().await.unwrap();
        assert!(unit.take_invite(InviteHash([1; 32]), at(1)).await.unwrap());
        if number.is_multiple_of(3) {
            drop(unit);
        } else {
            unit.commit().await.unwrap();
        }
    }))
    .await;
    let left = storage.read().await.unwrap().invites().await.unwrap()[0].uses_left;
    assert_eq!(left, 960);
}

pub(super) async fn giving_up_a_commit_disturbs_nobody(storage: &dyn Storage) {
    open_invite(storage, 1000).await;
    // Wishes for a unit that nobody waits for, queries that are cut off, commits that are cut off.
    for _ in 0..10 {
        drop(storage.begin().now_or_never());
        let mut unit = storage.begin().await.unwrap();
        drop(unit.take_invite(InviteHash([1; 32]), at(1)).now_or_never());
        drop(unit);
        let mut unit = storage.begin().await.unwrap();
        unit.take_invite(InviteHash([1; 32]), at(1)).await.unwrap();
        drop(unit.commit().now_or_never());
    }
    take_one(storage).await;
    let left = storage.read().await.unwrap().invites().await.unwrap()[0].uses_left;
    assert!((989..=999).contains(&left), "{left}");
    // A unit whose query was cut off is good for nothing more.
    let mut unit = storage.begin().await.unwrap();
    let cut = unit.take_invite(InviteHash([1; 32]), at(1)).now_or_never().is_none();
    if cut {
        assert!(matches!(unit.invites().await, Err(StorageError::Broken(_))));
        assert!(matches!(unit.commit().await, Err(StorageError::Broken(_))));
    }
}

pub(super) async fn a_storage_that_can_store_says_so(storage: &dyn Storage) {
    open_accounts(storage).await;
    storage.probe().await.unwrap();
    assert_eq!(storage.incarnation(), 0x1234_5678_9abc);
}

pub(super) async fn a_closed_storage_is_unavailable(storage: &dyn Storage) {
    open_accounts(storage).await;
    storage.close().await;
    assert!(matches!(storage.begin().await.err(), Some(StorageError::Unavailable(_))));
    assert!(matches!(storage.read().await.err(), Some(StorageError::Unavailable(_))));
    assert!(matches!(storage.probe().await, Err(StorageError::Unavailable(_))));
}

async fn open_invite(storage: &dyn Storage, uses: u32) {
    let invite = StoredInvite {
        hash: InviteHash([1; 32]),
        id: "one".to_owned(),
        uses_left: uses,
        created: at(0),
        expires: None,
        note: None,
        revoked: false,
    };
    commit(storage, async |unit| assert!(unit.create_invite(&invite).await.unwrap())).await;
}

async fn take_one(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    assert!(unit.take_invite(InviteHash([1; 32]), at(1)).await.unwrap());
    unit.commit().await.unwrap();
}
