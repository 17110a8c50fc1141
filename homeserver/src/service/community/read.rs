//! Reading communities: which there are for somebody, their logs before one belongs, many chains and names at once.

use std::{collections::HashSet, sync::Arc};

use rookery_protocol::{
    chain::SignedHead,
    codec::{self, MAX_BATCH},
    community::{JoinBy, JoinPolicy, invite_message},
    id::{ChainId, CommunityId, UserId},
    key::Domain,
    request::{
        Failure,
        chain::{Entries, ReadError},
        community::{
            Communities, CommunityEntry, ManyEntries, MemberStanding, NamedUser, PreviewError,
            PreviewLog, ReadChains, UserNames, WantedChain,
        },
    },
    session::{Authenticated, Principal},
};

use super::Hosted;
use crate::{
    repository::{
        Limit, StorageError,
        chain::{ChainKind, StoredChain},
        community::Belonging,
    },
    service::Services,
};

/// How many chains or names one request asks for.
const MAX_WANTED: usize = 512;
/// A reply is a frame of at most a batch: this leaves room for places, hashes and signatures beside the bodies.
const PAGE_BYTES: usize = MAX_BATCH - 128 * 1024;
/// How much of one chain is read at once.
const PAGE_ROWS: u32 = 256;
/// How many communities somebody may have looked at within the hour.
const MAX_PREVIEWS: usize = 16;

/// The communities that the caller has to do with.
pub async fn list(services: &Services, who: Authenticated) -> Result<Communities, StorageError> {
    let mut view = services.storage.read().await?;
    let rows = view.communities_of(who.user).await?;
    let logs: Vec<ChainId> = rows.iter().map(|(row, _)| ChainId::of_log(row.community)).collect();
    let logs = view.chains(&logs).await?;
    let ids: Vec<_> = rows.iter().map(|(row, _)| row.community).collect();
    let forked = view.forked(&ids).await?;
    let entry = |(row, belonging): (crate::repository::community::StoredCommunity, Belonging)| {
        let standing = match belonging {
            Belonging::Member => MemberStanding::Member,
            Belonging::Invited => MemberStanding::Invited,
            Belonging::Asking => MemberStanding::Asking,
            Belonging::Named => return None,
        };
        let log = ChainId::of_log(row.community);
        let head = logs.iter().find(|stored| stored.chain == log)?.head?;
        let forks = forked.iter().find(|(community, _)| *community == row.community);
        let forks = forks.map(|(_, count)| *count);
        Some(CommunityEntry { community: row.community, kind: row.kind, standing, head, forks })
    };
    Ok(Communities { communities: rows.into_iter().filter_map(entry).collect() })
}

impl Services {
    /// Whether `user` may have what belongs to a community's log: readers of the log, everybody where it is open, and whoever has just
    /// looked at it by an invitation's right.
    pub async fn may_look_at(
        &self,
        user: UserId,
        community: CommunityId,
    ) -> Result<bool, StorageError> {
        let Some(hosted) = self.hosted(community).await? else { return Ok(false) };
        let looked_at = self.hub.previews.get(&user).unwrap_or_default();
        Ok(hosted.may_read_log(user)
            || (hosted.state.policy == JoinPolicy::Open && !hosted.state.banned.contains(&user))
            || looked_at.contains(&community))
    }
}

/// Reads some of a log by the right that the caller would join by.
pub async fn preview(
    services: &Services,
    who: Authenticated,
    request: PreviewLog,
) -> Result<Entries, Failure<PreviewError>> {
    let not_found = || Failure::Error(PreviewError::NotFound);
    let PreviewLog { community, by, after, limit, hub: _ } = request;
    let hosted = services.hosted(community).await?.ok_or_else(not_found)?;
    if !may_join(services, &hosted, who.user, &by) {
        return Err(not_found());
    }
    let mut looked_at = services.hub.previews.get(&who.user).unwrap_or_default().to_vec();
    looked_at.retain(|other| *other != community);
    looked_at.insert(0, community);
    looked_at.truncate(MAX_PREVIEWS);
    services.hub.previews.insert(who.user, Arc::new(looked_at));
    let chain = ChainId::of_log(community);
    let mut view = services.storage.read().await?;
    let stored = view.chain(chain).await?.ok_or_else(not_found)?;
    let limit = Limit { rows: limit.clamp(1, PAGE_ROWS), bytes: PAGE_BYTES };
    let page = view.entries(chain, after, limit).await?;
    let entries = page.rows.into_iter().map(|stored| stored.entry).collect();
    drop(view);
    Ok(Entries { entries, head: services.head_of(&stored).await?, more: page.more })
}

