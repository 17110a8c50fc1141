//! What lies over everything: the palette, questions, forms.

use ratatui::{Frame, layout::Rect};

use super::{composer, put, put_right, words};
use crate::tui::{
    state::{Layer, Picker, Private, State, private::Step},
    text::{self, width},
    theme::Role,
    update::recovery_groups,
};

/// Draws one layer.
pub(super) fn draw(state: &State, layer: &Layer, frame: &mut Frame<'_>, area: Rect) {
    match layer {
        Layer::Picker(picker) => pick(state, picker, frame, area),
        Layer::Confirm { question, .. } => {
            boxed(state, frame, area, &[question, "", "y yes   n no"], Role::Warning);
        }
        Layer::Form(form) => {
            let lines = [&form.title, "", "", "Enter does it, Esc leaves it"];
            let (inner, rows) = boxed(state, frame, area, &lines, Role::Heading);
            let field = Rect { y: row_of(inner, &rows, 2), height: 1, ..inner };
            put(frame.buffer_mut(), field, 0, &words("> ", Role::Key), state);
            let field = Rect {
                x: field.x.saturating_add(2),
                width: field.width.saturating_sub(2),
                ..field
            };
            composer::line(state, &form.field, frame, field);
        }
        Layer::Private(private) => secret(state, private, frame, area),
        Layer::Paste { text } => {
            let lines = text.lines().count();
            let size = text.len() / 1024;
            let said = format!("{lines} lines, {size} KiB were pasted.");
            let keys = "Enter as text   c as one block of code   f as a file   n not at all";
            boxed(
                state,
                frame,
                area,
                &[
                    &said,
                    "It becomes one message; nothing is sent before you press Enter again.",
                    "Or f sends it at once as a file, paste.txt.",
                    "",
                    keys,
                ],
                Role::Warning,
            );
        }
    }
}

/// A question whose answer is not shown, or the key that is.
fn secret(state: &State, private: &Private, frame: &mut Frame<'_>, area: Rect) {
    let groups = recovery_groups(private.new.show());
    let key: Vec<String> = groups.chunks(4).map(|four| four.join("  ")).collect();
    let said = private.said();
    let mut lines = vec![private.title(), ""];
    if private.step == Step::NewKey {
        lines.extend(key.iter().map(String::as_str));
        lines.push("");
    }
    lines.push(&said);
    lines.extend(private.trouble.as_deref());
    lines.extend(["", "", private.hint()]);
    let (inner, rows) = boxed(state, frame, area, &lines, Role::Heading);
    if private.is_busy() || private.step == Step::NewKey {
        return;
    }
    let y = row_of(inner, &rows, lines.len().saturating_sub(2));
    let field = Rect { y, height: 1, ..inner };
    let typed = private.typed.show();
    let shown = if private.hides() {
        "*".repeat(typed.chars().count().min(usize::from(inner.width.saturating_sub(4))))
    } else {
        width::truncate(typed, usize::from(inner.width.saturating_sub(4)), "").into_owned()
    };
    let mut line = words("> ", Role::Key);
    line.push(&shown, Role::Text, None);
    let columns = u16::try_from(line.width()).unwrap_or(0);
    put(frame.buffer_mut(), field, 0, &line, state);
    frame.set_cursor_position((field.x.saturating_add(columns), field.y));
}

/// Where line `place` of a box stands on the screen.
fn row_of(inner: Rect, rows: &[u16], place: usize) -> u16 {
    let row = rows.get(place).copied().unwrap_or_default();
    inner.y.saturating_add(row.min(inner.height.saturating_sub(1)))
}

