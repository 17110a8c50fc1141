//! Settings, mutes and drafts: the common state of a user's devices, by name.

use std::time::Duration;

use rookery_protocol::{
    id::{ChainId, ChannelId, CommunityId, ItemId, UserId},
    time::Timestamp,
};

use super::{Engine, is_room};
use crate::{
    agent::verb::{SettingLine, rfc3339},
    args::Span,
    e2ee::{journal_state::Change, payload::Stay},
    error::{CommandError, Kind},
};

/// A setting that there is: its name, what it can be (anything when empty), and what it is by itself.
struct Known {
    name: &'static str,
    values: &'static [&'static str],
    default: &'static str,
}

/// Settings of the account.
const ACCOUNT: [Known; 10] = [
    Known { name: "notifications", values: &["all", "mentions", "none"], default: "mentions" },
    Known { name: "theme", values: &["dark", "light", "high-contrast", "none"], default: "dark" },
    Known { name: "keys", values: &["plain", "vim"], default: "plain" },
    Known { name: "typing", values: &["shown", "hidden"], default: "shown" },
    Known { name: "glyphs", values: &["auto", "unicode", "ascii"], default: "auto" },
    Known { name: "ambiguous", values: &["narrow", "wide"], default: "narrow" },
    Known { name: "emoji", values: &["pictures", "names"], default: "pictures" },
    Known { name: "links", values: &["auto", "on", "off"], default: "auto" },
    Known { name: "events", values: &["shown", "hidden"], default: "shown" },
    Known { name: "notices", values: &["full", "bare"], default: "full" },
];
/// Settings of one conversation.
const CONVERSATION: [Known; 4] = [
    Known { name: "notifications", values: &["all", "mentions", "none"], default: "" },
    Known { name: "mute", values: &[], default: "off" },
    Known { name: "expire", values: &[], default: "off" },
    Known { name: "draft", values: &[], default: "" },
];
/// A mute without an end.
const FOR_EVER: Timestamp = Timestamp::from_millis(u64::MAX >> 12);

/// What a setting is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Account,
    Person(UserId),
    Room(CommunityId, ChannelId),
}

impl Engine {
    /// All settings of the account, or of one conversation.
    pub(crate) async fn shared_settings(
        &self,
        target: Option<&str>,
    ) -> Result<Vec<SettingLine>, CommandError> {
        let of = self.setting_of(target).await?;
        let table: &[Known] = if of == Of::Account { &ACCOUNT } else { &CONVERSATION };
        table.iter().map(|known| Ok(self.setting_line(of, target, known))).collect()
    }

    /// One setting, after it was changed to `value` if there is one. `draft/ID` of a room is what is written to the thread of that message.
    pub(crate) async fn shared_setting(
        &self,
        target: Option<&str>,
        name: &str,
        value: Option<&str>,
    ) -> Result<SettingLine, CommandError> {
        let of = self.setting_of(target).await?;
        if let (Of::Room(..), Some(thread)) = (of, name.strip_prefix("draft/")) {
            return self.thread_draft(of, target, thread, value).await;
        }
        let table: &[Known] = if of == Of::Account { &ACCOUNT } else { &CONVERSATION };
        let known = table.iter().find(|known| known.name == name).ok_or_else(|| {
            let names: Vec<&str> = table.iter().map(|known| known.name).collect();
            CommandError::new(Kind::Usage, format!("there is no setting {name:?}"))
                .hint(format!("there are {}", names.join(", ")))
        })?;
        if let Some(value) = value {
            self.change_setting(self.setting_change(of, known, value)?).await?;
        }
        Ok(self.setting_line(of, target, known))
    }

    async fn change_setting(&self, change: Change) -> Result<(), CommandError> {
        let mut unit = self.store.write().await?;
        self.change_common(&mut unit, change).await?;
        unit.commit().await?;
        self.timeline_changed();
        self.chores_wake.notify_one();
        Ok(())
    }

    /// What is written to a thread and not sent.
    async fn thread_draft(
        &self,
        of: Of,
        target: Option<&str>,
        thread: &str,
        value: Option<&str>,
    ) -> Result<SettingLine, CommandError> {
        let thread: ItemId = thread.parse().map_err(|_| {
            CommandError::new(Kind::Usage, format!("{thread:?} is no message's id"))
        })?;
        let slot = format!("{}/{thread}", slot_name(of, "draft"));
        if let Some(value) = value {
            let change = Change::Setting { name: slot.clone(), value: value.to_owned() };
            self.change_setting(change).await?;
        }
        let journal = self.journal();
        Ok(SettingLine {
            v: 1,
            name: format!("draft/{thread}"),
            value: journal.setting(&slot).unwrap_or_default().to_owned(),
            of: target.map(str::to_owned),
            values: vec![],
        })
    }

