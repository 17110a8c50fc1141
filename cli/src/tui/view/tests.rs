use std::cell::RefCell;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use serde_json::{Value, json};

use crate::{
    agent::verb::WatchEvent,
    error::{CommandError, Kind},
    render::is_unsafe,
    tui::{
        event::{Entered, Event, Opened},
        fixture::{Desk, HOSTILE, line, page, room, text_of},
        glyphs::Glyphs,
        state::{Notice, Screen, Weight, Welcome, welcome::Step},
    },
};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (64, 20), (40, 12)];
const SETS: [(Glyphs, &str); 2] = [(Glyphs::Unicode, "unicode"), (Glyphs::Ascii, "ascii")];

/// Compares a screen with its picture in `tui/snapshots`.
fn compare(name: &str, screen: &str) {
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, screen);
    });
}

/// Compares what `make` makes of a full profile, at each size and in each set.
fn compare_all(name: &str, make: impl Fn(&mut Desk)) {
    for (columns, rows) in SIZES {
        for (glyphs, set) in SETS {
            let mut desk = Desk::filled(columns, rows, glyphs);
            make(&mut desk);
            let screen = desk.screen();
            compare(&format!("{name}_{columns}x{rows}_{set}"), &screen);
        }
    }
}

#[test]
fn a_room_with_everything_in_it() {
    compare_all("room", |desk| {
        desk.standing("online", json!({ "queued": 1 }));
        desk.write("rolling nest3, will post the numbers here");
    });
}

#[test]
fn the_members_beside_the_messages() {
    compare_all("members", |desk| {
        desk.keys("alt-m");
        let member = |name: &str, more: Value| {
            let mut base = json!({ "v": 1, "name": name, "user": "u", "roles": [], "owner": false, "permissions": [] });
            base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            base
        };
        desk.answer(
            "member.list",
            json!([
                member("alice@nest.example", json!({ "owner": true, "nickname": "Al" })),
                member("bo@nest.example", json!({ "roles": ["mods"] })),
                member("evil@nest.example", json!({ "nickname": HOSTILE })),
            ]),
        );
    });
}

#[test]
fn the_palette_over_the_messages() {
    compare_all("palette", |desk| {
        desk.keys("ctrl-p");
        desk.write("un");
    });
}

#[test]
fn a_selected_message_with_its_keys() {
    compare_all("selected", |desk| {
        desk.draw();
        desk.keys("up k k");
    });
}

#[test]
fn a_thread_beside_its_channel() {
    compare_all("thread", |desk| {
        desk.keys("alt-t");
        let bo = "bo@nest.example";
        desk.answer(
            "thread",
            page(&[
                line(
                    2,
                    "alice@nest.example",
                    "2026-05-12T09:58:00.000Z",
                    "deploy **4.2** is green on all three nests",
                    json!({}),
                ),
                line(21, bo, "2026-05-12T10:00:00.000Z", "nest3 took 90 s, why?", json!({})),
                line(22, bo, "2026-05-12T10:02:00.000Z", "found it, cold cache", json!({})),
            ]),
        );
        desk.write("thanks");
    });
}

#[test]
fn offline_in_words() {
    compare_all("offline", |desk| {
        let why =
            json!({ "reason": "nest.example does not answer", "queued": 3, "caught_up": false });
        desk.standing("offline", why);
        desk.tell(Event::Watched(WatchEvent::Typing {
            typing: serde_json::from_value(
                json!([{ "v": 1, "name": "bo@nest.example", "room": "rookery-devs#ops" }]),
            )
            .unwrap(),
        }));
    });
}

#[test]
fn the_first_run() {
    for (columns, rows) in [(80, 24), (40, 12)] {
        let mut desk = Desk::new(columns, rows, Glyphs::Ascii);
        desk.tell(Event::Opened(Opened::Nobody { device: "laptop".to_owned() }));
        compare(&format!("welcome_{columns}x{rows}"), &desk.screen());
        recovery_key(&mut desk);
        compare(&format!("recovery_key_{columns}x{rows}"), &desk.screen());
        desk.keys("enter");
        desk.write("nonsense");
        desk.keys("enter");
        compare(&format!("confirm_key_{columns}x{rows}"), &desk.screen());
    }
}

