//! Which part of the text stands on which row.
//!
//! Rows are one column short of the area, so that the cursor has room behind each; a space that would begin a row stands in that column
//! instead.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::tui::text::width::cluster_width;

/// The rows of `text` at `columns`, as ranges of bytes without the line ends. At least one.
pub(crate) fn rows(text: &str, columns: u16) -> Vec<Range<usize>> {
    let room = usize::from(columns).saturating_sub(1).max(1);
    let mut rows = Vec::new();
    let mut start = 0_usize;
    for line in text.split('\n') {
        if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let clusters = line.bytes().enumerate().map(|(at, byte)| (at, 1, byte == b' '));
            break_line(start, line.len(), clusters, room, &mut rows);
        } else {
            let clusters = line
                .grapheme_indices(true)
                .map(|(at, cluster)| (at, cluster_width(cluster), cluster == " "));
            break_line(start, line.len(), clusters, room, &mut rows);
        }
        start = start.saturating_add(line.len()).saturating_add(1);
    }
    rows
}

/// The index of the row that holds the byte `at`.
pub(crate) fn row_of(rows: &[Range<usize>], at: usize) -> usize {
    rows.partition_point(|row| row.start <= at).saturating_sub(1)
}

/// Adds the rows of one line, whose clusters come as (place, columns, whether it is a space).
fn break_line(
    offset: usize,
    length: usize,
    clusters: impl Iterator<Item = (usize, usize, bool)>,
    room: usize,
    rows: &mut Vec<Range<usize>>,
) {
    let mut start = 0_usize;
    let mut taken = 0_usize;
    // Behind the last space: where, and how much of the row is before it.
    let mut chance: Option<(usize, usize)> = None;
    let row = |from: usize, to: usize| offset.saturating_add(from)..offset.saturating_add(to);
    for (at, columns, space) in clusters {
        if taken.saturating_add(columns) > room {
            if space {
                rows.push(row(start, at.saturating_add(1)));
                (start, taken, chance) = (at.saturating_add(1), 0, None);
                continue;
            }
            if let Some((behind, before)) = chance.take() {
                rows.push(row(start, behind));
                start = behind;
                taken = taken.saturating_sub(before);
            } else if at > start {
                rows.push(row(start, at));
                (start, taken) = (at, 0);
            }
        }
        // A word that came down whole may itself be as long as a row.
        if taken.saturating_add(columns) > room && at > start {
            rows.push(row(start, at));
            (start, taken) = (at, 0);
        }
        taken = taken.saturating_add(columns);
        if space {
            chance = Some((at.saturating_add(1), taken));
        }
    }
    rows.push(row(start, length));
}
