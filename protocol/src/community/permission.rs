//! Who may do what: one pure function of the state, for hub and clients alike.

use std::{collections::HashMap, fmt};

use crate::{
    chain::Seen,
    id::{ChannelId, RoleId, UserId},
};

use super::{Channel, State, Subject};

/// What somebody may do, as bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(u64);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Name, topic, who may join.
    pub const MANAGE_COMMUNITY: Self = Self(1);
    /// Roles below one's own, and who bears them.
    pub const MANAGE_ROLES: Self = Self(1 << 1);
    /// Channels, audiences and exceptions.
    pub const MANAGE_CHANNELS: Self = Self(1 << 2);
    /// Invitations.
    pub const INVITE: Self = Self(1 << 3);
    /// Letting in who asks.
    pub const APPROVE: Self = Self(1 << 4);
    /// Sending members away.
    pub const KICK: Self = Self(1 << 5);
    /// Sending away for good.
    pub const BAN: Self = Self(1 << 6);
    /// Erasing others' messages.
    pub const MODERATE: Self = Self(1 << 7);
    /// Pinning messages.
    pub const PIN: Self = Self(1 << 8);
    /// Others' nicknames.
    pub const MANAGE_NICKNAMES: Self = Self(1 << 9);
    /// One's own nickname.
    pub const NICKNAME: Self = Self(1 << 10);
    /// Messages.
    pub const POST: Self = Self(1 << 11);
    /// Reactions.
    pub const REACT: Self = Self(1 << 12);
    /// Mentioning everybody.
    pub const MENTION_ALL: Self = Self(1 << 13);
    /// Posting without waiting in slow mode.
    pub const SKIP_SLOW_MODE: Self = Self(1 << 14);
    /// Speaking in calls.
    pub const SPEAK: Self = Self(1 << 15);
    /// Pictures in calls.
    pub const VIDEO: Self = Self(1 << 16);
    /// All there are.
    pub const ALL: Self = Self((1 << 17) - 1);
    /// What everybody may do in a new community.
    pub const DEFAULT: Self = Self(
        Self::INVITE.0
            | Self::NICKNAME.0
            | Self::POST.0
            | Self::REACT.0
            | Self::SPEAK.0
            | Self::VIDEO.0,
    );

    /// Each permission with the word for it.
    pub const WORDS: [(&'static str, Self); 17] = [
        ("manage-community", Self::MANAGE_COMMUNITY),
        ("manage-roles", Self::MANAGE_ROLES),
        ("manage-channels", Self::MANAGE_CHANNELS),
        ("invite", Self::INVITE),
        ("approve", Self::APPROVE),
        ("kick", Self::KICK),
        ("ban", Self::BAN),
        ("moderate", Self::MODERATE),
        ("pin", Self::PIN),
        ("manage-nicknames", Self::MANAGE_NICKNAMES),
        ("nickname", Self::NICKNAME),
        ("post", Self::POST),
        ("react", Self::REACT),
        ("mention-all", Self::MENTION_ALL),
        ("skip-slow-mode", Self::SKIP_SLOW_MODE),
        ("speak", Self::SPEAK),
        ("video", Self::VIDEO),
    ];

    /// The bits of a statement. Bits that this version does not know are kept, and mean nothing.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These but not those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `wanted` are among them.
    #[must_use]
    pub const fn contain(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permission that a word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, permission)| *permission)
    }

    /// The words for these.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::WORDS
            .into_iter()
            .filter(move |(_, permission)| self.contain(*permission))
            .map(|(word, _)| word)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.words()).finish()
    }
}

impl State {
    /// What `user` may do in the community, or in `channel` of it.
    ///
    /// The owner may do everything. A member may do what everybody's role and their own roles say. In a channel, exceptions for everybody come
    /// first, then those for the member's roles (what any of them allows outweighs what another denies), then those for the member. Nobody
    /// may do anything in a channel that they may not read, and nobody posts in an archived one.
    #[must_use]
    pub fn permissions_of(&self, user: UserId, channel: Option<ChannelId>) -> Permissions {
        let Some(id) = channel else { return self.everywhere(user) };
        let powers = self.powers_in(user, id);
        if self.channels.get(&id).is_some_and(|channel| channel.is_archived) {
            return powers.without(Permissions::POST).without(Permissions::REACT);
        }
        powers
    }

    /// What `user` may do in the community.
    fn everywhere(&self, user: UserId) -> Permissions {
        let Some(member) = self.members.get(&user) else { return Permissions::NONE };
        if user == self.owner {
            return Permissions::ALL;
        }
        [RoleId::EVERYBODY]
            .iter()
            .chain(&member.roles)
            .filter_map(|role| self.roles.get(role))
            .fold(Permissions::NONE, |sum, role| sum.with(role.permissions))
    }

    /// What `user` may do in a channel as long as it is not archived.
    pub(super) fn powers_in(&self, user: UserId, channel: ChannelId) -> Permissions {
        let (Some(member), Some(channel)) = (self.members.get(&user), self.channels.get(&channel))
        else {
            return Permissions::NONE;
        };
        if !self.is_in_audience(user, channel.audience) {
            return Permissions::NONE;
        }
        let powers = self.everywhere(user);
        if user == self.owner { powers } else { channel.except(powers, user, &member.roles) }
    }
}

impl Channel {
    /// What the channel's exceptions make of `powers`.
    fn except(&self, mut powers: Permissions, user: UserId, roles: &[RoleId]) -> Permissions {
        let exception = |subject| self.overwrites.get(&subject).copied();
        if let Some(everybody) = exception(Subject::Role(RoleId::EVERYBODY)) {
            powers = powers.without(everybody.deny).with(everybody.allow);
        }
        let (mut allow, mut deny) = (Permissions::NONE, Permissions::NONE);
        for role in roles {
            if let Some(overwrite) = exception(Subject::Role(*role)) {
                (allow, deny) = (allow.with(overwrite.allow), deny.with(overwrite.deny));
            }
        }
        powers = powers.without(deny).with(allow);
        if let Some(own) = exception(Subject::User(user)) {
            powers = powers.without(own.deny).with(own.allow);
        }
        powers
    }
}

/// Permissions that were computed for one state, so that the same question is not answered twice.
#[derive(Debug, Default)]
pub struct Cache {
    head: Option<Seen>,
    answers: HashMap<(UserId, Option<ChannelId>), Permissions>,
}

impl Cache {
    /// How many answers are kept.
    const BOUND: usize = 16_384;

    /// As [`State::permissions_of`].
    pub fn permissions_of(
        &mut self,
        state: &State,
        user: UserId,
        channel: Option<ChannelId>,
    ) -> Permissions {
        if self.head != Some(state.head) || self.answers.len() >= Self::BOUND {
            self.answers.clear();
            self.head = Some(state.head);
        }
        *self.answers.entry((user, channel)).or_insert_with(|| state.permissions_of(user, channel))
    }
}

#[cfg(test)]
mod tests;
