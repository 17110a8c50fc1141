//! The follow stream: one long stream of a connection, with entries and envelopes down, cursors and acknowledgements up.
//!
//! It opens like a request ([`Follow`]); after the reply [`FollowStarted`] the server sends [`FollowDown`] frames and the device
//! [`FollowUp`] frames, for as long as the connection lasts. What certifies something goes before what it certifies: an entry of a user's
//! chain reaches a follower before the first envelope that a device added by it sent.

use crate::{
    chain::{Entry, HeadRef},
    envelope::Envelope,
    id::{ChainId, ItemId, UserId},
    request::presence::{PresenceState, StatusText},
    request::{RateClass, Request},
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_struct,
};

wire_struct! {
    /// A place in a device's mailbox. It names the incarnation of the server that gave it: after a restore, places may be given again.
    #[derive(Copy)]
    pub struct Cursor {
        /// Which life of the server's database.
        #[n(0)] pub incarnation: u64,
        /// The last place that was taken in.
        #[n(1)] pub position: u64,
    }
}

wire_struct! {
    /// A chain that a device wants to follow, and what it has of it.
    pub struct FollowedChain {
        /// Which.
        #[n(0)] pub chain: ChainId,
        /// The last entry it has; nothing when it has none.
        #[n(1)] pub have: Option<HeadRef>,
    }
}

wire_struct! {
    /// Opens the follow stream. The user's own chain, their journal and their contacts' chains may be followed; an unknown chain, or one
    /// that the user may not read, is left out in silence.
    pub struct Follow {
        /// What the device has acknowledged of its mailbox.
        #[n(0)] pub mailbox: Option<Cursor>,
        /// The chains; at most 2,000.
        #[n(1)] pub chains: Vec<FollowedChain>,
    }
}

wire_struct! {
    /// The stream is open.
    pub struct FollowStarted {
        /// Which life of the server's database this is.
        #[n(0)] pub incarnation: u64,
        /// The server's clock.
        #[n(1)] pub at: Timestamp,
        /// One-time X25519 keys that the server still has of the device.
        #[n(2)] pub one_time_left: u32,
        /// One-time X-Wing keys, likewise.
        #[n(3)] pub one_time_kem_left: u32,
    }
}

wire_enum! {
    /// Why a follow stream does not open.
    #[derive(thiserror::Error)]
    pub enum FollowError {
        /// More chains than a device may follow.
        #[n(1)]
        #[error("a device follows at most {limit} chains")]
        TooMany {
            /// How many are allowed.
            #[n(0)] limit: u32
        },
    }
}

impl Request for Follow {
    const METHOD: &'static str = "follow/1";
    const RATE: RateClass = RateClass::Follow;
    const MAX_BYTES: usize = crate::codec::MAX_BATCH;
    type Caller = Authenticated;
    type Reply = FollowStarted;
    type Error = FollowError;
}

wire_enum! {
    /// What the server sends.
    pub enum FollowDown {
        /// An envelope of the device's mailbox.
        #[n(1)] Envelope {
            /// Its place, to be acknowledged.
            #[n(0)] position: u64,
            /// When the home accepted it.
            #[n(1)] at: Timestamp,
            /// The letter.
            #[n(2)] envelope: Envelope
        },
        /// The next entry of a followed chain.
        #[n(2)] Entry(#[n(0)] Entry),
        /// Everything that had been waiting when the stream opened has been sent.
        #[n(3)] CaughtUp,
        /// Somebody's presence.
        #[n(4)] Presence {
            /// Whose.
            #[n(0)] user: UserId,
            /// How they are.
            #[n(1)] state: PresenceState,
            /// Since when they are not online, if they are not.
            #[n(2)] last_online: Option<Timestamp>,
            /// Their status text, sealed under their profile key.
            #[n(3)] status: Option<StatusText>
        },
        /// Somebody types to this user; it ends by itself after six seconds.
        #[n(5)] Typing {
            /// Who.
            #[n(0)] user: UserId
        },
        /// The user's contacts have changed: ask for the list.
        #[n(6)] ContactsChanged,
        /// One-time keys run low, or have been claimed.
        #[n(7)] PrekeysLeft {
            /// X25519 keys left.
            #[n(0)] one_time: u32,
            /// X-Wing keys left.
            #[n(1)] one_time_kem: u32
        },
        /// A chain in which more happened than is sent live: fetch it from where you stand.
        #[n(8)] ChainMoved {
            /// Which.
            #[n(0)] chain: ChainId,
            /// Where it stands.
            #[n(1)] head: HeadRef
        },
        /// A profile has changed: fetch it when it is next shown.
        #[n(9)] ProfileChanged {
            /// Whose.
            #[n(0)] user: UserId
        },
        /// The server ends the stream in order: come back after this many milliseconds.
        #[n(10)] GoingAway {
            /// How long to wait.
            #[n(0)] retry_after_ms: u32
        },
        /// Somebody types in a channel; it ends by itself after six seconds.
        #[n(11)] TypingIn {
            /// The channel's chain.
            #[n(0)] chain: ChainId,
            /// Who.
            #[n(1)] user: UserId
        },
        /// Somebody has read a channel this far.
        #[n(12)] ReadIn {
            /// The channel's chain.
            #[n(0)] chain: ChainId,
            /// Who.
            #[n(1)] user: UserId,
            /// Through this place.
            #[n(2)] seq: u64
        },
        /// The communities that the user belongs to or was invited to have changed: ask for the list.
        #[n(13)] CommunitiesChanged,
        /// A chain is no longer the device's to follow.
        #[n(14)] Unfollowed {
            /// Which.
            #[n(0)] chain: ChainId
        },
        /// What this device has sent to people of other servers has gone on, or come back: ask for the list.
        #[n(15)] OutstandingChanged,
    }
}

wire_enum! {
    /// What the device sends.
    pub enum FollowUp {
        /// Everything of the mailbox through this place is stored: the server may forget it.
        #[n(1)] Acknowledge {
            /// The last place.
            #[n(0)] through: u64
        },
        /// Follow one more chain.
        #[n(2)] Follow(#[n(0)] FollowedChain),
        /// Follow one chain less.
        #[n(3)] Unfollow {
            /// Which.
            #[n(0)] chain: ChainId
        },
        /// The device is typing to somebody.
        #[n(4)] Typing {
            /// To whom.
            #[n(0)] to: UserId,
            /// Reserved for channels: the item id of the room.
            #[n(1)] room: Option<ItemId>
        },
        /// The device is typing in a channel.
        #[n(5)] TypingIn {
            /// The channel's chain.
            #[n(0)] chain: ChainId
        },
        /// The user has read a channel this far, and lets its members know.
        #[n(6)] ReadIn {
            /// The channel's chain.
            #[n(0)] chain: ChainId,
            /// Through this place.
            #[n(1)] seq: u64
        },
    }
}
