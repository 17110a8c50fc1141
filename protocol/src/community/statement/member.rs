//! Who comes and goes.

use crate::{
    chain::Seen,
    hash::labelled,
    id::{CommunityId, Digest, InviteId, RoleId, UserId},
    key::{HpkeBox, KemKey, Signature, VerifyingKey},
    time::Timestamp,
    wire_enum, wire_struct,
};

use super::SealedText;

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

impl PukPin {
    /// The pin of a per-user key that a chain shows.
    #[must_use]
    pub fn of(puk: &crate::user::PukPublic) -> Self {
        Self { generation: puk.generation, public: crate::hash::plain(puk.public.as_bytes()) }
    }
}

/// What the key of an invitation's link signs for the user who comes by it: community, invitation and user.
#[must_use]
pub fn invite_message(community: CommunityId, invite: InviteId, user: UserId) -> Vec<u8> {
    let number = invite.number().to_be_bytes();
    labelled("invite", &[community.as_bytes(), &number, user.as_bytes()]).as_bytes().to_vec()
}
