//! The first look at a large community: what somebody needs to read in it before their home, and they, have checked its log.
//!
//! A home passes these requests on to the community's hub and keeps nothing of them. What comes back is judged by the device: by the owner's
//! word for the snapshot, the signatures of authors, and their own chains.

use super::{
    blob::{BlobPart, GetBlob},
    chain::Entries,
    community::PreviewError,
    peer_place::{UserChains, WantedUser},
};
use crate::{
    chain::{Entry, HeadRef},
    codec::Octets,
    community::JoinBy,
    id::{ChannelId, CommunityId},
    name::ServerName,
    request,
    session::Authenticated,
    wire_struct,
};

/// A part of a snapshot: 512 KiB.
pub const SNAPSHOT_PART_BYTES: usize = 512 * 1024;

wire_struct! {
    /// What is looked at, and by what right.
    pub struct Looking {
        /// Which community.
        #[n(0)] pub community: CommunityId,
        /// The right that the caller joins, or has joined, by.
        #[n(1)] pub by: JoinBy,
        /// Its hub, when that is another server than the one that is asked.
        #[n(2)] pub hub: Option<ServerName>,
    }
}

wire_struct! {
    /// Reads a part of the newest snapshot of a community's log that its owner has vouched for.
    pub struct LookAtSnapshot {
        /// Of what.
        #[n(0)] pub at: Looking,
        /// From which byte on.
        #[n(1)] pub offset: u64,
    }
}

wire_struct! {
    /// A snapshot, as far as it fits.
    pub struct Snapshotted {
        /// The owner's statement, which comes right after the entry that the snapshot is of.
        #[n(0)] pub entry: Entry,
        /// The statements by which the community was founded, and got other owners.
        #[n(1)] pub owners: Vec<Entry>,
        /// How many bytes the snapshot has.
        #[n(2)] pub size: u64,
        /// Those from the offset on, as many as fit.
        #[n(3)] pub bytes: Octets<SNAPSHOT_PART_BYTES>,
    }
}

wire_struct! {
    /// A part of a snapshot.
    pub struct SnapshotPart {
        /// Absent where the owner has not vouched for any: the community is small, or young.
        #[n(0)] pub snapshot: Option<Snapshotted>,
        /// Where the log stands.
        #[n(1)] pub head: HeadRef,
    }
}

request!(LookAtSnapshot: "community/look/snapshot/1", Read, Authenticated => SnapshotPart, PreviewError);

wire_struct! {
    /// Reads entries of a community's log, or of a channel that the caller may read.
    pub struct LookAtPlace {
        /// Of what.
        #[n(0)] pub at: Looking,
        /// Which channel; absent for the log.
        #[n(1)] pub channel: Option<ChannelId>,
        /// Only what comes after this place; the last entries when absent.
        #[n(2)] pub after: Option<u64>,
        /// At most this many; the server may send fewer, and never more than 256 or 1 MiB.
        #[n(3)] pub limit: u32,
    }
}

request!(LookAtPlace: "community/look/place/1", Read, Authenticated => Entries, PreviewError);

wire_struct! {
    /// Reads the chains of users whom a community's log names, wherever they live. Who is not named is left out.
    pub struct LookAtUsers {
        /// Of what.
        #[n(0)] pub at: Looking,
        /// Whose; at most 256.
        #[n(1)] pub users: Vec<WantedUser>,
    }
}

request!(LookAtUsers: "community/look/users/1", Read, Authenticated => UserChains, PreviewError);

wire_struct! {
    /// Gets a part of a blob of a community, such as the wraps of an epoch.
    pub struct LookAtBlob {
        /// Of what.
        #[n(0)] pub at: Looking,
        /// Which part of which.
        #[n(1)] pub part: GetBlob,
    }
}

request!(LookAtBlob: "community/look/blob/1", Read, Authenticated => BlobPart, PreviewError);
