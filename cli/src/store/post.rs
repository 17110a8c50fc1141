//! What was said in channels: messages, and what is about them (edits, reactions, pins).
//!
//! Each is a row of its own, and what a message looks like is merged when it is read. A row's place is the one that the hub gave it; what the
//! hub has not placed yet stands after all that it has.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::{ChainId, DeviceId, Digest, ItemId, UserId},
    time::Timestamp,
};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Message, MessageState, StoreError, Unit, Vault};
use crate::e2ee::content::{Content, MessageRef};

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
        let said = post.said();
        let target = said.target().map(|target| self.reference_key(post.chain, target));
        let thread = said.thread().map(|root| self.reference_key(post.chain, root));
        sqlx::query(
            "INSERT INTO message (conversation, item, at, sealed, kind, place, target, thread, ident)
             VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8)",
        )
        .bind(channel_key(&self.vault, post.chain))
        .bind(&key)
        .bind(post.at.to_row())
        .bind(self.vault.seal_text("message", &key, post))
        .bind(post.seq.map_or(UNPLACED, u64::cast_signed))
        .bind(target)
        .bind(thread)
        .bind(ident_key(&self.vault, post.chain, post.item))
        .execute(&mut *self.transaction)
        .await?;
        Ok(true)
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
            "SELECT position, item, place, sealed FROM message WHERE target = $1 ORDER BY place, position LIMIT 10000",
        )
        .bind(key)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter().map(|row| placed_post(&self.vault, row)).collect()
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

    /// How many messages a thread has.
    pub async fn thread_count(
        &mut self,
        chain: ChainId,
        root: MessageRef,
    ) -> Result<u64, StoreError> {
        let key = self.reference_key(chain, root);
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM message WHERE thread = $1")
            .bind(key)
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(count.unsigned_abs())
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

    pub(super) fn told(&self, row: &SqliteRow) -> Result<Told, StoreError> {
        let kind: i64 = row.try_get("kind")?;
        if kind != 0 {
            return Ok(Told::Channel(placed_post(&self.vault, row)?));
        }
        let (key, sealed): (Vec<u8>, Vec<u8>) = (row.try_get("item")?, row.try_get("sealed")?);
        let position: i64 = row.try_get("position")?;
        let message: Message = self.vault.open_text("message", &key, &sealed)?;
        Ok(Told::Direct(super::Placed { position: position.unsigned_abs(), message }))
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
