//! What statements about the community itself and about roles come to.

use std::collections::BTreeSet;

use super::{Case, Denied, MAX_ROLES, check_sealed_for};
use crate::{
    community::{
        Audience, Channel, Edit, JoinPolicy, Member, Permissions, Role, RoleSet, Stale, State,
        Subject,
    },
    id::{AudienceId, RoleId, UserId},
};

pub(super) const MAX_MEMBER_ROLES: usize = 32;

impl Case<'_> {
    pub(super) fn edit(&self, edit: &Edit) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_COMMUNITY)?;
        let mut next = self.state.clone();
        if let Some(name) = &edit.name {
            check_sealed_for(name, AudienceId::MEMBERS)?;
            next.name = Some(name.clone());
        }
        if let Some(topic) = &edit.topic {
            check_sealed_for(topic, AudienceId::MEMBERS)?;
            next.topic = Some(topic.clone());
        }
        if let Some(policy) = edit.policy {
            next.policy = policy;
            if policy != JoinPolicy::Open {
                next = next.without_wrapped_links();
            }
        }
        Ok(next)
    }

    pub(super) fn role_set(&self, set: &RoleSet) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_ROLES)?;
        let own = self.state.permissions_of(self.author, None);
        let wanted = Permissions::from_bits(set.permissions);
        let former = self.state.roles.get(&set.role);
        // What the role can do already, it may keep: only what is added has to be the author's own.
        let added = wanted.without(former.map_or(Permissions::NONE, |role| role.permissions));
        if !own.contain(added) {
            return Err(Denied::NotPermitted("that the role is to give"));
        }
        if self.rank() == 0 {
            return Err(Denied::NotAbove);
        }
        if set.role == RoleId::EVERYBODY {
            if set.rank != 0 || set.name.is_some() {
                return Err(Denied::Not("everybody's role has rank 0 and no name"));
            }
        } else {
            let name = set.name.as_ref().ok_or(Denied::Not("a role has a name"))?;
            check_sealed_for(name, AudienceId::MEMBERS)?;
            if set.rank == 0 || set.rank >= self.rank() {
                return Err(Denied::NotAbove);
            }
        }
        let mut next = self.state.clone();
        match former {
            Some(former) if set.role != RoleId::EVERYBODY && former.rank >= self.rank() => {
                return Err(Denied::NotAbove);
            }
            Some(_) => {}
            None if set.role.number() != self.state.next_role => {
                return Err(Denied::Not("a new role has the next number"));
            }
            None if self.state.roles.size() >= MAX_ROLES => return Err(Denied::TooMany("roles")),
            None => next.next_role = next.next_role.saturating_add(1),
        }
        let role = Role {
            rank: set.rank,
            permissions: wanted,
            colour: set.colour,
            name: set.name.clone(),
        };
        next.roles = next.roles.insert(set.role, role);
        Ok(next)
    }

    pub(super) fn role_delete(&self, role: RoleId) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_ROLES)?;
        let former = self.state.roles.get(&role).ok_or(Denied::Unknown("role"))?;
        if role == RoleId::EVERYBODY {
            return Err(Denied::Not("everybody's role cannot end"));
        }
        if former.rank >= self.rank() {
            return Err(Denied::NotAbove);
        }
        let mut next = self.state.clone();
        let mut bearers = vec![];
        for (user, member) in &self.state.members {
            if let Ok(place) = member.roles.binary_search(&role) {
                let mut member = member.clone();
                member.roles.remove(place);
                next.members = next.members.insert(*user, member);
                bearers.push(*user);
            }
        }
        for (id, channel) in &self.state.channels {
            if channel.overwrites.contains_key(&Subject::Role(role)) {
                let overwrites = channel.overwrites.remove(&Subject::Role(role));
                next.channels =
                    next.channels.insert(*id, Channel { overwrites, ..channel.clone() });
            }
        }
        for (id, audience) in &self.state.audiences {
            if audience.is_opened_by(role) {
                let mut audience = audience.clone();
                if let Some(named) = &mut audience.rule {
                    named.roles.retain(|named| *named != role);
                }
                next.audiences = next.audiences.insert(*id, audience);
            }
        }
        for (id, invite) in &self.state.invites {
            if let Ok(place) = invite.roles.binary_search(&role) {
                let mut invite = invite.clone();
                invite.roles.remove(place);
                next.invites = next.invites.insert(*id, invite);
            }
        }
        next.roles = next.roles.remove(&role);
        self.check_no_gain(&next)?;
        Ok(self.with_readers_changed(next, &bearers))
    }

    pub(super) fn role_grant(&self, user: UserId, role: RoleId) -> Result<State, Denied> {
        let member = self.bearer(user, role)?;
        self.state.check_gives(self.author, role)?;
        let Err(place) = member.roles.binary_search(&role) else {
            return Err(Denied::Already("they have the role already"));
        };
        if member.roles.len() >= MAX_MEMBER_ROLES {
            return Err(Denied::TooMany("roles of one member"));
        }
        let mut member = member.clone();
        member.roles.insert(place, role);
        let members = self.state.members.insert(user, member);
        Ok(self.with_readers_changed(State { members, ..self.state.clone() }, &[user]))
    }

    pub(super) fn role_revoke(&self, user: UserId, role: RoleId) -> Result<State, Denied> {
        let member = self.bearer(user, role)?;
        let place =
            member.roles.binary_search(&role).map_err(|_| Denied::Unknown("role of theirs"))?;
        let mut member = member.clone();
        member.roles.remove(place);
        let next = State { members: self.state.members.insert(user, member), ..self.state.clone() };
        if user == self.author {
            self.check_no_gain(&next)?;
        }
        Ok(self.with_readers_changed(next, &[user]))
    }

    /// The member, if the author stands above them and above the role.
    fn bearer(&self, user: UserId, role: RoleId) -> Result<&Member, Denied> {
        self.need(Permissions::MANAGE_ROLES)?;
        let member = self.state.members.get(&user).ok_or(Denied::Unknown("member"))?;
        let meant = self.state.roles.get(&role).ok_or(Denied::Unknown("role"))?;
        if role == RoleId::EVERYBODY {
            return Err(Denied::Not("everybody has everybody's role"));
        }
        if meant.rank >= self.rank() {
            return Err(Denied::NotAbove);
        }
        if user != self.author {
            self.need_above(user)?;
        }
        Ok(member)
    }

    /// Refuses what would give the author, in a channel, what they could do neither there nor in the community: nobody lifts what holds
    /// themselves back.
    pub(super) fn check_no_gain(&self, next: &State) -> Result<(), Denied> {
        let everywhere = self.state.permissions_of(self.author, None);
        for (id, channel) in &next.channels {
            if channel.overwrites.is_empty() {
                continue;
            }
            let former = everywhere.with(self.state.powers_in(self.author, *id));
            if !former.contain(next.powers_in(self.author, *id)) {
                return Err(Denied::NotPermitted("that they would gain"));
            }
        }
        Ok(())
    }
}

