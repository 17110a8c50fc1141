//! Messages into mailboxes: the hot path.
//!
//! A request is checked and encoded in its own task, and then joins what has gathered while the last commit was under way: one task judges
//! up to 1,024 messages at one moment, stores them in one unit of work, and answers them after its commit. So a disk that takes
//! milliseconds to sync carries thousands of messages a second, and the judgement, that the envelopes are for the live devices of both
//! sides and for nobody else, is made under [`Services::order`], where no device can be revoked in between. What was stored goes to
//! followers out of memory.

mod abroad;
mod batch;
mod judge;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
        message::{Purpose, SendError, SendMessage, Sent},
    },
    session::{Authenticated, Principal},
    time::Timestamp,
    version::SUITE,
};
use tokio::sync::{Notify, mpsc, oneshot};

pub use self::{abroad::Abroad, batch::store_all};
use super::{Services, peer::copy::Foreigner};
use crate::repository::mailbox::Letter;

/// How many messages one unit of work takes.
const BATCH: usize = 1024;
/// How many messages wait for the unit that is under way: four batches, so that a slow disk is felt as waiting, not as refusals.
const QUEUE: usize = 4 * BATCH;
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

/// A [`FollowDown::Envelope`](rookery_protocol::session::FollowDown::Envelope) around an envelope that is encoded already.
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
