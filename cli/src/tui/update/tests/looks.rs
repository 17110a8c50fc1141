//! Settings of the screen, and code in its colours.

use std::sync::Arc;

use serde_json::json;

use super::{asks, desk};
use crate::{
    agent::verb::WatchEvent,
    tui::{
        effect::Effect,
        event::{Coloured, Event},
        fixture::{Desk, id, line, page},
        glyphs::Glyphs,
        text::{
            links::Links,
            markdown::{self, EmojiStyle},
        },
        theme::{BuiltIn, Theme},
    },
};

fn set(desk: &mut Desk, name: &str, value: &str) -> Vec<Effect> {
    desk.state.open.as_mut().unwrap().draft.composer.set_text(&format!("/set {name} {value}"));
    let effects = desk.keys("enter");
    let asked = asks(&effects, "settings");
    assert_eq!((&asked[0]["name"], &asked[0]["value"]), (&json!(name), &json!(value)));
    assert_eq!(asked[0]["of"], json!(null), "{name} is of the account");
    effects
}

#[test]
fn glyphs_are_what_is_chosen_else_what_fits_and_ascii_where_lines_may_be_wide() {
    let mut desk = desk();
    for (name, value, glyphs) in [
        ("glyphs", "ascii", Glyphs::Ascii),
        ("glyphs", "auto", Glyphs::Unicode),
        ("ambiguous", "wide", Glyphs::Ascii),
        ("glyphs", "unicode", Glyphs::Unicode),
        ("glyphs", "auto", Glyphs::Ascii),
        ("ambiguous", "narrow", Glyphs::Unicode),
    ] {
        let effects = set(&mut desk, name, value);
        assert_eq!(desk.state.look.glyphs, glyphs, "{name} {value}");
        assert!(effects.contains(&Effect::Redraw), "{name} {value}");
        assert_eq!(desk.screen().contains('│'), glyphs == Glyphs::Unicode);
    }
    desk.state.look.fitting_glyphs = Glyphs::Ascii;
    set(&mut desk, "glyphs", "auto");
    assert_eq!(desk.state.look.glyphs, Glyphs::Ascii);
    let effects = set(&mut desk, "glyphs", "ascii");
    assert!(!effects.contains(&Effect::Redraw), "nothing has changed");
}

#[test]
fn pain_18_emoji_are_shown_as_names_where_that_is_chosen() {
    let mut desk = Desk::filled(80, 40, Glyphs::Unicode);
    assert!(desk.screen().contains("👍"));
    let effects = set(&mut desk, "emoji", "names");
    assert_eq!(desk.state.look.emoji, EmojiStyle::Names);
    assert!(effects.contains(&Effect::Redraw));
    desk.cache.clear();
    let screen = desk.screen();
    assert!(screen.contains(":+1: 2") && !screen.contains("👍"), "{screen}");
}

#[test]
fn settings_of_the_store_are_worn_from_the_start() {
    let mut desk = Desk::opened(80, 24, Glyphs::Unicode);
    let line = |name: &str, value: &str| json!({ "v": 1, "name": name, "value": value });
    desk.write("");
    desk.state.pending.insert(9_999, crate::tui::state::Want::Settings);
    let lines = json!([line("glyphs", "ascii"), line("emoji", "names"), line("events", "hidden")]);
    let effects = desk.tell(Event::Answered { ticket: 9_999, outcome: Ok(lines) });
    assert_eq!(effects, [Effect::Redraw]);
    assert_eq!(desk.state.look.glyphs, Glyphs::Ascii);
    assert!(!desk.state.look.events);
}

#[test]
fn cells_of_a_link_say_where_it_leads_only_where_that_is_chosen() {
    let mut desk = desk();
    let lead = |desk: &mut Desk| {
        let buffer = desk.draw();
        let links = desk.cache.links();
        let numbers =
            buffer.content().iter().filter_map(|cell| Links::number_in(cell.underline_color));
        let targets = numbers.map(|number| links.borrow().target(number).unwrap());
        targets.collect::<Vec<_>>()
    };
    assert!(lead(&mut desk).is_empty());
    set(&mut desk, "links", "on");
    let link = "https://nest.example/nest3.log";
    assert_eq!(lead(&mut desk), vec![link; link.len()]);
    // What lies over it leads nowhere.
    desk.keys("ctrl-p");
    assert!(lead(&mut desk).len() < link.len());
    desk.keys("esc");
    set(&mut desk, "links", "auto");
    assert!(lead(&mut desk).is_empty(), "this terminal is not known to follow links");
    desk.state.look.fitting_links = true;
    set(&mut desk, "links", "auto");
    assert!(!lead(&mut desk).is_empty());
    set(&mut desk, "links", "off");
    assert!(lead(&mut desk).is_empty());
}

