//! Epochs: a period of an audience with one random secret, which every member has and the hub has not.
//!
//! The secret E travels in *wraps*: HPKE to each member's per-user key, one blob for all. The log commits to E, so a committer cannot give
//! two members two secrets. From E come, each by a label of its own, the key that links the epoch before, the metadata key (names, topics,
//! reasons) and the epoch's keys, which depend on the roster and on the log before the epoch as well: members who were shown different logs
//! have different keys, and cannot be kept from noticing.

mod build;
mod invite;
mod metadata;
#[cfg(test)]
mod tests;

use std::fmt;

use rookery_protocol::{
    codec::Octets,
    hash::labelled,
    id::{AudienceId, ChannelId, CommunityId, Digest, InviteId, UserId},
    key::{HpkeBox, KemKey},
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use build::{
    BuildError, BuiltEpoch, EpochPlan, MemberKey, WRAP_BYTES, build_epoch, wrap_at, wrap_index,
};
pub use invite::{LinkKeys, LinkSecret};
pub use metadata::{MetadataKey, TEXT_BYTES, TextError, TextOf};

use super::{
    KemSecret, Random,
    aead::{Key, Unopenable},
    kdf::derive,
    kem::{open_box, seal_box},
    random::secret,
};

/// Which epoch of which audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochPlace {
    /// The community.
    pub community: CommunityId,
    /// The audience.
    pub audience: AudienceId,
    /// The epoch's number, from 0.
    pub epoch: u32,
}

impl EpochPlace {
    /// `community ‖ audience ‖ epoch`: 40 bytes, numbers in big-endian order.
    fn to_context(self) -> Vec<u8> {
        [
            &self.community.as_bytes()[..],
            &self.audience.number().to_be_bytes(),
            &self.epoch.to_be_bytes(),
        ]
        .concat()
    }
}

/// What a wrap is bound to, beside its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrapContext {
    /// Which epoch.
    pub place: EpochPlace,
    /// The roster that the epoch was made for.
    pub roster_root: Digest,
}

impl WrapContext {
    /// `"rookery/1/epoch" ‖ 0 ‖ community ‖ audience ‖ epoch ‖ roster root`.
    pub(super) fn to_info(self) -> Vec<u8> {
        [b"rookery/1/epoch\0", &self.place.to_context()[..], self.roster_root.as_bytes()].concat()
    }
}

/// Whom a wrap is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A member, or somebody who is being let in.
    User(UserId),
    /// Whoever has an invitation's link.
    Link(InviteId),
}

impl Receiver {
    /// `"user" ‖ 0 ‖ id` or `"link" ‖ 0 ‖ number`.
    pub(super) fn to_aad(self) -> Vec<u8> {
        match self {
            Self::User(user) => [b"user\0", &user.as_bytes()[..]].concat(),
            Self::Link(invite) => [b"link\0", &invite.number().to_be_bytes()[..]].concat(),
        }
    }
}

/// A key that nothing can be sealed for: its bytes are no X-Wing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the per-user key is not a valid key")]
pub struct BadReceiverKey;

/// Why a wrap or a link to the epoch before gave no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// It does not open: it is for somebody or something else, or was changed. Ask a member for another wrap.
    #[error(transparent)]
    Unopenable(#[from] Unopenable),
    /// It opens, and holds another secret than the log commits to: whoever started the epoch lied to this member.
    #[error("the epoch's secret in the wrap is not the one that the community's log commits to")]
    OtherSecret,
}

/// The secret of one epoch of one audience: 32 random bytes.
pub struct EpochSecret(Zeroizing<[u8; 32]>);