fn recovery_key(desk: &mut Desk) {
    let entered = Entered {
        recovery_key: Some(["AAAA-BBBB-CCCC-DDDD"; 4].join("-")),
        recovery_key_file: None,
        pinned: Some("k3y".repeat(17)),
        is_uncertified: false,
    };
    desk.tell(Event::Entered(Ok(entered)));
}

#[test]
fn no_frame_has_anything_beyond_ascii_of_its_own_in_the_ascii_set() {
    // Where emoji are to be chosen from, they are shown.
    let completes =
        |desk: &Desk| desk.state.open.as_ref().is_some_and(|open| open.completion.is_some());
    for mut desk in screens(80, 24, Glyphs::Ascii).into_iter().filter(|desk| !completes(desk)) {
        let screen = desk.screen();
        let own = |letter: char| !letter.is_ascii() && !"👨\u{200d}👩👧漢字👍👀🎉".contains(letter);
        assert!(!screen.chars().any(own), "{screen}");
    }
}

#[test]
fn a_cell_is_the_same_whether_the_cache_remembers_or_not() {
    for mut desk in screens(100, 30, Glyphs::Unicode) {
        desk.draw();
        let with = desk.draw();
        desk.cache.clear();
        assert_eq!(desk.draw(), with);
    }
}

/// Every screen, sheet and layer that there is.
fn screens(columns: u16, rows: u16, glyphs: Glyphs) -> Vec<Desk> {
    let filled = || Desk::filled(columns, rows, glyphs);
    let fresh = || Desk::new(columns, rows, glyphs);
    let mut all = vec![fresh(), Desk::opened(columns, rows, glyphs), filled()];
    for wrong in [false, true] {
        let mut desk = fresh();
        desk.tell(Event::Opened(Opened::Locked { wrong }));
        desk.write("secret");
        all.push(desk);
    }
    for step in [
        Step::Way,
        Step::Server,
        Step::Name,
        Step::Password,
        Step::PasswordAgain,
        Step::Device,
        Step::Lock,
        Step::Passphrase,
        Step::Busy,
        Step::RecoveryKey,
        Step::ConfirmKey,
        Step::Certify,
        Step::Code,
        Step::Recover,
    ] {
        let mut desk = fresh();
        let mut welcome = Welcome::new("laptop");
        welcome.recovery_key = zeroize::Zeroizing::new(["AAAA-BBBB"; 7].join("-"));
        welcome.step = step;
        welcome.trouble = Some("that went wrong".to_owned());
        desk.state.screen = Screen::Welcome(Box::new(welcome));
        desk.tell(Event::Paste("漢字".to_owned()));
        all.push(desk);
    }
    for keys in
        ["f1", "up", "up i", "ctrl-p", "ctrl-k", "ctrl-f", "alt-t", "alt-l", "alt-s", "up d"]
    {
        let mut desk = filled();
        desk.keys(keys);
        all.push(desk);
    }
    for (command, method, answer) in sheets("a text") {
        let mut desk = filled();
        desk.state.open.as_mut().unwrap().composer.set_text(command);
        desk.keys("enter");
        // Once before its rows are there, and once with them.
        let mut early = filled();
        early.state.open.as_mut().unwrap().composer.set_text(command);
        early.keys("enter");
        all.push(early);
        desk.answer(method, answer);
        all.push(desk);
    }
    let mut desk = filled();
    desk.tell(Event::Paste("x\n".repeat(5_000)));
    desk.draw();
    all.push(desk);
    let mut desk = filled();
    desk.tell(Event::Paste("x\n".repeat(5_000)));
    desk.keys("enter");
    all.push(desk);
    let mut desk = filled();
    desk.write(":ta");
    all.push(desk);
    all
}

