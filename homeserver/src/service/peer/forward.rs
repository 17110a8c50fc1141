//! Handing over what must arrive: from the queue in the database, in order, until the peer has said what became of each.
//!
//! One batch is under way at a time. What is handed over stays in the queue until the peer's answer is here and written down, so that a kill of
//! either side at any moment loses nothing; what is handed over twice has one id and is taken once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rookery_protocol::{
    codec::{self, MAX_BATCH},
    id::{DeviceId, Digest},
    io::client::Client,
    request::{
        message::Returned,
        peer::{ForwardOutcome, Forwarded, ForwardedContent, PeerForward},
    },
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

use super::{Peer, Services, copy, outstanding, receive, standing};
use crate::repository::{Limit, StorageError, outstanding::Recalled, peer::StoredOutbound};

/// How many characters of a peer's reason are kept.
const MAX_REASON: usize = 200;
/// How long what the peer takes only behind something else waits, when it does not say for what.
const BEHIND: Duration = Duration::from_secs(2);
/// How much goes in one batch: as many as the peer takes, and no more bytes than fit into one request beside their frame. One item alone
/// is below 500 KiB.
const BATCH: Limit = Limit { rows: 256, bytes: 400 * 1024 };
/// How often the heads of copies are compared: what any failure detector misses is found then.
const COMPARE: Duration = Duration::from_mins(1);
/// How long nothing may be asked before the peer is asked whether it is there: one that was killed says nothing.
const QUIET: Duration = Duration::from_secs(10);
/// The wait after the database could not be used.
const RETRY: Duration = Duration::from_secs(1);

