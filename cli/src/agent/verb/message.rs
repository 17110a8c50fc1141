//! Sending messages, and how one is shown.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Call, RoomLine, Verb,
    file::{FileEvent, FileLine, absolute, tell_progress},
    rfc3339,
};
use crate::{
    e2ee::payload::Stay,
    engine::{FileOrder, Reporter, SayOrder, SendOrder, Staying, is_room},
    error::{CommandError, Kind},
    store::{Message, MessageState, Placed},
};

/// Sends a message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// To whom: `@bob`, `bob@nest.example`, `club#general` or `+weekend`.
    pub to: String,
    /// What it says; may be empty beside a file.
    #[serde(default)]
    pub text: String,
    /// The file that goes with it, by its path on the agent's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What that is to be called; as it is called there when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Its id: a UUID, or any word that is the same when the same message is sent again. The same id never sends twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How far it has to come before this answers.
    #[serde(default)]
    pub until: Until,
    /// How long to wait for that, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Fail rather than queue when there is no connection.
    #[serde(default)]
    pub no_queue: bool,
    /// After how many seconds every device forgets it: from its reading, in a room from its posting. 0 for never; as the conversation's
    /// setting `expire` says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u32>,
    /// The id of the message of the room that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The id of a message of the room, in whose thread it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

/// How far a message has to come.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Stored at its receiver's home.
    #[default]
    Sent,
    /// Stored on one of their devices.
    Delivered,
    /// Read.
    Read,
}

/// What came of sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The message's id.
    pub id: String,
    /// `queued`, `sent`, `waiting`, `delivered`, `read` or `failed`.
    pub state: String,
    /// To whom.
    pub to: String,
    /// When it was written, RFC 3339 with milliseconds.
    pub at: String,
    /// Why it waits or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The server that it waits for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Since when it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl Verb for Send {
    const METHOD: &'static str = "send";
    const ABOUT: &'static str = "Sends a message and waits until it has come as far as was asked.";
    type Reply = SendLine;
    type Event = FileEvent;

    async fn run(self, call: Call) -> Result<SendLine, CommandError> {
        let is_queued = !self.no_queue;
        let has_file = self.file.is_some();
        let (tell, told) = Reporter::new();
        let said = async {
            if is_room(&self.to) {
                self.say(&call, tell).await
            } else {
                self.write(&call, tell).await
            }
        };
        let said =
            if has_file { Box::pin(tell_progress(&call, told, said)).await } else { said.await };
        said.map_err(|error| if is_queued { kept(error) } else { error })
    }
}

/// What is told of a failure to whoever wants what they say queued: that there is no connection only where it does wait.
pub(super) fn kept(error: CommandError) -> CommandError {
    if error.kind != Kind::NoConnection || error.queued.is_some() {
        return error;
    }
    let message = format!("{}; nothing was sent or queued", error.message);
    CommandError { kind: Kind::Failed, message, ..error }.hint("try it again")
}

impl Send {
    fn file_order(&self) -> Result<Option<FileOrder>, CommandError> {
        let Some(path) = &self.file else { return Ok(None) };
        Ok(Some(FileOrder { path: absolute(path)?, name: self.file_name.clone() }))
    }

    fn staying(&self) -> Result<Staying, CommandError> {
        let Some(seconds) = self.expires_after else { return Ok(Staying::AsSet) };
        if seconds == 0 {
            return Ok(Staying::ForEver);
        }
        let stay = Stay::of(Duration::from_secs(seconds.into()));
        let what = "a message stays for 1s to 366d, or for ever";
        stay.map(Staying::For).ok_or_else(|| CommandError::new(Kind::Usage, what))
    }

