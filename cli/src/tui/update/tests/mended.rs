//! What was refused or did not work: it comes back where it can be mended.

use serde_json::json;

use super::{asks, desk};
use crate::{
    error::{CommandError, Kind},
    tui::{
        effect::Effect,
        event::Event,
        state::{Layer, Purpose},
    },
};

#[test]
fn what_is_filled_into_a_form_is_there_when_it_is_opened_again() {
    let mut desk = desk();
    desk.keys("ctrl-x t");
    desk.write("keep it run");
    desk.keys("esc ctrl-x t");
    desk.write("ning");
    let effects = desk.keys("enter");
    assert!(effects.iter().any(|effect| format!("{effect:?}").contains("keep it running")));
    desk.keys("ctrl-x t");
    let Some(Layer::Form(form)) = desk.state.layers.last() else { panic!("no form") };
    assert!(form.field.is_empty());
}

#[test]
fn a_command_that_fails_comes_back_to_be_mended() {
    let mut desk = desk();
    for (line, method) in
        [("/kick @nobody soon", "member.change"), ("/topic other", "channel.edit")]
    {
        desk.write(line);
        desk.keys("esc enter");
        while matches!(desk.state.layers.last(), Some(Layer::Confirm { .. })) {
            desk.keys("y");
        }
        assert_eq!(desk.written(), "");
        desk.refuse(method, CommandError::new(Kind::NotFound, "nobody is called so"));
        assert_eq!(desk.written(), line);
        desk.keys("ctrl-c");
    }
    // One that was not even asked for.
    desk.write("/channel slow down");
    desk.keys("esc enter");
    assert_eq!(desk.written(), "/channel slow down");
}

#[test]
fn somebody_who_writes_without_a_pause_has_it_kept_all_the_same() {
    use crate::tui::event::Timer;
    let timers = |effects: &[Effect]| {
        effects.iter().filter(|effect| matches!(effect, Effect::Timer(Timer::Draft, _))).count()
    };
    let mut desk = desk();
    assert_eq!(timers(&desk.keys("a")), 1);
    assert_eq!(timers(&desk.keys("b c d")), 0, "the first one stays");
    assert_eq!(asks(&desk.tell(Event::Timer(Timer::Draft)), "settings")[0]["value"], "abcd");
    assert_eq!(timers(&desk.keys("e")), 1);
}

#[test]
fn what_was_confirmed_does_not_come_back_and_a_command_of_another_room_waits_in_its_form() {
    let no = || CommandError::new(Kind::NotPermitted, "no");
    let mut desk = desk();
    desk.keys("alt-p d y");
    desk.refuse("message.change", no());
    assert_eq!(desk.written(), "", "one Enter would delete another message");
    desk.write("/topic other");
    desk.keys("esc enter alt-down");
    desk.refuse("channel.edit", no());
    assert_eq!(desk.written(), "", "it would be run on another room");
    desk.keys("ctrl-x t");
    let Some(Layer::Form(form)) = desk.state.layers.last() else { panic!("no form") };
    assert_eq!(form.field.text(), "other");
}

#[test]
fn a_word_in_a_thread_does_not_end_or_carry_out_the_change_beside_it() {
    let mut desk = desk();
    desk.keys("alt-p k k e");
    let before = desk.written();
    desk.keys("alt-t");
    desk.write("thanks");
    let effects = desk.keys("enter");
    assert!(asks(&effects, "message.change").is_empty());
    assert_eq!(asks(&effects, "send")[0]["text"], "thanks");
    desk.write("no");
    desk.keys("ctrl-c");
    let draft = &desk.state.open.as_ref().unwrap().draft;
    assert!(matches!(draft.purpose, Purpose::Edit(_)), "{draft:?}");
    assert_eq!(desk.written(), before);
}

#[test]
fn a_refused_change_comes_back_over_what_stood_aside() {
    let mut desk = desk();
    desk.write("half a thou");
    desk.keys("alt-p k k e");
    desk.write("!");
    desk.keys("enter");
    assert_eq!(desk.written(), "half a thou");
    desk.refuse("message.change", CommandError::new(Kind::NotPermitted, "no"));
    assert_eq!(desk.written(), "restarting now!");
    desk.keys("esc");
    assert_eq!(desk.written(), "half a thou");
}

#[test]
fn a_refused_answer_is_still_one_and_a_slash_is_still_text() {
    let no = || CommandError::new(Kind::NotPermitted, "no");
    let mut desk = desk();
    desk.keys("alt-p r");
    desk.write("agreed");
    let parent = asks(&desk.keys("enter"), "send")[0]["reply_to"].clone();
    desk.refuse("send", no());
    assert_eq!(desk.written(), "agreed");
    assert_eq!(asks(&desk.keys("enter"), "send")[0]["reply_to"], parent);
    desk.write("//topic");
    desk.keys("esc enter");
    desk.refuse("send", no());
    assert_eq!(desk.written(), "//topic");
}

#[test]
fn what_failed_on_the_screen_outlasts_a_jump_and_the_end() {
    for leave in ["ctrl-home", "ctrl-q"] {
        let mut desk = desk();
        desk.write("first");
        desk.keys("enter");
        desk.write("second");
        desk.refuse("send", CommandError::new(Kind::NotPermitted, "no"));
        let effects = desk.keys(leave);
        assert_eq!(desk.written(), "second\n\nfirst", "{leave}");
        if leave == "ctrl-q" {
            assert_eq!(asks(&effects, "settings")[0]["value"], "second\n\nfirst");
        }
    }
}

#[test]
fn a_draft_that_was_sent_is_not_there_again_before_the_list_says_so() {
    use crate::tui::event::Timer;
    let mut desk = desk();
    desk.write("hello");
    desk.tell(Event::Timer(Timer::Draft));
    desk.answer("settings", json!([]));
    desk.keys("enter alt-down alt-up");
    assert_eq!(desk.written(), "");
}
