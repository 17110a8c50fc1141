//! Drawing the model. Nothing here changes it; what is remembered between frames is a [`ViewCache`], and dropping that changes no cell.

mod between;
mod composer;
mod layer;
mod message;
mod pane;
mod sidebar;
mod split;
mod status;
mod timeline;
mod title;
mod welcome;

use ratatui::{
    Frame,
    buffer::{Buffer, CellDiffOption},
    layout::{Constraint, Layout, Position, Rect},
    style::Style,
    widgets::Clear,
};

use super::{
    state::{Screen, Seen, State, WIDE},
    text::{TextLine, width},
    theme::Role,
};

pub use message::ViewCache;
pub(in crate::tui) use message::{UNKNOWN, unopened};
pub(in crate::tui) use title::seal;
pub(in crate::tui) use welcome::{choices, question};

/// Below this many columns there is one pane, and the list of rooms lies over it.
pub const NARROW: u16 = 64;
/// Below this many rows there are no lines across.
const LOW: u16 = 17;
/// The smallest screen that anything fits on.
const SMALLEST: (u16, u16) = (30, 8);

/// Draws `state`, and says what of the messages is to be seen.
pub fn view(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>) -> Seen {
    let area = frame.area();
    let style = state.look.theme.style(Role::Text);
    frame.buffer_mut().set_style(area, style);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let said = "rookery needs 30 columns and 8 rows";
        put(frame.buffer_mut(), area, 0, &TextLine::new(said, Role::Text), state);
        return Seen::default();
    }
    match &state.screen {
        Screen::Opening => {
            chat(state, cache, frame, area);
            Seen::default()
        }
        Screen::Locked(locked) => {
            welcome::locked(state, locked, frame, area);
            Seen::default()
        }
        Screen::Welcome(asked) => {
            welcome::draw(state, asked, frame, area);
            Seen::default()
        }
        Screen::Chat => {
            let seen = chat(state, cache, frame, area);
            for one in &state.layers {
                layer::draw(state, one, frame, area);
            }
            seen
        }
    }
}

fn chat(state: &State, cache: &mut ViewCache, frame: &mut Frame<'_>, area: Rect) -> Seen {
    if state.is_bare {
        return timeline::draw(state, cache, frame, area);
    }
    let rule = u16::from(area.height >= LOW);
    let is_narrow = area.width < NARROW;
    let laid = composer::lay_out(state, area.width);
    let writing = composer::height(state, laid.as_ref()).min(area.height / 3).max(1);
    // Where there is no row for both, what has to be told takes the place of the keys.
    let tells = state.notice.is_some() || !status::is_calm(state);
    let has_status = !is_narrow || area.height >= LOW;
    let hint = u16::from(area.height >= 12 && (has_status || !tells));
    let [title, above, body, below, status, writing, hint] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rule),
        Constraint::Min(1),
        Constraint::Length(rule),
        Constraint::Length(u16::from(has_status || tells)),
        Constraint::Length(writing),
        Constraint::Length(hint),
    ])
    .areas(area);
    // Where it is narrow, the list is only shown when it was asked for, over the messages.
    let shows_rooms = state.shows_rooms != is_narrow && !state.is_zoomed;
    let list = match (shows_rooms, area.width) {
        (false, _) => 0,
        (true, columns) if columns < NARROW => columns,
        (true, columns) if columns < WIDE => 19,
        (true, _) => 25,
    };
    let has_pane = state.has_beside() && (!state.is_zoomed || state.is_beside());
    let pane = match (has_pane, area.width >= WIDE && !state.is_zoomed) {
        (false, _) => 0,
        (true, true) => (area.width / 3).clamp(31, 48),
        (true, false) => body.width.saturating_sub(list).saturating_sub(u16::from(list > 0)),
    };
    let gap = |width: u16| u16::from(width > 0 && width < body.width);
    let [rooms, left, middle, right, side] = Layout::horizontal([
        Constraint::Length(list),
        Constraint::Length(gap(list)),
        Constraint::Min(0),
        Constraint::Length(if middle_left(body, list, pane) { gap(pane) } else { 0 }),
        Constraint::Length(pane),
    ])
    .areas(body);
    let mut seen = Seen::default();
    title::draw(state, frame, title, rooms.width);
    let conversations = split::places(state, inset(middle));
    let mut lines = conversations.lines.clone();
    lines.extend([left, right]);
    across(state, frame.buffer_mut(), above, &lines, state.look.glyphs.tee_down());
    across(state, frame.buffer_mut(), below, &lines, state.look.glyphs.tee_up());
    for line in lines {
        down(state, frame.buffer_mut(), line);
    }
    if rooms.width > 0 {
        sidebar::draw(state, frame, rooms);
    }
    if middle.width > 1 {
        seen = split::draw(state, cache, &conversations, frame);
    }
    if side.width > 0 {
        seen.plain.extend(pane::draw(state, cache, frame, inset(side)).plain);
    }
    status::draw(state, frame, status);
    composer::draw(state, laid.as_ref(), frame, writing);
    status::hints(state, frame, hint);
    seen
}

