//! One message as rows: who, when, how far it has come, what it says, and what was said about it.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use super::between::day;
use crate::tui::{
    glyphs::Mark,
    state::{Expiry, Message, Open, Row, State, window::Progress},
    text::{
        Piece, TextLine,
        links::Links,
        markdown::{self, Reading},
        width, wrap,
    },
    theme::{self, Role},
};

/// How many messages' rows are remembered.
const REMEMBERED: usize = 1_024;
/// Below this many columns a name stands above its text.
pub(super) const STACKED: u16 = 48;
/// Columns for a name.
const NAME: usize = 9;
/// Columns for time, name and mark.
pub(super) const INDENT: usize = 6 + NAME + 1 + 3;

/// What stands for a message of a kind that came with a later version, such as a picture.
pub(in crate::tui) const UNKNOWN: &str = "(something that this version of rookery cannot show)";

/// The texts of messages as they were laid out last, by message and width.
#[derive(Debug, Default)]
pub struct ViewCache {
    texts: HashMap<(String, u16), Text>,
    links: Rc<RefCell<Links>>,
    sheet: Option<SheetRows>,
}

/// The rows of a sheet as they were laid out last. Holding them keeps others from taking their place in memory.
#[derive(Debug)]
struct SheetRows {
    rows: Arc<Vec<Row>>,
    columns: usize,
    blocks: Rc<Vec<Vec<TextLine>>>,
}

/// A text that was laid out: of which revision of its message, and whether its code had its colours.
#[derive(Debug)]
struct Text {
    revision: u64,
    is_coloured: bool,
    lines: Rc<Vec<TextLine>>,
}

impl ViewCache {
    /// Forgets everything but where links lead: the theme, the emoji or the terminal has changed.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.sheet = None;
    }

    /// The rows of a sheet, laid out once as long as they are the same ones.
    pub(super) fn sheet(&mut self, rows: &Arc<Vec<Row>>, columns: usize) -> Rc<Vec<Vec<TextLine>>> {
        if let Some(known) = &self.sheet
            && known.columns == columns
            && Arc::ptr_eq(&known.rows, rows)
        {
            return Rc::clone(&known.blocks);
        }
        let blocks = rows.iter().map(|row| super::pane::wrapped(row, columns)).collect();
        let blocks: Rc<Vec<Vec<TextLine>>> = Rc::new(blocks);
        let (kept, blocks_kept) = (Arc::clone(rows), Rc::clone(&blocks));
        self.sheet = Some(SheetRows { rows: kept, columns, blocks: blocks_kept });
        blocks
    }

    /// Where the links that were drawn lead.
    #[must_use]
    pub fn links(&self) -> Rc<RefCell<Links>> {
        Rc::clone(&self.links)
    }

    fn text(&mut self, state: &State, message: &Message, columns: u16) -> Rc<Vec<TextLine>> {
        let key = (message.id.clone(), columns);
        let blocks = state.colours.of(&message.id, message.revision);
        if let Some(text) = self.texts.get(&key)
            && text.revision == message.revision
            && text.is_coloured == blocks.is_some()
        {
            return Rc::clone(&text.lines);
        }
        let own = state.own_name();
        let short = state.short_name(own);
        let me = vec![own.to_owned(), short.to_owned(), "everyone".to_owned()];
        let emoji = state.look.emoji;
        let reading = Reading { me, emoji, blocks: blocks.cloned(), ..Reading::default() };
        let lines = wrap(&markdown::render(&message.text, &reading), usize::from(columns));
        let lines = Rc::new(lines);
        if self.texts.len() >= REMEMBERED {
            self.texts.clear();
        }
        let (revision, is_coloured) = (message.revision, blocks.is_some());
        self.texts.insert(key, Text { revision, is_coloured, lines: Rc::clone(&lines) });
        lines
    }
}

/// How far a message has come, as a mark.
pub(super) fn mark_of(message: &Message, is_direct: bool) -> Option<(Mark, Role)> {
    let read_by = u32::try_from(message.room.read_by.len()).unwrap_or(u32::MAX);
    Some(match message.progress {
        Progress::Sending => (Mark::Sending, Role::Waiting),
        Progress::Queued => (Mark::Queued, Role::Waiting),
        Progress::Failed => (Mark::Failed, Role::Failed),
        Progress::Posted | Progress::Sent if message.is_mine && read_by > 0 => {
            (Mark::Read(read_by), Role::Sent)
        }
        Progress::Sent | Progress::Posted if message.is_mine => (Mark::Sent, Role::Sent),
        Progress::Waiting => (Mark::Waiting, Role::Waiting),
        Progress::Delivered => (Mark::Delivered, Role::Sent),
        Progress::Read if message.is_mine && is_direct => (Mark::Read(1), Role::Sent),
        _ => return None,
    })
}

