//! Which numbers were taken in: a high-water mark and a window below it, as ESP keeps them (RFC 4303 §3.4.3).
//!
//! Neither Olm nor a mailbox that is restored from a backup keeps a message from coming twice. Numbers count per pair of devices and
//! outlive every session, so that a first envelope replayed after its session was forgotten is known all the same.

use minicbor::{Decode, Encode};

/// How far below the highest number one may still come for the first time: more than the ratchet keeps keys for.
const WINDOW: u64 = 2_048;
/// How many bytes that takes.
const BYTES: usize = 256;

/// The numbers that were taken in.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(crate) struct Seen {
    /// The highest; nothing yet when 0.
    #[n(0)]
    highest: u64,
    /// A bit for each number modulo the window's width.
    #[cbor(n(1), with = "minicbor::bytes")]
    bits: [u8; BYTES],
}

impl Seen {
    pub(crate) const fn new() -> Self {
        Self { highest: 0, bits: [0; BYTES] }
    }

    pub(crate) const fn duplicate(&self) -> Self {
        Self { highest: self.highest, bits: self.bits }
    }

    /// The highest number that was taken in.
    pub(crate) fn highest(&self) -> Option<u64> {
        (self.highest > 0).then_some(self.highest)
    }

    /// Whether `n` was not taken in yet, and can be.
    pub(crate) fn is_new(&self, n: u64) -> bool {
        n > self.highest || (n > 0 && self.highest.saturating_sub(n) < WINDOW && !self.bit(n))
    }

    /// Takes `n` in, unless it was before.
    #[must_use]
    pub(crate) fn take(&mut self, n: u64) -> bool {
        if !self.is_new(n) {
            return false;
        }
        if n > self.highest {
            let skipped = n.saturating_sub(self.highest).min(WINDOW);
            for number in 0..skipped {
                self.set(n.saturating_sub(number), false);
            }
            self.highest = n;
        }
        self.set(n, true);
        true
    }

    fn bit(&self, n: u64) -> bool {
        let (byte, mask) = place(n);
        self.bits.get(byte).is_some_and(|bits| bits & mask != 0)
    }

    fn set(&mut self, n: u64, value: bool) {
        let (byte, mask) = place(n);
        if let Some(bits) = self.bits.get_mut(byte) {
            *bits = if value { *bits | mask } else { *bits & !mask };
        }
    }
}

fn place(n: u64) -> (usize, u8) {
    let bit = n.rem_euclid(WINDOW);
    (usize::try_from(bit >> 3).unwrap_or_default(), 1 << (bit & 7))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test's own")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_taken_twice_and_nothing_from_below_the_window() {
        let mut seen = Seen::new();
        assert!(!seen.take(0), "numbers begin at 1");
        assert!(seen.take(3) && seen.take(1) && seen.take(2));
        assert!(!seen.take(1) && !seen.take(2) && !seen.take(3));
        assert!(seen.take(3 + WINDOW));
        assert!(seen.take(4) && !seen.take(3), "3 has left the window");
        assert!(seen.take(u64::MAX) && !seen.take(u64::MAX));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set(numbers in prop::collection::vec(1_u64..6_000, 1..400)) {
            let (mut seen, mut set) = (Seen::new(), BTreeSet::new());
            for n in numbers {
                let highest = set.last().copied().unwrap_or(0);
                let expected = n + WINDOW > highest && !set.contains(&n);
                prop_assert_eq!(seen.take(n), expected, "{} after {}", n, highest);
                if expected {
                    set.insert(n);
                }
            }
        }
    }
}
