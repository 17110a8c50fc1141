//! Files.

use rookery_protocol::id::BlobId;

use super::{
    at,
    blob::{CUT, slices, two_parts},
    open_accounts, user,
};
use crate::repository::{
    Repository, Storage,
    file::{FileKey, FileUse, StoredFile, counted},
    retention::Purge,
};

fn key(number: u8) -> FileKey {
    FileKey { file: BlobId::from_bytes([9; 32]), user: user(number) }
}

pub(super) async fn a_file_grows_part_by_part_and_is_read_anywhere(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let bytes = two_parts();
    let (size, middle) = (u64::try_from(bytes.len()).unwrap(), u64::try_from(CUT).unwrap());
    assert_eq!(unit.append_file(key(1), 0, &bytes[..9], at(0)).await.unwrap(), Err(0));
    unit.begin_file(key(1), size, at(0)).await.unwrap();
    unit.begin_file(key(1), 3, at(9)).await.unwrap();
    assert_eq!(unit.append_file(key(1), 5, &bytes[..9], at(0)).await.unwrap(), Err(0));
    assert_eq!(unit.append_file(key(1), 0, &bytes[..CUT], at(1)).await.unwrap(), Ok(middle));
    for (offset, part) in
        [(0, &bytes[..9]), (middle.saturating_add(1), &bytes[..9]), (middle, &bytes[CUT - 1..])]
    {
        let refused = unit.append_file(key(1), offset, part, at(1)).await.unwrap();
        assert_eq!(refused, Err(middle), "{offset}");
    }
    assert_eq!(unit.append_file(key(1), middle, &bytes[CUT..], at(2)).await.unwrap(), Ok(size));
    assert_eq!(unit.whole_file(key(1).file).await.unwrap(), None, "it was not checked");
    let checked = unit.file(key(1)).await.unwrap().unwrap();
    assert!(unit.finish_file(checked, at(3)).await.unwrap());
    let stored = StoredFile { is_whole: true, at: at(3), ..checked };
    assert_eq!((stored.size, stored.have), (size, size));
    assert_eq!(unit.file(key(1)).await.unwrap(), Some(stored));
    assert_eq!(unit.whole_file(key(1).file).await.unwrap(), Some(stored));
    assert_eq!(unit.append_file(key(1), size, &[], at(4)).await.unwrap(), Err(size));
    for (offset, length, expected) in slices(&bytes) {
        let read = unit.file_bytes(key(1), offset, length).await.unwrap();
        assert!(read == expected, "{length} from {offset}");
    }
    assert!(unit.file_bytes(key(1), size, 10).await.unwrap().is_empty());
}

pub(super) async fn a_file_that_was_begun_anew_is_not_the_one_that_was_checked(
    storage: &dyn Storage,
) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let mut checked: Vec<StoredFile> = vec![];
    for byte in [1, 2, 3] {
        unit.drop_file(key(1)).await.unwrap();
        unit.begin_file(key(1), 3, at(0)).await.unwrap();
        unit.append_file(key(1), 0, &[byte; 3], at(0)).await.unwrap().unwrap();
        for former in &checked {
            assert!(!unit.finish_file(*former, at(1)).await.unwrap(), "{former:?}");
            assert_eq!(unit.whole_file(former.key.file).await.unwrap(), None);
        }
        checked.push(unit.file(key(1)).await.unwrap().unwrap());
    }
    finish(&mut *unit, key(1), 1).await;
    unit.drop_file(key(1)).await.unwrap();
    assert!(!unit.finish_file(checked[2], at(1)).await.unwrap(), "there is none");
    // Each user's beginnings have numbers of their own, however many others have begun.
    unit.begin_file(key(2), 3, at(2)).await.unwrap();
    assert!(!unit.finish_file(StoredFile { key: key(2), ..checked[2] }, at(2)).await.unwrap());
}

/// Says that the file as it is was checked.
async fn finish(unit: &mut dyn Repository, key: FileKey, when: u64) {
    let checked = unit.file(key).await.unwrap().unwrap();
    assert!(unit.finish_file(checked, at(when)).await.unwrap());
}

pub(super) async fn files_are_counted_and_dropped(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    for number in [1, 2] {
        unit.begin_file(key(number), 5_000, at(1)).await.unwrap();
        unit.append_file(key(number), 0, &[1, 2, 3], at(1)).await.unwrap().unwrap();
    }
    // One that has begun is not counted twice.
    unit.begin_file(key(1), 5_000, at(2)).await.unwrap();
    let used = FileUse { of_user: 5_000, unfinished: 1, of_all: 10_000 };
    assert_eq!(unit.file_use(user(1)).await.unwrap(), used);
    finish(&mut *unit, key(1), 2).await;
    assert_eq!(unit.file_use(user(1)).await.unwrap(), FileUse { unfinished: 0, ..used });
    unit.drop_file(key(2)).await.unwrap();
    assert_eq!(unit.file(key(2)).await.unwrap(), None);
    assert!(unit.file_bytes(key(2), 0, 3).await.unwrap().is_empty());
    unit.drop_file(key(2)).await.unwrap();
    let used = FileUse { of_user: 5_000, unfinished: 0, of_all: 5_000 };
    assert_eq!(unit.file_use(user(1)).await.unwrap(), used);
    assert_eq!(unit.file_use(user(2)).await.unwrap(), FileUse { of_user: 0, ..used });
    let small = FileKey { file: BlobId::from_bytes([8; 32]), user: user(2) };
    unit.begin_file(small, 1, at(3)).await.unwrap();
    assert_eq!(unit.file_use(user(2)).await.unwrap().of_user, counted(1), "its row takes room too");
}

pub(super) async fn files_are_forgotten_in_time(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let named = |number: u8| FileKey { file: BlobId::from_bytes([number; 32]), user: user(1) };
    for number in [1, 2, 3, 4] {
        unit.begin_file(named(number), 3, at(10)).await.unwrap();
        unit.append_file(named(number), 0, &[1, 2, 3], at(10)).await.unwrap().unwrap();
    }
    finish(&mut *unit, named(1), 10).await;
    finish(&mut *unit, named(2), 30).await;
    unit.append_file(named(3), 3, &[], at(30)).await.unwrap().unwrap();
    let purge = Purge {
        messages_before: at(0),
        sessions_ended_before: at(0),
        sessions_idle_before: at(0),
        claims_before: at(0),
        invites_before: at(0),
        blobs_before: at(0),
        files_before: at(5),
        unfinished_files_before: at(20),
        rows: 100,
    };
    assert_eq!(unit.purge(&purge).await.unwrap().files, 1, "what has not gone on");
    assert_eq!(unit.file(named(4)).await.unwrap(), None);
    let later = Purge { files_before: at(20), ..purge };
    assert_eq!(unit.purge(&later).await.unwrap().files, 1, "what was kept for long enough");
    assert_eq!(unit.file(named(1)).await.unwrap(), None);
    for number in [2, 3] {
        assert!(unit.file(named(number)).await.unwrap().is_some(), "{number}");
    }
    assert_eq!(unit.file_use(user(1)).await.unwrap().of_all, counted(3).saturating_mul(2));
}
