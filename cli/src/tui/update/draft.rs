//! What is written and not sent: kept in the store, for each room and each thread, and there again when that is opened.

use super::{ask, compose::DRAFT};
use crate::{
    agent::verb::{SettingLine, Settings},
    error::{CommandError, Kind},
    tui::{
        effect::Effect,
        event::Timer,
        state::{Draft, MAX_DRAFTS, Open, Outgoing, Purpose, State, Want, conversation::Thread},
    },
};

/// Where the drafts of conversations that are not open stand among each other.
fn place(target: &str, thread: Option<&str>) -> String {
    thread.map_or_else(|| target.to_owned(), |thread| format!("{target} {thread}"))
}

/// Keeps what is written in the open conversation and its thread, where that has changed.
pub(super) fn keep(state: &mut State) -> Vec<Effect> {
    let Some(open) = &state.open else { return vec![] };
    let mut due = vec![];
    let text = open.draft.message();
    if text != last(state, &open.target, None, &open.kept) {
        due.push(Want::Draft(open.target.clone(), None, text));
    }
    if let Some(thread) = &open.thread {
        let text = thread.draft.message();
        if text != last(state, &open.target, Some(&thread.root), &thread.kept) {
            due.push(Want::Draft(open.target.clone(), Some(thread.root.clone()), text));
        }
    }
    due.into_iter().filter_map(|want| order(state, want)).collect()
}

/// What the store has for a draft once all that was asked of it is done.
fn last<'a>(state: &'a State, target: &str, thread: Option<&str>, kept: &'a str) -> &'a str {
    let asked = state.pending.iter().filter_map(|(ticket, want)| match want {
        Want::Draft(of, root, text) if of == target && root.as_deref() == thread => {
            Some((ticket, text.as_str()))
        }
        _ => None,
    });
    asked.max_by_key(|(ticket, _)| **ticket).map_or(kept, |(_, text)| text)
}

fn order(state: &mut State, want: Want) -> Option<Effect> {
    let Want::Draft(target, thread, text) = &want else { return None };
    let name = thread.as_ref().map_or_else(|| "draft".to_owned(), |root| format!("draft/{root}"));
    let verb = Settings { of: Some(target.clone()), name: Some(name), value: Some(text.clone()) };
    Some(ask(state, want, &verb))
}

/// A draft is in the store now.
pub(super) fn kept(
    state: &mut State,
    target: &str,
    thread: Option<&str>,
    text: String,
) -> Vec<Effect> {
    let now = state.now;
    if thread.is_none()
        && let Some(room) = state.rooms.iter_mut().find(|room| room.target == target)
    {
        room.draft = Some(text.clone()).filter(|text| !text.is_empty());
    }
    let Some(open) = state.open.as_mut().filter(|open| open.target == target) else {
        return vec![];
    };
    match (thread, &mut open.thread) {
        (None, _) => (open.kept, open.kept_at) = (text, Some(now)),
        (Some(root), Some(thread)) if thread.root == root => thread.kept = text,
        _ => {}
    }
    vec![]
}

/// A draft could not be kept: it is tried again, where an agent that ended is the reason.
pub(super) fn not_kept(state: &mut State, error: &CommandError) -> Vec<Effect> {
    match error.kind {
        Kind::Failed => soon(state),
        _ => vec![],
    }
}

/// Has what is written kept within a moment.
pub(super) fn soon(state: &mut State) -> Vec<Effect> {
    if std::mem::replace(&mut state.keeps_soon, true) {
        return vec![];
    }
    vec![Effect::Timer(Timer::Draft, DRAFT)]
}

/// The moment has passed.
pub(super) fn is_due(state: &mut State) -> Vec<Effect> {
    state.keeps_soon = false;
    keep(state)
}

/// What is written for `target`, as it was when that was left, or as the store has it.
pub(super) fn take(state: &mut State, target: &str) -> Draft {
    let stored = state.room_called(target).and_then(|room| room.draft.clone());
    // What the store was asked to keep counts before what it has told.
    let stored = Draft::of(last(state, target, None, &stored.unwrap_or_default()));
    state.drafts.remove(target).unwrap_or(stored)
}

