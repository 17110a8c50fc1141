//! What is on its way into channels: it stays until the hub has placed it.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Submission,
    id::{ChainId, ChannelId, CommunityId, ItemId, UserId},
    time::Timestamp,
};
use sqlx::Row as _;

use super::{
    StoreError, Unit,
    post::{channel_key, post_key},
};

/// Something to be posted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Posting {
    /// In which community.
    #[n(0)]
    pub community: CommunityId,
    /// In which channel.
    #[n(1)]
    pub channel: ChannelId,
    /// Its id.
    #[n(2)]
    pub item: ItemId,
    /// The kind of what is said.
    #[n(3)]
    pub kind: u32,
    /// What is said, encoded.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub content: Vec<u8>,
    /// Places whose bodies are to be erased; then nothing is said.
    #[n(5)]
    pub erases: Vec<u64>,
    /// Why.
    #[n(6)]
    pub reason: Option<String>,
    /// Since when it waits.
    #[n(7)]
    pub since: Timestamp,
    /// Not before this time.
    #[n(8)]
    pub not_before: Timestamp,
    /// How often it was tried in vain.
    #[n(9)]
    pub attempts: u32,
    /// Why, the last time.
    #[n(10)]
    pub trouble: Option<String>,
    /// As it was sealed and perhaps sent: the same bytes go again until an answer comes.
    #[n(11)]
    pub sealed: Option<Vec<Submission>>,
}

impl Posting {
    /// The channel's chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        ChainId::of_channel(self.community, self.channel)
    }
}

impl Unit {
    /// Puts something into the queue, unless it is there already.
    pub async fn enqueue_posting(
        &mut self,
        author: UserId,
        posting: &Posting,
    ) -> Result<(), StoreError> {
        let key = post_key(&self.vault, posting.chain(), author, posting.item);
        let sealed = self.vault.seal("posting", &key, posting);
        sqlx::query(
            "INSERT INTO posting (channel, item, sealed) VALUES ($1, $2, $3) ON CONFLICT (item) DO NOTHING",
        )
        .bind(channel_key(&self.vault, posting.chain()))
        .bind(key)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// The first of each channel's queue that does not wait for its file, at most `count`.
    pub async fn posting_fronts(&mut self, count: u32) -> Result<Vec<Posting>, StoreError> {
        let rows = sqlx::query(
            "SELECT item, sealed FROM posting WHERE position IN
             (SELECT min(position) FROM posting WHERE item NOT IN (SELECT item FROM transfer) GROUP BY channel)
             ORDER BY position LIMIT $1",
        )
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter()
            .map(|row| self.vault.open("posting", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// The front of one channel's queue, in order, without what waits for its file, at most `count`.
    pub async fn postings(
        &mut self,
        chain: ChainId,
        count: u32,
    ) -> Result<Vec<Posting>, StoreError> {
        let rows = sqlx::query(
            "SELECT item, sealed FROM posting WHERE channel = $1 AND item NOT IN (SELECT item FROM transfer)
             ORDER BY position LIMIT $2",
        )
        .bind(channel_key(&self.vault, chain))
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter()
            .map(|row| self.vault.open("posting", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// How many wait in all.
    pub async fn posting_count(&mut self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM posting")
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Replaces what waits.
    pub async fn update_posting(
        &mut self,
        author: UserId,
        posting: &Posting,
    ) -> Result<(), StoreError> {
        let key = post_key(&self.vault, posting.chain(), author, posting.item);
        let sealed = self.vault.seal("posting", &key, posting);
        sqlx::query("UPDATE posting SET sealed = $1 WHERE item = $2")
            .bind(sealed)
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// It has its place, or was given up.
    pub async fn dequeue_posting(
        &mut self,
        author: UserId,
        chain: ChainId,
        item: ItemId,
    ) -> Result<(), StoreError> {
        let key = post_key(&self.vault, chain, author, item);
        sqlx::query("DELETE FROM posting WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}
