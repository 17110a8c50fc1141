//! Pictures of the screen at each size and in each set of glyphs, in `tui/snapshots`.

use serde_json::{Value, json};

use crate::{
    agent::verb::WatchEvent,
    tui::{
        event::{Entered, Event, Opened},
        fixture::{Desk, HOSTILE, line, page, rooms},
        glyphs::Glyphs,
    },
};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (64, 20), (40, 12)];
const SETS: [(Glyphs, &str); 2] = [(Glyphs::Unicode, "unicode"), (Glyphs::Ascii, "ascii")];

/// Compares a screen with its picture in `tui/snapshots`.
fn compare(name: &str, screen: &str) {
    insta::with_settings!({
        snapshot_path => "../../snapshots",
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
fn a_room_whose_log_is_being_checked() {
    compare_all("checking", |desk| {
        let mut all = rooms();
        for room in all.iter_mut().filter(|room| room.community.is_some()) {
            room.standing = "checking".to_owned();
        }
        desk.list(all);
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
fn two_conversations_at_once() {
    compare_all("split", |desk| {
        desk.keys("ctrl-x 3");
        desk.write("bo@");
        desk.keys("enter");
        let at = "2026-05-12T09:00:00.000Z";
        desk.answer("read", page(&[line(30, "bo@nest.example", at, "lunch?", json!({}))]));
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
fn what_happened_in_the_community_among_the_messages() {
    compare_all("happened", |desk| {
        let mut all = rooms();
        for room in all.iter_mut().filter(|room| room.target == "rookery-devs#ops") {
            room.log = Some(9);
        }
        desk.list(all);
        let entry = |seq: u64,
                     at: &str,
                     by: &str,
                     what: &str,
                     whom: Option<&str>,
                     text: Option<&str>| {
            json!({
                "v": 1, "seq": seq, "at": at, "by": by, "what": what, "whom": whom, "text": text,
                "hash": "h",
            })
        };
        let (alice, bo, cy) = ("alice@nest.example", "bo@nest.example", "cy@nest.example");
        desk.answer(
            "community.log",
            json!([
                entry(5, "2026-05-12T10:03:10.000Z", bo, "joined", None, None),
                entry(6, "2026-05-12T10:03:11.000Z", cy, "joined", None, None),
                entry(
                    7,
                    "2026-05-12T10:05:30.000Z",
                    alice,
                    "gave a role to",
                    Some(bo),
                    Some("mods")
                ),
                entry(8, "2026-05-12T10:05:50.000Z", alice, "kicked", Some(cy), Some(HOSTILE)),
            ]),
        );
    });
}

#[test]
fn what_cannot_be_opened_yet() {
    compare_all("unopened", |desk| {
        let mut all = rooms();
        for room in all.iter_mut().filter(|room| room.target == "rookery-devs#ops") {
            room.waits_since = Some("2026-05-12T10:02:00.000Z".to_owned());
        }
        desk.list(all);
        desk.keys("alt-p i");
    });
    compare_all("unopened_message", |desk| {
        let mut all = rooms();
        for room in all.iter_mut().filter(|room| room.target == "rookery-devs#ops") {
            room.waits_since = Some("2026-05-12T10:02:00.000Z".to_owned());
        }
        desk.list(all);
    });
}

#[test]
fn a_long_paste_is_asked_about() {
    compare_all("paste", |desk| {
        desk.tell(Event::Paste("a line of a log\n".repeat(6_400)));
    });
}
