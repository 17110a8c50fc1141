//! What a person sees of communities: messages of a room, lists of communities, members, roles, channels, the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rookery_protocol::{
    codec,
    community::{
        Action, ChannelKind, CommunityKind, History, JoinPolicy, Permissions, SealedText, State,
        Statement, Subject,
    },
    id::{ChainId, CommunityId, UserId},
    request::{chain::ReadError, community::FetchHead},
    time::Timestamp,
};

use super::{super::Engine, book::Book, merge::merge, target::Room};
use crate::{
    agent::verb::{
        AboutLine, ChannelLine, CommunityDetail, CommunityLine, ErasedLine, InviteLine, LogLine,
        MemberLine, MessageLine, ReadLines, RoleLine, RoomLine, VerifiedLine, rfc3339,
    },
    e2ee::{
        content::{Content, MessageRef},
        epoch::TextOf,
        journal_state::Change,
    },
    error::{CommandError, Kind},
    store::{ChannelRow, MessageState, Place, PlacedPost, PostPage, Standing, StoreError},
};

/// How long `read` waits for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);
/// The most that one page has.
const MAX_COUNT: u32 = 5_000;

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

impl Engine {
    /// Messages of a room, oldest first; marks them read unless one only peeks.
    pub(crate) async fn read_room(
        &self,
        to: &str,
        spot: Spot,
        count: u32,
        peek: bool,
    ) -> Result<ReadLines, CommandError> {
        let synced = self.wait_communities(SYNC_PATIENCE).await;
        let room = self.known_room(to).await?;
        let count = count.clamp(1, MAX_COUNT);
        let placed = self.room_page(&room, &spot, count).await?;
        if !peek
            && matches!(spot, Spot::Last)
            && let Some(last) = placed.iter().rev().find_map(|placed| placed.post.seq)
        {
            self.mark_room_read(&room, last).await?;
        }
        let mut messages = Vec::with_capacity(placed.len());
        self.learn_authors(&placed).await;
        let reads = self.reads_of(&room).await?;
        for one in placed {
            let (author, seq) = (one.post.author, one.post.seq);
            let mut line = self.room_line(&room.name, one).await?;
            if let (true, Some(seq), Some(part)) = (author == self.user, seq, line.room.as_mut()) {
                for (user, _) in reads.iter().filter(|(_, through)| *through >= seq) {
                    part.read_by.push(self.name_of_user(*user).await?);
                }
            }
            messages.push(line);
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
    ) -> Result<ReadLines, CommandError> {
        let synced = self.wait_communities(SYNC_PATIENCE).await;
        let room = self.known_room(to).await?;
        let named = self.post_named(&room, message).await?;
        let chain = named.post.chain;
        let first = named.post.said().thread().unwrap_or_else(|| named.post.reference());
        let mut unit = self.store.read().await?;
        let head = unit.post(chain, first.author, first.item).await?;
        let rest = unit.thread(chain, first, count.clamp(1, MAX_COUNT)).await?;
        drop(unit);
        let placed: Vec<PlacedPost> = head.into_iter().chain(rest).collect();
        self.learn_authors(&placed).await;
        let mut messages = vec![];
        for one in placed {
            messages.push(self.room_line(&room.name, one).await?);
        }
        Ok(ReadLines { messages, synced })
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

    /// Marks a room as read through a place: here, on this user's other devices, and to its members if they may know.
    pub(super) async fn mark_room_read(&self, room: &Room, seq: u64) -> Result<(), CommandError> {
        let chain = ChainId::of_channel(room.community, room.channel);
        let mut unit = self.store.write().await?;
        let Some(row) = unit.channel(chain).await? else { return Ok(()) };
        if row.read >= Some(seq) {
            return Ok(());
        }
        let row = self.count_after(&mut unit, row, seq).await?;
        unit.put_channel(&row).await?;
        let mark = Change::ChannelRead { community: room.community, channel: room.channel, seq };
        self.change_common(&mut unit, mark).await?;
        unit.commit().await?;
        if self.account().read_receipts {
            self.send_up(rookery_protocol::session::FollowUp::ReadIn { chain, seq }).await;
        }
        self.timeline_changed();
        self.chores_wake.notify_one();
        Ok(())
    }

    /// The row of a channel that was read through `seq`, with what is left counted.
    pub(in super::super) async fn count_after(
        &self,
        unit: &mut crate::store::Unit,
        row: ChannelRow,
        seq: u64,
    ) -> Result<ChannelRow, StoreError> {
        let (mut unread, mut mentions) = (0_u32, 0_u32);
        for placed in unit.everything_after(row.chain(), Some(seq), MAX_COUNT).await? {
            let Content::Text(text) = placed.post.said() else { continue };
            if placed.post.author == self.user || placed.post.erased.is_some() {
                continue;
            }
            unread = unread.saturating_add(1);
            if text.mentions_all || text.mentions.contains(&self.user) {
                mentions = mentions.saturating_add(1);
            }
        }
        Ok(ChannelRow { read: Some(seq), unread, mentions, ..row })
    }

    /// Marks a room as read, through its newest message or one that is named.
    pub(crate) async fn mark_read_command(
        &self,
        to: &str,
        message: Option<&str>,
    ) -> Result<(), CommandError> {
        let room = self.known_room(to).await?;
        let chain = ChainId::of_channel(room.community, room.channel);
        if let Some(message) = message {
            let seq = self.place_named(&room, message).await?;
            return self.mark_room_read(&room, seq).await;
        }
        let row = self.store.read().await?.channel(chain).await?;
        match row.and_then(|row| row.have) {
            Some(have) => self.mark_room_read(&room, have.seq).await,
            None => Ok(()),
        }
    }

    /// A post as a line.
    pub(in super::super) async fn room_line(
        &self,
        room: &str,
        placed: PlacedPost,
    ) -> Result<MessageLine, CommandError> {
        let post = &placed.post;
        let said = post.said();
        let mut unit = self.store.read().await?;
        let about = unit.about(post.chain, post.reference()).await?;
        let replies = unit.thread_count(post.chain, post.reference()).await?;
        drop(unit);
        let shown = merge(&placed, &about);
        let mut reactions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (emoji, users) in shown.reactions {
            for user in users {
                reactions.entry(emoji.clone()).or_default().push(self.name_of_user(user).await?);
            }
        }
        let erased = match &shown.erased {
            Some(erased) => Some(ErasedLine {
                by: self.name_of_user(erased.by).await?,
                reason: erased.reason.clone(),
            }),
            None => None,
        };
        let id = |reference: MessageRef| reference.item.to_string();
        let (reply_to, mentions) = match &said {
            Content::Text(text) => {
                let mut names = vec![];
                for user in &text.mentions {
                    names.push(self.name_of_user(*user).await?);
                }
                if text.mentions_all {
                    names.push("everyone".to_owned());
                }
                (text.reply_to.map(id), names)
            }
            _ => (None, vec![]),
        };
        let about = match &said {
            Content::Edit(edit) => Some(AboutLine {
                kind: "edit".to_owned(),
                target: id(edit.target),
                value: edit.text.clone(),
            }),
            Content::React(react) => Some(AboutLine {
                kind: if react.on { "react" } else { "unreact" }.to_owned(),
                target: id(react.target),
                value: react.emoji.clone(),
            }),
            Content::Pin(pin) => Some(AboutLine {
                kind: if pin.on { "pin" } else { "unpin" }.to_owned(),
                target: id(pin.target),
                value: String::new(),
            }),
            Content::Text(_) | Content::Unknown(_) => None,
        };
        let from = self.name_of_user(post.author).await?;
        let line = RoomLine {
            seq: post.seq,
            reply_to,
            thread: said.thread().map(id),
            replies,
            mentions,
            reactions,
            edited: shown.is_edited,
            pinned: shown.is_pinned,
            erased,
            about,
            doubt: post.doubt.clone(),
            read_by: vec![],
        };
        let state = match (post.state, placed.place) {
            (MessageState::Sent, Place::At(_)) => MessageState::Posted,
            (state, _) => state,
        };
        Ok(MessageLine {
            v: 1,
            id: post.item.to_string(),
            from,
            with: room.to_owned(),
            at: rfc3339(post.at),
            text: shown.text,
            state: state.word().to_owned(),
            reason: post.reason.clone(),
            request: false,
            cursor: placed.position,
            room: Some(Box::new(line)),
        })
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
            return Ok(format!("{name}@{}", account.server));
        }
        let contact = unit.contact(user).await?;
        drop(unit);
        Ok(match contact {
            Some(contact) if contact.name.is_some() => contact.address(),
            _ => format!("{}@{}", user.to_string().get(..10).unwrap_or("?"), account.server),
        })
    }

    /// All communities and groups that are known here.
    pub(crate) async fn list_communities(&self) -> Result<Vec<CommunityLine>, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        self.load_books().await?;
        let mut lines = vec![];
        for book in self.books.all() {
            lines.push(self.community_line(&book).await?);
        }
        lines.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(lines)
    }

