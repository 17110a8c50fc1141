//! What homeservers ask each other about communities whose members live on several of them.
//!
//! The hub of a community orders it; the homes of its members follow the log and those channels that somebody of theirs may read, by cursor,
//! and hand in what their users say. Nothing here is taken on a homeserver's word: entries are signed by their authors, chained, and vouched
//! for by the hub's signed head; and a home speaks for the users whose chains begin at it.

use crate::{
    chain::{Entry, HeadRef},
    codec::MAX_BATCH,
    community::{Fork, JoinBy, VouchedHead},
    id::{ChannelId, CommunityId, UserId},
    name::UserName,
    request,
    request::{
        Homeserver, Never,
        blob::{BlobPart, BlobProgress, GetBlob, GetBlobError, PutBlob, PutBlobError},
        chain::{Entries, ReadError},
        channel::{ListReads, PostChannel, PostError, Posted, Reads, ReadsError},
        community::{
            AppendLog, AppendLogError, MoveStep, NamedUser, PrepareMove, PrepareMoveError,
        },
        look::SnapshotPart,
    },
    wire_enum, wire_struct,
};

/// A request of a device, and who it comes from.
const HANDED_ON: usize = MAX_BATCH + 256 * 1024;

wire_struct! {
    /// For whom a homeserver asks: one of its own users.
    pub struct OnBehalf {
        /// Who.
        #[n(0)] pub user: UserId,
        /// By which name they are known there.
        #[n(1)] pub name: UserName,
        /// Where their chain stands.
        #[n(2)] pub head: HeadRef,
    }
}

wire_struct! {
    /// By what right somebody looks at a community that they do not belong to.
    pub struct Guest {
        /// Who.
        #[n(0)] pub user: OnBehalf,
        /// By what right.
        #[n(1)] pub by: JoinBy,
    }
}

wire_struct! {
    /// Asks which communities of the asked server the asker's users have to do with, and where their logs and those channels stand that
    /// somebody of them may read.
    pub struct PeerListPlaces {
        /// Only communities whose ids come after this one.
        #[n(0)] pub after: Option<CommunityId>,
        /// Only this community.
        #[n(1)] pub only: Option<CommunityId>,
    }
}

wire_struct! {
    /// Where a log or a channel stands.
    pub struct PlaceHead {
        /// Of which community.
        #[n(0)] pub community: CommunityId,
        /// Which channel; absent for the log.
        #[n(1)] pub channel: Option<ChannelId>,
        /// Its last entry.
        #[n(2)] pub head: HeadRef,
    }
}

wire_struct! {
    /// Some of them.
    pub struct Places {
        /// By community, each one's log before its channels; what is empty is left out. At most 4,096.
        #[n(0)] pub places: Vec<PlaceHead>,
        /// After which community to go on; absent when there are no more.
        #[n(1)] pub next: Option<CommunityId>,
    }
}

request!(PeerListPlaces: "peer/place/list/1", PeerRead, Homeserver => Places, Never);

wire_struct! {
    /// Reads entries of a log or a channel of the asked server, oldest first: of a channel only while somebody of the asker's may read it, of
    /// a log also what there was when the last of them went.
    pub struct PeerReadPlace {
        /// Which community.
        #[n(0)] pub community: CommunityId,
        /// Which channel; absent for the log.
        #[n(1)] pub channel: Option<ChannelId>,
        /// Only what comes after this place; from the beginning when absent.
        #[n(2)] pub after: Option<u64>,
        /// At most this many; the server may send fewer, and never more than 256 or 1 MiB.
        #[n(3)] pub limit: u32,
        /// For somebody who looks at a log before they belong to it.
        #[n(4)] pub guest: Option<Guest>,
        /// The last of them rather than the first.
        #[n(5)] pub last: Option<bool>,
    }
}

request!(PeerReadPlace: "peer/place/read/1", PeerRead, Homeserver => Entries, ReadError);

wire_struct! {
    /// Somebody whose chain is wanted.
    pub struct WantedUser {
        /// Who.
        #[n(0)] pub user: UserId,
        /// Only what comes after this place.
        #[n(1)] pub after: Option<u64>,
    }
}

