//! Communities, groups, members, roles, channels.

use rookery_protocol::community::{ChannelKind, CommunityKind, History, JoinPolicy, Permissions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::{
    engine::{
        ChannelOrder, FoundOrder, Grant, InviteOrder, Joined, MemberChange, NewChannel, RoleOrder,
        Whom,
    },
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
    /// `member`, `invited`, `asking` or `gone`.
    pub standing: String,
    /// How many belong to it.
    pub members: u32,
    /// How many channels of it this user may read.
    pub channels: u32,
    /// Messages that were not read yet.
    pub unread: u32,
    /// How many of them mention this user.
    pub mentions: u32,
    /// Why its server is not to be believed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
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

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `club#general`.
    pub name: String,
    /// `text`, `voice` or `video`.
    pub kind: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Where it stands in the list.
    pub position: u32,
    /// How many seconds each user waits between messages.
    pub slow_mode_s: u32,
    /// Whether it can be read only.
    pub archived: bool,
    /// Whether only some members read it.
    pub private: bool,
    /// `full` or `since-join`.
    pub history: String,
    /// Messages that were not read yet.
    pub unread: u32,
    /// How many of them mention this user.
    pub mentions: u32,
    /// Since when something waits for the channel's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<String>,
    /// How many entries broke the rules.
    pub refused: u32,
    /// Which rule the last one broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Exceptions for roles and members.
    pub exceptions: Vec<String>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `alice@nest.example`.
    pub name: String,
    /// The user id.
    pub user: String,
    /// What they are called here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Roles beside everybody's.
    pub roles: Vec<String>,
    /// Whether they own it.
    pub owner: bool,
    /// What they may do.
    pub permissions: Vec<String>,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleLine {
    /// The version of this object: 1.
    pub v: u32,
    /// What it is called.
    pub name: String,
    /// The higher, the more senior.
    pub rank: u32,
    /// `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// What its bearers may do.
    pub permissions: Vec<String>,
}

/// One statement of a community's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its place.
    pub seq: u64,
    /// Who stated it.
    pub by: String,
    /// What.
    pub what: String,
    /// Whom about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<String>,
    /// A name or a reason that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its hash.
    pub hash: String,
}

/// What came of checking a community's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The community.
    pub id: String,
    /// Whether every statement holds, and nothing contradicted it.
    pub holds: bool,
    /// How many statements there are.
    pub statements: u64,
    /// The hash of the last one, to be compared with other members'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// How many members there are.
    pub members: u32,
    /// What does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// The server's own word for where the log stands, as it signed it: evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_head: Option<String>,
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
}

impl Changed {
    fn done() -> Self {
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

/// What happens in a channel.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelWord {
    /// Messages.
    #[default]
    Text,
    /// Calls.
    Voice,
    /// Calls with pictures.
    Video,
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

impl From<ChannelWord> for ChannelKind {
    fn from(word: ChannelWord) -> Self {
        match word {
            ChannelWord::Text => Self::Text,
            ChannelWord::Voice => Self::Voice,
            ChannelWord::Video => Self::Video,
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
    const ABOUT: &'static str = "Leaves a community or group, or deletes it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        if self.delete {
            call.engine.delete_community(&self.community).await?;
        } else {
            call.engine.leave(&self.community).await?;
        }
        Ok(Changed::done())
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

/// Asks for a community's log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityLog {
    /// Which.
    pub community: String,
}

impl Verb for CommunityLog {
    const METHOD: &'static str = "community.log";
    const ABOUT: &'static str = "Shows every statement of a community's log.";
    type Reply = Vec<LogLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.community_log(&self.community).await
    }
}

/// Checks a community's log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityVerify {
    /// Which.
    pub community: String,
}

impl Verb for CommunityVerify {
    const METHOD: &'static str = "community.verify";
    const ABOUT: &'static str = "Checks every statement of a community's log once more.";
    type Reply = VerifiedLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.verify_community(&self.community).await
    }
}

/// Asks for a community's members.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberList {
    /// Of which community.
    pub community: String,
}

impl Verb for MemberList {
    const METHOD: &'static str = "member.list";
    const ABOUT: &'static str = "Lists the members of a community.";
    type Reply = Vec<MemberLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.list_members(&self.community).await
    }
}

