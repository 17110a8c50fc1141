//! Vi's keys beyond the text: lists, marks and panes; and the way to those that change the text.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{act, compose, key, navigate, say, usage};
use crate::tui::{
    action::{Action, Place},
    composer::Edit,
    effect::Effect,
    keymap::{Found, Stroke},
    state::{Editing, State, Weight},
    vim::{Mode, Outcome},
};

/// A key where vi's are commands: on a selected message, and those for panes. Nothing if it is none of them.
pub(super) fn press(state: &mut State) -> Option<Vec<Effect>> {
    if state.editing != Editing::Vim || !has_commands(state) {
        return None;
    }
    let (first, second) = (state.strokes.first().copied()?, state.strokes.get(1).copied());
    let is_mark = key::is_selecting(state) && matches!(first.letter(), Some('m' | '\'' | '`'));
    match (is_mark, second) {
        // The next key says which.
        (true, None) => return Some(vec![]),
        (true, Some(second)) => {
            state.strokes.clear();
            return Some(mark(state, first, second));
        }
        _ => {}
    }
    match state.keymap.find_at(Place::Vim, &state.strokes) {
        Found::Action(action, argument) => {
            state.strokes.clear();
            Some(key::done(state, action, &argument))
        }
        Found::Prefix => Some(vec![]),
        // A beginning that leads nowhere is no key of its own.
        Found::Nothing if state.keymap.find_at(Place::Vim, &[first]) == Found::Prefix => {
            state.strokes.clear();
            Some(vec![])
        }
        Found::Nothing => None,
    }
}

/// `m` and a letter remember the selected message, `'` and the letter go there; `''` goes to the message that this one answers.
fn mark(state: &mut State, first: Stroke, second: Stroke) -> Vec<Effect> {
    let Some(letter) = second.letter() else { return vec![] };
    let action = match (first.letter(), letter) {
        (Some('m'), _) => Action::Mark,
        (Some('\''), '\'') => return act::run(state, Action::Quoted, ""),
        _ => Action::ToMark,
    };
    act::run(state, action, &letter.to_string())
}

fn has_commands(state: &State) -> bool {
    if key::is_selecting(state) {
        return true;
    }
    let has_sheet = state.sheet.as_ref().is_some_and(|sheet| sheet.has_keys);
    let is_normal =
        |vim: &crate::tui::vim::Vim| vim.mode() == Mode::Normal && vim.pending().is_empty();
    let is_free = has_sheet || state.open.as_ref().is_none_or(|open| is_normal(&open.vim));
    is_free && state.strokes.first().is_some_and(|first| is_pane(*first))
}

/// Whether a key begins those for panes.
fn is_pane(stroke: Stroke) -> bool {
    stroke.code == KeyCode::Char('w') && stroke.modifiers == KeyModifiers::CONTROL
}

/// A key for what is written; nothing if vi leaves it to others.
pub(super) fn write(state: &mut State, key: KeyEvent) -> Option<Vec<Effect>> {
    if state.editing != Editing::Vim {
        return None;
    }
    let open = state.open.as_mut()?;
    let mut vim = std::mem::take(&mut open.vim);
    let outcome = vim.key(key, open.writing());
    open.vim = vim;
    match outcome {
        Outcome::Consumed => Some(compose::wrote(state)),
        Outcome::Pass => None,
        Outcome::Unbound(keys) => Some(sequence(state, &keys)),
        Outcome::CommandLine => Some(act::ask_for(state, ":", "/")),
        Outcome::List => Some(navigate::select(state, 0)),
        Outcome::Send => Some(compose::send(state)),
        Outcome::CopyToClipboard(text) => Some(vec![Effect::Copy(text)]),
    }
}

/// Keys that mean nothing to a text, and something in a list.
fn sequence(state: &mut State, keys: &str) -> Vec<Effect> {
    let spaced: Vec<String> = keys.chars().map(String::from).collect();
    let Ok(chord) = spaced.join(" ").parse::<crate::tui::keymap::Chord>() else { return vec![] };
    match state.keymap.find_at(Place::Vim, &chord.0) {
        Found::Action(action, argument) => key::done(state, action, &argument),
        _ => vec![],
    }
}

/// Back from a list to what is written: to writing, by the letter of vi's that says where.
pub(super) fn begin(state: &mut State, letter: &str) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return usage(state, "Open a conversation first") };
    open.selecting = None;
    let letter = letter.chars().next().filter(|letter| "iaIAo".contains(*letter)).unwrap_or('i');
    if state.editing == Editing::Vim && open.vim.mode() == Mode::Normal {
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
        return write(state, key).unwrap_or_default();
    }
    match letter {
        'I' => open.writing().apply(Edit::LineStart),
        'A' => open.writing().apply(Edit::LineEnd),
        _ => false,
    };
    say(state, Weight::Done, "What you type is written")
}
