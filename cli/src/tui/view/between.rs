//! What stands between messages: days, what is new, and what happened in the community meanwhile.

use jiff::{Timestamp, Zoned};

use super::message::{self, INDENT, STACKED, ViewCache};
use crate::tui::{
    state::{Message, Open, State, log::Happening},
    text::{Piece, TextLine, width, wrap},
    theme::Role,
};

pub(super) fn day(state: &State, at: i64) -> Option<Zoned> {
    Some(Timestamp::from_millisecond(at).ok()?.to_zoned(state.look.zone.clone()))
}

/// A line across with words in it.
fn divider(state: &State, columns: u16, said: &str, role: Role) -> TextLine {
    let dash = state.look.glyphs.horizontal();
    let said = format!(" {said} ");
    let rest = usize::from(columns).saturating_sub(width::width(&said));
    let left = rest / 2;
    let line = format!("{}{said}{}", dash.repeat(left), dash.repeat(rest.saturating_sub(left)));
    TextLine::new(line, role)
}

/// A message as rows, with what stands between it and its neighbours.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Dividers, and what happened before it.
    pub(super) above: Vec<TextLine>,
    /// The message.
    pub(super) own: Vec<TextLine>,
    /// What happened after it.
    pub(super) below: Vec<TextLine>,
}

impl Block {
    /// All rows from above to below, each with whether it is the message's own.
    pub(super) fn rows(self) -> impl Iterator<Item = (TextLine, bool)> {
        let above = self.above.into_iter().map(|row| (row, false));
        let own = self.own.into_iter().map(|row| (row, true));
        above.chain(own).chain(self.below.into_iter().map(|row| (row, false)))
    }
}

/// The rows of the message at a place of its window, in `columns`.
pub(super) fn block(
    state: &State,
    cache: &mut ViewCache,
    open: &Open,
    around: Around<'_>,
    columns: u16,
) -> Block {
    let message = around.message;
    if state.is_bare {
        return Block { own: message::bare(state, message, columns), ..Block::default() };
    }
    let former = around.before.and_then(|before| day(state, before.at));
    let mut days = Days { state, columns, last: former, rows: vec![] };
    // What happened before the first message at hand is shown only where nothing is left out between the two.
    let since = match around.before {
        Some(before) => Some(before.at),
        None if around.is_oldest => Some(i64::MIN),
        None => None,
    };
    if let Some(since) = since.filter(|_| around.has_log) {
        days.happened(open.log.between(since, message.at));
    }
    days.go_to(message.at);
    let mut block = Block { above: days.rows, ..Block::default() };
    if open.first_new.as_deref() == Some(message.id.as_str()) {
        block.above.push(divider(state, columns, "new", Role::NewMark));
    }
    let today = day(state, message.at);
    let time = today.as_ref().map(|today| today.strftime("%H:%M").to_string()).unwrap_or_default();
    block.own = message::said(state, cache, open, message, columns, &time);
    if around.is_newest && around.has_log {
        block.below = happened(state, open, columns, message.at);
    }
    block
}

/// What happened after a time.
pub(super) fn happened(state: &State, open: &Open, columns: u16, after: i64) -> Vec<TextLine> {
    let mut days = Days { state, columns, last: day(state, after), rows: vec![] };
    days.happened(open.log.between(after, i64::MAX));
    days.rows
}

/// A message among others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// It.
    pub(super) message: &'a Message,
    /// The one before it.
    pub(super) before: Option<&'a Message>,
    /// Whether there is none before it.
    pub(super) is_oldest: bool,
    /// Whether there is none after it.
    pub(super) is_newest: bool,
    /// Whether it is shown what happened between messages.
    pub(super) has_log: bool,
}

/// Rows between messages, with a divider where a day begins.
struct Days<'a> {
    state: &'a State,
    columns: u16,
    last: Option<Zoned>,
    rows: Vec<TextLine>,
}

impl Days<'_> {
    /// Goes on to a time: another day begins with a divider.
    fn go_to(&mut self, at: i64) {
        let Some(today) = day(self.state, at) else { return };
        if self.last.as_ref().map(Zoned::date) != Some(today.date()) {
            let said = today.strftime("%A %-d %B %Y").to_string();
            self.rows.push(divider(self.state, self.columns, &said, Role::Day));
        }
        self.last = Some(today);
    }

    /// Adds what happened. What many did one after another is one row.
    fn happened(&mut self, happenings: &[Happening]) {
        if !self.state.look.events {
            return;
        }
        for alike in happenings.chunk_by(|one, next| {
            let date = |one: &Happening| day(self.state, one.at).map(|day| day.date());
            one.what == next.what && date(one) == date(next)
        }) {
            let Some(first) = alike.first() else { continue };
            self.go_to(first.at);
            let time = self.last.as_ref().map(|day| day.strftime("%H:%M").to_string());
            let said = format!("{} {}", names(alike), conjugated(alike));
            let indent = if self.columns < STACKED { 6 } else { INDENT };
            let columns = usize::from(self.columns).saturating_sub(indent).max(8);
            let head = width::pad(&time.unwrap_or_default(), indent);
            for (row, line) in
                wrap(&[TextLine::new(said, Role::Dim)], columns).into_iter().enumerate()
            {
                let head =
                    if row == 0 { vec![Piece::new(head.clone(), Role::Dim)] } else { vec![] };
                self.rows.push(message::indented(line, indent, &head));
            }
        }
    }
}

/// What is told of them, for one or for many.
fn conjugated(alike: &[Happening]) -> String {
    let Some(first) = alike.first() else { return String::new() };
    let is_one = alike.iter().all(|one| one.who == first.who);
    match first.what.split_once(' ') {
        Some(("was", rest)) if !is_one => format!("were {rest}"),
        Some(("has", rest)) if !is_one => format!("have {rest}"),
        _ => first.what.clone(),
    }
}

/// Of whom it is told: three by name, and how many more.
fn names(alike: &[Happening]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<&str> = alike.iter().map(|one| one.who.as_str()).collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    match names.as_slice() {
        [head @ .., last] if more == 0 && !head.is_empty() => {
            format!("{} and {last}", head.join(", "))
        }
        _ if more == 0 => names.join(", "),
        _ => {
            names.truncate(NAMED);
            format!("{} and {more} more", names.join(", "))
        }
    }
}
