//! What an administrator asks of communities: which there are, how large, and to freeze or erase one. Their names are sealed.

use rookery_protocol::{
    id::CommunityId,
    request::{
        Failure, Refusal,
        admin::{AdminError, HostedChange, HostedCommunities, HostedCommunity, ListHosted},
    },
};

use super::tell;
use crate::{
    repository::{StorageError, View, community::StoredCommunity},
    service::Services,
};

/// Lists communities by id.
pub async fn list(
    services: &Services,
    request: ListHosted,
) -> Result<HostedCommunities, StorageError> {
    let limit = request.limit.clamp(1, 500);
    let mut view = services.storage.read().await?;
    let mut rows = view.communities(request.after, limit.saturating_add(1)).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let mut communities = Vec::with_capacity(rows.len());
    for row in rows {
        communities.push(shown(&mut *view, row).await?);
    }
    Ok(HostedCommunities { communities, more })
}

/// Shows one community.
pub async fn show(
    services: &Services,
    community: CommunityId,
) -> Result<HostedCommunity, Failure<AdminError>> {
    let mut view = services.storage.read().await?;
    let row = view.community(community).await?.ok_or_else(no_community)?;
    let proofs = view.forks_of(community).await?;
    let proofs = (!proofs.is_empty()).then_some(proofs);
    Ok(HostedCommunity { proofs, ..shown(&mut *view, row).await? })
}

async fn shown(
    view: &mut (impl View + ?Sized),
    row: StoredCommunity,
) -> Result<HostedCommunity, StorageError> {
    let size = view.community_size(row.community).await?;
    let forks = view.forked(&[row.community]).await?;
    Ok(HostedCommunity {
        community: row.community,
        kind: row.kind,
        founder: row.founder,
        owner: row.owner,
        created: row.created,
        is_frozen: row.is_frozen,
        is_deleted: row.is_deleted,
        members: size.members,
        channels: size.channels,
        entries: size.entries,
        bytes: size.bytes,
        hub: row.hub,
        forks: forks.first().map(|(_, count)| *count),
        proofs: None,
    })
}

fn no_community() -> Failure<AdminError> {
    Failure::Error(AdminError::NotFound { what: "community".to_owned() })
}

/// Freezes, thaws or erases a community.
pub async fn change(
    services: &Services,
    community: CommunityId,
    change: HostedChange,
) -> Result<(), Failure<AdminError>> {
    let turn = services.order.lock().await;
    let row = services.storage.read().await?.community(community).await?;
    let row = row.ok_or_else(no_community)?;
    if let Some(hub) = row.hub {
        let reason = format!("this is a copy of a community whose hub is {hub}");
        return Err(Failure::Error(AdminError::Precondition { reason }));
    }
    if row.is_deleted {
        let reason = "the community has been deleted already".to_owned();
        return Err(Failure::Error(AdminError::Precondition { reason }));
    }
    let hosted = services.hosted(community).await?.ok_or(Refusal::Internal)?;
    let mut unit = services.storage.begin().await?;
    let was_there = match change {
        HostedChange::Freeze => unit.set_community_frozen(community, true).await?,
        HostedChange::Unfreeze => unit.set_community_frozen(community, false).await?,
        HostedChange::Delete => unit.end_community(community).await?,
    };
    if !was_there {
        return Err(no_community());
    }
    unit.commit().await?;
    services.hub.folds.invalidate(&community);
    if change == HostedChange::Delete {
        tell::ended(services, &hosted.state);
    }
    drop(turn);
    tracing::info!(%community, ?change, "the administrator changed a community");
    Ok(())
}