    /// Sends it to a person.
    async fn write(self, call: &Call, tell: Reporter) -> Result<SendLine, CommandError> {
        if self.reply_to.is_some() || self.thread.is_some() {
            return Err(CommandError::new(Kind::Usage, "replies and threads are for rooms"));
        }
        let staying = self.staying()?;
        let file = self.file_order()?;
        let wanted = match self.until {
            Until::Sent => MessageState::Sent,
            Until::Delivered => MessageState::Delivered,
            Until::Read => MessageState::Read,
        };
        let order = SendOrder {
            to: self.to,
            text: self.text,
            label: self.id,
            until: wanted,
            timeout: self.timeout_ms.map(Duration::from_millis),
            is_queued: !self.no_queue,
            staying,
            file,
            tell,
        };
        let (message, to) = call.engine.send(order).await?;
        let (server, since) = waits_of(&message);
        Ok(SendLine {
            v: 1,
            id: message.item.to_string(),
            state: message.state.word().to_owned(),
            to,
            at: rfc3339(message.at),
            reason: message.reason,
            server,
            since,
        })
    }

    /// Sends it to a room.
    async fn say(self, call: &Call, tell: Reporter) -> Result<SendLine, CommandError> {
        if self.until != Until::Sent {
            return Err(CommandError::new(
                Kind::Usage,
                "a room's members say by themselves what they have read: only --until sent goes here",
            ));
        }
        let staying = self.staying()?;
        let file = self.file_order()?;
        let order = SayOrder {
            to: self.to,
            text: self.text,
            label: self.id,
            reply_to: self.reply_to,
            thread: self.thread,
            timeout: self.timeout_ms.map(Duration::from_millis),
            is_queued: !self.no_queue,
            staying,
            file,
            tell,
        };
        let (placed, room) = call.engine.say(order).await?;
        Ok(SendLine {
            v: 1,
            id: placed.post.item.to_string(),
            state: placed.post.state.word().to_owned(),
            to: room.name,
            at: rfc3339(placed.post.at),
            reason: placed.post.reason,
            server: None,
            since: None,
        })
    }
}

/// What a message waits for, and since when.
fn waits_of(message: &Message) -> (Option<String>, Option<String>) {
    match &message.waits {
        Some(waits) => (Some(waits.server.to_string()), Some(rfc3339(waits.since))),
        None => (None, None),
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The message's id.
    pub id: String,
    /// Who wrote it: `alice@nest.example`.
    pub from: String,
    /// With whom the conversation is.
    pub with: String,
    /// When it was written, by its author's clock: RFC 3339 with milliseconds.
    pub at: String,
    /// What it says.
    pub text: String,
    /// `received` or `read` of others' messages; `queued`, `sent`, `waiting`, `delivered`, `read` or `failed` of one's own.
    pub state: String,
    /// Why it failed or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The server that it waits for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Since when it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Whether it is from somebody who is no contact.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub request: bool,
    /// After how many seconds every device forgets it, from its reading on; in a room from its posting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u32>,
    /// Whether it was forgotten so; its text is empty then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// The file that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileLine>,
    /// The order of arrival at this device: what `tail` goes on after.
    pub cursor: u64,
    /// What a message of a channel has beyond that.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Box<RoomLine>>,
}

impl MessageLine {
    /// The line for `placed`, with the names of its people.
    #[must_use]
    pub fn new(placed: Placed, from: String, with: String, request: bool) -> Self {
        let Placed { position, message } = placed;
        let (server, since) = waits_of(&message);
        let expired = message.has_expired();
        Self {
            v: 1,
            id: message.item.to_string(),
            from,
            with,
            at: rfc3339(message.at),
            text: message.text,
            state: message.state.word().to_owned(),
            reason: message.reason,
            server,
            since,
            request,
            expires_after: message.stays.map(Stay::seconds),
            expired,
            file: message.file.as_ref().map(|file| FileLine::new(file, None)),
            cursor: position,
            room: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_is_said_only_of_what_waits() {
        let lost = CommandError::new(Kind::NoConnection, "the answer broke off");
        let told = kept(lost.clone());
        assert_eq!(told.kind, Kind::Failed);
        assert_eq!(told.message, "the answer broke off; nothing was sent or queued");
        assert_eq!(told.hints, ["try it again"]);
        let waits = CommandError { queued: Some("an id".to_owned()), ..lost };
        assert_eq!(kept(waits.clone()), waits);
        let refused = CommandError::new(Kind::NotFound, "there is nobody called so");
        assert_eq!(kept(refused.clone()), refused);
    }
}
