//! When a peer is dialled again that was not reached.

use std::time::Duration;

use rookery_protocol::{delivery::Breaker, time::Timestamp};

use crate::service::peer::Peer;

/// The bounds of waits between attempts. An attempt costs a few packets, and may take ten seconds to fail: so what waits goes out within half a
/// minute after a partition has healed, however long that was.
const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(15);
/// The bound for those that nobody here has named or has anything to do with. They dial as well when they are back.
const FAR_CAP: Duration = Duration::from_mins(30);

/// What a peer is to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distance {
    /// Somebody here wants to reach it.
    Near,
    /// Nobody here has named it or has anything to do with it.
    Far,
}

/// How long to wait for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// As long as somebody here wants to reach it.
    near: Duration,
    /// As long as nobody does.
    far: Option<Duration>,
}

/// The waits for one peer.
#[derive(Debug)]
pub(super) struct Pauses {
    near: Breaker,
    far: Breaker,
    distance: Distance,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        let (near, far) = (Breaker::new(FIRST, CAP), Breaker::new(FIRST, FAR_CAP));
        Self { near, far, distance: Distance::Near }
    }

    pub(super) fn wait(&self, now: Timestamp) -> Wait {
        let far = (self.distance == Distance::Far).then(|| self.far.wait(now));
        Wait { near: self.near.wait(now), far }
    }

    /// An attempt failed. `draw` is uniform over all of `u32`.
    pub(super) fn handle_failure(&mut self, distance: Distance, now: Timestamp, draw: u32) {
        self.near.handle_failure(now, draw);
        self.far.handle_failure(now, draw);
        self.distance = distance;
    }

    pub(super) fn handle_success(&mut self) {
        *self = Self::new();
    }

    /// The next attempt may be made at once.
    pub(super) fn handle_sign_of_life(&mut self) {
        self.near.handle_sign_of_life();
        self.far.handle_sign_of_life();
    }
}

impl Wait {
    /// Waits for as long. Whoever has something for the peer makes it near.
    pub(super) async fn over(self, peer: &Peer) {
        let Some(far) = self.far else { return tokio::time::sleep(self.near).await };
        tokio::select! {
            () = tokio::time::sleep(far) => {}
            () = peer.wake.notified() => tokio::time::sleep(self.near).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_nothing_to_anybody_is_dialled_ever_more_rarely_and_others_are_not() {
        let now = Timestamp::from_millis(1_000);
        let mut pauses = Pauses::new();
        for _ in 0..20 {
            pauses.handle_failure(Distance::Far, now, u32::MAX);
        }
        let wait = pauses.wait(now);
        assert!(wait.near <= CAP && wait.far.is_some_and(|far| far > FAR_CAP / 2), "{wait:?}");
        // Somebody here has begun something with it.
        pauses.handle_failure(Distance::Near, now, u32::MAX);
        let wait = pauses.wait(now);
        assert!(wait.near <= CAP && wait.far.is_none(), "{wait:?}");
        pauses.handle_success();
        pauses.handle_failure(Distance::Far, now, u32::MAX);
        assert!(pauses.wait(now).far.is_some_and(|far| far <= FIRST));
    }
}
