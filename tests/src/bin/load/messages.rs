//! Direct messages in closed loop: each sender keeps some under way, each receiver counts and acknowledges.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rookery_protocol::{
    id::ItemId,
    io::client::{FollowReceiver, FollowSender},
    session::{Follow, FollowDown, FollowUp},
};
use rookery_tests::bare::{Bare, populate};
use tokio::{sync::Mutex, task::JoinSet};

use crate::server::{Server, fsync_time, now};

/// What a short text weighs once it is padded and sealed.
pub(crate) const SEALED_BYTES: usize = 400;
/// How many envelopes a receiver takes before it acknowledges; a quiet one acknowledges at once.
const ACKNOWLEDGE_EVERY: u64 = 32;

/// What the senders and receivers of one run count.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    duplicates: AtomicU64,
    reordered: AtomicU64,
    latencies_us: Mutex<Vec<u64>>,
}

impl Tally {
    /// From send to receive, median and 99th percentile, in milliseconds.
    pub(crate) async fn waited(&self) -> (f64, f64) {
        let mut latencies = self.latencies_us.lock().await.clone();
        latencies.sort_unstable();
        let at = |share: usize| {
            let place = latencies.len().saturating_mul(share) / 1_000;
            as_f64(latencies.get(place).copied().unwrap_or_default()) / 1e3
        };
        (at(500), at(990))
    }

    /// Says what is wrong after `sent` messages; fails if anything is.
    pub(crate) fn tell(&self, sent: u64) -> anyhow::Result<()> {
        let twice = self.duplicates.load(Ordering::SeqCst);
        let once = self.received.load(Ordering::SeqCst).saturating_sub(twice);
        let lost = sent.saturating_sub(once);
        let reordered = self.reordered.load(Ordering::SeqCst);
        println!("  lost / twice / out of order     {lost:>10} / {twice} / {reordered}");
        anyhow::ensure!(
            (lost, twice, reordered) == (0, 0, 0),
            "something was lost, doubled or reordered"
        );
        Ok(())
    }
}

pub(crate) async fn measure(pairs: usize, in_flight: usize, time: Duration) -> anyhow::Result<()> {
    let server = Server::start()?;
    let people = populate(server.address, &server.invite, pairs.saturating_mul(2)).await?;
    let tally = Arc::new(Tally::default());
    let cpu = server.cpu()?;
    for pair in people.chunks_exact(2) {
        let [from, to] = pair else { continue };
        from.befriend(to).await?;
    }
    let befriended = server.cpu()?;
    let mut receivers = JoinSet::new();
    let mut senders = JoinSet::new();
    let begin = now();
    for pair in people.chunks_exact(2) {
        let [from, to] = pair else { continue };
        let (_, down, up) = to.client.follow(&Follow { mailbox: None, chains: vec![] }).await?;
        receivers.spawn(receive(down, up, Arc::clone(&tally), begin));
        for lane in 0..in_flight {
            senders.spawn(send(from.clone(), to.clone(), Arc::clone(&tally), begin, time, lane));
        }
    }
    while let Some(done) = senders.join_next().await {
        done??;
    }
    let elapsed = begin.elapsed();
    let sent = tally.sent.load(Ordering::SeqCst);
    for _ in 0..200 {
        if tally.received.load(Ordering::SeqCst) >= sent {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The last acknowledgements are on their way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let used = server.cpu()?.since(befriended);
    receivers.shutdown().await;
    println!(
        "direct messages: {pairs} pairs, {in_flight} under way each, {SEALED_BYTES} sealed bytes, readers count"
    );
    println!(
        "  disk's fdatasync, median        {:>10.3} ms",
        fsync_time(&server.directory)?.as_secs_f64() * 1e3
    );
    println!("  accepted, stored, delivered     {sent:>10}");
    println!("  envelopes a second              {:>10.0}", as_f64(sent) / elapsed.as_secs_f64());
    println!("  server CPU an envelope          {:>10.1} µs", as_f64(used) / as_f64(sent.max(1)));
    let (median, late) = tally.waited().await;
    println!("  from send to receive, p50 / p99 {median:>10.2} / {late:.2} ms");
    tally.tell(sent)?;
    println!("  (CPU before the run, for making contacts: {} ms)", befriended.since(cpu) / 1_000);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}

/// An id that says when it was sent, from which lane, and as which of its messages.
pub(crate) fn id_of(sent: Duration, lane: usize, number: u32) -> ItemId {
    let mut bytes = [0; 16];
    let nanoseconds = u64::try_from(sent.as_nanos()).unwrap_or(u64::MAX);
    bytes[..8].copy_from_slice(&nanoseconds.to_be_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(lane).unwrap_or(u32::MAX).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    ItemId::from_bytes(bytes)
}

async fn send(
    from: Bare,
    to: Bare,
    tally: Arc<Tally>,
    begin: Instant,
    time: Duration,
    lane: usize,
) -> anyhow::Result<()> {
    let mut number = 0_u32;
    while begin.elapsed() < time {
        let message = id_of(begin.elapsed(), lane, number);
        number = number.wrapping_add(1);
        let request = from.message_to(&to, message, SEALED_BYTES)?;
        from.client.call(&request).await?;
        tally.sent.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

pub(crate) async fn receive(
    mut down: FollowReceiver,
    mut up: FollowSender,
    tally: Arc<Tally>,
    begin: Instant,
) -> anyhow::Result<()> {
    let (mut last_position, mut acknowledged) = (0_u64, 0_u64);
    let mut latencies = Vec::new();
    let mut last_of_lane = std::collections::HashMap::new();
    loop {
        let frame = down.recv().await?;
        let FollowDown::Envelope { position, envelope, .. } = frame else { continue };
        let header = envelope.read_header()?;
        let bytes = header.message.as_bytes();
        let mut sent = [0; 8];
        sent.copy_from_slice(&bytes[..8]);
        let waited = u64::try_from(begin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .saturating_sub(u64::from_be_bytes(sent));
        latencies.push(waited / 1_000);
        if position <= last_position {
            tally.duplicates.fetch_add(1, Ordering::SeqCst);
        }
        let (lane, number) = (bytes[8..12].to_vec(), bytes[12..].to_vec());
        if last_of_lane.insert(lane, number.clone()).is_some_and(|last: Vec<u8>| last >= number) {
            tally.reordered.fetch_add(1, Ordering::SeqCst);
        }
        last_position = position;
        tally.received.fetch_add(1, Ordering::SeqCst);
        if position.saturating_sub(acknowledged) >= ACKNOWLEDGE_EVERY {
            acknowledged = position;
            up.send(&FollowUp::Acknowledge { through: position }).await?;
            tally.latencies_us.lock().await.append(&mut latencies);
        }
    }
}
