//! Chains and their entries.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    chain::{Entry, HeadRef, Kind},
    codec::Octets,
    id::{ChainId, DeviceId, Digest, ItemId, UserId},
    time::Timestamp,
};
use sqlx::query;

use super::{
    HOLD_CHAINS, Handle, Query, Row,
    many::Many,
    row::{Cells, to_row},
};
use crate::repository::{
    Limit, Page, StorageError,
    chain::{Append, ChainKind, ChainRepository, ChainView, EntryNote, StoredChain, StoredEntry},
};

/// The columns of a chain, as [`chain_of`] reads them.
macro_rules! chain_columns {
    () => {
        "chain, kind, owner, owner_epoch, head_seq, head_hash, at, bytes"
    };
}

#[async_trait]
impl ChainView for Handle {
    async fn chain(&mut self, chain: ChainId) -> Result<Option<StoredChain>, StorageError> {
        let text = concat!("SELECT ", chain_columns!(), " FROM chain WHERE chain = $1");
        let row = self.first(query(text).bind(&chain.as_bytes()[..])).await?;
        row.as_ref().map(chain_of).transpose()
    }

    async fn chains(&mut self, chains: &[ChainId]) -> Result<Vec<StoredChain>, StorageError> {
        static CHAINS: Many =
            Many::new(concat!("SELECT ", chain_columns!(), " FROM chain WHERE chain IN ("), 1, ")");
        let bind = |query: Query<'static>, chain: &ChainId| query.bind(chain.as_bytes().to_vec());
        let rows = self.all_many(&CHAINS, chains, bind).await?;
        rows.iter().map(chain_of).collect()
    }

    async fn entries_of(&mut self, chains: &[ChainId]) -> Result<Vec<StoredEntry>, StorageError> {
        static ENTRIES: Many = Many::new(
            "SELECT item, kind, author, at, encoded, body FROM entry WHERE chain IN (",
            1,
            ") ORDER BY chain, seq",
        );
        let bind = |query: Query<'static>, chain: &ChainId| query.bind(chain.as_bytes().to_vec());
        let rows = self.all_many(&ENTRIES, chains, bind).await?;
        rows.iter().map(entry_of).collect()
    }

    async fn entries(
        &mut self,
        chain: ChainId,
        after: Option<u64>,
        limit: Limit,
    ) -> Result<Page<StoredEntry>, StorageError> {
        let text = "SELECT item, kind, author, at, encoded, body FROM entry
                    WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let select = query(text)
            .bind(&chain.as_bytes()[..])
            .bind(after.map_or(-1, to_row))
            .bind(i64::from(limit.rows).saturating_add(1));
        let size = |row: &Row| {
            let cells = Cells::of("entry", row);
            let body = cells.bytes_if_any(5)?.map_or(0, <[u8]>::len);
            Ok(cells.bytes(4)?.len().saturating_add(body))
        };
        let page = self.page(select, limit, size).await?;
        let rows = page.rows.iter().map(entry_of).collect::<Result<_, _>>()?;
        Ok(Page { rows, more: page.more })
    }

    async fn entry_hash(
        &mut self,
        chain: ChainId,
        seq: u64,
    ) -> Result<Option<HeadRef>, StorageError> {
        let text = "SELECT encoded FROM entry WHERE chain = $1 AND seq = $2";
        let row = self.first(query(text).bind(&chain.as_bytes()[..]).bind(to_row(seq))).await?;
        let read = |row: &Row| Ok(Cells::of("entry", row).wire::<Entry>(0)?.seen().into());
        row.as_ref().map(read).transpose()
    }

    async fn places(
        &mut self,
        chain: ChainId,
        items: &[ItemId],
    ) -> Result<Vec<(ItemId, u64)>, StorageError> {
        static PLACES: Many =
            Many::new("SELECT item, seq FROM entry WHERE (chain, item) IN (", 2, ")");
        let bind = |query: Query<'static>, item: &ItemId| {
            query.bind(chain.as_bytes().to_vec()).bind(item.as_bytes().to_vec())
        };
        let rows = self.all_many(&PLACES, items, bind).await?;
        let read = |row: &Row| {
            let cells = Cells::of("entry", row);
            Ok((cells.id(0, ItemId::from_slice)?, cells.number(1)?))
        };
        rows.iter().map(read).collect()
    }

    async fn notes_of(
        &mut self,
        items: &[(ChainId, ItemId)],
    ) -> Result<Vec<EntryNote>, StorageError> {
        static NOTES: Many = Many::new(
            "SELECT chain, seq, item, kind, author, at FROM entry WHERE (chain, item) IN (",
            2,
            ")",
        );
        let bind = |query: Query<'static>, (chain, item): &(ChainId, ItemId)| {
            query.bind(chain.as_bytes().to_vec()).bind(item.as_bytes().to_vec())
        };
        let rows = self.all_many(&NOTES, items, bind).await?;
        rows.iter().map(note_of).collect()
    }

    async fn notes_at(
        &mut self,
        places: &[(ChainId, u64)],
    ) -> Result<Vec<EntryNote>, StorageError> {
        static NOTES: Many = Many::new(
            "SELECT chain, seq, item, kind, author, at FROM entry WHERE (chain, seq) IN (",
            2,
            ")",
        );
        let bind = |query: Query<'static>, (chain, seq): &(ChainId, u64)| {
            query.bind(chain.as_bytes().to_vec()).bind(to_row(*seq))
        };
        let rows = self.all_many(&NOTES, places, bind).await?;
        rows.iter().map(note_of).collect()
    }
}

