//! Vi's keys in lists, its marks and its panes; and the same for those who write without it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{asks, desk, open};
use crate::tui::{
    effect::Effect,
    event::Event,
    fixture::{Desk, id},
    glyphs::Glyphs,
    state::{Editing, Layer, SheetKind},
};

fn vi() -> Desk {
    let mut desk = desk();
    desk.state.editing = Editing::Vim;
    desk
}

fn selected(desk: &Desk) -> Option<String> {
    desk.state.open.as_ref()?.selecting.as_ref().map(|one| one.id.clone())
}

fn target(desk: &Desk) -> String {
    desk.state.open.as_ref().unwrap().target.clone()
}

#[test]
fn a_message_is_remembered_under_a_letter_and_gone_back_to() {
    let mut desk = vi();
    desk.keys("alt-p k k");
    let there = selected(&desk).unwrap();
    desk.keys("m a k k ' a");
    assert_eq!(selected(&desk), Some(there.clone()));
    // A small letter counts in its room; a capital is found from everywhere.
    desk.keys("m A");
    desk.keys("esc");
    open_bo(&mut desk);
    desk.keys("alt-p");
    assert!(selected(&desk).is_none(), "there is nothing to select");
    desk.state.editing = Editing::Plain;
    desk.write("/to-mark a");
    desk.keys("enter");
    assert!(desk.said().contains("Nothing is remembered"), "{}", desk.said());
    desk.keys("ctrl-c");
    desk.write("/to-mark A");
    let effects = desk.keys("enter");
    assert_eq!(target(&desk), "rookery-devs#ops");
    let read = asks(&effects, "read");
    assert!(read.iter().any(|one| one["around"] == there.as_str()), "{read:?}");
    for wrong in ["/mark ab", "/mark 7"] {
        desk.keys("ctrl-c");
        desk.write(wrong);
        desk.keys("enter");
        assert!(desk.said().contains("one letter"), "{wrong}: {}", desk.said());
    }
}

fn open_bo(desk: &mut Desk) {
    let editing = std::mem::replace(&mut desk.state.editing, Editing::Plain);
    open(desk, "@bo@nest.example");
    desk.state.editing = editing;
}

#[test]
fn a_quote_twice_goes_to_the_message_that_is_answered() {
    let mut desk = vi();
    desk.keys("alt-p");
    desk.state.open.as_mut().unwrap().selecting.as_mut().unwrap().id = id(4);
    desk.keys("' '");
    assert_eq!(selected(&desk), Some(id(3)));
}

#[test]
fn rooms_links_and_the_clipboard_have_vis_keys_in_a_list_and_before_a_text() {
    let mut desk = vi();
    desk.keys("alt-p");
    let here = target(&desk);
    desk.keys("g t");
    let there = target(&desk);
    assert_ne!(here, there);
    desk.keys("esc g T");
    assert_eq!(target(&desk), here, "in the composer's normal mode as well");
    desk.answer("read", crate::tui::fixture::talk());
    desk.keys("esc");
    desk.state.open.as_mut().unwrap().selecting = Some(crate::tui::state::Selecting { id: id(3) });
    let effects = desk.keys("g x");
    assert!(effects.contains(&Effect::Copy("https://nest.example/nest3.log".to_owned())));
    let effects = desk.keys("\" + y");
    assert!(effects.iter().any(|one| matches!(one, Effect::Copy(text) if text.contains("log is"))));
    let effects = desk.keys("g g");
    assert_eq!(asks(&effects, "read").len(), 1, "to the oldest");
}

#[test]
fn panes_are_gone_through_closed_and_put_on_the_whole_screen() {
    for (next, close, zoom) in
        [("f6", "ctrl-x 0", "ctrl-x 1"), ("ctrl-w w", "ctrl-w q", "ctrl-w z")]
    {
        let mut desk = Desk::filled(120, 40, Glyphs::Ascii);
        if next != "f6" {
            desk.state.editing = Editing::Vim;
            desk.keys("esc");
        }
        desk.keys("ctrl-x x");
        assert!(desk.state.is_beside(), "a sheet takes the keys");
        assert!(desk.screen().contains("Your keys") && desk.screen().contains("deploy"));
        desk.keys(zoom);
        let alone = desk.screen();
        assert!(alone.contains("Your keys") && !alone.contains("deploy 4.2"), "{alone}");
        desk.keys(next);
        assert!(!desk.state.is_beside());
        let messages = desk.screen();
        assert!(messages.contains("deploy") && !messages.contains("Your keys"), "{messages}");
        desk.keys(next);
        assert!(selected(&desk).is_some(), "{next}: the messages");
        desk.keys(next);
        assert!(desk.state.is_beside() && selected(&desk).is_none());
        desk.keys(zoom);
        desk.keys(close);
        assert!(desk.state.sheet.is_none());
        assert!(desk.screen().contains("deploy"));
        desk.keys(close);
    }
}

