//! Readers of a channel, and what they count.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use rookery_protocol::{
    chain::Item,
    codec,
    id::ItemId,
    io::client::{FollowReceiver, FollowSender},
    session::FollowDown,
};
use tokio::sync::watch;

/// What the readers of one run count.
#[derive(Default)]
pub(super) struct Tally {
    /// Posts that reached readers who never stop.
    pub(super) delivered: AtomicU64,
    /// Posts that reached those who do.
    pub(super) delivered_late: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) reordered: AtomicU64,
    /// Whether a stopper has come upon its pause.
    pub(super) paused: AtomicUsize,
    /// What the timed readers waited, in microseconds.
    pub(super) waited: Mutex<Vec<u64>>,
}

/// One member's follow stream.
pub(super) struct Reader {
    pub(super) down: FollowReceiver,
    /// Kept: a stream whose sending half is dropped is finished.
    pub(super) _up: FollowSender,
    pub(super) tally: Arc<Tally>,
    pub(super) through: Arc<watch::Sender<u64>>,
    pub(super) stop: Option<watch::Receiver<bool>>,
    pub(super) is_timed: bool,
    /// How many entries stand before the first post.
    pub(super) announced: u64,
    /// How many readers never stop.
    pub(super) steady: u64,
    pub(super) begin: Instant,
}

impl Reader {
    pub(super) async fn read(mut self) -> anyhow::Result<()> {
        let mut next = 0_u64;
        loop {
            self.wait_while_stopped().await?;
            let FollowDown::Entry(entry) = self.down.recv().await? else { continue };
            if entry.seq != next {
                let wrong =
                    if entry.seq < next { &self.tally.duplicates } else { &self.tally.reordered };
                wrong.fetch_add(1, Ordering::SeqCst);
            }
            next = entry.seq.saturating_add(1);
            if entry.seq < self.announced {
                continue;
            }
            if self.is_timed && self.stop.is_none() {
                let item: Item = codec::decode(entry.signed.payload.as_slice())?;
                self.note(item.item_id);
            }
            self.count();
        }
    }

    async fn wait_while_stopped(&mut self) -> anyhow::Result<()> {
        let Some(stop) = &mut self.stop else { return Ok(()) };
        if *stop.borrow_and_update() {
            self.tally.paused.fetch_add(1, Ordering::SeqCst);
            stop.wait_for(|stop| !stop).await?;
            self.tally.paused.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn note(&self, message: ItemId) {
        let mut sent = [0; 8];
        sent.copy_from_slice(&message.as_bytes()[..8]);
        let sent = u64::from_be_bytes(sent);
        let here = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let waited = here.saturating_sub(sent) / 1_000;
        self.tally.waited.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
    }

    fn count(&self) {
        if self.stop.is_some() {
            self.tally.delivered_late.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let delivered = self.tally.delivered.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        if delivered.is_multiple_of(self.steady) {
            self.through.send_modify(|through| *through = through.saturating_add(1));
        }
    }
}
