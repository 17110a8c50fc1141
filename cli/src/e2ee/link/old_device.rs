//! The side of the device that is there already.

use std::fmt;

use rookery_protocol::{
    chain::HeadRef,
    codec::{self, Octets},
    id::{DeviceId, UserId},
    key::{Domain, Signature},
    user::{DeviceKeys, PukBox, State, reverse_message},
};

use super::{
    Consent, Hello, HelloBack, Letter, LinkCode, LinkError, OldWord, SelfDescription,
    channel::{Channel, Exchange, Side, Subject},
};
use crate::e2ee::{Random, puk::PukRing};

/// The old device, waiting for the new one's first letter.
#[derive(Debug)]
pub struct OldDevice {
    user: UserId,
    code: LinkCode,
}

/// The old device, waiting for the new one's proof that it has the code.
pub struct OldDeviceExchanged {
    channel: Channel,
}

/// The old device, with a new one that knows the code: its person has to say yes.
pub struct OldDeviceAsked {
    channel: Channel,
    description: SelfDescription,
    introduction: Introduction,
}

/// What a new device says of itself, for a person to compare. It is its word: only the key is proven.
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
    channel: Channel,
    description: SelfDescription,
    head: HeadRef,
    sealed_name: Octets<256>,
}

/// The old device, with all that the statement takes.
pub struct OldDeviceAgreed {
    channel: Channel,
    description: SelfDescription,
    /// The new device's keys, for [`Draft::add_device`](crate::e2ee::statement::Draft::add_device).
    pub keys: DeviceKeys,
    /// Its consent.
    pub consent: Signature,
}

impl OldDevice {
    /// Waits at the place of `code`, which is on its screen.
    #[must_use]
    pub fn begin(user: UserId, code: LinkCode) -> Self {
        Self { user, code }
    }

    /// Takes letter 0 of the new side, which `from` wrote as the home says; gives letter 0. From here on the place has had its guess.
    pub fn handle_exchange(
        self,
        letter: &Letter,
        from: DeviceId,
        random: &mut dyn Random,
    ) -> Result<(OldDeviceExchanged, Letter), LinkError> {
        let Hello { device, exchange } =
            codec::decode(letter.as_slice()).map_err(|_| LinkError::Unexpected)?;
        if device.device_id() != from {
            return Err(LinkError::OtherKeys);
        }
        let subject = Subject { user: self.user, device, place: self.code.place() };
        let (own, message) = Exchange::begin(subject, Side::Old, &self.code, random);
        let channel = own.finish(&exchange)?;
        let letter =
            Letter::parse(codec::encode(&HelloBack { exchange: message })).unwrap_or_default();
        Ok((OldDeviceExchanged { channel }, letter))
    }
}

impl OldDeviceExchanged {
    /// Takes letter 1 of the new side. An error is a wrong guess: close the place.
    pub fn handle_introduction(self, letter: &Letter) -> Result<OldDeviceAsked, LinkError> {
        let Self { mut channel } = self;
        let description: SelfDescription = channel.open(letter)?;
        let introduction = Introduction {
            device: channel.subject().device.device_id(),
            name: description.name.clone(),
            platform: description.platform.clone(),
        };
        Ok(OldDeviceAsked { channel, description, introduction })
    }
}

impl OldDeviceAsked {
    /// What the new device says of itself.
    #[must_use]
    pub fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The person said yes: confirms, and offers the new device a place after the head of `state`. Gives letter 1.
    #[must_use]
    pub fn accept(
        self,
        state: &State,
        ring: &PukRing,
        random: &mut dyn Random,
    ) -> (OldDeviceOffered, Letter) {
        let sealed_name =
            ring.seal_device_name(self.introduction.device, &self.introduction.name, random);
        offer(self.channel, self.description, state, sealed_name, random)
    }
}

impl OldDeviceOffered {
    /// Takes letter 2 (or 3) of the new side, and checks that it consents to exactly what it was offered, with the keys that it announced.
    pub fn handle_consent(self, letter: &Letter) -> Result<OldDeviceAgreed, LinkError> {
        let Self { mut channel, description, head, sealed_name } = self;
        let Consent { keys, reverse } = channel.open(letter)?;
        let Subject { user, device, .. } = channel.subject();
        let announced = DeviceKeys {
            signing: device,
            identity: description.identity,
            sealing: description.sealing.clone(),
            bot: description.bot,
            sealed_name,
        };
        let message = reverse_message(user, head.hash, &codec::encode(&keys));
        if keys != announced || device.verify(Domain::REVERSE, &message, &reverse).is_err() {
            return Err(LinkError::OtherKeys);
        }
        Ok(OldDeviceAgreed { channel, description, keys, consent: reverse })
    }
}

impl OldDeviceAgreed {
    /// The home has taken the statement, and the chain stands at `head`: gives the last letter. `puk` is the box that
    /// [`Draft::box_for`](crate::e2ee::statement::Draft::box_for) made; without it the new device does not read what came before.
    #[must_use]
    pub fn welcome(self, head: HeadRef, puk: Option<PukBox>, random: &mut dyn Random) -> Letter {
        let Self { mut channel, .. } = self;
        channel.seal(&OldWord::Welcome { head, puk }, random)
    }

    /// The home answered `Stale`: offers a place after the head of `state` instead. A side has four letters, so this can be done once.
    #[must_use]
    pub fn offer_again(self, state: &State, random: &mut dyn Random) -> (OldDeviceOffered, Letter) {
        let Self { channel, description, keys, .. } = self;
        offer(channel, description, state, keys.sealed_name, random)
    }
}

fn offer(
    mut channel: Channel,
    description: SelfDescription,
    state: &State,
    sealed_name: Octets<256>,
    random: &mut dyn Random,
) -> (OldDeviceOffered, Letter) {
    let head = state.head.into();
    let letter = channel.seal(&OldWord::Offer { head, sealed_name: sealed_name.clone() }, random);
    (OldDeviceOffered { channel, description, head, sealed_name }, letter)
}

/// Gives a state that holds secrets a `Debug` that prints none.
macro_rules! redacted {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    )* };
}

redacted!(OldDeviceExchanged, OldDeviceAsked, OldDeviceOffered, OldDeviceAgreed);
