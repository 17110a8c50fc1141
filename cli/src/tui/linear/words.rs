//! A message, a conversation and a question, in words.

use jiff::Timestamp;

use crate::{
    agent::verb::RoomKind,
    tui::{
        glyphs::Mark,
        state::{
            Expiry, Message, Open, Screen, State, Window,
            welcome::{Step, Welcome},
            window::Progress,
        },
        text::width,
        view::{UNKNOWN, choices, question, seal, unopened},
    },
};

/// The columns of a message that stand for it where something is said about it.
pub(super) const EXCERPT: usize = 40;

/// How far one's own message has come, in a word, with the reason where there is one.
pub(super) fn word(state: &State, message: &Message, is_direct: bool) -> Option<String> {
    let readers = u32::try_from(message.room.read_by.len()).unwrap_or(u32::MAX);
    let mark = match message.progress {
        _ if !message.is_mine => return None,
        Progress::Queued => Mark::Queued,
        Progress::Failed => Mark::Failed,
        Progress::Sent | Progress::Posted if readers > 0 => Mark::Read(readers),
        Progress::Sent | Progress::Posted => Mark::Sent,
        Progress::Waiting => {
            let waits = state.waits(message).unwrap_or_default();
            return Some(format!("waiting for {waits}"));
        }
        Progress::Delivered => Mark::Delivered,
        Progress::Read if is_direct => return Some("read".to_owned()),
        Progress::Read | Progress::Sending | Progress::Received | Progress::CannotOpen => {
            return None;
        }
    };
    let reason = message.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("{}{reason}", mark.word()))
}

pub(super) fn name<'a>(state: &'a State, message: &'a Message) -> &'a str {
    if message.is_mine { "you" } else { state.short_name(&message.from) }
}

/// A time, in milliseconds since 1970, as a clock shows it.
pub(super) fn minute(state: &State, at: i64) -> String {
    Timestamp::from_millisecond(at).map_or_else(
        |_| String::new(),
        |at| at.to_zoned(state.look.zone.clone()).strftime("%H:%M").to_string(),
    )
}

pub(super) fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" / ")
}

pub(super) fn excerpt(state: &State, message: &Message) -> String {
    let text = match message.file_words() {
        Some(file) if message.text.is_empty() => file,
        _ => one_line(&message.text),
    };
    let text = width::truncate(&text, EXCERPT, "..").into_owned();
    if message.is_mine { text } else { format!("{}: {text}", name(state, message)) }
}

/// A message as it is told at first: a line for each of its lines.
pub(super) fn said(state: &State, open: &Open, message: &Message) -> Vec<String> {
    let at = minute(state, message.at);
    if message.progress == Progress::CannotOpen {
        return vec![unopened(state, message)];
    }
    let name = name(state, message);
    let room = &message.room;
    if message.expiry == Expiry::Over {
        return vec![format!("{at} {name}: expired")];
    }
    if let Some(erased) = &room.erased {
        let why = erased.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        return vec![format!("{at} {name}: deleted by {}{why}", state.short_name(&erased.by))];
    }
    if room.unknown_kind.is_some() {
        return vec![format!("{at} {name}: {UNKNOWN}")];
    }
    let answers = room.reply_to.as_deref().map_or_else(String::new, |parent| {
        match find(open, &open.window, parent) {
            Some(parent) => format!(", answering {}", excerpt(state, parent)),
            None => ", answering an earlier message".to_owned(),
        }
    });
    let text = message.text.lines().map(str::to_owned);
    let mut lines: Vec<String> = message.file_words().into_iter().chain(text).collect();
    if lines.is_empty() {
        lines.push(String::new());
    }
    if let Some(first) = lines.first_mut() {
        *first = format!("{at} {name}{answers}: {first}");
    }
    let mut notes: Vec<String> = vec![];
    if room.edited {
        notes.push("edited".to_owned());
    }
    if let Expiry::After(seconds) = message.expiry {
        notes.push(Mark::Expires(seconds).word().into_owned());
    }
    if room.pinned {
        notes.push("pinned".to_owned());
    }
    if room.replies > 0 {
        notes.push(format!("{} replies in its thread", room.replies));
    }
    notes.extend(room.reactions.iter().map(|(emoji, users)| format!("{emoji} {}", users.len())));
    let is_settled = matches!(message.progress, Progress::Sent | Progress::Posted);
    let is_plain = is_settled && room.read_by.is_empty();
    notes.extend(word(state, message, !open.is_room()).filter(|_| !is_plain));
    notes.extend(room.doubt.clone());
    if message.is_request {
        notes.push("from somebody who is no contact: /accept, /decline or /block".to_owned());
    }
    if !notes.is_empty()
        && let Some(last) = lines.last_mut()
    {
        *last = format!("{last} ({})", notes.join(", "));
    }
    lines
}

