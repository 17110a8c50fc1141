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

mod opening;
mod outcome;
mod sealing;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Malformed},
    envelope::Initiation,
    hash::labelled,
    id::{Digest, UserId},
    time::Timestamp,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use super::handshake::{Me, Peer};
use super::{
    cbor::encode_secret,
    replay::Seen,
    session::{Session, SessionRecord},
};
pub use outcome::{
    AfterFailure, BundleNeed, OpenError, Opened, Outgoing, SealError, Sealed, SessionEvent,
    Unsealed,
};

/// How long a session is used before a new handshake heals it.
pub const REHANDSHAKE_AFTER: Duration = Duration::from_hours(7 * 24);
/// How many messages of both directions a session carries before a new handshake heals it.
pub const REHANDSHAKE_MESSAGES: u32 = 1_000;
/// How long a former session still opens what comes, once the other device is known to have its successor.
pub const FORMER_FOR: Duration = Duration::from_hours(24);
/// How long a payload's encoding may be: what is left of an envelope's 48 KiB in the worst case of padding.
pub const PAYLOAD_BYTES: usize = 40 * 1024;

/// How many former sessions are kept: an other device that began a hundred must not fill the store.
const FORMER_CAP: usize = 4;
/// How many failures within [`FAILURES_WITHIN`] call for a reset.
const FAILURES: usize = 3;
const FAILURES_WITHIN: Duration = Duration::from_hours(24);
/// How long after a reset the next one may be.
const RESET_PAUSE: Duration = Duration::from_hours(1);
/// How many resets within [`RESETS_WITHIN`] are alarming.
const RESETS: usize = 3;
const RESETS_WITHIN: Duration = Duration::from_hours(30 * 24);
/// How many times are remembered of failures and of resets.
const TIMES_CAP: usize = 16;

/// All that this device shares with one other device.
pub struct Pair {
    /// The number of the next message to the other device. It never goes back.
    next: u64,
    active: Option<Session>,
    former: Vec<Former>,
    seen: Seen,
    failures: Vec<Timestamp>,
    /// Resets of either side.
    resets: Vec<Timestamp>,
    /// When this device last reset.
    own_reset: Option<Timestamp>,
}

/// A session that another has taken the place of: it opens, and never seals.
struct Former {
    session: Session,
    /// Until when; for as long as it takes the other device to be heard in the successor, when absent.
    until: Option<Timestamp>,
}

/// What Olm seals.
#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct Inner {
    /// `LH("env", header)`: this text is of that envelope.
    #[n(0)]
    #[zeroize(skip)]
    bind: Digest,
    #[n(1)]
    n: u64,
    #[n(2)]
    seen: Option<u64>,
    #[n(3)]
    #[zeroize(skip)]
    at: Timestamp,
    #[n(4)]
    #[zeroize(skip)]
    to: UserId,
    #[n(5)]
    kind: u32,
    #[cbor(n(6), with = "minicbor::bytes")]
    payload: Vec<u8>,
}

