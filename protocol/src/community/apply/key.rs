//! Epochs: who may start one, and when.

use rpds::RedBlackTreeSetSync;

use super::{Case, Denied};
use crate::{
    community::{
        Admit, Audience, Epoch, EpochReason, EpochStart, History, Invite, Permissions, Stale, State,
    },
    id::AudienceId,
};

impl Case<'_> {
    pub(super) fn epoch(&self, start: &EpochStart) -> Result<State, Denied> {
        let id = start.audience;
        let audience = self.state.audiences.get(&id).ok_or(Denied::Unknown("audience"))?;
        if !self.state.is_in_audience(self.author, id) {
            return Err(Denied::Not("who starts an epoch belongs to the audience"));
        }
        self.check_due(audience, start)?;
        let former = audience.epoch.as_ref();
        let expected = former.map_or(Some(0), |former| former.number.checked_add(1));
        if Some(start.epoch) != expected {
            return Err(Denied::Not("the epoch's number is not the next one"));
        }
        let (roster_root, count) = self.state.roster_root(id);
        if start.roster_root != roster_root || start.count != count {
            return Err(Denied::OtherRoster);
        }
        let continues = audience.history == History::Full
            && former.is_some_and(|former| former.history == History::Full);
        if start.previous.is_some() != continues {
            return Err(Denied::Not(
                "the secret before goes with the new one exactly where history is full",
            ));
        }
        if start.previous_meta.is_some() != former.is_some() {
            return Err(Denied::Not("the metadata key before goes with the new one"));
        }
        let epoch = Epoch {
            number: start.epoch,
            seq: self.seq,
            log_root: self.prev,
            roster_root,
            count,
            commit: start.commit,
            wraps: start.wraps,
            links: self.state.wrapped_links(id).map(|(invite, _)| invite).collect(),
            history: audience.history,
            previous: start.previous.clone(),
            previous_meta: start.previous_meta.clone(),
        };
        let former = match former {
            Some(former) => audience.former.insert(former.number, former.clone()),
            None => audience.former.clone(),
        };
        let audience = Audience {
            epoch: Some(epoch),
            former,
            lacking: RedBlackTreeSetSync::new_sync(),
            stale: Stale::default(),
            ..audience.clone()
        };
        let next = State {
            audiences: self.state.audiences.insert(id, audience),
            owed: self.state.owed.remove(&id),
            ..self.state.clone()
        };
        Ok(if id == AudienceId::MEMBERS { next.without_old_wraps() } else { next })
    }

    /// An epoch that nothing asks for is for those who may manage channels, or for age.
    fn check_due(&self, audience: &Audience, start: &EpochStart) -> Result<(), Denied> {
        if !self.state.owed.is_empty() {
            return match self.state.owed.get(&start.audience) {
                Some(debtor) if *debtor == self.author => Ok(()),
                _ => Err(Denied::EpochOwed),
            };
        }
        // How old an epoch is, only the hub can tell: it takes one that is given for its age when it agrees.
        let is_asked_for = audience.should_rotate().is_some() || start.reason == EpochReason::Age;
        if is_asked_for { Ok(()) } else { self.need(Permissions::MANAGE_CHANNELS) }
    }

    pub(super) fn admit(&self, admit: &Admit) -> Result<State, Denied> {
        let Admit { audience: id, epoch, user, .. } = admit;
        let audience = self.state.audiences.get(id).ok_or(Denied::Unknown("audience"))?;
        if !self.state.is_in_audience(self.author, *id) {
            return Err(Denied::Not("who wraps an epoch belongs to the audience"));
        }
        if !self.state.is_in_audience(*user, *id) {
            return Err(Denied::Not("an epoch is wrapped for who may read only"));
        }
        if audience.epoch.as_ref().map(|current| current.number) != Some(*epoch) {
            return Err(Denied::Not("another epoch is in force"));
        }
        if !self.may_have(audience, *user) {
            return Err(Denied::Not("they came after this epoch, and history begins with coming"));
        }
        let lacking = audience.lacking.remove(user);
        let audience = Audience { lacking, ..audience.clone() };
        let audiences = self.state.audiences.insert(*id, audience);
        Ok(State { audiences, ..self.state.clone() })
    }

    pub(super) fn lacking(&self, id: AudienceId, epoch: u32) -> Result<State, Denied> {
        let audience = self.state.audiences.get(&id).ok_or(Denied::Unknown("audience"))?;
        if !self.state.is_in_audience(self.author, id) {
            return Err(Denied::Not("who lacks an epoch belongs to the audience"));
        }
        if audience.epoch.as_ref().map(|current| current.number) != Some(epoch) {
            return Err(Denied::Not("another epoch is in force"));
        }
        if audience.lacking.contains(&self.author) {
            return Err(Denied::Already("the log says so already"));
        }
        if !self.may_have(audience, self.author) {
            return Err(Denied::Not("they came after this epoch, and history begins with coming"));
        }
        Ok(self.state.clone().with_lacking(id, self.author))
    }

    /// Whether somebody may have the epoch in force: anybody where history is full, else whoever it was begun for. Who came since made another
    /// epoch due, by a join, a role or the ownership, so that before it nobody is admitted.
    fn may_have(&self, audience: &Audience, user: crate::id::UserId) -> bool {
        let began = audience.epoch.as_ref().map_or(0, |epoch| epoch.seq);
        audience.history == History::Full
            || !audience.stale.is_due
                && self.state.members.get(&user).is_some_and(|member| member.joined < began)
    }
}

impl State {
    /// This state without the wraps that came with links: they are of the epoch before.
    fn without_old_wraps(self) -> Self {
        let wrapped = self.invites.iter().filter(|(_, invite)| invite.wrap.is_some());
        let invites = wrapped.fold(self.invites.clone(), |invites, (id, invite)| {
            invites.insert(*id, Invite { wrap: None, ..invite.clone() })
        });
        Self { invites, ..self }
    }
}
