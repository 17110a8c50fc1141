//! What a log comes to, as bytes that its owner can vouch for.
//!
//! Whoever comes into a large community would have to check every statement of its log, and the chain of everybody who made one, before they
//! read a word. So its owner states from time to time what the log has come to: the digest of a [`Snapshot`]. All who take that statement in
//! make the same snapshot and compare, so that it cannot be another one for newcomers than for everybody else. A newcomer fetches it from any
//! server, reads on it, and seals nothing until the log has been checked.

mod row;
mod state;

use rpds::RedBlackTreeMapSync;

use self::row::{
    AskingRow, AudienceRow, ChannelRow, HeadRow, InviteRow, MemberRow, OwnerRow, RecentRow,
    RoleRow, TermRow,
};
use super::{CommunityKind, JoinPolicy, SealedText, State};
use crate::{
    chain::Seen,
    codec::{self, Malformed},
    hash::labelled,
    id::{CommunityId, Digest, ServerId, UserId},
    name::ServerName,
    version::SUITE,
    wire_struct,
};

/// How many bytes a snapshot takes at most: some 200 for each of 20,000 members, and as much again for all else.
pub const MAX_SNAPSHOT: usize = 8 * 1024 * 1024;

wire_struct! {
    /// What a log comes to at one entry, at which no epoch is owed. Every list is in the order of what its rows begin with.
    pub struct Snapshot as "CommunitySnapshot" {
        /// The suite of everything here: 1.
        #[n(0)] pub suite: u8,
        /// Of which community.
        #[n(1)] pub community: CommunityId,
        /// What sort it is.
        #[n(2)] pub kind: CommunityKind,
        /// The last entry.
        #[n(3)] pub head: Seen,
        /// The hub's name.
        #[n(4)] pub hub: ServerName,
        /// The hub's root key.
        #[n(5)] pub hub_key: ServerId,
        /// The period of ownership.
        #[n(6)] pub owner_epoch: u64,
        /// The periods before.
        #[n(7)] pub terms: Vec<TermRow>,
        /// Who has owned it from where on; the last one does.
        #[n(8)] pub owners: Vec<OwnerRow>,
        /// Where an owner last vouched for what the log had come to.
        #[n(9)] pub vouched: Option<u64>,
        /// Who may join.
        #[n(10)] pub policy: JoinPolicy,
        /// Its name.
        #[n(11)] pub name: Option<SealedText>,
        /// What it is about.
        #[n(12)] pub topic: Option<SealedText>,
        /// The roles.
        #[n(13)] pub roles: Vec<RoleRow>,
        /// The channels.
        #[n(14)] pub channels: Vec<ChannelRow>,
        /// The audiences.
        #[n(15)] pub audiences: Vec<AudienceRow>,
        /// The invitations.
        #[n(16)] pub invites: Vec<InviteRow>,
        /// The members.
        #[n(17)] pub members: Vec<MemberRow>,
        /// Who asks to be let in.
        #[n(18)] pub asking: Vec<AskingRow>,
        /// Who may not come back.
        #[n(19)] pub banned: Vec<UserId>,
        /// The last heads that the log has named of users' chains, where they are not those of members.
        #[n(20)] pub heads: Vec<HeadRow>,
        /// The number of the next role.
        #[n(21)] pub next_role: u32,
        /// That of the next channel.
        #[n(22)] pub next_channel: u32,
        /// That of the next audience.
        #[n(23)] pub next_audience: u32,
        /// That of the next invitation.
        #[n(24)] pub next_invite: u32,
        /// The last entries, through the head; at most 256.
        #[n(25)] pub recent: Vec<RecentRow>,
    }
}

impl Snapshot {
    /// Reads an encoded snapshot.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode_within(bytes, MAX_SNAPSHOT)
    }

    /// As bytes: the same for everybody who has the same log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// `LH("snapshot", bytes)`: what the owner vouches for.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Self::digest_of(&self.encode())
    }

    /// The digest of an encoded snapshot.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Digest {
        labelled("snapshot", &[bytes])
    }

    /// What the log came to; nothing if no log comes to it. A statement that vouches for it follows.
    #[must_use]
    pub fn into_state(self) -> Option<State> {
        let owner = self.owners.last()?.user;
        let heads = self.members.iter().map(|row| (row.user, row.head));
        let heads = heads.chain(self.heads.iter().map(|row| (row.user, row.head))).collect();
        Some(State {
            community: self.community,
            kind: self.kind,
            head: self.head,
            hub: self.hub,
            hub_key: self.hub_key,
            owner_epoch: self.owner_epoch,
            terms: self.terms.into_iter().map(TermRow::into_parts).collect(),
            owner,
            owners: self.owners.into_iter().map(|row| (row.since, row.user)).collect(),
            vouched: self.vouched,
            policy: self.policy,
            name: self.name,
            topic: self.topic,
            roles: self.roles.into_iter().map(RoleRow::into_parts).collect(),
            channels: self.channels.into_iter().map(ChannelRow::into_parts).collect(),
            audiences: self.audiences.into_iter().map(AudienceRow::into_parts).collect(),
            invites: self.invites.into_iter().map(InviteRow::into_parts).collect(),
            members: self.members.into_iter().map(MemberRow::into_parts).collect(),
            asking: self.asking.into_iter().map(AskingRow::into_parts).collect(),
            banned: self.banned.into_iter().collect(),
            heads,
            next_role: self.next_role,
            next_channel: self.next_channel,
            next_audience: self.next_audience,
            next_invite: self.next_invite,
            owed: RedBlackTreeMapSync::new_sync(),
            recent: self.recent.iter().map(|row| (row.seq, row.hash)).collect(),
            placed: self.recent.iter().map(|row| (row.seq, (row.author, row.item))).collect(),
            is_deleted: false,
        })
    }
}

impl State {
    /// This state as bytes can be made of it. What epochs are owed, and that the community has ended, is not in it: nothing is vouched for then.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let of_member = |user: &UserId| self.members.get(user).map(|member| member.head);
        let others = self.heads.iter().filter(|(user, head)| of_member(user) != Some(**head));
        Snapshot {
            suite: SUITE,
            community: self.community,
            kind: self.kind,
            head: self.head,
            hub: self.hub.clone(),
            hub_key: self.hub_key,
            owner_epoch: self.owner_epoch,
            terms: self.terms.iter().map(TermRow::of).collect(),
            owners: self
                .owners
                .iter()
                .map(|(since, user)| OwnerRow { since: *since, user: *user })
                .collect(),
            vouched: self.vouched,
            policy: self.policy,
            name: self.name.clone(),
            topic: self.topic.clone(),
            roles: self.roles.iter().map(RoleRow::of).collect(),
            channels: self.channels.iter().map(ChannelRow::of).collect(),
            audiences: self.audiences.iter().map(AudienceRow::of).collect(),
            invites: self.invites.iter().map(InviteRow::of).collect(),
            members: self.members.iter().map(MemberRow::of).collect(),
            asking: self.asking.iter().map(AskingRow::of).collect(),
            banned: self.banned.iter().copied().collect(),
            heads: others.map(|(user, head)| HeadRow { user: *user, head: *head }).collect(),
            next_role: self.next_role,
            next_channel: self.next_channel,
            next_audience: self.next_audience,
            next_invite: self.next_invite,
            recent: self
                .recent
                .iter()
                .zip(self.placed.values())
                .map(|((seq, hash), (author, item))| RecentRow {
                    seq: *seq,
                    hash: *hash,
                    author: *author,
                    item: *item,
                })
                .collect(),
        }
    }
}
