//! What a community's log amounts to.

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::{
    AudienceRule, ChannelKind, CommunityKind, History, JoinPolicy, Permissions, PukPin, SealedText,
    Subject, Term,
};
use crate::{
    chain::Seen,
    codec::Octets,
    id::{
        AudienceId, BlobId, ChannelId, CommunityId, Digest, InviteId, ItemId, RoleId, ServerId,
        UserId,
    },
    key::{HpkeBox, KemKey, VerifyingKey},
    name::ServerName,
    time::Timestamp,
};

/// A community, as of one head of its log. Copies share what did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Which.
    pub community: CommunityId,
    /// What sort.
    pub kind: CommunityKind,
    /// The last entry.
    pub head: Seen,
    /// The hub's name.
    pub hub: ServerName,
    /// The hub's root key.
    pub hub_key: ServerId,
    /// The period of ownership in which the next entries are placed: how often another server has become the hub.
    pub owner_epoch: u64,
    /// The periods that have ended.
    pub terms: RedBlackTreeMapSync<u64, Term>,
    /// Who owns it.
    pub owner: UserId,
    /// Where the log says who owns it from there on.
    pub owners: RedBlackTreeMapSync<u64, UserId>,
    /// Where an owner last vouched for what the log had come to.
    pub vouched: Option<u64>,
    /// Who may join.
    pub policy: JoinPolicy,
    /// Its name.
    pub name: Option<SealedText>,
    /// What it is about.
    pub topic: Option<SealedText>,
    /// The roles; everybody's is always there.
    pub roles: RedBlackTreeMapSync<RoleId, Role>,
    /// The channels that have not ended.
    pub channels: RedBlackTreeMapSync<ChannelId, Channel>,
    /// The audiences; all members' is always there.
    pub audiences: RedBlackTreeMapSync<AudienceId, Audience>,
    /// The invitations that have not ended or been used up.
    pub invites: RedBlackTreeMapSync<InviteId, Invite>,
    /// Who belongs to it.
    pub members: RedBlackTreeMapSync<UserId, Member>,
    /// Who asks to be let in.
    pub asking: RedBlackTreeMapSync<UserId, Asking>,
    /// Who may not come back.
    pub banned: RedBlackTreeSetSync<UserId>,
    /// The last head of each user's chain that the log has named, also of those who have left: none goes back before it.
    pub heads: RedBlackTreeMapSync<UserId, Seen>,
    /// The numbers that the next role, channel, audience and invitation get.
    pub next_role: u32,
    /// See `next_role`.
    pub next_channel: u32,
    /// See `next_role`.
    pub next_audience: u32,
    /// See `next_role`.
    pub next_invite: u32,
    /// Audiences that must get a new epoch before anything else is said, and who has to start it.
    pub owed: RedBlackTreeMapSync<AudienceId, UserId>,
    /// Hashes of the last entries by place, for statements that the hub may place.
    pub recent: RedBlackTreeMapSync<u64, Digest>,
    /// Who made the same entries, and under which item id, by place: a hub that may place a statement may not place it twice.
    pub placed: RedBlackTreeMapSync<u64, (UserId, ItemId)>,
    /// The community has ended.
    pub is_deleted: bool,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The higher, the more senior.
    pub rank: u32,
    /// What its bearers may do.
    pub permissions: Permissions,
    /// 0xRRGGBB.
    pub colour: Option<u32>,
    /// Its name.
    pub name: Option<SealedText>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// What happens in it.
    pub kind: ChannelKind,
    /// Who may read it.
    pub audience: AudienceId,
    /// Where it stands in the list.
    pub position: u32,
    /// How many seconds each user waits between messages.
    pub slow_mode_s: u32,
    /// Whether it can be read only.
    pub is_archived: bool,
    /// Its name.
    pub name: SealedText,
    /// What it is about.
    pub topic: Option<SealedText>,
    /// Exceptions.
    pub overwrites: RedBlackTreeMapSync<Subject, Overwrite>,
}

/// What somebody may do in a channel beyond, or short of, what their roles say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// More.
    pub allow: Permissions,
    /// Less.
    pub deny: Permissions,
}

/// An audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Who, beside the owner; absent for all members.
    pub rule: Option<AudienceRule>,
    /// What those who come later can read.
    pub history: History,
    /// The epoch in force; absent while the batch that makes the audience is under way.
    pub epoch: Option<Epoch>,
    /// The epochs before, by number.
    pub former: RedBlackTreeMapSync<u32, Epoch>,
    /// Members who have no wrap of it: they came since, or say that theirs does not open.
    pub lacking: RedBlackTreeSetSync<UserId>,
    /// What has happened since that epoch that asks for another.
    pub stale: Stale,
}

