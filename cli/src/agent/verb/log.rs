//! A community's log: shown, and checked once more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::{engine::LogOrder, error::CommandError};

/// One statement of a community's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its place.
    pub seq: u64,
    /// When, by its author's clock: RFC 3339 with milliseconds.
    pub at: String,
    /// Who stated it.
    pub by: String,
    /// What.
    pub what: String,
    /// Whom about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<String>,
    /// A name or a reason that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Which room was set, as commands name it, if this user can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// What of the room has changed: `made`, `renamed`, `topic`, `archived`, `reopened`, `slow-mode` or `moved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Its new topic, if that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its hash.
    pub hash: String,
}

/// The proof that a community's server has signed two histories of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForkLine {
    /// The server.
    pub hub: String,
    /// The fingerprint of its root key, which the statement that founded the community names.
    pub fingerprint: String,
    /// The number of the channel; absent for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
    /// The place of which it has signed two entries.
    pub entry: u64,
    /// The hash of one.
    pub one: String,
    /// The hash of the other.
    pub other: String,
    /// The proof itself, in base 32: whoever has it needs nothing else to check it.
    pub proof: String,
}

/// What came of checking a community's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The community.
    pub id: String,
    /// Whether every statement holds, and nothing contradicted it.
    pub holds: bool,
    /// How many statements there are.
    pub statements: u64,
    /// The hash of the last one, to be compared with other members'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// How many members there are.
    pub members: u32,
    /// What does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// The server's own word for where the log stands, as it signed it: evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_head: Option<String>,
    /// Proofs that the community's server has signed two histories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<ForkLine>,
}

/// Asks for a community's log.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityLog {
    /// Which.
    pub community: String,
    /// From this place on; when absent, so many that the newest is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// How many entries at most; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// What is here, at once, rather than waiting for what the home may have.
    #[serde(default)]
    pub local: bool,
}

impl Verb for CommunityLog {
    const METHOD: &'static str = "community.log";
    const ABOUT: &'static str = "Shows the statements of a community's log, or a part of them.";
    type Reply = Vec<LogLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        let Self { community, from, count, local } = self;
        call.engine.community_log(LogOrder { community, from, count, local }).await
    }
}

/// Checks a community's log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityVerify {
    /// Which.
    pub community: String,
}

impl Verb for CommunityVerify {
    const METHOD: &'static str = "community.verify";
    const ABOUT: &'static str = "Checks every statement of a community's log once more.";
    type Reply = VerifiedLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.verify_community(&self.community).await
    }
}
