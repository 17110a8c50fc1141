//! Forgetting what was not to stay.
//!
//! How long a message stays is sealed into it by its author, and every device keeps to it by itself: a direct message's time runs from its
//! reading, and for its author from its sending, one of a channel from its posting. Then its text is gone from the store, and the device that
//! wrote it has a channel's hub drop the ciphertext. Nobody is made to forget by it who does not want to.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{id::BlobId, time::Timestamp};

use super::Engine;
use crate::{
    e2ee::content::Content,
    store::{EXPIRED, Erased, Expiring, Placed, PlacedPost, Post, StoreError, Told, Unit},
};

/// Messages that are forgotten in one unit of the store.
const PAGE: u32 = 256;
/// How long changes are gathered before there is a look at them.
const GATHER: Duration = Duration::from_millis(500);
/// The wait after something failed.
const RETRY: Duration = Duration::from_mins(1);
/// The longest wait: who sleeps by another clock than the wall's looks at that one now and then.
const LONGEST: Duration = Duration::from_hours(1);
/// How far its author's clock may be ahead for a deletion to count as an expiry.
const SLACK: Duration = Duration::from_mins(2);

impl Engine {
    /// Forgets messages as their times come, with a connection or without one.
    pub(super) async fn run_expiry(self: Arc<Self>) {
        let mut changes = self.timeline.subscribe();
        loop {
            changes.mark_unchanged();
            let wait = match self.forget_due().await {
                Ok(next) => next.map(|next| next.since(self.now()).min(LONGEST)),
                Err(error) => {
                    tracing::warn!(%error, "what has expired has to wait");
                    Some(RETRY)
                }
            };
            let over = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.drain.cancelled() => return,
                () = over => {}
                came = changes.changed() => {
                    if came.is_err() {
                        return;
                    }
                    tokio::time::sleep(GATHER).await;
                }
            }
        }
    }

    /// Forgets all whose time is over; says when the next one's is.
    async fn forget_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut has_changed = false;
        loop {
            let now = self.now();
            let next = self.store.read().await?.next_due().await?;
            if next.is_none_or(|next| next > now) {
                if has_changed {
                    self.timeline_changed();
                    self.transfers_wake.notify_one();
                    self.postings_wake.notify_one();
                }
                return Ok(next);
            }
            let mut unit = self.store.write().await?;
            for Expiring { position, is_timed, told } in unit.due(now, PAGE).await? {
                match told {
                    Some(told) if !is_timed => match due(&told, now) {
                        Some(due) => unit.set_due(position, due).await?,
                        None => unit.settle_expiry(position).await?,
                    },
                    Some(told) => {
                        self.forget(&mut unit, told).await?;
                        unit.settle_expiry(position).await?;
                        has_changed = true;
                    }
                    None => unit.settle_expiry(position).await?,
                }
            }
            unit.commit().await?;
        }
    }

    async fn forget(&self, unit: &mut Unit, told: Told) -> Result<(), StoreError> {
        match told {
            Told::Direct(Placed { message, .. }) => {
                if message.device == self.device
                    && let Some(file) = &message.file
                {
                    self.owe_file_drop(unit, file.file).await?;
                }
                unit.expire_message(message).await
            }
            Told::Channel(PlacedPost { post, .. }) => self.forget_post(unit, post).await,
        }
    }

    /// Forgets a message of a channel with its edits, and has the hub do so if it was written here.
    async fn forget_post(&self, unit: &mut Unit, post: Post) -> Result<(), StoreError> {
        let about = unit.about(post.chain, post.reference()).await?;
        let (chain, author) = (post.chain, post.author);
        let is_written_here = post.device == self.device;
        let edits = about
            .into_iter()
            .map(|placed| placed.post)
            .filter(|other| other.author == author && matches!(other.said(), Content::Edit(_)));
        let gone: Vec<Post> = std::iter::once(post).chain(edits).collect();
        if is_written_here && let Some(file) = gone.first().and_then(file_of) {
            self.owe_file_drop(unit, file).await?;
        }
        if is_written_here && let Some(row) = unit.channel(chain).await? {
            let places: Vec<u64> = gone.iter().filter_map(|post| post.seq).collect();
            self.owe_redaction(unit, row.community, row.channel, places).await?;
        }
        for post in gone {
            let erased = Some(Erased { by: post.author, reason: Some(EXPIRED.to_owned()) });
            unit.update_post(&Post { content: vec![], erased, ..post }).await?;
        }
        Ok(())
    }
}

