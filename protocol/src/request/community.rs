//! Communities: their logs, and who they are listed for.

use crate::{
    chain::{Entry, HeadRef, SignedHead, Submission},
    codec::MAX_BATCH,
    community::{CommunityKind, Fork, Handover, JoinBy},
    id::{ChainId, CommunityId, UserId},
    name::{ServerName, UserName},
    request,
    request::Never,
    session::Authenticated,
    time::Timestamp,
    wire_enum, wire_index, wire_struct,
};

wire_struct! {
    /// Appends statements to a community's log, or begins one with its creation: all of them or none. The batch leaves no epoch owed, and the
    /// wraps that it names have been put before.
    pub struct AppendLog {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// The statements in order; one to 256.
        #[n(1)] pub statements: Vec<Submission>,
        /// Its hub, when that is another server than the one that is asked, which need not have anything of it yet.
        #[n(2)] pub hub: Option<ServerName>,
    }
}

wire_enum! {
    /// Why nothing was appended.
    #[derive(thiserror::Error)]
    pub enum AppendLogError {
        /// The log has gone on: fetch it, and state again.
        #[n(1)]
        #[error("the community has changed meanwhile")]
        Stale {
            /// Where it stands.
            #[n(0)] head: Option<HeadRef>
        },
        /// The community's rules forbid it.
        #[n(2)]
        #[error("{reason}")]
        Denied {
            /// Which rule.
            #[n(0)] reason: String
        },
        /// A new epoch or its wraps are missing.
        #[n(3)]
        #[error("the statements are not complete: {reason}")]
        Incomplete {
            /// What is missing.
            #[n(0)] reason: String
        },
        /// No such community, or none that the caller knows of.
        #[n(4)]
        #[error("there is no such community")]
        NotFound,
        /// The hub needs more of a user's chain than it has.
        #[n(5)]
        #[error("the server does not know the devices of {user} so far")]
        UnknownUser {
            /// Whose.
            #[n(0)] user: UserId
        },
        /// The server's administrator has frozen it: it can be read.
        #[n(6)]
        #[error("the server's administrator has frozen this community")]
        Frozen,
        /// As many as the server keeps for one user.
        #[n(7)]
        #[error("you own as many communities as this server keeps for one user")]
        TooMany,
        /// The invitation's time is over.
        #[n(8)]
        #[error("the invitation has expired")]
        Expired,
        /// The community's hub is another server, which does not answer this one.
        #[n(9)]
        #[error("the community's hub {hub} does not answer your server")]
        HubAway {
            /// Which.
            #[n(0)] hub: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
        /// The community's hub has signed two histories of it: nothing is handed to it any more.
        #[n(10)]
        #[error("the community's hub {hub} has signed two histories that contradict each other; nothing is handed to it any more")]
        HubForked {
            /// Which.
            #[n(0)] hub: ServerName
        },
    }
}

request!(AppendLog: "community/append/1", Community, Authenticated => HeadRef, AppendLogError, MAX_BATCH);

wire_index! {
    /// How a user stands to a community.
    pub enum MemberStanding {
        /// They belong to it.
        #[n(1)] Member,
        /// They were invited.
        #[n(2)] Invited,
        /// They asked to be let in.
        #[n(3)] Asking,
    }
}

wire_struct! {
    /// Lists the communities that the caller belongs to, was invited to, or asked to join.
    pub struct ListCommunities {}
}

wire_struct! {
    /// One of them.
    pub struct CommunityEntry {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// What sort.
        #[n(1)] pub kind: CommunityKind,
        /// How the caller stands to it.
        #[n(2)] pub standing: MemberStanding,
        /// Where its log stands.
        #[n(3)] pub head: HeadRef,
        /// How many proofs there are that its hub has signed two histories of it; absent where there is none.
        #[n(4)] pub forks: Option<u32>,
    }
}

wire_struct! {
    /// All of them.
    pub struct Communities {
        /// In no order.
        #[n(0)] pub communities: Vec<CommunityEntry>,
    }
}

request!(ListCommunities: "community/list/1", Read, Authenticated => Communities, Never);

wire_struct! {
    /// Reads the log of a community that the caller does not belong to yet, by the right that they would join by.
    pub struct PreviewLog {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// By what right.
        #[n(1)] pub by: JoinBy,
        /// Only what comes after this place.
        #[n(2)] pub after: Option<u64>,
        /// At most this many.
        #[n(3)] pub limit: u32,
        /// Its hub, when that is another server than the one that is asked.
        #[n(4)] pub hub: Option<ServerName>,
    }
}

wire_enum! {
    /// Why there is nothing to read.
    #[derive(thiserror::Error)]
    pub enum PreviewError {
        /// No such community, or the invitation has ended.
        #[n(1)]
        #[error("the invitation has ended, or there is no such community")]
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
        /// This home has nothing to do with the hub.
        #[n(3)]
        #[error("your server is not in touch with the community's hub {hub}: its administrator can add it by `rookeryd peer add`")]
        UnknownHub {
            /// Which.
            #[n(0)] hub: ServerName
        },
    }
}

request!(PreviewLog: "community/preview/1", Read, Authenticated => super::chain::Entries, PreviewError);

wire_struct! {
    /// What one follows of a chain.
    pub struct WantedChain {
        /// Which.
        #[n(0)] pub chain: ChainId,
        /// Only what comes after this place.
        #[n(1)] pub after: Option<u64>,
    }
}

wire_struct! {
    /// Reads several chains at once, such as those of a community's members. What the caller may not read is left out.
    pub struct ReadChains {
        /// Which; at most 512.
        #[n(0)] pub chains: Vec<WantedChain>,
    }
}

wire_struct! {
    /// Some of several chains.
    pub struct ManyEntries {
        /// In order within each chain. Chains that did not fit any more are left out: ask for them again.
        #[n(0)] pub entries: Vec<Entry>,
        /// Whether something did not fit.
        #[n(1)] pub more: bool,
    }
}

request!(ReadChains: "chain/read-many/1", Read, Authenticated => ManyEntries, Never, MAX_BATCH);

wire_struct! {
    /// The names of users whom the caller may read.
    pub struct NamesOfUsers {
        /// Whose; at most 512.
        #[n(0)] pub users: Vec<UserId>,
    }
}

wire_struct! {
    /// A user's name.
    pub struct NamedUser {
        /// Whose.
        #[n(0)] pub user: UserId,
        /// The account's name.
        #[n(1)] pub name: UserName,
        /// Their home, when that is another server than the one that answers.
        #[n(2)] pub server: Option<ServerName>,
    }
}

wire_struct! {
    /// The names that there are for the caller.
    pub struct UserNames {
        /// In no order.
        #[n(0)] pub names: Vec<NamedUser>,
    }
}

request!(NamesOfUsers: "user/names/1", Read, Authenticated => UserNames, Never);

wire_struct! {
    /// People whom the caller may know: who share communities or contacts with them, and allow it to be said.
    pub struct SuggestContacts {}
}

wire_struct! {
    /// Somebody whom the caller may know.
    pub struct Suggestion {
        /// Their name.
        #[n(0)] pub name: UserName,
        /// Who.
        #[n(1)] pub user: UserId,
        /// How many communities they share.
        #[n(2)] pub communities: u32,
        /// How many contacts they share.
        #[n(3)] pub contacts: u32,
    }
}

wire_struct! {
    /// The best known first; at most 50.
    pub struct Suggestions {
        /// Who.
        #[n(0)] pub suggestions: Vec<Suggestion>,
    }
}

request!(SuggestContacts: "contact/suggest/1", Contact, Authenticated => Suggestions, Never);

wire_struct! {
    /// The signed head of a log, to be compared with what others have seen.
    pub struct FetchHead {
        /// Of which chain.
        #[n(0)] pub chain: ChainId,
    }
}

request!(FetchHead: "chain/head/1", Read, Authenticated => SignedHead, super::chain::ReadError);

wire_struct! {
    /// Asks for the proofs that the hub of a community, which the caller has to do with, has signed two histories of it.
    pub struct ReadForks {
        /// Of which community.
        #[n(0)] pub community: CommunityId,
    }
}

wire_struct! {
    /// All of them.
    pub struct Forks {
        /// At most 8, one a chain.
        #[n(0)] pub forks: Vec<Fork>,
    }
}

request!(ReadForks: "community/forks/1", Read, Authenticated => Forks, super::chain::ReadError);

wire_struct! {
    /// Has a community made ready to be handed over to another server, for its owner. Asked again until it is: the next hub takes a copy of all
    /// of it first.
    pub struct PrepareMove {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// The server that is to be its hub.
        #[n(1)] pub to: ServerName,
    }
}

wire_enum! {
    /// How far that is.
    pub enum MoveStep {
        /// The next hub does not have all of it yet: ask again.
        #[n(1)] Underway {
            /// What keeps it, in words; nothing while it is simply being copied.
            #[n(0)] reason: Option<String>
        },
        /// It has: for some seconds nothing is placed but the hand-over that names just this.
        #[n(2)] Ready {
            /// What the owner is to state.
            #[n(0)] handover: Handover
        },
    }
}

wire_enum! {
    /// Why a community is not handed over.
    #[derive(thiserror::Error)]
    pub enum PrepareMoveError {
        /// No such community, or none that the caller knows of.
        #[n(1)]
        #[error("there is no such community")]
        NotFound,
        /// The community's rules, or its state, forbid it.
        #[n(2)]
        #[error("{reason}")]
        Denied {
            /// Why.
            #[n(0)] reason: String
        },
        /// The next hub does not take it.
        #[n(3)]
        #[error("{hub} does not take the community: {reason}")]
        Declined {
            /// Which server.
            #[n(0)] hub: ServerName,
            /// Why.
            #[n(1)] reason: String
        },
        /// The hub has no connection with the next one.
        #[n(4)]
        #[error("the community's hub has no connection with {hub}")]
        NextAway {
            /// Which server.
            #[n(0)] hub: ServerName
        },
        /// The community's hub is another server, which does not answer this one.
        #[n(5)]
        #[error("the community's hub {hub} does not answer your server")]
        HubAway {
            /// Which.
            #[n(0)] hub: ServerName,
            /// Since when.
            #[n(1)] since: Timestamp
        },
    }
}

request!(PrepareMove: "community/prepare-move/1", Community, Authenticated => MoveStep, PrepareMoveError);
