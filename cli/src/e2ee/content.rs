//! What is said in channels, as types.
//!
//! Everything has a number for its kind. A kind that this version does not know is kept as it is and skipped, never an error, so that an
//! old device survives a new one. A message is named by its author and its item id, because an id is unique for its author only.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec,
    id::{ItemId, UserId},
};

pub use super::{
    file::Attachment,
    payload::{Stay, Unknown},
};

/// How long the encoding of a content may be: what is left of a message's 47 KiB in the worst case of padding.
pub const CONTENT_BYTES: usize = 40 * 1024;
/// How many users a text can mention by name.
pub const MENTIONS: usize = 256;
/// How long an emoji may be, in bytes.
pub const EMOJI_BYTES: usize = 64;

/// What a device says in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Something that a person or a program wrote.
    Text(Text),
    /// Another text for a message of the author's own.
    Edit(Edit),
    /// An emoji on a message, or off it.
    React(React),
    /// A message is pinned, or not any more.
    Pin(Pin),
    /// Of a kind that this version does not know, or not what its kind says: skip it.
    Unknown(Unknown),
}

/// A message of a channel: an item id is unique for its author only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct MessageRef {
    /// Whose.
    #[n(0)]
    pub author: UserId,
    /// Which.
    #[n(1)]
    pub item: ItemId,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Text {
    /// The text; empty by our own senders only beside a file.
    #[n(0)]
    pub text: String,
    /// The message that it answers.
    #[n(1)]
    pub reply_to: Option<MessageRef>,
    /// The message under which it stands, apart from the channel's flow.
    #[n(2)]
    pub thread: Option<MessageRef>,
    /// Whom it is to be brought to the notice of; at most [`MENTIONS`].
    #[n(3)]
    pub mentions: Vec<UserId>,
    /// Whether it is to be brought to the notice of all: readers ask whether its author may.
    #[n(4)]
    pub mentions_all: bool,
    /// For how long it stays after it was posted; for ever when absent.
    #[n(5)]
    pub stays: Option<Stay>,
    /// The file that goes with it.
    #[n(6)]
    pub file: Option<Box<Attachment>>,
}

/// Another text for a message: readers ask whether it is its author's own.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Edit {
    /// Which message.
    #[n(0)]
    pub target: MessageRef,
    /// What it says from now on.
    #[n(1)]
    pub text: String,
    /// Whom it mentions from now on; at most [`MENTIONS`].
    #[n(2)]
    pub mentions: Vec<UserId>,
}

/// An emoji on a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct React {
    /// Which message.
    #[n(0)]
    pub target: MessageRef,
    /// The emoji: 1 to [`EMOJI_BYTES`] bytes. That it is one is for whoever shows it to check.
    #[n(1)]
    pub emoji: String,
    /// Whether it is put on, or taken off.
    #[n(2)]
    pub on: bool,
}

/// A message that stands out: readers ask whether the author may say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pin {
    /// Which message.
    #[n(0)]
    pub target: MessageRef,
    /// Whether it is pinned, or not any more.
    #[n(1)]
    pub on: bool,
}

impl Content {
    /// The kind of a text.
    pub const TEXT: u32 = 1;
    const EDIT: u32 = 2;
    const REACT: u32 = 3;
    const PIN: u32 = 4;

    /// The number of its kind.
    #[must_use]
    pub fn kind(&self) -> u32 {
        match self {
            Self::Text(_) => Self::TEXT,
            Self::Edit(_) => Self::EDIT,
            Self::React(_) => Self::REACT,
            Self::Pin(_) => Self::PIN,
            Self::Unknown(unknown) => unknown.kind,
        }
    }

    /// The message that it is about, when it is only about one: then it is not shown by itself.
    #[must_use]
    pub const fn target(&self) -> Option<MessageRef> {
        match self {
            Self::Edit(edit) => Some(edit.target),
            Self::React(react) => Some(react.target),
            Self::Pin(pin) => Some(pin.target),
            Self::Text(_) | Self::Unknown(_) => None,
        }
    }

