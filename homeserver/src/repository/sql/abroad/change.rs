//! What is changed about communities whose members live on several servers.

use async_trait::async_trait;
use rookery_protocol::{
    codec,
    community::Fork,
    id::{ChainId, CommunityId},
    name::ServerName,
    time::Timestamp,
};
use sqlx::query;

use super::super::{Handle, row::to_row};
use crate::repository::{
    StorageError,
    abroad::{AbroadRepository, CopiedHead},
};

#[async_trait]
impl AbroadRepository for Handle {
    async fn put_farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
        seq: u64,
    ) -> Result<(), StorageError> {
        // Whoever was forgotten as a peer meanwhile is owed no farewell.
        let text = "INSERT INTO peer_farewell (peer, community, seq)
                    SELECT name, $2, $3 FROM peer WHERE name = $1
                    ON CONFLICT (peer, community) DO UPDATE SET seq = excluded.seq
                    WHERE excluded.seq > peer_farewell.seq";
        let put = query(text).bind(peer.as_str()).bind(&community.as_bytes()[..]).bind(to_row(seq));
        self.execute(put).await.map(|_| ())
    }

    async fn end_farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<(), StorageError> {
        let text = "DELETE FROM peer_farewell WHERE peer = $1 AND community = $2";
        let end = query(text).bind(peer.as_str()).bind(&community.as_bytes()[..]);
        self.execute(end).await.map(|_| ())
    }

    async fn note_copy(
        &mut self,
        community: CommunityId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let community = &community.as_bytes()[..];
        let needed = concat!(
            "UPDATE community SET unused_since = NULL
             WHERE community = $1 AND unused_since IS NOT NULL AND NOT deleted AND EXISTS ",
            needing!()
        );
        self.execute(query(needed).bind(community)).await?;
        let unused = concat!(
            "UPDATE community SET unused_since = $2
             WHERE hub IS NOT NULL AND NOT was_hub AND unused_since IS NULL AND NOT deleted
               AND community = $1 AND NOT EXISTS ",
            needing!()
        );
        self.execute(query(unused).bind(community).bind(now.to_row())).await.map(|_| ())
    }

    async fn begin_drop(&mut self, community: CommunityId) -> Result<bool, StorageError> {
        let community = &community.as_bytes()[..];
        let begin = concat!(
            "UPDATE community SET deleted = $2
             WHERE community = $1 AND hub IS NOT NULL AND unused_since IS NOT NULL
               AND NOT deleted AND NOT EXISTS ",
            needing!()
        );
        if self.execute(query(begin).bind(community).bind(true)).await? == 0 {
            return Ok(false);
        }
        let remember = "INSERT INTO dropped_copy (community, hub, seq, told)
                        SELECT community.community, community.hub, chain.head_seq, $2 FROM community
                        JOIN community_chain ON community_chain.community = community.community
                            AND community_chain.channel IS NULL
                        JOIN chain ON chain.chain = community_chain.chain
                        WHERE community.community = $1 AND chain.head_seq IS NOT NULL
                        ON CONFLICT (community) DO UPDATE
                            SET hub = excluded.hub, seq = excluded.seq, told = excluded.told";
        self.execute(query(remember).bind(community).bind(false)).await?;
        let parted = "DELETE FROM membership WHERE community = $1";
        self.execute(query(parted).bind(community)).await?;
        Ok(true)
    }

    async fn go_on_with_drop(
        &mut self,
        community: CommunityId,
        entries: u32,
        blobs: u32,
    ) -> Result<bool, StorageError> {
        let community = &community.as_bytes()[..];
        let some_entries = "DELETE FROM entry WHERE (chain, seq) IN
                 (SELECT entry.chain, entry.seq FROM community
                  JOIN community_chain ON community_chain.community = community.community
                  JOIN entry ON entry.chain = community_chain.chain
                  WHERE community.community = $1 AND deleted AND unused_since IS NOT NULL LIMIT $2)";
        let some_blobs = "DELETE FROM blob WHERE (community, blob, user_id) IN
                 (SELECT blob.community, blob.blob, blob.user_id FROM community
                  JOIN blob ON blob.community = community.community
                  WHERE community.community = $1 AND deleted AND unused_since IS NOT NULL LIMIT $2)";
        for (text, most) in [(some_entries, entries), (some_blobs, blobs)] {
            if self.execute(query(text).bind(community).bind(i64::from(most))).await? > 0 {
                return Ok(true);
            }
        }
        for text in [
            "DELETE FROM chain WHERE chain IN
                 (SELECT community_chain.chain FROM community
                  JOIN community_chain ON community_chain.community = community.community
                  WHERE community.community = $1 AND deleted AND unused_since IS NOT NULL)",
            "DELETE FROM peer_farewell WHERE community IN
                 (SELECT community FROM community
                  WHERE community = $1 AND deleted AND unused_since IS NOT NULL)",
            "DELETE FROM community WHERE community = $1 AND deleted AND unused_since IS NOT NULL",
        ] {
            self.execute(query(text).bind(community)).await?;
        }
        Ok(false)
    }

    async fn settle_drop(
        &mut self,
        community: CommunityId,
        is_over: bool,
    ) -> Result<(), StorageError> {
        let community = &community.as_bytes()[..];
        let text = if is_over {
            "DELETE FROM dropped_copy WHERE community = $1"
        } else {
            "UPDATE dropped_copy SET told = TRUE WHERE community = $1"
        };
        self.execute(query(text).bind(community)).await.map(|_| ())
    }

    async fn put_former_hub(
        &mut self,
        community: CommunityId,
        hub: &ServerName,
    ) -> Result<(), StorageError> {
        let text = "INSERT INTO former_hub (community, hub) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let put = query(text).bind(&community.as_bytes()[..]).bind(hub.as_str());
        self.execute(put).await.map(|_| ())
    }

    async fn put_copied_head(
        &mut self,
        chain: ChainId,
        head: &CopiedHead,
    ) -> Result<(), StorageError> {
        let text = "INSERT INTO copied_head (chain, head, record) VALUES ($1, $2, $3)
                    ON CONFLICT (chain) DO UPDATE
                    SET head = excluded.head, record = excluded.record";
        let put = query(text)
            .bind(&chain.as_bytes()[..])
            .bind(codec::encode(&head.head))
            .bind(head.record.as_ref().map(codec::encode));
        self.execute(put).await.map(|_| ())
    }

    async fn put_fork(
        &mut self,
        community: CommunityId,
        fork: &Fork,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let text = "INSERT INTO fork (chain, community, proof, found) VALUES ($1, $2, $3, $4)
                    ON CONFLICT DO NOTHING";
        let chain = fork.chain();
        let put = query(text)
            .bind(&chain.as_bytes()[..])
            .bind(&community.as_bytes()[..])
            .bind(codec::encode(fork))
            .bind(at.to_row());
        Ok(self.execute(put).await? > 0)
    }
}
