//! Who belongs: invitations, coming, going, being sent away.

use super::{
    Case, Denied, MAX_ASKING, MAX_GROUP, MAX_MEMBERS, Refused, check_head, check_puk,
    check_sealed_for,
};
use crate::{
    community::{
        Add, Approve, Ask, Asking, Audience, Ban, CommunityKind, History, Invite, Join, JoinBy,
        JoinPolicy, Member, Nickname, Permissions, PukPin, Stale, State, Subject, invite_message,
    },
    id::{AudienceId, InviteId, RoleId, UserId},
    key::Domain,
};

impl Case<'_> {
    pub(super) fn join(&self, join: &Join) -> Result<State, Refused> {
        self.check_newcomer(join.puk)?;
        let invite = self.right_of(&join.by)?;
        let is_open = self.state.policy == JoinPolicy::Open;
        if invite.is_none() && !is_open {
            return Err(Denied::Not("one has to be invited, or to ask").into());
        }
        // Somebody's own invitation is an approval, if who made it may approve.
        let is_approved = matches!(join.by, JoinBy::Invited { .. })
            && invite.and_then(|id| self.state.invites.get(&id)).is_some_and(|invite| {
                self.state.permissions_of(invite.inviter, None).contain(Permissions::APPROVE)
            });
        if self.state.policy == JoinPolicy::Approved && !is_approved {
            return Err(Denied::Not("one has to ask, and is let in by a member").into());
        }
        let head = self.author_head;
        Ok(self.let_in(self.author, head, join.puk, invite)?)
    }

    pub(super) fn ask(&self, ask: &Ask) -> Result<State, Refused> {
        self.check_newcomer(ask.puk)?;
        if self.state.policy == JoinPolicy::Invited {
            return Err(Denied::Not("one has to be invited").into());
        }
        let invite = self.right_of(&ask.by)?;
        let is_new = !self.state.asking.contains_key(&self.author);
        if is_new && self.state.asking.size() >= MAX_ASKING {
            return Err(Denied::TooMany("people who ask to be let in").into());
        }
        let asking = Asking { head: self.author_head, puk: ask.puk, invite };
        let asking = self.state.asking.insert(self.author, asking);
        Ok(State { asking, ..self.state.clone() })
    }

    fn check_newcomer(&self, puk: PukPin) -> Result<(), Refused> {
        if self.state.members.contains_key(&self.author) {
            return Err(Denied::Already("they belong to it already").into());
        }
        if self.state.banned.contains(&self.author) {
            return Err(Denied::Banned.into());
        }
        check_puk(self.chains, self.author, self.author_head, puk)?;
        Ok(())
    }

    /// The invitation that gives the author the right to come, if it is one.
    fn right_of(&self, by: &JoinBy) -> Result<Option<InviteId>, Denied> {
        let find = |id: InviteId| {
            let invite = self.state.invites.get(&id).ok_or(Denied::Unknown("invitation"))?;
            if invite.uses_left == Some(0) {
                return Err(Denied::Not("the invitation has been used up"));
            }
            Ok(invite)
        };
        match by {
            JoinBy::Open => Ok(None),
            JoinBy::Invited { invite } => {
                if find(*invite)?.user != Some(self.author) {
                    return Err(Denied::Unknown("invitation"));
                }
                Ok(Some(*invite))
            }
            JoinBy::Link { invite, proof } => {
                let key = find(*invite)?.key.ok_or(Denied::Unknown("invitation"))?;
                let message = invite_message(self.state.community, *invite, self.author);
                key.verify(Domain::INVITE, &message, proof)
                    .map_err(|_| Denied::Not("the link's proof does not hold"))?;
                Ok(Some(*invite))
            }
        }
    }

    fn let_in(
        &self,
        user: UserId,
        head: crate::chain::Seen,
        puk: PukPin,
        invite: Option<InviteId>,
    ) -> Result<State, Denied> {
        if self.state.members.size() >= MAX_MEMBERS {
            return Err(Denied::TooMany("members"));
        }
        let mut next = self.state.clone();
        let mut roles = vec![];
        if let Some(id) = invite
            && let Some(found) = self.state.invites.get(&id)
        {
            roles = self.roles_of(found);
            let uses_left = found.uses_left.map(|left| left.saturating_sub(1));
            next.invites = if uses_left == Some(0) {
                next.invites.remove(&id)
            } else {
                next.invites.insert(id, Invite { uses_left, ..found.clone() })
            };
        }
        let member = Member { head, puk, roles, joined: self.seq, nickname: None };
        next.members = next.members.insert(user, member);
        next.asking = next.asking.remove(&user);
        next.heads = next.heads.insert(user, head);
        let brings_epoch = invite
            .and_then(|id| self.state.invites.get(&id))
            .is_some_and(|invite| invite.wrap_key.is_some());
        if !brings_epoch {
            next = next.with_lacking(AudienceId::MEMBERS, user);
        }
        // History begins with one's coming: whoever seals next starts an epoch, and those who come meanwhile share it.
        let begins_now = next
            .audiences
            .get(&AudienceId::MEMBERS)
            .is_some_and(|audience| audience.history == History::SinceJoin);
        Ok(if begins_now { next.with_due(AudienceId::MEMBERS) } else { next })
    }

    /// The roles that come with an invitation: those that its maker could still give, and that still open nothing private. An invitation is no
    /// way back to what somebody was deprived of.
    fn roles_of(&self, invite: &Invite) -> Vec<RoleId> {
        let is_given = |role: &RoleId| {
            self.state.check_gives(invite.inviter, *role).is_ok()
                && !self.state.opens_private(*role)
        };
        invite.roles.iter().copied().filter(is_given).collect()
    }

    pub(super) fn approve(&self, approve: &Approve) -> Result<State, Denied> {
        self.need(Permissions::APPROVE)?;
        let asking =
            self.state.asking.get(&approve.user).ok_or(Denied::Unknown("request to be let in"))?;
        if !approve.is_approved {
            return Ok(State {
                asking: self.state.asking.remove(&approve.user),
                ..self.state.clone()
            });
        }
        check_head(self.state.heads.get(&approve.user), asking.head)?;
        let invite = asking.invite.filter(|invite| self.state.invites.contains_key(invite));
        self.let_in(approve.user, asking.head, asking.puk, invite)
    }

    pub(super) fn add(&self, add: &Add) -> Result<State, Refused> {
        if self.state.kind != CommunityKind::Group {
            return Err(Denied::Not("a community is joined, nobody is brought in").into());
        }
        self.need_owner()?;
        if self.state.members.contains_key(&add.user) {
            return Err(Denied::Already("they belong to it already").into());
        }
        if self.state.banned.contains(&add.user) {
            return Err(Denied::Banned.into());
        }
        if self.state.members.size() >= MAX_GROUP {
            return Err(Denied::TooMany("members of a group").into());
        }
        check_head(self.state.heads.get(&add.user), add.head)?;
        check_puk(self.chains, add.user, add.head, add.puk)?;
        Ok(self.let_in(add.user, add.head, add.puk, None)?)
    }

    pub(super) fn leave(&self) -> Result<State, Denied> {
        if self.author == self.state.owner {
            return Err(Denied::Not("the owner hands the community over, or deletes it"));
        }
        let mut next = self.state.without_member(self.author);
        for (id, audience) in &self.state.audiences {
            if self.state.is_in_audience(self.author, *id) {
                let current = next.audiences.get(id).unwrap_or(audience).clone();
                let leaves = current.stale.leaves.saturating_add(1);
                let stale = Stale { leaves, ..current.stale };
                next.audiences = next.audiences.insert(*id, Audience { stale, ..current });
            }
        }
        Ok(next)
    }

    pub(super) fn head(&self, puk: PukPin) -> Result<State, Refused> {
        check_puk(self.chains, self.author, self.author_head, puk)?;
        let member = self.state.members.get(&self.author).ok_or(Denied::NotAMember)?;
        if self.author_head.seq <= member.head.seq {
            return Err(Denied::Already("the log knows that head").into());
        }
        let mut next = self.state.clone();
        if member.puk != puk {
            for (id, audience) in &self.state.audiences {
                if self.state.is_in_audience(self.author, *id) {
                    let devices = audience.stale.devices.saturating_add(1);
                    let stale = Stale { devices, ..audience.stale };
                    next.audiences =
                        next.audiences.insert(*id, Audience { stale, ..audience.clone() });
                }
            }
        }
        let member = Member { head: self.author_head, puk, ..member.clone() };
        next.members = next.members.insert(self.author, member);
        Ok(next)
    }

    pub(super) fn nickname(&self, nickname: &Nickname) -> Result<State, Denied> {
        if nickname.user == self.author {
            self.need(Permissions::NICKNAME)?;
        } else {
            self.need(Permissions::MANAGE_NICKNAMES)?;
            self.need_above(nickname.user)?;
        }
        let member = self.state.members.get(&nickname.user).ok_or(Denied::Unknown("member"))?;
        nickname.name.iter().try_for_each(|name| check_sealed_for(name, AudienceId::MEMBERS))?;
        let member = Member { nickname: nickname.name.clone(), ..member.clone() };
        let members = self.state.members.insert(nickname.user, member);
        Ok(State { members, ..self.state.clone() })
    }

    pub(super) fn kick(&self, kick: &Ban) -> Result<State, Denied> {
        if self.state.kind == CommunityKind::Group {
            self.need_owner()?;
        } else {
            self.need(Permissions::KICK)?;
        }
        self.check_sent_away(kick)?;
        if !self.state.members.contains_key(&kick.user) {
            return Err(Denied::Unknown("member"));
        }
        Ok(self.send_away(kick.user))
    }

    pub(super) fn ban(&self, ban: &Ban) -> Result<State, Denied> {
        if self.state.kind == CommunityKind::Group {
            self.need_owner()?;
        } else {
            self.need(Permissions::BAN)?;
        }
        self.check_sent_away(ban)?;
        if self.state.banned.contains(&ban.user) {
            return Err(Denied::Already("they are banned already"));
        }
        let mut next = if self.state.members.contains_key(&ban.user) {
            self.send_away(ban.user)
        } else {
            self.state.clone()
        };
        next.asking = next.asking.remove(&ban.user);
        let personal: Vec<_> = next
            .invites
            .iter()
            .filter(|(_, invite)| invite.user == Some(ban.user))
            .map(|(id, _)| *id)
            .collect();
        for id in personal {
            next.invites = next.invites.remove(&id);
        }
        next.banned = next.banned.insert(ban.user);
        Ok(next)
    }

    fn check_sent_away(&self, ban: &Ban) -> Result<(), Denied> {
        if ban.user == self.author {
            return Err(Denied::Not("who wants to go leaves"));
        }
        self.need_above(ban.user)?;
        ban.reason.iter().try_for_each(|reason| check_sealed_for(reason, AudienceId::MEMBERS))
    }

    /// The state without a member who did not go by themselves. Whoever was sent away may still have a link: none opens later epochs.
    fn send_away(&self, user: UserId) -> State {
        let next = self.state.without_member(user).without_wrapped_links();
        let was_in = self.state.audiences.keys().filter(|id| self.state.is_in_audience(user, **id));
        was_in.fold(next, |next, id| next.owing_epoch(*id, self.author))
    }

    pub(super) fn unban(&self, user: UserId) -> Result<State, Denied> {
        if self.state.kind == CommunityKind::Group {
            self.need_owner()?;
        } else {
            self.need(Permissions::BAN)?;
        }
        if !self.state.banned.contains(&user) {
            return Err(Denied::Unknown("ban"));
        }
        Ok(State { banned: self.state.banned.remove(&user), ..self.state.clone() })
    }
}

