//! Communities, Sender Keys, and how far members have read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rookery_protocol::{
    id::{ChainId, CommunityId, SenderKeyId, UserId},
    name::ServerName,
    request::contact::Standing,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    community::{
        Belonging, ChainPlace, CommunityRepository, CommunitySize, CommunityView, StoredCommunity,
        StoredSenderKey,
    },
};

#[async_trait]
impl CommunityView for Handle {
    async fn community(
        &mut self,
        community: CommunityId,
    ) -> Result<Option<StoredCommunity>, StorageError> {
        Ok(self.rows().communities.get(&community).cloned())
    }

    async fn communities(
        &mut self,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<StoredCommunity>, StorageError> {
        let rows = self.rows();
        let later = rows
            .communities
            .values()
            .filter(|one| Some(one.community) > after && one.hub.is_none());
        Ok(later.take(most as usize).cloned().collect())
    }

    async fn community_size(
        &mut self,
        community: CommunityId,
    ) -> Result<CommunitySize, StorageError> {
        let rows = self.rows();
        let mut size =
            CommunitySize { members: count(rows.members(community)), ..CommunitySize::default() };
        for (chain, place) in rows.places.iter().filter(|(_, place)| place.community == community) {
            size.channels = size.channels.saturating_add(u64::from(place.channel.is_some()));
            if let Some((chain, _)) = rows.chains.get(chain) {
                let entries = chain.head.map_or(0, |head| head.seq.saturating_add(1));
                size.entries = size.entries.saturating_add(entries);
                size.bytes = size.bytes.saturating_add(chain.bytes);
            }
        }
        Ok(size)
    }

    async fn chain_place(&mut self, chain: ChainId) -> Result<Option<ChainPlace>, StorageError> {
        Ok(self.rows().places.get(&chain).copied())
    }

    async fn communities_of(
        &mut self,
        user: UserId,
    ) -> Result<Vec<(StoredCommunity, Belonging)>, StorageError> {
        let rows = self.rows();
        let theirs = rows
            .belongings
            .iter()
            .filter(|((_, other), belonging)| *other == user && **belonging != Belonging::Named);
        let found = theirs.filter_map(|((community, _), belonging)| {
            let community = rows.communities.get(community).filter(|one| !one.is_deleted)?;
            Some((community.clone(), *belonging))
        });
        Ok(found.collect())
    }

    async fn owned_communities(&mut self, user: UserId) -> Result<u32, StorageError> {
        let rows = self.rows();
        let is_owned =
            |one: &&StoredCommunity| one.owner == user && !one.is_deleted && one.hub.is_none();
        let owned = rows.communities.values().filter(is_owned);
        Ok(u32::try_from(owned.count()).unwrap_or(u32::MAX))
    }

    async fn share_community(&mut self, user: UserId, other: UserId) -> Result<bool, StorageError> {
        let rows = self.rows();
        let both = |community: &CommunityId| {
            let belongs =
                |user| rows.belongings.get(&(*community, user)) == Some(&Belonging::Member);
            belongs(user) && belongs(other)
        };
        Ok(rows.communities.keys().any(both))
    }

    async fn related(
        &mut self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<UserId>, StorageError> {
        let rows = self.rows();
        let own: Vec<CommunityId> = rows
            .belongings
            .iter()
            .filter(|((_, other), belonging)| *other == user && **belonging != Belonging::Named)
            .map(|((community, _), _)| *community)
            .collect();
        let is_named =
            |other: &UserId| own.iter().any(|one| rows.belongings.contains_key(&(*one, *other)));
        Ok(others.iter().copied().filter(is_named).collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn co_members(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<(UserId, u32)>, StorageError> {
        let rows = self.rows();
        let own: Vec<CommunityId> = rows
            .communities
            .keys()
            .copied()
            .filter(|one| rows.belongings.get(&(*one, user)) == Some(&Belonging::Member))
            .collect();
        let others = own.iter().flat_map(|community| rows.members(*community));
        Ok(tally(others.filter(|other| *other != user), most))
    }

    async fn contacts_of_contacts(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<(UserId, u32)>, StorageError> {
        let rows = self.rows();
        let accepted = |owner| {
            let list = rows.list(owner).filter(|one| one.standing == Standing::Accepted);
            list.filter_map(|contact| contact.user).collect::<Vec<_>>()
        };
        let others = accepted(user).into_iter().flat_map(accepted);
        Ok(tally(others.filter(|other| *other != user), most))
    }

    async fn sender_keys(
        &mut self,
        keys: &[(ChainId, SenderKeyId)],
    ) -> Result<Vec<StoredSenderKey>, StorageError> {
        let rows = self.rows();
        Ok(keys.iter().filter_map(|key| rows.sender_keys.get(key)).copied().collect())
    }

    async fn channel_reads(&mut self, chain: ChainId) -> Result<Vec<(UserId, u64)>, StorageError> {
        let rows = self.rows();
        let of_chain = rows.reads.iter().filter(|((other, _), _)| *other == chain);
        Ok(of_chain.map(|((_, user), seq)| (*user, *seq)).collect())
    }
}

#[async_trait]
impl CommunityRepository for Handle {
    async fn create_community(&mut self, new: &StoredCommunity) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let is_new = !rows.communities.contains_key(&new.community);
        rows.communities.entry(new.community).or_insert_with(|| new.clone());
        Ok(is_new)
    }

    async fn set_community_frozen(
        &mut self,
        community: CommunityId,
        is_frozen: bool,
    ) -> Result<bool, StorageError> {
        let found = self.change()?.communities.get_mut(&community).filter(|one| !one.is_deleted);
        Ok(found.map(|one| one.is_frozen = is_frozen).is_some())
    }

    async fn set_community_owner(
        &mut self,
        community: CommunityId,
        owner: UserId,
    ) -> Result<(), StorageError> {
        if let Some(one) = self.change()?.communities.get_mut(&community) {
            one.owner = owner;
        }
        Ok(())
    }

    async fn set_community_hub(
        &mut self,
        community: CommunityId,
        hub: Option<&ServerName>,
        was_hub: bool,
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        if let Some(one) = rows.communities.get_mut(&community) {
            one.hub = hub.cloned();
            one.was_hub = was_hub;
        }
        rows.unused.remove(&community);
        Ok(())
    }

    async fn end_community(&mut self, community: CommunityId) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let found = rows.communities.get_mut(&community).filter(|one| !one.is_deleted);
        let was_there = found.map(|one| one.is_deleted = true).is_some();
        if was_there {
            rows.unused.remove(&community);
        }
        rows.belongings.retain(|(other, _), _| *other != community);
        rows.blobs.retain(|key, _| key.community != community);
        let places = &rows.places;
        let is_its =
            |chain: &ChainId| places.get(chain).is_some_and(|place| place.community == community);
        rows.sender_keys.retain(|(chain, _), _| !is_its(chain));
        rows.reads.retain(|(chain, _), _| !is_its(chain));
        Ok(was_there)
    }

    async fn place_chain(&mut self, chain: ChainId, place: ChainPlace) -> Result<(), StorageError> {
        self.change()?.places.entry(chain).or_insert(place);
        Ok(())
    }

    async fn put_belongings(
        &mut self,
        community: CommunityId,
        belongings: &[(UserId, Belonging)],
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        for (user, belonging) in belongings {
            rows.belongings.insert((community, *user), *belonging);
        }
        Ok(())
    }

    async fn put_sender_keys(&mut self, keys: &[StoredSenderKey]) -> Result<(), StorageError> {
        let rows = self.change()?;
        for key in keys {
            rows.sender_keys.insert((key.chain, key.sender_key), *key);
        }
        Ok(())
    }

    async fn note_channel_reads(
        &mut self,
        reads: &[(ChainId, UserId, u64)],
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        for (chain, user, seq) in reads {
            let known = rows.reads.entry((*chain, *user)).or_default();
            *known = (*known).max(*seq);
        }
        Ok(())
    }
}

impl Rows {
    fn members(&self, community: CommunityId) -> impl Iterator<Item = UserId> {
        self.belongings
            .iter()
            .filter(move |((other, _), belonging)| {
                *other == community && **belonging == Belonging::Member
            })
            .map(|((_, user), _)| *user)
    }
}

fn count(items: impl Iterator) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

/// How often each user comes, the most often first.
fn tally(users: impl Iterator<Item = UserId>, most: u32) -> Vec<(UserId, u32)> {
    let mut counts = BTreeMap::<UserId, u32>::new();
    for user in users {
        let count = counts.entry(user).or_default();
        *count = count.saturating_add(1);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(user, count)| (std::cmp::Reverse(*count), *user));
    counts.truncate(most as usize);
    counts
}
