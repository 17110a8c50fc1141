//! Identifiers: each kind its own type, none convertible into another.
//!
//! Matrix lost device verification to an identifier of one kind that was read as another (Albrecht et al. 2022); here every id is a newtype
//! over the hash of the thing with the thing's kind in the hash.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, Encoding};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::schema::{Catalogue, Schema};

/// Text that does not name what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct NotAnId {
    /// What was given.
    pub text: String,
    /// What was wanted.
    pub what: &'static str,
}

impl NotAnId {
    pub(crate) fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), what }
    }
}

/// Writes `bytes` as lower-case base32 (RFC 4648 §6) without padding.
#[must_use]
pub fn to_base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// Reads base32 in either case, without padding.
#[must_use]
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let encoding: &Encoding = &BASE32_NOPAD;
    encoding.decode(text.to_ascii_uppercase().as_bytes()).ok()
}

/// Declares an identifier of a fixed number of bytes.
macro_rules! fixed_id {
    ($(#[doc = $doc:expr])* $name:ident, $length:literal, $what:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Takes the bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Reads the bytes of a row or a field, if they are of the right length.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::from_slice(decoder.bytes()?)
                    .ok_or_else(|| minicbor::decode::Error::message(concat!("not ", $what)))
            }
        }

        impl Schema for $name {
            fn expression() -> String {
                crate::schema::rule_name(stringify!($name))
            }
            fn describe(catalogue: &mut Catalogue) {
                catalogue.insert(&Self::expression(), crate::schema::Rule {
                    doc: crate::schema::doc_text(&[$($doc),*]),
                    definition: format!("bstr .size {}", $length),
                    parts: vec![],
                    golden: Self::samples().iter().map(crate::codec::encode).collect(),
                    round_trip: |bytes| crate::codec::decode::<Self>(bytes).map(|value| crate::codec::encode(&value)),
                });
            }
            fn samples() -> Vec<Self> {
                // Distinct for each type, so that a golden value shows which is which.
                let seed = stringify!($name).len().to_le_bytes()[0];
                vec![Self([seed; $length])]
            }
        }
    };
}

/// Gives a [`fixed_id!`] its text form: base32.
macro_rules! base32_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&to_base32(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = to_base32(&self.0);
                write!(formatter, "{}({})", stringify!($name), text.get(..10).unwrap_or(&text))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                from_base32(text)
                    .and_then(|bytes| Self::from_slice(&bytes))
                    .ok_or_else(|| NotAnId::new(text, $what))
            }
        }
    };
}

fixed_id! {
    /// A SHA-256 hash: of an entry, a body, a secret that is committed to.
    Digest, 32, "a hash"
}
base32_text!(Digest, "a hash");

fixed_id! {
    /// Who somebody is, wherever their account lives: `LH("user", genesis)`.
    UserId, 32, "a user id"
}
base32_text!(UserId, "a user id");

fixed_id! {
    /// One installation with keys of its own: `LH("dev", D_ed)`.
    DeviceId, 32, "a device id"
}
base32_text!(DeviceId, "a device id");

fixed_id! {
    /// One hash-linked chain. It never contains a server's name, so that a chain can move.
    ChainId, 32, "a chain id"
}
base32_text!(ChainId, "a chain id");

fixed_id! {
    /// A homeserver: `LH("server", root public key)`. This is the fingerprint that links and `known_hosts` pin.
    ServerId, 32, "a server fingerprint"
}
base32_text!(ServerId, "a server fingerprint");

fixed_id! {
    /// The secret in an invite link: 16 random bytes.
    InviteToken, 16, "an invite token"
}
base32_text!(InviteToken, "an invite token");

fixed_id! {
    /// One login of one device at its home.
    SessionId, 16, "a session id"
}
base32_text!(SessionId, "a session id");

fixed_id! {
    /// One Double Ratchet session between two devices, out of its handshake.
    RatchetId, 16, "a ratchet session id"
}
base32_text!(RatchetId, "a ratchet session id");

fixed_id! {
    /// One message or entry, chosen by who makes it; the same id twice is the same item. Unique within a chain or conversation and author.
    ItemId, 16, "an item id"
}

fixed_id! {
    /// A community or group, wherever its hub is: `LH("comm", create)`.
    CommunityId, 32, "a community id"
}
base32_text!(CommunityId, "a community id");

fixed_id! {
    /// Ciphertext, by its own BLAKE3 hash.
    BlobId, 32, "a blob id"
}
base32_text!(BlobId, "a blob id");

