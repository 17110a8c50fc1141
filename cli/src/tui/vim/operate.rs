//! What operators and the small commands do to the text, and the registers.

use std::ops::Range;

use super::{
    Mode, Outcome, Vim,
    motion::{self, Class, Takes},
    object,
    parse::{Command, Motion, Operator, Shape, Side, Target},
};
use crate::tui::composer::{
    Composer, Edit,
    motion::{after, line_end, line_start},
};

/// The longest text that a count may put in, in bytes.
const MOST: usize = 256 * 1024;

/// What was yanked or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Register {
    text: String,
    shape: Shape,
}

impl Vim {
    pub(super) fn operate(
        &mut self,
        command: &Command,
        operator: Operator,
        target: Target,
        composer: &mut Composer,
    ) -> Outcome {
        let Some((range, shape)) = self.span(command, operator, target, composer) else {
            return Outcome::Consumed;
        };
        let taken = composer.as_str().get(range.clone()).unwrap_or_default().to_owned();
        if taken.is_empty() && shape == Shape::Text && operator != Operator::Change {
            return Outcome::Consumed;
        }
        let outcome = self.keep(command.register, Register { text: taken, shape });
        match (operator, shape) {
            (Operator::Yank, Shape::Text) => composer.set_cursor(range.start),
            // Whole lines are yanked from where the cursor is, unless they begin above it.
            (Operator::Yank, Shape::Lines) => {
                if line_start(composer.as_str(), composer.cursor()) > range.start {
                    composer.set_cursor(range.start);
                }
            }
            (Operator::Delete, Shape::Text) => composer.replace(range, ""),
            (Operator::Delete, Shape::Lines) => delete_lines(range, composer),
            (Operator::Change, _) => {
                let start = range.start;
                composer.replace(range, "");
                composer.set_cursor(start);
                self.mode = Mode::Insert;
            }
        }
        outcome
    }

    /// What an operator works on.
    fn span(
        &mut self,
        command: &Command,
        operator: Operator,
        target: Target,
        composer: &Composer,
    ) -> Option<(Range<usize>, Shape)> {
        let (text, at) = (composer.as_str(), composer.cursor());
        let times = command.count.unwrap_or(1);
        let motion = match target {
            Target::Object(extent, object) => {
                return Some((object::cover(text, at, extent, object)?, Shape::Text));
            }
            Target::Lines => {
                let below = (1..times)
                    .fold(at, |at, _| line_end(text, at).saturating_add(1).min(text.len()));
                return Some((lines(text, at, below), Shape::Lines));
            }
            Target::Selected(from, to, Shape::Text) => {
                return Some((from..after(text, to), Shape::Text));
            }
            Target::Selected(from, to, Shape::Lines) => {
                return Some((lines(text, from, to), Shape::Lines));
            }
            Target::Motion(Motion::WordStart(size))
                if operator == Operator::Change
                    && motion::class(text, at, size) != Class::Space =>
            {
                let end = motion::this_word_end(text, at, size, times);
                return Some((at..after(text, end), Shape::Text));
            }
            Target::Motion(motion) => self.resolve(motion)?,
        };
        let reached = motion::reach(text, at, motion, command.count, 0)?;
        let (from, to) = (at.min(reached.to), at.max(reached.to));
        Some(match reached.takes {
            Takes::Lines => (lines(text, from, to), Shape::Lines),
            Takes::Through => (from..after(text, to), Shape::Text),
            Takes::Before if matches!(motion, Motion::WordStart(_)) => {
                (from..to_line_end(text, from..to), Shape::Text)
            }
            Takes::Before => (from..to, Shape::Text),
        })
    }

    fn keep(&mut self, name: Option<char>, register: Register) -> Outcome {
        match name {
            Some('_') => return Outcome::Consumed,
            Some('+' | '*') => {
                let text = register.text.clone();
                self.registers.insert('+', register.clone());
                self.registers.insert('"', register);
                return Outcome::CopyToClipboard(text);
            }
            Some(name @ 'A'..='Z') => {
                let kept = self.registers.entry(name.to_ascii_lowercase()).or_default();
                if register.shape == Shape::Lines || kept.shape == Shape::Lines {
                    kept.shape = Shape::Lines;
                    kept.text.push('\n');
                }
                kept.text.push_str(&register.text);
            }
            Some(name) => {
                self.registers.insert(name, register.clone());
            }
            None => {}
        }
        self.registers.insert('"', register);
        Outcome::Consumed
    }

