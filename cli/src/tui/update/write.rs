//! Keys about the text that is being written.

use ratatui::crossterm::event::KeyEvent;

use super::{act, complete, compose, draft, navigate, say, vim};
use crate::tui::{
    action::{Action, Place},
    composer::Edit,
    effect::Effect,
    keymap::{Found, Stroke},
    state::{Layer, Purpose, State, Weight},
};

/// Columns of the sign before what is written.
const SIGN: u16 = 3;

/// A key where nothing is open to write in: a command, or the beginning of a name to go to.
fn begin(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    match Stroke::of(key).letter() {
        Some('/') => act::ask_for(state, "Command", "/"),
        Some(letter) => {
            let effects = act::run(state, Action::Go, "");
            if let Some(Layer::Picker(picker)) = state.layers.last_mut() {
                picker.query.apply(Edit::Insert(letter.to_string()));
                picker.narrow();
            }
            effects
        }
        None if state.keymap.written(Stroke::of(key)) == Some(Action::Close) => close(state),
        None => vec![],
    }
}

/// A key for what is being written, after those that mean the same everywhere.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if state.open.is_none() {
        state.strokes.clear();
        return begin(state, key);
    }
    // A chord may be bound for here alone; what is written by a single key is found at once.
    if let Found::Prefix = state.keymap.find_at(Place::Writing, &state.strokes) {
        return vec![];
    }
    let is_chord = state.strokes.len() > 1;
    if is_chord
        && let Found::Action(action, argument) =
            state.keymap.find_at(Place::Writing, &state.strokes)
    {
        state.strokes.clear();
        return super::key::done(state, action, &argument);
    }
    state.strokes.clear();
    if let Some(effects) = vim::write(state, key) {
        return effects;
    }
    let stroke = Stroke::of(key);
    match state.keymap.find_at(Place::Writing, &[stroke]) {
        // Something else than writing may be bound for here as well.
        Found::Action(action, argument) if !action.is_writing() => {
            super::key::done(state, action, &argument)
        }
        _ => match (state.keymap.written(stroke), stroke.letter()) {
            (Some(action), _) => run(state, action),
            (None, Some(letter)) => edit(state, Edit::Insert(letter.to_string())),
            (None, None) => vec![],
        },
    }
}

/// Does to what is written what an action says, when a key has asked for it.
pub(super) fn run(state: &mut State, action: Action) -> Vec<Effect> {
    if let Some(open) = &mut state.open
        && open.selecting.is_some()
        && action != Action::Close
    {
        open.selecting = None;
    }
    let has_completion = state.open.as_ref().is_some_and(|open| open.completion.is_some());
    match action {
        Action::Close => close(state),
        Action::Send => enter(state),
        Action::Complete => tab(state),
        Action::Clear => clear(state),
        Action::DeleteLetter if is_writing_nothing(state) => vec![],
        Action::RowUp if has_completion => {
            complete::next(state, -1);
            vec![]
        }
        Action::RowDown if has_completion => {
            complete::next(state, 1);
            vec![]
        }
        Action::RowUp if is_writing_nothing(state) => navigate::select(state, 0),
        _ => match action.edit() {
            Some(change) => edit(state, change),
            None => vec![],
        },
    }
}

/// The same by a command or out of the palette, with which nothing may be there to be changed: then it says by which key it is done.
pub(super) fn asked(state: &mut State, action: Action) -> Vec<Effect> {
    let before = look(state);
    let is_empty = state.open.as_mut().is_some_and(|open| open.writing().is_empty());
    let effects = match action.edit() {
        Some(Edit::Undo) if is_empty => {
            undo(state);
            vec![]
        }
        Some(change) => edit(state, change),
        None => run(state, action),
    };
    if look(state) != before || (action.edit().is_none() && !effects.is_empty()) {
        return effects;
    }
    let key = state.keymap.keys_of(action).into_iter().next().map(|(_, key)| key);
    let title = action.spec().map_or("", |spec| spec.title);
    let said = match key {
        Some(key) => format!("{title}: {key} does it while you write"),
        None => format!("{title}: there is nothing to do it to"),
    };
    say(state, Weight::Done, said)
}

