//! Messages into mailboxes: the hot path.
//!
//! A request is checked and encoded in its own task, and then joins what has gathered while the last commit was under way: one task judges
//! up to 1,024 messages at one moment, stores them in one unit of work, and answers them after its commit. So a disk that takes
//! milliseconds to sync carries thousands of messages a second, and the judgement, that the envelopes are for the live devices of both
//! sides and for nobody else, is made under [`Services::order`], where no device can be revoked in between. What was stored goes to
//! followers out of memory.

mod abroad;
mod judge;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use minicbor::Encoder;
use rookery_protocol::{
    chain::HeadRef,
    codec,
    envelope::Envelope,
    id::{DeviceId, ItemId, UserId},
    name::UserName,
    request::{
        Failure, RateClass, Refusal,
        message::{Awaits, Purpose, SendError, SendMessage, Sent},
    },
    session::{Authenticated, FollowDown, Principal},
    time::Timestamp,
    version::SUITE,
};
use tokio::sync::{Notify, mpsc, oneshot};

pub use self::abroad::Abroad;
use self::judge::{Verdict, judge};
use super::{
    Services,
    feed::{Feed, Live},
    peer::{Peer, copy::Foreigner},
};
use crate::repository::{
    StorageError,
    contact::{Standings, StoredContact},
    mailbox::{Deposit, Deposited, Letter, MailboxLimits},
    peer::Outbound,
};

/// How many messages one unit of work takes.
const BATCH: usize = 1024;
/// How many messages wait for the unit that is under way: four batches, so that a slow disk is felt as waiting, not as refusals.
const QUEUE: usize = 4 * BATCH;
/// How long acknowledgements gather when no message takes them along: they save work, and nobody waits for them.
const GATHER: Duration = Duration::from_millis(50);
/// How many envelopes one message has: ten devices of the receiver and ten of the sender.
const MAX_ENVELOPES: usize = 20;
/// What a sender hears.
pub type Answer = Result<Sent, Failure<SendError>>;

/// Where messages and acknowledgements are handed in.
#[derive(Debug)]
pub struct Outbox {
    sends: mpsc::Sender<Job>,
    acknowledged: Arc<Acknowledged>,
}

/// The end out of which [`store_all`] takes.
#[derive(Debug)]
pub struct Inlet {
    sends: mpsc::Receiver<Job>,
    acknowledged: Arc<Acknowledged>,
}

/// What devices have taken in; at most one row a connected device.
#[derive(Debug, Default)]
struct Acknowledged {
    through: Mutex<HashMap<DeviceId, u64>>,
    some: Notify,
}

/// One message on its way.
#[derive(Debug)]
pub struct Job {
    from: Origin,
    to: UserId,
    to_head: HeadRef,
    message: ItemId,
    letters: Vec<Letter>,
    answer: oneshot::Sender<Answer>,
}

/// Where a message comes from.
#[derive(Debug)]
pub enum Origin {
    /// From a device that lives here.
    Here {
        /// Which.
        who: Authenticated,
        /// The head of its user's chain that it sealed for.
        own_head: HeadRef,
        /// What goes to another server, if the receiver lives there.
        abroad: Option<Abroad>,
    },
    /// From a user of a peer, by the peer.
    Peer {
        /// From whom.
        foreigner: Arc<Foreigner>,
        /// By which name they are known there.
        name: UserName,
        /// What else is handed over with it in its order.
        lane: Arc<Lane>,
    },
}

impl Origin {
    fn user(&self) -> UserId {
        match self {
            Self::Here { who, .. } => who.user,
            Self::Peer { foreigner, .. } => foreigner.stored.user,
        }
    }

    fn lane(&self) -> Option<&Arc<Lane>> {
        match self {
            Self::Here { .. } => None,
            Self::Peer { lane, .. } => Some(lane),
        }
    }
}

/// Messages of one sender for one receiver that are handed over together: after one that is not taken for now, none is.
#[derive(Debug, Default)]
pub struct Lane {
    is_blocked: AtomicBool,
}

impl Lane {
    /// Takes nothing more.
    pub fn block(&self) {
        self.is_blocked.store(true, Ordering::Relaxed);
    }

    /// Whether it takes nothing more.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }
}

/// What has one lane in a queue: what one user sends to one other.
#[must_use]
pub fn lane_of(sender: UserId, receiver: &[u8]) -> rookery_protocol::id::Digest {
    rookery_protocol::hash::labelled("lane", &[sender.as_bytes(), receiver])
}

/// An outbox, and its other end.
#[must_use]
pub fn queue() -> (Outbox, Inlet) {
    let (sends, receiver) = mpsc::channel(QUEUE);
    let acknowledged = Arc::new(Acknowledged::default());
    (
        Outbox { sends, acknowledged: Arc::clone(&acknowledged) },
        Inlet { sends: receiver, acknowledged },
    )
}

