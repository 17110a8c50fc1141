//! The list of rooms.

use ratatui::{Frame, layout::Rect};

use super::{put, put_right, words};
use crate::{
    agent::verb::{Conversation, RoomKind},
    tui::{
        state::{Item, State},
        text::{TextLine, width},
        theme::Role,
    },
};

/// Draws it; the open room is always to be seen.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let items = state.sidebar();
    let open = items.iter().position(|item| match item {
        Item::Room { room, .. } => {
            state.open.as_ref().is_some_and(|open| open.target == room.target)
        }
        _ => false,
    });
    let rows = usize::from(area.height);
    // A third of the list stays below the open room, where there is so much.
    let first = open.map_or(0, |place| {
        let last = items.len().saturating_sub(rows);
        place.saturating_sub(rows.saturating_mul(2) / 3).min(last)
    });
    for (row, item) in (0..area.height).zip(items.iter().skip(first)) {
        draw_item(state, frame, area, row, item);
    }
    if items.is_empty() {
        let said = if state.has_rooms { "nobody yet: Ctrl+K" } else { "reading" };
        put(frame.buffer_mut(), area, 0, &words(format!(" {said}"), Role::Dim), state);
    }
}

fn draw_item(state: &State, frame: &mut Frame<'_>, area: Rect, row: u16, item: &Item<'_>) {
    let glyphs = state.look.glyphs;
    let buffer = frame.buffer_mut();
    let count = |unread: u32, mentions: u32| match (unread, mentions) {
        (0, _) => String::new(),
        (_, 1..) => format!("@{}", short(mentions)),
        (unread, 0) => short(unread),
    };
    match item {
        Item::Heading(text) => {
            put(buffer, area, row, &words(format!(" {text}"), Role::Heading), state);
        }
        Item::Muted(number) => {
            put(buffer, area, row, &words(format!("   muted: {number}"), Role::Muted), state);
        }
        Item::Community { name, is_folded, unread, mentions } => {
            let sign = if *is_folded { "+" } else { "v" };
            let columns = usize::from(area.width).saturating_sub(7);
            let name = width::truncate(name, columns, glyphs.ellipsis());
            let role = if *unread > 0 { Role::Unread } else { Role::Heading };
            put(buffer, area, row, &words(format!("{sign} {name}"), role), state);
            if *is_folded {
                let role = if *mentions > 0 { Role::MentionCount } else { Role::Unread };
                put_right(
                    buffer,
                    area,
                    row,
                    &count(*unread, *mentions),
                    state.look.theme.style(role),
                );
            }
        }
        Item::Room { room, is_inside } => {
            let is_open = state.open.as_ref().is_some_and(|open| open.target == room.target);
            let line = room_line(state, room, *is_inside, is_open, area.width);
            if is_open {
                let place = Rect { y: area.y.saturating_add(row), height: 1, ..area };
                buffer.set_style(place, state.look.theme.style(Role::Selected));
            }
            put(buffer, area, row, &line, state);
            let said = if room.muted { String::new() } else { count(room.unread, room.mentions) };
            let sign = match room.trust.as_deref() {
                Some("changed") => "!",
                _ if room.alarm.is_some() => "!",
                _ => "",
            };
            let role = if room.mentions > 0 { Role::MentionCount } else { Role::Unread };
            put_right(buffer, area, row, &format!("{sign}{said}"), state.look.theme.style(role));
        }
    }
}

/// A count in at most three columns.
fn short(count: u32) -> String {
    if count > 99 { "99+".to_owned() } else { count.to_string() }
}

fn room_line(
    state: &State,
    room: &Conversation,
    is_inside: bool,
    is_open: bool,
    columns: u16,
) -> TextLine {
    let is_new = room.unread > 0 && !room.muted;
    let first = match (is_open, is_new) {
        (true, _) => ">",
        (false, true) => "*",
        (false, false) => " ",
    };
    let sign = match room.kind {
        RoomKind::Direct | RoomKind::Community => match state.presence.get(&room.title) {
            Some((word, _)) if word == "online" => "o ",
            _ => "",
        },
        RoomKind::Group => "+",
        RoomKind::Text if room.private => "% ",
        RoomKind::Text => "# ",
        RoomKind::Voice => "v ",
        RoomKind::Video => "V ",
    };
    let role = match (room.muted, is_new) {
        (true, _) => Role::Muted,
        (_, true) => Role::Unread,
        _ => Role::Text,
    };
    let draft = if room.draft.is_some() && !is_open { "*" } else { "" };
    let inside = if is_inside { " " } else { "" };
    let text = format!("{inside}{first} {sign}{}{draft}", state.short_name(&room.title));
    let fits = usize::from(columns).saturating_sub(4);
    words(width::truncate(&text, fits, state.look.glyphs.ellipsis()), role)
}