    pub(super) fn put(
        &mut self,
        name: Option<char>,
        side: Side,
        count: usize,
        composer: &mut Composer,
    ) {
        let name = match name.unwrap_or('"') {
            '*' => '+',
            name => name.to_ascii_lowercase(),
        };
        let Some(register) = self.registers.get(&name) else { return };
        let (text, at) = (composer.as_str(), composer.cursor());
        let one = register.text.len().saturating_add(1);
        let count = count.min(MOST.checked_div(one).unwrap_or(1).max(1));
        match (register.shape, side) {
            (Shape::Text, side) => {
                let end = line_end(text, at);
                let place = if side == Side::After { after(text, at).min(end) } else { at };
                composer.replace(place..place, &register.text.repeat(count));
                composer.apply(Edit::Left);
            }
            (Shape::Lines, Side::After) => {
                let end = line_end(text, at);
                composer.replace(end..end, &format!("\n{}", register.text).repeat(count));
                let first = motion::first_text(composer.as_str(), end.saturating_add(1));
                composer.set_cursor(first);
            }
            (Shape::Lines, Side::Before) => {
                let start = line_start(text, at);
                composer.replace(start..start, &format!("{}\n", register.text).repeat(count));
                let first = motion::first_text(composer.as_str(), start);
                composer.set_cursor(first);
            }
        }
    }
}

/// Puts `with` in the place of as many clusters; none if the line has fewer.
pub(super) fn replace(with: char, count: usize, composer: &mut Composer) {
    let (text, at) = (composer.as_str(), composer.cursor());
    let line = text.get(..line_end(text, at)).unwrap_or(text);
    let end = (0..count).try_fold(at, |at, _| (at < line.len()).then(|| after(line, at)));
    if let Some(end) = end {
        composer.replace(at..end, &with.to_string().repeat(count));
        composer.apply(Edit::Left);
    }
}

/// Turns small letters to capitals and back, going right.
pub(super) fn toggle_case(count: usize, composer: &mut Composer) {
    let (text, at) = (composer.as_str(), composer.cursor());
    let line = text.get(..line_end(text, at)).unwrap_or(text);
    let end = (0..count).fold(at, |at, _| after(line, at));
    let toggled: String = line
        .get(at..end)
        .unwrap_or_default()
        .chars()
        .flat_map(|letter| -> Box<dyn Iterator<Item = char>> {
            if letter.is_lowercase() {
                Box::new(letter.to_uppercase())
            } else {
                Box::new(letter.to_lowercase())
            }
        })
        .collect();
    let behind = at.saturating_add(toggled.len());
    composer.replace(at..end, &toggled);
    composer.set_cursor(behind);
}

/// Makes one line of `count` lines, of two at least.
pub(super) fn join(count: usize, composer: &mut Composer) {
    for _ in 1..count.max(2) {
        let (text, at) = (composer.as_str(), composer.cursor());
        let end = line_end(text, at);
        let Some(below) = text.get(end.saturating_add(1)..) else { return };
        let line = below.split('\n').next().unwrap_or_default();
        let indent = line.len().saturating_sub(line.trim_start().len());
        let bare =
            line.trim_start().is_empty() || text.get(..end).is_some_and(|head| head.ends_with(' '));
        let gap = end..end.saturating_add(1).saturating_add(indent);
        composer.replace(gap, if bare { "" } else { " " });
        composer.set_cursor(end);
    }
}

/// From the start of the line of `from` to the end of that of `to`.
pub(super) fn lines(text: &str, from: usize, to: usize) -> Range<usize> {
    line_start(text, from)..line_end(text, to)
}

fn delete_lines(range: Range<usize>, composer: &mut Composer) {
    let text = composer.as_str();
    let Range { start, end } = range;
    let gone = match (end < text.len(), start.checked_sub(1)) {
        (true, _) => start..end.saturating_add(1),
        (false, Some(line_end)) => line_end..end,
        (false, None) => start..end,
    };
    composer.replace(gone, "");
    let first = motion::first_text(composer.as_str(), start.min(composer.as_str().len()));
    composer.set_cursor(first);
}

/// The end of `range`, but not past the end of the line that its last word is on.
fn to_line_end(text: &str, range: Range<usize>) -> usize {
    let taken = text.get(range.clone()).unwrap_or_default();
    let word = taken.trim_end();
    let space = taken.get(word.len()..).unwrap_or_default();
    match space.find('\n') {
        Some(end) if !word.is_empty() => range.start.saturating_add(word.len()).saturating_add(end),
        _ => range.end,
    }
}
