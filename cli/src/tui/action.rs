//! Everything that can be done on the screen: one table, which keys, slash commands, palette, help and the manual are made from.
//!
//! A row says what an action is called, what it takes, and how it is reached. A test holds that none lacks a key, a slash command or a
//! place in the palette that it claims, that no key stands twice in one place, and that no default key is one which terminals cannot tell
//! from another (`Ctrl+I` is Tab, `Ctrl+H` Backspace, `Ctrl+M` Enter) or which multiplexers take (`Ctrl+B`).

use super::composer::Edit;

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Anywhere, while a conversation is open.
    Everywhere,
    /// While a message is selected: letters are free there.
    Selecting,
    /// While something is written, here or in a form.
    Writing,
    /// While vi's keys are on and do not write: on a selected message; and after `ctrl-w` wherever they are commands.
    Vim,
}

/// A row of the table.
#[derive(Debug)]
pub struct Spec {
    /// What is done.
    pub action: Action,
    /// Its name: small letters and hyphens, for the user's key map.
    pub name: &'static str,
    /// What the palette calls it.
    pub title: &'static str,
    /// What it takes, as usage shows it.
    pub args: &'static str,
    /// Its slash commands, without the slash; the first one is shown.
    pub slash: &'static [&'static str],
    /// Its keys by themselves: where, which, and the argument that they stand for.
    pub keys: &'static [(Place, &'static str, &'static str)],
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident = $name:literal $title:literal ($args:literal) / $($slash:literal)|+
        $(, $place:ident $key:literal $($arg:literal)?)* ;)+) => {
        /// Something that can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[doc = $doc])+ $action,)+
        }

        /// The table.
        pub const TABLE: &[Spec] = &[
            $(Spec {
                action: Action::$action,
                name: $name,
                title: $title,
                args: $args,
                slash: &[$($slash),+],
                keys: &[$((Place::$place, $key, concat!($($arg)?))),*],
            },)+
        ];
    };
}

