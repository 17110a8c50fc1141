//! A desk to test at: the model with a terminal that only a test looks at, an agent that answers what a test says, and a profile that is
//! full of what can be on a screen.

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use rookery_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::{
    effect::Effect,
    event::{Event, Opened},
    glyphs::Glyphs,
    keymap::{Chord, Keymap},
    state::{Look, Seen, State},
    text::width,
    update::update,
    view::{ViewCache, view},
};
use crate::{
    agent::verb::{Conversation, WatchEvent},
    error::CommandError,
};

/// The time at which everything happens: 2026-05-12T10:06:00Z.
pub(super) const NOW: u64 = 1_778_580_360_000;
/// What a hostile name is made of: escape, C1, a direction override, an invisible tag, a bell and a line end.
pub(super) const HOSTILE: &str = "e\u{1b}[31mv\u{9b}2Je\u{202e}\u{e0041}\u{7}\nl";

/// A question that the model has asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) ticket: u64,
    pub(super) method: &'static str,
    pub(super) params: Value,
}

/// The model, and what it has asked.
pub(super) struct Desk {
    pub(super) state: State,
    pub(super) asked: Vec<Asked>,
    pub(super) cache: ViewCache,
}

/// The id of message `number`.
pub(super) fn id(number: u64) -> String {
    format!("01970000-0000-7000-8000-{number:012}")
}

fn merge(base: Value, more: Value) -> Value {
    let (Value::Object(mut base), Value::Object(more)) = (base, more) else { panic!("objects") };
    base.extend(more);
    Value::Object(base)
}

/// A conversation of the list.
pub(super) fn room(target: &str, more: Value) -> Conversation {
    let kind = match target.chars().next() {
        Some('@') => "direct",
        Some('+') => "group",
        _ => "text",
    };
    let (community, title) = match target.split_once('#') {
        Some((_, title)) => (Some("Rookery Devs"), title),
        None => (None, target.trim_start_matches(['@', '+'])),
    };
    let mut base = json!({
        "v": 1, "target": target, "kind": kind, "title": title, "unread": 0, "mentions": 0,
        "notifications": "mentions", "standing": "accepted", "members": 7,
    });
    if let Some(community) = community {
        base["community"] = json!(community);
    }
    serde_json::from_value(merge(base, more)).unwrap()
}

/// A message, as the agent tells it.
pub(super) fn line(number: u64, from: &str, at: &str, text: &str, more: Value) -> Value {
    let base = json!({
        "v": 1, "id": id(number), "from": from, "with": "rookery-devs#ops", "at": at, "text": text,
        "state": "received", "cursor": number,
    });
    merge(base, more)
}

/// A page of messages.
pub(super) fn page(messages: &[Value]) -> Value {
    json!({ "messages": messages, "synced": true })
}

/// `range` as messages of one day, a second apart.
pub(super) fn many(range: std::ops::Range<u64>) -> Value {
    let message = |number: u64| {
        let at = format!("2026-05-12T09:{:02}:{:02}.000Z", number / 60 % 60, number % 60);
        line(number, "bo@nest.example", &at, &format!("message {number}"), json!({ "seq": number }))
    };
    page(&range.map(message).collect::<Vec<_>>())
}

/// Rooms of every kind.
pub(super) fn rooms() -> Vec<Conversation> {
    vec![
        room("@alice@nest.example", json!({ "unread": 2, "mentions": 2, "trust": "verified" })),
        room("@bo@nest.example", json!({ "trust": "unverified" })),
        room("@dee@garden.example", json!({ "trust": "changed", "standing": "asking" })),
        room("@quiet@nest.example", json!({ "muted": true })),
        room("+weekend", json!({ "unread": 1 })),
        room("rookery-devs#general", json!({ "unread": 120 })),
        room("rookery-devs#ops", json!({ "unread": 3, "mentions": 1, "topic": "keep it running" })),
        room("rookery-devs#staff", json!({ "private": true })),
        room("rookery-devs#standup", json!({ "kind": "voice" })),
        room("rookery-devs#evil", json!({ "title": HOSTILE, "topic": HOSTILE })),
        room("gardeners#all", json!({ "community": "Gardeners", "unread": 40 })),
    ]
}

