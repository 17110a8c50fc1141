//! Exponential backoff with full jitter.

use std::time::Duration;

/// Says how long to wait before each next attempt: a random time up to a bound that doubles.
///
/// Full jitter (a draw between nothing and the bound) spreads the clients of a server that comes back over the whole time.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// The first bound, and the bound at which it stops doubling.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, attempt: 0 }
    }

    /// How long to wait now. `draw` is uniform over all of `u32`: the caller's randomness.
    pub fn next_delay(&mut self, draw: u32) -> Duration {
        let bound = self
            .first
            .saturating_mul(1_u32.checked_shl(self.attempt.min(20)).unwrap_or(u32::MAX))
            .min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        let nanoseconds = bound.as_nanos().saturating_mul(u128::from(draw)) >> 32;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// How many attempts have failed since the last success.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }

    /// An attempt succeeded: the next wait is short again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_to_its_cap_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<u128> = (0..6).map(|_| backoff.next_delay(u32::MAX).as_millis()).collect();
        assert_eq!(waits, [99, 199, 399, 799, 999, 999]);
        backoff.reset();
        assert!(backoff.next_delay(u32::MAX) < Duration::from_millis(100));
        assert_eq!(backoff.next_delay(0), Duration::ZERO);
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        for _ in 0..1_000 {
            assert!(backoff.next_delay(u32::MAX) <= Duration::from_mins(1));
        }
    }
}
