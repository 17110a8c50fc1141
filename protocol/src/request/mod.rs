//! Requests: one question each, with all that can come back, defined once for both sides.
//!
//! A method's name carries its version and is never used again; a changed request is a new type with a new name. What is added to a request
//! or a reply is a new optional field, which older software skips.

pub mod account;
pub mod admin;
pub mod blob;
pub mod chain;
pub mod channel;
pub mod community;
pub mod contact;
pub mod device;
pub mod discovery;
pub mod file;
pub mod link;
pub mod look;
pub mod message;
pub mod peer;
pub mod peer_people;
pub mod peer_place;
pub mod peer_return;
pub mod peering;
pub mod prekey;
pub mod presence;
pub mod registry;
pub mod server;
pub mod session;

use minicbor::{Decode, Encode};

use crate::{
    codec::{MAX_FRAME, Wire},
    id::ServerId,
    session::{Authenticated, Principal},
    wire_enum, wire_index,
};

/// One question that a device, a homeserver or an administrator may ask, with all that can come back.
pub trait Request: Wire {
    /// The name on the wire, such as `message/send/1`.
    const METHOD: &'static str;
    /// Which budget it is charged to.
    const RATE: RateClass;
    /// How many bytes the request may take.
    const MAX_BYTES: usize = MAX_FRAME;
    /// What the asker has to have proven before the handler runs.
    type Caller: Caller;
    /// What comes back when all is well.
    type Reply: Wire;
    /// What only this request can fail with; [`Refusal`] holds what any can.
    type Error: Wire + std::error::Error;
}

/// Who may ask: made from what a connection has proven, and from nothing else.
pub trait Caller: Sized + Copy + Send + Sync + 'static {
    /// For the reference.
    const NAME: &'static str;
    /// The caller, if `principal` is enough.
    fn admit(principal: &Principal) -> Option<Self>;
}

/// Anybody who can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anyone;

/// Somebody with the right password, on a device that need not be certified yet: they can have it certified, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedIn(pub Authenticated);

/// Another homeserver, by its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Homeserver(pub ServerId);

/// Whoever may open the administrator's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Administrator;

impl Caller for Anyone {
    const NAME: &'static str = "anyone";
    fn admit(_: &Principal) -> Option<Self> {
        Some(Self)
    }
}

impl Caller for LoggedIn {
    const NAME: &'static str = "a device, certified or not";
    fn admit(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Uncertified(who) | Principal::Device(who) => Some(Self(*who)),
            Principal::Anonymous | Principal::Peer(_) | Principal::Administrator => None,
        }
    }
}

impl Caller for Authenticated {
    const NAME: &'static str = "a certified device";
    fn admit(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Device(who) => Some(*who),
            _ => None,
        }
    }
}

impl Caller for Homeserver {
    const NAME: &'static str = "a homeserver";
    fn admit(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Peer(server) => Some(Self(*server)),
            _ => None,
        }
    }
}

impl Caller for Administrator {
    const NAME: &'static str = "the administrator";
    fn admit(principal: &Principal) -> Option<Self> {
        (*principal == Principal::Administrator).then_some(Self)
    }
}

wire_index! {
    /// What a request is charged to.
    pub enum RateClass {
        /// Small questions.
        #[n(1)] Read,
        /// Messages.
        #[n(2)] Post,
        /// Log-ins and refreshes.
        #[n(3)] Login,
        /// Registrations.
        #[n(4)] Register,
        /// Claims of prekeys.
        #[n(5)] Claim,
        /// Contact requests.
        #[n(6)] Contact,
        /// Changes to the account, its devices and keys.
        #[n(7)] Account,
        /// Linking of devices: few, so that codes cannot be guessed.
        #[n(8)] Link,
        /// Opening the follow stream.
        #[n(9)] Follow,
        /// Typing and presence.
        #[n(10)] Ephemera,
        /// The journal.
        #[n(11)] Journal,
        /// The administrator's.
        #[n(12)] Admin,
        /// Delivery and read receipts.
        #[n(13)] Receipt,
        /// Changes of communities.
        #[n(14)] Community,
        /// A homeserver's proof of who it is.
        #[n(15)] PeerHandshake,
        /// Questions of a homeserver.
        #[n(16)] PeerRead,
        /// Claims of prekeys by a homeserver for its users.
        #[n(17)] PeerClaim,
        /// What a homeserver hands over.
        #[n(18)] PeerForward,
        /// Parts of files.
        #[n(19)] File,
    }
}

