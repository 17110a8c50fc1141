//! What was said in channels: messages, and what is about them (edits, reactions, pins).
//!
//! Each is a row of its own, and what a message looks like is merged when it is read. A row's place is the one that the hub gave it; what the
//! hub has not placed yet stands after all that it has.

mod read;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::{ChainId, DeviceId, Digest, ItemId, UserId},
    time::Timestamp,
};
use sqlx::{QueryBuilder, Row as _, sqlite::SqliteRow};

pub use self::read::Abouts;
use super::{MessageState, StoreError, Unit, Vault};
use crate::e2ee::content::{Content, MessageRef};

/// Posts that one statement is about.
const POSTS_AT_ONCE: usize = 256;
/// Where what the hub has not placed yet stands.
const UNPLACED: i64 = 1 << 62;

/// Where something stands in its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Where the hub put it.
    At(u64),
    /// On its way, after all that the hub has; in the order of writing.
    Pending(u64),
}

/// Who dropped a message's text, and why.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Erased {
    /// Who.
    #[n(0)]
    pub by: UserId,
    /// Why, if they said.
    #[n(1)]
    pub reason: Option<String>,
}

/// Something said in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Post {
    /// The channel's chain.
    #[n(0)]
    pub chain: ChainId,
    /// Its id, chosen by its author.
    #[n(1)]
    pub item: ItemId,
    /// Who said it.
    #[n(2)]
    pub author: UserId,
    /// On which device.
    #[n(3)]
    pub device: DeviceId,
    /// By the author's clock.
    #[n(4)]
    pub at: Timestamp,
    /// Where the hub put it.
    #[n(5)]
    pub seq: Option<u64>,
    /// The kind of what was said.
    #[n(6)]
    pub kind: u32,
    /// What was said, encoded; empty once erased.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub content: Vec<u8>,
    /// How far it has come.
    #[n(8)]
    pub state: MessageState,
    /// Why it failed.
    #[n(9)]
    pub reason: Option<String>,
    /// Who erased it.
    #[n(10)]
    pub erased: Option<Erased>,
    /// The hash of its entry, which its author's next message is linked to.
    #[n(11)]
    pub hash: Option<Digest>,
    /// Something about it that a person should know: a message before it is missing, or it came under keys that have ended.
    #[n(12)]
    pub doubt: Option<String>,
}

impl Post {
    /// What was said.
    #[must_use]
    pub fn said(&self) -> Content {
        Content::decode(self.kind, &self.content)
    }

    /// How others refer to it.
    #[must_use]
    pub const fn reference(&self) -> MessageRef {
        MessageRef { author: self.author, item: self.item }
    }
}

/// A post in its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPost {
    /// The order of arrival at this device, which it shares with direct messages.
    pub position: u64,
    /// Where it stands in its channel.
    pub place: Place,
    /// The post.
    pub post: Post,
}

/// What arrived, of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A direct message.
    Direct(super::Placed),
    /// Something of a channel.
    Channel(PlacedPost),
}

/// Which part of a channel is wanted. All pages are oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostPage {
    /// The newest.
    Last,
    /// What comes right before a place.
    Before(u64),
    /// What comes right after a place.
    After(u64),
    /// What stands at a place, and right after it.
    From(u64),
}

impl Told {
    /// The order of arrival at this device.
    #[must_use]
    pub const fn position(&self) -> u64 {
        match self {
            Self::Direct(placed) => placed.position,
            Self::Channel(placed) => placed.position,
        }
    }
}

impl Unit {
    /// Adds a post, unless it is there already. One that is there and has no place yet is given it. Says whether anything changed.
    pub async fn add_post(&mut self, post: &Post) -> Result<bool, StoreError> {
        let key = post_key(&self.vault, post.chain, post.author, post.item);
        if let Some(known) = self.post(post.chain, post.author, post.item).await? {
            if known.post.seq.is_some() || post.seq.is_none() {
                return Ok(false);
            }
            let merged = Post { state: post.state, reason: None, ..post.clone() };
            self.write_post(&key, &merged).await?;
            return Ok(true);
        }
        self.insert_posts(&[(post, key)]).await?;
        Ok(true)
    }

    /// Adds posts as [`Unit::add_post`] does one by one; says of each whether anything changed.
    pub async fn add_posts(&mut self, posts: &[Post]) -> Result<Vec<bool>, StoreError> {
        let mut changed = Vec::with_capacity(posts.len());
        for posts in posts.chunks(POSTS_AT_ONCE) {
            let mut seen = self.known_posts(posts).await?;
            let (mut fresh, mut rest) = (vec![], vec![]);
            for (number, post) in posts.iter().enumerate() {
                let key = post_key(&self.vault, post.chain, post.author, post.item);
                if seen.insert(key.clone()) {
                    fresh.push((post, key));
                } else {
                    rest.push((number, post));
                }
            }
            let mut outcome: Vec<bool> = posts.iter().map(|_| true).collect();
            self.insert_posts(&fresh).await?;
            for (number, post) in rest {
                let is_changed = self.add_post(post).await?;
                if let Some(place) = outcome.get_mut(number) {
                    *place = is_changed;
                }
            }
            changed.extend(outcome);
        }
        Ok(changed)
    }

