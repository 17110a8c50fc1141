//! The follow stream: what a device missed, by its cursors, and then what is stored, as it is stored.
//!
//! The feed is opened before the database is read, so that nothing falls between the two; what comes twice is told by its place and sent
//! once. A page of envelopes is read first and the chains after it, and then sent the other way round: so an entry that certifies a device
//! goes before the first envelope of that device, as it was stored before it.
//!
//! Most streams are idle most of the time, and what is idle is what its future has room for: so whatever is done rarely is boxed while it is
//! done.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use rookery_protocol::{
    codec::{self, MAX_FRAME},
    id::ChainId,
    io::{
        RecvStream, SendStream,
        frame::{self, FrameError},
    },
    request::{Answer, Failure, Outcome, RateClass, Refusal},
    session::{Authenticated, Follow, FollowDown, FollowUp, Principal},
};

use super::{Router, router};
use crate::{
    lifecycle::Lifecycle,
    repository::StorageError,
    service::{
        Services,
        community::reads,
        feed::{Feed, Live, Taken},
        follow::{self, Following},
        limit::{Bucket, Subject},
        message, presence, refusal,
        seat::Seat,
    },
};

/// How much is gathered before it is written. Larger, and a slow reader holds more memory; smaller, and every write costs more.
const WRITE: usize = 64 * 1024;

/// Serves one follow stream to its end.
pub(super) async fn serve(
    send: &mut SendStream,
    recv: &mut RecvStream,
    seat: &Arc<Seat>,
    router: &Router,
    lifecycle: &Lifecycle,
    body: &[u8],
) -> Result<(), FrameError> {
    let services = router.services();
    let (who, following) = match Box::pin(open(services, seat, body)).await {
        Ok(opened) => opened,
        Err(failure) => {
            let outcome: Outcome<Follow> = Err(failure);
            let answer = match outcome {
                Err(Failure::Refused(refused)) => router::refuse(&refused),
                outcome => codec::encode(&Answer::from(outcome)).into(),
            };
            send.write_frame(&answer).await?;
            send.finish().await;
            return Ok(());
        }
    };
    let feed = Arc::clone(&following.feed);
    let answer: Outcome<Follow> = Ok(following.started.clone());
    let mut down = Down {
        services,
        send,
        feed: Arc::clone(&feed),
        position: following.position,
        sent: following.chains.iter().copied().collect(),
        buffer: Vec::new(),
    };
    let result = match down.send.write_frame(&codec::encode(&Answer::from(answer))).await {
        Ok(()) => tokio::select! {
            result = down.run(who, lifecycle) => result,
            result = up(services, recv, who, &feed) => result,
        },
        Err(error) => Err(End::Stream(error)),
    };
    Box::pin(follow::close(services, who, &feed)).await;
    match result {
        Ok(()) => Ok(()),
        Err(End::Stream(error)) => Err(error),
        Err(End::Storage(error)) => {
            // The device comes back to its cursors.
            tracing::warn!(%error, "a follow stream ended");
            send.finish().await;
            Ok(())
        }
    }
}

/// Why a follow stream ends out of order.
enum End {
    Stream(FrameError),
    Storage(StorageError),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Stream(error)
    }
}

impl From<StorageError> for End {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn open(
    services: &Services,
    seat: &Seat,
    body: &[u8],
) -> Result<(Authenticated, Following), Failure<rookery_protocol::session::FollowError>> {
    let principal = seat.principal();
    let who = match principal {
        Principal::Device(who) => who,
        Principal::Anonymous => return Err(Refusal::NotAuthenticated.into()),
        Principal::Uncertified(_) | Principal::Peer(_) | Principal::Administrator => {
            return Err(Refusal::NotPermitted.into());
        }
    };
    services.limiter.charge(RateClass::Follow, &principal, seat.address())?;
    let request: Follow =
        codec::decode_within(body, codec::MAX_BATCH).map_err(|_| Refusal::Malformed)?;
    Ok((who, follow::open(services, who, request).await?))
}

/// The half that sends.
struct Down<'s> {
    services: &'s Services,
    send: &'s mut SendStream,
    feed: Arc<Feed>,
    /// The last position that was sent.
    position: u64,
    /// The last place that was sent of each followed chain.
    sent: HashMap<ChainId, Option<u64>>,
    buffer: Vec<u8>,
}

