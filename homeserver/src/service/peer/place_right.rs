//! What a peer may read of a community: what its users may, what it has ordered itself, and what there was when the last of its users went.

use std::{collections::BTreeMap, sync::Arc};

use rookery_protocol::{
    id::{ChannelId, CommunityId, UserId},
    request::{
        Refusal,
        peer_place::{Guest, OnBehalf},
    },
};

use super::{
    Peer, Services,
    copy::{self, CopyError, Foreigner},
    place_users::speaks_for,
};
use crate::{
    repository::StorageError,
    service::{
        community::{Hosted, read},
        seat::Seat,
    },
};

/// How much of a log a peer may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// All of it, for somebody of its users, or since it is to be the hub.
    All,
    /// What this server ordered of it before it handed it over, for somebody of its users.
    Ordered,
    /// What there was when the last of them went.
    Through(u64),
}

/// Makes sure that the peer speaks for whom it asks, and knows their chain as far as it says.
pub(super) async fn vouched(
    services: &Services,
    seat: &Seat,
    peer: &Peer,
    from: &OnBehalf,
) -> Result<Arc<Foreigner>, Refusal> {
    let side = seat.peer_side().ok_or(Refusal::NotPermitted)?;
    let reached = copy::reach(services, peer, &side.client, from.user, Some(from.head)).await;
    let foreigner = match reached {
        Ok(foreigner) if speaks_for(peer, &foreigner) => foreigner,
        Err(CopyError::Storage(error)) => return Err(super::super::refusal(&error)),
        Err(CopyError::Unreachable(_)) => return Err(Refusal::Unavailable),
        Err(CopyError::Throttled { retry_after_ms }) => {
            return Err(Refusal::Throttled { retry_after_ms });
        }
        Ok(_) | Err(_) => {
            metrics::counter!("rookery_peer_refused_total", "reason" => "other server's user")
                .increment(1);
            tracing::warn!(peer = %peer.name, user = %from.user, "the peer spoke for a user who is not its own");
            return Err(Refusal::NotPermitted);
        }
    };
    let noted = copy::note_name(services, peer, &foreigner, &from.name).await;
    noted.map_err(|error| super::super::refusal(&error))?;
    Ok(foreigner)
}

/// What the peer may read of a log (all or nothing of a channel). Where it asks for a guest, what that guest may: what others of its users may
/// is not told to them.
pub(super) async fn right(
    services: &Services,
    seat: &Seat,
    peer: &Peer,
    (community, channel): (CommunityId, Option<ChannelId>),
    guest: Option<&Guest>,
) -> Result<Option<Right>, Refusal> {
    let storage = |error: StorageError| super::super::refusal(&error);
    let hosted = services.hosted(community).await.map_err(storage)?;
    if let Some(guest) = guest {
        return right_of_guest(services, seat, peer, (hosted, channel), guest).await;
    }
    // What a hub has ordered it may have back.
    let ordered_by = |hosted: &Arc<Hosted>| {
        let mut former = hosted.state.terms.values();
        hosted.row.hub.as_ref() == Some(&peer.name)
            || former.any(|term| term.hub == peer.name && peer.has_root(term.hub_key))
    };
    if hosted.as_ref().is_some_and(ordered_by) {
        return Ok(Some(Right::All));
    }
    let is_offered = services.hub.moves.is_offered_to(community, &peer.name);
    if let Some(hosted) = hosted.filter(|hosted| hosted.row.hub.is_none() || hosted.row.was_hub) {
        let right = if hosted.row.was_hub { Right::Ordered } else { Right::All };
        if is_offered || reads(services, peer, &hosted, channel).await.map_err(storage)? {
            return Ok(Some(right));
        }
    }
    if channel.is_some() {
        return Ok(None);
    }
    let mut view = services.storage.read().await.map_err(storage)?;
    let through = view.farewell(&peer.name, community).await.map_err(storage)?;
    Ok(through.map(Right::Through))
}

async fn right_of_guest(
    services: &Services,
    seat: &Seat,
    peer: &Peer,
    (hosted, channel): (Option<Arc<Hosted>>, Option<ChannelId>),
    guest: &Guest,
) -> Result<Option<Right>, Refusal> {
    let is_shown = |hosted: &Arc<Hosted>| hosted.row.hub.is_none() || hosted.row.was_hub;
    let Some(hosted) = hosted.filter(is_shown) else { return Ok(None) };
    vouched(services, seat, peer, &guest.user).await?;
    let user = guest.user.user;
    let may = hosted.may_read(user, channel)
        || (channel.is_none() && read::may_join(services, &hosted, user, &guest.by));
    Ok(may.then_some(if hosted.row.was_hub { Right::Ordered } else { Right::All }))
}

/// Whether some user of the peer may read the log, or a channel.
pub(super) async fn reads(
    services: &Services,
    peer: &Peer,
    hosted: &Hosted,
    channel: Option<ChannelId>,
) -> Result<bool, StorageError> {
    Theirs::of(services, peer).read_in(hosted, channel).await
}

/// The users of a peer, each looked up once.
pub(super) struct Theirs<'s> {
    services: &'s Services,
    peer: &'s Peer,
    known: BTreeMap<UserId, bool>,
    /// Those who have to do with the community that was asked for last.
    of_last: Option<(CommunityId, Vec<UserId>)>,
}

impl<'s> Theirs<'s> {
    pub(super) fn of(services: &'s Services, peer: &'s Peer) -> Self {
        Self { services, peer, known: BTreeMap::new(), of_last: None }
    }

    /// Whether some user of the peer may read the log, or a channel. Communities are best asked for one after the other.
    pub(super) async fn read_in(
        &mut self,
        hosted: &Hosted,
        channel: Option<ChannelId>,
    ) -> Result<bool, StorageError> {
        let community = hosted.row.community;
        let known = self.of_last.take().filter(|(of, _)| *of == community);
        let users = if let Some((_, users)) = known {
            users
        } else {
            let mut view = self.services.storage.read().await?;
            view.foreigners_of_in(&self.peer.name, community).await?
        };
        let reads = self.read(hosted, &users, channel).await;
        self.of_last = Some((community, users));
        reads
    }

    /// Whether one of `users`, for whom the peer speaks, may read the log or a channel.
    pub(super) async fn read(
        &mut self,
        hosted: &Hosted,
        users: &[UserId],
        channel: Option<ChannelId>,
    ) -> Result<bool, StorageError> {
        for user in users.iter().filter(|user| hosted.may_read(**user, channel)) {
            if self.speaks_for(*user).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn speaks_for(&mut self, user: UserId) -> Result<bool, StorageError> {
        if let Some(known) = self.known.get(&user) {
            return Ok(*known);
        }
        let foreigner = self.services.foreigner(user).await?;
        let is_theirs = foreigner.is_some_and(|foreigner| speaks_for(self.peer, &foreigner));
        self.known.insert(user, is_theirs);
        Ok(is_theirs)
    }
}
