//! Finding messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, MessageLine, Nothing, Verb};
use crate::error::CommandError;

/// Finds messages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What to find: words, beginnings (`hel*`; the last word is one unless a space follows), `"phrases"`, `from:alice`, `in:club#general`,
    /// `in:@bob`, `in:+weekend`, `before:2026-01-31`, `after:2026-01-31`, `has:link` (or `mention`, `reply`, `edit`, `file`), and a `-`
    /// before what must not hold.
    pub query: String,
    /// How many messages, at most 1,000.
    #[serde(default = "default_count")]
    pub count: u32,
    /// Where an earlier search ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

const fn default_count() -> u32 {
    50
}

/// A page of what was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SearchLines {
    /// Newest first, as they are now.
    pub messages: Vec<MessageLine>,
    /// The cursor of the next page; absent when there is none. A page may have fewer messages than were asked for and still have a next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether everything that the home has was taken in first.
    pub synced: bool,
    /// Whether everything on this device was looked through: not while the index is still being made.
    pub complete: bool,
}

impl Verb for Search {
    const METHOD: &'static str = "search";
    const ABOUT: &'static str = "Finds messages on this device, newest first.";
    type Reply = SearchLines;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<SearchLines, CommandError> {
        call.engine.search(&self.query, self.count, self.cursor.as_deref()).await
    }
}
