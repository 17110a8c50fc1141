//! How things stand, and which keys matter now.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyModifiers},
    layout::Rect,
};

use super::{put, put_right, words};
use crate::{
    agent::verb::Connection,
    tui::{
        action::{Action, Place},
        keymap::Stroke,
        state::{Open, Purpose, Screen, State, Weight},
        text::{TextLine, width::width},
        theme::Role,
    },
};

/// Draws how things stand; a notice takes its place for a while.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let buffer = frame.buffer_mut();
    if let Some(notice) = &state.notice {
        let role = match notice.weight {
            Weight::Done => Role::Good,
            Weight::Trouble => Role::Error,
        };
        put(buffer, area, 0, &words(format!(" {}", notice.text), role), state);
        return;
    }
    let mut line = TextLine::default();
    line.push(" ", Role::Status, None);
    connection(state, &mut line);
    if let Some(standing) = &state.standing
        && standing.queued > 0
    {
        line.push(&format!("   {} queued", standing.queued), Role::Waiting, None);
        if let Some(trouble) = &standing.trouble {
            line.push(&format!(" ({trouble})"), Role::Dim, None);
        }
    }
    peers(state, &mut line);
    typing(state, &mut line);
    if let Some(room) = state.room() {
        if let Some(since) = &room.waits_since {
            let said = format!("   something cannot be opened yet, since {}", state.clock(since));
            line.push(&said, Role::Waiting, None);
        }
        if let Some(refusal) = &room.refusal {
            line.push(&format!("   {refusal}"), Role::Warning, None);
        }
    }
    put(buffer, area, 0, &line, state);
    let is_kept = |open: &&Open| !open.kept.is_empty() && !open.draft.composer.is_empty();
    if area.width >= 80
        && let Some(open) = state.open.as_ref().filter(is_kept)
    {
        // When, rather than whether all of it: so a letter more changes nothing here.
        let at = open.kept_at.map_or_else(String::new, |at| format!("{} ", state.minute(at)));
        let said = format!(" draft saved {at}");
        put_right(buffer, area, 0, &said, state.look.theme.style(Role::Dim));
    }
}

/// Whether all is as it should be, so that nothing has to be said.
pub(super) fn is_calm(state: &State) -> bool {
    state
        .standing
        .as_ref()
        .is_none_or(|standing| standing.connection == Connection::Online && standing.queued == 0)
}

/// Says which other servers are away, the one with most of one's messages first.
fn peers(state: &State, line: &mut TextLine) {
    let mut away: Vec<_> = state.peers.iter().filter(|peer| !peer.is_up()).collect();
    away.sort_by_key(|peer| std::cmp::Reverse(peer.waiting));
    let Some(first) = away.first() else { return };
    let server = crate::render::field(&first.server);
    let since = first.since.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    let since = u64::try_from(since).unwrap_or(0);
    let minutes = state.now.as_millis().saturating_sub(since) / 60_000;
    let said = format!("   peers: {} {} ({server} {minutes} min)", away.len(), first.state);
    line.push(&said, Role::Warning, None);
}

fn connection(state: &State, line: &mut TextLine) {
    if matches!(state.screen, Screen::Opening) {
        line.push("opening", Role::Status, None);
        return;
    }
    let Some(standing) = &state.standing else {
        line.push("starting", Role::Status, None);
        return;
    };
    match standing.connection {
        Connection::Online if standing.caught_up => line.push("online", Role::Status, None),
        Connection::Online => line.push("online, catching up", Role::Status, None),
        Connection::Connecting => line.push("connecting", Role::Waiting, None),
        Connection::Offline => {
            line.push("offline", Role::Warning, None);
            if let Some(since) = state.offline_since {
                let passed = state.now.as_millis().saturating_sub(since.as_millis()) / 60_000;
                if passed > 0 {
                    line.push(&format!(" {passed} min"), Role::Warning, None);
                }
            }
            if let Some(reason) = &standing.reason {
                line.push(&format!(": {}", crate::render::field(reason)), Role::Dim, None);
            }
        }
        Connection::Ended => {
            line.push("signed out", Role::Error, None);
            if let Some(reason) = &standing.reason {
                line.push(&format!(": {}", crate::render::field(reason)), Role::Dim, None);
            }
        }
    }
}

