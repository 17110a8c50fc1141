//! Everything that a screen lists, out of the store alone.

use std::collections::HashMap;

use rookery_protocol::{
    community::{ChannelKind, CommunityKind, State},
    id::{AudienceId, ChainId, UserId},
    time::Timestamp,
};

use super::{Engine, Link, community::Book, contacts};
use crate::{
    agent::verb::{Connection, Conversation, LeaveLine, RoomKind, StandingLine, rfc3339},
    e2ee::{epoch::TextOf, payload::Stay},
    error::CommandError,
    store::{ChannelRow, ContactRow, MessageState, Page, Placed, Unit},
};

/// Unread messages with one person are counted as far as this.
const MOST_UNREAD: u32 = 100;
/// How many messages are looked at first: mostly the last one was read.
const GLANCE: u32 = 8;

/// How far each channel was taken in.
type Rows = HashMap<ChainId, ChannelRow>;

impl Engine {
    /// All conversations, as they are known here.
    pub(crate) async fn rooms(&self) -> Result<Vec<Conversation>, CommandError> {
        self.load_books().await?;
        // One look for all: this list is read again at every change.
        let mut unit = self.store.read().await?;
        let mut rooms = self.people(&mut unit).await?;
        let channels = unit.channels().await?;
        drop(unit);
        let channels: Rows = channels.into_iter().map(|row| (row.chain(), row)).collect();
        for book in self.books.all_shown() {
            if book.row.is_over() {
                continue;
            }
            self.rooms_of(&book, &channels, &mut rooms).await?;
        }
        Ok(rooms)
    }

    /// People, whoever was heard of last first.
    async fn people(&self, unit: &mut Unit) -> Result<Vec<Conversation>, CommandError> {
        let mut found = vec![];
        for contact in unit.contacts().await? {
            let counts_again = self.journal().unread_from(contact.user).is_some();
            let page = newest_with(unit, contact.user, counts_again).await?;
            let last = page.last().map(|placed| placed.message.at);
            // Somebody only looked up, such as another member of a community, is no conversation.
            if last.is_none() && contact.standing.is_none() {
                continue;
            }
            found.push((last.unwrap_or(Timestamp::from_millis(0)), self.person(&contact, &page)));
        }
        found.sort_by(|(one, left), (other, right)| {
            other.cmp(one).then_with(|| left.title.cmp(&right.title))
        });
        Ok(found.into_iter().map(|(_, room)| room).collect())
    }

    fn person(&self, contact: &ContactRow, page: &[Placed]) -> Conversation {
        let unread = self.unread_of(contact.user, page);
        let notifications = self.notified_of(&format!("notifications/{}", contact.user));
        let expires_after = self.stay_with(contact.user).map(Stay::seconds);
        let journal = self.journal();
        let address = contact.address();
        Conversation {
            target: format!("@{address}"),
            title: address,
            unread,
            mentions: unread,
            muted: journal.muted_until(contact.user).is_some_and(|until| until > self.now()),
            expires_after,
            draft: journal.draft(contact.user).map(str::to_owned),
            standing: contacts::standing_word(contact.standing).to_owned(),
            trust: Some(contacts::trust_word(contact).to_owned()),
            members: 2,
            last_at: page.last().map(|placed| rfc3339(placed.message.at)),
            topic: super::profile::display_name(contact),
            notifications,
            ..nowhere(RoomKind::Direct)
        }
    }

    async fn rooms_of(
        &self,
        book: &Book,
        rows: &Rows,
        rooms: &mut Vec<Conversation>,
    ) -> Result<(), CommandError> {
        let community = self.community_name(book).await?;
        let members = |state: &State| u32::try_from(state.members.size()).unwrap_or(u32::MAX);
        // Of what is only in sight there is no log here yet.
        let whole = book.state.as_ref().filter(|_| !book.is_sight);
        let blank = Conversation {
            community: Some(community.clone()),
            standing: self.word_of(book).to_owned(),
            members: book.state.as_ref().map_or(0, members),
            alarm: book.row.alarm.clone(),
            refusal: super::community::leave_refused(&book.row),
            log: whole.map(|state| state.head.seq.saturating_add(1)),
            ..nowhere(RoomKind::Community)
        };
        let Some(state) = &book.state else {
            let target = format!("{}#", super::community::handle(&community));
            rooms.push(Conversation { target, title: community, ..blank });
            return Ok(());
        };
        let mut channels: Vec<_> = state
            .channels
            .iter()
            .filter(|(id, _)| state.may_read(self.user, **id))
            .map(|(id, channel)| (channel.position, *id))
            .collect();
        if channels.is_empty() {
            let target = format!("{}#", super::community::handle(&community));
            rooms.push(Conversation { target, title: community, ..blank });
            return Ok(());
        }
        channels.sort_unstable();
        for (_, id) in channels {
            let chain = ChainId::of_channel(book.row.community, id);
            let row = rows.get(&chain).cloned();
            let row = row.unwrap_or_else(|| ChannelRow::new(book.row.community, id));
            rooms.push(self.channel_room(book, state, row, blank.clone()).await?);
        }
        Ok(())
    }

