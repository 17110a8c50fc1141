//! What is new in the model, as lines.

use std::{collections::HashMap, sync::Arc};

use super::words::{EXCERPT, asked_at, excerpt, heading, minute, name, one_line, said, word};
use crate::{
    agent::verb::Connection,
    tui::{
        state::{
            Anchor, Expiry, Layer, Message, Notice, Open, Private, Purpose, Row, Screen, Seen,
            SheetKind, State, private::Step,
        },
        text::width,
        update::recovery_groups,
    },
};

/// How many messages are printed when a conversation is opened, or gone back in.
const HISTORY: usize = 10;
/// How many choices of a list are printed.
const CHOICES: usize = 20;

/// What was printed of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Printed {
    text: String,
    state: Option<String>,
    is_deleted: bool,
}

/// What was printed last, so that only what is new is printed next.
#[derive(Debug, Default)]
pub(super) struct Printer {
    open: Option<String>,
    printed: HashMap<String, Printed>,
    thread: Option<(String, HashMap<String, Printed>)>,
    anchor: Option<String>,
    selecting: Option<String>,
    purpose: Purpose,
    connection: String,
    sheet: Option<(SheetKind, Arc<Vec<Row>>)>,
    asked: Option<String>,
    /// The place of the community's log after what was told of it.
    log: Option<u64>,
    first: Option<String>,
    seen: Seen,
}

impl Printer {
    /// A line was typed: what is asked after it is printed even if it is the same.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// What is new since the last time.
    pub(super) fn news(&mut self, state: &State) -> Vec<String> {
        let mut lines = vec![];
        if let Some(Notice { text, .. }) = &state.notice {
            lines.push(text.clone());
        }
        match &state.screen {
            Screen::Chat => {
                self.connection(state, &mut lines);
                self.conversation(state, &mut lines);
                self.sheet(state, &mut lines);
                self.layer(state, &mut lines);
            }
            _ => self.ask(asked_at(state), &mut lines),
        }
        lines
    }

    /// What can be said to be seen, for older messages to be read when they are near; nothing if it is what it was.
    pub(super) fn seen(&mut self, state: &State) -> Option<Seen> {
        let open = state.open.as_ref()?;
        let seen = Seen {
            first: self.first.clone(),
            last: open.window.messages.last().map(|message| message.id.clone()),
            count: HISTORY,
            rows: 20,
            first_rows: 1,
            hidden_above: 0,
            plain: vec![],
        };
        if seen == self.seen {
            return None;
        }
        self.seen = seen.clone();
        Some(seen)
    }

    fn ask(&mut self, question: Vec<String>, lines: &mut Vec<String>) {
        let asked = question.join("\n");
        if self.asked.as_ref() != Some(&asked) {
            lines.extend(question);
            self.asked = Some(asked);
        }
    }

    fn connection(&mut self, state: &State, lines: &mut Vec<String>) {
        let Some(standing) = &state.standing else { return };
        let reason = standing.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let said = match standing.connection {
            Connection::Online => "Online".to_owned(),
            Connection::Connecting => "Connecting".to_owned(),
            Connection::Offline => format!("Offline{reason}"),
            Connection::Ended => format!("Signed out{reason}"),
        };
        if said != self.connection {
            lines.push(said.clone());
            self.connection = said;
        }
    }

