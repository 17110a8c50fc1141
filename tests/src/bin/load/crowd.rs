//! Many readers of one channel and a few people who post into it.

mod posting;
mod reader;

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _};
use rookery_protocol::{
    id::SenderKeyId,
    io::client::Dialer,
    session::{Follow, FollowedChain},
};
use rookery_tests::bare::{Bare, community::Commons, random};
use tokio::{sync::watch, task::JoinSet};

use self::{
    posting::{Lane, Posting},
    reader::{Reader, Tally},
};
use crate::server::{CpuTime, Server, cpu_of, now};

/// What a text of 300 bytes weighs once it is padded to 432 bytes with what goes along (PADMÉ), sealed by Megolm (CBC to 448, 79 around it),
/// and sealed once more (nonce and tag, 40).
pub(crate) const SEALED_BYTES: usize = 567;
/// How many sockets the readers share: one alone is a queue of its own.
const SOCKETS: usize = 16;
/// Every how many-th reader notes how long a post was under way.
const TIMED: usize = 8;
/// Who stops reading when some do: one in so many, and one at least.
const STOPPING: usize = 100;
/// How long what was posted may take to arrive before it counts as lost.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server, an open community with one channel, its readers, and who posts.
pub(crate) struct Crowd {
    pub(crate) server: Server,
    commons: Arc<Commons>,
    members: Vec<Bare>,
    lanes: Vec<Arc<Lane>>,
    tally: Arc<Tally>,
    /// Rises with every post that all readers have.
    through: Arc<watch::Sender<u64>>,
    /// Whether those who stop have stopped.
    stop: watch::Sender<bool>,
    posted: Arc<AtomicU64>,
    begin: Instant,
    readers: JoinSet<anyhow::Result<()>>,
}

/// What one stretch of posting came to.
pub(crate) struct Stretch {
    pub(crate) posts: u64,
    pub(crate) deliveries: u64,
    pub(crate) elapsed: Duration,
    /// CPU time of the server, in microseconds.
    pub(crate) server: u64,
    /// CPU time of this process, in microseconds.
    pub(crate) load: u64,
    /// UDP datagrams that the members got.
    pub(crate) packets: u64,
    /// Sorted, in microseconds.
    pub(crate) waited: Vec<u64>,
}

impl Stretch {
    /// What `share` thousandths waited less than, in microseconds.
    pub(crate) fn waited(&self, share: usize) -> u64 {
        let index = self.waited.len().saturating_mul(share) / 1_000;
        self.waited.get(index).or(self.waited.last()).copied().unwrap_or_default()
    }

    pub(crate) fn posts_a_second(&self) -> f64 {
        crate::messages::as_f64(self.posts) / self.elapsed.as_secs_f64()
    }
}

/// What was not as it should be, at the end.
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) reordered: u64,
}

impl Faults {
    /// Says what is wrong; fails if anything is.
    pub(crate) fn tell(&self) -> anyhow::Result<()> {
        let Self { lost, twice, reordered } = self;
        println!("  lost / twice / out of order     {lost:>10} / {twice} / {reordered}");
        anyhow::ensure!(
            (lost, twice, reordered) == (&0, &0, &0),
            "something was lost, doubled or reordered"
        );
        Ok(())
    }
}

impl Crowd {
    /// `count` members of one community, of whom the first few post from `senders * in_flight` lanes. All follow the channel.
    pub(crate) async fn gather(
        count: usize,
        senders: usize,
        in_flight: usize,
    ) -> anyhow::Result<Self> {
        let server = Server::start()?;
        let members = populate(&server, count).await?;
        let owner = members.first().ok_or_else(|| anyhow::anyhow!("nobody"))?;
        let mut commons = Commons::found(owner, &server.invite).await?;
        for person in members.iter().skip(1) {
            commons.join(person).await?;
        }
        commons.renew(owner, &members.iter().collect::<Vec<_>>()).await?;
        let mut lanes = Vec::new();
        for author in members.iter().take(senders) {
            for _ in 0..in_flight {
                let sender_key = SenderKeyId::from_bytes(random()?);
                commons.post(author, vec![commons.announce(author, sender_key)?]).await?;
                let (author, index) = (author.clone(), AtomicU32::new(0));
                lanes.push(Arc::new(Lane { author, sender_key, index }));
            }
        }
        let mut crowd = Self {
            server,
            commons: Arc::new(commons),
            members,
            lanes,
            tally: Arc::default(),
            through: Arc::new(watch::Sender::new(0)),
            stop: watch::Sender::new(false),
            posted: Arc::default(),
            begin: now(),
            readers: JoinSet::new(),
        };
        crowd.follow().await?;
        Ok(crowd)
    }

    /// How many never stop.
    fn steady(&self) -> u64 {
        u64::try_from(self.members.len().saturating_sub(self.stopping())).unwrap_or(u64::MAX)
    }

    /// How many stop when asked to.
    pub(crate) fn stopping(&self) -> usize {
        (self.members.len() / STOPPING).max(1)
    }

