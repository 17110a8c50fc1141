//! Devices, what is forgotten, and counts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rookery_protocol::{
    id::{ChainId, DeviceId, UserId},
    request::admin::AccountState,
    time::Timestamp,
    user::PukBox,
};

use super::Handle;
use crate::repository::{
    StorageError,
    device::{DeviceFacts, DeviceRepository, DeviceSeen, DeviceView},
    retention::{Census, FILES, Purge, Purged, RetentionRepository, RetentionView},
};

#[async_trait]
impl DeviceView for Handle {
    async fn devices(&mut self, user: UserId) -> Result<Vec<DeviceFacts>, StorageError> {
        let rows = self.rows();
        let mut facts: BTreeMap<DeviceId, DeviceFacts> = BTreeMap::new();
        for (device, (owner, at)) in &rows.devices {
            if *owner == user {
                let known = DeviceFacts { device: *device, last_seen: Some(*at), waiting: 0 };
                facts.insert(*device, known);
            }
        }
        for (device, mailbox) in rows.mailboxes.iter().filter(|(_, mailbox)| mailbox.user == user) {
            let new = DeviceFacts { device: *device, last_seen: None, waiting: 0 };
            facts.entry(*device).or_insert(new).waiting = mailbox.head.count;
        }
        Ok(facts.into_values().collect())
    }

    async fn boxes(&mut self, user: UserId, device: DeviceId) -> Result<Vec<PukBox>, StorageError> {
        let rows = self.rows();
        let newest = |receiver: Option<DeviceId>| {
            let range = (user, receiver, 0)..=(user, receiver, u32::MAX);
            rows.boxes.range(range).next_back().map(|(_, sealed)| sealed.clone())
        };
        Ok([newest(Some(device)), newest(None)].into_iter().flatten().collect())
    }
}

#[async_trait]
impl DeviceRepository for Handle {
    async fn note_seen(&mut self, seen: &[DeviceSeen]) -> Result<(), StorageError> {
        let rows = self.change()?;
        for DeviceSeen { user, device, at } in seen {
            let Some(account) = rows.accounts.get_mut(user) else { continue };
            if account.state == AccountState::Deleted {
                continue;
            }
            account.last_seen = account.last_seen.max(Some(*at));
            let known = rows.devices.entry(*device).or_insert((*user, *at));
            if known.0 == *user {
                known.1 = known.1.max(*at);
            }
        }
        Ok(())
    }

    async fn put_boxes(&mut self, user: UserId, boxes: &[PukBox]) -> Result<(), StorageError> {
        let rows = self.change()?;
        for sealed in boxes {
            rows.boxes.insert((user, sealed.device, sealed.generation), sealed.clone());
        }
        Ok(())
    }

    async fn forget_device(&mut self, user: UserId, device: DeviceId) -> Result<(), StorageError> {
        let rows = self.change()?;
        rows.boxes.retain(|(owner, receiver, _), _| *owner != user || *receiver != Some(device));
        if rows.prekeys.get(&device).is_some_and(|prekeys| prekeys.user == user) {
            rows.prekeys.remove(&device);
        }
        if let Some(mailbox) =
            rows.mailboxes.get_mut(&device).filter(|mailbox| mailbox.user == user)
        {
            mailbox.waiting.clear();
            mailbox.head.count = 0;
            mailbox.head.bytes = 0;
        }
        Ok(())
    }
}

#[async_trait]
impl RetentionView for Handle {
    async fn census(&mut self) -> Result<Census, StorageError> {
        let rows = self.rows();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Census {
            accounts: count(
                rows.accounts
                    .values()
                    .filter(|account| account.state != AccountState::Deleted)
                    .count(),
            ),
            sessions: count(
                rows.sessions.values().filter(|session| session.ended.is_none()).count(),
            ),
            waiting_envelopes: rows.mailboxes.values().map(|mailbox| mailbox.head.count).sum(),
            waiting_bytes: rows.mailboxes.values().map(|mailbox| mailbox.head.bytes).sum(),
        })
    }
}

#[async_trait]
impl RetentionRepository for Handle {
    async fn purge(&mut self, purge: &Purge) -> Result<Purged, StorageError> {
        let rows = self.change()?;
        let most = purge.rows as usize;
        let (communities, places) = (&rows.communities, &rows.places);
        let has_ended = |chain: &ChainId| {
            let place = places.get(chain).filter(|place| place.channel.is_some());
            place
                .and_then(|place| communities.get(&place.community))
                .is_some_and(|one| one.is_deleted)
        };
        let mut entries = 0_u64;
        for (_, (_, of_chain)) in rows.chains.iter_mut().filter(|(chain, _)| has_ended(chain)) {
            let gone = of_chain.drain(..most.min(of_chain.len()));
            entries = entries.saturating_add(u64::try_from(gone.len()).unwrap_or(u64::MAX));
        }
        Ok(Purged {
            entries,
            blobs: forget(&mut rows.blobs, most, |(blob, _)| {
                !blob.is_named && blob.at < purge.blobs_before
            }),
            files: forget(&mut rows.files, most.min(FILES as usize), |(file, _)| {
                let before =
                    if file.is_whole { purge.files_before } else { purge.unfinished_files_before };
                file.at < before
            }),
            messages: forget(&mut rows.messages, most, |at| *at < purge.messages_before),
            sessions: forget(&mut rows.sessions, most, |session| {
                session.ended.is_some_and(|ended| ended < purge.sessions_ended_before)
                    || session.last_seen < purge.sessions_idle_before
            }),
            claims: forget(&mut rows.claims, most, |(at, _)| *at < purge.claims_before)
                .saturating_add(rows.prekeys.values_mut().fold(0, |sum: u64, prekeys| {
                    let over = |expires: Timestamp| expires < purge.claims_before;
                    sum.saturating_add(forget(&mut prekeys.one_time, most, |key| over(key.expires)))
                        .saturating_add(forget(&mut prekeys.one_time_kem, most, |key| {
                            over(key.expires)
                        }))
                })),
            invites: forget(&mut rows.invites, most, |invite| {
                let over = invite.expires.is_some_and(|expires| expires < purge.invites_before);
                let spent = invite.uses_left == 0 || invite.revoked;
                over || (spent && invite.created < purge.invites_before)
            }),
        })
    }
}

/// Takes at most `most` rows out of `rows` that are `over`, and counts them.
fn forget<K: Ord + Clone, V>(
    rows: &mut BTreeMap<K, V>,
    most: usize,
    over: impl Fn(&V) -> bool,
) -> u64 {
    let found: Vec<K> =
        rows.iter().filter(|(_, row)| over(row)).take(most).map(|(key, _)| key.clone()).collect();
    for key in &found {
        rows.remove(key);
    }
    u64::try_from(found.len()).unwrap_or(u64::MAX)
}
