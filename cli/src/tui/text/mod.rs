//! Text as the screen shows it: lines of pieces, each with a [`Role`], and how lines break.
//!
//! A line is first whole, as its author wrote it, and then [`wrap`]ped to a width. Marks that stand before a line (a quote's `>`, a list's
//! bullet) are pieces with the roles [`Role::QuoteMark`] and [`Role::ListMark`]; rows that continue the line repeat the first and leave
//! space for the second.

pub mod emoji;
pub mod highlight;
pub mod links;
pub mod markdown;
pub mod width;

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use self::width::{cluster_width, split_at_width, width};
use crate::tui::theme::Role;

/// A run of text that looks the same from end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text, without line ends.
    pub text: String,
    /// What it is, and so how it looks.
    pub role: Role,
    /// Where it leads.
    pub link: Option<Arc<str>>,
}

impl Piece {
    /// A piece that leads nowhere.
    #[must_use]
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), role, link: None }
    }
}

/// One line: as it was written, or one row of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextLine {
    /// What it is made of, from left to right.
    pub pieces: Vec<Piece>,
}

impl TextLine {
    /// A line of one piece, or of none where there is no text.
    #[must_use]
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        let piece = Piece::new(text, role);
        Self { pieces: if piece.text.is_empty() { vec![] } else { vec![piece] } }
    }

    /// The columns it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.pieces.iter().fold(0, |columns, piece| columns.saturating_add(width(&piece.text)))
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    /// Adds `text`, to the last piece if it is of the same kind.
    pub fn push(&mut self, text: &str, role: Role, link: Option<&Arc<str>>) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if last.role == role && last.link.as_ref() == link => {
                last.text.push_str(text);
            }
            _ => self.pieces.push(Piece { text: text.to_owned(), role, link: link.cloned() }),
        }
    }
}

/// `lines` as rows of no more than `columns`: broken between words, and inside one that is too long; a cluster is never split.
///
/// Every line makes at least one row. Spaces at a break are left out.
#[must_use]
pub fn wrap(lines: &[TextLine], columns: usize) -> Vec<TextLine> {
    let mut rows = Vec::with_capacity(lines.len());
    for line in lines {
        if line.width() <= columns {
            rows.push(line.clone());
        } else {
            wrap_line(line, columns, &mut rows);
        }
    }
    rows
}

/// One cluster of a line that is being wrapped.
#[derive(Clone, Copy)]
struct Cluster<'a> {
    text: &'a str,
    piece: &'a Piece,
    columns: usize,
}

impl Cluster<'_> {
    fn is_space(&self) -> bool {
        self.text == " "
    }
}

fn wrap_line(line: &TextLine, columns: usize, rows: &mut Vec<TextLine>) {
    let marks = line.pieces.iter().take_while(|piece| is_mark(piece.role)).count();
    let (marks, body) = line.pieces.split_at_checked(marks).unwrap_or((&[], &line.pieces));
    let (first, rest) = prefixes(marks, columns);
    let room = columns.saturating_sub(first.width()).max(1);
    let clusters: Vec<Cluster<'_>> = body
        .iter()
        .flat_map(|piece| {
            piece.text.graphemes(true).map(move |text| Cluster {
                text,
                piece,
                columns: cluster_width(text),
            })
        })
        .collect();
    let mut left = clusters.as_slice();
    let mut prefix = first;
    loop {
        let (row, after) = take_row(left, room);
        let mut line = prefix;
        for cluster in row {
            line.push(cluster.text, cluster.piece.role, cluster.piece.link.as_ref());
        }
        rows.push(line);
        if after.is_empty() {
            return;
        }
        left = after;
        prefix = rest.clone();
    }
}

/// The clusters of the next row, and those after the break.
fn take_row<'a, 'b>(
    clusters: &'b [Cluster<'a>],
    room: usize,
) -> (&'b [Cluster<'a>], &'b [Cluster<'a>]) {
    let mut taken = 0_usize;
    // Where the next row would begin, had this one to end before the cluster in hand.
    let mut chance = 0_usize;
    let mut wide_before = false;
    for (index, cluster) in clusters.iter().enumerate() {
        let wide = cluster.columns > 1;
        if wide || wide_before {
            chance = index;
        }
        taken = taken.saturating_add(cluster.columns);
        if taken > room && index > 0 {
            let end = match (cluster.is_space(), chance) {
                (true, _) | (false, 0) => index,
                (false, chance) => chance,
            };
            return break_at(clusters, end);
        }
        if cluster.is_space() {
            chance = index.saturating_add(1);
        }
        wide_before = wide;
    }
    (clusters, &[])
}

/// Ends a row before `end`, without the spaces on either side.
fn break_at<'a, 'b>(
    clusters: &'b [Cluster<'a>],
    end: usize,
) -> (&'b [Cluster<'a>], &'b [Cluster<'a>]) {
    let (mut row, mut after) = clusters.split_at_checked(end).unwrap_or((clusters, &[]));
    while let [head @ .., last] = row
        && last.is_space()
        && !head.is_empty()
    {
        row = head;
    }
    while let [first, tail @ ..] = after
        && first.is_space()
    {
        after = tail;
    }
    (row, after)
}