    /// The first message of the thread that it belongs to.
    #[must_use]
    pub const fn thread(&self) -> Option<MessageRef> {
        match self {
            Self::Text(text) => text.thread,
            _ => None,
        }
    }

    /// Its encoding, without the kind.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => codec::encode(text),
            Self::Edit(edit) => codec::encode(edit),
            Self::React(react) => codec::encode(react),
            Self::Pin(pin) => codec::encode(pin),
            Self::Unknown(unknown) => unknown.bytes.clone(),
        }
    }

    /// Reads a content. What does not decode as its kind, or is beyond its bounds, is [`Content::Unknown`]: it was authenticated, and is the
    /// sender's mistake.
    #[must_use]
    pub fn decode(kind: u32, bytes: &[u8]) -> Self {
        let known = match kind {
            Self::TEXT => codec::decode(bytes).map(Self::Text).ok(),
            Self::EDIT => codec::decode(bytes).map(Self::Edit).ok(),
            Self::REACT => codec::decode(bytes).map(Self::React).ok(),
            Self::PIN => codec::decode(bytes).map(Self::Pin).ok(),
            _ => None,
        };
        known
            .filter(Self::is_within_bounds)
            .unwrap_or_else(|| Self::Unknown(Unknown { kind, bytes: bytes.to_vec() }))
    }

    /// Whether nothing in it is longer or more than readers take.
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        match self {
            Self::Text(text) => text.mentions.len() <= MENTIONS,
            Self::Edit(edit) => edit.mentions.len() <= MENTIONS,
            Self::React(react) => (1..=EMOJI_BYTES).contains(&react.emoji.len()),
            Self::Pin(_) | Self::Unknown(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target() -> MessageRef {
        MessageRef { author: UserId::from_bytes([1; 32]), item: ItemId::from_bytes([2; 16]) }
    }

    fn text(mentions: usize) -> Content {
        Content::Text(Text {
            text: "Grüße".to_owned(),
            reply_to: Some(target()),
            thread: None,
            mentions: vec![UserId::from_bytes([3; 32]); mentions],
            mentions_all: true,
            stays: None,
            file: None,
        })
    }

    fn react(emoji: &str) -> Content {
        Content::React(React { target: target(), emoji: emoji.to_owned(), on: true })
    }

    #[test]
    fn every_content_is_read_back() {
        let edit = Edit { target: target(), text: "other".to_owned(), mentions: vec![] };
        for content in [
            text(MENTIONS),
            Content::Edit(edit),
            react("🎉"),
            Content::Pin(Pin { target: target(), on: false }),
            Content::Unknown(Unknown { kind: 77, bytes: vec![0xff; 3] }),
        ] {
            assert_eq!(Content::decode(content.kind(), &content.encode()), content);
            assert!(content.is_within_bounds());
        }
    }

    #[test]
    fn what_is_beyond_its_bounds_is_kept_and_not_known() {
        for content in [text(MENTIONS + 1), react(""), react(&"x".repeat(EMOJI_BYTES + 1))] {
            assert!(!content.is_within_bounds());
            let (kind, bytes) = (content.kind(), content.encode());
            assert_eq!(
                Content::decode(kind, &bytes),
                Content::Unknown(Unknown { kind, bytes: bytes.clone() })
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic_or_lose_what_it_does_not_know(kind in 0_u32..7, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let content = Content::decode(kind, &bytes);
            prop_assert_eq!(content.kind(), kind);
            if let Content::Unknown(unknown) = content {
                prop_assert_eq!(unknown.bytes, bytes);
            }
        }

        #[test]
        fn a_damaged_content_is_read_or_kept(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = text(2).encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            prop_assert_eq!(Content::decode(1, &bytes).encode(), bytes);
        }
    }
}