impl Audience {
    /// Whether its rule names the role.
    pub(super) fn is_opened_by(&self, role: RoleId) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.roles.binary_search(&role).is_ok())
    }
}

impl State {
    /// Which rule keeps `giver` from giving somebody the role, if one does: its rank, what it permits, in the community and by exceptions in
    /// channels, and which audiences it opens all have to be theirs to give.
    pub(super) fn check_gives(&self, giver: UserId, role: RoleId) -> Result<(), Denied> {
        let everywhere = self.permissions_of(giver, None);
        if !everywhere.contain(Permissions::MANAGE_ROLES) {
            return Err(Denied::NotPermitted("manage-roles"));
        }
        let meant = self.roles.get(&role).ok_or(Denied::Unknown("role"))?;
        if role == RoleId::EVERYBODY || meant.rank >= self.rank_of(giver).unwrap_or(0) {
            return Err(Denied::NotAbove);
        }
        if !everywhere.contain(meant.permissions) {
            return Err(Denied::NotPermitted("that the role gives"));
        }
        for (id, audience) in &self.audiences {
            if audience.is_opened_by(role) && !self.is_in_audience(giver, *id) {
                return Err(Denied::NotPermitted("to read what the role opens"));
            }
        }
        for (id, channel) in &self.channels {
            if let Some(exception) = channel.overwrites.get(&Subject::Role(role))
                && !everywhere.with(self.powers_in(giver, *id)).contain(exception.allow)
            {
                return Err(Denied::NotPermitted("that the role gives in a channel"));
            }
        }
        Ok(())
    }

    /// The users of an audience.
    pub(super) fn readers(&self, audience: AudienceId) -> BTreeSet<UserId> {
        self.roster(audience).map(|(user, _)| user).collect()
    }

    /// This state, in which whoever seals next for the audience starts an epoch first.
    pub(super) fn with_due(mut self, id: AudienceId) -> Self {
        if let Some(audience) = self.audiences.get(&id) {
            let stale = Stale { is_due: true, ..audience.stale };
            self.audiences = self.audiences.insert(id, Audience { stale, ..audience.clone() });
        }
        self
    }

    /// This state, in which `user` has no wrap of the audience's epoch.
    pub(super) fn with_lacking(mut self, id: AudienceId, user: UserId) -> Self {
        if let Some(audience) = self.audiences.get(&id) {
            let lacking = audience.lacking.insert(user);
            self.audiences = self.audiences.insert(id, Audience { lacking, ..audience.clone() });
        }
        self
    }

    /// This state, in which `user` is not said to lack the audience's epoch.
    pub(super) fn without_lacking(mut self, id: AudienceId, user: UserId) -> Self {
        if let Some(audience) = self.audiences.get(&id)
            && audience.lacking.contains(&user)
        {
            let lacking = audience.lacking.remove(&user);
            self.audiences = self.audiences.insert(id, Audience { lacking, ..audience.clone() });
        }
        self
    }

    /// This state, in which `author` owes the audience a new epoch, or anybody does when the author is not in it.
    pub(super) fn owing_epoch(mut self, id: AudienceId, author: UserId) -> Self {
        if !self.is_in_audience(author, id) {
            return self.with_due(id);
        }
        self.owed = self.owed.insert(id, author);
        self
    }

    /// This state, in which no epoch is wrapped for a link any more, and the one that is ends.
    pub(super) fn without_wrapped_links(mut self) -> Self {
        let wrapped: Vec<_> = self
            .invites
            .iter()
            .filter(|(_, invite)| invite.wrap_key.is_some())
            .map(|(id, invite)| (*id, invite.clone()))
            .collect();
        if wrapped.is_empty() {
            return self;
        }
        for (id, mut invite) in wrapped {
            invite.wrap_key = None;
            self.invites = self.invites.insert(id, invite);
        }
        self.with_due(AudienceId::MEMBERS)
    }
}
