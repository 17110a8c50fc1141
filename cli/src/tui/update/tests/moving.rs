//! Going through messages.

use serde_json::json;

use super::{asks, desk, open};
use crate::{
    error::{CommandError, Kind},
    tui::{
        event::Event,
        fixture::{Desk, id, line, many, page},
        glyphs::Glyphs,
        state::{Anchor, window::PAGE},
    },
};

#[test]
fn page_up_goes_back_and_page_down_to_the_end_again() {
    let mut desk = desk();
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 2 }));
    desk.answer("read", many(10..70));
    desk.draw();
    assert!(desk.screen().contains("message 69"));
    let first = desk.state.seen.first.clone().unwrap();
    desk.keys("pageup");
    desk.draw();
    assert_eq!(desk.state.seen.last.as_ref(), Some(&first), "the topmost becomes the lowest");
    let back = desk.state.seen.clone();
    desk.keys("pagedown");
    desk.draw();
    assert_ne!(desk.state.seen, back);
    for _ in 0..5 {
        desk.keys("pagedown");
        desk.draw();
    }
    assert_eq!(desk.state.open.as_ref().unwrap().window.anchor, Anchor::End);
    assert!(desk.screen().contains("message 69"));
}

#[test]
fn near_the_edge_the_page_before_is_asked_for_once() {
    let mut desk = desk();
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 2 }));
    desk.answer("read", many(100..160));
    desk.asked.clear();
    desk.draw();
    assert!(desk.last("read").is_none(), "far from the edge nothing is read");
    for _ in 0..2 {
        desk.keys("pageup");
        desk.draw();
    }
    let reads: Vec<_> = desk.asked.iter().filter(|asked| asked.method == "read").collect();
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert_eq!(reads[0].params["before"], json!(id(100)));
    assert_eq!(reads[0].params["count"], PAGE);
    let seen = desk.state.seen.clone();
    desk.answer("read", many(40..100));
    desk.draw();
    assert_eq!(desk.state.seen, seen, "the view does not move");
}

#[test]
fn what_comes_while_somebody_reads_back_does_not_move_the_view() {
    let mut desk = desk();
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 2 }));
    desk.answer("read", many(100..160));
    desk.draw();
    desk.keys("pageup");
    let before = desk.screen();
    desk.asked.clear();
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 3 }));
    let newest = desk.asked.iter().find(|asked| asked.params["around"].is_null()).unwrap();
    let event = Event::Answered { ticket: newest.ticket, outcome: Ok(many(103..163)) };
    desk.tell(event);
    assert_eq!(desk.screen(), before);
}

#[test]
fn the_selection_goes_up_and_down_and_below_the_newest_is_the_composer() {
    let mut desk = desk();
    desk.draw();
    let selected = |desk: &Desk| {
        desk.state.open.as_ref().unwrap().selecting.as_ref().map(|one| one.id.clone())
    };
    desk.keys("up");
    assert_eq!(selected(&desk), Some(id(9)));
    desk.keys("k k");
    assert_eq!(selected(&desk), Some(id(7)));
    desk.keys("j");
    assert_eq!(selected(&desk), Some(id(8)));
    desk.keys("down down");
    assert_eq!(selected(&desk), None);
    desk.keys("up");
    desk.write("Xy");
    assert_eq!(desk.written(), "Xy", "a letter that means nothing there begins a message");
}

#[test]
fn a_page_that_comes_late_is_not_shown_elsewhere() {
    let mut desk = desk();
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 2 }));
    let late = desk.last("read").unwrap().clone();
    open(&mut desk, "@bo@nest.example");
    desk.tell(Event::Answered { ticket: late.ticket, outcome: Ok(many(1..5)) });
    assert!(desk.state.open.as_ref().unwrap().window.messages.is_empty());
    desk.tell(Event::Answered { ticket: 999_999, outcome: Ok(many(1..5)) });
    assert!(desk.state.open.as_ref().unwrap().window.messages.is_empty());
}

#[test]
fn a_day_without_messages_leaves_the_view_where_it_is() {
    let mut desk = desk();
    desk.write("/goto 2031-01-01");
    desk.keys("enter");
    desk.answer("read", page(&[]));
    assert!(desk.screen().contains("restarting now"));
    assert!(!desk.said().is_empty());
    desk.write("/goto yesterday");
    desk.keys("enter");
    desk.refuse("read", CommandError::new(Kind::Usage, "\"yesterday\" is no time"));
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 9 }));
    desk.answer("read", many(100..160));
    desk.asked.clear();
    for _ in 0..3 {
        desk.keys("pageup");
        desk.draw();
    }
    assert!(desk.last("read").is_some(), "older pages are still asked for");
}

#[test]
fn a_found_message_is_shown_where_it_was_said() {
    let mut desk = desk();
    desk.write("/search log");
    desk.keys("enter");
    let found = line(
        3,
        "bo@nest.example",
        "2026-05-12T10:03:00.000Z",
        "log is here",
        json!({ "with": "rookery-devs#general", "seq": 3 }),
    );
    desk.answer("search", json!({ "messages": [found], "synced": true, "complete": true }));
    let effects = desk.keys("enter");
    assert_eq!(desk.state.open.as_ref().unwrap().target, "rookery-devs#general");
    let around = asks(&effects, "read").into_iter().find(|read| !read["around"].is_null());
    assert_eq!(around.unwrap()["around"], json!(id(3)));
}