/// A conversation with everything in it that a message can have.
pub(super) fn talk() -> Value {
    let own = "ada@nest.example";
    let bo = "bo@nest.example";
    page(&[
        line(
            1,
            "dee@garden.example",
            "2026-05-11T21:40:00.000Z",
            "good night",
            json!({ "seq": 1 }),
        ),
        line(
            2,
            "alice@nest.example",
            "2026-05-12T09:58:00.000Z",
            "deploy **4.2** is green on all three nests",
            json!({ "seq": 2, "replies": 4, "reactions": { "👍": [bo, own], "👀": [bo] } }),
        ),
        line(
            3,
            bo,
            "2026-05-12T10:03:00.000Z",
            "log is here: https://nest.example/nest3.log",
            json!({ "seq": 3, "edited": true, "pinned": true, "file": {
                "name": "nest3\u{1b}[2J\u{202e}.log", "media_type": "text/plain", "size_bytes": 49_152,
            } }),
        ),
        line(
            4,
            "dee@garden.example",
            "2026-05-12T10:03:30.000Z",
            "@ada can you restart nest3?",
            json!({ "seq": 4, "reply_to": id(3), "mentions": [own] }),
        ),
        line(
            5,
            bo,
            "2026-05-12T10:04:00.000Z",
            "",
            json!({ "seq": 5, "erased": { "by": "alice@nest.example", "reason": "off topic" } }),
        ),
        line(
            6,
            "e\u{1b}[2J\u{202e}vil@nest.example",
            "2026-05-12T10:04:30.000Z",
            "family 👨‍👩‍👧 and 漢字 \u{1b}]0;owned\u{7}",
            json!({ "seq": 6, "doubt": "its author was not a member then" }),
        ),
        line(
            7,
            own,
            "2026-05-12T10:05:00.000Z",
            "restarting now",
            json!({ "seq": 7, "state": "sent", "read_by": [bo], "expires_after": 28_800 }),
        ),
        line(
            8,
            own,
            "2026-05-12T10:05:20.000Z",
            "Gardeners, back in 5 minutes",
            json!({ "state": "failed", "reason": "the hub refused it" }),
        ),
        line(
            9,
            own,
            "2026-05-12T10:05:40.000Z",
            "and the log after that",
            json!({ "state": "queued", "reason": "no connection", "file": {
                "name": "nest2.log.gz", "media_type": "application/gzip", "size_bytes": 3_500_000,
                "sent_percent": 34,
            } }),
        ),
    ])
}

/// The keys that a script presses: words as the key map writes them, `ctrl-k` or `esc`.
pub(super) fn key_events(script: &str) -> Vec<KeyEvent> {
    let chord: Chord = script.parse().unwrap();
    chord.0.into_iter().map(|stroke| KeyEvent::new(stroke.code, stroke.modifiers)).collect()
}

impl Desk {
    /// A profile that is open, and of which nothing is known yet.
    pub(super) fn new(columns: u16, rows: u16, glyphs: Glyphs) -> Self {
        let look = Look { glyphs, ..Look::default() };
        let state = State::new(columns, rows, look, Keymap::default());
        Self { state, asked: vec![], cache: ViewCache::default() }
    }

    /// The same, opened and connected.
    pub(super) fn opened(columns: u16, rows: u16, glyphs: Glyphs) -> Self {
        let mut desk = Self::new(columns, rows, glyphs);
        desk.open_profile();
        desk
    }

    /// The profile is opened, and has a connection.
    pub(super) fn open_profile(&mut self) {
        let me = json!({
            "v": 1, "name": "ada@nest.example", "user": "u", "device": "d", "device_name": "laptop",
            "server": "nest.example", "address": "192.0.2.1:7665", "state": "certified",
        });
        let me = Box::new(serde_json::from_value(me).unwrap());
        self.tell(Event::Opened(Opened::Ready { me, seed: [7; 16] }));
        self.answer("settings", json!([]));
        self.standing("online", json!({}));
    }

