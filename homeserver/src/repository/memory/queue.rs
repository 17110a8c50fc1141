//! What waits for other homeservers, in lanes.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, Digest, ItemId, UserId},
    name::ServerName,
    request::message::Returned,
    time::Timestamp,
};

use super::{Handle, Rows};
use crate::repository::{
    Limit, StorageError,
    peer::{Backlog, Outbound, StoredOutbound},
    queue::{QueueRepository, QueueView},
};

#[async_trait]
impl QueueView for Handle {
    async fn outbound_due(
        &mut self,
        peer: &ServerName,
        now: Timestamp,
        limit: Limit,
    ) -> Result<Vec<StoredOutbound>, StorageError> {
        let rows = self.rows();
        let due = rows.queue(peer).filter(|one| one.not_before <= now);
        let (mut found, mut bytes): (Vec<StoredOutbound>, usize) = (vec![], 0);
        for one in due.take(usize::try_from(limit.rows).unwrap_or(usize::MAX)) {
            if bytes >= limit.bytes && !found.is_empty() {
                break;
            }
            bytes = bytes.saturating_add(one.outbound.content.len());
            found.push(one.clone());
        }
        Ok(found)
    }

    async fn outbound_next(
        &mut self,
        peer: &ServerName,
    ) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.rows().queue(peer).map(|one| one.not_before).min())
    }

    async fn outbound_count(
        &mut self,
        peer: &ServerName,
        sender: UserId,
    ) -> Result<u64, StorageError> {
        let rows = self.rows();
        let theirs = rows.queue(peer).filter(|one| one.outbound.sender == sender);
        Ok(u64::try_from(theirs.count()).unwrap_or(u64::MAX))
    }

    async fn outbound_item(
        &mut self,
        sender: UserId,
        item: ItemId,
    ) -> Result<Option<StoredOutbound>, StorageError> {
        let rows = self.rows();
        let found = rows
            .outbound
            .values()
            .find(|one| one.outbound.sender == sender && one.outbound.item == item);
        Ok(found.cloned())
    }

    async fn returned_in(
        &mut self,
        peer: &ServerName,
        lane: Digest,
    ) -> Result<Vec<ItemId>, StorageError> {
        let rows = self.rows();
        let returned = rows
            .outbound
            .values()
            .filter(|one| one.peer == *peer && one.outbound.lane == lane && one.returned.is_some());
        Ok(returned.map(|one| one.outbound.item).collect())
    }

    async fn backlog(&mut self, peer: &ServerName) -> Result<Backlog, StorageError> {
        let rows = self.rows();
        Ok(rows.queue(peer).fold(Backlog::default(), |backlog, one| Backlog {
            count: backlog.count.saturating_add(1),
            bytes: backlog.bytes.saturating_add(one.outbound.size()),
            oldest: Some(backlog.oldest.map_or(one.outbound.at, |at| at.min(one.outbound.at))),
        }))
    }
}

#[async_trait]
impl QueueRepository for Handle {
    async fn put_outbound(
        &mut self,
        peer: &ServerName,
        new: &[Outbound],
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        for one in new {
            rows.outbound.retain(|_, former| {
                former.outbound.sender != one.sender || former.outbound.item != one.item
            });
            rows.undelivered.remove(&(one.sender, one.item));
            let behind = rows.queue(peer).filter(|former| former.outbound.lane == one.lane);
            let not_before = behind.map(|former| former.not_before).max();
            let Some((_, last)) = rows.peers.get_mut(peer) else {
                return Err(StorageError::Inconsistent { table: "peer" });
            };
            *last = last.saturating_add(1);
            let number = *last;
            let stored = StoredOutbound {
                peer: peer.clone(),
                number,
                outbound: one.clone(),
                not_before: not_before.unwrap_or(Timestamp::from_millis(0)),
                returned: None,
                reason: None,
            };
            rows.outbound.insert((peer.clone(), number), stored);
        }
        Ok(())
    }

    async fn settle_outbound(
        &mut self,
        peer: &ServerName,
        numbers: &[u64],
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        for number in numbers {
            rows.outbound.remove(&(peer.clone(), *number));
        }
        Ok(())
    }

    async fn return_outbound(
        &mut self,
        peer: &ServerName,
        number: u64,
        returned: &Returned,
    ) -> Result<(), StorageError> {
        if let Some(one) = self.change()?.outbound.get_mut(&(peer.clone(), number)) {
            one.returned = Some(returned.clone());
            one.outbound.content = vec![];
        }
        Ok(())
    }

    async fn delay_lane(
        &mut self,
        peer: &ServerName,
        lane: Digest,
        not_before: Timestamp,
        reason: &str,
    ) -> Result<(), StorageError> {
        for one in self.change()?.waiting_mut(peer).filter(|one| one.outbound.lane == lane) {
            one.not_before = not_before;
            one.reason = Some(reason.to_owned());
        }
        Ok(())
    }

    async fn hurry_outbound(&mut self, peer: &ServerName) -> Result<(), StorageError> {
        for one in self.change()?.waiting_mut(peer) {
            one.not_before = Timestamp::from_millis(0);
        }
        Ok(())
    }

    async fn dismiss_returned(
        &mut self,
        sender: UserId,
        device: DeviceId,
        items: &[ItemId],
    ) -> Result<u64, StorageError> {
        let rows = self.change()?;
        let before = rows.outbound.len();
        rows.outbound.retain(|_, one| {
            let is_theirs = one.outbound.sender == sender && one.outbound.device == Some(device);
            !(is_theirs && one.returned.is_some() && items.contains(&one.outbound.item))
        });
        let mut dismissed = before.saturating_sub(rows.outbound.len());
        let before = rows.undelivered.len();
        rows.undelivered.retain(|(user, item), (owner, _)| {
            *user != sender || *owner != device || !items.contains(item)
        });
        dismissed = dismissed.saturating_add(before.saturating_sub(rows.undelivered.len()));
        Ok(u64::try_from(dismissed).unwrap_or(u64::MAX))
    }

    async fn expire_outbound(
        &mut self,
        peer: &ServerName,
        before: Timestamp,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError> {
        let rows = self.change()?;
        rows.outbound.retain(|(name, _), one| {
            let is_nobodys = one.outbound.device.is_none() && one.outbound.at < before;
            name != peer || !is_nobodys
        });
        let mut devices = BTreeSet::new();
        for one in rows.waiting_mut(peer).filter(|one| one.outbound.at < before) {
            one.returned = Some(Returned::Expired);
            one.outbound.content = vec![];
            devices.extend(one.outbound.device.map(|device| (one.outbound.sender, device)));
        }
        Ok(devices.into_iter().collect())
    }
}

impl Rows {
    /// What is to be handed over to a peer, in order.
    fn queue(&self, peer: &ServerName) -> impl Iterator<Item = &StoredOutbound> {
        let theirs = self.outbound.values().filter(move |one| one.peer == *peer);
        theirs.filter(|one| one.returned.is_none())
    }

    pub(super) fn waiting_mut(
        &mut self,
        peer: &ServerName,
    ) -> impl Iterator<Item = &mut StoredOutbound> {
        let theirs = self.outbound.values_mut().filter(move |one| one.peer == *peer);
        theirs.filter(|one| one.returned.is_none())
    }
}
