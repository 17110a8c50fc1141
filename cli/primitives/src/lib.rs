//! What rookery seals and derives keys with: XChaCha20-Poly1305 and HKDF-SHA-256, of the `RustCrypto` crates.
//!
//! Those are generic, and generic code is compiled as whoever uses it is: in a build for tests not optimised at all, where a cipher takes thirty
//! times as long. Behind these functions it is compiled here, and the workspace has this crate optimised in every build. It decides nothing: nonces,
//! contexts and labels are the caller's.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;

/// How many bytes a nonce takes: a random one never repeats.
pub const NONCE_BYTES: usize = 24;

/// `plaintext` under XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha-03), with its tag of 16 bytes. `context` is authenticated beside it.
///
/// Nothing is returned for a plaintext beyond the cipher's bound of 256 GiB.
#[must_use]
pub fn seal(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    context: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(*nonce), Payload { msg: plaintext, aad: context })
        .ok()
}

/// What [`seal`] sealed under the same key, nonce and context. Nothing when it is not that.
#[must_use]
pub fn open(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    context: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: context })
        .ok()
}

/// Fills `output` by HKDF-SHA-256, extract and expand (RFC 5869). Says whether it could: 8,160 bytes are the most.
#[must_use]
pub fn expand(salt: Option<&[u8]>, key: &[u8], info: &[u8], output: &mut [u8]) -> bool {
    Hkdf::<Sha256>::new(salt, key).expand(info, output).is_ok()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_nonce_and_context_only() {
        let (key, nonce) = ([1; 32], [2; NONCE_BYTES]);
        let sealed = seal(&key, &nonce, b"here", b"words").unwrap();
        assert_eq!(sealed.len(), 5 + 16);
        assert_eq!(open(&key, &nonce, b"here", &sealed).unwrap(), b"words");
        assert_eq!(open(&[3; 32], &nonce, b"here", &sealed), None);
        assert_eq!(open(&key, &[3; NONCE_BYTES], b"here", &sealed), None);
        assert_eq!(open(&key, &nonce, b"there", &sealed), None);
        assert_eq!(open(&key, &nonce, b"here", &sealed[1..]), None);
    }

    #[test]
    fn hkdf_gives_rfc_5869_s_first_answer_and_refuses_more_than_it_has() {
        let (key, salt, info) =
            ([0x0b; 22], (0..=0x0c).collect::<Vec<u8>>(), (0xf0..=0xf9).collect::<Vec<u8>>());
        let mut output = [0; 42];
        assert!(expand(Some(&salt), &key, &info, &mut output));
        assert_eq!(
            HEXLOWER.encode(&output),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
        assert!(!expand(None, &key, &info, &mut [0; 8_161]));
    }
}
