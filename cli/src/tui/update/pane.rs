//! Panes: which has the keys, closing the one beside, one on the whole screen; and messages that are remembered under a letter.

use super::{draft, navigate, say, sheet, split, usage};
use crate::tui::{
    action::Action,
    effect::Effect,
    state::{State, Weight},
};

/// How many messages are remembered.
const MAX_MARKS: usize = 256;

/// Does what an action about panes or marks says.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::NextPane => next(state),
        Action::ClosePane => close(state),
        Action::Zoom => {
            state.is_zoomed = !state.is_zoomed;
            vec![]
        }
        Action::Mark => mark(state, argument),
        _ => to_mark(state, argument),
    }
}

/// Gives the keys to the next of what is written, the messages and the pane beside, as far as they are there; and where several conversations
/// are shown, to the next of them.
fn next(state: &mut State) -> Vec<Effect> {
    let beside = state.has_beside();
    let has_others = state.split.count() > 0;
    if state.is_beside() {
        give(state, false);
        return if has_others { split::next(state) } else { vec![] };
    }
    if has_others && beside {
        give(state, true);
        return vec![];
    }
    if has_others {
        return split::next(state);
    }
    let Some(open) = &mut state.open else {
        give(state, beside);
        return vec![];
    };
    if open.selecting.is_none() && !open.window.messages.is_empty() {
        return navigate::select(state, 0);
    }
    open.selecting = None;
    give(state, beside);
    vec![]
}

/// Has the pane beside take the keys, or not.
fn give(state: &mut State, has_keys: bool) {
    if let Some(sheet) = &mut state.sheet {
        sheet.has_keys = has_keys;
    } else if let Some(thread) = state.open.as_mut().and_then(|open| open.thread.as_mut()) {
        thread.has_keys = has_keys;
    }
}

fn close(state: &mut State) -> Vec<Effect> {
    if state.sheet.take().is_some() {
        return vec![];
    }
    match draft::close_thread(state).or_else(|| split::close(state)) {
        Some(effects) => effects,
        None if std::mem::take(&mut state.is_zoomed) => vec![],
        None => say(state, Weight::Done, "There is no other pane"),
    }
}

/// The letter that is meant, and where it counts.
fn name_of(state: &State, argument: &str) -> Option<(Option<String>, char)> {
    let mut letters = argument.chars();
    let letter = letters.next().filter(|letter| letter.is_alphabetic())?;
    if letters.next().is_some() {
        return None;
    }
    let here = state.open.as_ref().map(|open| open.target.clone());
    Some((here.filter(|_| letter.is_lowercase()), letter))
}

fn mark(state: &mut State, argument: &str) -> Vec<Effect> {
    let Some(name) = name_of(state, argument) else { return no_letter(state) };
    let open = state.open.as_ref();
    let message = open.and_then(|open| match &open.selecting {
        Some(selecting) => Some(selecting.id.clone()),
        None => open.window.lowest().and_then(|at| Some(open.window.messages.get(at)?.id.clone())),
    });
    let (Some(open), Some(id)) = (open, message) else {
        return usage(state, "There is no message here");
    };
    let target = open.target.clone();
    if state.marks.len() >= MAX_MARKS {
        state.marks.pop_first();
    }
    let said = format!("Remembered as {}", name.1);
    state.marks.insert(name, (target, id));
    say(state, Weight::Done, said)
}

fn to_mark(state: &mut State, argument: &str) -> Vec<Effect> {
    let Some(name) = name_of(state, argument) else { return no_letter(state) };
    match state.marks.get(&name).cloned() {
        Some((target, id)) => sheet::enter(state, &format!("goto {target} {id}")),
        None => usage(state, format!("Nothing is remembered as {argument} here")),
    }
}

fn no_letter(state: &mut State) -> Vec<Effect> {
    usage(state, "A mark is one letter: a small one counts in its room, a capital everywhere")
}
