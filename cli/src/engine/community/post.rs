//! Saying something in a channel: written down at once, sealed for the epoch in force, and kept in the queue until the hub has placed it.
//!
//! The same id never stands twice: the sealed bytes are stored before they leave, and go again until an answer comes. When the epoch has ended
//! meanwhile, what was not placed is sealed again under the same id; when an epoch has to end, whoever wants to say something ends it first.

mod seal;

use std::time::Duration;

use rookery_protocol::{
    delivery::Backoff,
    id::{ChainId, ChannelId, CommunityId, ItemId},
    io::client::{CallError, Client},
    request::{
        Refusal,
        channel::{PostChannel, PostError},
    },
    time::Timestamp,
};
use tokio::sync::Notify;

use super::{
    super::{Engine, draw, file::kept_size, new_item, queue::Queued},
    abroad::hub_away,
    fork::hub_forked,
    log::Reader,
};
use crate::{
    e2ee::content::{Attachment, Content, Text},
    error::{CommandError, Kind as ErrorKind},
    store::{MessageState, Post, Posting, StoreError, Transfer, TransferTask, Unit},
};

/// Channels that are posted to at once.
const AT_ONCE: u32 = 8;
/// Messages of one channel that go in one request.
const BATCH: u32 = 16;
/// How often one attempt follows a log that goes on meanwhile.
const MAX_STALE: usize = 6;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// How long it is waited at most before a hub that is away is asked for again.
const AWAY: Duration = Duration::from_secs(4);

/// Why nothing was placed.
#[derive(Debug)]
enum Unplaced {
    /// Try again, not before the time if one is given.
    Later(String, Option<Duration>),
    /// The hub will not take it.
    Failed(String),
    /// One of several was refused: try them one by one.
    Apart,
}

impl From<StoreError> for Unplaced {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string(), None)
    }
}

impl From<CommandError> for Unplaced {
    fn from(error: CommandError) -> Self {
        match error.kind {
            ErrorKind::NotPermitted | ErrorKind::Trust | ErrorKind::NotFound => {
                Self::Failed(error.message)
            }
            _ => Self::Later(error.message, None),
        }
    }
}

/// Between a half and one: not all come at once when a hub is back.
fn spread() -> f64 {
    f64::from(draw() >> 16).mul_add(1.0 / 131_072.0, 0.5)
}

impl Queued for Posting {
    type Line = ChainId;
    const QUEUE: &'static str = "posts";

    fn line(&self) -> ChainId {
        self.chain()
    }

    fn not_before(&self) -> Timestamp {
        self.not_before
    }

    async fn fronts(engine: &Engine) -> Result<Vec<Self>, StoreError> {
        engine.store.read().await?.posting_fronts(AT_ONCE).await
    }

    fn wake(engine: &Engine) -> &Notify {
        &engine.postings_wake
    }

    async fn attempt(self, engine: &Engine, client: &Client) {
        let mut outcome = Box::pin(engine.place_batch(client, &self, BATCH)).await;
        if matches!(outcome, Err(Unplaced::Apart)) {
            outcome = Box::pin(engine.place_batch(client, &self, 1)).await;
        }
        let written = match outcome {
            Ok(()) => Ok(()),
            Err(Unplaced::Apart) => {
                let why = "one of several was refused".to_owned();
                engine.postpone_posting(client, &self, why, None).await
            }
            Err(Unplaced::Failed(why)) => engine.give_up_posting(&self, &why).await,
            Err(Unplaced::Later(why, wait)) => {
                engine.postpone_posting(client, &self, why, wait).await
            }
        };
        if let Err(error) = written {
            tracing::error!(%error, "the queue of posts cannot be written");
        }
        engine.timeline_changed();
    }
}