    async fn follow(&mut self) -> anyhow::Result<()> {
        let announced = u64::try_from(self.lanes.len())?;
        let steady = self.steady();
        for (number, person) in self.members.iter().enumerate() {
            let chain = FollowedChain { chain: self.commons.channel(), have: None };
            let follow = Follow { mailbox: None, chains: vec![chain] };
            let (_, down, up) = person.client.follow(&follow).await?;
            let stops = number >= self.members.len().saturating_sub(self.stopping());
            let reader = Reader {
                down,
                _up: up,
                tally: Arc::clone(&self.tally),
                through: Arc::clone(&self.through),
                stop: stops.then(|| self.stop.subscribe()),
                is_timed: number % TIMED == 0,
                announced,
                steady,
                begin: self.begin,
            };
            self.readers.spawn(reader.read());
        }
        Ok(())
    }

    /// Posts for `time`: at `pace` posts a second, or else as fast as the readers who do not stop get them.
    pub(crate) async fn post(
        &mut self,
        pace: Option<f64>,
        time: Duration,
    ) -> anyhow::Result<Stretch> {
        self.take_waited();
        let before = self.count()?;
        let begin = now();
        let mut lanes = JoinSet::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            let post = Posting {
                commons: Arc::clone(&self.commons),
                lane: Arc::clone(lane),
                posted: Arc::clone(&self.posted),
                through: self.through.subscribe(),
                announced: u64::try_from(self.lanes.len())?,
                begin: self.begin,
            };
            match pace {
                None => lanes.spawn(post.run_at_full_rate(begin, time)),
                Some(pace) => {
                    let tick = Duration::from_secs_f64(1.0 / pace);
                    let count = u32::try_from(self.lanes.len())?;
                    let first = tick.saturating_mul(u32::try_from(number)?);
                    let every = tick.saturating_mul(count);
                    lanes.spawn(post.at_a_pace(begin, time, first, every))
                }
            };
        }
        while let Some(done) = lanes.join_next().await {
            done??;
        }
        self.arrive().await;
        let elapsed = begin.elapsed();
        let after = self.count()?;
        let mut waited = self.take_waited();
        waited.sort_unstable();
        Ok(Stretch {
            posts: after.posts.saturating_sub(before.posts),
            deliveries: after.deliveries.saturating_sub(before.deliveries),
            elapsed,
            server: after.server.since(before.server),
            load: after.load.since(before.load),
            packets: after.packets.saturating_sub(before.packets),
            waited,
        })
    }

    /// Has those who stop stop, or go on.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.stop.send_replace(is_paused);
    }

    /// Waits until all who do not stop have everything.
    async fn arrive(&self) {
        let wanted = self.posted.load(Ordering::SeqCst);
        let mut through = self.through.subscribe();
        let arrived = through.wait_for(|through| *through >= wanted);
        tokio::time::timeout(PATIENCE, arrived).await.ok();
    }

    /// Waits until everybody has everything, and says what is wrong then.
    pub(crate) async fn end(&mut self) -> Faults {
        self.pause(false);
        self.arrive().await;
        let posted = self.posted.load(Ordering::SeqCst);
        let stopping = u64::try_from(self.stopping()).unwrap_or(u64::MAX);
        let wanted_late = posted.saturating_mul(stopping);
        let begin = now();
        while self.tally.delivered_late.load(Ordering::SeqCst) < wanted_late
            && begin.elapsed() < PATIENCE
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What comes twice would come now.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.readers.shutdown().await;
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let got = count(&self.tally.delivered).saturating_add(count(&self.tally.delivered_late));
        let wanted = posted.saturating_mul(self.steady()).saturating_add(wanted_late);
        Faults {
            lost: wanted.saturating_sub(got),
            twice: count(&self.tally.duplicates),
            reordered: count(&self.tally.reordered),
        }
    }

    /// How many of those who stop have really stopped.
    pub(crate) fn paused(&self) -> usize {
        self.tally.paused.load(Ordering::SeqCst)
    }

    fn take_waited(&self) -> Vec<u64> {
        std::mem::take(&mut *self.tally.waited.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self) -> anyhow::Result<Count> {
        let packets = |person: &Bare| person.client.connection().packets_received();
        Ok(Count {
            posts: self.posted.load(Ordering::SeqCst),
            deliveries: self.tally.delivered.load(Ordering::SeqCst),
            server: self.server.cpu()?,
            load: cpu_of("self")?,
            packets: self.members.iter().map(packets).fold(0, u64::saturating_add),
        })
    }
}

/// What is read at one moment.
struct Count {
    posts: u64,
    deliveries: u64,
    server: CpuTime,
    load: CpuTime,
    packets: u64,
}

async fn populate(server: &Server, count: usize) -> anyhow::Result<Vec<Bare>> {
    let dialers: Vec<Dialer> =
        (0..SOCKETS).map(|_| Dialer::towards(server.address)).collect::<Result<_, _>>()?;
    let one = |number: usize| {
        let dialer = dialers.get(number % SOCKETS).cloned();
        async move {
            let dialer = dialer.ok_or_else(|| anyhow::anyhow!("no socket"))?;
            Bare::register(&dialer, &server.invite, format!("person-{number}")).await
        }
    };
    futures::stream::iter(0..count).map(one).buffered(4).try_collect().await
}