    /// The keys of those posts that are there.
    async fn known_posts(&mut self, posts: &[Post]) -> Result<HashSet<Vec<u8>>, StoreError> {
        if posts.is_empty() {
            return Ok(HashSet::new());
        }
        let mut query = QueryBuilder::new("SELECT item FROM message WHERE item IN (");
        let mut list = query.separated(", ");
        for post in posts {
            list.push_bind(post_key(&self.vault, post.chain, post.author, post.item));
        }
        query.push(")");
        let keys = query.build_query_scalar().fetch_all(&mut *self.transaction).await?;
        Ok(keys.into_iter().collect())
    }

    async fn insert_posts(&mut self, posts: &[(&Post, Vec<u8>)]) -> Result<(), StoreError> {
        if posts.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = posts
            .iter()
            .map(|(post, key)| {
                let said = post.said();
                let target = said.target().map(|target| self.reference_key(post.chain, target));
                let thread = said.thread().map(|root| self.reference_key(post.chain, root));
                (post, key, target, thread)
            })
            .collect();
        let vault = &self.vault;
        let mut insert = QueryBuilder::new(
            "INSERT INTO message (conversation, item, at, sealed, kind, place, target, thread, ident) ",
        );
        insert.push_values(rows, |mut row, (post, key, target, thread)| {
            row.push_bind(channel_key(vault, post.chain))
                .push_bind(key.clone())
                .push_bind(post.at.to_row())
                .push_bind(vault.seal_text("message", key, post))
                .push_bind(1_i64)
                .push_bind(post.seq.map_or(UNPLACED, u64::cast_signed))
                .push_bind(target)
                .push_bind(thread)
                .push_bind(ident_key(vault, post.chain, post.item));
        });
        insert.build().execute(&mut *self.transaction).await?;
        for (_, key) in posts.iter().filter(|(post, _)| post.is_expiring()) {
            self.begin_expiry(key).await?;
        }
        Ok(())
    }

    /// Replaces a post that is there.
    pub async fn update_post(&mut self, post: &Post) -> Result<(), StoreError> {
        let key = post_key(&self.vault, post.chain, post.author, post.item);
        self.write_post(&key, post).await
    }

    async fn write_post(&mut self, key: &[u8], post: &Post) -> Result<(), StoreError> {
        let sealed = self.vault.seal_text("message", key, post);
        sqlx::query("UPDATE message SET sealed = $1, place = $2, at = $3 WHERE item = $4")
            .bind(sealed)
            .bind(post.seq.map_or(UNPLACED, u64::cast_signed))
            .bind(post.at.to_row())
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        if post.is_expiring() {
            self.begin_expiry(key).await?;
        }
        Ok(())
    }

    /// The post `item` of `author` in a channel.
    pub async fn post(
        &mut self,
        chain: ChainId,
        author: UserId,
        item: ItemId,
    ) -> Result<Option<PlacedPost>, StoreError> {
        let key = post_key(&self.vault, chain, author, item);
        let row = sqlx::query("SELECT position, item, place, sealed FROM message WHERE item = $1")
            .bind(key)
            .fetch_optional(&mut *self.transaction)
            .await?;
        row.map(|row| placed_post(&self.vault, &row)).transpose()
    }

    /// The posts of a channel that have the id `item`: one, unless two authors have chosen the same.
    pub async fn posts_named(
        &mut self,
        chain: ChainId,
        item: ItemId,
    ) -> Result<Vec<PlacedPost>, StoreError> {
        let rows = sqlx::query(
            "SELECT position, item, place, sealed FROM message WHERE ident = $1 ORDER BY place LIMIT 8",
        )
        .bind(ident_key(&self.vault, chain, item))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().map(|row| placed_post(&self.vault, row)).collect()
    }

    /// What stands at a place of a channel.
    pub async fn post_at(
        &mut self,
        chain: ChainId,
        seq: u64,
    ) -> Result<Option<PlacedPost>, StoreError> {
        let row = sqlx::query(
            "SELECT position, item, place, sealed FROM message WHERE conversation = $1 AND place = $2 AND kind = 1",
        )
        .bind(channel_key(&self.vault, chain))
        .bind(seq.cast_signed())
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.map(|row| placed_post(&self.vault, &row)).transpose()
    }

    fn reference_key(&self, chain: ChainId, reference: MessageRef) -> Vec<u8> {
        post_key(&self.vault, chain, reference.author, reference.item)
    }
}

pub(super) fn post_key(vault: &Vault, chain: ChainId, author: UserId, item: ItemId) -> Vec<u8> {
    vault.index("post", &[chain.as_bytes(), author.as_bytes(), item.as_bytes()])
}

fn ident_key(vault: &Vault, chain: ChainId, item: ItemId) -> Vec<u8> {
    vault.index("ident", &[chain.as_bytes(), item.as_bytes()])
}

pub(super) fn channel_key(vault: &Vault, chain: ChainId) -> Vec<u8> {
    vault.index("room", &[chain.as_bytes()])
}

fn placed_post(vault: &Vault, row: &SqliteRow) -> Result<PlacedPost, StoreError> {
    let (key, sealed): (Vec<u8>, Vec<u8>) = (row.try_get("item")?, row.try_get("sealed")?);
    let (position, place): (i64, i64) = (row.try_get("position")?, row.try_get("place")?);
    let position = position.unsigned_abs();
    let place =
        if place >= UNPLACED { Place::Pending(position) } else { Place::At(place.unsigned_abs()) };
    Ok(PlacedPost { position, place, post: vault.open_text("message", &key, &sealed)? })
}
