//! The text that is being written.
//!
//! A buffer of its own rather than `ratatui_textarea`, which stands in the way in four places: it moves and deletes by `char`, and so takes
//! a cluster such as 👩‍🚀 apart; it learns its width for wrapping from being drawn, through a `Cell`, so that drawing is not pure; its steps
//! of undo are its own (replacing the whole text is two, a word is as many as it has letters); and it maps the whole text to rows again
//! on each key. Here every change goes through one function, [`Composer::replace`], which undo takes back.
//!
//! What comes in is made harmless where it comes in (see [`crate::render`]): a paste cannot bring an escape sequence, nor can one go out
//! to others. A tab becomes four spaces, and every kind of line end becomes `\n`.

mod history;
pub(crate) mod layout;
pub(crate) mod motion;

use std::ops::Range;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
};

use self::history::{Change, History, Kind};
use crate::{
    render::is_unsafe,
    tui::text::width::{put, split_at_width, width},
};

/// One thing that a key does to the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Puts text in: a typed character or a paste.
    Insert(String),
    /// Begins a new line.
    NewLine,
    /// Deletes the cluster before the cursor.
    Backspace,
    /// Deletes the cluster under the cursor.
    Delete,
    /// One cluster back.
    Left,
    /// One cluster on.
    Right,
    /// One row up; on the first row, to its start.
    Up,
    /// One row down; on the last row, to its end.
    Down,
    /// To the start of the word.
    WordLeft,
    /// Past the end of the word.
    WordRight,
    /// To the start of the line.
    LineStart,
    /// To the end of the line.
    LineEnd,
    /// Deletes to the start of the word, and keeps it for [`Self::Yank`].
    DeleteWordLeft,
    /// Deletes past the end of the word, and keeps it.
    DeleteWordRight,
    /// Deletes to the end of the line, or the line end itself, and keeps it.
    KillToEnd,
    /// Deletes from the start of the line to the cursor, and keeps it.
    KillLine,
    /// Puts in what was last kept.
    Yank,
    /// Takes the last step back.
    Undo,
    /// Does again what was taken back.
    Redo,
    /// Deletes everything; undo brings it back.
    Clear,
}

/// What stands before the cursor and may be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// `@`, `#`, `:` or `/`.
    pub sigil: char,
    /// What is between the sigil and the cursor.
    pub text: String,
    /// Where the sigil is, in bytes.
    pub start: usize,
}

/// A text, a cursor in it, and what was done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composer {
    text: String,
    /// Bytes before the cursor: always between two clusters.
    cursor: usize,
    kept: String,
    history: History,
    /// The column that going up and down aims at.
    goal: Option<usize>,
    /// The width that rows are counted for; 0 while nobody has said.
    columns: u16,
}

