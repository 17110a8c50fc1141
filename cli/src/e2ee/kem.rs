//! X-Wing (X25519 with ML-KEM-768, draft-connolly-cfrg-xwing-kem) and HPKE (RFC 9180) in base mode over it.
//!
//! HPKE is used in its single-shot form only: a context that seals twice has a counter, and counters have wrapped
//! ("Verification Theatre", eprint 2026/192).

use std::fmt;

use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::{Kem as _, XWing},
};
use rookery_protocol::{
    envelope::KEM_CIPHERTEXT_BYTES,
    key::{HpkeBox, KemKey},
};
use zeroize::Zeroizing;

use super::{
    aead::Unopenable,
    random::{Random, Source, secret},
};

/// A public key that is none: its ML-KEM half is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the X-Wing key is not valid")]
pub(crate) struct BadKey;

/// An X-Wing secret key, kept as the 32 bytes that it is expanded from.
pub struct KemSecret(Zeroizing<[u8; 32]>);

impl KemSecret {
    /// A new key.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(secret(random))
    }

    /// The key whose 32 secret bytes are `seed`.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// The 32 secret bytes.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    ///
    /// # Panics
    ///
    /// Never: X-Wing's public keys have one length.
    #[must_use]
    pub fn public(&self) -> KemKey {
        #[expect(
            clippy::expect_used,
            reason = "X-Wing's public keys have 1,216 bytes by their type"
        )]
        KemKey::from_slice(&XWing::sk_to_pk(&self.expanded()).to_bytes())
            .expect("an X-Wing key has its length")
    }

    fn expanded(&self) -> <XWing as hpke::Kem>::PrivateKey {
        #[expect(clippy::expect_used, reason = "every 32 bytes are an X-Wing seed")]
        <XWing as hpke::Kem>::PrivateKey::from_bytes(self.0.as_ref())
            .expect("a seed has its length")
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KemSecret(secret)")
    }
}

/// Seals `plaintext` for the holder of `to`: encapsulation and ciphertext in one.
pub(crate) fn seal_box(
    to: &KemKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    random: &mut dyn Random,
) -> Result<HpkeBox, BadKey> {
    let to = <XWing as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| BadKey)?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &to,
            info,
            plaintext,
            aad,
            &mut Source(random),
        )
        .map_err(|_| BadKey)?;
    HpkeBox::parse([&encapsulated.to_bytes()[..], &ciphertext].concat()).map_err(|_| BadKey)
}

/// Opens what [`seal_box`] sealed for `secret` with the same `info` and `aad`.
pub(crate) fn open_box(
    secret: &KemSecret,
    info: &[u8],
    aad: &[u8],
    sealed: &HpkeBox,
) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
    let (encapsulated, ciphertext) =
        sealed.as_slice().split_at_checked(KEM_CIPHERTEXT_BYTES).ok_or(Unopenable)?;
    let encapsulated =
        <XWing as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| Unopenable)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        &secret.expanded(),
        &encapsulated,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| Unopenable)
}

/// A fresh shared secret for the holder of `to`, and the ciphertext that lets them have it.
pub(crate) fn encapsulate(
    to: &KemKey,
    random: &mut dyn Random,
) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), BadKey> {
    let to = <XWing as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| BadKey)?;
    let (shared, ciphertext) =
        XWing::encap_with_rng(&to, None, &mut Source(random)).map_err(|_| BadKey)?;
    Ok((Zeroizing::new(shared.0.into()), ciphertext.to_bytes().to_vec()))
}

/// The shared secret that `ciphertext` carries for `secret`. X-Wing rejects implicitly: a wrong ciphertext gives another secret.
pub(crate) fn decapsulate(
    secret: &KemSecret,
    ciphertext: &[u8],
) -> Result<Zeroizing<[u8; 32]>, Unopenable> {
    let ciphertext =
        <XWing as hpke::Kem>::EncappedKey::from_bytes(ciphertext).map_err(|_| Unopenable)?;
    let shared = XWing::decap(&secret.expanded(), None, &ciphertext).map_err(|_| Unopenable)?;
    Ok(Zeroizing::new(shared.0.into()))
}
