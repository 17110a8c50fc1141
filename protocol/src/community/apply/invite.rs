//! What statements about invitations come to.

use super::{Case, Denied, MAX_INVITES};
use crate::{
    community::{Invite, InviteCreate, Permissions, State},
    id::{AudienceId, InviteId, RoleId},
};

const MAX_INVITE_ROLES: usize = 16;

impl Case<'_> {
    pub(super) fn invite_create(&self, create: &InviteCreate) -> Result<State, Denied> {
        self.need(Permissions::INVITE)?;
        if create.user.is_some() == create.key.is_some() {
            return Err(Denied::Not("an invitation is for one user, or for a link"));
        }
        if create.user.is_some_and(|user| self.state.members.contains_key(&user)) {
            return Err(Denied::Already("they belong to it already"));
        }
        if create.user.is_some_and(|user| self.state.banned.contains(&user)) {
            return Err(Denied::Banned);
        }
        if create.uses == Some(0) {
            return Err(Denied::Not("an invitation can be used at least once"));
        }
        if create.wrap_key.is_some() != create.wrap.is_some()
            || (create.wrap_key.is_some() && !self.state.wraps_links())
        {
            return Err(Denied::Not(
                "only links of open communities with full history carry the epoch",
            ));
        }
        self.check_invite_roles(&create.roles)?;
        if create.invite.number() != self.state.next_invite {
            return Err(Denied::Not("a new invitation has the next number"));
        }
        if self.state.invites.size() >= MAX_INVITES {
            return Err(Denied::TooMany("invitations"));
        }
        let invite = Invite {
            inviter: self.author,
            user: create.user,
            key: create.key,
            wrap_key: create.wrap_key.clone().filter(|_| create.user.is_none()),
            wrap: create.wrap.clone().filter(|_| create.user.is_none()),
            roles: create.roles.clone(),
            uses_left: create.uses.or(create.user.map(|_| 1)),
            expires: create.expires,
        };
        Ok(State {
            invites: self.state.invites.insert(create.invite, invite),
            next_invite: self.state.next_invite.saturating_add(1),
            ..self.state.clone()
        })
    }

    fn check_invite_roles(&self, roles: &[RoleId]) -> Result<(), Denied> {
        if roles.is_empty() {
            return Ok(());
        }
        self.need(Permissions::MANAGE_ROLES)?;
        if roles.len() > MAX_INVITE_ROLES || !roles.is_sorted_by(|one, two| one < two) {
            return Err(Denied::Not("the roles are too many or not in order"));
        }
        for id in roles {
            self.state.check_gives(self.author, *id)?;
            if self.state.opens_private(*id) {
                return Err(Denied::Not(
                    "a role that opens a private channel is given to a member, not by invitation",
                ));
            }
        }
        Ok(())
    }

    pub(super) fn invite_revoke(&self, invite: InviteId) -> Result<State, Denied> {
        let found = self.state.invites.get(&invite).ok_or(Denied::Unknown("invitation"))?;
        let is_for_author = found.user == Some(self.author);
        if found.inviter != self.author && !is_for_author {
            self.need(Permissions::MANAGE_COMMUNITY)?;
        }
        let next = State { invites: self.state.invites.remove(&invite), ..self.state.clone() };
        // Whoever has the link reads the epoch in force: it ends with the link.
        Ok(if found.wrap_key.is_some() { next.with_due(AudienceId::MEMBERS) } else { next })
    }
}
