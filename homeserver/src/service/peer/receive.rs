//! What a peer hands over: checked, stored, and only then acknowledged.

use std::{collections::HashMap, sync::Arc};

use rookery_protocol::{
    id::{ServerId, UserId},
    request::{
        Failure, Refusal,
        contact::Standing,
        message::SendError,
        peer::{
            ForwardOutcome, ForwardOutcomes, Forwarded, ForwardedContent, ForwardedMessage,
            PeerForward,
        },
    },
};
use tokio::sync::oneshot;

use super::{
    Peer, Services, answer, contact,
    copy::{self, CopyError, Foreigner},
    share,
    standing::{self, Known},
};
use crate::{
    repository::StorageError,
    service::{
        chain::WritesAs,
        limit::{Bucket, Subject},
        message::{self, Answer, Lane, Origin},
        seat::Seat,
    },
};

/// How much is handed over at once.
const MAX_ITEMS: usize = 256;
/// When to come again after what passes by itself, in milliseconds.
const SOON: u64 = 2_000;
/// When to come again while a mailbox is full.
const FULL: u64 = 60_000;

/// Takes in what a peer hands over, in order, and says what became of each.
pub async fn forward(
    services: &Services,
    seat: &Seat,
    root: ServerId,
    request: PeerForward,
) -> Result<ForwardOutcomes, Refusal> {
    let peer = answer::peer_of(services, root)?;
    if request.items.len() > MAX_ITEMS {
        return Err(Refusal::Malformed);
    }
    let mut taking = Taking {
        services,
        seat,
        peer: &peer,
        root,
        known: HashMap::new(),
        lanes: HashMap::new(),
        pending: vec![],
        outcomes: vec![],
    };
    for item in request.items {
        taking.take(item).await;
    }
    taking.settle().await;
    let outcomes = taking.outcomes;
    for outcome in &outcomes {
        let word = word(outcome);
        let peer = peer.name.to_string();
        metrics::counter!("rookery_peer_received_total", "peer" => peer, "outcome" => word)
            .increment(1);
    }
    Ok(ForwardOutcomes { outcomes })
}

/// The word for an outcome in measurements.
pub(super) const fn word(outcome: &ForwardOutcome) -> &'static str {
    match outcome {
        ForwardOutcome::Taken { .. } => "taken",
        ForwardOutcome::Stale { .. } => "stale",
        ForwardOutcome::NotFound => "not_found",
        ForwardOutcome::Refused { .. } => "refused",
        ForwardOutcome::Later { .. } => "later",
        ForwardOutcome::Behind => "behind",
    }
}

fn later(retry_after_ms: u64, reason: &str) -> ForwardOutcome {
    ForwardOutcome::Later { retry_after_ms, reason: reason.to_owned() }
}

fn refused(reason: &str) -> ForwardOutcome {
    ForwardOutcome::Refused { reason: reason.to_owned() }
}

/// What somebody is told for whom the database failed.
fn failed(error: &StorageError) -> ForwardOutcome {
    later(SOON, &super::super::refusal(error).to_string())
}

/// One request's items, as they are taken in.
struct Taking<'s> {
    services: &'s Services,
    seat: &'s Seat,
    peer: &'s Peer,
    root: ServerId,
    /// The senders, each looked at once.
    known: HashMap<UserId, Result<Arc<Foreigner>, ForwardOutcome>>,
    lanes: HashMap<Vec<u8>, Arc<Lane>>,
    /// What waits for its unit of work: places among the outcomes.
    pending: Vec<(usize, Arc<Lane>, oneshot::Receiver<Answer>)>,
    outcomes: Vec<ForwardOutcome>,
}

