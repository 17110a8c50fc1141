//! Homeservers whose peers are in trouble: a link that is cut for a while, and a peer that is dead.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rookery_protocol::session::Follow;
use rookery_tests::{
    bare::{Bare, populate},
    lab::{
        link::{Both, Link},
        trouble::{Conditions, Cut},
    },
    random::Random,
};
use tokio::task::JoinSet;

use crate::{
    federation::{Beat, befriend, write},
    messages::{Tally, as_f64, receive},
    server::{Server, now},
};

/// How long what waited may take to arrive before it counts as lost.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it is looked whether something has arrived.
const LOOK: Duration = Duration::from_millis(5);
/// Of a hundred messages, so many are for people on the third server.
const TO_THE_THIRD: u32 = 10;

/// How many people write, how often altogether, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Talk {
    pub(crate) pairs: usize,
    pub(crate) rate: u32,
    pub(crate) time: Duration,
}

/// The link between two servers is cut while people write, and then works again.
pub(crate) async fn healing(talk: Talk) -> anyhow::Result<()> {
    let here = Server::start_called("here.example")?;
    let there = Server::start_called("there.example")?;
    let links = [link_to(&there).await?, link_to(&here).await?];
    here.add_peer_at(&there, links[0].1)?;
    there.add_peer_at(&here, links[1].1)?;
    let senders = populate(here.address, &here.invite, talk.pairs).await?;
    let (senders, receivers): (Vec<_>, Vec<_>) =
        acquainted((&here, senders), &there).await?.into_iter().unzip();
    let tally = Arc::new(Tally::default());
    let begin = now();
    let _reading = follow(&receivers, &tally, begin).await?;
    let set = |cut| {
        let conditions = Conditions { cut, ..Conditions::default() };
        for (link, _) in &links {
            link.set(Both::from([conditions; 2]));
        }
    };
    set(Cut::Closed);
    converse(senders, receivers, &tally, begin, talk).await?;
    let before = tally.received.load(Ordering::SeqCst);
    let written = tally.sent.load(Ordering::SeqCst);
    set(Cut::Open);
    let healed = now();
    arrived(&tally, before.saturating_add(1)).await.context("nothing came after the partition")?;
    let first = healed.elapsed();
    arrived(&tally, written).await.context("something was lost in the partition")?;
    let all = healed.elapsed();
    let waited = written.saturating_sub(before);
    println!(
        "healing: two homes cut off from one another for {} s, people of one write to those of the other",
        talk.time.as_secs()
    );
    println!("  messages that waited            {waited:>10}");
    println!("  first one there after           {:>10.2} s", first.as_secs_f64());
    println!("  all there after                 {:>10.2} s", all.as_secs_f64());
    println!(
        "  messages a second meanwhile     {:>10.0}",
        as_f64(waited) / all.saturating_sub(first).as_secs_f64()
    );
    tally.tell(written)
}

/// Two pairs of homeservers at the same time, each with a third that a tenth of the messages is for: of one pair it is dead, of the other alive.
pub(crate) async fn dead_peer(talk: Talk) -> anyhow::Result<()> {
    let mut hurt = Three::start("hurt", talk.pairs).await?;
    let well = Three::start("well", talk.pairs).await?;
    hurt.third.stop()?;
    let before = [hurt.weight()?, well.weight()?];
    let [with, without] = [&hurt, &well].map(|three| three.talk(talk));
    let (with, without) = tokio::try_join!(with, without)?;
    let after = [hurt.weight()?, well.weight()?];
    println!(
        "dead peer: two pairs of homes at once, {} messages a second each, {TO_THE_THIRD} % of them for a third home, {} s",
        talk.rate,
        talk.time.as_secs()
    );
    let quantiles = [with.waited().await, without.waited().await];
    let names = ["where the third is dead", "where it is alive"];
    for (((name, (median, late)), before), after) in
        names.iter().zip(quantiles).zip(before).zip(after)
    {
        println!("  {name}");
        println!("    home to home, p50 / p99       {median:>10.2} / {late:.2} ms");
        let grown = |after: u64, before| as_f64(after.saturating_sub(before)) / 1024.0;
        println!("    memory, grown by              {:>10.0} KiB", grown(after.0, before.0));
        println!("    files, grown by               {:>10.0} KiB", grown(after.1, before.1));
    }
    let [(_, with), (_, without)] = quantiles;
    println!("  p99 with it dead, times alive   {:>10.2}", with / without);
    Ok(())
}

