//! A piece of the index: messages that arrived one after the other, and under which tokens each stands. It is written once and never changed;
//! pieces become fewer by being merged.
//!
//! A segment is a *head* and numbered *blocks*. The first blocks say when each message was written, by its position; the others hold the
//! tokens in their order, each with its positions, as differences in seven bits a byte. The head says with what each block begins, so that
//! a lookup opens the few blocks that it needs. A token whose positions do not fit goes on in the next block.

mod block;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use rookery_protocol::time::Timestamp;

pub use self::block::read_times;
use self::block::{read_positions, read_tokens, walk_tokens, write_times, write_tokens};
use super::token::Token;

/// What a block holds at most, in bytes.
pub const BLOCK_BYTES: usize = 32 * 1024 - 4;

/// A block that is not what a segment's block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block of the search index is damaged")]
pub struct Damaged;

/// What a segment is about, and where in it what stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Head {
    /// How often it was merged: 0 when it came straight from messages.
    #[n(0)]
    pub level: u32,
    /// After which position the messages begin that it was made from.
    #[n(1)]
    pub after: u64,
    /// The last of them.
    #[n(2)]
    pub through: u64,
    /// When the newest message that stands in it was written.
    #[n(3)]
    pub newest: Timestamp,
    /// The first position of each block of times.
    #[n(4)]
    times: Vec<u64>,
    /// The first token of each block after those.
    #[cbor(n(5), with = "tokens_codec")]
    tokens: Vec<Vec<u8>>,
}

/// A segment whose blocks are all at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The head.
    pub head: Head,
    /// The blocks, by their numbers.
    pub blocks: Vec<Vec<u8>>,
}

/// Messages that become a segment.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    times: BTreeMap<u64, Timestamp>,
    tokens: BTreeMap<Token, BTreeSet<u64>>,
}

impl Builder {
    /// Adds a message that stands at `position`, or another text of one.
    pub fn add(&mut self, position: u64, at: Timestamp, tokens: BTreeSet<Token>) {
        self.times.insert(position, at);
        for token in tokens {
            self.tokens.entry(token).or_default().insert(position);
        }
    }

    /// Adds all that stands in a segment.
    pub fn merge(&mut self, segment: &Segment) -> Result<(), Damaged> {
        for (number, block) in segment.blocks.iter().enumerate() {
            if number < segment.head.times.len() {
                self.times.extend(read_times(block)?);
            } else {
                read_tokens(block, |token, positions| {
                    if let Some(known) = self.tokens.get_mut(token) {
                        known.extend(positions);
                    } else {
                        self.tokens.insert(token.clone(), positions.into_iter().collect());
                    }
                })?;
            }
        }
        Ok(())
    }

    /// The segment, made from messages after position `after` up to `through`.
    #[must_use]
    pub fn build(self, level: u32, after: u64, through: u64) -> Segment {
        let newest = self.times.values().max().copied().unwrap_or(Timestamp::from_millis(0));
        let mut head = Head { level, after, through, newest, times: vec![], tokens: vec![] };
        let mut blocks = write_times(&self.times, &mut head.times);
        blocks.extend(write_tokens(&self.tokens, &mut head.tokens));
        Segment { head, blocks }
    }
}

impl Head {
    /// How many blocks there are.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.times.len().saturating_add(self.tokens.len())
    }

    /// The blocks in which `token` may stand; all that begin with it when `is_prefix`.
    #[must_use]
    pub fn blocks_of(&self, token: &Token, is_prefix: bool) -> std::ops::Range<usize> {
        let wanted = token.as_bytes();
        // A token may go on in blocks that begin with it, and begin in the one before.
        let first = self.tokens.partition_point(|start| start.as_slice() < wanted);
        let end = self.tokens.partition_point(|start| {
            start.as_slice() <= wanted || (is_prefix && start.starts_with(wanted))
        });
        let skip = self.times.len();
        first.saturating_sub(1).saturating_add(skip)..end.saturating_add(skip)
    }

    /// The blocks that say when the messages at `positions`, which rise, were written.
    #[must_use]
    pub fn blocks_of_times(&self, positions: &[u64]) -> Vec<usize> {
        let mut blocks: Vec<usize> = positions
            .iter()
            .map(|position| self.times.partition_point(|first| first <= position))
            .filter_map(|after| after.checked_sub(1))
            .collect();
        blocks.dedup();
        blocks
    }

    /// All blocks that say when messages were written.
    #[must_use]
    pub fn all_times(&self) -> Vec<usize> {
        (0..self.times.len()).collect()
    }
}

/// The positions under `token` in a block, or under all that begin with it.
pub fn find(block: &[u8], token: &Token, is_prefix: bool) -> Result<Vec<u64>, Damaged> {
    let wanted = token.as_bytes();
    let mut found = vec![];
    walk_tokens(block, |known, entry| {
        if known == wanted || (is_prefix && known.starts_with(wanted)) {
            read_positions(entry, &mut found)?;
        }
        // Tokens rise: beyond what begins with it there is nothing of it.
        Ok(known <= wanted || known.starts_with(wanted))
    })?;
    Ok(found)
}

/// Byte strings as byte strings.
mod tokens_codec {
    use minicbor::{
        Decoder, Encoder,
        decode::Error,
        encode::{self, Write},
    };

    pub(super) fn encode<C, W: Write>(
        tokens: &[Vec<u8>],
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.array(u64::try_from(tokens.len()).unwrap_or(u64::MAX))?;
        tokens.iter().try_for_each(|token| encoder.bytes(token).map(|_| ()))
    }

    pub(super) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Vec<Vec<u8>>, Error> {
        decoder
            .array_iter::<&minicbor::bytes::ByteSlice>()?
            .map(|token| Ok(token?.to_vec()))
            .collect()
    }
}