/// What could have been changed of what is written, and of where the keys go.
fn look(state: &mut State) -> (Option<(String, usize, bool)>, bool) {
    let is_beside = state.is_beside();
    let written = state.open.as_mut().map(|open| {
        let has_completion = open.completion.is_some();
        let writing = open.writing();
        (writing.text(), writing.cursor(), has_completion)
    });
    (written, is_beside)
}

/// Takes back the last change before the command that asks for it was typed: that, and its going away, nobody means.
fn undo(state: &mut State) {
    const MOST: usize = 8;
    let Some(open) = &mut state.open else { return };
    let writing = open.writing();
    for _ in 0..MOST {
        let is_changed = writing.apply(Edit::Undo);
        let text = writing.as_str();
        if !is_changed || !(text.is_empty() || "/undo".starts_with(text)) {
            return;
        }
    }
}

fn is_writing_nothing(state: &mut State) -> bool {
    state.open.as_mut().is_none_or(|open| open.writing().is_empty())
}

fn edit(state: &mut State, change: Edit) -> Vec<Effect> {
    let columns = state.size.0.saturating_sub(SIGN);
    let Some(open) = &mut state.open else { return vec![] };
    // Up and down go by rows as they are seen.
    open.draft.composer.set_columns(columns);
    open.writing().apply(change);
    compose::wrote(state)
}

fn enter(state: &mut State) -> Vec<Effect> {
    let completion = state.open.as_ref().and_then(|open| open.completion.as_ref());
    if completion.is_some_and(|completion| completion.is_chosen) && complete::take(state) {
        return compose::wrote(state);
    }
    // A backslash at the end of a line continues it, where no other key can.
    if let Some(open) = &mut state.open {
        let writing = open.writing();
        if writing.text().ends_with('\\') {
            writing.apply(Edit::Backspace);
            writing.apply(Edit::NewLine);
            return vec![];
        }
    }
    compose::send(state)
}

fn tab(state: &mut State) -> Vec<Effect> {
    if state.open.as_ref().is_some_and(|open| open.completion.is_some()) {
        complete::take(state);
        return compose::wrote(state);
    }
    if complete::next(state, 0) {
        return vec![];
    }
    // With nothing to complete, the keys go to the pane beside.
    if let Some(sheet) = &mut state.sheet {
        sheet.has_keys = true;
    } else if let Some(thread) = state.open.as_mut().and_then(|open| open.thread.as_mut()) {
        thread.has_keys = !thread.has_keys;
    }
    vec![]
}

/// Takes what is written away; undo brings it back.
fn clear(state: &mut State) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    open.completion = None;
    if open.writing().is_empty() {
        if open.draft.purpose != Purpose::Say {
            open.draft.end_purpose();
            return vec![];
        }
        return say(state, Weight::Done, "Ctrl+Q ends rookery");
    }
    open.writing().clear();
    // In a thread, what is done in the room beside it stays under way.
    if open.thread.as_ref().is_none_or(|thread| !thread.has_keys) {
        open.draft.end_purpose();
    }
    compose::wrote(state)
}

/// Closes what is topmost. What is written stays.
pub(super) fn close(state: &mut State) -> Vec<Effect> {
    state.notice = None;
    if let Some(open) = &mut state.open {
        if open.completion.take().is_some() || open.selecting.take().is_some() {
            return vec![];
        }
        if open.draft.purpose != Purpose::Say {
            open.draft.end_purpose();
            return vec![];
        }
    }
    if state.sheet.take().is_some() {
        return vec![];
    }
    if let Some(effects) = draft::close_thread(state) {
        return effects;
    }
    if std::mem::take(&mut state.is_bare) || std::mem::take(&mut state.is_zoomed) {
        return vec![];
    }
    if state.open.as_ref().is_some_and(|open| !open.window.is_at_end()) {
        return navigate::newest(state);
    }
    vec![]
}
