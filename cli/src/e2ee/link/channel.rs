//! What a place carries once both sides have the code: SPAKE2, key confirmation, sealed letters.
//!
//! SPAKE2 as the `spake2` packages of Rust and Python have it (Ed25519; after Abdalla and Pointcheval, CT-RSA 2005). The key that comes of it is for this
//! exchange alone and no shield against a quantum computer, so the per-user key never goes under it: that travels in its X-Wing box.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec,
    hash::labelled,
    id::{Digest, UserId},
    key::VerifyingKey,
};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{Letter, LinkCode, LinkError};
use crate::e2ee::{Random, Unopenable, aead::Key, kdf::derive, padding, random::Source};

/// Which side of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    New,
    Old,
}

impl Side {
    fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
        }
    }
}

/// What this exchange is about: nothing of one exchange fits into another.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) user: UserId,
    /// The new device's key.
    pub(super) device: VerifyingKey,
    pub(super) place: u32,
}

impl Subject {
    fn hash(&self, tag: &str) -> Digest {
        labelled(tag, &[self.user.as_bytes(), self.device.as_bytes(), &self.place.to_be_bytes()])
    }
}

/// One side that has put its half of the exchange down.
pub(super) struct Exchange {
    subject: Subject,
    side: Side,
    spake: Spake2<Ed25519Group>,
}

impl Exchange {
    /// Begins, with the 33 bytes for the other side.
    pub(super) fn begin(
        subject: Subject,
        side: Side,
        code: &LinkCode,
        random: &mut dyn Random,
    ) -> (Self, Vec<u8>) {
        let password = Password::new(code.password());
        let (new, old) = (subject.hash("link/new"), subject.hash("link/old"));
        let (new, old) = (Identity::new(new.as_bytes()), Identity::new(old.as_bytes()));
        let (spake, message) = match side {
            Side::New => Spake2::start_a_with_rng(&password, &new, &old, Source(random)),
            Side::Old => Spake2::start_b_with_rng(&password, &new, &old, Source(random)),
        };
        (Self { subject, side, spake }, message)
    }

    /// Takes the other side's half.
    pub(super) fn finish(self, message: &[u8]) -> Result<Channel, LinkError> {
        let shared = Zeroizing::new(self.spake.finish(message).map_err(|_| LinkError::Unexpected)?);
        let context = self.subject.hash("link");
        let key = derive(&shared, "link", context.as_bytes());
        Ok(Channel { subject: self.subject, side: self.side, key, sent: 1, taken: 1 })
    }
}

/// A sealed channel between the two sides, if they had the same code. Letter 0 of each side was the exchange.
pub(super) struct Channel {
    subject: Subject,
    side: Side,
    key: Zeroizing<[u8; 32]>,
    /// The number of the next letter of this side, and of the next one of the other.
    sent: u32,
    taken: u32,
}

/// A letter that also proves that its side has the key.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Confirmed {
    #[n(0)]
    proof: Digest,
    #[cbor(n(1), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

impl Channel {
    pub(super) fn subject(&self) -> Subject {
        self.subject
    }

    /// Seals this side's next letter.
    pub(super) fn seal<T: Encode<()>>(&mut self, value: &T, random: &mut dyn Random) -> Letter {
        let number = self.sent;
        self.sent = self.sent.saturating_add(1);
        let plaintext = padding::pad(&codec::encode(value), padding::FLOOR);
        let sealed = self.letter_key(self.side).seal(&letter_context(number), &plaintext, random);
        // The longest letter is an introduction or a consent, below 3 KiB.
        let proof = self.proof(self.side);
        Letter::parse(codec::encode(&Confirmed { proof, sealed })).unwrap_or_default()
    }

    /// Opens the other side's next letter. The proof is checked first: a wrong one means a wrong code.
    pub(super) fn open<T: for<'b> Decode<'b, ()>>(
        &mut self,
        letter: &Letter,
    ) -> Result<T, LinkError> {
        let Confirmed { proof, sealed } =
            codec::decode(letter.as_slice()).map_err(|_| LinkError::Unexpected)?;
        let other = if self.side == Side::New { Side::Old } else { Side::New };
        if !bool::from(proof.as_bytes().ct_eq(self.proof(other).as_bytes())) {
            return Err(LinkError::WrongCode);
        }
        let number = self.taken;
        let plaintext = self.letter_key(other).open(&letter_context(number), &sealed)?;
        self.taken = self.taken.saturating_add(1);
        codec::decode(padding::unpad(&plaintext, padding::FLOOR)?)
            .map_err(|_| LinkError::Unexpected)
    }

    fn proof(&self, side: Side) -> Digest {
        Digest::from_bytes(*derive(self.key.as_ref(), "link/confirm", side.label().as_bytes()))
    }

    fn letter_key(&self, side: Side) -> Key {
        Key::new(derive(self.key.as_ref(), "link/letter", side.label().as_bytes()))
    }
}

impl From<Unopenable> for LinkError {
    fn from(_: Unopenable) -> Self {
        Self::Unexpected
    }
}

fn letter_context(number: u32) -> Vec<u8> {
    labelled("link/letter", &[&number.to_be_bytes()]).as_bytes().to_vec()
}
