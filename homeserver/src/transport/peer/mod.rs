//! Connections with other homeservers: one task a peer dials, proves, and keeps; both sides ask over it.

pub mod find;
mod pauses;
mod reach;

use std::{collections::HashSet, sync::Arc, time::Duration};

use rookery_protocol::{
    io::{CloseReason, client::Client, draw},
    request::Refusal,
};

use self::pauses::{Distance, Pauses, Wait};
pub use self::reach::{DialError, explain, reach};
use super::{Router, listener};
use crate::{
    lifecycle::Lifecycle,
    service::{
        Services,
        peer::{
            Link, Peer, discovery,
            forward::{self, Ended},
            handshake, people, place, regain, stranger,
        },
        seat::PeerSide,
    },
};

/// How long a connection is kept that another one has replaced: longer than any request that is under way on it.
const RETIRED: Duration = Duration::from_secs(35);

/// Keeps a task for each peer, until the lifecycle drains.
pub async fn run(router: Arc<Router>, lifecycle: Lifecycle) {
    let mut kept = HashSet::new();
    loop {
        for peer in router.services().peers.all() {
            if kept.insert(peer.number) {
                let (router, lifecycle) = (Arc::clone(&router), lifecycle.clone());
                lifecycle.tasks.clone().spawn(keep(peer, router, lifecycle));
            }
        }
        tokio::select! {
            () = router.services().peers.added.notified() => {}
            () = lifecycle.drain.cancelled() => return,
        }
    }
}

/// Keeps the connection with one peer until it is removed.
async fn keep(peer: Arc<Peer>, router: Arc<Router>, lifecycle: Lifecycle) {
    attend(&peer, &router, &lifecycle).await;
    // When all ends, nobody is left to be told.
    if !lifecycle.drain.is_cancelled() {
        people::lose(router.services(), &peer);
    }
}

async fn attend(peer: &Arc<Peer>, router: &Arc<Router>, lifecycle: &Lifecycle) {
    let services = Arc::clone(router.services());
    let mut pauses = Pauses::new();
    // A connection whose proofs are old: it is used until there is the next.
    let mut aged: Option<Client> = None;
    loop {
        let now = services.clock.now();
        if lifecycle.drain.is_cancelled() || peer.end.is_cancelled() {
            return;
        }
        if !peer.is_wanted() {
            close(aged.take());
            peer.set_link(Link::Off, now);
            people::lose(&services, peer);
            tokio::select! {
                () = peer.changed.notified() => pauses.handle_sign_of_life(),
                () = peer.end.cancelled() => return,
                () = lifecycle.drain.cancelled() => return,
            }
            continue;
        }
        let found = tokio::select! {
            found = find(peer, router, lifecycle, pauses.wait(now)) => found,
            () = peer.changed.notified() => {
                pauses.handle_sign_of_life();
                continue;
            }
            () = peer.end.cancelled() => return,
            () = lifecycle.drain.cancelled() => return,
        };
        let now = services.clock.now();
        let client = match found {
            Ok(client) => client,
            Err(DialError::OtherRoot { found }) => {
                close(aged.take());
                if let Err(error) = handshake::quarantine(&services, peer, found).await {
                    tracing::warn!(peer = %peer.name, %error, "a quarantine was not written down");
                    pauses.handle_failure(Distance::Near, now, draw());
                }
                continue;
            }
            Err(error) => {
                if let Some(former) = aged.take() {
                    former.close();
                    people::lose(&services, peer);
                }
                metrics::counter!("rookery_peer_dial_failures_total", "peer" => peer.name.to_string())
                    .increment(1);
                peer.set_link(Link::Down(Some(explain(&error))), now);
                let distance = distance_of(&services, peer).await;
                pauses.handle_failure(distance, now, draw());
                continue;
            }
        };
        peer.set_link(Link::Up(client.clone()), now);
        if let Some(former) = aged.take() {
            let_go(&services, peer, former);
        }
        if let Err(error) = stranger::note_reached(&services, peer).await {
            tracing::warn!(peer = %peer.name, %error, "that the peer was reached was not written down");
        }
        if services.fence.is_closed()
            && let Err(reason) = take_back(&services, peer, &client).await
        {
            client.close();
            peer.set_link(Link::Down(Some(reason)), now);
            people::lose(&services, peer);
            pauses.handle_failure(Distance::Near, now, draw());
            continue;
        }
        let ended = serve(&services, peer, &client, lifecycle, &mut pauses).await;
        let now = services.clock.now();
        match ended {
            // The next connection is there already, or the row says what is next.
            Ended::Replaced => retire(&services, peer, client),
            Ended::Aged => aged = Some(client),
            Ended::Changed => {}
            Ended::Stopped => return,
            Ended::Lost(reason) => {
                client.close();
                // Of two that were made at once, one may be ended by the other side.
                if let Some(other) = peer.take_other() {
                    tracing::debug!(peer = %peer.name, reason, "another connection with the peer is used");
                    peer.keep_spare(other);
                    continue;
                }
                peer.set_link(Link::Down(Some(reason)), now);
                people::lose(&services, peer);
                pauses.handle_failure(Distance::Near, now, draw());
            }
        }
    }
}