    fn conversation(&mut self, state: &State, lines: &mut Vec<String>) {
        let Some(open) = &state.open else {
            self.open = None;
            if state.has_rooms {
                let said = "No conversation is open. /go NAME opens one, /help lists the commands.";
                self.ask(vec![said.to_owned()], lines);
            }
            return;
        };
        if self.open.as_ref() != Some(&open.target) {
            let Self { connection, sheet, asked, .. } = std::mem::take(self);
            let target = Some(open.target.clone());
            *self = Self { open: target, connection, sheet, asked, ..Self::default() };
            lines.push(heading(state, open));
            let topic = state.room().and_then(|room| room.topic.clone());
            lines.extend(topic.map(|topic| format!("Topic: {topic}")));
            if !open.draft.composer.is_empty() {
                lines.push(format!("Written here and not sent: {}", open.draft.composer.text()));
            }
        }
        self.messages(state, open, lines);
        self.happenings(state, open, lines);
        self.back(state, open, lines);
        self.thread(state, open, lines);
        let selecting = open.selecting.as_ref().map(|one| one.id.clone());
        if self.selecting != selecting {
            let selected = selecting.as_deref().and_then(|id| open.window.get(id));
            lines.extend(selected.map(|one| format!("Selected: {}", excerpt(state, one))));
            self.selecting = selecting;
        }
        if self.purpose != open.draft.purpose {
            lines.extend(match &open.draft.purpose {
                Purpose::Say => None,
                Purpose::Reply(_, from) => Some(format!(
                    "The next line answers {}; /select and another /reply changes that",
                    state.short_name(from)
                )),
                Purpose::Edit(_) => Some(format!(
                    "The next line takes the place of: {}",
                    open.draft.composer.text()
                )),
            });
            self.purpose = open.draft.purpose.clone();
        }
    }

    fn messages(&mut self, state: &State, open: &Open, lines: &mut Vec<String>) {
        let window = &open.window;
        if window.messages.is_empty() {
            return;
        }
        let is_known = |message: &Message| self.printed.contains_key(&message.id);
        // What stands before what was printed is older, and is printed when it is gone back to.
        let known = window.messages.iter().position(is_known);
        let begin = known.unwrap_or_else(|| {
            let new = open.first_new.as_deref().and_then(|id| window.position(id));
            let last = window.messages.len().saturating_sub(HISTORY);
            new.map_or(last, |new| new.min(last))
        });
        if known.is_none() {
            self.first = window.messages.get(begin).map(|message| message.id.clone());
        }
        let is_first = self.printed.is_empty();
        for message in window.messages.iter().skip(begin) {
            if is_first && open.first_new.as_deref() == Some(message.id.as_str()) {
                lines.push("New:".to_owned());
            }
            tell(&mut self.printed, state, open, message, lines);
        }
    }

    /// What has happened in the community since the conversation was opened.
    fn happenings(&mut self, state: &State, open: &Open, lines: &mut Vec<String>) {
        let next = open.log.next();
        let told = self.log.replace(next).filter(|_| next > 0);
        self.log = self.log.filter(|next| *next > 0);
        if let Some(from) = told.filter(|_| state.look.events) {
            let new = open.log.since(from);
            lines.extend(
                new.map(|one| format!("{} {} {}", minute(state, one.at), one.who, one.what)),
            );
        }
    }

    /// Messages that were gone back to.
    fn back(&mut self, state: &State, open: &Open, lines: &mut Vec<String>) {
        let anchor = match &open.window.anchor {
            Anchor::At { id, .. } => Some(id.clone()),
            Anchor::End => None,
        };
        if anchor == self.anchor {
            return;
        }
        self.anchor.clone_from(&anchor);
        let Some(place) = anchor.and_then(|id| open.window.position(&id)) else { return };
        lines.push("Earlier:".to_owned());
        let begin = place.saturating_add(1).saturating_sub(HISTORY);
        let block = open.window.messages.iter().take(place.saturating_add(1)).skip(begin);
        self.first = open.window.messages.get(begin).map(|message| message.id.clone());
        for message in block {
            lines.extend(said(state, open, message));
        }
    }

    fn thread(&mut self, state: &State, open: &Open, lines: &mut Vec<String>) {
        let Some(thread) = &open.thread else {
            if self.thread.take().is_some() {
                lines.push(format!("Back in {}", open.target));
            }
            return;
        };
        if self.thread.as_ref().is_none_or(|(root, _)| *root != thread.root) {
            lines.push("Thread; lines go there until /thread is typed again".to_owned());
            self.thread = Some((thread.root.clone(), HashMap::new()));
        }
        if let Some((_, printed)) = &mut self.thread {
            for message in &thread.window.messages {
                tell(printed, state, open, message, lines);
            }
        }
    }

