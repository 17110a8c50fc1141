//! The bytes of a block: times by position, or tokens in their order with their positions, as differences in seven bits a byte.

use std::collections::{BTreeMap, BTreeSet};

use rookery_protocol::time::Timestamp;

use super::{super::token::Token, BLOCK_BYTES, Damaged};

/// What an entry takes beside its token and its positions.
const ENTRY_BYTES: usize = 32;

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

pub(super) fn write_times(times: &BTreeMap<u64, Timestamp>, firsts: &mut Vec<u64>) -> Vec<Vec<u8>> {
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
pub(super) fn write_tokens(
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

pub(super) fn read_tokens(
    block: &[u8],
    mut each: impl FnMut(&Token, Vec<u64>),
) -> Result<(), Damaged> {
    walk_tokens(block, |token, entry| {
        let mut positions = vec![];
        read_positions(entry, &mut positions)?;
        each(&Token::from_bytes(token.to_vec()), positions);
        Ok(true)
    })
}

/// Goes through the entries of a block while `each` says so.
pub(super) fn walk_tokens(
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

pub(super) fn read_positions(mut entry: &[u8], found: &mut Vec<u64>) -> Result<(), Damaged> {
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

pub(super) fn put_number(bytes: &mut Vec<u8>, number: u64) {
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

pub(super) fn take_number(rest: &mut &[u8]) -> Result<u64, Damaged> {
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
pub(super) const fn fold_sign(difference: u64) -> u64 {
    (difference << 1) ^ if difference >> 63 == 1 { u64::MAX } else { 0 }
}

pub(super) const fn unfold_sign(folded: u64) -> u64 {
    (folded >> 1) ^ if folded & 1 == 1 { u64::MAX } else { 0 }
}
