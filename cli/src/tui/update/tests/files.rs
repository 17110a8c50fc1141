//! Files on the screen.

use serde_json::json;

use super::{asks, desk};
use crate::{
    agent::verb::WatchEvent,
    error::{CommandError, Kind},
    tui::{
        effect::Effect,
        event::Event,
        fixture::{Desk, page, talk},
        glyphs::Glyphs,
        state::window::Progress,
    },
};

fn entered(desk: &mut Desk, line: &str) -> Vec<Effect> {
    desk.write(line);
    desk.keys("enter")
}

fn last(desk: &Desk) -> &crate::tui::state::Message {
    desk.state.open.as_ref().unwrap().window.messages.last().unwrap()
}

/// The question of the one order to send.
fn ticket_of(effects: &[Effect]) -> u64 {
    effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Ask { ticket, method: "send", .. }
            | Effect::AskWithText { ticket, method: "send", .. } => Some(*ticket),
            _ => None,
        })
        .unwrap()
}

#[test]
fn a_file_is_sent_by_its_path_and_its_way_is_seen() {
    let mut desk = desk();
    desk.state.folders.here = "/srv".into();
    desk.state.folders.home = Some("/home/ada".into());
    let effects = entered(&mut desk, "/file ~/logs/nest 3.log");
    let order = asks(&effects, "send")[0];
    assert_eq!(order["file"], "/home/ada/logs/nest 3.log");
    assert_eq!((&order["to"], &order["text"]), (&json!("rookery-devs#ops"), &json!("")));
    // How large it is is told when it is sealed.
    let screen = desk.screen();
    assert!(screen.contains("[file] nest 3.log") && !screen.contains("nest 3.log 0 B"), "{screen}");
    let ticket = ticket_of(&effects);
    let event = json!({ "have_bytes": 250, "size_bytes": 1000 });
    desk.tell(Event::Told { ticket, event });
    assert!(desk.screen().contains("[file] nest 3.log 25%"));
    let sent = json!({ "v": 1, "id": order["id"], "state": "sent", "to": "rookery-devs#ops", "at": "2026-05-12T10:06:00.000Z" });
    desk.tell(Event::Answered { ticket, outcome: Ok(sent) });
    let screen = desk.screen();
    assert!(screen.contains("nest 3.log") && !screen.contains("25%"), "{screen}");
    assert_eq!(last(&desk).progress, Progress::Sent);
}

#[test]
fn a_file_that_cannot_be_read_gives_the_command_back() {
    let mut desk = desk();
    let effects = entered(&mut desk, "/file /nowhere/at/all");
    let error = CommandError::new(Kind::NotFound, "/nowhere/at/all: No such file or directory");
    desk.tell(Event::Answered { ticket: ticket_of(&effects), outcome: Err(error) });
    assert_eq!(desk.written(), "/file /nowhere/at/all");
    let screen = desk.screen();
    assert!(screen.contains("No such file") && !screen.contains("[file] all"), "{screen}");
}

#[test]
fn a_file_is_sent_into_the_thread_that_has_the_keys() {
    let mut desk = Desk::filled(120, 40, Glyphs::Unicode);
    desk.keys("alt-p k k k k k k k t");
    desk.answer("thread", page(&[]));
    let root = desk.state.open.as_ref().unwrap().thread.as_ref().unwrap().root.clone();
    let effects = entered(&mut desk, "/file x.txt");
    assert_eq!(asks(&effects, "send")[0]["thread"], root.as_str());
    assert!(desk.screen().contains("[file] x.txt"));
}

#[test]
fn a_long_paste_goes_as_a_file_and_comes_back_as_text_if_it_cannot() {
    let mut desk = desk();
    desk.write("half a thought");
    let text = "a line of a log\n".repeat(600);
    desk.tell(Event::Paste(text.clone()));
    let effects = desk.keys("f");
    let (sent, order) = effects
        .iter()
        .find_map(|effect| match effect {
            Effect::AskWithText { method: "send", text, params, .. } => Some((text, params)),
            _ => None,
        })
        .unwrap();
    assert_eq!(*sent, text);
    assert_eq!((&order["file_name"], &order["text"]), (&json!("paste.txt"), &json!("")));
    assert_eq!(desk.written(), "half a thought");
    assert!(desk.screen().contains("[file] paste.txt"));
    desk.keys("ctrl-c");
    let error = CommandError::new(Kind::Failed, "the server has no room");
    desk.tell(Event::Answered { ticket: ticket_of(&effects), outcome: Err(error) });
    assert_eq!(desk.written(), text);
}

