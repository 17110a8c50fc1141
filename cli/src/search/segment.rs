//! A piece of the index: messages that arrived one after the other, and under which tokens each stands. It is written once and never changed;
//! pieces become fewer by being merged.
//!
//! A segment is a *head* and numbered *blocks*. The first blocks say when each message was written, by its position; the others hold the
//! tokens in their order, each with its positions, as differences in seven bits a byte. The head says with what each block begins, so that
//! a lookup opens the few blocks that it needs. A token whose positions do not fit goes on in the next block.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use rookery_protocol::time::Timestamp;

use super::token::Token;

/// What a block holds at most, in bytes.
pub const BLOCK_BYTES: usize = 32 * 1024 - 4;
/// What an entry takes beside its token and its positions.
const ENTRY_BYTES: usize = 32;

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

/// When the messages of a block were written, by position.
pub fn read_times(block: &[u8]) -> Result<Vec<(u64, Timestamp)>, Damaged> {
    let (mut rest, mut times) = (block, vec![]);
    let (mut position, mut at) = (0_u64, 0_u64);
    while !rest.is_empty() {
        position = position.checked_add(take_number(&mut rest)?).ok_or(Damaged)?;
        at = at.wrapping_add(unfold_sign(take_number(&mut rest)?));
        times.push((position, Timestamp::from_millis(at)));
    }
    Ok(times)
}

fn write_times(times: &BTreeMap<u64, Timestamp>, firsts: &mut Vec<u64>) -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = vec![];
    let (mut last, mut last_at) = (0_u64, 0_u64);
    for (position, at) in times {
        let is_full =
            blocks.last().is_none_or(|block| block.len().saturating_add(20) > BLOCK_BYTES);
        if is_full {
            (last, last_at) = (0, 0);
            firsts.push(*position);
            blocks.push(vec![]);
        }
        if let Some(block) = blocks.last_mut() {
            put_number(block, position.saturating_sub(last));
            put_number(block, fold_sign(at.as_millis().wrapping_sub(last_at)));
        }
        (last, last_at) = (*position, at.as_millis());
    }
    blocks
}

/// An entry is: how many bytes of the token before it in the block it shares, how many more it has, those, how many bytes of positions,
/// those.
fn write_tokens(
    tokens: &BTreeMap<Token, BTreeSet<u64>>,
    firsts: &mut Vec<Vec<u8>>,
) -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = vec![];
    let mut before: &[u8] = &[];
    for (token, positions) in tokens {
        let mut positions = positions.iter().copied().peekable();
        while positions.peek().is_some() {
            let token = token.as_bytes();
            let needed = token.len().saturating_add(ENTRY_BYTES);
            let is_full =
                blocks.last().is_none_or(|block| block.len().saturating_add(needed) > BLOCK_BYTES);
            if is_full {
                before = &[];
                firsts.push(token.to_vec());
                blocks.push(vec![]);
            }
            let Some(block) = blocks.last_mut() else { continue };
            let shared = before.iter().zip(token).take_while(|(one, two)| one == two).count();
            let (_, own) = token.split_at(shared);
            put_length(block, shared);
            put_length(block, own.len());
            block.extend_from_slice(own);
            let room = BLOCK_BYTES.saturating_sub(block.len()).saturating_sub(3);
            let mut entry = vec![];
            let mut last = 0_u64;
            // Ten bytes are the longest number.
            while entry.len().saturating_add(10) <= room
                && let Some(position) = positions.next()
            {
                put_number(&mut entry, position.saturating_sub(last));
                last = position;
            }
            put_length(block, entry.len());
            block.extend_from_slice(&entry);
            before = token;
        }
    }
    blocks
}

fn read_tokens(block: &[u8], mut each: impl FnMut(&Token, Vec<u64>)) -> Result<(), Damaged> {
    walk_tokens(block, |token, entry| {
        let mut positions = vec![];
        read_positions(entry, &mut positions)?;
        each(&Token::from_bytes(token.to_vec()), positions);
        Ok(true)
    })
}

/// Goes through the entries of a block while `each` says so.
fn walk_tokens(
    block: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, Damaged>,
) -> Result<(), Damaged> {
    let mut rest = block;
    let mut token: Vec<u8> = vec![];
    while !rest.is_empty() {
        let shared = take_length(&mut rest)?;
        if shared > token.len() {
            return Err(Damaged);
        }
        token.truncate(shared);
        let own = take_length(&mut rest)?;
        token.extend_from_slice(take(&mut rest, own)?);
        let length = take_length(&mut rest)?;
        let entry = take(&mut rest, length)?;
        if !each(&token, entry)? {
            return Ok(());
        }
    }
    Ok(())
}

