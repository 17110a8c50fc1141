//! The verb table: for each method its parameters, its result, its events and its handler, defined once.
//!
//! Commands ask verbs through [`super::Agent`], bots over the socket, and `rookery schema` prints the table. A verb's type is its
//! parameters; the handler is [`Verb::run`].

mod account;
mod channel;
mod community;
mod contact;
mod device;
mod file;
mod keys;
mod log;
mod member;
mod message;
mod peer;
mod profile;
mod read;
mod room;
mod rooms;
mod search;

use std::{collections::BTreeMap, pin::Pin, sync::Arc, sync::LazyLock};

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::mpsc;

pub(crate) use account::parse_recovery_key;
pub use account::{
    AccountDelete, AccountPassword, AccountSettings, Connection, Logout, SessionEnd, SessionLine,
    SessionList, SettingLine, Settings, SettingsLine, Status, StatusLine, Whoami, WhoamiLine,
    WritersWord,
};
pub use channel::{
    ChannelCreate, ChannelEdit, ChannelGrant, ChannelLine, ChannelList, ChannelWord, GrantWord,
};
pub use community::{
    Changed, CommunityCreate, CommunityDetail, CommunityEdit, CommunityInvite, CommunityJoin,
    CommunityLeave, CommunityLine, CommunityList, CommunityMove, CommunityShow, HistoryWord,
    InviteLine, LeaveLine, MoveEvent, PolicyWord,
};
pub use contact::{
    ContactAct, ContactChange, ContactLine, ContactList, ContactSuggest, SuggestionLine, Verify,
    VerifyLine,
};
pub use device::{
    DeviceLine, DeviceLink, DeviceLinked, DeviceList, DeviceRename, DeviceRevoke, LinkEvent,
    RecoveryCreate, RecoveryCreated,
};
pub use file::{FileEvent, FileGet, FileLine, SavedLine, percent};
pub use keys::{KeysLine, KeysShow, LockLine, StoreLock};
pub use log::{CommunityLog, CommunityVerify, ForkLine, LogLine, VerifiedLine};
pub use member::{
    MemberAct, MemberChangeOrder, MemberLine, MemberList, RoleChange, RoleLine, RoleList,
};
pub use message::{MessageLine, Send, SendLine, Until};
pub use peer::{PeerLine, PeerList, PeerTrust};
pub use profile::{
    PresenceLine, PresenceSet, PresenceShow, PresenceWord, ProfileLine, ProfileSet, ProfileShow,
};
pub use read::{Read, ReadLines, Tail};
pub use room::{
    AboutLine, ErasedLine, MarkRead, MarkUnread, MessageAct, MessageChange, Report, ReportLine,
    RoomLine, RoomRetry, Thread, Typing, TypingLine,
};
pub use rooms::{Conversation, RoomKind, Rooms, StandingLine, Watch, WatchEvent};
pub use search::{Search, SearchLines};

use super::VERSION;
use crate::{
    engine::Engine,
    error::{CommandError, Kind},
};

/// A method of the agent. The type is its parameters.
pub trait Verb: Serialize + DeserializeOwned + JsonSchema + std::marker::Send + 'static {
    /// The name, such as `contact.list`.
    const METHOD: &'static str;
    /// What it does, in a sentence.
    const ABOUT: &'static str;
    /// Whether it goes on until its caller goes away.
    const IS_ENDLESS: bool = false;
    /// What comes back.
    type Reply: Serialize + DeserializeOwned + JsonSchema + std::marker::Send + 'static;
    /// What comes before that.
    type Event: Serialize + DeserializeOwned + JsonSchema + std::marker::Send + 'static;

    /// Does it.
    fn run(
        self,
        call: Call,
    ) -> impl Future<Output = Result<Self::Reply, CommandError>> + std::marker::Send;
}

/// What a handler is given beside its parameters.
#[derive(Debug)]
pub struct Call {
    /// The profile's engine.
    pub engine: Arc<Engine>,
    events: mpsc::Sender<Value>,
}

impl Call {
    /// A call of `engine` whose events go to `events`.
    #[must_use]
    pub fn new(engine: Arc<Engine>, events: mpsc::Sender<Value>) -> Self {
        Self { engine, events }
    }

    /// Sends an event; waits while the caller is slow. Says whether there still is a caller.
    pub async fn event(&self, event: &impl Serialize) -> Result<(), CommandError> {
        let value =
            serde_json::to_value(event).map_err(|error| CommandError::of(Kind::Failed, &error))?;
        self.events
            .send(value)
            .await
            .map_err(|_| CommandError::new(Kind::Failed, "the caller is gone"))
    }
}

type Run = fn(
    Value,
    Call,
) -> Pin<Box<dyn Future<Output = Result<Value, CommandError>> + std::marker::Send>>;

/// A row of the table.
pub struct Entry {
    /// The method's name.
    pub method: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it goes on until its caller goes away.
    pub is_endless: bool,
    /// Reads parameters, runs, writes the result.
    pub run: Run,
    schemas: fn() -> [Schema; 3],
}

