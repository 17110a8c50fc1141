//! What the model wants done. Only the runner does any of it.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::event::Timer;
use crate::agent::verb::Verb;

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the agent; the answer comes with the same ticket.
    Ask {
        /// The question's number.
        ticket: u64,
        /// The method of the verb table.
        method: &'static str,
        /// Its parameters.
        params: Value,
    },
    /// The same, with a text that is sent as a file.
    AskWithText {
        /// The question's number.
        ticket: u64,
        /// The method of the verb table.
        method: &'static str,
        /// Its parameters, without the file.
        params: Value,
        /// What is in the file.
        text: String,
    },
    /// Give up on a question.
    Cancel(u64),
    /// Have a timer end after a while. One that runs already is set anew.
    Timer(Timer, Duration),
    /// Open the profile, by a passphrase if one was typed.
    Open(Option<Zeroizing<String>>),
    /// Open an account or log in.
    Enter(Enter),
    /// Follow what the agent tells.
    Watch,
    /// Colour the code of a message, beside everything else.
    Colour {
        /// Which message.
        id: String,
        /// Which revision of it.
        revision: u64,
        /// What it says.
        text: String,
    },
    /// Call attention.
    Notify {
        /// Where something happened.
        title: String,
        /// What.
        body: String,
    },
    /// Put a text on the clipboard.
    Copy(String),
    /// Name the terminal's window.
    Title(String),
    /// Have a text written in an editor.
    Edit(String),
    /// Have the mouse told, or not.
    Mouse(bool),
    /// Stop, until the shell goes on.
    Suspend,
    /// Take the terminal again, which others had meanwhile.
    Resume,
    /// Draw everything again.
    Redraw,
    /// Read the user's own keys and colours again, after a key was given another meaning if one is to.
    Reload(Option<Binding>),
    /// Make a recovery key, which is in force only when it was handed in.
    MakeRecoveryKey,
    /// Let the profile go, and forget its passphrase.
    Lock,
    /// Remove the file of the recovery key, which was written down.
    ForgetRecoveryKey(String),
    /// End, after what was asked before has been answered or a moment has passed.
    Quit,
}

/// A key that is to do something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which, as the user's file names it.
    pub on: String,
    /// The action's name and its argument; nothing any more when empty.
    pub run: String,
}

/// A way to come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Enter {
    /// A new account.
    Register {
        /// The invitation.
        link: String,
        /// The account's name.
        name: String,
        /// Its password.
        password: Zeroizing<String>,
        /// What this device is called.
        device: String,
        /// What locks the store, instead of a key file.
        passphrase: Option<Zeroizing<String>>,
    },
    /// An account that there is.
    Login {
        /// A link, or where the server listens.
        server: String,
        /// The account's name.
        name: String,
        /// Its password.
        password: Zeroizing<String>,
        /// What this device is called.
        device: String,
        /// What locks the store, instead of a key file.
        passphrase: Option<Zeroizing<String>>,
    },
    /// The code that another device shows.
    Code(Zeroizing<String>),
    /// The recovery key.
    Recover(Zeroizing<String>),
}

impl Effect {
    /// Asks `verb` under `ticket`.
    #[must_use]
    pub fn ask<V: Verb>(ticket: u64, verb: &V) -> Self {
        Self::Ask {
            ticket,
            method: V::METHOD,
            // A verb is a struct of plain values, which cannot fail to be written.
            params: serde_json::to_value(verb).unwrap_or_default(),
        }
    }
}
