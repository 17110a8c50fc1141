//! Where the cursor goes: from one place between two clusters to another.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// The place before the cluster that ends at `at`.
pub(crate) fn before(text: &str, at: usize) -> usize {
    // A chunk that is the whole text is never too short.
    GraphemeCursor::new(at, text.len(), true).prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// The place behind the cluster that begins at `at`.
pub(crate) fn after(text: &str, at: usize) -> usize {
    let next = GraphemeCursor::new(at, text.len(), true).next_boundary(text, 0);
    next.ok().flatten().unwrap_or(text.len())
}

/// `at`, or the place before the cluster that it is inside of.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    if is_boundary(text, at) { at } else { before(text, at) }
}

/// `at`, or the place behind the cluster that it is inside of.
pub(crate) fn boundary_after(text: &str, at: usize) -> usize {
    let at = text.ceil_char_boundary(at);
    if is_boundary(text, at) { at } else { after(text, at) }
}

fn is_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
}

/// The start of the line that `at` is on.
pub(crate) fn line_start(text: &str, at: usize) -> usize {
    let head = text.get(..at).unwrap_or(text);
    head.rfind('\n').map_or(0, |end| end.saturating_add(1))
}

/// The end of the line that `at` is on.
pub(crate) fn line_end(text: &str, at: usize) -> usize {
    let tail = text.get(at..).unwrap_or_default();
    tail.find('\n').map_or(text.len(), |end| at.saturating_add(end))
}

/// The start of the word before `at`.
pub(crate) fn word_left(text: &str, at: usize) -> usize {
    let head = text.get(..at).unwrap_or(text);
    let left = head.grapheme_indices(true).rev().skip_while(|(_, cluster)| !is_word(cluster));
    left.take_while(|(_, cluster)| is_word(cluster)).last().map_or(0, |(start, _)| start)
}

/// The end of the word after `at`.
pub(crate) fn word_right(text: &str, at: usize) -> usize {
    let tail = text.get(at..).unwrap_or_default();
    let right = tail.grapheme_indices(true).skip_while(|(_, cluster)| !is_word(cluster));
    right
        .take_while(|(_, cluster)| is_word(cluster))
        .last()
        .map_or(text.len(), |(start, cluster)| {
            at.saturating_add(start).saturating_add(cluster.len())
        })
}

/// Whether a cluster is part of a word.
pub(crate) fn is_word(cluster: &str) -> bool {
    cluster.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_')
}
