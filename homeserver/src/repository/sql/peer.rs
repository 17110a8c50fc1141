//! Peers, copies of their users, and queues for them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    codec,
    id::{DeviceId, Digest, ItemId, ServerId, UserId},
    name::{ServerName, UserName},
    request::{message::Returned, peering::PeerStanding},
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Row,
    row::{Cells, to_row},
};
use crate::repository::{
    Limit, StorageError,
    peer::{
        Backlog, Outbound, PeerEdit, PeerRepository, PeerView, StoredForeigner, StoredOutbound,
        StoredPeer,
    },
};

/// The columns of a thing in a queue, as [`outbound_of`] reads them.
macro_rules! outbound_columns {
    () => {
        "peer, number, sender, device, item, receiver, lane, at, not_before, returned, reason, content"
    };
}

#[async_trait]
impl PeerView for Handle {
    async fn peers(&mut self) -> Result<Vec<StoredPeer>, StorageError> {
        let roots = self.all(query("SELECT peer, root FROM peer_root ORDER BY root")).await?;
        let text = "SELECT name, address, root, standing, offered, record, added FROM peer
                    ORDER BY name";
        let rows = self.all(query(text)).await?;
        let mut peers = Vec::with_capacity(rows.len());
        for row in &rows {
            let cells = Cells::of("peer", row);
            let name = cells.text(0)?;
            let mut known = vec![];
            for root in &roots {
                let root = Cells::of("peer_root", root);
                if root.text(0)? == name {
                    known.push(root.id(1, ServerId::from_slice)?);
                }
            }
            let address = cells.text_if_any(1)?.map(|text| text.parse()).transpose();
            peers.push(StoredPeer {
                name: name.parse().map_err(|_| cells.impossible())?,
                address: address.map_err(|_| cells.impossible())?,
                root: cells.id_if_any(2, ServerId::from_slice)?,
                standing: cells.choice(3, PeerStanding::from_number)?,
                offered: cells.id_if_any(4, ServerId::from_slice)?,
                record: cells.number(5)?,
                added: cells.time(6)?,
                roots: known,
            });
        }
        Ok(peers)
    }

