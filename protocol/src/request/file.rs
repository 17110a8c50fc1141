//! Files: ciphertext by its own hash, kept by the home of whoever sent it. A homeserver sees its padded size, who put it and who gets it.
//!
//! Who knows a file's name may get it: the name is the hash of what was sealed under a random key, travels inside sealed messages only, and
//! is of no use without that key.

use super::{
    Homeserver, Never,
    blob::{BlobPart, BlobProgress, PART_BYTES},
};
use crate::{
    codec::{MAX_BATCH, Octets},
    id::BlobId,
    name::ServerName,
    request,
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_struct,
};

wire_struct! {
    /// Puts a part of a file. Parts come in order; the file is there when all have come and their hash is its name. What has not gone on for a
    /// day is dropped. A part without bytes asks how far it has come.
    pub struct PutFile {
        /// Its name.
        #[n(0)] pub file: BlobId,
        /// How large the whole is, in bytes; at least 1.
        #[n(1)] pub size: u64,
        /// Where this part begins.
        #[n(2)] pub offset: u64,
        /// The part.
        #[n(3)] pub bytes: Octets<PART_BYTES>,
    }
}

wire_enum! {
    /// Why a part was not taken.
    #[derive(thiserror::Error)]
    pub enum PutFileError {
        /// Larger than files may be here.
        #[n(1)]
        #[error("a file has at most {limit} bytes on this server, sealed")]
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
        /// The whole is not what its name says: it begins anew.
        #[n(3)]
        #[error("the file is not what its name says")]
        OtherHash,
        /// What the user keeps there would be more than anybody may.
        #[n(4)]
        #[error("your files would take more than the {limit} bytes that one user may keep on this server")]
        QuotaFull {
            /// How many bytes.
            #[n(0)] limit: u64
        },
        /// What all users keep there would be more than the server has room for.
        #[n(5)]
        #[error("the server has no more room for files")]
        ServerFull,
        /// As many unfinished ones as the server keeps for one user.
        #[n(6)]
        #[error("too many files are under way")]
        TooMany,
    }
}

request!(PutFile: "file/put/1", File, Authenticated => BlobProgress, PutFileError, MAX_BATCH);

wire_struct! {
    /// Gets a part of a file, wherever it is kept: the own home asks there.
    pub struct GetFile {
        /// Its name.
        #[n(0)] pub file: BlobId,
        /// Which server keeps it; the asked one when absent.
        #[n(1)] pub server: Option<ServerName>,
        /// Where the part begins.
        #[n(2)] pub offset: u64,
        /// How long it is at most, in bytes.
        #[n(3)] pub length: u32,
    }
}

wire_enum! {
    /// Why there is none.
    #[derive(thiserror::Error)]
    pub enum GetFileError {
        /// No such file, or not any more.
        #[n(1)]
        #[error("the file is not there any more")]
        NotFound,
        /// The server that keeps it does not answer.
        #[n(2)]
        #[error("the server {server} that keeps the file does not answer your server")]
        ServerAway {
            /// Which.
            #[n(0)] server: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
        /// The server that keeps it is none that this one has to do with.
        #[n(3)]
        #[error("your server has nothing to do with {server}, which keeps the file")]
        UnknownServer {
            /// Which.
            #[n(0)] server: ServerName
        },
    }
}

request!(GetFile: "file/get/1", File, Authenticated => BlobPart, GetFileError);

wire_struct! {
    /// Drops a file of one's own. What is not there is dropped.
    pub struct DropFile {
        /// Its name.
        #[n(0)] pub file: BlobId,
    }
}

request!(DropFile: "file/drop/1", Read, Authenticated => (), Never);

wire_struct! {
    /// Gets a part of a file that the asked server keeps, for a user of the asking one.
    pub struct PeerGetFile {
        /// Its name.
        #[n(0)] pub file: BlobId,
        /// Where the part begins.
        #[n(1)] pub offset: u64,
        /// How long it is at most, in bytes.
        #[n(2)] pub length: u32,
    }
}

request!(PeerGetFile: "peer/file/get/1", PeerRead, Homeserver => BlobPart, GetFileError);
