//! The one encoding: deterministic CBOR (RFC 8949 §4.2.1), bounded, strict on the way in.
//!
//! minicbor writes the deterministic form but reads leniently: it takes trailing bytes, repeated keys, long integers and indefinite lengths.
//! Two readers that differ on such input can be made to disagree on what was signed, so [`decode`] walks the bytes first and refuses every
//! form but the one. Unknown integer keys are skipped, so that fields can be added.

use minicbor::{Decode, Encode, Encoder, decode::Decoder};

use crate::schema::Schema;

/// A frame that carries one request, reply or event: 64 KiB.
pub const MAX_FRAME: usize = 64 * 1024;
/// A sealed body: 48 KiB.
pub const MAX_BODY: usize = 48 * 1024;
/// A request that carries many items: 1 MiB.
pub const MAX_BATCH: usize = 1024 * 1024;
/// How deep arrays and maps may nest: the deepest type of the protocol takes 10.
const MAX_DEPTH: usize = 16;

/// A type that travels.
pub trait Wire: Encode<()> + for<'b> Decode<'b, ()> + Schema + Send + Sync + 'static {}
impl<T: Encode<()> + for<'b> Decode<'b, ()> + Schema + Send + Sync + 'static> Wire for T {}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More bytes than the type may take.
    #[error("{length} bytes, where at most {limit} are allowed")]
    TooLarge {
        /// How many came.
        length: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// CBOR, but not in its deterministic form, or no CBOR at all.
    #[error("not deterministic CBOR at byte {position}: {what}")]
    NotDeterministic {
        /// Where reading stopped.
        position: usize,
        /// Which rule is broken.
        what: &'static str,
    },
    /// Good CBOR that is no value of the type.
    #[error("not a valid value: {0}")]
    Invalid(String),
}

/// Encodes `value` in the deterministic form.
///
/// # Panics
///
/// Never: writing to a vector cannot fail, and no wire type refuses to be encoded.
#[must_use]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(128));
    #[expect(clippy::expect_used, reason = "writing to a vector is infallible")]
    encoder.encode(value).expect("a vector takes every byte");
    encoder.into_writer()
}

/// Decodes all of `bytes` as a `T`, at most [`MAX_FRAME`] of them.
pub fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, Malformed> {
    decode_within(bytes, MAX_FRAME)
}

/// Decodes all of `bytes` as a `T`, at most `limit` of them.
pub fn decode_within<T: for<'b> Decode<'b, ()>>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, Malformed> {
    if bytes.len() > limit {
        return Err(Malformed::TooLarge { length: bytes.len(), limit });
    }
    check_deterministic(bytes)?;
    minicbor::decode(bytes).map_err(|error| Malformed::Invalid(error.to_string()))
}

/// Refuses everything but exactly one deterministically encoded item.
pub fn check_deterministic(bytes: &[u8]) -> Result<(), Malformed> {
    let mut walk = Walk { bytes, position: 0 };
    walk.item(0)?;
    if walk.position != bytes.len() {
        return Err(walk.broken("bytes after the end"));
    }
    Ok(())
}

/// A reader that knows CBOR's shape and nothing of our types.
struct Walk<'b> {
    bytes: &'b [u8],
    position: usize,
}

