//! Waking the readers of channels, round by round.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::Feed;

/// How long readers of channels rest after a round of waking, for each delivery that was in it, and at most: about as long as carrying them out
/// takes. What is posted meanwhile goes out in the next round. So a reader of a channel that takes all the server has gets several posts in
/// one packet, and one of any other waits for nothing.
const REST: Duration = Duration::from_micros(12);
pub(super) const LONGEST_REST: Duration = Duration::from_millis(50);
/// How many commits may gather for one round.
const COMMITS: usize = 64;
/// A rest shorter than what a timer can tell is none.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// Readers of channels who are to be woken. Each is among them once at most, until it has taken what it is woken for.
#[derive(Debug)]
pub(super) struct Asleep(mpsc::Sender<Batch>);

/// Wakes readers of channels, in rounds.
#[derive(Debug)]
pub struct Waker(mpsc::Receiver<Batch>);

/// Readers who are to be woken for what one commit has put in.
#[derive(Debug)]
struct Batch {
    readers: Vec<Arc<Feed>>,
    deliveries: usize,
}

/// Both ends.
pub(super) fn rounds() -> (Asleep, Waker) {
    let (sender, receiver) = mpsc::channel(COMMITS);
    (Asleep(sender), Waker(receiver))
}

impl Asleep {
    /// Has `readers` woken in the next round, which carries out so many deliveries.
    pub(super) fn add(&self, readers: Vec<Arc<Feed>>, deliveries: usize) {
        if let Err(TrySendError::Full(batch)) = self.0.try_send(Batch { readers, deliveries }) {
            // No round has come for a while: they wait no longer. (A waker that is gone has gone with the server.)
            for reader in batch.readers {
                reader.wake();
            }
        }
    }
}

impl Waker {
    /// Wakes who is asleep, round by round, until the feeds are gone.
    pub async fn run(mut self) {
        while let Some(mut round) = self.0.recv().await {
            while let Ok(more) = self.0.try_recv() {
                round.readers.extend(more.readers);
                round.deliveries = round.deliveries.saturating_add(more.deliveries);
            }
            for reader in &round.readers {
                reader.wake();
            }
            let count = u32::try_from(round.deliveries).unwrap_or(u32::MAX);
            let rest = REST.saturating_mul(count).min(LONGEST_REST);
            drop(round);
            if rest >= SHORTEST_REST {
                tokio::time::sleep(rest).await;
            }
        }
    }
}
