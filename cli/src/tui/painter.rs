//! Writing cells to the terminal, so that each stands where the model has it, whatever the terminal takes for its width.
//!
//! ratatui and crossterm take it that the cursor has moved on by as many columns as they count. Terminals differ in that for clusters of
//! more than one character (a family, a flag, a heart with a variation selector) and for emoji that are younger than they are: some draw
//! them narrower, some wider. So each such cluster is written by itself: the columns that it takes are blanked, it is put at its place, what
//! a wider drawing of it may have run over is written again, and whatever follows begins with a movement of the cursor. Nothing is ever asked
//! of the terminal. A cell has no place for where it leads: its underline colour, which is used for nothing else, carries a link's number.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    crossterm::{
        cursor::{Hide, MoveTo, Show},
        queue,
    },
    layout::{Position, Size},
    style::Color,
};
use unicode_width::UnicodeWidthChar as _;

use super::text::{links::Links, width::cluster_width};

/// From here on characters are emoji, and which of them are wide depends on a terminal's age.
const EMOJI: char = '\u{1f000}';

/// What a screen is drawn with: ratatui's cells on a terminal that crossterm speaks to.
#[derive(Debug)]
pub struct Painter<W: Write> {
    inner: CrosstermBackend<W>,
    /// What stands on the terminal: rows of cells, as far as any was written.
    drawn: Vec<Vec<Cell>>,
    cursor: Position,
    /// Whether the cursor is to be seen, where that is known.
    shows_cursor: Option<bool>,
    /// Whether the cursor may be elsewhere than it was put last.
    has_moved: bool,
    /// How many frames changed a cell.
    changes: u64,
    links: Rc<RefCell<Links>>,
}

impl<W: Write> Painter<W> {
    /// Draws to `writer`, with links that lead where `links` says.
    pub fn new(writer: W, links: Rc<RefCell<Links>>) -> Self {
        let inner = CrosstermBackend::new(writer);
        let cursor = Position::ORIGIN;
        Self {
            inner,
            drawn: vec![],
            cursor,
            shows_cursor: None,
            has_moved: true,
            changes: 0,
            links,
        }
    }

    /// How many frames have changed anything that is seen.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    fn cell(&self, place: Position) -> Option<&Cell> {
        self.drawn.get(usize::from(place.y))?.get(usize::from(place.x))
    }

    fn put(&mut self, place: Position, cell: Cell) {
        let (x, y) = (usize::from(place.x), usize::from(place.y));
        if self.drawn.len() <= y {
            self.drawn.resize_with(y.saturating_add(1), Vec::new);
        }
        let Some(row) = self.drawn.get_mut(y) else { return };
        if row.len() <= x {
            row.resize(x.saturating_add(1), Cell::EMPTY);
        }
        if let Some(known) = row.get_mut(x) {
            *known = cell;
        }
    }

    /// Writes the cells at `places`, which are in the order of reading.
    fn write(&mut self, places: &[Position]) -> io::Result<()> {
        let mut run: Vec<(u16, u16, Cell)> = vec![];
        let mut link = None;
        for place in places {
            let Some(mut cell) = self.cell(*place).cloned() else { continue };
            let number = Links::number_in(cell.underline_color);
            cell.underline_color = Color::Reset;
            if is_unsure(cell.symbol()) {
                self.write_run(&mut run, link)?;
                let mut blank = cell.clone();
                blank.set_symbol(" ");
                let right = place.x.saturating_add(1);
                let blanks = [(place.x, place.y, blank.clone()), (right, place.y, blank)];
                let columns = cluster_width(cell.symbol()).max(1);
                run.extend(blanks.into_iter().take(columns));
                self.write_run(&mut run, None)?;
                run.push((place.x, place.y, cell));
                self.write_run(&mut run, number)?;
                link = None;
                continue;
            }
            if number != link {
                self.write_run(&mut run, link)?;
                link = number;
            }
            run.push((place.x, place.y, cell));
        }
        self.write_run(&mut run, link)
    }

    /// Writes cells that follow each other, which all lead to one place or nowhere.
    fn write_run(&mut self, run: &mut Vec<(u16, u16, Cell)>, link: Option<u32>) -> io::Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let target = link.and_then(|number| {
            let links = self.links.try_borrow().ok()?;
            links.target(number).map(|target| (number, target))
        });
        if let Some((number, target)) = &target {
            write!(self.inner, "\u{1b}]8;id={number};{target}\u{1b}\\")?;
        }
        self.has_moved = true;
        self.inner.draw(run.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
        if target.is_some() {
            write!(self.inner, "\u{1b}]8;;\u{1b}\\")?;
        }
        run.clear();
        Ok(())
    }
}

/// Whether terminals differ in how many columns a cluster takes.
fn is_unsure(cluster: &str) -> bool {
    let mut letters = cluster.chars();
    let first = letters.next();
    letters.next().is_some() || first.is_some_and(|letter| letter >= EMOJI)
}

/// How many columns a cluster takes where each of its characters is drawn by itself.
fn widest(cluster: &str) -> usize {
    let alone = |letter: char| if letter >= EMOJI { 2 } else { letter.width().unwrap_or(0) };
    cluster.chars().fold(0, |columns, letter| columns.saturating_add(alone(letter)))
}

impl<W: Write> Backend for Painter<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut places: Vec<Position> = vec![];
        let mut run_over: Vec<(Position, u16)> = vec![];
        for (x, y, cell) in content {
            let place = Position::new(x, y);
            let columns = u16::try_from(cluster_width(cell.symbol()).max(1)).unwrap_or(1);
            self.put(place, cell.clone());
            places.push(place);
            for hidden in x.saturating_add(1)..x.saturating_add(columns) {
                let mut blank = cell.clone();
                blank.set_symbol(" ");
                self.put(Position::new(hidden, y), blank);
            }
            let widest = u16::try_from(widest(cell.symbol())).unwrap_or(columns);
            if widest > columns {
                let behind = x.saturating_add(columns);
                run_over.push((Position::new(behind, y), x.saturating_add(widest)));
            }
        }
        if !places.is_empty() {
            self.changes = self.changes.wrapping_add(1);
        }
        let is_in_order = run_over.is_empty();
        for (mut place, end) in run_over {
            while place.x < end
                && let Some(cell) = self.cell(place)
            {
                let taken = u16::try_from(cluster_width(cell.symbol()).max(1)).unwrap_or(1);
                places.push(place);
                place.x = place.x.saturating_add(taken);
            }
        }
        if !is_in_order {
            places.sort_unstable_by_key(|place| (place.y, place.x));
            places.dedup();
        }
        self.write(&places)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.shows_cursor.replace(false) == Some(false) {
            return Ok(());
        }
        queue!(self.inner, Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.shows_cursor.replace(true) == Some(true) {
            return Ok(());
        }
        queue!(self.inner, Show)
    }

    /// Where the cursor was put last. The terminal is not asked: another program may read its answer, and one that is gone gives none.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if std::mem::take(&mut self.has_moved) || self.cursor != position {
            self.cursor = position;
            queue!(self.inner, MoveTo(position.x, position.y))?;
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        // The terminal may have been somebody else's meanwhile.
        self.shows_cursor = None;
        self.has_moved = true;
        // What of it is left is written over before it is looked at: ratatui clears to draw everything again.
        self.drawn.clear();
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests;
