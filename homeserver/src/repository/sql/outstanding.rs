//! What devices have sent to other servers that is not there yet, or has come back.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    codec,
    id::{DeviceId, Digest, ItemId, UserId},
    name::ServerName,
    request::message::{OutstandingPlace, Returned},
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Row,
    row::{Cells, to_row},
};
use crate::repository::{
    StorageError,
    outstanding::{OutstandingRepository, OutstandingView, Recalled, StoredOutstanding},
};

#[async_trait]
impl OutstandingView for Handle {
    async fn outstanding(
        &mut self,
        sender: UserId,
        device: DeviceId,
        after: Option<&OutstandingPlace>,
        limit: u32,
    ) -> Result<Vec<StoredOutstanding>, StorageError> {
        let text = "SELECT peer, number, item, receiver, at, returned, reason FROM outbound
                    WHERE sender = $1 AND device = $2 AND receiver IS NOT NULL
                      AND (peer, number, item) > ($3, $4, $5)
                    UNION ALL
                    SELECT peer, number, item, receiver, at, returned, NULL FROM undelivered
                    WHERE sender = $1 AND device = $2 AND (peer, number, item) > ($3, $4, $5)
                    ORDER BY 1, 2, 3 LIMIT $6";
        let (server, number, item) = after.map_or((String::new(), 0, vec![]), |place| {
            (place.server.to_string(), place.number, place.message.as_bytes().to_vec())
        });
        let select = query(text)
            .bind(&sender.as_bytes()[..])
            .bind(&device.as_bytes()[..])
            .bind(server)
            .bind(to_row(number))
            .bind(item)
            .bind(i64::from(limit));
        self.all(select).await?.iter().map(outstanding_of).collect()
    }

    async fn is_undelivered(&mut self, sender: UserId, item: ItemId) -> Result<bool, StorageError> {
        let text = "SELECT 1 FROM undelivered WHERE sender = $1 AND item = $2";
        let select = query(text).bind(&sender.as_bytes()[..]).bind(&item.as_bytes()[..]);
        Ok(self.first(select).await?.is_some())
    }

    async fn returned_before(
        &mut self,
        before: Timestamp,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError> {
        let text = "SELECT sender, device FROM outbound
                    WHERE returned IS NOT NULL AND device IS NOT NULL AND at < $1
                    UNION SELECT sender, device FROM undelivered WHERE at < $1
                    ORDER BY 1, 2";
        let rows = self.all(query(text).bind(before.to_row())).await?;
        rows.iter().map(|row| owner_of("outbound", row)).collect()
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
        self.hold_queue(peer).await?;
        let text = "UPDATE outbound SET returned = $4, content = $5
                    WHERE peer = $1 AND lane = $2 AND number > $3 AND returned IS NULL
                      AND device IS NOT NULL
                    RETURNING sender, device, item, size";
        let update = query(text)
            .bind(peer.as_str())
            .bind(&lane.as_bytes()[..])
            .bind(to_row(after))
            .bind(codec::encode(returned))
            .bind(Vec::<u8>::new());
        let recalled = |row: &Row| {
            let cells = Cells::of("outbound", row);
            Ok(Recalled {
                sender: cells.id(0, UserId::from_slice)?,
                device: cells.id(1, DeviceId::from_slice)?,
                item: cells.id(2, ItemId::from_slice)?,
                size: cells.number(3)?,
            })
        };
        self.all(update).await?.iter().map(recalled).collect()
    }

    async fn keep_undelivered(
        &mut self,
        peer: &ServerName,
        returned: &Returned,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError> {
        self.hold_queue(peer).await?;
        let text = "INSERT INTO undelivered
                        (sender, item, device, receiver, peer, number, at, returned)
                    SELECT sender, item, device, receiver, peer, number, at,
                           COALESCE(returned, $2)
                    FROM outbound
                    WHERE peer = $1 AND device IS NOT NULL AND receiver IS NOT NULL
                    ON CONFLICT (sender, item) DO UPDATE
                    SET device = excluded.device, receiver = excluded.receiver,
                        peer = excluded.peer, number = excluded.number, at = excluded.at,
                        returned = excluded.returned
                    RETURNING sender, device";
        let keep = query(text).bind(peer.as_str()).bind(codec::encode(returned));
        let rows = self.all(keep).await?;
        let owners: Result<BTreeSet<_>, _> =
            rows.iter().map(|row| owner_of("undelivered", row)).collect();
        Ok(owners?.into_iter().collect())
    }

    async fn forget_returned(
        &mut self,
        sender: UserId,
        device: DeviceId,
    ) -> Result<(), StorageError> {
        for text in [
            "DELETE FROM outbound WHERE sender = $1 AND device = $2 AND returned IS NOT NULL",
            "DELETE FROM undelivered WHERE sender = $1 AND device = $2",
        ] {
            let delete = query(text).bind(&sender.as_bytes()[..]).bind(&device.as_bytes()[..]);
            self.execute(delete).await?;
        }
        Ok(())
    }
}

impl Handle {
    /// Holds the queue of a peer until the unit ends: whatever would join it waits, and is judged by what this unit does.
    pub(super) async fn hold_queue(&mut self, peer: &ServerName) -> Result<(), StorageError> {
        let text = "UPDATE peer SET last = last WHERE name = $1";
        self.execute(query(text).bind(peer.as_str())).await.map(|_| ())
    }
}

fn owner_of(table: &'static str, row: &Row) -> Result<(UserId, DeviceId), StorageError> {
    let cells = Cells::of(table, row);
    Ok((cells.id(0, UserId::from_slice)?, cells.id(1, DeviceId::from_slice)?))
}

fn outstanding_of(row: &Row) -> Result<StoredOutstanding, StorageError> {
    let cells = Cells::of("outbound", row);
    Ok(StoredOutstanding {
        place: OutstandingPlace {
            server: cells.text(0)?.parse().map_err(|_| cells.impossible())?,
            number: cells.number(1)?,
            message: cells.id(2, ItemId::from_slice)?,
        },
        receiver: cells.id(3, UserId::from_slice)?,
        at: cells.time(4)?,
        returned: cells.wire_if_any(5)?,
        reason: cells.text_if_any(6)?,
    })
}