/// Whether the right is one, now.
pub fn may_join(services: &Services, hosted: &Hosted, user: UserId, by: &JoinBy) -> bool {
    let state = &hosted.state;
    if state.banned.contains(&user) {
        return false;
    }
    let live = |id| {
        let invite = state.invites.get(&id)?;
        let is_over = invite.expires.is_some_and(|expires| expires <= services.clock.now());
        (!is_over && invite.uses_left != Some(0)).then_some(invite)
    };
    match by {
        JoinBy::Open => matches!(state.policy, JoinPolicy::Open | JoinPolicy::Approved),
        JoinBy::Invited { invite } => live(*invite).is_some_and(|invite| invite.user == Some(user)),
        JoinBy::Link { invite, proof } => {
            let message = invite_message(state.community, *invite, user);
            live(*invite)
                .and_then(|invite| invite.key)
                .is_some_and(|key| key.verify(Domain::INVITE, &message, proof).is_ok())
        }
    }
}

/// Reads several chains at once; what the caller may not read is left out.
pub async fn many(
    services: &Services,
    who: Authenticated,
    request: ReadChains,
) -> Result<ManyEntries, StorageError> {
    let wanted: Vec<WantedChain> = request.chains.into_iter().take(MAX_WANTED).collect();
    let chains: Vec<ChainId> = wanted.iter().map(|wanted| wanted.chain).collect();
    let stored = services.storage.read().await?.chains(&chains).await?;
    let readable = readable(services, who, &stored).await?;
    let mut view = services.storage.read().await?;
    let mut found = ManyEntries { entries: vec![], more: false };
    let mut left = PAGE_BYTES;
    for WantedChain { chain, after } in wanted {
        let head =
            stored.iter().find(|stored| stored.chain == chain).and_then(|stored| stored.head);
        let has_news = head.is_some_and(|head| after.is_none_or(|after| after < head.seq));
        if !has_news || !readable.contains(&chain) {
            continue;
        }
        if left == 0 {
            found.more = true;
            break;
        }
        let page = view.entries(chain, after, Limit { rows: PAGE_ROWS, bytes: left }).await?;
        for stored in page.rows {
            let size = codec::encode(&stored.entry).len();
            if size > left && !found.entries.is_empty() {
                left = 0;
                found.more = true;
                break;
            }
            left = left.saturating_sub(size);
            found.entries.push(stored.entry);
        }
        found.more |= page.more;
    }
    drop(view);
    // Whoever was sent away while this was read gets nothing that came after.
    let mut lost = vec![];
    for chain in readable {
        if !services.still_reads(who.user, chain).await? {
            lost.push(chain);
        }
    }
    found.entries.retain(|entry| !lost.contains(&entry.chain));
    Ok(found)
}

/// Those of `chains` that the caller may read.
async fn readable(
    services: &Services,
    who: Authenticated,
    chains: &[StoredChain],
) -> Result<HashSet<ChainId>, StorageError> {
    let is_user = |stored: &&StoredChain| stored.kind == ChainKind::User;
    let owners: Vec<UserId> = chains.iter().filter(is_user).map(|stored| stored.owner).collect();
    let named = services.is_named_to(who.user, &owners).await?;
    let principal = Principal::Device(who);
    let mut readable = HashSet::new();
    for stored in chains {
        let is_named = stored.kind == ChainKind::User && named.contains(&stored.owner);
        if is_named || services.may_read(&principal, stored.chain).await? {
            readable.insert(stored.chain);
        }
    }
    Ok(readable)
}

/// The names of those of `users` whom the caller may read.
pub async fn names(
    services: &Services,
    who: Authenticated,
    mut users: Vec<UserId>,
) -> Result<UserNames, StorageError> {
    users.truncate(MAX_WANTED);
    let named = services.is_named_to(who.user, &users).await?;
    let mut found = Vec::with_capacity(users.len());
    for user in users {
        if !named.contains(&user) && !services.may_read_user(who.user, user).await? {
            continue;
        }
        if let Some(resident) = services.resident(user).await? {
            found.push(NamedUser { user, name: resident.name.clone(), server: None });
        } else if let Some(foreigner) = services.foreigner(user).await?
            && let Some(name) = foreigner.stored.name.clone()
        {
            let server = Some(foreigner.stored.peer.clone());
            found.push(NamedUser { user, name, server });
        }
    }
    Ok(UserNames { names: found })
}

/// The signed head of a chain that the caller may read.
pub async fn head(
    services: &Services,
    who: Authenticated,
    chain: ChainId,
) -> Result<SignedHead, Failure<ReadError>> {
    let not_found = || Failure::Error(ReadError::NotFound);
    if !services.may_read(&Principal::Device(who), chain).await? {
        return Err(not_found());
    }
    let stored = services.storage.read().await?.chain(chain).await?.ok_or_else(not_found)?;
    services.head_of(&stored).await?.ok_or_else(not_found)
}
