//! What became of a batch: written down, and told to who waits for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rookery_protocol::{
    id::{DeviceId, Digest},
    request::{message::Returned, peer::ForwardOutcome},
};

use super::super::{Peer, Services, outstanding, receive, standing};
use crate::repository::{StorageError, outstanding::Recalled, peer::StoredOutbound};

/// How long what the peer takes only behind something else waits, when it does not say for what.
const BEHIND: Duration = Duration::from_secs(2);
/// How many characters of a peer's reason are kept.
pub(super) const MAX_REASON: usize = 200;
/// What became of what was handed over.
pub(super) type Outcomes = Vec<(StoredOutbound, ForwardOutcome)>;

/// Writes down what became of a batch. What has to be sealed again takes along whatever of its lane stands behind it: sealed again, both go
/// in their order.
pub(super) async fn write(
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
pub(super) fn in_order(outcomes: Outcomes) -> (Outcomes, BTreeMap<Digest, (u64, Returned)>) {
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
pub(super) fn tell(
    services: &Services,
    peer: &Peer,
    outcomes: &Outcomes,
    recalled: &[(Recalled, Returned)],
) {
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

/// A peer's words, as they are kept and shown to people: short, and one line.
pub(in super::super) fn short(words: &str) -> String {
    words.chars().filter(|letter| !letter.is_control()).take(MAX_REASON).collect()
}

/// An outcome whose reason is short: it is kept for each row.
pub(super) fn curbed(outcome: ForwardOutcome) -> ForwardOutcome {
    match outcome {
        ForwardOutcome::Refused { reason } => ForwardOutcome::Refused { reason: short(&reason) },
        ForwardOutcome::Later { retry_after_ms, reason } => {
            ForwardOutcome::Later { retry_after_ms, reason: short(&reason) }
        }
        other => other,
    }
}

/// What an outcome is to the sender.
pub(super) enum Fate {
    /// It waits.
    Waits,
    /// It has arrived.
    Arrived,
    /// It came back.
    Back(Returned),
}

pub(super) fn fate(outcome: &ForwardOutcome) -> Fate {
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
