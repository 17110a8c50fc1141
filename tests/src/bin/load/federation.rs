//! Two homeservers: direct messages from one to the other, and a channel whose readers are all on the other one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rookery_protocol::{
    community::JoinBy,
    id::{ItemId, SenderKeyId},
    io::client::{FollowReceiver, FollowSender},
    request::{
        community::PreviewLog,
        contact::{ListContacts, RequestContact, Standing},
    },
    session::{Follow, FollowDown, FollowedChain},
};
use rookery_tests::bare::{Bare, community::Commons, populate, random};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    crowd::SEALED_BYTES,
    messages::{self, Tally, as_f64},
    server::{Server, fsync_time, now},
};

/// How long something may take to come to the other server.
const PATIENCE: Duration = Duration::from_mins(2);

/// Two homeservers that are peers of one another.
struct Two {
    here: Server,
    there: Server,
}

impl Two {
    fn start() -> anyhow::Result<Self> {
        let two = Self {
            here: Server::start_called("here.example")?,
            there: Server::start_called("there.example")?,
        };
        two.here.add_peer(&two.there)?;
        two.there.add_peer(&two.here)?;
        Ok(two)
    }
}

/// Direct messages of `pairs` people here to as many there, `rate` a second altogether.
pub(crate) async fn direct(pairs: usize, rate: u32, time: Duration) -> anyhow::Result<()> {
    let two = Two::start()?;
    let senders = populate(two.here.address, &two.here.invite, pairs).await?;
    let receivers = populate(two.there.address, &two.there.invite, pairs).await?;
    let begin = now();
    for (from, to) in senders.iter().zip(&receivers) {
        befriend((&two.here, from), (&two.there, to)).await?;
    }
    let tally = Arc::new(Tally::default());
    let mut reading = JoinSet::new();
    let mut writing = JoinSet::new();
    let count = u32::try_from(pairs)?;
    for (number, (from, to)) in senders.into_iter().zip(receivers).enumerate() {
        let (_, down, up) = to.client.follow(&Follow { mailbox: None, chains: vec![] }).await?;
        reading.spawn(messages::receive(down, up, Arc::clone(&tally), begin));
        let beat = Beat::of(u32::try_from(number)?, count, rate);
        writing.spawn(write(from, to, Arc::clone(&tally), begin, beat, time));
    }
    while let Some(done) = writing.join_next().await {
        done??;
    }
    let sent = tally.sent.load(Ordering::SeqCst);
    let is_there = async {
        while tally.received.load(Ordering::SeqCst) < sent {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, is_there).await.ok();
    reading.shutdown().await;
    println!("home to home: direct messages of {pairs} pairs, {rate} a second, stored on both");
    println!(
        "  disk's fdatasync, median        {:>10.3} ms",
        fsync_time(&two.here.directory)?.as_secs_f64() * 1e3
    );
    let (median, late) = tally.waited().await;
    println!("  from send to receive, p50 / p99 {median:>10.2} / {late:.2} ms");
    tally.tell(sent)
}

/// Makes both contacts of one another, each through their own home, and waits until both homes know.
pub(crate) async fn befriend(
    (here, from): (&Server, &Bare),
    (there, to): (&Server, &Bare),
) -> anyhow::Result<()> {
    let ask = |name: &str, at: &Server| -> anyhow::Result<RequestContact> {
        Ok(RequestContact { name: name.parse()?, server: Some(at.invite.server.clone()) })
    };
    from.client.call(&ask(&to.name, there)?).await?;
    to.client.call(&ask(&from.name, here)?).await?;
    let agreed = async {
        for person in [from, to] {
            while !has_contact(person).await? {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, agreed).await.context("they did not become contacts")?
}

async fn has_contact(person: &Bare) -> anyhow::Result<bool> {
    let known = person.client.call(&ListContacts {}).await?;
    let is_there = |contact: &rookery_protocol::request::contact::Contact| {
        contact.standing == Standing::Accepted && contact.head.is_some()
    };
    Ok(known.contacts.iter().any(is_there))
}

/// When one of many who write at a rate together writes.
#[derive(Clone, Copy)]
pub(crate) struct Beat {
    offset: Duration,
    every: Duration,
}

impl Beat {
    /// That of number `number` of `count`, who write `rate` messages a second altogether.
    pub(crate) fn of(number: u32, count: u32, rate: u32) -> Self {
        let each = |whole: Duration, parts| whole.checked_div(parts).unwrap_or(whole);
        let every = each(Duration::from_secs(1).saturating_mul(count), rate);
        Self { offset: each(every.saturating_mul(number), count), every }
    }
}

/// Writes from one to the other for `time`, and counts what was taken.
pub(crate) async fn write(
    from: Bare,
    to: Bare,
    tally: Arc<Tally>,
    begin: Instant,
    beat: Beat,
    time: Duration,
) -> anyhow::Result<()> {
    let first = begin.elapsed().saturating_add(beat.offset);
    let mut due = first;
    for number in 0.. {
        if due >= first.saturating_add(time) {
            break;
        }
        tokio::time::sleep_until(begin.checked_add(due).unwrap_or(begin).into()).await;
        // What waited for its turn here counts as waiting.
        let message = messages::id_of(due, 0, number);
        let request = from.message_to(&to, message, messages::SEALED_BYTES)?;
        from.client.call(&request).await?;
        tally.sent.fetch_add(1, Ordering::SeqCst);
        due = due.saturating_add(beat.every);
    }
    Ok(())
}

/// What somebody in the channel has: how many posts, told by the reader that counts.
struct Reading {
    down: FollowReceiver,
    _up: FollowSender,
    has: Arc<watch::Sender<u64>>,
    counts: bool,
}

impl Reading {
    async fn begin(
        person: &Bare,
        commons: &Commons,
        has: &Arc<watch::Sender<u64>>,
        counts: bool,
    ) -> anyhow::Result<Self> {
        let chain = FollowedChain { chain: commons.channel(), have: None };
        let follow = Follow { mailbox: None, chains: vec![chain] };
        let (_, down, up) = person.client.follow(&follow).await?;
        Ok(Self { down, _up: up, has: Arc::clone(has), counts })
    }

    async fn read(mut self) -> anyhow::Result<()> {
        let mut next = 0;
        loop {
            let FollowDown::Entry(entry) = self.down.recv().await? else { continue };
            ensure!(entry.seq == next, "entry {} came where {next} was due", entry.seq);
            next = next.saturating_add(1);
            if self.counts {
                self.has.send_replace(next);
            }
        }
    }
}

/// A channel whose hub is here and whose readers are all there: first one, then `members` of them.
pub(crate) async fn channel(members: usize, time: Duration) -> anyhow::Result<()> {
    let two = Two::start()?;
    let authors = populate(two.here.address, &two.here.invite, AUTHORS).await?;
    let owner = authors.first().context("nobody")?;
    let mut commons = Commons::found(owner, &two.here.invite).await?;
    for author in authors.iter().skip(1) {
        commons.join(author).await?;
    }
    let readers = populate(two.there.address, &two.there.invite, members).await?;
    let has = Arc::new(watch::Sender::new(0));
    let mut reading = JoinSet::new();
    println!(
        "one peer: a channel of which all readers are on another server, {SEALED_BYTES} sealed bytes"
    );
    for count in [1, members] {
        let joined = reading.len();
        for reader in readers.iter().take(count).skip(joined) {
            see(&two, &commons, reader).await?;
            commons.join(reader).await?;
        }
        let all: Vec<&Bare> = authors.iter().chain(readers.iter().take(count)).collect();
        commons.renew(owner, &all).await?;
        for (number, reader) in readers.iter().enumerate().take(count).skip(joined) {
            let begun = Reading::begin(reader, &commons, &has, number == 0).await?;
            reading.spawn(begun.read());
        }
        let stretch = post(&two, &commons, &authors, &has, time).await?;
        let posts = as_f64(stretch.posts.max(1));
        println!("  {count} readers there");
        println!(
            "    posts a second, there as well {:>10.0}",
            posts / stretch.elapsed.as_secs_f64()
        );
        println!("    hub's CPU a post              {:>10.1} µs", as_f64(stretch.hub) / posts);
        println!("    its peer's CPU a post         {:>10.1} µs", as_f64(stretch.peer) / posts);
    }
    Ok(())
}

/// Who posts, and how many posts each has under way.
const AUTHORS: usize = 4;
const UNDER_WAY: usize = 16;

/// Has the home there know the community, as it does for whoever wants to join it.
async fn see(two: &Two, commons: &Commons, reader: &Bare) -> anyhow::Result<()> {
    let hub = Some(two.here.invite.server.clone());
    let community = commons.community();
    let request = PreviewLog { community, by: JoinBy::Open, after: None, limit: 1, hub };
    reader.client.call(&request).await?;
    Ok(())
}

/// What one stretch of posting came to; CPU time in microseconds.
struct Stretch {
    posts: u64,
    elapsed: Duration,
    hub: u64,
    peer: u64,
}

async fn post(
    two: &Two,
    commons: &Commons,
    authors: &[Bare],
    has: &watch::Sender<u64>,
    time: Duration,
) -> anyhow::Result<Stretch> {
    let newest = Arc::new(AtomicU64::new(0));
    let mut lanes = JoinSet::new();
    let mut keys = vec![];
    for author in authors {
        for _ in 0..UNDER_WAY {
            let sender_key = SenderKeyId::from_bytes(random()?);
            let posted = commons.post(author, vec![commons.announce(author, sender_key)?]).await?;
            newest.fetch_max(posted.places.first().copied().unwrap_or(0), Ordering::SeqCst);
            keys.push((author.clone(), sender_key));
        }
    }
    arrive(has, newest.load(Ordering::SeqCst)).await?;
    let before = (has.borrow().to_owned(), two.here.cpu()?, two.there.cpu()?);
    let begin = now();
    for (author, sender_key) in keys {
        let (commons, newest) = (commons.clone(), Arc::clone(&newest));
        let index = AtomicU32::new(0);
        lanes.spawn(async move {
            while begin.elapsed() < time {
                let index = index.fetch_add(1, Ordering::SeqCst);
                let item = ItemId::from_bytes(random()?);
                let item = commons.message(&author, (sender_key, index), item, SEALED_BYTES)?;
                let posted = commons.post(&author, vec![item]).await?;
                newest.fetch_max(posted.places.first().copied().unwrap_or(0), Ordering::SeqCst);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = lanes.join_next().await {
        done??;
    }
    arrive(has, newest.load(Ordering::SeqCst)).await?;
    let elapsed = begin.elapsed();
    let (had, hub, peer) = before;
    Ok(Stretch {
        posts: has.borrow().saturating_sub(had),
        elapsed,
        hub: two.here.cpu()?.since(hub),
        peer: two.there.cpu()?.since(peer),
    })
}

/// Waits until the reader that counts has the entry at `place`.
async fn arrive(has: &watch::Sender<u64>, place: u64) -> anyhow::Result<()> {
    let mut has = has.subscribe();
    let arrived = has.wait_for(|has| *has > place);
    tokio::time::timeout(PATIENCE, arrived).await.context("posts did not come to the peer")??;
    Ok(())
}
