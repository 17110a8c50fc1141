//! Communities, Sender Keys, and how far members have read.

use async_trait::async_trait;
use rookery_protocol::{
    chain::Seen,
    community::{CommunityKind, SenderKeyUse},
    id::{ChainId, ChannelId, CommunityId, DeviceId, Digest, SenderKeyId, UserId},
    name::ServerName,
    request::contact::Standing,
};
use sqlx::query;

use super::{
    Handle, Query, Row,
    many::Many,
    row::{Cells, to_row},
};
use crate::repository::{
    StorageError,
    community::{
        Belonging, ChainPlace, CommunityRepository, CommunitySize, CommunityView, StoredCommunity,
        StoredSenderKey,
    },
};

#[async_trait]
impl CommunityView for Handle {
    async fn community(
        &mut self,
        community: CommunityId,
    ) -> Result<Option<StoredCommunity>, StorageError> {
        let text =
            "SELECT community, kind, founder, owner, frozen, deleted, created, hub, was_hub FROM community
                    WHERE community = $1";
        let row = self.first(query(text).bind(&community.as_bytes()[..])).await?;
        row.as_ref().map(community_of).transpose()
    }

    async fn communities(
        &mut self,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<StoredCommunity>, StorageError> {
        let text =
            "SELECT community, kind, founder, owner, frozen, deleted, created, hub, was_hub FROM community
                    WHERE community > $1 AND hub IS NULL ORDER BY community LIMIT $2";
        let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
        let rows = self.all(query(text).bind(after).bind(i64::from(most))).await?;
        rows.iter().map(community_of).collect()
    }

    async fn community_size(
        &mut self,
        community: CommunityId,
    ) -> Result<CommunitySize, StorageError> {
        let text = "SELECT (SELECT COUNT(*) FROM membership WHERE community = $1 AND standing = $2),
                           (SELECT COUNT(*) FROM community_chain
                            WHERE community = $1 AND channel IS NOT NULL),
                           (SELECT CAST(COALESCE(SUM(head_seq + 1), 0) AS BIGINT) FROM chain
                            WHERE chain IN (SELECT chain FROM community_chain WHERE community = $1)),
                           (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM chain
                            WHERE chain IN (SELECT chain FROM community_chain WHERE community = $1))";
        let member = i64::from(Belonging::Member.number());
        let row = self.first(query(text).bind(&community.as_bytes()[..]).bind(member)).await?;
        let row = row.ok_or(StorageError::Inconsistent { table: "community" })?;
        let cells = Cells::of("community", &row);
        Ok(CommunitySize {
            members: cells.number(0)?,
            channels: cells.number(1)?,
            entries: cells.number(2)?,
            bytes: cells.number(3)?,
        })
    }

    async fn chain_place(&mut self, chain: ChainId) -> Result<Option<ChainPlace>, StorageError> {
        let text = "SELECT community, channel FROM community_chain WHERE chain = $1";
        let row = self.first(query(text).bind(&chain.as_bytes()[..])).await?;
        let read = |row: &Row| {
            let cells = Cells::of("community_chain", row);
            let channel = cells.number_if_any(1)?.map(ChannelId::from_number);
            Ok(ChainPlace { community: cells.id(0, CommunityId::from_slice)?, channel })
        };
        row.as_ref().map(read).transpose()
    }

    async fn communities_of(
        &mut self,
        user: UserId,
    ) -> Result<Vec<(StoredCommunity, Belonging)>, StorageError> {
        let text =
            "SELECT community.community, kind, founder, owner, frozen, deleted, created, hub, was_hub,
                    standing
                    FROM membership JOIN community ON community.community = membership.community
                    WHERE user_id = $1 AND standing <> $2 AND NOT deleted
                    ORDER BY community.community";
        let named = i64::from(Belonging::Named.number());
        let rows = self.all(query(text).bind(&user.as_bytes()[..]).bind(named)).await?;
        let read = |row: &Row| {
            let cells = Cells::of("membership", row);
            Ok((community_of(row)?, cells.choice(9, Belonging::from_number)?))
        };
        rows.iter().map(read).collect()
    }

    async fn owned_communities(&mut self, user: UserId) -> Result<u32, StorageError> {
        let text =
            "SELECT COUNT(*) FROM community WHERE owner = $1 AND NOT deleted AND hub IS NULL";
        let row = self.first(query(text).bind(&user.as_bytes()[..])).await?;
        row.as_ref().map_or(Ok(0), |row| Cells::of("community", row).number(0))
    }

    async fn share_community(&mut self, user: UserId, other: UserId) -> Result<bool, StorageError> {
        let text = "SELECT 1 FROM membership ours JOIN membership theirs
                        ON theirs.community = ours.community
                    WHERE ours.user_id = $1 AND ours.standing = $3
                      AND theirs.user_id = $2 AND theirs.standing = $3 LIMIT 1";
        let select = query(text)
            .bind(&user.as_bytes()[..])
            .bind(&other.as_bytes()[..])
            .bind(i64::from(Belonging::Member.number()));
        Ok(self.first(select).await?.is_some())
    }

    async fn related(
        &mut self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<UserId>, StorageError> {
        // The user stands in each row, so that the parameters have one order in both databases.
        static RELATED: Many = Many::new(
            "WITH wanted (caller, other) AS (",
            2,
            ") SELECT DISTINCT wanted.other FROM wanted
             JOIN membership theirs ON theirs.user_id = wanted.other
             JOIN membership ours ON ours.community = theirs.community
                 AND ours.user_id = wanted.caller
             WHERE ours.standing <> 4",
        );
        let bind = |query: Query<'static>, other: &UserId| {
            query.bind(user.as_bytes().to_vec()).bind(other.as_bytes().to_vec())
        };
        let rows = self.all_many(&RELATED, others, bind).await?;
        rows.iter().map(|row| Cells::of("membership", row).id(0, UserId::from_slice)).collect()
    }

    async fn co_members(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<(UserId, u32)>, StorageError> {
        let text = "SELECT theirs.user_id, COUNT(*) FROM membership ours
                    JOIN membership theirs ON theirs.community = ours.community
                    WHERE ours.user_id = $1 AND ours.standing = $2 AND theirs.standing = $2
                      AND theirs.user_id <> $1
                    GROUP BY theirs.user_id ORDER BY COUNT(*) DESC, theirs.user_id LIMIT $3";
        let select = query(text)
            .bind(&user.as_bytes()[..])
            .bind(i64::from(Belonging::Member.number()))
            .bind(i64::from(most));
        self.all(select).await?.iter().map(counted).collect()
    }

    async fn contacts_of_contacts(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<(UserId, u32)>, StorageError> {
        let text = "SELECT theirs.user_id, COUNT(*) FROM contact ours
                    JOIN contact theirs ON theirs.owner = ours.user_id
                    WHERE ours.owner = $1 AND ours.standing = $2 AND theirs.standing = $2
                      AND theirs.user_id <> $1
                    GROUP BY theirs.user_id ORDER BY COUNT(*) DESC, theirs.user_id LIMIT $3";
        let select = query(text)
            .bind(&user.as_bytes()[..])
            .bind(i64::from(Standing::Accepted.number()))
            .bind(i64::from(most));
        self.all(select).await?.iter().map(counted).collect()
    }

    async fn sender_keys(
        &mut self,
        keys: &[(ChainId, SenderKeyId)],
    ) -> Result<Vec<StoredSenderKey>, StorageError> {
        static KEYS: Many = Many::new(
            "SELECT chain, sender_key, user_id, device, epoch, next_index, channel, head_seq, head_hash
             FROM sender_key WHERE (chain, sender_key) IN (",
            2,
            ")",
        );
        let bind = |query: Query<'static>, (chain, key): &(ChainId, SenderKeyId)| {
            query.bind(chain.as_bytes().to_vec()).bind(key.as_bytes().to_vec())
        };
        let rows = self.all_many(&KEYS, keys, bind).await?;
        let read = |row: &Row| {
            let cells = Cells::of("sender_key", row);
            Ok(StoredSenderKey {
                chain: cells.id(0, ChainId::from_slice)?,
                sender_key: cells.id(1, SenderKeyId::from_slice)?,
                used: SenderKeyUse {
                    user: cells.id(2, UserId::from_slice)?,
                    device: cells.id(3, DeviceId::from_slice)?,
                    epoch: cells.number(4)?,
                    next_index: cells.number(5)?,
                    channel: ChannelId::from_number(cells.number(6)?),
                    head: Seen { seq: cells.number(7)?, hash: cells.id(8, Digest::from_slice)? },
                },
            })
        };
        rows.iter().map(read).collect()
    }

    async fn channel_reads(&mut self, chain: ChainId) -> Result<Vec<(UserId, u64)>, StorageError> {
        let text = "SELECT user_id, seq FROM channel_read WHERE chain = $1";
        let rows = self.all(query(text).bind(&chain.as_bytes()[..])).await?;
        let read = |row: &Row| {
            let cells = Cells::of("channel_read", row);
            Ok((cells.id(0, UserId::from_slice)?, cells.number(1)?))
        };
        rows.iter().map(read).collect()
    }
}

#[async_trait]
impl CommunityRepository for Handle {
    async fn create_community(&mut self, new: &StoredCommunity) -> Result<bool, StorageError> {
        let text =
            "INSERT INTO community (community, kind, founder, owner, frozen, deleted, created, hub, was_hub)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
        let insert = query(text)
            .bind(&new.community.as_bytes()[..])
            .bind(i64::from(new.kind.number()))
            .bind(&new.founder.as_bytes()[..])
            .bind(&new.owner.as_bytes()[..])
            .bind(new.is_frozen)
            .bind(new.is_deleted)
            .bind(new.created.to_row())
            .bind(new.hub.as_ref().map(ServerName::as_str))
            .bind(new.was_hub);
        Ok(self.execute(insert).await? > 0)
    }

    async fn set_community_frozen(
        &mut self,
        community: CommunityId,
        is_frozen: bool,
    ) -> Result<bool, StorageError> {
        let text = "UPDATE community SET frozen = $2 WHERE community = $1 AND NOT deleted";
        let update = query(text).bind(&community.as_bytes()[..]).bind(is_frozen);
        Ok(self.execute(update).await? > 0)
    }

    async fn set_community_owner(
        &mut self,
        community: CommunityId,
        owner: UserId,
    ) -> Result<(), StorageError> {
        let text = "UPDATE community SET owner = $2 WHERE community = $1";
        let update = query(text).bind(&community.as_bytes()[..]).bind(&owner.as_bytes()[..]);
        self.execute(update).await.map(|_| ())
    }

    async fn set_community_hub(
        &mut self,
        community: CommunityId,
        hub: Option<&ServerName>,
        was_hub: bool,
    ) -> Result<(), StorageError> {
        let text = "UPDATE community SET hub = $2, was_hub = $3, unused_since = NULL
                    WHERE community = $1";
        let update = query(text)
            .bind(&community.as_bytes()[..])
            .bind(hub.map(ServerName::as_str))
            .bind(was_hub);
        self.execute(update).await.map(|_| ())
    }

    async fn end_community(&mut self, community: CommunityId) -> Result<bool, StorageError> {
        let community = &community.as_bytes()[..];
        let end = "UPDATE community SET deleted = $2, unused_since = NULL
                   WHERE community = $1 AND NOT deleted";
        let was_there = self.execute(query(end).bind(community).bind(true)).await? > 0;
        for text in [
            "DELETE FROM membership WHERE community = $1",
            "DELETE FROM blob WHERE community = $1",
            "DELETE FROM sender_key WHERE chain IN
                 (SELECT chain FROM community_chain WHERE community = $1)",
            "DELETE FROM channel_read WHERE chain IN
                 (SELECT chain FROM community_chain WHERE community = $1)",
        ] {
            self.execute(query(text).bind(community)).await?;
        }
        Ok(was_there)
    }

    async fn place_chain(&mut self, chain: ChainId, place: ChainPlace) -> Result<(), StorageError> {
        let text = "INSERT INTO community_chain (chain, community, channel) VALUES ($1, $2, $3)
                    ON CONFLICT DO NOTHING";
        let insert = query(text)
            .bind(&chain.as_bytes()[..])
            .bind(&place.community.as_bytes()[..])
            .bind(place.channel.map(|channel| i64::from(channel.number())));
        self.execute(insert).await.map(|_| ())
    }

    async fn put_belongings(
        &mut self,
        community: CommunityId,
        belongings: &[(UserId, Belonging)],
    ) -> Result<(), StorageError> {
        static BELONGINGS: Many = Many::new(
            "INSERT INTO membership (community, user_id, standing)",
            3,
            " ON CONFLICT (community, user_id) DO UPDATE SET standing = excluded.standing",
        );
        let bind = |query: Query<'static>, (user, belonging): &(UserId, Belonging)| {
            query
                .bind(community.as_bytes().to_vec())
                .bind(user.as_bytes().to_vec())
                .bind(i64::from(belonging.number()))
        };
        self.execute_many(&BELONGINGS, belongings, bind).await.map(|_| ())
    }

    async fn put_sender_keys(&mut self, keys: &[StoredSenderKey]) -> Result<(), StorageError> {
        static KEYS: Many = Many::new(
            "INSERT INTO sender_key
             (chain, sender_key, user_id, device, epoch, next_index, channel, head_seq, head_hash)",
            9,
            " ON CONFLICT (chain, sender_key) DO UPDATE SET next_index = excluded.next_index",
        );
        let bind = |query: Query<'static>, key: &StoredSenderKey| {
            query
                .bind(key.chain.as_bytes().to_vec())
                .bind(key.sender_key.as_bytes().to_vec())
                .bind(key.used.user.as_bytes().to_vec())
                .bind(key.used.device.as_bytes().to_vec())
                .bind(i64::from(key.used.epoch))
                .bind(i64::from(key.used.next_index))
                .bind(i64::from(key.used.channel.number()))
                .bind(to_row(key.used.head.seq))
                .bind(key.used.head.hash.as_bytes().to_vec())
        };
        self.execute_many(&KEYS, keys, bind).await.map(|_| ())
    }

    async fn note_channel_reads(
        &mut self,
        reads: &[(ChainId, UserId, u64)],
    ) -> Result<(), StorageError> {
        static READS: Many = Many::new(
            "INSERT INTO channel_read (chain, user_id, seq)",
            3,
            " ON CONFLICT (chain, user_id) DO UPDATE SET seq = excluded.seq
             WHERE excluded.seq > channel_read.seq",
        );
        let bind = |query: Query<'static>, (chain, user, seq): &(ChainId, UserId, u64)| {
            query.bind(chain.as_bytes().to_vec()).bind(user.as_bytes().to_vec()).bind(to_row(*seq))
        };
        self.execute_many(&READS, reads, bind).await.map(|_| ())
    }
}

fn community_of(row: &Row) -> Result<StoredCommunity, StorageError> {
    let cells = Cells::of("community", row);
    Ok(StoredCommunity {
        community: cells.id(0, CommunityId::from_slice)?,
        kind: cells.choice(1, CommunityKind::from_number)?,
        founder: cells.id(2, UserId::from_slice)?,
        owner: cells.id(3, UserId::from_slice)?,
        is_frozen: cells.flag(4)?,
        is_deleted: cells.flag(5)?,
        created: cells.time(6)?,
        hub: match cells.text_if_any(7)? {
            Some(name) => Some(name.parse().map_err(|_| cells.impossible())?),
            None => None,
        },
        was_hub: cells.flag(8)?,
    })
}

fn counted(row: &Row) -> Result<(UserId, u32), StorageError> {
    let cells = Cells::of("membership", row);
    Ok((cells.id(0, UserId::from_slice)?, cells.number(1)?))
}
