//! Several conversations at once, each under its name.

use ratatui::{Frame, layout::Rect};

use super::{message::ViewCache, put, put_right, timeline, title, words};
use crate::tui::{
    state::{Open, Seen, State, split::Way},
    text::width,
    theme::Role,
};

/// What a conversation needs to be shown with others: columns beside one another, rows below one another.
const LEAST_COLUMNS: u16 = 24;
const LEAST_ROWS: u16 = 5;

/// Where the conversations are drawn, in their order, and the lines between them. One place where there is one, or room for no more.
pub(super) struct Places {
    panes: Vec<Rect>,
    /// Each a column wide.
    pub(super) lines: Vec<Rect>,
}

/// Divides `area` among what is shown.
pub(super) fn places(state: &State, area: Rect) -> Places {
    let count = u16::try_from(state.split.count()).unwrap_or(u16::MAX).saturating_add(1);
    let is_beside = state.split.way == Way::Beside;
    let (whole, least) = if is_beside {
        // A line between two takes a column, and so does the one that is kept free after it.
        (area.width.saturating_sub(count.saturating_sub(1).saturating_mul(2)), LEAST_COLUMNS)
    } else {
        (area.height, LEAST_ROWS)
    };
    let each = whole.checked_div(count).unwrap_or(whole);
    if count == 1 || state.is_zoomed || state.is_bare || each < least {
        return Places { panes: vec![area], lines: vec![] };
    }
    let mut places = Places { panes: vec![], lines: vec![] };
    let mut rest = area;
    for _ in 1..count {
        if is_beside {
            places.panes.push(Rect { width: each, ..rest });
            let x = rest.x.saturating_add(each);
            places.lines.push(Rect { x, width: 1, ..rest });
            let used = each.saturating_add(2);
            rest = Rect {
                x: rest.x.saturating_add(used),
                width: rest.width.saturating_sub(used),
                ..rest
            };
        } else {
            places.panes.push(Rect { height: each, ..rest });
            rest = Rect {
                y: rest.y.saturating_add(each),
                height: rest.height.saturating_sub(each),
                ..rest
            };
        }
    }
    places.panes.push(rest);
    places
}

/// Draws them, and says what of the open one is to be seen.
pub(super) fn draw(
    state: &State,
    cache: &mut ViewCache,
    places: &Places,
    frame: &mut Frame<'_>,
) -> Seen {
    if let [alone] = places.panes[..] {
        return timeline::draw(state, cache, frame, alone);
    }
    let before = state.split.before.iter().map(|open| (open, false));
    let here = state.open.iter().map(|open| (open, true));
    let after = state.split.after.iter().map(|open| (open, false));
    let mut seen = Seen::default();
    let mut plain = vec![];
    for ((open, is_open), place) in before.chain(here).chain(after).zip(&places.panes) {
        heading(state, open, is_open, frame, Rect { height: 1, ..*place });
        let below =
            Rect { y: place.y.saturating_add(1), height: place.height.saturating_sub(1), ..*place };
        let mut shown = timeline::conversation(state, cache, open, frame, below);
        plain.append(&mut shown.plain);
        if is_open {
            seen = shown;
        }
    }
    Seen { plain, ..seen }
}

/// What a conversation is called, and how much of it is unread.
fn heading(state: &State, open: &Open, is_open: bool, frame: &mut Frame<'_>, area: Rect) {
    let room = state.room_called(&open.target);
    let name = room.map_or_else(|| open.target.clone(), |room| title::name(state, room));
    let sign = if is_open { "> " } else { "  " };
    let role = if is_open { Role::BorderFocused } else { Role::Heading };
    let columns = usize::from(area.width).saturating_sub(8);
    let name = format!("{sign}{name}");
    let name = width::truncate(&name, columns, state.look.glyphs.ellipsis());
    put(frame.buffer_mut(), area, 0, &words(name, role), state);
    let unread = room.map_or(0, |room| room.unread);
    if unread > 0 {
        let style = state.look.theme.style(Role::MentionCount);
        put_right(frame.buffer_mut(), area, 0, &format!("{unread} new "), style);
    }
}
