//! When to try an address that may be dead: a circuit breaker over jittered backoff.
//!
//! Closed, it lets every attempt through. After some failures in a row it opens: then one attempt is let through each time the backoff is
//! over (half-open), and a success of that closes it. An address that fails once in a while is tried again at once; one that is dead
//! costs an attempt a wait and nothing else.

use std::time::Duration;

use super::Backoff;
use crate::time::Timestamp;

/// How many failures in a row open it.
const FAILURES: u32 = 5;

/// When the next attempt may be made. Pure: the time and the randomness are arguments.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    first: Duration,
    cap: Duration,
    backoff: Backoff,
    not_before: Timestamp,
    /// How far off that was when it was set: nothing waits longer, though the clock be put back meanwhile.
    delay: Duration,
}

impl Breaker {
    /// Waits of at first up to `first`, doubling up to `cap`, however long it goes on.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            backoff: Backoff::new(first, cap),
            not_before: Timestamp::from_millis(0),
            delay: Duration::ZERO,
        }
    }

    /// How long to wait before the next attempt; nothing when it may be made now.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Duration {
        self.not_before.since(now).min(self.delay)
    }

    /// Whether so much has failed that only single attempts are let through.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.backoff.attempts() >= FAILURES
    }

    /// An attempt failed. `draw` is uniform over all of `u32`.
    pub fn handle_failure(&mut self, now: Timestamp, draw: u32) {
        self.delay = self.backoff.next_delay(draw);
        self.not_before = now.plus(self.delay);
    }

    /// An attempt succeeded.
    pub fn handle_success(&mut self) {
        *self = Self::new(self.first, self.cap);
    }

    /// Something was heard from the other side: the next attempt may be made at once. It stays open, for what is heard proves no way there.
    pub fn handle_sign_of_life(&mut self) {
        self.not_before = Timestamp::from_millis(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const CAP: Duration = Duration::from_secs(20);

    fn breaker() -> Breaker {
        Breaker::new(FIRST, CAP)
    }

    #[test]
    fn it_opens_after_some_failures_and_closes_with_a_success() {
        let (mut breaker, now) = (breaker(), Timestamp::from_millis(1_000));
        for _ in 0..FAILURES {
            assert!(!breaker.is_open());
            breaker.handle_failure(now, 0);
        }
        assert!(breaker.is_open());
        breaker.handle_sign_of_life();
        assert!(breaker.is_open() && breaker.wait(now).is_zero());
        breaker.handle_success();
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_success_forgets_all_failures() {
        let mut breaker = breaker();
        let now = Timestamp::from_millis(1_000);
        for _ in 0..20 {
            breaker.handle_failure(now, u32::MAX);
        }
        assert!(breaker.wait(now) > FIRST);
        breaker.handle_success();
        breaker.handle_failure(now, u32::MAX);
        assert!(breaker.wait(now) <= FIRST);
    }

    #[test]
    fn a_clock_that_is_put_back_makes_no_wait_longer() {
        let mut breaker = breaker();
        let wrong = Timestamp::from_millis(86_400_000);
        breaker.handle_failure(wrong, u32::MAX);
        for now in [wrong, Timestamp::from_millis(1_000)] {
            let wait = breaker.wait(now);
            assert!(!wait.is_zero() && wait <= FIRST, "{wait:?}");
        }
    }

    proptest! {
        /// However it fails and whenever: the next attempt is never further away than the cap.
        #[test]
        fn the_wait_has_its_bound(draws in prop::collection::vec((any::<u32>(), 0_u64..60_000), 1..64)) {
            let mut breaker = breaker();
            let mut now = Timestamp::from_millis(1_000);
            for (draw, step) in draws {
                breaker.handle_failure(now, draw);
                prop_assert!(breaker.wait(now) <= CAP);
                now = now.plus(Duration::from_millis(step));
            }
        }
    }
}
