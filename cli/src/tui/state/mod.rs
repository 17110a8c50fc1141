//! The model of the screen: plain values, changed by [`super::update`] alone and drawn by [`super::view`].

pub mod colours;
pub mod conversation;
pub mod draft;
pub mod folders;
pub mod layer;
pub mod log;
pub mod message;
pub mod picker;
pub mod private;
pub mod sheet;
pub mod sidebar;
pub mod split;
pub mod want;
pub mod welcome;
pub mod window;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::tz::TimeZone;
use rookery_protocol::time::Timestamp;

pub use self::{
    colours::Colours,
    conversation::{Open, Selecting},
    draft::{Draft, Purpose},
    folders::Folders,
    layer::{Form, Layer},
    picker::{Choice, Picker},
    private::{Hidden, Private},
    sheet::{Row, Sheet, SheetKind},
    sidebar::Item,
    split::Split,
    want::{Outgoing, Want, Written},
    welcome::{Locked, Welcome},
    window::{Anchor, Expiry, Message, Seen, Window},
};
use super::{
    glyphs::Glyphs,
    keymap::{Keymap, Stroke},
    text::markdown::EmojiStyle,
    theme::{BuiltIn, Theme},
};
use ratatui::crossterm::event::KeyEvent;

use crate::agent::verb::{
    Connection, Conversation, PeerLine, StandingLine, TypingLine, WhoamiLine,
};

/// Drafts of conversations that are not open and not stored yet, at most.
pub const MAX_DRAFTS: usize = 64;

/// A screen of as many columns has room for a pane beside the messages.
pub const WIDE: u16 = 100;

/// Which screen is shown.
#[derive(Clone, Debug)]
pub enum Screen {
    /// The profile is being opened: the first frame.
    Opening,
    /// The store wants a passphrase.
    Locked(Locked),
    /// Nobody has an account here yet.
    Welcome(Box<Welcome>),
    /// Conversations.
    Chat,
}

/// What a user has chosen, and what this terminal can.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Look {
    /// The marks and lines.
    pub glyphs: Glyphs,
    /// Those that suit the terminal, where nothing else is chosen.
    pub fitting_glyphs: Glyphs,
    /// Which colours were chosen.
    pub built_in: BuiltIn,
    /// The colours.
    pub theme: Theme,
    /// Whether a user's own colours stay, whatever is chosen.
    pub has_own_theme: bool,
    /// The time zone that times are shown in.
    pub zone: TimeZone,
    /// Whether emoji are shown as names.
    pub emoji: EmojiStyle,
    /// Whether the mouse is told.
    pub mouse: bool,
    /// Whether links can be followed by the terminal (OSC 8).
    pub links: bool,
    /// Whether the terminal is known to follow them, where nothing else is chosen.
    pub fitting_links: bool,
    /// Whether it is shown who came and went.
    pub events: bool,
    /// Whether Shift+Enter can be told from Enter.
    pub has_shift_enter: bool,
    /// Whether what is notified says who and where: not on a screen that others see.
    pub notify_names: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            glyphs: Glyphs::Unicode,
            fitting_glyphs: Glyphs::Unicode,
            built_in: BuiltIn::Dark,
            theme: Theme::built_in(BuiltIn::Dark),
            has_own_theme: false,
            zone: TimeZone::UTC,
            emoji: EmojiStyle::Glyphs,
            mouse: false,
            links: false,
            fitting_links: false,
            events: true,
            has_shift_enter: false,
            notify_names: true,
        }
    }
}

/// Which keys the composer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Editing {
    /// A line of text, as readline has it.
    #[default]
    Plain,
    /// As vi has it.
    Vim,
}

/// How weighty a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something was done.
    Done,
    /// Something could not be done.
    Trouble,
}

/// A sentence for the person at the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is said.
    pub text: String,
    /// How weighty it is.
    pub weight: Weight,
}

/// What came before there was a conversation to write in.
#[derive(Clone, Debug)]
pub enum Early {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
}