impl Entry {
    fn of<V: Verb>() -> Self {
        Self {
            method: V::METHOD,
            about: V::ABOUT,
            is_endless: V::IS_ENDLESS,
            run: |params, call| {
                Box::pin(async move {
                    let params = if params.is_null() {
                        Value::Object(serde_json::Map::new())
                    } else {
                        params
                    };
                    let verb: V = serde_json::from_value(params).map_err(|error| {
                        CommandError::new(
                            Kind::Usage,
                            format!("the parameters of {} do not fit: {error}", V::METHOD),
                        )
                    })?;
                    let reply = verb.run(call).await?;
                    serde_json::to_value(reply)
                        .map_err(|error| CommandError::of(Kind::Failed, &error))
                })
            },
            schemas: || [schema_for!(V), schema_for!(V::Reply), schema_for!(V::Event)],
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Entry").field("method", &self.method).finish_non_exhaustive()
    }
}

/// All verbs.
#[must_use]
pub fn table() -> &'static [Entry] {
    static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        vec![
            Entry::of::<Hello>(),
            Entry::of::<Whoami>(),
            Entry::of::<Status>(),
            Entry::of::<Send>(),
            Entry::of::<Read>(),
            Entry::of::<Tail>(),
            Entry::of::<Thread>(),
            Entry::of::<Rooms>(),
            Entry::of::<Watch>(),
            Entry::of::<Search>(),
            Entry::of::<MarkRead>(),
            Entry::of::<MarkUnread>(),
            Entry::of::<RoomRetry>(),
            Entry::of::<Typing>(),
            Entry::of::<ContactSuggest>(),
            Entry::of::<Settings>(),
            Entry::of::<MessageChange>(),
            Entry::of::<Report>(),
            Entry::of::<FileGet>(),
            Entry::of::<CommunityList>(),
            Entry::of::<CommunityShow>(),
            Entry::of::<CommunityCreate>(),
            Entry::of::<CommunityJoin>(),
            Entry::of::<CommunityLeave>(),
            Entry::of::<CommunityMove>(),
            Entry::of::<CommunityInvite>(),
            Entry::of::<CommunityEdit>(),
            Entry::of::<CommunityLog>(),
            Entry::of::<CommunityVerify>(),
            Entry::of::<MemberList>(),
            Entry::of::<MemberChangeOrder>(),
            Entry::of::<RoleList>(),
            Entry::of::<RoleChange>(),
            Entry::of::<ChannelList>(),
            Entry::of::<ChannelCreate>(),
            Entry::of::<ChannelEdit>(),
            Entry::of::<ChannelGrant>(),
            Entry::of::<ContactList>(),
            Entry::of::<ContactChange>(),
            Entry::of::<Verify>(),
            Entry::of::<PeerList>(),
            Entry::of::<PeerTrust>(),
            Entry::of::<DeviceList>(),
            Entry::of::<DeviceLink>(),
            Entry::of::<DeviceRevoke>(),
            Entry::of::<DeviceRename>(),
            Entry::of::<RecoveryCreate>(),
            Entry::of::<KeysShow>(),
            Entry::of::<StoreLock>(),
            Entry::of::<SessionList>(),
            Entry::of::<SessionEnd>(),
            Entry::of::<ProfileShow>(),
            Entry::of::<ProfileSet>(),
            Entry::of::<PresenceShow>(),
            Entry::of::<PresenceSet>(),
            Entry::of::<AccountPassword>(),
            Entry::of::<AccountSettings>(),
            Entry::of::<AccountDelete>(),
            Entry::of::<Logout>(),
        ]
    });
    &TABLE
}

/// The table as `rookery schema` prints it: JSON Schema for the parameters, the result and the events of each method.
#[must_use]
pub fn schema() -> Value {
    let methods: BTreeMap<&str, Value> = table()
        .iter()
        .map(|entry| {
            let [params, result, event] = (entry.schemas)();
            (entry.method, serde_json::json!({ "about": entry.about, "params": params, "result": result, "event": event }))
        })
        .collect();
    serde_json::json!({ "v": VERSION, "protocol": "JSON-RPC 2.0, one object a line", "methods": methods })
}

/// The first call of every caller: are we of one language?
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The caller's version of the table.
    pub version: u32,
}

/// What the agent is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HelloReply {
    /// The agent's version of the table.
    pub version: u32,
    /// The agent's version of the program.
    pub software: String,
}

/// Nothing: for verbs that have no events or no result.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}

impl Verb for Hello {
    const METHOD: &'static str = "hello";
    const ABOUT: &'static str = "Says which version of the table the agent speaks.";
    type Reply = HelloReply;
    type Event = Nothing;

    async fn run(self, _: Call) -> Result<HelloReply, CommandError> {
        Ok(HelloReply { version: VERSION, software: env!("CARGO_PKG_VERSION").to_owned() })
    }
}

/// Milliseconds since 1970 as RFC 3339 with milliseconds, in UTC.
#[must_use]
pub fn rfc3339(at: rookery_protocol::time::Timestamp) -> String {
    let milliseconds = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_method_stands_twice_and_each_says_what_it_does() {
        let mut methods: Vec<_> = table().iter().map(|entry| entry.method).collect();
        let count = methods.len();
        methods.sort_unstable();
        methods.dedup();
        assert_eq!(methods.len(), count);
        assert!(table().iter().all(|entry| entry.about.ends_with('.')));
    }

    #[test]
    fn the_schema_names_every_key_of_a_message() {
        let schema = schema();
        let text = schema["methods"]["tail"]["event"]["properties"].to_string();
        for key in ["v", "id", "from", "with", "at", "text", "state", "cursor"] {
            assert!(text.contains(&format!("\"{key}\"")), "{key}");
        }
    }

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        let at = rookery_protocol::time::Timestamp::from_millis(1_790_000_000_007);
        assert_eq!(rfc3339(at), "2026-09-21T14:13:20.007Z");
    }
}
