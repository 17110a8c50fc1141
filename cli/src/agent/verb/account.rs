//! The account and its sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, LeaveLine, Nothing, Verb};
use crate::{
    e2ee::recovery::RecoveryKey,
    error::{CommandError, Kind},
};

/// Asks whose profile this is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Whoami {}

/// Whose profile this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoamiLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `alice@nest.example`.
    pub name: String,
    /// The user id.
    pub user: String,
    /// The device's id.
    pub device: String,
    /// What the device is called.
    pub device_name: String,
    /// The home's name.
    pub server: String,
    /// Where the home listens.
    pub address: String,
    /// `certified`, `uncertified` or `ended`.
    pub state: String,
}

impl Verb for Whoami {
    const METHOD: &'static str = "whoami";
    const ABOUT: &'static str = "Says whose profile this is.";
    type Reply = WhoamiLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<WhoamiLine, CommandError> {
        Ok(call.engine.whoami())
    }
}

/// Asks how everything stands.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Status {}

/// How the connection to the home stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// There is one.
    Online,
    /// The first attempt is under way.
    Connecting,
    /// There is none; it is tried again.
    Offline,
    /// There will be none: log in again.
    Ended,
}

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusLine {
    /// The version of this object: 1.
    pub v: u32,
    /// The connection to the home.
    pub connection: Connection,
    /// What carries it: `quic`, or `tcp` where no UDP comes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether everything that waited at the home is here.
    pub caught_up: bool,
    /// What waits to be sent.
    pub queued: u64,
    /// What waits to be written into the journal.
    pub journal_owed: u64,
    /// Messages that were not read yet.
    pub unread: u64,
    /// Of the newest thousand messages, those that were not sent and will not be; `read` says why.
    #[serde(default)]
    pub failed: u64,
    /// Letters that were not taken in, by reason: a server that repeats or changes letters shows here.
    pub refused: crate::store::Refused,
    /// Secure sessions that this device or another one had lost and began anew: once after a store was put back, never by itself.
    #[serde(default)]
    pub resets: u64,
    /// Communities whose server was caught lying, by their names: nothing is sealed for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_believed: Vec<String>,
    /// Communities that this user is leaving, whose hubs have not been told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<LeaveLine>,
    /// `alice@nest.example`.
    pub name: String,
    /// The home's name.
    pub server: String,
    /// Where it listens.
    pub address: String,
    /// Its pinned fingerprint; absent where its certificate counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// `certified`, `uncertified` or `ended`.
    pub state: String,
    /// This device's id.
    pub device: String,
    /// How many devices the user has.
    pub devices: u32,
    /// The agent's version.
    pub software: String,
}

impl Verb for Status {
    const METHOD: &'static str = "status";
    const ABOUT: &'static str = "Says how the connection, the queue and the devices stand.";
    type Reply = StatusLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<StatusLine, CommandError> {
        call.engine.status().await
    }
}

/// Asks for the sessions.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its id.
    pub id: String,
    /// Of which device.
    pub device: String,
    /// Since when.
    pub created: String,
    /// When it was last used.
    pub last_seen: String,
    /// Whether it is this one.
    pub current: bool,
}

impl Verb for SessionList {
    const METHOD: &'static str = "session.list";
    const ABOUT: &'static str = "Lists the sessions of this user, newest first.";
    type Reply = Vec<SessionLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Vec<SessionLine>, CommandError> {
        call.engine.list_sessions().await
    }
}

/// Ends a session.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// Which.
    pub id: String,
}

impl Verb for SessionEnd {
    const METHOD: &'static str = "session.end";
    const ABOUT: &'static str = "Ends a session; its connections close within a second.";
    type Reply = Nothing;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        call.engine.end_session(&self.id).await?;
        Ok(Nothing {})
    }
}

/// Changes the password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountPassword {
    /// The one until now.
    pub old: String,
    /// The one from now on.
    pub new: String,
}

