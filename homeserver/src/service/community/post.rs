//! Posts into channels: the hot path of communities.
//!
//! As messages (`service/message.rs`): a request is checked in its own task and joins what has gathered while the last commit was under
//! way; one task judges up to 1,024 posts over many channels at their communities' heads, stores them in one unit of work, answers after
//! its commit, and passes each entry on to the channel's followers as one encoded frame that all of them share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use rookery_protocol::{
    chain::{Item, Kind, SignedItem, Submission},
    codec::{self, MAX_BODY, Octets},
    community::{Announce, AnnounceBody, ChannelMessage, MessageHeader, Redact},
    id::{ChainId, ChannelId, CommunityId, DeviceId, SenderKeyId, UserId},
    request::{
        Failure, Refusal,
        channel::{PostChannel, PostError, Posted},
    },
    session::Authenticated,
};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    author::Side,
    judge::{Bench, Judged},
};
use crate::{
    repository::StorageError,
    service::{Services, statement},
};

/// How many posts one unit of work takes.
const BATCH: usize = 1024;
/// How many posts wait for the unit that is under way.
const QUEUE: usize = 4 * BATCH;
/// How many items one post has.
const MAX_ITEMS: usize = 64;
/// How long read marks gather when no post takes them along.
const GATHER: Duration = Duration::from_secs(1);
/// How often a unit is run again that another node came in between of.
const TRIES: u32 = 8;

/// What becomes of a post.
pub type Answer = Result<Posted, Failure<PostError>>;

/// Where posts and read marks are handed in.
#[derive(Debug)]
pub(super) struct Outbox {
    posts: mpsc::Sender<Job>,
    reads: Arc<Reads>,
}

/// The end out of which [`store_all`] takes.
#[derive(Debug)]
pub struct Inlet {
    posts: mpsc::Receiver<Job>,
    reads: Arc<Reads>,
}

/// How far users have read, as far as it is not stored yet.
#[derive(Debug, Default)]
pub(super) struct Reads {
    through: Mutex<HashMap<(ChainId, UserId), u64>>,
    some: Notify,
}

/// One post on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) user: UserId,
    pub(super) side: Side,
    pub(super) community: CommunityId,
    pub(super) channel: ChannelId,
    pub(super) chain: ChainId,
    pub(super) drafts: Vec<Draft>,
    answer: oneshot::Sender<Answer>,
}

/// One item of a post: its signature and its body's hash hold.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) item: Item,
    pub(super) author: DeviceId,
    pub(super) signed: SignedItem,
    pub(super) body: Octets<MAX_BODY>,
    pub(super) needs: Needs,
}

/// What has to be known to judge an item.
#[derive(Debug)]
pub(super) enum Needs {
    /// The chain of whoever announces, this far.
    History(u64),
    /// What is known of a Sender Key.
    SenderKey(SenderKeyId),
    /// Who wrote what is erased, and the chain of who erases, this far.
    Targets { seqs: Vec<u64>, history: u64 },
}

/// An outbox, and its other end.
pub(super) fn queue() -> (Outbox, Inlet) {
    let (posts, receiver) = mpsc::channel(QUEUE);
    let reads = Arc::new(Reads::default());
    (Outbox { posts, reads: Arc::clone(&reads) }, Inlet { posts: receiver, reads })
}

impl Outbox {
    /// Notes how far somebody has read; it is stored soon.
    pub(super) fn note_read(&self, chain: ChainId, user: UserId, seq: u64) {
        let mut through = self.reads.through.lock().unwrap_or_else(PoisonError::into_inner);
        let known = through.entry((chain, user)).or_default();
        *known = seq.max(*known);
        drop(through);
        self.reads.some.notify_one();
    }

    /// What was noted of `chain` and is not stored yet.
    pub(super) fn unstored_reads(&self, chain: ChainId) -> Vec<(UserId, u64)> {
        let through = self.reads.through.lock().unwrap_or_else(PoisonError::into_inner);
        let of_chain = through.iter().filter(|((other, _), _)| *other == chain);
        of_chain.map(|((_, user), seq)| (*user, *seq)).collect()
    }
}

/// Posts to a channel: all items are stored before the answer, or none.
pub async fn post(services: &Services, who: Authenticated, request: PostChannel) -> Answer {
    post_by(services, (who.user, Side::Here), request).await
}

/// The same for a user of either side, who has proven to be that user, or whose home has.
pub async fn post_by(
    services: &Services,
    (user, side): (UserId, Side),
    request: PostChannel,
) -> Answer {
    let PostChannel { community, channel, items } = request;
    if !(1..=MAX_ITEMS).contains(&items.len()) {
        return Err(denied(format!("one to {MAX_ITEMS} items at once")));
    }
    let chain = ChainId::of_channel(community, channel);
    let drafts: Result<Vec<Draft>, _> =
        items.into_iter().map(|submission| read(chain, submission)).collect();
    let (answer, answered) = oneshot::channel();
    let job = Job { user, side, community, channel, chain, drafts: drafts?, answer };
    services.hub.posts.posts.send(job).await.map_err(|_| Refusal::Unavailable)?;
    answered.await.map_err(|_| Refusal::Unavailable)?
}

pub(super) fn denied(reason: impl std::fmt::Display) -> Failure<PostError> {
    Failure::Error(PostError::Denied { reason: format!("{reason}") })
}

