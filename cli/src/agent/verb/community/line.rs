//! What is told of communities and groups, and the words that are taken for them.

use rookery_protocol::community::{History, JoinPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{ChannelLine, RoleLine};

/// One community or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommunityLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its id.
    pub id: String,
    /// What it is called; the beginning of its id while its name cannot be read.
    pub name: String,
    /// `community` or `group`.
    pub kind: String,
    /// `member`, `invited`, `asking`, `leaving` or `gone`.
    pub standing: String,
    /// How many belong to it.
    pub members: u32,
    /// How many channels of it this user may read.
    pub channels: u32,
    /// Messages that were not read yet.
    pub unread: u32,
    /// How many of them mention this user.
    pub mentions: u32,
    /// What leaving it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<LeaveLine>,
    /// Why this user could not leave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Why its server is not to be believed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// What others have seen of its log, and this device was not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A leave that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaveLine {
    /// What the community is called.
    pub community: String,
    /// The server that it waits for: the community's hub.
    pub hub: String,
    /// Since when it waits.
    pub since: String,
    /// Why, as it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl LeaveLine {
    /// The same for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let reason = self.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        format!("leaving {} waits for {} since {}{reason}", self.community, self.hub, self.since)
    }
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteLine {
    /// Its number.
    pub invite: u32,
    /// Who made it.
    pub by: String,
    /// For whom; whoever has the link when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How often it can still be used; any number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Roles that it gives.
    pub roles: Vec<String>,
}

/// A community with all that can be told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommunityDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: CommunityLine,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Who owns it.
    pub owner: String,
    /// The server that orders it.
    pub hub: String,
    /// `open`, `invited` or `approved`.
    pub policy: String,
    /// What those who come later can read: `full` or `since-join`.
    pub history: String,
    /// The number of the epoch in force for all members.
    pub epoch: u32,
    /// The place of the last statement.
    pub log: u64,
    /// The channels that this user may read.
    #[serde(rename = "channel_list")]
    pub channels: Vec<ChannelLine>,
    /// The roles.
    pub roles: Vec<RoleLine>,
    /// The invitations.
    pub invites: Vec<InviteLine>,
    /// Who asks to be let in.
    pub asking: Vec<String>,
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The version of this object: 1.
    pub v: u32,
    /// The community that was founded or joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `member` or `asking`, after joining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// The link of an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The number of an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<u32>,
    /// What leaving waits for: it is kept, and carried out by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<LeaveLine>,
}

impl Changed {
    pub(in crate::agent::verb) fn done() -> Self {
        Self { v: 1, ..Self::default() }
    }
}

/// Who may join.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyWord {
    /// Whoever knows of it.
    Open,
    /// Whoever is invited.
    #[default]
    Invited,
    /// Whoever asks and is let in.
    Approved,
}

/// What those who come later can read.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryWord {
    /// Everything.
    #[default]
    Full,
    /// What is said after they came.
    SinceJoin,
}

impl From<PolicyWord> for JoinPolicy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Open => Self::Open,
            PolicyWord::Invited => Self::Invited,
            PolicyWord::Approved => Self::Approved,
        }
    }
}

impl From<HistoryWord> for History {
    fn from(word: HistoryWord) -> Self {
        match word {
            HistoryWord::Full => Self::Full,
            HistoryWord::SinceJoin => Self::SinceJoin,
        }
    }
}
