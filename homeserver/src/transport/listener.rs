//! Connections from devices: one task a connection, one a stream, and bounds on all of it.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{
    codec::MAX_FRAME,
    io::{
        CloseReason, Connection, ConnectionLost, RecvStream, SendStream,
        client::{Client, Protocol},
        frame::FrameError,
        server::{Incoming, Listener},
    },
    request::{Refusal, Request as _, server::ServerInfo},
    session::{Follow, Principal},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::{Router, follow, router};
use crate::{
    lifecycle::Lifecycle,
    service::{
        limit::{Bucket, Subject},
        seat::{Ended, PeerSide, Seat},
    },
};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may prove nothing: a person who registers thinks of a password before, not after, connecting.
const ANONYMOUS: Duration = Duration::from_mins(2);
/// How long a connection between homeservers may prove nothing: both sides are programs.
const UNPROVEN: Duration = Duration::from_secs(10);
/// Requests that a homeserver may have under way before it has proven who it is: its greeting, and then its proof.
const UNPROVEN_STREAMS: usize = 1;
/// The same for a device, which may ask whether the server is there while that works on something else.
const ANONYMOUS_STREAMS: usize = 4;
/// How long one frame may take to arrive. A batch of 1 MiB takes that long at 300 kbit/s.
const FRAME: Duration = Duration::from_secs(30);
/// How long the last answers of a server that stops may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What the methods between homeservers begin with.
const PEERS: &str = "peer/";
/// The longest name of a method, with room.
const MAX_METHOD: usize = 64;

/// Takes connections until the lifecycle drains.
pub async fn serve(listener: Arc<Listener>, router: Arc<Router>, lifecycle: Lifecycle) {
    let half_open = router.services().config.limits.half_open;
    let most =
        half_open.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(Semaphore::MAX_PERMITS);
    let handshakes = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    // Cloning what is in it takes locks that all connections share.
    let shared = Arc::new(lifecycle.clone());
    loop {
        let incoming = tokio::select! {
            () = lifecycle.drain.cancelled() => return,
            incoming = listener.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        if let Some((incoming, handshake)) = admit(incoming, &router, &handshakes) {
            let (router, stop) = (Arc::clone(&router), Arc::clone(&shared));
            lifecycle.tasks.spawn(connection(incoming, handshake, router, stop));
        }
    }
}

/// Turns away whoever is one too many, before anything is spent on them.
fn admit(
    incoming: Incoming,
    router: &Router,
    handshakes: &Arc<Semaphore>,
) -> Option<(Incoming, OwnedSemaphorePermit)> {
    let services = router.services();
    let limits = &services.config.limits;
    let rejected = |reason: &'static str| {
        metrics::counter!("rookery_conn_rejected_total", "reason" => reason).increment(1);
    };
    let anonymous = services.seats.count().1;
    let handshake = Arc::clone(handshakes).try_acquire_owned();
    let handshake = handshake
        .ok()
        .filter(|_| limits.half_open.is_none_or(|limit| anonymous < u64::from(limit)));
    let Some(handshake) = handshake else {
        rejected("half_open");
        incoming.refuse();
        return None;
    };
    let subject = Subject::address(incoming.remote().ip());
    if !incoming.is_validated() && services.limiter.take(Bucket::Handshake, &subject).is_err() {
        rejected("retry");
        incoming.retry();
        return None;
    }
    Some((incoming, handshake))
}

/// One connection, from its handshake to its end.
async fn connection(
    incoming: Incoming,
    handshake: OwnedSemaphorePermit,
    router: Arc<Router>,
    lifecycle: Arc<Lifecycle>,
) {
    let begun = tokio::time::Instant::now();
    let Ok(Ok(connection)) = tokio::time::timeout(HANDSHAKE, incoming.establish()).await else {
        metrics::counter!("rookery_conn_rejected_total", "reason" => "handshake").increment(1);
        return;
    };
    metrics::histogram!("rookery_handshake_seconds").record(begun.elapsed().as_secs_f64());
    let services = Arc::clone(router.services());
    let address = connection.remote().ip();
    let side = (connection.protocol() == Protocol::Peer)
        .then(|| PeerSide::new(connection.peer_exporters(), Client::over(connection.clone())));
    let (exporter, limit) = (connection.exporter(), services.config.limits.connections_per_address);
    let Some(seat) = services.seats.sit_as(address, exporter, side, limit) else {
        metrics::counter!("rookery_conn_rejected_total", "reason" => "address").increment(1);
        connection.close(CloseReason::TooMany);
        return;
    };
    drop(handshake);
    serve_seat(connection, seat, router, lifecycle).await;
}

/// Serves what is asked on a connection that has its seat, until it ends.
pub(super) async fn serve_seat(
    connection: Connection,
    seat: Arc<Seat>,
    router: Arc<Router>,
    lifecycle: Arc<Lifecycle>,
) {
    let reason = carry(&connection, &seat, &router, &lifecycle).await;
    router.services().seats.leave(&seat);
    if let Some(reason) = reason {
        connection.close(reason);
    }
}

