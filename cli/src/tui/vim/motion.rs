//! Where a motion goes.

use std::iter::successors;

use super::parse::{At, Find, Motion, Shape, Size, Way};
use crate::tui::composer::motion::{after, before, boundary, is_word, line_end, line_start};

/// Where a motion ends, and what an operator takes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) to: usize,
    pub(super) takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Up to where it ends.
    Before,
    /// The cluster where it ends as well.
    Through,
    /// Whole lines.
    Lines,
}

/// What kind of thing a cluster is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    Word,
    Sign,
}

/// Where `motion` goes from `at`; nowhere if it cannot. `goal` is the column that lines are entered at.
pub(super) fn reach(
    text: &str,
    at: usize,
    motion: Motion,
    count: Option<usize>,
    goal: usize,
) -> Option<Reached> {
    let times = count.unwrap_or(1);
    let repeat = |step: &dyn Fn(usize) -> usize| (0..times).fold(at, |at, _| step(at));
    let (start, end) = (line_start(text, at), line_end(text, at));
    let (to, takes) = match motion {
        Motion::Left => (repeat(&|at| before(text, at).max(start)), Takes::Before),
        Motion::Right => (repeat(&|at| after(text, at).min(end)), Takes::Before),
        Motion::WordStart(size) => (repeat(&|at| word_start(text, at, size)), Takes::Before),
        Motion::WordBack(size) => (repeat(&|at| word_back(text, at, size)), Takes::Before),
        Motion::WordEnd(size) => (repeat(&|at| word_end(text, at, size)), Takes::Through),
        Motion::LineStart => (start, Takes::Before),
        Motion::FirstText => (first_text(text, at), Takes::Before),
        Motion::LineEnd => {
            let line = (1..times).try_fold(at, |at, _| line_below(text, at)).unwrap_or(at);
            (line_end(text, line), Takes::Before)
        }
        Motion::Down => {
            let line = (0..times).try_fold(at, |at, _| line_below(text, at))?;
            (at_column(text, line, goal), Takes::Lines)
        }
        Motion::Up => {
            let line = (0..times).try_fold(at, |at, _| line_above(text, at))?;
            (at_column(text, line, goal), Takes::Lines)
        }
        Motion::FirstLine => (first_text(text, nth_line(text, times)), Takes::Lines),
        Motion::LastLine => {
            let line = count.map_or(text.len(), |count| nth_line(text, count));
            (first_text(text, line), Takes::Lines)
        }
        Motion::Find(find) => return find_in_line(text, at, find, times),
        Motion::Place(place, Shape::Text) => (boundary(text, place), Takes::Before),
        Motion::Place(place, Shape::Lines) => {
            (first_text(text, boundary(text, place)), Takes::Lines)
        }
        Motion::Again(_) | Motion::ToMark(..) => return None,
    };
    Some(Reached { to, takes })
}

/// The end of the word under `at` and of those after it: what `cw` changes.
pub(super) fn this_word_end(text: &str, at: usize, size: Size, times: usize) -> usize {
    let own = class(text, at, size);
    let mut end = at;
    while class(text, after(text, end), size) == own && after(text, end) < text.len() {
        end = after(text, end);
    }
    (1..times).fold(end, |at, _| word_end(text, at, size))
}

/// The class of the cluster at `at`; what is past the end is space.
pub(super) fn class(text: &str, at: usize, size: Size) -> Class {
    let cluster = text.get(at..after(text, at)).unwrap_or_default();
    match cluster.chars().next() {
        None => Class::Space,
        Some(first) if first.is_whitespace() => Class::Space,
        Some(_) if size == Size::Big || is_word(cluster) => Class::Word,
        Some(_) => Class::Sign,
    }
}

/// How many clusters of its line are before `at`.
pub(super) fn column(text: &str, at: usize) -> usize {
    let start = line_start(text, at);
    successors(Some(start), |place| Some(after(text, *place)))
        .take_while(|place| *place < at)
        .count()
}

/// The first cluster of the line that is no space.
pub(super) fn first_text(text: &str, at: usize) -> usize {
    let (start, end) = (line_start(text, at), line_end(text, at));
    let line = text.get(start..end).unwrap_or_default();
    let indent = line.len().saturating_sub(line.trim_start().len());
    let first = start.saturating_add(indent);
    // A line of nothing but space: on its last.
    if first == end && end > start { before(text, end) } else { first }
}

/// The cluster at `column` of the line that `at` is on, or its last.
fn at_column(text: &str, at: usize, column: usize) -> usize {
    let (start, end) = (line_start(text, at), line_end(text, at));
    let last = if end > start { before(text, end) } else { start };
    (0..column).fold(start, |at, _| if at < last { after(text, at) } else { at })
}

fn line_below(text: &str, at: usize) -> Option<usize> {
    let end = line_end(text, at);
    (end < text.len()).then(|| end.saturating_add(1))
}

fn line_above(text: &str, at: usize) -> Option<usize> {
    line_start(text, at).checked_sub(1)
}

/// The start of the `number`th line, or of the last.
fn nth_line(text: &str, number: usize) -> usize {
    (1..number).try_fold(0, |at, _| line_below(text, at)).unwrap_or(text.len())
}

fn word_start(text: &str, at: usize, size: Size) -> usize {
    let own = class(text, at, size);
    let mut to = at;
    while to < text.len() && own != Class::Space && class(text, to, size) == own {
        to = after(text, to);
    }
    while to < text.len() && class(text, to, size) == Class::Space {
        // An empty line is a word.
        if to > at && is_empty_line(text, to) {
            break;
        }
        to = after(text, to);
    }
    to
}

fn is_empty_line(text: &str, at: usize) -> bool {
    line_start(text, at) == at && line_end(text, at) == at
}

fn word_back(text: &str, at: usize, size: Size) -> usize {
    let mut to = before(text, at);
    while to > 0 && class(text, to, size) == Class::Space && !is_empty_line(text, to) {
        to = before(text, to);
    }
    let own = class(text, to, size);
    while to > 0 && own != Class::Space && class(text, before(text, to), size) == own {
        to = before(text, to);
    }
    to
}

fn word_end(text: &str, at: usize, size: Size) -> usize {
    let mut to = after(text, at);
    while to < text.len() && class(text, to, size) == Class::Space {
        to = after(text, to);
    }
    if to >= text.len() { before(text, text.len()) } else { this_word_end(text, to, size, 1) }
}

fn find_in_line(text: &str, at: usize, find: Find, times: usize) -> Option<Reached> {
    let (start, end) = (line_start(text, at), line_end(text, at));
    let is_target = |at: &usize| text.get(*at..).is_some_and(|tail| tail.starts_with(find.target));
    // `;` after `t` stands short of the target that it found, which does not count again.
    let skip = usize::from(find.again && find.stop == At::Short);
    match find.way {
        Way::Forward => {
            let places = successors(Some(after(text, at)), |place| Some(after(text, *place)));
            let to = places
                .take_while(|place| *place < end)
                .skip(skip)
                .filter(is_target)
                .nth(times.saturating_sub(1))?;
            let to = if find.stop == At::Short { before(text, to) } else { to };
            Some(Reached { to, takes: Takes::Through })
        }
        Way::Back => {
            let places =
                successors(Some(at), |place| (*place > start).then(|| before(text, *place)));
            let to = places.skip(1).skip(skip).filter(is_target).nth(times.saturating_sub(1))?;
            let to = if find.stop == At::Short { after(text, to) } else { to };
            Some(Reached { to, takes: Takes::Before })
        }
    }
}
