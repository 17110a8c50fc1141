//! All that two devices share: sessions, numbers, failures.
//!
//! A [`Pair`] belongs to *this device* and *one other device*, the user's own other devices included. It is a value: [`Pair::seal`] takes it
//! and gives the next one with the envelope, [`Pair::open`] gives the next one with what was opened, and an error leaves the old one as it
//! was. The store writes the next `Pair`, the envelope or the message, and the spent prekeys in **one transaction**, and only then lets an
//! envelope leave or acknowledges one. A crash between leaves a gap in the numbers, and never uses a key twice.
//!
//! Sending: ask [`Pair::bundle_need`]; claim a bundle if it says so; [`Pair::seal`]; store; send.
//! Receiving: read the header, load the pair of `(src_user, src_device)`, [`Pair::open`], store, acknowledge. When it says
//! [`OpenError::Undecryptable`], call [`Pair::note_failure`], store, acknowledge; when that says [`AfterFailure::Resync`], claim a bundle and
//! send what [`Pair::seal_reset`] makes.

use std::{fmt, time::Duration};

use rookery_protocol::{
    chain::HeadRef,
    codec::Malformed,
    envelope::Envelope,
    id::{DeviceId, ItemId, RatchetId, UserId},
    prekey::Bundle,
    time::Timestamp,
    user::{DeviceKeys, State},
};
use zeroize::Zeroizing;

use super::{
    Random,
    identity::DeviceSecrets,
    payload::Payload,
    prekey::{PrekeyStore, SpentPrekeys},
};

/// How long a session is used before a new handshake heals it.
pub const REHANDSHAKE_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How many messages of both directions a session carries before a new handshake heals it.
pub const REHANDSHAKE_MESSAGES: u32 = 1_000;
/// How long a former session still opens what comes.
pub const FORMER_FOR: Duration = Duration::from_secs(24 * 3_600);

/// This device, as of its user's verified chain.
#[derive(Clone, Copy, Debug)]
pub struct Me<'a> {
    /// Its user.
    pub user: UserId,
    /// The head of its user's chain that it has verified.
    pub head: HeadRef,
    /// The generation of its user's per-user key.
    pub puk_generation: u32,
    /// Its secrets.
    pub secrets: &'a DeviceSecrets,
}

/// The other device, as of its user's verified chain: only a live one can be had.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    user: UserId,
    device: DeviceId,
    head: HeadRef,
    puk_generation: u32,
    keys: &'a DeviceKeys,
}

impl<'a> Me<'a> {
    /// This device in `state`, the verified chain of its user.
    #[must_use]
    pub fn of(state: &State, secrets: &'a DeviceSecrets) -> Self {
        let puk_generation = state.puk().map_or(0, |puk| puk.generation);
        Self { user: state.user, head: state.head.into(), puk_generation, secrets }
    }
}

impl<'a> Peer<'a> {
    /// The device `device` of the user whose verified chain is `state`, if it is live.
    #[must_use]
    pub fn of(state: &'a State, device: DeviceId) -> Option<Self> {
        let keys = &state.live_device(device)?.keys;
        let puk_generation = state.puk().map_or(0, |puk| puk.generation);
        Some(Self { user: state.user, device, head: state.head.into(), puk_generation, keys })
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Which device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }
}

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
    pub pair: Pair,
    /// The letter.
    pub envelope: Envelope,
}

/// What did not seal: the pair is as it was.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unsealed {
    /// The pair, unchanged.
    pub pair: Pair,
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
    /// The home's head of the other user's chain contradicts the one that was verified.
    #[error("the home shows another chain of this user than the one that was verified")]
    Forked,
    /// The payload is longer than an envelope takes.
    #[error("the message is too long: at most {limit} bytes fit")]
    TooLong {
        /// How many would fit.
        limit: usize,
    },
    /// The numbers of this pair are used up, or the ratchet refuses.
    #[error("the session cannot seal any more")]
    Exhausted,
}

/// What was opened: store all of it, then acknowledge.
#[derive(Debug)]
#[must_use = "the pair has to be stored with the message"]
pub struct Opened {
    /// The pair from now on.
    pub pair: Pair,
    /// One-time prekeys that were used up: [`PrekeyStore::spend`] them in the same transaction.
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

/// All that this device shares with one other device.
pub struct Pair {
    _todo: (),
}

impl Pair {
    /// Two devices that never spoke.
    #[must_use]
    pub fn new() -> Self {
        unimplemented!()
    }

    /// Whether sealing takes a bundle.
    #[must_use]
    pub fn bundle_need(&self, me: &Me<'_>, peer: &Peer<'_>, now: Timestamp) -> BundleNeed {
        unimplemented!()
    }

    /// Seals `outgoing` for `peer`. A `bundle` is used when one is needed or due, and is otherwise left alone.
    pub fn seal(self, me: &Me<'_>, peer: &Peer<'_>, bundle: Option<&Bundle>, outgoing: &Outgoing<'_>, now: Timestamp, random: &mut dyn Random) -> Result<Sealed, Unsealed> {
        unimplemented!()
    }

    /// Seals the first envelope of a session that replaces a lost one: signed by this device, so that a reset is never silent.
    pub fn seal_reset(self, me: &Me<'_>, peer: &Peer<'_>, bundle: &Bundle, message: ItemId, now: Timestamp, random: &mut dyn Random) -> Result<Sealed, Unsealed> {
        unimplemented!()
    }

    /// Opens an envelope from `peer`.
    pub fn open(&self, me: &Me<'_>, peer: &Peer<'_>, prekeys: &PrekeyStore, envelope: &Envelope, now: Timestamp, random: &mut dyn Random) -> Result<Opened, OpenError> {
        unimplemented!()
    }

    /// Counts an envelope that did not open. Three within a day call for a new session, once an hour at most.
    #[must_use]
    pub fn note_failure(&mut self, now: Timestamp) -> AfterFailure {
        unimplemented!()
    }

    /// Whether three resets within 30 days suggest that somebody runs a copy of one of the two devices.
    #[must_use]
    pub fn clone_alarm(&self, now: Timestamp) -> bool {
        unimplemented!()
    }

    /// Drops the sessions, and keeps the numbers: what to do when the stored state may be an old copy (a restored backup).
    pub fn quarantine(&mut self) {
        unimplemented!()
    }

    /// The pair as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        unimplemented!()
    }

    /// Reads what [`Pair::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        unimplemented!()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pair(secret)")
    }
}
