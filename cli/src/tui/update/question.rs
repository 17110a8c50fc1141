//! Asking first, where others lose by what is done or it cannot be taken back; and keeping a command that could not be done.

use super::act;
use crate::tui::{
    action::Action,
    effect::Effect,
    state::{Layer, State, Weight, Written},
};

/// What is asked before something is done that others lose by, or that cannot be taken back.
fn question(state: &State, action: Action, argument: &str) -> Option<String> {
    let (word, rest) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let rest = rest.trim();
    Some(match (action, word) {
        (Action::Kick, _) => format!("Kick {word}?"),
        (Action::Ban, _) => format!("Ban {word}?"),
        (Action::Block, "") => format!("Block {}?", state.open.as_ref()?.target),
        (Action::Block, _) => format!("Block {word}?"),
        (Action::Decline, name) if !name.is_empty() => format!("Decline {word}?"),
        (Action::Refuse, _) => format!("Turn {word} down?"),
        (Action::Approve, _) => format!("Let {word} in?"),
        (Action::Community, "owner") => {
            format!("Hand it over to {rest}? Only they can give it back")
        }
        (Action::Channel, "delete") => format!("Delete {rest} with all that was said in it?"),
        (Action::Role, "delete") => format!("Delete the role {rest}?"),
        (Action::Invite, "revoke") => format!("End invitation {rest}?"),
        (Action::Devices, "revoke" | "remove") => {
            format!("Revoke {rest}? Nothing will be sealed for it any more")
        }
        (Action::Sessions, "end") => "End that session?".to_owned(),
        (Action::Logout, _) => {
            "Sign this device out? It is revoked, and what is on it cannot be read any more"
                .to_owned()
        }
        _ => return None,
    })
}

/// Does what a key stands for, after asking where that is due.
pub(super) fn pressed(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    let slash = action.spec().and_then(|spec| spec.slash.first()).copied().unwrap_or_default();
    let line = format!("/{slash} {argument}");
    match due(state, line.trim_end()) {
        Some(question) => confirm(state, question, line.trim_end(), false),
        None => act::run(state, action, argument),
    }
}

/// Runs a command that something on the screen stands for, after asking where that is due.
pub(super) fn chosen(state: &mut State, line: &str) -> Vec<Effect> {
    match due(state, line) {
        Some(question) => confirm(state, question, line, false),
        None => act::run_line(state, line),
    }
}

/// Runs a command that somebody has written, after asking where that is due.
pub(super) fn typed(state: &mut State, line: &str) -> Vec<Effect> {
    match due(state, line) {
        Some(question) => confirm(state, question, line, true),
        None => written(state, line),
    }
}

/// Runs a command that was asked about.
pub(super) fn confirmed(state: &mut State, line: &str, is_written: bool) -> Vec<Effect> {
    if is_written { written(state, line) } else { act::run_line(state, line) }
}

/// What is asked before a whole command is run, if anything.
fn due(state: &State, line: &str) -> Option<String> {
    let line = line.trim();
    let (word, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let action = word.strip_prefix('/').and_then(Action::slashed)?;
    let is_whole = !argument.trim().is_empty() || !action.spec().is_some_and(act::wants_more);
    if is_whole { question(state, action, argument.trim()) } else { None }
}

fn confirm(state: &mut State, question: String, line: &str, is_written: bool) -> Vec<Effect> {
    let command = line.trim().to_owned();
    state.layers.push(Layer::Confirm { question, command, is_written });
    vec![]
}

/// Runs a command. It comes back where it can be mended if it cannot be done.
fn written(state: &mut State, line: &str) -> Vec<Effect> {
    let first = state.next_ticket;
    let target = state.open.as_ref().map(|open| open.target.clone());
    let written = Written { target, line: line.to_owned() };
    state.notice = None;
    let (effects, is_known) = act::command(state, line);
    for ticket in first..state.next_ticket {
        state.commands.insert(ticket, written.clone());
    }
    let is_wrong = state.notice.as_ref().is_some_and(|notice| notice.weight == Weight::Trouble);
    if !is_known || (is_wrong && first == state.next_ticket) {
        mend(state, written);
    }
    effects
}

/// Puts a command that was not done back to where it was written, or, where something else is there now, to the form that asks for it.
pub(super) fn mend(state: &mut State, written: Written) {
    let Written { target, line } = written;
    if let Some(open) = state.open.as_mut().filter(|open| Some(&open.target) == target.as_ref())
        && open.writing().is_empty()
    {
        open.writing().set_text(&line);
        return;
    }
    if let Some((command, argument)) = line.split_once(' ') {
        act::leave_unfinished(state, format!("{command} "), argument.to_owned());
    }
}
