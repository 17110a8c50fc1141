//! What administrators and users are told of other homeservers, and what administrators decide.

use crate::{
    id::ServerId,
    name::{HostPort, ServerName},
    request,
    request::{Administrator, Never},
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_index! {
    /// What an administrator wants of a peer.
    pub enum PeerStanding {
        /// To be in touch with it.
        #[n(1)] Active,
        /// Not to be in touch for now; what is for it waits.
        #[n(2)] Paused,
        /// To have nothing to do with it.
        #[n(3)] Blocked,
    }
}

wire_index! {
    /// How the connection to a peer stands.
    pub enum PeerLink {
        /// There is one.
        #[n(1)] Up,
        /// There is none, and one is tried for.
        #[n(2)] Down,
        /// There is none, and none is tried for: paused, blocked, or quarantined.
        #[n(3)] Off,
    }
}

wire_struct! {
    /// One peer, as an administrator sees it.
    pub struct PeerEntry {
        /// Its name.
        #[n(0)] pub name: ServerName,
        /// Where an administrator says that it is; absent where nobody has.
        #[n(1)] pub address: Option<HostPort>,
        /// Its root's fingerprint; absent for a name that is only blocked.
        #[n(2)] pub root: Option<ServerId>,
        /// What was decided about it.
        #[n(3)] pub standing: PeerStanding,
        /// The root that it showed instead of the pinned one: it is in quarantine until an administrator accepts that.
        #[n(4)] pub offered: Option<ServerId>,
        /// How the connection stands.
        #[n(5)] pub link: PeerLink,
        /// Since when it stands so.
        #[n(6)] pub since: Timestamp,
        /// Why there is none.
        #[n(7)] pub reason: Option<String>,
        /// What waits for it.
        #[n(8)] pub waiting: u64,
        /// Since when the oldest of that waits.
        #[n(9)] pub oldest: Option<Timestamp>,
        /// How many of its users' chains are followed here.
        #[n(10)] pub followed: u64,
        /// Where it was found, by whoever's word on that counts most.
        #[n(11)] pub found: Option<HostPort>,
    }
}

wire_struct! {
    /// Lists the peers.
    pub struct ListPeers {}
}

wire_struct! {
    /// All peers.
    pub struct PeerList {
        /// By name.
        #[n(0)] pub peers: Vec<PeerEntry>,
    }
}

wire_enum! {
    /// Why nothing was done about a peer.
    #[derive(thiserror::Error)]
    pub enum PeeringError {
        /// No peer has that name.
        #[n(1)]
        #[error("there is no peer of that name")]
        NotFound,
        /// The name, the root or the state does not allow it.
        #[n(2)]
        #[error("{reason}")]
        Refused {
            /// Why.
            #[n(0)] reason: String
        },
    }
}

request!(ListPeers: "admin/peer/list/1", Admin, Administrator => PeerList, Never);

wire_struct! {
    /// Shows one peer.
    pub struct ShowPeer {
        /// Which.
        #[n(0)] pub name: ServerName,
    }
}

request!(ShowPeer: "admin/peer/show/1", Admin, Administrator => PeerEntry, PeeringError);

wire_struct! {
    /// Adds a peer, or gives one that is there another address. Its root is pinned.
    pub struct AddPeer {
        /// Its name.
        #[n(0)] pub name: ServerName,
        /// Where it listens.
        #[n(1)] pub address: HostPort,
        /// Its root's fingerprint.
        #[n(2)] pub root: ServerId,
    }
}

request!(AddPeer: "admin/peer/add/1", Admin, Administrator => PeerEntry, PeeringError);

wire_index! {
    /// What to do about a peer.
    pub enum PeerChange {
        /// Forget it, with what waits for it. Copies of its users' chains stay.
        #[n(1)] Remove,
        /// Have nothing to do with it; one that is not there is noted as blocked.
        #[n(2)] Block,
        /// Hold on to what is for it, and do not connect.
        #[n(3)] Pause,
        /// Undo pause or block.
        #[n(4)] Resume,
        /// Try to connect now, and hand over what waits.
        #[n(5)] Retry,
    }
}

wire_struct! {
    /// Changes a peer.
    pub struct ChangePeer {
        /// Which.
        #[n(0)] pub name: ServerName,
        /// How.
        #[n(1)] pub change: PeerChange,
    }
}

request!(ChangePeer: "admin/peer/change/1", Admin, Administrator => (), PeeringError);

wire_struct! {
    /// Pins another root for a peer, which ends its quarantine.
    pub struct AcceptPeer {
        /// Which.
        #[n(0)] pub name: ServerName,
        /// The root that is to be pinned.
        #[n(1)] pub root: ServerId,
    }
}

request!(AcceptPeer: "admin/peer/accept/1", Admin, Administrator => PeerEntry, PeeringError);

wire_struct! {
    /// Connects to a peer anew, apart from the connection in use, and says how that went.
    pub struct TestPeer {
        /// Which.
        #[n(0)] pub name: ServerName,
    }
}

wire_index! {
    /// What has to go well, one after the other, until two servers have proven themselves to each other.
    pub enum PeerStep {
        /// It is known where the peer listens, and its host's name has an address.
        #[n(1)] Name,
        /// Somebody answers there over UDP.
        #[n(2)] Udp,
        /// A connection is set up and encrypted.
        #[n(3)] Tls,
        /// The server there shows the record of the peer, under the root that is pinned.
        #[n(4)] Record,
        /// Both sides have proven that they are who they say, and take each other.
        #[n(5)] Proof,
    }
}

wire_struct! {
    /// How it went.
    pub struct PeerTest {
        /// Whether both sides proved themselves.
        #[n(0)] pub is_proven: bool,
        /// How long connecting and proving took, in milliseconds.
        #[n(1)] pub took_ms: u64,
        /// What went wrong.
        #[n(2)] pub reason: Option<String>,
        /// Where it went wrong: what comes before that is well, and what comes after it was not tried.
        #[n(3)] pub failed: Option<PeerStep>,
    }
}

request!(TestPeer: "admin/peer/test/1", Admin, Administrator => PeerTest, PeeringError);

wire_index! {
    /// With which other homeservers there is anything to do.
    pub enum Federation {
        /// With none.
        #[n(1)] Off,
        /// With those that an administrator named.
        #[n(2)] Allowlist,
        /// With any that connects.
        #[n(3)] Open,
    }
}

wire_struct! {
    /// Asks with which other homeservers there is anything to do.
    pub struct ShowPolicy {}
}

wire_struct! {
    /// With which there is.
    pub struct Policy {
        /// What holds.
        #[n(0)] pub federation: Federation,
        /// What the configuration says.
        #[n(1)] pub configured: Federation,
    }
}

request!(ShowPolicy: "admin/policy/show/1", Admin, Administrator => Policy, Never);

wire_struct! {
    /// Decides with which other homeservers there is anything to do, from now on and after the next start.
    pub struct SetPolicy {
        /// With which; what the configuration says when absent.
        #[n(0)] pub federation: Option<Federation>,
    }
}

request!(SetPolicy: "admin/policy/set/1", Admin, Administrator => Policy, Never);

wire_struct! {
    /// Has a restored server go on without what its peers may still have of it.
    pub struct Unfence {}
}

request!(Unfence: "admin/unfence/1", Admin, Administrator => (), PeeringError);

wire_struct! {
    /// Asks one's home which other servers it is in touch with.
    pub struct ListKnownServers {}
}

wire_struct! {
    /// One of them, as users see it.
    pub struct KnownServer {
        /// Its name.
        #[n(0)] pub name: ServerName,
        /// How the connection stands.
        #[n(1)] pub link: PeerLink,
        /// Since when it stands so.
        #[n(2)] pub since: Timestamp,
        /// Whether it shows another root than before, and an administrator has not decided yet.
        #[n(3)] pub is_quarantined: bool,
        /// How many of the asker's messages wait for it.
        #[n(4)] pub waiting: u64,
    }
}

wire_struct! {
    /// The servers.
    pub struct KnownServers {
        /// By name.
        #[n(0)] pub servers: Vec<KnownServer>,
    }
}

request!(ListKnownServers: "server/peers/1", Read, Authenticated => KnownServers, Never);
