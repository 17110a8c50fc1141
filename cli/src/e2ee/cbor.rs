//! Encoding secrets: into a buffer of exactly their length, so that no copy is left behind by one that grew.

use std::convert::Infallible;

use minicbor::{Encode, Encoder, encode::Write};
use zeroize::Zeroizing;

/// Counts what would be written.
#[derive(Default)]
struct Length(usize);

impl Write for &mut Length {
    type Error = Infallible;
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }
}

/// Encodes `value` as [`rookery_protocol::codec::encode`] does, into memory that is erased when dropped.
pub(crate) fn encode_secret<T: Encode<()>>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut length = Length::default();
    #[expect(
        clippy::expect_used,
        reason = "counting is infallible, and no type here refuses to be encoded"
    )]
    Encoder::new(&mut length).encode(value).expect("a counter takes every byte");
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    #[expect(clippy::expect_used, reason = "writing to a vector is infallible")]
    Encoder::new(&mut *bytes).encode(value).expect("a vector takes every byte");
    bytes
}
