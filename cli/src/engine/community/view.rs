//! What a person sees of a room: its messages with all that was said about them, and how far they have been read.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rookery_protocol::{
    id::{ChainId, UserId},
    time::Timestamp,
};

use super::{super::Engine, sight::page_of, target::Room};
use crate::{
    agent::verb::ReadLines,
    e2ee::{content::Content, journal_state::Change},
    error::{CommandError, Kind},
    store::{ChannelRow, PlacedPost, PostPage, StoreError},
};

/// How long `read` waits for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);
/// The most that one page has.
const MAX_COUNT: u32 = 5_000;
/// Messages among which the newest of others is looked for.
const GLANCE: u32 = 200;

/// Which messages of a room somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The newest.
    #[default]
    Last,
    /// Right before a message.
    Before(String),
    /// Right after one.
    After(String),
    /// On both sides of one.
    Around(String),
    /// From a time on.
    From(Timestamp),
}

/// What somebody wants to read.
#[derive(Clone, Debug)]
pub(crate) struct ReadOrder {
    /// Of which conversation.
    pub(crate) with: String,
    /// Where.
    pub(crate) spot: Spot,
    /// How many messages at most.
    pub(crate) count: u32,
    /// Whether it counts as read.
    pub(crate) peek: bool,
    /// What is here, at once, rather than what the home may have.
    pub(crate) local: bool,
}

impl Engine {
    /// Messages of a room, oldest first; marks them read unless one only peeks.
    pub(crate) async fn read_room(
        self: &Arc<Self>,
        order: ReadOrder,
    ) -> Result<ReadLines, CommandError> {
        let ReadOrder { with, spot, count, peek, local } = order;
        let (synced, room) = if local {
            (self.is_caught_up(), self.room_named(&with).await?)
        } else {
            (self.wait_communities(SYNC_PATIENCE).await, self.known_room(&with).await?)
        };
        let count = count.clamp(1, MAX_COUNT);
        let marked = self.marked_unread(&room);
        let placed = self.room_page(&room, &spot, count).await?;
        if !peek
            && matches!(spot, Spot::Last)
            && let Some(last) = placed.iter().rev().find_map(|placed| placed.post.seq)
        {
            if local {
                // A screen shows them first: what is written down for it waits for the disk.
                let (engine, room) = (Arc::clone(self), room.clone());
                self.tasks.spawn(async move {
                    if let Err(error) = engine.mark_room_read(&room, last, marked).await {
                        tracing::warn!(%error, "what was read could not be marked so");
                    }
                });
            } else {
                self.mark_room_read(&room, last, marked).await?;
            }
        }
        let reads = if local {
            self.reads_known(&room)
        } else {
            self.learn_authors(&placed).await;
            self.reads_of(&room).await?
        };
        let mut readers = vec![];
        for (user, through) in reads {
            readers.push((self.name_of_user(user).await?, through));
        }
        let own: Vec<Option<u64>> = placed
            .iter()
            .map(|placed| placed.post.seq.filter(|_| placed.post.author == self.user))
            .collect();
        let mut messages = self.room_lines(placed).await?;
        for (line, own) in messages.iter_mut().zip(own) {
            if let (Some(seq), Some(part)) = (own, line.room.as_mut()) {
                let have_read = readers.iter().filter(|(_, through)| *through >= seq);
                part.read_by.extend(have_read.map(|(name, _)| name.clone()));
            }
        }
        Ok(ReadLines { messages, synced })
    }

