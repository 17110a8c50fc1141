//! Chains: reading any that one may follow, appending to one's journal.

use crate::{
    chain::{Entry, HeadRef, SignedHead, Submission},
    codec::MAX_BATCH,
    id::{ChainId, UserId},
    name::{ServerName, UserName},
    request,
    request::{LoggedIn, Never},
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_struct,
};

wire_struct! {
    /// Reads entries of a chain that the caller may follow, oldest first.
    pub struct ReadChain {
        /// Which.
        #[n(0)] pub chain: ChainId,
        /// Only what comes after this place; from the beginning when absent.
        #[n(1)] pub after: Option<u64>,
        /// At most this many; the server may send fewer, and never more than 256 or 1 MiB.
        #[n(2)] pub limit: u32,
    }
}

wire_struct! {
    /// Some of a chain.
    pub struct Entries {
        /// In order.
        #[n(0)] pub entries: Vec<Entry>,
        /// Where the chain stands; absent when it is empty.
        #[n(1)] pub head: Option<SignedHead>,
        /// Whether more follow.
        #[n(2)] pub more: bool,
    }
}

wire_enum! {
    /// Why there is nothing to read.
    #[derive(thiserror::Error)]
    pub enum ReadError {
        /// No such chain, or none that the caller may read.
        #[n(1)]
        #[error("there is no such chain for you to read")]
        NotFound,
        /// This home has nothing to do with the server that was named.
        #[n(2)]
        #[error("your server is not in touch with that server: its administrator can add it")]
        UnknownServer,
        /// The server that was named does not answer this home.
        #[n(3)]
        #[error("that server does not answer yours")]
        Unreachable {
            /// Since when.
            #[n(0)] since: Timestamp
        },
    }
}

request!(ReadChain: "chain/read/1", Read, LoggedIn => Entries, ReadError);

wire_struct! {
    /// Appends sealed operations to the caller's own journal. An item id that is there already keeps its place.
    pub struct AppendJournal {
        /// In order; at most 256.
        #[n(0)] pub items: Vec<Submission>,
    }
}

wire_struct! {
    /// Where the items stand.
    pub struct Appended {
        /// A place for each item, in the order of the request.
        #[n(0)] pub places: Vec<u64>,
        /// Where the journal stands.
        #[n(1)] pub head: HeadRef,
    }
}

wire_enum! {
    /// Why nothing was appended.
    #[derive(thiserror::Error)]
    pub enum AppendJournalError {
        /// An item is not signed by the asking device, not for its journal, or of the wrong kind.
        #[n(1)]
        #[error("the journal refused an item: {reason}")]
        Denied {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// The journal is as large as the server lets it become.
        #[n(2)]
        #[error("the journal is full: ask the server's administrator for more room")]
        Full,
    }
}

request!(AppendJournal: "journal/append/1", Journal, Authenticated => Appended, AppendJournalError, MAX_BATCH);

wire_struct! {
    /// Finds out whose name it is. Absent names, and users who do not want the caller to write to them, answer alike.
    pub struct ResolveUser {
        /// The account's name at its home.
        #[n(0)] pub name: UserName,
        /// The home, when it is another one.
        #[n(1)] pub server: Option<ServerName>,
    }
}

wire_struct! {
    /// Whose name it is.
    pub struct ResolvedUser {
        /// The user.
        #[n(0)] pub user: UserId,
        /// Where their chain stands.
        #[n(1)] pub head: HeadRef,
    }
}

request!(ResolveUser: "user/resolve/1", Read, LoggedIn => ResolvedUser, ReadError);

wire_struct! {
    /// The name of a user id, for people whom the caller may read.
    pub struct NameOfUser {
        /// Whose.
        #[n(0)] pub user: UserId,
    }
}

wire_struct! {
    /// A name, if there is one for the caller.
    pub struct UserNameReply {
        /// The account's name.
        #[n(0)] pub name: Option<UserName>,
        /// The home, when it is another one.
        #[n(1)] pub server: Option<ServerName>,
    }
}

request!(NameOfUser: "user/name/1", Read, LoggedIn => UserNameReply, Never);
