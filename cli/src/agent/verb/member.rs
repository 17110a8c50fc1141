//! Members and roles of communities.

use rookery_protocol::community::Permissions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Changed, Nothing, Verb};
use crate::{
    engine::{MemberChange, RoleOrder},
    error::{CommandError, Kind},
};

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

/// The permissions that words stand for.
pub(super) fn permissions(words: &[String]) -> Result<Permissions, CommandError> {
    words.iter().try_fold(Permissions::NONE, |sum, word| {
        let one = if word == "all" { Some(Permissions::ALL) } else { Permissions::parse(word) };
        one.map(|one| sum.with(one)).ok_or_else(|| {
            let known: Vec<&str> = Permissions::WORDS.iter().map(|(word, _)| *word).collect();
            CommandError::new(Kind::Usage, format!("{word:?} is not a permission"))
                .hint(format!("there are {}", known.join(", ")))
        })
    })
}