fn typing(state: &State, line: &mut TextLine) {
    let Some(open) = &state.open else { return };
    let here: Vec<&str> = state
        .typing
        .iter()
        .filter(|one| match &one.room {
            Some(room) => *room == open.target,
            None => open.target.strip_prefix('@') == Some(one.name.as_str()),
        })
        .map(|one| state.short_name(&one.name))
        .collect();
    let said = match here.as_slice() {
        [] => return,
        [one] => format!("   {one} is typing"),
        [one, other] => format!("   {one} and {other} are typing"),
        many => format!("   {} people are typing", many.len()),
    };
    line.push(&said, Role::Dim, None);
}

/// The key that begins a line, of those that work on this terminal the one that people know.
fn new_line(state: &State) -> Option<String> {
    let enter = |modifiers| Stroke { code: KeyCode::Enter, modifiers };
    let [shift, alt] = [KeyModifiers::SHIFT, KeyModifiers::ALT].map(enter);
    let known =
        [shift, alt].into_iter().filter(|stroke| *stroke != shift || state.look.has_shift_enter);
    let is_it = |stroke: &Stroke| state.keymap.written(*stroke) == Some(Action::NewLine);
    let known = known.into_iter().find(is_it).map(|stroke| stroke.to_string());
    known.or_else(|| state.keymap.key_of(Action::NewLine, Place::Writing).map(str::to_owned))
}

/// Draws the keys that matter now.
pub(super) fn hints(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let key = |action: Action, place: Place| state.keymap.key_of(action, place).map(str::to_owned);
    let mut hints: Vec<(String, &str)> = vec![];
    let mut add = |action: Action, place: Place, about: &'static str| {
        hints.extend(key(action, place).map(|key| (key, about)));
    };
    let sheet = state.sheet.as_ref().filter(|sheet| sheet.has_keys);
    if let Some(sheet) = sheet {
        let own = sheet.kind.keys().iter().map(|one| (one.key.to_string(), one.about));
        hints.extend(own);
        hints.push(("Enter".to_owned(), "choose"));
        hints.push(("Tab".to_owned(), "write"));
        hints.push(("Esc".to_owned(), "close"));
    } else if let Some((open, selecting)) =
        state.open.as_ref().and_then(|open| Some((open, open.selecting.as_ref()?)))
    {
        let has_file = open.window.get(&selecting.id).is_some_and(|one| one.file.is_some());
        for (action, about) in [
            (Action::Reply, "reply"),
            (Action::Thread, "thread"),
            (Action::React, "react"),
            (Action::Edit, "edit"),
            (Action::Save, "save"),
            (Action::Copy, "copy"),
            (Action::Delete, "delete"),
            (Action::Pin, "pin"),
            (Action::Why, "about"),
        ] {
            if action == Action::Save && !has_file {
                continue;
            }
            add(action, Place::Selecting, about);
        }
        hints.push(("Esc".to_owned(), "back"));
    } else {
        let purpose = state.open.as_ref().map(|open| &open.draft.purpose);
        let send = match purpose {
            Some(Purpose::Reply(..)) => "send reply",
            Some(Purpose::Edit(_)) => "save",
            _ => "send",
        };
        hints.extend(key(Action::Send, Place::Writing).map(|key| (key, send)));
        hints.extend(new_line(state).map(|key| (key, "line")));
        hints.extend(key(Action::RowUp, Place::Writing).map(|key| (key, "select")));
        let mut add = |action: Action, about: &'static str| {
            hints.extend(key(action, Place::Everywhere).map(|key| (key, about)));
        };
        add(Action::Go, "go to");
        add(Action::Palette, "commands");
        add(Action::Help, "help");
        add(Action::NextUnread, "next unread");
    }
    let mut line = TextLine::default();
    for (key, about) in hints {
        let (key, about) = (format!(" {key}"), format!(" {about} "));
        // What does not fit whole says nothing.
        let columns = line.width().saturating_add(width(&key)).saturating_add(width(&about));
        if columns > usize::from(area.width) {
            break;
        }
        line.push(&key, Role::Key, None);
        line.push(&about, Role::Hint, None);
    }
    put(frame.buffer_mut(), area, 0, &line, state);
}
