//! A whole line that was typed where there is no screen: an answer to what was asked last, else a row of the list that was printed last,
//! else a command or a message.

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::{act, compose, private, question, say, sheet, usage, welcome};
use crate::tui::{
    effect::Effect,
    keymap::Stroke,
    state::{Layer, Purpose, Screen, State, Weight},
};

/// Takes the line.
pub(super) fn line(state: &mut State, line: &str) -> Vec<Effect> {
    // A password can begin like a command.
    if let Some(Layer::Private(_)) = state.layers.last()
        && let Some(Layer::Private(private)) = state.layers.pop()
    {
        return private::line(state, private, line);
    }
    if line.trim() == "/quit" {
        return super::quit(state);
    }
    match state.screen {
        Screen::Opening => return vec![],
        Screen::Locked(_) | Screen::Welcome(_) => return welcome::line(state, line),
        Screen::Chat => {}
    }
    if line.starts_with('/') {
        // A command is one wherever it is typed: what was asked is let go.
        state.layers.clear();
        state.sheet = None;
    } else if let Some(layer) = state.layers.pop() {
        return answer(state, layer, line.trim());
    } else if let Some(effects) = row(state, line.trim()) {
        return effects;
    }
    if line.starts_with('/') && !line.starts_with("//") {
        return question::typed(state, line);
    }
    let Some(open) = &mut state.open else {
        return usage(state, "Open a conversation first: /go NAME");
    };
    // What is being written there elsewhere stays, unless this line is what takes its place.
    let is_edit = matches!(open.draft.purpose, Purpose::Edit(_));
    let former = open.writing().text();
    open.writing().set_text(line);
    let effects = compose::send(state);
    if let Some(open) = &mut state.open {
        let writing = open.writing();
        if writing.text() == line {
            writing.clear();
        }
        if writing.is_empty() && !is_edit {
            writing.set_text(&former);
        }
    }
    effects
}

/// An answer to the topmost layer.
fn answer(state: &mut State, layer: Layer, line: &str) -> Vec<Effect> {
    match layer {
        Layer::Confirm { question, command, is_written } => match line.to_lowercase().as_str() {
            "y" | "yes" => question::confirmed(state, &command, is_written),
            "n" | "no" | "" => say(state, Weight::Done, "Not done"),
            _ => {
                state.layers.push(Layer::Confirm { question, command, is_written });
                usage(state, "Answer y or n")
            }
        },
        Layer::Paste { text } => compose::insert(state, text),
        Layer::Private(private) => private::line(state, private, line),
        Layer::Form(_) if line.is_empty() => say(state, Weight::Done, "Left as it was"),
        Layer::Form(form) => question::typed(state, &format!("{}{line}", form.command)),
        Layer::Picker(_) if line.is_empty() => say(state, Weight::Done, "Nothing was chosen"),
        Layer::Picker(mut picker) => {
            let Ok(number) = line.parse::<usize>() else {
                picker.query.set_text(line);
                picker.narrow();
                state.layers.push(Layer::Picker(picker));
                return vec![];
            };
            picker.marked = number.saturating_sub(1);
            if let Some(choice) = picker.choice().cloned().filter(|_| number > 0) {
                return act::pick(state, &choice);
            }
            state.layers.push(Layer::Picker(picker));
            usage(state, format!("There is no {number} in the list"))
        }
    }
}

/// A row of the open sheet by its number, or a letter of the sheet with a number; nothing if the line is neither, and then the sheet goes.
fn row(state: &mut State, line: &str) -> Option<Vec<Effect>> {
    let sheet = state.sheet.as_mut()?;
    let choices = (0..sheet.rows.len())
        .filter(|place| sheet.rows.get(*place).is_some_and(|row| row.is_choice))
        .collect::<Vec<_>>();
    let place = |number: usize| choices.get(number.checked_sub(1)?).copied();
    if let Ok(number) = line.parse::<usize>() {
        let Some(place) = place(number) else {
            return Some(usage(state, format!("There is no {number} in the list")));
        };
        sheet.marked = place;
        let Some(command) = sheet.row().and_then(|row| row.enter.clone()) else {
            return Some(usage(state, "A letter says what to do with it"));
        };
        let before = state.open.as_ref().map(|open| open.target.clone());
        let effects = sheet::enter(state, &command);
        if state.open.as_ref().map(|open| open.target.clone()) != before {
            state.sheet = None;
        }
        return Some(effects);
    }
    let (letter, number) = line.split_once(' ').unwrap_or((line, ""));
    let mut letters = letter.chars();
    let key = letters.next().filter(|_| letters.next().is_none());
    if let Some(key) = key.filter(|key| sheet.kind.keys().iter().any(|one| one.key == *key)) {
        match number.parse::<usize>().ok().map(place) {
            Some(Some(place)) => sheet.marked = place,
            Some(None) => return Some(usage(state, "There is no such row in the list")),
            None => {}
        }
        let stroke = Stroke { code: KeyCode::Char(key), modifiers: KeyModifiers::NONE };
        return sheet::press(state, stroke);
    }
    state.sheet = None;
    line.is_empty().then(Vec::new)
}
