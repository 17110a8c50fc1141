//! Several conversations on the screen at once.

use serde_json::json;

use super::{asks, open};
use crate::{
    agent::verb::WatchEvent,
    tui::{
        event::Event,
        fixture::{Desk, line, page, talk},
        glyphs::Glyphs,
        state::Editing,
    },
};

const OPS: &str = "rookery-devs#ops";
const BO: &str = "@bo@nest.example";

/// `#ops`, and beside it what was said with bo, which has the keys.
fn beside() -> Desk {
    let mut desk = Desk::filled(140, 40, Glyphs::Ascii);
    desk.keys("ctrl-x 3");
    desk.write("bo@");
    desk.keys("enter");
    let said = json!({ "with": BO });
    desk.answer(
        "read",
        page(&[line(30, "bo@nest.example", "2026-05-12T09:00:00.000Z", "lunch?", said)]),
    );
    desk
}

fn target(desk: &Desk) -> &str {
    &desk.state.open.as_ref().unwrap().target
}

fn others(desk: &Desk) -> Vec<&str> {
    desk.state.split.others().map(|open| open.target.as_str()).collect()
}

#[test]
fn two_conversations_are_shown_together_and_each_keeps_its_own_text() {
    let mut desk = beside();
    assert_eq!((target(&desk), others(&desk)), (BO, vec![OPS]));
    let screen = desk.screen();
    assert!(screen.contains("> @bo") && screen.contains("lunch?"), "{screen}");
    assert!(screen.contains("  #ops") && screen.contains("deploy 4.2"), "{screen}");
    desk.write("hungry");
    desk.keys("f6");
    assert_eq!((target(&desk), desk.written().as_str()), (OPS, ""));
    let screen = desk.screen();
    assert!(screen.contains("> #ops") && screen.contains("lunch?"), "{screen}");
    desk.write("later");
    desk.keys("f6");
    assert_eq!((target(&desk), desk.written().as_str()), (BO, "hungry"));
    desk.keys("f6");
    assert_eq!(desk.written(), "later");
}

#[test]
fn what_is_looked_at_is_read_again_and_does_not_count_as_read() {
    let mut desk = beside();
    let effects = desk.tell(Event::Watched(WatchEvent::Messages { revision: 9 }));
    let read = asks(&effects, "read");
    let of = |with: &str| read.iter().find(|read| read["with"] == with).unwrap();
    assert_eq!((&of(BO)["peek"], &of(OPS)["peek"]), (&json!(false), &json!(true)));
    let new = line(31, "bo@nest.example", "2026-05-12T10:05:55.000Z", "nest3 is up", json!({}));
    desk.answer("read", page(&[new]));
    assert_eq!(target(&desk), BO);
    assert!(desk.screen().contains("nest3 is up"));
}

#[test]
fn what_changes_while_it_is_read_is_read_afterwards() {
    let mut desk = beside();
    desk.tell(Event::Watched(WatchEvent::Messages { revision: 9 }));
    let again = desk.tell(Event::Watched(WatchEvent::Messages { revision: 10 }));
    assert!(asks(&again, "read").is_empty());
    let effects = desk.answer("read", talk());
    let with: Vec<_> = asks(&effects, "read").iter().map(|read| read["with"].clone()).collect();
    assert_eq!(with, [json!(OPS)]);
}

#[test]
fn a_conversation_is_shown_once_and_going_to_it_gives_it_the_keys() {
    let mut desk = beside();
    open(&mut desk, OPS);
    assert_eq!(others(&desk), [BO]);
    desk.write(&format!("/split {OPS}"));
    desk.keys("enter");
    assert!(desk.said().contains("shown already"), "{}", desk.said());
    assert_eq!(others(&desk), [BO]);
}

#[test]
fn a_pane_is_closed_and_the_rest_stays() {
    for close in ["ctrl-x 0", "ctrl-w q"] {
        let mut desk = beside();
        if close == "ctrl-w q" {
            desk.state.editing = Editing::Vim;
            desk.keys("esc");
        }
        desk.keys(close);
        assert_eq!((target(&desk), others(&desk)), (OPS, vec![]));
        let screen = desk.screen();
        assert!(screen.contains("deploy 4.2") && !screen.contains("lunch?"), "{screen}");
        desk.keys(close);
        assert_eq!(target(&desk), OPS);
        assert!(desk.said().contains("no other pane"), "{}", desk.said());
    }
}

#[test]
fn they_lie_beside_or_below_one_another_and_four_are_the_most() {
    let mut desk = beside();
    desk.write("/layout below");
    desk.keys("enter");
    let screen = desk.screen();
    let row = |text: &str| screen.lines().position(|row| row.contains(text)).unwrap();
    assert!(row("  #ops") < row("restarting") && row("restarting") < row("> @bo"), "{screen}");
    assert!(row("> @bo") < row("lunch?"), "{screen}");
    for name in ["+weekend", "@quiet@nest.example"] {
        desk.write(&format!("/vsplit {name}"));
        desk.keys("enter");
        assert_eq!(target(&desk), name);
    }
    desk.write("/split gardeners#all");
    desk.keys("enter");
    assert_eq!(desk.said(), "There are 4 panes: close one of them first");
    desk.keys("ctrl-u");
    desk.write("/layout one");
    desk.keys("enter");
    assert_eq!((target(&desk), others(&desk).len()), ("@quiet@nest.example", 0));
}

#[test]
fn where_there_is_no_room_the_one_with_the_keys_is_shown() {
    let mut desk = beside();
    for (columns, rows, shows_both) in [(140, 40, true), (60, 24, true), (44, 24, false)] {
        desk.tell(Event::Resized(columns, rows));
        let screen = desk.screen();
        assert!(screen.contains("lunch?"), "{screen}");
        assert_eq!(screen.contains("  #ops "), shows_both, "{columns}: {screen}");
    }
    desk.tell(Event::Resized(140, 40));
    desk.keys("ctrl-x 1");
    assert!(!desk.screen().contains("deploy 4.2"), "on the whole screen");
}
