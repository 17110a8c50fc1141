//! Reading what was said in channels, a page at a time.

use std::collections::HashMap;

use rookery_protocol::{id::ChainId, time::Timestamp};
use sqlx::{QueryBuilder, Row as _, sqlite::SqliteRow};

use super::{
    super::{Message, Placed, StoreError, Unit},
    PlacedPost, PostPage, Told, UNPLACED, channel_key, placed_post,
};
use crate::e2ee::content::MessageRef;

/// The most that is looked up about one message.
const MAX_ABOUT: usize = 10_000;
/// Messages that one query is about.
const MESSAGES_AT_ONCE: usize = 256;

/// What is there beside messages, in the order of the channel: edits, reactions, pins.
pub type Abouts = HashMap<(ChainId, MessageRef), Vec<PlacedPost>>;

impl Unit {
    /// Messages of a channel that are shown in it: none that belong to a thread, and nothing that is only about another.
    pub async fn posts(
        &mut self,
        chain: ChainId,
        page: PostPage,
        count: u32,
    ) -> Result<Vec<PlacedPost>, StoreError> {
        let conversation = channel_key(&self.vault, chain);
        let query = match page {
            PostPage::Last => sqlx::query(
                "SELECT position, item, place, sealed FROM message
                 WHERE conversation = $1 AND place > $2 AND kind = 1 AND target IS NULL AND thread IS NULL
                 ORDER BY place DESC, position DESC LIMIT $3",
            )
            .bind(conversation)
            .bind(-1_i64),
            PostPage::Before(place) => sqlx::query(
                "SELECT position, item, place, sealed FROM message
                 WHERE conversation = $1 AND place < $2 AND kind = 1 AND target IS NULL AND thread IS NULL
                 ORDER BY place DESC, position DESC LIMIT $3",
            )
            .bind(conversation)
            .bind(place.cast_signed()),
            PostPage::After(place) => sqlx::query(
                "SELECT position, item, place, sealed FROM message
                 WHERE conversation = $1 AND place > $2 AND kind = 1 AND target IS NULL AND thread IS NULL
                 ORDER BY place, position LIMIT $3",
            )
            .bind(conversation)
            .bind(place.cast_signed()),
            PostPage::From(place) => sqlx::query(
                "SELECT position, item, place, sealed FROM message
                 WHERE conversation = $1 AND place >= $2 AND kind = 1 AND target IS NULL AND thread IS NULL
                 ORDER BY place, position LIMIT $3",
            )
            .bind(conversation)
            .bind(place.cast_signed()),
        };
        let rows = query.bind(i64::from(count)).fetch_all(&mut *self.transaction).await?;
        let mut posts: Vec<PlacedPost> =
            rows.iter().map(|row| placed_post(&self.vault, row)).collect::<Result<_, _>>()?;
        if matches!(page, PostPage::Last | PostPage::Before(_)) {
            posts.reverse();
        }
        Ok(posts)
    }

    /// Everything of a channel after a place, in its order, at most `count`.
    pub async fn everything_after(
        &mut self,
        chain: ChainId,
        place: Option<u64>,
        count: u32,
    ) -> Result<Vec<PlacedPost>, StoreError> {
        let rows = sqlx::query(
            "SELECT position, item, place, sealed FROM message
             WHERE conversation = $1 AND place > $2 AND kind = 1 ORDER BY place, position LIMIT $3",
        )
        .bind(channel_key(&self.vault, chain))
        .bind(place.map_or(-1, u64::cast_signed))
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().map(|row| placed_post(&self.vault, row)).collect()
    }

