//! All there is to tell about one message.

use jiff::Timestamp;

use super::field;
use crate::{
    args::short,
    tui::{
        state::{Expiry, Message, Row, State, window::Progress},
        theme::Role,
    },
};

/// All there is to tell about what cannot be opened yet.
fn why_unopened(state: &State, message: &Message) -> Vec<Row> {
    let mut rows = vec![
        Row::words(crate::tui::view::unopened(state, message), "").looking(Role::Waiting),
        Row::default(),
        Row::words("The server has it, sealed by a key that has not come to this device.", ""),
        Row::words(
            "A device of any member who has that key gives it, as soon as one is online.",
            "",
        ),
        Row::words("It is asked for again by itself, every few seconds while connected.", ""),
        Row::words("What comes after it waits too, so that nothing is shown out of order.", ""),
        Row::default(),
        Row::choice(
            "Ask again now",
            "/retry, or R on the message",
            "retry",
            Some("/retry".to_owned()),
        ),
    ];
    if !state.is_online() {
        let said = "There is no connection now: that is what it waits for first.";
        rows.insert(1, Row::words(said, "").looking(Role::Warning));
    }
    let refusal = state.room().and_then(|room| room.refusal.clone());
    rows.extend(refusal.map(|why| Row::words(field(&why), "").looking(Role::Warning)));
    rows
}

/// All there is to tell about a message.
pub(in crate::tui::update) fn why(state: &State, message: &Message) -> Vec<Row> {
    if message.progress == Progress::CannotOpen {
        return why_unopened(state, message);
    }
    let at = Timestamp::from_millisecond(message.at).map_or_else(
        |_| String::new(),
        |at| at.to_zoned(state.look.zone.clone()).strftime("%A %e %B %Y %H:%M:%S").to_string(),
    );
    let mut rows = vec![
        Row::words(format!("from {}", message.from), ""),
        Row::words(at, ""),
        Row::words(progress(&message.progress), ""),
    ];
    let room = &message.room;
    rows.extend(message.reason.as_deref().map(|why| Row::words(why, "").looking(Role::Error)));
    rows.extend(room.doubt.as_deref().map(|why| Row::words(why, "").looking(Role::Warning)));
    if !room.read_by.is_empty() {
        let names: Vec<&str> = room.read_by.iter().map(|name| state.short_name(name)).collect();
        rows.push(Row::words(format!("read by {}", names.join(", ")), ""));
    }
    for (emoji, users) in &room.reactions {
        let names: Vec<&str> = users.iter().map(|name| state.short_name(name)).collect();
        rows.push(Row::words(format!("{emoji} {}", names.join(", ")), ""));
    }
    if room.edited {
        rows.push(Row::words("edited by its author", ""));
    }
    if let Expiry::After(seconds) = message.expiry {
        let from = if room.seq.is_some() { "was posted" } else { "was read" };
        let time = short(seconds);
        rows.push(Row::words(
            format!("expires: every device forgets it {time} after it {from}"),
            "",
        ));
    }
    if message.expiry == Expiry::Over {
        rows.push(Row::words("expired: its author had it forgotten after a time", ""));
    } else if let Some(erased) = &room.erased {
        let by = state.short_name(&erased.by);
        let why = erased.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        rows.push(Row::words(format!("deleted by {by}{why}"), ""));
    }
    rows.push(Row::words("sealed on its author's device, opened on this one", ""));
    rows.extend(room.seq.map(|seq| Row::words(format!("place {seq} of its channel"), "")));
    rows.push(Row::words(format!("id {}", message.id), "").looking(Role::Dim));
    rows
}

/// How far a message has come, in words.
fn progress(progress: &Progress) -> &'static str {
    match progress {
        Progress::Sending => "sending",
        Progress::Queued => "queued: it goes out when there is a connection",
        Progress::Sent => "sent: stored at the server",
        Progress::Waiting => "waiting: at your server, on its way to theirs",
        Progress::Posted => "posted: it has its place in the channel",
        Progress::Delivered => "delivered: on a device of theirs",
        Progress::Read => "read",
        Progress::Failed => "failed: R sends it again",
        Progress::Received => "received",
        Progress::CannotOpen => "cannot be opened yet: its key is not on this device",
    }
}
