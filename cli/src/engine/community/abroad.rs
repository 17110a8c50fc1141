//! Communities whose hub is another server than one's own home: how they are named and reached, and what is kept while the hub is away.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rookery_protocol::{
    id::{CommunityId, ServerId, UserId},
    name::ServerName,
    time::Timestamp,
};

use super::{super::Engine, book::Book, link::CommunityLink};
use crate::{
    agent::verb::rfc3339,
    error::{CommandError, Kind},
    store::StoreError,
};

/// Hubs that did not answer this user's home when something was last handed in: a row a community at most.
#[derive(Debug, Default)]
pub(in super::super) struct HubsAway(Mutex<BTreeMap<CommunityId, CommandError>>);

impl HubsAway {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<CommunityId, CommandError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The community's hub does not answer, as `error` says.
    pub(super) fn note(&self, community: CommunityId, error: CommandError) {
        self.rows().insert(community, error);
    }

    /// It has answered.
    pub(super) fn forget(&self, community: CommunityId) {
        self.rows().remove(&community);
    }

    /// Why nothing gets there, while nothing does.
    pub(super) fn trouble(&self, community: CommunityId) -> Option<CommandError> {
        self.rows().get(&community).cloned()
    }
}

/// What a person is told whose home does not reach a hub.
pub(super) fn hub_away(hub: &ServerName, since: Timestamp) -> CommandError {
    CommandError::new(
        Kind::NoConnection,
        format!("the community's hub {hub} cannot be reached since {}", rfc3339(since)),
    )
    .hint("what was read stays readable; what is said and leaving wait for the hub, anything else can be changed when it is back")
}

impl Engine {
    /// The server on which somebody lives, as their own chain says.
    pub(in super::super) async fn home_of(&self, user: UserId) -> Result<ServerName, StoreError> {
        if let Some(home) = self.books.histories().home_of(user) {
            return Ok(home);
        }
        let known = self.store.read().await?.person(user).await?;
        Ok(known.map_or_else(|| self.account().server, |state| state.home))
    }

    /// The hub that a link names, when that is another server than this user's home.
    pub(super) async fn hub_of_link(
        &self,
        link: &CommunityLink,
    ) -> Result<Option<ServerName>, CommandError> {
        let account = self.account();
        let is_here = match link.key {
            Some(key) => key == self.home_key().await?,
            None => {
                link.server.as_ref() == Some(&account.server)
                    || link.host.to_string() == account.address
            }
        };
        if is_here {
            return Ok(None);
        }
        let named = link.server.clone().or_else(|| link.host.host.parse().ok());
        named.map(Some).ok_or_else(|| {
            CommandError::new(Kind::Usage, "the link does not say on which server the community is")
        })
    }

    /// Where a community's links lead: its hub, which need not be this user's home.
    pub(super) fn link_to(&self, book: &Book) -> Result<CommunityLink, CommandError> {
        let state = book.state.as_ref().ok_or_else(|| {
            CommandError::new(Kind::NotFound, "the community's log is not here yet")
        })?;
        let account = self.account();
        let place =
            if state.hub == account.server { account.address } else { state.hub.to_string() };
        Ok(CommunityLink {
            host: place.parse()?,
            server: Some(state.hub.clone()),
            key: Some(state.hub_key),
            community: state.community,
            secret: None,
        })
    }

    /// Refuses a community that has another hub than its link says.
    pub(super) fn check_hub(book: &Book, key: Option<ServerId>) -> Result<(), CommandError> {
        // A link that was made before the community was handed over names its former hub.
        let is_its = |key| {
            book.state.as_ref().is_none_or(|state| state.hubs().any(|(_, _, root)| root == key))
        };
        if key.is_none_or(is_its) {
            return Ok(());
        }
        Err(CommandError::new(
            Kind::Trust,
            "the community has another hub than the link says: nothing was sent to it",
        ))
    }
}
