//! A community's log as a person reads it, and as it is checked once more.

use std::{collections::BTreeMap, time::Duration};

use rookery_protocol::{
    chain::{Entry, Item},
    codec,
    community::{Action, ChannelSet, SealedText, State, Statement},
    id::{ChainId, ChannelId, CommunityId, UserId},
    io::client::CallError,
    request::{chain::ReadError, community::FetchHead},
};

use super::{
    super::{Engine, refusal::failed},
    book::Book,
};
use crate::{
    agent::verb::{LogLine, VerifiedLine, rfc3339},
    e2ee::epoch::TextOf,
    error::{CommandError, Kind},
};

/// How long it is waited for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);

/// How many entries are read at once.
const PAGE: u32 = 512;
/// How many pages are gone back at most to find what a channel was before it was set.
const MAX_BACK: usize = 16;

/// Which part of a log somebody wants to see.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogOrder {
    /// Of which community.
    pub(crate) community: String,
    /// From this place on; when absent, so many that the newest is the last.
    pub(crate) from: Option<u64>,
    /// How many entries at most; all when absent.
    pub(crate) count: Option<u32>,
    /// What is here, at once, rather than what the home may have.
    pub(crate) local: bool,
}

/// What a channel was before it was set.
enum Former {
    /// There was none.
    Nothing,
    /// It was so.
    Set(ChannelSet),
    /// That is too far back to be looked for.
    Unknown,
}

impl Engine {
    /// The log of a community, or a part of it, in words.
    pub(crate) async fn community_log(
        &self,
        order: LogOrder,
    ) -> Result<Vec<LogLine>, CommandError> {
        let LogOrder { community: name, from, count, local } = order;
        if !local {
            self.wait_communities(SYNC_PATIENCE).await;
        }
        let book = self.community_named(&name).await?;
        if !local && let Some(state) = &book.state {
            let users: Vec<UserId> = state.heads.keys().copied().collect();
            self.learn_names_if_online(&users).await?;
        }
        let end = book.state.as_ref().map_or(0, |state| state.head.seq.saturating_add(1));
        let count = count.map_or(u64::MAX, u64::from);
        let mut from = from.unwrap_or_else(|| end.saturating_sub(count));
        let until = from.saturating_add(count);
        let mut lines = vec![];
        let mut sets = BTreeMap::new();
        loop {
            let left = u32::try_from(until.saturating_sub(from)).unwrap_or(u32::MAX).min(PAGE);
            let entries = match left {
                0 => return Ok(lines),
                left => {
                    self.store.read().await?.log_entries(book.row.community, from, left).await?
                }
            };
            let Some(last) = entries.last() else { return Ok(lines) };
            from = last.seq.saturating_add(1);
            for entry in &entries {
                lines.extend(self.log_line(&book, entry, &mut sets).await?);
            }
        }
    }

    /// One entry in words; nothing for one that was erased. What it sets of a channel is compared with `sets`, and kept there.
    async fn log_line(
        &self,
        book: &Book,
        entry: &Entry,
        sets: &mut BTreeMap<ChannelId, ChannelSet>,
    ) -> Result<Option<LogLine>, CommandError> {
        let Some(statement) = statement_of(entry) else { return Ok(None) };
        // The log was verified before it was stored.
        let Ok(item) = codec::decode::<Item>(entry.signed.payload.as_slice()) else {
            return Ok(None);
        };
        let (what, whom, sealed) = describe(&statement.action);
        let whom = match whom {
            Some(user) => Some(self.name_of_user(user).await?),
            None => None,
        };
        let sealed = sealed.or_else(|| role_name(book, &statement.action));
        let text = match (sealed, &statement.action) {
            (Some((what, sealed)), _) => self.open_text(book, what, &sealed).await?,
            (None, Action::Handover(next)) => Some(format!("{} ({})", next.hub, next.hub_key)),
            (None, _) => None,
        };
        let mut line = LogLine {
            v: 1,
            seq: entry.seq,
            at: rfc3339(item.at),
            by: self.name_of_user(statement.author).await?,
            what: what.to_owned(),
            whom,
            text,
            room: None,
            change: None,
            topic: None,
            hash: entry.hash().to_string(),
        };
        if let Action::ChannelSet(set) = statement.action {
            let former = match sets.insert(set.channel, set.clone()) {
                Some(former) => Former::Set(former),
                None => self.former_channel(book.row.community, set.channel, entry.seq).await?,
            };
            self.describe_channel(book, &set, &former, &mut line).await?;
        }
        Ok(Some(line))
    }

