//! What lies over everything else and takes the keys.

use super::{picker::Picker, private::Private};
use crate::tui::composer::Composer;

/// One layer.
#[derive(Debug)]
pub enum Layer {
    /// A list to pick from.
    Picker(Picker),
    /// A question: what is asked, and the command that a yes runs.
    Confirm {
        /// What is asked.
        question: String,
        /// What a yes does.
        command: String,
        /// Whether somebody has written the command, to whom it comes back if it cannot be done.
        is_written: bool,
    },
    /// Something to be filled in.
    Form(Form),
    /// Something secret that is typed or shown.
    Private(Box<Private>),
    /// A paste that is too long to be put in without asking.
    Paste {
        /// The text.
        text: String,
    },
}

/// A field to be filled in, and the command that it completes.
#[derive(Clone, Debug)]
pub struct Form {
    /// What is asked for.
    pub title: String,
    /// The command, without what is filled in.
    pub command: String,
    /// What is filled in.
    pub field: Composer,
}
