//! Chains.

use std::{collections::BTreeMap, ops::Range};

use rookery_protocol::{
    chain::{HeadRef, Kind, Submission},
    id::{ChainId, Digest},
    key::SigningKey,
};

use super::{ALL, at, item, open_accounts, user};
use crate::repository::{
    Limit, Repository, Storage, StorageError,
    chain::{Append, ChainKind, StoredEntry},
};

/// Entries with the item ids of `numbers`, which follow `head`; their bodies have as many bytes as their numbers.
pub(in crate::repository) fn entries(
    chain: ChainId,
    kind: Kind,
    head: Option<HeadRef>,
    numbers: Range<u16>,
) -> Vec<StoredEntry> {
    let key = SigningKey::from_seed(&[1; 32]);
    let mut head = head.map(Into::into);
    let place = |number: u16| {
        let (id, at) = (item(number), at(u64::from(number)));
        let body = vec![9; usize::from(number)];
        let submission = Submission::sign(&key, chain, id, kind, body, at, None).unwrap();
        let entry = submission.place(chain, 0, head);
        head = Some(entry.seen());
        StoredEntry { entry, item: id, kind, author: key.verifying_key().device_id(), at }
    };
    numbers.map(place).collect()
}

fn head_of(entries: &[StoredEntry]) -> HeadRef {
    entries.last().unwrap().entry.seen().into()
}

const CHAIN: ChainId = ChainId::from_bytes([5; 32]);

pub(super) async fn a_chain_grows_from_its_head_only(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let first = entries(CHAIN, Kind::Journal, None, 1..4);
    assert_eq!(unit.append_entries(CHAIN, &first).await.unwrap(), Append::NoChain);
    assert!(unit.create_chain(CHAIN, ChainKind::Journal, user(1), 0, at(0)).await.unwrap());
    assert!(!unit.create_chain(CHAIN, ChainKind::User, user(2), 3, at(1)).await.unwrap());
    let empty = unit.chain(CHAIN).await.unwrap().unwrap();
    assert_eq!(
        (empty.kind, empty.owner, empty.head, empty.bytes),
        (ChainKind::Journal, user(1), None, 0)
    );
    assert_eq!(unit.append_entries(CHAIN, &first[1..]).await.unwrap(), Append::Stale(None));
    let head = head_of(&first);
    assert_eq!(unit.append_entries(CHAIN, &first).await.unwrap(), Append::Done(head));
    let stored = unit.chain(CHAIN).await.unwrap().unwrap();
    assert_eq!((stored.head, stored.at), (Some(head), at(3)));
    assert_eq!(stored.bytes, first.iter().map(StoredEntry::bytes).sum::<u64>());

    let other = entries(CHAIN, Kind::Journal, None, 10..12);
    assert_eq!(unit.append_entries(CHAIN, &other).await.unwrap(), Append::Stale(Some(head)));
    let wrong = HeadRef { hash: Digest::from_bytes([8; 32]), ..head };
    let forked = entries(CHAIN, Kind::Journal, Some(wrong), 10..12);
    assert_eq!(unit.append_entries(CHAIN, &forked).await.unwrap(), Append::Stale(Some(head)));
    let mut moved = entries(CHAIN, Kind::Journal, Some(head), 10..11);
    moved[0].entry.owner_epoch = 1;
    assert_eq!(unit.append_entries(CHAIN, &moved).await.unwrap(), Append::Stale(Some(head)));
    let mut gap = entries(CHAIN, Kind::Journal, Some(head), 10..13);
    gap.remove(1);
    assert_eq!(unit.append_entries(CHAIN, &gap).await.unwrap(), Append::Stale(Some(head)));
    assert_eq!(unit.append_entries(CHAIN, &[]).await.unwrap(), Append::Stale(Some(head)));
    let next = entries(CHAIN, Kind::Journal, Some(head), 4..300);
    assert_eq!(unit.append_entries(CHAIN, &next).await.unwrap(), Append::Done(head_of(&next)));
    // Another period of ownership begins: what is of it follows, and what is of the one before does no more.
    unit.set_owner_epoch(CHAIN, 1).await.unwrap();
    let mut moved = entries(CHAIN, Kind::Journal, Some(head_of(&next)), 300..301);
    let late = Append::Stale(Some(head_of(&next)));
    assert_eq!(unit.append_entries(CHAIN, &moved).await.unwrap(), late);
    moved[0].entry.owner_epoch = 1;
    assert_eq!(unit.append_entries(CHAIN, &moved).await.unwrap(), Append::Done(head_of(&moved)));
    assert_eq!(unit.chain(CHAIN).await.unwrap().unwrap().owner_epoch, 1);
}