/// Carries streams until the connection ends; says why, if it ends here.
async fn carry(
    connection: &Connection,
    seat: &Arc<Seat>,
    router: &Arc<Router>,
    lifecycle: &Arc<Lifecycle>,
) -> Option<CloseReason> {
    let streams = TaskTracker::new();
    let raised = async {
        let patience = if seat.peer_side().is_some() { UNPROVEN } else { ANONYMOUS };
        if tokio::time::timeout(patience, seat.raised()).await.is_ok() {
            connection.trust();
            std::future::pending::<()>().await;
        }
    };
    // Registered once for the whole connection, not again for each of its requests.
    let mut raised = std::pin::pin!(raised);
    let mut ended = std::pin::pin!(seat.ended());
    let mut draining = std::pin::pin!(lifecycle.drain.cancelled());
    let few = if seat.peer_side().is_some() { UNPROVEN_STREAMS } else { ANONYMOUS_STREAMS };
    let few = Arc::new(Semaphore::new(few));
    loop {
        tokio::select! {
            (accepted, place) = next_stream(connection, seat, &few) => {
                let Ok((send, recv)) = accepted else { return None };
                let stream = Stream {
                    send,
                    recv,
                    seat: Arc::clone(seat),
                    router: Arc::clone(router),
                    lifecycle: Arc::clone(lifecycle),
                };
                streams.spawn(async move {
                    stream.serve().await;
                    drop(place);
                });
            }
            ended = &mut ended => {
                return Some(match ended {
                    Ended::Session => CloseReason::SessionEnded,
                    Ended::Replaced => CloseReason::TooMany,
                });
            }
            () = &mut raised => return Some(CloseReason::Done),
            () = &mut draining => {
                streams.close();
                tokio::select! {
                    () = streams.wait() => {}
                    () = lifecycle.abort.cancelled() => {}
                }
                return Some(CloseReason::GoingAway);
            }
        }
    }
}

/// The next stream that the other side opens; as long as nobody has proven anything, when one of a `few` places is free, which it keeps.
/// Cancel-safe.
async fn next_stream(
    connection: &Connection,
    seat: &Seat,
    few: &Arc<Semaphore>,
) -> (Result<(SendStream, RecvStream), ConnectionLost>, Option<OwnedSemaphorePermit>) {
    let is_anonymous = seat.principal() == Principal::Anonymous;
    let place = if is_anonymous { Arc::clone(few).acquire_owned().await.ok() } else { None };
    (connection.accept().await, place)
}

/// One stream: one request and its answer, or the follow stream.
struct Stream {
    send: SendStream,
    recv: RecvStream,
    seat: Arc<Seat>,
    router: Arc<Router>,
    lifecycle: Arc<Lifecycle>,
}

impl Stream {
    async fn serve(mut self) {
        match self.request().await {
            Ok(()) => {}
            Err(FrameError::TooLarge { .. }) => {
                self.finish(&router::refuse(&Refusal::TooLarge)).await;
            }
            // Whoever asked is gone.
            Err(FrameError::Broken(_)) => self.send.reset(),
        }
    }

    async fn request(&mut self) -> Result<(), FrameError> {
        let late = |_| FrameError::Broken(std::io::ErrorKind::TimedOut.into());
        let name =
            tokio::time::timeout(FRAME, self.recv.read_frame(MAX_METHOD)).await.map_err(late)??;
        let Some(name) = name else { return Ok(()) };
        let method = str::from_utf8(&name).unwrap_or_default();
        let follows = method == Follow::METHOD;
        // What is for devices is not for homeservers, and the other way round.
        let is_peers = method.starts_with(PEERS) || method == ServerInfo::METHOD;
        let is_devices = !method.starts_with(PEERS);
        let is_known = if self.seat.peer_side().is_some() { is_peers } else { is_devices };
        let limit = match self.router.max_bytes(method) {
            _ if !is_known => {
                self.recv.stop();
                self.finish(&router::refuse(&Refusal::UnknownMethod)).await;
                return Ok(());
            }
            _ if follows => Follow::MAX_BYTES,
            // Nobody who has proven nothing needs more than a registration: about 40 KiB.
            Ok(limit) if self.seat.principal() == Principal::Anonymous => limit.min(MAX_FRAME),
            Ok(limit) => limit,
            Err(refusal) => {
                self.recv.stop();
                self.finish(&router::refuse(&refusal)).await;
                return Ok(());
            }
        };
        let body =
            tokio::time::timeout(FRAME, self.recv.read_frame(limit)).await.map_err(late)??;
        let Some(body) = body else { return Ok(()) };
        if follows {
            // On the heap, so that the many short streams do not carry the room that the one long stream needs.
            let Self { send, recv, seat, router, lifecycle } = self;
            return Box::pin(follow::serve(send, recv, seat, router, lifecycle, &body)).await;
        }
        let answer = self.router.answer(method, body, Arc::clone(&self.seat)).await;
        self.finish(&answer).await;
        Ok(())
    }

    async fn finish(&mut self, answer: &[u8]) {
        if self.send.write_frame(answer).await.is_ok() {
            self.send.finish().await;
            if self.lifecycle.drain.is_cancelled() {
                // The connection is about to be closed, and what it still holds would be lost.
                tokio::time::timeout(LAST_WORDS, self.send.stopped()).await.ok();
            }
        }
    }
}
