//! What a community's log can say.

mod key;
mod member;
mod structure;

use crate::{
    chain::Seen,
    codec::Octets,
    hash::labelled,
    id::{AudienceId, ChannelId, CommunityId, Digest, InviteId, RoleId, UserId},
    wire_enum, wire_struct,
};

pub use key::{Admit, EpochReason, EpochStart};
pub use member::{
    Add, Approve, Ask, Ban, InviteCreate, Join, JoinBy, Nickname, PukPin, invite_message,
};
pub use structure::{
    AudienceRule, AudienceSet, ChannelEnd, ChannelKind, ChannelSet, CommunityKind, Create, Edit,
    Handover, History, JoinPolicy, OverwriteSet, RoleSet, Subject,
};

/// How many entries back a statement that need not be the next one may have been made.
pub const BASE_WINDOW: u64 = 256;

wire_struct! {
    /// A name, a topic or a reason, sealed under the metadata key of an audience's epoch.
    pub struct SealedText {
        /// Who can read it.
        #[n(0)] pub audience: AudienceId,
        /// Under which epoch's metadata key.
        #[n(1)] pub epoch: u32,
        /// Nonce, ciphertext and tag of the padded text.
        #[n(2)] pub sealed: Octets<1200>,
    }
}

wire_enum! {
    /// What is said.
    pub enum Action as "CommunityAction" {
        /// The community begins.
        #[n(1)] Create(#[n(0)] Create),
        /// It is called otherwise, or others may join.
        #[n(2)] Edit(#[n(0)] Edit),
        /// A role is made or changed.
        #[n(3)] RoleSet(#[n(0)] RoleSet),
        /// A role ends.
        #[n(4)] RoleDelete {
            /// Which.
            #[n(0)] role: RoleId
        },
        /// A member bears a role.
        #[n(5)] RoleGrant {
            /// Who.
            #[n(0)] user: UserId,
            /// Which.
            #[n(1)] role: RoleId
        },
        /// A member bears a role no more.
        #[n(6)] RoleRevoke {
            /// Who.
            #[n(0)] user: UserId,
            /// Which.
            #[n(1)] role: RoleId
        },
        /// A channel is made or changed.
        #[n(7)] ChannelSet(#[n(0)] ChannelSet),
        /// A channel ends.
        #[n(8)] ChannelDelete {
            /// Which.
            #[n(0)] channel: ChannelId
        },
        /// An exception in a channel.
        #[n(9)] OverwriteSet(#[n(0)] OverwriteSet),
        /// An audience is made or changed.
        #[n(10)] AudienceSet(#[n(0)] AudienceSet),
        /// An invitation.
        #[n(11)] InviteCreate(#[n(0)] InviteCreate),
        /// An invitation ends.
        #[n(12)] InviteRevoke {
            /// Which.
            #[n(0)] invite: InviteId
        },
        /// A user joins.
        #[n(13)] Join(#[n(0)] Join),
        /// A user asks to be let in.
        #[n(14)] Ask(#[n(0)] Ask),
        /// Somebody who asked is let in, or not.
        #[n(15)] Approve(#[n(0)] Approve),
        /// A member leaves.
        #[n(16)] Leave,
        /// A member's own chain has gone on.
        #[n(17)] Head(#[n(0)] PukPin),
        /// A member is called otherwise here.
        #[n(18)] Nickname(#[n(0)] Nickname),
        /// A member is sent away, and may come back.
        #[n(19)] Kick(#[n(0)] Ban),
        /// Somebody is sent away for good.
        #[n(20)] Ban(#[n(0)] Ban),
        /// Somebody may come back.
        #[n(21)] Unban {
            /// Who.
            #[n(0)] user: UserId
        },
        /// A user is brought into a group.
        #[n(22)] Add(#[n(0)] Add),
        /// An epoch begins.
        #[n(23)] Epoch(#[n(0)] EpochStart),
        /// A member is given the epoch in force.
        #[n(24)] Admit(#[n(0)] Admit),
        /// Another member owns the community.
        #[n(25)] OwnerSet {
            /// Who.
            #[n(0)] user: UserId
        },
        /// The community ends.
        #[n(26)] Delete,
        /// A member has no wrap of the epoch in force that opens: any other wraps it again.
        #[n(27)] Lacking {
            /// Whose epoch.
            #[n(0)] audience: AudienceId,
            /// Which.
            #[n(1)] epoch: u32
        },
        /// An audience ends: no channel is for it any more.
        #[n(28)] AudienceDelete {
            /// Which.
            #[n(0)] audience: AudienceId
        },
        /// Another server orders the community from here on.
        #[n(29)] Handover(#[n(0)] Handover),
        /// The owner vouches for what the log came to before this statement.
        #[n(30)] Snapshot {
            /// [`Snapshot::digest`](super::Snapshot::digest) of it.
            #[n(0)] digest: Digest
        },
    }
}

wire_enum! {
    /// Where a statement stands, as far as its author says.
    #[derive(Copy)]
    pub enum Place as "LogPlace" {
        /// Right after this entry: order is the author's, and the hub compares and swaps.
        #[n(1)] Next(#[n(0)] Seen),
        /// Anywhere after this entry, which is one of the last 256: the hub places it.
        #[n(2)] Later(#[n(0)] Seen),
        /// The first of all.
        #[n(3)] First,
    }
}

wire_struct! {
    /// One statement: the body of an entry of a community's log.
    pub struct Statement as "CommunityStatement" {
        /// The suite of everything here: 1.
        #[n(0)] pub suite: u8,
        /// Of which community; absent in the first, whose hash it is.
        #[n(1)] pub community: Option<CommunityId>,
        /// Where.
        #[n(2)] pub place: Place,
        /// Who says it.
        #[n(3)] pub author: UserId,
        /// The head of the author's own chain: the device that signs is live there.
        #[n(4)] pub author_head: Seen,
        /// What is said.
        #[n(5)] pub action: Action,
    }
}

impl Statement {
    /// `LH("comm", create)`: the id of the community that an encoded first statement begins.
    #[must_use]
    pub fn community_id(encoded_create: &[u8]) -> CommunityId {
        CommunityId::from_bytes(*labelled("comm", &[encoded_create]).as_bytes())
    }
}

impl Action {
    /// Whether its author says right after which entry it stands. What any order of arrival leaves meaningful need not.
    #[must_use]
    pub const fn is_strict(&self) -> bool {
        !matches!(
            self,
            Self::Join(_)
                | Self::Ask(_)
                | Self::Leave
                | Self::Head(_)
                | Self::Nickname(_)
                | Self::Admit(_)
                | Self::Lacking { .. }
        )
    }
}
