//! How a durable queue goes out: the first of each line is tried, several lines at once, and each line in its order.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use rookery_protocol::{io::client::Client, time::Timestamp};
use tokio::{sync::Notify, task::JoinSet, time::Instant};

use super::{Engine, Link};
use crate::store::StoreError;

/// The longest sleep of a queue that nobody wakes.
const ROUND: Duration = Duration::from_hours(1);
/// The wait after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);
/// No wait that is found in the store is longer: a clock that was wrong may have set it.
const LONGEST: Duration = Duration::from_mins(5);

/// Something that waits in a line of a durable queue.
pub(super) trait Queued: Send + Sized + 'static {
    /// Names a line, which is in order.
    type Line: Copy + Ord + Send + 'static;
    /// What the queue is called where its failures are told.
    const QUEUE: &'static str;

    /// The line that it waits in.
    fn line(&self) -> Self::Line;

    /// When it may be tried at the earliest.
    fn not_before(&self) -> Timestamp;

    /// The first of some lines.
    fn fronts(engine: &Engine) -> impl Future<Output = Result<Vec<Self>, StoreError>> + Send;

    /// Wakes whoever runs the queue.
    fn wake(engine: &Engine) -> &Notify;

    /// Tries it once, and notes what came of it.
    fn attempt(self, engine: &Engine, client: &Client) -> impl Future<Output = ()> + Send;
}

/// How long lines wait, measured by a clock that nobody puts back: the time of day says when a wait was set, and nothing after that.
#[derive(Debug)]
struct Waits<L>(BTreeMap<L, (Timestamp, Instant)>);

impl<L: Copy + Ord> Waits<L> {
    /// How long `line` still waits, whose first is not to be tried before `at`, where it is `now` and `passed`; nothing once it may be.
    fn left(&mut self, line: L, at: Timestamp, now: Timestamp, passed: Instant) -> Duration {
        match self.0.get(&line) {
            Some((known, until)) if *known == at => until.saturating_duration_since(passed),
            _ => {
                let wait = at.since(now).min(LONGEST);
                self.0.insert(line, (at, passed.checked_add(wait).unwrap_or(passed)));
                wait
            }
        }
    }

    /// Forgets all other lines.
    fn keep(&mut self, lines: &BTreeSet<L>) {
        self.0.retain(|line, _| lines.contains(line));
    }
}

impl Engine {
    /// Tries what waits, for as long as the engine runs.
    pub(super) async fn run_queue<Q: Queued>(self: Arc<Self>) {
        let mut in_flight: JoinSet<Q::Line> = JoinSet::new();
        let mut busy: BTreeSet<Q::Line> = BTreeSet::new();
        let mut waits = Waits(BTreeMap::new());
        loop {
            let mut sleep = ROUND;
            let client = match &*self.link.borrow() {
                Link::Online(online) => Some(online.client.clone()),
                _ => None,
            };
            if let Some(client) = client
                && !self.drain.is_cancelled()
            {
                match Q::fronts(&self).await {
                    Ok(fronts) => {
                        waits.keep(&fronts.iter().map(Queued::line).collect());
                        for front in fronts {
                            let line = front.line();
                            if busy.contains(&line) {
                                continue;
                            }
                            let at = front.not_before();
                            let left = waits.left(line, at, self.now(), Instant::now());
                            if !left.is_zero() {
                                sleep = sleep.min(left);
                                continue;
                            }
                            busy.insert(line);
                            let (engine, client) = (Arc::clone(&self), client.clone());
                            in_flight.spawn(async move {
                                front.attempt(&engine, &client).await;
                                line
                            });
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, queue = Q::QUEUE, "a queue cannot be read");
                        sleep = RETRY;
                    }
                }
            }
            let sleep = sleep.max(Duration::from_millis(1));
            tokio::select! {
                () = self.drain.cancelled(), if in_flight.is_empty() => return,
                Some(done) = in_flight.join_next() => match done {
                    Ok(line) => { busy.remove(&line); }
                    // A panic was reported where it happened; its line goes on with the next start.
                    Err(error) => tracing::error!(%error, queue = Q::QUEUE, "an attempt failed"),
                },
                () = Q::wake(&self).notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_as_long_as_it_was_set_whatever_becomes_of_the_clock() {
        let day = Duration::from_hours(24);
        let (now, begun) = (Timestamp::from_millis(1_000), Instant::now());
        let wrong = now.plus(day);
        let mut waits = Waits(BTreeMap::new());
        let second = Duration::from_secs(1);
        let at = wrong.plus(second);
        assert_eq!(waits.left(1, at, wrong, begun), second);
        // The clock is put back.
        assert_eq!(waits.left(1, at, now, begun + second / 2), second / 2);
        assert!(waits.left(1, at, now, begun + second).is_zero());
        // Another wait of the same line is another one.
        assert_eq!(waits.left(1, now.plus(second * 2), now, begun + second), second * 2);
    }

    #[test]
    fn a_wait_that_another_process_has_set_is_not_believed_beyond_a_bound() {
        let (now, begun) = (Timestamp::from_millis(1_000), Instant::now());
        let mut waits = Waits(BTreeMap::new());
        let at = now.plus(Duration::from_hours(24));
        assert_eq!(waits.left(1, at, now, begun), LONGEST);
        assert!(waits.left(1, at, now, begun + LONGEST).is_zero());
        waits.keep(&BTreeSet::from([2]));
        assert_eq!(waits.left(1, at, now, begun + LONGEST), LONGEST);
    }
}
