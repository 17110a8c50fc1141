//! What one peer may cost: how many of its users are copied, how often, and what each of them may hand over.
//!
//! A commit is made under [`Services::order`], which everybody's messages wait for. So whatever a peer can have written down here by mere
//! asking comes out of a bucket of its own, and what it can have kept has an end.

use rookery_protocol::{id::UserId, request::Refusal};

use super::{Peer, Services};
use crate::{
    repository::StorageError,
    service::limit::{Bucket, Subject},
};

/// When to come again while as many users are copied as may be, in milliseconds: an hour.
const FULL: u64 = 3_600_000;
/// When to come again where no bucket says so, in milliseconds.
const SOON: u64 = 2_000;

/// When to come again, in milliseconds.
pub(super) type RetryAfter = u64;

fn take(
    services: &Services,
    peer: &Peer,
    bucket: Bucket,
    subject: &Subject,
) -> Result<(), RetryAfter> {
    services.limiter.take(bucket, subject).map_err(|refusal| {
        count(peer, &format!("{bucket:?}"));
        match refusal {
            Refusal::Throttled { retry_after_ms } => retry_after_ms,
            _ => SOON,
        }
    })
}

/// Counts that a peer was told to come again later.
fn count(peer: &Peer, what: &str) {
    let labels = [("peer", peer.name.to_string()), ("what", what.to_owned())];
    metrics::counter!("rookery_peer_throttled_total", &labels).increment(1);
}

/// By what a peer is counted: its root, or for one that has none yet nothing that anybody else has.
fn subject(peer: &Peer) -> Option<Subject> {
    peer.stored().root.map(Subject::Peer)
}

/// Whether something of a user of the peer may be written down here: one commit.
pub(super) fn take_copy(services: &Services, peer: &Peer) -> Result<(), RetryAfter> {
    let Some(subject) = subject(peer) else { return Err(SOON) };
    take(services, peer, Bucket::PeerCopies, &subject)
}

/// Whether one more user may be copied that the peer shows.
pub(super) async fn admit_foreigner(
    services: &Services,
    peer: &Peer,
) -> Result<Result<(), RetryAfter>, StorageError> {
    Ok(if room_for_foreigners(services, peer).await? > 0 { Ok(()) } else { Err(FULL) })
}

/// How many more users may be copied that the peer shows, wherever they say to live: who has us store somebody is charged for it, or a peer
/// could use up another's room by inventing its users.
pub(super) async fn room_for_foreigners(
    services: &Services,
    peer: &Peer,
) -> Result<u64, StorageError> {
    let known = services.storage.read().await?.foreigner_count(&peer.name).await?;
    let room = services.config.peer_foreigners.saturating_sub(known);
    if room == 0 {
        count(peer, "Foreigners");
    }
    Ok(room)
}

/// Whether a user of the peer may hand over one more thing: none of them takes what is the others'.
pub(super) fn take_sender(
    services: &Services,
    peer: &Peer,
    sender: UserId,
) -> Result<(), RetryAfter> {
    take(services, peer, Bucket::PeerSender, &Subject::User(sender))
}

/// Whether people of the peer may change one more contact here.
pub(super) fn take_contact(services: &Services, peer: &Peer) -> Result<(), RetryAfter> {
    let Some(subject) = subject(peer) else { return Err(SOON) };
    take(services, peer, Bucket::PeerContacts, &subject)
}
