//! Where a homeserver is, and whose its name is: what administrators ask their own server to find out.

use crate::{
    id::ServerId,
    name::{HostPort, ServerName},
    request,
    request::{
        Administrator,
        peering::{PeerEntry, PeeringError},
    },
    wire_index, wire_struct,
};

wire_index! {
    /// Who says where a homeserver is. What comes first counts for more: it is tried before the others, and never overwritten by them.
    pub enum Rank {
        /// The administrator of the server that looks.
        #[n(1)] Override,
        /// The last record that the homeserver itself has shown, under its pinned root.
        #[n(2)] Record,
        /// The document that is published under its name, over HTTPS.
        #[n(3)] WellKnown,
        /// The SRV record of its name: a pointer, which lends its target no name.
        #[n(4)] Srv,
        /// The name itself, with the ports that are usual.
        #[n(5)] Name,
    }
}

wire_struct! {
    /// Adds a peer by its domain name alone: finds out whose name that is, and pins the root key of whoever owns it.
    pub struct AddDomain {
        /// The name.
        #[n(0)] pub name: ServerName,
    }
}

wire_struct! {
    /// The peer that was added.
    pub struct AddedDomain {
        /// As it stands now.
        #[n(0)] pub peer: PeerEntry,
        /// The root that is pinned.
        #[n(1)] pub root: ServerId,
        /// Who vouched for it.
        #[n(2)] pub by: Rank,
    }
}

request!(AddDomain: "admin/peer/add-domain/1", Admin, Administrator => AddedDomain, PeeringError);

wire_struct! {
    /// Looks for a homeserver wherever it may be, and says what came of each place. It need not be a peer.
    pub struct FindPeer {
        /// Its name.
        #[n(0)] pub name: ServerName,
    }
}

wire_struct! {
    /// One place where it may be.
    pub struct Candidate {
        /// Who says so.
        #[n(0)] pub rank: Rank,
        /// Where, if anybody says so.
        #[n(1)] pub place: Option<HostPort>,
        /// Whether it was reached there, and proved itself: by the pinned root for a peer, by its certificate otherwise.
        #[n(2)] pub is_good: bool,
        /// What came of it, for people.
        #[n(3)] pub outcome: String,
    }
}

wire_struct! {
    /// What was found.
    pub struct FoundPeer {
        /// Where it may be, in the order in which that is tried.
        #[n(0)] pub candidates: Vec<Candidate>,
        /// The root that is pinned, for a peer.
        #[n(1)] pub pinned: Option<ServerId>,
        /// The root of whoever owns the name, if that was found out.
        #[n(2)] pub owner: Option<ServerId>,
        /// Who vouches for that.
        #[n(3)] pub by: Option<Rank>,
        /// Why it was not found out.
        #[n(4)] pub reason: Option<String>,
    }
}

request!(FindPeer: "admin/peer/find/1", Admin, Administrator => FoundPeer, PeeringError);
