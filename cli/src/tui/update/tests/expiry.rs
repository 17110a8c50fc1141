//! Messages that do not stay.

use serde_json::json;

use super::asks;
use crate::{
    agent::verb::WatchEvent,
    tui::{
        effect::Effect,
        event::Event,
        fixture::{Desk, page, rooms, talk},
        glyphs::Glyphs,
    },
};

fn entered(desk: &mut Desk, line: &str) -> Vec<Effect> {
    desk.write(line);
    desk.keys("enter")
}

#[test]
fn messages_expire_as_the_conversation_says_and_what_has_is_told_in_a_word() {
    let mut desk = Desk::filled(120, 40, Glyphs::Unicode);
    let effects = entered(&mut desk, "/expire 8h");
    let asked = asks(&effects, "settings");
    assert_eq!((&asked[0]["name"], &asked[0]["value"]), (&json!("expire"), &json!("8h")));
    assert_eq!(asked[0]["of"], "rookery-devs#ops");
    desk.answer("settings", json!([]));
    entered(&mut desk, "/expire");
    assert!(desk.screen().contains("What you write here stays: /expire 8h"));
    let mut rooms = rooms();
    for room in &mut rooms {
        room.expires_after = Some(28_800);
    }
    desk.list(rooms);
    entered(&mut desk, "/expire");
    let screen = desk.screen();
    assert!(screen.contains("expires after 8h: /expire off"), "{screen}");
    assert!(screen.lines().next().unwrap().contains("(8h)"), "{screen}");
    let mut messages = talk()["messages"].as_array().unwrap().clone();
    messages[6]["text"] = json!("");
    messages[6]["expired"] = json!(true);
    messages[5]["text"] = json!("");
    messages[5]["unknown_kind"] = json!(77);
    desk.tell(Event::Watched(WatchEvent::Messages { revision: 5 }));
    desk.answer("read", page(&messages));
    let screen = desk.screen();
    assert!(screen.contains("(something that this version of rookery cannot show)"), "{screen}");
    assert!(screen.contains("(expired)") && !screen.contains("restarting now"), "{screen}");
}