fixed_id! {
    /// One Sender Key of one device: for one channel and one epoch.
    SenderKeyId, 16, "a sender key id"
}
base32_text!(SenderKeyId, "a sender key id");

/// Declares an identifier that is a number, counted up within one community by its log.
macro_rules! number_id {
    ($(#[doc = $doc:expr])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] u32);

        impl $name {
            /// Takes the number as it is.
            #[must_use]
            pub const fn from_number(number: u32) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }

        impl Schema for $name {
            fn expression() -> String {
                crate::schema::rule_name(stringify!($name))
            }
            fn describe(catalogue: &mut Catalogue) {
                catalogue.insert(&Self::expression(), crate::schema::Rule {
                    doc: crate::schema::doc_text(&[$($doc),*]),
                    definition: "uint .size 4".to_owned(),
                    parts: vec![],
                    golden: Self::samples().iter().map(crate::codec::encode).collect(),
                    round_trip: |bytes| crate::codec::decode::<Self>(bytes).map(|value| crate::codec::encode(&value)),
                });
            }
            fn samples() -> Vec<Self> {
                vec![Self(stringify!($name).len().to_le_bytes()[0].into())]
            }
        }
    };
}

number_id! {
    /// A role of a community. Role 0 is everybody's.
    RoleId
}

number_id! {
    /// A channel of a community.
    ChannelId
}

number_id! {
    /// The users who may read a channel. Audience 0 is all members.
    AudienceId
}

number_id! {
    /// An invitation to a community.
    InviteId
}

impl RoleId {
    /// Everybody's role: the default one.
    pub const EVERYBODY: Self = Self(0);
}

impl AudienceId {
    /// All members.
    pub const MEMBERS: Self = Self(0);
}

impl BlobId {
    /// The name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl ItemId {
    /// The id that a person's `--id` stands for: a UUID is itself, anything else is hashed with the device that says it.
    #[must_use]
    pub fn from_label(label: &str, device: DeviceId) -> Self {
        label.parse().unwrap_or_else(|_| {
            let hash = crate::hash::labelled("item/label", &[device.as_bytes(), label.as_bytes()]);
            let mut bytes = [0; 16];
            bytes.copy_from_slice(hash.as_bytes().split_at(16).0);
            Self(uuid::Builder::from_custom_bytes(bytes).into_uuid().into_bytes())
        })
    }
}

/// A UUID with hyphens.
impl fmt::Display for ItemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(formatter)
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ItemId({self})")
    }
}

impl FromStr for ItemId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        uuid::Uuid::parse_str(text)
            .map(|id| Self(id.into_bytes()))
            .map_err(|_| NotAnId::new(text, "an item id"))
    }
}

impl ChainId {
    /// The chain of statements about a user's devices and keys.
    #[must_use]
    pub fn of_user(user: UserId) -> Self {
        Self(*crate::hash::labelled("chain/user", &[user.as_bytes()]).as_bytes())
    }

    /// The private chain in which a user's devices keep their common state and the archive of direct messages.
    #[must_use]
    pub fn of_journal(user: UserId) -> Self {
        Self(*crate::hash::labelled("chain/journal", &[user.as_bytes()]).as_bytes())
    }

    /// The log of a community's statements.
    #[must_use]
    pub fn of_log(community: CommunityId) -> Self {
        Self(*crate::hash::labelled("chain/log", &[community.as_bytes()]).as_bytes())
    }

    /// The messages of a community's channel.
    #[must_use]
    pub fn of_channel(community: CommunityId, channel: ChannelId) -> Self {
        let number = channel.number().to_be_bytes();
        Self(*crate::hash::labelled("chain/channel", &[community.as_bytes(), &number]).as_bytes())
    }
}

impl Digest {
    /// What stands for "the entry before" in a chain's first entry.
    pub const ZERO: Self = Self([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_is_the_same_id() {
        let id = UserId::from_bytes([0x5a; 32]);
        assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
        assert!("short".parse::<UserId>().is_err());
    }

    #[test]
    fn a_label_is_hashed_with_its_device_and_a_uuid_is_itself() {
        let (one, two) = (DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
        assert_eq!(ItemId::from_label("job-7", one), ItemId::from_label("job-7", one));
        assert_ne!(ItemId::from_label("job-7", one), ItemId::from_label("job-7", two));
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(ItemId::from_label(text, one).to_string(), text);
    }

    #[test]
    fn the_chains_of_one_user_are_different_chains() {
        let user = UserId::from_bytes([3; 32]);
        assert_ne!(ChainId::of_user(user), ChainId::of_journal(user));
    }
}