/// Puts a message that was not sent back to what is being written where it was to go. Where something else is being written on the screen,
/// it stays among the messages, from which `R` sends it again.
pub(super) fn bring_back(state: &mut State, outgoing: &Outgoing) -> Vec<Effect> {
    let Outgoing { target, thread, reply_to, id, text } = outgoing;
    let Some(open) = state.open.as_mut().filter(|open| open.target == *target) else {
        return bring_back_elsewhere(state, target, thread.as_deref(), text);
    };
    let (window, draft) = match (&mut open.thread, thread) {
        (_, None) => (&mut open.window, &mut open.draft),
        (Some(side), Some(root)) if side.root == *root => (&mut side.window, &mut side.draft),
        (_, Some(root)) => {
            return bring_back_elsewhere(state, target, Some(&root.clone()), text);
        }
    };
    if draft.is_empty()
        && let Some(parent) = reply_to
    {
        let author = window.get(parent).map(|message| message.from.clone());
        draft.purpose = Purpose::Reply(parent.clone(), author.unwrap_or_default());
    }
    if draft.message().is_empty() || window.position(id).is_none() {
        draft.bring_back(text);
        window.messages.retain(|message| message.id != *id);
    }
    soon(state)
}

/// Takes what failed on the screen over into what is being written there, before the messages at hand are given up.
pub(super) fn rescue(state: &mut State) {
    let Some(open) = &mut state.open else { return };
    let side = open.thread.as_mut().map(|side| (&mut side.window, &mut side.draft));
    for (window, draft) in side.into_iter().chain([(&mut open.window, &mut open.draft)]) {
        for text in window.take_unsent() {
            draft.bring_back(&text);
        }
    }
}

/// The same, where that is not on the screen.
fn bring_back_elsewhere(
    state: &mut State,
    target: &str,
    thread: Option<&str>,
    text: &str,
) -> Vec<Effect> {
    let place = place(target, thread);
    let mut draft = match thread {
        None => take(state, target),
        Some(_) => state.drafts.remove(&place).unwrap_or_default(),
    };
    draft.bring_back(text);
    let want = Want::Draft(target.to_owned(), thread.map(str::to_owned), draft.message());
    put_aside(state, place, draft);
    order(state, want).into_iter().collect()
}

/// Opens the thread of message `root` beside the open conversation; what is written in it comes out of the store.
pub(super) fn open_thread(state: &mut State, root: String) -> Vec<Effect> {
    let mut effects = close_thread(state).unwrap_or_default();
    let Some(target) = state.open.as_ref().map(|open| open.target.clone()) else { return effects };
    let left = state.drafts.remove(&place(&target, Some(&root)));
    let is_known = left.is_some();
    if let Some(open) = &mut state.open {
        open.thread = Some(Thread::new(root.clone(), left.unwrap_or_default()));
    }
    if !is_known {
        let name = Some(format!("draft/{root}"));
        let verb = Settings { of: Some(target.clone()), name, value: None };
        effects.push(ask(state, Want::ThreadDraft(target, root), &verb));
    }
    effects
}

/// What is written in a thread, as the store has it.
pub(super) fn took_thread(
    state: &mut State,
    target: &str,
    root: &str,
    lines: Vec<SettingLine>,
) -> Vec<Effect> {
    let open = state.open.as_mut().filter(|open| open.target == target);
    let thread = open.and_then(|open| open.thread.as_mut()).filter(|thread| thread.root == root);
    if let (Some(thread), Some(line)) = (thread, lines.into_iter().next()) {
        // Who has begun to write meanwhile goes on with that.
        if thread.draft.is_empty() {
            thread.draft.composer.set_text(&line.value);
        }
        thread.kept = line.value;
    }
    vec![]
}

/// Closes the thread, if one is open; what is written in it stays, and what was not sent from it.
pub(super) fn close_thread(state: &mut State) -> Option<Vec<Effect>> {
    state.open.as_ref()?.thread.as_ref()?;
    rescue(state);
    let effects = keep(state);
    let open = state.open.as_mut()?;
    let thread = open.thread.take()?;
    let place = place(&open.target, Some(&thread.root));
    put_aside(state, place, thread.draft);
    Some(effects)
}

/// Leaves the open conversation; what is written in it and its thread stays, and what was not sent from it.
pub(super) fn leave(state: &mut State) -> Vec<Effect> {
    rest(state).0
}

/// Leaves the open conversation as [`leave`] does, and gives what is shown of it.
pub(super) fn rest(state: &mut State) -> (Vec<Effect>, Option<Open>) {
    let mut effects = close_thread(state).unwrap_or_default();
    rescue(state);
    effects.extend(keep(state));
    let Some(mut open) = state.open.take() else { return (effects, None) };
    put_aside(state, open.target.clone(), std::mem::take(&mut open.draft));
    (open.selecting, open.completion, open.finding) = (None, None, None);
    (effects, Some(open))
}

/// Keeps what is written in a conversation that is not on the screen.
pub(super) fn put_aside(state: &mut State, place: String, draft: Draft) {
    if draft.is_empty() {
        return;
    }
    if state.drafts.len() >= MAX_DRAFTS {
        // Its text is in the store as well.
        state.drafts.pop_first();
    }
    state.drafts.insert(place, draft);
}