/// Sends one message: stored for all devices of both sides before the answer, or for none.
pub async fn send(services: &Services, who: Authenticated, request: SendMessage) -> Answer {
    let class = match request.purpose {
        Purpose::Message => RateClass::Post,
        Purpose::Receipt => RateClass::Receipt,
    };
    // The address plays no part for whoever has logged in.
    let address = std::net::IpAddr::from([0, 0, 0, 0]);
    services.limiter.charge(class, &Principal::Device(who), address)?;
    let mut letters = check((who.user, who.device), &request)
        .map_err(|reason| Failure::Error(SendError::Refused { reason: reason.to_owned() }))?;
    let abroad = abroad::part_of(services, who, &request).await?;
    let SendMessage { message, to, to_head, own_head, .. } = request;
    let Some(abroad) = abroad else {
        let from = Origin::Here { who, own_head, abroad: None };
        return hand_in(services, from, (to, to_head), message, letters)
            .await?
            .await
            .map_err(|_| Refusal::Unavailable)?;
    };
    letters.retain(|letter| letter.user == who.user);
    abroad::send(services, (who, own_head), abroad, (to, to_head), message, letters).await
}

/// Hands a message in for the next unit of work; what comes of it is told there.
pub async fn hand_in(
    services: &Services,
    from: Origin,
    (to, to_head): (UserId, HeadRef),
    message: ItemId,
    letters: Vec<Letter>,
) -> Result<oneshot::Receiver<Answer>, Refusal> {
    let (answer, answered) = oneshot::channel();
    let job = Job { from, to, to_head, message, letters, answer };
    services.outbox.sends.send(job).await.map_err(|_| Refusal::Unavailable)?;
    Ok(answered)
}

/// Notes that a device has everything through `through`; the envelopes are erased soon.
pub fn acknowledge(services: &Services, device: DeviceId, through: u64) {
    let acknowledged = &services.outbox.acknowledged;
    let mut rows = acknowledged.through.lock().unwrap_or_else(PoisonError::into_inner);
    let known = rows.entry(device).or_default();
    *known = through.max(*known);
    drop(rows);
    acknowledged.some.notify_one();
}

/// Checks what can be checked of the envelopes by themselves, and encodes them for their mailboxes.
fn check(from: (UserId, DeviceId), request: &SendMessage) -> Result<Vec<Letter>, &'static str> {
    check_envelopes(from, request.message, &[request.to, from.0], &request.envelopes)
}

/// The same, for envelopes of the message `message` to devices of `to`.
pub fn check_envelopes(
    from: (UserId, DeviceId),
    message: ItemId,
    to: &[UserId],
    envelopes: &[Envelope],
) -> Result<Vec<Letter>, &'static str> {
    if envelopes.len() > MAX_ENVELOPES {
        return Err("more envelopes than two users can have devices");
    }
    let mut letters: Vec<Letter> = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        let header = envelope.read_header().map_err(|_| "a header is malformed")?;
        if header.suite != SUITE {
            return Err("an unknown suite");
        }
        if (header.src_user, header.src_device) != from {
            return Err("an envelope is not from the sender");
        }
        if header.message != message {
            return Err("an envelope is another message's");
        }
        if !to.contains(&header.dst_user) {
            return Err("an envelope is for somebody else");
        }
        if letters.iter().any(|letter| letter.device == header.dst_device) {
            return Err("two envelopes are for one device");
        }
        letters.push(Letter {
            user: header.dst_user,
            device: header.dst_device,
            envelope: codec::encode(envelope),
        });
    }
    Ok(letters)
}

/// Stores what is handed in, batch by batch, until the services are gone.
pub async fn store_all(services: Weak<Services>, inlet: Inlet) {
    let Inlet { mut sends, acknowledged } = inlet;
    let mut jobs = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            count = sends.recv_many(&mut jobs, BATCH) => if count == 0 { return },
            () = acknowledged.some.notified() => tokio::select! {
                biased;
                count = sends.recv_many(&mut jobs, BATCH) => if count == 0 { return },
                () = tokio::time::sleep(GATHER) => {}
            },
        }
        let Some(services) = services.upgrade() else { return };
        store(&services, &mut jobs).await;
    }
}

/// A job that may be stored.
struct Plan {
    answer: oneshot::Sender<Answer>,
    /// What its envelopes are for; the envelope itself only where a device follows.
    copies: Vec<(DeviceId, Option<Vec<u8>>)>,
    /// The receiver's note of a stranger who writes for the first time, and how the two stand from then on.
    stranger: Option<(StoredContact, Standings)>,
    /// What goes to another server.
    outbound: Option<(Arc<Peer>, Outbound)>,
    /// What it is in order with.
    lane: Option<Arc<Lane>>,
}