wire_enum! {
    /// What any request can be answered with, whatever it asked.
    #[derive(thiserror::Error)]
    pub enum Refusal {
        /// The connection has proven nothing yet, or what it proved has ended.
        #[n(1)]
        #[error("log in first")]
        NotAuthenticated,
        /// This principal may not ask this.
        #[n(2)]
        #[error("this device may not do that")]
        NotPermitted,
        /// The request is not what its type says.
        #[n(3)]
        #[error("the server could not read the request")]
        Malformed,
        /// The request is longer than its method allows.
        #[n(4)]
        #[error("the request is too large")]
        TooLarge,
        /// Too many of its kind: ask again later.
        #[n(5)]
        #[error("too many requests: try again in {retry_after_ms} ms")]
        Throttled {
            /// How long to wait, in milliseconds.
            #[n(0)] retry_after_ms: u64
        },
        /// The server cannot do it now, but will be able to again: out of space, draining, or its database is away.
        #[n(6)]
        #[error("the server cannot do that at the moment; it will be tried again")]
        Unavailable,
        /// The server is broken. Its log says how.
        #[n(7)]
        #[error("the server failed to answer; its administrator finds the reason in its log")]
        Internal,
        /// No such method in this version of the server.
        #[n(8)]
        #[error("the server is too old to know that request")]
        UnknownMethod,
        /// The server's disk is full: nothing new is taken, what is there can be read.
        #[n(9)]
        #[error("the server's disk is full: nothing was stored; what is there can still be read")]
        StorageFull,
    }
}

wire_enum! {
    /// An error for requests that cannot fail in ways of their own.
    #[derive(thiserror::Error)]
    pub enum Never {
        /// Reserved: no server sends it.
        #[n(0)]
        #[error("an error that this version does not know")]
        Reserved,
    }
}

/// What a handler comes to: the reply, the request's own error, or a refusal.
pub type Outcome<R> = Result<<R as Request>::Reply, Failure<<R as Request>::Error>>;

/// What is not a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The request's own error.
    Error(E),
    /// What any request can get.
    Refused(Refusal),
}

impl<E> From<Refusal> for Failure<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An answer as it travels: reply, error or refusal, by number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer<R, E> {
    /// All is well.
    #[n(0)]
    Reply(#[n(0)] R),
    /// The request's own error.
    #[n(1)]
    Error(#[n(0)] E),
    /// What any request can get.
    #[n(2)]
    Refused(#[n(0)] Refusal),
}

impl<R, E> From<Result<R, Failure<E>>> for Answer<R, E> {
    fn from(outcome: Result<R, Failure<E>>) -> Self {
        match outcome {
            Ok(reply) => Self::Reply(reply),
            Err(Failure::Error(error)) => Self::Error(error),
            Err(Failure::Refused(refusal)) => Self::Refused(refusal),
        }
    }
}

/// Declares the request of a type: method, rate class, caller, reply and error.
#[macro_export]
macro_rules! request {
    ($name:ident: $method:literal, $rate:ident, $caller:ty => $reply:ty, $error:ty $(, $bytes:expr)?) => {
        impl $crate::request::Request for $name {
            const METHOD: &'static str = $method;
            const RATE: $crate::request::RateClass = $crate::request::RateClass::$rate;
            $(const MAX_BYTES: usize = $bytes;)?
            type Caller = $caller;
            type Reply = $reply;
            type Error = $error;
        }
    };
}
