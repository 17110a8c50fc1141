//! A list in the pane beside the messages: members, devices, search results, settings, and what can be done with a row.

use std::sync::Arc;

use super::State;
use crate::tui::theme::Role;

/// What a sheet lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SheetKind {
    /// The members of a community.
    Members(String),
    /// The roles of a community.
    Roles(String),
    /// The channels of a community.
    Channels(String),
    /// A community with all there is to tell.
    Community(String),
    /// A community's log.
    Log(String),
    /// What came of checking a community's log.
    Checked(String),
    /// What was found for a query.
    Search(String),
    /// Messages that stand out, of a room.
    Pins(String),
    /// This account's devices.
    Devices,
    /// The contacts.
    Contacts,
    /// People whom this user may know.
    Suggestions,
    /// The sessions of this account.
    Sessions,
    /// Other servers.
    Peers,
    /// The safety number with somebody.
    Verify(String),
    /// Settings: of the account, or of a conversation.
    Settings(Option<String>),
    /// The account.
    Account,
    /// The account's keys.
    Keys,
    /// All there is to tell about one message.
    Why(String),
    /// A device being linked.
    Link,
    /// An invitation that was just made.
    Invitation,
    /// The keys and commands.
    Help,
}

/// A row of a sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What is said first.
    pub title: String,
    /// What is said beside or below it.
    pub detail: String,
    /// What the row is of: a name, an id.
    pub key: String,
    /// The slash command that Enter runs, if any.
    pub enter: Option<String>,
    /// Its look; plain when absent.
    pub role: Option<Role>,
    /// Whether it can be chosen.
    pub is_choice: bool,
}

impl Row {
    /// Words that cannot be chosen.
    #[must_use]
    pub fn words(title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { title: title.into(), detail: detail.into(), ..Self::default() }
    }

    /// A row that Enter does something with.
    #[must_use]
    pub fn choice(
        title: impl Into<String>,
        detail: impl Into<String>,
        key: impl Into<String>,
        enter: Option<String>,
    ) -> Self {
        Self {
            title: title.into(),
            detail: detail.into(),
            key: key.into(),
            enter,
            role: None,
            is_choice: true,
        }
    }

    /// The same in another look.
    #[must_use]
    pub fn looking(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }
}

/// A key of a sheet: what it is called, and the slash command that it begins; `{}` in it stands for the marked row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetKey {
    /// Which key.
    pub key: char,
    /// What it does, in a word or two.
    pub about: &'static str,
    /// The command. One that ends with a space is put into a form to be completed; others run.
    pub command: &'static str,
}

const fn key(key: char, about: &'static str, command: &'static str) -> SheetKey {
    SheetKey { key, about, command }
}

const MEMBERS: &[SheetKey] = &[
    key('m', "message", "/dm {}"),
    key('v', "verify", "/verify {}"),
    key('c', "contact", "/contact {}"),
    key('g', "give a role", "/role grant {} "),
    key('t', "take a role", "/role take {} "),
    key('n', "nickname", "/nick {} "),
    key('k', "kick", "/kick {}"),
    key('b', "ban", "/ban {}"),
];
const ROLES: &[SheetKey] = &[
    key('a', "new role", "/role create "),
    key('e', "change", "/role edit {} "),
    key('d', "delete", "/role delete {}"),
];
const CHANNELS: &[SheetKey] = &[
    key('a', "new channel", "/channel create "),
    key('n', "rename", "/channel rename {} "),
    key('p', "place", "/channel move {} "),
    key('d', "delete", "/channel delete {}"),
];
const COMMUNITY: &[SheetKey] = &[
    key('m', "members", "/members"),
    key('c', "channels", "/channel"),
    key('r', "roles", "/role"),
    key('i', "invite", "/invite"),
    key('l', "log", "/audit"),
    key('v', "check the log", "/check"),
    key('t', "topic", "/topic "),
    key('n', "rename", "/community rename "),
    key('s', "move to a server", "/community move "),
    // These ask by themselves.
    key('q', "leave", "/leave"),
    key('D', "delete", "/community delete"),
];
const DEVICES: &[SheetKey] = &[
    key('l', "link another", "/link"),
    key('n', "rename", "/devices rename {} "),
    key('r', "revoke", "/devices revoke {}"),
];
const CONTACTS: &[SheetKey] = &[
    key('a', "add", "/contact "),
    key('s', "people you may know", "/suggest"),
    key('v', "verify", "/verify {}"),
    key('y', "accept", "/accept {}"),
    key('n', "decline", "/decline {}"),
    key('b', "block", "/block {}"),
    key('u', "unblock", "/unblock {}"),
];
const SUGGESTIONS: &[SheetKey] = &[key('a', "ask to be a contact", "/contact {}")];
const SESSIONS: &[SheetKey] = &[key('e', "end", "/sessions end {}")];
const VERIFY: &[SheetKey] =
    &[key('y', "same", "/verify {} same"), key('n', "different", "/verify {} different")];
const LINK: &[SheetKey] =
    &[key('y', "let it in", "/link yes"), key('n', "turn it away", "/link no")];
