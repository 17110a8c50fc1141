use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    agent::verb::WatchEvent,
    error::{CommandError, Kind},
    render::is_unsafe,
    tui::{
        event::{Event, Opened},
        fixture::{Desk, HOSTILE, line, page, room, talk},
        glyphs::Glyphs,
    },
};

/// A desk with lines instead of a screen.
struct Lines {
    desk: Desk,
    printer: Printer,
}

impl Lines {
    fn of(desk: Desk) -> Self {
        Self { desk, printer: Printer::default() }
    }

    fn filled() -> Self {
        Self::of(Desk::filled(80, 24, Glyphs::Ascii))
    }

    /// What is printed after whatever has happened.
    fn news(&mut self) -> String {
        let news = self.printer.news(&self.desk.state);
        self.desk.state.notice = None;
        if let Some(seen) = self.printer.seen(&self.desk.state) {
            self.desk.tell(Event::Seen(seen));
        }
        news.join("\n")
    }

    /// What is printed after a line.
    fn line(&mut self, line: &str) -> String {
        self.printer.answered();
        self.desk.tell(Event::Line(line.to_owned()));
        self.news()
    }
}

#[test]
fn opening_a_conversation_says_where_one_is_and_what_was_said_last() {
    let mut lines = Lines::filled();
    insta::assert_snapshot!(lines.news().replace("vil", "evil"), @r"
    Online
    Now in rookery-devs#ops, in Rookery Devs, sealed, 7 members
    Topic: keep it running
    21:40 dee@garden.example: good night
    09:58 alice: deploy **4.2** is green on all three nests (4 replies in its thread, 👀 1, 👍 2)
    10:03 bo: [file] nest3[2J.log 48 KiB
    log is here: https://nest.example/nest3.log (edited, pinned)
    New:
    10:03 dee@garden.example, answering bo: log is here: https://nest.example/nest..: @ada can you restart nest3?
    10:04 bo: deleted by alice: off topic
    10:04 e[2Jevil: family 👨‍👩‍👧 and 漢字 ]0;owned (its author was not a member then)
    10:05 you: restarting now (expires after 8h, read by 1)
    10:05 you: Gardeners, back in 5 minutes (failed: the hub refused it)
    10:05 you: [file] nest2.log.gz 3.3 MiB
    and the log after that (queued: no connection)
    ");
    assert_eq!(lines.news(), "", "nothing is printed twice");
}

#[test]
fn a_line_is_sent_and_its_way_is_told_in_words() {
    let mut lines = Lines::filled();
    lines.news();
    assert_eq!(lines.line("rolling nest3"), "10:06 you: rolling nest3");
    assert_eq!(lines.desk.last("send").unwrap().params["text"], "rolling nest3");
    let sent =
        json!({ "v": 1, "id": "x", "state": "sent", "to": "t", "at": "2026-05-12T10:06:00.000Z" });
    lines.desk.answer("send", sent);
    assert_eq!(lines.news(), "sent: rolling nest3");
    lines.line("second");
    let mut error = CommandError::new(Kind::NoConnection, "no connection");
    error.queued = Some("id".to_owned());
    lines.desk.refuse("send", error);
    assert_eq!(lines.news(), "queued: no connection: second");
    lines.line("//literally");
    assert_eq!(lines.desk.last("send").unwrap().params["text"], "/literally");
}

#[test]
fn what_is_refused_says_why_and_what_was_written_elsewhere_stays() {
    let mut lines = Lines::filled();
    lines.desk.write("half a thou");
    lines.news();
    lines.line("a line");
    assert_eq!(lines.desk.written(), "half a thou");
    lines.desk.refuse("send", CommandError::new(Kind::NotPermitted, "you may not"));
    assert_eq!(lines.news(), "you may not\nfailed: you may not: a line");
}

#[test]
fn edits_and_deletions_are_told_as_such() {
    let mut lines = Lines::filled();
    lines.news();
    let mut messages = talk()["messages"].as_array().unwrap().clone();
    messages[2]["text"] = json!("log is there");
    messages[1] = line(
        2,
        "alice@nest.example",
        "2026-05-12T09:58:00.000Z",
        "",
        json!({ "seq": 2, "erased": { "by": "alice@nest.example" } }),
    );
    messages.push(line(30, "bo@nest.example", "2026-05-12T10:06:00.000Z", "one\ntwo", json!({})));
    lines.desk.tell(Event::Watched(WatchEvent::Messages { revision: 5 }));
    lines.desk.answer("read", page(&messages));
    insta::assert_snapshot!(lines.news(), @r"
    deleted by alice: deploy **4.2** is green on all three n..
    bo edited: log is there
    10:06 bo: one
    two
    ");
}

#[test]
fn what_has_expired_or_cannot_be_shown_is_told_as_such() {
    let mut lines = Lines::filled();
    lines.news();
    let mut messages = talk()["messages"].as_array().unwrap().clone();
    let (at, bo) = ("2026-05-12T10:03:00.000Z", "bo@nest.example");
    let erased = json!({ "by": bo, "reason": "expired" });
    messages[2] = line(3, bo, at, "", json!({ "seq": 3, "expired": true, "erased": erased }));
    messages.push(line(30, bo, "2026-05-12T10:06:00.000Z", "", json!({ "expired": true })));
    messages.push(line(31, bo, "2026-05-12T10:06:00.000Z", "", json!({ "unknown_kind": 77 })));
    lines.desk.tell(Event::Watched(WatchEvent::Messages { revision: 5 }));
    lines.desk.answer("read", page(&messages));
    insta::assert_snapshot!(lines.news(), @r"
    expired: log is here: https://nest.example/nest..
    10:06 bo: expired
    10:06 bo: (something that this version of rookery cannot show)
    ");
}

#[test]
fn the_connection_is_told_when_it_changes_and_typing_never() {
    let mut lines = Lines::filled();
    lines.news();
    lines.desk.standing("offline", json!({ "reason": "nest does not answer" }));
    assert_eq!(lines.news(), "Offline: nest does not answer");
    lines.desk.standing("offline", json!({ "reason": "nest does not answer", "queued": 4 }));
    lines.desk.tell(Event::Watched(WatchEvent::Typing {
        typing: serde_json::from_value(
            json!([{ "v": 1, "name": "bo@nest.example", "room": "rookery-devs#ops" }]),
        )
        .unwrap(),
    }));
    assert_eq!(lines.news(), "");
    lines.desk.standing("online", json!({}));
    assert_eq!(lines.news(), "Online");
}

#[test]
fn a_number_chooses_from_what_was_listed() {
    let mut lines = Lines::filled();
    lines.news();
    lines.line("/members");
    let member = |name: &str| json!({ "v": 1, "name": name, "user": "u", "roles": ["mods"], "owner": false, "permissions": [] });
    lines
        .desk
        .answer("member.list", json!([member("dee@garden.example"), member("bo@nest.example")]));
    insta::assert_snapshot!(lines.news(), @r"
    Members of rookery-devs:
    1. dee@garden.example: mods
    2. bo: mods, away, e[31mv2Je l
    A number chooses.
    A letter with a number: m message, v verify, c contact, g give a role, t take a role, n nickname, k kick, b ban.
    ");
    assert_eq!(lines.line("9"), "There is no 9 in the list");
    assert!(lines.line("k 1").contains("Kick @dee@garden.example? y or n"));
    assert_eq!(lines.line("maybe"), "Answer y or n\nKick @dee@garden.example? y or n");
    assert_eq!(lines.line("n"), "Not done");
    assert!(lines.desk.last("member.change").is_none());
    lines.line("k 1");
    lines.line("y");
    assert_eq!(lines.desk.last("member.change").unwrap().params["who"], "@dee@garden.example");
    assert!(lines.line("2").contains("Now in @bo"));
    assert!(lines.desk.state.sheet.is_none());
}

#[test]
fn the_list_of_everything_is_narrowed_by_words_and_chosen_from_by_number() {
    let mut lines = Lines::filled();
    lines.news();
    assert!(lines.line("/go").contains("A number chooses"));
    let narrowed = lines.line("staff");
    assert!(narrowed.starts_with("1. rookery-devs#staff"), "{narrowed}");
    assert!(lines.line("1").contains("Now in rookery-devs#staff"));
    assert_eq!(lines.line("/frobnicate").lines().count(), 1);
    assert!(lines.desk.last("send").is_none());
}

#[test]
fn going_back_prints_what_was_before() {
    let mut lines = Lines::filled();
    lines.desk.tell(Event::Watched(WatchEvent::Messages { revision: 5 }));
    lines.desk.answer("read", crate::tui::fixture::many(100..160));
    let first = lines.news();
    assert!(first.contains("message 159") && !first.contains("message 149"), "{first}");
    let back = lines.line("/back");
    assert!(back.starts_with("Earlier:\n") && back.contains("message 145"), "{back}");
    lines.desk.asked.retain(|asked| asked.method != "read");
    lines.desk.tell(Event::Watched(WatchEvent::Messages { revision: 6 }));
    let newest = lines.desk.asked.iter();
    let newest = newest
        .filter(|asked| asked.method == "read")
        .find(|asked| asked.params["around"].is_null())
        .unwrap();
    let ticket = newest.ticket;
    lines.desk.tell(Event::Answered { ticket, outcome: Ok(crate::tui::fixture::many(101..161)) });
    assert!(lines.news().ends_with("message 160"));
}

#[test]
fn a_first_run_asks_in_lines() {
    let mut lines = Lines::of(Desk::new(80, 24, Glyphs::Ascii));
    lines.desk.tell(Event::Opened(Opened::Nobody { device: "laptop".to_owned() }));
    let asked = lines.news();
    assert!(asked.contains("1. I have an invitation") && asked.contains("2. "), "{asked}");
    assert!(lines.line("3").starts_with("Answer 1 or 2"));
    lines.line("2");
    lines.line("nest.example");
    let title = lines.line("not a name");
    assert!(title.lines().count() > 1, "why, and the question again: {title}");
    lines.line("ada");
    lines.line("correct horse");
    assert!(lines.line("").contains("1. By a key file"), "the device keeps the machine's name");
    let effects = lines.desk.tell(Event::Line("1".to_owned()));
    assert!(matches!(&effects[..], [crate::tui::effect::Effect::Enter(_)]), "{effects:?}");
    assert!(!lines.news().contains("horse"));
}

#[test]
fn quit_ends_wherever_one_is() {
    for desk in [Desk::new(80, 24, Glyphs::Ascii), Desk::filled(80, 24, Glyphs::Ascii)] {
        let mut lines = Lines::of(desk);
        let effects = lines.desk.tell(Event::Line("/quit".to_owned()));
        assert_eq!(effects.last(), Some(&crate::tui::effect::Effect::Quit));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_line_can_take_the_update_down(
        script in proptest::collection::vec("(/[a-z]{1,8}( [a-z@#]{1,6})?|[0-9]{1,3}|[a-z]( [0-9])?|y|n||[ -~]{0,20})", 0..40),
    ) {
        let mut lines = Lines::filled();
        for line in script {
            lines.line(&line);
        }
    }
}

#[test]
fn a_hostile_name_is_printed_as_letters() {
    let mut lines = Lines::filled();
    lines.desk.list(vec![room("rookery-devs#ops", json!({ "title": HOSTILE, "topic": HOSTILE }))]);
    lines.line("/members");
    for line in lines.news().lines() {
        assert!(!crate::render::field(line).chars().any(is_unsafe));
    }
}

/// A password may begin like a command, and is neither run nor printed.
#[test]
fn secrets_are_asked_for_in_lines_and_an_empty_one_leaves() {
    let mut lines = Lines::filled();
    lines.news();
    assert!(lines.line("/password").contains("Your password until now"));
    assert!(lines.line("/quit is my password").contains("The new one"));
    assert!(!lines.line("/quit").contains("/quit"));
    assert!(!lines.desk.state.is_quitting);
    let said = lines.line("/quit");
    assert!(!said.contains("/quit"), "{said}");
    let asked = lines.desk.last("account.password").unwrap();
    assert_eq!(asked.params["old"], "/quit is my password");
    lines.desk.answer("account.password", serde_json::json!({}));
    assert!(lines.news().contains("is changed"));
    assert!(lines.line("/recover").contains("takes the place of the recovery key"));
    assert!(lines.line("").contains("Nothing was changed"));
}
