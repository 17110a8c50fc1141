//! Communities and groups: founded, joined, left, changed.

use rookery_protocol::community::{CommunityKind, History, JoinPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, ChannelLine, Nothing, RoleLine, Verb};
use crate::{
    engine::{FoundOrder, InviteOrder, Joined, Left, MemberChange},
    error::{CommandError, Kind},
};

/// One community or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommunityLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its id.
    pub id: String,
    /// What it is called; the beginning of its id while its name cannot be read.
    pub name: String,
    /// `community` or `group`.
    pub kind: String,
    /// `member`, `invited`, `asking`, `leaving` or `gone`.
    pub standing: String,
    /// How many belong to it.
    pub members: u32,
    /// How many channels of it this user may read.
    pub channels: u32,
    /// Messages that were not read yet.
    pub unread: u32,
    /// How many of them mention this user.
    pub mentions: u32,
    /// What leaving it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<LeaveLine>,
    /// Why this user could not leave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Why its server is not to be believed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// What others have seen of its log, and this device was not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A leave that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaveLine {
    /// What the community is called.
    pub community: String,
    /// The server that it waits for: the community's hub.
    pub hub: String,
    /// Since when it waits.
    pub since: String,
    /// Why, as it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl LeaveLine {
    /// The same for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let reason = self.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        format!("leaving {} waits for {} since {}{reason}", self.community, self.hub, self.since)
    }
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteLine {
    /// Its number.
    pub invite: u32,
    /// Who made it.
    pub by: String,
    /// For whom; whoever has the link when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How often it can still be used; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Roles that it gives.
    pub roles: Vec<String>,
}

/// A community with all that can be told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommunityDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: CommunityLine,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Who owns it.
    pub owner: String,
    /// The server that orders it.
    pub hub: String,
    /// `open`, `invited` or `approved`.
    pub policy: String,
    /// What those who come later can read: `full` or `since-join`.
    pub history: String,
    /// The number of the epoch in force for all members.
    pub epoch: u32,
    /// The place of the last statement.
    pub log: u64,
    /// The channels that this user may read.
    #[serde(rename = "channel_list")]
    pub channels: Vec<ChannelLine>,
    /// The roles.
    pub roles: Vec<RoleLine>,
    /// The invitations.
    pub invites: Vec<InviteLine>,
    /// Who asks to be let in.
    pub asking: Vec<String>,
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The version of this object: 1.
    pub v: u32,
    /// The community that was founded or joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `member` or `asking`, after joining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// The link of an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The number of an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<u32>,
    /// What leaving waits for: it is kept, and carried out by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<LeaveLine>,
}

impl Changed {
    pub(super) fn done() -> Self {
        Self { v: 1, ..Self::default() }
    }
}

/// Who may join.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyWord {
    /// Whoever knows of it.
    Open,
    /// Whoever is invited.
    #[default]
    Invited,
    /// Whoever asks and is let in.
    Approved,
}

/// What those who come later can read.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryWord {
    /// Everything.
    #[default]
    Full,
    /// What is said after they came.
    SinceJoin,
}

impl From<PolicyWord> for JoinPolicy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Open => Self::Open,
            PolicyWord::Invited => Self::Invited,
            PolicyWord::Approved => Self::Approved,
        }
    }
}

impl From<HistoryWord> for History {
    fn from(word: HistoryWord) -> Self {
        match word {
            HistoryWord::Full => Self::Full,
            HistoryWord::SinceJoin => Self::SinceJoin,
        }
    }
}

/// Asks for the communities and groups.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CommunityList {}

impl Verb for CommunityList {
    const METHOD: &'static str = "community.list";
    const ABOUT: &'static str = "Lists the communities and groups, with what is unread in them.";
    type Reply = Vec<CommunityLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.list_communities().await
    }
}

/// Asks about a community. Each question has one field: which.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityShow {
    /// Which.
    pub community: String,
}

impl Verb for CommunityShow {
    const METHOD: &'static str = "community.show";
    const ABOUT: &'static str = "Shows a community with its channels, roles and invitations.";
    type Reply = CommunityDetail;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.show_community(&self.community).await
    }
}

/// Founds a community or a group.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityCreate {
    /// What it is called.
    pub name: String,
    /// Whether it is a group: a small private conversation.
    #[serde(default)]
    pub group: bool,
    /// What it is about.
    #[serde(default)]
    pub topic: Option<String>,
    /// Who may join.
    #[serde(default)]
    pub policy: PolicyWord,
    /// What those who come later can read.
    #[serde(default)]
    pub history: HistoryWord,
    /// Channels beside `general`.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Who is brought in at once, into a group.
    #[serde(default)]
    pub with: Vec<String>,
}