    async fn room_page(
        &self,
        room: &Room,
        spot: &Spot,
        count: u32,
    ) -> Result<Vec<PlacedPost>, CommandError> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let have = self.store.read().await?.channel(chain).await?.and_then(|row| row.have);
        if let Some(posts) = self.books.sights.posts(chain, have) {
            let mut page = page_of(&posts, spot, count);
            if matches!(spot, Spot::Last | Spot::After(_)) {
                // What waits to be said, of which alone there is anything in the store.
                page.extend(self.store.read().await?.posts(chain, PostPage::Last, count).await?);
            }
            return Ok(page);
        }
        let page = match spot {
            Spot::Last => PostPage::Last,
            Spot::Before(message) => PostPage::Before(self.place_named(room, message).await?),
            Spot::After(message) => PostPage::After(self.place_named(room, message).await?),
            Spot::From(at) => {
                let place = self.store.read().await?.place_from(chain, *at).await?;
                let Some(place) = place else { return Ok(vec![]) };
                PostPage::From(place)
            }
            Spot::Around(message) => {
                let place = self.place_named(room, message).await?;
                let half = count / 2;
                let mut unit = self.store.read().await?;
                let mut placed = unit.posts(chain, PostPage::Before(place), half).await?;
                let rest = count.saturating_sub(half);
                placed.extend(unit.posts(chain, PostPage::From(place), rest).await?);
                return Ok(placed);
            }
        };
        Ok(self.store.read().await?.posts(chain, page, count).await?)
    }

    /// A thread: its first message, then the others.
    pub(crate) async fn read_thread(
        &self,
        to: &str,
        message: &str,
        count: u32,
        local: bool,
    ) -> Result<ReadLines, CommandError> {
        let (synced, room) = if local {
            (self.is_caught_up(), self.room_named(to).await?)
        } else {
            (self.wait_communities(SYNC_PATIENCE).await, self.known_room(to).await?)
        };
        let named = self.post_named(&room, message).await?;
        let chain = named.post.chain;
        let first = named.post.said().thread().unwrap_or_else(|| named.post.reference());
        let mut unit = self.store.read().await?;
        let head = unit.post(chain, first.author, first.item).await?;
        let rest = unit.thread(chain, first, count.clamp(1, MAX_COUNT)).await?;
        drop(unit);
        let placed: Vec<PlacedPost> = head.into_iter().chain(rest).collect();
        if !local {
            self.learn_authors(&placed).await;
        }
        Ok(ReadLines { messages: self.room_lines(placed).await?, synced })
    }

    async fn learn_authors(&self, placed: &[PlacedPost]) {
        let users: BTreeSet<UserId> = placed.iter().map(|placed| placed.post.author).collect();
        let users: Vec<UserId> = users.into_iter().collect();
        let client = match &*self.link.borrow() {
            super::super::Link::Online(online) => Some(online.client.clone()),
            _ => None,
        };
        if let Some(client) = client
            && let Err(error) = self.learn_names(&client, &users).await
        {
            tracing::debug!(%error, "names could not be learnt");
        }
    }

    /// From which place on a room is to count as unread: that of a message, or of the newest of others.
    pub(in super::super) async fn place_of_unread(
        &self,
        room: &Room,
        chain: ChainId,
        from: Option<&str>,
    ) -> Result<u64, CommandError> {
        if let Some(from) = from {
            return self.place_named(room, from).await;
        }
        let page = self.store.read().await?.posts(chain, PostPage::Last, GLANCE).await?;
        let mut theirs = page.iter().rev().filter(|placed| placed.post.author != self.user);
        let newest = theirs.find_map(|placed| placed.post.seq);
        newest
            .ok_or_else(|| CommandError::new(Kind::NotFound, "nobody else has said anything there"))
    }

    async fn place_named(&self, room: &Room, text: &str) -> Result<u64, CommandError> {
        // A place in the channel can be given as a number, for scripts that page.
        if let Ok(place) = text.parse() {
            return Ok(place);
        }
        let placed = self.post_named(room, text).await?;
        placed.post.seq.ok_or_else(|| {
            CommandError::new(Kind::Failed, "that message has no place in its channel yet")
        })
    }

    /// Waits until what waited at the home is here, communities included; says whether it is.
    pub(in super::super) async fn wait_communities(&self, patience: Duration) -> bool {
        let wait = async {
            if !self.wait_caught_up(patience).await {
                return false;
            }
            let Ok(client) = self.online().await else { return false };
            if self.is_unsure_of_communities() {
                return self.refresh_communities(&client).await.is_ok();
            }
            true
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(false)
    }

    /// From where on a room counts as unread though it was read.
    fn marked_unread(&self, room: &Room) -> Option<u64> {
        self.journal().channel_unread_from(room.community, room.channel)
    }

    /// Marks a room as read through a place: here, on this user's other devices, and to its members if they may know. `marked` is from where on
    /// it counted as unread when it was shown: what somebody says of that afterwards stands.
    async fn mark_room_read(
        &self,
        room: &Room,
        seq: u64,
        marked: Option<u64>,
    ) -> Result<(), CommandError> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let mut unit = self.store.write().await?;
        let Some(row) = unit.channel(chain).await? else { return Ok(()) };
        let (community, channel) = (room.community, room.channel);
        let is_known = row.read >= Some(seq) && marked.is_none();
        let now = self.marked_unread(room);
        if is_known || (now.is_some() && now != marked) {
            return Ok(());
        }
        let seq = row.read.map_or(seq, |read| read.max(seq));
        self.change_common(&mut unit, Change::ChannelRead { community, channel, seq }).await?;
        let row = self.counted(&mut unit, ChannelRow { read: Some(seq), ..row }).await?;
        unit.put_channel(&row).await?;
        unit.commit().await?;
        if self.account().read_receipts {
            self.send_up(rookery_protocol::session::FollowUp::ReadIn { chain, seq }).await;
        }
        self.timeline_changed();
        self.chores_wake.notify_one();
        Ok(())
    }

    /// How many messages of others there are in a channel after a place, and how many of them mention this user.
    pub(in super::super) async fn count_after(
        &self,
        unit: &mut crate::store::Unit,
        row: &ChannelRow,
        seq: Option<u64>,
    ) -> Result<(u32, u32), StoreError> {
        let (mut unread, mut mentions) = (0_u32, 0_u32);
        for placed in unit.everything_after(row.chain(), seq, MAX_COUNT).await? {
            let Content::Text(text) = placed.post.said() else { continue };
            if placed.post.author == self.user || placed.post.erased.is_some() {
                continue;
            }
            unread = unread.saturating_add(1);
            if text.mentions_all || text.mentions.contains(&self.user) {
                mentions = mentions.saturating_add(1);
            }
        }
        Ok((unread, mentions))
    }

    /// Marks a room as read, through its newest message or one that is named.
    pub(crate) async fn mark_read_command(
        &self,
        to: &str,
        message: Option<&str>,
    ) -> Result<(), CommandError> {
        let room = self.known_room(to).await?;
        let chain = ChainId::of_channel(room.community, room.channel);
        let marked = self.marked_unread(&room);
        if let Some(message) = message {
            let seq = self.place_named(&room, message).await?;
            return self.mark_room_read(&room, seq, marked).await;
        }
        let row = self.store.read().await?.channel(chain).await?;
        match row.and_then(|row| row.have) {
            Some(have) => self.mark_room_read(&room, have.seq, marked).await,
            None => Ok(()),
        }
    }

    /// What somebody is called: `alice@nest.example`.
    pub(in super::super) async fn name_of_user(
        &self,
        user: UserId,
    ) -> Result<String, CommandError> {
        let account = self.account();
        if user == self.user {
            return Ok(format!("{}@{}", account.name, account.server));
        }
        let mut unit = self.store.read().await?;
        if let Some(name) = unit.name_of(user).await? {
            drop(unit);
            return Ok(format!("{name}@{}", self.home_of(user).await?));
        }
        let contact = unit.contact(user).await?;
        drop(unit);
        Ok(match contact {
            Some(contact) if contact.name.is_some() => contact.address(),
            _ => {
                let home = self.home_of(user).await?;
                format!("{}@{home}", user.to_string().get(..10).unwrap_or("?"))
            }
        })
    }

    /// What a channel's chain is called, for lines of `tail`.
    pub(in super::super) async fn name_of_chain(
        &self,
        chain: ChainId,
    ) -> Result<String, CommandError> {
        self.load_books().await?;
        let in_sight =
            || self.books.sights.place_of(chain).map(|(it, channel)| (it, Some(channel)));
        match self.books.place_of(chain).or_else(in_sight) {
            Some((community, Some(channel))) => match self.shown(community).await? {
                Some(book) => self.room_name(&book, channel).await,
                None => Ok(String::new()),
            },
            _ => Ok(String::new()),
        }
    }

    /// The chain of the room that a target names.
    pub(in super::super) async fn chain_named(&self, to: &str) -> Result<ChainId, CommandError> {
        let room = self.known_room(to).await?;
        Ok(ChainId::of_channel(room.community, room.channel))
    }
}
