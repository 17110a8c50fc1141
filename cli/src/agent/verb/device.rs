//! Devices and the recovery key.

use rookery_protocol::user::RevokeReason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb, account::parse_recovery_key, rfc3339};
use crate::error::CommandError;

/// Asks for the devices.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DeviceList {}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceLine {
    /// The version of this object: 1.
    pub v: u32,
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whether it is this one.
    pub this: bool,
    /// Whether a program is behind it.
    pub bot: bool,
    /// Its place in the account's chain: the lower, the more senior.
    pub added: u64,
    /// When it was last connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// How many letters wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
}

impl Verb for DeviceList {
    const METHOD: &'static str = "device.list";
    const ABOUT: &'static str = "Lists this user's devices, oldest first.";
    type Reply = Vec<DeviceLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Vec<DeviceLine>, CommandError> {
        call.engine.list_devices().await
    }
}

/// Links another device: shows a code, waits for the new device to type it, and adds it once its person has said yes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceLink {
    /// Say yes at once.
    pub yes: bool,
    /// Let it read nothing of what came before.
    pub no_history: bool,
    /// The answer to an introduction that was given before, instead of a new code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<bool>,
}

/// What happens while a device is linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkEvent {
    /// The version of this object: 1.
    pub v: u32,
    /// What to type on the new device.
    pub code: String,
    /// Until when.
    pub expires: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceLinked {
    /// The version of this object: 1.
    pub v: u32,
    /// `linked`, `refused`, or `introduced` while it waits for an answer.
    pub state: String,
    /// The new device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

impl Verb for DeviceLink {
    const METHOD: &'static str = "device.link";
    const ABOUT: &'static str = "Links another device: tells a code, waits for it, and adds the device once that was agreed to.";
    type Reply = DeviceLinked;
    type Event = LinkEvent;

    async fn run(self, call: Call) -> Result<DeviceLinked, CommandError> {
        let line = |state: &str, device: Option<String>| DeviceLinked {
            v: 1,
            state: state.to_owned(),
            device,
            name: None,
            platform: None,
        };
        match self.answer {
            Some(true) => {
                let device = call.engine.accept_link(!self.no_history).await?;
                return Ok(line("linked", Some(device.to_string())));
            }
            Some(false) => {
                call.engine.refuse_link().await?;
                return Ok(line("refused", None));
            }
            None => {}
        }
        let show = |code: String, expires| {
            let event = LinkEvent { v: 1, code, expires: rfc3339(expires) };
            let call = &call;
            async move { call.event(&event).await }
        };
        let introduction = call.engine.open_link(show).await?;
        let state = if self.yes {
            call.engine.accept_link(!self.no_history).await?;
            "linked"
        } else {
            "introduced"
        };
        Ok(DeviceLinked {
            name: Some(introduction.name),
            platform: Some(introduction.platform),
            ..line(state, Some(introduction.device.to_string()))
        })
    }
}

/// Revokes a device.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceRevoke {
    /// Which: its id, the beginning of it, or its name.
    pub device: String,
    /// Whether somebody else has it: what it sent and nobody has taken in is dropped, too.
    #[serde(default)]
    pub stolen: bool,
    /// The recovery key, for a device that is older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_key: Option<String>,
}

impl Verb for DeviceRevoke {
    const METHOD: &'static str = "device.revoke";
    const ABOUT: &'static str = "Revokes a device: nothing is sealed for it any more.";
    type Reply = DeviceLinked;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<DeviceLinked, CommandError> {
        let recovery = self.recovery_key.as_deref().map(parse_recovery_key).transpose()?;
        let reason = if self.stolen { RevokeReason::Stolen } else { RevokeReason::Retired };
        let device = call.engine.revoke_device(&self.device, reason, recovery.as_ref()).await?;
        Ok(DeviceLinked {
            v: 1,
            state: "revoked".to_owned(),
            device: Some(device),
            name: None,
            platform: None,
        })
    }
}

/// Gives a device another name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceRename {
    /// Which.
    pub device: String,
    /// The name.
    pub name: String,
}

impl Verb for DeviceRename {
    const METHOD: &'static str = "device.rename";
    const ABOUT: &'static str =
        "Gives a device another name, which only this user's devices can read.";
    type Reply = DeviceLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<DeviceLine, CommandError> {
        call.engine.rename_device(&self.device, &self.name).await
    }
}

/// Replaces the recovery key.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCreate {
    /// The one in force, where this device alone may not replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The new one, which its person keeps before it is in force.
    pub new: String,
}

/// It is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCreated {
    /// The version of this object: 1.
    pub v: u32,
    /// `replaced`.
    pub state: String,
}

impl Verb for RecoveryCreate {
    const METHOD: &'static str = "recovery.create";
    const ABOUT: &'static str = "Replaces the recovery key by a new one.";
    type Reply = RecoveryCreated;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<RecoveryCreated, CommandError> {
        let old = self.old.as_deref().map(parse_recovery_key).transpose()?;
        let new = parse_recovery_key(&self.new)?;
        call.engine.replace_recovery(old.as_ref(), &new).await?;
        Ok(RecoveryCreated { v: 1, state: "replaced".to_owned() })
    }
}
