//! What devices ask about communities whose hub is another server: answered from the copy, or by the hub, which is asked in their user's name
//! and whose answer goes back to the device. What they say there is handed on by `place_say.rs`.

use std::{sync::Arc, time::Duration};

use rookery_protocol::{
    id::{CommunityId, UserId},
    io::client::{CallError, Client},
    name::ServerName,
    request::{
        Failure, Refusal, Request,
        blob::{BlobPart, BlobProgress, GetBlob, GetBlobError, PutBlob, PutBlobError},
        chain::Entries,
        channel::{ListReads, Reads, ReadsError},
        community::{PreviewError, PreviewLog},
        peer_place::{Guest, OnBehalf, PeerListReads, PeerPutBlob},
        peering::PeerLink,
    },
    session::Authenticated,
    time::Timestamp,
};

use tokio::task::JoinHandle;

use super::{Peer, Services, place_blob, place_copy::FetchError, place_log};
use crate::{
    repository::StorageError,
    service::community::{blob, copy::CopyFault, read, reads},
};

/// When a device comes again for which there is no room now, in milliseconds.
const SOON: u64 = 500;
/// How long an answer waits for the copy to reach what it speaks of.
const CATCH_UP: Duration = Duration::from_secs(10);

/// How long a connection that has just ended is waited for: two that are made at the same time end one of them.
const FLAP: Duration = Duration::from_secs(2);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// A hub that can be asked.
pub(super) struct Hub {
    pub(super) peer: Arc<Peer>,
    client: Client,
}

/// Why a hub cannot be asked: it is away, since when.
pub(super) struct Away {
    pub(super) hub: ServerName,
    pub(super) since: Timestamp,
}

/// The hub of a community, when that is another server.
pub(super) async fn hub_of(
    services: &Services,
    community: CommunityId,
) -> Result<Option<ServerName>, StorageError> {
    Ok(services.hosted(community).await?.and_then(|hosted| hosted.row.hub.clone()))
}

pub(super) async fn reach(services: &Services, name: &ServerName) -> Result<Hub, Away> {
    let away = |since| Away { hub: name.clone(), since };
    let peer = services.peer(name).ok_or_else(|| away(services.clock.now()))?;
    match connection(services, &peer).await {
        Some(client) => Ok(Hub { peer, client }),
        None => Err(away(peer.state().1)),
    }
}

