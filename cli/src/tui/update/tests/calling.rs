//! What is called out.

use serde_json::{Value, json};

use super::{desk, notified};
use crate::tui::{
    event::Event,
    fixture::{Desk, rooms},
    glyphs::Glyphs,
};

/// What is called when `change` has come for the room that it names.
fn called(desk: &mut Desk, target: &str, change: &Value) -> bool {
    desk.list(rooms());
    let mut after = rooms();
    let place = after.iter().position(|room| room.target == target).unwrap();
    let mut value = serde_json::to_value(&after[place]).unwrap();
    value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    after[place] = serde_json::from_value(value).unwrap();
    let effects = desk.list(after);
    let called = notified(&effects);
    assert!(called.len() <= 1);
    called == [target]
}

#[test]
fn only_what_the_rules_say_is_called_out() {
    let mut desk = desk();
    let general = "rookery-devs#general";
    assert!(called(&mut desk, "@alice@nest.example", &json!({ "unread": 3, "mentions": 3 })));
    assert!(!called(&mut desk, general, &json!({ "unread": 121 })), "mentions only");
    assert!(called(&mut desk, general, &json!({ "unread": 121, "mentions": 1 })));
    assert!(called(&mut desk, general, &json!({ "unread": 121, "notifications": "all" })));
    let none = json!({ "unread": 121, "mentions": 1, "notifications": "none" });
    assert!(!called(&mut desk, general, &none));
    let muted = json!({ "unread": 121, "mentions": 1, "notifications": "all", "muted": true });
    assert!(!called(&mut desk, general, &muted));
    let mention = json!({ "unread": 4, "mentions": 2 });
    assert!(!called(&mut desk, "rookery-devs#ops", &mention), "somebody looks at it");
    desk.tell(Event::Focus(false));
    assert!(called(&mut desk, "rookery-devs#ops", &mention));
}

#[test]
fn nothing_is_called_out_for_what_was_there_before() {
    let mut desk = Desk::opened(80, 24, Glyphs::Ascii);
    assert!(notified(&desk.list(rooms())).is_empty());
}

#[test]
fn where_others_see_the_screen_a_call_names_nobody() {
    let mut desk = desk();
    desk.state.look.notify_names = false;
    let mut after = rooms();
    after[0].unread = 9;
    after[0].mentions = 9;
    let effects = desk.list(after);
    assert_eq!(notified(&effects), ["rookery"]);
    assert!(!format!("{effects:?}").contains("alice"));
}
