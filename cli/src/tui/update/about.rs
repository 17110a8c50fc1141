//! What is done with one message: the selected one, or the newest.

use super::{ask, compose, navigate, people, say, sheet, usage};
use crate::{
    agent::verb::{MarkUnread, MessageAct, MessageChange, Report, RoomRetry},
    tui::{
        action::Action,
        effect::Effect,
        state::{
            Choice, Layer, Message, Picker, Purpose, Selecting, State, Want, Weight,
            window::Progress,
        },
        text::{emoji, markdown},
    },
};

/// The message that a key or a command is about: the selected one, or the newest.
fn selected(state: &State) -> Option<Message> {
    let open = state.open.as_ref()?;
    let message = match &open.selecting {
        Some(selecting) => open.window.get(&selecting.id),
        None => open.window.messages.last(),
    };
    message.cloned()
}

pub(super) fn run(state: &mut State, action: Action, argument: &str) -> Vec<Effect> {
    if action == Action::Edit {
        return compose::edit_message(state, argument);
    }
    let Some(message) = selected(state) else {
        return usage(state, "There is no message here");
    };
    if message.progress == Progress::CannotOpen {
        return unopened(state, action, &message);
    }
    let Some(open) = &mut state.open else { return vec![] };
    let (target, is_room) = (open.target.clone(), open.is_room());
    let change = |state: &mut State, act: MessageAct, said: &str| {
        if !is_room {
            return usage(state, "That goes in rooms and groups, not in direct messages");
        }
        let change = MessageChange { room: target.clone(), message: message.id.clone(), act };
        vec![ask(state, Want::Done(said.to_owned()), &change)]
    };
    match action {
        Action::Reply => {
            if !is_room {
                return quote(state, &message, argument);
            }
            open.selecting = None;
            if !argument.is_empty() {
                return compose::send_text(state, argument, Some(message.id), None);
            }
            open.draft.end_purpose();
            open.leave_thread();
            open.draft.purpose = Purpose::Reply(message.id.clone(), message.from.clone());
            vec![]
        }
        Action::Delete => {
            open.selecting = None;
            if !argument.is_empty() {
                let reason = Some(argument).filter(|word| *word != "yes").map(str::to_owned);
                return change(state, MessageAct::Delete(reason), "Deleted");
            }
            if !is_room {
                return usage(state, "Direct messages stay with whoever has them");
            }
            let question = format!("Delete the message of {}?", state.short_name(&message.from));
            ask_first(state, &message, question, "/delete yes")
        }
        Action::Report => report(state, &message, argument),
        Action::React => {
            let glyph = emoji::expand(argument).trim().to_owned();
            change(state, MessageAct::React(glyph), "")
        }
        Action::Unreact => {
            let glyph = emoji::expand(argument).trim().to_owned();
            change(state, MessageAct::Unreact(glyph), "")
        }
        Action::Pin if message.room.pinned => change(state, MessageAct::Unpin, "Unpinned"),
        Action::Pin => change(state, MessageAct::Pin, "Pinned"),
        Action::Copy => {
            let mut effects = say(state, Weight::Done, "Copied");
            effects.push(Effect::Copy(message.text));
            effects
        }
        Action::CopyLink => copy_link(state, links(&message.text), argument),
        Action::Quote => quote(state, &message, ""),
        Action::Forward => people::forward(state, argument, &message),
        Action::Why => sheet::why(state, &message),
        Action::Quoted => match &message.room.reply_to {
            Some(parent) => navigate::go_to(state, &parent.clone()),
            None => usage(state, "This message answers no other"),
        },
        Action::Retry => {
            if message.is_mine && message.progress == Progress::Failed {
                open.selecting = None;
                if message.file.is_some() {
                    return compose::send_again(state, &message);
                }
                open.window.messages.retain(|one| one.id != message.id);
                let (reply_to, thread) = (message.room.reply_to, message.room.thread);
                return compose::send_text(state, &message.text, reply_to, thread);
            }
            usage(state, "This message did not fail; what is queued goes out by itself")
        }
        Action::Unread => {
            open.selecting = None;
            // From now on, not from the answer on: what is read until then is only looked at.
            let stayed = std::mem::replace(&mut open.stays_unread, true);
            let verb = MarkUnread { room: target.clone(), from: Some(message.id.clone()) };
            vec![ask(state, Want::Unread(target, message.id, stayed), &verb)]
        }
        _ => vec![],
    }
}

