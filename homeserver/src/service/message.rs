//! Messages into mailboxes: the hot path.
//!
//! A request is checked and encoded in its own task, and then joins what has gathered while the last commit was under way: one task judges
//! up to 1,024 messages at one moment, stores them in one unit of work, and answers them after its commit. So a disk that takes
//! milliseconds to sync carries thousands of messages a second, and the judgement, that the envelopes are for the live devices of both
//! sides and for nobody else, is made under [`Services::order`], where no device can be revoked in between. What was stored goes to
//! followers out of memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use minicbor::Encoder;
use rookery_protocol::{
    chain::HeadRef,
    codec,
    id::{DeviceId, ItemId, UserId},
    request::{
        Failure, RateClass, Refusal,
        contact::Standing,
        message::{Purpose, SendError, SendMessage, Sent},
    },
    session::{Authenticated, FollowDown, Principal},
    time::Timestamp,
    version::SUITE,
};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    Services,
    chain::WritesAs,
    directory::Resident,
    feed::{Feed, Live},
};
use crate::repository::{
    StorageError,
    contact::{Standings, StoredContact},
    mailbox::{Deposit, Deposited, Letter, MailboxLimits},
};

/// How many messages one unit of work takes.
const BATCH: usize = 1024;
/// How many messages wait for the unit that is under way: four batches, so that a slow disk is felt as waiting, not as refusals.
const QUEUE: usize = 4 * BATCH;
/// How long acknowledgements gather when no message takes them along: they save work, and nobody waits for them.
const GATHER: Duration = Duration::from_millis(50);
/// How many envelopes one message has: ten devices of the receiver and ten of the sender.
const MAX_ENVELOPES: usize = 20;