const fn middle_left(body: Rect, list: u16, pane: u16) -> bool {
    body.width > list.saturating_add(pane).saturating_add(4)
}

/// `area` with a column free on its left, where there is room.
fn inset(area: Rect) -> Rect {
    if area.width < 20 {
        return area;
    }
    Rect { x: area.x.saturating_add(1), width: area.width.saturating_sub(1), ..area }
}

/// A line across `area`, with `joint` where it meets the lines `downs`.
fn across(state: &State, buffer: &mut Buffer, area: Rect, downs: &[Rect], joint: &str) {
    if area.height == 0 {
        return;
    }
    let style = state.look.theme.style(Role::Border);
    for x in area.left()..area.right() {
        let meets = downs.iter().any(|line| line.width > 0 && line.x == x);
        let glyph = if meets { joint } else { state.look.glyphs.horizontal() };
        buffer.set_string(x, area.y, glyph, style);
    }
}

/// A line down `area`.
fn down(state: &State, buffer: &mut Buffer, area: Rect) {
    if area.width == 0 {
        return;
    }
    let style = state.look.theme.style(Role::Border);
    for y in area.top()..area.bottom() {
        buffer.set_string(area.x, y, state.look.glyphs.vertical(), style);
    }
}

/// Blanks a place for what lies over the rest. Of a wide character that goes into it, nothing is left.
fn clear(frame: &mut Frame<'_>, place: Rect) {
    frame.render_widget(Clear, place);
    let Some(before) = place.x.checked_sub(1) else { return };
    for y in place.top()..place.bottom() {
        if let Some(cell) = frame.buffer_mut().cell_mut((before, y))
            && width::cluster_width(cell.symbol()) > 1
        {
            cell.set_symbol(" ").set_diff_option(CellDiffOption::None);
        }
    }
}

/// Puts a line into row `row` of `area`; what does not fit is cut.
fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &TextLine, state: &State) {
    if row >= area.height {
        return;
    }
    let y = area.y.saturating_add(row);
    let mut x = area.x;
    for piece in &line.pieces {
        let style = state.look.theme.style(piece.role);
        x = width::put(buffer, Position::new(x, y), area.right(), &piece.text, style);
        if x >= area.right() {
            return;
        }
    }
}

/// Puts `text` into row `row` of `area`, its end at the right edge.
fn put_right(buffer: &mut Buffer, area: Rect, row: u16, text: &str, style: Style) {
    let columns = u16::try_from(width::width(text)).unwrap_or(u16::MAX);
    if row >= area.height || columns > area.width {
        return;
    }
    let x = area.right().saturating_sub(columns);
    width::put(buffer, Position::new(x, area.y.saturating_add(row)), area.right(), text, style);
}

/// A line of words in one role.
fn words(text: impl Into<String>, role: Role) -> TextLine {
    TextLine::new(text, role)
}

#[cfg(test)]
mod tests;