    async fn channel_room(
        &self,
        book: &Book,
        state: &State,
        row: ChannelRow,
        blank: Conversation,
    ) -> Result<Conversation, CommandError> {
        let id = row.channel;
        let is_group = book.row.kind == CommunityKind::Group;
        let channel = state.channels.get(&id);
        let topic = match channel.and_then(|channel| channel.topic.as_ref()) {
            Some(sealed) => self.open_text(book, TextOf::ChannelTopic(id), sealed).await?,
            None => None,
        };
        let kind = match channel.map(|channel| channel.kind) {
            _ if is_group => RoomKind::Group,
            Some(ChannelKind::Voice) => RoomKind::Voice,
            Some(ChannelKind::Video) => RoomKind::Video,
            _ => RoomKind::Text,
        };
        let audience = channel.and_then(|channel| state.audiences.get(&channel.audience));
        let until = self.journal().channel_muted_until(book.row.community, id);
        let draft = self.journal().channel_draft(book.row.community, id).map(str::to_owned);
        Ok(Conversation {
            target: self.room_name(book, id).await?,
            title: match (is_group, &blank.community) {
                (true, Some(community)) => community.clone(),
                _ => self.channel_name(book, id).await?,
            },
            kind,
            topic,
            unread: row.unread,
            mentions: row.mentions,
            muted: until.is_some_and(|until| until > self.now()),
            expires_after: self.stay_in(book.row.community, id).map(Stay::seconds),
            private: channel.is_some_and(|channel| channel.audience != AudienceId::MEMBERS)
                && audience.is_some_and(|audience| audience.rule.is_some()),
            archived: channel.is_some_and(|channel| channel.is_archived),
            slow_mode_s: channel.map_or(0, |channel| channel.slow_mode_s),
            waits_since: row.waits_since.map(rfc3339),
            refusal: row
                .refusal
                .as_ref()
                .map(|why| format!("{} refused, the last one because {why}", row.refused))
                .or(blank.refusal),
            draft,
            notifications: self.notified_of(&format!("notifications/{}", row.chain())),
            ..blank
        })
    }

    /// What of a conversation is notified, by its own setting or the account's.
    fn notified_of(&self, slot: &str) -> String {
        let journal = self.journal();
        let set = journal.setting(slot).or_else(|| journal.setting("notifications"));
        set.unwrap_or("mentions").to_owned()
    }

    /// How things stand, without waiting for anything.
    pub(super) async fn standing(&self) -> Result<StandingLine, CommandError> {
        let mut unit = self.store.read().await?;
        let letters = unit.outbox_length().await?;
        let posts = unit.posting_count().await?;
        let mut trouble = if letters.saturating_add(posts) == 0 {
            None
        } else {
            let letter = unit.outbox_fronts(1).await?.into_iter().find_map(|one| one.trouble);
            let post = unit.posting_fronts(1).await?.into_iter().find_map(|one| one.trouble);
            letter.or(post)
        };
        drop(unit);
        let leaves = self.leaves().await?;
        if trouble.is_none() {
            trouble = leaves.first().map(LeaveLine::in_words);
        }
        let leaves = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let (connection, reason, caught_up) = match &*self.link.borrow() {
            Link::Online(online) => (Connection::Online, None, online.caught_up),
            Link::Connecting => (Connection::Connecting, None, false),
            Link::Offline(why) => (Connection::Offline, Some(why.message.clone()), false),
            Link::Ended(why) => (Connection::Ended, Some(why.message.clone()), false),
        };
        Ok(StandingLine {
            v: 1,
            connection,
            reason,
            caught_up,
            queued: letters.saturating_add(posts).saturating_add(leaves),
            trouble,
            state: self.whoami().state,
        })
    }
}

/// The last messages with one person, as many as say whether and how many are unread.
async fn newest_with(
    unit: &mut Unit,
    conversation: UserId,
    counts_again: bool,
) -> Result<Vec<Placed>, CommandError> {
    let page = unit.page(Page::Last { conversation, count: GLANCE }).await?;
    let is_read = page.iter().all(|placed| placed.message.state != MessageState::Received);
    if (is_read && !counts_again) || page.len() < usize::try_from(GLANCE).unwrap_or(usize::MAX) {
        return Ok(page);
    }
    Ok(unit.page(Page::Last { conversation, count: MOST_UNREAD }).await?)
}

const fn nowhere(kind: RoomKind) -> Conversation {
    Conversation {
        v: 1,
        target: String::new(),
        kind,
        title: String::new(),
        community: None,
        topic: None,
        unread: 0,
        mentions: 0,
        muted: false,
        expires_after: None,
        notifications: String::new(),
        private: false,
        archived: false,
        standing: String::new(),
        trust: None,
        members: 0,
        alarm: None,
        waits_since: None,
        refusal: None,
        last_at: None,
        draft: None,
        log: None,
        slow_mode_s: 0,
    }
}