fn read_positions(mut entry: &[u8], found: &mut Vec<u64>) -> Result<(), Damaged> {
    let mut position = 0_u64;
    while !entry.is_empty() {
        position = position.checked_add(take_number(&mut entry)?).ok_or(Damaged)?;
        found.push(position);
    }
    Ok(())
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    put_number(bytes, u64::try_from(length).unwrap_or(u64::MAX));
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], Damaged> {
    let (taken, after) = rest.split_at_checked(length).ok_or(Damaged)?;
    *rest = after;
    Ok(taken)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, Damaged> {
    usize::try_from(take_number(rest)?).map_err(|_| Damaged)
}

fn take_number(rest: &mut &[u8]) -> Result<u64, Damaged> {
    let mut number = 0_u64;
    for shift in (0_u32..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Damaged)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        // What does not fit is no number of ours.
        if shift == 63 && bits > 1 {
            return Err(Damaged);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

/// A difference that may be below zero, so that small ones are short either way.
const fn fold_sign(difference: u64) -> u64 {
    (difference << 1) ^ if difference >> 63 == 1 { u64::MAX } else { 0 }
}

const fn unfold_sign(folded: u64) -> u64 {
    (folded >> 1) ^ if folded & 1 == 1 { u64::MAX } else { 0 }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Messages = Vec<(u64, u64, Vec<String>)>;

    fn build(messages: &[(u64, u64, Vec<String>)]) -> Builder {
        let mut builder = Builder::default();
        for (position, at, words) in messages {
            let tokens = words.iter().map(|word| Token::word(word)).collect();
            builder.add(*position, Timestamp::from_millis(*at), tokens);
        }
        builder
    }

    fn look_up(segment: &Segment, word: &str, is_prefix: bool) -> BTreeSet<u64> {
        let token = Token::word(word);
        let blocks = segment.head.blocks_of(&token, is_prefix);
        segment.blocks[blocks]
            .iter()
            .flat_map(|block| find(block, &token, is_prefix).unwrap())
            .collect()
    }

    fn naive(messages: &Messages, word: &str, is_prefix: bool) -> BTreeSet<u64> {
        let is = |known: &String| known == word || (is_prefix && known.starts_with(word));
        let found = messages.iter().filter(|(_, _, words)| words.iter().any(is));
        found.map(|(position, ..)| *position).collect()
    }

    fn messages() -> impl Strategy<Value = Messages> {
        let words = prop::collection::vec("[a-c]{1,3}", 0..6);
        let message = (1_u64..2_000, any::<u64>(), words);
        // A position has one time.
        prop::collection::btree_map(1_u64..2_000, message, 0..60).prop_map(|messages| {
            messages.into_iter().map(|(position, (_, at, words))| (position, at, words)).collect()
        })
    }

    #[test]
    fn a_token_of_very_many_messages_goes_on_from_block_to_block() {
        let messages: Messages = (1..=60_000)
            .map(|number| (number * 3, number, vec!["all".to_owned(), format!("w{number:05}")]))
            .collect();
        let segment = build(&messages).build(2, 0, 200_000);
        assert!(segment.blocks.iter().all(|block| block.len() <= BLOCK_BYTES));
        assert_eq!(segment.blocks.len(), segment.head.blocks());
        assert!(segment.head.blocks_of(&Token::word("all"), false).len() > 1);
        assert!(segment.head.blocks_of(&Token::word("w31999"), false).len() == 1);
        for (word, is_prefix) in
            [("all", false), ("w00001", false), ("w60000", false), ("w314", true), ("b", true)]
        {
            assert_eq!(
                look_up(&segment, word, is_prefix),
                naive(&messages, word, is_prefix),
                "{word}"
            );
        }
        let positions = [3, 90_000, 180_000];
        let blocks = segment.head.blocks_of_times(&positions);
        assert!(
            blocks.len() > 1 && blocks.len() <= 3 && blocks.len() <= segment.head.all_times().len()
        );
        let times: BTreeMap<_, _> = blocks
            .iter()
            .flat_map(|number| read_times(&segment.blocks[*number]).unwrap())
            .collect();
        assert!(positions.iter().all(|position| times[position].as_millis() == position / 3));
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found(messages in messages(), word in "[a-c]{1,3}", is_prefix in any::<bool>()) {
            let segment = build(&messages).build(0, 0, 2_000);
            prop_assert_eq!(look_up(&segment, &word, is_prefix), naive(&messages, &word, is_prefix));
            let numbers = segment.head.all_times();
            let times: Vec<_> = numbers.iter().flat_map(|number| read_times(&segment.blocks[*number]).unwrap()).collect();
            let expected: Vec<_> = messages.iter().map(|(position, at, _)| (*position, Timestamp::from_millis(*at))).collect();
            prop_assert_eq!(times, expected);
        }

        #[test]
        fn merging_is_building_from_all(messages in messages(), cut in 0_usize..60) {
            let (one, two) = messages.split_at(cut.min(messages.len()));
            let mut merged = Builder::default();
            merged.merge(&build(two).build(0, 0, 0)).unwrap();
            merged.merge(&build(one).build(0, 0, 0)).unwrap();
            prop_assert_eq!(merged.build(1, 0, 2_000), build(&messages).build(1, 0, 2_000));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _found = find(&bytes, &Token::word("a"), true);
            let _times = read_times(&bytes);
            let segment = Segment { head: build(&[]).build(0, 0, 0).head, blocks: vec![bytes] };
            let _merged = Builder::default().merge(&segment);
        }

        #[test]
        fn numbers_are_read_back(number in any::<u64>()) {
            let mut bytes = vec![];
            put_number(&mut bytes, number);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_number(&mut rest), Ok(number));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(unfold_sign(fold_sign(number)), number);
        }
    }
}
