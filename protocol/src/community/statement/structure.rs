//! What a community is made of: names, roles, channels, audiences.

use crate::{
    chain::Seen,
    codec::Octets,
    id::{AudienceId, ChannelId, RoleId, ServerId, UserId},
    name::ServerName,
    wire_enum, wire_index, wire_struct,
};

use super::{PukPin, SealedText};

wire_index! {
    /// What sort of community it is.
    pub enum CommunityKind {
        /// With roles and channels.
        #[n(1)] Community,
        /// A small private conversation: one channel, an owner who adds and removes, no roles.
        #[n(2)] Group,
    }
}

wire_index! {
    /// Who may join.
    pub enum JoinPolicy {
        /// Whoever knows of it.
        #[n(1)] Open,
        /// Whoever has an invitation.
        #[n(2)] Invited,
        /// Whoever has an invitation or knows of it, and is approved.
        #[n(3)] Approved,
    }
}

wire_index! {
    /// What somebody who joins can read.
    pub enum History {
        /// Everything since history was last set to this.
        #[n(1)] Full,
        /// What is sealed after they came: each join makes a new epoch.
        #[n(2)] SinceJoin,
    }
}

wire_struct! {
    /// Where a channel ends in a period of ownership.
    pub struct ChannelEnd {
        /// Which.
        #[n(0)] pub channel: ChannelId,
        /// Its last entry; absent while it has none.
        #[n(1)] pub last: Option<Seen>,
    }
}

wire_struct! {
    /// Another server orders the community from the next entry on. The statement is the last of the log that the former hub places, and names
    /// the last of each channel: whatever it places after them is no part of the community.
    pub struct Handover {
        /// The next hub's name.
        #[n(0)] pub hub: ServerName,
        /// Its root key.
        #[n(1)] pub hub_key: ServerId,
        /// The number of the period of ownership that begins: one more than that of this entry.
        #[n(2)] pub owner_epoch: u64,
        /// Where all channels end that there are; ascending.
        #[n(3)] pub ends: Vec<ChannelEnd>,
    }
}

wire_struct! {
    /// The community begins. Its first epoch, its name (which is sealed for it, and so names it) and a channel follow in the same batch.
    pub struct Create {
        /// What sort.
        #[n(0)] pub kind: CommunityKind,
        /// The hub's name.
        #[n(1)] pub hub: ServerName,
        /// The hub's root key.
        #[n(2)] pub hub_key: ServerId,
        /// 16 random bytes, so that no two communities are the same.
        #[n(3)] pub nonce: Octets<16>,
        /// Who may join.
        #[n(4)] pub policy: JoinPolicy,
        /// What those who join the community can read of its common channels.
        #[n(5)] pub history: History,
        /// What everybody may do.
        #[n(6)] pub permissions: u64,
        /// The founder's per-user key.
        #[n(7)] pub puk: PukPin,
    }
}

wire_struct! {
    /// Changes what the community is called or who may join: what is absent stays.
    pub struct Edit {
        /// Its name.
        #[n(0)] pub name: Option<SealedText>,
        /// What it is about.
        #[n(1)] pub topic: Option<SealedText>,
        /// Who may join.
        #[n(2)] pub policy: Option<JoinPolicy>,
    }
}

wire_struct! {
    /// Makes or changes a role. A new one has the next number of all.
    pub struct RoleSet {
        /// Which.
        #[n(0)] pub role: RoleId,
        /// The higher, the more senior; 0 for everybody's role alone.
        #[n(1)] pub rank: u32,
        /// What its bearers may do.
        #[n(2)] pub permissions: u64,
        /// 0xRRGGBB.
        #[n(3)] pub colour: Option<u32>,
        /// Its name; absent for everybody's.
        #[n(4)] pub name: Option<SealedText>,
    }
}

wire_index! {
    /// What happens in a channel.
    pub enum ChannelKind {
        /// Messages.
        #[n(1)] Text,
        /// Calls.
        #[n(2)] Voice,
        /// Calls with pictures.
        #[n(3)] Video,
    }
}

wire_struct! {
    /// Makes or changes a channel. A new one has the next number of all; a channel keeps its kind and its audience.
    pub struct ChannelSet {
        /// Which.
        #[n(0)] pub channel: ChannelId,
        /// Its kind.
        #[n(1)] pub kind: ChannelKind,
        /// Who may read it.
        #[n(2)] pub audience: AudienceId,
        /// Where it stands in the list.
        #[n(3)] pub position: u32,
        /// How many seconds each user waits between messages; 0 for none.
        #[n(4)] pub slow_mode_s: u32,
        /// Whether it can be read only.
        #[n(5)] pub is_archived: bool,
        /// Its name.
        #[n(6)] pub name: SealedText,
        /// What it is about.
        #[n(7)] pub topic: Option<SealedText>,
    }
}

wire_enum! {
    /// Whom an exception is for.
    #[derive(Copy, PartialOrd, Ord)]
    pub enum Subject {
        /// The bearers of a role.
        #[n(1)] Role(#[n(0)] RoleId),
        /// One user.
        #[n(2)] User(#[n(0)] UserId),
    }
}

wire_struct! {
    /// Makes an exception in a channel, or takes it back when nothing is allowed or denied.
    pub struct OverwriteSet {
        /// In which.
        #[n(0)] pub channel: ChannelId,
        /// For whom.
        #[n(1)] pub subject: Subject,
        /// What they may do here.
        #[n(2)] pub allow: u64,
        /// What they may not.
        #[n(3)] pub deny: u64,
    }
}

wire_struct! {
    /// Who belongs to a private audience, beside the owner.
    pub struct AudienceRule {
        /// Bearers of any of these roles; ascending, at most 64.
        #[n(0)] pub roles: Vec<RoleId>,
        /// These users; ascending, at most 256.
        #[n(1)] pub users: Vec<UserId>,
    }
}

wire_struct! {
    /// Makes or changes an audience. A new one has the next number of all.
    pub struct AudienceSet {
        /// Which.
        #[n(0)] pub audience: AudienceId,
        /// Who; absent for all members, which is audience 0 and no other.
        #[n(1)] pub rule: Option<AudienceRule>,
        /// What those who come later can read.
        #[n(2)] pub history: History,
    }
}
