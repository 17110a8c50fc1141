//! `send` and `read`.

use super::{
    Context,
    community::changed,
    file::{Progress, Source},
};
use crate::{
    agent::verb::{
        MarkRead, MarkUnread, MessageAct, MessageChange, MessageLine, Read, ReadLines, Report,
        Rooms, Send, Thread, Typing,
    },
    args::{Expiry, MessageArgs, ReadArgs, SendArgs, TextSource, short},
    error::{CommandError, Kind},
};

/// Sends a message, to one or several.
pub(super) async fn send(context: &Context, args: SendArgs) -> Result<(), CommandError> {
    let text = match (&args.file, &args.text) {
        (Some(_), None) => String::new(),
        (_, text) => text_of(context, text.clone())?,
    };
    let source = args.file.as_deref().map(|path| Source::of(context, path)).transpose()?;
    let mut progress = Progress::new(context, "sent");
    let mut access = context.access().await?;
    let receivers: Vec<String> = args.to.split(',').map(str::to_owned).collect();
    let (mut failures, count) = (vec![], receivers.len());
    for to in receivers {
        let order = Send {
            to: to.clone(),
            text: text.clone(),
            file: source.as_ref().map(Source::path),
            file_name: args.file_name.clone().or_else(|| source.as_ref().and_then(Source::name)),
            // Chosen before it is asked for, so that asking again after the agent went away sends once.
            id: Some(args.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string())),
            until: args.until,
            timeout_ms: args
                .timeout
                .map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)),
            no_queue: args.no_queue,
            expires_after: args.expire.map(|Expiry(time)| {
                time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
            }),
            reply_to: args.reply_to.clone(),
            thread: args.thread.clone(),
        };
        let sent = access
            .ask(order, |event| {
                progress.show(&event);
                Ok(())
            })
            .await;
        progress.end();
        match sent {
            Ok(line) => {
                let state = state_word(&line.state, line.server.as_ref(), line.since.as_ref());
                context.line(&line, &[&line.id, &state, &line.to])?;
            }
            Err(error) => {
                // It waits: a script gets its id all the same, and the exit code says that it has not been sent.
                if let Some(id) = &error.queued {
                    context.line(&serde_json::json!({ "v": 1, "id": id, "state": "queued", "to": to, "reason": error.message }), &[id, "queued", &to])?;
                }
                failures.push((to, error));
            }
        }
    }
    access.close().await;
    match failures.len() {
        0 => Ok(()),
        failed if failed == count && count == 1 => Err(failures.remove(0).1),
        failed => {
            let mut told = CommandError::new(
                Kind::SomeFailed,
                format!("{failed} of {count} recipients failed"),
            );
            for (to, error) in failures {
                told = told.hint(format!("{to}: {}", error.message));
            }
            Err(told)
        }
    }
}

/// The text that the command line names, or that a person types.
pub(super) fn text_of(context: &Context, text: Option<String>) -> Result<String, CommandError> {
    let socket = context.place.socket()?;
    TextSource::of(text)?.read(socket.parent().unwrap_or(context.place.directory()))
}

/// Reads a conversation or a room.
pub(super) async fn read(context: &Context, args: ReadArgs) -> Result<(), CommandError> {
    let ReadArgs { with, count, peek, before, after, around, from } = args;
    let page =
        context.ask(Read { with, count, peek, local: false, before, after, around, from }).await?;
    show(context, &page)
}

/// Reports a message.
pub(super) async fn report(
    context: &Context,
    MessageArgs { room, message }: MessageArgs,
    reason: Option<String>,
) -> Result<(), CommandError> {
    let told = context.ask(Report { room, message, reason }).await?;
    for line in &told {
        context.line(line, &[&line.id, &line.state, &line.to])?;
    }
    if told.iter().any(|line| line.state == "queued") {
        let what = "there is no connection; the report is queued, and goes out by itself";
        return Err(CommandError::new(Kind::NoConnection, what));
    }
    Ok(())
}

/// Reads a thread.
pub(super) async fn thread(
    context: &Context,
    message: MessageArgs,
    count: u32,
) -> Result<(), CommandError> {
    let MessageArgs { room, message } = message;
    let page = context.ask(Thread { room, message, count, local: false }).await?;
    show(context, &page)
}