/// Asks whether `command` is meant, of the very message that was selected, whatever comes meanwhile.
fn ask_first(state: &mut State, message: &Message, question: String, command: &str) -> Vec<Effect> {
    if let Some(open) = &mut state.open {
        open.selecting = Some(Selecting { id: message.id.clone() });
    }
    let command = command.to_owned();
    state.layers.push(Layer::Confirm { question, command, is_written: false });
    vec![]
}

/// Tells those who may moderate of a message.
fn report(state: &mut State, message: &Message, argument: &str) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    open.selecting = None;
    if !open.is_room() {
        return usage(state, "Nobody else sees this conversation: /block ends it");
    }
    if message.is_mine {
        return usage(state, "This message is your own: d deletes it");
    }
    if argument.is_empty() {
        let author = state.short_name(&message.from);
        let question = format!("Tell those who may moderate of the message of {author}?");
        return ask_first(state, message, question, "/report yes");
    }
    let reason = Some(argument).filter(|word| *word != "yes").map(str::to_owned);
    let verb = Report { room: open.target.clone(), message: message.id.clone(), reason };
    vec![ask(state, Want::Done("Reported to those who may moderate here".to_owned()), &verb)]
}

/// What can be done about what cannot be opened yet.
fn unopened(state: &mut State, action: Action, message: &Message) -> Vec<Effect> {
    match action {
        Action::Why => sheet::why(state, message),
        Action::Retry => {
            let Some(open) = &mut state.open else { return vec![] };
            open.selecting = None;
            let verb = RoomRetry { room: open.target.clone() };
            let said = if state.is_online() {
                "Its key is asked for again"
            } else {
                "There is no connection: its key is asked for when there is one"
            };
            vec![ask(state, Want::Done(said.to_owned()), &verb)]
        }
        _ => usage(
            state,
            "This cannot be opened yet: /retry asks for its key again, /why tells more",
        ),
    }
}

/// Copies the link of that number, or the only one; asks which where there are several.
fn copy_link(state: &mut State, links: Vec<String>, number: &str) -> Vec<Effect> {
    let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let link = match (links.as_slice(), place) {
        ([], _) => return usage(state, "There is no link in this message"),
        ([only], None) => Some(only),
        (several, Some(place)) => several.get(place),
        (_, None) => {
            let choice = |(place, link): (usize, String)| Choice {
                title: link,
                detail: String::new(),
                command: format!("/copy-link {}", place.saturating_add(1)),
                sigils: "",
            };
            let choices = links.into_iter().enumerate().map(choice).collect();
            state.layers.push(Layer::Picker(Picker::new("", choices)));
            return vec![];
        }
    };
    let Some(link) = link.cloned() else {
        return usage(state, format!("There is no link {number} in this message"));
    };
    let mut effects = say(state, Weight::Done, format!("Copied {link}"));
    effects.push(Effect::Copy(link));
    effects
}

/// The links of a text, in their order.
fn links(text: &str) -> Vec<String> {
    let lines = markdown::render(text, &markdown::Reading::default());
    let pieces = lines.into_iter().flat_map(|line| line.pieces);
    let mut found: Vec<String> =
        pieces.filter_map(|piece| piece.link.map(|link| link.to_string())).collect();
    found.dedup();
    found
}

/// Puts a message into what is written as a quotation, and what answers it below.
fn quote(state: &mut State, message: &Message, answer: &str) -> Vec<Effect> {
    let Some(open) = &mut state.open else { return vec![] };
    open.selecting = None;
    let quoted: Vec<String> = message.text.lines().map(|line| format!("> {line}")).collect();
    compose::insert(state, format!("{}\n{answer}", quoted.join("\n")))
}
