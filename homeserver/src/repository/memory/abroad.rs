//! Communities whose members live on several servers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    chain::SignedHead,
    id::{ChainId, CommunityId, UserId},
    name::ServerName,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    abroad::{AbroadRepository, AbroadView},
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
            rows.communities.get(community).is_some_and(|one| one.hub.is_none())
        };
        let later = all.into_iter().filter(|one| Some(*one) > after).filter(is_here);
        Ok(later.take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
    }

    async fn farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Option<u64>, StorageError> {
        Ok(self.rows().farewells.get(&(peer.clone(), community)).copied())
    }

    async fn copied_head(&mut self, chain: ChainId) -> Result<Option<SignedHead>, StorageError> {
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
            .filter(|one| one.hub.as_ref() == Some(hub) && !one.is_deleted);
        let later = copies.map(|one| one.community).filter(|one| Some(*one) > after);
        Ok(later.take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
    }

    async fn copies_of(&mut self, hub: &ServerName) -> Result<u64, StorageError> {
        let rows = self.rows();
        let copies = rows.communities.values();
        let copies = copies.filter(|one| one.hub.as_ref() == Some(hub) && !one.is_deleted);
        Ok(u64::try_from(copies.count()).unwrap_or(u64::MAX))
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

    async fn put_copied_head(
        &mut self,
        chain: ChainId,
        head: &SignedHead,
    ) -> Result<(), StorageError> {
        self.change()?.copied_heads.insert(chain, head.clone());
        Ok(())
    }
}

impl Rows {
    fn have_to_do_with(&self, community: CommunityId) -> impl Iterator<Item = UserId> {
        self.belongings
            .iter()
            .filter(move |((other, _), standing)| {
                *other == community && **standing != Belonging::Named
            })
            .map(|((_, user), _)| *user)
    }
}
