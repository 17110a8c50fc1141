//! Going from conversation to conversation, and up and down in one.

use super::{ask, draft, key, log, sheet, split};
use crate::{
    agent::verb::{MarkRead, MemberList, Read, Thread as ReadThread},
    tui::{
        effect::Effect,
        state::{
            Anchor, Open, Selecting, State, Want,
            window::{Loading, PAGE, Progress},
        },
    },
};

/// The newest messages of a conversation, without counting them as read.
pub(super) fn page(target: &str) -> Read {
    Read {
        with: target.to_owned(),
        count: PAGE,
        peek: true,
        local: true,
        before: None,
        after: None,
        around: None,
        from: None,
    }
}

/// The messages around one, without counting them as read.
pub(super) fn page_around(target: &str, message: &str) -> Read {
    Read { around: Some(message.to_owned()), ..page(target) }
}

/// Opens a conversation; what was written in the one before stays there. One that is shown already gets the keys.
pub(super) fn open(state: &mut State, target: &str) -> Vec<Effect> {
    if state.open.as_ref().is_some_and(|open| open.target == target) {
        return vec![];
    }
    if let Some(effects) = split::focus(state, target) {
        return effects;
    }
    let mut effects = draft::leave(state);
    sheet::let_see(state);
    let unread = state.room_called(target).map_or(0, |room| room.unread);
    let left = draft::take(state, target);
    let kept = state.room_called(target).and_then(|room| room.draft.clone());
    let mut opened = Open::new(target.to_owned(), left, unread);
    opened.kept = kept.unwrap_or_default();
    state.open = Some(opened);
    effects.extend(attend(state));
    effects
}

/// Says where one is now, and reads what there is to know of it.
pub(super) fn attend(state: &mut State) -> Vec<Effect> {
    let Some(target) = state.open.as_ref().map(|open| open.target.clone()) else { return vec![] };
    let mut effects = vec![Effect::Title(format!("rookery {}", state.short_name(&target)))];
    effects.extend(refresh(state));
    if crate::engine::is_room(&target)
        && let Some(community) = state.community()
    {
        let list = MemberList { community };
        effects.push(ask(state, Want::Names(target), &list));
    }
    effects.extend(log::follow(state));
    effects.extend(key::press_early(state));
    effects
}

/// Reads again what is shown: at the end the newest, which count as read if somebody looks; elsewhere what is there.
pub(super) fn refresh(state: &mut State) -> Vec<Effect> {
    let is_looking = state.has_focus;
    let Some(open) = &state.open else { return vec![] };
    let target = open.target.clone();
    let mut effects = vec![];
    let is_waiting = |state: &State, want: &Want| state.pending.values().any(|one| one == want);
    if open.window.has_end || open.window.messages.is_empty() {
        let want = Want::Newest(target.clone());
        let counts = is_looking && !open.stays_unread && open.window.anchor == Anchor::End;
        let read = Read { peek: !counts, ..page(&target) };
        // One at a time: what changes meanwhile is read when the answer is here.
        if is_waiting(state, &want) {
            state.is_stale = true;
            return vec![];
        }
        effects.push(ask(state, want, &read));
    }
    let Some(open) = &state.open else { return effects };
    if let Anchor::At { id, .. } = &open.window.anchor
        && !is_waiting(state, &Want::Again(target.clone()))
    {
        let around = page_around(&target, id);
        effects.push(ask(state, Want::Again(target.clone()), &around));
    }
    if let Some(thread) = state.open.as_ref().and_then(|open| open.thread.as_ref()) {
        let read = ReadThread {
            room: target.clone(),
            message: thread.root.clone(),
            count: PAGE,
            local: true,
        };
        effects.push(ask(state, Want::Thread(target), &read));
    }
    effects
}

/// Reads again what is shown of all conversations on the screen.
pub(super) fn refresh_all(state: &mut State) -> Vec<Effect> {
    let mut effects = refresh(state);
    effects.extend(split::refresh(state));
    effects
}

/// The open conversation counts as unread from a message on: being looked at does not change that before it is left.
pub(super) fn unread(state: &mut State, target: &str, message: String) -> Vec<Effect> {
    // Unless it was left or read since.
    let is_it = |open: &&mut Open| open.target == target && open.stays_unread;
    if let Some(open) = state.open.as_mut().filter(is_it) {
        open.first_new = Some(message);
    }
    super::say(
        state,
        super::Weight::Done,
        "Unread from there on, on all your devices: /read ends it",
    )
}

/// Counts what is shown as read, now that somebody looks.
pub(super) fn read_open(state: &mut State) -> Vec<Effect> {
    let stays = state.open.as_ref().is_some_and(|open| open.stays_unread);
    let is_unread = state.room().is_some_and(|room| room.unread > 0) && !stays;
    let is_at_end = state.open.as_ref().is_some_and(|open| open.window.is_at_end());
    if is_unread && is_at_end { refresh(state) } else { vec![] }
}

/// Finds the first message that was unread when the conversation was opened.
pub(super) fn mark_new(open: &mut Open) {
    let mut unread = std::mem::take(&mut open.unread_at_open);
    if unread == 0 {
        return;
    }
    for message in open.window.messages.iter().rev() {
        if message.is_mine || message.progress == Progress::CannotOpen {
            continue;
        }
        unread = unread.saturating_sub(1);
        if unread == 0 {
            open.first_new = Some(message.id.clone());
            return;
        }
    }
    open.first_new = open.window.messages.first().map(|message| message.id.clone());
}