/// The connection with a peer; where it ended a moment ago, the next one if that comes at once.
async fn connection(services: &Services, peer: &Peer) -> Option<Client> {
    let deadline = tokio::time::Instant::now().checked_add(FLAP)?;
    while tokio::time::Instant::now() < deadline {
        if let Some(client) = peer.client().filter(|client| client.connection().lost().is_none()) {
            return Some(client);
        }
        let (link, since, _) = peer.state();
        let is_recent = services.clock.now().since(since) < FLAP;
        match link {
            // Lost, and not noted yet; or another one is about to be used.
            PeerLink::Up => {}
            PeerLink::Down if is_recent => {}
            PeerLink::Down | PeerLink::Off => return None,
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

impl Hub {
    /// Asks the hub; `away` is what the device is told when there is no answer.
    pub(super) async fn ask<R: Request>(
        &self,
        services: &Services,
        request: &R,
        away: impl FnOnce(Away) -> R::Error,
    ) -> Result<R::Reply, Failure<R::Error>> {
        let Some(room) = self.peer.places.enter() else {
            return Err(Refusal::Throttled { retry_after_ms: SOON }.into());
        };
        let mut answer = self.client.call_watched(request).await;
        // The same thing twice is one: whatever is handed in has an id.
        if matches!(answer, Err(CallError::Lost(_) | CallError::Broken(_)))
            && let Some(client) = connection(services, &self.peer).await
        {
            answer = client.call_watched(request).await;
        }
        drop(room);
        let word = match &answer {
            Ok(_) => "answered",
            Err(CallError::Request(_) | CallError::Refused(_)) => "refused",
            Err(_) => "lost",
        };
        metrics::counter!(
            "rookery_peer_asked_total",
            &[("peer", self.peer.name.to_string()), ("outcome", word.to_owned())]
        )
        .increment(1);
        answer.map_err(|error| match error {
            CallError::Request(error) => Failure::Error(error),
            CallError::Refused(
                refusal @ (Refusal::Throttled { .. }
                | Refusal::StorageFull
                | Refusal::Unavailable
                | Refusal::TooLarge
                | Refusal::UnknownMethod
                | Refusal::Malformed),
            ) => Failure::Refused(refusal),
            error => {
                tracing::debug!(peer = %self.peer.name, %error, "the hub has not answered");
                let since = services.clock.now();
                Failure::Error(away(Away { hub: self.peer.name.clone(), since }))
            }
        })
    }

    /// In whose name the hub is asked. From then on it may read their chain.
    pub(super) async fn on_behalf(
        &self,
        services: &Services,
        user: UserId,
    ) -> Result<OnBehalf, Refusal> {
        let storage = |error: StorageError| super::super::refusal(&error);
        let resident = services.resident(user).await.map_err(storage)?;
        let resident = resident.filter(|resident| resident.is_active());
        let resident = resident.ok_or(Refusal::NotAuthenticated)?;
        let mut view = services.storage.read().await.map_err(storage)?;
        let is_known = view.peer_may_read(&self.peer.name, user).await.map_err(storage)?;
        drop(view);
        if !is_known {
            let mut unit = services.storage.begin().await.map_err(storage)?;
            unit.let_peer_read(&self.peer.name, user).await.map_err(storage)?;
            unit.commit().await.map_err(storage)?;
        }
        Ok(OnBehalf { user, name: resident.name.clone(), head: resident.head })
    }

    /// Brings the copy of a log as far as the hub has it, so that the device finds there what its answer speaks of. What fails here comes with
    /// the next comparison.
    pub(super) async fn catch_up(
        &self,
        services: &Arc<Services>,
        community: CommunityId,
        guest: Option<Guest>,
    ) -> Result<(), FetchError> {
        let fetched = self.fetch_apart(services, community, guest);
        let late = || FetchError::Unreachable("it takes too long".to_owned());
        let done = tokio::time::timeout(CATCH_UP, fetched).await;
        done.map_err(|_| late())?.map_err(|_| late())?
    }

    /// Has a copy made of a community, which nobody waits for.
    pub(super) fn copy(&self, services: &Arc<Services>, community: CommunityId) {
        drop(self.fetch_apart(services, community, None));
    }

    /// Fetches a log apart from the device's request, which may be given up: what has been stored is to be told to who follows.
    fn fetch_apart(
        &self,
        services: &Arc<Services>,
        community: CommunityId,
        guest: Option<Guest>,
    ) -> JoinHandle<Result<(), FetchError>> {
        let (services_, peer, mut client) =
            (Arc::clone(services), Arc::clone(&self.peer), self.client.clone());
        services.tasks.spawn(async move {
            let turn = services_.hub.copying(community).await;
            let (services, guest) = (&services_, guest.as_ref());
            let mut done = place_log::fetch_log(services, &peer, &client, community, guest).await;
            if matches!(done, Err(FetchError::Unreachable(_)))
                && client.connection().lost().is_some()
                && let Some(next) = connection(services, &peer).await
            {
                client = next;
                done = place_log::fetch_log(services, &peer, &client, community, guest).await;
            }
            drop(turn);
            if let Err(error) = &done {
                tracing::debug!(peer = %peer.name, %community, %error, "a copy is behind its hub");
            }
            // Channels that may be read from now on.
            peer.places.compare_soon();
            done.map(drop)
        })
    }
}

/// Puts a part of a blob where its community's hub is.
pub async fn put_blob(
    services: &Services,
    who: Authenticated,
    request: PutBlob,
) -> Result<BlobProgress, Failure<PutBlobError>> {
    let Some(name) = hub_of(services, request.community).await? else {
        return blob::put(services, who, request).await;
    };
    if services.is_forked(request.community).await? {
        return Err(Failure::Error(PutBlobError::HubForked { hub: name }));
    }
    let away = |Away { hub, since }| PutBlobError::HubAway { hub, since };
    let hub = reach(services, &name).await.map_err(|gone| Failure::Error(away(gone)))?;
    let from = hub.on_behalf(services, who.user).await?;
    hub.ask(services, &PeerPutBlob { from, request }, away).await
}

/// Gives a part of a blob; what is not here is fetched from the community's hub, whole, and kept.
pub async fn get_blob(
    services: &Services,
    who: Authenticated,
    request: GetBlob,
) -> Result<BlobPart, Failure<GetBlobError>> {
    let GetBlob { community, blob: id, .. } = request;
    if let Some(name) = hub_of(services, community).await?
        && services.may_look_at(who.user, community).await?
        && services.storage.read().await?.whole_blob(community, id).await?.is_none()
    {
        let away = |Away { hub, since }| GetBlobError::HubAway { hub, since };
        let hub = reach(services, &name).await.map_err(|gone| Failure::Error(away(gone)))?;
        let Some(room) = hub.peer.places.enter() else {
            return Err(Refusal::Throttled { retry_after_ms: SOON }.into());
        };
        let turn = services.hub.copying(community).await;
        let fetched =
            place_blob::fetch_blob(services, &hub.peer, &hub.client, (community, id), None).await;
        drop((turn, room));
        match fetched {
            Ok(()) => {}
            Err(FetchError::Storage(error)) => return Err(error.into()),
            Err(FetchError::Unreachable(_)) => {
                let since = services.clock.now();
                return Err(Failure::Error(GetBlobError::HubAway { hub: name, since }));
            }
            Err(error) => {
                tracing::debug!(peer = %name, %community, %error, "a blob was not fetched");
                return Err(Failure::Error(GetBlobError::NotFound));
            }
        }
    }
    blob::get(services, who, request).await
}

/// Reads a log by the right that the caller would join by. Of another hub's community there is a copy from then on.
pub async fn preview(
    services: &Arc<Services>,
    who: Authenticated,
    request: PreviewLog,
) -> Result<Entries, Failure<PreviewError>> {
    let community = request.community;
    let known = services.hosted(community).await?;
    let named = request.hub.clone().filter(|name| !services.is_here(Some(name)));
    let name = match &known {
        Some(hosted) => hosted.row.hub.clone(),
        None => named,
    };
    let here = known.map(|hosted| hosted.state.head.seq);
    if let Some(name) = name
        && (request.after.is_none() || request.after >= here)
    {
        let away = |Away { hub, since }| Failure::Error(PreviewError::HubAway { hub, since });
        if services.peer(&name).is_none() {
            return Err(Failure::Error(PreviewError::UnknownHub { hub: name }));
        }
        let hub = reach(services, &name).await.map_err(away)?;
        let user = hub.on_behalf(services, who.user).await?;
        let guest = Guest { user, by: request.by.clone() };
        match hub.catch_up(services, community, Some(guest)).await {
            Ok(()) => {}
            Err(FetchError::NotFound | FetchError::Fault(CopyFault::NoPlace)) => {
                return Err(Failure::Error(PreviewError::NotFound));
            }
            Err(FetchError::Storage(error)) => return Err(error.into()),
            Err(FetchError::Unreachable(reason)) => {
                tracing::info!(peer = %name, %community, reason, "a community that somebody looks at was not fetched");
                return Err(away(Away { hub: name, since: services.clock.now() }));
            }
            Err(error) => {
                tracing::warn!(peer = %name, %community, %error, "a community that somebody looks at was not taken in");
                return Err(Failure::Error(PreviewError::NotFound));
            }
        }
    }
    read::preview(services, who, request).await
}

/// How far members have read a channel: as the hub has it, or as far as it was heard of here.
pub async fn list_reads(
    services: &Services,
    who: Authenticated,
    request: ListReads,
) -> Result<Reads, Failure<ReadsError>> {
    if let Some(name) = hub_of(services, request.community).await?
        && let Ok(hub) = reach(services, &name).await
    {
        let from = hub.on_behalf(services, who.user).await?;
        let away = |Away { hub, since }| ReadsError::HubAway { hub, since };
        let ask = PeerListReads { from, request: request.clone() };
        match hub.ask(services, &ask, away).await {
            Err(Failure::Error(ReadsError::HubAway { .. })) => {}
            answer => return answer,
        }
    }
    reads::list(services, who, request).await
}
