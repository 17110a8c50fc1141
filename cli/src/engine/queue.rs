//! How a durable queue goes out: the first of each line is tried, several lines at once, and each line in its order.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use rookery_protocol::{io::client::Client, time::Timestamp};
use tokio::{sync::Notify, task::JoinSet};

use super::{Engine, Link};
use crate::store::StoreError;

/// The longest sleep of a queue that nobody wakes.
const ROUND: Duration = Duration::from_hours(1);
/// The wait after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

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

impl Engine {
    /// Tries what waits, for as long as the engine runs.
    pub(super) async fn run_queue<Q: Queued>(self: Arc<Self>) {
        let mut in_flight: JoinSet<Q::Line> = JoinSet::new();
        let mut busy: BTreeSet<Q::Line> = BTreeSet::new();
        loop {
            let mut wake_at: Option<Timestamp> = None;
            let client = match &*self.link.borrow() {
                Link::Online(online) => Some(online.client.clone()),
                _ => None,
            };
            if let Some(client) = client
                && !self.drain.is_cancelled()
            {
                match Q::fronts(&self).await {
                    Ok(fronts) => {
                        for front in fronts {
                            let line = front.line();
                            if busy.contains(&line) {
                                continue;
                            }
                            let at = front.not_before();
                            if at > self.now() {
                                wake_at = Some(wake_at.map_or(at, |known| known.min(at)));
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
                        wake_at = Some(self.now().plus(RETRY));
                    }
                }
            }
            let sleep =
                wake_at.map_or(ROUND, |at| at.since(self.now()).max(Duration::from_millis(1)));
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
