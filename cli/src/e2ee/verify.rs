//! Who somebody is, and what to say when that changes.

use std::fmt::{self, Write as _};

use minicbor::{Decode, Encode};
use rookery_protocol::{chain::HeadRef, id::UserId, time::Timestamp, user::State};
use sha2::{Digest as _, Sha512};

/// Sixty digits that two people compare. They stand for the two user ids alone, so they never change with devices.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber(String);

impl SafetyNumber {
    /// The number of a pair of users, the same from both sides.
    #[must_use]
    pub fn of(one: UserId, other: UserId) -> Self {
        let mut halves = [half(one), half(other)];
        halves.sort();
        Self(halves.concat())
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
        for (index, digit) in self.0.chars().enumerate() {
            if index > 0 && index.is_multiple_of(5) {
                formatter.write_char(' ')?;
            }
            formatter.write_char(digit)?;
        }
        Ok(())
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
        Self { user: state.user, head: state.head.into(), how, verified_at: None }
    }

    /// Whether the safety number was compared.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified_at.is_some()
    }

    /// What to do when `event` happens to this user.
    #[must_use]
    pub fn react(&self, event: Event) -> Reaction {
        match event {
            Event::FirstSight => Reaction::Pin,
            Event::Routine => Reaction::Line,
            Event::RecoveryReplaced | Event::Closed => Reaction::Notice,
            Event::NameMoved if self.is_verified() => Reaction::LockUntilVerified,
            Event::NameMoved => Reaction::LockUntilAccepted,
            Event::Forked => Reaction::Stop,
        }
    }
}

/// What happened between two states of one user's chain, of which `after` was reached from `before` by the chain's rules.
#[must_use]
pub fn events(before: &State, after: &State) -> Vec<Event> {
    let mut events = vec![];
    if before.devices != after.devices || before.puks != after.puks {
        events.push(Event::Routine);
    }
    if before.recovery != after.recovery {
        events.push(Event::RecoveryReplaced);
    }
    if after.closed && !before.closed {
        events.push(Event::Closed);
    }
    events
}

/// Whether two heads contradict each other: the same place with different hashes.
#[must_use]
pub fn is_fork(one: HeadRef, other: HeadRef) -> bool {
    one.seq == other.seq && one.hash != other.hash
}

/// How often the hash is iterated, as Signal does: it makes a search for a second user with the same digits 5,200 times as long.
const ITERATIONS: usize = 5_200;

/// Thirty digits of one user: SHA-512 iterated over version 1 and the id, then six chunks of five bytes, each modulo 100,000.
fn half(user: UserId) -> String {
    let id = user.as_bytes();
    let mut hash = [&[0, 1][..], id, id].concat();
    for _ in 0..ITERATIONS {
        hash = Sha512::new().chain_update(&hash).chain_update(id).finalize().to_vec();
    }
    let number = |chunk: &[u8]| chunk.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    hash.chunks_exact(5).take(6).fold(String::with_capacity(30), |digits, chunk| {
        digits + &format!("{:05}", number(chunk).rem_euclid(100_000))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(verified_at: Option<Timestamp>) -> Pin {
        let head = HeadRef { seq: 1, hash: rookery_protocol::id::Digest::ZERO };
        Pin { user: UserId::from_bytes([1; 32]), head, how: How::FirstUse, verified_at }
    }

    #[test]
    fn both_sides_see_the_same_sixty_digits() {
        let (one, other) = (UserId::from_bytes([1; 32]), UserId::from_bytes([2; 32]));
        let number = SafetyNumber::of(one, other);
        assert_eq!(number, SafetyNumber::of(other, one));
        assert_eq!(number.digits().len(), 60);
        assert!(number.digits().bytes().all(|digit| digit.is_ascii_digit()));
        let shown = number.to_string();
        assert_eq!((shown.len(), shown.split(' ').count()), (71, 12));
        assert_ne!(number, SafetyNumber::of(one, UserId::from_bytes([3; 32])));
    }

    #[test]
    fn every_event_has_the_reaction_of_the_table() {
        let (unverified, verified) = (pin(None), pin(Some(Timestamp::from_millis(1))));
        for (event, plain, checked) in [
            (Event::FirstSight, Reaction::Pin, Reaction::Pin),
            (Event::Routine, Reaction::Line, Reaction::Line),
            (Event::RecoveryReplaced, Reaction::Notice, Reaction::Notice),
            (Event::NameMoved, Reaction::LockUntilAccepted, Reaction::LockUntilVerified),
            (Event::Forked, Reaction::Stop, Reaction::Stop),
            (Event::Closed, Reaction::Notice, Reaction::Notice),
        ] {
            assert_eq!(
                (unverified.react(event), verified.react(event)),
                (plain, checked),
                "{event:?}"
            );
        }
    }

    #[test]
    fn a_fork_is_the_same_place_with_another_hash() {
        let head = pin(None).head;
        let other = HeadRef { hash: rookery_protocol::id::Digest::from_bytes([1; 32]), ..head };
        assert!(is_fork(head, other) && !is_fork(head, head));
        assert!(!is_fork(head, HeadRef { seq: 2, ..other }));
    }
}