fn show(context: &Context, page: &ReadLines) -> Result<(), CommandError> {
    for message in &page.messages {
        message_line(context, message)?;
    }
    if !page.synced {
        context.note("there is no connection to the server: this is what was here already");
    }
    Ok(())
}

/// Reacts to a message, edits it, erases it, pins it.
pub(super) async fn change(
    context: &Context,
    message: MessageArgs,
    act: MessageAct,
) -> Result<(), CommandError> {
    let MessageArgs { room, message } = message;
    changed(context, &context.ask(MessageChange { room, message, act }).await?)
}

/// Counts a conversation as unread from a message on.
pub(super) async fn mark_unread(
    context: &Context,
    room: String,
    from: Option<String>,
) -> Result<(), CommandError> {
    changed(context, &context.ask(MarkUnread { room, from }).await?)
}

/// Marks a conversation as read.
pub(super) async fn mark_read(
    context: &Context,
    room: String,
    through: Option<String>,
) -> Result<(), CommandError> {
    changed(context, &context.ask(MarkRead { room, through }).await?)
}

/// Tells that one is typing, or shows who is.
pub(super) async fn typing(context: &Context, to: Option<String>) -> Result<(), CommandError> {
    for line in context.ask(Typing { to }).await? {
        let room = line.room.clone().unwrap_or_else(|| "you".to_owned());
        context.line(&line, &[&line.name, &room])?;
    }
    Ok(())
}

/// Lists where one can talk.
pub(super) async fn rooms(context: &Context, unread: bool) -> Result<(), CommandError> {
    for room in context.ask(Rooms { unread }).await? {
        let counts = [room.unread, room.mentions].map(|count| count.to_string());
        context.line(&room, &[&room.target, room.kind.word(), &counts[0], &counts[1]])?;
    }
    Ok(())
}

/// Writes a message.
pub(super) fn message_line(context: &Context, message: &MessageLine) -> Result<(), CommandError> {
    let text = shown_text(message);
    let state = state_word(&message.state, message.server.as_ref(), message.since.as_ref());
    context.line(message, &[&message.at, &message.from, &message.with, &state, &text])
}

/// A message's state in words.
fn state_word(state: &str, server: Option<&String>, since: Option<&String>) -> String {
    match (server, since) {
        (Some(server), Some(since)) => format!("{state} for {server} since {since}"),
        _ => state.to_owned(),
    }
}

/// That a message does not stay.
fn expires(seconds: u32) -> String {
    format!("expires after {}", short(seconds.into()))
}

/// A message's text and its file, with what stands around them, in words.
fn shown_text(message: &MessageLine) -> String {
    let text = text_around(message);
    match &message.file {
        Some(file) if text.is_empty() => file.words(),
        Some(file) => format!("{}  {text}", file.words()),
        None => text,
    }
}

fn text_around(message: &MessageLine) -> String {
    let Some(room) = &message.room else {
        return match message.expires_after {
            _ if message.expired => "(expired)".to_owned(),
            Some(seconds) => format!("{}  [{}]", message.text, expires(seconds)),
            None => message.text.clone(),
        };
    };
    if message.expired {
        return "(expired)".to_owned();
    }
    if let Some(erased) = &room.erased {
        let why = erased.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        return format!("(erased by {}{why})", erased.by);
    }
    if let Some(kind) = room.unknown_kind {
        return format!("(of kind {kind}, which this version cannot show)");
    }
    if let Some(about) = &room.about {
        return format!("({} of {}: {})", about.kind, about.target, about.value);
    }
    let mut text = message.text.clone();
    let mut mark = |words: String| text = format!("{text}  [{words}]");
    if let Some(seconds) = message.expires_after {
        mark(expires(seconds));
    }
    if room.edited {
        mark("edited".to_owned());
    }
    if room.pinned {
        mark("pinned".to_owned());
    }
    for (emoji, users) in &room.reactions {
        mark(format!("{emoji} {}", users.len()));
    }
    if room.replies > 0 {
        mark(format!("{} in its thread", room.replies));
    }
    if let Some(doubt) = &room.doubt {
        mark(doubt.clone());
    }
    text
}