pub(super) async fn entries_come_back_byte_for_byte(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_chain(CHAIN, ChainKind::User, user(1), 0, at(0)).await.unwrap();
    let stored = entries(CHAIN, Kind::UserStatement, None, 0..30);
    unit.append_entries(CHAIN, &stored).await.unwrap();
    unit.commit().await.unwrap();
    let mut reader = storage.read().await.unwrap();
    let page = reader.entries(CHAIN, None, ALL).await.unwrap();
    assert_eq!((page.rows, page.more), (stored.clone(), false));
    let page = reader.entries(CHAIN, Some(27), ALL).await.unwrap();
    assert_eq!(page.rows, stored[28..]);
    assert_eq!(reader.entry_hash(CHAIN, 5).await.unwrap(), Some(stored[5].entry.seen().into()));
    assert_eq!(reader.entry_hash(CHAIN, 30).await.unwrap(), None);
}

pub(super) async fn several_chains_come_back_together_and_each_in_order(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    // More than one query names, in an order that is not theirs.
    let chains: Vec<_> = (0..300_u32)
        .rev()
        .map(|number| {
            let mut id = [9; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            ChainId::from_bytes(id)
        })
        .collect();
    let mut all = BTreeMap::new();
    for chain in &chains {
        unit.create_chain(*chain, ChainKind::Journal, user(1), 0, at(0)).await.unwrap();
        let stored = entries(*chain, Kind::Journal, None, 0..3);
        unit.append_entries(*chain, &stored).await.unwrap();
        all.insert(*chain, stored);
    }
    unit.commit().await.unwrap();
    let mut reader = storage.read().await.unwrap();
    let unknown = [CHAIN];
    let wanted: Vec<_> = chains.iter().chain(&unknown).copied().collect();
    let mut found: BTreeMap<ChainId, Vec<StoredEntry>> = BTreeMap::new();
    let mut last = None;
    for stored in reader.entries_of(&wanted).await.unwrap() {
        let chain = stored.entry.chain;
        let entries = found.entry(chain).or_default();
        assert!(last == Some(chain) || entries.is_empty(), "a chain comes in one piece");
        last = Some(chain);
        entries.push(stored);
    }
    assert_eq!(found, all);
    assert_eq!(reader.entries_of(&[]).await.unwrap(), []);
    assert_eq!(reader.entries_of(&chains[7..8]).await.unwrap(), all[&chains[7]]);
}

pub(super) async fn an_item_keeps_its_place(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_chain(CHAIN, ChainKind::Journal, user(1), 0, at(0)).await.unwrap();
    let first = entries(CHAIN, Kind::Journal, None, 1..4);
    unit.append_entries(CHAIN, &first).await.unwrap();
    let again = entries(CHAIN, Kind::Journal, Some(head_of(&first)), 2..3);
    assert_eq!(unit.append_entries(CHAIN, &again).await.unwrap(), Append::ItemExists);
    assert_eq!(unit.append_entries(CHAIN, &first).await.unwrap(), Append::ItemExists);
    let mut places = unit.places(CHAIN, &[item(3), item(9), item(1)]).await.unwrap();
    places.sort();
    assert_eq!(places, [(item(1), 0), (item(3), 2)]);
    assert_eq!(unit.places(ChainId::from_bytes([6; 32]), &[item(1)]).await.unwrap(), []);
    assert_eq!(unit.chain(CHAIN).await.unwrap().unwrap().head, Some(head_of(&first)));
}

pub(super) async fn a_page_ends_at_its_limits(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_chain(CHAIN, ChainKind::Journal, user(1), 0, at(0)).await.unwrap();
    let stored = entries(CHAIN, Kind::Journal, None, 0..10);
    unit.append_entries(CHAIN, &stored).await.unwrap();
    unit.commit().await.unwrap();
    let mut reader = storage.read().await.unwrap();
    let page = reader.entries(CHAIN, None, Limit { rows: 4, bytes: usize::MAX }).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (4, true));
    let page = reader.entries(CHAIN, Some(5), Limit { rows: 4, bytes: usize::MAX }).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (4, false));
    let page = reader.entries(CHAIN, None, Limit { rows: 4, bytes: 1 }).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (1, true));
    let two = usize::try_from(stored[0].bytes()).unwrap().saturating_add(1);
    let page = reader.entries(CHAIN, None, Limit { rows: 4, bytes: two }).await.unwrap();
    assert_eq!((page.rows.len(), page.more), (2, true));
    // The reader is as good as new after a page that ended early.
    assert_eq!(reader.entries(CHAIN, None, ALL).await.unwrap().rows, stored);
}

