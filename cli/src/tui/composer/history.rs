//! What was done to a text, so that it can be taken back.
//!
//! A step is what one undo takes back: a typed word with the space before the next, a run of backspaces, a paste, or whatever happened
//! between [`History::hold`] and [`History::release`].

/// How many steps are remembered.
const STEPS: usize = 500;

/// How many bytes are remembered in all steps: some long pastes, and long after them.
const BYTES: usize = 4 * 1024 * 1024;

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Where, in bytes.
    pub(super) at: usize,
    /// What was there.
    pub(super) removed: String,
    /// What is there instead.
    pub(super) inserted: String,
    /// Where the cursor was before.
    pub(super) cursor: usize,
}

impl Change {
    /// Where the inserted text ends.
    pub(super) const fn end(&self) -> usize {
        self.at.saturating_add(self.inserted.len())
    }

    const fn size(&self) -> usize {
        self.removed.len().saturating_add(self.inserted.len())
    }
}

/// Which changes make one step together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A step of its own.
    #[default]
    Apart,
    /// Put in at the cursor: joins with what was typed just before it, up to the end of a word.
    Typed,
    /// Deleted before the cursor.
    Rubbed,
    /// Deleted under the cursor.
    Deleted,
}

type Step = Vec<Change>;

/// The steps that led here, and those that were taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    past: Vec<Step>,
    future: Vec<Step>,
    /// What the next change may join.
    last: Kind,
    /// Whether changes are held together now.
    held: bool,
    /// Whether there has been one since.
    begun: bool,
}

impl History {
    /// Remembers `change`, which has been made.
    pub(super) fn record(&mut self, change: Change, kind: Kind) {
        self.future.clear();
        let joins = match self.past.last().and_then(|step| step.last()) {
            None => false,
            Some(_) if self.held => self.begun,
            Some(last) => kind == self.last && joins(last, &change, kind),
        };
        (self.last, self.begun) = (kind, self.held);
        match self.past.last_mut().filter(|_| joins) {
            Some(step) => merge(step, change),
            None => self.past.push(vec![change]),
        }
        self.forget();
    }

    /// The next change begins a step, unless one is held.
    pub(super) fn part(&mut self) {
        self.last = Kind::Apart;
    }

    pub(super) fn hold(&mut self) {
        (self.held, self.begun) = (true, false);
    }

    pub(super) fn release(&mut self) {
        self.held = false;
        self.last = Kind::Apart;
    }

    /// Takes the last step back out of `text`, and says where the cursor was before it.
    pub(super) fn undo(&mut self, text: &mut String) -> Option<usize> {
        (self.last, self.begun) = (Kind::Apart, false);
        let step = self.past.pop()?;
        for change in step.iter().rev() {
            put_back(text, change.at, &change.inserted, &change.removed);
        }
        let cursor = step.first().map(|change| change.cursor);
        self.future.push(step);
        cursor
    }

    /// Does the step again that was last taken back, and says where the cursor goes.
    pub(super) fn redo(&mut self, text: &mut String) -> Option<usize> {
        (self.last, self.begun) = (Kind::Apart, false);
        let step = self.future.pop()?;
        for change in &step {
            put_back(text, change.at, &change.removed, &change.inserted);
        }
        let cursor = step.last().map(Change::end);
        self.past.push(step);
        cursor
    }

    /// Lets go of the oldest steps when there are too many; never of the last.
    fn forget(&mut self) {
        let mut bytes = 0_usize;
        let kept = self
            .past
            .iter()
            .rev()
            .take(STEPS)
            .take_while(|step| {
                bytes = step.iter().fold(bytes, |sum, change| sum.saturating_add(change.size()));
                bytes <= BYTES
            })
            .count()
            .max(1);
        let gone = self.past.len().saturating_sub(kept);
        self.past.drain(..gone);
    }
}

fn joins(last: &Change, next: &Change, kind: Kind) -> bool {
    match kind {
        Kind::Apart => false,
        Kind::Typed => {
            let word_ended = last.inserted.ends_with(char::is_whitespace)
                && !next.inserted.starts_with(char::is_whitespace);
            // A paste, or a line, is more than one character, and stands alone.
            let one = next.inserted.chars().nth(1).is_none();
            one && next.removed.is_empty() && last.end() == next.at && !word_ended
        }
        Kind::Rubbed => next.at.saturating_add(next.removed.len()) == last.at,
        Kind::Deleted => next.at == last.at,
    }
}

/// Adds `change` to `step`; to its last change where that is the same as both.
fn merge(step: &mut Step, change: Change) {
    match step.last_mut() {
        Some(last) if change.removed.is_empty() && last.end() == change.at => {
            last.inserted.push_str(&change.inserted);
        }
        _ => step.push(change),
    }
}

fn put_back(text: &mut String, at: usize, from: &str, to: &str) {
    let range = at..at.saturating_add(from.len());
    // A history belongs to one text, so this holds; were it broken, the text would stay as it is.
    if text.get(range.clone()) == Some(from) {
        text.replace_range(range, to);
    }
}
