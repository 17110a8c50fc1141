//! Handing over what must arrive: from the queue in the database, in order, until the peer has said what became of each.
//!
//! One batch is under way at a time. What is handed over stays in the queue until the peer's answer is here and written down, so that a kill of
//! either side at any moment loses nothing; what is handed over twice has one id and is taken once.

mod outcome;

use std::{collections::BTreeSet, time::Duration};

use rookery_protocol::{
    codec::{self, MAX_BATCH},
    id::Digest,
    io::client::Client,
    request::peer::{ForwardOutcome, Forwarded, ForwardedContent, PeerForward},
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

pub(super) use self::outcome::short;
use self::outcome::{curbed, tell, write};
use super::{Peer, Services, copy, outstanding};
use crate::repository::{Limit, StorageError, peer::StoredOutbound};

/// How much goes in one batch: as many as the peer takes, and no more bytes than fit into one request beside their frame. One item alone
/// is below 500 KiB.
const BATCH: Limit = Limit { rows: 256, bytes: 400 * 1024 };
/// How often the heads of copies are compared: what any failure detector misses is found then.
const COMPARE: Duration = Duration::from_mins(1);
/// How long nothing may be asked before the peer is asked whether it is there: one that was killed says nothing.
const QUIET: Duration = Duration::from_secs(10);
/// The wait after the database could not be used.
const RETRY: Duration = Duration::from_secs(1);
/// A clock that shows so much less than before was put back, and not only set right by a little.
const PUT_BACK: Duration = Duration::from_secs(1);

/// Why handing over ended.
#[derive(Debug)]
pub enum Ended {
    /// The connection is gone, or the peer does not answer on it.
    Lost(String),
    /// The peer has made another connection.
    Replaced,
    /// The proofs that it began with are old: both sides prove themselves again on another one.
    Aged,
    /// The peer's row has changed.
    Changed,
    /// The server stops, or the peer was removed.
    Stopped,
}

/// What came of handing over.
#[derive(Debug)]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// Whether the peer has answered anything on the connection.
    pub is_proven: bool,
}

/// Hands over what waits for `peer`, and keeps copies of its users up to date, for as long as the connection, which was made then, lasts.
pub async fn run(
    services: &Services,
    peer: &Peer,
    (client, made): (&Client, tokio::time::Instant),
    drain: &CancellationToken,
) -> Outcome {
    let mut compare_at = tokio::time::Instant::now();
    let mut is_proven = false;
    let mut better = std::pin::pin!(client.until_quic_works());
    // Who was dialled waits for the other side to prove itself again, and not for ever.
    let times = if client.is_dialled() { 1 } else { 2 };
    let age = services.config.proof_age.0.saturating_mul(times);
    let mut aged = std::pin::pin!(tokio::time::sleep(age.saturating_sub(made.elapsed())));
    // What was told to wait before may have been told so by a clock that was wrong, and once more than due is asked then.
    let mut latest = Timestamp::from_millis(u64::MAX);
    loop {
        let now = services.clock.now();
        if now.plus(PUT_BACK) < latest
            && let Err(error) = hurry(services, peer).await
        {
            tracing::warn!(peer = %peer.name, %error, "what waits for a time was not let go");
        }
        latest = now;
        if compare_at <= tokio::time::Instant::now() {
            match compare(services, peer, client).await {
                Ok(()) => is_proven = true,
                Err(reason) => return Outcome { ended: Ended::Lost(reason), is_proven },
            }
            compare_at = tokio::time::Instant::now().checked_add(COMPARE).unwrap_or(compare_at);
        }
        let wait = match step(services, peer, client).await {
            Ok(Step::Went) => {
                is_proven = true;
                if drain.is_cancelled() {
                    return Outcome { ended: Ended::Stopped, is_proven };
                }
                continue;
            }
            Ok(Step::Idle(next)) => next.map(|at| at.since(services.clock.now())),
            Err(StepError::Lost(reason)) => {
                return Outcome { ended: Ended::Lost(reason), is_proven };
            }
            Err(StepError::Storage(error)) => {
                tracing::warn!(peer = %peer.name, %error, "what waits for the peer could not be read or written");
                Some(RETRY)
            }
        };
        let wake_at = wait.and_then(|wait| tokio::time::Instant::now().checked_add(wait));
        let wake_at = wake_at.map_or(compare_at, |at| at.min(compare_at));
        let ended = tokio::select! {
            () = peer.wake.notified() => continue,
            () = tokio::time::sleep_until(wake_at) => continue,
            () = tokio::time::sleep(QUIET) => {
                if client.is_there().await {
                    continue;
                }
                Ended::Lost("the peer has fallen silent".to_owned())
            }
            lost = client.closed() => Ended::Lost(lost.to_string()),
            () = &mut aged => if client.is_dialled() {
                Ended::Aged
            } else {
                Ended::Lost("the peer has not proven itself for too long".to_owned())
            },
            () = &mut better => Ended::Lost("it can be reached in a better way".to_owned()),
            () = peer.arrived.notified() => {
                // It may have been taken up before this was heard of. Of two that are made at once both sides keep the one dialled by the
                // lower name; the other one stays in reserve.
                if !peer.has_arrived()
                    || (is_preferred(services, peer, client) && client.is_there().await)
                {
                    continue;
                }
                Ended::Replaced
            }
            () = peer.changed.notified() => Ended::Changed,
            () = peer.end.cancelled() => Ended::Stopped,
            () = drain.cancelled() => Ended::Stopped,
        };
        return Outcome { ended, is_proven };
    }
}

