//! XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) with a random nonce, which at 24 bytes never repeats.

use std::fmt;

pub(crate) use rookery_primitives::NONCE_BYTES;
use zeroize::Zeroizing;

use super::random::{Random, array};

/// It does not open: another key, another context, or other bytes. There is one error for all of them, so that none can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not open: it was sealed for something else, or was changed")]
pub struct Unopenable;

/// A key for one purpose.
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second copy, for a state that is tried on.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// `nonce ‖ ciphertext ‖ tag` of `plaintext`, bound to `context`.
    pub(crate) fn seal(
        &self,
        context: &[u8],
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Vec<u8> {
        let nonce = array::<NONCE_BYTES>(random);
        #[expect(
            clippy::expect_used,
            reason = "the cipher takes 256 GiB, and no plaintext here has 1 MiB"
        )]
        let sealed = rookery_primitives::seal(&self.0, &nonce, context, plaintext)
            .expect("the plaintext is shorter than the cipher's bound");
        [&nonce[..], &sealed].concat()
    }

    /// What [`Key::seal`] sealed for the same `context`.
    pub(crate) fn open(
        &self,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Unopenable)?;
        rookery_primitives::open(&self.0, nonce, context, ciphertext)
            .map(Zeroizing::new)
            .ok_or(Unopenable)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::SeededRandom;

    #[test]
    fn every_changed_bit_cut_and_context_is_refused() {
        let mut random = SeededRandom::new(1);
        let key = Key::new(crate::e2ee::random::secret(&mut random));
        let sealed = key.seal(b"here", b"words", &mut random);
        assert_eq!(key.open(b"here", &sealed).unwrap().as_slice(), b"words");
        assert_eq!(key.open(b"there", &sealed), Err(Unopenable));
        assert_eq!(
            Key::new(crate::e2ee::random::secret(&mut random)).open(b"here", &sealed),
            Err(Unopenable)
        );
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(b"here", &changed), Err(Unopenable));
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(b"here", &sealed[..length]), Err(Unopenable));
        }
    }
}