fn talks(desk: &mut Desk, text: &str) {
    desk.tell(Event::Watched(WatchEvent::Messages { revision: 2 }));
    let said = line(1, "bo@nest.example", "2026-05-12T10:03:00.000Z", text, json!({ "seq": 1 }));
    desk.answer("read", page(&[said]));
}

fn to_colour(effects: &[Effect]) -> Vec<(String, u64)> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Colour { id, revision, .. } => Some((id.clone(), *revision)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn code_is_plain_at_first_and_coloured_when_that_is_ready() {
    let mut desk = desk();
    let text = "see\n```rust\nlet x = 1;\n```";
    talks(&mut desk, text);
    let before = desk.screen();
    let seen = desk.state.seen.clone();
    assert_eq!(seen.plain, [id(1)]);
    // Asked for once, however often it is drawn.
    let again = desk.tell(Event::Seen(seen));
    assert_eq!(to_colour(&again), []);
    let revision = desk.state.open.as_ref().unwrap().window.messages[0].revision;
    let plain = desk.draw();
    let blocks = Arc::new(markdown::colour(text));
    let coloured =
        |revision| Event::Coloured(Coloured { id: id(1), revision, blocks: Arc::clone(&blocks) });
    desk.tell(coloured(revision ^ 1));
    assert_eq!(desk.draw(), plain, "colours of another revision are not taken");
    desk.tell(coloured(revision));
    assert_ne!(desk.draw(), plain);
    assert_eq!(desk.screen(), before, "the words are the same");
    assert!(desk.state.seen.plain.is_empty());
}

#[test]
fn a_message_that_was_changed_is_coloured_anew() {
    let mut desk = desk();
    talks(&mut desk, "```rust\nlet x = 1;\n```");
    desk.draw();
    let first = desk.state.open.as_ref().unwrap().window.messages[0].revision;
    let blocks = Arc::default();
    desk.tell(Event::Coloured(Coloured { id: id(1), revision: first, blocks }));
    desk.draw();
    talks(&mut desk, "```rust\nlet y = 2;\n```");
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(80, 24)).unwrap();
    let mut seen = crate::tui::state::Seen::default();
    terminal
        .draw(|frame| seen = crate::tui::view::view(&desk.state, &mut desk.cache, frame))
        .unwrap();
    let asked = to_colour(&desk.tell(Event::Seen(seen)));
    assert_eq!(asked.len(), 1);
    assert_ne!(asked[0].1, first);
}

#[test]
fn a_key_is_given_another_meaning_and_the_files_are_read_again() {
    use crate::tui::{effect::Binding, keymap::Keymap, state::Look};
    let mut desk = desk();
    desk.write("/bind ctrl-t = thread");
    let effects = desk.keys("esc enter");
    let binding = Binding { on: "ctrl-t".to_owned(), run: "thread".to_owned() };
    assert!(effects.contains(&Effect::Reload(Some(binding))), "{effects:?}");
    let keymap = Keymap::parse("[[key]]\non = 'ctrl-t'\nrun = 'thread'").unwrap();
    let theme = Theme::built_in(BuiltIn::HighContrast);
    let look = Look { theme: theme.clone(), has_own_theme: true, ..Look::default() };
    desk.tell(Event::Reloaded(Ok(Box::new((look, keymap)))));
    assert!(desk.state.look.has_own_theme && desk.state.look.theme == theme);
    desk.keys("ctrl-t");
    assert!(desk.state.open.as_ref().unwrap().thread.is_some());
    // Without a file of one's own, the colours are those that were chosen.
    desk.tell(Event::Reloaded(Ok(Box::new((Look::default(), Keymap::default())))));
    assert!(desk.state.look.theme == Theme::built_in(BuiltIn::Dark));
    desk.tell(Event::Reloaded(Err("keys.toml: line 3: no such key".to_owned())));
    assert!(desk.said().contains("line 3"));
}
