//! One channel with many readers: what a delivery costs, how many a second there can be, and what readers who stop cost the others.

use std::time::Duration;

use crate::{
    crowd::{Crowd, SEALED_BYTES, Stretch},
    messages::as_f64,
    server::fsync_time,
};

/// How many members there are, who posts, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) members: usize,
    pub(crate) senders: usize,
    pub(crate) in_flight: usize,
    pub(crate) time: Duration,
}

/// Deliveries a second of a server that is busy and not at its limit.
const SMOOTH: f64 = 60_000.0;

pub(crate) async fn measure(size: Size) -> anyhow::Result<()> {
    let mut crowd = Crowd::gather(size.members, size.senders, size.in_flight).await?;
    // Once for nothing: buffers and caches come about.
    crowd.post(None, Duration::from_secs(2).min(size.time)).await?;
    let full = crowd.post(None, size.time).await?;
    let half = crowd.post(Some(full.posts_a_second() / 2.0), size.time).await?;
    let pace = SMOOTH / as_f64(u64::try_from(size.members)?);
    let smooth = crowd.post(Some(pace), size.time).await?;
    let disk = fsync_time(&crowd.server.directory)?;
    let faults = crowd.end().await;
    println!(
        "fan-out: {} readers of one channel who count, {} senders with {} posts under way each, {SEALED_BYTES} sealed bytes",
        size.members, size.senders, size.in_flight
    );
    println!("  disk's fdatasync, median        {:>10.3} ms", disk.as_secs_f64() * 1e3);
    print("at saturation", &full);
    print("at half of that rate", &half);
    print(&format!("at {SMOOTH} deliveries a second"), &smooth);
    faults.tell()
}

fn print(what: &str, stretch: &Stretch) {
    let deliveries = as_f64(stretch.deliveries.max(1));
    let seconds = stretch.elapsed.as_secs_f64();
    println!("  {what}");
    println!("    posts a second                {:>10.0}", stretch.posts_a_second());
    println!("    deliveries a second           {:>10.0}", deliveries / seconds);
    println!("    server CPU a delivery         {:>10.2} µs", as_f64(stretch.server) / deliveries);
    println!("    load's own CPU a delivery     {:>10.2} µs", as_f64(stretch.load) / deliveries);
    println!(
        "    cores used, server / load     {:>10.2} / {:.2}",
        as_f64(stretch.server) / seconds / 1e6,
        as_f64(stretch.load) / seconds / 1e6
    );
    println!(
        "    deliveries a packet           {:>10.2}",
        deliveries / as_f64(stretch.packets.max(1))
    );
    println!(
        "    send to receive, p50 / p99    {:>10.2} / {:.2} ms",
        as_f64(stretch.waited(500)) / 1e3,
        as_f64(stretch.waited(990)) / 1e3
    );
}

pub(crate) async fn stopped(size: Size) -> anyhow::Result<()> {
    let mut crowd = Crowd::gather(size.members, size.senders, size.in_flight).await?;
    crowd.post(None, Duration::from_secs(2).min(size.time)).await?;
    let all = crowd.post(None, size.time).await?;
    let before = crowd.server.memory()?;
    crowd.pause(true);
    let without = crowd.post(None, size.time).await?;
    let after = crowd.server.memory()?;
    let (paused, stopping) = (crowd.paused(), crowd.stopping());
    let faults = crowd.end().await;
    let held = after.saturating_sub(before);
    let each = held.checked_div(u64::try_from(stopping)?).unwrap_or_default();
    println!(
        "stopped: {paused} of {} readers stop for {} s while posts go on as fast as the others get them",
        size.members,
        size.time.as_secs()
    );
    print("before they stop", &all);
    print("while they do not read", &without);
    println!(
        "  p99 of the others, times before {:>10.2}",
        as_f64(without.waited(990)) / as_f64(all.waited(990).max(1))
    );
    println!("  server memory, before           {:>10.1} MiB", as_f64(before) / 1024.0 / 1024.0);
    println!("  more of it a stopped reader     {:>10.2} MiB", as_f64(each) / 1024.0 / 1024.0);
    faults.tell()
}
