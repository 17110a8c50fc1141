//! Keys: to the topmost layer, else to the sheet, the selection or the composer.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{act, compose, draft, navigate, private, question, sheet, welcome};
use crate::tui::{
    action::{Action, Place},
    composer::Edit,
    effect::Effect,
    keymap::{Found, Stroke},
    state::{Early, Editing, Form, Layer, Purpose, Screen, State},
    vim::Outcome,
};

/// How many keys are kept that were pressed too early.
const MAX_EARLY: usize = 1_024;
/// How many pastes among them.
const MAX_PASTES: usize = 16;

/// A key was pressed.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return vec![];
    }
    match state.screen {
        Screen::Opening if is_quit(key) => return super::quit(state),
        Screen::Opening => return hold(state, Early::Key(key)),
        Screen::Chat if !state.has_rooms && Stroke::of(key).letter().is_some() => {
            return hold(state, Early::Key(key));
        }
        Screen::Locked(_) | Screen::Welcome(_) => return welcome::press(state, key),
        Screen::Chat => {}
    }
    if !state.layers.is_empty() {
        return layer(state, key);
    }
    let stroke = Stroke::of(key);
    let place = if state.open.as_ref().is_some_and(|open| open.selecting.is_some()) {
        Place::Selecting
    } else {
        Place::Everywhere
    };
    if state.sheet.as_ref().is_some_and(|sheet| sheet.has_keys)
        && let Some(effects) = sheet::press(state, stroke)
    {
        return effects;
    }
    state.strokes.push(stroke);
    match state.keymap.find(place, &state.strokes) {
        Found::Action(action, argument) => {
            state.strokes.clear();
            return question::pressed(state, action, &argument);
        }
        Found::Prefix => return vec![],
        Found::Nothing => state.strokes.clear(),
    }
    if place == Place::Selecting {
        if key.code == KeyCode::Esc || stroke.letter() == Some('q') {
            return close(state);
        }
        // Anything else that is written begins a message.
        if stroke.letter().is_none() {
            return vec![];
        }
        if let Some(open) = &mut state.open {
            open.selecting = None;
        }
    }
    write(state, key)
}

/// Keeps a key or a paste until there is something to write in: nobody waits for a program to be ready before they type.
pub(super) fn hold(state: &mut State, early: Early) -> Vec<Effect> {
    let pastes = state.early.iter().filter(|early| matches!(early, Early::Paste(_))).count();
    if state.early.len() < MAX_EARLY && (pastes < MAX_PASTES || matches!(early, Early::Key(_))) {
        state.early.push(early);
    }
    vec![]
}

/// Presses the keys that were held, and pastes what was pasted.
pub(super) fn press_early(state: &mut State) -> Vec<Effect> {
    let early = std::mem::take(&mut state.early);
    let press = |early| match early {
        Early::Key(key) => press(state, key),
        Early::Paste(text) => paste(state, text),
    };
    early.into_iter().flat_map(press).collect()
}

/// Whether a key ends the program where there is nothing else to end.
pub(super) fn is_quit(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL)
        && matches!(key.code, KeyCode::Char('q' | 'c' | 'd'))
}

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
        None if key.code == KeyCode::Esc => close(state),
        None => vec![],
    }
}

/// A key for what is being written.
fn write(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if state.open.is_none() {
        return begin(state, key);
    }
    let is_alt = key.modifiers.contains(KeyModifiers::ALT);
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let is_shift = key.modifiers.contains(KeyModifiers::SHIFT);
    if state.editing == Editing::Vim
        && let Some(effects) = vim(state, key)
    {
        return effects;
    }
    let has_completion = state.open.as_ref().is_some_and(|open| open.completion.is_some());
    match key.code {
        KeyCode::Esc => close(state),
        KeyCode::Enter if is_alt || is_shift => edit(state, Edit::NewLine),
        KeyCode::Char('j') if is_control => edit(state, Edit::NewLine),
        KeyCode::Enter => enter(state),
        KeyCode::Tab => tab(state),
        KeyCode::Char('c') if is_control => clear(state),
        KeyCode::Char('d') if is_control && is_writing_nothing(state) => vec![],
        KeyCode::Up | KeyCode::BackTab if has_completion => {
            compose::complete(state, -1);
            vec![]
        }
        KeyCode::Down if has_completion => {
            compose::complete(state, 1);
            vec![]
        }
        KeyCode::Up if is_writing_nothing(state) => navigate::select(state, 0),
        _ => match edit_of(key) {
            Some(change) => edit(state, change),
            None => vec![],
        },
    }
}