wire_struct! {
    /// Reads the chains of users whom a community's log names, wherever they live. Who is not named is left out.
    pub struct PeerReadUsers {
        /// Which community.
        #[n(0)] pub community: CommunityId,
        /// Whose; at most 256.
        #[n(1)] pub users: Vec<WantedUser>,
        /// For somebody who looks at a log before they belong to it.
        #[n(2)] pub guest: Option<Guest>,
    }
}

wire_struct! {
    /// Some of several users' chains.
    pub struct UserChains {
        /// In order within each chain. Chains that did not fit any more are left out: ask for them again.
        #[n(0)] pub entries: Vec<Entry>,
        /// What those are called whose names the server knows.
        #[n(1)] pub names: Vec<NamedUser>,
        /// Whether something did not fit.
        #[n(2)] pub more: bool,
    }
}

request!(PeerReadUsers: "peer/place/users/1", PeerRead, Homeserver => UserChains, ReadError);

wire_enum! {
    /// A sign of life in a channel. It is not stored for whoever is away.
    pub enum Sign {
        /// Somebody types.
        #[n(1)] Typing {
            /// In which community.
            #[n(0)] community: CommunityId,
            /// In which channel.
            #[n(1)] channel: ChannelId,
            /// Who.
            #[n(2)] user: UserId
        },
        /// Somebody has read.
        #[n(2)] Read {
            /// In which community.
            #[n(0)] community: CommunityId,
            /// In which channel.
            #[n(1)] channel: ChannelId,
            /// Who.
            #[n(2)] user: UserId,
            /// Through which place.
            #[n(3)] seq: u64
        },
    }
}

wire_struct! {
    /// Tells that logs and channels have gone on, and of signs of life in channels. Of the former only their hub tells.
    pub struct PeerTellPlaces {
        /// Where they stand now; at most 1,024.
        #[n(0)] pub moved: Vec<PlaceHead>,
        /// At most 256.
        #[n(1)] pub signs: Vec<Sign>,
    }
}

request!(PeerTellPlaces: "peer/place/tell/1", PeerForward, Homeserver => (), Never, MAX_BATCH);

wire_struct! {
    /// Hands on statements of a user for a community's log.
    pub struct PeerAppendLog {
        /// Whose.
        #[n(0)] pub from: OnBehalf,
        /// As their device has handed it in.
        #[n(1)] pub request: AppendLog,
        /// The chains of users whom the statements bring in, whom the hub need not have met; at most 256 entries.
        #[n(2)] pub chains: Vec<Entry>,
    }
}

request!(PeerAppendLog: "peer/place/append/1", PeerForward, Homeserver => HeadRef, AppendLogError, HANDED_ON);

wire_struct! {
    /// Hands on what a user says in a channel.
    pub struct PeerPostChannel {
        /// Whose.
        #[n(0)] pub from: OnBehalf,
        /// As their device has handed it in.
        #[n(1)] pub request: PostChannel,
    }
}

request!(PeerPostChannel: "peer/place/post/1", PeerForward, Homeserver => Posted, PostError, HANDED_ON);

wire_struct! {
    /// Hands on a part of a blob.
    pub struct PeerPutBlob {
        /// Whose.
        #[n(0)] pub from: OnBehalf,
        /// As their device has handed it in.
        #[n(1)] pub request: PutBlob,
    }
}

request!(PeerPutBlob: "peer/place/put-blob/1", PeerForward, Homeserver => BlobProgress, PutBlobError, HANDED_ON);

wire_struct! {
    /// Reads a part of the newest snapshot of a community's log that its owner has vouched for.
    pub struct PeerReadSnapshot {
        /// Which community.
        #[n(0)] pub community: CommunityId,
        /// From which byte on.
        #[n(1)] pub offset: u64,
        /// For somebody who does not belong to it yet.
        #[n(2)] pub guest: Option<Guest>,
    }
}

request!(PeerReadSnapshot: "peer/place/snapshot/1", PeerRead, Homeserver => SnapshotPart, ReadError);

wire_struct! {
    /// Gets a part of a blob of a community that somebody of the asker's may read the log of.
    pub struct PeerGetBlob {
        /// Which part of which.
        #[n(0)] pub request: GetBlob,
        /// For somebody who looks at a log before they belong to it.
        #[n(1)] pub guest: Option<Guest>,
    }
}

