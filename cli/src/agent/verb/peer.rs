//! Other homeservers, as a user sees them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::error::{CommandError, Kind};

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

/// Takes a root key for a server's, beside those that it is known by.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PeerTrust {
    /// The server's name.
    pub server: String,
    /// Its root key's fingerprint.
    pub root: String,
}

impl Verb for PeerTrust {
    const METHOD: &'static str = "peer.trust";
    const ABOUT: &'static str = "Takes a root key for another server's, after it was set up anew and its administrator has said so.";
    type Reply = ();
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        let wrong = |what: &str| CommandError::new(Kind::Usage, format!("that is no {what}"));
        let server = self.server.parse().map_err(|_| wrong("server's name"))?;
        let root = self.root.parse().map_err(|_| wrong("root key's fingerprint"))?;
        call.engine.trust_root(server, root).await
    }
}