/// What to do about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberAct {
    /// Send them away; they may come back.
    Kick,
    /// Send them away for good.
    Ban,
    /// Let them come back.
    Unban,
    /// Let them in: they asked.
    Approve,
    /// Turn them down.
    Refuse,
    /// Bring them into a group.
    Add,
    /// Give them a role.
    GiveRole,
    /// Take a role from them.
    TakeRole,
    /// Call them something else here.
    Nick,
}

/// Changes how a member stands to a community.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChangeOrder {
    /// In which community.
    pub community: String,
    /// Whom.
    pub who: String,
    /// What.
    pub act: MemberAct,
    /// The role, or what they are called.
    #[serde(default)]
    pub name: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Verb for MemberChangeOrder {
    const METHOD: &'static str = "member.change";
    const ABOUT: &'static str = "Sends a member away, lets somebody in, gives or takes a role.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let Self { community, who, act, name, reason } = self;
        let engine = &call.engine;
        let role = name.clone().unwrap_or_default();
        let change = match act {
            MemberAct::Kick => MemberChange::Kick,
            MemberAct::Ban => MemberChange::Ban,
            MemberAct::Unban => MemberChange::Unban,
            MemberAct::Approve => MemberChange::Approve,
            MemberAct::Refuse => MemberChange::Refuse,
            MemberAct::Add => {
                engine.group_add(&community, &who).await?;
                return Ok(Changed::done());
            }
            MemberAct::GiveRole | MemberAct::TakeRole => {
                engine.bear_role(&community, &who, &role, act == MemberAct::GiveRole).await?;
                return Ok(Changed::done());
            }
            MemberAct::Nick => {
                engine.nickname(&community, &who, name).await?;
                return Ok(Changed::done());
            }
        };
        engine.change_member(&community, &who, change, reason).await?;
        Ok(Changed::done())
    }
}

/// Asks for a community's roles.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleList {
    /// Of which community.
    pub community: String,
}

impl Verb for RoleList {
    const METHOD: &'static str = "role.list";
    const ABOUT: &'static str = "Lists the roles of a community.";
    type Reply = Vec<RoleLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.list_roles(&self.community).await
    }
}

/// Makes, changes or ends a role.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleChange {
    /// In which community.
    pub community: String,
    /// Which role is changed or ended; a new one when absent.
    #[serde(default)]
    pub role: Option<String>,
    /// Whether it ends.
    #[serde(default)]
    pub delete: bool,
    /// What it is called.
    #[serde(default)]
    pub name: Option<String>,
    /// The higher, the more senior.
    #[serde(default)]
    pub rank: Option<u32>,
    /// 0xRRGGBB.
    #[serde(default)]
    pub colour: Option<u32>,
    /// What its bearers may do, as words.
    #[serde(default)]
    pub permissions: Option<Vec<String>>,
}

impl Verb for RoleChange {
    const METHOD: &'static str = "role.change";
    const ABOUT: &'static str = "Makes, changes or ends a role.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let order = RoleOrder {
            name: self.name,
            rank: self.rank,
            colour: self.colour,
            permissions: self.permissions.as_deref().map(permissions).transpose()?,
        };
        match (self.role, self.delete) {
            (Some(role), true) => call.engine.delete_role(&self.community, &role).await?,
            (Some(role), false) => call.engine.edit_role(&self.community, &role, order).await?,
            (None, _) => call.engine.create_role(&self.community, order).await?,
        }
        Ok(Changed::done())
    }
}

/// Asks for a community's channels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelList {
    /// Of which community.
    pub community: String,
}

impl Verb for ChannelList {
    const METHOD: &'static str = "channel.list";
    const ABOUT: &'static str = "Lists the channels of a community that this user may read.";
    type Reply = Vec<ChannelLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.list_channels(&self.community).await
    }
}

/// Makes a channel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelCreate {
    /// In which community.
    pub community: String,
    /// What it is called.
    pub name: String,
    /// What happens in it.
    #[serde(default)]
    pub kind: ChannelWord,
    /// What it is about.
    #[serde(default)]
    pub topic: Option<String>,
    /// Whether only some members read it.
    #[serde(default)]
    pub private: bool,
    /// Roles that read it, when it is private.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Members who read it, when it is private.
    #[serde(default)]
    pub users: Vec<String>,
    /// What those who come later can read, when it is private.
    #[serde(default)]
    pub history: HistoryWord,
    /// How many seconds each user waits between messages.
    #[serde(default)]
    pub slow_mode_s: u32,
}

