//! Several conversations on the screen at once: one of them has the keys and is the open one, the others are looked at.

use super::{act, ask, draft, navigate, say, usage};
use crate::tui::{
    action::Action,
    effect::Effect,
    state::{
        Anchor, Open, State, Want, Weight,
        split::{MAX_PANES, Way},
    },
    vim::Vim,
};

/// Does what an action about them says.
pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    match action {
        Action::Split => add(state, Way::Below, argument),
        Action::SplitBeside => add(state, Way::Beside, argument),
        _ => lay_out(state, argument),
    }
}

/// Shows another conversation with the open one, and gives it the keys.
fn add(state: &mut State, way: Way, name: &str) -> Vec<Effect> {
    let Some(target) = act::named(state, name) else {
        let command = if way == Way::Below { "/split" } else { "/vsplit" };
        return act::pick_room(state, command, name);
    };
    if state.split.count().saturating_add(1) >= MAX_PANES {
        return usage(state, format!("There are {MAX_PANES} panes: close one of them first"));
    }
    state.split.way = way;
    if state.open.as_ref().is_some_and(|open| open.target == target) {
        return usage(state, format!("{target} is shown already: name another one"));
    }
    if let Some(effects) = focus(state, &target) {
        return effects;
    }
    let (mut effects, rested) = draft::rest(state);
    state.split.before.extend(rested);
    state.is_zoomed = false;
    effects.extend(navigate::open(state, &target));
    effects
}

/// Has them lie in another way, or shows the open one alone.
fn lay_out(state: &mut State, word: &str) -> Vec<Effect> {
    match word {
        "beside" => state.split.way = Way::Beside,
        "below" => state.split.way = Way::Below,
        "one" => {
            state.split.before.clear();
            state.split.after.clear();
        }
        _ => return usage(state, "/layout beside, /layout below or /layout one"),
    }
    let said = match (word, state.split.count()) {
        ("one", _) => "One conversation",
        (_, 0) => "There is one conversation: /split or /vsplit shows another one with it",
        _ => return vec![],
    };
    say(state, Weight::Done, said)
}

/// Gives the keys to the conversation called `target`, if it is among those that are looked at.
pub(super) fn focus(state: &mut State, target: &str) -> Option<Vec<Effect>> {
    let place = state.split.others().position(|open| open.target == target)?;
    let before = state.split.before.len();
    // The open one stands between the two lists.
    let place = if place < before { place } else { place.saturating_add(1) };
    Some(go(state, place))
}

/// Gives the keys to the next one, after the last to the first.
pub(super) fn next(state: &mut State) -> Vec<Effect> {
    let last = state.split.count();
    let here = state.split.before.len();
    go(state, if here >= last { 0 } else { here.saturating_add(1) })
}

fn go(state: &mut State, place: usize) -> Vec<Effect> {
    let (mut effects, rested) = draft::rest(state);
    let vim = rested.as_ref().map(|open| open.vim.clone()).unwrap_or_default();
    let mut all = std::mem::take(&mut state.split.before);
    all.extend(rested);
    all.append(&mut state.split.after);
    if place < all.len() {
        state.split.after = all.split_off(place.saturating_add(1));
        let chosen = all.pop();
        state.split.before = all;
        effects.extend(wake(state, chosen, vim));
    }
    effects
}

/// Closes the open one, if there is another to go to.
pub(super) fn close(state: &mut State) -> Option<Vec<Effect>> {
    if state.split.count() == 0 {
        return None;
    }
    let (mut effects, left) = draft::rest(state);
    let vim = left.map(|open| open.vim).unwrap_or_default();
    let next = if state.split.after.is_empty() {
        state.split.before.pop()
    } else {
        Some(state.split.after.remove(0))
    };
    effects.extend(wake(state, next, vim));
    Some(effects)
}

/// Opens one that was looked at, where it stands; vi's mode goes with the keys.
fn wake(state: &mut State, open: Option<Open>, vim: Vim) -> Vec<Effect> {
    let Some(mut open) = open else { return vec![] };
    open.vim = vim;
    open.draft = draft::take(state, &open.target);
    let room = state.room_called(&open.target);
    open.kept = room.and_then(|room| room.draft.clone()).unwrap_or_default();
    open.unread_at_open = room.map_or(0, |room| room.unread);
    state.open = Some(open);
    navigate::attend(state)
}

/// Reads again what is shown of those that are looked at. Nothing of it counts as read: only what has the keys does.
pub(super) fn refresh(state: &mut State) -> Vec<Effect> {
    let wanted = state.split.others().flat_map(|open| {
        let target = &open.target;
        let ends = open.window.has_end || open.window.messages.is_empty();
        let newest = ends.then(|| (Want::Newest(target.clone()), navigate::page(target)));
        let again = match &open.window.anchor {
            Anchor::At { id, .. } => {
                let around = navigate::page_around(target, id);
                Some((Want::Again(target.clone()), around))
            }
            Anchor::End => None,
        };
        newest.into_iter().chain(again)
    });
    let wanted: Vec<_> = wanted.collect();
    let mut effects = vec![];
    for (want, read) in wanted {
        // One at a time: what changes meanwhile is read when the answer is here.
        if state.pending.values().any(|one| *one == want) {
            state.is_stale = true;
        } else {
            effects.push(ask(state, want, &read));
        }
    }
    effects
}
