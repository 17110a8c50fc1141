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

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use minicbor::{Decode, Encode};
use rookery_protocol::{id::BlobId, name::ServerName};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Unopenable, kdf,
    padding::{FLOOR, padme},
    random::{Random, array, secret},
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
const MAGIC: &[u8; 4] = b"rkf1";
/// AES-256-GCM.
const SUITE: u8 = 1;
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

/// What both directions have in common: the key, and which chunk comes next.
struct Stream {
    key: LessSafeKey,
    context: [u8; 32],
    prefix: [u8; PREFIX_BYTES],
    /// The number of the next chunk.
    next: u32,
    /// How much of the padded file has not gone through.
    padded_left: u64,
    /// How much of the file has not.
    left: u64,
}

impl Stream {
    fn new(key: &FileKey, header: &[u8; HEADER_BYTES], padded: u64, size: u64) -> Option<Self> {
        let prefix = header.get(OPENING_BYTES - PREFIX_BYTES..OPENING_BYTES)?.try_into().ok()?;
        let encryption: Zeroizing<[u8; 32]> = kdf::derive(&key.0, "file/enc", header);
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, encryption.as_ref()).ok()?),
            context: Sha256::digest(header).into(),
            prefix,
            next: 0,
            padded_left: padded,
            left: size,
        })
    }

    /// How long the next chunk is, padding included; nothing when all have gone through.
    fn chunk(&self) -> Option<usize> {
        let chunk = usize::try_from(self.padded_left.min(CHUNK_BYTES as u64)).ok()?;
        (chunk > 0).then_some(chunk)
    }

    /// How much of it is the file.
    fn plain(&self) -> usize {
        let chunk = self.chunk().unwrap_or(0);
        usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk)
    }

    /// Goes on by a chunk, and gives its nonce and how much of it is the file.
    fn step(&mut self) -> Option<(Nonce, usize)> {
        let (chunk, plain) = (self.chunk()?, self.plain());
        self.padded_left = self.padded_left.checked_sub(u64::try_from(chunk).ok()?)?;
        self.left = self.left.checked_sub(u64::try_from(plain).ok()?)?;
        let mut nonce = [0; 12];
        let (prefix, rest) = nonce.split_at_mut(PREFIX_BYTES);
        let (number, last) = rest.split_at_mut(4);
        prefix.copy_from_slice(&self.prefix);
        number.copy_from_slice(&self.next.to_be_bytes());
        last.copy_from_slice(&[u8::from(self.padded_left == 0)]);
        self.next = self.next.checked_add(1)?;
        Some((Nonce::assume_unique_for_key(nonce), plain))
    }
}

/// Seals one file.
pub struct Sealer(Stream);

impl Sealer {
    /// Begins with a file of `size` bytes, and gives its header. Nothing for a file that is too large.
    #[must_use]
    pub fn begin(
        key: &FileKey,
        size: u64,
        random: &mut dyn Random,
    ) -> Option<(Self, [u8; HEADER_BYTES])> {
        let padded = padded_size(size)?;
        let prefix = array::<PREFIX_BYTES>(random);
        let mut opening = Vec::with_capacity(OPENING_BYTES);
        opening.extend_from_slice(MAGIC);
        opening.extend_from_slice(&[SUITE, CHUNK_LOG2]);
        opening.extend_from_slice(&padded.to_be_bytes());
        opening.extend_from_slice(&prefix);
        let commitment: Zeroizing<[u8; 32]> = kdf::derive(&key.0, "file/commit", &opening);
        opening.extend_from_slice(commitment.as_ref());
        let header: [u8; HEADER_BYTES] = opening.try_into().ok()?;
        Some((Self(Stream::new(key, &header, padded, size)?), header))
    }

    /// How many bytes of the file the next chunk takes; nothing when it is sealed. 0 where only padding is left.
    #[must_use]
    pub fn wants(&self) -> Option<usize> {
        self.0.chunk().map(|_| self.0.plain())
    }

    /// Seals the next chunk in its place. Nothing when there are not as many bytes as it wants.
    #[must_use]
    pub fn seal(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let chunk = self.0.chunk()?;
        if bytes.len() != self.0.plain() {
            return None;
        }
        bytes.resize(chunk, 0);
        let (nonce, _) = self.0.step()?;
        self.0.key.seal_in_place_append_tag(nonce, Aad::from(&self.0.context), &mut bytes).ok()?;
        Some(bytes)
    }
}

/// Opens one file.
pub struct Opener(Stream);

impl Opener {
    /// Begins with the header of a file that has `size` bytes.
    pub fn begin(
        key: &FileKey,
        size: u64,
        header: &[u8; HEADER_BYTES],
    ) -> Result<Self, Unopenable> {
        let padded = padded_size(size).ok_or(Unopenable)?;
        let (opening, commitment) = header.split_at(OPENING_BYTES);
        let expected: Zeroizing<[u8; 32]> = kdf::derive(&key.0, "file/commit", opening);
        let is_committed: bool = expected.as_ref().ct_eq(commitment).into();
        let (said, _) = opening.split_at(OPENING_BYTES - PREFIX_BYTES);
        let known = [&MAGIC[..], &[SUITE, CHUNK_LOG2], &padded.to_be_bytes()].concat();
        if !is_committed || said != known {
            return Err(Unopenable);
        }
        Stream::new(key, header, padded, size).map(Self).ok_or(Unopenable)
    }

