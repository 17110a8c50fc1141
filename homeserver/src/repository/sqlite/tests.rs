//! What only SQLite can do or suffer: groups, a full disk, copies.

use futures::future::join_all;
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};

use super::*;
use crate::repository::{
    Limit, contract,
    mailbox::{Deposit, Deposited, Letter, MailboxLimits},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

async fn open(path: &Path) -> Sqlite {
    let settings = Settings { path: path.to_owned(), readers: 2, incarnation: 11 };
    Sqlite::open(settings).await.unwrap()
}

fn deposit(number: u16, bytes: usize) -> Deposit {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Deposit {
        sender: UserId::from_bytes([1; 32]),
        message: ItemId::from_bytes(id),
        at: NOW,
        letters: vec![Letter {
            user: UserId::from_bytes([2; 32]),
            device: DeviceId::from_bytes([2; 32]),
            envelope: vec![5; bytes],
        }],
    }
}

async fn send(storage: &Sqlite, number: u16, bytes: usize) -> Result<Deposited, StorageError> {
    let mut unit = storage.begin().await?;
    let batch = vec![deposit(number, bytes)];
    let mut outcomes = unit.deposit(batch, MailboxLimits::default()).await?;
    unit.commit().await?;
    Ok(outcomes.remove(0))
}

async fn count(storage: &Sqlite) -> u64 {
    let mut reader = storage.read().await.unwrap();
    let head = reader.mailbox_head(DeviceId::from_bytes([2; 32])).await.unwrap();
    let all = Limit { rows: u32::MAX, bytes: usize::MAX };
    let rows = reader.waiting(DeviceId::from_bytes([2; 32]), 0, all).await.unwrap().rows;
    assert_eq!(u64::try_from(rows.len()).unwrap(), head.count);
    head.count
}

#[tokio::test]
async fn what_was_committed_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rookery.db");
    let storage = open(&path).await;
    send(&storage, 1, 10).await.unwrap();
    // No closing: as after a crash of the process, the log alone has it.
    std::mem::forget(storage);
    let storage = open(&path).await;
    assert_eq!(storage.incarnation(), 11);
    assert_eq!(count(&storage).await, 1);
    assert_eq!(send(&storage, 1, 10).await.unwrap(), Deposited::Duplicate { at: NOW });
}

#[tokio::test]
async fn units_that_meet_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    join_all((0..200).map(async |number| send(&storage, number, 10).await.unwrap())).await;
    assert_eq!(count(&storage).await, 200);
    // All but the first wait while it is under way, so that they make few groups.
    assert!(storage.writer.groups() < 20, "{} groups", storage.writer.groups());
}

#[tokio::test]
async fn a_full_disk_fails_its_group_and_the_writer_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    send(&storage, 1, 10).await.unwrap();
    let mut unit = Handle::new(Lease::Unit(storage.writer.begin().await.unwrap()));
    unit.plain("PRAGMA max_page_count = 1").await.unwrap();
    Box::new(unit).commit().await.unwrap();
    // A unit that is kept, and one in the same group that finds the disk full and takes all with it.
    let outcomes = join_all([send(&storage, 2, 10), send(&storage, 3, 1 << 20)]).await;
    assert!(matches!(outcomes[1], Err(StorageError::Full)), "{:?}", outcomes[1]);
    let kept = u64::from(outcomes[0].is_ok());
    assert_eq!(count(&storage).await, 1 + kept);
    assert_eq!(
        send(&storage, 3, 1 << 20).await.unwrap(),
        Deposited::Stored { positions: vec![2 + kept] }
    );
    assert_eq!(count(&storage).await, 2 + kept);
    storage.close().await;
}

#[tokio::test]
#[ignore = "fills its disk: run it with TMPDIR on a file system of some MiB"]
async fn a_disk_that_is_full_in_earnest_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut stored = 0_u64;
    let failure = loop {
        match send(&storage, u16::try_from(stored).unwrap(), 20_000).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failure, StorageError::Full), "{failure:?} after {stored}");
    for number in 60_000..60_020 {
        assert!(send(&storage, number, 20_000).await.is_err());
    }
    assert!(matches!(storage.probe().await, Err(StorageError::Full) | Ok(())));
    assert_eq!(count(&storage).await, stored);
    std::fs::remove_file(ballast).unwrap();
    storage.probe().await.unwrap();
    assert_eq!(
        send(&storage, 61_000, 20_000).await.unwrap(),
        Deposited::Stored { positions: vec![stored + 1] }
    );
    assert_eq!(count(&storage).await, stored + 1);
    storage.close().await;
    assert_eq!(count(&open(&folder.path().join("rookery.db")).await).await, stored + 1);
}

