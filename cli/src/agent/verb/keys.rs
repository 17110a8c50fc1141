//! How the account's keys stand, and locking the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::error::CommandError;

/// Asks how the account's keys stand.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct KeysShow {}

/// How the account's keys stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeysLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Since when the recovery key is in force, by the clock of the device that made it; absent when that is not known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_since: Option<String>,
    /// The file in the profile's directory that has a recovery key, if there is one: whoever has that has the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_key_file: Option<String>,
    /// This device's id.
    pub device: String,
    /// What it is called.
    pub device_name: String,
    /// When it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_since: Option<String>,
    /// Whether it is the oldest of those that may act.
    pub is_oldest: bool,
    /// How many devices may act.
    pub devices: u32,
    /// The generation of the per-user key that is in force, from 1.
    pub generation: u32,
    /// Whether a device was revoked and the new per-user key has yet to come.
    pub owes_rotation: bool,
    /// How many contacts there are, asked ones and blocked ones included.
    pub people: u32,
    /// How many of them were verified.
    pub verified: u32,
    /// How many are not who they were.
    pub changed: u32,
}

impl Verb for KeysShow {
    const METHOD: &'static str = "keys.show";
    const ABOUT: &'static str =
        "Says how the account's keys stand: recovery key, devices, per-user key, verified people.";
    type Reply = KeysLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<KeysLine, CommandError> {
        call.engine.keys().await
    }
}

/// Has the profile's owner close the store.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StoreLock {}

/// Whether the store was locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `locked`; or `open`, where the store would open by itself again, and nothing was done.
    pub state: String,
    /// What opens it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opener: Option<String>,
}

impl LockLine {
    /// How a store stands that `opener` opens by itself, if anything does.
    #[must_use]
    pub(crate) fn new(opener: Option<&str>) -> Self {
        let state = if opener.is_some() { "open" } else { "locked" };
        Self { v: 1, state: state.to_owned(), opener: opener.map(str::to_owned) }
    }

    /// Why nothing was locked, if that is so.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let opener = self.opener.as_ref()?;
        Some(format!("{opener} opens this store without asking anybody; nothing was locked"))
    }
}

impl Verb for StoreLock {
    const METHOD: &'static str = "lock";
    const ABOUT: &'static str =
        "Has the profile's owner close the store, so that its passphrase is asked for again.";
    type Reply = LockLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<LockLine, CommandError> {
        call.engine.lock().await
    }
}
