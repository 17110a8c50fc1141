//! What waits for other homeservers, in lanes.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    codec,
    id::{DeviceId, Digest, ItemId, UserId},
    name::ServerName,
    request::message::Returned,
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Row,
    row::{Cells, to_row},
};
use crate::repository::{
    Limit, StorageError,
    peer::{Backlog, Outbound, StoredOutbound},
    queue::{QueueRepository, QueueView},
};

/// The columns of a thing in a queue, as [`outbound_of`] reads them.
macro_rules! outbound_columns {
    () => {
        "peer, number, sender, device, item, receiver, lane, at, not_before, returned, reason, content"
    };
}

#[async_trait]
impl QueueView for Handle {
    async fn outbound_due(
        &mut self,
        peer: &ServerName,
        now: Timestamp,
        limit: Limit,
    ) -> Result<Vec<StoredOutbound>, StorageError> {
        let text = concat!(
            "SELECT ",
            outbound_columns!(),
            " FROM outbound WHERE peer = $1 AND not_before <= $2 AND returned IS NULL
              ORDER BY number LIMIT $3"
        );
        let select = query(text)
            .bind(peer.as_str())
            .bind(now.to_row())
            .bind(i64::from(limit.rows).saturating_add(1));
        let size = |row: &Row| Ok(Cells::of("outbound", row).bytes(11)?.len());
        let page = self.page(select, limit, size).await?;
        page.rows.iter().map(outbound_of).collect()
    }

    async fn outbound_next(
        &mut self,
        peer: &ServerName,
    ) -> Result<Option<Timestamp>, StorageError> {
        let text = "SELECT MIN(not_before) FROM outbound WHERE peer = $1 AND returned IS NULL";
        let row = self.first(query(text).bind(peer.as_str())).await?;
        row.as_ref().map_or(Ok(None), |row| Cells::of("outbound", row).time_if_any(0))
    }

    async fn outbound_count(
        &mut self,
        peer: &ServerName,
        sender: UserId,
    ) -> Result<u64, StorageError> {
        let text = "SELECT COUNT(*) FROM outbound
                    WHERE sender = $1 AND peer = $2 AND returned IS NULL";
        let select = query(text).bind(&sender.as_bytes()[..]).bind(peer.as_str());
        let row = self.first(select).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("outbound", row).number(0))
    }

    async fn outbound_item(
        &mut self,
        sender: UserId,
        item: ItemId,
    ) -> Result<Option<StoredOutbound>, StorageError> {
        let text = concat!(
            "SELECT ",
            outbound_columns!(),
            " FROM outbound WHERE sender = $1 AND item = $2"
        );
        let select = query(text).bind(&sender.as_bytes()[..]).bind(&item.as_bytes()[..]);
        self.first(select).await?.as_ref().map(outbound_of).transpose()
    }

    async fn returned_in(
        &mut self,
        peer: &ServerName,
        lane: Digest,
    ) -> Result<Vec<ItemId>, StorageError> {
        let text = "SELECT item FROM outbound
                    WHERE peer = $1 AND lane = $2 AND returned IS NOT NULL";
        let select = query(text).bind(peer.as_str()).bind(&lane.as_bytes()[..]);
        let rows = self.all(select).await?;
        rows.iter().map(|row| Cells::of("outbound", row).id(0, ItemId::from_slice)).collect()
    }

    async fn backlog(&mut self, peer: &ServerName) -> Result<Backlog, StorageError> {
        let text = "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT), MIN(at) FROM outbound
                    WHERE peer = $1 AND returned IS NULL";
        let row = self.first(query(text).bind(peer.as_str())).await?;
        let read = |row: &Row| {
            let cells = Cells::of("outbound", row);
            Ok(Backlog {
                count: cells.number(0)?,
                bytes: cells.number(1)?,
                oldest: cells.time_if_any(2)?,
            })
        };
        row.as_ref().map_or(Ok(Backlog::default()), read)
    }
}

#[async_trait]
impl QueueRepository for Handle {
    async fn put_outbound(
        &mut self,
        peer: &ServerName,
        new: &[Outbound],
    ) -> Result<(), StorageError> {
        let text = "UPDATE peer SET last = last + $2 WHERE name = $1 RETURNING last";
        let counted = query(text).bind(peer.as_str()).bind(to_row(new.len()));
        let Some(row) = self.first(counted).await? else {
            return Err(StorageError::Inconsistent { table: "peer" });
        };
        let last: u64 = Cells::of("peer", &row).number(0)?;
        let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
        let replace = [
            "DELETE FROM outbound WHERE sender = $1 AND item = $2",
            "DELETE FROM undelivered WHERE sender = $1 AND item = $2",
        ];
        let put = "INSERT INTO outbound
                       (peer, number, sender, device, item, receiver, lane, at, not_before, size,
                        content)
                   SELECT $1, $2, $3, $4, $5, $6, $7, $8,
                          (SELECT COALESCE(MAX(not_before), 0) FROM outbound
                           WHERE peer = $1 AND lane = $7 AND returned IS NULL),
                          $9, $10";
        for (number, one) in (last.saturating_sub(count).saturating_add(1)..).zip(new) {
            let (sender, item) = (&one.sender.as_bytes()[..], &one.item.as_bytes()[..]);
            for text in replace {
                self.execute(query(text).bind(sender).bind(item)).await?;
            }
            let put = query(put)
                .bind(peer.as_str())
                .bind(to_row(number))
                .bind(sender)
                .bind(one.device.as_ref().map(|device| &device.as_bytes()[..]))
                .bind(item)
                .bind(one.receiver.as_ref().map(|user| &user.as_bytes()[..]))
                .bind(&one.lane.as_bytes()[..])
                .bind(one.at.to_row())
                .bind(to_row(one.size()))
                .bind(&one.content[..]);
            self.execute(put).await?;
        }
        Ok(())
    }

