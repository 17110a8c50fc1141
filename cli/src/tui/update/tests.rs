use serde_json::{Value, json};

use crate::{
    agent::verb::LinkEvent,
    error::{CommandError, Kind},
    tui::{
        action::{Action, Place, TABLE},
        effect::{Effect, Enter},
        event::{Entered, Event, Opened},
        fixture::{Desk, id, key_events, line, many, page, room, rooms, talk},
        glyphs::Glyphs,
        state::{
            Anchor, Editing, Layer, Screen, SheetKind,
            conversation::Purpose,
            welcome::Step,
            window::{PAGE, Progress},
        },
    },
};

fn desk() -> Desk {
    Desk::filled(80, 24, Glyphs::Unicode)
}

fn asks<'a>(effects: &'a [Effect], wanted: &str) -> Vec<&'a Value> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { method, params, .. } if *method == wanted => Some(params),
            _ => None,
        })
        .collect()
}

fn notified(effects: &[Effect]) -> Vec<&str> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Notify { title, .. } => Some(title.as_str()),
            _ => None,
        })
        .collect()
}

fn open(desk: &mut Desk, target: &str) {
    desk.write(&format!("/go {target}"));
    desk.keys("enter");
    assert_eq!(desk.state.open.as_ref().unwrap().target, target);
}

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
fn a_draft_of_the_store_is_there_when_its_room_is_opened() {
    let mut desk = Desk::opened(80, 24, Glyphs::Ascii);
    desk.list(vec![room("@bo@nest.example", json!({ "draft": "from yesterday" }))]);
    assert_eq!(desk.written(), "from yesterday");
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

/// Everything that an action could have changed and somebody could notice.
fn noticeable(desk: &Desk) -> String {
    let state = &desk.state;
    let screen = matches!(state.screen, Screen::Chat);
    format!(
        "{:?}",
        (
            (screen, &state.open, &state.sheet, &state.layers, &state.notice),
            (state.folded.len(), state.shows_rooms, state.is_bare, state.look.mouse),
            (state.is_quitting, state.look.built_in),
        )
    )
}

/// Where every action can do something: in the middle of a room with a screen of messages, one of one's own selected or not.
fn prepared(place: Place) -> Desk {
    let mut desk = desk();
    let mut messages = many(10..40)["messages"].as_array().unwrap().clone();
    messages.extend(talk()["messages"].as_array().unwrap().clone());
    desk.tell(Event::Watched(crate::agent::verb::WatchEvent::Messages { revision: 2 }));
    desk.answer("read", page(&messages));
    desk.draw();
    desk.keys("pageup");
    desk.draw();
    if place == Place::Selecting {
        desk.keys("alt-p k");
        desk.draw();
    }
    desk
}

/// The key of the room that is open already.
const NTH_IS_OPEN: &str = "alt-6";

const ARGUMENTS: &[(&str, &str)] = &[
    ("go", "@bo"),
    ("search", "nest3"),
    ("room", "1"),
    ("fold", "Gardeners"),
    ("goto", "2026-05-01"),
    ("reply", "yes"),
    ("edit", "no"),
    ("delete", "spam"),
    ("react", ":tada:"),
    ("unreact", ":tada:"),
    ("forward", "@bo@nest.example"),
    ("read", "all"),
    ("me", "waves"),
    ("join", "rookery://x"),
    ("group", "weekend @bo @dee"),
    ("topic", "news"),
    ("rename", "better"),
    ("invite", "@bo"),
    ("kick", "@bo spam"),
    ("ban", "@bo spam"),
    ("unban", "@bo"),
    ("mute", "8h"),
    ("notify", "all"),
    ("archive", "off"),
    ("verify", "@bo"),
    ("contact", "@bo"),
    ("accept", "@bo"),
    ("decline", "@bo"),
    ("block", "@bo"),
    ("unblock", "@bo"),
    ("community", "create Nest"),
    ("channel", "create news"),
    ("role", "grant mods @bo"),
    ("nick", "Ada"),
    ("status", "busy until noon"),
    ("away", "lunch"),
    ("account", "name Ada"),
    ("set", "typing hidden"),
    ("theme", "light"),
];

#[test]
fn every_action_does_something_by_its_keys() {
    for spec in TABLE {
        for (place, key, _) in spec.keys {
            let mut desk = prepared(*place);
            let before = noticeable(&desk);
            let effects = desk.keys(key);
            let is_there = spec.action == Action::Nth && *key == NTH_IS_OPEN;
            let did = !effects.is_empty() || noticeable(&desk) != before || is_there;
            assert!(did, "{key} for {} does nothing", spec.name);
            desk.draw();
        }
    }
}

#[test]
fn every_action_does_something_from_the_palette() {
    for spec in TABLE {
        let mut desk = prepared(Place::Everywhere);
        desk.keys("ctrl-p");
        desk.write(spec.title);
        let slash = format!("/{}", spec.slash[0]);
        let Some(Layer::Picker(picker)) = desk.state.layers.last() else { panic!("no palette") };
        let is_it = |at: &usize| picker.choices[*at].command.trim_end() == slash;
        let place = picker.fitting.iter().position(is_it);
        let place = place.unwrap_or_else(|| panic!("{} is not in the palette", spec.name));
        for _ in 0..place {
            desk.keys("down");
        }
        let before = format!("{:?}", (&desk.state.open, desk.state.sheet.is_some()));
        let shown = noticeable(&desk);
        let effects = desk.keys("enter");
        let after = format!("{:?}", (&desk.state.open, desk.state.sheet.is_some()));
        // The palette itself going away is not what was asked for.
        let did = !effects.is_empty()
            || before != after
            || !desk.state.layers.is_empty()
            || desk.state.notice.is_some()
            || noticeable(&desk).replace("layers", "") != shown;
        assert!(did, "{} does nothing from the palette", spec.name);
        desk.draw();
    }
}

#[test]
fn every_action_does_something_by_each_of_its_slash_commands() {
    for spec in TABLE {
        for slash in spec.slash {
            let argument = ARGUMENTS.iter().find(|(name, _)| *name == spec.slash[0]);
            let with = argument.map(|(_, argument)| format!("/{slash} {argument}"));
            for command in [Some(format!("/{slash}")), with].into_iter().flatten() {
                let mut desk = prepared(Place::Everywhere);
                let before = noticeable(&desk);
                desk.state.open.as_mut().unwrap().composer.set_text(&command);
                let effects = desk.keys("enter");
                desk.state.open.as_mut().unwrap().composer =
                    crate::tui::composer::Composer::default();
                let did = !effects.is_empty() || noticeable(&desk) != before;
                assert!(did, "{command} does nothing");
                assert!(!desk.said().contains("There is no command"), "{command}: {}", desk.said());
                let says = matches!(
                    spec.action,
                    Action::Me | Action::Reply | Action::Forward | Action::Retry
                );
                assert!(asks(&effects, "send").is_empty() || says, "{command} was sent as text");
                desk.draw();
            }
            assert!(spec.args.is_empty() || argument.is_some(), "no argument for {}", spec.name);
        }
    }
}

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

/// What is called when `change` has come for the room that it names.
fn called(desk: &mut Desk, target: &str, change: &Value) -> bool {
    desk.list(rooms());
    let mut after = rooms();
    let place = after.iter().position(|room| room.target == target).unwrap();
    let mut value = serde_json::to_value(&after[place]).unwrap();
    value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    after[place] = serde_json::from_value(value).unwrap();
    let effects = desk.list(after);
    let called = notified(&effects);
    assert!(called.len() <= 1);
    called == [target]
}

#[test]
fn only_what_the_rules_say_is_called_out() {
    let mut desk = desk();
    let general = "rookery-devs#general";
    assert!(called(&mut desk, "@alice@nest.example", &json!({ "unread": 3, "mentions": 3 })));
    assert!(!called(&mut desk, general, &json!({ "unread": 121 })), "mentions only");
    assert!(called(&mut desk, general, &json!({ "unread": 121, "mentions": 1 })));
    assert!(called(&mut desk, general, &json!({ "unread": 121, "notifications": "all" })));
    let none = json!({ "unread": 121, "mentions": 1, "notifications": "none" });
    assert!(!called(&mut desk, general, &none));
    let muted = json!({ "unread": 121, "mentions": 1, "notifications": "all", "muted": true });
    assert!(!called(&mut desk, general, &muted));
    let mention = json!({ "unread": 4, "mentions": 2 });
    assert!(!called(&mut desk, "rookery-devs#ops", &mention), "somebody looks at it");
    desk.tell(Event::Focus(false));
    assert!(called(&mut desk, "rookery-devs#ops", &mention));
}

#[test]
fn nothing_is_called_out_for_what_was_there_before() {
    let mut desk = Desk::opened(80, 24, Glyphs::Ascii);
    assert!(notified(&desk.list(rooms())).is_empty());
}

#[test]
fn where_others_see_the_screen_a_call_names_nobody() {
    let mut desk = desk();
    desk.state.look.notify_names = false;
    let mut after = rooms();
    after[0].unread = 9;
    after[0].mentions = 9;
    let effects = desk.list(after);
    assert_eq!(notified(&effects), ["rookery"]);
    assert!(!format!("{effects:?}").contains("alice"));
}

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

const LINK: &str = "rookery://127.0.0.1:7665/join#server=nest&key=KEY&invite=TOKEN";

/// A link that can be parsed, made of whatever a server's would be.
fn link() -> String {
    use rookery_protocol::name::JoinLink;
    let key = "a".repeat(52);
    for token in ["a".repeat(52), "a".repeat(26), "a".repeat(43), "a".repeat(32), "a".repeat(20)] {
        let link = LINK.replace("KEY", &key).replace("TOKEN", &token);
        if link.parse::<JoinLink>().is_ok() {
            return link;
        }
    }
    LINK.split("&invite").next().unwrap().replace("KEY", &key)
}

fn newcomer() -> Desk {
    let mut desk = Desk::new(80, 24, Glyphs::Unicode);
    desk.tell(Event::Opened(Opened::Nobody { device: "laptop".to_owned() }));
    desk
}

fn step(desk: &Desk) -> Step {
    match &desk.state.screen {
        Screen::Welcome(welcome) => welcome.step.clone(),
        other => panic!("no welcome but {other:?}"),
    }
}

/// Goes as far as the recovery key.
fn registered() -> (Desk, [usize; 2]) {
    let mut desk = newcomer();
    desk.tell(Event::Paste(link()));
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Name, "{}", desk.screen());
    desk.write("ada");
    desk.keys("enter");
    desk.write("correct horse");
    desk.keys("enter");
    desk.write("wrong horse");
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Password, "two that differ are asked for again");
    for _ in 0..2 {
        desk.write("correct horse");
        desk.keys("enter");
    }
    assert!(!desk.screen().contains("horse"), "passwords are not shown");
    assert_eq!(step(&desk), Step::Device);
    desk.keys("enter");
    desk.keys("2");
    assert_eq!(step(&desk), Step::Passphrase);
    desk.write("short");
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Passphrase);
    desk.write(" and longer");
    let effects = desk.keys("enter");
    let [Effect::Enter(Enter::Register { name, device, passphrase, .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((name.as_str(), device.as_str()), ("ada", "laptop"));
    assert_eq!(passphrase.as_ref().map(|one| one.as_str()), Some("short and longer"));
    assert!(desk.keys("enter esc x").is_empty(), "nothing is done twice");
    let entered = Entered {
        recovery_key: Some("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-HHHH".to_owned()),
        recovery_key_file: Some("/somewhere/recovery-key".to_owned()),
        pinned: None,
        is_uncertified: false,
    };
    assert!(desk.tell(Event::Entered(Ok(entered))).is_empty());
    assert_eq!(step(&desk), Step::RecoveryKey);
    assert!(desk.screen().contains("CCCC"));
    let Screen::Welcome(welcome) = &desk.state.screen else { panic!() };
    let asked = welcome.asked;
    (desk, asked)
}

#[test]
fn a_first_run_goes_from_a_pasted_link_to_a_conversation() {
    let (mut desk, asked) = registered();
    desk.keys("enter");
    assert_eq!(step(&desk), Step::ConfirmKey);
    assert!(!desk.screen().contains("CCCC"), "the key is not shown while it is asked for");
    let groups = ["AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF", "GGGG", "HHHH"];
    desk.write(&format!("{} {}", groups[asked[0]].to_lowercase(), groups[asked[1]]));
    let effects = desk.keys("enter");
    let forgotten = "/somewhere/recovery-key".to_owned();
    assert!(effects.contains(&Effect::ForgetRecoveryKey(forgotten)), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Open(Some(_)))), "{effects:?}");
    let me = Desk::opened(80, 24, Glyphs::Ascii).state.me.unwrap();
    let effects = desk.tell(Event::Opened(Opened::Ready { me: Box::new(me), seed: [1; 16] }));
    assert!(effects.contains(&Effect::Watch));
    desk.list(rooms());
    assert!(matches!(desk.state.screen, Screen::Chat));
    assert!(desk.state.open.is_some(), "a conversation is open");
}

