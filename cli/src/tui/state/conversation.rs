//! The conversation that is open.

use rookery_protocol::time::Timestamp;

use super::{draft::Draft, log::Log, window::Window};
use crate::tui::{composer::Composer, vim::Vim};

/// What is done with the keys while a message is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selecting {
    /// Which message.
    pub id: String,
}

/// A conversation on the screen.
#[derive(Clone, Debug)]
pub struct Open {
    /// What it is called.
    pub target: String,
    /// Its messages.
    pub window: Window,
    /// What is being written.
    pub draft: Draft,
    /// The composer's vi.
    pub vim: Vim,
    /// The message that keys act on.
    pub selecting: Option<Selecting>,
    /// The first message that was unread when the conversation was opened.
    pub first_new: Option<String>,
    /// How many messages were unread then, until the first page is here.
    pub unread_at_open: u32,
    /// Whether what is shown stays unread, since somebody has said so here, until they come again.
    pub stays_unread: bool,
    /// The thread beside it: the first message's id, and its messages.
    pub thread: Option<Thread>,
    /// The draft as it is kept.
    pub kept: String,
    /// When it was kept, if that was since the conversation was opened.
    pub kept_at: Option<Timestamp>,
    /// What can be completed at the cursor.
    pub completion: Option<Completion>,
    /// Members whom completion knows.
    pub names: Vec<String>,
    /// How many of them, but for this user, were not verified: nothing while nobody else is known.
    pub unverified: Option<usize>,
    /// What happened in its community.
    pub log: Log,
    /// The words that are looked for in the messages at hand.
    pub finding: Option<String>,
}

/// A thread that is open beside its channel.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Any message of it.
    pub root: String,
    /// Its messages.
    pub window: Window,
    /// Whether what is written goes there.
    pub has_keys: bool,
    /// What is being written: always a new message.
    pub draft: Draft,
    /// The draft as it is kept.
    pub kept: String,
}

impl Thread {
    /// The thread that begins with message `root`, with what is written in it already.
    #[must_use]
    pub fn new(root: String, draft: Draft) -> Self {
        Self { root, window: Window::default(), has_keys: true, draft, kept: String::new() }
    }
}

/// What stands to be put at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What can be put: what is shown, and what is put.
    pub choices: Vec<(String, String)>,
    /// Which one is marked.
    pub marked: usize,
    /// Whether somebody has moved the mark: only then does Enter put it in, and not send.
    pub is_chosen: bool,
}

impl Open {
    /// Has keys go to what is written in the conversation itself, beside which a thread may stay.
    pub fn leave_thread(&mut self) {
        if let Some(thread) = &mut self.thread {
            thread.has_keys = false;
        }
    }

    /// A conversation that was just opened, with what is written in it already.
    #[must_use]
    pub fn new(target: String, draft: Draft, unread: u32) -> Self {
        Self {
            target,
            window: Window::default(),
            kept: draft.message(),
            kept_at: None,
            draft,
            vim: Vim::default(),
            selecting: None,
            first_new: None,
            unread_at_open: unread,
            stays_unread: false,
            thread: None,
            completion: None,
            names: vec![],
            unverified: None,
            log: Log::default(),
            finding: None,
        }
    }

    /// The composer that has the keys.
    pub fn writing(&mut self) -> &mut Composer {
        match &mut self.thread {
            Some(thread) if thread.has_keys => &mut thread.draft.composer,
            _ => &mut self.draft.composer,
        }
    }

    /// Whether it is a room, and no conversation with one person.
    #[must_use]
    pub fn is_room(&self) -> bool {
        crate::engine::is_room(&self.target)
    }
}
