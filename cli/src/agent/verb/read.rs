//! Reading and following messages.

use std::time::Duration;

use rookery_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, MessageLine, Nothing, Verb};
use crate::{
    engine::{ReadOrder, Spot, TailOrder, is_room},
    error::{CommandError, Kind},
};

/// Reads the newest messages of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// With whom.
    pub with: String,
    /// How many.
    #[serde(default = "default_count")]
    pub count: u32,
    /// Leave what is unread unread.
    #[serde(default)]
    pub peek: bool,
    /// What is here, at once, rather than waiting for what the home may have.
    #[serde(default)]
    pub local: bool,
    /// Those right before this message of the room, by id or place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Those right after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Those on both sides of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<String>,
    /// Those from this time on: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

const fn default_count() -> u32 {
    50
}

/// A page of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReadLines {
    /// Oldest first.
    pub messages: Vec<MessageLine>,
    /// Whether everything that the home has was taken in first.
    pub synced: bool,
}

impl Verb for Read {
    const METHOD: &'static str = "read";
    const ABOUT: &'static str =
        "Reads the newest messages of a conversation, oldest first, and marks them read.";
    type Reply = ReadLines;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<ReadLines, CommandError> {
        let spot = match (self.before, self.after, self.around, &self.from) {
            (Some(message), ..) => Spot::Before(message),
            (_, Some(message), ..) => Spot::After(message),
            (_, _, Some(message), _) => Spot::Around(message),
            (.., Some(from)) => Spot::From(parse_time(from)?),
            _ => Spot::Last,
        };
        let Self { with, count, peek, local, .. } = self;
        let order = ReadOrder { with, spot, count, peek, local };
        if is_room(&order.with) {
            return call.engine.read_room(order).await;
        }
        call.engine.read(order).await
    }
}

/// A time as people and programs write it: RFC 3339, or a day.
fn parse_time(text: &str) -> Result<Timestamp, CommandError> {
    let wrong = || {
        CommandError::new(
            Kind::Usage,
            format!("{text:?} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z"),
        )
    };
    let at = if let Ok(at) = text.parse::<jiff::Timestamp>() {
        at
    } else {
        let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
        day.to_zoned(jiff::tz::TimeZone::system()).map_err(|_| wrong())?.timestamp()
    };
    let milliseconds = u64::try_from(at.as_millisecond()).map_err(|_| wrong())?;
    Ok(Timestamp::from_millis(milliseconds))
}

/// Follows messages as they come.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// With whom; everybody when empty.
    #[serde(default)]
    pub with: Vec<String>,
    /// Begin after this cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Begin with what is at most this old, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// End when everything that is there has been told.
    #[serde(default)]
    pub once: bool,
}

impl Verb for Tail {
    const METHOD: &'static str = "tail";
    const ABOUT: &'static str =
        "Tells messages in the order of their arrival, each once, and goes on as they come.";
    const IS_ENDLESS: bool = true;
    type Reply = Nothing;
    type Event = MessageLine;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        let order = TailOrder {
            with: self.with,
            after: self.after,
            since: self.since_ms.map(Duration::from_millis),
            is_endless: !self.once,
        };
        let mut tail = call.engine.tail(order).await?;
        loop {
            let line = tokio::select! {
                biased;
                () = call.engine.locking().cancelled() => return Err(crate::engine::locked()),
                line = tail.next() => line?,
            };
            let Some(line) = line else { return Ok(Nothing {}) };
            call.event(&line).await?;
        }
    }
}
