//! Vim's keys for the composer.
//!
//! A command is read as a whole before any of it is done: keys gather in [`Vim::pending`] until the grammar (`vim/parse.rs`) says what they
//! mean together. So nothing has to be taken back when they mean nothing, and `.` has a value to repeat. What is done is one step of undo.
//! Visual mode (`vim/select.rs`) is the exception: there each key is seen to at once.

mod motion;
mod object;
mod operate;
mod parse;
mod select;

use std::collections::HashMap;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use self::{
    operate::Register,
    parse::{Again, Command, Find, Motion, Start, Stop, Verb},
};
use super::composer::{Composer, Edit, motion as place};

/// What keys do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They are text.
    #[default]
    Insert,
    /// They are commands.
    Normal,
    /// They select clusters.
    Visual,
    /// They select lines.
    VisualLine,
}

impl Mode {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Normal => "normal",
            Self::Visual => "visual",
            Self::VisualLine => "visual line",
        }
    }
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Consumed,
    /// It means nothing here: whoever comes next may have it.
    Pass,
    /// These keys together mean nothing here, such as `gt`.
    Unbound(String),
    /// `:`, a command line is wanted.
    CommandLine,
    /// Esc in normal mode: on to the list.
    List,
    /// Enter in normal mode.
    Send,
    /// What was yanked or deleted into `"+`.
    CopyToClipboard(String),
}

/// The state of vim's keys; the text is the composer's.
#[derive(Clone, Debug, Default)]
pub struct Vim {
    mode: Mode,
    pending: String,
    registers: HashMap<char, Register>,
    found: Option<Find>,
    goal: Option<usize>,
    /// Where selecting began.
    anchor: usize,
    marks: HashMap<char, usize>,
    last: Option<Change>,
    /// What is being typed, with the command that began it.
    inserting: Option<Change>,
}

/// A command that changed the text, with what was typed after it.
#[derive(Clone, Debug)]
struct Change {
    command: Command,
    typed: Vec<Edit>,
}

impl Vim {
    /// Vim's keys in `mode`.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// What keys do now.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The keys of a command that is not whole yet, to be shown.
    #[must_use]
    pub fn pending(&self) -> &str {
        &self.pending
    }

    /// Goes to insert mode and begins a step of undo: after a message was sent, or when the composer holds another room's draft.
    pub fn begin_insert(&mut self, composer: &mut Composer) {
        composer.release();
        self.mode = Mode::Insert;
        self.pending.clear();
        self.inserting = None;
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent, composer: &mut Composer) -> Outcome {
        if key.kind == KeyEventKind::Release {
            return Outcome::Consumed;
        }
        match self.mode {
            Mode::Insert => self.insert_key(key, composer),
            Mode::Normal => self.normal_key(key, composer),
            Mode::Visual | Mode::VisualLine => self.select_key(key, composer),
        }
    }

    fn insert_key(&mut self, key: KeyEvent, composer: &mut Composer) -> Outcome {
        let edit = match key.code {
            KeyCode::Esc => {
                self.leave_insert(composer);
                return Outcome::Consumed;
            }
            KeyCode::Char(typed) if !is_chord(key) => Edit::Insert(typed.to_string()),
            KeyCode::Backspace if !is_chord(key) => Edit::Backspace,
            _ => return Outcome::Pass,
        };
        if let Some(change) = &mut self.inserting {
            change.typed.push(edit.clone());
        }
        composer.apply(edit);
        Outcome::Consumed
    }

    fn leave_insert(&mut self, composer: &mut Composer) {
        if let Some(change) = self.inserting.take() {
            for _ in 1..change.repeats() {
                if let Verb::Insert(Start::Below | Start::Above) = change.command.verb {
                    composer.apply(Edit::NewLine);
                }
                change.type_again(composer);
            }
            if change.command.changes() {
                self.last = Some(change);
            }
        }
        composer.release();
        self.mode = Mode::Normal;
        let (text, at) = (composer.as_str(), composer.cursor());
        let to = place::before(text, at).max(place::line_start(text, at));
        composer.set_cursor(to);
    }

    fn normal_key(&mut self, key: KeyEvent, composer: &mut Composer) -> Outcome {
        match (key.code, self.pending.is_empty()) {
            (KeyCode::Esc, true) => return Outcome::List,
            (KeyCode::Esc, false) => {
                self.pending.clear();
                return Outcome::Consumed;
            }
            (KeyCode::Enter, true) if !is_chord(key) => return Outcome::Send,
            (KeyCode::Char(':'), true) if !is_chord(key) => return Outcome::CommandLine,
            _ => {}
        }
        let Some(letter) = letter(key, composer) else {
            self.pending.clear();
            return Outcome::Pass;
        };
        self.pending.push(letter);
        match parse::command(&self.pending) {
            Err(Stop::More) => Outcome::Consumed,
            Err(Stop::Unknown) => {
                let keys = std::mem::take(&mut self.pending);
                if keys.chars().nth(1).is_none() { Outcome::Pass } else { Outcome::Unbound(keys) }
            }
            Ok(command) => {
                self.pending.clear();
                self.run(command, composer)
            }
        }
    }

