//! Where randomness comes from: one trait, so that a test can be given the same draw twice.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Gives bytes that nobody can guess.
pub trait Random {
    /// Fills all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    /// # Panics
    ///
    /// When the operating system has none to give: there is nothing safe to go on with.
    fn fill(&mut self, bytes: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "without randomness no key may be made")]
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

/// The same bytes for the same seed: for tests and simulations, never for keys that somebody relies on.
#[derive(ZeroizeOnDrop)]
pub struct SeededRandom {
    seed: [u8; 32],
    block: u64,
}

impl SeededRandom {
    /// The source that `seed` stands for.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed: Sha256::digest(seed.to_be_bytes()).into(), block: 0 }
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        expand(&self.seed, &mut self.block, bytes);
    }
}

/// What follows from one secret draw of 32 bytes: work that is shared among threads is given a draw for each piece, and comes out the same
/// however it was shared.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Drawn {
    seed: [u8; 32],
    block: u64,
}

impl Drawn {
    /// Draws the seed.
    pub(crate) fn from(random: &mut dyn Random) -> Self {
        Self { seed: array(random), block: 0 }
    }
}

impl Random for Drawn {
    fn fill(&mut self, bytes: &mut [u8]) {
        expand(&self.seed, &mut self.block, bytes);
    }
}

/// Fills `bytes` with the blocks `SHA-256(seed ‖ block)` from `block` on.
fn expand(seed: &[u8; 32], block: &mut u64, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(32) {
        let drawn = Sha256::new().chain_update(seed).chain_update(block.to_be_bytes()).finalize();
        *block = block.wrapping_add(1);
        chunk.iter_mut().zip(drawn).for_each(|(to, from)| *to = from);
    }
}

/// Draws `N` bytes that need not be secret: ids, nonces, salts.
pub(crate) fn array<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// Draws a secret of 32 bytes.
pub(crate) fn secret(random: &mut dyn Random) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.fill(bytes.as_mut());
    bytes
}

/// A [`Random`] in the form that other crates take.
pub(crate) struct Source<'a>(pub(crate) &'a mut dyn Random);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(array(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(array(self.0)))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_seed_others() {
        let draw = |seed| array::<64>(&mut SeededRandom::new(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[..32], draw(1)[32..]);
    }

    #[test]
    fn the_operating_system_never_draws_the_same_twice() {
        assert_ne!(array::<32>(&mut OsRandom), array::<32>(&mut OsRandom));
    }
}
