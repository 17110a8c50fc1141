//! One unit of work for all messages that have gathered: judged at one moment, stored, answered, and passed on.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use rookery_protocol::{
    id::DeviceId,
    request::{
        Failure, Refusal,
        message::{Awaits, SendError, Sent},
    },
    session::FollowDown,
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{
    Answer, BATCH, Inlet, Job, Lane, Origin, frame,
    judge::{Verdict, judge},
};
use crate::{
    repository::{
        StorageError,
        contact::{Standings, StoredContact},
        mailbox::{Deposit, Deposited, MailboxLimits},
        peer::Outbound,
    },
    service::{
        self, Services,
        feed::{Feed, Live},
        peer::Peer,
    },
};

/// How long acknowledgements gather when no message takes them along: they save work, and nobody waits for them.
const GATHER: Duration = Duration::from_millis(50);

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
            let refusal = service::refusal(&error);
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
    let is_for_now =
        matches!(failure, Failure::Refused(_) | Failure::Error(SendError::Stale { .. }));
    if let (Ok(None) | Err(_), Some(lane), true) = (&before, job.from.lane(), is_for_now) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overtakes_what_found_a_full_mailbox() {
        let (one, other) = (Arc::new(Lane::default()), Arc::new(Lane::default()));
        let plan = |lane: Option<&Arc<Lane>>| Plan {
            answer: oneshot::channel().0,
            copies: vec![],
            stranger: None,
            outbound: None,
            lane: lane.cloned(),
        };
        let plans = [Some(&one), Some(&one), Some(&other), None, Some(&one)].map(plan);
        let stored = || Deposited::Stored { positions: vec![1] };
        let full = || Deposited::Full { devices: vec![] };
        let all = [stored(), stored(), stored(), stored(), stored()];
        assert_eq!(overtaking(&plans, &all), Vec::<usize>::new());
        let outcomes = [full(), stored(), stored(), stored(), stored()];
        assert_eq!(overtaking(&plans, &outcomes), [1, 4]);
        assert!(one.is_blocked() && !other.is_blocked());
        // What was stored before it stays so, and what was there already is no new one.
        let outcomes = [
            stored(),
            full(),
            stored(),
            stored(),
            Deposited::Duplicate { at: Timestamp::from_millis(0) },
        ];
        assert_eq!(overtaking(&plans, &outcomes), Vec::<usize>::new());
    }
}
