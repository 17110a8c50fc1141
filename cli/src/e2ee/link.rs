//! Linking a second device by a code that a person types.
//!
//! The *old* device shows the code and the *new* one takes it, never the other way round: people have been talked into scanning an
//! attacker's code by the thousand (FBI and CISA, 2026-03-20). The code is worth 33 bits, and a balanced PAKE (SPAKE2, RFC 9382) makes it
//! worth one guess: a place takes one. Its identities are the user, the new device's key and the place, so that nothing of one exchange
//! fits into another.
//!
//! ```text
//!  new                                                old
//!   0  device key, SPAKE2 ─────────────────────────►
//!      ◄───────────────────────────────── SPAKE2      0
//!   1  confirmation, sealed: keys, name, platform ──►  asks its person
//!      ◄──── confirmation, sealed: user, head, name   1
//!   2  sealed: keys with that name, consent ────────►  states device_add
//!      ◄──── sealed: head, per-user key, profile key  2
//! ```
//!
//! When the chain went on between the old device's letter 1 and its statement, its letter 2 is another offer, and both sides use letter 3.

use rookery_protocol::{
    chain::HeadRef,
    codec::Octets,
    id::{DeviceId, UserId},
    key::Signature,
    user::{DeviceKeys, State},
};

use super::{
    Random,
    identity::{DeviceSecrets, MadeFor},
    journal::ProfileKey,
    puk::PukRing,
};

/// A letter of either side.
pub type Letter = Octets<8192>;

/// The code that links a device: the number of the place and three words of 2,048.
#[derive(PartialEq, Eq)]
pub struct LinkCode {
    place: u32,
    words: [u16; 3],
}

/// Text that is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACode {
    /// Not a number and three words.
    #[error("a code is a number and three words, such as 7-river-oxygen-stage")]
    Shape,
    /// A word that is not in the list.
    #[error("{0:?} is not one of the words that codes are made of: check its spelling")]
    UnknownWord(String),
}

impl LinkCode {
    /// A new code for the place with this number.
    #[must_use]
    pub fn generate(place: u32, random: &mut dyn Random) -> Self {
        unimplemented!()
    }

    /// Reads what [`LinkCode::to_text`] wrote: in either case, with hyphens or spaces.
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        unimplemented!()
    }

    /// `NNN-word-word-word`.
    #[must_use]
    pub fn to_text(&self) -> String {
        unimplemented!()
    }

    /// The number of the place.
    #[must_use]
    pub fn place(&self) -> u32 {
        self.place
    }
}

/// Why linking ended. The place is spent: close it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The other side has another code, or somebody stands between.
    #[error("the codes do not agree: start again with a new code")]
    WrongCode,
    /// A letter that does not fit into its place.
    #[error("the other device sent something else than was expected")]
    Unexpected,
    /// The new device did not consent to what was offered.
    #[error("the new device's keys are not the ones that it announced")]
    OtherKeys,
}

/// The new device, its first letter written.
pub struct NewDevice {
    _todo: (),
}

/// The new device, waiting for its owner's word on the old one.
pub struct NewDeviceWaiting {
    _todo: (),
}

/// The new device, its consent given.
pub struct NewDeviceConsented {
    _todo: (),
}

/// What the old device's offer makes the new one do.
pub enum NewDeviceStep {
    /// Put this letter, and wait for the next one.
    Consent(Letter, NewDeviceConsented),
}

impl NewDevice {
    /// Begins, with letter 0 of the new side.
    #[must_use]
    pub fn begin(secrets: &DeviceSecrets, user: UserId, code: &LinkCode, random: &mut dyn Random) -> (Self, Letter) {
        unimplemented!()
    }

    /// Takes letter 0 of the old side; gives letter 1, which says what this device is.
    pub fn handle_exchange(self, letter: &Letter, secrets: &DeviceSecrets, made_for: MadeFor, name: &str, platform: &str, random: &mut dyn Random) -> Result<(NewDeviceWaiting, Letter), LinkError> {
        unimplemented!()
    }
}

impl NewDeviceWaiting {
    /// Takes letter 1 of the old side, in which it confirms and offers a place in the chain; gives letter 2, which consents.
    pub fn handle_offer(self, letter: &Letter, secrets: &DeviceSecrets, random: &mut dyn Random) -> Result<(NewDeviceConsented, Letter), LinkError> {
        unimplemented!()
    }
}

