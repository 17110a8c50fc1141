//! Questions that were asked of the agent, and what for.

use super::SheetKind;

/// What a question was for, by which its answer is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// The newest messages of a conversation.
    Newest(String),
    /// Messages right before the window's first one.
    Older(String),
    /// Messages right after its last one.
    Newer(String),
    /// Messages around one, to be shown at it.
    Around(String, String),
    /// The messages that are shown, as they are now.
    Again(String),
    /// A thread.
    Thread(String),
    /// What came of a message that was sent.
    Sent(Outgoing),
    /// A message is given another text: where, its id, the text as it was written, and what came back into the composer for it.
    Edit(String, String, String, String),
    /// How contacts are.
    Presence,
    /// How other servers are.
    Peers,
    /// Rows for the sheet that is open.
    Sheet(SheetKind),
    /// Something was to be done; what is said when it is, and whether the open sheet is read again.
    Done(String),
    /// A community was entered or made: it is opened when it is in the list.
    Enter,
    /// A community is left: which.
    Leave(String),
    /// An invitation was made.
    Invite,
    /// The settings.
    Settings,
    /// The file of a message is written.
    Saved,
    /// Nothing is said when it is done.
    Kept,
    /// A draft was kept: of which conversation, of which thread there, and what it says.
    Draft(String, Option<String>, String),
    /// What is written in a thread and not sent.
    ThreadDraft(String, String),
    /// What happened in the community of a conversation.
    Log(String),
    /// A device is being linked.
    Link,
    /// A device introduced itself and was answered.
    Linked,
    /// This one is to count as unread from a message on; with whether it stayed unread already.
    Unread(String, String, bool),
    /// The password is changed.
    Password,
    /// The recovery key is replaced.
    RecoveryKey,
    /// The store is locked.
    Lock,
    /// Members, for completion.
    Names(String),
}

/// A command as somebody has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// In which conversation.
    pub target: Option<String>,
    /// The line.
    pub line: String,
}

/// A message that was handed to the agent, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To which conversation.
    pub target: String,
    /// To which thread there.
    pub thread: Option<String>,
    /// Which message it answers.
    pub reply_to: Option<String>,
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
}
