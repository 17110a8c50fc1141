//! Files: each sealed under a random key of its own, in chunks, so that any size is sealed and opened in constant memory.
//!
//! A sealed file is `header ‖ chunk*`. The header is `"rkf1" ‖ suite ‖ log2 of the chunk's size ‖ padded length (u64, big endian) ‖
//! nonce prefix (7)`, then a commitment `KDF(fk, "file/commit", what stands before)` (32): a key that another header was made for is found
//! out before anything is opened, so that one ciphertext has one meaning. The chunks are AES-256-GCM under `KDF(fk, "file/enc", header)` in
//! the STREAM layout (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015): the nonce is prefix, number of the chunk (u32, big endian) and 1 in
//! the last chunk, which shows where it was cut; each has SHA-256 of the header as associated data. The plaintext is padded with zeros to
//! its PADMÉ length before.
//!
//! What is put on a server is named by the BLAKE3 hash of all of it. Key, name and true length travel in an [`Attachment`], which stands in
//! a sealed message only.

mod stream;

use std::fmt;

use minicbor::{Decode, Encode};
use rookery_protocol::{id::BlobId, name::ServerName};

#[cfg(test)]
pub(crate) use self::stream::testing;
pub use self::stream::{Opener, Sealer};
use super::{
    padding::{FLOOR, padme},
    random::{Random, secret},
};

/// How much of the padded file one chunk holds.
pub const CHUNK_BYTES: usize = 1 << CHUNK_LOG2;
const CHUNK_LOG2: u8 = 16;
/// How long the header is.
pub const HEADER_BYTES: usize = OPENING_BYTES + 32;
/// How long its part before the commitment is.
const OPENING_BYTES: usize = 4 + 1 + 1 + 8 + PREFIX_BYTES;
const PREFIX_BYTES: usize = 7;
const TAG_BYTES: usize = 16;
/// How long a file's name is at most, in bytes.
pub const NAME_BYTES: usize = 255;
/// How long the name of a media type is at most, in bytes.
pub const MEDIA_TYPE_BYTES: usize = 127;
/// The largest file: as many chunks as their numbers count.
const MAX_SIZE: u64 = 1 << (32 + CHUNK_LOG2 - 1);

/// A file that goes with a message: all that a reader needs to get and open it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attachment {
    /// What it is called where it is kept.
    #[n(0)]
    pub file: BlobId,
    /// The home that keeps it.
    #[n(1)]
    pub server: ServerName,
    /// What it was sealed with.
    #[n(2)]
    pub key: FileKey,
    /// What its sender calls it: 1 to [`NAME_BYTES`] bytes. A stranger's word: see [`Attachment::file_name`].
    #[n(3)]
    pub name: String,
    /// What its sender says that it is, such as `image/png`; at most [`MEDIA_TYPE_BYTES`] bytes.
    #[n(4)]
    pub media_type: String,
    /// How large it is, in bytes.
    #[n(5)]
    pub size: u64,
    /// SHA-256 of it.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub hash: [u8; 32],
}

impl Attachment {
    /// A name under which it can be written into a folder: one component, without control characters and what turns text around, of at most
    /// 200 bytes, and not hidden.
    #[must_use]
    pub fn file_name(&self) -> String {
        let last = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let is_plain = |letter: &char| {
            !letter.is_control()
                && !matches!(letter,
                    '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                    | '\u{e0000}'..='\u{e007f}')
        };
        let mut name = String::new();
        for letter in last.chars().filter(is_plain) {
            if name.len().saturating_add(letter.len_utf8()) > 200 {
                break;
            }
            name.push(letter);
        }
        let name = name.trim_start_matches(['.', '-', ' ']).trim_end();
        if name.is_empty() { "file".to_owned() } else { name.to_owned() }
    }

    /// Whether it can be what it says: readers pass over one that cannot.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        (1..=NAME_BYTES).contains(&self.name.len())
            && self.media_type.len() <= MEDIA_TYPE_BYTES
            && sealed_size(self.size).is_some()
    }
}

/// What a file is sealed with.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct FileKey(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl FileKey {
    /// Draws one.
    pub fn draw(random: &mut dyn Random) -> Self {
        Self(*secret(random))
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FileKey(secret)")
    }
}

impl Drop for FileKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// How long a file of `size` bytes is with its padding; nothing for one that is too large to be sealed.
fn padded_size(size: u64) -> Option<u64> {
    let padded = padme(usize::try_from(size).ok().filter(|_| size <= MAX_SIZE)?).max(FLOOR);
    u64::try_from(padded).ok()
}

/// How long a file of `size` bytes is when it is sealed; nothing for one that is too large for that.
#[must_use]
pub fn sealed_size(size: u64) -> Option<u64> {
    let padded = padded_size(size)?;
    let chunks = padded.div_ceil(CHUNK_BYTES as u64);
    let tags = chunks.checked_mul(TAG_BYTES as u64)?;
    padded.checked_add(tags)?.checked_add(HEADER_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2ee::SeededRandom;

    #[test]
    fn nobody_learns_a_length_to_the_byte() {
        let sizes = [1, 200, 256, 100_000, 100_001];
        let sealed = sizes.map(|size| sealed_size(size).unwrap());
        assert_eq!((sealed[0], sealed[3]), (sealed[2], sealed[4]));
        assert_eq!(sealed_size(MAX_SIZE + 1), None);
    }

    fn named(name: &str) -> Attachment {
        Attachment {
            file: BlobId::from_bytes([1; 32]),
            server: "nest.example".parse().unwrap(),
            key: FileKey::draw(&mut SeededRandom::new(1)),
            name: name.to_owned(),
            media_type: "text/plain".to_owned(),
            size: 3,
            hash: [2; 32],
        }
    }

    #[test]
    fn a_stranger_s_name_is_made_harmless() {
        for (name, harmless) in [
            ("notes.txt", "notes.txt"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("../..", "file"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a\u{1b}[2Jb\n", "a[2Jb"),
            ("photo\u{202e}gnp.exe", "photognp.exe"),
            ("Grüße 🌍.md", "Grüße 🌍.md"),
            ("", "file"),
        ] {
            assert_eq!(named(name).file_name(), harmless, "{name:?}");
        }
        assert_eq!(named(&"ü".repeat(150)).file_name().len(), 200);
        assert!(named("a").is_possible() && !named("").is_possible());
        assert!(!named(&"a".repeat(256)).is_possible());
        let endless = Attachment { size: u64::MAX, ..named("a") };
        assert!(!endless.is_possible());
    }

    #[test]
    fn a_key_is_not_printed() {
        assert!(format!("{:?}", named("a")).contains("FileKey(secret)"));
    }
}
