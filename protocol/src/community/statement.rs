//! What a community's log can say.

use crate::{
    chain::Seen,
    codec::Octets,
    hash::labelled,
    id::{AudienceId, BlobId, ChannelId, CommunityId, Digest, InviteId, RoleId, ServerId, UserId},
    key::{HpkeBox, KemKey, Signature, VerifyingKey},
    name::ServerName,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
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

wire_struct! {
    /// The generation of a user's per-user key that is meant.
    #[derive(Copy)]
    pub struct PukPin {
        /// Which generation.
        #[n(0)] pub generation: u32,
        /// SHA-256 of its public key.
        #[n(1)] pub public: Digest,
    }
}

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

wire_struct! {
    /// An invitation: for one user, or for whoever has a link. It has the next number of all.
    pub struct InviteCreate {
        /// Which.
        #[n(0)] pub invite: InviteId,
        /// For whom; absent for a link.
        #[n(1)] pub user: Option<UserId>,
        /// What the link's secret signs with; absent for one user.
        #[n(2)] pub key: Option<VerifyingKey>,
        /// What epochs of all members are also wrapped for, so that whoever has the link reads at once. Only while the community is open and
        /// its history full.
        #[n(3)] pub wrap_key: Option<KemKey>,
        /// The epoch in force, wrapped for that key.
        #[n(4)] pub wrap: Option<HpkeBox>,
        /// Roles that it gives; ascending, each below the inviter.
        #[n(5)] pub roles: Vec<RoleId>,
        /// How often it can be used; any number when absent.
        #[n(6)] pub uses: Option<u32>,
        /// Until when: the hub sees to it.
        #[n(7)] pub expires: Option<Timestamp>,
    }
}

wire_enum! {
    /// By what right somebody comes in.
    pub enum JoinBy {
        /// The community is open.
        #[n(1)] Open,
        /// An invitation for this user.
        #[n(2)] Invited {
            /// Which.
            #[n(0)] invite: InviteId
        },
        /// A link.
        #[n(3)] Link {
            /// Whose invitation.
            #[n(0)] invite: InviteId,
            /// By the link's key over [`invite_message`].
            #[n(1)] proof: Signature
        },
    }
}

wire_struct! {
    /// A user joins.
    pub struct Join {
        /// Their per-user key, which epochs are wrapped for.
        #[n(0)] pub puk: PukPin,
        /// By what right.
        #[n(1)] pub by: JoinBy,
    }
}

wire_struct! {
    /// A user asks to be let in.
    pub struct Ask {
        /// Their per-user key.
        #[n(0)] pub puk: PukPin,
        /// By what right.
        #[n(1)] pub by: JoinBy,
    }
}

wire_struct! {
    /// Lets in a user who asked, or sends them away.
    pub struct Approve {
        /// Whom.
        #[n(0)] pub user: UserId,
        /// Whether they come in.
        #[n(1)] pub is_approved: bool,
    }
}

wire_struct! {
    /// The owner of a group brings a user in.
    pub struct Add {
        /// Whom.
        #[n(0)] pub user: UserId,
        /// The head of their chain that the owner had seen.
        #[n(1)] pub head: Seen,
        /// Their per-user key there.
        #[n(2)] pub puk: PukPin,
    }
}

wire_struct! {
    /// What a member is called here.
    pub struct Nickname {
        /// Whom.
        #[n(0)] pub user: UserId,
        /// How; absent for their own name.
        #[n(1)] pub name: Option<SealedText>,
    }
}

wire_struct! {
    /// Sends a member away; they may not come back.
    pub struct Ban {
        /// Whom, member or not.
        #[n(0)] pub user: UserId,
        /// Why.
        #[n(1)] pub reason: Option<SealedText>,
    }
}

wire_index! {
    /// Why an epoch begins.
    pub enum EpochReason {
        /// The audience begins.
        #[n(1)] Begin,
        /// Somebody may no longer read.
        #[n(2)] Removal,
        /// Somebody came, who is not to read what was before.
        #[n(3)] Join,
        /// A device of a member's was revoked.
        #[n(4)] Device,
        /// The epoch has lasted long enough.
        #[n(5)] Age,
        /// The history setting has changed.
        #[n(6)] Setting,
    }
}

wire_struct! {
    /// A new epoch of an audience: a new secret, wrapped for exactly the audience as the log has it here.
    pub struct EpochStart {
        /// Whose.
        #[n(0)] pub audience: AudienceId,
        /// From 0, rising by one.
        #[n(1)] pub epoch: u32,
        /// Why.
        #[n(2)] pub reason: EpochReason,
        /// `roster_root` of the audience.
        #[n(3)] pub roster_root: Digest,
        /// How many users it has.
        #[n(4)] pub count: u32,
        /// `LH("epoch", audience, epoch, secret)`: a wrap that holds another secret is found out.
        #[n(5)] pub commit: Digest,
        /// The blob of the wraps: one for each user of the roster in its order, then one for each live link that has a key for it, by number.
        #[n(6)] pub wraps: BlobId,
        /// The secret before, sealed under this one: there if and only if history is full and was full before.
        #[n(7)] pub previous: Option<Octets<96>>,
        /// The metadata key before, sealed under this one; absent in the first epoch.
        #[n(8)] pub previous_meta: Option<Octets<96>>,
    }
}

wire_struct! {
    /// Wraps the epoch in force for one member: somebody who came, or whose wrap was bad or missing.
    pub struct Admit {
        /// Whose epoch.
        #[n(0)] pub audience: AudienceId,
        /// Which.
        #[n(1)] pub epoch: u32,
        /// For whom.
        #[n(2)] pub user: UserId,
        /// The secret, wrapped for the per-user key that the log pins.
        #[n(3)] pub wrap: HpkeBox,
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

impl PukPin {
    /// The pin of a per-user key that a chain shows.
    #[must_use]
    pub fn of(puk: &crate::user::PukPublic) -> Self {
        Self { generation: puk.generation, public: crate::hash::plain(puk.public.as_bytes()) }
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

/// What the key of an invitation's link signs for the user who comes by it: community, invitation and user.
#[must_use]
pub fn invite_message(community: CommunityId, invite: InviteId, user: UserId) -> Vec<u8> {
    let number = invite.number().to_be_bytes();
    labelled("invite", &[community.as_bytes(), &number, user.as_bytes()]).as_bytes().to_vec()
}