    /// Everything that is about a message, in the order of the channel: edits, reactions, pins.
    pub async fn about(
        &mut self,
        chain: ChainId,
        target: MessageRef,
    ) -> Result<Vec<PlacedPost>, StoreError> {
        let key = self.reference_key(chain, target);
        let rows = sqlx::query(
            "SELECT position, item, place, sealed FROM message WHERE target = $1 ORDER BY place, position LIMIT $2",
        )
        .bind(key)
        .bind(i64::try_from(MAX_ABOUT).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().map(|row| placed_post(&self.vault, row)).collect()
    }

    /// [`Unit::about`] for many messages, with no entry for those that nothing is about.
    pub async fn about_each(
        &mut self,
        messages: &[(ChainId, MessageRef)],
    ) -> Result<Abouts, StoreError> {
        let mut found = Abouts::new();
        for messages in messages.chunks(MESSAGES_AT_ONCE) {
            let by_key = self.by_key(messages);
            let mut query = QueryBuilder::new(
                "SELECT target, position, item, place, sealed FROM message WHERE target IN (",
            );
            push_keys(&mut query, by_key.keys());
            query.push(") ORDER BY target, place, position LIMIT ");
            query.push(MAX_ABOUT);
            let rows = query.build().fetch_all(&mut *self.transaction).await?;
            if rows.len() >= MAX_ABOUT {
                // One of them has so much that it may have left nothing to the others.
                for (chain, message) in messages {
                    let about = self.about(*chain, *message).await?;
                    found.insert((*chain, *message), about);
                }
                continue;
            }
            for row in &rows {
                let target: &[u8] = row.try_get("target")?;
                let Some(message) = by_key.get(target) else { continue };
                found.entry(*message).or_default().push(placed_post(&self.vault, row)?);
            }
        }
        Ok(found)
    }

    fn by_key(
        &self,
        messages: &[(ChainId, MessageRef)],
    ) -> HashMap<Vec<u8>, (ChainId, MessageRef)> {
        let key = |(chain, message): &(ChainId, MessageRef)| self.reference_key(*chain, *message);
        messages.iter().map(|message| (key(message), *message)).collect()
    }

    /// The messages of a thread, in the order of the channel.
    pub async fn thread(
        &mut self,
        chain: ChainId,
        root: MessageRef,
        count: u32,
    ) -> Result<Vec<PlacedPost>, StoreError> {
        let key = self.reference_key(chain, root);
        let rows = sqlx::query(
            "SELECT position, item, place, sealed FROM message WHERE thread = $1 ORDER BY place DESC, position DESC LIMIT $2",
        )
        .bind(key)
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        let mut posts: Vec<PlacedPost> =
            rows.iter().map(|row| placed_post(&self.vault, row)).collect::<Result<_, _>>()?;
        posts.reverse();
        Ok(posts)
    }

    /// How many messages the threads of these messages have, with no entry for those that have none.
    pub async fn thread_counts(
        &mut self,
        roots: &[(ChainId, MessageRef)],
    ) -> Result<HashMap<(ChainId, MessageRef), u64>, StoreError> {
        let mut counts = HashMap::new();
        for roots in roots.chunks(MESSAGES_AT_ONCE) {
            let by_key = self.by_key(roots);
            let mut query = QueryBuilder::new(
                "SELECT thread, count(*) AS count FROM message WHERE thread IN (",
            );
            push_keys(&mut query, by_key.keys());
            query.push(") GROUP BY thread");
            for row in query.build().fetch_all(&mut *self.transaction).await? {
                let (thread, count): (&[u8], i64) = (row.try_get("thread")?, row.try_get("count")?);
                if let Some(root) = by_key.get(thread) {
                    counts.insert(*root, count.unsigned_abs());
                }
            }
        }
        Ok(counts)
    }

    /// The place of the first message of a channel whose author's clock says `at` or later.
    pub async fn place_from(
        &mut self,
        chain: ChainId,
        at: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let place: Option<i64> = sqlx::query_scalar(
            "SELECT min(place) FROM message WHERE conversation = $1 AND kind = 1 AND at >= $2 AND place < $3",
        )
        .bind(channel_key(&self.vault, chain))
        .bind(at.to_row())
        .bind(UNPLACED)
        .fetch_one(&mut *self.transaction)
        .await?;
        Ok(place.map(i64::unsigned_abs))
    }

    /// What arrived after `position`, of direct messages and channels alike, at most `count`.
    pub async fn told_after(&mut self, position: u64, count: u32) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(
            "SELECT position, item, kind, place, sealed FROM message WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(position.cast_signed())
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().map(|row| self.told(row)).collect()
    }

    /// What stands at one position.
    pub async fn told_at(&mut self, position: u64) -> Result<Option<Told>, StoreError> {
        let row = sqlx::query(
            "SELECT position, item, kind, place, sealed FROM message WHERE position = $1",
        )
        .bind(position.cast_signed())
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.map(|row| self.told(&row)).transpose()
    }

    pub(in super::super) fn told(&self, row: &SqliteRow) -> Result<Told, StoreError> {
        let kind: i64 = row.try_get("kind")?;
        if kind != 0 {
            return Ok(Told::Channel(placed_post(&self.vault, row)?));
        }
        let (key, sealed): (Vec<u8>, Vec<u8>) = (row.try_get("item")?, row.try_get("sealed")?);
        let position: i64 = row.try_get("position")?;
        let message: Message = self.vault.open_text("message", &key, &sealed)?;
        Ok(Told::Direct(Placed { position: position.unsigned_abs(), message }))
    }
}

fn push_keys<'k>(query: &mut QueryBuilder<sqlx::Sqlite>, keys: impl Iterator<Item = &'k Vec<u8>>) {
    let mut list = query.separated(", ");
    for key in keys {
        list.push_bind(key.clone());
    }
}
