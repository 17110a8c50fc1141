//! Chains.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    chain::HeadRef,
    id::{ChainId, ItemId, UserId},
    time::Timestamp,
};

use super::Handle;
use crate::repository::{
    Limit, Page, StorageError,
    chain::{Append, ChainKind, ChainRepository, ChainView, EntryNote, StoredChain, StoredEntry},
};

#[async_trait]
impl ChainView for Handle {
    async fn chain(&mut self, chain: ChainId) -> Result<Option<StoredChain>, StorageError> {
        Ok(self.rows().chains.get(&chain).map(|(chain, _)| chain.clone()))
    }

    async fn chains(&mut self, chains: &[ChainId]) -> Result<Vec<StoredChain>, StorageError> {
        let rows = self.rows();
        Ok(chains
            .iter()
            .filter_map(|chain| rows.chains.get(chain))
            .map(|(chain, _)| chain.clone())
            .collect())
    }

    async fn entries_of(&mut self, chains: &[ChainId]) -> Result<Vec<StoredEntry>, StorageError> {
        let rows = self.rows();
        let found = chains.iter().filter_map(|chain| rows.chains.get(chain));
        Ok(found.flat_map(|(_, entries)| entries.iter().cloned()).collect())
    }

    async fn entries(
        &mut self,
        chain: ChainId,
        after: Option<u64>,
        limit: Limit,
    ) -> Result<Page<StoredEntry>, StorageError> {
        let rows = self.rows();
        let entries = rows.chains.get(&chain).map_or(&[][..], |(_, entries)| entries);
        let mut page = Page { rows: vec![], more: false };
        let mut bytes = 0_usize;
        for entry in
            entries.iter().filter(|entry| after.is_none_or(|after| entry.entry.seq > after))
        {
            if page.rows.len() >= limit.rows as usize
                || (bytes >= limit.bytes && !page.rows.is_empty())
            {
                page.more = true;
                break;
            }
            bytes = bytes.saturating_add(usize::try_from(entry.bytes()).unwrap_or(usize::MAX));
            page.rows.push(entry.clone());
        }
        Ok(page)
    }

    async fn entry_hash(
        &mut self,
        chain: ChainId,
        seq: u64,
    ) -> Result<Option<HeadRef>, StorageError> {
        let rows = self.rows();
        let entries = rows.chains.get(&chain).map_or(&[][..], |(_, entries)| entries);
        Ok(entries
            .iter()
            .find(|entry| entry.entry.seq == seq)
            .map(|entry| entry.entry.seen().into()))
    }

    async fn places(
        &mut self,
        chain: ChainId,
        items: &[ItemId],
    ) -> Result<Vec<(ItemId, u64)>, StorageError> {
        let rows = self.rows();
        let entries = rows.chains.get(&chain).map_or(&[][..], |(_, entries)| entries);
        let found = entries.iter().filter(|entry| items.contains(&entry.item));
        Ok(found.map(|entry| (entry.item, entry.entry.seq)).collect())
    }

    async fn notes_of(
        &mut self,
        items: &[(ChainId, ItemId)],
    ) -> Result<Vec<EntryNote>, StorageError> {
        let rows = self.rows();
        let find = |(chain, item): &(ChainId, ItemId)| {
            let (_, entries) = rows.chains.get(chain)?;
            entries.iter().find(|entry| entry.item == *item).map(StoredEntry::note)
        };
        Ok(items.iter().filter_map(find).collect())
    }

    async fn notes_at(
        &mut self,
        places: &[(ChainId, u64)],
    ) -> Result<Vec<EntryNote>, StorageError> {
        let rows = self.rows();
        let find = |(chain, seq): &(ChainId, u64)| {
            let (_, entries) = rows.chains.get(chain)?;
            entries.iter().find(|entry| entry.entry.seq == *seq).map(StoredEntry::note)
        };
        Ok(places.iter().filter_map(find).collect())
    }
}

#[async_trait]
impl ChainRepository for Handle {
    async fn hold_chains(&mut self, chains: &[ChainId]) -> Result<Vec<StoredChain>, StorageError> {
        self.chains(chains).await
    }

    async fn create_chain(
        &mut self,
        chain: ChainId,
        kind: ChainKind,
        owner: UserId,
        owner_epoch: u64,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let new = !rows.chains.contains_key(&chain);
        let empty = StoredChain { chain, kind, owner, owner_epoch, head: None, at, bytes: 0 };
        rows.chains.entry(chain).or_insert_with(|| (empty, vec![]));
        Ok(new)
    }

    async fn append_entries(
        &mut self,
        chain: ChainId,
        new: &[StoredEntry],
    ) -> Result<Append, StorageError> {
        let rows = self.change()?;
        let Some((row, entries)) = rows.chains.get_mut(&chain) else { return Ok(Append::NoChain) };
        let items: BTreeSet<ItemId> = new.iter().map(|entry| entry.item).collect();
        if items.len() < new.len() || entries.iter().any(|entry| items.contains(&entry.item)) {
            return Ok(Append::ItemExists);
        }
        let mut head = row.head;
        for entry in new {
            if !entry.follows(chain, row.owner_epoch, head) {
                return Ok(Append::Stale(row.head));
            }
            head = Some(entry.entry.seen().into());
        }
        let Some(head) = head.filter(|_| !new.is_empty()) else {
            return Ok(Append::Stale(row.head));
        };
        row.bytes = row.bytes.saturating_add(new.iter().map(StoredEntry::bytes).sum());
        row.head = Some(head);
        row.at = new.last().map_or(row.at, |entry| entry.at);
        entries.extend_from_slice(new);
        Ok(Append::Done(head))
    }

    async fn append_to_many(
        &mut self,
        batches: &[(ChainId, Vec<StoredEntry>)],
    ) -> Result<(), StorageError> {
        for (chain, entries) in batches {
            if !matches!(self.append_entries(*chain, entries).await?, Append::Done(_)) {
                return Err(StorageError::Conflict);
            }
        }
        Ok(())
    }

    async fn set_owner_epoch(
        &mut self,
        chain: ChainId,
        owner_epoch: u64,
    ) -> Result<(), StorageError> {
        if let Some((row, _)) = self.change()?.chains.get_mut(&chain) {
            row.owner_epoch = owner_epoch;
        }
        Ok(())
    }

    async fn erase_bodies(
        &mut self,
        chain: ChainId,
        items: &[ItemId],
    ) -> Result<u64, StorageError> {
        let Some((row, entries)) = self.change()?.chains.get_mut(&chain) else { return Ok(0) };
        let found = entries
            .iter_mut()
            .filter(|entry| items.contains(&entry.item) && entry.entry.body.is_some());
        let mut erased = 0_u64;
        for entry in found {
            let before = entry.bytes();
            entry.entry.body = None;
            row.bytes = row.bytes.saturating_sub(before.saturating_sub(entry.bytes()));
            erased = erased.saturating_add(1);
        }
        Ok(erased)
    }
}
