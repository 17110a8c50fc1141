//! The wraps of epochs, fetched from the hub by their hash and kept: for the devices of users here, also while the hub is away.

use std::{collections::BTreeSet, sync::Arc};

use rookery_protocol::{
    community::EpochStart,
    id::{BlobId, CommunityId, UserId},
    io::client::{CallError, Client},
    request::{
        blob::{BLOB_BYTES, GetBlob, PART_BYTES, PutBlob},
        peer_place::{Guest, PeerGetBlob},
    },
};

use super::{
    Peer, Services,
    place::MAX_COPIED_BYTES,
    place_copy::{FetchError, ask, unreachable},
};
use crate::{
    repository::{abroad::Copies, blob::BlobKey},
    service::community::{blob, copy::CopyFault},
};

/// Fetches the wraps of epochs that somebody here is wrapped for, so that they are here when the hub is not. Whatever is missing is fetched
/// when a device asks for it.
pub(super) async fn fetch_wraps(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    epochs: Vec<EpochStart>,
    guest: Option<&Guest>,
) {
    let mut seen = BTreeSet::new();
    for epoch in epochs.into_iter().filter(|epoch| seen.insert(epoch.wraps)) {
        let fetched = async {
            let mut view = services.storage.read().await?;
            if view.whole_blob(community, epoch.wraps).await?.is_some() {
                return Ok(());
            }
            let residents = view.residents_in(community).await?;
            drop(view);
            let hosted = services.copied(peer, community).await?;
            let is_in = |user: &&UserId| {
                let state = hosted.as_ref().map(|hosted| &hosted.state);
                state.is_some_and(|state| state.is_in_audience(**user, epoch.audience))
            };
            match residents.iter().find(is_in) {
                Some(_) => {
                    fetch_blob(services, peer, client, (community, epoch.wraps), guest).await
                }
                None => Ok(()),
            }
        };
        if let Err::<(), FetchError>(error) = fetched.await {
            tracing::debug!(peer = %peer.name, %community, %error, "the wraps of an epoch were not fetched");
        }
    }
}

/// Fetches a blob, part by part, which is checked by its hash when it is whole. It is kept in the hub's name, and what it takes is counted
/// against the hub's bounds, whoever wants it. What an attempt before has left is gone on with.
pub(super) async fn fetch_blob(
    services: &Services,
    hub: &Peer,
    client: &Client,
    (community, blob): (CommunityId, BlobId),
    guest: Option<&Guest>,
) -> Result<(), FetchError> {
    let broken = |why: &str| FetchError::Fault(CopyFault::Broken(why.to_owned()));
    let user = keeper(hub).ok_or_else(|| broken("a hub without a root"))?;
    let key = BlobKey { community, blob, user };
    let known = services.storage.read().await?.blob(key).await?;
    let mut offset = known.map_or(0, |known| known.have);
    let length = u32::try_from(PART_BYTES).unwrap_or(u32::MAX);
    loop {
        let request = GetBlob { community, blob, offset, length };
        let request = PeerGetBlob { request, guest: guest.cloned() };
        let part = ask(client, &request).await.map_err(|error| match error {
            CallError::Request(_) => FetchError::NotFound,
            error => unreachable(error),
        })?;
        if part.size > BLOB_BYTES || part.bytes.as_slice().is_empty() {
            return Err(broken("a blob of another size"));
        }
        let Copies { bytes, .. } = services.copies_of(hub).await?;
        if bytes.saturating_add(part.size) > MAX_COPIED_BYTES {
            return Err(FetchError::TooMany);
        }
        let put = PutBlob { community, blob, size: part.size, offset, bytes: part.bytes };
        let put = blob::put_by(services, user, put).await;
        let have = put.map_err(|_| broken("a blob that is not what its name says"))?.have;
        if have == part.size {
            let mut unit = services.storage.begin().await?;
            unit.name_blob(key).await?;
            unit.commit().await?;
            return Ok(());
        }
        if have <= offset {
            return Err(broken("a blob that does not grow"));
        }
        offset = have;
    }
}

/// In whose name what a hub has us store is kept: its root's, which is no user's id.
pub(in crate::service) fn keeper(hub: &Peer) -> Option<UserId> {
    hub.stored().root.map(|root| UserId::from_bytes(*root.as_bytes()))
}