    /// A profile with everything that can be on a screen; `#ops` is open.
    pub(super) fn filled(columns: u16, rows: u16, glyphs: Glyphs) -> Self {
        let mut desk = Self::opened(columns, rows, glyphs);
        desk.answer(
            "presence.show",
            json!([
                { "v": 1, "name": "alice@nest.example", "state": "online" },
                { "v": 1, "name": "bo@nest.example", "state": "away", "status": HOSTILE },
            ]),
        );
        desk.state.folded.insert("Gardeners".to_owned());
        desk.state.awaited = Some("rookery-devs#ops".to_owned());
        desk.list(rooms());
        desk.answer("read", talk());
        let member = |name: &str| json!({ "v": 1, "name": name, "user": "u", "roles": [], "owner": false, "permissions": [] });
        desk.answer(
            "member.list",
            json!([
                member("ada@nest.example"),
                member("bo@nest.example"),
                member("dee@garden.example")
            ]),
        );
        desk
    }

    /// Has something happen.
    pub(super) fn tell(&mut self, event: Event) -> Vec<Effect> {
        let effects = update(&mut self.state, Timestamp::from_millis(NOW), event);
        self.note(&effects);
        effects
    }

    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Ask { ticket, method, params }
            | Effect::AskWithText { ticket, method, params, .. } = effect
            {
                let (ticket, params) = (*ticket, params.clone());
                self.asked.push(Asked { ticket, method, params });
            }
        }
    }

    /// Tells the list of rooms.
    pub(super) fn list(&mut self, rooms: Vec<Conversation>) -> Vec<Effect> {
        self.tell(Event::Watched(WatchEvent::Rooms { rooms, complete: true }))
    }

    /// Tells how things stand.
    pub(super) fn standing(&mut self, connection: &str, more: Value) -> Vec<Effect> {
        let base = json!({
            "v": 1, "connection": connection, "caught_up": true, "queued": 0, "state": "certified",
        });
        let standing = serde_json::from_value(merge(base, more)).unwrap();
        self.tell(Event::Watched(WatchEvent::Standing { standing }))
    }

    /// Presses keys.
    pub(super) fn keys(&mut self, script: &str) -> Vec<Effect> {
        key_events(script).into_iter().flat_map(|key| self.tell(Event::Key(key))).collect()
    }

    /// Types `text`, letter by letter.
    pub(super) fn write(&mut self, text: &str) -> Vec<Effect> {
        let press = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
        text.chars().flat_map(|letter| self.tell(Event::Key(press(letter)))).collect()
    }

    /// The newest question of `method` that nobody has answered.
    pub(super) fn last(&self, method: &str) -> Option<&Asked> {
        self.asked.iter().rfind(|asked| asked.method == method)
    }

    fn take(&mut self, method: &str) -> Asked {
        let place = self.asked.iter().rposition(|asked| asked.method == method);
        let place = place.unwrap_or_else(|| panic!("{method} was not asked: {:?}", self.asked));
        self.asked.remove(place)
    }

    /// Answers it.
    pub(super) fn answer(&mut self, method: &str, value: Value) -> Vec<Effect> {
        let ticket = self.take(method).ticket;
        self.tell(Event::Answered { ticket, outcome: Ok(value) })
    }

    /// Refuses it.
    pub(super) fn refuse(&mut self, method: &str, error: CommandError) -> Vec<Effect> {
        let ticket = self.take(method).ticket;
        self.tell(Event::Answered { ticket, outcome: Err(error) })
    }

    /// What is written in the open conversation.
    pub(super) fn written(&self) -> String {
        self.state.open.as_ref().map(|open| open.draft.composer.text()).unwrap_or_default()
    }

    /// What the last notice says.
    pub(super) fn said(&self) -> &str {
        self.state.notice.as_ref().map_or("", |notice| notice.text.as_str())
    }

    /// Draws the model, and has it know what is to be seen.
    pub(super) fn draw(&mut self) -> Buffer {
        let (columns, rows) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let mut seen = Seen::default();
        terminal.draw(|frame| seen = view(&self.state, &mut self.cache, frame)).unwrap();
        self.tell(Event::Seen(seen));
        terminal.backend().buffer().clone()
    }

    /// The rows of the screen as text, without the blanks at their ends.
    pub(super) fn screen(&mut self) -> String {
        text_of(&self.draw())
    }
}

/// The rows of a buffer as text, without the blanks at their ends.
pub(super) fn text_of(buffer: &Buffer) -> String {
    let mut rows = vec![];
    for y in 0..buffer.area.height {
        let (mut row, mut x) = (String::new(), 0);
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            x = x.saturating_add(u16::try_from(width::width(symbol)).unwrap().max(1));
        }
        rows.push(row.trim_end().to_owned());
    }
    rows.join("\n")
}
