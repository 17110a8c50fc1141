//! Channels of communities.

use rookery_protocol::community::{ChannelKind, Permissions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Changed, HistoryWord, Nothing, Verb, member::permissions};
use crate::{
    engine::{ChannelOrder, Grant, NewChannel, Whom},
    error::CommandError,
};

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `club#general`.
    pub name: String,
    /// `text`, `voice` or `video`.
    pub kind: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Where it stands in the list.
    pub position: u32,
    /// How many seconds each user waits between messages.
    pub slow_mode_s: u32,
    /// Whether it can be read only.
    pub archived: bool,
    /// Whether only some members read it.
    pub private: bool,
    /// `full` or `since-join`.
    pub history: String,
    /// Messages that were not read yet.
    pub unread: u32,
    /// How many of them mention this user.
    pub mentions: u32,
    /// Since when something waits for the channel's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<String>,
    /// How many entries broke the rules.
    pub refused: u32,
    /// Which rule the last one broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Exceptions for roles and members.
    pub exceptions: Vec<String>,
}

/// What happens in a channel.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelWord {
    /// Messages.
    #[default]
    Text,
    /// Calls.
    Voice,
    /// Calls with pictures.
    Video,
}

impl From<ChannelWord> for ChannelKind {
    fn from(word: ChannelWord) -> Self {
        match word {
            ChannelWord::Text => Self::Text,
            ChannelWord::Voice => Self::Voice,
            ChannelWord::Video => Self::Video,
        }
    }
}

/// Asks for a community's channels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelList {
    /// Of which community.
    pub community: String,
}

impl Verb for ChannelList {
    const METHOD: &'static str = "channel.list";
    const ABOUT: &'static str = "Lists the channels of a community that this user may read.";
    type Reply = Vec<ChannelLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.list_channels(&self.community).await
    }
}

/// Makes a channel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelCreate {
    /// In which community.
    pub community: String,
    /// What it is called.
    pub name: String,
    /// What happens in it.
    #[serde(default)]
    pub kind: ChannelWord,
    /// What it is about.
    #[serde(default)]
    pub topic: Option<String>,
    /// Whether only some members read it.
    #[serde(default)]
    pub private: bool,
    /// Roles that read it, when it is private.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Members who read it, when it is private.
    #[serde(default)]
    pub users: Vec<String>,
    /// What those who come later can read, when it is private.
    #[serde(default)]
    pub history: HistoryWord,
    /// How many seconds each user waits between messages.
    #[serde(default)]
    pub slow_mode_s: u32,
}

impl Verb for ChannelCreate {
    const METHOD: &'static str = "channel.create";
    const ABOUT: &'static str = "Makes a channel.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let order = NewChannel {
            name: self.name,
            topic: self.topic,
            kind: self.kind.into(),
            private: self.private.then_some((self.roles, self.users)),
            history: self.history.into(),
            slow_mode_s: self.slow_mode_s,
        };
        call.engine.create_channel(&self.community, order).await?;
        Ok(Changed::done())
    }
}

/// Changes or ends a channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelEdit {
    /// Which: `club#general`.
    pub channel: String,
    /// Whether it ends.
    pub delete: bool,
    /// What it is called.
    pub name: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// Where it stands in the list.
    pub position: Option<u32>,
    /// How many seconds each user waits between messages.
    pub slow_mode_s: Option<u32>,
    /// Whether it can be read only.
    pub archived: Option<bool>,
    /// What those who come later can read.
    pub history: Option<HistoryWord>,
}

impl Verb for ChannelEdit {
    const METHOD: &'static str = "channel.edit";
    const ABOUT: &'static str = "Changes a channel, archives it, or ends it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        if self.delete {
            call.engine.delete_channel(&self.channel).await?;
            return Ok(Changed::done());
        }
        if let Some(history) = self.history {
            call.engine.set_history(&self.channel, history.into()).await?;
        }
        let order = ChannelOrder {
            name: self.name,
            topic: self.topic,
            position: self.position,
            slow_mode_s: self.slow_mode_s,
            is_archived: self.archived,
        };
        call.engine.edit_channel(&self.channel, order).await?;
        Ok(Changed::done())
    }
}

/// Lets a role or a member do something in a channel, or forbids it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelGrant {
    /// In which channel.
    pub channel: String,
    /// The member, `@bob`, or the role.
    pub whom: String,
    /// What, as words; `read` is for private channels.
    pub what: Vec<String>,
    /// Whether it is allowed, denied, or left to their roles again.
    pub how: GrantWord,
}

/// How an exception goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantWord {
    /// They may.
    Allow,
    /// They may not.
    Deny,
    /// As their roles say.
    Clear,
}

impl Verb for ChannelGrant {
    const METHOD: &'static str = "channel.grant";
    const ABOUT: &'static str = "Lets a role or a member do something in a channel, or forbids it.";
    type Reply = Changed;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Changed, CommandError> {
        let whom =
            if self.whom.starts_with('@') { Whom::User(self.whom) } else { Whom::Role(self.whom) };
        let (read, rest): (Vec<String>, Vec<String>) =
            self.what.into_iter().partition(|word| word == "read");
        if !read.is_empty() {
            let grant = Grant::Read(self.how == GrantWord::Allow);
            call.engine.grant(&self.channel, whom.clone(), grant).await?;
        }
        if !rest.is_empty() {
            let meant = permissions(&rest)?;
            let none = Permissions::NONE;
            let grant = match self.how {
                GrantWord::Allow => Grant::Permissions { allow: meant, deny: none, clear: none },
                GrantWord::Deny => Grant::Permissions { allow: none, deny: meant, clear: none },
                GrantWord::Clear => Grant::Permissions { allow: none, deny: none, clear: meant },
            };
            call.engine.grant(&self.channel, whom, grant).await?;
        }
        Ok(Changed::done())
    }
}
