//! Writing: sending, answering, and changing.

use std::time::Duration;

use super::{ask, complete, draft, question, say, trouble};
use crate::{
    agent::verb::{
        FileEvent, FileLine, MessageAct, MessageChange, PeerList, RoomLine, Send, SendLine, Typing,
        Until, percent,
    },
    engine::MAX_MESSAGE,
    error::CommandError,
    render,
    tui::{
        composer::Edit,
        effect::Effect,
        state::{
            Anchor, Early, Layer, Message, Outgoing, Purpose, State, Want, Weight, window::Progress,
        },
        text::emoji,
    },
};

/// How long after the first key that changed it a draft is kept at the latest.
pub(super) const DRAFT: Duration = Duration::from_secs(1);
/// How often it is told that this user types.
const TYPING_MS: u64 = 4_000;
/// A paste beyond this is asked about.
pub(super) const MAX_PASTE_LINES: usize = 20;
/// The same in bytes.
pub(super) const MAX_PASTE: usize = 8 * 1024;

/// Something was written: the draft is kept soon, and the other side learns that somebody types.
pub(super) fn wrote(state: &mut State) -> Vec<Effect> {
    // Not set anew by each key: somebody who writes without a pause would have nothing kept.
    let mut effects = draft::soon(state);
    complete::again(state);
    let shows = state.settings.get("typing").is_none_or(|value| value != "hidden");
    let Some(open) = &state.open else { return effects };
    let is_command = open.draft.composer.text().starts_with('/');
    let is_due = state
        .told_typing_at
        .is_none_or(|at| at.plus(Duration::from_millis(TYPING_MS)) <= state.now);
    if shows && is_due && !is_command && !open.draft.composer.is_empty() && state.is_online() {
        let verb = Typing { to: Some(open.target.clone()) };
        state.told_typing_at = Some(state.now);
        effects.push(ask(state, Want::Kept, &verb));
    }
    effects
}

/// Sends what is written, or runs it if it is a command.
pub(super) fn send(state: &mut State) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    let text = open.writing().text();
    if text.trim().is_empty() {
        return vec![];
    }
    if let Some(literal) = text.strip_prefix("//") {
        return say_text(state, &format!("/{literal}"));
    }
    if text.starts_with('/') {
        return run_command(state, &text);
    }
    say_text(state, &text)
}

fn run_command(state: &mut State, text: &str) -> Vec<Effect> {
    // It may lead elsewhere, and is no draft of the room that it leaves.
    if let Some(open) = &mut state.open {
        open.writing().clear();
        open.completion = None;
    }
    question::typed(state, text)
}

/// Sends what is written: as a message, as an answer, or in place of what a message says.
fn say_text(state: &mut State, text: &str) -> Vec<Effect> {
    if let Some(effects) = too_long(state, text) {
        return effects;
    }
    let Some(open) = &mut state.open else { return vec![] };
    let in_thread = open.thread.as_ref().filter(|thread| thread.has_keys);
    let thread = in_thread.map(|thread| thread.root.clone());
    open.writing().clear();
    open.completion = None;
    // What is done in the room beside it stays under way.
    let purpose = match thread {
        Some(_) => Purpose::Say,
        None => open.draft.purpose.clone(),
    };
    if thread.is_none() {
        open.draft.end_purpose();
    }
    match purpose {
        Purpose::Edit(message) => change_text(state, message, text),
        Purpose::Reply(message, _) => send_text(state, text, Some(message), thread),
        Purpose::Say => send_text(state, text, None, thread),
    }
}

/// Says what is too much for one message.
fn too_long(state: &mut State, text: &str) -> Option<Vec<Effect>> {
    let [has, may] = [text.len(), MAX_MESSAGE].map(|bytes| bytes.div_ceil(1024));
    let trouble = format!("This is {has} KiB; a message has at most {may}");
    (text.len() > MAX_MESSAGE).then(|| say(state, Weight::Trouble, trouble))
}

/// Gives a message of this user another text.
fn change_text(state: &mut State, message: String, text: &str) -> Vec<Effect> {
    let Some(open) = &state.open else { return vec![] };
    let (room, back) = (open.target.clone(), open.draft.composer.text());
    let want = Want::Edit(room.clone(), message.clone(), text.to_owned(), back);
    let act = MessageAct::Edit(emoji::expand(text).into_owned());
    vec![ask(state, want, &MessageChange { room, message, act })]
}

