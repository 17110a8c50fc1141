//! The words of others, on every screen.

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use serde_json::json;

use super::screens::sheets;
use crate::{
    agent::verb::WatchEvent,
    error::{CommandError, Kind},
    render::is_unsafe,
    tui::{
        event::{Event, Opened},
        fixture::{Desk, HOSTILE, line, page, room, text_of},
        glyphs::Glyphs,
        state::{Notice, Weight},
    },
};

fn unsafe_cells(buffer: &Buffer) -> Vec<String> {
    let symbols = buffer.content().iter().map(|cell| cell.symbol().to_owned());
    symbols.filter(|symbol| symbol.chars().any(is_unsafe)).collect()
}

/// Every place of the model that somebody else's text comes to, with `text` in it.
fn poisoned(text: &str) -> Vec<Desk> {
    let mut all = vec![];
    let base = |columns: u16| {
        let mut desk = Desk::filled(columns, 40, Glyphs::Unicode);
        let mut rooms = vec![
            room("@evil@nest.example", json!({ "title": text, "unread": 2, "draft": text })),
            room("+evil", json!({ "title": text, "topic": text })),
            room(
                "rookery-devs#ops",
                json!({
                    "title": text, "community": text, "topic": text, "alarm": text,
                    "refusal": text, "waits_since": text, "standing": text,
                }),
            ),
        ];
        rooms.push(room("rookery-devs#other", json!({ "title": text, "community": text })));
        desk.list(rooms);
        desk.standing("offline", json!({ "reason": text, "trouble": text, "queued": 2 }));
        desk.tell(Event::Watched(WatchEvent::Typing {
            typing: serde_json::from_value(
                json!([{ "v": 1, "name": text, "room": "rookery-devs#ops" }]),
            )
            .unwrap(),
        }));
        let more = json!({
            "seq": 1, "reply_to": "nowhere", "replies": 2, "edited": true, "pinned": true,
            "doubt": text, "reactions": { text: [text] }, "request": true, "reason": text,
            "state": "failed", "read_by": [text],
        });
        let erased = json!({ "seq": 2, "erased": { "by": text, "reason": text } });
        desk.tell(Event::Watched(WatchEvent::Messages { revision: 2 }));
        let at = "2026-05-12T10:03:00.000Z";
        desk.answer(
            "read",
            page(&[line(1, text, at, text, more), line(2, text, at, text, erased)]),
        );
        desk
    };
    for columns in [120, 44] {
        let mut desk = base(columns);
        desk.state.notice = None;
        all.push(desk);
    }
    let mut desk = base(120);
    desk.tell(Event::WatchLost(CommandError::new(Kind::Failed, text).hint(text)));
    all.push(desk);
    for keys in ["up", "up i", "ctrl-k", "alt-t", "alt-l", "up d", "up k r"] {
        let mut desk = base(120);
        desk.keys(keys);
        all.push(desk);
    }
    for (command, method, answer) in sheets(text) {
        let mut desk = base(120);
        desk.state.open.as_mut().unwrap().draft.composer.set_text(command);
        desk.keys("enter");
        desk.answer(method, answer);
        all.push(desk);
    }
    let mut desk = base(120);
    desk.write("@");
    desk.keys("tab");
    all.push(desk);
    let mut desk = base(120);
    desk.tell(Event::Paste(text.to_owned()));
    all.push(desk);
    let mut desk = Desk::new(80, 24, Glyphs::Unicode);
    desk.tell(Event::Opened(Opened::Nobody { device: text.to_owned() }));
    desk.tell(Event::Paste(text.to_owned()));
    desk.tell(Event::Entered(Err(CommandError::new(Kind::Failed, text))));
    all.push(desk);
    all
}

#[test]
fn a_hostile_name_drives_nothing() {
    for mut desk in poisoned(HOSTILE) {
        let buffer = desk.draw();
        assert_eq!(unsafe_cells(&buffer), [""; 0], "{}", text_of(&buffer));
    }
}

#[test]
fn a_notice_is_one_harmless_line() {
    let mut desk = Desk::filled(80, 24, Glyphs::Unicode);
    desk.state.notice = Some(Notice { text: HOSTILE.to_owned(), weight: Weight::Trouble });
    assert_eq!(unsafe_cells(&desk.draw()), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_others_reaches_a_cell_as_more_than_letters(
        text in "(\u{1b}\\[2J|\u{9b}|\u{202e}|\u{2066}|\u{200f}|\u{e0041}|\u{0}|\n|\u{fe0f}|\u{301}|[a-z @#:/`*]|👍|漢){0,12}",
    ) {
        for mut desk in poisoned(&text) {
            let buffer = desk.draw();
            prop_assert_eq!(unsafe_cells(&buffer), [""; 0], "{}", text_of(&buffer));
        }
    }
}