fn read(chain: ChainId, submission: Submission) -> Result<Draft, Failure<PostError>> {
    let item = submission.verify(chain).map_err(denied)?;
    let Submission { signed, body } = submission;
    let author = signed.author().filter(|_| signed.signatures.len() == 1);
    let author = author.ok_or_else(|| denied("an item has one signature"))?.device_id();
    let bytes = body.as_slice();
    let needs = match item.kind {
        Kind::Announce => {
            let announce: Announce = codec::decode(bytes).map_err(denied)?;
            let header: AnnounceBody = codec::decode(announce.header.as_slice()).map_err(denied)?;
            Needs::History(header.head.seq)
        }
        Kind::Message => {
            let message: ChannelMessage = codec::decode(bytes).map_err(denied)?;
            let header: MessageHeader = codec::decode(message.header.as_slice()).map_err(denied)?;
            Needs::SenderKey(header.sender_key)
        }
        Kind::Redact => {
            let redact: Redact = codec::decode(bytes).map_err(denied)?;
            Needs::Targets { seqs: redact.targets, history: redact.head.seq }
        }
        Kind::UserStatement | Kind::Journal | Kind::CommunityStatement => {
            return Err(denied("another kind of entry"));
        }
    };
    Ok(Draft { item, author, signed, body, needs })
}

/// Stores what is handed in, batch by batch, until the services are gone.
pub async fn store_all(services: Weak<Services>, inlet: Inlet) {
    let Inlet { mut posts, reads } = inlet;
    let mut jobs = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            count = posts.recv_many(&mut jobs, BATCH) => if count == 0 { return },
            () = reads.some.notified() => tokio::select! {
                biased;
                count = posts.recv_many(&mut jobs, BATCH) => if count == 0 { return },
                () = tokio::time::sleep(GATHER) => {}
            },
        }
        let Some(services) = services.upgrade() else { return };
        store(&services, &mut jobs).await;
    }
}

/// Judges and stores one batch, answers it, and passes it on to followers.
async fn store(services: &Services, jobs: &mut Vec<Job>) {
    let reads: Vec<(ChainId, UserId, u64)> = {
        let through = &services.hub.posts.reads.through;
        let mut through = through.lock().unwrap_or_else(PoisonError::into_inner);
        through.drain().map(|((chain, user), seq)| (chain, user, seq)).collect()
    };
    let turn = services.order.lock().await;
    let mut outcome = judge_and_store(services, jobs, &reads).await;
    let mut tries = 1;
    while matches!(outcome, Err(StorageError::Conflict)) && tries < TRIES {
        forget_folds(services, jobs);
        outcome = judge_and_store(services, jobs, &reads).await;
        tries = tries.saturating_add(1);
    }
    match outcome {
        Ok((answers, judged)) => {
            for (job, answer) in jobs.drain(..).zip(answers) {
                drop(job.answer.send(answer));
            }
            pass_on(services, judged);
        }
        Err(error) => {
            let refusal = crate::service::refusal(&error);
            for job in jobs.drain(..) {
                drop(job.answer.send(Err(refusal.clone().into())));
            }
            for (chain, user, seq) in reads {
                services.hub.posts.note_read(chain, user, seq);
            }
        }
    }
    drop(turn);
}

/// Another node has changed something: what is in memory of these communities may be old.
fn forget_folds(services: &Services, jobs: &[Job]) {
    for job in jobs {
        services.hub.folds.invalidate(&job.community);
    }
}

/// One try: an answer for each job, and what was stored.
async fn judge_and_store(
    services: &Services,
    jobs: &[Job],
    reads: &[(ChainId, UserId, u64)],
) -> Result<(Vec<Answer>, Judged), StorageError> {
    let bench = Bench::prepare(services, jobs).await?;
    let (answers, judged) = bench.judge(services, jobs);
    if judged.is_empty() && reads.is_empty() {
        return Ok((answers, judged));
    }
    let mut unit = services.storage.begin().await?;
    if !judged.is_empty() {
        let logs: Vec<ChainId> = judged.logs.keys().copied().collect();
        for stored in unit.hold_chains(&logs).await? {
            if judged.logs.get(&stored.chain).copied() != Some(stored.head) {
                return Err(StorageError::Conflict);
            }
        }
        unit.append_to_many(&judged.entries).await?;
        unit.put_sender_keys(&judged.keys).await?;
        for (chain, items) in &judged.erased {
            unit.erase_bodies(*chain, items).await?;
        }
    }
    if !reads.is_empty() {
        unit.note_channel_reads(reads).await?;
    }
    unit.commit().await?;
    Ok((answers, judged))
}

/// Passes on what was stored.
fn pass_on(services: &Services, judged: Judged) {
    for ((chain, user), at) in judged.spoken {
        services.hub.spoken.insert((chain, user), at);
    }
    let (mut posts, mut deliveries) = (0_u64, 0_u64);
    for (chain, entries) in &judged.entries {
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        posts = posts.saturating_add(count);
        services.hub.spread.moved(*chain);
        if !services.feeds.is_chain_followed(*chain) {
            continue;
        }
        let lives: Vec<_> = entries.iter().map(|stored| statement::live(&stored.entry)).collect();
        let reached = services.feeds.put_in_chain(*chain, &lives);
        let reached = u64::try_from(reached).unwrap_or(u64::MAX);
        deliveries = deliveries.saturating_add(reached.saturating_mul(count));
    }
    metrics::counter!("rookery_posts_total").increment(posts);
    metrics::counter!("rookery_deliveries_total").increment(deliveries);
}
