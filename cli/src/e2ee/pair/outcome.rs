//! What goes into a [`Pair`] and what comes out of it.

use rookery_protocol::{
    envelope::Envelope,
    id::{ItemId, UserId},
    time::Timestamp,
};

use super::Pair;
use crate::e2ee::{payload::Payload, prekey::SpentPrekeys};

/// One message to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Its id, the same for all devices that it goes to.
    pub message: ItemId,
    /// To whom it is addressed: the peer's user, or, in the copy for one's own other devices, the user whom they show it under.
    pub to: UserId,
    /// What it says.
    pub payload: &'a Payload,
}

/// Whether sealing takes a bundle of the other device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleNeed {
    /// No: the session goes on.
    None,
    /// A new handshake is due. Without a bundle the old session still serves, up to twice its time.
    Due,
    /// There is no session, or it is over: without a bundle nothing can be sealed.
    Required,
}

/// What sealing gave: store `pair` (and the envelope) before the envelope leaves.
#[derive(Debug)]
#[must_use = "the pair has to be stored before the envelope leaves"]
pub struct Sealed {
    /// The pair from now on.
    pub pair: Box<Pair>,
    /// The letter.
    pub envelope: Envelope,
}

/// What did not seal: the pair is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unsealed {
    /// The pair, unchanged.
    pub pair: Box<Pair>,
    /// Why.
    pub reason: SealError,
}

/// Why nothing was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// There is no session: claim a bundle of this device, and seal again.
    #[error("a session with this device needs one of its key bundles")]
    NeedsBundle,
    /// The bundle is another device's, or a signature or a key in it does not hold.
    #[error("the key bundle is not valid: {0}")]
    BadBundle(&'static str),
    /// The home's head of the other user's chain contradicts the one that was verified: stop, and keep it as evidence.
    #[error("the home shows another chain of this user than the one that was verified")]
    Forked,
    /// The payload is longer than an envelope takes.
    #[error("the message is too long: at most {limit} bytes fit")]
    TooLong {
        /// How many would fit.
        limit: usize,
    },
    /// A reset was sent within the hour.
    #[error("a session is reset once an hour at most")]
    TooSoon,
    /// The numbers of this pair are used up, or the ratchet refuses.
    #[error("the session cannot seal any more")]
    Exhausted,
}

/// What was opened: store all of it, then acknowledge.
#[derive(Debug)]
#[must_use = "the pair has to be stored with the message"]
pub struct Opened {
    /// The pair from now on.
    pub pair: Box<Pair>,
    /// One-time prekeys that were used up: [`PrekeyStore::spend`](crate::e2ee::prekey::PrekeyStore::spend) them in the same transaction.
    pub spent: Option<SpentPrekeys>,
    /// Which message; the same id of the same user is the same message.
    pub message: ItemId,
    /// To whom it was addressed: this device's user, or, from one's own other device, the user whom it belongs under.
    pub to: UserId,
    /// Its number among all that the other device ever sealed for this one, from 1.
    pub n: u64,
    /// The highest number of this device's that the sender had taken in.
    pub seen: Option<u64>,
    /// When it was sealed, by the sender's clock.
    pub at: Timestamp,
    /// What it says.
    pub payload: Payload,
    /// What it did to the session.
    pub session: SessionEvent,
}

/// What an envelope did to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// Nothing: it goes on.
    None,
    /// A session began, or was healed by a new handshake.
    Begun,
    /// The other device had lost its session, and began another: show it ("secure session reset"), and seal again what it may have missed.
    Reset {
        /// The highest number of this device's that it has.
        last_good: Option<u64>,
    },
}

/// Why an envelope was not opened. The pair is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// For another device, or from another than the pair's. Drop it.
    #[error("the envelope is not for this device")]
    Misdirected,
    /// Its sender had seen more of the sender's or of this user's chain than is here: hold it, fetch the chain, and try again.
    #[error("the envelope was sealed against a newer chain: fetch it first")]
    ChainBehind,
    /// Its sender had seen another chain at a place that is here: stop, and keep it as evidence.
    #[error("the envelope was sealed against another chain than the one that was verified")]
    Forked,
    /// Its number was taken in before. Acknowledge and drop it.
    #[error("the envelope was taken in before")]
    Replayed,
    /// It does not open. There is one code for all causes, and no answer to the sender.
    #[error("the envelope cannot be opened")]
    Undecryptable,
}

/// What to do after an envelope that did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Nothing but to count it.
    Wait,
    /// Begin a new session by [`Pair::seal_reset`].
    Resync,
}
