//! Files: sent, saved and looked for.

use super::{ask, compose, sheet, usage};
use crate::{
    agent::verb::{FileGet, FileLine},
    render,
    tui::{
        action::Action,
        effect::Effect,
        state::{Message, SheetKind, State, Want},
    },
};

/// What a pasted text is called that is sent as a file.
const PASTED: &str = "paste.txt";

pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    let Some(open) = &state.open else { return usage(state, "Open a conversation first") };
    match action {
        Action::File => send(state, argument),
        Action::Files => {
            let query = format!("has:file in:{}", open.target);
            sheet::open(state, SheetKind::Search(query))
        }
        _ => save(state, argument),
    }
}

/// A file that is not sealed yet.
fn unsealed(name: &str) -> FileLine {
    let name = render::field(name);
    FileLine { name, media_type: String::new(), size_bytes: 0, sent_percent: None }
}

/// Sends the file at a path that somebody has typed.
fn send(state: &mut State, typed: &str) -> Vec<Effect> {
    let path = state.folders.absolute(typed);
    let Some(path) = path.to_str().map(str::to_owned) else {
        return usage(state, "The path is no UTF-8: rename a folder in it");
    };
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let file = unsealed(name);
    let thread = compose::thread_with_keys(state);
    let Some(order) = compose::begin(state, String::new(), Some(file), None, thread) else {
        return vec![];
    };
    let order = crate::agent::verb::Send { file: Some(path), ..order };
    compose::hand_over(state, &order, format!("/file {typed}"))
}

/// Sends a text that was pasted as a file.
pub(super) fn send_pasted(state: &mut State, text: &str) -> Vec<Effect> {
    let thread = compose::thread_with_keys(state);
    let file = Some(unsealed(PASTED));
    let Some(order) = compose::begin(state, String::new(), file, None, thread) else {
        return vec![];
    };
    let order = crate::agent::verb::Send { file_name: Some(PASTED.to_owned()), ..order };
    let as_file = |effect| match effect {
        Effect::Ask { ticket, method, params } if method == "send" => {
            Effect::AskWithText { ticket, method, params, text: text.to_owned() }
        }
        other => other,
    };
    let effects = compose::hand_over(state, &order, text.to_owned());
    effects.into_iter().map(as_file).collect()
}

/// The message whose file is meant: the selected one, or the newest that has one.
fn meant(state: &State) -> Option<&Message> {
    let open = state.open.as_ref()?;
    match &open.selecting {
        Some(selecting) => open.window.get(&selecting.id).filter(|message| message.file.is_some()),
        None => open.window.messages.iter().rev().find(|message| message.file.is_some()),
    }
}

/// Has a message's file written where somebody has typed, or into the folder where this program was started.
fn save(state: &mut State, typed: &str) -> Vec<Effect> {
    let Some(message) = meant(state).map(|message| message.id.clone()) else {
        return usage(state, "No file goes with this message");
    };
    let Some(to) = state.folders.absolute(typed).to_str().map(str::to_owned) else {
        return usage(state, "The path is no UTF-8: name another one");
    };
    let Some(open) = &mut state.open else { return vec![] };
    open.selecting = None;
    let order = FileGet { room: open.target.clone(), message, to, force: false };
    vec![ask(state, Want::Saved, &order)]
}