/// Nothing but who and what, for the terminal's own selection.
pub(super) fn bare(state: &State, message: &Message, columns: u16) -> Vec<TextLine> {
    let name = state.short_name(&message.from);
    let file = message.file_words().map_or_else(String::new, |file| format!("{file}\n"));
    let lines: Vec<TextLine> = format!("{name}: {file}{}", message.text)
        .lines()
        .map(|line| TextLine::new(line, Role::Text))
        .collect();
    wrap(&lines, usize::from(columns))
}

fn name_of(state: &State, message: &Message) -> (String, Role) {
    if message.is_mine {
        return ("you".to_owned(), Role::Me);
    }
    if message.progress == Progress::CannotOpen {
        return (String::new(), Role::Dim);
    }
    (state.short_name(&message.from).to_owned(), theme::author(&message.from))
}

pub(super) fn said(
    state: &State,
    cache: &mut ViewCache,
    open: &Open,
    message: &Message,
    columns: u16,
    time: &str,
) -> Vec<TextLine> {
    let glyphs = state.look.glyphs;
    let (name, role) = name_of(state, message);
    let is_stacked = columns < STACKED;
    let mark = mark_of(message, !open.is_room());
    let mark = mark
        .map_or((String::new(), Role::Dim), |(mark, role)| (glyphs.mark(mark).into_owned(), role));
    let doubt = match (&message.room.doubt, trust_of(state, message)) {
        (Some(_), _) => Some(("!", Role::Warning)),
        (None, trust) => trust,
    };
    let sign = doubt.map_or(mark.clone(), |(sign, role)| (sign.to_owned(), role));
    let indent = if is_stacked { 2 } else { INDENT };
    let room = columns.saturating_sub(u16::try_from(indent).unwrap_or(u16::MAX)).max(8);
    let mut body = reply_row(state, open, message, room);
    body.extend(text_rows(state, cache, message, room));
    body.extend(after_rows(state, message, room));
    let mut rows = vec![];
    if is_stacked {
        let mut head = TextLine::default();
        head.push(time, Role::Dim, None);
        head.push(&format!(" {name} "), role, None);
        head.push(&sign.0, sign.1, None);
        rows.push(head);
        rows.extend(body.into_iter().map(|line| indented(line, indent, &[])));
        return rows;
    }
    let short = width::truncate(&name, NAME, glyphs.ellipsis());
    let head = [
        Piece::new(format!("{time} "), Role::Dim),
        Piece::new(width::pad(&short, NAME + 1), role),
        Piece::new(width::pad(&sign.0, 3), sign.1),
    ];
    let mut first = true;
    for line in body {
        let head = if std::mem::take(&mut first) { &head[..] } else { &[] };
        rows.push(indented(line, indent, head));
    }
    rows
}

/// `line` after `head`, or after as many spaces.
pub(super) fn indented(line: TextLine, columns: usize, head: &[Piece]) -> TextLine {
    let mut pieces = if head.is_empty() {
        vec![Piece::new(" ".repeat(columns), Role::Text)]
    } else {
        head.to_vec()
    };
    pieces.extend(line.pieces);
    TextLine { pieces }
}

/// Whether a person whom this user knows is not who they were.
fn trust_of(state: &State, message: &Message) -> Option<(&'static str, Role)> {
    let person = state.room_called(&format!("@{}", message.from))?;
    (person.trust.as_deref() == Some("changed")).then_some(("!", Role::Changed))
}

fn reply_row(state: &State, open: &Open, message: &Message, columns: u16) -> Vec<TextLine> {
    let Some(parent) = &message.room.reply_to else { return vec![] };
    let said = match open.window.get(parent) {
        Some(parent) => {
            format!("{}: {}", state.short_name(&parent.from), parent.first_line())
        }
        None => "an earlier message".to_owned(),
    };
    let said = format!("> {said}");
    let cut = width::truncate(&said, usize::from(columns), state.look.glyphs.ellipsis());
    vec![TextLine::new(cut, Role::Quote)]
}