    async fn peer_may_read(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<bool, StorageError> {
        let text = "SELECT 1 FROM peer_reader WHERE peer = $1 AND user_id = $2";
        let select = query(text).bind(peer.as_str()).bind(&user.as_bytes()[..]);
        Ok(self.first(select).await?.is_some())
    }

    async fn foreigner(&mut self, user: UserId) -> Result<Option<StoredForeigner>, StorageError> {
        let text = "SELECT user_id, peer, name, head FROM foreigner WHERE user_id = $1";
        let row = self.first(query(text).bind(&user.as_bytes()[..])).await?;
        row.as_ref().map(foreigner_of).transpose()
    }

    async fn foreigner_named(
        &mut self,
        peer: &ServerName,
        name: &UserName,
    ) -> Result<Option<UserId>, StorageError> {
        let text = "SELECT user_id FROM foreigner WHERE peer = $1 AND name = $2
                    ORDER BY user_id LIMIT 1";
        let row = self.first(query(text).bind(peer.as_str()).bind(name.as_str())).await?;
        let row = row.as_ref();
        row.map(|row| Cells::of("foreigner", row).id(0, UserId::from_slice)).transpose()
    }

    async fn foreigners_of(
        &mut self,
        peer: &ServerName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserId>, StorageError> {
        let text = "SELECT user_id FROM foreigner WHERE peer = $1 AND user_id > $2
                    ORDER BY user_id LIMIT $3";
        let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
        let select = query(text).bind(peer.as_str()).bind(after).bind(i64::from(limit));
        let rows = self.all(select).await?;
        rows.iter().map(|row| Cells::of("foreigner", row).id(0, UserId::from_slice)).collect()
    }

    async fn foreigner_count(&mut self, peer: &ServerName) -> Result<u64, StorageError> {
        let text = "SELECT COUNT(*) FROM foreigner WHERE peer = $1";
        let row = self.first(query(text).bind(peer.as_str())).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("foreigner", row).number(0))
    }

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
impl PeerRepository for Handle {
    async fn put_peer(&mut self, peer: &StoredPeer) -> Result<bool, StorageError> {
        let text = "INSERT INTO peer (name, address, root, standing, offered, record, added)
                    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING";
        let put = query(text)
            .bind(peer.name.as_str())
            .bind(peer.address.as_ref().map(ToString::to_string))
            .bind(peer.root.as_ref().map(|root| &root.as_bytes()[..]))
            .bind(i64::from(peer.standing.number()))
            .bind(peer.offered.as_ref().map(|root| &root.as_bytes()[..]))
            .bind(to_row(peer.record))
            .bind(peer.added.to_row());
        let is_new = self.execute(put).await? > 0;
        if let (true, Some(root)) = (is_new, peer.root) {
            self.put_root(&peer.name, root).await?;
        }
        Ok(is_new)
    }

    async fn edit_peer(
        &mut self,
        name: &ServerName,
        edit: &PeerEdit,
    ) -> Result<bool, StorageError> {
        let (text, pinned) = match edit {
            PeerEdit::Standing(_) => ("UPDATE peer SET standing = $2 WHERE name = $1", None),
            PeerEdit::Place { root, .. } => (
                "UPDATE peer SET address = $2, root = $3
                 WHERE name = $1 AND (root IS NULL OR root = $3)",
                Some(*root),
            ),
            PeerEdit::Root(root) => (
                "UPDATE peer SET record = CASE WHEN root = $2 THEN record ELSE 0 END,
                                 root = $2, offered = NULL
                 WHERE name = $1",
                Some(*root),
            ),
            PeerEdit::Record { .. } => {
                ("UPDATE peer SET record = $3 WHERE name = $1 AND root = $2 AND record < $3", None)
            }
            PeerEdit::Offered { .. } => {
                ("UPDATE peer SET offered = $3 WHERE name = $1 AND root = $2", None)
            }
        };
        let update = query(text).bind(name.as_str());
        let update = match edit {
            PeerEdit::Standing(standing) => update.bind(i64::from(standing.number())),
            PeerEdit::Place { address, root } => {
                update.bind(address.to_string()).bind(&root.as_bytes()[..])
            }
            PeerEdit::Root(root) => update.bind(&root.as_bytes()[..]),
            PeerEdit::Record { root, number } => {
                update.bind(&root.as_bytes()[..]).bind(to_row(*number))
            }
            PeerEdit::Offered { pinned, offered } => {
                update.bind(&pinned.as_bytes()[..]).bind(&offered.as_bytes()[..])
            }
        };
        let is_done = self.execute(update).await? > 0;
        if let (true, Some(root)) = (is_done, pinned) {
            self.put_root(name, root).await?;
        }
        Ok(is_done)
    }

    async fn remove_peer(&mut self, name: &ServerName) -> Result<bool, StorageError> {
        let text = "DELETE FROM peer WHERE name = $1";
        for text in [
            "DELETE FROM outbound WHERE peer = $1",
            "DELETE FROM peer_reader WHERE peer = $1",
            "DELETE FROM peer_root WHERE peer = $1",
            "DELETE FROM peer_farewell WHERE peer = $1",
        ] {
            self.execute(query(text).bind(name.as_str())).await?;
        }
        Ok(self.execute(query(text).bind(name.as_str())).await? > 0)
    }

    async fn let_peer_read(&mut self, peer: &ServerName, user: UserId) -> Result<(), StorageError> {
        let text = "INSERT INTO peer_reader (peer, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let put = query(text).bind(peer.as_str()).bind(&user.as_bytes()[..]);
        self.execute(put).await.map(|_| ())
    }

    async fn end_peer_reading(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<(), StorageError> {
        let text = "DELETE FROM peer_reader WHERE peer = $1 AND user_id = $2";
        let delete = query(text).bind(peer.as_str()).bind(&user.as_bytes()[..]);
        self.execute(delete).await.map(|_| ())
    }

    async fn name_foreigner(&mut self, user: UserId, name: &UserName) -> Result<(), StorageError> {
        let text = "UPDATE foreigner SET name = $2 WHERE user_id = $1";
        let update = query(text).bind(&user.as_bytes()[..]).bind(name.as_str());
        self.execute(update).await.map(|_| ())
    }

    async fn put_foreigner(&mut self, foreigner: &StoredForeigner) -> Result<(), StorageError> {
        let text = "INSERT INTO foreigner (user_id, peer, name, head) VALUES ($1, $2, $3, $4)
                    ON CONFLICT (user_id) DO UPDATE
                    SET peer = excluded.peer, name = excluded.name, head = excluded.head";
        let put = query(text)
            .bind(&foreigner.user.as_bytes()[..])
            .bind(foreigner.peer.as_str())
            .bind(foreigner.name.as_ref().map(UserName::as_str))
            .bind(foreigner.head.as_ref().map(codec::encode));
        self.execute(put).await.map(|_| ())
    }

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
        let text = "UPDATE outbound SET not_before = 0 WHERE peer = $1 AND returned IS NULL";
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

impl Handle {
    /// A root that a peer is known by, unless it is another's.
    async fn put_root(&mut self, peer: &ServerName, root: ServerId) -> Result<(), StorageError> {
        let text = "INSERT INTO peer_root (root, peer) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let put = query(text).bind(&root.as_bytes()[..]).bind(peer.as_str());
        self.execute(put).await.map(|_| ())
    }
}

fn foreigner_of(row: &Row) -> Result<StoredForeigner, StorageError> {
    let cells = Cells::of("foreigner", row);
    let name = cells.text_if_any(2)?.map(|text| text.parse()).transpose();
    Ok(StoredForeigner {
        user: cells.id(0, UserId::from_slice)?,
        peer: cells.text(1)?.parse().map_err(|_| cells.impossible())?,
        name: name.map_err(|_| cells.impossible())?,
        head: cells.wire_if_any(3)?,
    })
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
