//! That each action can be reached, and does something.

use super::{asks, desk};
use crate::tui::{
    action::{Action, Place, TABLE},
    event::Event,
    fixture::{Desk, many, page, talk},
    state::{Editing, Layer, Screen},
};

/// Everything that an action could have changed and somebody could notice.
fn noticeable(desk: &Desk) -> String {
    let state = &desk.state;
    let screen = matches!(state.screen, Screen::Chat);
    format!(
        "{:?}",
        (
            (screen, &state.open, &state.sheet, &state.layers, &state.notice),
            (state.folded.len(), state.shows_rooms, state.is_bare, state.look.mouse),
            (state.is_zoomed, state.marks.len()),
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
    match place {
        Place::Everywhere => {}
        Place::Selecting | Place::Vim => {
            desk.keys("alt-p k");
            desk.draw();
        }
        // A word was deleted, one is taken back that can be done again, and a name can be completed in the middle.
        Place::Writing => {
            desk.write("one two");
            desk.keys("ctrl-w");
            desk.write("two");
            desk.keys("left left left");
            desk.write("@b");
        }
    }
    if place == Place::Vim {
        desk.state.editing = Editing::Vim;
    }
    desk
}

/// The key of the room that is open already.
const NTH_IS_OPEN: &str = "alt-6";

const ARGUMENTS: &[(&str, &str)] = &[
    ("file", "notes.txt"),
    ("save", "/tmp"),
    ("go", "@bo"),
    ("split", "@bo"),
    ("vsplit", "@bo"),
    ("layout", "beside"),
    ("search", "nest3"),
    ("room", "1"),
    ("fold", "Gardeners"),
    ("here", "restarting"),
    ("copy-link", "1"),
    ("goto", "2026-05-01"),
    ("reply", "yes"),
    ("edit", "no"),
    ("delete", "spam"),
    ("report", "spam"),
    ("react", ":tada:"),
    ("unreact", ":tada:"),
    ("forward", "@bo@nest.example"),
    ("read", "all"),
    ("me", "waves"),
    ("mark", "a"),
    ("write", "A"),
    ("to-mark", "a"),
    ("join", "rookery://x"),
    ("group", "weekend @bo @dee"),
    ("topic", "news"),
    ("rename", "better"),
    ("invite", "@bo"),
    ("kick", "@bo spam"),
    ("ban", "@bo spam"),
    ("unban", "@bo"),
    ("approve", "@bo"),
    ("refuse", "@bo"),
    ("sessions", "end 1"),
    ("mute", "8h"),
    ("expire", "8h"),
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
    ("bind", "ctrl-t = thread"),
];

#[test]
fn every_action_does_something_by_its_keys() {
    for spec in TABLE {
        for (place, key, _) in spec.keys {
            let mut desk = prepared(*place);
            if spec.action == Action::Redo {
                desk.keys("ctrl-_");
            }
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
                desk.state.open.as_mut().unwrap().draft.composer.set_text(&command);
                let effects = desk.keys("enter");
                desk.state.open.as_mut().unwrap().draft.composer =
                    crate::tui::composer::Composer::default();
                let did = !effects.is_empty() || noticeable(&desk) != before;
                assert!(did, "{command} does nothing");
                assert!(!desk.said().contains("There is no command"), "{command}: {}", desk.said());
                let says = matches!(
                    spec.action,
                    Action::Me | Action::Reply | Action::Forward | Action::Retry | Action::File
                );
                assert!(asks(&effects, "send").is_empty() || says, "{command} was sent as text");
                desk.draw();
            }
            assert!(spec.args.is_empty() || argument.is_some(), "no argument for {}", spec.name);
        }
    }
}
