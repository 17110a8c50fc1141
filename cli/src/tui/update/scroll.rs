//! Up and down in the messages at hand, and reading on where their edge is near.

use ratatui::crossterm::event::{MouseEvent, MouseEventKind};

use super::{
    ask, colour, log,
    navigate::{newest, page},
};
use crate::{
    agent::verb::Read,
    tui::{
        effect::Effect,
        state::{
            Anchor, Message, Open, Seen, Selecting, State, Want,
            window::{Loading, MARGIN, Progress},
        },
    },
};

/// What the last frame showed: more is read where its edge is near.
pub(super) fn seen(state: &mut State, seen: Seen) -> Vec<Effect> {
    state.seen = seen;
    let mut effects = colour::ask(state);
    effects.extend(log::follow_back(state));
    effects.extend(read_on(state));
    effects
}

/// Reads more where the edge of what is at hand is near.
fn read_on(state: &mut State) -> Vec<Effect> {
    let first = state.seen.first.clone();
    let Some(open) = &mut state.open else { return vec![] };
    if open.window.loading != Loading::No || open.window.messages.is_empty() {
        return vec![];
    }
    let target = open.target.clone();
    let top = first.and_then(|id| open.window.position(&id)).unwrap_or(0);
    let edge =
        |message: &Message| !matches!(message.progress, Progress::Sending | Progress::CannotOpen);
    if top < MARGIN && !open.window.has_start {
        let Some(oldest) = open.window.messages.iter().find(|message| edge(message)) else {
            return vec![];
        };
        let before = Some(oldest.id.clone());
        open.window.loading = Loading::Older;
        let read = Read { before, ..page(&target) };
        return vec![ask(state, Want::Older(target), &read)];
    }
    let below = open.window.lowest().unwrap_or(0).saturating_add(MARGIN);
    if below >= open.window.messages.len() && !open.window.has_end {
        let Some(newest) = open.window.messages.iter().rfind(|message| edge(message)) else {
            return vec![];
        };
        let after = Some(newest.id.clone());
        open.window.loading = Loading::Newer;
        let read = Read { after, ..page(&target) };
        return vec![ask(state, Want::Newer(target), &read)];
    }
    vec![]
}

/// Goes a page back.
pub(super) fn page_up(state: &mut State) -> Vec<Effect> {
    let seen = state.seen.clone();
    let Some(open) = &mut state.open else { return vec![] };
    let Some(first) = seen.first.as_deref().and_then(|id| open.window.position(id)) else {
        return vec![];
    };
    let anchor = if seen.hidden_above > 0 {
        // A message taller than the screen is gone through piece by piece, with a little of the last piece kept.
        let skip = below_top(&seen);
        open.window.messages.get(first).map(|message| Anchor::At { id: message.id.clone(), skip })
    } else {
        // The topmost message becomes the lowest.
        open.window
            .messages
            .get(first)
            .map(|message| Anchor::At { id: message.id.clone(), skip: 0 })
    };
    if let Some(anchor) = anchor {
        open.window.anchor = anchor;
        move_selection(open);
    }
    vec![]
}

/// How many rows of the topmost message are to be below the edge, for what is above it to be shown.
fn below_top(seen: &Seen) -> u16 {
    let kept = if seen.rows > 4 { 2 } else { 0 };
    // Where the topmost message is the lowest too, rows of it may be below already: they stay there.
    seen.first_rows.saturating_sub(kept)
}

/// Goes a page forward.
pub(super) fn page_down(state: &mut State) -> Vec<Effect> {
    let seen = state.seen.clone();
    let Some(open) = &mut state.open else { return vec![] };
    let Anchor::At { id, skip } = &open.window.anchor else { return vec![] };
    if *skip > 0 {
        let skip = skip.saturating_sub(seen.rows.saturating_sub(2).max(1));
        open.window.anchor = Anchor::At { id: id.clone(), skip };
        return vec![];
    }
    let place = open.window.position(id).unwrap_or(0);
    let there = place.saturating_add(seen.count.saturating_sub(1).max(1));
    match open.window.messages.get(there) {
        Some(message) => open.window.anchor = Anchor::At { id: message.id.clone(), skip: 0 },
        None if open.window.has_end => return newest(state),
        None => {
            if let Some(last) = open.window.messages.last() {
                open.window.anchor = Anchor::At { id: last.id.clone(), skip: 0 };
            }
        }
    }
    move_selection(open);
    vec![]
}

/// Has the selection stay on the screen.
fn move_selection(open: &mut Open) {
    if open.selecting.is_some()
        && let Some(message) =
            open.window.lowest().and_then(|place| open.window.messages.get(place))
    {
        open.selecting = Some(Selecting { id: message.id.clone() });
    }
}

/// The mouse, where it is told: the wheel goes through the messages.
pub(super) fn mouse(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    let steps: isize = match mouse.kind {
        MouseEventKind::ScrollUp => -1,
        MouseEventKind::ScrollDown => 1,
        _ => return vec![],
    };
    let Some(open) = &mut state.open else { return vec![] };
    let Some(lowest) = open.window.lowest() else { return vec![] };
    let there = lowest.saturating_add_signed(steps);
    match open.window.messages.get(there) {
        Some(message) => open.window.anchor = Anchor::At { id: message.id.clone(), skip: 0 },
        None if open.window.has_end => open.window.anchor = Anchor::End,
        None => {}
    }
    vec![]
}
