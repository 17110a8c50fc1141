//! Channels: posting, and how far members have read.

use crate::{
    chain::{HeadRef, Submission},
    codec::MAX_BATCH,
    id::{ChannelId, CommunityId, UserId},
    name::ServerName,
    request,
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_struct,
};

wire_struct! {
    /// Posts to a channel: Sender Keys that are announced, messages under them, redactions. All are stored before the answer, or none. An
    /// item id that is there already keeps its place.
    pub struct PostChannel {
        /// In which community.
        #[n(0)] pub community: CommunityId,
        /// In which channel.
        #[n(1)] pub channel: ChannelId,
        /// In order; one to 64.
        #[n(2)] pub items: Vec<Submission>,
    }
}

wire_struct! {
    /// The items stand in the channel.
    pub struct Posted {
        /// A place for each, in the order of the request.
        #[n(0)] pub places: Vec<u64>,
        /// When the hub accepted them.
        #[n(1)] pub at: Timestamp,
    }
}

wire_enum! {
    /// Why nothing was posted.
    #[derive(thiserror::Error)]
    pub enum PostError {
        /// The epoch is over, or has to be: fetch the log, start a new one if it asks for that, and seal again under the same id.
        #[n(1)]
        #[error("the community has changed meanwhile")]
        Stale {
            /// Where the log stands.
            #[n(0)] log: HeadRef
        },
        /// The community's rules forbid it.
        #[n(2)]
        #[error("{reason}")]
        Denied {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// The channel is in slow mode.
        #[n(3)]
        #[error("this channel is in slow mode: wait {retry_after_ms} ms")]
        SlowMode {
            /// How long.
            #[n(0)] retry_after_ms: u64
        },
        /// No such channel, or none that the caller may read.
        #[n(4)]
        #[error("there is no such channel for you")]
        NotFound,
        /// The server's administrator has frozen the community.
        #[n(5)]
        #[error("the server's administrator has frozen this community")]
        Frozen,
        /// A Sender Key's index is behind: another process of the device has used it. Announce another key, and seal again.
        #[n(6)]
        #[error("the sender key was used further elsewhere")]
        UsedKey,
        /// The community's hub is another server, which does not answer this one.
        #[n(7)]
        #[error("the community's hub {hub} does not answer your server")]
        HubAway {
            /// Which.
            #[n(0)] hub: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
        /// The community's hub has signed two histories of it: nothing is handed to it any more.
        #[n(8)]
        #[error("the community's hub {hub} has signed two histories that contradict each other; nothing is handed to it any more")]
        HubForked {
            /// Which.
            #[n(0)] hub: ServerName
        },
    }
}

request!(PostChannel: "channel/post/1", Post, Authenticated => Posted, PostError, MAX_BATCH);

wire_struct! {
    /// How far the members of a small audience have read a channel.
    pub struct ListReads {
        /// In which community.
        #[n(0)] pub community: CommunityId,
        /// Which channel.
        #[n(1)] pub channel: ChannelId,
    }
}

wire_struct! {
    /// How far one has read.
    pub struct ReadPlace {
        /// Who.
        #[n(0)] pub user: UserId,
        /// Through this place.
        #[n(1)] pub seq: u64,
    }
}

wire_struct! {
    /// How far those have read who let others know.
    pub struct Reads {
        /// In no order.
        #[n(0)] pub reads: Vec<ReadPlace>,
    }
}

wire_enum! {
    /// Why it is not told.
    #[derive(thiserror::Error)]
    pub enum ReadsError {
        /// No such channel, or none that the caller may read.
        #[n(1)]
        #[error("there is no such channel for you")]
        NotFound,
        /// More than 64 may read it.
        #[n(2)]
        #[error("the channel has too many readers for receipts")]
        TooMany,
        /// The community's hub is another server, which does not answer this one.
        #[n(3)]
        #[error("the community's hub {hub} does not answer your server")]
        HubAway {
            /// Which.
            #[n(0)] hub: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
    }
}

request!(ListReads: "channel/reads/1", Read, Authenticated => Reads, ReadsError);