#[test]
fn wrong_groups_of_the_recovery_key_are_refused() {
    let (mut desk, asked) = registered();
    desk.keys("enter");
    let groups = ["AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF", "GGGG", "HHHH"];
    let one = groups[asked[0]];
    for wrong in ["", one, "nonsense words", &format!("{one} {one} {one}")] {
        desk.keys("ctrl-u");
        desk.write(wrong);
        let effects = desk.keys("enter");
        assert!(effects.is_empty(), "{wrong:?}: {effects:?}");
        assert_eq!(step(&desk), Step::ConfirmKey);
    }
    let swapped = format!("{} {one}", groups[asked[1]]);
    desk.keys("ctrl-u");
    desk.write(&swapped);
    assert!(desk.keys("enter").is_empty());
    desk.keys("esc");
    assert_eq!(step(&desk), Step::RecoveryKey, "the key can be looked at again");
}

#[test]
fn what_is_no_invitation_is_refused_in_words() {
    let mut desk = newcomer();
    desk.keys("enter");
    desk.write("https://example.com");
    desk.keys("enter");
    assert_eq!(step(&desk), Step::Server);
    assert!(desk.screen().contains("This is no invitation"));
}

#[test]
fn a_store_that_is_locked_takes_its_passphrase_unseen() {
    let mut desk = Desk::new(80, 24, Glyphs::Unicode);
    desk.tell(Event::Opened(Opened::Locked { wrong: false }));
    desk.write("open sesame");
    assert!(!desk.screen().contains("sesame"));
    let effects = desk.keys("enter");
    let [Effect::Open(Some(passphrase))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(passphrase.as_str(), "open sesame");
    desk.tell(Event::Opened(Opened::Locked { wrong: true }));
    assert!(desk.screen().contains("That was not its passphrase"));
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
