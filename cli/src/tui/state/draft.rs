//! What is written and not sent.

use crate::tui::composer::Composer;

/// What sending will do with what is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// It is a new message.
    #[default]
    Say,
    /// It answers this one, by id and who wrote it.
    Reply(String, String),
    /// It takes the place of what this one says.
    Edit(String),
}

/// What is being written in a conversation or a thread.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// What is being written.
    pub composer: Composer,
    /// What sending will do with it.
    pub purpose: Purpose,
    /// What was being written when an earlier message began to be changed.
    pub aside: String,
}

impl Draft {
    /// A new message that says `text` so far.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self { composer: Composer::new(text), ..Self::default() }
    }

    /// Whether nothing would be lost with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.composer.is_empty() && self.aside.is_empty() && self.purpose == Purpose::Say
    }

    /// The message that it will be: not the change of an earlier one.
    #[must_use]
    pub fn message(&self) -> String {
        if matches!(self.purpose, Purpose::Edit(_)) {
            self.aside.clone()
        } else {
            self.composer.text()
        }
    }

    /// Puts `text` into the message that it will be, behind what is there already.
    pub fn bring_back(&mut self, text: &str) {
        let former = self.message();
        let both = if former.trim().is_empty() {
            text.to_owned()
        } else {
            format!("{}\n\n{text}", former.trim_end())
        };
        if matches!(self.purpose, Purpose::Edit(_)) {
            self.aside = both;
        } else {
            self.composer.set_text(&both);
        }
    }

    /// Ends answering, or changing an earlier message: what was being written before comes back, and undo brings back the change.
    pub fn end_purpose(&mut self) {
        if let Purpose::Edit(_) = std::mem::take(&mut self.purpose) {
            self.composer.set_text(&std::mem::take(&mut self.aside));
        }
    }
}
