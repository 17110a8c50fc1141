//! Mailboxes.

use super::{ALL, at, commit, device, item, open_accounts, user};
use crate::repository::{
    Limit, Storage,
    mailbox::{Deposit, Deposited, Letter, MailboxHead, MailboxLimits},
};

/// A message of `sender`, with envelopes for devices: whose, which, and how many bytes.
pub(in crate::repository) fn deposit(
    sender: u8,
    message: u16,
    letters: &[(u8, u8, usize)],
) -> Deposit {
    let letter = |(whose, which, bytes): &(u8, u8, usize)| Letter {
        user: user(*whose),
        device: device(*which),
        envelope: vec![message.to_be_bytes()[1]; *bytes],
    };
    Deposit {
        sender: user(sender),
        message: item(message),
        at: at(u64::from(message)),
        letters: letters.iter().map(letter).collect(),
    }
}

fn stored(positions: &[u64]) -> Deposited {
    Deposited::Stored { positions: positions.to_vec() }
}

const LIMITS: MailboxLimits = MailboxLimits { count: 5, bytes: 100 };

pub(super) async fn positions_rise_without_gaps(storage: &dyn Storage) {
    open_accounts(storage).await;
    let batch = vec![
        deposit(1, 1, &[(2, 2, 10), (1, 4, 10)]),
        deposit(3, 1, &[(2, 2, 11)]),
        deposit(1, 2, &[(1, 4, 12), (2, 2, 13)]),
    ];
    let outcomes = commit(storage, async |unit| unit.deposit(batch, LIMITS).await.unwrap()).await;
    assert_eq!(outcomes, [stored(&[1, 1]), stored(&[2]), stored(&[2, 3])]);
    let batch = vec![deposit(1, 3, &[(2, 2, 1)])];
    let outcomes = commit(storage, async |unit| unit.deposit(batch, LIMITS).await.unwrap()).await;
    assert_eq!(outcomes, [stored(&[4])]);
    let mut reader = storage.read().await.unwrap();
    let waiting = reader.waiting(device(2), 0, ALL).await.unwrap().rows;
    let found: Vec<_> =
        waiting.iter().map(|row| (row.position, row.at, row.envelope.len())).collect();
    assert_eq!(found, [(1, at(1), 10), (2, at(1), 11), (3, at(2), 13), (4, at(3), 1)]);
    assert_eq!(waiting[2].envelope, vec![2; 13]);
    assert_eq!(reader.waiting(device(2), 3, ALL).await.unwrap().rows.len(), 1);
    let head = MailboxHead { last: 4, count: 4, bytes: 35 };
    assert_eq!(reader.mailbox_head(device(2)).await.unwrap(), head);
    assert_eq!(reader.mailbox_head(device(9)).await.unwrap(), MailboxHead::default());
}

pub(super) async fn the_same_message_is_stored_once(storage: &dyn Storage) {
    open_accounts(storage).await;
    let batch = vec![
        deposit(1, 1, &[(2, 2, 10)]),
        Deposit { at: at(50), ..deposit(1, 1, &[(2, 2, 10)]) },
        deposit(3, 1, &[(2, 2, 10)]),
    ];
    let outcomes = commit(storage, async |unit| unit.deposit(batch, LIMITS).await.unwrap()).await;
    assert_eq!(outcomes, [stored(&[1]), Deposited::Duplicate { at: at(1) }, stored(&[2])]);
    let again = vec![
        deposit(1, 2, &[(2, 2, 10)]),
        Deposit { at: at(60), ..deposit(1, 1, &[(2, 2, 10), (1, 4, 10)]) },
    ];
    let outcomes = commit(storage, async |unit| unit.deposit(again, LIMITS).await.unwrap()).await;
    assert_eq!(outcomes, [stored(&[3]), Deposited::Duplicate { at: at(1) }]);
    let mut reader = storage.read().await.unwrap();
    assert_eq!(reader.mailbox_head(device(2)).await.unwrap().count, 3);
    assert_eq!(reader.mailbox_head(device(4)).await.unwrap().count, 0);
    assert_eq!(reader.deposited(user(1), item(1)).await.unwrap(), Some(at(1)));
    assert_eq!(reader.deposited(user(2), item(1)).await.unwrap(), None);
}

