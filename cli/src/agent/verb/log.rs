//! A community's log: shown, and checked once more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::error::CommandError;

/// One statement of a community's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its place.
    pub seq: u64,
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
    /// Its hash.
    pub hash: String,
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
}

/// Asks for a community's log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommunityLog {
    /// Which.
    pub community: String,
}

impl Verb for CommunityLog {
    const METHOD: &'static str = "community.log";
    const ABOUT: &'static str = "Shows every statement of a community's log.";
    type Reply = Vec<LogLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.community_log(&self.community).await
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
