//! What homeservers ask each other, on connections of their own.
//!
//! A peer is one more caller, with rights of its own: it reads chains of users who have to do with its users, claims prekeys for them, and
//! hands over what they send. Whatever it says of a user is checked against that user's chain, whose first statement names their home: a
//! peer speaks for its own users and for nobody else's.
//!
//! [`PeerForward`] carries what must arrive. Each item has an id that its receiver remembers, so that a lost answer costs nothing, and an
//! outcome of its own: one user's trouble never holds up another's mail. Items of one sender for one receiver are taken in their order: after
//! one that was not taken *for now*, those that follow it in the same request are not taken either.

use crate::{
    chain::HeadRef,
    codec::{MAX_BATCH, Octets},
    envelope::Envelope,
    id::{ChainId, DeviceId, ItemId, UserId},
    key::Signature,
    name::UserName,
    request,
    request::{
        Anyone, Homeserver, Never,
        chain::{Entries, ReadError, ResolvedUser},
        message::Purpose,
        prekey::{Bundles, ClaimError},
    },
    session::FollowedChain,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_struct! {
    /// Greets a homeserver, on a connection between homeservers.
    pub struct PeerHello {
        /// The encoded [`crate::session::peer::Greeting`], as it is signed.
        #[n(0)] pub greeting: Octets<4096>,
    }
}

wire_struct! {
    /// The answer to a greeting, with the proof of the side that was dialled.
    pub struct PeerHelloReply {
        /// The encoded [`crate::session::peer::Greeting`], as it is signed.
        #[n(0)] pub greeting: Octets<4096>,
        /// By the online key, over both greetings and this connection.
        #[n(1)] pub proof: Signature,
    }
}

wire_enum! {
    /// Why a greeting is not answered.
    #[derive(thiserror::Error)]
    pub enum PeerHelloError {
        /// The server has to do with no other servers.
        #[n(1)]
        #[error("federation is switched off there")]
        Off,
        /// The greeting is malformed, or meant for another server.
        #[n(2)]
        #[error("the greeting was refused: {reason}")]
        Refused {
            /// Why.
            #[n(0)] reason: String
        },
    }
}

request!(PeerHello: "peer/hello/1", PeerHandshake, Anyone => PeerHelloReply, PeerHelloError, 16 * 1024);

wire_struct! {
    /// Proves the side that has dialled. From then on both ask each other.
    pub struct PeerProve {
        /// By the online key, over both greetings and this connection.
        #[n(0)] pub proof: Signature,
    }
}

wire_enum! {
    /// Why a homeserver is turned away. It knows by then who turns it away, so that another one in a peer's place is found out.
    #[derive(thiserror::Error)]
    pub enum PeerProveError {
        /// Nobody has greeted on this connection, or the proof does not hold.
        #[n(1)]
        #[error("the proof does not hold on this connection")]
        Unproven,
        /// The server takes those only that its administrator knows.
        #[n(2)]
        #[error("this server is not on the other's list: its administrator adds it by `rookeryd peer add`")]
        Unknown,
        /// The administrator has blocked it.
        #[n(3)]
        #[error("this server is blocked there")]
        Blocked,
        /// The administrator has the connection rest.
        #[n(4)]
        #[error("this server is paused there")]
        Paused,
        /// The name is known there with another root.
        #[n(5)]
        #[error("this server's name is known there with another root key: its administrator decides by `rookeryd peer accept`")]
        OtherRoot,
        /// The record is older than one that was shown before.
        #[n(6)]
        #[error("this server's record is older than one that is known there")]
        OldRecord,
        /// The record has ended.
        #[n(7)]
        #[error("this server's record has ended: its administrator renews it by `rookeryd key rotate`")]
        EndedRecord,
        /// The server takes whoever owns their name, and could not find out whose this one is.
        #[n(8)]
        #[error("whose name this is cannot be found out there: {reason}")]
        Unverified {
            /// What would have shown it. Not what came of looking, which is nothing to strangers.
            #[n(0)] reason: String
        },
        /// Whoever owns the name publishes another root key for it.
        #[n(9)]
        #[error("another root key is published for this server's name: its administrator publishes what `rookeryd key well-known` prints")]
        NotItsName,
    }
}

request!(PeerProve: "peer/prove/1", PeerHandshake, Anyone => (), PeerProveError, 16 * 1024);

wire_struct! {
    /// Finds out whose name it is, for a user of the asking server.
    pub struct PeerResolve {
        /// The account's name at the server that is asked.
        #[n(0)] pub name: UserName,
        /// Who wants to know.
        #[n(1)] pub asker: UserId,
    }
}

request!(PeerResolve: "peer/user/resolve/1", PeerRead, Homeserver => ResolvedUser, ReadError);

wire_struct! {
    /// Reads entries of the chain of a user of the server that is asked, oldest first.
    pub struct PeerReadChain {
        /// Whose.
        #[n(0)] pub user: UserId,
        /// Only what comes after this place; from the beginning when absent.
        #[n(1)] pub after: Option<u64>,
        /// At most this many; the server may send fewer, and never more than 256 or 1 MiB.
        #[n(2)] pub limit: u32,
        /// For whom, where nobody of the asking server has had to do with the user before.
        #[n(3)] pub asker: Option<UserId>,
    }
}

request!(PeerReadChain: "peer/chain/read/1", PeerRead, Homeserver => Entries, ReadError);

wire_struct! {
    /// Says what the asking server has of chains that it follows, and asks which have gone on.
    pub struct PeerHeads {
        /// The chains; at most 2,000.
        #[n(0)] pub chains: Vec<FollowedChain>,
    }
}

wire_struct! {
    /// Where a chain stands.
    pub struct MovedChain {
        /// Which.
        #[n(0)] pub chain: ChainId,
        /// The last entry.
        #[n(1)] pub head: HeadRef,
    }
}

wire_struct! {
    /// Those of the chains that stand elsewhere than the asking server has them.
    pub struct MovedChains {
        /// In no order.
        #[n(0)] pub moved: Vec<MovedChain>,
    }
}

request!(PeerHeads: "peer/heads/1", PeerRead, Homeserver => MovedChains, Never, MAX_BATCH);

wire_struct! {
    /// Claims a bundle of each of a user's devices, for a user of the asking server. The same claim id gets the same bundles again.
    pub struct PeerClaim {
        /// For whom.
        #[n(0)] pub asker: UserId,
        /// Chosen by the asker.
        #[n(1)] pub claim: ItemId,
        /// Whose.
        #[n(2)] pub user: UserId,
        /// Which devices; at most 10.
        #[n(3)] pub devices: Vec<DeviceId>,
    }
}

request!(PeerClaim: "peer/prekey/claim/1", PeerClaim, Homeserver => Bundles, ClaimError);

wire_struct! {
    /// A message or a receipt: the envelopes for its receiver's devices.
    pub struct ForwardedMessage {
        /// The device that sends.
        #[n(0)] pub device: DeviceId,
        /// The head of the sender's own chain that it sealed for.
        #[n(1)] pub own_head: HeadRef,
        /// To whom.
        #[n(2)] pub to: UserId,
        /// The head of the receiver's chain that it sealed for.
        #[n(3)] pub to_head: HeadRef,
        /// One for each live device of the receiver; at most 10.
        #[n(4)] pub envelopes: Vec<Envelope>,
        /// What for.
        #[n(5)] pub purpose: Purpose,
    }
}

wire_index! {
    /// What somebody does about a contact on another server.
    pub enum ContactAct {
        /// Asks, or asks again.
        #[n(1)] Ask,
        /// Agrees to what was asked.
        #[n(2)] Accept,
        /// Takes the request back, or ends the contact.
        #[n(3)] End,
    }
}

wire_struct! {
    /// A change between contacts.
    pub struct ForwardedContact {
        /// To whom.
        #[n(0)] pub to: UserName,
        /// What.
        #[n(1)] pub act: ContactAct,
    }
}

wire_enum! {
    /// What is handed over.
    pub enum ForwardedContent {
        /// A message or a receipt.
        #[n(1)] Message(#[n(0)] ForwardedMessage),
        /// A change between contacts.
        #[n(2)] Contact(#[n(0)] ForwardedContact),
    }
}

wire_struct! {
    /// One thing that must arrive.
    pub struct Forwarded {
        /// Chosen by who sends; the same id of the same sender is the same thing.
        #[n(0)] pub id: ItemId,
        /// From whom: a user of the asking server.
        #[n(1)] pub from: UserId,
        /// By which name they are known there.
        #[n(2)] pub name: UserName,
        /// What.
        #[n(3)] pub content: ForwardedContent,
    }
}

wire_struct! {
    /// Hands over what must arrive, in order.
    pub struct PeerForward {
        /// At most 256, and as many as fit into 1 MiB.
        #[n(0)] pub items: Vec<Forwarded>,
    }
}

wire_enum! {
    /// What became of one thing.
    pub enum ForwardOutcome {
        /// It is stored where it was to go, now or before.
        #[n(1)] Taken {
            /// When.
            #[n(0)] at: Timestamp
        },
        /// The receiver's devices have changed: the sender seals it again, under the same id.
        #[n(2)] Stale {
            /// Where the receiver's chain stands.
            #[n(0)] to_head: HeadRef
        },
        /// There is no such receiver, or none that the sender may write to.
        #[n(3)] NotFound,
        /// It will never be taken.
        #[n(4)] Refused {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// Not now: hand it over again after this time.
        #[n(5)] Later {
            /// How long to wait, in milliseconds.
            #[n(0)] retry_after_ms: u64,
            /// Why, for people.
            #[n(1)] reason: String
        },
        /// An earlier one of the same sender for the same receiver was not taken for now.
        #[n(6)] Behind,
    }
}

wire_struct! {
    /// What became of all.
    pub struct ForwardOutcomes {
        /// One for each item, in their order.
        #[n(0)] pub outcomes: Vec<ForwardOutcome>,
    }
}

request!(PeerForward: "peer/forward/1", PeerForward, Homeserver => ForwardOutcomes, Never, MAX_BATCH);