/// Goes to the newest message.
pub(super) fn newest(state: &mut State) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    open.window.anchor = Anchor::End;
    open.selecting = None;
    if !open.window.has_end {
        draft::rescue(state);
        if let Some(open) = &mut state.open {
            open.window.messages.clear();
        }
    }
    refresh(state)
}

/// Goes to the oldest message.
pub(super) fn oldest(state: &mut State) -> Vec<Effect> {
    draft::rescue(state);
    let Some(open) = &state.open else { return vec![] };
    let target = open.target.clone();
    let read = Read { from: Some("1970-01-01T00:00:00Z".to_owned()), ..page(&target) };
    vec![ask(state, Want::Around(target, String::new()), &read)]
}

/// Goes to a message by its id, or to a day.
pub(super) fn go_to(state: &mut State, place: &str) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    let target = open.target.clone();
    if open.window.get(place).is_some() {
        open.window.anchor = Anchor::At { id: place.to_owned(), skip: 0 };
        open.selecting = Some(Selecting { id: place.to_owned() });
        return vec![];
    }
    open.window.loading = Loading::Elsewhere;
    draft::rescue(state);
    let is_id = uuid::Uuid::try_parse(place).is_ok();
    let read = if is_id {
        Read { around: Some(place.to_owned()), ..page(&target) }
    } else {
        Read { from: Some(place.to_owned()), ..page(&target) }
    };
    vec![ask(state, Want::Around(target, place.to_owned()), &read)]
}

/// Selects a message, `steps` further down, or up; the lowest on the screen at first.
pub(super) fn select(state: &mut State, steps: isize) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    let here = open.selecting.as_ref().and_then(|one| open.window.position(&one.id));
    let place = match here {
        Some(place) => place.saturating_add_signed(steps),
        None => open.window.lowest().unwrap_or(0),
    };
    let Some(message) = open.window.messages.get(place) else {
        // Below the newest one is the composer.
        if steps > 0 && open.window.has_end {
            open.selecting = None;
            open.window.anchor = Anchor::End;
        }
        return vec![];
    };
    let id = message.id.clone();
    // The view follows the selection out of what the last frame showed.
    let first = state.seen.first.as_deref().and_then(|id| open.window.position(id)).unwrap_or(0);
    let lowest = open.window.lowest().unwrap_or(0);
    if place > lowest {
        open.window.anchor = Anchor::At { id: id.clone(), skip: 0 };
    } else if place <= first && state.seen.count > 1 {
        let lower = lowest.saturating_sub(1).max(place);
        if let Some(message) = open.window.messages.get(lower) {
            open.window.anchor = Anchor::At { id: message.id.clone(), skip: 0 };
        }
    }
    open.selecting = Some(Selecting { id });
    vec![]
}

/// Opens the neighbour in the list, `steps` further down, or up.
pub(super) fn neighbour(state: &mut State, steps: isize) -> Vec<Effect> {
    let targets = state.listed();
    let here = state
        .open
        .as_ref()
        .and_then(|open| targets.iter().position(|target| *target == open.target));
    let there = match here {
        Some(place) => place.saturating_add_signed(steps),
        None => 0,
    };
    match targets.get(there).cloned() {
        Some(target) => open(state, &target),
        None => vec![],
    }
}

/// Opens the thread of the selected message, or closes the one that is open.
pub(super) fn thread(state: &mut State) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    if open.selecting.is_none() && open.thread.is_some() {
        return draft::close_thread(state).unwrap_or_default();
    }
    let selected = open.selecting.as_ref().and_then(|one| open.window.get(&one.id));
    let Some(message) = selected
        .or_else(|| open.window.messages.iter().rev().find(|message| message.room.replies > 0))
    else {
        return super::usage(state, "Select a message first: Up, or Alt+P");
    };
    if !open.is_room() {
        return super::usage(state, "Threads are for rooms");
    }
    if message.progress == Progress::CannotOpen {
        return super::usage(state, "What cannot be opened yet has no thread yet");
    }
    let root = message.room.thread.clone().unwrap_or_else(|| message.id.clone());
    open.selecting = None;
    state.sheet = None;
    let mut effects = draft::open_thread(state, root);
    effects.extend(refresh(state));
    effects
}

/// Marks the open conversation as read, or all of them.
pub(super) fn read(state: &mut State, which: &str) -> Vec<Effect> {
    if which != "all" {
        if let Some(open) = &mut state.open {
            (open.first_new, open.stays_unread) = (None, false);
        }
        return newest(state);
    }
    let unread: Vec<String> =
        state.rooms.iter().filter(|room| room.unread > 0).map(|room| room.target.clone()).collect();
    let mut effects = super::say(
        state,
        super::Weight::Done,
        format!("{} conversations marked as read", unread.len()),
    );
    for target in unread {
        let verb = MarkRead { room: target, through: None };
        effects.push(ask(state, Want::Kept, &verb));
    }
    if let Some(open) = &mut state.open {
        open.stays_unread = false;
    }
    effects
}