/// What stands before the first row, and before those that continue it: never more than half of `columns`.
fn prefixes(marks: &[Piece], columns: usize) -> (TextLine, TextLine) {
    let (mut first, mut rest) = (TextLine::default(), TextLine::default());
    let mut room = columns / 2;
    for mark in marks {
        let head = split_at_width(&mark.text, room).0;
        let taken = width(head);
        room = room.saturating_sub(taken);
        first.push(head, mark.role, None);
        match mark.role {
            Role::ListMark => rest.push(&" ".repeat(taken), mark.role, None),
            _ => rest.push(head, mark.role, None),
        }
    }
    (first, rest)
}

const fn is_mark(role: Role) -> bool {
    matches!(role, Role::QuoteMark | Role::ListMark)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn wrapped(pieces: &[(&str, Role)], columns: usize) -> String {
        let pieces = pieces.iter().map(|(text, role)| Piece::new(*text, *role)).collect();
        let mut rows = String::new();
        for row in wrap(&[TextLine { pieces }], columns) {
            writeln!(rows, "{}|", row.text()).unwrap();
        }
        rows
    }

    #[test]
    fn a_line_breaks_between_words() {
        let text = [("can you restart nest3 ", Role::Text), ("please", Role::Strong)];
        assert_eq!(wrapped(&text, 12), "can you|\nrestart|\nnest3 please|\n");
        assert_eq!(wrapped(&text, 80), "can you restart nest3 please|\n");
        assert_eq!(wrapped(&[("", Role::Text)], 12), "|\n");
    }

    #[test]
    fn a_word_may_go_over_pieces() {
        let text = [("un", Role::Strong), ("believable it is", Role::Text)];
        assert_eq!(wrapped(&text, 13), "unbelievable|\nit is|\n");
    }

    #[test]
    fn a_word_that_is_too_long_is_broken_where_the_row_ends() {
        assert_eq!(
            wrapped(&[("see abcdefghij ok", Role::Text)], 4),
            "see|\nabcd|\nefgh|\nij|\nok|\n"
        );
    }

    #[test]
    fn a_cluster_is_never_split() {
        let family = "👩\u{200d}👩\u{200d}👧";
        let text = [("a", Role::Text), (family, Role::Text), (family, Role::Text)];
        assert_eq!(wrapped(&text, 3), format!("a{family}|\n{family}|\n"));
        assert_eq!(
            wrapped(&[(family, Role::Text), (family, Role::Text)], 1),
            format!("{family}|\n{family}|\n")
        );
    }

    #[test]
    fn wide_text_breaks_between_any_two_characters() {
        assert_eq!(wrapped(&[("ok 日本語です", Role::Text)], 7), "ok 日本|\n語です|\n");
    }

    #[test]
    fn rows_that_continue_repeat_the_quote_and_leave_room_for_the_bullet() {
        let quote = [("> ", Role::QuoteMark), ("one two three", Role::Quote)];
        assert_eq!(wrapped(&quote, 9), "> one two|\n> three|\n");
        let list = [("> ", Role::QuoteMark), ("- ", Role::ListMark), ("one two three", Role::Text)];
        assert_eq!(wrapped(&list, 11), "> - one two|\n>   three|\n");
    }

    #[test]
    fn marks_never_take_more_than_half_a_row() {
        let deep = [("> > > > > ", Role::QuoteMark), ("abcdef", Role::Quote)];
        assert_eq!(wrapped(&deep, 6), "> >abc|\n> >def|\n");
    }

    #[test]
    fn indented_lines_keep_their_indent() {
        assert_eq!(wrapped(&[("    let x = 1;", Role::Code)], 11), "    let x =|\n1;|\n");
    }

    #[test]
    fn pieces_keep_where_they_lead() {
        let link: Arc<str> = Arc::from("https://nest.example/");
        let piece = Piece { text: "the nest".into(), role: Role::Link, link: Some(link.clone()) };
        let rows = wrap(&[TextLine { pieces: vec![piece] }], 4);
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter().flat_map(|row| &row.pieces).all(|piece| piece.link == Some(link.clone()))
        );
    }

    proptest! {
        #[test]
        fn rows_fit_and_lose_nothing_but_spaces(text in "[a-z 日👩é]{0,60}", columns in 2_usize..20) {
            let line = TextLine { pieces: vec![Piece::new("> ", Role::QuoteMark), Piece::new(text.clone(), Role::Text)] };
            let rows = wrap(&[line], columns);
            let squeeze = |text: &str| text.replace([' ', '>'], "");
            let mut said = String::new();
            for row in &rows {
                prop_assert!(row.width() <= columns.max(3), "{row:?}");
                said.push_str(&row.text());
            }
            prop_assert_eq!(squeeze(&said), squeeze(&text));
        }
    }
}
