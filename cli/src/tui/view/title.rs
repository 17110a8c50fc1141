//! The topmost row: where one is, and whether it is sealed to whom it should be.

use ratatui::{Frame, layout::Rect};

use super::{put, put_right, words};
use crate::{
    agent::verb::{Conversation, RoomKind},
    tui::{
        glyphs::Mark,
        state::{State, WIDE},
        text::{TextLine, width},
        theme::Role,
    },
};

/// What seals a conversation, in a mark and a word.
pub(in crate::tui) fn seal(state: &State, room: &Conversation) -> (Mark, Role) {
    let glyph = |trust: Option<&str>| match trust {
        Some("verified") => (Mark::Verified, Role::Verified),
        Some("changed") => (Mark::Changed, Role::Changed),
        _ => (Mark::Sealed, Role::Unverified),
    };
    if room.alarm.is_some() {
        return (Mark::Changed, Role::Changed);
    }
    if room.kind == RoomKind::Direct {
        return glyph(room.trust.as_deref());
    }
    // A room is as sure as the least sure person in it.
    let is_sure = state.open.as_ref().and_then(|open| open.unverified) == Some(0);
    glyph(is_sure.then_some("verified"))
}

/// What a conversation is called, with the sign of its kind.
pub(super) fn name(state: &State, room: &Conversation) -> String {
    let sign = match room.kind {
        RoomKind::Direct => "@",
        RoomKind::Group => "+",
        _ if room.private => "%",
        _ => "#",
    };
    format!("{sign}{}", state.short_name(&room.title))
}

/// Draws it.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect, list: u16) {
    let server = state.me.as_ref().map_or("rookery", |me| me.server.as_str());
    let glyphs = state.look.glyphs;
    let buffer = frame.buffer_mut();
    let mut line = TextLine::default();
    line.push(" ", Role::Title, None);
    if list > 0 && list < area.width {
        let room = usize::from(list);
        let name = width::truncate(server, room.saturating_sub(1), glyphs.ellipsis());
        line.push(&width::pad(&name, room), Role::Title, None);
        line.push(" ", Role::Title, None);
    }
    let Some(room) = state.room() else {
        let open = state.open.as_ref().map_or("", |open| open.target.as_str());
        line.push(open, Role::Title, None);
        put(buffer, area, 0, &line, state);
        return;
    };
    line.push(&name(state, room), Role::Title, None);
    if let Some(community) = room.community.as_ref().filter(|_| room.kind != RoomKind::Group) {
        line.push(&format!("  {community}"), Role::Dim, None);
    }
    let (mark, role) = seal(state, room);
    line.push(&format!("  {} {}", glyphs.mark(mark), mark.word()), role, None);
    if room.kind == RoomKind::Direct {
        if let Some((presence, status)) = state.presence.get(&room.title) {
            line.push(&format!("  {presence}"), Role::Dim, None);
            if let Some(status) = status {
                line.push(&format!(": {status}"), Role::Dim, None);
            }
        }
        let word = match room.standing.as_str() {
            "asked" => "  asked to be a contact",
            "asking" => "  asks to be a contact: /accept or /decline",
            "stranger" => "  no contact: /accept, /decline or /block",
            "blocked" => "  blocked",
            _ => "",
        };
        line.push(word, Role::Warning, None);
    } else if room.standing == "checking" {
        line.push("  log being checked", Role::Warning, None);
    } else if area.width >= super::NARROW {
        line.push(&format!("  {} members", room.members), Role::Dim, None);
        let unverified = state.open.as_ref().and_then(|open| open.unverified);
        if let Some(count) = unverified.filter(|count| *count > 0) {
            line.push(&format!("  {count} unverified"), Role::Unverified, None);
        }
    }
    if let Some(seconds) = room.expires_after {
        let mark = glyphs.mark(Mark::Expires(seconds.into()));
        line.push(&format!("  {mark}"), Role::Dim, None);
    }
    if room.archived {
        line.push("  archived", Role::Warning, None);
    }
    if let Some(topic) = room.topic.as_ref().filter(|_| area.width >= WIDE) {
        line.push(&format!("  {topic}"), Role::Dim, None);
    }
    put(buffer, area, 0, &line, state);
    // Where the list is not shown, what waits elsewhere is.
    if list == 0 || list >= area.width {
        let mentions: u32 = state
            .rooms
            .iter()
            .filter(|other| other.target != room.target)
            .map(|other| other.mentions)
            .sum();
        if mentions > 0 {
            let style = state.look.theme.style(Role::MentionCount);
            put_right(buffer, area, 0, &format!(" @{mentions} elsewhere "), style);
        }
    }
    if let Some(alarm) = &room.alarm
        && area.width >= super::NARROW
    {
        let said = format!(" not to be believed: {alarm} ");
        let line = words(
            width::truncate(&said, usize::from(area.width / 2), glyphs.ellipsis()),
            Role::Error,
        );
        let right =
            Rect { x: area.x.saturating_add(area.width / 2), width: area.width / 2, ..area };
        put(buffer, right, 0, &line, state);
    }
}