    /// How many sealed bytes the next chunk has; nothing when all is open.
    #[must_use]
    pub fn wants(&self) -> Option<usize> {
        self.0.chunk().map(|chunk| chunk.saturating_add(TAG_BYTES))
    }

    /// Opens the next chunk, without its padding.
    pub fn open(&mut self, mut sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        if Some(sealed.len()) != self.wants() {
            return Err(Unopenable);
        }
        let (nonce, plain) = self.0.step().ok_or(Unopenable)?;
        let opened =
            self.0.key.open_in_place(nonce, Aad::from(&self.0.context), &mut sealed).map(|_| ());
        opened.map_err(|_| Unopenable)?;
        let padding = sealed.get(plain..sealed.len().saturating_sub(TAG_BYTES));
        if !padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0)) {
            return Err(Unopenable);
        }
        sealed.truncate(plain);
        Ok(Zeroizing::new(sealed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::e2ee::SeededRandom;

    fn sealed(key: &FileKey, plain: &[u8]) -> Vec<u8> {
        let mut random = SeededRandom::new(2);
        let size = u64::try_from(plain.len()).unwrap();
        let (mut sealer, header) = Sealer::begin(key, size, &mut random).unwrap();
        let (mut bytes, mut rest) = (header.to_vec(), plain);
        while let Some(wants) = sealer.wants() {
            let (chunk, after) = rest.split_at(wants);
            bytes.extend(sealer.seal(chunk.to_vec()).unwrap());
            rest = after;
        }
        assert!(rest.is_empty() && sealer.seal(vec![]).is_none());
        bytes
    }

    fn opened(key: &FileKey, size: usize, bytes: &[u8]) -> Result<Vec<u8>, Unopenable> {
        let (header, mut rest) = bytes.split_first_chunk().ok_or(Unopenable)?;
        let mut opener = Opener::begin(key, u64::try_from(size).unwrap(), header)?;
        let mut plain = vec![];
        while let Some(wants) = opener.wants() {
            let (chunk, after) = rest.split_at_checked(wants).ok_or(Unopenable)?;
            plain.extend_from_slice(&opener.open(chunk.to_vec())?);
            rest = after;
        }
        if rest.is_empty() { Ok(plain) } else { Err(Unopenable) }
    }

    fn key(seed: u64) -> FileKey {
        FileKey::draw(&mut SeededRandom::new(seed))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_sealed_opens_and_is_as_long_as_was_said(
            size in prop_oneof![0_usize..600, 65_500_usize..65_600, 131_000_usize..300_000],
        ) {
            let plain: Vec<u8> = (0..size).map(|place| (place % 251).to_le_bytes()[0]).collect();
            let sealed = sealed(&key(1), &plain);
            prop_assert_eq!(sealed_size(size as u64), Some(sealed.len() as u64));
            prop_assert_eq!(opened(&key(1), size, &sealed).unwrap(), plain);
        }
    }

    #[test]
    fn no_other_key_length_order_or_cut_opens() {
        let plain = vec![7; 3 * CHUNK_BYTES];
        let sealed = sealed(&key(1), &plain);
        let size = plain.len();
        assert_eq!(opened(&key(1), size, &sealed), Ok(plain));
        assert_eq!(opened(&key(2), size, &sealed), Err(Unopenable));
        for other in [size - CHUNK_BYTES, size + CHUNK_BYTES, 0] {
            assert_eq!(opened(&key(1), other, &sealed), Err(Unopenable), "{other}");
        }
        let chunk = CHUNK_BYTES + TAG_BYTES;
        let first = HEADER_BYTES..HEADER_BYTES + chunk;
        let second = HEADER_BYTES + chunk..HEADER_BYTES + 2 * chunk;
        let swapped = [
            &sealed[..HEADER_BYTES],
            &sealed[second.clone()],
            &sealed[first.clone()],
            &sealed[second.end..],
        ];
        assert_eq!(opened(&key(1), size, &swapped.concat()), Err(Unopenable));
        // Cut by a chunk, with the length to go with it: the last one was not sealed as such.
        let cut = &sealed[..sealed.len() - chunk];
        assert_eq!(opened(&key(1), size, cut), Err(Unopenable));
    }

    #[test]
    fn every_changed_bit_of_the_header_and_some_of_each_chunk_are_refused() {
        let plain = vec![7; CHUNK_BYTES + 10];
        let sealed = sealed(&key(1), &plain);
        let bits = (0..HEADER_BYTES * 8).chain((HEADER_BYTES * 8..sealed.len() * 8).step_by(6_007));
        for bit in bits {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&key(1), plain.len(), &changed), Err(Unopenable), "{bit}");
        }
    }

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
            key: key(1),
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
