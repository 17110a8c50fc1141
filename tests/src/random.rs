//! Randomness that can be had again.

use std::{env, time::Duration};

use anyhow::{Context, Result};
use uuid::Uuid;

/// A stream of numbers from one seed (SplitMix64): good enough for choosing when to kill, and nothing else.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins from `seed`, or from the environment's `ROOKERY_TEST_SEED`, and prints which.
    pub fn from_seed(seed: u64) -> Result<Self> {
        let seed = match env::var("ROOKERY_TEST_SEED") {
            Ok(given) => given.parse().context("ROOKERY_TEST_SEED is not a number")?,
            Err(_) => seed,
        };
        println!("seed: ROOKERY_TEST_SEED={seed}");
        Ok(Self(seed))
    }

    /// Begins from `seed` whatever the environment says.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, for something that goes on beside this.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.number())
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound`, without `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number().checked_rem(bound).unwrap_or(0)
    }

    /// A time from `least` to `most` milliseconds.
    pub fn pause(&mut self, least: u64, most: u64) -> Duration {
        let span = most.saturating_sub(least);
        Duration::from_millis(least.saturating_add(self.below(span)))
    }

    /// A new message id.
    pub fn id(&mut self) -> Uuid {
        let (high, low) = (self.number(), self.number());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
    }

    /// A word of twelve letters that stands nowhere else.
    pub fn word(&mut self) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
        (0..12)
            .map(|_| {
                let place = usize::try_from(self.below(26)).unwrap_or(0);
                LETTERS.get(place).map_or('a', |letter| char::from(*letter))
            })
            .collect()
    }
}
