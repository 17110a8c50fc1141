//! Keys: to the topmost layer, else to the sheet, the selection or the composer.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{act, attach, compose, private, question, sheet, vim, welcome, write};
use crate::tui::{
    action::{Action, Place},
    composer::Edit,
    effect::Effect,
    keymap::{Found, Stroke},
    state::{Early, Form, Layer, Screen, State},
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
    // A chord that was begun is ended wherever the keys go.
    if state.strokes.is_empty()
        && state.sheet.as_ref().is_some_and(|sheet| sheet.has_keys)
        && let Some(effects) = sheet::press(state, stroke)
    {
        return effects;
    }
    state.strokes.push(stroke);
    if let Some(effects) = vim::press(state) {
        return effects;
    }
    let place = if is_selecting(state) { Place::Selecting } else { Place::Everywhere };
    match state.keymap.find(place, &state.strokes) {
        Found::Action(action, argument) => {
            state.strokes.clear();
            return done(state, action, &argument);
        }
        Found::Prefix => return vec![],
        Found::Nothing if place == Place::Selecting => {
            state.strokes.clear();
            // Anything else that is written begins a message.
            if stroke.letter().is_none() {
                return vec![];
            }
            if let Some(open) = &mut state.open {
                open.selecting = None;
            }
        }
        Found::Nothing => {}
    }
    write::press(state, key)
}

/// Does what a key stands for: what is about the text at once, the rest after asking where that is due.
pub(super) fn done(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    if action.is_writing() {
        return write::run(state, action);
    }
    question::pressed(state, action, argument)
}

pub(super) fn is_selecting(state: &State) -> bool {
    state.open.as_ref().is_some_and(|open| open.selecting.is_some())
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

/// Text was pasted.
pub(super) fn paste(state: &mut State, text: String) -> Vec<Effect> {
    // Terminals put a carriage return where the pasted text has the end of a line.
    let text =
        if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
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
            KeyCode::Char('f' | 'F') => attach::send_pasted(state, &text),
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
            if let Some(change) = state.keymap.edit(key) {
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
                    if let Some(change) = state.keymap.edit(key) {
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
