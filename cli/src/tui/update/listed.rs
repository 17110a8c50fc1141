//! The list of rooms as the agent tells it.

use super::{agent::CLOCK, key, log, navigate, people};
use crate::{
    agent::verb::Conversation,
    render,
    tui::{
        effect::Effect,
        event::Timer,
        state::{Open, State},
    },
};

/// A room whose words cannot drive the terminal.
pub(super) fn harmless(room: Conversation) -> Conversation {
    let field = |text: Option<String>| text.map(|text| render::field(&text));
    Conversation {
        title: render::field(&room.title),
        community: field(room.community),
        topic: field(room.topic),
        alarm: field(room.alarm),
        refusal: field(room.refusal),
        ..room
    }
}

/// The list is here, complete.
pub(super) fn took(state: &mut State, rooms: Vec<Conversation>) -> Vec<Effect> {
    let former = std::mem::replace(&mut state.rooms, rooms);
    look(state);
    let is_first = !std::mem::replace(&mut state.has_rooms, true);
    let mut effects = vec![];
    if !is_first {
        effects.extend(people::notify(state, &former));
    }
    if let Some(awaited) = state.awaited.take() {
        let found = find_awaited(state, &awaited, &former);
        match found {
            Some(target) => effects.extend(navigate::open(state, &target)),
            None => state.awaited = Some(awaited),
        }
    } else if state.open.is_none() {
        // The last thing somebody reads at the start is what they wrote in last, or what is new.
        let first = state.next_unread().or_else(|| state.listed().first().cloned());
        if let Some(target) = first {
            effects.extend(navigate::open(state, &target));
        }
    }
    if is_first {
        effects.extend(key::press_early(state));
    }
    effects.extend(log::follow(state));
    effects.extend(wait_to_open(state));
    state.count_unverified();
    effects
}

/// What somebody looks at is read, though the list may have been made just before that was written down.
fn look(state: &mut State) {
    let looks_at = |open: &Open| state.has_focus && !open.stays_unread && open.window.is_at_end();
    let Some(target) = state.open.as_ref().filter(|open| looks_at(open)) else { return };
    let target = target.target.clone();
    if let Some(room) = state.rooms.iter_mut().find(|room| room.target == target) {
        (room.unread, room.mentions) = (0, 0);
    }
}

/// Has the end of the open conversation say what cannot be opened there yet.
pub(super) fn wait_to_open(state: &mut State) -> Vec<Effect> {
    let since = state.room().and_then(|room| room.waits_since.clone());
    let since = since.and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let Some(open) = &mut state.open else { return vec![] };
    open.window.set_unopened(since.map(jiff::Timestamp::as_millisecond));
    // How long it has been is told as well.
    if since.is_some() { vec![Effect::Timer(Timer::Clock, CLOCK)] } else { vec![] }
}

/// The conversation that is waited for: by its name, or the first that is new when `*` is.
fn find_awaited(state: &State, awaited: &str, former: &[Conversation]) -> Option<String> {
    if awaited == "*" {
        let is_new = |room: &&Conversation| former.iter().all(|old| old.target != room.target);
        return state.rooms.iter().find(is_new).map(|room| room.target.clone());
    }
    state.room_called(awaited).map(|room| room.target.clone())
}