impl Engine {
    /// Has the hub place the front of a channel's queue.
    async fn place_batch(
        &self,
        client: &Client,
        front: &Posting,
        count: u32,
    ) -> Result<(), Unplaced> {
        let (community, channel, chain) = (front.community, front.channel, front.chain());
        for _ in 0..MAX_STALE {
            let batch = self.store.read().await?.postings(chain, count).await?;
            if batch.is_empty() {
                return Ok(());
            }
            let (batch, items) = Box::pin(self.seal_batch(community, channel, batch)).await?;
            let request = PostChannel { community, channel, items };
            let answer = client.call_watched(&request).await;
            let is_away = matches!(answer, Err(CallError::Request(PostError::HubAway { .. })));
            if matches!(answer, Ok(_) | Err(CallError::Request(_))) && !is_away {
                self.hubs_away.forget(community);
            }
            match answer {
                Ok(_) => return Ok(self.note_posted(&batch).await?),
                Err(CallError::Request(PostError::Stale { .. })) => {
                    self.unseal(&batch).await?;
                    self.fetch_log(client, community, &Reader::Member)
                        .await
                        .map_err(CommandError::from)?;
                    self.owe_community(community);
                }
                Err(CallError::Request(PostError::UsedKey)) => {
                    self.unseal(&batch).await?;
                    let mut unit = self.store.write().await?;
                    unit.drop_own_sender_key(chain).await?;
                    unit.commit().await?;
                }
                Err(CallError::Request(PostError::SlowMode { retry_after_ms })) => {
                    if batch.len() > 1 {
                        return Err(Unplaced::Apart);
                    }
                    let wait = Duration::from_millis(retry_after_ms.clamp(10, 86_400_000));
                    return Err(Unplaced::Later(
                        "the channel is in slow mode".to_owned(),
                        Some(wait),
                    ));
                }
                Err(CallError::Request(PostError::HubForked { hub })) => {
                    self.take_in_forks(client, community).await?;
                    return Err(Unplaced::Failed(hub_forked(&hub).message));
                }
                Err(CallError::Request(PostError::HubAway { hub, since })) => {
                    let trouble = hub_away(&hub, since);
                    let why = trouble.message.clone();
                    self.hubs_away.note(community, trouble);
                    // One's own home is asked again, which answers at once and knows when the hub is back.
                    return Err(Unplaced::Later(why, Some(AWAY.mul_f64(spread()))));
                }
                Err(CallError::Request(_)) if batch.len() > 1 => return Err(Unplaced::Apart),
                Err(CallError::Request(error)) => return Err(Unplaced::Failed(error.to_string())),
                Err(CallError::Refused(Refusal::Throttled { retry_after_ms })) => {
                    let wait = Duration::from_millis(retry_after_ms.clamp(10, 3_600_000));
                    return Err(Unplaced::Later(
                        "the server takes it in a moment".to_owned(),
                        Some(wait),
                    ));
                }
                Err(CallError::Refused(refusal @ (Refusal::TooLarge | Refusal::NotPermitted))) => {
                    return Err(Unplaced::Failed(refusal.to_string()));
                }
                Err(error) => return Err(Unplaced::Later(error.to_string(), None)),
            }
        }
        Err(Unplaced::Later("the community keeps changing".to_owned(), None))
    }

