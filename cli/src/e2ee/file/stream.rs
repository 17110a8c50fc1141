//! Sealing and opening a file chunk by chunk.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    super::{
        Unopenable, kdf,
        random::{Random, array},
    },
    CHUNK_BYTES, CHUNK_LOG2, FileKey, HEADER_BYTES, OPENING_BYTES, PREFIX_BYTES, TAG_BYTES,
    padded_size,
};

const MAGIC: &[u8; 4] = b"rkf1";
/// AES-256-GCM.
const SUITE: u8 = 1;

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
pub(crate) mod testing {
    use super::*;

    /// All of a file, sealed.
    pub(crate) fn sealed(key: &FileKey, plain: &[u8], random: &mut dyn Random) -> Vec<u8> {
        let size = u64::try_from(plain.len()).unwrap();
        let (mut sealer, header) = Sealer::begin(key, size, random).unwrap();
        let (mut bytes, mut rest) = (header.to_vec(), plain);
        while let Some(wants) = sealer.wants() {
            let (chunk, after) = rest.split_at(wants);
            bytes.extend(sealer.seal(chunk.to_vec()).unwrap());
            rest = after;
        }
        assert!(rest.is_empty() && sealer.seal(vec![]).is_none());
        bytes
    }

    /// All of a file that has `size` bytes, opened.
    pub(crate) fn opened(key: &FileKey, size: usize, bytes: &[u8]) -> Result<Vec<u8>, Unopenable> {
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        testing::{opened, sealed},
        *,
    };
    use crate::e2ee::{SeededRandom, file::sealed_size};

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
            let sealed = sealed(&key(1), &plain, &mut SeededRandom::new(2));
            prop_assert_eq!(sealed_size(size as u64), Some(sealed.len() as u64));
            prop_assert_eq!(opened(&key(1), size, &sealed).unwrap(), plain);
        }
    }

    #[test]
    fn no_other_key_length_order_or_cut_opens() {
        let plain = vec![7; 3 * CHUNK_BYTES];
        let sealed = sealed(&key(1), &plain, &mut SeededRandom::new(2));
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
        let sealed = sealed(&key(1), &plain, &mut SeededRandom::new(2));
        let bits = (0..HEADER_BYTES * 8).chain((HEADER_BYTES * 8..sealed.len() * 8).step_by(6_007));
        for bit in bits {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&key(1), plain.len(), &changed), Err(Unopenable), "{bit}");
        }
    }
}
