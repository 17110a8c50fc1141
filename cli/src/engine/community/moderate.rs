//! Members and roles: what somebody with the permission does in a community.

mod channel;

use rookery_protocol::{
    community::{Action, Approve, Ban, Nickname, Permissions, RoleSet},
    id::{AudienceId, RoleId},
};

use super::{super::Engine, act::check_name, draft::Draft};
use crate::{
    e2ee::epoch::TextOf,
    error::{CommandError, Kind},
};

pub(crate) use channel::{ChannelOrder, Grant, NewChannel, Whom};

/// What somebody does to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberChange {
    Kick,
    Ban,
    Unban,
    Approve,
    Refuse,
    Own,
}

/// A role as somebody wants it: what is absent stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleOrder {
    pub(crate) name: Option<String>,
    pub(crate) rank: Option<u32>,
    pub(crate) colour: Option<u32>,
    pub(crate) permissions: Option<Permissions>,
}

impl Engine {
    /// Sends a member away, or lets somebody in or back.
    pub(crate) async fn change_member(
        &self,
        community: &str,
        who: &str,
        change: MemberChange,
        reason: Option<String>,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        let user = match self.member_named(&book, who).await {
            Ok(user) => user,
            // Somebody can be banned before they come.
            Err(error) if change == MemberChange::Ban && error.kind == Kind::NotFound => {
                self.person_named(who).await?.user
            }
            Err(error) => return Err(error),
        };
        self.state_to(book.row.community, |draft| {
            let ban = |draft: &Draft<'_>| -> Result<Ban, CommandError> {
                let reason = reason
                    .as_ref()
                    .map(|reason| draft.seal(AudienceId::MEMBERS, TextOf::Reason(user), reason))
                    .transpose()?;
                Ok(Ban { user, reason })
            };
            let action = match change {
                MemberChange::Kick => Action::Kick(ban(draft)?),
                MemberChange::Ban => Action::Ban(ban(draft)?),
                MemberChange::Unban => Action::Unban { user },
                MemberChange::Approve => Action::Approve(Approve { user, is_approved: true }),
                MemberChange::Refuse => Action::Approve(Approve { user, is_approved: false }),
                MemberChange::Own => Action::OwnerSet { user },
            };
            draft.say(action)?;
            draft.settle_newcomers()
        })
        .await
    }

    /// Calls a member otherwise in a community.
    pub(crate) async fn nickname(
        &self,
        community: &str,
        who: &str,
        name: Option<String>,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        let user = self.member_named(&book, who).await?;
        if let Some(name) = &name {
            check_name(name)?;
        }
        self.state_to(book.row.community, |draft| {
            let name = name
                .as_ref()
                .map(|name| draft.seal(AudienceId::MEMBERS, TextOf::Nickname(user), name))
                .transpose()?;
            draft.say(Action::Nickname(Nickname { user, name }))
        })
        .await
    }

    /// Gives a member a role, or takes it.
    pub(crate) async fn bear_role(
        &self,
        community: &str,
        who: &str,
        role: &str,
        bears: bool,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        let user = self.member_named(&book, who).await?;
        let role = self.role_named(&book, role).await?;
        self.state_to(book.row.community, |draft| {
            draft.say(if bears {
                Action::RoleGrant { user, role }
            } else {
                Action::RoleRevoke { user, role }
            })?;
            draft.settle_newcomers()
        })
        .await
    }

    /// Makes a role.
    pub(crate) async fn create_role(
        &self,
        community: &str,
        order: RoleOrder,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        let name = order.name.clone().unwrap_or_default();
        check_name(&name)?;
        if self.role_named(&book, &name).await.is_ok() {
            return Err(CommandError::new(
                Kind::Usage,
                format!("there is a role {name:?} already"),
            ));
        }
        self.state_to(book.row.community, |draft| {
            let role = RoleId::from_number(draft.state()?.next_role);
            set_role(draft, role, &order)
        })
        .await
    }

    /// Changes a role.
    pub(crate) async fn edit_role(
        &self,
        community: &str,
        role: &str,
        order: RoleOrder,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        let role = self.role_named(&book, role).await?;
        self.state_to(book.row.community, |draft| set_role(draft, role, &order)).await
    }

    /// Ends a role.
    pub(crate) async fn delete_role(
        &self,
        community: &str,
        role: &str,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        let role = self.role_named(&book, role).await?;
        self.state_to(book.row.community, |draft| draft.say(Action::RoleDelete { role })).await
    }
}

/// States a role as it is wanted: what the order leaves out stays.
fn set_role(draft: &mut Draft<'_>, role: RoleId, order: &RoleOrder) -> Result<(), CommandError> {
    let known = draft.state()?.roles.get(&role).cloned();
    let name = match &order.name {
        Some(name) => Some(draft.seal(AudienceId::MEMBERS, TextOf::RoleName(role), name)?),
        None => known.as_ref().and_then(|known| known.name.clone()),
    };
    let rank = order.rank.or(known.as_ref().map(|known| known.rank)).unwrap_or(1);
    let permissions = order
        .permissions
        .or(known.as_ref().map(|known| known.permissions))
        .unwrap_or(Permissions::NONE);
    draft.say(Action::RoleSet(RoleSet {
        role,
        rank,
        permissions: permissions.bits(),
        colour: order.colour.or(known.and_then(|known| known.colour)),
        name,
    }))
}
