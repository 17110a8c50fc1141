//! What devices state and say in communities whose hub is another server: handed to the hub in their user's name, wherever it has gone.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{
    chain::{HeadRef, Submission},
    codec,
    community::{Action, Add, JoinBy, Statement},
    id::{CommunityId, UserId},
    name::ServerName,
    request::{
        Failure,
        channel::{PostChannel, PostError, Posted},
        community::{AppendLog, AppendLogError, MoveStep, PrepareMove, PrepareMoveError},
        peer_place::{Guest, PeerAppendLog, PeerPostChannel, PeerPrepareMove},
    },
    session::Authenticated,
};

use super::{
    Services,
    place_ask::{Away, hub_of, reach},
    place_copy::FetchError,
    place_take,
};
use crate::service::community::{append, post};

/// The waits before a community is asked for again where it was handed over to.
const FOLLOW: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(200), Duration::from_secs(1)];

/// Whom statements bring in.
pub(super) fn added(statements: &[Submission]) -> Vec<Add> {
    let actions = statements.iter().filter_map(|submission| {
        codec::decode::<Statement>(submission.body.as_slice()).ok().map(|known| known.action)
    });
    actions
        .filter_map(|action| match action {
            Action::Add(add) => Some(add),
            _ => None,
        })
        .collect()
}

/// By what right somebody comes in, if the statements are of that kind.
pub(super) fn right_of(statements: &[Submission]) -> Option<JoinBy> {
    let body = &statements.first()?.body;
    match codec::decode::<Statement>(body.as_slice()).ok()?.action {
        Action::Join(join) => Some(join.by),
        Action::Ask(ask) => Some(ask.by),
        _ => None,
    }
}

/// Refuses to bring in people of other servers who do not let the author write to them; their homes are asked.
async fn check_added(
    services: &Services,
    author: UserId,
    statements: &[Submission],
) -> Result<(), Failure<AppendLogError>> {
    for add in added(statements) {
        if services.resident(add.user).await?.is_some() {
            continue;
        }
        // Whose chain is not here is somebody whom the author has never looked up.
        let unknown = || Failure::Error(AppendLogError::UnknownUser { user: add.user });
        let foreigner = services.foreigner(add.user).await?.ok_or_else(unknown)?;
        if !services.may_read_foreigner(author, &foreigner).await? {
            let reason = "they do not let you write to them".to_owned();
            return Err(Failure::Error(AppendLogError::Denied { reason }));
        }
    }
    Ok(())
}

/// Follows a community that was just handed over, as its former hub says, or its next one that is not ready yet.
async fn follow(services: &Arc<Services>, community: CommunityId, wait: Duration) {
    let behind = async {
        match hub_of(services, community).await? {
            Some(name) => match reach(services, &name).await {
                Ok(hub) => hub.catch_up(services, community, None).await,
                Err(_) => Ok(()),
            },
            None => Ok(()),
        }
    };
    if let Err::<(), FetchError>(error) = behind.await {
        tracing::debug!(%community, %error, "a log was not followed to the next hub");
    }
    tokio::time::sleep(wait).await;
}

/// Appends statements to a community's log, wherever its hub is.
pub async fn append(
    services: &Arc<Services>,
    who: Authenticated,
    request: AppendLog,
) -> Result<HeadRef, Failure<AppendLogError>> {
    let community = request.community;
    check_added(services, who.user, &request.statements).await?;
    let mut waits = FOLLOW.into_iter();
    if services.hosted(community).await?.is_none()
        && let Some(hub) = request.hub.clone().filter(|name| !services.is_here(Some(name)))
    {
        return append_unseen(services, who, request, &hub).await;
    }
    loop {
        let Some(hub) = hub_of(services, community).await? else {
            return append::append(services, who, request).await;
        };
        let answer = append_at(services, who, request.clone(), &hub).await;
        let is_elsewhere = matches!(&answer, Err(Failure::Error(AppendLogError::HubAway { hub: next, .. })) if *next != hub);
        match waits.next().filter(|_| is_elsewhere) {
            Some(wait) => follow(services, community, wait).await,
            None => return answer,
        }
    }
}

