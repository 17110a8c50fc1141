//! What happens to the screen's model. Time comes with each event; the model never asks for it.

use std::sync::Arc;

use ratatui::crossterm::event::{KeyEvent, MouseEvent};
use serde_json::Value;

use super::{
    keymap::Keymap,
    state::{Hidden, Look, Seen},
    text::markdown::Blocks,
};
use crate::{
    agent::verb::{WatchEvent, WhoamiLine},
    error::CommandError,
};

/// Something that has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The terminal has another size: columns, rows.
    Resized(u16, u16),
    /// The terminal has the focus, or not.
    Focus(bool),
    /// A timer that was asked for is over.
    Timer(Timer),
    /// What the last frame showed.
    Seen(Seen),
    /// How opening the profile went.
    Opened(Opened),
    /// The agent tells of a change.
    Watched(WatchEvent),
    /// The agent no longer tells; it is asked again by itself.
    WatchLost(CommandError),
    /// An answer to what was asked.
    Answered {
        /// Which question.
        ticket: u64,
        /// What came of it.
        outcome: Result<Value, CommandError>,
    },
    /// Something that a question brings before its answer.
    Told {
        /// Which question.
        ticket: u64,
        /// What.
        event: Value,
    },
    /// The editor has ended: the text, or why there is none.
    Edited(Result<String, String>),
    /// How coming in for the first time went.
    Entered(Result<Entered, CommandError>),
    /// The user's own keys and colours were read again, or why not.
    Reloaded(Result<Box<(Look, Keymap)>, String>),
    /// A new recovery key was made, which is not in force.
    RecoveryKey(Hidden),
    /// Code in a message was coloured.
    Coloured(Coloured),
    /// The process is to end: a signal said so.
    Ending,
    /// A whole line was typed, where there is no screen.
    Line(String),
}

/// How opening the profile went.
#[derive(Clone, Debug)]
pub enum Opened {
    /// It is open.
    Ready {
        /// Whose it is.
        me: Box<WhoamiLine>,
        /// Random bytes that the ids of new messages are made with.
        seed: [u8; 16],
    },
    /// Nobody has an account here yet.
    Nobody {
        /// What this machine is called.
        device: String,
    },
    /// An account is here that another device or the recovery key has to let in.
    Uncertified,
    /// The store wants a passphrase; the first one that was tried was wrong if so.
    Locked {
        /// Whether one was tried.
        wrong: bool,
    },
    /// It cannot be opened.
    Failed(CommandError),
}

/// What came of registering or logging in.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The recovery key, to be shown once.
    pub recovery_key: Option<String>,
    /// Where it stands until it was written down.
    pub recovery_key_file: Option<String>,
    /// The server's fingerprint, when it was met for the first time.
    pub pinned: Option<String>,
    /// Whether another device or the recovery key has to let this one in.
    pub is_uncertified: bool,
}

/// The code of a message in its colours.
#[derive(Clone, Debug)]
pub struct Coloured {
    /// Which message.
    pub id: String,
    /// Which revision of it.
    pub revision: u64,
    /// Its blocks of code.
    pub blocks: Arc<Blocks>,
}

/// A time that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The draft is to be kept.
    Draft,
    /// Somebody's typing is over.
    Typing,
    /// A notice has been shown long enough.
    Notice,
    /// Times on the screen have changed, where any are shown that do.
    Clock,
}