    /// Adds which room was set, and what about it has changed.
    async fn describe_channel(
        &self,
        book: &Book,
        set: &ChannelSet,
        former: &Former,
        line: &mut LogLine,
    ) -> Result<(), CommandError> {
        let can_read = |state: &State| {
            state.channels.contains_key(&set.channel) && state.may_read(self.user, set.channel)
        };
        if book.state.as_ref().is_some_and(can_read) {
            line.room = Some(self.room_name(book, set.channel).await?);
        }
        let change = match former {
            Former::Nothing => "made",
            Former::Set(former) if former.name != set.name => "renamed",
            Former::Set(former) if former.topic != set.topic => {
                line.topic = match &set.topic {
                    Some(topic) => {
                        self.open_text(book, TextOf::ChannelTopic(set.channel), topic).await?
                    }
                    None => None,
                };
                "topic"
            }
            Former::Set(former) if former.is_archived != set.is_archived => {
                if set.is_archived {
                    "archived"
                } else {
                    "reopened"
                }
            }
            Former::Set(former) if former.slow_mode_s != set.slow_mode_s => "slow-mode",
            Former::Set(former) if former.position != set.position => "moved",
            Former::Set(_) | Former::Unknown => return Ok(()),
        };
        line.change = Some(change.to_owned());
        Ok(())
    }

    /// What a channel was before entry `seq` set it.
    async fn former_channel(
        &self,
        community: CommunityId,
        channel: ChannelId,
        seq: u64,
    ) -> Result<Former, CommandError> {
        let mut end = seq;
        for _ in 0..MAX_BACK {
            if end == 0 {
                return Ok(Former::Nothing);
            }
            let from = end.saturating_sub(u64::from(PAGE));
            let count = u32::try_from(end.saturating_sub(from)).unwrap_or(PAGE);
            let entries = self.store.read().await?.log_entries(community, from, count).await?;
            let found = entries.iter().rev().find_map(|entry| match statement_of(entry)?.action {
                Action::ChannelSet(set) if set.channel == channel => Some(set),
                _ => None,
            });
            if let Some(set) = found {
                return Ok(Former::Set(set));
            }
            end = from;
        }
        Ok(Former::Unknown)
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
                Err(CallError::Request(ReadError::NotFound)) => {}
                Err(error) => return Err(failed(Kind::Failed, error)),
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
            forks: self.fork_lines(community).await?,
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
}

fn statement_of(entry: &Entry) -> Option<Statement> {
    codec::decode(entry.body.as_ref()?.as_slice()).ok()
}

/// The name of the role that is given or taken, if there still is such a role.
fn role_name(book: &Book, action: &Action) -> Option<(TextOf, SealedText)> {
    let (Action::RoleGrant { role, .. } | Action::RoleRevoke { role, .. }) = action else {
        return None;
    };
    let name = book.state.as_ref()?.roles.get(role)?.name.clone();
    Some((TextOf::RoleName(*role), name?))
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
        Action::Handover(_) => ("moved it to another server", None, None),
        Action::AudienceDelete { .. } => ("ended an audience", None, None),
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
        Action::Snapshot { .. } => ("vouched for the log", None, None),
        Action::Delete => ("deleted the community", None, None),
    }
}
