//! The first look at a community whose log is not here, or not all of it: passed on to its hub, and nothing of it kept. What is asked of this
//! server's own communities, and while a hub is away, is answered from what is here.

use std::sync::Arc;

use rookery_protocol::{
    id::ChannelId,
    request::{
        Failure, Refusal, Request,
        blob::{BlobPart, GetBlobError},
        chain::{Entries, ReadError},
        community::PreviewError,
        look::{LookAtBlob, LookAtPlace, LookAtSnapshot, LookAtUsers, Looking, SnapshotPart},
        peer_place::{
            Guest, PeerGetBlob, PeerReadPlace, PeerReadSnapshot, PeerReadUsers, UserChains,
        },
    },
    session::Authenticated,
};

use super::{
    Services, place_answer,
    place_ask::{Away, Hub, hub_of, reach},
};
use crate::service::{
    chain,
    community::{Hosted, blob, fork::chain_of, look, read::may_join},
};

type Looked<T> = Result<T, Failure<PreviewError>>;

/// Where a look leads.
enum Way {
    /// To another server, for a guest.
    Hub(Box<(Hub, Guest)>),
    /// To what is here.
    Here(Arc<Hosted>),
}

const fn not_found() -> Failure<PreviewError> {
    Failure::Error(PreviewError::NotFound)
}

async fn way(
    services: &Services,
    who: Authenticated,
    at: &Looking,
    channel: Option<ChannelId>,
) -> Looked<Way> {
    let known = services.hosted(at.community).await?;
    let named = at.hub.clone().filter(|name| !services.is_here(Some(name)));
    let hub = if known.is_some() { hub_of(services, at.community).await? } else { named };
    if services.is_forked(at.community).await? {
        return Err(not_found());
    }
    if let Some(name) = hub {
        if services.peer(&name).is_none() {
            return Err(Failure::Error(PreviewError::UnknownHub { hub: name }));
        }
        match (reach(services, &name).await, &known) {
            (Ok(hub), _) => {
                let user = hub.on_behalf(services, who.user).await?;
                let guest = Guest { user, by: at.by.clone() };
                return Ok(Way::Hub(Box::new((hub, guest))));
            }
            (Err(away), None) => return Err(Failure::Error(hub_away(away))),
            (Err(_), Some(_)) => {}
        }
    }
    let hosted = known.ok_or_else(not_found)?;
    let is_guest = channel.is_none() && may_join(services, &hosted, who.user, &at.by);
    if is_guest || hosted.may_read(who.user, channel) {
        return Ok(Way::Here(hosted));
    }
    Err(not_found())
}

fn hub_away(Away { hub, since }: Away) -> PreviewError {
    PreviewError::HubAway { hub, since }
}

/// Asks the hub; `silent` is its word for a hub that does not answer. Whatever error it gives, there is nothing to see.
async fn ask<R: Request>(
    services: &Services,
    hub: &Hub,
    request: &R,
    silent: impl FnOnce() -> R::Error,
) -> Looked<R::Reply>
where
    R::Error: PartialEq,
{
    let mut gone = None;
    let answer = hub.ask(services, request, |away| {
        gone = Some(away);
        silent()
    });
    let answer = answer.await;
    match (answer, gone) {
        (Ok(reply), _) => Ok(reply),
        (Err(Failure::Refused(refusal)), _) => Err(refusal.into()),
        (Err(Failure::Error(_)), Some(away)) => Err(Failure::Error(hub_away(away))),
        (Err(Failure::Error(_)), None) => Err(not_found()),
    }
}

/// A part of the newest snapshot.
pub async fn snapshot(
    services: &Services,
    who: Authenticated,
    request: LookAtSnapshot,
) -> Looked<SnapshotPart> {
    let LookAtSnapshot { at, offset } = request;
    match way(services, who, &at, None).await? {
        Way::Hub(way) => {
            let (hub, guest) = *way;
            let guest = Some(guest);
            let request = PeerReadSnapshot { community: at.community, offset, guest };
            ask(services, &hub, &request, || ReadError::NotFound).await
        }
        Way::Here(hosted) => Ok(look::part(services, &hosted, offset).await?),
    }
}

/// Entries of the log, or of a channel.
pub async fn place(
    services: &Services,
    who: Authenticated,
    request: LookAtPlace,
) -> Looked<Entries> {
    let LookAtPlace { at, channel, mut after, limit } = request;
    let community = at.community;
    match way(services, who, &at, channel).await? {
        Way::Hub(way) => {
            let (hub, guest) = *way;
            let (guest, last) = (Some(guest), Some(after.is_none()));
            let request = PeerReadPlace { community, channel, after, limit, guest, last };
            ask(services, &hub, &request, || ReadError::NotFound).await
        }
        Way::Here(_) => {
            let chain = chain_of(community, channel);
            if after.is_none() {
                after = chain::before_last(services, chain, limit).await?;
            }
            chain::page(services, chain, after, limit).await?.ok_or_else(not_found)
        }
    }
}

/// The chains of users whom the log names.
pub async fn users(
    services: &Services,
    who: Authenticated,
    request: LookAtUsers,
) -> Looked<UserChains> {
    let LookAtUsers { at, users } = request;
    if users.len() > place_answer::MAX_USERS {
        return Err(Refusal::Malformed.into());
    }
    match way(services, who, &at, None).await? {
        Way::Hub(way) => {
            let (hub, guest) = *way;
            let guest = Some(guest);
            let request = PeerReadUsers { community: at.community, users, guest };
            ask(services, &hub, &request, || ReadError::NotFound).await
        }
        Way::Here(hosted) => Ok(place_answer::chains_of(services, &hosted, users, None).await?),
    }
}

/// A part of a blob.
pub async fn blob(
    services: &Services,
    who: Authenticated,
    request: LookAtBlob,
) -> Looked<BlobPart> {
    let LookAtBlob { at, part } = request;
    if part.community != at.community {
        return Err(Refusal::Malformed.into());
    }
    match way(services, who, &at, None).await? {
        Way::Hub(way) => {
            let (hub, guest) = *way;
            let request = PeerGetBlob { request: part, guest: Some(guest) };
            ask(services, &hub, &request, || GetBlobError::NotFound).await
        }
        Way::Here(_) => blob::part(services, part).await.map_err(|failure| match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Error(_) => not_found(),
        }),
    }
}
