//! What is written, sent and kept.

use serde_json::json;

use super::{super::act, asks, desk};
use crate::{
    error::{CommandError, Kind},
    tui::{
        action::Action,
        effect::Effect,
        event::Event,
        fixture::{Desk, id, key_events, room, talk},
        glyphs::Glyphs,
        state::{Editing, Layer, conversation::Purpose, window::Progress},
    },
};

#[test]
fn enter_shows_what_was_written_at_once_and_asks_to_send_it_once() {
    let mut desk = desk();
    desk.write("rolling nest3");
    let effects = desk.keys("enter");
    let sends = asks(&effects, "send");
    assert_eq!(sends.len(), 1, "{effects:?}");
    assert_eq!(sends[0]["to"], "rookery-devs#ops");
    assert_eq!(sends[0]["text"], "rolling nest3");
    let sent = sends[0]["id"].as_str().unwrap();
    assert_eq!(sent.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    let echo = desk.state.open.as_ref().unwrap().window.messages.last().unwrap();
    assert_eq!((echo.id.as_str(), echo.text.as_str()), (sent, "rolling nest3"));
    assert_eq!(echo.progress, Progress::Sending);
    assert_eq!(desk.written(), "");
    assert!(desk.screen().contains("rolling nest3"));
    assert!(asks(&desk.keys("enter"), "send").is_empty(), "an empty line sends nothing");
}

#[test]
fn ids_of_messages_differ() {
    let mut desk = desk();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..100 {
        desk.write("x");
        let effects = desk.keys("enter");
        assert!(ids.insert(asks(&effects, "send")[0]["id"].to_string()));
    }
}

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
fn a_refusal_that_keeps_the_message_shows_it_as_queued() {
    let mut desk = desk();
    desk.write("rolling nest3");
    desk.keys("enter");
    let mut error = CommandError::new(Kind::NoConnection, "no connection");
    error.queued = Some("id".to_owned());
    desk.refuse("send", error);
    let echo = desk.state.open.as_ref().unwrap().window.messages.last().unwrap();
    assert_eq!(echo.progress, Progress::Queued);
    assert_eq!(desk.written(), "");
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
fn esc_while_editing_brings_back_what_was_written_before_and_undo_the_change() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.keys("alt-p k k");
    desk.keys("e");
    assert_eq!(desk.written(), "restarting now");
    desk.write(" really");
    desk.keys("esc");
    assert_eq!(desk.written(), "half a thou");
    assert_eq!(desk.state.open.as_ref().unwrap().purpose, Purpose::Say);
    desk.keys("ctrl-_");
    assert_eq!(desk.written(), "restarting now really");
}

#[test]
fn an_edit_asks_for_a_change_and_what_was_written_before_comes_back() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.keys("alt-p k k e");
    desk.write("!");
    let effects = desk.keys("enter");
    assert!(asks(&effects, "send").is_empty());
    let changes = asks(&effects, "message.change");
    assert_eq!(changes[0]["message"], json!(id(7)));
    assert!(changes[0].to_string().contains("restarting now!"), "{changes:?}");
    assert_eq!(desk.written(), "half a thou");
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
fn an_unknown_command_is_an_error_and_is_not_sent() {
    let mut desk = desk();
    desk.write("/frobnicate all");
    let effects = desk.keys("esc enter");
    assert!(asks(&effects, "send").is_empty());
    assert_eq!(desk.written(), "/frobnicate all");
    assert!(desk.said().contains("There is no command /frobnicate"), "{}", desk.said());
}

#[test]
fn two_slashes_send_one() {
    let mut desk = desk();
    desk.write("//etc/passwd");
    let effects = desk.keys("enter");
    assert_eq!(asks(&effects, "send")[0]["text"], "/etc/passwd");
}

#[test]
fn a_paste_of_100_kib_lands_in_the_composer_after_a_question_and_nothing_is_sent() {
    let mut desk = desk();
    let text = "a line of a log\n".repeat(6_400);
    let mut effects = desk.tell(Event::Paste(text.clone()));
    assert!(matches!(desk.state.layers.last(), Some(Layer::Paste { .. })));
    assert_eq!(desk.written(), "");
    desk.draw();
    effects.extend(desk.keys("enter"));
    assert!(asks(&effects, "send").is_empty());
    assert_eq!(desk.written(), text);
    desk.draw();
    let effects = desk.keys("enter");
    assert!(asks(&effects, "send").is_empty(), "a message has at most 40 KiB");
    assert_eq!(desk.written(), text);
}

#[test]
fn a_short_paste_is_one_message_to_be_sent_by_hand() {
    let mut desk = desk();
    let effects = desk.tell(Event::Paste("one\ntwo\n".to_owned()));
    assert!(asks(&effects, "send").is_empty());
    assert_eq!(desk.written(), "one\ntwo\n");
}

#[test]
fn with_the_vim_setting_esc_goes_to_normal_mode_and_a_colon_takes_commands() {
    let mut desk = desk();
    desk.write("/set keys vim");
    desk.keys("esc enter");
    assert_eq!(desk.state.editing, Editing::Vim);
    desk.write("one two");
    desk.keys("esc");
    assert_eq!(desk.written(), "one two");
    desk.keys("b d w");
    assert_eq!(desk.written(), "one ");
    desk.keys("u");
    assert_eq!(desk.written(), "one two");
    desk.keys(":");
    desk.write("members");
    let effects = desk.keys("enter");
    assert_eq!(asks(&effects, "member.list").len(), 1, "{effects:?}");
    desk.keys("esc");
    let before = desk.state.open.as_ref().unwrap().target.clone();
    desk.keys("g t");
    assert_ne!(desk.state.open.as_ref().unwrap().target, before);
}

#[test]
fn a_key_that_is_let_go_is_not_pressed_again() {
    use ratatui::crossterm::event::KeyEventKind;
    let mut desk = desk();
    let mut key = key_events("a")[0];
    key.kind = KeyEventKind::Release;
    desk.tell(Event::Key(key));
    assert_eq!(desk.written(), "");
}

#[test]
fn a_message_of_two_lines_keeps_them() {
    let mut desk = desk();
    desk.write("one");
    desk.keys("alt-enter");
    desk.write("two\\");
    desk.keys("enter");
    desk.write("three");
    let effects = desk.keys("enter");
    assert_eq!(asks(&effects, "send")[0]["text"], "one\ntwo\nthree");
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
        thread.map(|thread| thread.composer.text())
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
    assert!(desk.screen().contains("draft saved"));
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
fn pain_15_a_long_paste_becomes_text_or_one_block_of_code_and_files_are_said_to_be_for_later() {
    let lines = "a line\n".repeat(21);
    for (key, wanted) in [
        ("enter", lines.clone()),
        ("y", lines.clone()),
        ("c", format!("```\n{}\n```", lines.trim_end())),
        ("n", String::new()),
        ("esc", String::new()),
    ] {
        let mut desk = desk();
        desk.tell(Event::Paste(lines.clone()));
        let screen = desk.screen();
        assert!(screen.contains("block of code") && screen.contains("Files cannot be sent yet"));
        let effects = desk.keys(key);
        assert!(asks(&effects, "send").is_empty());
        assert_eq!(desk.written(), wanted, "{key}");
    }
    let mut desk = desk();
    desk.tell(Event::Paste(format!("````\n{lines}")));
    desk.keys("c");
    assert!(desk.written().starts_with("`````\n````\n"), "{}", desk.written());
    let mut desk = super::desk();
    desk.tell(Event::Paste("x".repeat(8 * 1024 + 1)));
    assert!(desk.screen().contains("8 KiB"));
}

#[test]
fn with_the_vim_setting_what_is_selected_is_seen_and_copied() {
    let mut desk = desk();
    desk.state.editing = Editing::Vim;
    desk.write("one two");
    desk.keys("esc 0 v e");
    let buffer = desk.draw();
    let selected = desk.state.look.theme.style(crate::tui::theme::Role::Selected);
    let marked: String = buffer
        .content()
        .iter()
        .filter(|cell| cell.modifier.contains(selected.add_modifier))
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    assert!(marked.contains("one") && !marked.contains("two"), "{marked:?}");
    let effects = desk.keys("\" + y");
    assert!(effects.contains(&Effect::Copy("one".to_owned())), "{effects:?}");
}

#[test]
fn an_edit_that_is_begun_beside_a_thread_takes_what_is_written_in_the_room() {
    let mut desk = desk();
    desk.keys("alt-t");
    desk.write("for the thread");
    act::run(&mut desk.state, Action::Edit, "");
    let before = desk.written();
    assert!(!before.is_empty());
    desk.write("!");
    let effects = desk.keys("enter");
    let changes = asks(&effects, "message.change");
    assert_eq!(changes[0]["act"], json!({ "edit": format!("{before}!") }));
    let thread = desk.state.open.as_ref().unwrap().thread.as_ref().unwrap();
    assert_eq!(thread.composer.text(), "for the thread");
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
fn what_is_sent_by_a_command_leaves_what_is_being_written() {
    let mut desk = desk();
    desk.write("half a thou");
    let effects = act::run(&mut desk.state, Action::Me, "waves");
    assert_eq!(asks(&effects, "send")[0]["text"], "*waves*");
    let effects = act::run(&mut desk.state, Action::Reply, "yes");
    let sent = &asks(&effects, "send")[0];
    assert!(sent["text"] == "yes" && sent["reply_to"].is_string(), "{sent}");
    assert_eq!(desk.written(), "half a thou");
}
