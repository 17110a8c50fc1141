//! Lists: communities, channels, members, roles.

use std::time::Duration;

use rookery_protocol::{
    community::{ChannelKind, CommunityKind, History, JoinPolicy, Permissions, State, Subject},
    id::{ChainId, UserId},
};

use super::{super::Engine, book::Book, leave::leave_refused};
use crate::{
    agent::verb::{
        ChannelLine, CommunityDetail, CommunityLine, InviteLine, MemberLine, RoleLine, rfc3339,
    },
    e2ee::epoch::TextOf,
    error::{CommandError, Kind},
    store::{ChannelRow, Standing},
};

/// How long it is waited for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);

impl Engine {
    /// All communities and groups that are known here.
    pub(crate) async fn list_communities(&self) -> Result<Vec<CommunityLine>, CommandError> {
        self.wait_communities(SYNC_PATIENCE).await;
        self.load_books().await?;
        let mut lines = vec![];
        for book in self.books.all_shown() {
            lines.push(self.community_line(&book).await?);
        }
        lines.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(lines)
    }

    /// The names of the communities whose server was caught lying.
    pub(in super::super) async fn not_believed(&self) -> Result<Vec<String>, CommandError> {
        self.load_books().await?;
        let mut names = vec![];
        for book in self.books.all() {
            if book.row.alarm.is_some() {
                names.push(self.community_name(&book).await?);
            }
        }
        names.sort_unstable();
        Ok(names)
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
            standing: self.word_of(book).to_owned(),
            members: book.state.as_ref().map_or(0, count),
            channels: readable,
            unread,
            mentions,
            leaving: self.leave_of(book).await?,
            refusal: leave_refused(&book.row),
            alarm: book.row.alarm.clone(),
            warning: self.head_warning(book).await?,
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
        self.learn_names_if_online(&users).await?;
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
        self.learn_names_if_online(&users).await?;
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

    /// How this user stands to a community, in a word.
    pub(in super::super) fn word_of(&self, book: &Book) -> &'static str {
        if book.row.is_leaving() {
            "leaving"
        } else if book.is_checking(self.user) {
            "checking"
        } else {
            standing_word(book.row.standing)
        }
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

pub(in super::super) const fn standing_word(standing: Standing) -> &'static str {
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