impl Pair {
    /// Two devices that never spoke.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: 1,
            active: None,
            former: vec![],
            seen: Seen::new(),
            failures: vec![],
            resets: vec![],
            own_reset: None,
        }
    }

    /// Whether sealing takes a bundle.
    #[must_use]
    pub fn bundle_need(&self, me: &Me<'_>, peer: &Peer<'_>, now: Timestamp) -> BundleNeed {
        let Some(session) = &self.active else {
            return BundleNeed::Required;
        };
        let age = now.since(session.began);
        let turned = session.generations != (me.puk_generation, peer.puk_generation);
        if age >= REHANDSHAKE_AFTER.saturating_mul(2)
            || session.messages >= REHANDSHAKE_MESSAGES.saturating_mul(2)
        {
            BundleNeed::Required
        } else if turned || age >= REHANDSHAKE_AFTER || session.messages >= REHANDSHAKE_MESSAGES {
            BundleNeed::Due
        } else {
            BundleNeed::None
        }
    }

    /// Counts an envelope that did not open. Three within a day call for a new session, once an hour at most.
    #[must_use]
    pub fn note_failure(&mut self, now: Timestamp) -> AfterFailure {
        remember(&mut self.failures, now);
        self.failures.retain(|at| now.since(*at) < FAILURES_WITHIN);
        let paused = self.own_reset.is_some_and(|last| now.since(last) < RESET_PAUSE);
        if self.failures.len() >= FAILURES && !paused {
            AfterFailure::Resync
        } else {
            AfterFailure::Wait
        }
    }

    /// Whether three resets within 30 days suggest that somebody runs a copy of one of the two devices (Cremers et al., "Clone Detection
    /// in Secure Messaging", CCS 2020).
    #[must_use]
    pub fn clone_alarm(&self, now: Timestamp) -> bool {
        self.resets.iter().filter(|at| now.since(**at) < RESETS_WITHIN).count() >= RESETS
    }

    /// Whether either side ever began anew: then what was sent before may come again, under another id.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        !self.resets.is_empty()
    }

    /// Drops the sessions, and keeps the numbers: what to do when the stored state may be an old copy (a restored backup).
    pub fn quarantine(&mut self) {
        self.active = None;
        self.former.clear();
    }

    /// The pair as bytes, for the sealed store.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        encode_secret(&PairRecord {
            next: self.next,
            active: self.active.as_ref().map(Session::to_record),
            former: self
                .former
                .iter()
                .map(|former| FormerRecord {
                    session: former.session.to_record(),
                    until: former.until,
                })
                .collect(),
            seen: self.seen.duplicate(),
            failures: self.failures.clone(),
            resets: self.resets.clone(),
            own_reset: self.own_reset,
        })
    }

    /// Reads what [`Pair::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let record: PairRecord = codec::decode_within(bytes, codec::MAX_BATCH)?;
        let former: Result<Vec<Former>, Malformed> = record
            .former
            .iter()
            .map(|former| {
                Ok(Former { session: Session::from_record(&former.session)?, until: former.until })
            })
            .collect();
        Ok(Self {
            next: record.next,
            active: record.active.as_ref().map(Session::from_record).transpose()?,
            former: former?,
            seen: record.seen,
            failures: record.failures,
            resets: record.resets,
            own_reset: record.own_reset,
        })
    }
}

impl Pair {
    /// A second copy, for trying something on; one of the two is dropped.
    fn duplicate(&self) -> Self {
        let former =
            |former: &Former| Former { session: former.session.duplicate(), until: former.until };
        Self {
            next: self.next,
            active: self.active.as_ref().map(Session::duplicate),
            former: self.former.iter().map(former).collect(),
            seen: self.seen.duplicate(),
            failures: self.failures.clone(),
            resets: self.resets.clone(),
            own_reset: self.own_reset,
        }
    }

    /// Puts `session` in the active one's place, which from now on only opens.
    fn succeed(&mut self, session: Session) {
        if let Some(active) = self.active.replace(session) {
            self.former.push(Former { session: active, until: None });
        }
    }

    /// The other device has the active session: the time of the former ones begins.
    fn confirm_active(&mut self, now: Timestamp) {
        for former in &mut self.former {
            former.until.get_or_insert(now.plus(FORMER_FOR));
        }
    }

    /// Drops former sessions whose time is over, or that are too many.
    fn prune(&mut self, now: Timestamp) {
        self.former.retain(|former| former.until.is_none_or(|until| now < until));
        let excess = self.former.len().saturating_sub(FORMER_CAP);
        self.former.drain(..excess);
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pair(secret, next {}, {:?})", self.next, self.active)
    }
}

/// A pair as it is stored.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PairRecord {
    #[n(0)]
    next: u64,
    #[n(1)]
    active: Option<SessionRecord>,
    #[n(2)]
    former: Vec<FormerRecord>,
    #[n(3)]
    seen: Seen,
    #[n(4)]
    failures: Vec<Timestamp>,
    #[n(5)]
    resets: Vec<Timestamp>,
    #[n(6)]
    own_reset: Option<Timestamp>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct FormerRecord {
    #[n(0)]
    session: SessionRecord,
    #[n(1)]
    until: Option<Timestamp>,
}

/// `LH("env", header)`: what ties the text inside to its envelope.
fn bind(header: &[u8]) -> Digest {
    labelled("env", &[header])
}

/// What the outer seal is bound to: the header as it travels, and in a first envelope all that is needed to join the session.
fn context(header: &[u8], initiation: Option<&Initiation>) -> Vec<u8> {
    let initiation = initiation.map(codec::encode).unwrap_or_default();
    [header, &initiation].concat()
}

/// What a device signs to reset a session: the header, both heads, and everything else that begins the new one.
fn reset_message(header: &[u8], initiation: &Initiation) -> Vec<u8> {
    let unsigned = Initiation { resync: None, ..initiation.clone() };
    labelled("resync", &[header, &codec::encode(&unsigned)]).as_bytes().to_vec()
}

/// Appends `now` to times of which the last few are kept.
fn remember(times: &mut Vec<Timestamp>, now: Timestamp) {
    times.push(now);
    let excess = times.len().saturating_sub(TIMES_CAP);
    times.drain(..excess);
}