impl Verb for AccountPassword {
    const METHOD: &'static str = "account.password";
    const ABOUT: &'static str = "Changes the password; all other sessions end.";
    type Reply = Nothing;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        call.engine.change_password(&self.old, &self.new).await?;
        Ok(Nothing {})
    }
}

/// Closes the account for good.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountDelete {
    /// The password.
    pub password: String,
    /// The recovery key, where this is not the oldest device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_key: Option<String>,
}

impl Verb for AccountDelete {
    const METHOD: &'static str = "account.delete";
    const ABOUT: &'static str = "Closes the account for good; its name stays reserved.";
    type Reply = Nothing;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        let recovery = self.recovery_key.as_deref().map(parse_recovery_key).transpose()?;
        call.engine.close_account(&self.password, recovery.as_ref()).await?;
        Ok(Nothing {})
    }
}

/// Reads a recovery key that somebody typed.
pub(crate) fn parse_recovery_key(text: &str) -> Result<RecoveryKey, CommandError> {
    RecoveryKey::parse(text).map_err(|error| CommandError::of(Kind::Usage, &error))
}

/// Who may write.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum WritersWord {
    /// Everybody; strangers' messages are marked as requests.
    Everyone,
    /// People who share a community with this user, and contacts.
    CoMembers,
    /// Accepted contacts.
    Contacts,
}

/// Reads the settings, and changes those that are named.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// Who may write to you.
    #[arg(long, value_enum)]
    pub writers: Option<WritersWord>,
    /// Whether contacts are told about your presence.
    #[arg(long)]
    pub presence: Option<bool>,
    /// Whether you may be suggested to others.
    #[arg(long)]
    pub suggest: Option<bool>,
    /// Whether contacts are told what you have read (on this device).
    #[arg(long)]
    pub read_receipts: Option<bool>,
    /// Whether messages are archived for your other devices (by this device).
    #[arg(long)]
    pub archive: Option<bool>,
}

/// The settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, by name in JSON")]
pub struct SettingsLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Who may write.
    pub writers: WritersWord,
    /// Whether contacts are told about presence.
    pub presence: bool,
    /// Whether this user may be suggested to others.
    pub suggest: bool,
    /// Whether contacts are told what was read.
    pub read_receipts: bool,
    /// Whether messages are archived for the user's other devices.
    pub archive: bool,
}

impl Verb for AccountSettings {
    const METHOD: &'static str = "account.settings";
    const ABOUT: &'static str = "Reads the settings, and changes those that are named.";
    type Reply = SettingsLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<SettingsLine, CommandError> {
        call.engine
            .settings(self.writers, self.presence, self.suggest, self.read_receipts, self.archive)
            .await
    }
}

/// Signs this device out.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Logout {}

impl Verb for Logout {
    const METHOD: &'static str = "logout";
    const ABOUT: &'static str = "Signs this device out: it is revoked, and its session ends.";
    type Reply = Nothing;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Nothing, CommandError> {
        call.engine.sign_out().await?;
        Ok(Nothing {})
    }
}

/// Shows settings that a user's devices share, or changes one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Of which conversation: `@bob`, `club#general`, `+weekend`; of the account when absent.
    pub of: Option<String>,
    /// Which; all when absent.
    pub name: Option<String>,
    /// What it is to be; an empty word for what it is by itself.
    pub value: Option<String>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub value: String,
    /// Of which conversation, if of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What it can be, where that is a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl Verb for Settings {
    const METHOD: &'static str = "settings";
    const ABOUT: &'static str =
        "Shows or changes what a user's devices share: settings, mutes, drafts.";
    type Reply = Vec<SettingLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        let of = self.of.as_deref();
        match &self.name {
            None => call.engine.shared_settings(of).await,
            Some(name) => {
                Ok(vec![call.engine.shared_setting(of, name, self.value.as_deref()).await?])
            }
        }
    }
}