    async fn note_posted(&self, batch: &[Posting]) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        for posting in batch {
            let chain = posting.chain();
            unit.dequeue_posting(self.user, chain, posting.item).await?;
            if let Some(last) = posting.sealed.as_ref().and_then(|sealed| sealed.last())
                && posting.erases.is_empty()
            {
                unit.put_last_hash(chain, self.user, self.device, last.signed.digest()).await?;
            }
            if let Some(placed) = unit.post(chain, self.user, posting.item).await?
                && placed.post.state == MessageState::Queued
            {
                let post = Post { state: MessageState::Posted, ..placed.post };
                unit.update_post(&post).await?;
            }
        }
        unit.commit().await
    }

    /// Takes back the seals of what was not placed.
    async fn unseal(&self, batch: &[Posting]) -> Result<(), StoreError> {
        let mut unit = self.store.write().await?;
        for posting in batch {
            unit.update_posting(self.user, &Posting { sealed: None, ..posting.clone() }).await?;
        }
        unit.commit().await
    }

    async fn give_up_posting(&self, posting: &Posting, why: &str) -> Result<(), StoreError> {
        let chain = posting.chain();
        let mut unit = self.store.write().await?;
        unit.dequeue_posting(self.user, chain, posting.item).await?;
        if let Some(placed) = unit.post(chain, self.user, posting.item).await? {
            let post =
                Post { state: MessageState::Failed, reason: Some(why.to_owned()), ..placed.post };
            unit.update_post(&post).await?;
        }
        unit.commit().await
    }

    async fn postpone_posting(
        &self,
        client: &Client,
        front: &Posting,
        why: String,
        wait: Option<Duration>,
    ) -> Result<(), StoreError> {
        if client.connection().lost().is_some() {
            return Ok(());
        }
        tracing::debug!(item = %front.item, why, "a post has to wait");
        let mut unit = self.store.write().await?;
        let fronts = unit.postings(front.chain(), 1).await?;
        let Some(current) = fronts.into_iter().find(|posting| posting.item == front.item) else {
            return Ok(());
        };
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        for _ in 0..current.attempts.min(12) {
            backoff.next_delay(0);
        }
        let wait = wait.unwrap_or_else(|| backoff.next_delay(draw()));
        let next = Posting {
            not_before: self.now().plus(wait),
            attempts: current.attempts.saturating_add(1),
            trouble: Some(why),
            ..current
        };
        unit.update_posting(self.user, &next).await?;
        unit.commit().await
    }

    /// Writes something down for a channel, shown at once and on its way.
    pub(super) async fn write_post(
        &self,
        community: CommunityId,
        channel: ChannelId,
        item: ItemId,
        content: &Content,
    ) -> Result<(), CommandError> {
        self.check_stays(community).await?;
        let chain = ChainId::of_channel(community, channel);
        let mut file = match content {
            Content::Text(text) => text.file.clone(),
            _ => None,
        };
        let mut unit = self.store.write().await?;
        let now = self.now();
        match unit.post(chain, self.user, item).await? {
            Some(known) if known.post.state == MessageState::Failed => {
                let again = Post { state: MessageState::Queued, reason: None, ..known.post };
                match (&file, again.said()) {
                    (None, Content::Text(known)) if known.file.is_some() => file = known.file,
                    _ => {}
                }
                let content = with_file(content, file.clone()).encode();
                unit.update_post(&Post { content, ..again }).await?;
            }
            Some(_) => {
                if let Some(file) = file {
                    self.discard(file.file);
                }
                return Ok(());
            }
            None => {
                let post = Post {
                    chain,
                    item,
                    author: self.user,
                    device: self.device,
                    at: now,
                    seq: None,
                    kind: content.kind(),
                    content: content.encode(),
                    state: MessageState::Queued,
                    reason: None,
                    erased: None,
                    hash: None,
                    doubt: None,
                };
                unit.add_post(&post).await?;
            }
        }
        let content = with_file(content, file.clone());
        let posting = Posting::of(community, channel, item, &content, now);
        unit.enqueue_posting(self.user, &posting).await?;
        if let Some(file) = &file {
            let task = TransferTask::ForChannel { chain, item };
            unit.put_transfer(self.user, &Transfer::new(file.file, task, kept_size(file))).await?;
        }
        unit.commit().await?;
        self.timeline_changed();
        self.transfers_wake.notify_one();
        self.postings_wake.notify_one();
        Ok(())
    }

    /// Queues a redaction.
    pub(super) async fn write_redaction(
        &self,
        community: CommunityId,
        channel: ChannelId,
        item: ItemId,
        erases: Vec<u64>,
        reason: Option<String>,
    ) -> Result<(), CommandError> {
        self.check_stays(community).await?;
        let posting = Posting::redacting(community, channel, item, erases, self.now());
        let mut unit = self.store.write().await?;
        unit.enqueue_posting(self.user, &Posting { reason, ..posting }).await?;
        unit.commit().await?;
        self.postings_wake.notify_one();
        Ok(())
    }

    /// Queues a redaction that nobody asked for, with what is written beside it.
    pub(in super::super) async fn owe_redaction(
        &self,
        unit: &mut Unit,
        community: CommunityId,
        channel: ChannelId,
        erases: Vec<u64>,
    ) -> Result<(), StoreError> {
        let posting = Posting::redacting(community, channel, new_item(), erases, self.now());
        unit.enqueue_posting(self.user, &posting).await
    }
}

/// The same with a file that it had before.
fn with_file(content: &Content, file: Option<Box<Attachment>>) -> Content {
    match content.clone() {
        Content::Text(text) => Content::Text(Text { file, ..text }),
        other => other,
    }
}

impl Posting {
    /// What has the hub drop the messages at the places `erases`.
    fn redacting(
        community: CommunityId,
        channel: ChannelId,
        item: ItemId,
        erases: Vec<u64>,
        now: Timestamp,
    ) -> Self {
        let nothing = Content::decode(0, &[]);
        Self { erases, ..Self::of(community, channel, item, &nothing, now) }
    }

    /// What says `content` in a channel.
    fn of(
        community: CommunityId,
        channel: ChannelId,
        item: ItemId,
        content: &Content,
        now: Timestamp,
    ) -> Self {
        Self {
            community,
            channel,
            item,
            kind: content.kind(),
            content: content.encode(),
            erases: vec![],
            reason: None,
            since: now,
            not_before: Timestamp::from_millis(0),
            attempts: 0,
            trouble: None,
            sealed: None,
        }
    }
}
