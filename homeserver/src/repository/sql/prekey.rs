//! Prekeys and claims.

use async_trait::async_trait;
use rookery_protocol::{
    codec,
    id::{DeviceId, ItemId, UserId},
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    time::Timestamp,
};
use sqlx::query;

use super::{Handle, Query, Row, many::Many, row::Cells};
use crate::repository::{
    StorageError,
    prekey::{ClaimedKeys, NewClaim, OneTime, PrekeyCounts, PrekeyRepository, PrekeyView},
};

/// How one-time keys of the two kinds are told apart in rows.
const EC: i64 = 1;
const KEM: i64 = 2;

#[async_trait]
impl PrekeyView for Handle {
    async fn prekey_counts(&mut self, device: DeviceId) -> Result<PrekeyCounts, StorageError> {
        let text = "SELECT kind, COUNT(*) FROM one_time_prekey WHERE device = $1 GROUP BY kind";
        let mut counts = PrekeyCounts::default();
        for row in self.all(query(text).bind(&device.as_bytes()[..])).await? {
            let cells = Cells::of("one_time_prekey", &row);
            match cells.number::<i64>(0)? {
                EC => counts.one_time = cells.number(1)?,
                KEM => counts.one_time_kem = cells.number(1)?,
                _ => return Err(cells.impossible()),
            }
        }
        Ok(counts)
    }

    async fn claimed_since(
        &mut self,
        requester: UserId,
        devices: &[DeviceId],
        since: Timestamp,
    ) -> Result<Vec<DeviceId>, StorageError> {
        let text = "SELECT 1 FROM claim WHERE requester = $1 AND device = $2 AND at >= $3
                      AND (one_time IS NOT NULL OR one_time_kem IS NOT NULL) LIMIT 1";
        let mut given = vec![];
        for device in devices {
            let select = query(text)
                .bind(&requester.as_bytes()[..])
                .bind(&device.as_bytes()[..])
                .bind(since.to_row());
            if self.first(select).await?.is_some() {
                given.push(*device);
            }
        }
        Ok(given)
    }

    async fn claim(
        &mut self,
        requester: UserId,
        claim: ItemId,
    ) -> Result<Vec<ClaimedKeys>, StorageError> {
        let text = "SELECT device, signed, signed_kem, one_time, one_time_kem FROM claim
                    WHERE requester = $1 AND claim = $2 ORDER BY device";
        let select = query(text).bind(&requester.as_bytes()[..]).bind(&claim.as_bytes()[..]);
        let read = |row: &Row| {
            let cells = Cells::of("claim", row);
            Ok(ClaimedKeys {
                device: cells.id(0, DeviceId::from_slice)?,
                signed: cells.wire(1)?,
                signed_kem: cells.wire(2)?,
                one_time: cells.wire_if_any(3)?,
                one_time_kem: cells.wire_if_any(4)?,
            })
        };
        self.all(select).await?.iter().map(read).collect()
    }
}

#[async_trait]
impl PrekeyRepository for Handle {
    async fn put_prekeys(
        &mut self,
        user: UserId,
        device: DeviceId,
        upload: &PrekeyUpload,
        at: Timestamp,
    ) -> Result<PrekeyCounts, StorageError> {
        let text = "INSERT INTO prekey (device, user_id, signed, signed_kem, highest, highest_kem,
                                        at, claims)
                    VALUES ($1, $2, $3, $4, -1, -1, $5, 0)
                    ON CONFLICT (device) DO UPDATE
                    SET signed = COALESCE(excluded.signed, prekey.signed),
                        signed_kem = COALESCE(excluded.signed_kem, prekey.signed_kem),
                        at = excluded.at
                    RETURNING highest, highest_kem";
        let put = query(text)
            .bind(&device.as_bytes()[..])
            .bind(&user.as_bytes()[..])
            .bind(upload.signed.as_ref().map(codec::encode))
            .bind(upload.signed_kem.as_ref().map(codec::encode))
            .bind(at.to_row());
        let row = self.first(put).await?.ok_or(StorageError::Inconsistent { table: "prekey" })?;
        let cells = Cells::of("prekey", &row);
        let (highest, highest_kem) = (cells.number::<i64>(0)?, cells.number::<i64>(1)?);
        self.add_one_time(device, upload, highest, highest_kem).await?;
        self.prekey_counts(device).await
    }

    async fn claim_prekeys(&mut self, claim: &NewClaim) -> Result<Vec<ClaimedKeys>, StorageError> {
        let recorded = self.claim(claim.requester, claim.claim).await?;
        if !recorded.is_empty() {
            return Ok(recorded);
        }
        // In one order for all nodes, so that two never wait for each other.
        let mut devices = claim.devices.clone();
        devices.sort_by_key(|(device, _)| *device);
        let mut claimed = vec![];
        for (device, one_time) in devices {
            let Some(keys) = self.take_keys(device, one_time, claim.at).await? else { continue };
            self.record(claim, &keys).await?;
            claimed.push(keys);
        }
        Ok(claimed)
    }

    async fn drop_one_time_prekeys(&mut self) -> Result<u64, StorageError> {
        self.plain("DELETE FROM one_time_prekey").await
    }
}