/// The file that goes with something said.
pub(super) fn file_of(post: &Post) -> Option<BlobId> {
    match post.said() {
        Content::Text(text) => text.file.map(|file| file.file),
        _ => None,
    }
}

/// When a message is to be forgotten whose time runs from `now` on, or from its posting.
fn due(told: &Told, now: Timestamp) -> Option<Timestamp> {
    match told {
        Told::Direct(placed) => Some(now.plus(placed.message.stays?.time())),
        Told::Channel(placed) => post_due(&placed.post, now),
    }
}

/// The same of a channel's message: its author's clock is believed as far as it is not ahead.
fn post_due(post: &Post, now: Timestamp) -> Option<Timestamp> {
    let Content::Text(text) = post.said() else { return None };
    Some(post.at.min(now).plus(text.stays?.time()))
}

/// Why a message is gone that its author has deleted without a word: its time was over.
pub(super) fn why_deleted(post: &Post, now: Timestamp) -> Option<String> {
    let known = post.erased.as_ref().and_then(|erased| erased.reason.clone());
    let is_over = post_due(post, now).is_some_and(|due| due <= now.plus(SLACK));
    known.or_else(|| is_over.then(|| EXPIRED.to_owned()))
}

#[cfg(test)]
mod tests {
    use rookery_protocol::id::{ChainId, DeviceId, ItemId, UserId};

    use super::*;
    use crate::{
        e2ee::{content::Text, payload::Stay},
        store::{Message, MessageState, Place},
    };

    const HOUR: Duration = Duration::from_hours(1);

    fn post(at: u64, stays: Option<Stay>) -> Post {
        let content = Content::Text(Text {
            text: "words".to_owned(),
            reply_to: None,
            thread: None,
            mentions: vec![],
            mentions_all: false,
            stays,
            file: None,
        });
        Post {
            chain: ChainId::from_bytes([1; 32]),
            item: ItemId::from_bytes([2; 16]),
            author: UserId::from_bytes([3; 32]),
            device: DeviceId::from_bytes([4; 32]),
            at: Timestamp::from_millis(at),
            seq: Some(7),
            kind: content.kind(),
            content: content.encode(),
            state: MessageState::Received,
            reason: None,
            erased: None,
            hash: None,
            doubt: None,
        }
    }

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_millis(milliseconds)
    }

    #[test]
    fn a_channel_s_message_stays_from_its_posting_and_no_clock_ahead_makes_that_longer() {
        let told = |post| Told::Channel(PlacedPost { position: 1, place: Place::At(7), post });
        let hour = Stay::of(HOUR);
        assert_eq!(due(&told(post(1_000, hour)), at(5_000)), Some(at(3_601_000)));
        assert_eq!(due(&told(post(u64::MAX >> 12, hour)), at(5_000)), Some(at(3_605_000)));
        assert_eq!(due(&told(post(1_000, None)), at(5_000)), None);
    }

    #[test]
    fn a_direct_message_stays_from_now_on() {
        let message = Message {
            conversation: UserId::from_bytes([1; 32]),
            item: ItemId::from_bytes([2; 16]),
            author: UserId::from_bytes([1; 32]),
            device: DeviceId::from_bytes([4; 32]),
            at: at(1_000),
            text: "words".to_owned(),
            state: MessageState::Read,
            reason: None,
            waits: None,
            stays: Stay::of(HOUR),
            file: None,
        };
        let told = Told::Direct(Placed { position: 1, message });
        assert_eq!(due(&told, at(9_000)), Some(at(3_609_000)));
    }

    #[test]
    fn an_author_s_deletion_is_an_expiry_only_when_the_time_was_over() {
        let kept = post(1_000, Stay::of(HOUR));
        assert_eq!(why_deleted(&kept, at(5_000)), None);
        assert_eq!(why_deleted(&kept, at(3_601_000)).as_deref(), Some(EXPIRED));
        assert_eq!(why_deleted(&post(1_000, None), at(3_601_000)), None);
        let erased = Some(Erased { by: kept.author, reason: Some(EXPIRED.to_owned()) });
        let gone = Post { content: vec![], erased, ..kept };
        assert_eq!(why_deleted(&gone, at(5_000)).as_deref(), Some(EXPIRED));
    }
}