/// A box in the middle with lines in it; what is inside of it, and in which row of that each line begins.
fn boxed(
    state: &State,
    frame: &mut Frame<'_>,
    area: Rect,
    lines: &[&str],
    first: Role,
) -> (Rect, Vec<u16>) {
    let most = area.width.saturating_sub(4).min(72);
    let (mut shown, mut rows) = (vec![], vec![]);
    for (place, line) in lines.iter().enumerate() {
        let role = match place {
            0 => first,
            _ if place.saturating_add(1) == lines.len() => Role::Hint,
            _ => Role::Text,
        };
        let line = words(crate::render::field(line), role);
        let mut wrapped = text::wrap(&[line], usize::from(most.saturating_sub(4)));
        if wrapped.is_empty() {
            wrapped.push(words("", role));
        }
        rows.push(u16::try_from(shown.len()).unwrap_or(u16::MAX));
        shown.extend(wrapped);
    }
    let height = u16::try_from(shown.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let place = Rect {
        x: area.x.saturating_add(area.width.saturating_sub(most) / 2),
        y: area.y.saturating_add(area.height.saturating_sub(height) / 2),
        width: most,
        height,
    };
    let inner = frame_of(state, frame, place);
    for (row, line) in (0..inner.height).zip(&shown) {
        put(frame.buffer_mut(), inner, row, line, state);
    }
    (inner, rows)
}

/// Draws the frame of a box, and says what is inside of it.
fn frame_of(state: &State, frame: &mut Frame<'_>, place: Rect) -> Rect {
    super::clear(frame, place);
    let style = state.look.theme.style(Role::BorderFocused);
    let block = ratatui::widgets::Block::bordered()
        .border_set(state.look.glyphs.border())
        .border_style(style)
        .style(state.look.theme.style(Role::Text));
    let inner = block.inner(place);
    frame.render_widget(block, place);
    Rect { x: inner.x.saturating_add(1), width: inner.width.saturating_sub(2), ..inner }
}

fn pick(state: &State, picker: &Picker, frame: &mut Frame<'_>, area: Rect) {
    let columns = area.width.saturating_sub(4).min(76);
    let count = u16::try_from(picker.fitting.len()).unwrap_or(u16::MAX);
    let height = area.height.saturating_sub(4).min(18).min(count.max(1).saturating_add(4));
    let place = Rect {
        x: area.x.saturating_add(area.width.saturating_sub(columns) / 2),
        y: area.y.saturating_add(2.min(area.height / 8)),
        width: columns,
        height,
    };
    let inner = frame_of(state, frame, place);
    put(frame.buffer_mut(), inner, 0, &words("> ", Role::Key), state);
    let signs = "# rooms @ people > commands * unread";
    let field = Rect {
        x: inner.x.saturating_add(2),
        width: inner.width.saturating_sub(2),
        height: 1,
        ..inner
    };
    if picker.query.is_empty() {
        put(frame.buffer_mut(), field, 0, &words(signs, Role::Placeholder), state);
    }
    let list =
        Rect { y: inner.y.saturating_add(2), height: inner.height.saturating_sub(2), ..inner };
    if picker.fitting.is_empty() {
        put(frame.buffer_mut(), list, 0, &words("nothing fits", Role::Dim), state);
    }
    let rows = usize::from(list.height);
    let first = picker.marked.saturating_sub(rows.saturating_sub(1));
    for (row, (at, index)) in (0..list.height).zip(picker.fitting.iter().enumerate().skip(first)) {
        let Some(choice) = picker.choices.get(*index) else { continue };
        let is_marked = at == picker.marked;
        let role = if is_marked { Role::Selected } else { Role::Text };
        let number = match at {
            0..=8 => format!("{} ", at.saturating_add(1)),
            _ => "  ".to_owned(),
        };
        let title = format!("{number}{}", crate::render::field(&choice.title));
        let fits = usize::from(list.width).saturating_sub(width::width(&choice.detail).min(30));
        let title = width::truncate(&title, fits.saturating_sub(1), state.look.glyphs.ellipsis());
        let line = width::pad(&title, usize::from(list.width));
        put(frame.buffer_mut(), list, row, &words(line, role), state);
        let beside = if is_marked { Role::Selected } else { Role::Dim };
        put_right(frame.buffer_mut(), list, row, &choice.detail, state.look.theme.style(beside));
    }
    composer::line(state, &picker.query, frame, field);
}
