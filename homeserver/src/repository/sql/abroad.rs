//! Communities whose members live on several servers.

use async_trait::async_trait;
use rookery_protocol::{
    chain::SignedHead,
    codec,
    id::{ChainId, CommunityId, UserId},
    name::ServerName,
};
use sqlx::query;

use super::{
    Handle, Row,
    row::{Cells, to_row},
};
use crate::repository::{
    StorageError,
    abroad::{AbroadRepository, AbroadView},
    community::Belonging,
};

#[async_trait]
impl AbroadView for Handle {
    async fn foreigners_in(
        &mut self,
        community: CommunityId,
    ) -> Result<Vec<(ServerName, UserId)>, StorageError> {
        let text = "SELECT foreigner.peer, membership.user_id FROM membership
                    JOIN foreigner ON foreigner.user_id = membership.user_id
                    WHERE membership.community = $1 AND standing <> $2
                    ORDER BY foreigner.peer, membership.user_id";
        let select = query(text).bind(&community.as_bytes()[..]).bind(named());
        let read = |row: &Row| {
            let cells = Cells::of("foreigner", row);
            let peer = cells.text(0)?.parse().map_err(|_| cells.impossible())?;
            Ok((peer, cells.id(1, UserId::from_slice)?))
        };
        self.all(select).await?.iter().map(read).collect()
    }

    async fn foreigners_of_in(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Vec<UserId>, StorageError> {
        let text = "SELECT membership.user_id FROM membership
                    JOIN foreigner ON foreigner.user_id = membership.user_id
                    WHERE membership.community = $1 AND standing <> $2 AND foreigner.peer = $3
                    ORDER BY membership.user_id";
        let select = query(text).bind(&community.as_bytes()[..]).bind(named()).bind(peer.as_str());
        self.all(select).await?.iter().map(user_of).collect()
    }

    async fn residents_in(&mut self, community: CommunityId) -> Result<Vec<UserId>, StorageError> {
        let text = "SELECT membership.user_id FROM membership
                    JOIN account ON account.user_id = membership.user_id
                    WHERE membership.community = $1 AND standing <> $2
                    ORDER BY membership.user_id";
        let select = query(text).bind(&community.as_bytes()[..]).bind(named());
        self.all(select).await?.iter().map(user_of).collect()
    }

    async fn communities_for(
        &mut self,
        peer: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let text = "SELECT community FROM community
                    WHERE community > $2 AND hub IS NULL AND community IN (
                        SELECT membership.community FROM foreigner
                        JOIN membership ON membership.user_id = foreigner.user_id
                        WHERE foreigner.peer = $1 AND standing <> $3
                        UNION SELECT community FROM peer_farewell WHERE peer = $1)
                    ORDER BY community LIMIT $4";
        let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
        let select =
            query(text).bind(peer.as_str()).bind(after).bind(named()).bind(i64::from(most));
        let read = |row: &Row| Cells::of("community", row).id(0, CommunityId::from_slice);
        self.all(select).await?.iter().map(read).collect()
    }

    async fn farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Option<u64>, StorageError> {
        let text = "SELECT seq FROM peer_farewell WHERE peer = $1 AND community = $2";
        let select = query(text).bind(peer.as_str()).bind(&community.as_bytes()[..]);
        let row = self.first(select).await?;
        row.as_ref().map(|row| Cells::of("peer_farewell", row).number(0)).transpose()
    }

    async fn copied_head(&mut self, chain: ChainId) -> Result<Option<SignedHead>, StorageError> {
        let text = "SELECT head FROM copied_head WHERE chain = $1";
        let row = self.first(query(text).bind(&chain.as_bytes()[..])).await?;
        row.as_ref().map(|row| Cells::of("copied_head", row).wire(0)).transpose()
    }

    async fn copies_from(
        &mut self,
        hub: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let text = "SELECT community FROM community
                    WHERE hub = $1 AND community > $2 AND NOT deleted ORDER BY community LIMIT $3";
        let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
        let select = query(text).bind(hub.as_str()).bind(after).bind(i64::from(most));
        let rows = self.all(select).await?;
        rows.iter().map(|row| Cells::of("community", row).id(0, CommunityId::from_slice)).collect()
    }

    async fn copies_of(&mut self, hub: &ServerName) -> Result<u64, StorageError> {
        let text = "SELECT COUNT(*) FROM community WHERE hub = $1 AND NOT deleted";
        let row = self.first(query(text).bind(hub.as_str())).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("community", row).number(0))
    }
}

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

    async fn put_copied_head(
        &mut self,
        chain: ChainId,
        head: &SignedHead,
    ) -> Result<(), StorageError> {
        let text = "INSERT INTO copied_head (chain, head) VALUES ($1, $2)
                    ON CONFLICT (chain) DO UPDATE SET head = excluded.head";
        let put = query(text).bind(&chain.as_bytes()[..]).bind(codec::encode(head));
        self.execute(put).await.map(|_| ())
    }
}

fn named() -> i64 {
    i64::from(Belonging::Named.number())
}

fn user_of(row: &Row) -> Result<UserId, StorageError> {
    Cells::of("membership", row).id(0, UserId::from_slice)
}
