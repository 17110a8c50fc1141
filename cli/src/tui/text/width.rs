//! How many columns a text takes: the one answer of the client.
//!
//! A row shifts when two parts of a program count it differently, and most rows that shift in other clients do so at emoji. What is counted
//! here is grapheme clusters, with ratatui's own number for each, since ratatui's diff decides which cells to skip; but a cluster never
//! takes more than two columns. Where the two differ (`ratatui` sums the parts of a cluster that it does not know as one), [`put`] tells
//! the buffer which width holds. What a terminal then draws differs from one to the next; this keeps the columns that follow in place.

use std::{borrow::Cow, num::NonZeroU16};

use ratatui::{
    buffer::{Buffer, CellDiffOption, CellWidth},
    layout::Position,
    style::Style,
};
use unicode_segmentation::UnicodeSegmentation;

use crate::render::is_unsafe;

/// The columns that `text` takes.
#[must_use]
pub fn width(text: &str) -> usize {
    if is_plain(text) {
        return text.len();
    }
    text.graphemes(true).fold(0, |columns, cluster| columns.saturating_add(cluster_width(cluster)))
}

/// The columns that one grapheme cluster takes: 0 to 2, and 0 for what is not shown.
#[must_use]
pub fn cluster_width(cluster: &str) -> usize {
    if cluster.chars().any(char::is_control) {
        return 0;
    }
    usize::from(cluster.cell_width().min(2))
}

/// The longest head of whole clusters of `text` that takes no more than `columns`, and the rest.
#[must_use]
pub fn split_at_width(text: &str, columns: usize) -> (&str, &str) {
    let mut taken = 0_usize;
    for (start, cluster) in text.grapheme_indices(true) {
        taken = taken.saturating_add(cluster_width(cluster));
        if taken > columns {
            return text.split_at_checked(start).unwrap_or((text, ""));
        }
    }
    (text, "")
}

/// `text` in no more than `columns`; what was cut ends in `ellipsis`, if that fits.
#[must_use]
pub fn truncate<'a>(text: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    // Looks no further than it has to: a text may be long.
    let (head, rest) = split_at_width(text, columns);
    if rest.is_empty() {
        return Cow::Borrowed(text);
    }
    match columns.checked_sub(width(ellipsis)) {
        None => Cow::Borrowed(head),
        Some(left) => Cow::Owned(format!("{}{ellipsis}", split_at_width(head, left).0)),
    }
}

/// `text` in exactly `columns`: cut, or filled with spaces on the right.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    let head = split_at_width(text, columns).0;
    let blank = columns.saturating_sub(width(head));
    format!("{head}{}", " ".repeat(blank))
}

/// Writes `text` into `buffer` from `at` on, left of the column `end`, and returns the column after it.
///
/// What takes no column is not drawn, nor is a cluster that would pass `end`.
pub fn put(buffer: &mut Buffer, at: Position, end: u16, text: &str, style: Style) -> u16 {
    let end = end.min(buffer.area.right());
    let mut x = at.x;
    // What others wrote is made harmless where it enters the model; this is the last gate, for what was forgotten there.
    let harmless = text.chars().any(is_unsafe).then(|| text.replace(is_unsafe, ""));
    for cluster in harmless.as_deref().unwrap_or(text).graphemes(true) {
        let Some(columns) = u16::try_from(cluster_width(cluster)).ok().and_then(NonZeroU16::new)
        else {
            continue;
        };
        let next = x.saturating_add(columns.get());
        if next > end {
            break;
        }
        let Some(cell) = buffer.cell_mut((x, at.y)) else { break };
        cell.set_symbol(cluster).set_style(style);
        // Of a cluster with a variation selector, ratatui would write the column behind it as if it stood by itself.
        if cluster.cell_width() != columns.get() || cluster.contains('\u{fe0f}') {
            cell.set_diff_option(CellDiffOption::ForcedWidth(columns));
        }
        for hidden in x.saturating_add(1)..next {
            if let Some(cell) = buffer.cell_mut((hidden, at.y)) {
                cell.reset();
                cell.set_style(style);
            }
        }
        x = next;
    }
    x
}

/// Whether each byte is a column: printable ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn a_cluster_takes_at_most_two_columns() {
        let cases = [
            ("", 0),
            ("rook", 4),
            ("é", 1),
            ("e\u{301}", 1),
            ("日本", 4),
            ("❤\u{fe0f}", 2),
            ("1\u{fe0f}\u{20e3}", 2),
            ("👩\u{200d}👩\u{200d}👧\u{200d}👦", 2),
            ("🧑🏽\u{200d}🚀", 2),
            ("🇩🇪", 2),
            // No sequence that anybody drew: its parts are six columns.
            ("👩\u{200d}👩\u{200d}🏠", 2),
            ("\u{17d8}", 2),
            ("a\tb\u{1b}\u{9b}", 2),
            ("\r\n", 0),
            ("\u{200b}", 0),
        ];
        for (text, columns) in cases {
            assert_eq!(width(text), columns, "{text:?}");
        }
    }

    #[test]
    fn what_is_cut_ends_in_the_ellipsis_and_fits() {
        assert_eq!(truncate("rookery", 7, ".."), "rookery");
        assert_eq!(truncate("rookery", 6, ".."), "rook..");
        assert_eq!(truncate("日本語", 5, "…"), "日本…");
        assert_eq!(truncate("日本語", 4, "…"), "日…");
        assert_eq!(truncate("rookery", 1, ".."), "r");
        assert_eq!(truncate("rookery", 0, "…"), "");
    }

    #[test]
    fn the_buffer_is_told_where_ratatui_counts_otherwise() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        let odd = "👩\u{200d}👩\u{200d}🏠";
        let after =
            put(&mut buffer, Position::new(0, 0), 8, &format!("{odd}ab\u{7}c"), Style::new());
        assert_eq!(after, 5);
        assert_eq!(buffer.cell((0, 0)).unwrap().cell_width(), 2);
        let blank = Buffer::empty(Rect::new(0, 0, 8, 1));
        let drawn: Vec<_> =
            blank.diff(&buffer).iter().map(|(x, _, cell)| (*x, cell.symbol().to_owned())).collect();
        assert_eq!(
            drawn,
            [(0, odd), (2, "a"), (3, "b"), (4, "c")].map(|(x, text)| (x, text.to_owned()))
        );
    }

    #[test]
    fn nothing_is_put_past_the_end() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        assert_eq!(put(&mut buffer, Position::new(1, 0), 4, "日本", Style::new()), 3);
        assert_eq!(put(&mut buffer, Position::new(9, 9), 20, "x", Style::new()), 9);
        assert_eq!(buffer, Buffer::with_lines([" 日 "]));
    }

    /// Texts of which parts are odd in each way that matters.
    fn odd_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[a-z ]{0,6}",
            Just("日".to_owned()),
            Just("👩\u{200d}👩\u{200d}👧".to_owned()),
            Just("e\u{301}".to_owned()),
            Just("❤\u{fe0f}".to_owned()),
            Just("\u{1b}".to_owned()),
            Just("ｶﾞ".to_owned()),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn padding_fills_exactly(text in odd_text(), columns in 0_usize..20) {
            prop_assert_eq!(width(&pad(&text, columns)), columns);
        }

        #[test]
        fn a_cut_fits_and_loses_nothing(text in any::<String>(), columns in 0_usize..20) {
            let (head, rest) = split_at_width(&text, columns);
            prop_assert!(width(head) <= columns);
            prop_assert_eq!(format!("{head}{rest}"), text.clone());
            prop_assert!(width(&truncate(&text, columns, "…")) <= columns);
        }
    }
}
