//! Looks for a homeserver wherever it may be, for an administrator who wants to know what comes of each place.

use futures::future::join_all;
use rookery_protocol::{
    io::{CloseReason, client::CONNECT_PATIENCE},
    name::ServerName,
    request::discovery::{Candidate, FoundPeer},
};

use super::reach::{attempt, explain};
use crate::service::{
    Services,
    peer::{
        Peer,
        discovery::{
            self, Asker,
            rule::{self, RANKS},
        },
    },
};

/// Tries all places at once, as if nothing had been looked up before.
pub async fn find(services: &Services, name: &ServerName) -> FoundPeer {
    let peer = services.peers.named(name);
    let peer = peer.as_deref();
    services.discovery.forget(name);
    let owner = if name.is_domain() {
        discovery::owner(services, name, Asker::Own).await
    } else {
        Err(discovery::Unfound::Nothing(format!(
            "{name} is a name of a local network, which nobody vouches for"
        )))
    };
    let ranks = RANKS.map(|rank| async move {
        let heard = discovery::hear(services, name, peer, rank).await;
        let tried = heard.candidates.iter().map(|place| tried(services, name, peer, place));
        let mut rows = join_all(tried).await;
        if rows.is_empty() {
            let outcome = heard.remark.unwrap_or_default();
            rows.push(Candidate { rank, place: None, is_good: false, outcome });
        }
        rows
    });
    let candidates = join_all(ranks).await.into_iter().flatten().collect();
    let pinned = peer.and_then(|peer| peer.stored().root);
    match owner {
        Ok(owner) => FoundPeer {
            candidates,
            pinned,
            owner: Some(owner.record.root.server_id()),
            by: Some(owner.by),
            reason: None,
        },
        Err(unfound) => FoundPeer {
            candidates,
            pinned,
            owner: None,
            by: None,
            reason: Some(unfound.to_string()),
        },
    }
}

/// A peer proves the pinned root; who is none shows a record under a certificate for its name.
async fn tried(
    services: &Services,
    name: &ServerName,
    peer: Option<&Peer>,
    candidate: &rule::Candidate,
) -> Candidate {
    let (rank, place) = (candidate.rank, Some(candidate.place.clone()));
    let pinned = peer.filter(|peer| peer.stored().root.is_some());
    let outcome = match pinned {
        Some(peer) => match attempt(services, peer, candidate, CONNECT_PATIENCE).await {
            Ok((client, _)) => {
                let remote = client.connection().remote();
                client.connection().close(CloseReason::Done);
                Ok(format!("reached at {remote}, and proven"))
            }
            Err(error) => Err(explain(&error)),
        },
        None => match discovery::show(services, name, candidate).await {
            Ok(record) => Ok(format!("shows the root key {}", record.root.server_id())),
            Err(unfound) => Err(unfound.to_string()),
        },
    };
    let is_good = outcome.is_ok();
    Candidate { rank, place, is_good, outcome: outcome.unwrap_or_else(|why| why) }
}