impl Verb for CommunityCreate {
    const METHOD: &'static str = "community.create";
    const ABOUT: &'static str = "Founds a community, or a group with the people named.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let (kind, policy) = if self.group {
            (CommunityKind::Group, JoinPolicy::Invited)
        } else {
            (CommunityKind::Community, self.policy.into())
        };
        if !self.group && !self.with.is_empty() {
            return Err(CommandError::new(Kind::Usage, "people are invited to a community"));
        }
        let mut channels = vec!["general".to_owned()];
        channels.extend(self.channels.into_iter().filter(|name| name != "general"));
        if self.group {
            channels.truncate(1);
        }
        let order = FoundOrder {
            kind,
            name: self.name,
            topic: self.topic,
            policy,
            history: self.history.into(),
            channels,
            with: self.with,
        };
        let community = call.engine.found(order).await?;
        Ok(Changed { id: Some(community.to_string()), ..Changed::done() })
    }
}

/// Joins a community.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityJoin {
    /// Its link, or the name or id of one that this user was invited to.
    pub link: String,
}

impl Verb for CommunityJoin {
    const METHOD: &'static str = "community.join";
    const ABOUT: &'static str = "Joins a community by its link or by an invitation.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let (community, joined) = call.engine.join(&self.link).await?;
        let standing = if joined == Joined::Member { "member" } else { "asking" };
        Ok(Changed {
            id: Some(community.to_string()),
            standing: Some(standing.to_owned()),
            ..Changed::done()
        })
    }
}

/// Leaves or ends a community.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityLeave {
    /// Which.
    pub community: String,
    /// Whether it ends for all: its owner only.
    #[serde(default)]
    pub delete: bool,
}

impl Verb for CommunityLeave {
    const METHOD: &'static str = "community.leave";
    const ABOUT: &'static str =
        "Leaves a community or group, when its hub is back if that is away; or deletes it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        if self.delete {
            call.engine.delete_community(&self.community).await?;
            return Ok(Changed::done());
        }
        Ok(match call.engine.leave(&self.community).await? {
            Left::Now => Changed::done(),
            Left::Later(leaving) => Changed { leaving: Some(leaving), ..Changed::done() },
        })
    }
}

/// Invites to a community, or ends an invitation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityInvite {
    /// Which.
    pub community: String,
    /// Whom; a link for whoever has it when absent.
    #[serde(default)]
    pub who: Option<String>,
    /// How often the link can be used.
    #[serde(default)]
    pub uses: Option<u32>,
    /// How long it can be used, in milliseconds.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// Roles that it gives.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The number of an invitation to end instead.
    #[serde(default)]
    pub revoke: Option<u32>,
}

impl Verb for CommunityInvite {
    const METHOD: &'static str = "community.invite";
    const ABOUT: &'static str = "Invites somebody to a community, makes a link, or ends either.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        if let Some(invite) = self.revoke {
            let invite = rookery_protocol::id::InviteId::from_number(invite);
            call.engine.revoke_invite(&self.community, invite).await?;
            return Ok(Changed::done());
        }
        let expires =
            self.for_ms.map(|span| call.engine.time().plus(std::time::Duration::from_millis(span)));
        let order = InviteOrder { who: self.who, uses: self.uses, expires, roles: self.roles };
        let (invite, link) = call.engine.invite(&self.community, order).await?;
        Ok(Changed { invite: Some(invite.number()), link, ..Changed::done() })
    }
}

/// Changes a community: what is absent stays.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityEdit {
    /// Which.
    pub community: String,
    /// What it is called.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is about.
    #[serde(default)]
    pub topic: Option<String>,
    /// Who may join.
    #[serde(default)]
    pub policy: Option<PolicyWord>,
    /// Who owns it from now on.
    #[serde(default)]
    pub owner: Option<String>,
}

impl Verb for CommunityEdit {
    const METHOD: &'static str = "community.edit";
    const ABOUT: &'static str = "Renames a community, says who may join, or hands it over.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        if self.name.is_some() || self.topic.is_some() || self.policy.is_some() {
            call.engine
                .edit_community(&self.community, self.name, self.topic, self.policy.map(Into::into))
                .await?;
        }
        if let Some(owner) = self.owner {
            call.engine.change_member(&self.community, &owner, MemberChange::Own, None).await?;
        }
        Ok(Changed::done())
    }
}