/// An epoch of an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// From 0.
    pub number: u32,
    /// Where in the log it began.
    pub seq: u64,
    /// The hash of the entry before: the epoch's keys depend on it.
    pub log_root: Digest,
    /// Who it was wrapped for.
    pub roster_root: Digest,
    /// How many they were.
    pub count: u32,
    /// What the secret is checked by.
    pub commit: Digest,
    /// Where the wraps are.
    pub wraps: BlobId,
    /// The links that it was also wrapped for, in the order of their wraps.
    pub links: Vec<InviteId>,
    /// The history setting that it began under.
    pub history: History,
    /// The secret before, sealed under this one's.
    pub previous: Option<Octets<96>>,
    /// The metadata key before, sealed under this one's.
    pub previous_meta: Option<Octets<96>>,
}

/// What asks for a new epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// Members who left by themselves.
    pub leaves: u32,
    /// Members whose per-user key has changed, because a device of theirs was revoked.
    pub devices: u32,
    /// Somebody lost a role or was sent away by somebody who could not make the epoch, or came where history begins with one's coming, or a
    /// link that opened epochs has ended.
    pub is_due: bool,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Who made it.
    pub inviter: UserId,
    /// For whom; absent for a link.
    pub user: Option<UserId>,
    /// What the link's secret signs with.
    pub key: Option<VerifyingKey>,
    /// What epochs are also wrapped for.
    pub wrap_key: Option<KemKey>,
    /// The epoch of all members in force, wrapped for that key; absent where the epoch's own wraps have it.
    pub wrap: Option<HpkeBox>,
    /// Roles that it gives, as far as its maker could give them when it is used.
    pub roles: Vec<RoleId>,
    /// How often it can still be used.
    pub uses_left: Option<u32>,
    /// Until when: the hub sees to it.
    pub expires: Option<Timestamp>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The head of their chain that the log pins.
    pub head: Seen,
    /// Their per-user key there.
    pub puk: PukPin,
    /// Roles beside everybody's; ascending.
    pub roles: Vec<RoleId>,
    /// Where in the log they came.
    pub joined: u64,
    /// What they are called here.
    pub nickname: Option<SealedText>,
}

/// Somebody who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The head of their chain when they asked.
    pub head: Seen,
    /// Their per-user key there.
    pub puk: PukPin,
    /// The invitation that they came by.
    pub invite: Option<InviteId>,
}

impl State {
    /// The member's highest rank; the owner stands above all.
    #[must_use]
    pub fn rank_of(&self, user: UserId) -> Option<u32> {
        if user == self.owner {
            return Some(u32::MAX);
        }
        let member = self.members.get(&user)?;
        let ranks = member.roles.iter().filter_map(|role| self.roles.get(role));
        Some(ranks.map(|role| role.rank).max().unwrap_or(0))
    }

    /// Whether `user` belongs to the audience.
    #[must_use]
    pub fn is_in_audience(&self, user: UserId, audience: AudienceId) -> bool {
        let (Some(member), Some(audience)) =
            (self.members.get(&user), self.audiences.get(&audience))
        else {
            return false;
        };
        user == self.owner
            || audience.rule.as_ref().is_none_or(|rule| {
                rule.users.binary_search(&user).is_ok()
                    || member.roles.iter().any(|role| rule.roles.binary_search(role).is_ok())
            })
    }

    /// Whether `user` may read the channel.
    #[must_use]
    pub fn may_read(&self, user: UserId, channel: ChannelId) -> bool {
        self.channels
            .get(&channel)
            .is_some_and(|channel| self.is_in_audience(user, channel.audience))
    }

    /// The users of an audience with what epochs are wrapped for, in the order of their ids.
    pub fn roster(&self, audience: AudienceId) -> impl Iterator<Item = (UserId, &Member)> {
        self.members
            .iter()
            .filter(move |(user, _)| self.is_in_audience(**user, audience))
            .map(|(user, member)| (*user, member))
    }

    /// The live links that epochs of all members are also wrapped for, by number.
    pub fn wrapped_links(&self, audience: AudienceId) -> impl Iterator<Item = (InviteId, &KemKey)> {
        let is_wrapped = audience == AudienceId::MEMBERS
            && self.policy == JoinPolicy::Open
            && self
                .audiences
                .get(&audience)
                .is_some_and(|audience| audience.history == History::Full);
        self.invites
            .iter()
            .filter(move |_| is_wrapped)
            .filter_map(|(id, invite)| invite.wrap_key.as_ref().map(|key| (*id, key)))
    }
}
