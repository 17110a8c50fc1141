//! The side of the device that wants in.

use std::fmt;

use rookery_protocol::{
    chain::HeadRef,
    codec::{self, Octets},
    id::UserId,
    user::{PukBox, State},
};

use super::{
    Consent, Hello, HelloBack, Letter, LinkCode, LinkError, OldWord, SelfDescription,
    channel::{Channel, Exchange, Side, Subject},
};
use crate::e2ee::{
    Random,
    identity::{DeviceSecrets, MadeFor},
    puk::{Holder, PukError, PukRing},
};

/// How long what a device says of itself may be, in bytes.
const WORDS_BYTES: usize = 100;

/// The new device, its first letter written.
pub struct NewDevice {
    exchange: Exchange,
}

/// The new device, waiting for its owner's word on the old one.
pub struct NewDeviceWaiting {
    channel: Channel,
    made_for: MadeFor,
}

/// The new device, its consent given.
pub struct NewDeviceConsented {
    channel: Channel,
    made_for: MadeFor,
}

/// What a new device says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Portrait<'a> {
    /// Who is behind it.
    pub made_for: MadeFor,
    /// The name that it wants; what is beyond 100 bytes is cut.
    pub name: &'a str,
    /// What it runs on; likewise.
    pub platform: &'a str,
}

impl NewDevice {
    /// Begins, with letter 0 of the new side.
    #[must_use]
    pub fn begin(
        secrets: &DeviceSecrets,
        user: UserId,
        code: &LinkCode,
        random: &mut dyn Random,
    ) -> (Self, Letter) {
        let device = secrets.signing().verifying_key();
        let subject = Subject { user, device, place: code.place() };
        let (exchange, message) = Exchange::begin(subject, Side::New, code, random);
        let hello =
            Letter::parse(codec::encode(&Hello { device, exchange: message })).unwrap_or_default();
        (Self { exchange }, hello)
    }

    /// Takes letter 0 of the old side; gives letter 1, which says what this device is.
    pub fn handle_exchange(
        self,
        letter: &Letter,
        secrets: &DeviceSecrets,
        portrait: Portrait<'_>,
        random: &mut dyn Random,
    ) -> Result<(NewDeviceWaiting, Letter), LinkError> {
        let HelloBack { exchange } =
            codec::decode(letter.as_slice()).map_err(|_| LinkError::Unexpected)?;
        let mut channel = self.exchange.finish(&exchange)?;
        let keys = secrets.public(portrait.made_for, Octets::default());
        let description = SelfDescription {
            identity: keys.identity,
            sealing: keys.sealing,
            bot: keys.bot,
            name: cut(portrait.name),
            platform: cut(portrait.platform),
        };
        let letter = channel.seal(&description, random);
        Ok((NewDeviceWaiting { channel, made_for: portrait.made_for }, letter))
    }
}

impl NewDeviceWaiting {
    /// Takes letter 1 of the old side, in which it confirms and offers a place in the chain; gives letter 2, which consents.
    pub fn handle_offer(
        self,
        letter: &Letter,
        secrets: &DeviceSecrets,
        random: &mut dyn Random,
    ) -> Result<(NewDeviceConsented, Letter), LinkError> {
        let Self { mut channel, made_for } = self;
        match channel.open(letter)? {
            OldWord::Offer { head, sealed_name } => {
                Ok(consent(channel, made_for, head, sealed_name, secrets, random))
            }
            OldWord::Welcome { .. } => Err(LinkError::Unexpected),
        }
    }
}

/// What the old device's answer is to the new one.
#[derive(Debug)]
pub enum Answer {
    /// The chain had gone on: put this letter, and wait for the next.
    OfferedAgain(NewDeviceConsented, Letter),
    /// Linked.
    Welcome(Welcome),
}

impl NewDeviceConsented {
    /// Takes letter 2 (or 3) of the old side.
    pub fn handle_answer(
        self,
        letter: &Letter,
        secrets: &DeviceSecrets,
        random: &mut dyn Random,
    ) -> Result<Answer, LinkError> {
        let Self { mut channel, made_for } = self;
        Ok(match channel.open(letter)? {
            OldWord::Offer { head, sealed_name } => {
                let (next, letter) = consent(channel, made_for, head, sealed_name, secrets, random);
                Answer::OfferedAgain(next, letter)
            }
            OldWord::Welcome { head, puk } => Answer::Welcome(Welcome { head, puk }),
        })
    }
}

/// What a linked device is given. It fetches the chain to `head` or beyond, checks that it is in it, and opens [`Welcome::ring`].
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The head of the chain with the new device in it.
    pub head: HeadRef,
    puk: Option<PukBox>,
}

impl Welcome {
    /// Whether the device may read what came before.
    #[must_use]
    pub fn shares_history(&self) -> bool {
        self.puk.is_some()
    }

    /// The per-user key, checked against the chain; [`PukError::NoBox`] when history was withheld.
    pub fn ring(&self, state: &State, secrets: &DeviceSecrets) -> Result<PukRing, PukError> {
        PukRing::open(state, Holder::Device(secrets), self.puk.as_slice())
    }
}

fn consent(
    mut channel: Channel,
    made_for: MadeFor,
    head: HeadRef,
    sealed_name: Octets<256>,
    secrets: &DeviceSecrets,
    random: &mut dyn Random,
) -> (NewDeviceConsented, Letter) {
    let keys = secrets.public(made_for, sealed_name);
    let reverse = secrets.consent(channel.subject().user, head.hash, &keys);
    let letter = channel.seal(&Consent { keys, reverse }, random);
    (NewDeviceConsented { channel, made_for }, letter)
}

fn cut(words: &str) -> String {
    words.get(..words.floor_char_boundary(WORDS_BYTES)).unwrap_or_default().to_owned()
}

impl fmt::Debug for NewDeviceConsented {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NewDeviceConsented(secret)")
    }
}