type Answer = Result<Sent, Failure<SendError>>;

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
    who: Authenticated,
    to: UserId,
    to_head: HeadRef,
    own_head: HeadRef,
    message: ItemId,
    letters: Vec<Letter>,
    answer: oneshot::Sender<Answer>,
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
    let letters = check(who, &request)
        .map_err(|reason| Failure::Error(SendError::Refused { reason: reason.to_owned() }))?;
    let (answer, answered) = oneshot::channel();
    let SendMessage { message, to, to_head, own_head, .. } = request;
    let job = Job { who, to, to_head, own_head, message, letters, answer };
    services.outbox.sends.send(job).await.map_err(|_| Refusal::Unavailable)?;
    answered.await.map_err(|_| Refusal::Unavailable)?
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
fn check(who: Authenticated, request: &SendMessage) -> Result<Vec<Letter>, &'static str> {
    if request.envelopes.len() > MAX_ENVELOPES {
        return Err("more envelopes than two users can have devices");
    }
    let mut letters: Vec<Letter> = Vec::with_capacity(request.envelopes.len());
    for envelope in &request.envelopes {
        let header = envelope.read_header().map_err(|_| "a header is malformed")?;
        if header.suite != SUITE {
            return Err("an unknown suite");
        }
        if header.src_user != who.user || header.src_device != who.device {
            return Err("an envelope is not from the sender");
        }
        if header.message != request.message {
            return Err("an envelope is another message's");
        }
        if header.dst_user != request.to && header.dst_user != who.user {
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
        match judge(services, &job, at).await {
            Ok(stranger) => {
                let copies = job.letters.iter().map(|letter| {
                    let follows = services.feeds.of_device(letter.device).is_some();
                    (letter.device, follows.then(|| letter.envelope.clone()))
                });
                plans.push(Plan { copies: copies.collect(), stranger, answer: job.answer });
                deposits.push(Deposit {
                    sender: job.who.user,
                    message: job.message,
                    at,
                    letters: job.letters,
                });
            }
            Err(failure) => refuse(services, job, failure).await,
        }
    }
    let count = deposits.len();
    match commit(services, deposits, &plans, &acknowledged).await {
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

/// Whether the job may be stored, and the receiver's note of a stranger that goes with it.
async fn judge(
    services: &Services,
    job: &Job,
    at: Timestamp,
) -> Result<Option<(StoredContact, Standings)>, Failure<SendError>> {
    let own = services.resident(job.who.user).await?.ok_or(Refusal::NotAuthenticated)?;
    if !own.is_active() || !own.live.contains(&job.who.device) {
        return Err(Refusal::NotPermitted.into());
    }
    let not_found = || Failure::Error(SendError::NotFound);
    let to = if job.to == own.user {
        Arc::clone(&own)
    } else {
        services.resident(job.to).await?.ok_or_else(not_found)?
    };
    let writes = services.may_write(own.user, &to).await?.ok_or_else(not_found)?;
    if job.to_head != to.head || job.own_head != own.head {
        return Err(Failure::Error(SendError::Stale { to_head: to.head, own_head: own.head }));
    }
    if !match_devices(job, &to, &own) {
        let reason = "the envelopes are not one for each live device of both sides".to_owned();
        return Err(Failure::Error(SendError::Refused { reason }));
    }
    if writes != WritesAs::NewStranger {
        return Ok(None);
    }
    let note = StoredContact {
        owner: to.user,
        name: own.name.clone(),
        user: Some(own.user),
        standing: Standing::Stranger,
        since: at,
    };
    let theirs = services.standings(to.user, own.user).await?.theirs;
    Ok(Some((note, Standings { ours: Some(Standing::Stranger), theirs })))
}

/// Whether the envelopes are for exactly the live devices of both sides, less the one that sends.
fn match_devices(job: &Job, to: &Resident, own: &Resident) -> bool {
    let others = own.live.iter().filter(|device| **device != job.who.device);
    let receivers = to.live.iter().filter(|_| to.user != own.user);
    let wanted =
        others.map(|device| (own.user, *device)).chain(receivers.map(|device| (to.user, *device)));
    let mut count = 0_usize;
    for (user, device) in wanted {
        count = count.saturating_add(1);
        if !job.letters.iter().any(|letter| letter.device == device && letter.user == user) {
            return false;
        }
    }
    count == job.letters.len()
}

/// Answers a job that is not stored now. It may have been stored before, when the world was another.
async fn refuse(services: &Services, job: Job, failure: Failure<SendError>) {
    let before = match services.storage.read().await {
        Ok(mut view) => view.deposited(job.who.user, job.message).await,
        Err(error) => Err(error),
    };
    drop(job.answer.send(match before {
        Ok(Some(at)) => Ok(Sent { at }),
        Ok(None) | Err(_) => Err(failure),
    }));
}

async fn commit(
    services: &Services,
    deposits: Vec<Deposit>,
    plans: &[Plan],
    acknowledged: &[(DeviceId, u64)],
) -> Result<Vec<Deposited>, StorageError> {
    if deposits.is_empty() && acknowledged.is_empty() {
        return Ok(vec![]);
    }
    let limits = MailboxLimits {
        count: services.config.mailbox_envelopes,
        bytes: services.config.mailbox_bytes,
    };
    let mut unit = services.storage.begin().await?;
    let outcomes =
        if deposits.is_empty() { vec![] } else { unit.deposit(deposits, limits).await? };
    for (plan, outcome) in plans.iter().zip(&outcomes) {
        if let (Some((stranger, _)), Deposited::Stored { .. }) = (&plan.stranger, outcome)
            && unit.contact_count(stranger.owner).await? < services.config.contacts
        {
            unit.put_contact(stranger).await?;
        }
    }
    if !acknowledged.is_empty() {
        unit.acknowledge(acknowledged).await?;
    }
    unit.commit().await?;
    Ok(outcomes)
}

/// Passes on one message that was in a commit, notes whose streams have to be woken for it, and says what its sender is to hear.
fn deliver(
    services: &Services,
    plan: Plan,
    outcome: Deposited,
    at: Timestamp,
    asleep: &mut Vec<Arc<Feed>>,
) -> (oneshot::Sender<Answer>, Answer) {
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
            Ok(Sent { at })
        }
        Deposited::Duplicate { at } => {
            metrics::counter!("rookery_dedupe_hits_total").increment(1);
            Ok(Sent { at })
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