    async fn community_line(&self, book: &Book) -> Result<CommunityLine, CommandError> {
        let (mut unread, mut mentions) = (0_u32, 0_u32);
        let mut readable = 0_u32;
        if let Some(state) = &book.state {
            let mut unit = self.store.read().await?;
            for channel in state.channels.keys().filter(|id| state.may_read(self.user, **id)) {
                readable = readable.saturating_add(1);
                let chain = ChainId::of_channel(book.row.community, *channel);
                if let Some(row) = unit.channel(chain).await? {
                    unread = unread.saturating_add(row.unread);
                    mentions = mentions.saturating_add(row.mentions);
                }
            }
        }
        let count = |state: &State| u32::try_from(state.members.size()).unwrap_or(u32::MAX);
        Ok(CommunityLine {
            v: 1,
            id: book.row.community.to_string(),
            name: self.community_name(book).await?,
            kind: kind_word(book.row.kind).to_owned(),
            standing: standing_word(book.row.standing).to_owned(),
            members: book.state.as_ref().map_or(0, count),
            channels: readable,
            unread,
            mentions,
            alarm: book.row.alarm.clone(),
        })
    }

    /// One community with all that can be told of it.
    pub(crate) async fn show_community(&self, name: &str) -> Result<CommunityDetail, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        let book = self.community_named(name).await?;
        let summary = self.community_line(&book).await?;
        let Some(state) = &book.state else {
            return Err(CommandError::new(Kind::NotFound, "its log is not here yet"));
        };
        let users: Vec<UserId> = state.members.keys().copied().collect();
        if let Ok(client) = self.online().await {
            self.learn_names(&client, &users).await?;
        }
        let topic = match &state.topic {
            Some(sealed) => self.open_text(&book, TextOf::CommunityTopic, sealed).await?,
            None => None,
        };
        let mut invites = vec![];
        for (id, invite) in &state.invites {
            let user = match invite.user {
                Some(user) => Some(self.name_of_user(user).await?),
                None => None,
            };
            let mut roles = vec![];
            for role in &invite.roles {
                roles.push(self.role_name(&book, *role).await?);
            }
            invites.push(InviteLine {
                invite: id.number(),
                by: self.name_of_user(invite.inviter).await?,
                user,
                uses_left: invite.uses_left,
                expires: invite.expires.map(rfc3339),
                roles,
            });
        }
        let mut asking = vec![];
        for user in state.asking.keys() {
            asking.push(self.name_of_user(*user).await?);
        }
        let audience = state.audiences.get(&rookery_protocol::id::AudienceId::MEMBERS);
        Ok(CommunityDetail {
            summary,
            topic,
            owner: self.name_of_user(state.owner).await?,
            hub: state.hub.to_string(),
            policy: policy_word(state.policy).to_owned(),
            history: audience.map_or("", |audience| history_word(audience.history)).to_owned(),
            epoch: audience
                .and_then(|audience| audience.epoch.as_ref())
                .map_or(0, |epoch| epoch.number),
            log: state.head.seq,
            channels: self.channel_lines(&book).await?,
            roles: self.role_lines(&book).await?,
            invites,
            asking,
        })
    }

    /// The channels of a community that this user may read, and those that there are.
    pub(crate) async fn list_channels(&self, name: &str) -> Result<Vec<ChannelLine>, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        let book = self.community_named(name).await?;
        self.channel_lines(&book).await
    }

    async fn channel_lines(&self, book: &Book) -> Result<Vec<ChannelLine>, CommandError> {
        let Some(state) = &book.state else { return Ok(vec![]) };
        let mut lines = vec![];
        for (id, channel) in &state.channels {
            let may_read = state.may_read(self.user, *id);
            if !may_read {
                continue;
            }
            let chain = ChainId::of_channel(book.row.community, *id);
            let row = self.store.read().await?.channel(chain).await?;
            let row = row.unwrap_or_else(|| ChannelRow::new(book.row.community, *id));
            let topic = match &channel.topic {
                Some(sealed) => self.open_text(book, TextOf::ChannelTopic(*id), sealed).await?,
                None => None,
            };
            let audience = state.audiences.get(&channel.audience);
            let mut exceptions = vec![];
            for (subject, overwrite) in &channel.overwrites {
                let whom = match subject {
                    Subject::Role(role) => self.role_name(book, *role).await?,
                    Subject::User(user) => self.name_of_user(*user).await?,
                };
                exceptions.push(format!(
                    "{whom}: allow {} deny {}",
                    words(overwrite.allow),
                    words(overwrite.deny)
                ));
            }
            lines.push((
                channel.position,
                ChannelLine {
                    v: 1,
                    name: self.room_name(book, *id).await?,
                    kind: channel_word(channel.kind).to_owned(),
                    topic,
                    position: channel.position,
                    slow_mode_s: channel.slow_mode_s,
                    archived: channel.is_archived,
                    private: audience.is_some_and(|audience| audience.rule.is_some()),
                    history: audience
                        .map_or("", |audience| history_word(audience.history))
                        .to_owned(),
                    unread: row.unread,
                    mentions: row.mentions,
                    waits_since: row.waits_since.map(rfc3339),
                    refused: row.refused,
                    refusal: row.refusal,
                    exceptions,
                },
            ));
        }
        lines.sort_by_key(|(position, _)| *position);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// The members of a community.
    pub(crate) async fn list_members(&self, name: &str) -> Result<Vec<MemberLine>, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        let book = self.community_named(name).await?;
        let Some(state) = &book.state else { return Ok(vec![]) };
        let users: Vec<UserId> = state.members.keys().copied().collect();
        if let Ok(client) = self.online().await {
            self.learn_names(&client, &users).await?;
        }
        let mut lines = vec![];
        for (user, member) in &state.members {
            let nickname = match &member.nickname {
                Some(sealed) => self.open_text(&book, TextOf::Nickname(*user), sealed).await?,
                None => None,
            };
            let mut roles = vec![];
            for role in &member.roles {
                roles.push(self.role_name(&book, *role).await?);
            }
            lines.push(MemberLine {
                v: 1,
                name: self.name_of_user(*user).await?,
                user: user.to_string(),
                nickname,
                roles,
                owner: *user == state.owner,
                permissions: state.permissions_of(*user, None).words().map(str::to_owned).collect(),
            });
        }
        lines.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(lines)
    }

    /// The roles of a community.
    pub(crate) async fn list_roles(&self, name: &str) -> Result<Vec<RoleLine>, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        let book = self.community_named(name).await?;
        self.role_lines(&book).await
    }

    async fn role_lines(&self, book: &Book) -> Result<Vec<RoleLine>, CommandError> {
        let Some(state) = &book.state else { return Ok(vec![]) };
        let mut lines = vec![];
        for (id, role) in &state.roles {
            lines.push(RoleLine {
                v: 1,
                name: self.role_name(book, *id).await?,
                rank: role.rank,
                colour: role.colour.map(|colour| format!("#{colour:06x}")),
                permissions: role.permissions.words().map(str::to_owned).collect(),
            });
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.rank));
        Ok(lines)
    }

    /// The log of a community, in words.
    pub(crate) async fn community_log(&self, name: &str) -> Result<Vec<LogLine>, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        let book = self.community_named(name).await?;
        let community = book.row.community;
        if let (Some(state), Ok(client)) = (&book.state, self.online().await) {
            let users: Vec<UserId> = state.heads.keys().copied().collect();
            self.learn_names(&client, &users).await?;
        }
        let mut lines = vec![];
        let mut from = 0;
        loop {
            let entries = self.store.read().await?.log_entries(community, from, 512).await?;
            let Some(last) = entries.last() else { return Ok(lines) };
            from = last.seq.saturating_add(1);
            for entry in entries {
                let Some(body) = &entry.body else { continue };
                let Ok(statement) = codec::decode::<Statement>(body.as_slice()) else { continue };
                let (what, whom, sealed) = describe(&statement.action);
                let whom = match whom {
                    Some(user) => Some(self.name_of_user(user).await?),
                    None => None,
                };
                let text = match sealed {
                    Some((what, sealed)) => self.open_text(&book, what, &sealed).await?,
                    None => None,
                };
                lines.push(LogLine {
                    v: 1,
                    seq: entry.seq,
                    by: self.name_of_user(statement.author).await?,
                    what: what.to_owned(),
                    whom,
                    text,
                    hash: entry.hash().to_string(),
                });
            }
        }
    }

    /// Checks a community's log from its beginning once more, and compares it with what the hub says now.
    pub(crate) async fn verify_community(&self, name: &str) -> Result<VerifiedLine, CommandError> {
        let book = self.community_named(name).await?;
        let community = book.row.community;
        let checked = self.check_whole_log(community).await?;
        let mut hub = None;
        if let Ok(client) = self.online().await {
            match client.call(&FetchHead { chain: ChainId::of_log(community) }).await {
                Ok(head) => hub = Some(rookery_protocol::id::to_base32(head.payload.as_slice())),
                Err(rookery_protocol::io::client::CallError::Request(ReadError::NotFound)) => {}
                Err(error) => return Err(super::super::refusal::failed(Kind::Failed, error)),
            }
        }
        let state = book.state.as_ref();
        Ok(VerifiedLine {
            v: 1,
            id: community.to_string(),
            holds: book.row.alarm.is_none() && checked.is_ok(),
            statements: state.map_or(0, |state| state.head.seq.saturating_add(1)),
            head: state.map(|state| state.head.hash.to_string()),
            members: state
                .map_or(0, |state| u32::try_from(state.members.size()).unwrap_or(u32::MAX)),
            alarm: book.row.alarm.or(checked.err()),
            signed_head: hub,
        })
    }

    /// Verifies every stored entry of a log with all signatures.
    async fn check_whole_log(
        &self,
        community: CommunityId,
    ) -> Result<Result<(), String>, CommandError> {
        let mut state: Option<State> = None;
        loop {
            let from = state.as_ref().map_or(0, |state| state.head.seq.saturating_add(1));
            let entries = self.store.read().await?.log_entries(community, from, 512).await?;
            if entries.is_empty() {
                return Ok(Ok(()));
            }
            for entry in &entries {
                let judged = rookery_protocol::community::verify_and_apply(
                    community,
                    state.as_ref(),
                    entry,
                    self.books.histories(),
                );
                match judged {
                    Ok(next) => state = Some(next),
                    Err(error) => return Ok(Err(format!("entry {}: {error}", entry.seq))),
                }
            }
        }
    }

    /// What a channel's chain is called, for lines of `tail`.
    pub(in super::super) async fn name_of_chain(
        &self,
        chain: ChainId,
    ) -> Result<String, CommandError> {
        self.load_books().await?;
        match self.books.place_of(chain) {
            Some((community, Some(channel))) => match self.books.get(community) {
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

type Described = (&'static str, Option<UserId>, Option<(TextOf, SealedText)>);

/// What a statement says, whom about, and the text that is sealed in it.
fn describe(action: &Action) -> Described {
    let named = |what, user: &UserId| (what, Some(*user), None);
    match action {
        Action::Create(_) => ("founded", None, None),
        Action::Edit(edit) => {
            let text = edit.name.clone().map(|name| (TextOf::CommunityName, name));
            let text = text.or(edit.topic.clone().map(|topic| (TextOf::CommunityTopic, topic)));
            ("edited", None, text)
        }
        Action::RoleSet(set) => {
            ("set a role", None, set.name.clone().map(|name| (TextOf::RoleName(set.role), name)))
        }
        Action::RoleDelete { .. } => ("ended a role", None, None),
        Action::RoleGrant { user, .. } => named("gave a role to", user),
        Action::RoleRevoke { user, .. } => named("took a role from", user),
        Action::ChannelSet(set) => {
            ("set a channel", None, Some((TextOf::ChannelName(set.channel), set.name.clone())))
        }
        Action::ChannelDelete { .. } => ("ended a channel", None, None),
        Action::OverwriteSet(_) => ("made an exception", None, None),
        Action::AudienceSet(_) => ("set who reads", None, None),
        Action::InviteCreate(create) => ("invited", create.user, None),
        Action::InviteRevoke { .. } => ("ended an invitation", None, None),
        Action::Join(_) => ("joined", None, None),
        Action::Ask(_) => ("asked to be let in", None, None),
        Action::Approve(approve) if approve.is_approved => named("let in", &approve.user),
        Action::Approve(approve) => named("turned down", &approve.user),
        Action::Leave => ("left", None, None),
        Action::Head(_) => ("changed devices", None, None),
        Action::Nickname(nickname) => (
            "named",
            Some(nickname.user),
            nickname.name.clone().map(|name| (TextOf::Nickname(nickname.user), name)),
        ),
        Action::Kick(ban) => (
            "kicked",
            Some(ban.user),
            ban.reason.clone().map(|reason| (TextOf::Reason(ban.user), reason)),
        ),
        Action::Ban(ban) => (
            "banned",
            Some(ban.user),
            ban.reason.clone().map(|reason| (TextOf::Reason(ban.user), reason)),
        ),
        Action::Unban { user } => named("unbanned", user),
        Action::Add(add) => named("added", &add.user),
        Action::Epoch(_) => ("began an epoch", None, None),
        Action::Admit(admit) => named("gave the key to", &admit.user),
        Action::Lacking { .. } => ("lacks the key", None, None),
        Action::OwnerSet { user } => named("handed over to", user),
        Action::Delete => ("deleted the community", None, None),
    }
}

fn words(permissions: Permissions) -> String {
    let words: Vec<&str> = permissions.words().collect();
    if words.is_empty() { "-".to_owned() } else { words.join(",") }
}

const fn kind_word(kind: CommunityKind) -> &'static str {
    match kind {
        CommunityKind::Community => "community",
        CommunityKind::Group => "group",
    }
}

const fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Member => "member",
        Standing::Invited => "invited",
        Standing::Asking => "asking",
        Standing::Gone => "gone",
    }
}

const fn policy_word(policy: JoinPolicy) -> &'static str {
    match policy {
        JoinPolicy::Open => "open",
        JoinPolicy::Invited => "invited",
        JoinPolicy::Approved => "approved",
    }
}

const fn history_word(history: History) -> &'static str {
    match history {
        History::Full => "full",
        History::SinceJoin => "since-join",
    }
}

const fn channel_word(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Text => "text",
        ChannelKind::Voice => "voice",
        ChannelKind::Video => "video",
    }
}
