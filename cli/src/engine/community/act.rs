//! Founding, joining, leaving: what a person does to a community as a whole.

use rookery_protocol::{
    codec::Octets,
    community::{
        Action, Add, ChannelKind, ChannelSet, CommunityKind, Create, Edit, EpochReason, History,
        InviteCreate, JoinPolicy, Permissions, PukPin,
    },
    id::{AudienceId, ChannelId, CommunityId, InviteId, ServerId},
    time::Timestamp,
};

use super::{
    super::Engine,
    draft::{Draft, append_failed},
    link::CommunityLink,
    log::Reader,
};
use crate::{
    e2ee::{
        OsRandom, Random,
        epoch::{LinkSecret, Receiver, TextOf},
    },
    error::{CommandError, Kind},
    store::{CommunityRow, Standing},
};

/// A community that somebody wants to found.
#[derive(Clone, Debug)]
pub(crate) struct FoundOrder {
    pub(crate) kind: CommunityKind,
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) policy: JoinPolicy,
    pub(crate) history: History,
    /// The text channels that it begins with.
    pub(crate) channels: Vec<String>,
    /// Who is brought in at once: for groups.
    pub(crate) with: Vec<String>,
}

/// An invitation that somebody wants to make.
#[derive(Clone, Debug, Default)]
pub(crate) struct InviteOrder {
    /// For one person; a link when absent.
    pub(crate) who: Option<String>,
    pub(crate) uses: Option<u32>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) roles: Vec<String>,
}

impl Engine {
    /// Founds a community or a group.
    pub(crate) async fn found(&self, order: FoundOrder) -> Result<CommunityId, CommandError> {
        let client = self.online().await?;
        self.load_books().await?;
        check_name(&order.name)?;
        let mut added = vec![];
        for who in &order.with {
            added.push(self.addable(who).await?);
        }
        let account = self.account();
        let hub_key = self.home_key().await?;
        let mut nonce = vec![0; 16];
        OsRandom.fill(&mut nonce);
        let mut draft = Draft::empty(self, CommunityId::from_bytes([0; 32])).await?;
        let puk = draft.own_puk()?;
        draft.say_first(Action::Create(Create {
            kind: order.kind,
            hub: account.server.clone(),
            hub_key,
            nonce: Octets::parse(nonce).map_err(|error| CommandError::of(Kind::Failed, &error))?,
            policy: order.policy,
            history: order.history,
            permissions: Permissions::DEFAULT.bits(),
            puk,
        }))?;
        draft.rotate(AudienceId::MEMBERS, EpochReason::Begin)?;
        let name = draft.seal(AudienceId::MEMBERS, TextOf::CommunityName, &order.name)?;
        let topic = match &order.topic {
            Some(topic) => Some(draft.seal(AudienceId::MEMBERS, TextOf::CommunityTopic, topic)?),
            None => None,
        };
        draft.say(Action::Edit(Edit { name: Some(name), topic, policy: None }))?;
        for (position, channel) in (1_u32..).zip(&order.channels) {
            check_name(channel)?;
            let id = ChannelId::from_number(position);
            let name = draft.seal(AudienceId::MEMBERS, TextOf::ChannelName(id), channel)?;
            draft.say(Action::ChannelSet(ChannelSet {
                channel: id,
                kind: ChannelKind::Text,
                audience: AudienceId::MEMBERS,
                position,
                slow_mode_s: 0,
                is_archived: false,
                name,
                topic: None,
            }))?;
        }
        for add in added {
            draft.say(Action::Add(add))?;
        }
        draft.settle_newcomers()?;
        let community = draft.community();
        draft.keep_secrets().await?;
        self.know(community, order.kind, Standing::Member, None).await?;
        draft.submit(&client).await.map_err(append_failed)?;
        self.fetch_log(&client, community, &Reader::Member).await?;
        self.keep_soon(community);
        Ok(community)
    }

    /// The root key of one's own home.
    pub(super) async fn home_key(&self) -> Result<ServerId, CommandError> {
        let own = self.store.read().await?.person(self.user).await?;
        own.map(|own| own.home_key)
            .ok_or_else(|| CommandError::new(Kind::Locked, "this account's chain is not here yet"))
    }

    /// Somebody who is to be brought into a group, as their chain shows them.
    async fn addable(&self, who: &str) -> Result<Add, CommandError> {
        let contact = self.person_named(who).await?;
        let client = self.online().await?;
        let state = self.fetch_chain(&client, contact.user).await.map_err(CommandError::from)?;
        self.recall(contact.user).await?;
        if let Some(name) = &contact.name {
            let mut unit = self.store.write().await?;
            unit.put_name(contact.user, name).await?;
            unit.commit().await?;
        }
        let puk = state.puk().map(PukPin::of).ok_or_else(|| {
            CommandError::new(Kind::Failed, format!("{who} has no key to be sealed for"))
        })?;
        Ok(Add { user: contact.user, head: state.head, puk })
    }