actions! {
    /// Opens a conversation by its name, or a list to pick from.
    Go = "go" "Go to a room or person" ("[NAME]") / "go" | "dm", Everywhere "ctrl-k";
    /// Opens the palette of everything.
    Palette = "palette" "All commands" ("") / "palette" | "commands", Everywhere "ctrl-p";
    /// Finds messages.
    Search = "search" "Search messages" ("[QUERY]") / "search" | "find", Everywhere "ctrl-f";
    /// Finds messages that mention this user.
    Mentions = "mentions" "Messages that mention you" ("") / "mentions", Everywhere "ctrl-x e";
    /// Finds messages with a link in the open conversation.
    Links = "links" "Links in this room" ("") / "links", Everywhere "ctrl-x H";
    /// Finds messages with a file in the open conversation.
    Files = "files" "Files in this room" ("") / "files", Everywhere "ctrl-x F";
    /// Finds a message in the open conversation, from where one is backwards.
    Here = "here" "Find in this room" ("WORDS") / "here", Selecting "/";
    /// Finds the one before.
    HereOlder = "here-older" "Find an older one" ("") / "here-older", Selecting "n";
    /// Finds the one after.
    HereNewer = "here-newer" "Find a newer one" ("") / "here-newer", Selecting "N";
    /// Shows the keys and commands.
    Help = "help" "Help" ("") / "help" | "bindings", Everywhere "f1";
    /// Opens the next conversation with something unread, mentions first.
    NextUnread = "next-unread" "Next unread" ("") / "next", Everywhere "alt-a";
    /// Lists the conversations with something unread, to pick from.
    Unreads = "unreads" "Unread conversations" ("") / "unreads", Everywhere "ctrl-x U";
    /// Opens the conversation at a place of the list.
    Nth = "room-number" "Open the n-th in the list" ("N") / "room",
        Everywhere "alt-1" "1", Everywhere "alt-2" "2", Everywhere "alt-3" "3", Everywhere "alt-4" "4", Everywhere "alt-5" "5",
        Everywhere "alt-6" "6", Everywhere "alt-7" "7", Everywhere "alt-8" "8", Everywhere "alt-9" "9";
    /// Opens the conversation above in the list.
    Above = "room-above" "Room above" ("") / "above", Everywhere "alt-up", Vim "g T";
    /// Opens the conversation below in the list.
    Below = "room-below" "Room below" ("") / "below", Everywhere "alt-down", Vim "g t";
    /// Shows or hides the list of rooms.
    Rooms = "rooms" "Show or hide the rooms" ("") / "rooms", Everywhere "alt-s";
    /// Folds a community in the list, or unfolds it.
    Fold = "fold" "Fold or unfold a community" ("[COMMUNITY]") / "fold", Everywhere "ctrl-x f";
    /// Shows who is in the room.
    Members = "members" "Members" ("") / "members" | "who", Everywhere "alt-m";
    /// Shows the thread of a message.
    Thread = "thread" "Open the thread" ("") / "thread", Everywhere "alt-t", Selecting "t";
    /// Shows the text alone, without panes, for the terminal's own selection.
    Bare = "bare" "Bare view for copying" ("") / "bare", Everywhere "alt-l";
    /// Goes back in the messages.
    PageUp = "page-up" "A page back" ("") / "back", Everywhere "pageup", Selecting "ctrl-u";
    /// Goes forward in the messages.
    PageDown = "page-down" "A page forward" ("") / "forward-page", Everywhere "pagedown", Selecting "ctrl-d";
    /// Goes to the oldest message.
    Oldest = "oldest" "The oldest message" ("") / "oldest", Everywhere "ctrl-home", Selecting "g", Vim "g g";
    /// Goes to the newest message.
    Newest = "newest" "The newest message" ("") / "newest", Everywhere "ctrl-end", Selecting "G";
    /// Goes to a message, or to a day.
    GoTo = "goto" "Go to a day or a message" ("DATE|ID") / "goto", Everywhere "ctrl-x g";
    /// Selects a message to do something with.
    Select = "select" "Select a message" ("") / "select", Everywhere "alt-p";
    /// Selects the message before.
    SelectUp = "select-up" "Select the message before" ("") / "select-up", Selecting "k", Selecting "up";
    /// Selects the message after.
    SelectDown = "select-down" "Select the message after" ("") / "select-down", Selecting "j", Selecting "down";
    /// Answers the message.
    Reply = "reply" "Reply" ("[TEXT]") / "reply", Selecting "r";
    /// Changes one's own message.
    Edit = "edit" "Edit the message" ("[TEXT]") / "edit", Selecting "e";
    /// Deletes the message.
    Delete = "delete" "Delete the message" ("[REASON]") / "delete", Selecting "d";
    /// Tells those who may moderate of the message.
    Report = "report" "Report to the moderators" ("[REASON]") / "report", Selecting "!";
    /// Puts an emoji on the message.
    React = "react" "React" ("EMOJI") / "react", Selecting "+";
    /// Takes an emoji off the message.
    Unreact = "unreact" "Take a reaction off" ("EMOJI") / "unreact", Selecting "-";
    /// Has the message stand out, or not any more.
    Pin = "pin" "Pin or unpin" ("") / "pin", Selecting "p";
    /// Shows the messages that stand out.
    Pins = "pins" "Pinned messages" ("") / "pins", Everywhere "ctrl-x p";
    /// Copies the message's text.
    Copy = "copy" "Copy the text" ("") / "copy", Selecting "y", Vim "\" + y";
    /// Copies the message's link.
    CopyLink = "copy-link" "Copy the link" ("[NUMBER]") / "copy-link" | "open", Selecting "Y", Selecting "o", Vim "g x";
    /// Puts the message's text into the composer as a quote.
    Quote = "quote" "Quote" ("") / "quote", Selecting ">";
    /// Sends the message's text to another conversation.
    Forward = "forward" "Forward" ("TARGET") / "forward", Selecting "f";
    /// Tells all there is to tell about the message.
    Why = "why" "About this message" ("") / "why" | "info", Selecting "i", Vim "g i";
    /// Goes to the message that this one answers.
    Quoted = "quoted" "Go to the quoted message" ("") / "quoted", Selecting "'";
    /// Sends again what failed.
    Retry = "retry" "Send again" ("") / "retry", Selecting "R";
    /// Counts as unread from the message on.
    Unread = "unread" "Unread from here" ("") / "unread", Selecting "u";
    /// Counts the conversation, or all of them, as read.
    Read = "read" "Mark as read" ("[all]") / "read", Everywhere "alt-r";
    /// Sends a file.
    File = "file" "Send a file" ("PATH") / "file" | "upload", Everywhere "ctrl-x ctrl-f";
    /// Writes the message's file into a folder.
    Save = "save" "Save the file" ("[PATH]") / "save" | "download", Selecting "s";
    /// Opens the text in an editor.
    Editor = "editor" "Write in $EDITOR" ("") / "editor", Everywhere "alt-e", Everywhere "ctrl-x ctrl-e";
    /// Says it in the third person.
    Me = "me" "Say what you do" ("TEXT") / "me", Everywhere "ctrl-x m";
    /// Enters a community.
    Join = "join" "Join by a link" ("LINK") / "join", Everywhere "ctrl-x j";
    /// Leaves the community or group.
    Leave = "leave" "Leave" ("") / "leave", Everywhere "ctrl-x l";
    /// Makes a group.
    Group = "group" "Make a group" ("NAME @WHO...") / "group", Everywhere "ctrl-x ctrl-g";
    /// Says what the room is about.
    Topic = "topic" "Set the topic" ("TEXT") / "topic", Everywhere "ctrl-x t";
    /// Gives the room another name.
    Rename = "rename" "Rename the room" ("NAME") / "rename", Everywhere "ctrl-x n";
    /// Makes an invitation.
    Invite = "invite" "Invite" ("[@WHO] [uses=N] [for=7d] [role=NAME]|revoke NUMBER") / "invite", Everywhere "ctrl-x i";
    /// Sends a member away.
    Kick = "kick" "Kick" ("@WHO [REASON]") / "kick", Everywhere "ctrl-x k";
    /// Sends a member away for good.
    Ban = "ban" "Ban" ("@WHO [REASON]") / "ban", Everywhere "ctrl-x b";
    /// Lets somebody come again.
    Unban = "unban" "Unban" ("@WHO") / "unban", Everywhere "ctrl-x B";
    /// Lets somebody in who asks.
    Approve = "approve" "Let somebody in who asks" ("@WHO") / "approve", Everywhere "ctrl-x O";
    /// Turns somebody down who asks.
    Refuse = "refuse" "Turn somebody down who asks" ("@WHO") / "refuse", Everywhere "ctrl-x R";
    /// Notifies nothing of the conversation for a while.
    Mute = "mute" "Mute" ("[8h|on|off]") / "mute", Everywhere "ctrl-x M";
    /// Has what one writes in the conversation forgotten after a time.
    Expire = "expire" "Have messages expire" ("[8h|off]") / "expire", Everywhere "ctrl-x W";
    /// Says what of the conversation is notified.
    Notify = "notify" "Notifications" ("all|mentions|none") / "notify", Everywhere "ctrl-x N";
    /// Makes a room read-only, or not any more.
    Archive = "archive" "Archive the channel" ("[off]") / "archive", Everywhere "ctrl-x A";
    /// Compares safety numbers.
    Verify = "verify" "Verify a person" ("[@WHO]") / "verify" | "safety", Everywhere "ctrl-x v";
    /// Shows this account's devices.
    Devices = "devices" "Devices" ("") / "devices" | "device", Everywhere "ctrl-x d";
    /// Adds a device.
    Link = "link" "Link a device" ("") / "link", Everywhere "ctrl-x L";
    /// Shows the contacts.
    Contacts = "contacts" "Contacts" ("") / "contacts", Everywhere "ctrl-x c";
    /// Shows people whom this user may know.
    Suggest = "suggest" "People you may know" ("") / "suggest", Everywhere "ctrl-x S";
    /// Asks somebody to be a contact.
    Contact = "contact" "Add a contact" ("@WHO") / "contact" | "add", Everywhere "ctrl-x +";
    /// Agrees to be a contact.
    Accept = "accept" "Accept a contact" ("[@WHO]") / "accept", Everywhere "ctrl-x y";
    /// Does not agree.
    Decline = "decline" "Decline a contact" ("[@WHO]") / "decline", Everywhere "ctrl-x Y";
    /// Hears nothing more of somebody.
    Block = "block" "Block" ("[@WHO]") / "block", Everywhere "ctrl-x z";
    /// Hears of them again.
    Unblock = "unblock" "Unblock" ("[@WHO]") / "unblock", Everywhere "ctrl-x Z";
    /// Shows or changes the community.
    Community = "community" "Community" ("[create NAME|rename NAME|topic TEXT|owner @WHO|move SERVER|policy WORD|delete]") / "community", Everywhere "ctrl-x C";
    /// Makes or changes channels.
    Channel = "channel" "Channels" ("[create|delete|rename|slow|move|history|allow|deny|clear ...]") / "channel", Everywhere "ctrl-x h";
    /// Makes, gives and takes roles.
    Role = "role" "Roles" ("[create|edit|delete|grant|take ...]") / "role" | "roles", Everywhere "ctrl-x r";
    /// Shows the community's signed log.
    Audit = "audit" "The community's log" ("") / "audit" | "log", Everywhere "ctrl-x u";
    /// Checks the community's signed log from its beginning.
    Check = "check" "Check the community's log" ("") / "check" | "trust", Everywhere "ctrl-x V";
    /// Sets one's name in the community.
    Nick = "nick" "Nickname" ("[NAME]") / "nick", Everywhere "ctrl-x ctrl-n";
    /// Says how one is.
    Status = "status" "Status" ("online|away|busy|invisible [TEXT]") / "status", Everywhere "ctrl-x s";
    /// Is away.
    Away = "away" "Away" ("[TEXT]") / "away", Everywhere "ctrl-x a";
    /// Shows the account.
    Account = "account" "Account" ("") / "account" | "net", Everywhere "ctrl-x o";
    /// Shows the sessions of this account.
    Sessions = "sessions" "Sessions" ("[end ID]") / "sessions", Everywhere "ctrl-x E";
    /// Shows the other servers that this user's home is in touch with.
    Peers = "peers" "Other servers" ("") / "peers", Everywhere "ctrl-x P";
    /// Changes the password.
    Password = "password" "Change the password" ("") / "password", Everywhere "ctrl-x w";
    /// Tells how the keys of the account stand.
    Keys = "keys" "Your keys" ("") / "keys", Everywhere "ctrl-x x";
    /// Puts a new recovery key in the place of the one in force.
    Recover = "recover" "New recovery key" ("") / "recover", Everywhere "ctrl-x X";
    /// Closes the store, until somebody types its passphrase.
    Lock = "lock" "Lock the store" ("") / "lock", Everywhere "ctrl-x ctrl-l";
    /// Signs this device out.
    Logout = "logout" "Sign this device out" ("") / "logout", Everywhere "ctrl-x Q";
    /// Shows or changes settings.
    Set = "set" "Settings" ("[NAME VALUE]") / "set" | "settings", Everywhere "f2";
    /// Gives a key another meaning, or shows what all mean.
    Bind = "bind" "Give a key another meaning" ("[KEY = ACTION]") / "bind", Everywhere "ctrl-x K";
    /// Reads the user's own keys and colours again.
    Reload = "reload" "Read keys and colours again" ("") / "reload", Everywhere "ctrl-x ctrl-r";
    /// Changes the colours.
    Theme = "theme" "Theme" ("dark|light|high-contrast|none") / "theme", Everywhere "ctrl-x T";
    /// Lets the mouse be used, or not.
    Mouse = "mouse" "Mouse on or off" ("") / "mouse", Everywhere "ctrl-x ctrl-o";
    /// Stops, to be continued by the shell.
    Suspend = "suspend" "Suspend" ("") / "suspend", Everywhere "ctrl-z";
    /// Draws everything again.
    Redraw = "redraw" "Draw again" ("") / "redraw", Everywhere "ctrl-l";
    /// Ends.
    Quit = "quit" "Quit" ("") / "quit" | "exit", Everywhere "ctrl-q";
    /// Remembers the message under a letter: a small one counts in its room, a capital everywhere.
    Mark = "mark" "Remember this message" ("LETTER") / "mark", Selecting "m";
    /// Goes to a message that was remembered.
    ToMark = "to-mark" "Go to a remembered message" ("LETTER") / "to-mark", Selecting "`";
    /// Gives the keys to the next pane: what is written, the messages, the pane beside; the next of several rooms.
    NextPane = "next-pane" "The next pane" ("") / "next-pane", Everywhere "f6", Vim "ctrl-w w", Vim "ctrl-w ctrl-w";
    /// Closes the pane beside, or one of several rooms.
    ClosePane = "close-pane" "Close the pane" ("") / "close-pane", Everywhere "ctrl-x 0", Vim "ctrl-w q", Vim "ctrl-w c";
    /// Gives the pane that has the keys the whole width, or no longer.
    Zoom = "zoom" "One pane on the whole screen" ("") / "zoom", Everywhere "ctrl-x 1", Vim "ctrl-w z", Vim "ctrl-w o";
    /// Shows another conversation below the open one.
    Split = "split" "Another room below" ("[NAME]") / "split", Everywhere "ctrl-x 2", Vim "ctrl-w s";
    /// Shows another conversation beside the open one.
    SplitBeside = "split-beside" "Another room beside" ("[NAME]") / "vsplit", Everywhere "ctrl-x 3", Vim "ctrl-w v";
    /// Says how conversations that are shown together lie.
    Layout = "layout" "How rooms that are shown together lie" ("beside|below|one") / "layout", Everywhere "ctrl-x 4";
    /// Goes back from the messages to what is written, as vi's letter says.
    Write = "write" "Back to what is written" ("[i|a|I|A|o]") / "write",
        Vim "i" "i", Vim "a" "a", Vim "I" "I", Vim "A" "A", Vim "o" "o";
    /// Asks for a command.
    Command = "command" "Type a command" ("") / "command", Everywhere "alt-x", Vim ":";
    /// Sends what is written, or takes the completion that was chosen.
    Send = "send" "Send" ("") / "send", Writing "enter", Writing "ctrl-enter";
    /// Begins a line.
    NewLine = "new-line" "Begin a line" ("") / "new-line", Writing "alt-enter", Writing "ctrl-j", Writing "shift-enter";
    /// Completes a name, or gives the keys to the pane beside.
    Complete = "complete" "Complete, or the pane beside" ("") / "complete", Writing "tab";
    /// Takes what is written away.
    Clear = "clear" "Take the text away" ("") / "clear", Writing "ctrl-c";
    /// Closes what is topmost.
    Close = "close" "Close what is topmost" ("") / "close", Writing "esc", Selecting "esc", Selecting "q";
    /// Takes back the last change of the text.
    Undo = "undo" "Undo" ("") / "undo", Writing "ctrl-_", Writing "ctrl-/", Writing "ctrl-7";
    /// Does again what was taken back.
    Redo = "redo" "Redo" ("") / "redo", Writing "alt-_";
    /// Puts in what was deleted last.
    Yank = "yank" "Put in what was deleted" ("") / "yank", Writing "ctrl-y";
    /// Goes a letter back.
    Left = "left" "A letter back" ("") / "left", Writing "left";
    /// Goes a letter on.
    Right = "right" "A letter on" ("") / "right", Writing "right";
    /// Goes a row up; with nothing written, to the messages.
    RowUp = "row-up" "A row up, or to the messages" ("") / "row-up", Writing "up", Writing "backtab";
    /// Goes a row down.
    RowDown = "row-down" "A row down" ("") / "row-down", Writing "down";
    /// Goes a word back.
    WordLeft = "word-left" "A word back" ("") / "word-left", Writing "alt-b", Writing "ctrl-left", Writing "alt-left";
    /// Goes a word on.
    WordRight = "word-right" "A word on" ("") / "word-right", Writing "alt-f", Writing "ctrl-right", Writing "alt-right";
    /// Goes to the start of the line.
    LineStart = "line-start" "To the start of the line" ("") / "line-start", Writing "ctrl-a", Writing "home";
    /// Goes to the end of the line.
    LineEnd = "line-end" "To the end of the line" ("") / "line-end", Writing "ctrl-e", Writing "end";
    /// Deletes the letter before.
    RubOut = "rub-out" "Delete the letter before" ("") / "rub-out", Writing "backspace";
    /// Deletes the letter after.
    DeleteLetter = "delete-letter" "Delete the letter after" ("") / "delete-letter", Writing "ctrl-d", Writing "delete";
    /// Deletes the word before.
    KillWordLeft = "kill-word-left" "Delete the word before" ("") / "kill-word-left", Writing "ctrl-w", Writing "alt-backspace";
    /// Deletes the word after.
    KillWordRight = "kill-word-right" "Delete the word after" ("") / "kill-word-right", Writing "alt-d";
    /// Deletes to the start of the line.
    KillLine = "kill-line" "Delete to the start of the line" ("") / "kill-line", Writing "ctrl-u";
    /// Deletes to the end of the line.
    KillToEnd = "kill-to-end" "Delete to the end of the line" ("") / "kill-to-end", Writing "alt-k";
}