/// Why handing over ended.
#[derive(Debug)]
pub enum Ended {
    /// The connection is gone, or the peer does not answer on it.
    Lost(String),
    /// The peer has made another connection.
    Replaced,
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

/// Hands over what waits for `peer`, and keeps copies of its users up to date, for as long as the connection lasts.
pub async fn run(
    services: &Services,
    peer: &Peer,
    client: &Client,
    drain: &CancellationToken,
) -> Outcome {
    let mut compare_at = tokio::time::Instant::now();
    let mut is_proven = false;
    let mut better = std::pin::pin!(client.until_quic_works());
    loop {
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
            () = &mut better => Ended::Lost("it can be reached in a better way".to_owned()),
            () = peer.arrived.notified() => Ended::Replaced,
            () = peer.changed.notified() => Ended::Changed,
            () = peer.end.cancelled() => Ended::Stopped,
            () = drain.cancelled() => Ended::Stopped,
        };
        return Outcome { ended, is_proven };
    }
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

/// What became of what was handed over.
type Outcomes = Vec<(StoredOutbound, ForwardOutcome)>;

/// Writes down what became of a batch. What has to be sealed again takes along whatever of its lane stands behind it: sealed again, both go
/// in their order.
async fn write(
    services: &Services,
    peer: &Peer,
    outcomes: Outcomes,
) -> Result<(Outcomes, Vec<(Recalled, Returned)>), StorageError> {
    let (outcomes, stale) = in_order(outcomes);
    // Whoever is judged to overtake nothing is judged before or after, never in between.
    let turn = if stale.is_empty() { None } else { Some(services.order.lock().await) };
    let now = services.clock.now();
    let mut unit = services.storage.begin().await?;
    let (mut settled, mut senders) = (vec![], BTreeSet::new());
    let mut delayed: BTreeSet<Digest> = BTreeSet::new();
    for (row, outcome) in &outcomes {
        let lane = row.outbound.lane;
        match (fate(outcome), outcome) {
            (Fate::Back(returned), _) if row.outbound.device.is_some() => {
                unit.return_outbound(&peer.name, row.number, &returned).await?;
            }
            (Fate::Back(_) | Fate::Arrived, _) => {
                settled.push(row.number);
                if row.outbound.device.is_none() {
                    senders.insert(row.outbound.sender);
                }
            }
            (Fate::Waits, ForwardOutcome::Later { retry_after_ms, reason }) => {
                let wait = Duration::from_millis((*retry_after_ms).clamp(100, 3_600_000));
                unit.delay_lane(&peer.name, lane, now.plus(wait), reason).await?;
                delayed.insert(lane);
            }
            (Fate::Waits, _) if delayed.insert(lane) => {
                let reason = "it waits for something that was sent before it";
                unit.delay_lane(&peer.name, lane, now.plus(BEHIND), reason).await?;
            }
            (Fate::Waits, _) => {}
        }
    }
    unit.settle_outbound(&peer.name, &settled).await?;
    let mut recalled = vec![];
    for (lane, (number, returned)) in &stale {
        let behind = unit.return_lane(&peer.name, *lane, *number, returned).await?;
        recalled.extend(behind.into_iter().map(|one| (one, returned.clone())));
    }
    // With the last word to somebody there, their server has read enough.
    for sender in senders {
        standing::close(&mut *unit, &peer.name, sender).await?;
    }
    unit.commit().await?;
    drop(turn);
    for (row, _) in outcomes.iter().filter(|(_, outcome)| !matches!(fate(outcome), Fate::Waits)) {
        peer.note_gone(row.outbound.content.len());
    }
    for (one, _) in &recalled {
        peer.note_gone(usize::try_from(one.size).unwrap_or(usize::MAX));
    }
    Ok((outcomes, recalled))
}

/// The outcomes, with those that wait behind something stale of their lane made as stale; and the first such place of each lane.
fn in_order(outcomes: Outcomes) -> (Outcomes, BTreeMap<Digest, (u64, Returned)>) {
    let mut stale: BTreeMap<Digest, (u64, Returned)> = BTreeMap::new();
    let mut ordered = Vec::with_capacity(outcomes.len());
    for (row, outcome) in outcomes {
        let before = stale.get(&row.outbound.lane);
        let outcome = match (before, &outcome) {
            (
                Some((_, Returned::Stale { to_head })),
                ForwardOutcome::Behind | ForwardOutcome::Later { .. },
            ) => ForwardOutcome::Stale { to_head: *to_head },
            _ => outcome,
        };
        if let (None, ForwardOutcome::Stale { to_head }) = (before, &outcome) {
            let returned = Returned::Stale { to_head: *to_head };
            stale.insert(row.outbound.lane, (row.number, returned));
        }
        ordered.push((row, outcome));
    }
    (ordered, stale)
}

/// Tells who waits for it what became of a batch.
fn tell(services: &Services, peer: &Peer, outcomes: &Outcomes, recalled: &[(Recalled, Returned)]) {
    let mut devices: BTreeSet<DeviceId> = BTreeSet::new();
    for (row, outcome) in outcomes {
        let counted = ("peer", peer.name.to_string());
        metrics::counter!(
            "rookery_peer_forwarded_total",
            &[counted, ("outcome", receive::word(outcome).to_owned())]
        )
        .increment(1);
        let (sender, item) = (row.outbound.sender, row.outbound.item);
        match fate(outcome) {
            Fate::Arrived => peer.tell(sender, item, None),
            Fate::Back(returned) => peer.tell(sender, item, Some(&returned)),
            Fate::Waits => {}
        }
        devices.extend(row.outbound.device);
    }
    for (one, returned) in recalled {
        peer.tell(one.sender, one.item, Some(returned));
        devices.insert(one.device);
    }
    for device in devices {
        outstanding::tell(services, device);
    }
}

/// An outcome whose reason is short, and one line: a peer's words are kept for each row, and shown to people.
fn curbed(outcome: ForwardOutcome) -> ForwardOutcome {
    let short = |reason: String| {
        reason.chars().filter(|letter| !letter.is_control()).take(MAX_REASON).collect()
    };
    match outcome {
        ForwardOutcome::Refused { reason } => ForwardOutcome::Refused { reason: short(reason) },
        ForwardOutcome::Later { retry_after_ms, reason } => {
            ForwardOutcome::Later { retry_after_ms, reason: short(reason) }
        }
        other => other,
    }
}

/// What an outcome is to the sender.
enum Fate {
    /// It waits.
    Waits,
    /// It has arrived.
    Arrived,
    /// It came back.
    Back(Returned),
}

fn fate(outcome: &ForwardOutcome) -> Fate {
    match outcome {
        ForwardOutcome::Taken { .. } => Fate::Arrived,
        ForwardOutcome::Stale { to_head } => Fate::Back(Returned::Stale { to_head: *to_head }),
        ForwardOutcome::NotFound => Fate::Back(Returned::NotFound),
        ForwardOutcome::Refused { reason } => {
            Fate::Back(Returned::Refused { reason: reason.clone() })
        }
        ForwardOutcome::Later { .. } | ForwardOutcome::Behind => Fate::Waits,
    }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        chain::HeadRef,
        id::{ItemId, UserId},
    };

