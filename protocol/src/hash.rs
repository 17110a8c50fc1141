//! The one hash: SHA-256 over labelled, length-prefixed parts.

use sha2::{Digest as _, Sha256};

use crate::id::Digest;

/// `LH(tag, x…)` = SHA-256 of `"rookery/1/" ‖ tag ‖ 0 ‖ Σ u32be(len) ‖ x`.
///
/// The tag keeps the hashes of different things apart, and the lengths keep `("ab", "c")` from `("a", "bc")`.
#[must_use]
pub fn labelled(tag: &str, parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"rookery/1/");
    hash.update(tag.as_bytes());
    hash.update([0]);
    for part in parts {
        // No part is longer than a batch, which is far below 4 GiB.
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    Digest::from_bytes(hash.finalize().into())
}

/// Plain SHA-256 of `bytes`, as bodies are named in the items that cover them.
#[must_use]
pub fn plain(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        assert_ne!(labelled("t", &[b"ab", b"c"]), labelled("t", &[b"a", b"bc"]));
        assert_ne!(labelled("t", &[b"ab"]), labelled("ta", &[b"b"]));
    }
}
