//! `send` and `read`.

use super::Context;
use crate::{
    agent::verb::{MessageLine, Read, Send},
    args::{SendArgs, TextSource},
    error::{CommandError, Kind},
};

/// Sends a message, to one or several.
pub(super) async fn send(context: &Context, args: SendArgs) -> Result<(), CommandError> {
    let socket = context.place.socket()?;
    let text =
        TextSource::of(args.text)?.read(socket.parent().unwrap_or(context.place.directory()))?;
    let mut access = context.access().await?;
    let receivers: Vec<String> = args.to.split(',').map(str::to_owned).collect();
    let (mut failures, count) = (vec![], receivers.len());
    for to in receivers {
        let order = Send {
            to: to.clone(),
            text: text.clone(),
            // Chosen before it is asked for, so that asking again after the agent went away sends once.
            id: Some(args.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string())),
            until: args.until,
            timeout_ms: args
                .timeout
                .map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)),
            no_queue: args.no_queue,
        };
        match access.ask(order, |_| Ok(())).await {
            Ok(line) => context.line(&line, &[&line.id, &line.state, &line.to])?,
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

/// Reads a conversation.
pub(super) async fn read(
    context: &Context,
    with: String,
    count: u32,
    peek: bool,
) -> Result<(), CommandError> {
    let page = context.ask(Read { with, count, peek }).await?;
    for message in &page.messages {
        message_line(context, message)?;
    }
    if !page.synced {
        context.note("there is no connection to the server: this is what was here already");
    }
    Ok(())
}

/// Writes a message.
pub(super) fn message_line(context: &Context, message: &MessageLine) -> Result<(), CommandError> {
    context
        .line(message, &[&message.at, &message.from, &message.with, &message.state, &message.text])
}
