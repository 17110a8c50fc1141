//! Posting into a channel, as fast as it goes or at a pace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rookery_protocol::id::{ItemId, SenderKeyId};
use rookery_tests::bare::{Bare, community::Commons, random};
use tokio::sync::watch;

use super::{PATIENCE, SEALED_BYTES};

/// A place from which posts come one after the other: a person with a Sender Key of its own.
pub(super) struct Lane {
    pub(super) author: Bare,
    pub(super) sender_key: SenderKeyId,
    pub(super) index: AtomicU32,
}

/// One lane at work.
pub(super) struct Posting {
    pub(super) commons: Arc<Commons>,
    pub(super) lane: Arc<Lane>,
    pub(super) posted: Arc<AtomicU64>,
    pub(super) through: watch::Receiver<u64>,
    pub(super) announced: u64,
    pub(super) begin: Instant,
}

impl Posting {
    /// Posts, waits until it is stored and as many deliveries were made as all posts up to it ask for, and posts again.
    pub(super) async fn run_at_full_rate(
        mut self,
        begin: Instant,
        time: Duration,
    ) -> anyhow::Result<()> {
        while begin.elapsed() < time {
            let place = self.post().await?;
            let count = place.saturating_sub(self.announced).saturating_add(1);
            let arrived = self.through.wait_for(|through| *through >= count);
            tokio::time::timeout(PATIENCE, arrived).await??;
        }
        Ok(())
    }

    /// Posts at fixed times, however long one takes.
    pub(super) async fn at_a_pace(
        self,
        begin: Instant,
        time: Duration,
        first: Duration,
        every: Duration,
    ) -> anyhow::Result<()> {
        let mut due = first;
        while due < time {
            tokio::time::sleep_until(begin.checked_add(due).unwrap_or(begin).into()).await;
            self.post().await?;
            due = due.saturating_add(every);
        }
        Ok(())
    }

    /// Posts once; says where it stands.
    async fn post(&self) -> anyhow::Result<u64> {
        let Lane { author, sender_key, index } = &*self.lane;
        let index = index.fetch_add(1, Ordering::SeqCst);
        let message = id_of(self.begin.elapsed())?;
        let key = (*sender_key, index);
        let item = self.commons.message(author, key, message, SEALED_BYTES)?;
        let posted = self.commons.post(author, vec![item]).await?;
        self.posted.fetch_add(1, Ordering::SeqCst);
        posted.places.first().copied().ok_or_else(|| anyhow::anyhow!("no place"))
    }
}

/// An id that says when it was sent.
fn id_of(sent: Duration) -> anyhow::Result<ItemId> {
    let mut bytes: [u8; 16] = random()?;
    let nanoseconds = u64::try_from(sent.as_nanos()).unwrap_or(u64::MAX);
    bytes[..8].copy_from_slice(&nanoseconds.to_be_bytes());
    Ok(ItemId::from_bytes(bytes))
}
