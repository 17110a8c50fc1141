//! What is written, sent and kept.

use serde_json::json;

use super::{super::act, asks, desk};
use crate::{
    error::{CommandError, Kind},
    tui::{
        action::Action,
        effect::Effect,
        event::Event,
        fixture::{id, key_events},
        state::{Editing, Layer, Purpose, window::Progress},
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
fn esc_while_editing_brings_back_what_was_written_before_and_undo_the_change() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.keys("alt-p k k");
    desk.keys("e");
    assert_eq!(desk.written(), "restarting now");
    desk.write(" really");
    desk.keys("esc");
    assert_eq!(desk.written(), "half a thou");
    assert_eq!(desk.state.open.as_ref().unwrap().draft.purpose, Purpose::Say);
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
fn pain_15_a_long_paste_becomes_text_or_one_block_of_code_or_a_file() {
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
        assert!(screen.contains("block of code") && screen.contains("f as a file"));
        let effects = desk.keys(key);
        assert!(asks(&effects, "send").is_empty());
        assert_eq!(desk.written(), wanted, "{key}");
    }
    // As a terminal has it.
    let mut desk = desk();
    desk.tell(Event::Paste(lines.replace('\n', "\r")));
    assert!(desk.screen().contains("21 lines"));
    desk.keys("enter");
    assert_eq!(desk.written(), lines);
    let mut desk = super::desk();
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
    assert_eq!(thread.draft.composer.text(), "for the thread");
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
