//! What a community's log says of the room that is open, in words.

use super::ask;
use crate::{
    agent::verb::{CommunityLog, LogLine},
    render::field,
    tui::{
        effect::Effect,
        state::{
            State, Want,
            log::{Happening, PART, Read},
        },
    },
};

/// How long founding a community takes, in milliseconds.
const FOUNDING: i64 = 10_000;

/// Asks for what was added to the log of the open room, if anything was.
pub(super) fn follow(state: &mut State) -> Vec<Effect> {
    let entries = state.room().and_then(|room| room.log).unwrap_or(0);
    let wanted = state.open.as_ref().and_then(|open| open.log.wants(entries));
    match wanted {
        Some(from) if state.look.events => request(state, from),
        _ => vec![],
    }
}

/// Asks for what is older of it, where messages are shown that are older still.
pub(super) fn follow_back(state: &mut State) -> Vec<Effect> {
    let from = state.open.as_ref().and_then(|open| {
        let oldest = open.window.messages.first()?;
        open.log.wants_older(oldest.at)
    });
    from.map_or_else(Vec::new, |from| request(state, Some(from)))
}

fn request(state: &mut State, from: Option<u64>) -> Vec<Effect> {
    let Some(community) = state.community() else { return vec![] };
    let Some(open) = &mut state.open else { return vec![] };
    open.log.is_asked = true;
    let want = Want::Log(open.target.clone());
    let verb = CommunityLog { community, from, count: Some(PART), local: true };
    vec![ask(state, want, &verb)]
}

/// A part of the log is here.
pub(super) fn took(state: &mut State, target: &str, lines: &[LogLine]) -> Vec<Effect> {
    let founded = lines.iter().find(|line| line.what == "founded").map(time);
    let read: Vec<Read> = lines
        .iter()
        .map(|line| {
            let (seq, at, told) = read(state, target, line);
            // What a founder sets up is part of the founding.
            let is_begun = founded
                .is_some_and(|founded| (founded..founded.saturating_add(FOUNDING)).contains(&at));
            let is_setting_up =
                matches!(line.what.as_str(), "edited" | "set a channel" | "set a role");
            (seq, at, told.filter(|_| !(is_begun && is_setting_up)))
        })
        .collect();
    let entries = state.room_called(target).and_then(|room| room.log).unwrap_or(0);
    let Some(open) = state.shown_mut(target) else { return vec![] };
    // An answer with nothing in it does not lead to the same question.
    if read.is_empty() {
        open.log.reach(entries);
    }
    open.log.take(read);
    follow(state)
}

/// A part of it could not be read.
pub(super) fn failed(state: &mut State, target: &str) -> Vec<Effect> {
    if let Some(open) = state.shown_mut(target) {
        open.log.is_asked = false;
    }
    vec![]
}

fn time(line: &LogLine) -> i64 {
    line.at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond)
}

fn read(state: &State, target: &str, line: &LogLine) -> Read {
    let at = time(line);
    let told = words(state, target, line);
    let happening = told.map(|(who, what)| Happening { seq: line.seq, at, who, what });
    (line.seq, at, happening)
}

/// Of whom an entry tells, and what; nothing if it is about no person and not about this room.
fn words(state: &State, target: &str, line: &LogLine) -> Option<(String, String)> {
    let name = |address: &str| field(state.short_name(address));
    let by = name(&line.by);
    let whom = line.whom.as_deref().map(name);
    let text = line.text.as_deref().map(field);
    let because = text.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let of_whom = |what: String| whom.clone().map(|whom| (whom, what));
    let role =
        text.as_ref().map_or_else(|| "another role".to_owned(), |role| format!("the role {role}"));
    match line.what.as_str() {
        "founded" if target.starts_with('+') => Some((by, "made this group".to_owned())),
        "founded" => Some((by, "founded this community".to_owned())),
        "edited" => Some((by, format!("changed the community{because}"))),
        "joined" | "left" | "deleted the community" => Some((by, line.what.clone())),
        "let in" => of_whom(format!("was let in by {by}")),
        "added" => of_whom(format!("was added by {by}")),
        "kicked" => of_whom(format!("was sent away by {by}{because}")),
        "banned" => of_whom(format!("was banned by {by}{because}")),
        "unbanned" => of_whom("may come again".to_owned()),
        "named" => of_whom(match text {
            Some(text) => format!("is called {text} here now"),
            None => "is called by their own name again".to_owned(),
        }),
        "gave a role to" => of_whom(format!("has {role} now, by {by}")),
        "took a role from" => of_whom(format!("no longer has {role}, by {by}")),
        "handed over to" => of_whom("owns this community now".to_owned()),
        "set a channel" if line.room.as_deref() == Some(target) => {
            let what = match line.change.as_deref()? {
                "made" => "made this room".to_owned(),
                "renamed" => format!("renamed this room{because}"),
                "topic" => match line.topic.as_deref().map(field).filter(|topic| !topic.is_empty())
                {
                    Some(topic) => format!("set the topic: {topic}"),
                    None => "took the topic away".to_owned(),
                },
                "archived" => "archived this room: nothing more is said here".to_owned(),
                "reopened" => "opened this room again".to_owned(),
                "slow-mode" => "changed how often one may write here".to_owned(),
                _ => return None,
            };
            Some((by, what))
        }
        _ => None,
    }
}
