//! Where one writes.

use std::ops::Range;

use ratatui::{
    Frame,
    layout::{Position, Rect},
};

use super::{put, words};
use crate::tui::{
    composer::Composer,
    state::{Editing, Open, Purpose, State},
    text::width,
    theme::Role,
};

/// The most rows it takes.
const MOST: u16 = 6;
/// Columns of the sign before it.
const SIGN: u16 = 3;

/// A text in rows, laid out once for how much room it takes and for what is drawn.
pub(super) struct Laid(Vec<Range<usize>>);

impl Laid {
    /// The rows of a text at `columns`.
    pub(super) fn of(composer: &Composer, columns: u16) -> Self {
        Self(composer.rows(columns.saturating_sub(SIGN).max(1)))
    }

    /// How many rows it is given.
    pub(super) fn height(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX).clamp(1, MOST)
    }
}

/// What is written in the open conversation, in rows.
pub(super) fn lay_out(state: &State, columns: u16) -> Option<Laid> {
    state.open.as_ref().map(|open| Laid::of(&open.draft.composer, columns))
}

/// How many rows the composer takes.
pub(super) fn height(state: &State, laid: Option<&Laid>) -> u16 {
    let (Some(open), Some(laid)) = (&state.open, laid) else { return 1 };
    let about = u16::from(open.draft.purpose != Purpose::Say);
    laid.height().saturating_add(about)
}

/// Draws a text that is being written.
pub(super) fn field(
    state: &State,
    (composer, laid): (&Composer, &Laid),
    has_keys: bool,
    placeholder: &str,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let role = if has_keys { Role::Key } else { Role::Dim };
    put(frame.buffer_mut(), area, 0, &words(" > ", role), state);
    let inner =
        Rect { x: area.x.saturating_add(SIGN), width: area.width.saturating_sub(SIGN), ..area };
    if composer.is_empty() && !placeholder.is_empty() {
        put(frame.buffer_mut(), inner, 0, &words(placeholder, Role::Placeholder), state);
    }
    let theme = &state.look.theme;
    let vim = state.open.as_ref().map(|open| &open.vim).filter(|_| has_keys);
    let selected = vim.and_then(|vim| vim.selected(composer)).unwrap_or_default();
    let selected = (selected, theme.style(Role::Selected));
    let style = theme.style(Role::Text);
    let cursor = composer.render_rows(&laid.0, inner, frame.buffer_mut(), style, selected);
    if has_keys {
        frame.set_cursor_position(cursor);
    }
}

fn placeholder(state: &State, open: &Open) -> String {
    let Some(room) = state.room() else { return String::new() };
    if let Some(alarm) = &room.alarm {
        return format!("nothing is sent here: {alarm}");
    }
    if room.archived {
        return "archived: nothing more is said here".to_owned();
    }
    if room.slow_mode_s > 0 {
        return format!("slow mode: one message in {} s", room.slow_mode_s);
    }
    if open.is_room() { String::new() } else { format!("to {}", state.short_name(&room.title)) }
}

/// Draws it.
pub(super) fn draw(state: &State, laid: Option<&Laid>, frame: &mut Frame<'_>, area: Rect) {
    let (Some(open), Some(laid)) = (&state.open, laid) else {
        let said = if state.has_rooms {
            " Ctrl+K goes to a room or person, / begins a command, F1 helps"
        } else {
            ""
        };
        put(frame.buffer_mut(), area, 0, &words(said, Role::Placeholder), state);
        return;
    };
    let about = match &open.draft.purpose {
        Purpose::Say => None,
        Purpose::Reply(_, from) => {
            Some(format!(" replying to {} (Esc: not)", state.short_name(from)))
        }
        Purpose::Edit(_) => Some(" editing (Enter saves, Esc leaves it as it was)".to_owned()),
    };
    let mut inner = area;
    if let Some(about) = about {
        put(frame.buffer_mut(), area, 0, &words(about, Role::Waiting), state);
        inner.y = inner.y.saturating_add(1);
        inner.height = inner.height.saturating_sub(1);
    }
    let takes_keys = open.thread.as_ref().is_none_or(|thread| !thread.has_keys)
        && state.sheet.as_ref().is_none_or(|sheet| !sheet.has_keys)
        && open.selecting.is_none()
        && state.layers.is_empty();
    let writing = (&open.draft.composer, laid);
    field(state, writing, takes_keys, &placeholder(state, open), frame, inner);
    if state.editing == Editing::Vim && area.width > 40 {
        let style = state.look.theme.style(Role::Dim);
        super::put_right(frame.buffer_mut(), inner, 0, open.vim.mode().word(), style);
    }
    completion(state, open, frame, inner);
}

/// Draws what can be put at the cursor, above where one writes.
fn completion(state: &State, open: &Open, frame: &mut Frame<'_>, area: Rect) {
    let Some(completion) = &open.completion else { return };
    let count = u16::try_from(completion.choices.len()).unwrap_or(u16::MAX).min(area.y);
    let longest = completion.choices.iter().map(|(shown, _)| width::width(shown)).max();
    let columns = u16::try_from(longest.unwrap_or(0).saturating_add(2)).unwrap_or(u16::MAX);
    let place = Rect {
        x: area.x.saturating_add(SIGN),
        y: area.y.saturating_sub(count),
        width: columns.min(area.width.saturating_sub(SIGN)),
        height: count,
    };
    super::clear(frame, place);
    for (row, (at, (shown, _))) in (0..count).zip(completion.choices.iter().enumerate()) {
        let is_marked = at == completion.marked;
        let role = if is_marked { Role::Selected } else { Role::Hint };
        let sign = if is_marked { ">" } else { " " };
        let text = width::pad(&format!("{sign}{shown}"), usize::from(place.width));
        put(frame.buffer_mut(), place, row, &words(text, role), state);
    }
}

/// Draws a line of text with its cursor, for a form or a question.
pub(super) fn line(state: &State, composer: &Composer, frame: &mut Frame<'_>, area: Rect) {
    let style = state.look.theme.style(Role::Text);
    let cursor: Position = composer.render(area, frame.buffer_mut(), style);
    frame.set_cursor_position(cursor);
}