/// What the old device's last letter is to the new one.
pub enum Answer {
    /// The chain had gone on: put this letter, and wait for the next.
    OfferedAgain(NewDeviceConsented, Letter),
    /// Linked.
    Welcome(Welcome),
}

impl NewDeviceConsented {
    /// Takes letter 2 (or 3) of the old side.
    pub fn handle_answer(self, letter: &Letter, secrets: &DeviceSecrets, random: &mut dyn Random) -> Result<Answer, LinkError> {
        unimplemented!()
    }
}

/// What a linked device is given. Fetch the chain to `head` or beyond, check that the device is in it, then [`Welcome::ring`].
pub struct Welcome {
    /// The head of the chain with the new device in it.
    pub head: HeadRef,
    /// The per-user key, unless history was withheld: generation and seed.
    history: Option<(u32, zeroize::Zeroizing<[u8; 32]>)>,
    /// The profile key, unless history was withheld.
    pub profile_key: Option<ProfileKey>,
}

impl Welcome {
    /// The per-user key, checked against the chain; nothing when history was withheld.
    pub fn ring(&self, state: &State) -> Option<Result<PukRing, super::puk::PukError>> {
        unimplemented!()
    }
}

/// The old device, waiting for the new one's first letter.
pub struct OldDevice {
    _todo: (),
}

/// The old device, waiting for the new one's confirmation.
pub struct OldDeviceExchanged {
    _todo: (),
}

/// The old device, with a new one that knows the code: its person has to say yes.
pub struct OldDeviceAsked {
    /// What the new device says of itself, for its person to compare.
    pub introduction: Introduction,
}

/// What a new device says of itself. It is its word: only the key is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its id, which is its key's.
    pub device: DeviceId,
    /// The name that it wants.
    pub name: String,
    /// What it runs on.
    pub platform: String,
}

/// The old device, waiting for the new one's consent.
pub struct OldDeviceOffered {
    _todo: (),
}

/// The old device, with all that the statement takes.
pub struct OldDeviceAgreed {
    /// The new device's keys, for [`Draft::add_device`](super::identity::Draft::add_device).
    pub keys: DeviceKeys,
    /// Its consent.
    pub consent: Signature,
}

impl OldDevice {
    /// Waits at the place of `code`, which is on its screen.
    #[must_use]
    pub fn begin(user: UserId, code: LinkCode) -> Self {
        unimplemented!()
    }

    /// Takes letter 0 of the new side, which `from` wrote as the home says; gives letter 0.
    pub fn handle_exchange(self, letter: &Letter, from: DeviceId, random: &mut dyn Random) -> Result<(OldDeviceExchanged, Letter), LinkError> {
        unimplemented!()
    }
}

impl OldDeviceExchanged {
    /// Takes letter 1 of the new side. An error is a wrong guess: close the place.
    pub fn handle_introduction(self, letter: &Letter) -> Result<OldDeviceAsked, LinkError> {
        unimplemented!()
    }
}

impl OldDeviceAsked {
    /// The person said yes: offers the new device a place after the head of `state`. Gives letter 1.
    pub fn accept(self, state: &State, ring: &PukRing, random: &mut dyn Random) -> (OldDeviceOffered, Letter) {
        unimplemented!()
    }
}

impl OldDeviceOffered {
    /// Takes letter 2 (or 3) of the new side, and checks the consent.
    pub fn handle_consent(self, letter: &Letter) -> Result<OldDeviceAgreed, LinkError> {
        unimplemented!()
    }
}

/// Whether a linked device gets to read what came before.
#[derive(Clone, Copy, Debug)]
pub enum History<'a> {
    /// It does.
    Shared(&'a PukRing, Option<&'a ProfileKey>),
    /// It does not.
    Withheld,
}

impl OldDeviceAgreed {
    /// The home has taken the statement, and the chain stands at `head`: gives letter 2 (or 3), the last.
    #[must_use]
    pub fn welcome(self, head: HeadRef, history: History<'_>, random: &mut dyn Random) -> Letter {
        unimplemented!()
    }

    /// The home answered `Stale`: offers a place after the head of `state` instead, once. Gives letter 2.
    pub fn offer_again(self, state: &State, random: &mut dyn Random) -> Result<(OldDeviceOffered, Letter), LinkError> {
        unimplemented!()
    }
}
