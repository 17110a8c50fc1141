//! What is written and not sent: kept in the store, for each room and each thread, and there again when that is opened.

use super::ask;
use crate::{
    agent::verb::{SettingLine, Settings},
    error::{CommandError, Kind},
    tui::{
        composer::Composer,
        effect::Effect,
        event::Timer,
        state::{
            MAX_DRAFTS, State, Want,
            conversation::{Purpose, Thread},
        },
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
    // While an earlier message is changed, what was written before stands aside, and is kept already.
    let text = open.composer.text();
    if text != last(state, &open.target, None, &open.kept)
        && !matches!(open.purpose, Purpose::Edit(_))
    {
        due.push(Want::Draft(open.target.clone(), None, text));
    }
    if let Some(thread) = &open.thread {
        let text = thread.composer.text();
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
    let Some(open) = state.open.as_mut().filter(|open| open.target == target) else {
        return vec![];
    };
    match (thread, &mut open.thread) {
        (None, _) => open.kept = text,
        (Some(root), Some(thread)) if thread.root == root => thread.kept = text,
        _ => {}
    }
    vec![]
}

/// A draft could not be kept: it is tried again, where an agent that ended is the reason.
pub(super) fn not_kept(error: &CommandError) -> Vec<Effect> {
    match error.kind {
        Kind::Failed => vec![Effect::Timer(Timer::Draft, super::compose::DRAFT)],
        _ => vec![],
    }
}

/// What is written for `target`, as it was when that was left, or as the store has it.
pub(super) fn take(state: &mut State, target: &str) -> Composer {
    let stored = state.room_called(target).and_then(|room| room.draft.clone());
    state.drafts.remove(target).unwrap_or_else(|| {
        let mut composer = Composer::default();
        composer.set_text(&stored.unwrap_or_default());
        composer
    })
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
        if thread.composer.is_empty() {
            thread.composer.set_text(&line.value);
        }
        thread.kept = line.value;
    }
    vec![]
}

/// Closes the thread, if one is open; what is written in it stays.
pub(super) fn close_thread(state: &mut State) -> Option<Vec<Effect>> {
    state.open.as_ref()?.thread.as_ref()?;
    let effects = keep(state);
    let open = state.open.as_mut()?;
    let thread = open.thread.take()?;
    let place = place(&open.target, Some(&thread.root));
    put_aside(state, place, thread.composer);
    Some(effects)
}

/// Leaves the open conversation; what is written in it and its thread stays.
pub(super) fn leave(state: &mut State) -> Vec<Effect> {
    let mut effects = close_thread(state).unwrap_or_default();
    effects.extend(keep(state));
    if let Some(mut open) = state.open.take() {
        open.end_edit();
        put_aside(state, open.target, open.composer);
    }
    effects
}

fn put_aside(state: &mut State, place: String, composer: Composer) {
    if composer.is_empty() {
        return;
    }
    if state.drafts.len() >= MAX_DRAFTS {
        state.drafts.pop_first();
    }
    state.drafts.insert(place, composer);
}