/// Judges and stores one batch, answers it, and passes it on to followers.
async fn store(services: &Services, jobs: &mut Vec<Job>) {
    let acknowledged: Vec<(DeviceId, u64)> = {
        let through = &services.outbox.acknowledged.through;
        through.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    };
    let turn = services.order.lock().await;
    let at = services.clock.now();
    let (mut deposits, mut plans) =
        (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
    for job in jobs.drain(..) {
        let (stranger, outbound) = match judge(services, &job, at).await {
            Ok(Verdict::Store) => (None, None),
            Ok(Verdict::StoreStranger(stranger)) => (Some(*stranger), None),
            Ok(Verdict::StoreAbroad(peer, outbound)) => (None, Some((peer, *outbound))),
            Ok(Verdict::Known(sent)) => {
                metrics::counter!("rookery_dedupe_hits_total").increment(1);
                drop(job.answer.send(Ok(sent)));
                continue;
            }
            Err(failure) => {
                refuse(services, job, failure).await;
                continue;
            }
        };
        let copies = job.letters.iter().map(|letter| {
            let follows = services.feeds.of_device(letter.device).is_some();
            (letter.device, follows.then(|| letter.envelope.clone()))
        });
        let (copies, lane) = (copies.collect(), job.from.lane().cloned());
        plans.push(Plan { copies, stranger, outbound, lane, answer: job.answer });
        let (sender, message, letters) = (job.from.user(), job.message, job.letters);
        deposits.push(Deposit { sender, message, at, letters });
    }
    let count = deposits.len();
    match commit_in_order(services, deposits, &mut plans, &acknowledged).await {
        Ok(outcomes) => {
            metrics::histogram!("rookery_commit_batch_rows")
                .record(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            let mut asleep = Vec::new();
            let answers: Vec<_> = plans
                .into_iter()
                .zip(outcomes)
                .map(|(plan, outcome)| deliver(services, plan, outcome, at, &mut asleep))
                .collect();
            // Only now, so that each stream is woken once, and has in one packet all that this commit has for it.
            for (answer, answered) in answers {
                drop(answer.send(answered));
            }
            for feed in asleep {
                feed.wake();
            }
        }
        Err(error) => {
            let refusal = super::refusal(&error);
            for plan in plans {
                plan.lane.iter().for_each(|lane| lane.block());
                drop(plan.answer.send(Err(refusal.clone().into())));
            }
            if matches!(error, StorageError::Full) && !acknowledged.is_empty() {
                // What is erased makes room, so it is not lost with what could not be stored.
                if let Err(error) = commit(services, vec![], &[], &acknowledged).await {
                    tracing::warn!(%error, "acknowledged envelopes were not erased; they will be when they are acknowledged again");
                }
            }
        }
    }
    drop(turn);
}

/// Answers a job that is not stored now. It may have been stored before, when the world was another.
async fn refuse(services: &Services, job: Job, failure: Failure<SendError>) {
    // Whether what goes to another server has arrived was looked at already.
    let is_abroad = matches!(job.from, Origin::Here { abroad: Some(_), .. });
    let before = match services.storage.read().await {
        Ok(mut view) if !is_abroad => view.deposited(job.from.user(), job.message).await,
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    if let (Ok(None) | Err(_), Some(lane), Failure::Refused(_)) =
        (&before, job.from.lane(), &failure)
    {
        lane.block();
    }
    drop(job.answer.send(match before {
        Ok(Some(at)) => Ok(Sent { at, awaits: None }),
        Ok(None) | Err(_) => Err(failure),
    }));
}

/// Commits, and sees to it that nothing of a lane is stored after something that its mailbox had no room for: then all is done over
/// without it.
async fn commit_in_order(
    services: &Services,
    mut deposits: Vec<Deposit>,
    plans: &mut Vec<Plan>,
    acknowledged: &[(DeviceId, u64)],
) -> Result<Vec<Deposited>, StorageError> {
    let has_lanes = plans.iter().any(|plan| plan.lane.is_some());
    loop {
        let again = if has_lanes { deposits.clone() } else { vec![] };
        match commit(services, deposits, plans, acknowledged).await? {
            Committed::All(outcomes) => return Ok(outcomes),
            Committed::Overtaken(overtaking) => {
                deposits = again;
                for index in overtaking.into_iter().rev() {
                    deposits.remove(index);
                    let plan = plans.remove(index);
                    drop(plan.answer.send(Err(Refusal::Unavailable.into())));
                }
            }
        }
    }
}

/// What a unit of work came to.
enum Committed {
    /// It is stored.
    All(Vec<Deposited>),
    /// Nothing is: these would have overtaken what had no room. Indices, in order.
    Overtaken(Vec<usize>),
}

/// What would be stored after something of its lane that is not.
fn overtaking(plans: &[Plan], outcomes: &[Deposited]) -> Vec<usize> {
    let mut blocked: Vec<&Arc<Lane>> = vec![];
    let mut overtaking = vec![];
    for (index, (plan, outcome)) in plans.iter().zip(outcomes).enumerate() {
        let Some(lane) = &plan.lane else { continue };
        let is_blocked = blocked.iter().any(|one| Arc::ptr_eq(one, lane));
        match outcome {
            Deposited::Full { .. } => {
                lane.block();
                blocked.push(lane);
            }
            Deposited::Stored { .. } if is_blocked => overtaking.push(index),
            Deposited::Stored { .. } | Deposited::Duplicate { .. } => {}
        }
    }
    overtaking
}

async fn commit(
    services: &Services,
    deposits: Vec<Deposit>,
    plans: &[Plan],
    acknowledged: &[(DeviceId, u64)],
) -> Result<Committed, StorageError> {
    if deposits.is_empty() && acknowledged.is_empty() {
        return Ok(Committed::All(vec![]));
    }
    let limits = MailboxLimits {
        count: services.config.mailbox_envelopes,
        bytes: services.config.mailbox_bytes,
    };
    let mut unit = services.storage.begin().await?;
    let outcomes =
        if deposits.is_empty() { vec![] } else { unit.deposit(deposits, limits).await? };
    let overtaking = overtaking(plans, &outcomes);
    if !overtaking.is_empty() {
        return Ok(Committed::Overtaken(overtaking));
    }
    for (plan, outcome) in plans.iter().zip(&outcomes) {
        if let (Some((stranger, _)), Deposited::Stored { .. }) = (&plan.stranger, outcome)
            && unit.contact_count(stranger.owner).await? < services.config.contacts
        {
            unit.put_contact(stranger).await?;
        }
        if let (Some((peer, outbound)), Deposited::Stored { .. } | Deposited::Duplicate { .. }) =
            (&plan.outbound, outcome)
        {
            unit.let_peer_read(&peer.name, outbound.sender).await?;
            unit.put_outbound(&peer.name, std::slice::from_ref(outbound)).await?;
        }
    }
    if !acknowledged.is_empty() {
        unit.acknowledge(acknowledged).await?;
    }
    unit.commit().await?;
    Ok(Committed::All(outcomes))
}

/// Passes on one message that was in a commit, notes whose streams have to be woken for it, and says what its sender is to hear.
fn deliver(
    services: &Services,
    plan: Plan,
    outcome: Deposited,
    at: Timestamp,
    asleep: &mut Vec<Arc<Feed>>,
) -> (oneshot::Sender<Answer>, Answer) {
    // The very first time, or again after it came back: either way it waits from now on.
    let is_queued = !matches!(outcome, Deposited::Full { .. });
    let awaits = plan.outbound.filter(|_| is_queued).map(|(peer, outbound)| {
        peer.note_queued(outbound.content.len());
        peer.wake.notify_one();
        Awaits { server: peer.name.clone(), since: at }
    });
    let answer = match outcome {
        Deposited::Stored { positions } => {
            if let Some((StoredContact { owner, user: Some(user), .. }, standings)) = plan.stranger
            {
                services.directory.put_standings(owner, user, standings);
                services.feeds.push_user(owner, &Live::notice(&FollowDown::ContactsChanged));
            }
            for ((device, envelope), position) in plan.copies.into_iter().zip(positions) {
                let Some(feed) = services.feeds.of_device(device) else { continue };
                let Some(envelope) = envelope else {
                    // It began to follow while this was stored, and reads it from the database.
                    feed.fall_behind();
                    continue;
                };
                let frame = frame(position, at, &envelope);
                if feed.put(Live::Envelope { position, frame }) {
                    asleep.push(feed);
                }
            }
            Ok(Sent { at, awaits })
        }
        Deposited::Duplicate { at } => {
            metrics::counter!("rookery_dedupe_hits_total").increment(1);
            Ok(Sent { at, awaits })
        }
        Deposited::Full { devices } => Err(Failure::Error(SendError::MailboxFull { devices })),
    };
    (plan.answer, answer)
}

/// A [`FollowDown::Envelope`] around an envelope that is encoded already.
#[must_use]
pub fn frame(position: u64, at: Timestamp, envelope: &[u8]) -> Bytes {
    let mut encoder = Encoder::new(Vec::with_capacity(envelope.len().saturating_add(32)));
    // Writing to a vector is infallible.
    let head = encoder.array(2).and_then(|encoder| {
        encoder.u8(1)?.map(3)?.u8(0)?.u64(position)?.u8(1)?.u64(at.as_millis())?.u8(2)?.ok()
    });
    debug_assert!(head.is_ok());
    let mut bytes = encoder.into_writer();
    bytes.extend_from_slice(envelope);
    bytes.into()
}

#[cfg(test)]
mod tests;
