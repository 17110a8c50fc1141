//! `search`.

use super::{Context, message::message_line};
use crate::{agent::verb::Search, args::SearchArgs, error::CommandError};

/// Finds messages. Nothing found is nothing written, and no failure.
pub(super) async fn search(context: &Context, args: SearchArgs) -> Result<(), CommandError> {
    let mut access = context.access().await?;
    let outcome = search_with(context, &mut access, args).await;
    access.close().await;
    outcome
}

async fn search_with(
    context: &Context,
    access: &mut crate::agent::Access,
    args: SearchArgs,
) -> Result<(), CommandError> {
    let (query, mut left, mut cursor) = (args.query.join(" "), args.count.max(1), args.cursor);
    loop {
        let order = Search { query: query.clone(), count: left, cursor };
        let page = access.ask(order, |_| Ok(())).await?;
        for message in &page.messages {
            message_line(context, message)?;
        }
        left = left.saturating_sub(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        cursor = page.next;
        // A page that is not full and has a next one was cut short, so that the agent is not busy with it for long.
        if left > 0 && cursor.is_some() {
            continue;
        }
        if let Some(next) = cursor.filter(|_| context.output.is_json()) {
            context.line(&serde_json::json!({ "v": 1, "next": next }), &[])?;
        }
        if !page.synced {
            context.note("there is no connection to the server: this is what was here already");
        }
        if !page.complete {
            context.note("the search index is still being made: older messages may be missing");
        }
        return Ok(());
    }
}
