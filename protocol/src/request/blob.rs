//! Blobs: ciphertext by its own hash, put and got in parts.

use crate::{
    codec::{MAX_BATCH, Octets},
    id::{BlobId, CommunityId},
    name::ServerName,
    request,
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_struct,
};

/// How much of a blob one request carries.
pub const PART_BYTES: usize = 512 * 1024;
/// How large a blob may be: wraps for some 20,000 users.
pub const BLOB_BYTES: u64 = 24 * 1024 * 1024;

wire_struct! {
    /// Puts a part of a blob that goes with a community. Parts come in order; the blob is there when all have come and their hash is its name.
    /// What no statement of the community names within an hour is dropped.
    pub struct PutBlob {
        /// Which community, to be created or there.
        #[n(0)] pub community: CommunityId,
        /// Its name.
        #[n(1)] pub blob: BlobId,
        /// How large the whole is, in bytes.
        #[n(2)] pub size: u64,
        /// Where this part begins.
        #[n(3)] pub offset: u64,
        /// The part.
        #[n(4)] pub bytes: Octets<PART_BYTES>,
    }
}

wire_struct! {
    /// How much of it is there.
    pub struct BlobProgress {
        /// The server has this many bytes; all of them, and checked, when it is the size.
        #[n(0)] pub have: u64,
    }
}

wire_enum! {
    /// Why a part was not taken.
    #[derive(thiserror::Error)]
    pub enum PutBlobError {
        /// Larger than blobs may be.
        #[n(1)]
        #[error("a blob has at most {limit} bytes")]
        TooLarge {
            /// How large it may be.
            #[n(0)] limit: u64
        },
        /// The part does not begin where the last one ended.
        #[n(2)]
        #[error("the part does not begin where the last one ended")]
        Gap {
            /// How much the server has.
            #[n(0)] have: u64
        },
        /// The whole is not what its name says.
        #[n(3)]
        #[error("the blob is not what its name says")]
        OtherHash,
        /// As many unfinished ones as the server keeps for one user.
        #[n(4)]
        #[error("too many blobs are under way")]
        TooMany,
        /// The community's hub is another server, which does not answer this one.
        #[n(5)]
        #[error("the community's hub {hub} does not answer your server")]
        HubAway {
            /// Which.
            #[n(0)] hub: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
        /// The community's hub has signed two histories of it: nothing is handed to it any more.
        #[n(6)]
        #[error("the community's hub {hub} has signed two histories that contradict each other; nothing is handed to it any more")]
        HubForked {
            /// Which.
            #[n(0)] hub: ServerName
        },
    }
}

request!(PutBlob: "blob/put/1", Community, Authenticated => BlobProgress, PutBlobError, MAX_BATCH);

wire_struct! {
    /// Gets a part of a blob of a community that the caller may read the log of, or by an invitation's right.
    pub struct GetBlob {
        /// Which community.
        #[n(0)] pub community: CommunityId,
        /// Its name.
        #[n(1)] pub blob: BlobId,
        /// Where the part begins.
        #[n(2)] pub offset: u64,
        /// How long it is at most, in bytes.
        #[n(3)] pub length: u32,
    }
}

wire_struct! {
    /// A part.
    pub struct BlobPart {
        /// How large the whole is.
        #[n(0)] pub size: u64,
        /// The part; shorter where the blob ends.
        #[n(1)] pub bytes: Octets<PART_BYTES>,
    }
}

wire_enum! {
    /// Why there is none.
    #[derive(thiserror::Error)]
    pub enum GetBlobError {
        /// No such blob, or none for the caller.
        #[n(1)]
        #[error("there is no such blob for you")]
        NotFound,
        /// The community's hub is another server, which does not answer this one.
        #[n(2)]
        #[error("the community's hub {hub} does not answer your server")]
        HubAway {
            /// Which.
            #[n(0)] hub: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
    }
}

request!(GetBlob: "blob/get/1", Read, Authenticated => BlobPart, GetBlobError);