impl Action {
    /// The change of a text that it is, in a form as well as in what is written.
    #[must_use]
    pub fn edit(self) -> Option<Edit> {
        Some(match self {
            Self::NewLine => Edit::NewLine,
            Self::Undo => Edit::Undo,
            Self::Redo => Edit::Redo,
            Self::Yank => Edit::Yank,
            Self::Left => Edit::Left,
            Self::Right => Edit::Right,
            Self::RowUp => Edit::Up,
            Self::RowDown => Edit::Down,
            Self::WordLeft => Edit::WordLeft,
            Self::WordRight => Edit::WordRight,
            Self::LineStart => Edit::LineStart,
            Self::LineEnd => Edit::LineEnd,
            Self::RubOut => Edit::Backspace,
            Self::DeleteLetter => Edit::Delete,
            Self::KillWordLeft => Edit::DeleteWordLeft,
            Self::KillWordRight => Edit::DeleteWordRight,
            Self::KillLine => Edit::KillLine,
            Self::KillToEnd => Edit::KillToEnd,
            _ => return None,
        })
    }

    /// Whether it is about the text that is written.
    #[must_use]
    pub fn is_writing(self) -> bool {
        self.edit().is_some()
            || matches!(self, Self::Send | Self::Complete | Self::Clear | Self::Close)
    }

    /// Its row.
    #[must_use]
    pub fn spec(self) -> Option<&'static Spec> {
        TABLE.iter().find(|spec| spec.action == self)
    }

    /// The action that a key map names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|spec| spec.name == name).map(|spec| spec.action)
    }

    /// The action of a slash command.
    #[must_use]
    pub fn slashed(word: &str) -> Option<Self> {
        TABLE.iter().find(|spec| spec.slash.contains(&word)).map(|spec| spec.action)
    }
}

#[cfg(test)]
mod tests;
