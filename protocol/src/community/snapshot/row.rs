//! The rows of a snapshot: each says what its part of a [`State`](crate::community::State) does, and no more.

use crate::{
    chain::Seen,
    codec::Octets,
    community::{AudienceRule, ChannelEnd, ChannelKind, History, PukPin, SealedText, Subject},
    id::{AudienceId, BlobId, ChannelId, Digest, InviteId, ItemId, RoleId, ServerId, UserId},
    key::{HpkeBox, KemKey, VerifyingKey},
    name::ServerName,
    time::Timestamp,
    wire_struct,
};

wire_struct! {
    /// A period of ownership that has ended.
    pub struct TermRow {
        /// Which.
        #[n(0)] pub owner_epoch: u64,
        /// Who was the hub.
        #[n(1)] pub hub: ServerName,
        /// Its root key.
        #[n(2)] pub hub_key: ServerId,
        /// The last entry of the log that it placed.
        #[n(3)] pub last: Seen,
        /// The last entry of each channel that there was.
        #[n(4)] pub ends: Vec<ChannelEnd>,
    }
}

wire_struct! {
    /// Who owns a community from an entry on.
    pub struct OwnerRow {
        /// From which.
        #[n(0)] pub since: u64,
        /// Who.
        #[n(1)] pub user: UserId,
    }
}

wire_struct! {
    /// A role.
    pub struct RoleRow {
        /// Which.
        #[n(0)] pub role: RoleId,
        /// Its rank.
        #[n(1)] pub rank: u32,
        /// What its bearers may do, as bits.
        #[n(2)] pub permissions: u64,
        /// 0xRRGGBB.
        #[n(3)] pub colour: Option<u32>,
        /// Its name.
        #[n(4)] pub name: Option<SealedText>,
    }
}

wire_struct! {
    /// A channel.
    pub struct ChannelRow {
        /// Which.
        #[n(0)] pub channel: ChannelId,
        /// What happens in it.
        #[n(1)] pub kind: ChannelKind,
        /// Who may read it.
        #[n(2)] pub audience: AudienceId,
        /// Where it stands in the list.
        #[n(3)] pub position: u32,
        /// How many seconds each user waits between messages.
        #[n(4)] pub slow_mode_s: u32,
        /// Whether it can be read only.
        #[n(5)] pub is_archived: bool,
        /// Its name.
        #[n(6)] pub name: SealedText,
        /// What it is about.
        #[n(7)] pub topic: Option<SealedText>,
        /// Exceptions.
        #[n(8)] pub overwrites: Vec<OverwriteRow>,
    }
}

wire_struct! {
    /// An exception in a channel.
    pub struct OverwriteRow {
        /// For whom.
        #[n(0)] pub subject: Subject,
        /// What they may do beyond their roles, as bits.
        #[n(1)] pub allow: u64,
        /// What they may not.
        #[n(2)] pub deny: u64,
    }
}

wire_struct! {
    /// An audience.
    pub struct AudienceRow {
        /// Which.
        #[n(0)] pub audience: AudienceId,
        /// Who; absent for all members.
        #[n(1)] pub rule: Option<AudienceRule>,
        /// What those who come later can read.
        #[n(2)] pub history: History,
        /// Its epochs; the last one is in force.
        #[n(3)] pub epochs: Vec<EpochRow>,
        /// Members who have no wrap of that.
        #[n(4)] pub lacking: Vec<UserId>,
        /// How many members have left by themselves since.
        #[n(5)] pub leaves: u32,
        /// How many have another per-user key since.
        #[n(6)] pub devices: u32,
        /// Whether another epoch has to begin for another reason.
        #[n(7)] pub is_due: bool,
    }
}

wire_struct! {
    /// An epoch of an audience.
    pub struct EpochRow {
        /// Its number.
        #[n(0)] pub number: u32,
        /// Where it began.
        #[n(1)] pub seq: u64,
        /// The hash of the entry before.
        #[n(2)] pub log_root: Digest,
        /// Who it was wrapped for.
        #[n(3)] pub roster_root: Digest,
        /// How many they were.
        #[n(4)] pub count: u32,
        /// What the secret is checked by.
        #[n(5)] pub commit: Digest,
        /// Where the wraps are.
        #[n(6)] pub wraps: BlobId,
        /// The links that it was also wrapped for.
        #[n(7)] pub links: Vec<InviteId>,
        /// The history setting that it began under.
        #[n(8)] pub history: History,
        /// The secret before, sealed under this one's.
        #[n(9)] pub previous: Option<Octets<96>>,
        /// The metadata key before, sealed under this one's.
        #[n(10)] pub previous_meta: Option<Octets<96>>,
    }
}

wire_struct! {
    /// An invitation.
    pub struct InviteRow {
        /// Which.
        #[n(0)] pub invite: InviteId,
        /// Who made it.
        #[n(1)] pub inviter: UserId,
        /// For whom; absent for a link.
        #[n(2)] pub user: Option<UserId>,
        /// What the link's secret signs with.
        #[n(3)] pub key: Option<VerifyingKey>,
        /// What epochs are also wrapped for.
        #[n(4)] pub wrap_key: Option<KemKey>,
        /// The epoch in force, wrapped for that key.
        #[n(5)] pub wrap: Option<HpkeBox>,
        /// Roles that it gives.
        #[n(6)] pub roles: Vec<RoleId>,
        /// How often it can still be used.
        #[n(7)] pub uses_left: Option<u32>,
        /// Until when.
        #[n(8)] pub expires: Option<Timestamp>,
    }
}

wire_struct! {
    /// A member.
    pub struct MemberRow {
        /// Who.
        #[n(0)] pub user: UserId,
        /// The head of their chain that the log pins.
        #[n(1)] pub head: Seen,
        /// Their per-user key there.
        #[n(2)] pub puk: PukPin,
        /// Roles beside everybody's.
        #[n(3)] pub roles: Vec<RoleId>,
        /// Where in the log they came.
        #[n(4)] pub joined: u64,
        /// What they are called here.
        #[n(5)] pub nickname: Option<SealedText>,
    }
}

wire_struct! {
    /// Somebody who asks to be let in.
    pub struct AskingRow {
        /// Who.
        #[n(0)] pub user: UserId,
        /// The head of their chain when they asked.
        #[n(1)] pub head: Seen,
        /// Their per-user key there.
        #[n(2)] pub puk: PukPin,
        /// The invitation that they came by.
        #[n(3)] pub invite: Option<InviteId>,
    }
}

wire_struct! {
    /// The last head of a user's chain that the log has named.
    pub struct HeadRow {
        /// Whose.
        #[n(0)] pub user: UserId,
        /// Which.
        #[n(1)] pub head: Seen,
    }
}

wire_struct! {
    /// One of the last entries.
    pub struct RecentRow {
        /// Its place.
        #[n(0)] pub seq: u64,
        /// Its hash.
        #[n(1)] pub hash: Digest,
        /// Who made it.
        #[n(2)] pub author: UserId,
        /// Under which id.
        #[n(3)] pub item: ItemId,
    }
}