impl Walk<'_> {
    fn broken(&self, what: &'static str) -> Malformed {
        Malformed::NotDeterministic { position: self.position, what }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Malformed> {
        let end = self
            .position
            .checked_add(count)
            .ok_or_else(|| self.broken("a length beyond all bounds"))?;
        let taken =
            self.bytes.get(self.position..end).ok_or_else(|| self.broken("it ends too early"))?;
        self.position = end;
        Ok(taken)
    }

    /// Reads an initial byte and its argument, which has to be as short as can be.
    fn head(&mut self) -> Result<(u8, u64), Malformed> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        let (major, low) = (first >> 5, first & 0x1f);
        let width = match low {
            0..=23 => return Ok((major, u64::from(low))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(self.broken("an indefinite or reserved length")),
        };
        if major == 7 {
            return Err(self.broken("a floating-point number or an unknown simple value"));
        }
        let argument =
            self.take(width)?.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        let least = match width {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        if argument < least {
            return Err(self.broken("an integer longer than it need be"));
        }
        Ok((major, argument))
    }

    fn item(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(self.broken("nested too deep"));
        }
        let (major, argument) = self.head()?;
        let length = usize::try_from(argument).unwrap_or(usize::MAX);
        match major {
            0 | 1 => Ok(()),
            2 => self.take(length).map(|_| ()),
            3 => {
                let text = std::str::from_utf8(self.take(length)?).is_ok();
                if text { Ok(()) } else { Err(self.broken("text that is not UTF-8")) }
            }
            4 => (0..argument).try_for_each(|_| self.item(depth.saturating_add(1))),
            5 => self.map(argument, depth),
            7 if (20..=22).contains(&argument) => Ok(()),
            _ => Err(self.broken("a tag or a simple value that the protocol does not use")),
        }
    }

    /// Reads a map, whose keys ascend in the order of their encodings.
    fn map(&mut self, pairs: u64, depth: usize) -> Result<(), Malformed> {
        let mut former: Option<std::ops::Range<usize>> = None;
        for _ in 0..pairs {
            let start = self.position;
            self.item(depth.saturating_add(1))?;
            let key = start..self.position;
            if let Some(former) = former
                && self.bytes.get(former) >= self.bytes.get(key.clone())
            {
                return Err(self.broken("keys out of order or twice"));
            }
            former = Some(key);
            self.item(depth.saturating_add(1))?;
        }
        Ok(())
    }
}

/// A byte string of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Octets<const MAX: usize = MAX_BODY>(Vec<u8>);

impl<const MAX: usize> Octets<MAX> {
    /// Takes `bytes`, if they are not too many.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Malformed> {
        if bytes.len() > MAX {
            return Err(Malformed::TooLarge { length: bytes.len(), limit: MAX });
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The length only: what is in it is for its receiver.
impl<const MAX: usize> std::fmt::Debug for Octets<MAX> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Octets({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> TryFrom<Vec<u8>> for Octets<MAX> {
    type Error = Malformed;
    fn try_from(bytes: Vec<u8>) -> Result<Self, Malformed> {
        Self::parse(bytes)
    }
}

impl<C, const MAX: usize> Encode<C> for Octets<MAX> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(&self.0)?.ok()
    }
}

impl<'b, C, const MAX: usize> Decode<'b, C> for Octets<MAX> {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = decoder.bytes()?;
        Self::parse(bytes.to_vec()).map_err(|_| minicbor::decode::Error::message("too many bytes"))
    }
}

impl<const MAX: usize> Schema for Octets<MAX> {
    fn expression() -> String {
        format!("bstr .size (0..{MAX})")
    }
    fn describe(_: &mut crate::schema::Catalogue) {}
    fn samples() -> Vec<Self> {
        vec![Self(vec![0xa5; MAX.min(3)]), Self(vec![])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_other_form_is_refused() {
        for (bytes, why) in [
            (&[0x18, 0x17][..], "a long integer"),
            (&[0x00, 0x00], "trailing bytes"),
            (&[0xa2, 0x00, 0x00, 0x00, 0x00], "a key twice"),
            (&[0xa2, 0x01, 0x00, 0x00, 0x00], "keys out of order"),
            (&[0xbf, 0xff], "an indefinite map"),
            (&[0x9f, 0xff], "an indefinite array"),
            (&[0x5f, 0xff], "an indefinite string"),
            (&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], "a float"),
            (&[0xc0, 0x00], "a tag"),
            (&[0x61, 0xff], "text that is not UTF-8"),
            (&[0x42, 0x00], "a length that lies"),
            (&[], "nothing"),
        ] {
            assert!(check_deterministic(bytes).is_err(), "{why} passed");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes = vec![0x81; 200_000];
        bytes.push(0);
        assert!(matches!(check_deterministic(&bytes), Err(Malformed::NotDeterministic { .. })));
    }

    #[test]
    fn octets_keep_their_bound() {
        let bytes = encode(&Octets::<4>::parse(vec![1; 4]).unwrap());
        assert!(decode::<Octets<4>>(&bytes).is_ok());
        assert!(decode::<Octets<3>>(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = check_deterministic(&bytes).is_ok();
        }

        #[test]
        fn what_is_encoded_passes(numbers in prop::collection::vec(any::<u64>(), 0..32)) {
            let bytes = encode(&numbers);
            prop_assert_eq!(decode::<Vec<u64>>(&bytes).unwrap(), numbers);
        }
    }
}
