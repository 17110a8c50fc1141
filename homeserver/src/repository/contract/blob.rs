//! Blobs.

use rookery_protocol::id::BlobId;

use super::{at, community::id, open_accounts, user};
use crate::repository::{
    Storage,
    blob::{BlobKey, ROW_BYTES, StoredBlob},
};

pub(in crate::repository) fn key(number: u8) -> BlobKey {
    BlobKey { community: id(1), blob: BlobId::from_bytes([9; 32]), user: user(number) }
}

/// More bytes than two rows hold.
const SIZE: usize = 2 * ROW_BYTES + 100;
/// Where the second of their two parts begins: not where a row does.
pub(super) const CUT: usize = ROW_BYTES + 10;

/// Bytes that come in two parts.
pub(super) fn two_parts() -> Vec<u8> {
    (0..SIZE).map(|place| (place / 1_000).to_le_bytes()[0]).collect()
}

/// What is read of them from where, at most so long: all, across the parts' border, and past the end.
pub(super) fn slices(bytes: &[u8]) -> [(u64, u64, &[u8]); 3] {
    [(0, SIZE), (CUT - 30, 40), (SIZE - 1, 9)].map(|(offset, length)| {
        let end = SIZE.min(offset.saturating_add(length));
        let number = |of: usize| u64::try_from(of).unwrap();
        (number(offset), number(length), &bytes[offset..end])
    })
}

pub(super) async fn a_blob_grows_part_by_part_and_is_read_anywhere(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let bytes = two_parts();
    let (size, middle) = (u64::try_from(bytes.len()).unwrap(), u64::try_from(CUT).unwrap());
    assert_eq!(unit.blob(key(1)).await.unwrap(), None);
    assert_eq!(unit.append_blob(key(1), size, 5, &bytes[..9], at(0)).await.unwrap(), Err(0));
    let first = unit.append_blob(key(1), size, 0, &bytes[..CUT], at(1)).await.unwrap();
    assert_eq!(first, Ok(middle));
    for (offset, size, part) in [
        (0, size, &bytes[..9]),
        (middle.saturating_add(1), size, &bytes[..9]),
        (middle, size.saturating_add(1), &bytes[CUT..]),
        (middle, size, &bytes[CUT - 1..]),
    ] {
        let refused = unit.append_blob(key(1), size, offset, part, at(1)).await.unwrap();
        assert_eq!(refused, Err(middle), "{offset} {size}");
    }
    assert_eq!(unit.whole_blob(id(1), key(1).blob).await.unwrap(), None);
    // Another user's is another blob.
    unit.append_blob(key(2), size, 0, &bytes[..1], at(1)).await.unwrap().unwrap();
    assert_eq!(
        unit.append_blob(key(1), size, middle, &bytes[CUT..], at(2)).await.unwrap(),
        Ok(size)
    );
    let stored = StoredBlob { key: key(1), size, have: size, is_named: false, at: at(2) };
    assert_eq!(unit.blob(key(1)).await.unwrap(), Some(stored));
    assert_eq!(unit.whole_blob(id(1), key(1).blob).await.unwrap(), Some(stored));
    assert_eq!(unit.whole_blob(id(2), key(1).blob).await.unwrap(), None);
    for (offset, length, expected) in slices(&bytes) {
        let read = unit.blob_bytes(key(1), offset, length).await.unwrap();
        assert!(read == expected, "{length} from {offset}");
    }
    assert!(unit.blob_bytes(key(1), size, 10).await.unwrap().is_empty());
}

pub(super) async fn a_blob_is_named_counted_and_dropped(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    for number in [1, 2] {
        unit.append_blob(key(number), 3, 0, &[1, 2, 3], at(1)).await.unwrap().unwrap();
    }
    assert_eq!(unit.unnamed_blobs(user(1)).await.unwrap(), 1);
    unit.name_blob(key(1)).await.unwrap();
    assert_eq!(unit.unnamed_blobs(user(1)).await.unwrap(), 0);
    assert!(unit.blob(key(1)).await.unwrap().unwrap().is_named);
    unit.drop_blob(key(2)).await.unwrap();
    assert_eq!(unit.blob(key(2)).await.unwrap(), None);
    assert!(unit.blob_bytes(key(2), 0, 3).await.unwrap().is_empty());
    unit.append_blob(key(2), 2, 0, &[7], at(1)).await.unwrap().unwrap();
}
