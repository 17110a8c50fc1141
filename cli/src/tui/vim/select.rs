//! Visual mode: motions move one end of what is selected, and an operator takes it.

use std::ops::Range;

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{
    Mode, Outcome, Vim, is_chord, letter, operate,
    parse::{self, Command, Operator, Shape, Stop, Target, Verb},
    settle,
};
use crate::tui::composer::{Composer, motion as place};

impl Vim {
    /// Begins to select at the cursor.
    pub(super) fn begin_select(&mut self, shape: Shape, composer: &Composer) {
        self.anchor = composer.cursor();
        self.mode = mode_of(shape);
    }

    /// What is selected, in bytes, to be shown.
    #[must_use]
    pub fn selected(&self, composer: &Composer) -> Option<Range<usize>> {
        let text = composer.as_str();
        let (from, to) = self.ends(composer);
        match self.mode {
            Mode::Visual => Some(from..place::after(text, to)),
            Mode::VisualLine => Some(operate::lines(text, from, to)),
            Mode::Insert | Mode::Normal => None,
        }
    }

    fn ends(&self, composer: &Composer) -> (usize, usize) {
        let anchor = place::boundary(composer.as_str(), self.anchor);
        (anchor.min(composer.cursor()), anchor.max(composer.cursor()))
    }

    pub(super) fn select_key(&mut self, key: KeyEvent, composer: &mut Composer) -> Outcome {
        if key.code == KeyCode::Esc {
            self.pending.clear();
            self.mode = Mode::Normal;
            return Outcome::Consumed;
        }
        let Some(letter) = letter(key, composer).filter(|_| !is_chord(key)) else {
            self.pending.clear();
            return Outcome::Pass;
        };
        self.pending.push(letter);
        // A register may come first: `"+y`.
        let register = self.pending.strip_prefix('"').map(str::to_owned);
        let (register, keys) = match &register {
            Some(rest) => match rest.chars().next() {
                None => return Outcome::Consumed,
                Some(name) => (Some(name), rest.get(name.len_utf8()..).unwrap_or_default()),
            },
            None => (None, self.pending.as_str()),
        };
        let shape = if self.mode == Mode::VisualLine { Shape::Lines } else { Shape::Text };
        let operator = match keys {
            "" => return Outcome::Consumed,
            "d" | "x" | "X" => Some((Operator::Delete, shape)),
            "D" => Some((Operator::Delete, Shape::Lines)),
            "c" | "s" => Some((Operator::Change, shape)),
            "C" | "S" => Some((Operator::Change, Shape::Lines)),
            "y" => Some((Operator::Yank, shape)),
            "Y" => Some((Operator::Yank, Shape::Lines)),
            _ => None,
        };
        if let Some((operator, shape)) = operator {
            let (from, to) = self.ends(composer);
            let verb = Verb::Operate(operator, Target::Selected(from, to, shape));
            self.pending.clear();
            self.mode = Mode::Normal;
            return self.run(Command { register, count: None, verb }, composer);
        }
        if keys == "o" {
            let cursor = composer.cursor();
            composer.set_cursor(place::boundary(composer.as_str(), self.anchor));
            self.anchor = cursor;
            self.pending.clear();
            return Outcome::Consumed;
        }
        match parse::command(keys) {
            Err(Stop::More) => Outcome::Consumed,
            Err(Stop::Unknown) => {
                self.pending.clear();
                Outcome::Consumed
            }
            Ok(command) => {
                self.pending.clear();
                match command.verb {
                    Verb::Move(motion) => {
                        self.go(motion, command.count, composer);
                        settle(composer);
                    }
                    Verb::Select(chosen) if mode_of(chosen) == self.mode => {
                        self.mode = Mode::Normal;
                    }
                    Verb::Select(chosen) => self.mode = mode_of(chosen),
                    _ => {}
                }
                Outcome::Consumed
            }
        }
    }
}

const fn mode_of(shape: Shape) -> Mode {
    match shape {
        Shape::Text => Mode::Visual,
        Shape::Lines => Mode::VisualLine,
    }
}
