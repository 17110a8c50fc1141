//! Where one can talk: people, groups, channels, as a sidebar shows them; and telling of every change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Connection, Nothing, TypingLine, Verb};
use crate::error::CommandError;

/// Asks for all conversations, out of the store: it waits for no connection.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rooms {
    /// Only those with something unread.
    pub unread: bool,
}

/// What kind of place it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RoomKind {
    /// A conversation with one person.
    Direct,
    /// A group.
    Group,
    /// A community's channel for text.
    Text,
    /// A community's channel for voice.
    Voice,
    /// A community's channel for video.
    Video,
    /// A community of which nothing can be read yet: not let in, or without its key.
    Community,
}

impl RoomKind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Text => "text",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::Community => "community",
        }
    }
}

/// A place where one can talk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    /// The version of this object: 1.
    pub v: u32,
    /// What it is called in commands: `@bob`, `club#general`, `+weekend`.
    pub target: String,
    /// What kind of place it is.
    pub kind: RoomKind,
    /// What it is called in a list: a person's address, a channel's or a group's name.
    pub title: String,
    /// The community that a channel belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// How many messages of others are unread; of people, 100 stands for more.
    pub unread: u32,
    /// How many of them mention this user; of people, all do.
    pub mentions: u32,
    /// Whether nothing of it is to be notified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
    /// After how many seconds what this user writes there is forgotten, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u32>,
    /// What is notified: `all`, `mentions` or `none`.
    pub notifications: String,
    /// Whether only some members may read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Whether nothing more is said in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// How a person stands to this user: `accepted`, `asked`, `asking`, `stranger`, `blocked`, `known`; of communities `member`, `invited`, `asking`.
    pub standing: String,
    /// `verified`, `unverified` or `changed`, of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// How many members there are.
    pub members: u32,
    /// Why the community's server is not to be believed; nothing is sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// Since when something waits that cannot be opened yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<String>,
    /// How many entries were refused, and why the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// When the newest message with a person was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// What is written here and not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// How many entries the log of its community has here: those who show what happened read it again when this rises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<u64>,
    /// At least how many seconds lie between two messages of one person.
    #[serde(default)]
    pub slow_mode_s: u32,
}

impl Verb for Rooms {
    const METHOD: &'static str = "rooms";
    const ABOUT: &'static str =
        "Lists people, groups and channels with what is unread, without waiting for the server.";
    type Reply = Vec<Conversation>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        let mut rooms = call.engine.rooms().await?;
        rooms.retain(|room| !self.unread || room.unread > 0);
        Ok(rooms)
    }
}

/// Follows every change of what a screen shows.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {}

/// How things stand with the connection, without waiting for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandingLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The connection to the home.
    pub connection: Connection,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether everything that waited at the home is here.
    pub caught_up: bool,
    /// What waits to be sent.
    pub queued: u64,
    /// Why what waits longest does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// `certified`, `uncertified` or `ended`.
    pub state: String,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum WatchEvent {
    /// How things stand.
    Standing {
        /// Now.
        standing: StandingLine,
    },
    /// The list of rooms.
    Rooms {
        /// As it is now, or its next part.
        rooms: Vec<Conversation>,
        /// Whether it is complete with this part.
        complete: bool,
    },
    /// Messages were added or have changed: whoever shows some reads them again.
    Messages {
        /// Rises each time.
        revision: u64,
    },
    /// Who is typing now.
    Typing {
        /// All of them.
        typing: Vec<TypingLine>,
    },
    /// How contacts are has changed: whoever shows it asks again.
    Presence,
    /// The store is closed until somebody types its passphrase again: whoever knows that forgets it, and shows nothing any more.
    Locked,
}

impl Verb for Watch {
    const METHOD: &'static str = "watch";
    const ABOUT: &'static str = "Tells how things stand, the list of rooms, and then each change of them, for a screen to show.";
    const IS_ENDLESS: bool = true;
    type Reply = Nothing;
    type Event = WatchEvent;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        let mut watcher = call.engine.watch();
        loop {
            let events = tokio::select! {
                biased;
                () = call.engine.locking().cancelled() => {
                    call.event(&WatchEvent::Locked).await?;
                    return Err(crate::engine::locked());
                }
                events = watcher.next() => events?,
            };
            for event in events {
                call.event(&event).await?;
            }
        }
    }
}