request!(PeerGetBlob: "peer/place/get-blob/1", PeerRead, Homeserver => BlobPart, GetBlobError);

wire_struct! {
    /// Asks for a user how far the members of a small audience have read a channel.
    pub struct PeerListReads {
        /// For whom.
        #[n(0)] pub from: OnBehalf,
        /// As their device has asked.
        #[n(1)] pub request: ListReads,
    }
}

request!(PeerListReads: "peer/place/reads/1", PeerRead, Homeserver => Reads, ReadsError);

wire_struct! {
    /// What its hub has said of where a log or a channel stands.
    pub struct HubHead {
        /// Of which community.
        #[n(0)] pub community: CommunityId,
        /// Which channel; absent for the log.
        #[n(1)] pub channel: Option<ChannelId>,
        /// The hub's newest word, as it was signed.
        #[n(2)] pub said: VouchedHead,
    }
}

wire_struct! {
    /// Shows what hubs have said to the asker of communities that both sides' users belong to, to be compared with what they have said to the
    /// asked server.
    pub struct PeerCompareHeads {
        /// At most 128.
        #[n(0)] pub heads: Vec<HubHead>,
    }
}

wire_struct! {
    /// What came of comparing.
    pub struct ComparedHeads {
        /// What the hub has said to the asked server, where the asker's is further: the asker can compare.
        #[n(0)] pub heads: Vec<HubHead>,
        /// Proofs that hubs of those communities have signed two histories; at most 8.
        #[n(1)] pub forks: Vec<Fork>,
    }
}

request!(PeerCompareHeads: "peer/place/heads/1", PeerRead, Homeserver => ComparedHeads, Never, MAX_BATCH);

wire_struct! {
    /// Shows proofs that hubs have signed two histories of communities which users of the asked server belong to.
    pub struct PeerTellForks {
        /// At most 8.
        #[n(0)] pub forks: Vec<Fork>,
    }
}

request!(PeerTellForks: "peer/place/forks/1", PeerForward, Homeserver => (), Never, MAX_BATCH);

wire_struct! {
    /// Says that a community's log is not needed any more, whose copy was dropped since nobody of the asker's has to do with it. Whatever the
    /// hub still kept to be read by the asker then ends.
    pub struct PeerLeavePlace {
        /// Which.
        #[n(0)] pub community: CommunityId,
    }
}

wire_struct! {
    /// What the hub says to it.
    pub struct PlaceLeft {
        /// Whether nobody of the asker's has to do with the community by the hub's log, either.
        #[n(0)] pub is_over: bool,
    }
}

request!(PeerLeavePlace: "peer/place/leave/1", PeerForward, Homeserver => PlaceLeft, Never);

wire_struct! {
    /// Hands on that an owner wants a community made ready to be handed over.
    pub struct PeerPrepareMove {
        /// Whose wish it is.
        #[n(0)] pub from: OnBehalf,
        /// As their device has asked.
        #[n(1)] pub request: PrepareMove,
    }
}

request!(PeerPrepareMove: "peer/place/prepare-move/1", PeerForward, Homeserver => MoveStep, PrepareMoveError);

wire_struct! {
    /// Offers a community, of which the asker is the hub, to the asked server, which is to be its hub from then on. Until the owner has stated
    /// so, or for some minutes, the asked server may read all of it.
    pub struct PeerOfferPlace {
        /// Which.
        #[n(0)] pub community: CommunityId,
        /// Where its log and all its channels stand; what is empty is left out.
        #[n(1)] pub places: Vec<PlaceHead>,
    }
}

wire_struct! {
    /// What the asked server says to it.
    pub struct PlaceOffered {
        /// Whether it has all of the community as far as that. If not, it is fetching, and is to be asked again.
        #[n(0)] pub is_ready: bool,
        /// What keeps it, in words.
        #[n(1)] pub reason: Option<String>,
    }
}

wire_enum! {
    /// Why an offered community is not taken.
    #[derive(thiserror::Error)]
    pub enum PeerOfferError {
        /// The server does not take it.
        #[n(1)]
        #[error("{reason}")]
        Declined {
            /// Why.
            #[n(0)] reason: String
        },
    }
}

request!(PeerOfferPlace: "peer/place/offer/1", PeerForward, Homeserver => PlaceOffered, PeerOfferError, MAX_BATCH);
