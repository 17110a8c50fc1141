//! Direct messages: one atomic request for all devices of both sides.

use crate::{
    chain::HeadRef,
    codec::MAX_BATCH,
    envelope::Envelope,
    id::{DeviceId, ItemId, UserId},
    request,
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
    /// The message is stored at the home of its receiver.
    pub struct Sent {
        /// When the home accepted it.
        #[n(0)] pub at: Timestamp,
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
    }
}

request!(SendMessage: "message/send/1", Post, Authenticated => Sent, SendError, MAX_BATCH);
