//! What happened in a community, and what cannot be opened yet.

use serde_json::{Value, json};

use super::asks;
use crate::{
    agent::verb::WatchEvent,
    tui::{
        event::Event,
        fixture::{Desk, id, line, page, room, rooms},
        glyphs::Glyphs,
        state::window::Progress,
    },
};

const OPS: &str = "rookery-devs#ops";

/// A screen that shows all of it.
fn desk() -> Desk {
    Desk::filled(120, 40, Glyphs::Unicode)
}

fn entry(seq: u64, at: &str, by: &str, what: &str, more: &Value) -> Value {
    let mut entry = json!({
        "v": 1, "seq": seq, "at": at, "by": format!("{by}@nest.example"), "what": what, "hash": "h",
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

/// The list of rooms with `entries` in the log of the one that is open.
fn list(desk: &mut Desk, entries: u64) -> Vec<crate::tui::effect::Effect> {
    let mut all = rooms();
    let open = all.iter_mut().find(|room| room.target == OPS).unwrap();
    open.log = Some(entries);
    desk.list(all)
}

#[test]
fn what_happened_stands_among_the_messages_by_its_time() {
    let mut desk = desk();
    let effects = list(&mut desk, 9);
    let asked = asks(&effects, "community.log");
    assert_eq!(
        (&asked[0]["community"], &asked[0]["local"]),
        (&json!("rookery-devs"), &json!(true))
    );
    let bob = json!({ "whom": "bob@nest.example", "text": "spam" });
    let role = json!({ "whom": "bob@nest.example", "text": "mods" });
    let topic =
        json!({ "room": OPS, "change": "topic", "topic": "keep it running", "text": "ops" });
    let elsewhere = json!({ "room": "rookery-devs#general", "change": "renamed", "text": "x" });
    desk.answer(
        "community.log",
        json!([
            entry(0, "2026-05-12T09:00:00.000Z", "alice", "founded", &json!({})),
            entry(1, "2026-05-12T10:02:00.000Z", "bob", "joined", &json!({})),
            entry(2, "2026-05-12T10:02:01.000Z", "cy", "joined", &json!({})),
            entry(3, "2026-05-12T10:02:02.000Z", "cy", "began an epoch", &json!({})),
            entry(4, "2026-05-12T10:02:03.000Z", "dee", "joined", &json!({})),
            entry(5, "2026-05-12T10:02:04.000Z", "alice", "gave a role to", &role),
            entry(6, "2026-05-12T10:04:10.000Z", "alice", "kicked", &bob),
            entry(7, "2026-05-12T10:06:00.000Z", "alice", "set a channel", &topic),
            entry(8, "2026-05-12T10:06:01.000Z", "alice", "set a channel", &elsewhere),
        ]),
    );
    let screen = desk.screen();
    let row = |text: &str| {
        screen
            .lines()
            .position(|row| row.contains(text))
            .unwrap_or_else(|| panic!("{text}\n{screen}"))
    };
    assert!(row("green on all") < row("bob, cy and dee joined"));
    assert!(row("bob, cy and dee joined") < row("bob has the role mods now, by alice"));
    assert!(row("bob has the role") < row("log is here"));
    assert!(row("bob was sent away by alice: spam") < row("family"));
    assert!(row("and the log after that") < row("alice set the topic: keep it running"));
    assert!(!screen.contains("epoch") && !screen.contains("renamed"), "{screen}");
}

#[test]
fn what_a_founder_sets_up_is_one_with_the_founding_and_many_are_told_as_many() {
    let mut desk = desk();
    list(&mut desk, 5);
    let made = json!({ "room": OPS, "change": "made", "text": "ops" });
    let added = |who: &str| json!({ "whom": format!("{who}@nest.example") });
    desk.answer(
        "community.log",
        json!([
            entry(0, "2026-05-12T10:05:50.000Z", "alice", "founded", &json!({})),
            entry(1, "2026-05-12T10:05:51.000Z", "alice", "edited", &json!({ "text": "Devs" })),
            entry(2, "2026-05-12T10:05:52.000Z", "alice", "set a channel", &made),
            entry(3, "2026-05-12T10:05:53.000Z", "alice", "added", &added("bob")),
            entry(4, "2026-05-12T10:05:54.000Z", "alice", "added", &added("cy")),
        ]),
    );
    let screen = desk.screen();
    assert!(screen.contains("alice founded this community"), "{screen}");
    assert!(screen.contains("bob and cy were added by alice"), "{screen}");
    assert!(!screen.contains("changed the community") && !screen.contains("made this"), "{screen}");
}

#[test]
fn pain_09_what_happened_makes_nothing_unread_and_is_asked_for_once() {
    let mut desk = desk();
    assert_eq!(asks(&list(&mut desk, 1), "community.log").len(), 1);
    assert_eq!(asks(&list(&mut desk, 1), "community.log").len(), 0, "it is on its way");
    let joined = entry(0, "2026-05-12T10:05:50.000Z", "bob", "joined", &json!({}));
    let before = desk.state.open.as_ref().unwrap().first_new.clone();
    desk.answer("community.log", json!([joined]));
    assert_eq!(asks(&list(&mut desk, 1), "community.log").len(), 0, "nothing was added");
    let effects = list(&mut desk, 2);
    let asked = asks(&effects, "community.log");
    assert_eq!(asked[0]["from"], json!(1), "only what was added is read");
    desk.answer("community.log", json!([]));
    let open = desk.state.open.as_ref().unwrap();
    assert_eq!(open.first_new, before);
    assert_eq!(open.window.messages.len(), 9, "they are no messages");
    assert!(desk.screen().contains("bob joined"));
    desk.keys("alt-p");
    assert_eq!(
        desk.state.open.as_ref().unwrap().selecting.as_ref().unwrap().id,
        id(9),
        "and are not selected"
    );
}

#[test]
fn where_it_is_not_wanted_nothing_of_it_is_read_or_shown() {
    let mut desk = desk();
    desk.state.look.events = false;
    assert!(asks(&list(&mut desk, 5), "community.log").is_empty());
}

fn waiting(desk: &mut Desk, since: Option<&str>) {
    let mut all = rooms();
    let open = all.iter_mut().find(|room| room.target == OPS).unwrap();
    open.waits_since = since.map(str::to_owned);
    desk.list(all);
}

#[test]
fn pain_04_what_cannot_be_opened_says_why_since_when_and_what_to_do() {
    let mut desk = desk();
    waiting(&mut desk, Some("2026-05-12T10:02:00.000Z"));
    let screen = desk.screen();
    for part in
        ["⊘ cannot open yet", "asked of other members' devices", "10:02", "4 min", "/retry", "/why"]
    {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    // Offline it waits for something else.
    desk.standing("offline", json!({}));
    assert!(desk.screen().contains("connection"));
    desk.standing("online", json!({}));
    // R and /retry ask again, i and /why tell more.
    desk.keys("alt-p");
    let effects = desk.keys("R");
    assert_eq!(asks(&effects, "room.retry")[0]["room"], OPS);
    desk.write("/retry");
    let effects = desk.keys("esc enter");
    assert_eq!(asks(&effects, "room.retry").len(), 1);
    desk.keys("alt-p i");
    assert!(desk.screen().contains("About this message"), "{}", desk.screen());
    assert!(desk.screen().contains("Ask again now"));
    desk.keys("esc esc");
    // Nothing else can be done with it.
    desk.write("/react :tada:");
    let effects = desk.keys("enter");
    assert!(asks(&effects, "message.change").is_empty());
    assert!(desk.said().contains("/retry"));
    // When it is there, nothing is left of it.
    waiting(&mut desk, None);
    assert!(!desk.screen().contains("cannot open yet"));
}

#[test]
fn what_cannot_be_opened_is_the_last_whatever_comes_and_is_never_paged_from() {
    let mut desk = desk();
    waiting(&mut desk, Some("2026-05-12T10:02:00.000Z"));
    desk.write("meanwhile");
    desk.keys("enter");
    desk.tell(Event::Watched(WatchEvent::Messages { revision: 3 }));
    let more =
        line(50, "bo@nest.example", "2026-05-12T10:05:59.000Z", "last", json!({ "seq": 50 }));
    desk.answer("read", page(&[more]));
    let open = desk.state.open.as_ref().unwrap();
    let last = open.window.messages.last().unwrap();
    assert_eq!(last.progress, Progress::CannotOpen);
    let count =
        open.window.messages.iter().filter(|one| one.progress == Progress::CannotOpen).count();
    assert_eq!(count, 1);
    desk.asked.clear();
    desk.draw();
    for asked in &desk.asked {
        assert!(!asked.params.to_string().contains("unopened"), "{asked:?}");
    }
    desk.list(vec![room("@bo@nest.example", json!({}))]);
    desk.draw();
}

/// The list may be made just before what is looked at is written down as read.
#[test]
fn what_is_looked_at_is_not_listed_as_unread_and_what_is_not_is() {
    let mut desk = desk();
    let ops = |desk: &Desk| {
        let room = desk.state.room_called("rookery-devs#ops").unwrap();
        (room.unread, room.mentions)
    };
    desk.list(rooms());
    assert_eq!(ops(&desk), (0, 0));
    assert!(desk.state.room_called("rookery-devs#general").unwrap().unread > 0);
    desk.tell(Event::Focus(false));
    desk.list(rooms());
    assert_eq!(ops(&desk), (3, 1));
    desk.tell(Event::Focus(true));
    desk.state.open.as_mut().unwrap().stays_unread = true;
    desk.list(rooms());
    assert_eq!(ops(&desk), (3, 1));
}

#[test]
fn who_leaves_is_told_whether_it_has_taken_effect_or_what_it_waits_for() {
    let mut desk = desk();
    desk.write("/leave yes");
    let effects = desk.keys("esc enter");
    let asked = asks(&effects, "community.leave");
    assert_eq!(asked[0]["community"], json!("rookery-devs"));
    let leaving = json!({
        "community": "rookery-devs", "hub": "shore.example", "since": "2026-05-12T10:02:00.000Z",
        "reason": "the community's hub shore.example cannot be reached",
    });
    desk.answer("community.leave", json!({ "v": 1, "leaving": leaving }));
    let said = desk.state.notice.as_ref().unwrap().text.clone();
    assert!(said.contains("Leaving rookery-devs waits for its server shore.example"), "{said}");
    desk.write("/leave yes");
    desk.keys("esc enter");
    desk.answer("community.leave", json!({ "v": 1 }));
    assert_eq!(desk.state.notice.as_ref().unwrap().text, "You have left rookery-devs");
}