#[test]
fn a_found_message_of_a_person_is_shown_in_their_conversation_and_the_list_gives_way() {
    for columns in [80, 120] {
        let mut desk = Desk::filled(columns, 24, Glyphs::Unicode);
        desk.write("/search log");
        desk.keys("enter");
        let said = "2026-05-12T10:03:00.000Z";
        let found =
            line(3, "bo@nest.example", said, "log is here", json!({ "with": "bo@nest.example" }));
        desk.answer("search", json!({ "messages": [found], "synced": true, "complete": true }));
        assert!(desk.screen().contains("in @bo"), "{}", desk.screen());
        desk.keys("enter");
        assert_eq!(desk.state.open.as_ref().unwrap().target, "@bo@nest.example");
        // Where the list lies over the messages it goes; where it stands beside them, it stays.
        assert_eq!(desk.state.sheet.is_some(), columns == 120);
        assert!(desk.state.sheet.as_ref().is_none_or(|sheet| !sheet.has_keys));
    }
}

#[test]
fn words_are_found_in_the_room_backwards_and_forwards_and_further_back_by_the_index() {
    let mut desk = desk();
    let selected = |desk: &Desk| {
        let open = desk.state.open.as_ref().unwrap();
        let one = open.selecting.as_ref().and_then(|one| open.window.get(&one.id));
        one.map(|message| message.text.clone()).unwrap_or_default()
    };
    desk.keys("alt-p /");
    desk.write("NEST3");
    desk.keys("enter");
    let newest = selected(&desk);
    assert!(newest.to_lowercase().contains("nest3"), "{newest}");
    let anchor = desk.state.open.as_ref().unwrap().window.anchor.clone();
    assert!(matches!(anchor, Anchor::At { .. }), "the screen goes there: {anchor:?}");
    desk.keys("n");
    let older = selected(&desk);
    assert!(older.contains("nest3") && older != newest, "{older}");
    desk.keys("N");
    assert_eq!(selected(&desk), newest);
    // Until nothing at hand has them: the index knows what is further back.
    let mut searched = vec![];
    for _ in 0..10 {
        searched.extend(asks(&desk.keys("n"), "search").into_iter().cloned());
        if !searched.is_empty() {
            break;
        }
    }
    assert_eq!(searched[0]["query"], "in:rookery-devs#ops NEST3");
}

#[test]
fn on_a_wide_screen_what_is_unread_stands_first_mentions_before_the_rest() {
    use crate::tui::{fixture::rooms, state::Item};
    let mut desk = Desk::opened(120, 40, Glyphs::Unicode);
    desk.list(rooms());
    let top = |desk: &Desk| -> Vec<String> {
        let named = |item: Item<'_>| match item {
            Item::Heading(heading) => heading.to_owned(),
            Item::Room { room, .. } => room.target.clone(),
            _ => String::new(),
        };
        desk.state.sidebar().into_iter().map(named).collect()
    };
    let listed = top(&desk);
    let wanted = ["Unread", "@alice@nest.example", "rookery-devs#ops", "+weekend"];
    assert_eq!(listed[..4], wanted, "{listed:?}");
    assert_eq!(listed.iter().filter(|one| *one == "@alice@nest.example").count(), 1);
    assert_eq!(listed.iter().filter(|one| *one == "rookery-devs#ops").count(), 2);
    // Whoever walks the list comes by each once.
    let walked = desk.state.listed();
    assert_eq!(walked.iter().filter(|one| *one == "rookery-devs#ops").count(), 1);
    desk.tell(Event::Resized(80, 24));
    assert_eq!(top(&desk)[0], "Direct");
}

/// Whether the newest messages are only looked at when something comes.
fn peeks_when_something_comes(desk: &mut Desk) -> bool {
    let mut effects =
        desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 9 }));
    if asks(&effects, "read").is_empty() {
        // There is a question for them already, after whose answer there is another.
        effects = desk.answer("read", many(10..70));
    }
    let reads = asks(&effects, "read");
    assert!(!reads.is_empty(), "nothing is read");
    reads.iter().all(|read| read["peek"] == true)
}

#[test]
fn what_cannot_be_marked_unread_counts_as_read_when_it_is_looked_at() {
    let mut desk = desk();
    desk.keys("alt-p k");
    desk.draw();
    desk.keys("u");
    desk.refuse("mark-unread", CommandError::new(Kind::NotFound, "nothing"));
    desk.keys("ctrl-end");
    assert!(!peeks_when_something_comes(&mut desk));
}

#[test]
fn pain_09_what_is_marked_unread_stays_so_while_it_is_looked_at() {
    let mut desk = desk();
    desk.keys("alt-p k k k k k");
    desk.draw();
    let id = desk.state.open.as_ref().unwrap().selecting.as_ref().unwrap().id.clone();
    let effects = desk.keys("u");
    let asked = json!({ "room": "rookery-devs#ops", "from": id });
    assert_eq!(asks(&effects, "mark-unread"), [&asked]);
    // What comes before the answer does not make it read.
    assert!(peeks_when_something_comes(&mut desk));
    desk.answer("mark-unread", json!({ "v": 1 }));
    let open_ = desk.state.open.as_ref().unwrap();
    assert_eq!(open_.first_new.as_deref(), Some(id.as_str()));
    // What comes is read, and does not count as read; nor does coming back to the terminal.
    desk.keys("ctrl-end");
    assert!(peeks_when_something_comes(&mut desk));
    assert!(desk.tell(Event::Focus(true)).is_empty());
    // Coming to it again reads it.
    desk.asked.clear();
    open(&mut desk, "@bo@nest.example");
    open(&mut desk, "rookery-devs#ops");
    assert_eq!(desk.last("read").unwrap().params["peek"], false);
    let effects = desk.write("/read all");
    drop(effects);
    let effects = desk.keys("enter");
    assert!(asks(&effects, "mark-read").iter().any(|one| one["room"] == "@alice@nest.example"));
}
