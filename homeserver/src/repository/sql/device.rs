//! Devices and boxes.

use async_trait::async_trait;
use rookery_protocol::{
    codec::Octets,
    id::{DeviceId, UserId},
    user::PukBox,
};
use sqlx::query;

use super::{Handle, Row, row::Cells};
use crate::repository::{
    StorageError,
    device::{DeviceFacts, DeviceRepository, DeviceSeen, DeviceView},
};

#[async_trait]
impl DeviceView for Handle {
    async fn devices(&mut self, user: UserId) -> Result<Vec<DeviceFacts>, StorageError> {
        let text = "SELECT known.device, device.last_seen, COALESCE(mailbox_head.waiting, 0)
                    FROM (SELECT device FROM device WHERE user_id = $1
                          UNION SELECT device FROM mailbox_head WHERE user_id = $1) AS known
                    LEFT JOIN device ON device.device = known.device AND device.user_id = $1
                    LEFT JOIN mailbox_head
                      ON mailbox_head.device = known.device AND mailbox_head.user_id = $1
                    ORDER BY known.device";
        let rows = self.all(query(text).bind(&user.as_bytes()[..])).await?;
        let read = |row: &Row| {
            let cells = Cells::of("device", row);
            Ok(DeviceFacts {
                device: cells.id(0, DeviceId::from_slice)?,
                last_seen: cells.time_if_any(1)?,
                waiting: cells.number(2)?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn boxes(&mut self, user: UserId, device: DeviceId) -> Result<Vec<PukBox>, StorageError> {
        let text = "SELECT generation, sealed FROM puk_box WHERE user_id = $1 AND receiver = $2
                    ORDER BY generation DESC LIMIT 1";
        let mut boxes = vec![];
        for receiver in [Some(device), None] {
            let row = self
                .first(
                    query(text).bind(&user.as_bytes()[..]).bind(receiver_bytes(receiver.as_ref())),
                )
                .await?;
            if let Some(row) = &row {
                let cells = Cells::of("puk_box", row);
                let sealed = Octets::parse(cells.bytes(1)?.to_vec());
                boxes.push(PukBox {
                    generation: cells.number(0)?,
                    device: receiver,
                    sealed: sealed.map_err(|_| cells.impossible())?,
                });
            }
        }
        Ok(boxes)
    }
}

#[async_trait]
impl DeviceRepository for Handle {
    async fn note_seen(&mut self, seen: &[DeviceSeen]) -> Result<(), StorageError> {
        let account = "UPDATE account SET last_seen = $2
                       WHERE user_id = $1 AND state <> 3 AND (last_seen IS NULL OR last_seen < $2)";
        let device = "INSERT INTO device (device, user_id, last_seen)
                      SELECT $1, user_id, $3 FROM account WHERE user_id = $2 AND state <> 3
                      ON CONFLICT (device) DO UPDATE SET last_seen = excluded.last_seen
                      WHERE device.user_id = excluded.user_id
                        AND device.last_seen < excluded.last_seen";
        // In one order for all nodes, so that two never wait for each other.
        let mut seen = seen.to_vec();
        seen.sort_by_key(|seen| (seen.user, seen.device, seen.at));
        for DeviceSeen { user, at, .. } in &seen {
            self.execute(query(account).bind(&user.as_bytes()[..]).bind(at.to_row())).await?;
        }
        for DeviceSeen { user, device: which, at } in &seen {
            let (which, user) = (&which.as_bytes()[..], &user.as_bytes()[..]);
            self.execute(query(device).bind(which).bind(user).bind(at.to_row())).await?;
        }
        Ok(())
    }

    async fn put_boxes(&mut self, user: UserId, boxes: &[PukBox]) -> Result<(), StorageError> {
        let text = "INSERT INTO puk_box (user_id, receiver, generation, sealed)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT (user_id, receiver, generation)
                    DO UPDATE SET sealed = excluded.sealed";
        for sealed in boxes {
            let insert = query(text)
                .bind(&user.as_bytes()[..])
                .bind(receiver_bytes(sealed.device.as_ref()))
                .bind(i64::from(sealed.generation))
                .bind(sealed.sealed.as_slice());
            self.execute(insert).await?;
        }
        Ok(())
    }

    async fn forget_device(&mut self, user: UserId, device: DeviceId) -> Result<(), StorageError> {
        for text in [
            "DELETE FROM puk_box WHERE user_id = $1 AND receiver = $2",
            "DELETE FROM prekey WHERE user_id = $1 AND device = $2",
            "DELETE FROM mailbox WHERE device IN
                (SELECT device FROM mailbox_head WHERE user_id = $1 AND device = $2)",
            "UPDATE mailbox_head SET waiting = 0, bytes = 0 WHERE user_id = $1 AND device = $2",
        ] {
            let (user, device) = (&user.as_bytes()[..], &device.as_bytes()[..]);
            self.execute(query(text).bind(user).bind(device)).await?;
        }
        Ok(())
    }
}

/// The recovery key's boxes stand under no device.
fn receiver_bytes(device: Option<&DeviceId>) -> &[u8] {
    device.map_or(&[][..], |device| &device.as_bytes()[..])
}
