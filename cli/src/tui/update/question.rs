//! Asking first, where others lose by what is done or it cannot be taken back; and keeping a command that could not be done.

use super::{act, compose};
use crate::tui::{
    action::{Action, Spec},
    effect::Effect,
    state::{Layer, State, Weight},
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
    let is_whole = |spec: &&Spec| !argument.is_empty() || !act::wants_more(spec);
    if let Some(spec) = action.spec().filter(is_whole)
        && let Some(question) = question(state, action, argument)
    {
        let slash = spec.slash.first().copied().unwrap_or_default();
        let command = format!("/{slash} {argument}");
        state.layers.push(Layer::Confirm { question, command });
        return vec![];
    }
    act::run(state, action, argument)
}

/// Runs a command that somebody has written, after asking where that is due.
pub(super) fn typed(state: &mut State, line: &str) -> Vec<Effect> {
    let (word, argument) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let action = word.strip_prefix('/').and_then(Action::slashed);
    let is_whole = |spec: &Spec| !argument.trim().is_empty() || !act::wants_more(spec);
    if let Some(action) = action
        && action.spec().is_some_and(is_whole)
        && let Some(question) = question(state, action, argument.trim())
    {
        state.layers.push(Layer::Confirm { question, command: line.trim().to_owned() });
        return vec![];
    }
    confirmed(state, line)
}

/// Runs a command that needs no question any more. One that is not done comes back where it can be mended.
pub(super) fn confirmed(state: &mut State, line: &str) -> Vec<Effect> {
    let first = state.next_ticket;
    state.notice = None;
    let (effects, is_known) = act::command(state, line);
    for ticket in first..state.next_ticket {
        state.commands.insert(ticket, line.to_owned());
    }
    let is_wrong = state.notice.as_ref().is_some_and(|notice| notice.weight == Weight::Trouble);
    if !is_known || (is_wrong && first == state.next_ticket) {
        compose::mend(state, line);
    }
    effects
}