/// A message was not given another text: what was written comes back, unless something else is being written.
pub(super) fn not_changed(
    state: &mut State,
    target: &str,
    (message, text, back): (String, &str, &str),
    error: &CommandError,
) -> Vec<Effect> {
    let mut left = None;
    let draft = match state.open.as_mut().filter(|open| open.target == target) {
        Some(open) => &mut open.draft,
        None => left.insert(draft::take(state, target)),
    };
    if draft.composer.as_str() == back && draft.purpose == Purpose::Say {
        draft.purpose = Purpose::Edit(message);
        back.clone_into(&mut draft.aside);
        draft.composer.set_text(text);
    }
    if let Some(left) = left {
        draft::put_aside(state, target.to_owned(), left);
    }
    trouble(state, error)
}

/// Sends a text to the open conversation, and leaves what is being written as it is.
pub(super) fn send_text(
    state: &mut State,
    text: &str,
    reply_to: Option<String>,
    thread: Option<String>,
) -> Vec<Effect> {
    if let Some(effects) = too_long(state, text) {
        return effects;
    }
    // What is to be sent with a slash at its beginning is written with two.
    let written = if text.starts_with('/') { format!("/{text}") } else { text.to_owned() };
    let text = emoji::expand(text).into_owned();
    let order = begin(state, text, None, reply_to, thread);
    order.map_or_else(Vec::new, |order| hand_over(state, &order, written))
}

/// The thread that what is sent now goes into: the one that has the keys.
pub(super) fn thread_with_keys(state: &State) -> Option<String> {
    let side = state.open.as_ref().and_then(|open| open.thread.as_ref());
    side.filter(|thread| thread.has_keys).map(|thread| thread.root.clone())
}

/// Shows a message in the open conversation as it will be, and gives the order for it.
pub(super) fn begin(
    state: &mut State,
    text: String,
    file: Option<FileLine>,
    reply_to: Option<String>,
    thread: Option<String>,
) -> Option<Send> {
    let id = state.new_id();
    let at = i64::try_from(state.now.as_millis()).unwrap_or(i64::MAX);
    let own = state.own_name().to_owned();
    let open = state.open.as_mut()?;
    (open.first_new, open.stays_unread) = (None, false);
    let room =
        RoomLine { reply_to: reply_to.clone(), thread: thread.clone(), ..RoomLine::default() };
    let echo = Message::echo(id.clone(), &own, at, (&text, file), room);
    match &mut open.thread {
        Some(side) if thread.is_some() => side.window.messages.push(echo),
        _ => {
            open.window.messages.push(echo);
            open.window.anchor = Anchor::End;
            open.selecting = None;
        }
    }
    Some(order(open.target.clone(), text, id, reply_to, thread))
}

fn order(
    to: String,
    text: String,
    id: String,
    reply_to: Option<String>,
    thread: Option<String>,
) -> Send {
    Send {
        to,
        text,
        file: None,
        file_name: None,
        id: Some(id),
        until: Until::Sent,
        timeout_ms: None,
        no_queue: false,
        expires_after: None,
        reply_to,
        thread,
    }
}

/// Sends a message that failed once more, as the one that it is: with its file.
pub(super) fn send_again(state: &mut State, message: &Message) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    let Message { id, text, room, .. } = message.clone();
    let order = order(open.target.clone(), text, id, room.reply_to, room.thread);
    if let Some(message) = open.window.messages.iter_mut().find(|one| one.id == message.id) {
        (message.progress, message.reason) = (Progress::Sending, None);
        message.revise();
    }
    // It is kept already, so that nothing comes back if it fails again.
    hand_over(state, &order, String::new())
}

/// Hands a message to the agent. What was written comes back if it is not sent.
pub(super) fn hand_over(state: &mut State, order: &Send, written: String) -> Vec<Effect> {
    let outgoing = Outgoing {
        target: order.to.clone(),
        thread: order.thread.clone(),
        reply_to: order.reply_to.clone(),
        id: order.id.clone().unwrap_or_default(),
        text: written,
    };
    let mut effects = vec![ask(state, Want::Sent(outgoing), order)];
    effects.extend(draft::keep(state));
    state.told_typing_at = None;
    effects
}

fn echo<'a>(state: &'a mut State, outgoing: &Outgoing) -> Option<&'a mut Message> {
    let open = state.open.as_mut().filter(|open| open.target == outgoing.target)?;
    let thread = open.thread.as_mut().map(|thread| &mut thread.window.messages);
    let all = open.window.messages.iter_mut().chain(thread.into_iter().flatten());
    all.into_iter().find(|message| message.id == outgoing.id)
}