pub(super) async fn an_erased_body_leaves_the_entry(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_chain(CHAIN, ChainKind::Journal, user(1), 0, at(0)).await.unwrap();
    let stored = entries(CHAIN, Kind::Journal, None, 1..4);
    unit.append_entries(CHAIN, &stored).await.unwrap();
    assert_eq!(unit.erase_bodies(CHAIN, &[item(2), item(9)]).await.unwrap(), 1);
    assert_eq!(unit.erase_bodies(CHAIN, &[item(2)]).await.unwrap(), 0);
    let page = unit.entries(CHAIN, None, ALL).await.unwrap();
    assert_eq!(page.rows[1].entry.body, None);
    assert_eq!(page.rows[1].entry.hash(), stored[1].entry.hash());
    assert_eq!(page.rows[0], stored[0]);
    let bytes = unit.chain(CHAIN).await.unwrap().unwrap().bytes;
    assert_eq!(bytes, page.rows.iter().map(StoredEntry::bytes).sum::<u64>());
}

pub(super) async fn heads_of_many_chains_come_at_once(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let mut wanted = vec![];
    for number in 0..=255_u8 {
        let chain = ChainId::from_bytes([number; 32]);
        wanted.push(chain);
        if number.is_multiple_of(2) {
            unit.create_chain(chain, ChainKind::User, user(1), 0, at(0)).await.unwrap();
        }
    }
    unit.append_entries(wanted[4], &entries(wanted[4], Kind::UserStatement, None, 1..2))
        .await
        .unwrap();
    for mut found in [unit.chains(&wanted).await.unwrap(), unit.hold_chains(&wanted).await.unwrap()]
    {
        found.sort_by_key(|chain| chain.chain);
        assert_eq!(found.len(), 128);
        assert!(found[2].head.is_some());
        assert_eq!(found[3].head, None);
    }
    assert_eq!(unit.chains(&[]).await.unwrap(), []);
}

/// Makes empty chains with these numbers.
async fn make(unit: &mut dyn Repository, numbers: Range<u8>) -> Vec<ChainId> {
    let mut chains = vec![];
    for number in numbers {
        let chain = ChainId::from_bytes([number; 32]);
        unit.create_chain(chain, ChainKind::Channel, user(1), 0, at(0)).await.unwrap();
        chains.push(chain);
    }
    chains
}

pub(super) async fn many_chains_grow_at_once_or_none_does(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let chains = make(&mut *unit, 1..9).await;
    let grow = |from: u16| {
        let one = |chain: &ChainId| {
            (*chain, entries(*chain, Kind::Message, None, from..from.saturating_add(40)))
        };
        chains.iter().map(one).collect::<Vec<_>>()
    };
    unit.append_to_many(&grow(1)).await.unwrap();
    unit.commit().await.unwrap();
    let mut view = storage.read().await.unwrap();
    for (chain, expected) in grow(1) {
        assert_eq!(view.entries(chain, None, ALL).await.unwrap().rows, expected);
        let stored = view.chain(chain).await.unwrap().unwrap();
        assert_eq!(stored.head, Some(head_of(&expected)));
        assert_eq!(stored.bytes, expected.iter().map(StoredEntry::bytes).sum::<u64>());
    }
    // One of them does not end where its new entries begin: the unit is over.
    let mut unit = storage.begin().await.unwrap();
    let mut next = vec![];
    for (chain, known) in grow(1) {
        next.push((chain, entries(chain, Kind::Message, Some(head_of(&known)), 100..101)));
    }
    let (chain, _) = next.pop().unwrap();
    next.push((chain, entries(chain, Kind::Message, None, 100..101)));
    assert!(matches!(unit.append_to_many(&next).await, Err(StorageError::Conflict)));
    drop(unit);
    let mut view = storage.read().await.unwrap();
    for (chain, known) in grow(1) {
        assert_eq!(view.chain(chain).await.unwrap().unwrap().head, Some(head_of(&known)));
    }
}

pub(super) async fn entries_are_found_by_item_and_by_place(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let chains = make(&mut *unit, 1..3).await;
    let stored: Vec<_> =
        chains.iter().map(|chain| entries(*chain, Kind::Message, None, 1..6)).collect();
    for (chain, entries) in chains.iter().zip(&stored) {
        unit.append_entries(*chain, entries).await.unwrap();
    }
    let expected = [stored[0][2].note(), stored[1][4].note()];
    let items = [(chains[1], item(5)), (chains[0], item(3)), (chains[0], item(99))];
    let mut found = unit.notes_of(&items).await.unwrap();
    found.sort_by_key(|note| note.seq);
    assert_eq!(found, expected);
    let places = [(chains[1], 4), (chains[0], 2), (chains[0], 99)];
    let mut found = unit.notes_at(&places).await.unwrap();
    found.sort_by_key(|note| note.seq);
    assert_eq!(found, expected);
    assert_eq!(unit.notes_at(&[]).await.unwrap(), []);
}