impl State {
    /// Whether links may carry the epoch.
    pub(super) fn wraps_links(&self) -> bool {
        self.policy == JoinPolicy::Open
            && self
                .audiences
                .get(&AudienceId::MEMBERS)
                .is_some_and(|audience| audience.history == History::Full)
    }

    /// Whether a private audience is open to who bears the role.
    pub(super) fn opens_private(&self, role: RoleId) -> bool {
        self.audiences.values().any(|audience| audience.is_opened_by(role))
    }

    /// This state without a member, and without what was set for them.
    fn without_member(&self, user: UserId) -> Self {
        let mut next = self.clone();
        next.members = next.members.remove(&user);
        for (id, audience) in &self.audiences {
            let named = audience.rule.as_ref().map(|rule| rule.users.binary_search(&user));
            if !audience.lacking.contains(&user) && !matches!(named, Some(Ok(_))) {
                continue;
            }
            let mut audience =
                Audience { lacking: audience.lacking.remove(&user), ..audience.clone() };
            if let (Some(rule), Some(Ok(place))) = (&mut audience.rule, named) {
                rule.users.remove(place);
            }
            next.audiences = next.audiences.insert(*id, audience);
        }
        for (id, channel) in &self.channels {
            if channel.overwrites.contains_key(&Subject::User(user)) {
                let overwrites = channel.overwrites.remove(&Subject::User(user));
                let channel = crate::community::Channel { overwrites, ..channel.clone() };
                next.channels = next.channels.insert(*id, channel);
            }
        }
        next
    }
}
