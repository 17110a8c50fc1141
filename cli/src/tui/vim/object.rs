//! What a text object covers.

use std::ops::Range;

use super::{
    motion::{Class, class},
    parse::{Extent, Object, Size},
};
use crate::tui::composer::motion::{after, before, line_end, line_start};

/// The bytes of `object` at `at`, if there is one.
pub(super) fn cover(text: &str, at: usize, extent: Extent, object: Object) -> Option<Range<usize>> {
    match object {
        Object::Word(size) => word(text, at, extent, size),
        Object::Quoted(quote) => quoted(text, at, extent, quote),
        Object::Bracketed(open, close) => bracketed(text, at, extent, open, close),
    }
}

fn word(text: &str, at: usize, extent: Extent, size: Size) -> Option<Range<usize>> {
    let (start, end) = (line_start(text, at), line_end(text, at));
    if start == end {
        return None;
    }
    let inner = same(text, at, size, start..end);
    if extent == Extent::Inner {
        return Some(inner);
    }
    let on_space = class(text, at, size) == Class::Space;
    if inner.end < end && (on_space || class(text, inner.end, size) == Class::Space) {
        let behind = same(text, inner.end, size, start..end);
        return Some(inner.start..behind.end);
    }
    // Nothing behind it: what is before goes with the word.
    let space_before =
        inner.start > start && class(text, before(text, inner.start), size) == Class::Space;
    if space_before {
        let space = same(text, before(text, inner.start), size, start..end);
        return Some(space.start..inner.end);
    }
    Some(inner)
}

/// The clusters around `at` that are of its class, within `line`.
fn same(text: &str, at: usize, size: Size, line: Range<usize>) -> Range<usize> {
    let own = class(text, at, size);
    let (mut from, mut to) = (at, after(text, at));
    while from > line.start && class(text, before(text, from), size) == own {
        from = before(text, from);
    }
    while to < line.end && class(text, to, size) == own {
        to = after(text, to);
    }
    from..to
}

/// The pair of quotes on this line that the cursor is in, or else the next.
fn quoted(text: &str, at: usize, extent: Extent, quote: char) -> Option<Range<usize>> {
    let (start, end) = (line_start(text, at), line_end(text, at));
    let line = text.get(start..end)?;
    let quotes: Vec<usize> =
        line.match_indices(quote).map(|(place, _)| start.saturating_add(place)).collect();
    let pair = quotes.chunks_exact(2).find(|pair| pair.last().is_some_and(|close| *close >= at))?;
    let [open, close] = pair else { return None };
    Some(match extent {
        Extent::Inner => open.saturating_add(1)..*close,
        Extent::Around => *open..close.saturating_add(1),
    })
}

/// The innermost pair of brackets that the cursor is in or on.
fn bracketed(
    text: &str,
    at: usize,
    extent: Extent,
    open: char,
    close: char,
) -> Option<Range<usize>> {
    let from = partner(text.get(..at)?.char_indices().rev(), close, open);
    let (head, tail) = text.split_at_checked(at)?;
    let start = if tail.starts_with(open) { head.len() } else { from? };
    let inside = start.saturating_add(1);
    let length = partner(text.get(inside..)?.char_indices(), open, close)?;
    let end = inside.saturating_add(length);
    Some(match extent {
        Extent::Inner => inside..end,
        Extent::Around => start..end.saturating_add(1),
    })
}

/// The first `wanted` that no `other` on the way has need of.
fn partner(
    mut places: impl Iterator<Item = (usize, char)>,
    other: char,
    wanted: char,
) -> Option<usize> {
    let mut depth = 0_usize;
    places.find_map(|(place, character)| {
        if character == other {
            depth = depth.saturating_add(1);
        } else if character == wanted {
            match depth.checked_sub(1) {
                None => return Some(place),
                Some(less) => depth = less,
            }
        }
        None
    })
}
