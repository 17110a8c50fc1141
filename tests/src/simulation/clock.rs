//! Time as everybody in a simulation has it.

use std::sync::atomic::{AtomicI64, Ordering};

use rookery_protocol::time::{Clock, Timestamp};
use tokio::time::{Duration, Instant};

/// A clock that goes with the runtime's own time, and may be wrong.
#[derive(Debug)]
pub(super) struct VirtualClock {
    origin: Timestamp,
    begun: Instant,
    wrong_ms: AtomicI64,
}

impl VirtualClock {
    /// A clock that shows `origin` now.
    pub(super) fn at(origin: Timestamp) -> Self {
        Self { origin, begun: Instant::now(), wrong_ms: AtomicI64::new(0) }
    }

    /// From now on it is wrong by so much; not any more when that is nothing.
    pub(super) fn jump(&self, wrong_ms: i64) {
        self.wrong_ms.store(wrong_ms, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let right = self.origin.plus(self.begun.elapsed());
        let wrong = self.wrong_ms.load(Ordering::Relaxed);
        let span = Duration::from_millis(wrong.unsigned_abs());
        if wrong < 0 {
            let span = u64::try_from(span.as_millis()).unwrap_or(0);
            return Timestamp::from_millis(right.as_millis().saturating_sub(span));
        }
        right.plus(span)
    }
}