impl Verb for ChannelCreate {
    const METHOD: &'static str = "channel.create";
    const ABOUT: &'static str = "Makes a channel.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let order = NewChannel {
            name: self.name,
            topic: self.topic,
            kind: self.kind.into(),
            private: self.private.then_some((self.roles, self.users)),
            history: self.history.into(),
            slow_mode_s: self.slow_mode_s,
        };
        call.engine.create_channel(&self.community, order).await?;
        Ok(Changed::done())
    }
}

/// Changes or ends a channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelEdit {
    /// Which: `club#general`.
    pub channel: String,
    /// Whether it ends.
    pub delete: bool,
    /// What it is called.
    pub name: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// Where it stands in the list.
    pub position: Option<u32>,
    /// How many seconds each user waits between messages.
    pub slow_mode_s: Option<u32>,
    /// Whether it can be read only.
    pub archived: Option<bool>,
    /// What those who come later can read.
    pub history: Option<HistoryWord>,
}

impl Verb for ChannelEdit {
    const METHOD: &'static str = "channel.edit";
    const ABOUT: &'static str = "Changes a channel, archives it, or ends it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        if self.delete {
            call.engine.delete_channel(&self.channel).await?;
            return Ok(Changed::done());
        }
        if let Some(history) = self.history {
            call.engine.set_history(&self.channel, history.into()).await?;
        }
        let order = ChannelOrder {
            name: self.name,
            topic: self.topic,
            position: self.position,
            slow_mode_s: self.slow_mode_s,
            is_archived: self.archived,
        };
        call.engine.edit_channel(&self.channel, order).await?;
        Ok(Changed::done())
    }
}

/// Lets a role or a member do something in a channel, or forbids it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelGrant {
    /// In which channel.
    pub channel: String,
    /// The member, `@bob`, or the role.
    pub whom: String,
    /// What, as words; `read` is for private channels.
    pub what: Vec<String>,
    /// Whether it is allowed, denied, or left to their roles again.
    pub how: GrantWord,
}

/// How an exception goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantWord {
    /// They may.
    Allow,
    /// They may not.
    Deny,
    /// As their roles say.
    Clear,
}

impl Verb for ChannelGrant {
    const METHOD: &'static str = "channel.grant";
    const ABOUT: &'static str = "Lets a role or a member do something in a channel, or forbids it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let whom =
            if self.whom.starts_with('@') { Whom::User(self.whom) } else { Whom::Role(self.whom) };
        let (read, rest): (Vec<String>, Vec<String>) =
            self.what.into_iter().partition(|word| word == "read");
        if !read.is_empty() {
            let grant = Grant::Read(self.how == GrantWord::Allow);
            call.engine.grant(&self.channel, whom.clone(), grant).await?;
        }
        if !rest.is_empty() {
            let meant = permissions(&rest)?;
            let none = Permissions::NONE;
            let grant = match self.how {
                GrantWord::Allow => Grant::Permissions { allow: meant, deny: none, clear: none },
                GrantWord::Deny => Grant::Permissions { allow: none, deny: meant, clear: none },
                GrantWord::Clear => Grant::Permissions { allow: none, deny: none, clear: meant },
            };
            call.engine.grant(&self.channel, whom, grant).await?;
        }
        Ok(Changed::done())
    }
}

/// The permissions that words stand for.
fn permissions(words: &[String]) -> Result<Permissions, CommandError> {
    words.iter().try_fold(Permissions::NONE, |sum, word| {
        let one = if word == "all" { Some(Permissions::ALL) } else { Permissions::parse(word) };
        one.map(|one| sum.with(one)).ok_or_else(|| {
            let known: Vec<&str> = Permissions::WORDS.iter().map(|(word, _)| *word).collect();
            CommandError::new(Kind::Usage, format!("{word:?} is not a permission"))
                .hint(format!("there are {}", known.join(", ")))
        })
    })
}
