//! Prekeys and claims.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    prekey::PrekeyUpload,
    time::Timestamp,
};

use super::{Handle, Prekeys};
use crate::repository::{
    StorageError,
    prekey::{ClaimedKeys, NewClaim, OneTime, PrekeyCounts, PrekeyRepository, PrekeyView},
};

#[async_trait]
impl PrekeyView for Handle {
    async fn prekey_counts(&mut self, device: DeviceId) -> Result<PrekeyCounts, StorageError> {
        Ok(self.rows().prekeys.get(&device).map(Prekeys::counts).unwrap_or_default())
    }

    async fn claimed_since(
        &mut self,
        requester: UserId,
        devices: &[DeviceId],
        since: Timestamp,
    ) -> Result<Vec<DeviceId>, StorageError> {
        let rows = self.rows();
        let given = |device: &&DeviceId| {
            rows.claims.iter().any(|((who, _, from), (at, keys))| {
                *who == requester
                    && from == *device
                    && *at >= since
                    && (keys.one_time.is_some() || keys.one_time_kem.is_some())
            })
        };
        Ok(devices.iter().filter(given).copied().collect())
    }

    async fn claim(
        &mut self,
        requester: UserId,
        claim: ItemId,
    ) -> Result<Vec<ClaimedKeys>, StorageError> {
        let rows = self.rows();
        let of_claim =
            rows.claims.iter().filter(|((who, which, _), _)| *who == requester && *which == claim);
        Ok(of_claim.map(|(_, (_, keys))| keys.clone()).collect())
    }
}

#[async_trait]
impl PrekeyRepository for Handle {
    async fn put_prekeys(
        &mut self,
        user: UserId,
        device: DeviceId,
        upload: &PrekeyUpload,
        _: Timestamp,
    ) -> Result<PrekeyCounts, StorageError> {
        let rows = self.change()?;
        let keys = rows.prekeys.entry(device).or_insert_with(|| Prekeys::of(user));
        if let Some(signed) = &upload.signed {
            keys.signed = Some(signed.clone());
        }
        if let Some(signed) = &upload.signed_kem {
            keys.signed_kem = Some(signed.clone());
        }
        let floor = keys.highest;
        for key in upload.one_time.iter().filter(|key| Some(key.id) > floor) {
            keys.highest = keys.highest.max(Some(key.id));
            keys.one_time.entry(key.id).or_insert_with(|| key.clone());
        }
        let floor = keys.highest_kem;
        for key in upload.one_time_kem.iter().filter(|key| Some(key.id) > floor) {
            keys.highest_kem = keys.highest_kem.max(Some(key.id));
            keys.one_time_kem.entry(key.id).or_insert_with(|| key.clone());
        }
        Ok(keys.counts())
    }

    async fn claim_prekeys(&mut self, claim: &NewClaim) -> Result<Vec<ClaimedKeys>, StorageError> {
        let recorded = self.claim(claim.requester, claim.claim).await?;
        if !recorded.is_empty() {
            return Ok(recorded);
        }
        let rows = self.change()?;
        let mut devices = claim.devices.clone();
        devices.sort_by_key(|(device, _)| *device);
        let mut claimed = vec![];
        for (device, one_time) in devices {
            let Some(keys) = rows.prekeys.get_mut(&device) else { continue };
            let (Some(signed), Some(signed_kem)) = (keys.signed.clone(), keys.signed_kem.clone())
            else {
                continue;
            };
            let (mut ec, mut kem) = (None, None);
            if one_time == OneTime::Give {
                keys.one_time.retain(|_, key| key.expires > claim.at);
                keys.one_time_kem.retain(|_, key| key.expires > claim.at);
                ec = keys.one_time.pop_first().map(|(_, key)| key);
                kem = keys.one_time_kem.pop_first().map(|(_, key)| key);
            }
            let got = ClaimedKeys { device, signed, signed_kem, one_time: ec, one_time_kem: kem };
            rows.claims.insert((claim.requester, claim.claim, device), (claim.at, got.clone()));
            claimed.push(got);
        }
        Ok(claimed)
    }

    async fn drop_one_time_prekeys(&mut self) -> Result<u64, StorageError> {
        let mut dropped = 0_usize;
        for keys in self.change()?.prekeys.values_mut() {
            dropped =
                dropped.saturating_add(keys.one_time.len()).saturating_add(keys.one_time_kem.len());
            keys.one_time.clear();
            keys.one_time_kem.clear();
        }
        Ok(u64::try_from(dropped).unwrap_or(u64::MAX))
    }
}

impl Prekeys {
    fn of(user: UserId) -> Self {
        Self {
            user,
            signed: None,
            signed_kem: None,
            one_time: BTreeMap::new(),
            one_time_kem: BTreeMap::new(),
            highest: None,
            highest_kem: None,
        }
    }

    fn counts(&self) -> PrekeyCounts {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        PrekeyCounts {
            one_time: count(self.one_time.len()),
            one_time_kem: count(self.one_time_kem.len()),
        }
    }
}
