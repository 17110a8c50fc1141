//! What storing an envelope and letting go of it costs: `cargo bench -p rookery-homeserver --bench mailbox [-- DIRECTORY]`.
//!
//! 100 pairs of devices write to one another in batches; after each batch everything in it is acknowledged in a unit of its own, as a server
//! at saturation does it. CPU is that of the whole process, SQLite's threads included. The disk's fsync time is measured beside it, because
//! figures for messages a second mean nothing without it.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "it measures, and what goes wrong ends it"
)]

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use rookery_homeserver::repository::{
    Storage,
    mailbox::{Deposit, Deposited, Letter, MailboxLimits},
    sqlite::{Settings, Sqlite},
};
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    time::Timestamp,
};

const PAIRS: u64 = 100;
const ENVELOPE_BYTES: usize = 600;
const LASTS: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = given.map_or_else(std::env::temp_dir, Into::into);
    println!("fsync of 4 KiB: median {} µs", fsync_micros(&folder));
    println!(
        "{:>8} {:>12} {:>14} {:>14} {:>12}",
        "batch", "envelopes/s", "CPU µs/envelope", "wall µs/batch", "commits/s"
    );
    for batch in [1, 8, 64, 256, 1024] {
        measure(&folder, batch).await;
    }
}

async fn measure(folder: &Path, batch: u64) {
    let place = tempfile::tempdir_in(folder).expect("a place to write");
    let settings = Settings { path: place.path().join("rookery.db"), readers: 2, incarnation: 1 };
    let storage = Sqlite::open(settings).await.expect("a database");
    let mut next = 0;
    for _ in 0..20 {
        round(&storage, batch, &mut next).await;
    }
    let (start, cpu, first) = (Instant::now(), cpu_time(), next);
    let mut rounds = 0_u32;
    while start.elapsed() < LASTS {
        round(&storage, batch, &mut next).await;
        rounds += 1;
    }
    let (wall, cpu, envelopes) = (start.elapsed(), cpu_time() - cpu, (next - first) as f64);
    println!(
        "{batch:>8} {:>12.0} {:>14.1} {:>14.0} {:>12.0}",
        envelopes / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / envelopes,
        wall.as_secs_f64() * 1e6 / f64::from(rounds),
        f64::from(rounds) * 2.0 / wall.as_secs_f64(),
    );
    storage.close().await;
}

/// Stores one batch, and acknowledges it.
async fn round(storage: &dyn Storage, batch: u64, next: &mut u64) {
    let deposits: Vec<Deposit> = (*next..*next + batch).map(message).collect();
    *next += batch;
    let devices: Vec<DeviceId> = deposits.iter().map(|deposit| deposit.letters[0].device).collect();
    let mut unit = storage.begin().await.expect("a unit");
    let outcomes = unit.deposit(deposits, MailboxLimits::default()).await.expect("a deposit");
    unit.commit().await.expect("a commit");
    let position = |outcome: &Deposited| match outcome {
        Deposited::Stored { positions } => positions[0],
        other => panic!("{other:?}"),
    };
    let through: Vec<_> = devices.into_iter().zip(outcomes.iter().map(position)).collect();
    let mut unit = storage.begin().await.expect("a unit");
    unit.acknowledge(&through).await.expect("an acknowledgement");
    unit.commit().await.expect("a commit");
}

/// The message of this number: its id rises with it, as a UUID of version 7 does, and ends in noise.
fn message(number: u64) -> Deposit {
    let pair = number % PAIRS;
    let noise = blake3::hash(&number.to_be_bytes());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id[8..].copy_from_slice(&noise.as_bytes()[..8]);
    let named = |what: &str| *blake3::hash(format!("{what} {pair}").as_bytes()).as_bytes();
    let letter = Letter {
        user: UserId::from_bytes(named("to")),
        device: DeviceId::from_bytes(named("device")),
        envelope: vec![0xa5; ENVELOPE_BYTES],
    };
    Deposit {
        sender: UserId::from_bytes(named("from")),
        message: ItemId::from_bytes(id),
        at: Timestamp::from_millis(1_790_000_000_000 + number),
        letters: vec![letter],
    }
}

/// User and system time of this process (`proc_pid_stat(5)`, fields 14 and 15, in hundredths of a second).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let rest = stat.rsplit_once(')').expect("a command in brackets").1;
    let ticks =
        |field: usize| rest.split_whitespace().nth(field).and_then(|text| text.parse().ok());
    let ticks: u64 = ticks(11).zip(ticks(12)).map_or(0, |(user, system): (u64, u64)| user + system);
    Duration::from_millis(ticks * 10)
}

fn fsync_micros(folder: &Path) -> u128 {
    let path = folder.join(format!("fsync-{}", std::process::id()));
    let mut file = File::create(&path).expect("a file");
    let mut times: Vec<u128> = (0..200)
        .map(|_| {
            file.write_all(&[1; 4096]).expect("a write");
            let start = Instant::now();
            file.sync_data().expect("an fsync");
            start.elapsed().as_micros()
        })
        .collect();
    std::fs::remove_file(path).expect("the file goes");
    times.sort_unstable();
    times[100]
}