/// The sheets that ask for rows, with rows in which every text is `text`.
fn sheets(text: &str) -> Vec<(&'static str, &'static str, Value)> {
    let role = json!({ "v": 1, "name": text, "rank": 1, "permissions": [text] });
    let channel = json!({
        "v": 1, "name": "rookery-devs#x", "kind": "text", "topic": text, "position": 1,
        "slow_mode_s": 5, "archived": true, "private": true, "history": text, "unread": 0,
        "mentions": 0, "refused": 0, "exceptions": [text],
    });
    let found =
        line(3, text, "2026-05-12T10:03:00.000Z", text, json!({ "seq": 3, "pinned": true }));
    vec![
        (
            "/members",
            "member.list",
            json!([{ "v": 1, "name": text, "user": "u", "nickname": text, "roles": [text], "owner": true, "permissions": [text] }]),
        ),
        ("/role", "role.list", json!([role])),
        ("/channel", "channel.list", json!([channel])),
        (
            "/community",
            "community.show",
            json!({
                "v": 1, "id": "i", "name": text, "kind": "community", "standing": "member",
                "members": 3, "channels": [channel], "unread": 0, "mentions": 0, "alarm": text,
                "topic": text, "owner": text, "hub": text, "policy": text, "history": text,
                "epoch": 1, "log": 3, "roles": [role], "asking": [text],
                "invites": [{ "invite": 1, "by": text, "user": text, "roles": [text] }],
            }),
        ),
        (
            "/audit",
            "community.log",
            json!([{ "v": 1, "seq": 1, "at": text, "by": text, "what": text, "whom": text, "text": text, "hash": "h" }]),
        ),
        ("/search x", "search", json!({ "messages": [found], "synced": true, "complete": false })),
        ("/pins", "read", page(std::slice::from_ref(&found))),
        (
            "/devices",
            "device.list",
            json!([{ "v": 1, "id": "d", "name": text, "this": true, "bot": true, "added": 1, "last_seen": text, "waiting": 4 }]),
        ),
        (
            "/contacts",
            "contact.list",
            json!([{ "v": 1, "name": text, "state": text, "trust": text, "display_name": text }]),
        ),
        (
            "/verify @bo@nest.example",
            "verify",
            json!({ "v": 1, "name": text, "safety_number": text, "trust": "changed" }),
        ),
        ("/set", "settings", json!([{ "v": 1, "name": text, "value": text, "values": [text] }])),
        (
            "/account",
            "status",
            json!({
                "v": 1, "connection": "offline", "reason": text, "caught_up": false, "queued": 1,
                "journal_owed": 0, "unread": 0, "failed": 1, "resets": 0, "name": text,
                "refused": { "misdirected": 0, "replayed": 0, "unopenable": 0, "forked": 0 },
                "server": text, "address": text, "fingerprint": text, "state": "certified",
                "device": text, "devices": 2, "software": text,
            }),
        ),
    ]
}

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
        desk.state.open.as_mut().unwrap().composer.set_text(command);
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

#[test]
fn no_size_is_too_small_or_too_large() {
    let desks = RefCell::new(screens(80, 24, Glyphs::Unicode));
    let count = desks.borrow().len();
    let config = ProptestConfig { cases: 600, ..ProptestConfig::default() };
    proptest!(config, |(columns in 1_u16..200, rows in 1_u16..70, which in 0..count)| {
        let mut desks = desks.borrow_mut();
        desks[which].tell(Event::Resized(columns, rows));
        desks[which].draw();
    });
    let mut desks = desks.into_inner();
    for desk in &mut desks {
        for (columns, rows) in [(1, 1), (30, 8), (29, 8), (30, 7), (199, 69), (48, 17), (1, 69)] {
            desk.tell(Event::Resized(columns, rows));
            desk.draw();
        }
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let mut desk = Desk::filled(29, 7, Glyphs::Ascii);
    assert_eq!(desk.screen().lines().next(), Some("rookery needs 30 columns and"));
}
