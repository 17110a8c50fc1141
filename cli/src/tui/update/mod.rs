//! What each event makes of the model, and what is to be done for it. Nothing here does anything itself.

mod about;
mod act;
mod agent;
mod attach;
mod colour;
mod complete;
mod compose;
mod draft;
mod find;
mod key;
mod line;
mod listed;
mod log;
mod manage;
mod navigate;
mod pane;
mod people;
mod private;
mod question;
mod rows;
mod scroll;
mod sheet;
mod split;
mod terminal;
mod vim;
mod welcome;
mod write;

use std::time::Duration;

use rookery_protocol::time::Timestamp;

use super::{
    effect::Effect,
    event::{Event, Timer},
    state::{Notice, Screen, State, Want, Weight},
};
use crate::{agent::verb::Verb, error::CommandError, render};

pub use act::{commands, run_line};
pub(crate) use welcome::{groups as recovery_groups, is_secret};

/// How long a notice is shown.
const NOTICE: Duration = Duration::from_secs(8);

/// Takes `event`, which came at `at`, into `state`, and says what is to be done. Does none of it.
pub fn update(state: &mut State, at: Timestamp, event: Event) -> Vec<Effect> {
    state.now = at;
    match event {
        Event::Key(stroke) => key::press(state, stroke),
        Event::Paste(text) => key::paste(state, text),
        Event::Mouse(mouse) => scroll::mouse(state, mouse),
        Event::Resized(columns, rows) => {
            state.size = (columns, rows);
            vec![]
        }
        Event::Focus(has_focus) => {
            state.has_focus = has_focus;
            if has_focus { navigate::read_open(state) } else { vec![] }
        }
        Event::Timer(Timer::Draft) => draft::is_due(state),
        Event::Timer(Timer::Typing) => {
            state.typing.clear();
            vec![]
        }
        Event::Timer(Timer::Notice) => {
            state.notice = None;
            vec![]
        }
        Event::Timer(Timer::Clock) => agent::clock(state),
        Event::Seen(seen) => scroll::seen(state, seen),
        Event::Opened(opened) => agent::opened(state, opened),
        Event::Watched(event) => agent::watched(state, event),
        Event::WatchLost(error) => agent::watch_lost(state, &error),
        Event::Answered { ticket, outcome } => agent::answered(state, ticket, outcome),
        Event::Told { ticket, event } => agent::told(state, ticket, event),
        Event::Edited(outcome) => compose::edited(state, outcome),
        Event::Reloaded(outcome) => terminal::reloaded(state, outcome),
        Event::Entered(outcome) => welcome::entered(state, outcome),
        Event::RecoveryKey(key) => private::made(state, key),
        Event::Ending => quit(state),
        Event::Coloured(coloured) => colour::took(state, coloured),
        Event::Line(line) => line::line(state, &line),
    }
}

/// Asks the agent something, and remembers what for.
fn ask<V: Verb>(state: &mut State, want: Want, verb: &V) -> Effect {
    let ticket = state.next_ticket;
    state.next_ticket = state.next_ticket.wrapping_add(1);
    state.pending.insert(ticket, want);
    Effect::ask(ticket, verb)
}

/// Says something for a while.
fn say(state: &mut State, weight: Weight, text: impl Into<String>) -> Vec<Effect> {
    state.notice = Some(Notice { text: render::field(&text.into()), weight });
    vec![Effect::Timer(Timer::Notice, NOTICE)]
}

/// Says what went wrong, and what to do about it.
fn trouble(state: &mut State, error: &CommandError) -> Vec<Effect> {
    let hint = error.hints.first().map_or_else(String::new, |hint| format!(" ({hint})"));
    say(state, Weight::Trouble, format!("{}{hint}", error.message))
}

/// Says how a command is used.
fn usage(state: &mut State, text: impl Into<String>) -> Vec<Effect> {
    say(state, Weight::Trouble, text)
}

/// Ends: what is written is kept first.
fn quit(state: &mut State) -> Vec<Effect> {
    state.is_quitting = true;
    let mut effects = match state.screen {
        Screen::Chat => {
            draft::rescue(state);
            draft::keep(state)
        }
        _ => vec![],
    };
    effects.push(Effect::Quit);
    effects
}

#[cfg(test)]
mod tests;