    use super::*;
    use crate::{
        repository::peer::Outbound,
        service::{peer::tests::with_garden, testing::item},
    };

    fn sent(number: u32) -> Outbound {
        Outbound {
            sender: UserId::from_bytes([1; 32]),
            device: Some(DeviceId::from_bytes([1; 32])),
            item: item(number),
            receiver: Some(UserId::from_bytes([9; 32])),
            lane: Digest::from_bytes([1; 32]),
            at: Timestamp::from_millis(1),
            content: vec![7; 10],
        }
    }

    async fn due(services: &Services, peer: &Peer) -> Vec<StoredOutbound> {
        let mut view = services.storage.read().await.unwrap();
        view.outbound_due(&peer.name, services.clock.now(), BATCH).await.unwrap()
    }

    async fn queue(services: &Services, peer: &Peer, items: &[Outbound]) {
        let mut unit = services.storage.begin().await.unwrap();
        unit.put_outbound(&peer.name, items).await.unwrap();
        unit.commit().await.unwrap();
    }

    #[tokio::test]
    async fn nothing_overtakes_what_has_to_be_sealed_again() {
        let (bench, peer) = with_garden(&[]).await;
        let services = &bench.services;
        let apart = Outbound { lane: Digest::from_bytes([2; 32]), ..sent(4) };
        queue(services, &peer, &[sent(1), sent(2), sent(3), apart]).await;
        let first = due(services, &peer).await.remove(0);
        let to_head = HeadRef { seq: 1, hash: Digest::from_bytes([3; 32]) };
        write(services, &peer, vec![(first, ForwardOutcome::Stale { to_head })]).await.unwrap();
        let left: Vec<ItemId> =
            due(services, &peer).await.into_iter().map(|row| row.outbound.item).collect();
        assert_eq!(left, [item(4)], "what was written later goes on without it");
        let mut view = services.storage.read().await.unwrap();
        for number in 1..4 {
            let row = view.outbound_item(sent(1).sender, item(number)).await.unwrap().unwrap();
            assert_eq!(row.returned, Some(Returned::Stale { to_head }), "{number}");
        }
    }

    #[tokio::test]
    async fn a_peer_that_is_always_behind_is_asked_now_and_then() {
        let (bench, peer) = with_garden(&[]).await;
        let services = &bench.services;
        queue(services, &peer, &[sent(1), sent(2)]).await;
        let rows = due(services, &peer).await;
        let behind = rows.into_iter().map(|row| (row, ForwardOutcome::Behind)).collect();
        write(services, &peer, behind).await.unwrap();
        assert!(due(services, &peer).await.is_empty(), "it is asked again at once");
        bench.clock.advance(Duration::from_mins(1));
        assert_eq!(due(services, &peer).await.len(), 2);
    }

    #[test]
    fn a_peer_s_reason_is_cut_and_cannot_drive_a_terminal() {
        let reason = format!("\u{1b}]0;x\u{7}no{}", "o".repeat(1_000_000));
        let ForwardOutcome::Refused { reason } = curbed(ForwardOutcome::Refused { reason }) else {
            panic!("it became something else");
        };
        assert!(reason.starts_with("]0;xnooo") && reason.chars().count() == MAX_REASON);
        assert_eq!(curbed(ForwardOutcome::Behind), ForwardOutcome::Behind);
    }
}