impl Handle {
    /// Adds the one-time keys of `upload` that are above the highest ids of their kinds.
    async fn add_one_time(
        &mut self,
        device: DeviceId,
        upload: &PrekeyUpload,
        highest: i64,
        highest_kem: i64,
    ) -> Result<(), StorageError> {
        static KEYS: Many = Many::new(
            "INSERT INTO one_time_prekey (device, kind, id, expires, encoded)",
            5,
            " ON CONFLICT DO NOTHING",
        );
        let ec = upload.one_time.iter().filter(|key| i64::from(key.id) > highest);
        let ec = ec.map(|key| (EC, i64::from(key.id), key.expires, codec::encode(key)));
        let kem = upload.one_time_kem.iter().filter(|key| i64::from(key.id) > highest_kem);
        let kem = kem.map(|key| (KEM, i64::from(key.id), key.expires, codec::encode(key)));
        let keys: Vec<_> = ec.chain(kem).collect();
        let top = |kind, floor: i64| {
            let ids = keys.iter().filter(|key| key.0 == kind).map(|key| key.1);
            ids.fold(floor, i64::max)
        };
        let text = "UPDATE prekey SET highest = $2, highest_kem = $3 WHERE device = $1";
        let rise = query(text)
            .bind(&device.as_bytes()[..])
            .bind(top(EC, highest))
            .bind(top(KEM, highest_kem));
        self.execute(rise).await?;
        let bind =
            |query: Query<'static>,
             (kind, id, expires, encoded): (i64, i64, Timestamp, Vec<u8>)| {
                query
                    .bind(device.as_bytes().to_vec())
                    .bind(kind)
                    .bind(id)
                    .bind(expires.to_row())
                    .bind(encoded)
            };
        self.execute_many(&KEYS, keys, bind).await.map(|_| ())
    }

    /// Takes the keys of one device. The update holds its row, so that claims of one device come one after another.
    async fn take_keys(
        &mut self,
        device: DeviceId,
        one_time: OneTime,
        now: Timestamp,
    ) -> Result<Option<ClaimedKeys>, StorageError> {
        let text = "UPDATE prekey SET claims = claims + 1
                    WHERE device = $1 AND signed IS NOT NULL AND signed_kem IS NOT NULL
                    RETURNING signed, signed_kem";
        let Some(row) = self.first(query(text).bind(&device.as_bytes()[..])).await? else {
            return Ok(None);
        };
        let cells = Cells::of("prekey", &row);
        let (signed, signed_kem) = (cells.wire(0)?, cells.wire(1)?);
        let (mut ec, mut kem): (Option<EcPrekey>, Option<KemPrekey>) = (None, None);
        if one_time == OneTime::Give {
            let over = "DELETE FROM one_time_prekey WHERE device = $1 AND expires <= $2";
            self.execute(query(over).bind(&device.as_bytes()[..]).bind(now.to_row())).await?;
            ec = self.take_one_time(device, EC).await?;
            kem = self.take_one_time(device, KEM).await?;
        }
        Ok(Some(ClaimedKeys { device, signed, signed_kem, one_time: ec, one_time_kem: kem }))
    }

    async fn take_one_time<T: for<'b> minicbor::Decode<'b, ()>>(
        &mut self,
        device: DeviceId,
        kind: i64,
    ) -> Result<Option<T>, StorageError> {
        let text = "DELETE FROM one_time_prekey WHERE device = $1 AND kind = $2 AND id =
                        (SELECT MIN(id) FROM one_time_prekey WHERE device = $1 AND kind = $2)
                    RETURNING encoded";
        let row = self.first(query(text).bind(&device.as_bytes()[..]).bind(kind)).await?;
        row.as_ref().map(|row| Cells::of("one_time_prekey", row).wire(0)).transpose()
    }

    async fn record(&mut self, claim: &NewClaim, keys: &ClaimedKeys) -> Result<(), StorageError> {
        let text = "INSERT INTO claim (requester, claim, device, at, signed, signed_kem, one_time,
                                       one_time_kem)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        let insert = query(text)
            .bind(&claim.requester.as_bytes()[..])
            .bind(&claim.claim.as_bytes()[..])
            .bind(&keys.device.as_bytes()[..])
            .bind(claim.at.to_row())
            .bind(codec::encode(&keys.signed))
            .bind(codec::encode(&keys.signed_kem))
            .bind(keys.one_time.as_ref().map(codec::encode))
            .bind(keys.one_time_kem.as_ref().map(codec::encode));
        // Another node recorded the same claim meanwhile: what was taken here goes back, and the next run finds the record.
        if self.execute(insert).await? == 0 { Err(self.meet()) } else { Ok(()) }
    }
}