#[async_trait]
impl ChainRepository for Handle {
    async fn hold_chains(&mut self, chains: &[ChainId]) -> Result<Vec<StoredChain>, StorageError> {
        static CHAINS: Many = Many::new(
            concat!("SELECT ", chain_columns!(), " FROM chain WHERE chain IN ("),
            1,
            HOLD_CHAINS,
        );
        // In one order for all nodes, so that two never wait for each other.
        let mut chains = chains.to_vec();
        chains.sort();
        let bind = |query: Query<'static>, chain: &ChainId| query.bind(chain.as_bytes().to_vec());
        let rows = self.all_many(&CHAINS, &chains, bind).await?;
        rows.iter().map(chain_of).collect()
    }

    async fn create_chain(
        &mut self,
        chain: ChainId,
        kind: ChainKind,
        owner: UserId,
        owner_epoch: u64,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let text = "INSERT INTO chain (chain, kind, owner, owner_epoch, at, bytes)
                    VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING";
        let insert = query(text)
            .bind(&chain.as_bytes()[..])
            .bind(i64::from(kind.number()))
            .bind(&owner.as_bytes()[..])
            .bind(to_row(owner_epoch))
            .bind(at.to_row());
        Ok(self.execute(insert).await? > 0)
    }

    async fn append_entries(
        &mut self,
        chain: ChainId,
        new: &[StoredEntry],
    ) -> Result<Append, StorageError> {
        let items: Vec<ItemId> = new.iter().map(|entry| entry.item).collect();
        let twice = items.iter().collect::<BTreeSet<_>>().len() < items.len();
        let known = self.places(chain, &items).await?;
        // An item that comes in after this moves the head, so that the comparison below fails.
        if (twice || !known.is_empty()) && self.chain(chain).await?.is_some() {
            return Ok(Append::ItemExists);
        }
        if let Some(head) = link(chain, new)
            && self.move_head(chain, new, head).await?
        {
            self.insert_entries(new).await?;
            return Ok(Append::Done(head));
        }
        Ok(self.chain(chain).await?.map_or(Append::NoChain, |chain| Append::Stale(chain.head)))
    }

    async fn append_to_many(
        &mut self,
        batches: &[(ChainId, Vec<StoredEntry>)],
    ) -> Result<(), StorageError> {
        // In one order for all nodes, so that two never wait for each other.
        let mut ordered: Vec<_> = batches.iter().collect();
        ordered.sort_by_key(|(chain, _)| *chain);
        for (chain, new) in ordered {
            let moved = match link(*chain, new) {
                Some(head) => self.move_head(*chain, new, head).await?,
                None => false,
            };
            if !moved {
                return Err(self.meet());
            }
        }
        let entries: Vec<&StoredEntry> = batches.iter().flat_map(|(_, new)| new).collect();
        self.insert_entries(entries).await
    }

    async fn set_owner_epoch(
        &mut self,
        chain: ChainId,
        owner_epoch: u64,
    ) -> Result<(), StorageError> {
        let text = "UPDATE chain SET owner_epoch = $2 WHERE chain = $1";
        let update = query(text).bind(&chain.as_bytes()[..]).bind(to_row(owner_epoch));
        self.execute(update).await.map(|_| ())
    }

    async fn erase_bodies(
        &mut self,
        chain: ChainId,
        items: &[ItemId],
    ) -> Result<u64, StorageError> {
        let size = "SELECT CAST(length(body) AS BIGINT) FROM entry
                    WHERE chain = $1 AND item = $2 AND body IS NOT NULL";
        let erase = "UPDATE entry SET body = NULL WHERE chain = $1 AND item = $2";
        let shrink = "UPDATE chain SET bytes = bytes - $2 WHERE chain = $1";
        let (chain, mut erased) = (&chain.as_bytes()[..], 0_u64);
        for item in items {
            let item = &item.as_bytes()[..];
            let Some(row) = self.first(query(size).bind(chain).bind(item)).await? else { continue };
            let freed: i64 = Cells::of("entry", &row).number(0)?;
            self.execute(query(erase).bind(chain).bind(item)).await?;
            self.execute(query(shrink).bind(chain).bind(freed)).await?;
            erased = erased.saturating_add(1);
        }
        Ok(erased)
    }
}

