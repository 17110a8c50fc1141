//! Telling moderators of a message.

use serde_json::json;

use super::asks;
use crate::tui::{
    fixture::{Desk, id},
    glyphs::Glyphs,
};

#[test]
fn a_message_is_reported_once_that_was_confirmed() {
    let mut desk = Desk::filled(80, 24, Glyphs::Ascii);
    // The newest of somebody else's.
    for _ in 0..4 {
        desk.keys("up");
    }
    assert!(asks(&desk.keys("!"), "message.report").is_empty());
    assert!(desk.screen().contains("Tell those who may moderate"));
    assert!(asks(&desk.keys("n"), "message.report").is_empty());
    desk.keys("!");
    let effects = desk.keys("y");
    let wanted = json!({ "room": "rookery-devs#ops", "message": id(6) });
    assert_eq!(asks(&effects, "message.report"), [&wanted]);
    desk.answer("message.report", json!([]));
    assert!(desk.said().contains("Reported"), "{}", desk.said());
}

#[test]
fn one_s_own_message_and_a_direct_one_are_not_reported() {
    let mut desk = Desk::filled(80, 24, Glyphs::Ascii);
    desk.keys("up");
    assert!(asks(&desk.keys("!"), "message.report").is_empty());
    assert!(desk.said().contains("your own"), "{}", desk.said());
}