fn text_rows(
    state: &State,
    cache: &mut ViewCache,
    message: &Message,
    columns: u16,
) -> Vec<TextLine> {
    if message.expiry == Expiry::Over {
        return wrap(&[TextLine::new("(expired)", Role::Dim)], usize::from(columns));
    }
    if let Some(erased) = &message.room.erased {
        let by =
            if erased.by == message.from { "its author" } else { state.short_name(&erased.by) };
        let why = erased.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        return wrap(
            &[TextLine::new(format!("(deleted by {by}{why})"), Role::Dim)],
            usize::from(columns),
        );
    }
    if message.room.unknown_kind.is_some() {
        return wrap(&[TextLine::new(UNKNOWN, Role::Dim)], usize::from(columns));
    }
    if message.progress == Progress::CannotOpen {
        let mark = state.look.glyphs.mark(Mark::CannotOpen);
        let said = format!("{mark} {}", unopened(state, message));
        return wrap(&[TextLine::new(said, Role::Waiting)], usize::from(columns));
    }
    let mut rows = file_row(state, message, columns);
    if !message.text.is_empty() || rows.is_empty() {
        rows.extend(cache.text(state, message, columns).iter().cloned());
    }
    if rows.is_empty() {
        rows.push(TextLine::default());
    }
    let expires = match message.expiry {
        Expiry::After(seconds) => Some(Mark::Expires(seconds)),
        Expiry::Never | Expiry::Over => None,
    };
    let marks = [message.room.edited.then_some(Mark::Edited), expires];
    for mark in marks.into_iter().flatten() {
        let mark = state.look.glyphs.mark(mark);
        match rows.last_mut() {
            Some(last)
                if last.width().saturating_add(width::width(&mark)) < usize::from(columns) =>
            {
                last.push(&format!(" {mark}"), Role::Dim, None);
            }
            _ => rows.push(TextLine::new(mark, Role::Dim)),
        }
    }
    rows
}

/// The file that goes with a message: its name cut in the middle of the row, so that its size is seen, and how much of it is sent.
fn file_row(state: &State, message: &Message, columns: u16) -> Vec<TextLine> {
    let (Some(file), Some(words)) = (&message.file, message.file_words()) else { return vec![] };
    let sent = message.sent_percent().map_or_else(String::new, |sent| format!(" {sent}%"));
    let columns = usize::from(columns).saturating_sub(width::width(&sent));
    let rest = width::width(&words).saturating_sub(width::width(&file.name));
    let name = columns.saturating_sub(rest).max(4);
    let name = width::truncate(&file.name, name, state.look.glyphs.ellipsis());
    let words = words.replacen(&file.name, &name, 1);
    let mut line = TextLine::new(width::truncate(&words, columns, ""), Role::Link);
    line.push(&sent, Role::Waiting, None);
    vec![line]
}

/// Why something cannot be opened yet, since when, and what to do about it.
pub(in crate::tui) fn unopened(state: &State, message: &Message) -> String {
    let since = day(state, message.at).map(|at| at.strftime("%H:%M").to_string());
    let now = i64::try_from(state.now.as_millis()).unwrap_or(i64::MAX);
    let age = now.saturating_sub(message.at).max(0) / 60_000;
    let age = match age {
        0 => String::new(),
        1..120 => format!(" ({age} min)"),
        minutes => format!(" ({} h)", minutes / 60),
    };
    let what = if state.is_online() {
        "its key is asked of other members' devices"
    } else {
        "its key is asked for when there is a connection"
    };
    let since = since.unwrap_or_default();
    format!("cannot open yet: {what}, since {since}{age}. /retry asks again, /why tells more")
}

fn after_rows(state: &State, message: &Message, columns: u16) -> Vec<TextLine> {
    let room = &message.room;
    let mut rows = vec![];
    let mut line = TextLine::default();
    if room.replies > 0 {
        let word = if room.replies == 1 { "reply" } else { "replies" };
        line.push(&format!("> {} {word}  ", room.replies), Role::Link, None);
    }
    if room.pinned {
        line.push("pinned  ", Role::Dim, None);
    }
    for (emoji, users) in &room.reactions {
        let is_own = users.iter().any(|user| user == state.own_name());
        let role = if is_own { Role::MyReaction } else { Role::Reaction };
        let shown = match state.look.emoji {
            markdown::EmojiStyle::Names => crate::tui::text::emoji::name_of(emoji)
                .map_or_else(|| emoji.clone(), |name| format!(":{name}:")),
            markdown::EmojiStyle::Glyphs => emoji.clone(),
        };
        line.push(&format!("{shown} {}", users.len()), role, None);
        line.push("  ", Role::Text, None);
    }
    if !line.pieces.is_empty() {
        rows.extend(wrap(&[line], usize::from(columns)));
    }
    let mut note = |text: String, role: Role| {
        rows.extend(wrap(&[TextLine::new(text, role)], usize::from(columns)));
    };
    if let (Progress::Waiting, Some(waits)) = (&message.progress, state.waits(message)) {
        note(format!("waits for {waits}"), Role::Waiting);
    }
    if let Some(reason) = &message.reason {
        match message.progress {
            Progress::Failed => {
                note(format!("failed: {reason} (R on it sends it again)"), Role::Failed);
            }
            Progress::Queued | Progress::Waiting => {
                note(format!("waits: {reason}"), Role::Waiting);
            }
            _ => {}
        }
    }
    if let Some(doubt) = &room.doubt {
        note(format!("! {doubt}"), Role::Warning);
    }
    if message.is_request {
        note(
            "from somebody who is no contact: /accept, /decline or /block".to_owned(),
            Role::Warning,
        );
    }
    rows
}