/// The model.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct State {
    /// Which screen is shown.
    pub screen: Screen,
    /// When the last event came.
    pub now: Timestamp,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Whether the terminal has the focus, as far as it tells.
    pub has_focus: bool,
    /// Whose profile it is.
    pub me: Option<WhoamiLine>,
    /// How things stand.
    pub standing: Option<StandingLine>,
    /// Since when there is no connection.
    pub offline_since: Option<Timestamp>,
    /// Where one can talk.
    pub rooms: Vec<Conversation>,
    /// The list of rooms while its parts come in.
    pub rooms_coming: Vec<Conversation>,
    /// Whether the list was told at least once.
    pub has_rooms: bool,
    /// What was typed and pasted before there was anything to write in.
    pub early: Vec<Early>,
    /// Communities whose channels are not listed.
    pub folded: HashSet<String>,
    /// Whether the list of rooms is shown, where there is room for a choice.
    pub shows_rooms: bool,
    /// Whether nothing but text is shown.
    pub is_bare: bool,
    /// Whether the pane that has the keys has the whole width.
    pub is_zoomed: bool,
    /// Messages that are remembered: in which room a letter counts (everywhere when absent), and where the message is.
    pub marks: BTreeMap<(Option<String>, char), (String, String)>,
    /// How contacts are: word and status, by address.
    pub presence: HashMap<String, (String, Option<String>)>,
    /// Other servers, as the home was in touch with them when it was asked last.
    pub peers: Vec<PeerLine>,
    /// Who types: with since when it is known here.
    pub typing: Vec<TypingLine>,
    /// The open conversation.
    pub open: Option<Open>,
    /// Those that are shown with it.
    pub split: Split,
    /// The conversation to be opened once the list has it.
    pub awaited: Option<String>,
    /// What is written elsewhere and not sent, by conversation, and by conversation and thread.
    pub drafts: BTreeMap<String, Draft>,
    /// The pane beside the messages, or over them where it is narrow.
    pub sheet: Option<Sheet>,
    /// What lies over everything, the topmost last.
    pub layers: Vec<Layer>,
    /// What was filled into forms that were closed, by the command that they complete.
    pub unfinished: BTreeMap<String, String>,
    /// The lines of commands that were not answered yet, by their questions.
    pub commands: HashMap<u64, Written>,
    /// The last notice.
    pub notice: Option<Notice>,
    /// What was chosen.
    pub look: Look,
    /// Where paths begin that are typed.
    pub folders: Folders,
    /// The keys.
    pub keymap: Keymap,
    /// Which keys the composer takes.
    pub editing: Editing,
    /// Keys of a chord that is not complete.
    pub strokes: Vec<Stroke>,
    /// Questions that were not answered yet.
    pub pending: HashMap<u64, Want>,
    /// The settings of the account, by name.
    pub settings: BTreeMap<String, String>,
    /// Whether the end was asked for.
    pub is_quitting: bool,
    /// Whether the store is to be locked once what is written is kept.
    pub is_locking: bool,
    /// What the last frame showed.
    pub seen: Seen,
    /// Code that was coloured.
    pub colours: Colours,
    /// How often each choice of the palette was taken, for the order of what fits alike.
    pub habits: HashMap<String, u32>,
    /// Whether the timer that keeps drafts runs.
    pub(super) keeps_soon: bool,
    /// Whether the open conversation has changed since it was last asked for.
    pub(super) is_stale: bool,
    pub(super) next_ticket: u64,
    pub(super) seed: [u8; 16],
    pub(super) made: u64,
    pub(super) told_typing_at: Option<Timestamp>,
}

impl State {
    /// The model before anything has happened, on a terminal of `columns` and `rows`.
    #[must_use]
    pub fn new(columns: u16, rows: u16, look: Look, keymap: Keymap) -> Self {
        Self {
            screen: Screen::Opening,
            now: Timestamp::from_millis(0),
            size: (columns, rows),
            has_focus: true,
            me: None,
            standing: None,
            offline_since: None,
            rooms: vec![],
            rooms_coming: vec![],
            has_rooms: false,
            early: vec![],
            folded: HashSet::new(),
            shows_rooms: true,
            is_bare: false,
            is_zoomed: false,
            marks: BTreeMap::new(),
            presence: HashMap::new(),
            peers: vec![],
            typing: vec![],
            open: None,
            split: Split::default(),
            awaited: None,
            drafts: BTreeMap::new(),
            sheet: None,
            layers: vec![],
            unfinished: BTreeMap::new(),
            commands: HashMap::new(),
            notice: None,
            look,
            folders: Folders::default(),
            keymap,
            editing: Editing::Plain,
            strokes: vec![],
            pending: HashMap::new(),
            settings: BTreeMap::new(),
            is_quitting: false,
            is_locking: false,
            seen: Seen::default(),
            colours: Colours::default(),
            habits: HashMap::new(),
            keeps_soon: false,
            is_stale: false,
            next_ticket: 1,
            seed: [0; 16],
            made: 0,
            told_typing_at: None,
        }
    }

