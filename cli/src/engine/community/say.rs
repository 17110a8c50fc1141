//! Saying something in a room, and about what was said.

use std::time::Duration;

use rookery_protocol::{
    community::{CommunityKind, Permissions},
    id::{ChainId, ItemId, UserId},
    name::Address,
};

use super::{
    super::{
        Engine, FileOrder, Link, MAX_MESSAGE, Reporter, Staying, expiry::file_of, new_item,
        send::wrong_length,
    },
    target::Room,
};
use crate::{
    e2ee::content::{Content, Edit, MessageRef, Pin, React, Text},
    error::{CommandError, Kind},
    store::{MessageState, PlacedPost, Standing, StoreError, TransferTask},
};

/// How long it is waited for the hub's answer by default.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is waited for the key of a community that cannot be read yet.
const KEY_PATIENCE: Duration = Duration::from_secs(2);
/// How many users one message mentions at most.
const MAX_MENTIONS: usize = 64;
/// How many places one redaction names at most.
const MAX_ERASED: usize = 64;

/// Something that somebody wants to say in a room.
#[derive(Clone, Debug)]
pub(crate) struct SayOrder {
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) label: Option<String>,
    /// The message that it answers, by id.
    pub(crate) reply_to: Option<String>,
    /// The message under which it stands, by id.
    pub(crate) thread: Option<String>,
    pub(crate) timeout: Option<Duration>,
    /// Whether it may wait in the queue when there is no connection.
    pub(crate) is_queued: bool,
    /// For how long it stays.
    pub(crate) staying: Staying,
    /// The file that goes with it.
    pub(crate) file: Option<FileOrder>,
    /// Whom it is told how far that has come.
    pub(crate) tell: Reporter,
}

impl Engine {
    /// Says something, and waits until it has its place.
    pub(crate) async fn say(&self, order: SayOrder) -> Result<(PlacedPost, Room), CommandError> {
        if order.text.len() > MAX_MESSAGE {
            return Err(wrong_length(&order.text));
        }
        if !order.is_queued {
            self.online().await?;
        }
        let room = self.known_room(&order.to).await?;
        let item = self.item_of(order.label.as_deref());
        if order.text.is_empty()
            && order.file.is_none()
            && !self.has_posted_file(&room, item).await?
        {
            return Err(wrong_length(&order.text));
        }
        let (mentions, mentions_all) = self.mentions(&room, &order.text).await?;
        let reference = async |text: &Option<String>| -> Result<Option<PlacedPost>, CommandError> {
            match text {
                Some(text) => self.post_named(&room, text).await.map(Some),
                None => Ok(None),
            }
        };
        let reply_to = reference(&order.reply_to).await?.map(|placed| placed.post.reference());
        // A thread has one root: whoever answers in it names any of its messages.
        let thread = reference(&order.thread)
            .await?
            .map(|placed| placed.post.said().thread().unwrap_or_else(|| placed.post.reference()));
        self.check_may(&room, Permissions::POST).await?;
        let stays = order.staying.under(self.stay_in(room.community, room.channel));
        let text = order.text;
        let file = self.enclose(order.file).await?;
        let has_file = file.is_some();
        let content =
            Content::Text(Text { text, reply_to, thread, mentions, mentions_all, stays, file });
        self.write_post(room.community, room.channel, item, &content).await?;
        if has_file {
            let chain = ChainId::of_channel(room.community, room.channel);
            let task = TransferTask::ForChannel { chain, item };
            self.wait_uploaded(task, &order.tell, order.timeout).await?;
        }
        let placed = self
            .wait_placed(&room, item, order.timeout.unwrap_or(PATIENCE), order.is_queued)
            .await?;
        Ok((placed, room))
    }