impl Down<'_> {
    async fn run(&mut self, who: Authenticated, lifecycle: &Lifecycle) -> Result<(), End> {
        Box::pin(self.begin(who)).await?;
        let mut draining = std::pin::pin!(lifecycle.drain.cancelled());
        loop {
            let taken = tokio::select! {
                taken = self.feed.next() => taken,
                () = &mut draining => return self.go_away().await,
            };
            if taken.replaced {
                return self.go_away().await;
            }
            let behind = taken.behind;
            self.pass_on(taken).await?;
            if behind {
                Box::pin(self.begin_anew(who)).await?;
            }
            self.flush().await?;
        }
    }

    /// Sends what was missed, and how people are.
    async fn begin(&mut self, who: Authenticated) -> Result<(), End> {
        self.catch_up().await?;
        self.put(&codec::encode(&FollowDown::CaughtUp)).await?;
        self.tell_presences(who).await?;
        self.flush().await
    }

    /// Sends what was missed because the feed was full.
    async fn begin_anew(&mut self, who: Authenticated) -> Result<(), End> {
        self.catch_up().await?;
        // Notices are not stored: whatever they would have said is told anew.
        self.put(&codec::encode(&FollowDown::ContactsChanged)).await?;
        self.put(&codec::encode(&FollowDown::CommunitiesChanged)).await?;
        self.tell_presences(who).await
    }

    /// Sends what waits in the database, until nothing does.
    async fn catch_up(&mut self) -> Result<(), End> {
        loop {
            let page = follow::waiting(self.services, self.feed.device, self.position).await?;
            self.catch_up_chains().await?;
            for waiting in &page.rows {
                self.put(&message::frame(waiting.position, waiting.at, &waiting.envelope)).await?;
                self.position = waiting.position;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Sends what is new of all followed chains.
    async fn catch_up_chains(&mut self) -> Result<(), End> {
        let chains: Vec<ChainId> = self.sent.keys().copied().collect();
        for (chain, head) in follow::heads(self.services, &chains).await? {
            if self.sent.get(&chain).is_some_and(|sent| sent.is_none_or(|sent| sent < head)) {
                self.catch_up_chain(chain).await?;
            }
        }
        Ok(())
    }

    async fn catch_up_chain(&mut self, chain: ChainId) -> Result<(), End> {
        loop {
            let Some(sent) = self.sent.get(&chain).copied() else { return Ok(()) };
            let page = follow::entries(self.services, chain, sent).await?;
            // Whoever may no longer read it is unfollowed before anything more is stored: what was read while they followed is theirs.
            if !self.feed.follows(chain) {
                return Ok(());
            }
            for entry in page.rows {
                self.sent.insert(chain, Some(entry.seq));
                self.put(&codec::encode(&FollowDown::Entry(entry))).await?;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Passes on what came live, each once and in its order.
    async fn pass_on(&mut self, taken: Taken) -> Result<(), End> {
        for live in taken.items {
            match live {
                Live::Envelope { position, frame } => {
                    if position > self.position {
                        self.position = position;
                        self.put(&frame).await?;
                    }
                }
                Live::Entry { chain, seq, frame } => {
                    Box::pin(self.pass_entry(chain, seq, &frame)).await?;
                }
                Live::Begin { chain, have } => {
                    self.sent.insert(chain, have);
                    Box::pin(self.catch_up_chain(chain)).await?;
                }
                Live::End { chain } => {
                    self.sent.remove(&chain);
                }
                Live::Notice(frame) => self.put(&frame).await?,
            }
        }
        Ok(())
    }

    async fn pass_entry(&mut self, chain: ChainId, seq: u64, frame: &Bytes) -> Result<(), End> {
        let Some(sent) = self.sent.get(&chain).copied() else { return Ok(()) };
        let next = sent.map_or(0, |sent| sent.saturating_add(1));
        match seq.cmp(&next) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => {
                self.sent.insert(chain, Some(seq));
                self.put(frame).await
            }
            // Two that were stored at one time were passed on the wrong way round.
            std::cmp::Ordering::Greater => self.catch_up_chain(chain).await,
        }
    }

    async fn tell_presences(&mut self, who: Authenticated) -> Result<(), End> {
        for entry in presence::entries(self.services, who.user).await? {
            self.put(&codec::encode(&presence::notice(entry))).await?;
        }
        Ok(())
    }

    async fn go_away(&mut self) -> Result<(), End> {
        let retry_after_ms = follow::come_back(self.services.clock.now());
        self.put(&codec::encode(&FollowDown::GoingAway { retry_after_ms })).await?;
        self.flush().await?;
        self.send.finish().await;
        Ok(())
    }

    async fn put(&mut self, payload: &[u8]) -> Result<(), End> {
        frame::put(&mut self.buffer, payload);
        if self.buffer.len() >= WRITE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if !self.buffer.is_empty() {
            // Not kept between writes: an idle connection holds no buffer.
            let buffer = std::mem::take(&mut self.buffer);
            self.send.write_chunk(buffer.into()).await?;
        }
        Ok(())
    }
}

/// The half that listens.
async fn up(
    services: &Services,
    recv: &mut RecvStream,
    who: Authenticated,
    feed: &Arc<Feed>,
) -> Result<(), End> {
    loop {
        let Some(bytes) = recv.read_frame(MAX_FRAME).await? else {
            // The device says no more, and may go on listening.
            return std::future::pending().await;
        };
        let Ok(up) = codec::decode::<FollowUp>(&bytes) else { return Ok(()) };
        match up {
            FollowUp::Acknowledge { through } => {
                message::acknowledge(services, who.device, through);
            }
            FollowUp::Follow(followed) => {
                Box::pin(follow::more(services, who, feed, followed)).await?;
            }
            FollowUp::Unfollow { chain } => {
                services.feeds.unfollow(feed, chain);
                feed.push(Live::End { chain });
            }
            FollowUp::Typing { to, .. } => {
                let class = Bucket::Class(RateClass::Ephemera);
                // Nobody misses a sign of typing that comes too often.
                if services.limiter.take(class, &Subject::Device(who.device)).is_ok()
                    && let Err(error) = Box::pin(presence::typing(services, who, to)).await
                {
                    tracing::debug!(refusal = %refusal(&error), "a sign of typing was not passed on");
                }
            }
            FollowUp::TypingIn { chain } => {
                let class = Bucket::Class(RateClass::Ephemera);
                if services.limiter.take(class, &Subject::Device(who.device)).is_ok() {
                    reads::typing(services, who, feed, chain).await?;
                }
            }
            FollowUp::ReadIn { chain, seq } => {
                let class = Bucket::Class(RateClass::Receipt);
                if services.limiter.take(class, &Subject::Device(who.device)).is_ok() {
                    reads::note(services, who, feed, chain, seq).await?;
                }
            }
        }
    }
}
