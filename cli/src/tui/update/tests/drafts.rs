//! What is written and not sent: nothing of it is ever lost.

use serde_json::json;

use super::{super::act, asks, desk};
use crate::{
    error::{CommandError, Kind},
    tui::{
        action::Action,
        event::Event,
        fixture::{Desk, room, talk},
        glyphs::Glyphs,
        state::{Layer, Purpose, window::Progress},
    },
};

#[test]
fn a_refusal_puts_the_text_back_and_says_why() {
    let mut desk = desk();
    desk.write("rolling nest3");
    desk.keys("enter");
    desk.refuse("send", CommandError::new(Kind::NotPermitted, "you may not speak here"));
    assert_eq!(desk.written(), "rolling nest3");
    assert!(desk.said().contains("you may not speak here"), "{}", desk.said());
}

#[test]
fn what_was_refused_while_something_else_was_written_stays_to_be_seen() {
    let mut desk = desk();
    desk.write("first");
    desk.keys("enter");
    desk.write("second");
    desk.refuse("send", CommandError::new(Kind::NotPermitted, "no"));
    assert_eq!(desk.written(), "second");
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 2 }));
    desk.answer("read", talk());
    let open = desk.state.open.as_ref().unwrap();
    let failed = open.window.messages.iter().find(|message| message.text == "first").unwrap();
    assert_eq!((&failed.progress, failed.reason.as_deref()), (&Progress::Failed, Some("no")));
}

#[test]
fn esc_never_deletes_text() {
    for before in
        ["", "up r", "up enter", "f1 tab", "ctrl-p", "alt-t", "alt-m tab", "alt-l", "ctrl-f"]
    {
        let mut desk = desk();
        if !before.is_empty() {
            desk.keys(before);
        }
        while !desk.state.layers.is_empty() {
            desk.keys("esc");
        }
        if let Some(thread) = &mut desk.state.open.as_mut().unwrap().thread {
            thread.has_keys = false;
        }
        desk.write("half a thou");
        for _ in 0..8 {
            desk.keys("esc");
        }
        assert_eq!(desk.written(), "half a thou", "after {before:?}");
    }
}

#[test]
fn ctrl_c_empties_the_line_and_undo_brings_it_back() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.keys("ctrl-c");
    assert_eq!(desk.written(), "");
    assert!(!desk.state.is_quitting);
    desk.keys("ctrl-_");
    assert_eq!(desk.written(), "half a thou");
}

#[test]
fn each_room_keeps_what_is_written_there() {
    let mut desk = desk();
    desk.write("for ops");
    let effects = desk.keys("alt-down");
    assert_eq!(asks(&effects, "settings")[0]["value"], "for ops", "it is kept in the store too");
    assert_eq!(desk.written(), "");
    let other = desk.state.open.as_ref().unwrap().target.clone();
    desk.write("for the other");
    desk.keys("alt-up");
    assert_eq!(desk.written(), "for ops");
    desk.keys("alt-down");
    assert_eq!(desk.state.open.as_ref().unwrap().target, other);
    assert_eq!(desk.written(), "for the other");
}

#[test]
fn what_is_typed_before_there_is_a_room_stands_in_the_first_one() {
    let mut desk = Desk::new(80, 24, Glyphs::Ascii);
    desk.keys("h i");
    desk.open_profile();
    desk.keys("g h");
    assert!(desk.state.open.is_none() && desk.state.layers.is_empty());
    desk.list(vec![room("@bo@nest.example", json!({}))]);
    desk.keys("!");
    assert_eq!(desk.written(), "high!");
}

#[test]
fn a_draft_of_the_store_is_there_when_its_room_is_opened() {
    let mut desk = Desk::opened(80, 24, Glyphs::Ascii);
    desk.list(vec![room("@bo@nest.example", json!({ "draft": "from yesterday" }))]);
    assert_eq!(desk.written(), "from yesterday");
}

#[test]
fn pain_16_each_thread_keeps_what_is_written_there() {
    let mut desk = desk();
    desk.write("for the room");
    desk.keys("alt-t");
    let root = desk.state.open.as_ref().unwrap().thread.as_ref().unwrap().root.clone();
    assert_eq!(desk.last("settings").unwrap().params["name"], format!("draft/{root}"));
    desk.answer("settings", json!([{ "v": 1, "name": "draft", "value": "from yesterday" }]));
    let written = |desk: &Desk| {
        let thread = desk.state.open.as_ref().unwrap().thread.as_ref();
        thread.map(|thread| thread.draft.composer.text())
    };
    assert_eq!(written(&desk).as_deref(), Some("from yesterday"));
    desk.write(", and today");
    let effects = desk.keys("alt-t");
    let asked = asks(&effects, "settings");
    let drafts: Vec<_> =
        asked.iter().map(|one| (one["name"].clone(), one["value"].clone())).collect();
    assert!(
        drafts.contains(&(json!(format!("draft/{root}")), json!("from yesterday, and today"))),
        "{drafts:?}"
    );
    assert!(drafts.contains(&(json!("draft"), json!("for the room"))), "{drafts:?}");
    assert_eq!(written(&desk), None);
    assert_eq!(desk.written(), "for the room");
    // It is there again, in another thread and after another room too.
    desk.keys("alt-t");
    assert_eq!(written(&desk).as_deref(), Some("from yesterday, and today"));
    desk.keys("alt-down alt-up");
    assert_eq!(desk.written(), "for the room");
    // The other room's page, and then this one's.
    for _ in 0..2 {
        desk.answer("read", talk());
    }
    desk.keys("alt-t");
    assert_eq!(written(&desk).as_deref(), Some("from yesterday, and today"));
}