    fn sheet(&mut self, state: &State, lines: &mut Vec<String>) {
        let shown = state.sheet.as_ref().filter(|sheet| !sheet.is_loading);
        let shown = shown.map(|sheet| (sheet.kind.clone(), sheet.rows.clone()));
        if shown == self.sheet {
            return;
        }
        self.sheet.clone_from(&shown);
        let Some((kind, rows)) = shown else { return };
        lines.push(format!("{}:", kind.title()));
        let mut number = 0_usize;
        for row in rows.iter() {
            let detail =
                if row.detail.is_empty() { String::new() } else { format!(": {}", row.detail) };
            if row.is_choice {
                number = number.saturating_add(1);
                lines.push(format!("{number}. {}{detail}", row.title.trim_end()));
            } else if !row.title.is_empty() {
                lines.push(format!("{}{detail}", row.title));
            }
        }
        let keys: Vec<String> =
            kind.keys().iter().map(|key| format!("{} {}", key.key, key.about)).collect();
        if number > 0 && rows.iter().any(|row| row.enter.is_some()) {
            lines.push("A number chooses.".to_owned());
        }
        if !keys.is_empty() {
            let with = if number > 0 { " with a number" } else { "" };
            lines.push(format!("A letter{with}: {}.", keys.join(", ")));
        }
    }

    fn layer(&mut self, state: &State, lines: &mut Vec<String>) {
        let Some(layer) = state.layers.last() else {
            if state.open.is_some() {
                self.asked = None;
            }
            return;
        };
        let question = match layer {
            Layer::Confirm { question, .. } => vec![format!("{question} y or n")],
            Layer::Form(form) => vec![format!("{} (an empty line leaves it)", form.title)],
            Layer::Paste { .. } => vec![],
            Layer::Private(private) => secret(private),
            Layer::Picker(picker) => {
                let fitting = picker.fitting.iter().take(CHOICES).enumerate();
                let mut list: Vec<String> = fitting
                    .filter_map(|(at, place)| {
                        let choice = picker.choices.get(*place)?;
                        let number = at.saturating_add(1);
                        Some(format!("{number}. {}  {}", choice.title, choice.detail))
                    })
                    .collect();
                if list.is_empty() {
                    list.push("Nothing fits.".to_owned());
                }
                list.push("A number chooses, words narrow, an empty line leaves.".to_owned());
                list
            }
        };
        self.ask(question, lines);
    }
}

/// What is asked for unseen, and the key that is shown.
fn secret(private: &Private) -> Vec<String> {
    let mut lines = vec![format!("{}. {}", private.title(), private.said())];
    lines.extend(private.trouble.clone());
    if private.step == Step::NewKey {
        lines.push(recovery_groups(private.new.show()).join(" "));
        lines.push("An empty line: it is written down.".to_owned());
    } else if !private.is_busy() {
        lines.push("An empty line leaves all as it was.".to_owned());
    }
    lines
}

/// Tells a message that was not told yet, or what has changed of it.
fn tell(
    printed: &mut HashMap<String, Printed>,
    state: &State,
    open: &Open,
    message: &Message,
    lines: &mut Vec<String>,
) {
    let now = Printed {
        text: message.text.clone(),
        state: word(state, message, !open.is_room()),
        is_deleted: message.expiry == Expiry::Over || message.room.erased.is_some(),
    };
    let Some(before) = printed.insert(message.id.clone(), now.clone()) else {
        lines.extend(said(state, open, message));
        return;
    };
    if before == now {
        return;
    }
    if now.is_deleted && !before.is_deleted {
        let was = width::truncate(&before.text, EXCERPT, "..");
        lines.push(match &message.room.erased {
            Some(erased) if message.expiry != Expiry::Over => {
                format!("deleted by {}: {was}", state.short_name(&erased.by))
            }
            _ => format!("expired: {was}"),
        });
    } else if now.text != before.text {
        lines.push(format!("{} edited: {}", name(state, message), one_line(&message.text)));
    }
    if now.state != before.state
        && message.is_mine
        && let Some(word) = now.state
    {
        lines.push(format!("{word}: {}", excerpt(state, message)));
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
