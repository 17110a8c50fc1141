//! Sheets and questions.

use serde_json::json;

use super::{asks, desk};
use crate::{
    agent::verb::LinkEvent,
    tui::{
        effect::Effect,
        event::Event,
        state::{Layer, SheetKind},
    },
};

#[test]
fn enter_on_a_row_of_words_does_not_send_what_is_written() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.write("");
    desk.keys("alt-p i");
    assert!(matches!(desk.state.sheet.as_ref().unwrap().kind, SheetKind::Why(_)));
    let effects = desk.keys("enter");
    assert!(asks(&effects, "send").is_empty());
    assert_eq!(desk.written(), "half a thou");
}

#[test]
fn safety_numbers_are_compared_with_two_keys() {
    for (key, same) in [("y", true), ("n", false)] {
        let mut desk = desk();
        desk.write("/verify @bo@nest.example");
        desk.keys("enter");
        let number = "11111 22222 33333 44444 55555 66666 77777 88888";
        let line = json!({ "v": 1, "name": "bo@nest.example", "safety_number": number, "trust": "unverified" });
        desk.answer("verify", line);
        assert!(desk.screen().contains("55555"));
        let effects = desk.keys(key);
        assert_eq!(asks(&effects, "verify")[0]["same"], json!(same));
        assert_eq!(asks(&effects, "verify")[0]["who"], "@bo@nest.example");
    }
}

#[test]
fn what_cannot_be_undone_is_asked_about_first() {
    for command in ["/leave", "/community delete", "/channel delete ops", "/delete"] {
        let mut desk = desk();
        desk.keys("alt-p");
        desk.keys("esc");
        desk.write(command);
        let effects = desk.keys("esc enter");
        assert!(
            !effects.iter().any(|effect| matches!(effect, Effect::Ask { method, .. } if *method != "settings" && *method != "typing")),
            "{command}: {effects:?}"
        );
        assert!(matches!(desk.state.layers.last(), Some(Layer::Confirm { .. })), "{command}");
        desk.keys("n");
        assert!(desk.state.layers.is_empty());
    }
}

#[test]
fn a_device_that_typed_the_code_waits_for_a_yes() {
    let mut desk = desk();
    desk.write("/link");
    desk.keys("esc enter");
    let ticket = desk.last("device.link").unwrap().ticket;
    let code = LinkEvent {
        v: 1,
        code: "apple-42".to_owned(),
        expires: "2026-05-12T10:16:00.000Z".to_owned(),
    };
    desk.tell(Event::Told { ticket, event: serde_json::to_value(code).unwrap() });
    assert!(desk.screen().contains("apple-42"));
    desk.answer(
        "device.link",
        json!({ "v": 1, "state": "introduced", "name": "phone", "platform": "linux" }),
    );
    assert!(desk.screen().contains("phone"));
    let effects = desk.keys("y");
    assert_eq!(asks(&effects, "device.link")[0]["answer"], json!(true));
}

#[test]
fn an_answer_that_is_something_else_is_trouble_and_no_more() {
    let mut desk = desk();
    for method in ["member.list", "read", "device.list", "search"] {
        let command = match method {
            "member.list" => "/members",
            "device.list" => "/devices",
            "search" => "/search x",
            _ => "/newest",
        };
        desk.state.open.as_mut().unwrap().composer.set_text(command);
        desk.state.sheet = None;
        desk.keys("enter");
        desk.answer(method, json!({ "unexpected": [1, 2, 3] }));
        assert!(desk.said().contains("answered something else"), "{method}: {}", desk.said());
        desk.draw();
    }
}