async fn append_at(
    services: &Arc<Services>,
    who: Authenticated,
    request: AppendLog,
    name: &ServerName,
) -> Result<HeadRef, Failure<AppendLogError>> {
    let community = request.community;
    if services.is_forked(community).await? {
        return Err(Failure::Error(AppendLogError::HubForked { hub: name.clone() }));
    }
    let away = |Away { hub, since }| AppendLogError::HubAway { hub, since };
    let hub = reach(services, name).await.map_err(|gone| Failure::Error(away(gone)))?;
    let from = hub.on_behalf(services, who.user).await?;
    let by = right_of(&request.statements);
    let guest = by.map(|by| Guest { user: from.clone(), by });
    let chains = place_take::chains_of_added(services, &request.statements).await?;
    let answer = hub.ask(services, &PeerAppendLog { from, request, chains }, away).await;
    let guest = match &answer {
        Ok(_) => None,
        // The device states again, after what it has not seen.
        Err(Failure::Error(AppendLogError::Stale { .. })) => guest,
        Err(_) => return answer,
    };
    if let Err(error) = hub.catch_up(services, community, guest).await {
        tracing::debug!(peer = %name, %community, %error, "a copy is behind what the hub has answered");
    }
    answer
}

/// Appends to the log of a community of which there is nothing here yet. Its copy, which the device does not wait for, comes after.
async fn append_unseen(
    services: &Arc<Services>,
    who: Authenticated,
    request: AppendLog,
    name: &ServerName,
) -> Result<HeadRef, Failure<AppendLogError>> {
    let community = request.community;
    let away = |Away { hub, since }| AppendLogError::HubAway { hub, since };
    if services.peer(name).is_none() {
        return Err(Failure::Error(AppendLogError::NotFound));
    }
    let hub = reach(services, name).await.map_err(|gone| Failure::Error(away(gone)))?;
    let from = hub.on_behalf(services, who.user).await?;
    let chains = place_take::chains_of_added(services, &request.statements).await?;
    let answer = hub.ask(services, &PeerAppendLog { from, request, chains }, away).await;
    if answer.is_ok() {
        hub.copy(services, community);
    }
    answer
}

/// Posts to a channel, wherever its hub is.
pub async fn post(
    services: &Arc<Services>,
    who: Authenticated,
    request: PostChannel,
) -> Result<Posted, Failure<PostError>> {
    let community = request.community;
    let mut waits = FOLLOW.into_iter();
    loop {
        let Some(hub) = hub_of(services, community).await? else {
            return post::post(services, who, request).await;
        };
        let answer = post_at(services, who, request.clone(), &hub).await;
        let is_elsewhere = matches!(&answer, Err(Failure::Error(PostError::HubAway { hub: next, .. })) if *next != hub);
        match waits.next().filter(|_| is_elsewhere) {
            Some(wait) => follow(services, community, wait).await,
            None => return answer,
        }
    }
}

async fn post_at(
    services: &Arc<Services>,
    who: Authenticated,
    request: PostChannel,
    name: &ServerName,
) -> Result<Posted, Failure<PostError>> {
    let community = request.community;
    if services.is_forked(community).await? {
        return Err(Failure::Error(PostError::HubForked { hub: name.clone() }));
    }
    let away = |Away { hub, since }| PostError::HubAway { hub, since };
    let hub = reach(services, name).await.map_err(|gone| Failure::Error(away(gone)))?;
    let from = hub.on_behalf(services, who.user).await?;
    let answer = hub.ask(services, &PeerPostChannel { from, request }, away).await;
    if matches!(answer, Err(Failure::Error(PostError::Stale { .. })))
        && let Err(error) = hub.catch_up(services, community, None).await
    {
        tracing::debug!(peer = %name, %community, %error, "a copy is behind what the hub has answered");
    }
    answer
}

/// Hands on to its hub, where that is another server, that a community is to be made ready to be handed over.
pub(super) async fn hand_on_move(
    services: &Services,
    user: UserId,
    request: &PrepareMove,
) -> Result<Option<MoveStep>, Failure<PrepareMoveError>> {
    let Some(name) = hub_of(services, request.community).await? else { return Ok(None) };
    let away = |Away { hub, since }| PrepareMoveError::HubAway { hub, since };
    let hub = reach(services, &name).await.map_err(|gone| Failure::Error(away(gone)))?;
    let from = hub.on_behalf(services, user).await?;
    hub.ask(services, &PeerPrepareMove { from, request: request.clone() }, away).await.map(Some)
}