/// The change of a text that a key stands for, as readline has it.
#[must_use]
pub(super) fn edit_of(key: KeyEvent) -> Option<Edit> {
    let is_alt = key.modifiers.contains(KeyModifiers::ALT);
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match (key.code, is_control, is_alt) {
        (KeyCode::Char('a'), true, _) | (KeyCode::Home, ..) => Edit::LineStart,
        (KeyCode::Char('e'), true, _) | (KeyCode::End, ..) => Edit::LineEnd,
        (KeyCode::Char('u'), true, _) => Edit::KillLine,
        (KeyCode::Char('y'), true, _) => Edit::Yank,
        (KeyCode::Char('_' | '/' | '7'), true, _) => Edit::Undo,
        (KeyCode::Char('d'), true, _) | (KeyCode::Delete, ..) => Edit::Delete,
        (KeyCode::Char('w'), true, _) | (KeyCode::Backspace, false, true) => Edit::DeleteWordLeft,
        (KeyCode::Char('b'), _, true) | (KeyCode::Left, true, _) => Edit::WordLeft,
        (KeyCode::Char('f'), _, true) | (KeyCode::Right, true, _) => Edit::WordRight,
        (KeyCode::Char('d'), _, true) => Edit::DeleteWordRight,
        (KeyCode::Char('k'), _, true) => Edit::KillToEnd,
        (KeyCode::Backspace, ..) | (KeyCode::Char('h'), true, _) => Edit::Backspace,
        (KeyCode::Left, ..) => Edit::Left,
        (KeyCode::Right, ..) => Edit::Right,
        (KeyCode::Up, ..) => Edit::Up,
        (KeyCode::Down, ..) => Edit::Down,
        (KeyCode::Char(letter), false, false) => Edit::Insert(letter.to_string()),
        _ => return None,
    })
}

fn is_writing_nothing(state: &mut State) -> bool {
    state.open.as_mut().is_none_or(|open| open.writing().is_empty())
}

fn edit(state: &mut State, change: Edit) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    open.writing().apply(change);
    compose::wrote(state)
}

fn enter(state: &mut State) -> Vec<Effect> {
    let completion = state.open.as_ref().and_then(|open| open.completion.as_ref());
    if completion.is_some_and(|completion| completion.is_chosen) && compose::take_completion(state)
    {
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
        compose::take_completion(state);
        return compose::wrote(state);
    }
    if compose::complete(state, 0) {
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
        return super::say(state, super::Weight::Done, "Ctrl+Q ends rookery");
    }
    open.writing().clear();
    // In a thread, what is done in the room beside it stays under way.
    if open.thread.as_ref().is_none_or(|thread| !thread.has_keys) {
        open.draft.end_purpose();
    }
    compose::wrote(state)
}

/// Closes what is topmost. What is written stays.
fn close(state: &mut State) -> Vec<Effect> {
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
    if std::mem::take(&mut state.is_bare) {
        return vec![];
    }
    if state.open.as_ref().is_some_and(|open| !open.window.is_at_end()) {
        return navigate::newest(state);
    }
    vec![]
}

fn vim(state: &mut State, key: KeyEvent) -> Option<Vec<Effect>> {
    let open = state.open.as_mut()?;
    let mut vim = std::mem::take(&mut open.vim);
    let outcome = vim.key(key, open.writing());
    open.vim = vim;
    match outcome {
        Outcome::Consumed => Some(compose::wrote(state)),
        Outcome::Pass => None,
        Outcome::Unbound(keys) => Some(vim_sequence(state, &keys)),
        Outcome::CommandLine => Some(act::ask_for(state, ":", "/")),
        Outcome::List => Some(navigate::select(state, 0)),
        Outcome::Send => Some(compose::send(state)),
        Outcome::CopyToClipboard(text) => Some(vec![Effect::Copy(text)]),
    }
}