    async fn settle_outbound(
        &mut self,
        peer: &ServerName,
        numbers: &[u64],
    ) -> Result<(), StorageError> {
        let text = "DELETE FROM outbound WHERE peer = $1 AND number = $2";
        for number in numbers {
            self.execute(query(text).bind(peer.as_str()).bind(to_row(*number))).await?;
        }
        Ok(())
    }

    async fn return_outbound(
        &mut self,
        peer: &ServerName,
        number: u64,
        returned: &Returned,
    ) -> Result<(), StorageError> {
        // It is sealed again, or given up: nobody reads it any more.
        let text = "UPDATE outbound SET returned = $3, content = $4
                    WHERE peer = $1 AND number = $2";
        let update = query(text)
            .bind(peer.as_str())
            .bind(to_row(number))
            .bind(codec::encode(returned))
            .bind(Vec::<u8>::new());
        self.execute(update).await.map(|_| ())
    }

    async fn delay_lane(
        &mut self,
        peer: &ServerName,
        lane: Digest,
        not_before: Timestamp,
        reason: &str,
    ) -> Result<(), StorageError> {
        self.hold_queue(peer).await?;
        let text = "UPDATE outbound SET not_before = $3, reason = $4
                    WHERE peer = $1 AND lane = $2 AND returned IS NULL";
        let update = query(text)
            .bind(peer.as_str())
            .bind(&lane.as_bytes()[..])
            .bind(not_before.to_row())
            .bind(reason);
        self.execute(update).await.map(|_| ())
    }

    async fn hurry_outbound(&mut self, peer: &ServerName) -> Result<(), StorageError> {
        let text = "UPDATE outbound SET not_before = 0
                    WHERE peer = $1 AND returned IS NULL AND not_before > 0";
        self.execute(query(text).bind(peer.as_str())).await.map(|_| ())
    }

    async fn dismiss_returned(
        &mut self,
        sender: UserId,
        device: DeviceId,
        items: &[ItemId],
    ) -> Result<u64, StorageError> {
        let texts = [
            "DELETE FROM outbound
             WHERE sender = $1 AND device = $2 AND item = $3 AND returned IS NOT NULL",
            "DELETE FROM undelivered WHERE sender = $1 AND device = $2 AND item = $3",
        ];
        let mut dismissed = 0_u64;
        for (item, text) in items.iter().flat_map(|item| texts.map(|text| (item, text))) {
            let delete = query(text)
                .bind(&sender.as_bytes()[..])
                .bind(&device.as_bytes()[..])
                .bind(&item.as_bytes()[..]);
            dismissed = dismissed.saturating_add(self.execute(delete).await?);
        }
        Ok(dismissed)
    }

    async fn expire_outbound(
        &mut self,
        peer: &ServerName,
        before: Timestamp,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError> {
        let forget = "DELETE FROM outbound WHERE peer = $1 AND device IS NULL AND at < $2";
        self.execute(query(forget).bind(peer.as_str()).bind(before.to_row())).await?;
        let text = "UPDATE outbound SET returned = $3, content = $4
                    WHERE peer = $1 AND at < $2 AND returned IS NULL RETURNING sender, device";
        let expire = query(text)
            .bind(peer.as_str())
            .bind(before.to_row())
            .bind(codec::encode(&Returned::Expired))
            .bind(Vec::<u8>::new());
        let mut devices = BTreeSet::new();
        for row in &self.all(expire).await? {
            let cells = Cells::of("outbound", row);
            if let Some(device) = cells.id_if_any(1, DeviceId::from_slice)? {
                devices.insert((cells.id(0, UserId::from_slice)?, device));
            }
        }
        Ok(devices.into_iter().collect())
    }
}

fn outbound_of(row: &Row) -> Result<StoredOutbound, StorageError> {
    let cells = Cells::of("outbound", row);
    Ok(StoredOutbound {
        peer: cells.text(0)?.parse().map_err(|_| cells.impossible())?,
        number: cells.number(1)?,
        outbound: Outbound {
            sender: cells.id(2, UserId::from_slice)?,
            device: cells.id_if_any(3, DeviceId::from_slice)?,
            item: cells.id(4, ItemId::from_slice)?,
            receiver: cells.id_if_any(5, UserId::from_slice)?,
            lane: cells.id(6, Digest::from_slice)?,
            at: cells.time(7)?,
            content: cells.bytes(11)?.to_vec(),
        },
        not_before: cells.time(8)?,
        returned: cells.wire_if_any(9)?,
        reason: cells.text_if_any(10)?,
    })
}