fn find<'a>(open: &'a Open, window: &'a Window, id: &str) -> Option<&'a Message> {
    let thread = open.thread.as_ref().and_then(|thread| thread.window.get(id));
    window.get(id).or(thread)
}

/// Where one is, in words.
pub(super) fn heading(state: &State, open: &Open) -> String {
    let Some(room) = state.room() else { return format!("Now in {}", open.target) };
    let (mark, _) = seal(state, room);
    let sign = if room.kind == RoomKind::Direct { "@" } else { "" };
    let mut words = vec![format!("{sign}{}", state.short_name(&open.target))];
    if let Some(community) = room.community.as_ref().filter(|_| room.kind != RoomKind::Group) {
        words.push(format!("in {community}"));
    }
    words.push(mark.word().into_owned());
    if room.kind != RoomKind::Direct {
        words.push(format!("{} members", room.members));
    }
    if room.archived {
        words.push("archived".to_owned());
    }
    words.extend(room.alarm.as_ref().map(|why| format!("not to be believed: {why}")));
    format!("Now in {}", words.join(", "))
}

/// What is asked before there are conversations.
pub(super) fn asked_at(state: &State) -> Vec<String> {
    match &state.screen {
        Screen::Opening | Screen::Chat => vec![],
        Screen::Locked(locked) => {
            let wrong = locked.was_wrong.then(|| "That was not its passphrase.".to_owned());
            let mut lines: Vec<String> = wrong.into_iter().collect();
            let is_trying = locked.is_trying;
            lines.push(if is_trying { "Unlocking" } else { "Passphrase of the store:" }.to_owned());
            lines
        }
        Screen::Welcome(welcome) => asked_by(welcome),
    }
}

/// What the first run asks.
fn asked_by(welcome: &Welcome) -> Vec<String> {
    let (title, said) = question(welcome);
    let mut lines: Vec<String> = welcome.trouble.iter().cloned().collect();
    lines.push(title.to_owned());
    lines.extend(said);
    lines.extend(welcome.pinned.iter().map(|key| format!("The server's fingerprint is {key}")));
    if welcome.step == Step::RecoveryKey {
        let groups = crate::tui::update::recovery_groups(&welcome.recovery_key);
        for (place, group) in groups.iter().enumerate() {
            lines.push(format!("{}. {group}", place.saturating_add(1)));
        }
        lines.push("An empty line: it is written down".to_owned());
    }
    if welcome.step == Step::ConfirmKey {
        let [one, other] = welcome.asked.map(|place| place.saturating_add(1));
        lines.push(format!("Type groups {one} and {other}, with a space between them."));
    }
    for (place, choice) in choices(&welcome.step).iter().enumerate() {
        lines.push(format!("{}. {choice}", place.saturating_add(1)));
    }
    let known = welcome.field.as_str();
    if matches!(welcome.step, Step::Server | Step::Name | Step::Device) && !known.is_empty() {
        lines.push(format!("An empty line takes: {known}"));
    }
    lines
}
