//! Peers, copies of their users, and queues for them.

use async_trait::async_trait;
use rookery_protocol::{
    codec,
    id::{ServerId, UserId},
    name::{ServerName, UserName},
    request::{contact::Standing, discovery::Rank, peering::PeerStanding},
    time::Timestamp,
};
use sqlx::query;

use super::{
    Handle, Row,
    row::{Cells, to_row},
};
use crate::repository::{
    StorageError,
    community::Belonging,
    peer::{PeerEdit, PeerRepository, PeerView, StoredFinding, StoredForeigner, StoredPeer},
};

#[async_trait]
impl PeerView for Handle {
    async fn peers(&mut self) -> Result<Vec<StoredPeer>, StorageError> {
        let roots = self.all(query("SELECT peer, root FROM peer_root ORDER BY root")).await?;
        let text = "SELECT peer, rank, place, reached FROM peer_finding ORDER BY peer, rank";
        let findings = self.all(query(text)).await?;
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
            let mut found = vec![];
            for finding in &findings {
                if Cells::of("peer_finding", finding).text(0)? == name {
                    found.push(finding_of(finding)?);
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
                findings: found,
            });
        }
        Ok(peers)
    }

    async fn idle_strangers(
        &mut self,
        only: Option<&ServerName>,
    ) -> Result<Vec<(ServerName, Timestamp)>, StorageError> {
        let text = "SELECT peer, reached FROM stranger
                    WHERE peer = COALESCE($4, peer)
                      AND NOT EXISTS (SELECT 1 FROM outbound WHERE outbound.peer = stranger.peer)
                      AND NOT EXISTS (SELECT 1 FROM foreigner
                          JOIN contact ON contact.user_id = foreigner.user_id
                          WHERE foreigner.peer = stranger.peer AND contact.standing IN ($1, $2))
                      AND NOT EXISTS (SELECT 1 FROM foreigner
                          JOIN membership ON membership.user_id = foreigner.user_id
                          JOIN community ON community.community = membership.community
                          WHERE foreigner.peer = stranger.peer AND membership.standing = $3
                            AND community.hub IS NULL)
                      AND NOT EXISTS (SELECT 1 FROM community
                          JOIN membership ON membership.community = community.community
                          JOIN account ON account.user_id = membership.user_id
                          WHERE community.hub = stranger.peer AND membership.standing = $3)
                    ORDER BY peer";
        let select = query(text)
            .bind(i64::from(Standing::Asked.number()))
            .bind(i64::from(Standing::Accepted.number()))
            .bind(i64::from(Belonging::Member.number()))
            .bind(only.map(ServerName::as_str));
        let read = |row: &Row| {
            let cells = Cells::of("stranger", row);
            Ok((cells.text(0)?.parse().map_err(|_| cells.impossible())?, cells.time(1)?))
        };
        self.all(select).await?.iter().map(read).collect()
    }

    async fn peer_may_read(
        &mut self,
        peer: &ServerName,
        user: UserId,
    ) -> Result<bool, StorageError> {
        let text = "SELECT 1 FROM peer_reader WHERE peer = $1 AND user_id = $2
                    UNION ALL
                    SELECT 1 FROM foreigner
                    JOIN membership theirs ON theirs.user_id = foreigner.user_id
                    JOIN membership named ON named.community = theirs.community
                    JOIN community ON community.community = theirs.community
                    WHERE foreigner.peer = $1 AND theirs.standing <> $3 AND named.user_id = $2
                      AND community.hub IS NULL
                    UNION ALL
                    SELECT 1 FROM membership
                    JOIN community ON community.community = membership.community
                    WHERE membership.user_id = $2 AND standing <> $3 AND community.hub = $1
                    LIMIT 1";
        let named = i64::from(Belonging::Named.number());
        let select = query(text).bind(peer.as_str()).bind(&user.as_bytes()[..]).bind(named);
        Ok(self.first(select).await?.is_some())
    }

    async fn foreigner(&mut self, user: UserId) -> Result<Option<StoredForeigner>, StorageError> {
        let text = "SELECT user_id, peer, name, head, brought FROM foreigner WHERE user_id = $1";
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
        let text = "SELECT COUNT(*) FROM foreigner WHERE COALESCE(brought, peer) = $1";
        let row = self.first(query(text).bind(peer.as_str())).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("foreigner", row).number(0))
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
        let forgets = "DELETE FROM peer_finding WHERE peer = $1
                       AND EXISTS (SELECT 1 FROM peer WHERE name = $1 AND root <> $2)";
        if let PeerEdit::Root(root) = edit {
            self.execute(query(forgets).bind(name.as_str()).bind(&root.as_bytes()[..])).await?;
        }
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
            PeerEdit::Found { .. } => (
                "INSERT INTO peer_finding (peer, rank, place, reached)
                 SELECT name, $3, $4, $5 FROM peer WHERE name = $1 AND root = $2
                 ON CONFLICT (peer, rank) DO UPDATE
                 SET place = excluded.place, reached = excluded.reached",
                None,
            ),
            PeerEdit::Lost { .. } => (
                "DELETE FROM peer_finding WHERE peer = $1 AND rank = $3
                 AND EXISTS (SELECT 1 FROM peer WHERE name = $1 AND root = $2)",
                None,
            ),
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
            PeerEdit::Found { root, finding } => update
                .bind(&root.as_bytes()[..])
                .bind(i64::from(finding.rank.number()))
                .bind(finding.place.to_string())
                .bind(finding.reached.as_ref().map(ToString::to_string)),
            PeerEdit::Lost { root, rank } => {
                update.bind(&root.as_bytes()[..]).bind(i64::from(rank.number()))
            }
        };
        let is_done = self.execute(update).await? > 0;
        if let (true, Some(root)) = (is_done, pinned) {
            self.put_root(name, root).await?;
        }
        Ok(is_done)
    }

    async fn put_stranger(
        &mut self,
        name: &ServerName,
        reached: Timestamp,
    ) -> Result<(), StorageError> {
        // Whoever was forgotten meanwhile is nobody.
        let text = "INSERT INTO stranger (peer, reached)
                    SELECT name, $2 FROM peer WHERE name = $1 ON CONFLICT DO NOTHING";
        self.execute(query(text).bind(name.as_str()).bind(reached.to_row())).await.map(|_| ())
    }

    async fn reach_stranger(
        &mut self,
        name: &ServerName,
        reached: Timestamp,
    ) -> Result<(), StorageError> {
        let text = "UPDATE stranger SET reached = $2 WHERE peer = $1";
        self.execute(query(text).bind(name.as_str()).bind(reached.to_row())).await.map(|_| ())
    }

    async fn end_stranger(&mut self, name: &ServerName) -> Result<(), StorageError> {
        let text = "DELETE FROM stranger WHERE peer = $1";
        self.execute(query(text).bind(name.as_str())).await.map(|_| ())
    }

    async fn remove_peer(&mut self, name: &ServerName) -> Result<bool, StorageError> {
        let text = "DELETE FROM peer WHERE name = $1";
        for text in [
            "DELETE FROM outbound WHERE peer = $1",
            "DELETE FROM peer_reader WHERE peer = $1",
            "DELETE FROM peer_root WHERE peer = $1",
            "DELETE FROM peer_finding WHERE peer = $1",
            "DELETE FROM peer_farewell WHERE peer = $1",
            "DELETE FROM stranger WHERE peer = $1",
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
        let text = "INSERT INTO foreigner (user_id, peer, name, head, brought)
                    VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (user_id) DO UPDATE
                    SET peer = excluded.peer, name = excluded.name, head = excluded.head,
                        brought = excluded.brought";
        let put = query(text)
            .bind(&foreigner.user.as_bytes()[..])
            .bind(foreigner.peer.as_str())
            .bind(foreigner.name.as_ref().map(UserName::as_str))
            .bind(foreigner.head.as_ref().map(codec::encode))
            .bind(foreigner.brought.as_ref().map(ServerName::as_str));
        self.execute(put).await.map(|_| ())
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

fn finding_of(row: &Row) -> Result<StoredFinding, StorageError> {
    let cells = Cells::of("peer_finding", row);
    let reached = cells.text_if_any(3)?.map(|text| text.parse()).transpose();
    Ok(StoredFinding {
        rank: cells.choice(1, Rank::from_number)?,
        place: cells.text(2)?.parse().map_err(|_| cells.impossible())?,
        reached: reached.map_err(|_| cells.impossible())?,
    })
}

fn foreigner_of(row: &Row) -> Result<StoredForeigner, StorageError> {
    let cells = Cells::of("foreigner", row);
    let name = cells.text_if_any(2)?.map(|text| text.parse()).transpose();
    let brought = cells.text_if_any(4)?.map(|text| text.parse()).transpose();
    Ok(StoredForeigner {
        user: cells.id(0, UserId::from_slice)?,
        peer: cells.text(1)?.parse().map_err(|_| cells.impossible())?,
        name: name.map_err(|_| cells.impossible())?,
        head: cells.wire_if_any(3)?,
        brought: brought.map_err(|_| cells.impossible())?,
    })
}
