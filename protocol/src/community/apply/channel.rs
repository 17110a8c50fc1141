//! What statements about channels and their readers come to.

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::{Case, Denied, MAX_CHANNELS, check_sealed_for};
use crate::{
    community::{
        Audience, AudienceSet, Channel, ChannelSet, History, Overwrite, OverwriteSet, Permissions,
        Stale, State, Subject,
    },
    id::{AudienceId, ChannelId, UserId},
};

const MAX_RULE_ROLES: usize = 64;
const MAX_RULE_USERS: usize = 256;

impl Case<'_> {
    pub(super) fn channel_set(&self, set: &ChannelSet) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_CHANNELS)?;
        if !self.state.is_in_audience(self.author, set.audience) {
            return Err(Denied::Unknown("audience"));
        }
        check_sealed_for(&set.name, set.audience)?;
        set.topic.iter().try_for_each(|topic| check_sealed_for(topic, set.audience))?;
        let mut next = self.state.clone();
        let overwrites = match self.state.channels.get(&set.channel) {
            Some(former) if former.kind != set.kind || former.audience != set.audience => {
                return Err(Denied::Not("a channel keeps its kind and its audience"));
            }
            Some(former) => former.overwrites.clone(),
            None if set.channel.number() != self.state.next_channel => {
                return Err(Denied::Not("a new channel has the next number"));
            }
            None if self.state.channels.size() >= MAX_CHANNELS => {
                return Err(Denied::TooMany("channels"));
            }
            None => {
                next.next_channel = next.next_channel.saturating_add(1);
                RedBlackTreeMapSync::new_sync()
            }
        };
        let channel = Channel {
            kind: set.kind,
            audience: set.audience,
            position: set.position,
            slow_mode_s: set.slow_mode_s,
            is_archived: set.is_archived,
            name: set.name.clone(),
            topic: set.topic.clone(),
            overwrites,
        };
        next.channels = next.channels.insert(set.channel, channel);
        Ok(next)
    }

    pub(super) fn channel_delete(&self, channel: ChannelId) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_CHANNELS)?;
        if !self.state.may_read(self.author, channel) {
            return Err(Denied::Unknown("channel"));
        }
        Ok(State { channels: self.state.channels.remove(&channel), ..self.state.clone() })
    }

    pub(super) fn overwrite_set(&self, set: &OverwriteSet) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_CHANNELS)?;
        if !self.state.may_read(self.author, set.channel) {
            return Err(Denied::Unknown("channel"));
        }
        let channel = self.state.channels.get(&set.channel).ok_or(Denied::Unknown("channel"))?;
        match set.subject {
            Subject::Role(role) => {
                let role = self.state.roles.get(&role).ok_or(Denied::Unknown("role"))?;
                if role.rank >= self.rank() {
                    return Err(Denied::NotAbove);
                }
            }
            Subject::User(user) => {
                if !self.state.members.contains_key(&user) {
                    return Err(Denied::Unknown("member"));
                }
                self.need_above(user)?;
            }
        }
        let overwrite = Overwrite {
            allow: Permissions::from_bits(set.allow),
            deny: Permissions::from_bits(set.deny),
        };
        if !self.state.permissions_of(self.author, None).contain(overwrite.allow) {
            return Err(Denied::NotPermitted("that the exception gives"));
        }
        let overwrites = if overwrite.allow.is_empty() && overwrite.deny.is_empty() {
            channel.overwrites.remove(&set.subject)
        } else {
            channel.overwrites.insert(set.subject, overwrite)
        };
        let channel = Channel { overwrites, ..channel.clone() };
        let channels = self.state.channels.insert(set.channel, channel);
        let next = State { channels, ..self.state.clone() };
        self.check_no_gain(&next)?;
        Ok(next)
    }

    pub(super) fn audience_set(&self, set: &AudienceSet) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_CHANNELS)?;
        if set.rule.is_none() != (set.audience == AudienceId::MEMBERS) {
            return Err(Denied::Not("audience 0 is all members, and no other is"));
        }
        if let Some(rule) = &set.rule {
            let ascend = rule.roles.is_sorted_by(|one, two| one < two)
                && rule.users.is_sorted_by(|one, two| one < two);
            if !ascend || rule.roles.len() > MAX_RULE_ROLES || rule.users.len() > MAX_RULE_USERS {
                return Err(Denied::Not("the rule is too long or not in order"));
            }
            let known = rule.roles.iter().all(|role| self.state.roles.contains_key(role))
                && rule.users.iter().all(|user| self.state.members.contains_key(user));
            if !known {
                return Err(Denied::Unknown("role or member"));
            }
        }
        let mut next = self.state.clone();
        let Some(former) = self.state.audiences.get(&set.audience) else {
            if set.audience.number() != self.state.next_audience {
                return Err(Denied::Not("a new audience has the next number"));
            }
            if self.state.audiences.size() >= MAX_CHANNELS {
                return Err(Denied::TooMany("audiences"));
            }
            let audience = Audience {
                rule: set.rule.clone(),
                history: set.history,
                epoch: None,
                former: RedBlackTreeMapSync::new_sync(),
                lacking: RedBlackTreeSetSync::new_sync(),
                stale: Stale::default(),
            };
            next.next_audience = next.next_audience.saturating_add(1);
            next.audiences = next.audiences.insert(set.audience, audience);
            if !next.is_in_audience(self.author, set.audience) {
                return Err(Denied::Not("who makes an audience belongs to it"));
            }
            next.owed = next.owed.insert(set.audience, self.author);
            return Ok(next);
        };
        if !self.state.is_in_audience(self.author, set.audience) {
            return Err(Denied::Unknown("audience"));
        }
        let audience = Audience { rule: set.rule.clone(), history: set.history, ..former.clone() };
        next.audiences = next.audiences.insert(set.audience, audience);
        if !next.is_in_audience(self.author, set.audience) {
            return Err(Denied::Not("who changes an audience stays in it"));
        }
        if former.history != set.history {
            next.owed = next.owed.insert(set.audience, self.author);
        }
        if set.history == History::SinceJoin && set.audience == AudienceId::MEMBERS {
            next = next.without_wrapped_links();
        }
        let (before, after) = (self.state.readers(set.audience), next.readers(set.audience));
        let changed: Vec<_> = before.symmetric_difference(&after).copied().collect();
        Ok(self.with_readers_changed(next, &changed))
    }

    /// An audience ends when nothing is sealed for it any more. Its number is not used again. (An epoch that it owes has been begun before.)
    pub(super) fn audience_delete(&self, id: AudienceId) -> Result<State, Denied> {
        self.need(Permissions::MANAGE_CHANNELS)?;
        if !self.state.is_in_audience(self.author, id) {
            return Err(Denied::Unknown("audience"));
        }
        if id == AudienceId::MEMBERS {
            return Err(Denied::Not("the audience of all members does not end"));
        }
        if self.state.channels.values().any(|channel| channel.audience == id) {
            return Err(Denied::Not("a channel is for this audience"));
        }
        Ok(State { audiences: self.state.audiences.remove(&id), ..self.state.clone() })
    }

    /// `next`, in which `users` may belong to other audiences than before: an audience that lost somebody, or in which history begins with
    /// one's coming and that gained somebody, is owed a new epoch by the author, or by whoever seals next when the author is not in it.
    pub(super) fn with_readers_changed(&self, mut next: State, users: &[UserId]) -> State {
        for (id, audience) in &self.state.audiences {
            let mut is_due = false;
            for user in users {
                match (self.state.is_in_audience(*user, *id), next.is_in_audience(*user, *id)) {
                    (true, false) => {
                        is_due = true;
                        next = next.without_lacking(*id, *user);
                    }
                    (false, true) => {
                        is_due |= audience.history == History::SinceJoin;
                        next = next.with_lacking(*id, *user);
                    }
                    _ => {}
                }
            }
            if is_due {
                next = next.owing_epoch(*id, self.author);
            }
        }
        next
    }
}
