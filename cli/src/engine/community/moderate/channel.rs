//! Channels, and who may read and do what in them.

use rookery_protocol::{
    community::{
        Action, AudienceRule, AudienceSet, ChannelKind, ChannelSet, EpochReason, History,
        OverwriteSet, Permissions, State, Subject,
    },
    id::{AudienceId, ChannelId, RoleId, UserId},
};

use super::super::{super::Engine, act::check_name, book::Book, draft::Draft};
use crate::{
    e2ee::epoch::TextOf,
    error::{CommandError, Kind},
};

/// A channel as somebody wants it: what is absent stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelOrder {
    pub(crate) name: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) position: Option<u32>,
    pub(crate) slow_mode_s: Option<u32>,
    pub(crate) is_archived: Option<bool>,
}

/// A channel that somebody wants to make.
#[derive(Clone, Debug)]
pub(crate) struct NewChannel {
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) kind: ChannelKind,
    /// Who may read it, beside the owner and its maker; all members when absent.
    pub(crate) private: Option<(Vec<String>, Vec<String>)>,
    pub(crate) history: History,
    pub(crate) slow_mode_s: u32,
}

/// Whom something in a channel is for.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    Role(String),
    User(String),
}

/// What somebody is allowed or denied in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// To read a private channel, or not any more.
    Read(bool),
    /// More and less than their roles say.
    Permissions { allow: Permissions, deny: Permissions, clear: Permissions },
}

impl Engine {
    /// Makes a channel.
    pub(crate) async fn create_channel(
        &self,
        community: &str,
        order: NewChannel,
    ) -> Result<(), CommandError> {
        let book = self.community_named(community).await?;
        check_name(&order.name)?;
        if self.channel_named(&book, &order.name).await.is_ok() {
            return Err(CommandError::new(
                Kind::Usage,
                format!("there is a channel {:?} already", order.name),
            ));
        }
        let rule = match &order.private {
            Some((roles, users)) => Some(self.rule_of(&book, roles, users).await?),
            None => None,
        };
        self.state_to(book.row.community, |draft| {
            let state = draft.state()?;
            let channel = ChannelId::from_number(state.next_channel);
            let position = state.channels.values().map(|channel| channel.position).max();
            let position = position.unwrap_or(0).saturating_add(1);
            let audience = match &rule {
                None => AudienceId::MEMBERS,
                Some(rule) => {
                    let audience = AudienceId::from_number(state.next_audience);
                    draft.say_first(Action::AudienceSet(AudienceSet {
                        audience,
                        rule: Some(rule.clone()),
                        history: order.history,
                    }))?;
                    draft.rotate(audience, EpochReason::Begin)?;
                    audience
                }
            };
            let name = draft.seal(audience, TextOf::ChannelName(channel), &order.name)?;
            let topic = order
                .topic
                .as_ref()
                .map(|topic| draft.seal(audience, TextOf::ChannelTopic(channel), topic))
                .transpose()?;
            draft.say(Action::ChannelSet(ChannelSet {
                channel,
                kind: order.kind,
                audience,
                position,
                slow_mode_s: order.slow_mode_s,
                is_archived: false,
                name,
                topic,
            }))
        })
        .await?;
        self.owe_community(book.row.community);
        Ok(())
    }

    /// Who may read a private channel: its maker among them.
    async fn rule_of(
        &self,
        book: &Book,
        roles: &[String],
        users: &[String],
    ) -> Result<AudienceRule, CommandError> {
        let mut rule = AudienceRule { roles: vec![], users: vec![self.user] };
        for role in roles {
            rule.roles.push(self.role_named(book, role).await?);
        }
        for user in users {
            rule.users.push(self.member_named(book, user).await?);
        }
        rule.roles.sort_unstable();
        rule.roles.dedup();
        rule.users.sort_unstable();
        rule.users.dedup();
        Ok(rule)
    }

    /// Changes a channel.
    pub(crate) async fn edit_channel(
        &self,
        target: &str,
        order: ChannelOrder,
    ) -> Result<(), CommandError> {
        let room = self.room_named(target).await?;
        if let Some(name) = &order.name {
            check_name(name)?;
        }
        self.state_to(room.community, |draft| {
            let known = draft.state()?.channels.get(&room.channel).cloned();
            let known = known.ok_or_else(|| {
                CommandError::new(Kind::NotFound, format!("there is no channel {}", room.name))
            })?;
            let seal = |what, text: &Option<String>| {
                text.as_ref().map(|text| draft.seal(known.audience, what, text)).transpose()
            };
            let name = seal(TextOf::ChannelName(room.channel), &order.name)?.unwrap_or(known.name);
            let topic = seal(TextOf::ChannelTopic(room.channel), &order.topic)?.or(known.topic);
            draft.say(Action::ChannelSet(ChannelSet {
                channel: room.channel,
                kind: known.kind,
                audience: known.audience,
                position: order.position.unwrap_or(known.position),
                slow_mode_s: order.slow_mode_s.unwrap_or(known.slow_mode_s),
                is_archived: order.is_archived.unwrap_or(known.is_archived),
                name,
                topic,
            }))
        })
        .await
    }

