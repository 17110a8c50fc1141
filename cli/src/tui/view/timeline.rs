//! The messages, laid out from the lowest one upwards.

use ratatui::{Frame, layout::Rect};

use super::{
    between::{self, Around},
    message::ViewCache,
    put, words,
};
use crate::tui::{
    state::{Anchor, Open, Seen, State, Window, window::Loading},
    text::{TextLine, links::Links, markdown, width},
    theme::Role,
};

/// Draws the open conversation, and says what of it is to be seen.
pub(super) fn draw(
    state: &State,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Seen {
    let Some(open) = &state.open else {
        let said = if state.has_rooms && state.rooms.is_empty() {
            "Nobody to talk to yet. /contact @name asks somebody, /join takes an invitation, /community create makes a place."
        } else {
            ""
        };
        let lines = crate::tui::text::wrap(&[words(said, Role::Dim)], usize::from(area.width));
        for (row, line) in (0..area.height).zip(&lines) {
            put(frame.buffer_mut(), area, row, line, state);
        }
        return Seen::default();
    };
    conversation(state, cache, open, frame, area)
}

/// Draws a conversation, and says what of it is to be seen.
pub(super) fn conversation(
    state: &State,
    cache: &mut ViewCache,
    open: &Open,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Seen {
    if open.window.messages.is_empty() {
        let happened = if open.window.has_end && !state.is_bare {
            between::happened(state, open, area.width, i64::MIN)
        } else {
            vec![]
        };
        let rows = usize::from(area.height.saturating_sub(1));
        let hidden = happened.len().saturating_sub(rows);
        for (row, line) in (1..area.height).zip(happened.iter().skip(hidden)) {
            put(frame.buffer_mut(), area, row, line, state);
        }
        let said = if !open.window.has_end {
            "reading"
        } else if open.is_room() {
            "Nothing was said here yet."
        } else {
            "Nothing was said between you yet. What you write is sealed for their devices alone."
        };
        put(frame.buffer_mut(), area, 0, &words(said, Role::Dim), state);
        return Seen::default();
    }
    messages(state, cache, open, &open.window, true, frame, area)
}

/// Draws the messages of a window, and what happened between them if `has_log`.
pub(super) fn messages(
    state: &State,
    cache: &mut ViewCache,
    open: &Open,
    window: &Window,
    has_log: bool,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Seen {
    let mut seen = Seen { rows: area.height, ..Seen::default() };
    let Some(lowest) = window.lowest() else { return seen };
    let skip = match &window.anchor {
        Anchor::End => 0,
        Anchor::At { skip, .. } => *skip,
    };
    let height = usize::from(area.height);
    // From the lowest upwards, until the rows are full.
    let mut blocks: Vec<(usize, Vec<(TextLine, bool)>)> = vec![];
    let newest = window.messages.len().saturating_sub(1);
    let mut used = 0_usize;
    let mut hidden_below = usize::from(skip);
    for place in (0..=lowest).rev() {
        let Some(one) = window.messages.get(place) else { break };
        let around = Around {
            message: one,
            before: place.checked_sub(1).and_then(|before| window.messages.get(before)),
            is_oldest: place == 0 && window.has_start,
            is_newest: place == newest && window.has_end,
            has_log,
        };
        if markdown::may_have_code(&one.text) && state.colours.of(&one.id, one.revision).is_none() {
            seen.plain.push(one.id.clone());
        }
        let block = between::block(state, cache, open, around, area.width);
        let mut rows: Vec<_> = block.rows().collect();
        let keep = rows.len().saturating_sub(std::mem::take(&mut hidden_below)).max(1);
        rows.truncate(keep);
        used = used.saturating_add(rows.len());
        blocks.push((place, rows));
        if used >= height {
            break;
        }
    }
    // A short conversation stands at the bottom, next to where one writes.
    let above = used.saturating_sub(height);
    let mut y = u16::try_from(height.saturating_sub(used)).unwrap_or(0);
    let first = blocks.last().map(|(place, rows)| (*place, rows.len()));
    if let Some((place, rows)) = first {
        seen.first = window.messages.get(place).map(|message| message.id.clone());
        seen.hidden_above = u16::try_from(above).unwrap_or(u16::MAX);
        seen.first_rows = u16::try_from(rows.saturating_sub(above)).unwrap_or(u16::MAX);
    }
    seen.last = window.messages.get(lowest).map(|message| message.id.clone());
    seen.count = blocks.len();
    if y > 0 && window.loading == Loading::Older {
        put(frame.buffer_mut(), area, 0, &words("reading what was before", Role::Dim), state);
    }
    let selected = open.selecting.as_ref().map(|one| one.id.as_str());
    let mut cut = above;
    for (place, rows) in blocks.into_iter().rev() {
        let id = window.messages.get(place).map(|message| message.id.as_str());
        for (line, is_own) in rows {
            if cut > 0 {
                cut = cut.saturating_sub(1);
                continue;
            }
            if is_own && selected.is_some() && id == selected {
                let row = Rect { y: area.y.saturating_add(y), height: 1, ..area };
                frame.buffer_mut().set_style(row, state.look.theme.style(Role::Selected));
                put_selected(state, frame, area, y, &line);
            } else {
                put(frame.buffer_mut(), area, y, &line, state);
            }
            if state.look.links {
                link(cache, frame, area, y, &line);
            }
            y = y.saturating_add(1);
        }
    }
    let is_back = matches!(window.anchor, Anchor::At { .. });
    if is_back && area.height > 3 {
        let key = state.keymap.keys_of(crate::tui::action::Action::Newest);
        let key = key.first().map_or_else(String::new, |(_, key)| format!(" ({key})"));
        let said = format!(" further back{key} ");
        let style = state.look.theme.style(Role::NewMark);
        super::put_right(frame.buffer_mut(), area, area.height.saturating_sub(1), &said, style);
    }
    seen
}

/// Has the cells of a row that lead somewhere say so.
fn link(cache: &ViewCache, frame: &mut Frame<'_>, area: Rect, row: u16, line: &TextLine) {
    let y = area.y.saturating_add(row);
    let mut x = area.x;
    let links = cache.links();
    for piece in &line.pieces {
        let columns = u16::try_from(width::width(&piece.text)).unwrap_or(u16::MAX);
        let end = x.saturating_add(columns).min(area.right());
        let number =
            piece.link.as_ref().and_then(|target| links.try_borrow_mut().ok()?.number(target));
        if let Some(number) = number.filter(|_| row < area.height) {
            for x in x..end {
                if let Some(cell) = frame.buffer_mut().cell_mut((x, y)) {
                    cell.underline_color = Links::colour(number);
                }
            }
        }
        x = end;
    }
}

/// A row of the selected message: its look lies over every piece.
fn put_selected(state: &State, frame: &mut Frame<'_>, area: Rect, row: u16, line: &TextLine) {
    let whole: TextLine = TextLine {
        pieces: line
            .pieces
            .iter()
            .map(|piece| crate::tui::text::Piece { role: Role::Selected, ..piece.clone() })
            .collect(),
    };
    put(frame.buffer_mut(), area, row, &whole, state);
}
