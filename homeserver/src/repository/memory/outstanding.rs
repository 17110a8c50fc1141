//! What devices have sent to other servers that is not there yet, or has come back.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, Digest, ItemId, UserId},
    name::ServerName,
    request::message::{OutstandingPlace, Returned},
    time::Timestamp,
};

use super::Handle;
use crate::repository::{
    StorageError,
    outstanding::{OutstandingRepository, OutstandingView, Recalled, StoredOutstanding},
    peer::StoredOutbound,
};

/// Something in a queue as its device is told of it, if it has one.
fn outstanding_of(row: &StoredOutbound) -> Option<(DeviceId, StoredOutstanding)> {
    let (device, receiver) = (row.outbound.device?, row.outbound.receiver?);
    let place = OutstandingPlace {
        server: row.peer.clone(),
        number: row.number,
        message: row.outbound.item,
    };
    let (returned, reason) = (row.returned.clone(), row.reason.clone());
    Some((device, StoredOutstanding { place, receiver, at: row.outbound.at, returned, reason }))
}

fn key(place: &OutstandingPlace) -> (&str, u64, ItemId) {
    (place.server.as_str(), place.number, place.message)
}

#[async_trait]
impl OutstandingView for Handle {
    async fn outstanding(
        &mut self,
        sender: UserId,
        device: DeviceId,
        after: Option<&OutstandingPlace>,
        limit: u32,
    ) -> Result<Vec<StoredOutstanding>, StorageError> {
        let rows = self.rows();
        let queued = rows.outbound.values().filter(|one| one.outbound.sender == sender);
        let back = rows.undelivered.iter().filter(|((user, _), _)| *user == sender);
        let all = queued.filter_map(outstanding_of).chain(back.map(|(_, one)| one.clone()));
        let mut found: Vec<_> = all
            .filter(|(owner, one)| {
                *owner == device && after.is_none_or(|after| key(&one.place) > key(after))
            })
            .map(|(_, one)| one)
            .collect();
        found.sort_by(|one, other| key(&one.place).cmp(&key(&other.place)));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn is_undelivered(&mut self, sender: UserId, item: ItemId) -> Result<bool, StorageError> {
        Ok(self.rows().undelivered.contains_key(&(sender, item)))
    }

    async fn returned_before(
        &mut self,
        before: Timestamp,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError> {
        let rows = self.rows();
        let queued = rows
            .outbound
            .values()
            .filter(|one| one.returned.is_some() && one.outbound.at < before)
            .filter_map(|one| Some((one.outbound.sender, one.outbound.device?)));
        let back = rows.undelivered.iter().filter(|(_, (_, one))| one.at < before);
        let back = back.map(|((sender, _), (device, _))| (*sender, *device));
        Ok(queued.chain(back).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

#[async_trait]
impl OutstandingRepository for Handle {
    async fn return_lane(
        &mut self,
        peer: &ServerName,
        lane: Digest,
        after: u64,
        returned: &Returned,
    ) -> Result<Vec<Recalled>, StorageError> {
        let mut recalled = vec![];
        for one in self.change()?.waiting_mut(peer) {
            if let Some(device) = one.outbound.device
                && one.outbound.lane == lane
                && one.number > after
            {
                let (sender, item) = (one.outbound.sender, one.outbound.item);
                recalled.push(Recalled { sender, device, item, size: one.outbound.size() });
                one.returned = Some(returned.clone());
                one.outbound.content = vec![];
            }
        }
        Ok(recalled)
    }

    async fn keep_undelivered(
        &mut self,
        peer: &ServerName,
        returned: &Returned,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError> {
        let rows = self.change()?;
        let queued = rows.outbound.values().filter(|one| one.peer == *peer);
        let kept: Vec<_> = queued
            .filter_map(|row| {
                let (device, one) = outstanding_of(row)?;
                let returned = Some(one.returned.unwrap_or_else(|| returned.clone()));
                let key = (row.outbound.sender, row.outbound.item);
                Some((key, (device, StoredOutstanding { returned, reason: None, ..one })))
            })
            .collect();
        let owners: BTreeSet<_> =
            kept.iter().map(|((sender, _), (device, _))| (*sender, *device)).collect();
        rows.undelivered.extend(kept);
        Ok(owners.into_iter().collect())
    }

    async fn forget_returned(
        &mut self,
        sender: UserId,
        device: DeviceId,
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        rows.outbound.retain(|_, one| {
            let is_theirs = one.outbound.sender == sender && one.outbound.device == Some(device);
            !(is_theirs && one.returned.is_some())
        });
        rows.undelivered.retain(|(user, _), (owner, _)| *user != sender || *owner != device);
        Ok(())
    }
}