/// Keys of vi that are about rooms, not about a text.
fn vim_sequence(state: &mut State, keys: &str) -> Vec<Effect> {
    match keys {
        "gt" => act::run(state, Action::Below, ""),
        "gT" => act::run(state, Action::Above, ""),
        _ => vec![],
    }
}

/// Text was pasted.
pub(super) fn paste(state: &mut State, text: String) -> Vec<Effect> {
    if let Screen::Locked(_) | Screen::Welcome(_) = state.screen {
        return welcome::paste(state, &text);
    }
    if matches!(state.screen, Screen::Opening) || !state.has_rooms {
        return hold(state, Early::Paste(text));
    }
    match state.layers.last_mut() {
        Some(Layer::Form(Form { field, .. })) => {
            field.apply(Edit::Insert(one_line(&text)));
        }
        Some(Layer::Picker(picker)) => {
            picker.query.apply(Edit::Insert(one_line(&text)));
            picker.narrow();
        }
        Some(Layer::Private(private)) => private::paste(private, &text),
        // It is one paste more, and asked about with the one before.
        Some(Layer::Paste { text: first }) => first.push_str(&text),
        // No answer to a question: it goes to what is written behind it.
        Some(Layer::Confirm { .. }) => return compose::insert(state, text),
        None => return compose::paste(state, text),
    }
    vec![]
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A key for the topmost layer.
fn layer(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.code == KeyCode::Esc || (is_control && key.code == KeyCode::Char('c')) {
        match state.layers.pop() {
            Some(Layer::Form(form)) => act::leave_form(state, form),
            Some(Layer::Private(private)) => return private::leave(state, private),
            _ => {}
        }
        return vec![];
    }
    if is_control && key.code == KeyCode::Char('q') {
        return super::quit(state);
    }
    // What is about the terminal itself goes on whatever lies over the messages.
    if let Found::Action(action @ (Action::Suspend | Action::Redraw), _) =
        state.keymap.find(Place::Everywhere, &[Stroke::of(key)])
    {
        return act::run(state, action, "");
    }
    match state.layers.pop() {
        Some(Layer::Confirm { question, command, is_written }) => match key.code {
            KeyCode::Char('y' | 'Y') => question::confirmed(state, &command, is_written),
            KeyCode::Char('n' | 'N') => vec![],
            _ => {
                state.layers.push(Layer::Confirm { question, command, is_written });
                vec![]
            }
        },
        Some(Layer::Paste { text }) => match key.code {
            KeyCode::Char('y' | 'Y') | KeyCode::Enter => compose::insert(state, text),
            KeyCode::Char('c' | 'C') => compose::insert(state, compose::fenced(&text)),
            KeyCode::Char('n' | 'N') => vec![],
            _ => {
                state.layers.push(Layer::Paste { text });
                vec![]
            }
        },
        Some(Layer::Form(mut form)) => {
            if key.code == KeyCode::Enter {
                let line = format!("{}{}", form.command, form.field.text().trim_end());
                return question::typed(state, &line);
            }
            if let Some(change) = edit_of(key) {
                form.field.apply(change);
            }
            state.layers.push(Layer::Form(form));
            vec![]
        }
        Some(Layer::Private(private)) => private::press(state, private, key),
        Some(Layer::Picker(mut picker)) => {
            let is_alt = key.modifiers.contains(KeyModifiers::ALT);
            match key.code {
                KeyCode::Enter => {
                    let choice = picker.choice().cloned();
                    return choice.map_or_else(Vec::new, |choice| act::pick(state, &choice));
                }
                KeyCode::Char(digit @ '1'..='9') if is_alt => {
                    let place = usize::try_from(u32::from(digit).saturating_sub(u32::from('1')));
                    picker.marked = place.unwrap_or(0);
                    let choice = picker.choice().cloned();
                    return choice.map_or_else(Vec::new, |choice| act::pick(state, &choice));
                }
                KeyCode::Up | KeyCode::BackTab => picker.step(-1),
                KeyCode::Down | KeyCode::Tab => picker.step(1),
                KeyCode::PageUp => picker.step(-10),
                KeyCode::PageDown => picker.step(10),
                _ => {
                    if let Some(change) = edit_of(key) {
                        picker.query.apply(change);
                        picker.narrow();
                    }
                }
            }
            state.layers.push(Layer::Picker(picker));
            vec![]
        }
        None => vec![],
    }
}
