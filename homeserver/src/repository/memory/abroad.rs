//! Communities whose members live on several servers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    chain::HeadRef,
    community::Fork,
    id::{ChainId, CommunityId, UserId},
    name::ServerName,
    request::admin::AccountState,
    time::Timestamp,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    abroad::{AbroadRepository, AbroadView, CopiedHead, Copies},
    chain::ChainView as _,
    community::Belonging,
};

#[async_trait]
impl AbroadView for Handle {
    async fn foreigners_in(
        &mut self,
        community: CommunityId,
    ) -> Result<Vec<(ServerName, UserId)>, StorageError> {
        let rows = self.rows();
        let foreigners =
            rows.have_to_do_with(community).filter_map(|user| rows.foreigners.get(&user));
        let mut found: Vec<_> = foreigners.map(|one| (one.peer.clone(), one.user)).collect();
        found.sort_unstable();
        Ok(found)
    }

    async fn foreigners_of_in(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Vec<UserId>, StorageError> {
        let found = self.foreigners_in(community).await?;
        Ok(found.into_iter().filter(|(home, _)| home == peer).map(|(_, user)| user).collect())
    }

    async fn residents_in(&mut self, community: CommunityId) -> Result<Vec<UserId>, StorageError> {
        let rows = self.rows();
        let here = |user: &UserId| rows.accounts.contains_key(user);
        Ok(rows.have_to_do_with(community).filter(here).collect())
    }

    async fn communities_for(
        &mut self,
        peer: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let rows = self.rows();
        let is_of_peer =
            |user: &UserId| rows.foreigners.get(user).is_some_and(|one| one.peer == *peer);
        let present = rows
            .belongings
            .iter()
            .filter(|((_, user), standing)| is_of_peer(user) && **standing != Belonging::Named)
            .map(|((community, _), _)| *community);
        let past = rows.farewells.keys().filter(|(other, _)| other == peer);
        let all: BTreeSet<CommunityId> =
            present.chain(past.map(|(_, community)| *community)).collect();
        let is_here = |community: &CommunityId| {
            let found = rows.communities.get(community);
            found.is_some_and(|one| one.hub.is_none() || one.was_hub)
        };
        let later = all.into_iter().filter(|one| Some(*one) > after).filter(is_here);
        Ok(later.take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
    }

    async fn foreigners_of_in_all(
        &mut self,
        peer: &ServerName,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, UserId)>, StorageError> {
        let mut found = vec![];
        for community in communities {
            let users = self.foreigners_of_in(peer, *community).await?;
            found.extend(users.into_iter().map(|user| (*community, user)));
        }
        Ok(found)
    }

    async fn farewells(
        &mut self,
        peer: &ServerName,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, HeadRef)>, StorageError> {
        let mut found = vec![];
        for community in communities {
            let Some(seq) = self.farewell(peer, *community).await? else { continue };
            let last = self.entry_hash(ChainId::of_log(*community), seq).await?;
            found.extend(last.map(|last| (*community, last)));
        }
        Ok(found)
    }

    async fn shared_with(
        &mut self,
        peer: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let rows = self.rows();
        let is_of_peer =
            |user: &UserId| rows.foreigners.get(user).is_some_and(|one| one.peer == *peer);
        let is_shared =
            |community: CommunityId| rows.have_to_do_with(community).any(|user| is_of_peer(&user));
        let thirds = rows
            .communities
            .values()
            .filter(|one| !one.is_deleted && one.hub.as_ref().is_some_and(|hub| hub != peer));
        let later = thirds.map(|one| one.community).filter(|one| Some(*one) > after);
        let shared = later.filter(|one| is_shared(*one));
        Ok(shared.take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
    }

    async fn farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Option<u64>, StorageError> {
        Ok(self.rows().farewells.get(&(peer.clone(), community)).copied())
    }

    async fn copied_head(&mut self, chain: ChainId) -> Result<Option<CopiedHead>, StorageError> {
        Ok(self.rows().copied_heads.get(&chain).cloned())
    }

    async fn copies_from(
        &mut self,
        hub: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let rows = self.rows();
        let copies = rows
            .communities
            .values()
            .filter(|one| one.hub.as_ref() == Some(hub) || rows.was_hub(hub, one.community))
            .filter(|one| !one.is_deleted);
        let later = copies.map(|one| one.community).filter(|one| Some(*one) > after);
        Ok(later.take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
    }

    async fn copies_of(&mut self, hub: &ServerName) -> Result<Copies, StorageError> {
        let rows = self.rows();
        let is_copy = |community: &CommunityId| {
            let found = rows.communities.get(community);
            found.is_some_and(|one| one.hub.as_ref() == Some(hub) && !one.is_deleted)
        };
        let count = rows.communities.keys().filter(|one| is_copy(one)).count();
        let chains = rows.places.iter().filter(|(_, place)| is_copy(&place.community));
        let chains = chains.filter_map(|(chain, _)| rows.chains.get(chain));
        let blobs = rows.blobs.iter().filter(|(key, _)| is_copy(&key.community));
        let bytes = chains.map(|(chain, _)| chain.bytes).chain(blobs.map(|(_, blob)| blob.0.have));
        Ok(Copies {
            count: u64::try_from(count).unwrap_or(u64::MAX),
            bytes: bytes.fold(0, u64::saturating_add),
        })
    }

    async fn copies_to_note(&mut self, most: u32) -> Result<Vec<CommunityId>, StorageError> {
        let rows = self.rows();
        let wrong = rows
            .copies()
            .into_iter()
            .filter(|one| rows.is_needed(*one) == rows.unused.contains_key(one));
        Ok(wrong.take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
    }

    async fn unused_copies(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let rows = self.rows();
        let is_due = |(community, since): &(&CommunityId, &Timestamp)| {
            **since <= before || rows.communities.get(community).is_some_and(|one| one.is_deleted)
        };
        let mut due: Vec<_> = rows.unused.iter().filter(is_due).collect();
        due.sort_by_key(|(community, since)| (**since, **community));
        due.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(due.into_iter().map(|(community, _)| *community).collect())
    }

    async fn dropped_copy(&mut self, community: CommunityId) -> Result<Option<u64>, StorageError> {
        Ok(self.rows().dropped.get(&community).map(|(_, seq, _)| *seq))
    }

    async fn dropped_untold(
        &mut self,
        hub: &ServerName,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError> {
        let rows = self.rows();
        let untold = rows.dropped.iter().filter(|(_, (of, _, told))| of == hub && !told);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(untold.map(|(community, _)| *community).take(most).collect())
    }

    async fn forks_of(&mut self, community: CommunityId) -> Result<Vec<Fork>, StorageError> {
        let rows = self.rows();
        let forks = rows.forks.values();
        Ok(forks.filter(|(of, _)| *of == community).map(|(_, fork)| fork.clone()).collect())
    }

    async fn forked(
        &mut self,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, u32)>, StorageError> {
        let mut found = vec![];
        for community in communities {
            let count = self.forks_of(*community).await?.len();
            if count > 0 {
                found.push((*community, u32::try_from(count).unwrap_or(u32::MAX)));
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl AbroadRepository for Handle {
    async fn put_farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
        seq: u64,
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        if rows.peers.contains_key(peer) {
            let known = rows.farewells.entry((peer.clone(), community)).or_default();
            *known = (*known).max(seq);
        }
        Ok(())
    }

    async fn end_farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<(), StorageError> {
        self.change()?.farewells.remove(&(peer.clone(), community));
        Ok(())
    }

    async fn note_copy(
        &mut self,
        community: CommunityId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        if rows.copies().contains(&community) {
            if rows.is_needed(community) {
                rows.unused.remove(&community);
            } else {
                rows.unused.entry(community).or_insert(now);
            }
        }
        Ok(())
    }

    async fn begin_drop(&mut self, community: CommunityId) -> Result<bool, StorageError> {
        let rows = self.change()?;
        if rows.is_needed(community) || !rows.unused.contains_key(&community) {
            return Ok(false);
        }
        let found = rows.communities.get_mut(&community).filter(|one| !one.is_deleted);
        let Some((one, hub)) = found.and_then(|one| one.hub.clone().map(|hub| (one, hub))) else {
            return Ok(false);
        };
        one.is_deleted = true;
        let log = rows.chains.get(&ChainId::of_log(community)).and_then(|(chain, _)| chain.head);
        if let Some(head) = log {
            rows.dropped.insert(community, (hub, head.seq, false));
        }
        rows.belongings.retain(|(other, _), _| *other != community);
        Ok(true)
    }

    async fn go_on_with_drop(
        &mut self,
        community: CommunityId,
        entries: u32,
        blobs: u32,
    ) -> Result<bool, StorageError> {
        let [most, blobs] =
            [entries, blobs].map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let rows = self.change()?;
        let is_dropping = rows.unused.contains_key(&community)
            && rows.communities.get(&community).is_some_and(|one| one.is_deleted);
        if !is_dropping {
            return Ok(false);
        }
        let places = rows.places.iter().filter(|(_, place)| place.community == community);
        let chains: BTreeSet<ChainId> = places.map(|(chain, _)| *chain).collect();
        for chain in &chains {
            if let Some((_, entries)) = rows.chains.get_mut(chain)
                && !entries.is_empty()
            {
                let kept = entries.len().saturating_sub(most);
                entries.truncate(kept);
                return Ok(true);
            }
        }
        let of_it = rows.blobs.keys().filter(|key| key.community == community);
        let some: Vec<_> = of_it.take(blobs).copied().collect();
        if !some.is_empty() {
            rows.blobs.retain(|key, _| !some.contains(key));
            return Ok(true);
        }
        rows.chains.retain(|chain, _| !chains.contains(chain));
        rows.places.retain(|chain, _| !chains.contains(chain));
        rows.sender_keys.retain(|(chain, _), _| !chains.contains(chain));
        rows.reads.retain(|(chain, _), _| !chains.contains(chain));
        rows.copied_heads.retain(|chain, _| !chains.contains(chain));
        rows.farewells.retain(|(_, of), _| *of != community);
        rows.communities.remove(&community);
        rows.former_hubs.retain(|(_, of)| *of != community);
        rows.unused.remove(&community);
        Ok(false)
    }

    async fn settle_drop(
        &mut self,
        community: CommunityId,
        is_over: bool,
    ) -> Result<(), StorageError> {
        let dropped = &mut self.change()?.dropped;
        if is_over {
            dropped.remove(&community);
        } else if let Some((_, _, told)) = dropped.get_mut(&community) {
            *told = true;
        }
        Ok(())
    }

    async fn put_former_hub(
        &mut self,
        community: CommunityId,
        hub: &ServerName,
    ) -> Result<(), StorageError> {
        self.change()?.former_hubs.insert((hub.clone(), community));
        Ok(())
    }

    async fn put_copied_head(
        &mut self,
        chain: ChainId,
        head: &CopiedHead,
    ) -> Result<(), StorageError> {
        self.change()?.copied_heads.insert(chain, head.clone());
        Ok(())
    }

    async fn put_fork(
        &mut self,
        community: CommunityId,
        fork: &Fork,
        _at: Timestamp,
    ) -> Result<bool, StorageError> {
        let forks = &mut self.change()?.forks;
        let is_new = !forks.contains_key(&fork.chain());
        forks.entry(fork.chain()).or_insert_with(|| (community, fork.clone()));
        Ok(is_new)
    }
}

impl Rows {
    fn was_hub(&self, hub: &ServerName, community: CommunityId) -> bool {
        self.former_hubs.contains(&(hub.clone(), community))
    }

    /// The communities that others order, by id.
    fn copies(&self) -> Vec<CommunityId> {
        let copies = self.communities.values();
        let copies = copies.filter(|one| one.hub.is_some() && !one.was_hub && !one.is_deleted);
        copies.map(|one| one.community).collect()
    }

    /// Whether somebody who lives here has to do with the community.
    fn is_needed(&self, community: CommunityId) -> bool {
        let lives_here = |user: UserId| {
            self.accounts.get(&user).is_some_and(|account| account.state != AccountState::Deleted)
        };
        self.have_to_do_with(community).any(lives_here)
    }

    pub(super) fn have_to_do_with(&self, community: CommunityId) -> impl Iterator<Item = UserId> {
        self.belongings
            .iter()
            .filter(move |((other, _), standing)| {
                *other == community && **standing != Belonging::Named
            })
            .map(|((_, user), _)| *user)
    }
}
