//! Joining.

use std::time::Duration;

use rookery_protocol::{
    community::{Action, Ask, CommunityKind, Join, JoinBy, JoinPolicy},
    id::{AudienceId, CommunityId, InviteId},
    io::client::CallError,
    request::{community::AppendLogError, look::Looking},
};

use super::{
    super::{Engine, chains::ChainError},
    draft::{Draft, append_failed},
    link::CommunityLink,
    log::Reader,
};
use crate::{
    e2ee::epoch::LinkSecret,
    error::{CommandError, Kind},
    store::Standing,
};

/// How long joining waits for the community's key: a member who is online gives it within a second.
const KEY_PATIENCE: Duration = Duration::from_secs(5);

/// How joining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// As a member.
    Member,
    /// With a request that somebody has to grant.
    Asked,
}

impl Engine {
    /// Joins a community, by its link or by an invitation for this user.
    pub(crate) async fn join(&self, text: &str) -> Result<(CommunityId, Joined), CommandError> {
        let client = self.online().await?;
        self.load_books().await?;
        let (mut hub, mut key) = (None, None);
        let (community, link) = match text.parse::<CommunityLink>() {
            Ok(link) => {
                hub = self.hub_of_link(&link).await?;
                key = link.key;
                (link.community, link.secret)
            }
            Err(_) if text.starts_with("rookery://") => {
                return Err(CommandError::new(Kind::Usage, "that is not a link to a community"));
            }
            Err(_) => (self.community_named(text).await?.row.community, None),
        };
        // A leave that is under way ends first, one way or the other.
        let turn = self.leaving_turn.lock().await;
        let known = self.book(community).await?;
        if let Some(book) = &known
            && !matches!(book.row.standing, Standing::Gone)
            && book.state.as_ref().is_some_and(|state| state.members.contains_key(&self.user))
        {
            self.stay(book).await?;
            return Ok((community, Joined::Member));
        }
        drop(turn);
        if self.books.sights.of(community).is_some() {
            return Ok((community, Joined::Member));
        }
        self.know(community, CommunityKind::Community, Standing::Invited, link).await?;
        let by = self.right_to_join(community, link).await?;
        let at = Looking { community, by: by.clone(), hub: hub.clone() };
        // Whoever comes back, or was invited by name, has the log already.
        let is_new = self.book(community).await?.is_none_or(|book| book.state.is_none());
        if is_new && let Some(joined) = Box::pin(self.join_on_sight(&client, at, key, link)).await?
        {
            return Ok((community, joined));
        }
        let guest = |by| Reader::Guest { by, hub: hub.clone() };
        match self.fetch_log(&client, community, &guest(by)).await {
            Ok(()) => {}
            Err(ChainError::NotFound) => {
                return Err(CommandError::new(
                    Kind::NotFound,
                    "the invitation has ended, or there is no such community",
                ));
            }
            Err(error) => return Err(error.into()),
        }
        let book = self.trusted(community).await?;
        Self::check_hub(&book, key)?;
        let kind = book.state.as_ref().map_or(CommunityKind::Community, |state| state.kind);
        self.know(community, kind, Standing::Invited, link).await?;
        for _ in 0..8 {
            let book = self.trusted(community).await?;
            let by = self.right_to_join(community, link).await?;
            let mut draft = Draft::begin(self, &book).await?;
            let puk = draft.own_puk()?;
            let is_asking = draft.state()?.policy == JoinPolicy::Approved
                && !matches!(by, JoinBy::Invited { .. });
            let action = if is_asking {
                Action::Ask(Ask { puk, by: by.clone() })
            } else {
                Action::Join(Join { puk, by: by.clone() })
            };
            draft.say(action)?;
            match draft.submit(&client).await {
                Ok(()) => {
                    let standing = if is_asking { Standing::Asking } else { Standing::Member };
                    self.know(community, kind, standing, link).await?;
                    let reader = if is_asking { guest(by) } else { Reader::Member };
                    self.fetch_log(&client, community, &reader).await?;
                    self.keep_soon(community);
                    let joined = if is_asking { Joined::Asked } else { Joined::Member };
                    if joined == Joined::Member {
                        self.wait_for_keys(community, KEY_PATIENCE).await;
                    }
                    return Ok((community, joined));
                }
                Err(CallError::Request(AppendLogError::Stale { .. })) => {
                    self.fetch_log(&client, community, &guest(by)).await?;
                }
                Err(error) => return Err(append_failed(error)),
            }
        }
        Err(CommandError::new(Kind::Failed, "the community keeps changing; try again"))
    }

    /// Waits until the community can be read; says whether it can.
    pub(super) async fn wait_for_keys(&self, community: CommunityId, patience: Duration) -> bool {
        let mut timeline = self.timeline.subscribe();
        let wait = async {
            loop {
                timeline.mark_unchanged();
                if let Ok(Some(book)) = self.book(community).await
                    && let Some(state) = &book.state
                    && let Some(epoch) = state
                        .audiences
                        .get(&AudienceId::MEMBERS)
                        .and_then(|audience| audience.epoch.as_ref())
                    && matches!(
                        self.epoch_secret(community, AudienceId::MEMBERS, epoch).await,
                        Ok(Some(_))
                    )
                {
                    return true;
                }
                if timeline.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(false)
    }

    async fn right_to_join(
        &self,
        community: CommunityId,
        link: Option<([u8; 32], InviteId)>,
    ) -> Result<JoinBy, CommandError> {
        if let Some((secret, invite)) = link
            && let Some(secret) = LinkSecret::from_bytes(&secret)
        {
            let proof = secret.keys().prove(community, invite, self.user);
            return Ok(JoinBy::Link { invite, proof });
        }
        let state = self.book(community).await?.and_then(|book| book.state);
        let personal = state.as_ref().and_then(|state| {
            state
                .invites
                .iter()
                .find(|(_, invite)| invite.user == Some(self.user))
                .map(|(id, _)| *id)
        });
        if let Some(invite) = personal {
            return Ok(JoinBy::Invited { invite });
        }
        if state.is_none() {
            // The log of a community that one was invited to can be read like a member's.
            let client = self.online().await?;
            if self.fetch_log(&client, community, &Reader::Member).await.is_ok()
                && self.book(community).await?.is_some_and(|book| book.state.is_some())
            {
                return Box::pin(self.right_to_join(community, None)).await;
            }
        }
        Ok(JoinBy::Open)
    }
}