#[tokio::test]
#[ignore = "its faults come from tests/faults/preload.c: set LD_PRELOAD, ROOKERY_FAULT_DIR and ROOKERY_FAULT_CONTROL"]
async fn nothing_is_answered_that_a_fault_kept_from_the_disk() {
    let variable = |name| PathBuf::from(std::env::var_os(name).expect(name));
    let (folder, control) = (variable("ROOKERY_FAULT_DIR"), variable("ROOKERY_FAULT_CONTROL"));
    let path = folder.join("rookery.db");
    let say = |fault: &str| {
        let draft = control.with_extension("draft");
        std::fs::write(&draft, fault).unwrap();
        std::fs::rename(&draft, &control).unwrap();
    };
    let (storage, mut number, mut answered) = (open(&path).await, 0_u16, vec![]);
    for fault in ["enospc", "eio-write", "eio-fsync"] {
        for after in 0..12 {
            say(&format!("{fault} {after}"));
            let mut failed = 0;
            for _ in 0..15 {
                number += 1;
                match send(&storage, number, 5000).await {
                    Ok(_) => answered.push(number),
                    Err(StorageError::Full | StorageError::Unavailable(_)) => failed += 1,
                    Err(error) => panic!("{fault} {after}: {error}"),
                }
            }
            assert!(failed > 0, "{fault} {after} never struck");
            say("");
            number += 1;
            send(&storage, number, 5000).await.unwrap();
            answered.push(number);
        }
    }
    storage.close().await;
    let storage = open(&path).await;
    assert!(count(&storage).await >= u64::try_from(answered.len()).unwrap());
    let mut reader = storage.read().await.unwrap();
    for number in answered {
        let sent = deposit(number, 0);
        let found = reader.deposited(sent.sender, sent.message).await.unwrap();
        assert_eq!(found, Some(NOW), "message {number}");
    }
}

#[tokio::test]
async fn the_writer_is_fair_and_survives_whoever_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    let stored = join_all((0..300_u16).map(async |number| {
        let sent = send(&storage, number, 100);
        // Every third is given up somewhere on its way.
        if number % 3 == 0 {
            let patience = Duration::from_micros(u64::from(number) * 7);
            tokio::time::timeout(patience, sent).await.is_ok()
        } else {
            sent.await.unwrap();
            true
        }
    }))
    .await;
    let certain = u64::try_from(stored.iter().filter(|stored| **stored).count()).unwrap();
    assert!((certain..=300).contains(&count(&storage).await));
    storage.close().await;
}

#[tokio::test]
async fn a_copy_is_another_life_without_one_time_keys() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    contract::fill(&storage).await;
    let copy = folder.path().join("copy");
    let bytes = storage.backup(&copy).await.unwrap();
    assert!(bytes > 4096);
    assert!(matches!(storage.backup(&copy).await, Err(BackupError::Exists(_))));
    send(&storage, 500, 10).await.unwrap();

    let path = folder.path().join("restored.db");
    restore(&copy, &path, 12).await.unwrap();
    assert!(matches!(restore(&copy, &path, 13).await, Err(BackupError::Exists(_))));
    let restored = open(&path).await;
    assert_eq!(restored.incarnation(), 12);
    // What came after the copy is not in it.
    let later = deposit(500, 10);
    let mut reader = restored.read().await.unwrap();
    assert_eq!(reader.deposited(later.sender, later.message).await.unwrap(), None);
    contract::check_restored(&restored).await;
}

#[tokio::test]
async fn a_copy_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    let copy = folder.path().join("copy");
    storage.backup(&copy).await.unwrap();
    let file = copy.join("rookery.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let path = folder.path().join("restored.db");
    assert!(matches!(restore(&copy, &path, 12).await, Err(BackupError::Unusable(_))));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_copy_is_of_one_moment_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("rookery.db")).await;
    let copy = folder.path().join("copy");
    let writing = async {
        for number in 0..200 {
            send(&storage, number, 2000).await.unwrap();
        }
    };
    let (copied, ()) = tokio::join!(storage.backup(&copy), writing);
    copied.unwrap();
    let path = folder.path().join("restored.db");
    restore(&copy, &path, 12).await.unwrap();
    assert!(count(&open(&path).await).await <= 200);
    assert_eq!(count(&storage).await, 200);
}

#[tokio::test]
async fn the_hot_path_searches_and_never_scans() {
    use mailbox::{ERASE, SET_HEADS, SHRINK, STORED};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rookery.db");
    let storage = open(&path).await;
    let mut connection = options(&path).connect().await.unwrap();
    for many in [&HEADS, &STORED, &SET_HEADS, &MESSAGES, &ROWS, &ERASE, &SHRINK] {
        let text = format!("EXPLAIN QUERY PLAN {}", many.text(64).1);
        let plan = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&mut connection).await.unwrap();
        for row in &plan {
            let step = Cells::of("plan", row).text(3).unwrap();
            // What was given with the query is read from end to end; a table never is.
            let given = ["CONSTANT ROW", "wanted", "through", "freed", "VALUES"];
            let scans = step.starts_with("SCAN") && !given.iter().any(|name| step.contains(name));
            assert!(!scans && !step.contains("AUTOMATIC"), "{step} in {}", many.text(2).1);
        }
    }
    storage.close().await;
}