    /// Writes down that a community is known.
    pub(super) async fn know(
        &self,
        community: CommunityId,
        kind: CommunityKind,
        standing: Standing,
        link: Option<([u8; 32], InviteId)>,
    ) -> Result<(), CommandError> {
        self.load_books().await?;
        // Under the store's writer: nobody else changes the row meanwhile.
        let mut unit = self.store.write().await?;
        let row = match self.books.get(community) {
            Some(book) => CommunityRow {
                standing,
                since: match book.row.standing {
                    Standing::Member => book.row.since,
                    _ => self.now(),
                },
                link_secret: link.map(|(secret, _)| secret.to_vec()).or(book.row.link_secret),
                invite: link.map(|(_, invite)| invite).or(book.row.invite),
                leaving: None,
                ..book.row
            },
            None => CommunityRow {
                community,
                kind,
                standing,
                link_secret: link.map(|(secret, _)| secret.to_vec()),
                invite: link.map(|(_, invite)| invite),
                alarm: None,
                since: self.now(),
                leaving: None,
                hub: None,
            },
        };
        self.put_row(&mut unit, row).await?;
        Ok(unit.commit().await?)
    }

    /// Has the community kept at once, and waits for its channels to be followed.
    pub(super) fn keep_soon(&self, community: CommunityId) {
        self.owe_communities();
        self.owe_community(community);
    }

    /// Changes what a community is called, what it is about, or who may join.
    pub(crate) async fn edit_community(
        &self,
        name: &str,
        new_name: Option<String>,
        topic: Option<String>,
        policy: Option<JoinPolicy>,
    ) -> Result<(), CommandError> {
        let book = self.community_named(name).await?;
        if let Some(name) = &new_name {
            check_name(name)?;
        }
        self.state_to(book.row.community, |draft| {
            let seal = |what, text: &Option<String>| {
                text.as_ref().map(|text| draft.seal(AudienceId::MEMBERS, what, text)).transpose()
            };
            let name = seal(TextOf::CommunityName, &new_name)?;
            let topic = seal(TextOf::CommunityTopic, &topic)?;
            draft.say(Action::Edit(Edit { name, topic, policy }))
        })
        .await
    }

    /// Makes an invitation; a link's text comes back.
    pub(crate) async fn invite(
        &self,
        name: &str,
        order: InviteOrder,
    ) -> Result<(InviteId, Option<String>), CommandError> {
        let book = self.community_named(name).await?;
        let community = book.row.community;
        let user = match &order.who {
            Some(who) => Some(self.person_named(who).await?.user),
            None => None,
        };
        let mut roles = vec![];
        for role in &order.roles {
            roles.push(self.role_named(&book, role).await?);
        }
        roles.sort_unstable();
        roles.dedup();
        let secret = LinkSecret::generate(&mut OsRandom);
        let keys = secret.keys();
        let made = std::sync::Mutex::new(InviteId::from_number(0));
        self.state_to(community, |draft| {
            let state = draft.state()?;
            let invite = InviteId::from_number(state.next_invite);
            let is_link = user.is_none();
            let carries = is_link
                && state.policy == JoinPolicy::Open
                && state
                    .audiences
                    .get(&AudienceId::MEMBERS)
                    .is_some_and(|audience| audience.history == History::Full);
            let wrap = if carries {
                draft.wrap_for_link(&keys.kem.public(), Receiver::Link(invite))?
            } else {
                None
            };
            draft.say(Action::InviteCreate(InviteCreate {
                invite,
                user,
                key: is_link.then(|| keys.signing.verifying_key()),
                wrap_key: wrap.is_some().then(|| keys.kem.public()),
                wrap,
                roles: roles.clone(),
                uses: order.uses,
                expires: order.expires,
            }))?;
            *made.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = invite;
            Ok(())
        })
        .await?;
        let invite = made.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let link = if user.is_none() {
            let secret = Some((*secret.to_bytes(), invite));
            Some(CommunityLink { secret, ..self.link_to(&book)? }.to_string())
        } else {
            None
        };
        Ok((invite, link))
    }

    /// Ends an invitation.
    pub(crate) async fn revoke_invite(
        &self,
        name: &str,
        invite: InviteId,
    ) -> Result<(), CommandError> {
        let book = self.community_named(name).await?;
        self.state_to(book.row.community, |draft| draft.say(Action::InviteRevoke { invite })).await
    }

    /// Ends a community for all.
    pub(crate) async fn delete_community(&self, name: &str) -> Result<(), CommandError> {
        let book = self.community_named(name).await?;
        let community = book.row.community;
        let deleted = self.state_to(community, |draft| draft.say(Action::Delete)).await;
        match deleted {
            // The log of what was just deleted need not be told any more.
            Err(error) if error.kind == Kind::NotFound => {}
            deleted => deleted?,
        }
        self.know(community, book.row.kind, Standing::Gone, None).await
    }

    /// Brings somebody into a group.
    pub(crate) async fn group_add(&self, name: &str, who: &str) -> Result<(), CommandError> {
        let book = self.community_named(name).await?;
        let add = self.addable(who).await?;
        self.state_to(book.row.community, |draft| {
            draft.say(Action::Add(add.clone()))?;
            draft.settle_newcomers()
        })
        .await
    }
}

/// A name that can be typed: no control characters, not empty, at most 64 characters.
pub(super) fn check_name(name: &str) -> Result<(), CommandError> {
    let length = name.chars().count();
    let is_fine = (1..=64).contains(&length)
        && !name.chars().any(|letter| letter.is_control() || letter == '#' || letter == '@')
        && !super::target::handle(name).is_empty();
    if is_fine {
        return Ok(());
    }
    Err(CommandError::new(
        Kind::Usage,
        "a name has 1 to 64 letters, and neither # nor @ nor control characters",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_mistaken_for_an_address() {
        assert!(check_name("Night Owls").is_ok());
        for bad in ["", "  ", "a#b", "a@b", "a\u{1b}[2J", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