impl EpochSecret {
    /// Draws a secret.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        Self(secret(random))
    }

    /// The secret out of the sealed store.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The 32 bytes, for the sealed store only.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// `LH("epoch", audience, epoch, secret)`: what the log commits to.
    #[must_use]
    pub fn commit(&self, audience: AudienceId, epoch: u32) -> Digest {
        let (audience, epoch) = (audience.number().to_be_bytes(), epoch.to_be_bytes());
        labelled("epoch", &[&audience, &epoch, self.0.as_ref()])
    }

    /// Wraps the secret for the holder of `to`: [`WRAP_BYTES`] bytes.
    pub fn wrap(
        &self,
        to: &KemKey,
        context: &WrapContext,
        receiver: Receiver,
        random: &mut dyn Random,
    ) -> Result<HpkeBox, BadReceiverKey> {
        seal_box(to, &context.to_info(), &receiver.to_aad(), self.0.as_ref(), random)
            .map_err(|_| BadReceiverKey)
    }

    /// Opens a wrap, and checks it against what the log commits to.
    pub fn unwrap(
        with: &KemSecret,
        context: &WrapContext,
        receiver: Receiver,
        wrap: &HpkeBox,
        commit: &Digest,
    ) -> Result<Self, UnwrapError> {
        let opened = open_box(with, &context.to_info(), &receiver.to_aad(), wrap)?;
        Self::checked(&opened, context.place.audience, context.place.epoch, commit)
    }

    /// Seals the secret of the epoch before `place`, which this is the secret of: the `previous` of its statement.
    pub fn seal_previous(
        &self,
        place: EpochPlace,
        former: &Self,
        random: &mut dyn Random,
    ) -> Octets<96> {
        link(&self.link_key(), &previous_context("link", place), &former.0, random)
    }

    /// Opens what [`EpochSecret::seal_previous`] sealed, and checks it against the commitment of the epoch before.
    pub fn open_previous(
        &self,
        place: EpochPlace,
        sealed: &[u8],
        former_commit: &Digest,
    ) -> Result<Self, UnwrapError> {
        let former = place.epoch.checked_sub(1).ok_or(Unopenable)?;
        let opened = self.link_key().open(&previous_context("link", place), sealed)?;
        Self::checked(&opened, place.audience, former, former_commit)
    }

    /// The key of the audience's names, topics and reasons in this epoch: `KDF(secret, "meta", community ‖ audience)`.
    #[must_use]
    pub fn metadata(&self, community: CommunityId, audience: AudienceId) -> MetadataKey {
        let context = [&community.as_bytes()[..], &audience.number().to_be_bytes()].concat();
        MetadataKey::new(derive(self.0.as_ref(), "meta", &context))
    }

    /// The epoch's keys, for what stands in channels. `log_root` is the hash of the entry before the epoch's statement.
    #[must_use]
    pub fn keys(&self, place: EpochPlace, roster_root: &Digest, log_root: &Digest) -> EpochKeys {
        let context =
            [&place.to_context()[..], roster_root.as_bytes(), log_root.as_bytes()].concat();
        EpochKeys { place, key: derive(self.0.as_ref(), "k", &context) }
    }

    fn link_key(&self) -> Key {
        Key::new(derive(self.0.as_ref(), "link", &[]))
    }

    fn checked(
        opened: &[u8],
        audience: AudienceId,
        epoch: u32,
        commit: &Digest,
    ) -> Result<Self, UnwrapError> {
        let secret = Self::from_bytes(opened).ok_or(UnwrapError::OtherSecret)?;
        let same = secret.commit(audience, epoch).as_bytes().ct_eq(commit.as_bytes());
        if bool::from(same) { Ok(secret) } else { Err(UnwrapError::OtherSecret) }
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EpochSecret(secret)")
    }
}

/// What announcements and messages of an epoch are sealed under: `KDF(E, "k", community ‖ audience ‖ epoch ‖ roster root ‖ log root)`.
pub struct EpochKeys {
    place: EpochPlace,
    key: Zeroizing<[u8; 32]>,
}

impl EpochKeys {
    /// Of which epoch.
    #[must_use]
    pub const fn place(&self) -> EpochPlace {
        self.place
    }

    /// What Sender Keys are announced under in `channel`.
    pub(crate) fn announce_key(&self, channel: ChannelId) -> Key {
        Key::new(derive(self.key.as_ref(), "ann", &channel.number().to_be_bytes()))
    }

    /// What messages are sealed under in `channel`, around their Sender Key's own seal.
    pub(crate) fn message_key(&self, channel: ChannelId) -> Key {
        Key::new(derive(self.key.as_ref(), "msg", &channel.number().to_be_bytes()))
    }

    /// The key itself, for known answers.
    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EpochKeys(secret of {:?})", self.place)
    }
}

/// What a link to the epoch before is bound to: `LH("epoch/prev", what, community, audience, epoch)`, the epoch being the newer one.
pub(super) fn previous_context(what: &str, place: EpochPlace) -> Vec<u8> {
    let EpochPlace { community, audience, epoch } = place;
    let (audience, epoch) = (audience.number().to_be_bytes(), epoch.to_be_bytes());
    labelled("epoch/prev", &[what.as_bytes(), community.as_bytes(), &audience, &epoch])
        .as_bytes()
        .to_vec()
}

/// Seals a secret of 32 bytes: 72 bytes.
fn link(key: &Key, context: &[u8], former: &[u8; 32], random: &mut dyn Random) -> Octets<96> {
    #[expect(clippy::expect_used, reason = "nonce, 32 bytes and tag make 72")]
    Octets::parse(key.seal(context, former, random)).expect("72 bytes fit")
}
