//! What a page of a channel comes to, gathered in memory and written at its end.
//!
//! A device that says much moves its Sender Key on by every message, and links each to the one before: the store gets the last of both, and
//! all posts together. What is looked up on the way is looked up here first.

use std::collections::{HashMap, hash_map};

use rookery_protocol::id::{ChainId, DeviceId, Digest, SenderKeyId, UserId};

use crate::{
    e2ee::sender_key::InboundSenderKey,
    store::{ChannelRow, Post, StoreError, Unit},
};

/// What is to be written for a page, in one unit of the store.
pub(super) struct Gathered {
    pub(super) unit: Unit,
    /// Hashes of the page's entries that were taken in.
    pub(super) passed: Vec<Digest>,
    posts: Vec<Gained>,
    keys: HashMap<SenderKeyId, Kept<Option<Box<InboundSenderKey>>>>,
    last: HashMap<(UserId, DeviceId), Kept<Option<Digest>>>,
}

/// A post, and what it adds to what has not been read.
struct Gained {
    post: Post,
    news: News,
}

/// What a message is to somebody who has not read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing to count.
    None,
    /// A message.
    Unread,
    /// A message that mentions this user.
    Mention,
}

/// Something of the store, as it is to be after the page.
struct Kept<T> {
    value: T,
    is_changed: bool,
}

impl<T> Kept<T> {
    fn stored(value: T) -> Self {
        Self { value, is_changed: false }
    }

    fn changed(value: T) -> Self {
        Self { value, is_changed: true }
    }
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(unit: Unit) -> Self {
        Self { unit, passed: vec![], posts: vec![], keys: HashMap::new(), last: HashMap::new() }
    }

    /// Another device's Sender Key.
    pub(super) async fn sender_key(
        &mut self,
        chain: ChainId,
        id: SenderKeyId,
    ) -> Result<Option<&InboundSenderKey>, StoreError> {
        let place = match self.keys.entry(id) {
            hash_map::Entry::Occupied(place) => place.into_mut(),
            hash_map::Entry::Vacant(place) => {
                let bytes = self.unit.sender_key(chain, id).await?;
                let key = bytes.map(|bytes| {
                    InboundSenderKey::from_bytes(&bytes)
                        .map(Box::new)
                        .map_err(|_| StoreError::Damaged { table: "sender_key" })
                });
                place.insert(Kept::stored(key.transpose()?))
            }
        };
        Ok(place.value.as_deref())
    }

    /// Keeps a Sender Key in its next state.
    pub(super) fn put_sender_key(&mut self, id: SenderKeyId, key: Box<InboundSenderKey>) {
        self.keys.insert(id, Kept::changed(Some(key)));
    }

    /// The hash of the last message of a device: its next one is linked to it.
    pub(super) async fn last_hash(
        &mut self,
        chain: ChainId,
        author: UserId,
        device: DeviceId,
    ) -> Result<Option<Digest>, StoreError> {
        Ok(match self.last.entry((author, device)) {
            hash_map::Entry::Occupied(place) => place.get().value,
            hash_map::Entry::Vacant(place) => {
                let hash = self.unit.last_hash(chain, author, device).await?;
                place.insert(Kept::stored(hash)).value
            }
        })
    }

    /// Remembers the last message of a device.
    pub(super) fn put_last_hash(&mut self, author: UserId, device: DeviceId, hash: Digest) {
        self.last.insert((author, device), Kept::changed(Some(hash)));
    }

    /// Adds a post.
    pub(super) fn add_post(&mut self, post: Post, news: News) {
        self.posts.push(Gained { post, news });
    }

    /// Writes the posts, and counts those that are new here: for whoever changes posts by their places.
    pub(super) async fn write_posts(&mut self, row: &mut ChannelRow) -> Result<(), StoreError> {
        let (posts, news): (Vec<Post>, Vec<News>) =
            self.posts.drain(..).map(|gained| (gained.post, gained.news)).unzip();
        let changed = self.unit.add_posts(&posts).await?;
        for (news, _) in news.into_iter().zip(changed).filter(|(_, is_changed)| *is_changed) {
            row.unread = row.unread.saturating_add(u32::from(news != News::None));
            row.mentions = row.mentions.saturating_add(u32::from(news == News::Mention));
        }
        Ok(())
    }

    /// Writes everything, and the channel's row; it counts once the unit is committed.
    pub(super) async fn write(mut self, mut row: ChannelRow) -> Result<Unit, StoreError> {
        self.write_posts(&mut row).await?;
        let Self { mut unit, passed, keys, last, .. } = self;
        let chain = row.chain();
        for (id, kept) in keys {
            if let (Some(key), true) = (kept.value, kept.is_changed) {
                unit.put_sender_key(chain, id, &key.to_bytes()).await?;
            }
        }
        for ((author, device), kept) in last {
            if let (Some(hash), true) = (kept.value, kept.is_changed) {
                unit.put_last_hash(chain, author, device, hash).await?;
            }
        }
        unit.add_channel_entries(chain, &passed).await?;
        unit.put_channel(&row).await?;
        Ok(unit)
    }
}
