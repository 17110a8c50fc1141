//! Many seeds, on all cores.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{Played, Size, World, play};

/// How large worlds are: the small ones are cheap, and show most.
const SIZES: [Size; 4] = [
    Size { homes: 2, devices: 3 },
    Size { homes: 2, devices: 4 },
    Size { homes: 2, devices: 3 },
    Size { homes: 3, devices: 4 },
];

/// A world of each size.
#[derive(Debug)]
pub struct Worlds(BTreeMap<Size, World>);

impl Worlds {
    /// Makes them.
    pub fn make() -> Result<Self> {
        let sizes: std::collections::BTreeSet<Size> = SIZES.into();
        Ok(Self(
            sizes.into_iter().map(|size| Ok((size, World::make(size)?))).collect::<Result<_>>()?,
        ))
    }

    fn of(&self, seed: u64) -> Result<&World> {
        let place = usize::try_from(seed)?.checked_rem(SIZES.len()).context("a size")?;
        SIZES.get(place).and_then(|size| self.0.get(size)).context("a world of that size")
    }
}

/// How many seeds went.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many were played.
    pub seeds: u64,
    /// Faults that struck.
    pub faults: usize,
    /// Messages that were taken.
    pub taken: usize,
    /// How long it took each until everything was well, by the number of seconds.
    pub healing: BTreeMap<u64, u64>,
    /// What did not hold, with how to play it again.
    pub wrong: Vec<String>,
}

/// Plays `seeds` on as many threads as there are cores.
pub fn play_all(worlds: &Worlds, seeds: Range<u64>, each: impl Fn(u64, &Played) + Sync) -> Summary {
    let (next, summary) = (AtomicU64::new(seeds.start), Mutex::new(Summary::default()));
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let played = worlds.of(seed).and_then(|world| play(world, seed));
                    if let Ok(played) = &played {
                        each(seed, played);
                    }
                    summary.lock().unwrap_or_else(PoisonError::into_inner).add(played);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Summary {
    fn add(&mut self, played: Result<Played>) {
        self.seeds = self.seeds.saturating_add(1);
        match played {
            Ok(played) => {
                self.faults = self.faults.saturating_add(played.faults);
                self.taken = self.taken.saturating_add(played.taken);
                let count = self.healing.entry(played.healing.as_secs()).or_default();
                *count = count.saturating_add(1);
            }
            Err(error) => self.wrong.push(format!("{error:#}")),
        }
    }

    /// Within how long all but so many of a hundred were well.
    fn healed_within(&self, percent: u64) -> Duration {
        let all: u64 = self.healing.values().sum();
        let mut left = all.saturating_mul(percent).div_ceil(100);
        for (seconds, count) in &self.healing {
            left = left.saturating_sub(*count);
            if left == 0 {
                return Duration::from_secs(*seconds);
            }
        }
        Duration::ZERO
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} faults, {} messages taken; well again within {:?} (half), {:?} (99 of 100), {:?} (all)",
            self.seeds,
            self.faults,
            self.taken,
            self.healed_within(50),
            self.healed_within(99),
            self.healed_within(100),
        )
    }
}
