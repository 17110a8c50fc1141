//! The pane beside the messages: a sheet, or a thread.

use ratatui::{Frame, layout::Rect};

use super::{composer, message::ViewCache, put, put_right, timeline, words};
use crate::tui::{
    state::{Row, Seen, Sheet, State},
    text::{self, TextLine, width},
    theme::Role,
};

/// Draws what is open there, and says what of a thread is to be seen.
pub(super) fn draw(
    state: &State,
    cache: &mut ViewCache,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Seen {
    if let Some(sheet) = &state.sheet {
        list(state, cache, sheet, frame, area);
        return Seen::default();
    }
    let Some(open) = &state.open else { return Seen::default() };
    let Some(thread) = &open.thread else { return Seen::default() };
    let role = if thread.has_keys { Role::BorderFocused } else { Role::Heading };
    put(frame.buffer_mut(), area, 0, &words("Thread", role), state);
    put_right(frame.buffer_mut(), area, 0, "Esc ", state.look.theme.style(Role::Hint));
    let laid = composer::Laid::of(&thread.draft.composer, area.width);
    let rows = laid.height().min(area.height / 3).max(1);
    let middle = Rect {
        y: area.y.saturating_add(1),
        height: area.height.saturating_sub(rows).saturating_sub(2),
        ..area
    };
    let seen = timeline::messages(state, cache, open, &thread.window, false, frame, middle);
    let below = Rect { y: middle.bottom().saturating_add(1), height: rows, ..area };
    composer::field(
        state,
        (&thread.draft.composer, &laid),
        thread.has_keys,
        "reply in thread",
        frame,
        below,
    );
    seen
}

fn list(state: &State, cache: &mut ViewCache, sheet: &Sheet, frame: &mut Frame<'_>, area: Rect) {
    let role = if sheet.has_keys { Role::BorderFocused } else { Role::Heading };
    let columns = usize::from(area.width);
    let ellipsis = state.look.glyphs.ellipsis();
    let title = crate::render::field(&sheet.kind.title());
    let title = width::truncate(&title, columns.saturating_sub(5), ellipsis);
    put(frame.buffer_mut(), area, 0, &words(title, role), state);
    put_right(frame.buffer_mut(), area, 0, "Esc ", state.look.theme.style(Role::Hint));
    let below = Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area };
    if sheet.is_loading {
        put(frame.buffer_mut(), below, 0, &words("reading", Role::Dim), state);
        return;
    }
    let blocks = cache.sheet(&sheet.rows, columns);
    // The marked row is always to be seen: as much before it as there is room for.
    let height = usize::from(below.height);
    let mut first = sheet.marked;
    let mut used = blocks.get(first).map_or(0, Vec::len);
    while let Some(before) = first.checked_sub(1) {
        used = used.saturating_add(blocks.get(before).map_or(0, Vec::len));
        if used > height {
            break;
        }
        first = before;
    }
    let mut y = 0_u16;
    for (place, block) in blocks.iter().enumerate().skip(first) {
        let is_marked = sheet.has_keys
            && place == sheet.marked
            && sheet.rows.get(place).is_some_and(|row| row.is_choice);
        for (nth, line) in block.iter().enumerate() {
            if y >= below.height {
                return;
            }
            let mut line = line.clone();
            let sign = if is_marked && nth == 0 { "> " } else { "  " };
            line.pieces.insert(0, text::Piece::new(sign, Role::Key));
            if is_marked {
                for piece in &mut line.pieces {
                    piece.role = Role::Selected;
                }
            }
            put(frame.buffer_mut(), below, y, &line, state);
            y = y.saturating_add(1);
        }
    }
}

/// A row of a sheet in as many rows of the screen as it needs.
pub(super) fn wrapped(row: &Row, columns: usize) -> Vec<TextLine> {
    let look = row.role.unwrap_or(Role::Text);
    let mut lines = text::wrap(&[words(row.title.clone(), look)], columns.saturating_sub(2));
    if lines.is_empty() {
        lines.push(words("", look));
    }
    if !row.detail.is_empty() {
        let detail = words(row.detail.clone(), Role::Dim);
        let details = text::wrap(&[detail], columns.saturating_sub(4));
        lines.extend(details.into_iter().map(|mut line| {
            line.pieces.insert(0, text::Piece::new("  ", Role::Dim));
            line
        }));
    }
    lines
}