/// Two homes that write to each other, and a third one.
struct Three {
    here: Server,
    third: Server,
    _there: Server,
    pairs: Vec<(Bare, Bare)>,
    strangers: Vec<(Bare, Bare)>,
}

impl Three {
    async fn start(name: &str, pairs: usize) -> anyhow::Result<Self> {
        let called = |place: &str| Server::start_called(&format!("{place}.{name}.example"));
        let (here, there, third) = (called("here")?, called("there")?, called("third")?);
        for other in [&there, &third] {
            here.add_peer(other)?;
            other.add_peer(&here)?;
        }
        let few = pairs.div_ceil(10);
        let mut senders = populate(here.address, &here.invite, pairs.saturating_add(few)).await?;
        let others = senders.split_off(pairs);
        let pairs = acquainted((&here, senders), &there).await?;
        let strangers = acquainted((&here, others), &third).await?;
        Ok(Self { here, third, _there: there, pairs, strangers })
    }

    /// Has people here write to both; what came to the second home.
    async fn talk(&self, talk: Talk) -> anyhow::Result<Arc<Tally>> {
        let (tally, aside) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        let begin = now();
        let (senders, receivers): (Vec<_>, Vec<_>) = self.pairs.iter().cloned().unzip();
        let _reading = follow(&receivers, &tally, begin).await?;
        let rest = talk.rate.saturating_mul(TO_THE_THIRD) / 100;
        let much = Talk { rate: talk.rate.saturating_sub(rest), ..talk };
        let (from, to): (Vec<_>, Vec<_>) = self.strangers.iter().cloned().unzip();
        tokio::try_join!(
            converse(senders, receivers, &tally, begin, much),
            converse(from, to, &aside, begin, Talk { rate: rest.max(1), ..talk }),
        )?;
        arrived(&tally, tally.sent.load(Ordering::SeqCst)).await?;
        Ok(tally)
    }

    /// What the first home takes: resident memory, and its files, in bytes.
    fn weight(&self) -> anyhow::Result<(u64, u64)> {
        let mut files = 0_u64;
        for file in std::fs::read_dir(self.here.directory.join("data"))? {
            files = files.saturating_add(file?.metadata()?.len());
        }
        Ok((self.here.memory()?, files))
    }
}

/// Gives each of `people` of one server a contact on another one.
async fn acquainted(
    (here, people): (&Server, Vec<Bare>),
    there: &Server,
) -> anyhow::Result<Vec<(Bare, Bare)>> {
    let others = populate(there.address, &there.invite, people.len()).await?;
    for (from, to) in people.iter().zip(&others) {
        befriend((here, from), (there, to)).await?;
    }
    Ok(people.into_iter().zip(others).collect())
}

/// A link of ours to a server, and its near end.
pub(crate) async fn link_to(server: &Server) -> anyhow::Result<(Link, SocketAddr)> {
    // Whose port is free for UDP as a rule is free for TCP as well; if not, that is said.
    let near = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    Ok((Link::open(near, server.address, Random::of(7)).await?, near))
}

async fn follow(
    receivers: &[Bare],
    tally: &Arc<Tally>,
    begin: Instant,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut reading = JoinSet::new();
    for to in receivers {
        let (_, down, up) = to.client.follow(&Follow { mailbox: None, chains: vec![] }).await?;
        reading.spawn(receive(down, up, Arc::clone(tally), begin));
    }
    Ok(reading)
}

/// Has each write to theirs, all together at the rate, until the time is over.
async fn converse(
    senders: Vec<Bare>,
    receivers: Vec<Bare>,
    tally: &Arc<Tally>,
    begin: Instant,
    talk: Talk,
) -> anyhow::Result<()> {
    let count = u32::try_from(senders.len())?;
    ensure!(count > 0, "nobody writes");
    let mut writing = JoinSet::new();
    for (number, (from, to)) in senders.into_iter().zip(receivers).enumerate() {
        let beat = Beat::of(u32::try_from(number)?, count, talk.rate);
        writing.spawn(write(from, to, Arc::clone(tally), begin, beat, talk.time));
    }
    while let Some(done) = writing.join_next().await {
        done??;
    }
    Ok(())
}

/// Waits until so many have arrived.
async fn arrived(tally: &Tally, count: u64) -> anyhow::Result<()> {
    let begin = now();
    while tally.received.load(Ordering::SeqCst) < count {
        ensure!(begin.elapsed() < PATIENCE, "it took too long");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
