//! Sheets and questions.

use serde_json::{Value, json};

use super::{asks, desk};
use crate::{
    agent::verb::LinkEvent,
    tui::{
        effect::Effect,
        event::{Event, Timer},
        state::{Layer, Sheet, SheetKind},
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
        desk.state.open.as_mut().unwrap().draft.composer.set_text(command);
        desk.state.sheet = None;
        desk.keys("enter");
        desk.answer(method, json!({ "unexpected": [1, 2, 3] }));
        assert!(desk.said().contains("answered something else"), "{method}: {}", desk.said());
        desk.draw();
    }
}

#[test]
fn what_others_lose_by_is_asked_about_however_it_is_reached() {
    for (line, method) in [
        ("/kick @bo", "member.change"),
        ("/ban @bo spam", "member.change"),
        ("/block @bo", "contact.change"),
        ("/channel delete staff", "channel.edit"),
        ("/role delete mods", "role.change"),
        ("/invite revoke 3", "community.invite"),
        ("/devices revoke 1", "device.revoke"),
        ("/sessions end 1", "session.end"),
        ("/logout", "logout"),
    ] {
        for with_sheet in [false, true] {
            let mut desk = desk();
            desk.state.sheet = with_sheet.then(|| Sheet::of(SheetKind::Help, vec![]));
            if let Some(sheet) = &mut desk.state.sheet {
                sheet.has_keys = false;
            }
            desk.write(line);
            let effects = desk.keys("esc enter");
            assert!(asks(&effects, method).is_empty(), "{line} was done without a question");
            assert!(matches!(desk.state.layers.last(), Some(Layer::Confirm { .. })), "{line}");
            assert!(asks(&desk.keys("n"), method).is_empty(), "{line}");
            desk.write(line);
            desk.keys("esc enter");
            assert_eq!(asks(&desk.keys("y"), method).len(), 1, "{line}");
        }
    }
    let mut desk = desk();
    desk.keys("ctrl-x Q");
    assert!(matches!(desk.state.layers.last(), Some(Layer::Confirm { .. })));
}

#[test]
fn roles_channels_and_invitations_take_all_that_the_product_knows_of_them() {
    let mut desk = desk();
    let mut done = |line: &str, method: &str| {
        desk.write(line);
        let effects = desk.keys("esc enter");
        let asked = asks(&effects, method);
        assert_eq!(asked.len(), 1, "{line}: {}", desk.said());
        let asked = asked[0].clone();
        desk.keys("ctrl-c");
        asked
    };
    let role = done("/role edit mods name=keepers rank=7 colour=#00ff10 kick ban", "role.change");
    assert_eq!((&role["role"], &role["name"]), (&json!("mods"), &json!("keepers")));
    assert_eq!((&role["rank"], &role["colour"]), (&json!(7), &json!(0xff10)));
    assert_eq!(role["permissions"], json!(["kick", "ban"]));
    let grant = done("/channel deny @bo send react", "channel.grant");
    assert_eq!(grant["how"], "deny");
    assert_eq!(grant["what"], json!(["send", "react"]));
    assert_eq!(grant["channel"], "rookery-devs#ops");
    let edit = done("/channel history since-join", "channel.edit");
    assert_eq!(edit["history"], "since-join");
    let edit = done("/channel rename staff crew", "channel.edit");
    assert_eq!((&edit["channel"], &edit["name"]), (&json!("rookery-devs#staff"), &json!("crew")));
    let invite = done("/invite uses=5 for=7d role=mods", "community.invite");
    assert_eq!((&invite["uses"], &invite["for_ms"]), (&json!(5), &json!(7 * 86_400_000_u64)));
    assert_eq!((&invite["roles"], &invite["who"]), (&json!(["mods"]), &Value::Null));
    for wrong in ["/role edit mods colour=red", "/invite uses=many", "/channel allow @bo"] {
        desk.write(wrong);
        let effects = desk.keys("esc enter");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })), "{wrong}");
        assert_eq!(desk.written(), wrong, "what is wrong can be mended");
        desk.keys("ctrl-c");
    }
}

#[test]
fn servers_that_are_away_are_told_in_the_status_line_and_by_a_sheet() {
    let mut desk = desk();
    let peer = |state: &str, waiting: u64| {
        json!([{ "v": 1, "server": "garden.example", "state": state,
            "since": "2026-05-12T10:02:00.000Z", "waiting": waiting }])
    };
    desk.write("/peers");
    desk.keys("esc enter");
    desk.answer("peer.list", peer("down", 2));
    desk.keys("esc");
    let screen = desk.screen();
    assert!(screen.contains("peers: 1 down (garden.example 4 min)"), "{screen}");
    // It is asked again while one is away, and no more after that.
    let effects = desk.tell(Event::Timer(Timer::Clock));
    assert_eq!(asks(&effects, "peer.list").len(), 1);
    desk.answer("peer.list", peer("up", 0));
    assert!(!desk.screen().contains("peers:"));
    assert!(asks(&desk.tell(Event::Timer(Timer::Clock)), "peer.list").is_empty());
}

#[test]
fn the_log_is_checked_people_are_suggested_and_sessions_listed() {
    let mut desk = desk();
    desk.write("/check");
    desk.keys("esc enter");
    desk.answer(
        "community.verify",
        json!({ "v": 1, "id": "x", "holds": false, "statements": 9, "members": 3, "alarm": "a fork" }),
    );
    assert!(desk.screen().contains("! a fork"), "{}", desk.screen());
    desk.keys("esc");
    desk.write("/suggest");
    desk.keys("esc enter");
    desk.answer(
        "contact.suggest",
        json!([{ "v": 1, "name": "cy@nest.example", "communities": 2, "contacts": 1 }]),
    );
    assert!(desk.screen().contains("2 communities, 1 contacts shared"), "{}", desk.screen());
    let effects = desk.keys("a");
    assert_eq!(asks(&effects, "contact.change")[0]["who"], "@cy@nest.example");
}
