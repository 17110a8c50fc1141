//! Names, topics and reasons, sealed for whoever is a member *now*: each epoch's metadata key opens the one before, whatever the history
//! setting, because who comes later is to read what channels are called.

use std::fmt;

use rookery_protocol::{
    codec::Octets,
    community::SealedText,
    hash::labelled,
    id::{ChannelId, CommunityId, RoleId, UserId},
};
use zeroize::Zeroizing;

use super::{EpochPlace, link, previous_context};
use crate::e2ee::{
    Random, Unopenable,
    aead::Key,
    kdf::derive,
    padding::{TEXT_FLOOR, pad, unpad},
};

/// How long a name, a topic or a reason may be, in bytes of UTF-8.
pub const TEXT_BYTES: usize = 1_024;

/// What a sealed text is: one text cannot stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOf {
    /// The community's name.
    CommunityName,
    /// What the community is about.
    CommunityTopic,
    /// A role's name.
    RoleName(RoleId),
    /// A channel's name.
    ChannelName(ChannelId),
    /// What a channel is about.
    ChannelTopic(ChannelId),
    /// What a member is called in the community.
    Nickname(UserId),
    /// Why somebody was sent away.
    Reason(UserId),
    /// Why messages of a channel were erased.
    Redaction(ChannelId),
}

impl TextOf {
    /// Its number and what it is of.
    pub(crate) fn parts(self) -> (u8, Vec<u8>) {
        match self {
            Self::CommunityName => (1, vec![]),
            Self::CommunityTopic => (2, vec![]),
            Self::RoleName(role) => (3, role.number().to_be_bytes().to_vec()),
            Self::ChannelName(channel) => (4, channel.number().to_be_bytes().to_vec()),
            Self::ChannelTopic(channel) => (5, channel.number().to_be_bytes().to_vec()),
            Self::Nickname(user) => (6, user.as_bytes().to_vec()),
            Self::Reason(user) => (7, user.as_bytes().to_vec()),
            Self::Redaction(channel) => (8, channel.number().to_be_bytes().to_vec()),
        }
    }
}

/// Why a text was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Longer than [`TEXT_BYTES`].
    #[error("a name, topic or reason has at most {TEXT_BYTES} bytes")]
    TooLong,
    /// It does not open, or is no text.
    #[error(transparent)]
    Unopenable(#[from] Unopenable),
}

/// The key of an audience's names, topics and reasons in one epoch.
pub struct MetadataKey(Zeroizing<[u8; 32]>);

impl MetadataKey {
    pub(super) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The key out of the sealed store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The 32 bytes, for the sealed store only.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// Seals a text of at most [`TEXT_BYTES`] bytes.
    pub fn seal_text(
        &self,
        place: EpochPlace,
        what: TextOf,
        text: &str,
        random: &mut dyn Random,
    ) -> Result<SealedText, TextError> {
        if text.len() > TEXT_BYTES {
            return Err(TextError::TooLong);
        }
        let padded = pad(text.as_bytes(), TEXT_FLOOR);
        let sealed = self.text_key().seal(&text_context(place, what), &padded, random);
        let sealed = Octets::parse(sealed).map_err(|_| TextError::TooLong)?;
        Ok(SealedText { audience: place.audience, epoch: place.epoch, sealed })
    }

    /// Opens what was sealed under the metadata key of the audience and epoch that `sealed` names, in `community`.
    pub fn open_text(
        &self,
        community: CommunityId,
        what: TextOf,
        sealed: &SealedText,
    ) -> Result<String, TextError> {
        let place = EpochPlace { community, audience: sealed.audience, epoch: sealed.epoch };
        let opened = self.text_key().open(&text_context(place, what), sealed.sealed.as_slice())?;
        let text = unpad(&opened, TEXT_FLOOR)?;
        if text.len() > TEXT_BYTES {
            return Err(TextError::TooLong);
        }
        Ok(std::str::from_utf8(text).map_err(|_| Unopenable)?.to_owned())
    }

    /// Seals the metadata key of the epoch before `place`, which this is the key of: the `previous_meta` of its statement.
    pub fn seal_previous(
        &self,
        place: EpochPlace,
        former: &Self,
        random: &mut dyn Random,
    ) -> Octets<96> {
        link(&self.link_key(), &previous_context("meta", place), &former.0, random)
    }

    /// Opens what [`MetadataKey::seal_previous`] sealed. Nothing commits to it: a member who lied here only keeps names from being read.
    pub fn open_previous(&self, place: EpochPlace, sealed: &[u8]) -> Result<Self, Unopenable> {
        let opened = self.link_key().open(&previous_context("meta", place), sealed)?;
        Self::from_bytes(&opened).ok_or(Unopenable)
    }

    fn text_key(&self) -> Key {
        Key::new(derive(self.0.as_ref(), "meta/text", &[]))
    }

    fn link_key(&self) -> Key {
        Key::new(derive(self.0.as_ref(), "meta/link", &[]))
    }
}

impl fmt::Debug for MetadataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MetadataKey(secret)")
    }
}

/// `LH("text", community, audience, epoch, number of what, id of what)`.
fn text_context(place: EpochPlace, what: TextOf) -> Vec<u8> {
    let EpochPlace { community, audience, epoch } = place;
    let (number, id) = what.parts();
    let (audience, epoch) = (audience.number().to_be_bytes(), epoch.to_be_bytes());
    labelled("text", &[community.as_bytes(), &audience, &epoch, &[number], &id]).as_bytes().to_vec()
}
