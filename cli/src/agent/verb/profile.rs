//! Profiles and presence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::error::CommandError;

/// Asks for a profile.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileShow {
    /// Whose; one's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// A profile, as its user tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The account's name, which is not sealed.
    pub name: String,
    /// The user id.
    pub user: String,
    /// What to call them.
    pub display_name: Option<String>,
    /// Their first name.
    pub first_name: Option<String>,
    /// Their last name.
    pub last_name: Option<String>,
    /// A status in words.
    pub status: Option<String>,
    /// Their language, as BCP 47 names it.
    pub locale: Option<String>,
    /// Their time zone, as IANA names it.
    pub time_zone: Option<String>,
}

impl Verb for ProfileShow {
    const METHOD: &'static str = "profile.show";
    const ABOUT: &'static str = "Shows one's own profile, or a contact's.";
    type Reply = ProfileLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<ProfileLine, CommandError> {
        call.engine.show_profile(self.who.as_deref()).await
    }
}

/// Changes one's own profile: what is absent stays, what is empty goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileSet {
    /// What to call you.
    #[arg(long)]
    pub display_name: Option<String>,
    /// Your first name.
    #[arg(long)]
    pub first_name: Option<String>,
    /// Your last name.
    #[arg(long)]
    pub last_name: Option<String>,
    /// A status in words.
    #[arg(long)]
    pub status: Option<String>,
    /// Your language, as BCP 47 names it.
    #[arg(long)]
    pub locale: Option<String>,
    /// Your time zone, as IANA names it.
    #[arg(long)]
    pub time_zone: Option<String>,
}

impl Verb for ProfileSet {
    const METHOD: &'static str = "profile.set";
    const ABOUT: &'static str =
        "Changes one's own profile: what is absent stays, what is empty goes.";
    type Reply = ProfileLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<ProfileLine, CommandError> {
        call.engine.set_profile(self).await
    }
}

/// Asks how the contacts are.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PresenceShow {}

/// How somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PresenceLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Who.
    pub name: String,
    /// `online`, `away`, `busy`, `invisible` or `offline`.
    pub state: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When they were last online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_online: Option<String>,
}

impl Verb for PresenceShow {
    const METHOD: &'static str = "presence.show";
    const ABOUT: &'static str = "Says how this user and their contacts are.";
    type Reply = Vec<PresenceLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Vec<PresenceLine>, CommandError> {
        call.engine.list_presence().await
    }
}

/// How one is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum PresenceWord {
    /// There.
    Online,
    /// There, but not at the keyboard.
    Away,
    /// Not to be disturbed.
    Busy,
    /// There, and shown as offline.
    Invisible,
}

/// Says how one is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceSet {
    /// How.
    pub state: PresenceWord,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Verb for PresenceSet {
    const METHOD: &'static str = "presence.set";
    const ABOUT: &'static str = "Says how one is, for as long as this device is connected.";
    type Reply = Nothing;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        call.engine.set_presence(self.state, self.status).await?;
        Ok(Nothing {})
    }
}
