//! Finding words in the open conversation, message by message.

use super::{sheet, usage};
use crate::tui::{
    effect::Effect,
    state::{Anchor, Selecting, SheetKind, State},
};

/// Selects the nearest message before the selected one that has `words` in it. What is further back than what is at hand is looked up in
/// the index.
pub(super) fn here(state: &mut State, words: &str) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return usage(state, "Open a conversation first") };
    open.finding = Some(words.to_owned());
    let query = format!("in:{} {words}", open.target);
    if select(state, -1) { vec![] } else { sheet::open(state, SheetKind::Search(query)) }
}

/// Selects the next one of what was looked for last: an older one below zero, else a newer one.
pub(super) fn step(state: &mut State, steps: isize) -> Vec<Effect> {
    let finding = state.open.as_ref().and_then(|open| open.finding.clone());
    let Some(words) = finding else { return usage(state, "Look for something first: /here WORDS") };
    if select(state, steps) {
        return vec![];
    }
    if steps < 0 {
        return here(state, &words);
    }
    usage(state, format!("Nothing newer here has {words:?} in it"))
}

/// Moves the selection to the nearest message in a direction that has the words in it; says whether there is one at hand.
fn select(state: &mut State, steps: isize) -> bool {
    let Some(open) = &state.open else { return false };
    let Some(words) = open.finding.as_ref().map(|words| words.to_lowercase()) else { return false };
    let count = open.window.messages.len();
    let selected = open.selecting.as_ref().and_then(|one| open.window.position(&one.id));
    let has_words = |place: &usize| {
        let message = open.window.messages.get(*place);
        message.is_some_and(|message| message.text.to_lowercase().contains(&words))
    };
    let found = if steps < 0 {
        (0..selected.unwrap_or(count)).rev().find(has_words)
    } else {
        (selected.map_or(count, |place| place.saturating_add(1))..count).find(has_words)
    };
    let Some(message) = found.and_then(|place| open.window.messages.get(place)) else {
        return false;
    };
    let id = message.id.clone();
    if let Some(open) = &mut state.open {
        open.window.anchor = Anchor::At { id: id.clone(), skip: 0 };
        open.selecting = Some(Selecting { id });
    }
    true
}