impl Composer {
    /// A composer with `text`, the cursor at its end, and nothing to undo.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = clean(text);
        Self { cursor: text.len(), text, ..Self::default() }
    }

    /// Does `edit`, and says whether the text is another now.
    pub fn apply(&mut self, edit: Edit) -> bool {
        if !matches!(edit, Edit::Up | Edit::Down) {
            self.goal = None;
        }
        let (text, at) = (self.text.as_str(), self.cursor);
        match edit {
            Edit::Insert(text) => self.change(at..at, &clean(&text), Kind::Typed),
            Edit::NewLine => self.change(at..at, "\n", Kind::Typed),
            Edit::Backspace => self.change(motion::before(text, at)..at, "", Kind::Rubbed),
            Edit::Delete => self.change(at..motion::after(text, at), "", Kind::Deleted),
            Edit::DeleteWordLeft => self.kill(motion::word_left(text, at)..at),
            Edit::DeleteWordRight => self.kill(at..motion::word_right(text, at)),
            Edit::KillLine => self.kill(motion::line_start(text, at)..at),
            Edit::KillToEnd => {
                let end = motion::line_end(text, at);
                self.kill(at..if end == at { motion::after(text, at) } else { end })
            }
            Edit::Yank => {
                let kept = self.kept.clone();
                self.change(at..at, &kept, Kind::Apart)
            }
            Edit::Clear => self.change(0..text.len(), "", Kind::Apart),
            Edit::Undo => self.travel(History::undo),
            Edit::Redo => self.travel(History::redo),
            Edit::Left => self.go(motion::before(text, at)),
            Edit::Right => self.go(motion::after(text, at)),
            Edit::WordLeft => self.go(motion::word_left(text, at)),
            Edit::WordRight => self.go(motion::word_right(text, at)),
            Edit::LineStart => self.go(motion::line_start(text, at)),
            Edit::LineEnd => self.go(motion::line_end(text, at)),
            Edit::Up => self.climb(Climb::Up),
            Edit::Down => self.climb(Climb::Down),
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        self.text.clone()
    }

    /// The text, borrowed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Makes `text` the whole text, as one step of undo, with the cursor at its end.
    pub fn set_text(&mut self, text: &str) {
        self.replace(0..self.text.len(), text);
    }

    /// Deletes everything; undo brings it back.
    pub fn clear(&mut self) {
        self.apply(Edit::Clear);
    }

    /// Where the cursor is: so many bytes into the text, always between two clusters.
    #[must_use]
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts the cursor at `at`, or before the cluster that `at` is inside of.
    pub fn set_cursor(&mut self, at: usize) {
        self.goal = None;
        self.go(motion::boundary(&self.text, at));
    }

    /// Says how wide the composer is drawn, so that up and down go by rows as they are seen.
    pub const fn set_columns(&mut self, columns: u16) {
        self.columns = columns;
    }

    /// Puts `with` in the place of `range`, as one step of undo, and the cursor behind it.
    pub fn replace(&mut self, range: Range<usize>, with: &str) {
        self.goal = None;
        self.change(range, &clean(with), Kind::Apart);
    }

    /// Makes one step of undo out of everything until [`Self::release`].
    pub fn hold(&mut self) {
        self.history.hold();
    }

    /// Ends what [`Self::hold`] began.
    pub fn release(&mut self) {
        self.history.release();
    }

    /// What may be completed at the cursor.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        let head = self.text.get(..self.cursor)?;
        let word = head.rsplit(char::is_whitespace).next()?;
        let first = head.len().saturating_sub(word.len());
        if let Some(command) = head.strip_prefix('/')
            && first == 0
            && !command.contains('/')
        {
            return Some(Token { sigil: '/', text: command.to_owned(), start: 0 });
        }
        let mut before = None;
        for (index, sigil) in word.char_indices() {
            let begins = before.is_none_or(|before: char| !before.is_alphanumeric());
            before = Some(sigil);
            let text = word.get(index.saturating_add(1)..).unwrap_or_default();
            let fits = match sigil {
                '@' | '#' => true,
                ':' => {
                    text.chars().all(|letter| letter.is_alphanumeric() || "_+-".contains(letter))
                }
                _ => false,
            };
            if begins && fits {
                let start = first.saturating_add(index);
                return Some(Token { sigil, text: text.to_owned(), start });
            }
        }
        None
    }

    /// Puts `with` in the place of the token at the cursor, sigil and all. Without a token, nothing happens.
    pub fn replace_token(&mut self, with: &str) {
        if let Some(token) = self.token() {
            self.replace(token.start..self.cursor, with);
        }
    }

    /// Which part of the text stands on which row at `columns`: at least one.
    #[must_use]
    pub fn rows(&self, columns: u16) -> Vec<Range<usize>> {
        layout::rows(&self.text, columns)
    }

    /// Draws the text into `area`, so that the cursor's row is in it, and says where the cursor is on the screen.
    pub fn render(&self, area: Rect, buffer: &mut Buffer, style: Style) -> Position {
        self.render_rows(&self.rows(area.width), area, buffer, style, (0..0, style))
    }

    /// The same by its rows at the width of `area`, with a part of it in another style.
    pub fn render_rows(
        &self,
        rows: &[Range<usize>],
        area: Rect,
        buffer: &mut Buffer,
        style: Style,
        selected: (Range<usize>, Style),
    ) -> Position {
        let (marked, marked_style) = selected;
        let at = layout::row_of(rows, self.cursor);
        let height = usize::from(area.height);
        let top = at.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
        for (row, y) in rows.iter().skip(top).zip(area.top()..area.bottom()) {
            let begin = marked.start.clamp(row.start, row.end);
            let end = marked.end.clamp(begin, row.end);
            let parts =
                [(row.start..begin, style), (begin..end, marked_style), (end..row.end, style)];
            let mut x = area.x;
            for (part, style) in parts {
                let shown = self.text.get(part).unwrap_or_default();
                x = put(buffer, Position::new(x, y), area.right(), shown, style);
            }
        }
        let start = rows.get(at).map_or(0, |row| row.start);
        let before = self.text.get(start..self.cursor).unwrap_or_default();
        let column = u16::try_from(width(before)).unwrap_or(u16::MAX);
        let row = u16::try_from(at.saturating_sub(top)).unwrap_or(u16::MAX);
        Position {
            x: area.x.saturating_add(column).min(area.right().saturating_sub(1)).max(area.x),
            y: area.y.saturating_add(row).min(area.bottom().saturating_sub(1)).max(area.y),
        }
    }

    /// Every change comes through here. `with` is clean.
    fn change(&mut self, range: Range<usize>, with: &str, kind: Kind) -> bool {
        let Some(removed) = self.text.get(range.clone()) else { return false };
        if removed == with {
            return false;
        }
        let change = Change {
            at: range.start,
            removed: removed.to_owned(),
            inserted: with.to_owned(),
            cursor: self.cursor,
        };
        self.text.replace_range(range, with);
        let end = change.end();
        self.history.record(change, kind);
        // What was put in may have joined with what follows: a mark that combines, or a flag's second half.
        self.cursor = motion::boundary_after(&self.text, end);
        true
    }

    fn kill(&mut self, range: Range<usize>) -> bool {
        if let Some(killed) = self.text.get(range.clone()).filter(|killed| !killed.is_empty()) {
            killed.clone_into(&mut self.kept);
        }
        self.change(range, "", Kind::Apart)
    }

    fn travel(&mut self, step: impl FnOnce(&mut History, &mut String) -> Option<usize>) -> bool {
        let Some(cursor) = step(&mut self.history, &mut self.text) else { return false };
        self.cursor = motion::boundary(&self.text, cursor);
        true
    }

    fn go(&mut self, to: usize) -> bool {
        self.cursor = to;
        self.history.part();
        false
    }

    fn climb(&mut self, way: Climb) -> bool {
        let columns = if self.columns == 0 { u16::MAX } else { self.columns };
        let rows = layout::rows(&self.text, columns);
        let at = layout::row_of(&rows, self.cursor);
        let start = rows.get(at).map_or(0, |row| row.start);
        let goal = self
            .goal
            .unwrap_or_else(|| width(self.text.get(start..self.cursor).unwrap_or_default()));
        let target = match way {
            Climb::Up => at.checked_sub(1).and_then(|above| rows.get(above)),
            Climb::Down => rows.get(at.saturating_add(1)),
        };
        let to = match (target, way) {
            (Some(row), _) => {
                let line = self.text.get(row.clone()).unwrap_or_default();
                let to = row.start.saturating_add(split_at_width(line, goal).0.len());
                // The end of a row that goes on in the next is that next row's start.
                let goes_on = rows.iter().any(|other| other.start == row.end) && to == row.end;
                if goes_on && row.start < row.end { motion::before(&self.text, to) } else { to }
            }
            (None, Climb::Up) => 0,
            (None, Climb::Down) => self.text.len(),
        };
        self.go(to);
        self.goal = target.map(|_| goal);
        false
    }
}

#[derive(Clone, Copy)]
enum Climb {
    Up,
    Down,
}

/// `text` as the composer holds it: harmless, with `\n` for line ends and spaces for tabs.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                clean.push('\n');
            }
            '\n' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\t' => clean.push_str("    "),
            other if is_unsafe(other) => {}
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests;
