//! What was said in rooms, and saying something about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, ReadLines, Verb, community::Changed};
use crate::{engine::is_room, error::CommandError};

/// What a message of a channel has beyond a direct one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoomLine {
    /// Its place in the channel; absent while it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The id of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The id of the first message of its thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// How many messages its own thread has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replies: u64,
    /// Whom it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// Who has put which emoji on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reactions: BTreeMap<String, Vec<String>>,
    /// Whether it says something else than at first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// Whether it stands out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Who has erased it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedLine>,
    /// What it says about another message; then it is no message of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<AboutLine>,
    /// Who has read it, of one's own messages in small rooms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_by: Vec<String>,
    /// The number of its kind, if this version knows none such: it has no text then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_kind: Option<u32>,
    /// Something about it that a person should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Who has erased a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErasedLine {
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What somebody said about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AboutLine {
    /// `edit`, `react`, `unreact`, `pin` or `unpin`.
    pub kind: String,
    /// The message's id.
    pub target: String,
    /// The new text, or the emoji.
    pub value: String,
}

/// What to do about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MessageAct {
    /// Put an emoji on it.
    React(String),
    /// Take one's emoji off it.
    Unreact(String),
    /// Give it another text.
    Edit(String),
    /// Erase it, with a reason.
    Delete(Option<String>),
    /// Have it stand out.
    Pin,
    /// Not any more.
    Unpin,
}

/// Does something about a message of a room.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageChange {
    /// In which room: `club#general` or `+weekend`.
    pub room: String,
    /// The message's id.
    pub message: String,
    /// What.
    pub act: MessageAct,
}

impl Verb for MessageChange {
    const METHOD: &'static str = "message.change";
    const ABOUT: &'static str = "Reacts to a message, edits it, erases it, or pins it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let Self { room, message, act } = self;
        let engine = &call.engine;
        match act {
            MessageAct::React(emoji) => engine.react(&room, &message, &emoji, true).await?,
            MessageAct::Unreact(emoji) => engine.react(&room, &message, &emoji, false).await?,
            MessageAct::Edit(text) => engine.edit(&room, &message, text).await?,
            MessageAct::Delete(reason) => engine.erase(&room, &message, reason).await?,
            MessageAct::Pin => engine.pin(&room, &message, true).await?,
            MessageAct::Unpin => engine.pin(&room, &message, false).await?,
        }
        Ok(Changed { v: 1, ..Changed::default() })
    }
}

/// Tells those who may moderate a room of a message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// In which room: `club#general` or `+weekend`.
    pub room: String,
    /// The message's id.
    pub message: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who was told of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Who.
    pub to: String,
    /// The id of the direct message that tells them.
    pub id: String,
    /// How far that has come: `queued`, `sent`, `waiting`, `delivered` or `read`.
    pub state: String,
}

impl Verb for Report {
    const METHOD: &'static str = "message.report";
    const ABOUT: &'static str =
        "Tells those who may moderate a room of a message, in a direct message each.";
    type Reply = Vec<ReportLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        let Self { room, message, reason } = self;
        let reported = call.engine.report(&room, &message, reason.as_deref()).await;
        let reported = reported.map_err(super::message::kept)?;
        let line = |one: crate::engine::Reported| ReportLine {
            v: 1,
            to: one.to,
            id: one.id,
            state: one.state.word().to_owned(),
        };
        Ok(reported.into_iter().map(line).collect())
    }
}

/// Reads a thread.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// In which room.
    pub room: String,
    /// Any message of it, by id.
    pub message: String,
    /// How many messages at most.
    #[serde(default = "default_count")]
    pub count: u32,
    /// What is here, at once, rather than waiting for what the home may have.
    #[serde(default)]
    pub local: bool,
}

const fn default_count() -> u32 {
    50
}

impl Verb for Thread {
    const METHOD: &'static str = "thread";
    const ABOUT: &'static str = "Reads a thread: its first message, and what was said under it.";
    type Reply = ReadLines;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<ReadLines, CommandError> {
        call.engine.read_thread(&self.room, &self.message, self.count, self.local).await
    }
}

/// Marks a conversation as read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// Which: `club#general`, `+weekend` or `@bob`.
    pub room: String,
    /// Through which message, by id, or in a room by place; the newest when absent.
    #[serde(default)]
    pub through: Option<String>,
}

impl Verb for MarkRead {
    const METHOD: &'static str = "mark-read";
    const ABOUT: &'static str = "Marks a conversation as read on all devices of this user.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let through = self.through.as_deref();
        if is_room(&self.room) {
            call.engine.mark_read_command(&self.room, through).await?;
        } else {
            call.engine.mark_person_read(&self.room, through).await?;
        }
        Ok(Changed { v: 1, ..Changed::default() })
    }
}

/// Counts a conversation as unread from a message on, until it is read again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkUnread {
    /// Which: `club#general`, `+weekend` or `@bob`.
    pub room: String,
    /// From which message on, by id, or in a room by place; the newest of others when absent.
    #[serde(default)]
    pub from: Option<String>,
}

impl Verb for MarkUnread {
    const METHOD: &'static str = "mark-unread";
    const ABOUT: &'static str =
        "Counts a conversation as unread from a message on, on all devices of this user.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        call.engine.mark_unread(&self.room, self.from.as_deref()).await?;
        Ok(Changed { v: 1, ..Changed::default() })
    }
}

/// Has another look at once at what a room waits for: a key that has not come, or something that the server did not show.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomRetry {
    /// Which.
    pub room: String,
}

impl Verb for RoomRetry {
    const METHOD: &'static str = "room.retry";
    const ABOUT: &'static str = "Asks again for the key that a room waits for.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        call.engine.look_again(&self.room).await?;
        Ok(Changed { v: 1, ..Changed::default() })
    }
}

/// Tells that this user is typing, or asks who is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Typing {
    /// To whom or where: `@bob`, `club#general`; asks who is typing when absent.
    pub to: Option<String>,
}

/// Somebody who is typing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TypingLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Who.
    pub name: String,
    /// In which room; to this user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
}

impl Verb for Typing {
    const METHOD: &'static str = "typing";
    const ABOUT: &'static str = "Tells that this user is typing, or says who is.";
    type Reply = Vec<TypingLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        if let Some(to) = &self.to {
            call.engine.tell_typing(to).await?;
            return Ok(vec![]);
        }
        call.engine.who_types().await
    }
}