#[test]
fn the_selected_file_or_the_newest_is_saved_where_somebody_says() {
    let mut desk = desk();
    desk.state.folders.here = "/srv".into();
    let effects = entered(&mut desk, "/save");
    let newest = last(&desk).id.clone();
    let order = asks(&effects, "file.get")[0];
    assert_eq!((&order["to"], &order["message"]), (&json!("/srv/"), &json!(newest)));
    assert_eq!((&order["room"], &order["force"]), (&json!("rookery-devs#ops"), &json!(false)));
    let saved = json!({
        "v": 1, "path": "/srv/nest2.log\u{1b}[2J.gz", "name": "nest2.log.gz", "media_type": "", "size_bytes": 9,
    });
    desk.answer("file.get", saved);
    assert!(desk.screen().contains("Saved to /srv/nest2.log"));
    // Of a selected message its own is meant, or none.
    desk.keys("alt-p");
    assert!(desk.screen().contains("s save"));
    let effects = desk.keys("k k k k k k s");
    assert_eq!(asks(&effects, "file.get")[0]["message"], crate::tui::fixture::id(3));
    desk.keys("alt-p k");
    let effects = desk.keys("s");
    assert!(asks(&effects, "file.get").is_empty());
    assert!(desk.screen().contains("No file goes with this message"));
    desk.keys("esc");
    let effects = entered(&mut desk, "/save ~/taken");
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Ask { ticket, method: "file.get", .. } => Some(*ticket),
        _ => None,
    });
    let error = CommandError::new(Kind::Usage, "/home/ada/taken exists already");
    desk.tell(Event::Answered { ticket: ticket.unwrap(), outcome: Err(error) });
    assert_eq!(desk.written(), "/save ~/taken");
    assert!(desk.screen().contains("exists already"));
}

#[test]
fn files_are_listed_and_one_without_words_is_quoted_by_its_name() {
    let mut desk = Desk::filled(120, 40, Glyphs::Ascii);
    let effects = entered(&mut desk, "/files");
    assert_eq!(asks(&effects, "search")[0]["query"], "has:file in:rookery-devs#ops");
    let mut found = talk()["messages"][8].clone();
    found["text"] = json!("");
    desk.answer("search", json!([found]));
    assert!(desk.screen().contains("[file] nest2.log.gz 3.3 MiB"), "{}", desk.screen());
    desk.keys("esc");
    let mut messages = talk()["messages"].as_array().unwrap().clone();
    messages[2]["text"] = json!("");
    desk.tell(Event::Watched(WatchEvent::Messages { revision: 5 }));
    desk.answer("read", page(&messages));
    let screen = desk.screen();
    assert!(screen.contains("> bo: [file] nest3"), "{screen}");
    assert!(!screen.contains('\u{1b}') && !screen.contains('\u{202e}'));
}

#[test]
fn a_file_that_failed_is_sent_again_as_the_message_that_it_is() {
    let mut desk = desk();
    let mut messages = talk()["messages"].as_array().unwrap().clone();
    messages[8]["state"] = json!("failed");
    messages[8]["text"] = json!("");
    desk.tell(Event::Watched(WatchEvent::Messages { revision: 5 }));
    desk.answer("read", page(&messages));
    let effects = desk.keys("alt-p R");
    let order = asks(&effects, "send")[0];
    assert_eq!((&order["id"], &order["text"]), (&messages[8]["id"], &json!("")));
    assert_eq!(last(&desk).progress, Progress::Sending);
    let error = CommandError::new(Kind::Failed, "the server has no room");
    desk.tell(Event::Answered { ticket: ticket_of(&effects), outcome: Err(error) });
    assert_eq!(desk.written(), "");
    assert_eq!(last(&desk).progress, Progress::Failed);
    // One without words is not forwarded, for its file would not be.
    let effects = entered(&mut desk, "/forward @bo");
    assert!(asks(&effects, "send").is_empty());
    assert!(desk.screen().contains("A file is not forwarded"));
}
