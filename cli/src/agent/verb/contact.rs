//! Contacts and their verification.

use rookery_protocol::request::contact::ContactChange as Change;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Nothing, Verb};
use crate::error::CommandError;

/// Asks for the contacts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ContactList {}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `bob@nest.example`.
    pub name: String,
    /// `asked`, `asking`, `accepted`, `blocked`, `stranger` or `known`.
    pub state: String,
    /// `verified`, `unverified` or `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// Since when they stand so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The user id, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What they call themself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl Verb for ContactList {
    const METHOD: &'static str = "contact.list";
    const ABOUT: &'static str = "Lists the contacts, and who has asked or written.";
    type Reply = Vec<ContactLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Vec<ContactLine>, CommandError> {
        call.engine.list_contacts().await
    }
}

/// What to do about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContactAct {
    /// Ask them.
    Add,
    /// Agree.
    Accept,
    /// Turn them down; they are not told.
    Decline,
    /// Hear nothing of them any more; they are not told.
    Block,
    /// Undo that.
    Unblock,
    /// End the contact, or withdraw a request.
    Remove,
}

/// Changes how one stands to somebody.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactChange {
    /// Whom.
    pub who: String,
    /// What.
    pub act: ContactAct,
}

impl Verb for ContactChange {
    const METHOD: &'static str = "contact.change";
    const ABOUT: &'static str =
        "Asks somebody to be a contact, or accepts, declines, blocks, unblocks or removes them.";
    type Reply = ContactLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<ContactLine, CommandError> {
        let change = match self.act {
            ContactAct::Add => return call.engine.add_contact(&self.who).await,
            ContactAct::Accept => Change::Accept,
            ContactAct::Decline => Change::Decline,
            ContactAct::Block => Change::Block,
            ContactAct::Unblock => Change::Unblock,
            ContactAct::Remove => Change::Remove,
        };
        call.engine.change_contact(&self.who, change).await
    }
}

/// Shows the number that two people compare, or writes down what came of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// With whom.
    pub who: String,
    /// Whether the numbers were the same; nothing is changed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<bool>,
}

/// The number and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyLine {
    /// The version of this object: 1.
    pub v: u32,
    /// With whom.
    pub name: String,
    /// Sixty digits in twelve groups, the same on both sides.
    pub safety_number: String,
    /// `verified`, `unverified` or `changed`.
    pub trust: String,
    /// When it was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
}

impl Verb for Verify {
    const METHOD: &'static str = "verify";
    const ABOUT: &'static str = "Shows the safety number with somebody, and writes down whether it was the same on their side.";
    type Reply = VerifyLine;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<VerifyLine, CommandError> {
        call.engine.verify(&self.who, self.same).await
    }
}

/// Asks for people whom this user may know.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ContactSuggest {}

/// Somebody whom this user may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuggestionLine {
    /// The version of this object: 1.
    pub v: u32,
    /// `bob@nest.example`.
    pub name: String,
    /// How many communities the two share.
    pub communities: u32,
    /// How many contacts they share.
    pub contacts: u32,
}

impl Verb for ContactSuggest {
    const METHOD: &'static str = "contact.suggest";
    const ABOUT: &'static str =
        "Lists people who share communities or contacts with this user, and let it be said.";
    type Reply = Vec<SuggestionLine>;
    type Event = Nothing;

    async fn run(self, call: Call) -> Result<Self::Reply, CommandError> {
        call.engine.suggest_contacts().await
    }
}