    /// For how long what this user writes to somebody is to stay.
    pub(super) fn stay_with(&self, peer: UserId) -> Option<Stay> {
        self.stay_of(Of::Person(peer))
    }

    /// For how long what this user writes in a channel is to stay.
    pub(super) fn stay_in(&self, community: CommunityId, channel: ChannelId) -> Option<Stay> {
        self.stay_of(Of::Room(community, channel))
    }

    fn stay_of(&self, of: Of) -> Option<Stay> {
        let Span(time) = self.journal().setting(&slot_name(of, "expire"))?.parse().ok()?;
        Stay::of(time)
    }

    async fn setting_of(&self, target: Option<&str>) -> Result<Of, CommandError> {
        Ok(match target {
            None => Of::Account,
            Some(target) if is_room(target) => {
                let room = self.known_room(target).await?;
                Of::Room(room.community, room.channel)
            }
            Some(target) => Of::Person(self.person_named(target).await?.user),
        })
    }

    fn setting_change(&self, of: Of, known: &Known, value: &str) -> Result<Change, CommandError> {
        match (known.name, of) {
            ("mute", _) => {
                let until = self.mute_until(value)?;
                Ok(match of {
                    Of::Room(community, channel) => {
                        Change::ChannelMute { community, channel, until }
                    }
                    Of::Person(peer) => Change::Mute { peer, until },
                    Of::Account => {
                        Change::Setting { name: known.name.to_owned(), value: value.to_owned() }
                    }
                })
            }
            ("expire", _) => {
                let value = if value.is_empty() { "off" } else { value };
                let stay = value.parse::<Span>().ok().and_then(|Span(time)| Stay::of(time));
                if value != "off" && stay.is_none() {
                    let what = "expire is off, or a time from 1s to 366d such as 8h";
                    return Err(CommandError::new(Kind::Usage, what));
                }
                Ok(Change::Setting { name: slot_name(of, known.name), value: value.to_owned() })
            }
            ("draft", Of::Room(community, channel)) => {
                Ok(Change::ChannelDraft { community, channel, text: value.to_owned() })
            }
            ("draft", Of::Person(peer)) => Ok(Change::Draft { peer, text: value.to_owned() }),
            _ => {
                let is_fine = value.is_empty() || known.values.contains(&value);
                if !is_fine {
                    return Err(CommandError::new(
                        Kind::Usage,
                        format!("{} is one of {}", known.name, known.values.join(", ")),
                    ));
                }
                Ok(Change::Setting { name: slot_name(of, known.name), value: value.to_owned() })
            }
        }
    }

    fn mute_until(&self, value: &str) -> Result<Option<Timestamp>, CommandError> {
        match value {
            "off" | "" => Ok(None),
            "on" => Ok(Some(FOR_EVER)),
            span => {
                let Span(span) = span.parse().map_err(|_| {
                    CommandError::new(Kind::Usage, "mute is on, off, or a time such as 8h")
                })?;
                Ok(Some(self.now().plus(span.max(Duration::from_secs(1)))))
            }
        }
    }

    fn setting_line(&self, of: Of, target: Option<&str>, known: &Known) -> SettingLine {
        let journal = self.journal();
        let value = match (known.name, of) {
            ("mute", Of::Room(community, channel)) => {
                mute_word(journal.channel_muted_until(community, channel), self.now())
            }
            ("mute", Of::Person(peer)) => mute_word(journal.muted_until(peer), self.now()),
            ("draft", Of::Room(community, channel)) => {
                journal.channel_draft(community, channel).unwrap_or_default().to_owned()
            }
            ("draft", Of::Person(peer)) => journal.draft(peer).unwrap_or_default().to_owned(),
            _ => {
                let own = journal.setting(&slot_name(of, known.name));
                let own = own.or_else(|| journal.setting(known.name)).unwrap_or(known.default);
                let by_itself = ACCOUNT.iter().find(|account| account.name == known.name);
                let fallback = by_itself.map_or("", |account| account.default);
                if own.is_empty() { fallback.to_owned() } else { own.to_owned() }
            }
        };
        SettingLine {
            v: 1,
            name: known.name.to_owned(),
            value,
            of: target.map(str::to_owned),
            values: known.values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }
}

fn mute_word(until: Option<Timestamp>, now: Timestamp) -> String {
    match until {
        Some(FOR_EVER) => "on".to_owned(),
        Some(until) if until > now => rfc3339(until),
        _ => "off".to_owned(),
    }
}

/// The name under which a setting is kept: conversations' with the conversation in it.
fn slot_name(of: Of, name: &str) -> String {
    match of {
        Of::Account => name.to_owned(),
        Of::Person(user) => format!("{name}/{user}"),
        Of::Room(community, channel) => {
            format!("{name}/{}", ChainId::of_channel(community, channel))
        }
    }
}