    /// Whether a message that was written here before has a file, so that the same order again is one to send that.
    async fn has_posted_file(&self, room: &Room, item: ItemId) -> Result<bool, StoreError> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let known = self.store.read().await?.post(chain, self.user, item).await?;
        Ok(known.is_some_and(|known| file_of(&known.post).is_some()))
    }

    /// Puts an emoji on a message, or takes it off.
    pub(crate) async fn react(
        &self,
        to: &str,
        message: &str,
        emoji: &str,
        on: bool,
    ) -> Result<(), CommandError> {
        let emoji = check_emoji(emoji)?;
        self.say_about(to, message, |target| {
            Content::React(React { target, emoji: emoji.clone(), on })
        })
        .await
    }

    /// Has a message stand out, or not any more.
    pub(crate) async fn pin(&self, to: &str, message: &str, on: bool) -> Result<(), CommandError> {
        self.say_about(to, message, |target| Content::Pin(Pin { target, on })).await
    }

    /// Gives one's own message another text.
    pub(crate) async fn edit(
        &self,
        to: &str,
        message: &str,
        text: String,
    ) -> Result<(), CommandError> {
        check_text(&text)?;
        let room = self.known_room(to).await?;
        let placed = self.post_named(&room, message).await?;
        if placed.post.author != self.user {
            return Err(CommandError::new(Kind::NotPermitted, "only its author edits a message"));
        }
        let (mentions, _) = self.mentions(&room, &text).await?;
        self.say_about(to, message, |target| {
            Content::Edit(Edit { target, text: text.clone(), mentions: mentions.clone() })
        })
        .await
    }

    async fn say_about(
        &self,
        to: &str,
        message: &str,
        content: impl Fn(MessageRef) -> Content,
    ) -> Result<(), CommandError> {
        let room = self.known_room(to).await?;
        let target = self.post_named(&room, message).await?.post.reference();
        let content = content(target);
        let needed = match &content {
            Content::React(_) => Permissions::REACT,
            Content::Pin(_) => Permissions::PIN,
            _ => Permissions::POST,
        };
        self.check_may(&room, needed).await?;
        let item = new_item();
        self.write_post(room.community, room.channel, item, &content).await?;
        self.wait_placed(&room, item, PATIENCE, true).await.map(|_| ())
    }

    /// Erases a message with all that is about it: the hub drops what it has of it.
    pub(crate) async fn erase(
        &self,
        to: &str,
        message: &str,
        reason: Option<String>,
    ) -> Result<(), CommandError> {
        let room = self.known_room(to).await?;
        let placed = self.post_named(&room, message).await?;
        let chain = placed.post.chain;
        let about = self.store.read().await?.about(chain, placed.post.reference()).await?;
        let state = self.trusted(room.community).await?.state;
        let moderates = state.as_ref().is_some_and(|state| {
            state.permissions_of(self.user, Some(room.channel)).contain(Permissions::MODERATE)
        });
        if placed.post.author != self.user && !moderates {
            return Err(CommandError::new(
                Kind::NotPermitted,
                "only its author, or who may moderate, erases a message",
            ));
        }
        let Some(place) = placed.post.seq else {
            return Err(CommandError::new(
                Kind::Failed,
                "the message is still on its way; try again when it was posted",
            ));
        };
        // Its edits hold its text as well; what others said about it is theirs unless one moderates.
        let related = about
            .iter()
            .filter(|related| moderates || related.post.author == self.user)
            .filter(|related| matches!(related.post.said(), Content::Edit(_)))
            .filter_map(|related| related.post.seq);
        let erases: Vec<u64> = std::iter::once(place).chain(related).take(MAX_ERASED).collect();
        let item = new_item();
        self.write_redaction(room.community, room.channel, item, erases, reason).await?;
        if placed.post.author == self.user
            && let Some(file) = file_of(&placed.post)
        {
            let mut unit = self.store.write().await?;
            self.owe_file_drop(&mut unit, file).await?;
            unit.commit().await?;
            self.transfers_wake.notify_one();
        }
        self.wait_sent(&room, item).await
    }

    /// Refuses what every reader would pass over: the hub cannot tell one kind of message from another.
    async fn check_may(&self, room: &Room, needed: Permissions) -> Result<(), CommandError> {
        let state = self.trusted(room.community).await?.state;
        let allowed = state
            .as_ref()
            .map_or(Permissions::NONE, |state| state.permissions_of(self.user, Some(room.channel)));
        if allowed.contain(needed) {
            return Ok(());
        }
        let word = needed.words().next().unwrap_or_default();
        Err(CommandError::new(
            Kind::NotPermitted,
            format!("you may not do that in {}: it takes the permission {word}", room.name),
        ))
    }

    /// The room, once its log is here.
    pub(in super::super) async fn known_room(&self, to: &str) -> Result<Room, CommandError> {
        match self.room_named(to).await {
            Err(error) if error.kind == Kind::NotFound => {
                // It may have come to be since this device last looked.
                let client = self.online().await.map_err(|_| error)?;
                self.refresh_communities(&client).await?;
                self.wait_for_all_keys().await;
                self.room_named(to).await
            }
            room => room,
        }
    }

    /// Waits a moment for the keys of communities that cannot be read yet: their channels have no names until then.
    async fn wait_for_all_keys(&self) {
        for book in self.books.all() {
            if book.row.standing == Standing::Member && book.row.alarm.is_none() {
                self.wait_for_keys(book.row.community, KEY_PATIENCE).await;
            }
        }
    }

    /// Whom a text mentions: `@name` of members, and `@everyone`.
    async fn mentions(&self, room: &Room, text: &str) -> Result<(Vec<UserId>, bool), CommandError> {
        let book = self.trusted(room.community).await?;
        let (mut users, mut all) = (vec![], false);
        for word in text.split_whitespace().filter(|word| word.starts_with('@')) {
            let word = word.trim_end_matches(|letter: char| !letter.is_alphanumeric());
            if word == "@everyone" {
                all = true;
            } else if users.len() < MAX_MENTIONS
                && word.parse::<Address>().is_ok()
                && let Ok(user) = self.member_named(&book, word).await
                && !users.contains(&user)
            {
                users.push(user);
            }
        }
        let is_group = book.row.kind == CommunityKind::Group;
        let may = book.state.as_ref().is_some_and(|state| {
            state.permissions_of(self.user, Some(room.channel)).contain(Permissions::MENTION_ALL)
        });
        Ok((users, all && (may || is_group)))
    }

    /// Waits until the hub has placed something of one's own, or refused it.
    async fn wait_placed(
        &self,
        room: &Room,
        item: ItemId,
        patience: Duration,
        is_queued: bool,
    ) -> Result<PlacedPost, CommandError> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let mut timeline = self.timeline.subscribe();
        let mut link = self.link.subscribe();
        let wait = async {
            loop {
                timeline.mark_unchanged();
                link.mark_unchanged();
                let placed = self.store.read().await?.post(chain, self.user, item).await?;
                let placed = placed
                    .ok_or_else(|| CommandError::new(Kind::NotFound, "there is no such message"))?;
                match placed.post.state {
                    MessageState::Queued => {}
                    MessageState::Failed => {
                        let why = placed.post.reason.clone().unwrap_or_default();
                        return Err(CommandError::new(Kind::NotPermitted, why));
                    }
                    _ => return Ok(placed),
                }
                if let Some(trouble) = self.hubs_away.trouble(room.community)
                    && is_queued
                {
                    return Err(CommandError { queued: Some(item.to_string()), ..trouble });
                }
                if let Link::Offline(trouble) | Link::Ended(trouble) = &*link.borrow()
                    && is_queued
                {
                    return Err(CommandError { queued: Some(item.to_string()), ..trouble.clone() });
                }
                tokio::select! {
                    _ = timeline.changed() => {}
                    _ = link.changed() => {}
                }
            }
        };
        if let Ok(outcome) = tokio::time::timeout(patience, wait).await {
            return outcome;
        }
        let trouble = self
            .store
            .read()
            .await?
            .postings(chain, 1)
            .await?
            .into_iter()
            .find_map(|posting| posting.trouble);
        let why = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
        Err(CommandError {
            queued: Some(item.to_string()),
            ..CommandError::new(Kind::Timeout, format!("it was not posted yet{why}"))
        })
    }

    /// Waits until something of one's own has left the queue.
    async fn wait_sent(&self, room: &Room, item: ItemId) -> Result<(), CommandError> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let mut timeline = self.timeline.subscribe();
        let wait = async {
            loop {
                timeline.mark_unchanged();
                let waiting = self.store.read().await?.postings(chain, 512).await?;
                if waiting.iter().all(|posting| posting.item != item) {
                    return Ok::<(), CommandError>(());
                }
                if timeline.changed().await.is_err() {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| Err(CommandError::new(Kind::Timeout, "it was not sent yet")))
    }
}

fn check_text(text: &str) -> Result<(), CommandError> {
    if (1..=MAX_MESSAGE).contains(&text.len()) {
        return Ok(());
    }
    Err(wrong_length(text))
}

/// One emoji: short, without letters, digits and control characters.
fn check_emoji(text: &str) -> Result<String, CommandError> {
    let is_fine = (1..=64).contains(&text.len())
        && text.chars().count() <= 16
        && text.chars().all(|letter| !letter.is_control() && !letter.is_whitespace())
        && !text.chars().all(|letter| letter.is_ascii_alphanumeric());
    if is_fine {
        return Ok(text.to_owned());
    }
    Err(CommandError::new(Kind::Usage, format!("{text:?} is not an emoji")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_short_and_no_word() {
        for good in ["👍", "🏳️‍🌈", "👨‍👩‍👧‍👦", "❤️", "+1"] {
            assert!(check_emoji(good).is_ok(), "{good}");
        }
        for bad in ["", "ok", "👍 👍", "\u{1b}[2J", &"👍".repeat(20)] {
            assert!(check_emoji(bad).is_err(), "{bad}");
        }
    }
}