const ACCOUNT: &[SheetKey] = &[
    key('d', "devices", "/devices"),
    key('c', "contacts", "/contacts"),
    key('s', "settings", "/set"),
    key('e', "sessions", "/sessions"),
    key('o', "other servers", "/peers"),
    key('p', "display name", "/account name "),
    key('w', "password", "/password"),
    key('k', "keys", "/keys"),
];
const KEYS: &[SheetKey] = &[
    key('r', "new recovery key", "/recover"),
    key('d', "devices", "/devices"),
    key('c', "contacts", "/contacts"),
    key('l', "lock", "/lock"),
];

impl SheetKind {
    /// What the sheet is called.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Members(of) => format!("Members of {of}"),
            Self::Roles(of) => format!("Roles of {of}"),
            Self::Channels(of) => format!("Channels of {of}"),
            Self::Community(of) => of.clone(),
            Self::Log(of) => format!("Log of {of}"),
            Self::Checked(of) => format!("Check of {of}"),
            Self::Suggestions => "People you may know".to_owned(),
            Self::Sessions => "Sessions".to_owned(),
            Self::Peers => "Other servers".to_owned(),
            Self::Search(query) => format!("Search: {query}"),
            Self::Pins(of) => format!("Pinned in {of}"),
            Self::Devices => "Your devices".to_owned(),
            Self::Contacts => "Contacts".to_owned(),
            Self::Verify(who) => format!("Verify {who}"),
            Self::Settings(None) => "Settings".to_owned(),
            Self::Settings(Some(of)) => format!("Settings of {of}"),
            Self::Account => "Account".to_owned(),
            Self::Keys => "Your keys".to_owned(),
            Self::Why(_) => "About this message".to_owned(),
            Self::Link => "Link a device".to_owned(),
            Self::Invitation => "Invitation".to_owned(),
            Self::Help => "Help".to_owned(),
        }
    }

    /// The keys that it has beside moving and Enter.
    #[must_use]
    pub const fn keys(&self) -> &'static [SheetKey] {
        match self {
            Self::Members(_) => MEMBERS,
            Self::Roles(_) => ROLES,
            Self::Channels(_) => CHANNELS,
            Self::Community(_) => COMMUNITY,
            Self::Devices => DEVICES,
            Self::Contacts => CONTACTS,
            Self::Suggestions => SUGGESTIONS,
            Self::Sessions => SESSIONS,
            Self::Verify(_) => VERIFY,
            Self::Link => LINK,
            Self::Account => ACCOUNT,
            Self::Keys => KEYS,
            _ => &[],
        }
    }
}

/// A list on the screen.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What it lists.
    pub kind: SheetKind,
    /// Its rows: other ones whenever they change.
    pub rows: Arc<Vec<Row>>,
    /// Which one is marked.
    pub marked: usize,
    /// Whether its rows are on their way.
    pub is_loading: bool,
    /// Whether the keys go to it.
    pub has_keys: bool,
    /// The question under which more of a search is asked for.
    pub cursor: Option<String>,
}

impl Sheet {
    /// A sheet whose rows are asked for.
    #[must_use]
    pub fn loading(kind: SheetKind) -> Self {
        Self {
            kind,
            rows: Arc::default(),
            marked: 0,
            is_loading: true,
            has_keys: true,
            cursor: None,
        }
    }

    /// A sheet with its rows.
    #[must_use]
    pub fn of(kind: SheetKind, rows: Vec<Row>) -> Self {
        let mut sheet = Self { is_loading: false, ..Self::loading(kind) };
        sheet.fill(rows);
        sheet
    }

    /// Gives it rows; what was marked stays so where it is still there.
    pub fn fill(&mut self, rows: Vec<Row>) {
        let key = self.rows.get(self.marked).map(|row| row.key.clone());
        self.rows = Arc::new(rows);
        self.is_loading = false;
        let same = key.and_then(|key| {
            self.rows.iter().position(|row| row.is_choice && !key.is_empty() && row.key == key)
        });
        self.marked = same.or_else(|| self.rows.iter().position(|row| row.is_choice)).unwrap_or(0);
    }

    /// The marked row.
    #[must_use]
    pub fn row(&self) -> Option<&Row> {
        self.rows.get(self.marked)
    }

    /// Marks the row that is `steps` choices further down, or up.
    pub fn step(&mut self, steps: isize) {
        let choices: Vec<usize> = (0..self.rows.len())
            .filter(|place| self.rows.get(*place).is_some_and(|row| row.is_choice))
            .collect();
        // Where nothing can be chosen, the mark only scrolls.
        let places = if choices.is_empty() { (0..self.rows.len()).collect() } else { choices };
        let here = places.iter().position(|place| *place >= self.marked).unwrap_or(0);
        let there = here.saturating_add_signed(steps).min(places.len().saturating_sub(1));
        self.marked = places.get(there).copied().unwrap_or(0);
    }
}

impl State {
    /// Whether there is a pane beside the messages.
    #[must_use]
    pub fn has_beside(&self) -> bool {
        self.sheet.is_some() || self.open.as_ref().is_some_and(|open| open.thread.is_some())
    }

    /// Whether the pane beside the messages has the keys.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        match (&self.sheet, self.open.as_ref().and_then(|open| open.thread.as_ref())) {
            (Some(sheet), _) => sheet.has_keys,
            (None, Some(thread)) => thread.has_keys,
            (None, None) => false,
        }
    }
}
