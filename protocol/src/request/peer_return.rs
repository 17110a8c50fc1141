//! What a homeserver that was restored from a copy asks of the others: what they have kept of what it had ordered since.
//!
//! A user's chain proves itself, and a copy of a log or a channel is proven by the hub's signed head: so the owner takes back what it has
//! itself ordered, and nothing else. Entries are read as ever: [`PeerReadChain`](super::peer::PeerReadChain) of the owner's users,
//! [`PeerReadPlace`](super::peer_place::PeerReadPlace) of the hub's communities.

use crate::{
    chain::HeadRef,
    id::{CommunityId, UserId},
    request,
    request::{Homeserver, Never, peer_place::Places},
    wire_struct,
};

wire_struct! {
    /// Asks how far the asked server has the chains of the asker's users.
    pub struct PeerReturnUsers {
        /// Only users whose ids come after this one.
        #[n(0)] pub after: Option<UserId>,
    }
}

wire_struct! {
    /// How far the chain of a user is there.
    pub struct KeptChain {
        /// Whose.
        #[n(0)] pub user: UserId,
        /// The last entry.
        #[n(1)] pub head: HeadRef,
    }
}

wire_struct! {
    /// Some of them.
    pub struct KeptChains {
        /// By user; at most 1,000.
        #[n(0)] pub chains: Vec<KeptChain>,
        /// Whether there are more.
        #[n(1)] pub more: bool,
    }
}

request!(PeerReturnUsers: "peer/return/users/1", PeerRead, Homeserver => KeptChains, Never);

wire_struct! {
    /// Asks how far the asked server has the logs and channels of communities that the asker is the hub of.
    pub struct PeerReturnPlaces {
        /// Only communities whose ids come after this one.
        #[n(0)] pub after: Option<CommunityId>,
    }
}

request!(PeerReturnPlaces: "peer/return/places/1", PeerRead, Homeserver => Places, Never);