    /// Ends a channel, and with the last one for an audience the audience: a community has a bounded number of them.
    pub(crate) async fn delete_channel(&self, target: &str) -> Result<(), CommandError> {
        let room = self.room_named(target).await?;
        let channel = room.channel;
        self.state_to(room.community, |draft| {
            let (audience, _) = audience_of(draft.state()?, channel)?;
            draft.say(Action::ChannelDelete { channel })?;
            let is_needed = audience == AudienceId::MEMBERS
                || draft.state()?.channels.values().any(|other| other.audience == audience);
            if is_needed { Ok(()) } else { draft.say(Action::AudienceDelete { audience }) }
        })
        .await
    }

    /// Sets what those who come later can read of a channel's audience.
    pub(crate) async fn set_history(
        &self,
        target: &str,
        history: History,
    ) -> Result<(), CommandError> {
        let room = self.room_named(target).await?;
        self.state_to(room.community, |draft| {
            let (audience, rule) = audience_of(draft.state()?, room.channel)?;
            draft.say(Action::AudienceSet(AudienceSet { audience, rule, history }))
        })
        .await
    }

    /// Lets a role or a user do something in a channel, or forbids it.
    pub(crate) async fn grant(
        &self,
        target: &str,
        whom: Whom,
        grant: Grant,
    ) -> Result<(), CommandError> {
        let room = self.room_named(target).await?;
        let book = self.trusted(room.community).await?;
        let subject = match whom {
            Whom::Role(role) => Subject::Role(self.role_named(&book, &role).await?),
            Whom::User(user) => Subject::User(self.member_named(&book, &user).await?),
        };
        self.state_to(room.community, |draft| match grant {
            Grant::Read(reads) => set_reader(draft, room.channel, subject, reads),
            Grant::Permissions { allow, deny, clear } => {
                let known = draft
                    .state()?
                    .channels
                    .get(&room.channel)
                    .and_then(|channel| channel.overwrites.get(&subject).copied());
                let (allowed, denied) = known
                    .map_or((Permissions::NONE, Permissions::NONE), |known| {
                        (known.allow, known.deny)
                    });
                let allow = allowed.without(deny).without(clear).with(allow);
                let deny = denied.without(allow).without(clear).with(deny);
                draft.say(Action::OverwriteSet(OverwriteSet {
                    channel: room.channel,
                    subject,
                    allow: allow.bits(),
                    deny: deny.bits(),
                }))
            }
        })
        .await
    }
}

/// Lets somebody read a private channel, or not any more.
fn set_reader(
    draft: &mut Draft<'_>,
    channel: ChannelId,
    subject: Subject,
    reads: bool,
) -> Result<(), CommandError> {
    let state = draft.state()?;
    let history = state
        .channels
        .get(&channel)
        .and_then(|channel| state.audiences.get(&channel.audience))
        .map(|audience| audience.history);
    let (audience, former) = audience_of(state, channel)?;
    let (Some(mut readers), Some(history)) = (former, history) else {
        return Err(CommandError::new(
            Kind::Usage,
            "all members read this channel: make a private one by `rookery channel create --private`",
        ));
    };
    match subject {
        Subject::Role(role) => put::<RoleId>(&mut readers.roles, role, reads),
        Subject::User(user) => put::<UserId>(&mut readers.users, user, reads),
    }
    draft.say(Action::AudienceSet(AudienceSet { audience, rule: Some(readers), history }))?;
    draft.settle_newcomers()
}

fn put<T: Ord>(list: &mut Vec<T>, element: T, is_in: bool) {
    match (list.binary_search(&element), is_in) {
        (Err(place), true) => list.insert(place, element),
        (Ok(place), false) => {
            list.remove(place);
        }
        _ => {}
    }
}

fn audience_of(
    state: &State,
    channel: ChannelId,
) -> Result<(AudienceId, Option<AudienceRule>), CommandError> {
    let gone = || CommandError::new(Kind::NotFound, "there is no such channel any more");
    let channel = state.channels.get(&channel).ok_or_else(gone)?;
    let audience = state.audiences.get(&channel.audience).ok_or_else(gone)?;
    Ok((channel.audience, audience.rule.clone()))
}