impl Taking<'_> {
    async fn take(&mut self, item: Forwarded) {
        let receiver = match &item.content {
            ForwardedContent::Message(message) => message.to.as_bytes().to_vec(),
            ForwardedContent::Contact(contact) => contact.to.as_str().as_bytes().to_vec(),
        };
        let lane = [&item.from.as_bytes()[..], &receiver].concat();
        let lane = Arc::clone(self.lanes.entry(lane).or_default());
        if lane.is_blocked() {
            self.outcomes.push(ForwardOutcome::Behind);
            return;
        }
        let class = Bucket::Class(rookery_protocol::request::RateClass::PeerForward);
        let charged = self.services.limiter.take(class, &Subject::Peer(self.root));
        let charged = charged.and_then(|()| {
            let share = share::take_sender(self.services, self.peer, item.from);
            share.map_err(|retry_after_ms| Refusal::Throttled { retry_after_ms })
        });
        let outcome = match charged {
            Err(Refusal::Throttled { retry_after_ms }) => {
                Some(later(retry_after_ms, "that server takes no more from yours for now"))
            }
            Err(refusal) => Some(later(SOON, &refusal.to_string())),
            Ok(()) => {
                let (from, id) = (item.from, item.id);
                match self.take_item(item, &lane).await {
                    Some(outcome) => Some(self.unless_known(from, id, outcome).await),
                    None => None,
                }
            }
        };
        let Some(outcome) = outcome else { return };
        if matches!(outcome, ForwardOutcome::Later { .. }) {
            lane.block();
        }
        self.outcomes.push(outcome);
    }

    /// The outcome, or the first one, if the thing was taken before: the world may have become another since.
    async fn unless_known(
        &self,
        from: UserId,
        id: rookery_protocol::id::ItemId,
        outcome: ForwardOutcome,
    ) -> ForwardOutcome {
        if matches!(outcome, ForwardOutcome::Taken { .. } | ForwardOutcome::Later { .. }) {
            return outcome;
        }
        // Only of this peer's users is anything told.
        if !matches!(self.known.get(&from), Some(Ok(_))) {
            return outcome;
        }
        let known = match self.services.storage.read().await {
            Ok(mut view) => view.deposited(from, id).await,
            Err(error) => Err(error),
        };
        match known {
            Ok(Some(at)) => ForwardOutcome::Taken { at },
            Ok(None) => outcome,
            Err(error) => failed(&error),
        }
    }

    /// Takes one item in; nothing when its outcome is still to come.
    async fn take_item(&mut self, item: Forwarded, lane: &Arc<Lane>) -> Option<ForwardOutcome> {
        let head = match &item.content {
            ForwardedContent::Message(message) => Some(message.own_head),
            ForwardedContent::Contact(_) => None,
        };
        let foreigner = match self.sender(item.from, head).await {
            Ok(foreigner) => foreigner,
            Err(outcome) => return Some(outcome),
        };
        if let Err(error) = copy::note_name(self.services, self.peer, &foreigner, &item.name).await
        {
            return Some(failed(&error));
        }
        match item.content {
            ForwardedContent::Message(message) => {
                let handed = self.hand_in(&item.name, item.id, &foreigner, message, lane).await;
                match handed {
                    Ok(answered) => {
                        self.pending.push((self.outcomes.len(), Arc::clone(lane), answered));
                        // In its place, until it is known.
                        self.outcomes.push(ForwardOutcome::Behind);
                        None
                    }
                    Err(outcome) => Some(outcome),
                }
            }
            ForwardedContent::Contact(request) => {
                // What was handed over before it is judged before it.
                self.settle().await;
                if let Err(retry_after_ms) = share::take_contact(self.services, self.peer) {
                    let reason = "too many of your server's people change their contacts";
                    return Some(later(retry_after_ms, reason));
                }
                let address = contact::address_of(&self.peer.name, &item.name);
                let (peer, who) = ((self.peer, self.root), (&*foreigner, &address));
                let taken = contact::take(self.services, peer, who, item.id, &request).await;
                Some(taken.unwrap_or_else(|error| failed(&error)))
            }
        }
    }

    /// The sender, whose chain begins at the peer and reaches to `head`.
    async fn sender(
        &mut self,
        user: UserId,
        head: Option<rookery_protocol::chain::HeadRef>,
    ) -> Result<Arc<Foreigner>, ForwardOutcome> {
        let is_enough = |known: &Arc<Foreigner>| head.is_none_or(|head| known.head.seq >= head.seq);
        match self.known.get(&user) {
            Some(Ok(known)) if is_enough(known) => return Ok(Arc::clone(known)),
            Some(Err(outcome)) => return Err(outcome.clone()),
            _ => {}
        }
        let Some(side) = self.seat.peer_side() else { return Err(refused("no peer's connection")) };
        let reached = copy::reach(self.services, self.peer, &side.client, user, head).await;
        let known = reached.map_err(|error| match error {
            CopyError::Storage(error) => failed(&error),
            CopyError::Unreachable(_) => later(SOON, "the sender's chain could not be fetched"),
            CopyError::Throttled { retry_after_ms } => {
                later(retry_after_ms, "too many of your server's people are new here for now")
            }
            CopyError::NotTheirs => {
                metrics::counter!("rookery_peer_refused_total", "reason" => "other server's user")
                    .increment(1);
                tracing::warn!(peer = %self.peer.name, %user, "the peer spoke for a user who is not its own");
                refused("the sender is not a user of that server")
            }
            error => refused(&error.to_string()),
        });
        self.known.insert(user, known.clone());
        known
    }

    /// Checks a message as far as it can be checked by itself, and hands it in for the next unit of work.
    async fn hand_in(
        &self,
        name: &rookery_protocol::name::UserName,
        id: rookery_protocol::id::ItemId,
        foreigner: &Arc<Foreigner>,
        message: ForwardedMessage,
        lane: &Arc<Lane>,
    ) -> Result<oneshot::Receiver<Answer>, ForwardOutcome> {
        let user = foreigner.stored.user;
        if !foreigner.live.contains(&message.device) {
            return Err(refused("the sending device is not live in its user's chain"));
        }
        let from = (user, message.device);
        let letters = message::check_envelopes(from, id, &[message.to], &message.envelopes)
            .map_err(refused)?;
        let services = self.services;
        let to = services.resident(message.to).await.map_err(|error| failed(&error))?;
        let to = to.ok_or(ForwardOutcome::NotFound)?;
        let writes = services.may_write(user, &to).await.map_err(|error| failed(&error))?;
        if writes == Some(WritesAs::NewStranger) {
            self.admit_stranger(name, id, foreigner, to.user).await?;
        }
        let (foreigner, name) = (Arc::clone(foreigner), name.clone());
        let from = Origin::Peer { foreigner, name, lane: Arc::clone(lane) };
        message::hand_in(services, from, (message.to, message.to_head), id, letters)
            .await
            .map_err(|refusal| later(SOON, &refusal.to_string()))
    }

    /// Whether somebody may write who has not written before.
    async fn admit_stranger(
        &self,
        name: &rookery_protocol::name::UserName,
        id: rookery_protocol::id::ItemId,
        foreigner: &Foreigner,
        to: UserId,
    ) -> Result<(), ForwardOutcome> {
        let storage = |error| failed(&error);
        let address = contact::address_of(&self.peer.name, name);
        let mut view = self.services.storage.read().await.map_err(storage)?;
        let user = foreigner.stored.user;
        match standing::known_as(&mut *view, to, user, &address).await.map_err(storage)? {
            Known::Blocked => return Err(ForwardOutcome::NotFound),
            Known::Another => return Err(refused(standing::ANOTHER)),
            // A block by name, from before it was known who bears it.
            Known::Row(Some(row)) if row.standing == Standing::Blocked => {
                drop(view);
                standing::bind(self.services, row, user).await.map_err(storage)?;
                return Err(ForwardOutcome::NotFound);
            }
            Known::Row(_) => {}
        }
        // What is known already costs nothing.
        let known = view.deposited(foreigner.stored.user, id).await.map_err(storage)?;
        drop(view);
        if let Some(at) = known {
            return Err(ForwardOutcome::Taken { at });
        }
        let taken = self.services.limiter.take(Bucket::PeerStrangers, &Subject::Peer(self.root));
        taken.map_err(|refusal| match refusal {
            Refusal::Throttled { retry_after_ms } => {
                later(retry_after_ms, "too many of your server's people write for the first time")
            }
            refusal => later(SOON, &refusal.to_string()),
        })
    }

    /// Waits for what was handed in.
    async fn settle(&mut self) {
        for (place, lane, answered) in std::mem::take(&mut self.pending) {
            let answer = answered.await.unwrap_or(Err(Refusal::Unavailable.into()));
            let outcome = outcome_of(answer, &lane);
            if let Some(known) = self.outcomes.get_mut(place) {
                *known = outcome;
            }
        }
    }
}

/// What became of a message, for the peer.
fn outcome_of(answer: Answer, lane: &Lane) -> ForwardOutcome {
    let outcome = match answer {
        Ok(sent) => ForwardOutcome::Taken { at: sent.at },
        Err(Failure::Error(error)) => match error {
            SendError::Stale { to_head, .. } => ForwardOutcome::Stale { to_head },
            SendError::NotFound | SendError::UnknownServer => ForwardOutcome::NotFound,
            SendError::Refused { reason } => ForwardOutcome::Refused { reason },
            SendError::MailboxFull { .. } | SendError::QueueFull { .. } => {
                later(FULL, "the receiver's mailbox is full")
            }
        },
        Err(Failure::Refused(Refusal::Throttled { retry_after_ms })) => {
            later(retry_after_ms, "too many messages")
        }
        Err(Failure::Refused(refusal)) => later(SOON, &refusal.to_string()),
    };
    // What was written later than something that has to be sealed again waits for that.
    if matches!(outcome, ForwardOutcome::Later { .. } | ForwardOutcome::Stale { .. }) {
        lane.block();
    }
    outcome
}