impl Handle {
    /// Moves the head from before the first to the last of `new`, if it stands there.
    async fn move_head(
        &mut self,
        chain: ChainId,
        new: &[StoredEntry],
        head: HeadRef,
    ) -> Result<bool, StorageError> {
        let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(false) };
        let text = "UPDATE chain SET head_seq = $3, head_hash = $4, at = $5, bytes = bytes + $6
                    WHERE chain = $1 AND owner_epoch = $2
                      AND head_seq IS NOT DISTINCT FROM $7 AND head_hash IS NOT DISTINCT FROM $8";
        let before = first.entry.seq.checked_sub(1);
        let prev = before.map(|_| &first.entry.prev.as_bytes()[..]);
        let update = query(text)
            .bind(&chain.as_bytes()[..])
            .bind(to_row(first.entry.owner_epoch))
            .bind(to_row(head.seq))
            .bind(&head.hash.as_bytes()[..])
            .bind(last.at.to_row())
            .bind(to_row(new.iter().map(StoredEntry::bytes).sum::<u64>()))
            .bind(before.map(to_row))
            .bind(prev);
        Ok(self.execute(update).await? > 0)
    }

    async fn insert_entries<'e>(
        &mut self,
        new: impl IntoIterator<Item = &'e StoredEntry, IntoIter: ExactSizeIterator>,
    ) -> Result<(), StorageError> {
        static ENTRIES: Many = Many::new(
            "INSERT INTO entry (chain, seq, item, kind, author, at, encoded, body)",
            8,
            "",
        );
        let bind = |query: Query<'static>, entry: &StoredEntry| {
            query
                .bind(entry.entry.chain.as_bytes().to_vec())
                .bind(to_row(entry.entry.seq))
                .bind(entry.item.as_bytes().to_vec())
                .bind(i64::from(entry.kind.number()))
                .bind(entry.author.as_bytes().to_vec())
                .bind(entry.at.to_row())
                .bind(entry.encode_bare())
                .bind(entry.entry.body.as_ref().map(|body| body.as_slice().to_vec()))
        };
        self.execute_many(&ENTRIES, new, bind).await.map(|_| ())
    }
}

/// The head that `new` makes, if they are entries of `chain` that follow one another.
fn link(chain: ChainId, new: &[StoredEntry]) -> Option<HeadRef> {
    let first = &new.first()?.entry;
    let start = first.seq.checked_sub(1).map(|seq| HeadRef { seq, hash: first.prev });
    let honest = start.is_some() || first.prev == Digest::ZERO;
    new.iter().filter(|_| honest).try_fold(start, |head, entry| {
        entry.follows(chain, first.owner_epoch, head).then(|| Some(entry.entry.seen().into()))
    })?
}

fn chain_of(row: &Row) -> Result<StoredChain, StorageError> {
    let cells = Cells::of("chain", row);
    let head = match (cells.number_if_any(4)?, cells.id_if_any(5, Digest::from_slice)?) {
        (Some(seq), Some(hash)) => Some(HeadRef { seq, hash }),
        (None, None) => None,
        _ => return Err(cells.impossible()),
    };
    Ok(StoredChain {
        chain: cells.id(0, ChainId::from_slice)?,
        kind: cells.choice(1, ChainKind::from_number)?,
        owner: cells.id(2, UserId::from_slice)?,
        owner_epoch: cells.number(3)?,
        head,
        at: cells.time(6)?,
        bytes: cells.number(7)?,
    })
}

fn note_of(row: &Row) -> Result<EntryNote, StorageError> {
    let cells = Cells::of("entry", row);
    Ok(EntryNote {
        chain: cells.id(0, ChainId::from_slice)?,
        seq: cells.number(1)?,
        item: cells.id(2, ItemId::from_slice)?,
        kind: cells.choice(3, Kind::from_number)?,
        author: cells.id(4, DeviceId::from_slice)?,
        at: cells.time(5)?,
    })
}

fn entry_of(row: &Row) -> Result<StoredEntry, StorageError> {
    let cells = Cells::of("entry", row);
    let body = cells.bytes_if_any(5)?.map(|body| Octets::parse(body.to_vec())).transpose();
    Ok(StoredEntry {
        item: cells.id(0, ItemId::from_slice)?,
        kind: cells.choice(1, Kind::from_number)?,
        author: cells.id(2, DeviceId::from_slice)?,
        at: cells.time(3)?,
        entry: Entry { body: body.map_err(|_| cells.impossible())?, ..cells.wire(4)? },
    })
}
