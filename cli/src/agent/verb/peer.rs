//! Other homeservers, as a user sees them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::error::CommandError;

/// Asks which other servers the home is in touch with.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerList {}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its name, the part of an address behind the `@`.
    pub server: String,
    /// `up`, `down`, `off` (paused by the administrator), or `quarantined` (its key has changed, and the administrator has not decided).
    pub state: String,
    /// Since when, RFC 3339 with milliseconds.
    pub since: String,
    /// How many of this user's messages wait for it.
    pub waiting: u64,
}

impl PeerLine {
    /// Whether messages go to it now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == "up"
    }
}

impl Verb for PeerList {
    const METHOD: &'static str = "peer.list";
    const ABOUT: &'static str = "Lists the other servers that this user's home is in touch with.";
    type Reply = Vec<PeerLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.peers().await
    }
}
