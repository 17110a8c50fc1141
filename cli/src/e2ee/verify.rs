//! Who somebody is, and what to say when that changes.

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::HeadRef,
    id::UserId,
    time::Timestamp,
    user::State,
};

/// Sixty digits that two people compare. They stand for the two user ids alone, so they never change with devices.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber(String);

impl SafetyNumber {
    /// The number of a pair of users, the same from both sides.
    #[must_use]
    pub fn of(one: UserId, other: UserId) -> Self {
        unimplemented!()
    }

    /// The 60 digits without spaces.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

/// Twelve groups of five digits.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SafetyNumber({self})")
    }
}

/// How a user came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum How {
    /// The home said so, the first time (trust on first use).
    #[n(1)]
    FirstUse,
    /// By an invite or a contact link, which carries the user id.
    #[n(2)]
    Link,
    /// By comparing the safety number.
    #[n(3)]
    SafetyNumber,
}

/// What is remembered of a user from the first sight on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pin {
    /// Who.
    #[n(0)]
    pub user: UserId,
    /// The newest head of their chain that was verified.
    #[n(1)]
    pub head: HeadRef,
    /// How they came to be known.
    #[n(2)]
    pub how: How,
    /// When the safety number was compared, if it was.
    #[n(3)]
    pub verified_at: Option<Timestamp>,
}

/// What can happen to a user who is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Never seen before.
    FirstSight,
    /// Devices came or went, or the per-user key was rotated, by the rules.
    Routine,
    /// The recovery key was replaced.
    RecoveryReplaced,
    /// The name that was this user's now stands for another user id.
    NameMoved,
    /// Two different statements stand at the same place of the chain.
    Forked,
    /// The user has ended.
    Closed,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Pin them, and go on.
    Pin,
    /// One quiet line.
    Line,
    /// A line and a notice; verification stays.
    Notice,
    /// Lock the conversation's input until the new user is accepted; the old id keeps its pin.
    LockUntilAccepted,
    /// Lock the conversation's input until the safety number was compared again.
    LockUntilVerified,
    /// Stop, keep both statements as evidence, and tell the person.
    Stop,
}

impl Pin {
    /// Pins a user at the head of their verified chain.
    #[must_use]
    pub fn of(state: &State, how: How) -> Self {
        unimplemented!()
    }

    /// Whether the safety number was compared.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified_at.is_some()
    }

    /// What to do when `event` happens to this user.
    #[must_use]
    pub fn react(&self, event: Event) -> Reaction {
        unimplemented!()
    }
}

/// What happened between two states of one user's chain, of which `after` was reached from `before` by the chain's rules.
#[must_use]
pub fn events(before: &State, after: &State) -> Vec<Event> {
    unimplemented!()
}

/// Whether two heads contradict each other: the same place with different hashes.
#[must_use]
pub fn is_fork(one: HeadRef, other: HeadRef) -> bool {
    one.seq == other.seq && one.hash != other.hash
}