#[test]
fn a_draft_counts_as_kept_when_it_is_and_not_when_that_is_asked() {
    use crate::tui::event::Timer;
    let mut desk = desk();
    desk.write("not yet said");
    let effects = desk.tell(Event::Timer(Timer::Draft));
    assert_eq!(asks(&effects, "settings").len(), 1);
    assert!(!desk.screen().contains("draft saved"));
    let effects = desk.tell(Event::Timer(Timer::Draft));
    assert!(asks(&effects, "settings").is_empty(), "it is on its way");
    desk.refuse("settings", CommandError::new(Kind::Failed, "the agent has ended"));
    assert!(!desk.screen().contains("draft saved"));
    let effects = desk.tell(Event::Timer(Timer::Draft));
    assert_eq!(asks(&effects, "settings").len(), 1, "it is tried again");
    desk.answer("settings", json!([]));
    assert!(desk.screen().contains("draft saved 10:06"));
    // A letter more does not change what is said of it: it is as true as before.
    desk.write("!");
    assert!(desk.screen().contains("draft saved 10:06"));
}

#[test]
fn a_draft_that_is_sent_while_it_is_being_kept_does_not_stay() {
    use crate::tui::event::Timer;
    let mut desk = desk();
    desk.write("said at once");
    desk.tell(Event::Timer(Timer::Draft));
    let effects = desk.keys("enter");
    let asked = asks(&effects, "settings");
    assert_eq!(asked[0]["value"], "", "{effects:?}");
}

#[test]
fn a_command_is_no_draft_of_the_room_that_it_leaves() {
    let mut desk = desk();
    desk.write("/go @bo@nest.example");
    let effects = desk.keys("enter");
    assert!(asks(&effects, "settings").is_empty(), "{effects:?}");
    desk.write("/go rookery-devs#ops");
    desk.keys("enter");
    assert_eq!(desk.written(), "");
    assert!(desk.state.drafts.is_empty());
}

#[test]
fn an_edit_that_is_refused_comes_back() {
    let mut desk = desk();
    act::run(&mut desk.state, Action::Edit, "");
    desk.write(" and more");
    let wanted = desk.written();
    desk.keys("enter");
    assert_eq!(desk.written(), "");
    desk.refuse("message.change", CommandError::new(Kind::NotPermitted, "you may not"));
    assert_eq!(desk.written(), wanted);
    let effects = desk.keys("enter");
    assert_eq!(asks(&effects, "message.change")[0]["act"], json!({ "edit": wanted }));
}

#[test]
fn what_was_refused_while_something_else_was_written_goes_to_the_draft_when_the_room_is_left() {
    let mut desk = desk();
    desk.write("first");
    desk.keys("enter");
    desk.write("second");
    desk.refuse("send", CommandError::new(Kind::NotPermitted, "no"));
    let effects = desk.keys("alt-down");
    assert_eq!(asks(&effects, "settings")[0]["value"], "second\n\nfirst");
    desk.keys("alt-up");
    assert_eq!(desk.written(), "second\n\nfirst");
}

#[test]
fn what_is_refused_while_another_room_is_open_is_a_draft_of_its_own() {
    let mut desk = desk();
    desk.write("first");
    desk.keys("enter alt-down");
    desk.write("elsewhere");
    let effects = desk.refuse("send", CommandError::new(Kind::NotPermitted, "no"));
    let kept = asks(&effects, "settings");
    assert_eq!((&kept[0]["of"], &kept[0]["value"]), (&json!("rookery-devs#ops"), &json!("first")));
    assert_eq!(desk.written(), "elsewhere");
    desk.keys("alt-up");
    assert_eq!(desk.written(), "first");
}

#[test]
fn an_answer_and_a_change_are_gone_on_with_after_another_room() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.keys("alt-p k k e");
    desk.write(" really");
    desk.keys("alt-down alt-up");
    let draft = &desk.state.open.as_ref().unwrap().draft;
    assert!(matches!(draft.purpose, Purpose::Edit(_)), "{draft:?}");
    assert_eq!(desk.written(), "restarting now really");
    desk.keys("esc");
    assert_eq!(desk.written(), "half a thou");

    desk.answer("read", talk());
    desk.answer("read", talk());
    desk.keys("alt-p r alt-down alt-up");
    let effects = desk.keys("enter");
    assert!(asks(&effects, "send")[0]["reply_to"].is_string(), "{effects:?}");
}

#[test]
fn a_paste_is_never_lost() {
    // Before there is a room.
    let mut early = Desk::new(80, 24, Glyphs::Ascii);
    early.tell(Event::Paste("one ".to_owned()));
    early.open_profile();
    early.tell(Event::Paste("two ".to_owned()));
    early.list(vec![]);
    early.tell(Event::Paste("three".to_owned()));
    assert!(early.said().contains("where you go next"), "{}", early.said());
    early.list(vec![room("@bo@nest.example", json!({}))]);
    assert_eq!(early.written(), "one two three");

    // Over a question, and over another paste.
    let mut desk = desk();
    desk.keys("alt-p d");
    assert!(matches!(desk.state.layers.last(), Some(Layer::Confirm { .. })));
    desk.tell(Event::Paste("meanwhile".to_owned()));
    desk.keys("n");
    assert_eq!(desk.written(), "meanwhile");
    desk.keys("esc ctrl-c");
    let lines = "a line\n".repeat(21);
    desk.tell(Event::Paste(lines.clone()));
    desk.tell(Event::Paste("and one".to_owned()));
    desk.keys("y");
    assert_eq!(desk.written(), format!("{lines}and one"));
}
