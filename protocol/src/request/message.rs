//! Direct messages: one atomic request for all devices of both sides.

use crate::{
    chain::HeadRef,
    codec::MAX_BATCH,
    envelope::Envelope,
    id::{DeviceId, ItemId, UserId},
    name::ServerName,
    request,
    request::Never,
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_index! {
    /// What a message is for, as far as the home has to know.
    pub enum Purpose {
        /// Something that a person wrote, or that has to arrive all the same.
        #[n(1)] Message,
        /// Receipts: batched, and charged apart.
        #[n(2)] Receipt,
    }
}

wire_struct! {
    /// Sends one message: an envelope for each live device of the receiver and for each other live device of the sender, all stored before
    /// the answer. The same id again is answered as the first time.
    pub struct SendMessage {
        /// The message.
        #[n(0)] pub message: ItemId,
        /// To whom; to oneself, envelopes go to one's other devices only.
        #[n(1)] pub to: UserId,
        /// The head of the receiver's chain that the sender sealed for.
        #[n(2)] pub to_head: HeadRef,
        /// The head of the sender's own chain that the sender sealed for.
        #[n(3)] pub own_head: HeadRef,
        /// The envelopes; at most 20.
        #[n(4)] pub envelopes: Vec<Envelope>,
        /// What for.
        #[n(5)] pub purpose: Purpose,
    }
}

wire_struct! {
    /// For which server something waits.
    pub struct Awaits {
        /// The receiver's home.
        #[n(0)] pub server: ServerName,
        /// Since when.
        #[n(1)] pub since: Timestamp,
    }
}

wire_struct! {
    /// The message is stored: at the home of its receiver, or at the sender's, on its way there.
    pub struct Sent {
        /// When the sender's home accepted it.
        #[n(0)] pub at: Timestamp,
        /// What it waits for, if the receiver's home has not taken it yet.
        #[n(1)] pub awaits: Option<Awaits>,
    }
}

wire_enum! {
    /// Why nothing was stored.
    #[derive(thiserror::Error)]
    pub enum SendError {
        /// A chain has gone on: fetch it, seal again under the same id. The envelopes match the live devices of both sides exactly, or
        /// nothing is taken.
        #[n(1)]
        #[error("a device was added or revoked meanwhile")]
        Stale {
            /// Where the receiver's chain stands.
            #[n(0)] to_head: HeadRef,
            /// Where the sender's own chain stands.
            #[n(1)] own_head: HeadRef
        },
        /// Devices that are away have as much waiting as the server keeps.
        #[n(2)]
        #[error("the mailbox of {} of the receiver's devices is full", devices.len())]
        MailboxFull {
            /// Which.
            #[n(0)] devices: Vec<DeviceId>
        },
        /// No such user, or none that the sender may write to.
        #[n(3)]
        #[error("there is nobody of that name whom you can write to")]
        NotFound,
        /// An envelope is not from the sender, for somebody else, or another message's.
        #[n(4)]
        #[error("the server refused an envelope: {reason}")]
        Refused {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// As much waits for the receiver's home as the sender's keeps.
        #[n(5)]
        #[error("too much waits for {server} already: it is sent when that server answers")]
        QueueFull {
            /// Which server.
            #[n(0)] server: ServerName
        },
        /// The sender's home has nothing to do with the receiver's.
        #[n(6)]
        #[error("your server is not in touch with the receiver's: its administrator can add it")]
        UnknownServer,
    }
}

request!(SendMessage: "message/send/1", Post, Authenticated => Sent, SendError, MAX_BATCH);

wire_struct! {
    /// Lists what this device has sent to people of other servers that is not there yet, or has come back.
    pub struct ListOutstanding {
        /// Only what comes after this place; from the beginning when absent.
        #[n(0)] pub after: Option<OutstandingPlace>,
    }
}

wire_struct! {
    /// Where something stands in the list of what is outstanding.
    pub struct OutstandingPlace {
        /// For which server.
        #[n(0)] pub server: ServerName,
        /// Its number in what waits for that.
        #[n(1)] pub number: u64,
        /// Which message.
        #[n(2)] pub message: ItemId,
    }
}

wire_enum! {
    /// Why something has come back.
    #[derive(thiserror::Error)]
    pub enum Returned {
        /// The receiver's devices have changed: seal it again, under the same id.
        #[n(1)]
        #[error("a device of the receiver was added or revoked meanwhile")]
        Stale {
            /// Where the receiver's chain stands.
            #[n(0)] to_head: HeadRef
        },
        /// There is no such receiver, or none that the sender may write to.
        #[n(2)]
        #[error("there is nobody of that name whom you can write to")]
        NotFound,
        /// The receiver's home will never take it.
        #[n(3)]
        #[error("the receiver's server refused it: {reason}")]
        Refused {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// The receiver's home did not answer for as long as things are kept for it.
        #[n(4)]
        #[error("the receiver's server did not answer for too long")]
        Expired,
        /// The sender's home has nothing to do with the receiver's home any more.
        #[n(5)]
        #[error("this server has nothing to do with the receiver's server any more")]
        Removed,
    }
}

wire_struct! {
    /// One of them.
    pub struct Outstanding {
        /// Which message.
        #[n(0)] pub message: ItemId,
        /// To whom.
        #[n(1)] pub to: UserId,
        /// What it waits for.
        #[n(2)] pub awaits: Awaits,
        /// Why it has come back, if it has.
        #[n(3)] pub returned: Option<Returned>,
        /// Why it waits, for people.
        #[n(4)] pub reason: Option<String>,
    }
}

wire_struct! {
    /// All of them.
    pub struct OutstandingMessages {
        /// By server, and of each in the order in which they were sent; at most 250.
        #[n(0)] pub messages: Vec<Outstanding>,
        /// Whether there are more.
        #[n(1)] pub more: bool,
        /// Where the last of them stands, to go on from.
        #[n(2)] pub last: Option<OutstandingPlace>,
    }
}

request!(ListOutstanding: "message/outstanding/1", Read, Authenticated => OutstandingMessages, Never);

wire_struct! {
    /// Takes note of what has come back and is not sent again: the home forgets it.
    pub struct DismissReturned {
        /// Which; at most 500.
        #[n(0)] pub messages: Vec<ItemId>,
    }
}

request!(DismissReturned: "message/dismiss/1", Post, Authenticated => (), Never);