#[test]
fn letters_lead_back_from_a_list_and_a_colon_asks_for_a_command() {
    for (key, text) in [("i", "x text"), ("A", "text x"), ("I", "x text"), ("a", "tx ext")] {
        let mut desk = vi();
        desk.write("text");
        desk.keys("esc esc");
        assert!(selected(&desk).is_some(), "{key}");
        desk.state.open.as_mut().unwrap().draft.composer.set_cursor(0);
        desk.keys(key);
        assert!(selected(&desk).is_none(), "{key}");
        desk.write(if key == "A" { " x" } else { "x " });
        assert_eq!(desk.written(), text, "{key}");
    }
    let mut desk = vi();
    desk.keys("alt-p :");
    desk.write("pins");
    desk.keys("enter");
    assert!(matches!(desk.state.sheet.as_ref().unwrap().kind, SheetKind::Pins(_)));
}

/// What the hint says is what the user's map says.
#[test]
fn the_hint_names_the_users_own_keys() {
    let mut desk = desk();
    assert!(desk.screen().contains("Enter send  Alt+Enter line  Up select"));
    let map = "[[key]]\non = \"enter\"\nrun = \"new-line\"\nin = \"writing\"\n[[key]]\non = \"ctrl-s\"\nrun = \"send\"\nin = \"writing\"\n";
    desk.state.keymap = crate::tui::keymap::Keymap::parse(map).unwrap();
    assert!(desk.screen().contains("Ctrl+S send  Alt+Enter line"), "{}", desk.screen());
}

#[test]
fn a_beginning_that_leads_nowhere_writes_nothing() {
    let mut desk = vi();
    desk.keys("alt-p g");
    desk.keys("7");
    assert!(desk.state.strokes.is_empty());
    assert_eq!(desk.written(), "");
    assert!(selected(&desk).is_some());
}

/// The typing path: what most keys are finds its meaning without a look at any chord.
#[test]
fn keys_of_the_text_are_rebound_by_the_users_map() {
    let mut desk = desk();
    let map = "[[key]]\non = \"ctrl-t\"\nrun = \"kill-line\"\nin = \"writing\"\n[[key]]\non = \"ctrl-g ctrl-a\"\nrun = \"line-start\"\nin = \"writing\"\n[[key]]\non = \"enter\"\nrun = \"new-line\"\nin = \"writing\"\n[[key]]\non = \"ctrl-s\"\nrun = \"send\"\n";
    desk.state.keymap = crate::tui::keymap::Keymap::parse(map).unwrap();
    desk.write("one two");
    desk.keys("ctrl-g ctrl-a");
    desk.write("0 ");
    assert_eq!(desk.written(), "0 one two");
    desk.keys("end enter");
    desk.write("three");
    assert_eq!(desk.written(), "0 one two\nthree");
    desk.keys("ctrl-t");
    assert_eq!(desk.written(), "0 one two\n");
    let effects = desk.keys("ctrl-s");
    assert_eq!(asks(&effects, "send").len(), 1);
    // In a form as well.
    desk.keys("ctrl-f");
    desk.write("query");
    desk.keys("ctrl-t");
    let Some(Layer::Form(form)) = desk.state.layers.last() else { panic!("no form") };
    assert_eq!(form.field.as_str(), "");
}

#[test]
fn up_and_down_go_by_rows_as_they_are_seen() {
    let mut desk = Desk::filled(40, 12, Glyphs::Ascii);
    desk.write(&"word ".repeat(20));
    desk.keys("up");
    let cursor = |desk: &Desk| desk.state.open.as_ref().unwrap().draft.composer.cursor();
    assert!(cursor(&desk) > 0, "the row above is not the beginning");
    let above = cursor(&desk);
    desk.keys("down");
    assert!(cursor(&desk) > above);
}

#[test]
fn undo_by_its_command_takes_back_what_was_done_before_it_was_typed() {
    let mut desk = desk();
    desk.write("kept");
    desk.keys("ctrl-c");
    desk.write("/undo");
    desk.keys("esc enter");
    assert_eq!(desk.written(), "kept");
    desk.write(" more");
    desk.keys("ctrl-p");
    desk.write("To the start of the line");
    desk.tell(Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)));
    assert_eq!(desk.state.open.as_ref().unwrap().draft.composer.cursor(), 0);
}

#[test]
fn what_a_sheet_lists_is_laid_out_once_and_as_it_would_be_anew() {
    let mut desk = Desk::filled(120, 40, Glyphs::Ascii);
    desk.keys("f1");
    for keys in ["down", "pagedown", "pagedown", "up", "pageup"] {
        desk.keys(keys);
        let cached = desk.screen();
        desk.cache.clear();
        assert_eq!(desk.screen(), cached, "{keys}");
    }
    desk.keys("esc ctrl-x x");
    assert!(matches!(desk.state.sheet.as_ref().unwrap().kind, SheetKind::Keys));
    let other = desk.screen();
    desk.cache.clear();
    assert_eq!(desk.screen(), other);
}