pub(super) async fn a_full_mailbox_refuses_that_message_only(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let batch = vec![
        deposit(1, 1, &[(2, 2, 60)]),
        // Over the bound in bytes.
        deposit(1, 2, &[(1, 4, 1), (2, 2, 41)]),
        deposit(1, 3, &[(2, 2, 40)]),
        deposit(1, 4, &[(1, 4, 1)]),
        deposit(1, 5, &[(2, 2, 1), (1, 4, 1), (2, 5, 101)]),
    ];
    let full = |devices: &[u8]| Deposited::Full {
        devices: devices.iter().map(|one| device(*one)).collect(),
    };
    let outcomes = unit.deposit(batch, LIMITS).await.unwrap();
    assert_eq!(outcomes, [stored(&[1]), full(&[2]), stored(&[2]), stored(&[1]), full(&[2, 5])]);
    // Over the bound in number, in the same batch.
    let batch = (10..16).map(|number| deposit(1, number, &[(3, 3, 1)])).collect();
    let outcomes = unit.deposit(batch, LIMITS).await.unwrap();
    assert_eq!(outcomes[4..], [stored(&[5]), full(&[3])]);
    unit.commit().await.unwrap();
    let mut unit = storage.begin().await.unwrap();
    unit.acknowledge(&[(device(2), 1)]).await.unwrap();
    // The id of what was refused is free.
    let batch = vec![deposit(1, 2, &[(1, 4, 1), (2, 2, 41)]), deposit(1, 3, &[(2, 2, 99)])];
    let outcomes = unit.deposit(batch, LIMITS).await.unwrap();
    assert_eq!(outcomes, [stored(&[2, 3]), Deposited::Duplicate { at: at(3) }]);
}

pub(super) async fn what_is_acknowledged_is_gone_and_makes_room(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let batch = (1..=5).map(|number| deposit(1, number, &[(2, 2, 10), (3, 3, 20)])).collect();
    unit.deposit(batch, LIMITS).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = storage.begin().await.unwrap();
    unit.acknowledge(&[]).await.unwrap();
    unit.acknowledge(&[(device(2), 2), (device(3), 4), (device(2), 1), (device(9), 7)])
        .await
        .unwrap();
    assert_eq!(
        unit.mailbox_head(device(2)).await.unwrap(),
        MailboxHead { last: 5, count: 3, bytes: 30 }
    );
    assert_eq!(
        unit.mailbox_head(device(3)).await.unwrap(),
        MailboxHead { last: 5, count: 1, bytes: 20 }
    );
    unit.acknowledge(&[(device(2), 2)]).await.unwrap();
    let rows = unit.waiting(device(2), 0, ALL).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.position).collect::<Vec<_>>(), [3, 4, 5]);
    unit.acknowledge(&[(device(2), u64::MAX)]).await.unwrap();
    assert_eq!(
        unit.mailbox_head(device(2)).await.unwrap(),
        MailboxHead { last: 5, count: 0, bytes: 0 }
    );
    let outcomes = unit.deposit(vec![deposit(1, 9, &[(2, 2, 10)])], LIMITS).await.unwrap();
    assert_eq!(outcomes, [stored(&[6])]);
}

pub(super) async fn a_page_of_a_mailbox_ends_at_its_limits(storage: &dyn Storage) {
    open_accounts(storage).await;
    commit(storage, async |unit| {
        let batch = (1..=5).map(|number| deposit(1, number, &[(2, 2, 10)])).collect();
        unit.deposit(batch, LIMITS).await.unwrap();
    })
    .await;
    let mut reader = storage.read().await.unwrap();
    for (rows, bytes, after, expected) in [
        (2, 1000, 0, (2, true)),
        (9, 11, 0, (2, true)),
        (9, 10, 0, (1, true)),
        (9, 20, 3, (2, false)),
    ] {
        let page = reader.waiting(device(2), after, Limit { rows, bytes }).await.unwrap();
        assert_eq!((page.rows.len(), page.more), expected, "{rows} rows, {bytes} bytes");
    }
}

pub(super) async fn a_large_batch_is_stored_whole(storage: &dyn Storage) {
    open_accounts(storage).await;
    let limits = MailboxLimits::default();
    let letters: Vec<_> = (10..30).map(|number| (number % 3, number, 300)).collect();
    let batch: Vec<_> = (0..1024).map(|number| deposit(1, number, &letters)).collect();
    let outcomes = commit(storage, async |unit| unit.deposit(batch, limits).await.unwrap()).await;
    assert_eq!(outcomes.len(), 1024);
    assert_eq!(outcomes[1023], stored(&[1024; 20]));
    let mut reader = storage.read().await.unwrap();
    let rows = reader.waiting(device(29), 0, ALL).await.unwrap().rows;
    assert_eq!(rows.len(), 1024);
    assert!(rows.iter().zip(1..).all(|(row, position)| row.position == position));
    commit(storage, async |unit| {
        let through: Vec<_> = (10..30).map(|number| (device(number), 1024)).collect();
        unit.acknowledge(&through).await.unwrap();
    })
    .await;
    assert_eq!(reader.census().await.unwrap().waiting_envelopes, 0);
}

pub(super) async fn a_dropped_deposit_is_free_to_come_again(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.deposit(vec![deposit(1, 1, &[(2, 2, 10)])], LIMITS).await.unwrap();
    drop(unit);
    let batch = vec![deposit(1, 1, &[(2, 2, 10)])];
    let outcomes = commit(storage, async |unit| unit.deposit(batch, LIMITS).await.unwrap()).await;
    assert_eq!(outcomes, [stored(&[1])]);
}