/// So much of a message's file is at its home.
pub(super) fn sent_part(state: &mut State, outgoing: &Outgoing, part: &FileEvent) {
    if let Some(message) = echo(state, outgoing) {
        if let Some(file) = &mut message.file {
            file.sent_percent = percent(Some((part.have_bytes, part.size_bytes)));
        }
        message.revise();
    }
}

/// A message has come as far as its home.
pub(super) fn sent(state: &mut State, outgoing: &Outgoing, line: &SendLine) -> Vec<Effect> {
    if let Some(message) = echo(state, outgoing)
        && message.progress == Progress::Sending
    {
        message.progress = match line.state.as_str() {
            "queued" => Progress::Queued,
            "waiting" => Progress::Waiting,
            _ => Progress::Sent,
        };
        message.revise();
    }
    // Why it waits is for the status line to say.
    if line.state == "waiting" { vec![ask(state, Want::Peers, &PeerList {})] } else { vec![] }
}

/// A message was not sent: it waits, or it is taken back, with the reason.
pub(super) fn not_sent(
    state: &mut State,
    outgoing: &Outgoing,
    error: &CommandError,
) -> Vec<Effect> {
    if let Some(message) = echo(state, outgoing) {
        let is_queued = error.queued.is_some();
        message.progress = if is_queued { Progress::Queued } else { Progress::Failed };
        message.reason = Some(render::field(&error.message));
        message.revise();
    }
    if error.queued.is_some() {
        return vec![];
    }
    // What nothing keeps comes back to be sent again.
    let mut effects = trouble(state, error);
    if !outgoing.text.is_empty() {
        effects.extend(draft::bring_back(state, outgoing));
    }
    effects
}

/// The selected message, or the newest of one's own.
pub(super) fn edit_message(state: &mut State, text: &str) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    let selected = open.selecting.as_ref().and_then(|one| open.window.get(&one.id));
    let message =
        selected.or_else(|| open.window.messages.iter().rev().find(|message| message.is_mine));
    let Some(message) = message.filter(|message| message.is_mine).cloned() else {
        return say(state, Weight::Trouble, "Only your own messages can be edited");
    };
    if !open.is_room() {
        return say(state, Weight::Trouble, "Direct messages cannot be edited: say it again");
    }
    open.selecting = None;
    if !text.is_empty() {
        return change_text(state, message.id, text);
    }
    // It is written where the message stands, and not in the thread beside it.
    open.leave_thread();
    if !matches!(open.draft.purpose, Purpose::Edit(_)) {
        open.draft.aside = open.draft.composer.text();
    }
    open.draft.purpose = Purpose::Edit(message.id);
    open.draft.composer.set_text(&message.text);
    vec![]
}

/// The editor has ended.
pub(super) fn edited(state: &mut State, outcome: Result<String, String>) -> Vec<Effect> {
    match outcome {
        Ok(text) => {
            if let Some(open) = &mut state.open {
                open.writing().set_text(text.trim_end_matches('\n'));
            }
            let mut effects = vec![Effect::Redraw];
            effects.extend(wrote(state));
            effects
        }
        Err(why) => {
            let mut effects = say(state, Weight::Trouble, format!("The editor: {why}"));
            effects.push(Effect::Redraw);
            effects
        }
    }
}

/// Puts pasted text into the composer: as one message, never sent by itself.
pub(super) fn paste(state: &mut State, text: String) -> Vec<Effect> {
    if state.open.is_none() {
        // It is pasted when there is something to paste it into.
        super::key::hold(state, Early::Paste(text));
        return say(state, Weight::Done, "It will be put in where you go next: Ctrl+K");
    }
    let is_long = text.len() > MAX_PASTE || text.lines().count() > MAX_PASTE_LINES;
    if is_long {
        state.layers.push(Layer::Paste { text });
        return vec![];
    }
    insert(state, text)
}

/// `text` as one block of code, whatever fences are in it.
pub(super) fn fenced(text: &str) -> String {
    let ticks = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(ticks.saturating_add(1).max(3));
    format!("{fence}\n{}\n{fence}", text.trim_end())
}

/// Puts text in at the cursor.
pub(super) fn insert(state: &mut State, text: String) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    open.writing().apply(Edit::Insert(text));
    wrote(state)
}
