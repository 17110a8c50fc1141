//! Communities whose members live on several servers.

/// Finds somebody who lives here and needs the community of the row that is asked about: 4 is only being named, 3 a deleted account.
macro_rules! needing {
    () => {
        "(SELECT 1 FROM membership JOIN account ON account.user_id = membership.user_id
          WHERE membership.community = community.community
            AND membership.standing <> 4 AND account.state <> 3)"
    };
}

mod change;

use async_trait::async_trait;
use rookery_protocol::{
    chain::{Entry, HeadRef},
    codec::{self, MAX_BATCH},
    community::Fork,
    id::{ChainId, CommunityId, UserId},
    name::ServerName,
    time::Timestamp,
};
use sqlx::query;

use super::{Handle, Query, Row, many::Many, row::Cells};
use crate::repository::{
    StorageError,
    abroad::{AbroadView, CopiedHead, Copies},
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
                    WHERE community > $2 AND (hub IS NULL OR was_hub) AND community IN (
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

    async fn foreigners_of_in_all(
        &mut self,
        peer: &ServerName,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, UserId)>, StorageError> {
        static FOREIGNERS: Many = Many::new(
            "WITH wanted (peer, community) AS (",
            2,
            ") SELECT membership.community, membership.user_id FROM wanted
             JOIN membership ON membership.community = wanted.community
             JOIN foreigner ON foreigner.user_id = membership.user_id
                 AND foreigner.peer = wanted.peer
             WHERE membership.standing <> 4",
        );
        let rows = self.all_many(&FOREIGNERS, communities, of_peer(peer)).await?;
        let read = |row: &Row| {
            let cells = Cells::of("membership", row);
            Ok((cells.id(0, CommunityId::from_slice)?, cells.id(1, UserId::from_slice)?))
        };
        rows.iter().map(read).collect()
    }

    async fn farewells(
        &mut self,
        peer: &ServerName,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, HeadRef)>, StorageError> {
        static FAREWELLS: Many = Many::new(
            "WITH wanted (peer, community) AS (",
            2,
            ") SELECT peer_farewell.community, entry.encoded FROM wanted
             JOIN peer_farewell ON peer_farewell.peer = wanted.peer
                 AND peer_farewell.community = wanted.community
             JOIN community_chain ON community_chain.community = wanted.community
                 AND community_chain.channel IS NULL
             JOIN entry ON entry.chain = community_chain.chain AND entry.seq = peer_farewell.seq",
        );
        let rows = self.all_many(&FAREWELLS, communities, of_peer(peer)).await?;
        let read = |row: &Row| {
            let cells = Cells::of("peer_farewell", row);
            let last = cells.wire::<Entry>(1)?.seen().into();
            Ok((cells.id(0, CommunityId::from_slice)?, last))
        };
        rows.iter().map(read).collect()
    }

    async fn shared_with(
        &mut self,
        peer: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let text = "SELECT community FROM community
                    WHERE community > $2 AND hub IS NOT NULL AND hub <> $1 AND NOT deleted
                      AND community IN (
                        SELECT membership.community FROM foreigner
                        JOIN membership ON membership.user_id = foreigner.user_id
                        WHERE foreigner.peer = $1 AND standing <> $3)
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

    async fn copied_head(&mut self, chain: ChainId) -> Result<Option<CopiedHead>, StorageError> {
        let text = "SELECT head, record FROM copied_head WHERE chain = $1";
        let row = self.first(query(text).bind(&chain.as_bytes()[..])).await?;
        let read = |row: &Row| {
            let cells = Cells::of("copied_head", row);
            Ok(CopiedHead { head: cells.wire(0)?, record: cells.wire_if_any(1)? })
        };
        row.as_ref().map(read).transpose()
    }

    async fn copies_from(
        &mut self,
        hub: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let text = "SELECT community FROM community
                    WHERE community > $2 AND NOT deleted AND (hub = $1 OR community IN
                        (SELECT community FROM former_hub WHERE hub = $1))
                    ORDER BY community LIMIT $3";
        let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
        let select = query(text).bind(hub.as_str()).bind(after).bind(i64::from(most));
        let rows = self.all(select).await?;
        rows.iter().map(|row| Cells::of("community", row).id(0, CommunityId::from_slice)).collect()
    }

    async fn copies_of(&mut self, hub: &ServerName) -> Result<Copies, StorageError> {
        let text = "WITH copy (community) AS
                        (SELECT community FROM community WHERE hub = $1 AND NOT deleted)
                    SELECT (SELECT COUNT(*) FROM copy),
                           (SELECT CAST(COALESCE(SUM(chain.bytes), 0) AS BIGINT) FROM copy
                            JOIN community_chain ON community_chain.community = copy.community
                            JOIN chain ON chain.chain = community_chain.chain),
                           (SELECT CAST(COALESCE(SUM(blob.have), 0) AS BIGINT) FROM copy
                            JOIN blob ON blob.community = copy.community)";
        let row = self.first(query(text).bind(hub.as_str())).await?;
        let row = row.ok_or(StorageError::Inconsistent { table: "community" })?;
        let cells = Cells::of("community", &row);
        let (chains, blobs): (u64, u64) = (cells.number(1)?, cells.number(2)?);
        Ok(Copies { count: cells.number(0)?, bytes: chains.saturating_add(blobs) })
    }

    async fn copies_to_note(&mut self, most: u32) -> Result<Vec<CommunityId>, StorageError> {
        let wrong = concat!(
            "SELECT community FROM community
             WHERE hub IS NOT NULL AND NOT was_hub AND unused_since IS NULL AND NOT deleted AND NOT EXISTS ",
            needing!(),
            " UNION ALL
             SELECT community FROM community
             WHERE unused_since IS NOT NULL AND NOT deleted AND EXISTS ",
            needing!(),
            " ORDER BY community LIMIT $1"
        );
        let rows = self.all(query(wrong).bind(i64::from(most))).await?;
        rows.iter().map(|row| Cells::of("community", row).id(0, CommunityId::from_slice)).collect()
    }

    async fn unused_copies(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let text = "SELECT community FROM community
                    WHERE unused_since IS NOT NULL AND (deleted OR unused_since <= $1)
                    ORDER BY unused_since, community LIMIT $2";
        let rows = self.all(query(text).bind(before.to_row()).bind(i64::from(most))).await?;
        rows.iter().map(|row| Cells::of("community", row).id(0, CommunityId::from_slice)).collect()
    }

    async fn dropped_copy(&mut self, community: CommunityId) -> Result<Option<u64>, StorageError> {
        let text = "SELECT seq FROM dropped_copy WHERE community = $1";
        let row = self.first(query(text).bind(&community.as_bytes()[..])).await?;
        row.as_ref().map(|row| Cells::of("dropped_copy", row).number(0)).transpose()
    }

    async fn dropped_untold(
        &mut self,
        hub: &ServerName,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let text = "SELECT community FROM dropped_copy
                    WHERE hub = $1 AND NOT told ORDER BY community LIMIT $2";
        let rows = self.all(query(text).bind(hub.as_str()).bind(i64::from(most))).await?;
        let read = |row: &Row| Cells::of("dropped_copy", row).id(0, CommunityId::from_slice);
        rows.iter().map(read).collect()
    }

    async fn forks_of(&mut self, community: CommunityId) -> Result<Vec<Fork>, StorageError> {
        let text = "SELECT proof FROM fork WHERE community = $1 ORDER BY chain";
        let rows = self.all(query(text).bind(&community.as_bytes()[..])).await?;
        let read = |row: &Row| {
            let cells = Cells::of("fork", row);
            codec::decode_within(cells.bytes(0)?, MAX_BATCH).map_err(|_| cells.impossible())
        };
        rows.iter().map(read).collect()
    }

    async fn forked(
        &mut self,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, u32)>, StorageError> {
        static FORKED: Many = Many::new(
            "SELECT community, COUNT(*) FROM fork WHERE community IN (",
            1,
            ") GROUP BY community",
        );
        let bind = |query: Query<'static>, community: &CommunityId| {
            query.bind(community.as_bytes().to_vec())
        };
        let rows = self.all_many(&FORKED, communities, bind).await?;
        let read = |row: &Row| {
            let cells = Cells::of("fork", row);
            Ok((cells.id(0, CommunityId::from_slice)?, cells.number(1)?))
        };
        rows.iter().map(read).collect()
    }
}

/// Binds a peer beside each of several communities.
fn of_peer(peer: &ServerName) -> impl Fn(Query<'static>, &CommunityId) -> Query<'static> {
    move |query, community| query.bind(peer.to_string()).bind(community.as_bytes().to_vec())
}

fn named() -> i64 {
    i64::from(Belonging::Named.number())
}

fn user_of(row: &Row) -> Result<UserId, StorageError> {
    Cells::of("membership", row).id(0, UserId::from_slice)
}
