//! A community's log as a person reads it, and as it is checked once more.

use std::time::Duration;

use rookery_protocol::{
    codec,
    community::{Action, SealedText, State, Statement},
    id::{ChainId, CommunityId, UserId},
    io::client::CallError,
    request::{chain::ReadError, community::FetchHead},
};

use super::super::{Engine, refusal::failed};
use crate::{
    agent::verb::{LogLine, VerifiedLine},
    e2ee::epoch::TextOf,
    error::{CommandError, Kind},
};

/// How long it is waited for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);

impl Engine {
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
        Action::Delete => ("deleted the community", None, None),
    }
}
