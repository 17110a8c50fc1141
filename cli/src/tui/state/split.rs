//! Conversations that are shown together.

use super::Open;

/// How many are shown together at most.
pub const MAX_PANES: usize = 4;

/// How they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Each to the right of the one before.
    #[default]
    Beside,
    /// Each below the one before.
    Below,
}

/// Those that are shown with the open one, in their order on the screen. Nothing is written in them: each gets its text back when it has
/// the keys again.
#[derive(Debug, Default)]
pub struct Split {
    /// How they lie.
    pub way: Way,
    /// Those before the open one.
    pub before: Vec<Open>,
    /// Those after it.
    pub after: Vec<Open>,
}

impl Split {
    /// Those that are shown with the open one.
    pub fn others(&self) -> impl Iterator<Item = &Open> {
        self.before.iter().chain(&self.after)
    }

    /// How many these are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.before.len().saturating_add(self.after.len())
    }

    /// One of them, by what it is called.
    pub fn get_mut(&mut self, target: &str) -> Option<&mut Open> {
        self.before.iter_mut().chain(&mut self.after).find(|open| open.target == target)
    }
}