/// Does all that is done with a peer over one connection, until that ends.
async fn serve(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    client: &Client,
    lifecycle: &Lifecycle,
    pauses: &mut Pauses,
) -> Ended {
    let made = tokio::time::Instant::now();
    loop {
        let outcome = tokio::select! {
            outcome = forward::run(services, peer, (client, made), &lifecycle.drain) => outcome,
            never = place::run(services, peer, client) => match never {},
            never = people::run(services, peer, client) => match never {},
        };
        if outcome.is_proven {
            pauses.handle_success();
        }
        match outcome.ended {
            // Whatever has changed, the connection serves.
            Ended::Changed if peer.is_wanted() && client.connection().lost().is_none() => {}
            ended => return ended,
        }
    }
}

fn close(client: Option<Client>) {
    if let Some(client) = client {
        client.close();
    }
}

/// What a peer is to this server that was not reached.
async fn distance_of(services: &Services, peer: &Peer) -> Distance {
    match stranger::is_idle(services, peer).await {
        Ok(true) => Distance::Far,
        Ok(false) => Distance::Near,
        Err(error) => {
            tracing::warn!(peer = %peer.name, %error, "whether anybody has to do with the peer was not looked up");
            Distance::Near
        }
    }
}

/// Asks the peer for what it has kept of what this server has lost, in a task of its own: what has been stored is to be told to who follows.
async fn take_back(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    client: &Client,
) -> Result<(), String> {
    let (services_, peer_, client) = (Arc::clone(services), Arc::clone(peer), client.clone());
    let task = services.tasks.spawn(async move { regain::run(&services_, &peer_, &client).await });
    task.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Keeps a connection for a while that another one has replaced: what is under way on it is finished, and it is used again if the other one ends.
fn retire(services: &Services, peer: &Arc<Peer>, client: Client) {
    peer.keep_spare(client.clone());
    let_go(services, peer, client);
}

/// Ends a connection that is not used any more when what is under way on it has had its time.
fn let_go(services: &Services, peer: &Arc<Peer>, client: Client) {
    let peer = Arc::clone(peer);
    services.tasks.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(RETIRED) => peer.retire(&client),
            _ = client.closed() => {}
            () = peer.end.cancelled() => {}
        }
    });
}

/// A connection with the peer: one that it has made, or one that is dialled after `wait`.
async fn find(
    peer: &Arc<Peer>,
    router: &Arc<Router>,
    lifecycle: &Lifecycle,
    wait: Wait,
) -> Result<Client, DialError> {
    let arrived = async {
        loop {
            if let Some(client) = peer.take_other() {
                return client;
            }
            peer.arrived.notified().await;
        }
    };
    let dialled = async {
        if !discovery::can_be_sought(router.services(), peer) {
            // It dials, or nobody does.
            std::future::pending::<()>().await;
        }
        wait.over(peer).await;
        dial(peer, router, lifecycle).await
    };
    tokio::select! {
        biased;
        client = arrived => Ok(client),
        dialled = dialled => dialled,
    }
}

/// Dials a peer, proves both sides, and serves what it asks over the same connection.
async fn dial(
    peer: &Arc<Peer>,
    router: &Arc<Router>,
    lifecycle: &Lifecycle,
) -> Result<Client, DialError> {
    let services = router.services();
    let (client, record) = reach(services, peer).await?;
    handshake::note_record(services, peer, &record).await?;
    let side = PeerSide::new(client.connection().peer_exporters(), client.clone());
    let address = client.connection().remote().ip();
    let Some(seat) = services.seats.sit_as(address, [0; 32], Some(side), None) else {
        client.connection().close(CloseReason::TooMany);
        return Err(DialError::Own(Refusal::Unavailable));
    };
    if !services.seats.raise_peer(&seat, record.root.server_id()) {
        services.seats.leave(&seat);
        client.close();
        return Err(DialError::Own(Refusal::Unavailable));
    }
    tracing::debug!(peer = %peer.name, "a connection was made, on which both have proven themselves");
    let connection = client.connection().clone();
    let (router, lifecycle) = (Arc::clone(router), Arc::new(lifecycle.clone()));
    lifecycle.tasks.clone().spawn(async move {
        listener::serve_seat(connection, seat, router, lifecycle).await;
    });
    Ok(client)
}
