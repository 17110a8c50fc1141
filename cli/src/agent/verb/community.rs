//! Communities and groups: founded, joined, left, changed.

mod line;

use rookery_protocol::community::{CommunityKind, JoinPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::line::{
    Changed, CommunityDetail, CommunityLine, HistoryWord, InviteLine, LeaveLine, PolicyWord,
};
use super::{Call, Nothing, Verb};
use crate::{
    engine::{FoundOrder, InviteOrder, Joined, Left, MemberChange},
    error::{CommandError, Kind},
};

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
        let (community, joined) = Box::pin(call.engine.join(&self.link)).await?;
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

/// Moves a community to another server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityMove {
    /// Which.
    pub community: String,
    /// The server that orders it from then on.
    pub to: String,
}

/// What happens while a community is moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoveEvent {
    /// The version of this object: 1.
    pub v: u32,
    /// What it waits for, in words.
    pub waits_for: String,
}

impl Verb for CommunityMove {
    const METHOD: &'static str = "community.move";
    const ABOUT: &'static str =
        "Moves a community to another server, once that has a copy of all of it: its owner only.";
    type Reply = Changed;
    type Event = MoveEvent;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let show = |waits_for: String| {
            let (event, call) = (MoveEvent { v: 1, waits_for }, &call);
            async move { call.event(&event).await }
        };
        call.engine.move_community(&self.community, &self.to, show).await?;
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