    /// Does a whole command as one step of undo, but for what it leaves open to be typed.
    fn run(&mut self, command: Command, composer: &mut Composer) -> Outcome {
        match command.verb {
            Verb::Repeat => return self.repeat(command.count, composer),
            Verb::Undo | Verb::Redo => {
                let edit = if command.verb == Verb::Undo { Edit::Undo } else { Edit::Redo };
                for _ in 0..command.count.unwrap_or(1) {
                    composer.apply(edit.clone());
                }
            }
            _ => {
                composer.hold();
                let outcome = self.perform(&command, composer);
                if self.mode == Mode::Insert {
                    self.inserting = Some(Change { command, typed: Vec::new() });
                    return outcome;
                }
                composer.release();
                if command.changes() {
                    self.last = Some(Change { command, typed: Vec::new() });
                }
                settle(composer);
                return outcome;
            }
        }
        settle(composer);
        Outcome::Consumed
    }

    fn repeat(&mut self, count: Option<usize>, composer: &mut Composer) -> Outcome {
        let Some(mut change) = self.last.clone() else { return Outcome::Consumed };
        change.command.count = count.or(change.command.count);
        composer.hold();
        let outcome = self.perform(&change.command, composer);
        if self.mode == Mode::Insert {
            change.type_again(composer);
            self.inserting = Some(change);
            self.leave_insert(composer);
        } else {
            self.last = Some(change);
            composer.release();
        }
        settle(composer);
        outcome
    }

    fn perform(&mut self, command: &Command, composer: &mut Composer) -> Outcome {
        let count = command.count.unwrap_or(1);
        if !matches!(command.verb, Verb::Move(Motion::Up | Motion::Down)) {
            self.goal = None;
        }
        match &command.verb {
            Verb::Move(motion) => self.go(*motion, command.count, composer),
            Verb::Operate(operator, target) => {
                return self.operate(command, *operator, *target, composer);
            }
            Verb::Put(side) => self.put(command.register, *side, count, composer),
            Verb::Replace(with) => operate::replace(*with, count, composer),
            Verb::Case => operate::toggle_case(count, composer),
            Verb::Join => operate::join(count, composer),
            Verb::Insert(start) => self.start_insert(*start, composer),
            Verb::Select(shape) => self.begin_select(*shape, composer),
            Verb::Mark(name) => {
                self.marks.insert(*name, composer.cursor());
            }
            Verb::Undo | Verb::Redo | Verb::Repeat => {}
        }
        Outcome::Consumed
    }

    fn go(&mut self, motion: Motion, count: Option<usize>, composer: &mut Composer) {
        let (text, at) = (composer.as_str(), composer.cursor());
        let goal = self.goal.unwrap_or_else(|| motion::column(text, at));
        if matches!(motion, Motion::Up | Motion::Down) {
            self.goal = Some(goal);
        }
        let Some(motion) = self.resolve(motion) else { return };
        if let Some(reached) = motion::reach(text, at, motion, count, goal) {
            composer.set_cursor(reached.to);
        }
    }

    /// `;` and `,` as the search that they repeat; a search is remembered for them.
    fn resolve(&mut self, motion: Motion) -> Option<Motion> {
        match motion {
            Motion::Find(find) => {
                self.found = Some(find);
                Some(motion)
            }
            Motion::Again(again) => {
                let find = self.found?;
                Some(Motion::Find(match again {
                    Again::Same => Find { again: true, ..find },
                    Again::Other => Find { again: true, way: find.way.other(), ..find },
                }))
            }
            Motion::ToMark(name, shape) => {
                self.marks.get(&name).map(|place| Motion::Place(*place, shape))
            }
            _ => Some(motion),
        }
    }

    fn start_insert(&mut self, start: Start, composer: &mut Composer) {
        let (text, at) = (composer.as_str(), composer.cursor());
        let end = place::line_end(text, at);
        match start {
            Start::Cursor => {}
            Start::After => composer.set_cursor(place::after(text, at).min(end)),
            Start::FirstText => composer.set_cursor(motion::first_text(text, at)),
            Start::LineEnd => composer.set_cursor(end),
            Start::Below => composer.replace(end..end, "\n"),
            Start::Above => {
                let start = place::line_start(text, at);
                composer.replace(start..start, "\n");
                composer.set_cursor(start);
            }
        }
        self.mode = Mode::Insert;
    }
}

impl Change {
    /// How many times what was typed stands there in the end.
    const fn repeats(&self) -> usize {
        match (&self.command.verb, self.command.count) {
            (Verb::Insert(_), Some(count)) => count,
            _ => 1,
        }
    }

    fn type_again(&self, composer: &mut Composer) {
        for edit in &self.typed {
            composer.apply(edit.clone());
        }
    }
}

/// In normal mode the cursor is on a cluster, never behind the last of a line.
fn settle(composer: &mut Composer) {
    let (text, at) = (composer.as_str(), composer.cursor());
    if at == place::line_end(text, at) && at > place::line_start(text, at) {
        composer.set_cursor(place::before(text, at));
    }
}

const fn is_chord(key: KeyEvent) -> bool {
    key.modifiers.intersects(KeyModifiers::CONTROL.union(KeyModifiers::ALT))
}

/// The key as the grammar knows it.
fn letter(key: KeyEvent, composer: &Composer) -> Option<char> {
    match key.code {
        KeyCode::Char('r') if key.modifiers == KeyModifiers::CONTROL => Some(parse::CONTROL_R),
        _ if is_chord(key) => None,
        KeyCode::Char(letter) => Some(letter),
        KeyCode::Left | KeyCode::Backspace => Some('h'),
        KeyCode::Right => Some('l'),
        KeyCode::Up if !composer.is_empty() => Some('k'),
        KeyCode::Down if !composer.is_empty() => Some('j'),
        KeyCode::Home => Some('0'),
        KeyCode::End => Some('$'),
        KeyCode::Delete => Some('x'),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