    /// The open conversation's row in the list.
    #[must_use]
    pub fn room(&self) -> Option<&Conversation> {
        let open = self.open.as_ref()?;
        self.room_called(&open.target)
    }

    /// A conversation by what it is called.
    #[must_use]
    pub fn room_called(&self, target: &str) -> Option<&Conversation> {
        self.rooms.iter().find(|room| room.target == target)
    }

    /// A conversation that is shown: the open one, or one beside it.
    pub(super) fn shown_mut(&mut self, target: &str) -> Option<&mut Open> {
        let open = self.open.as_mut().filter(|open| open.target == target);
        open.or_else(|| self.split.get_mut(target))
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.connection == Connection::Online)
    }

    /// This user's own address.
    #[must_use]
    pub fn own_name(&self) -> &str {
        self.me.as_ref().map_or("", |me| me.name.as_str())
    }

    /// How somebody is called on the screen: without the server where it is this user's own.
    #[must_use]
    pub fn short_name<'a>(&self, address: &'a str) -> &'a str {
        let address = address.strip_prefix('@').unwrap_or(address);
        let own = self.me.as_ref().map(|me| me.server.as_str());
        match address.split_once('@') {
            Some((name, server)) if Some(server) == own => name,
            _ => address,
        }
    }

    /// A time as a clock here shows it: the day and the minute.
    #[must_use]
    pub fn clock(&self, at: &str) -> String {
        at.parse::<jiff::Timestamp>().map_or_else(
            |_| crate::render::field(at),
            |at| at.to_zoned(self.look.zone.clone()).strftime("%-d %b %H:%M").to_string(),
        )
    }

    /// A time as a clock here shows it: the minute.
    #[must_use]
    pub fn minute(&self, at: Timestamp) -> String {
        let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(at).map_or_else(
            |_| String::new(),
            |at| at.to_zoned(self.look.zone.clone()).strftime("%H:%M").to_string(),
        )
    }

    /// What a message waits for, in words.
    #[must_use]
    pub fn waits(&self, message: &Message) -> Option<String> {
        let (server, since) = message.waits.as_ref()?;
        let since = jiff::Timestamp::from_millisecond(*since).ok()?;
        let since = since.to_zoned(self.look.zone.clone()).strftime("%-d %b %H:%M");
        Some(format!("{server} since {since}"))
    }

    /// Counts again how many members of the open room were not verified.
    pub(super) fn count_unverified(&mut self) {
        let own = self.me.as_ref().map(|me| me.name.as_str());
        let Some(open) = &mut self.open else { return };
        let mut others: HashSet<&str> = open.names.iter().map(String::as_str).collect();
        others.retain(|name| Some(*name) != own);
        let is_alone = others.is_empty();
        for room in &self.rooms {
            if room.trust.as_deref() == Some("verified") {
                others.remove(room.target.trim_start_matches('@'));
            }
        }
        open.unverified = (!is_alone).then_some(others.len());
    }

    /// The community of the open conversation, as commands name it.
    #[must_use]
    pub fn community(&self) -> Option<String> {
        let target = &self.open.as_ref()?.target;
        if target.starts_with('+') {
            return Some(target.clone());
        }
        target.split_once('#').map(|(community, _)| community.to_owned())
    }

    /// A new id for a message: `UUIDv7` of the present time.
    pub(super) fn new_id(&mut self) -> String {
        self.made = self.made.wrapping_add(1);
        let hash = rookery_protocol::hash::labelled(
            "client/screen",
            &[&self.seed, &self.made.to_be_bytes(), &self.now.as_millis().to_be_bytes()],
        );
        let mut random = [0; 10];
        random.copy_from_slice(hash.as_bytes().split_at(10).0);
        uuid::Builder::from_unix_timestamp_millis(self.now.as_millis(), &random)
            .into_uuid()
            .to_string()
    }
}