/// Lets go at once whatever waits for a time. A clock that ran ahead and was put back has set times that are far off.
pub(super) async fn hurry(services: &Services, peer: &Peer) -> Result<(), StorageError> {
    let mut unit = services.storage.begin().await?;
    unit.hurry_outbound(&peer.name).await?;
    unit.commit().await
}

/// Whether a connection is kept though the peer has made another one, as long as there is an answer on it.
fn is_preferred(services: &Services, peer: &Peer, client: &Client) -> bool {
    client.is_dialled() && services.identity.name < peer.name
}

/// Compares heads, and takes back what has waited for too long.
async fn compare(services: &Services, peer: &Peer, client: &Client) -> Result<(), String> {
    copy::compare(services, peer, client).await.map_err(|error| error.to_string())?;
    if let Err(error) = expire(services, peer).await {
        tracing::warn!(peer = %peer.name, %error, "what waits for too long was not taken back");
    }
    peer.forget_waiters();
    Ok(())
}

/// Takes back what has waited for too long, and counts what waits.
pub async fn expire(services: &Services, peer: &Peer) -> Result<(), StorageError> {
    let now = services.clock.now().as_millis();
    let before = |kept: Duration| {
        let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(now.saturating_sub(kept))
    };
    let mut unit = services.storage.begin().await?;
    let late = before(services.config.keep_outbound);
    let devices = unit.expire_outbound(&peer.name, late).await?;
    let backlog = unit.backlog(&peer.name).await?;
    unit.commit().await?;
    peer.note_queue(backlog.count, backlog.bytes);
    for (_, device) in devices {
        outstanding::tell(services, device);
    }
    Ok(())
}

enum Step {
    /// A batch was handed over.
    Went,
    /// Nothing is due before the time, if there is one.
    Idle(Option<Timestamp>),
}

enum StepError {
    Lost(String),
    Storage(StorageError),
}

impl From<StorageError> for StepError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Hands over one batch, if something is due.
async fn step(services: &Services, peer: &Peer, client: &Client) -> Result<Step, StepError> {
    let now = services.clock.now();
    let mut view = services.storage.read().await?;
    let mut due = view.outbound_due(&peer.name, now, BATCH).await?;
    if due.is_empty() {
        let next = view.outbound_next(&peer.name).await?;
        return Ok(Step::Idle(next));
    }
    drop(view);
    let mut items = Vec::with_capacity(due.len());
    let mut outcomes: Vec<(StoredOutbound, ForwardOutcome)> = vec![];
    let mut handed = Vec::with_capacity(due.len());
    let mut stale: BTreeSet<Digest> = BTreeSet::new();
    for row in due.drain(..) {
        if stale.contains(&row.outbound.lane) {
            // It was written later than something that comes back, and comes back with it.
            continue;
        }
        let limit = MAX_BATCH;
        let item: Forwarded = codec::decode_within(&row.outbound.content, limit)
            .map_err(|_| StorageError::Inconsistent { table: "outbound" })?;
        if let Some(outcome) = outdated(services, &item).await? {
            stale.insert(row.outbound.lane);
            outcomes.push((row, outcome));
        } else {
            items.push(item);
            handed.push(row);
        }
    }
    if !items.is_empty() {
        let begun = tokio::time::Instant::now();
        let answered = client.call_watched(&PeerForward { items }).await;
        let answered = answered.map_err(|error| StepError::Lost(error.to_string()))?.outcomes;
        metrics::histogram!("rookery_peer_batch_seconds", "peer" => peer.name.to_string())
            .record(begun.elapsed().as_secs_f64());
        if answered.len() != handed.len() {
            return Err(StepError::Lost("the peer answered for other things".to_owned()));
        }
        outcomes.extend(handed.into_iter().zip(answered.into_iter().map(curbed)));
    }
    let (outcomes, recalled) = write(services, peer, outcomes).await?;
    // Only now: whoever had the new chain before it is written down that something came back would overtake that.
    refresh(services, peer, client, &outcomes).await;
    tell(services, peer, &outcomes, &recalled);
    Ok(Step::Went)
}

/// What is known of an item before it is handed over: that it was sealed for devices that are not the receiver's any more.
async fn outdated(
    services: &Services,
    item: &Forwarded,
) -> Result<Option<ForwardOutcome>, StorageError> {
    let ForwardedContent::Message(message) = &item.content else { return Ok(None) };
    let Some(to) = services.foreigner(message.to).await? else { return Ok(None) };
    let is_outdated = to.head.seq > message.to_head.seq;
    Ok(is_outdated.then_some(ForwardOutcome::Stale { to_head: to.head }))
}

/// Fetches chains that have gone on, so that senders who are told so find what is new.
async fn refresh(
    services: &Services,
    peer: &Peer,
    client: &Client,
    outcomes: &[(StoredOutbound, ForwardOutcome)],
) {
    let mut seen = BTreeSet::new();
    for (row, outcome) in outcomes {
        let (Some(user), ForwardOutcome::Stale { to_head }) = (row.outbound.receiver, outcome)
        else {
            continue;
        };
        if !seen.insert(user) {
            continue;
        }
        let known = services.foreigner(user).await;
        if known.is_ok_and(|known| known.is_some_and(|known| known.head.seq >= to_head.seq)) {
            continue;
        }
        let asker = Some(row.outbound.sender);
        if let Err(error) = copy::fetch(services, peer, client, user, asker).await {
            tracing::debug!(peer = %peer.name, %user, %error, "a chain that has gone on was not fetched");
        }
    }
}

#[cfg(test)]
mod tests;
