//! Ciphertext that is kept in parts and named by its hash.

use rookery_protocol::id::BlobId;

use crate::repository::blob::ROW_BYTES;

/// The hash of what is read part by part, from its beginning to its end.
pub(super) struct Hash {
    hasher: blake3::Hasher,
    size: u64,
    is_cut: bool,
}

impl Hash {
    /// That of `size` bytes, of which none has been read.
    pub(super) fn new(size: u64) -> Self {
        Self { hasher: blake3::Hasher::new(), size, is_cut: false }
    }

    /// Where the next part begins, and how many bytes it has at most; nothing when there is no next one.
    pub(super) fn next(&self) -> Option<(u64, u64)> {
        let most = u64::try_from(ROW_BYTES).unwrap_or(u64::MAX);
        let offset = self.hasher.count();
        (!self.is_cut && offset < self.size).then_some((offset, most))
    }

    /// Takes the next part. An empty one says that there is no more.
    pub(super) fn read(&mut self, part: &[u8]) {
        self.is_cut = part.is_empty();
        self.hasher.update(part);
    }

    /// The name that all of it has; nothing if it ended before its size.
    pub(super) fn name(&self) -> Option<BlobId> {
        let is_all = self.hasher.count() == self.size;
        is_all.then(|| BlobId::from_bytes(*self.hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all that there is of `bytes`, `step` bytes at a time at most.
    fn hash(bytes: &[u8], size: u64, step: usize) -> Hash {
        let mut hash = Hash::new(size);
        while let Some((offset, most)) = hash.next() {
            let rest = &bytes[usize::try_from(offset).unwrap()..];
            hash.read(&rest[..rest.len().min(step).min(usize::try_from(most).unwrap())]);
        }
        hash
    }

    #[test]
    fn however_it_is_read_the_name_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..ROW_BYTES * 2 + 7).map(|at| at.to_le_bytes()[0]).collect();
        let name = BlobId::from_bytes(*blake3::hash(&bytes).as_bytes());
        for step in [1000, ROW_BYTES - 1, ROW_BYTES, usize::MAX] {
            assert_eq!(hash(&bytes, bytes.len() as u64, step).name(), Some(name), "{step}");
        }
        assert!(hash(&[], 0, 1).name().is_some());
    }

    #[test]
    fn what_ends_before_its_size_has_no_name() {
        assert_eq!(hash(&[1; 10], 11, 4).name(), None);
        assert_eq!(hash(&[], 1, 4).name(), None);
    }
}
