//! Communities as their hub, and their members' homes, find them: which there are, whose chains they have, and who has to do with which.
//!
//! What a community *is* follows from its log alone. What is here can be made from it again, but for the administrator's flag and for how far
//! members have read.

use async_trait::async_trait;
use rookery_protocol::{
    community::{CommunityKind, SenderKeyUse},
    id::{ChainId, ChannelId, CommunityId, SenderKeyId, UserId},
    name::ServerName,
    time::Timestamp,
};

use super::StorageError;

/// A community that this server is the hub of, or that there is a copy of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommunity {
    /// Which.
    pub community: CommunityId,
    /// What sort.
    pub kind: CommunityKind,
    /// Who made it.
    pub founder: UserId,
    /// Who owns it, as the log has it.
    pub owner: UserId,
    /// The administrator lets nobody change it.
    pub is_frozen: bool,
    /// It has ended; its id is never given again.
    pub is_deleted: bool,
    /// When it was made, or the copy begun.
    pub created: Timestamp,
    /// The peer that is its hub; absent when this server is.
    pub hub: Option<ServerName>,
    /// This server was its hub once, and has handed it over: it goes on to show what it ordered.
    pub was_hub: bool,
}

/// How a user has to do with a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Belonging {
    /// They belong to it.
    Member,
    /// They were invited.
    Invited,
    /// They asked to be let in.
    Asking,
    /// The log names them: whoever reads it needs their chain.
    Named,
}

impl Belonging {
    /// The number that stands for it in rows.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Member => 1,
            Self::Invited => 2,
            Self::Asking => 3,
            Self::Named => 4,
        }
    }

    /// What `number` stands for.
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Member),
            2 => Some(Self::Invited),
            3 => Some(Self::Asking),
            4 => Some(Self::Named),
            _ => None,
        }
    }
}

/// A log or a channel's chain, found by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPlace {
    /// Of which community.
    pub community: CommunityId,
    /// Of which channel; absent for the log.
    pub channel: Option<ChannelId>,
}

/// A Sender Key that was announced in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSenderKey {
    /// The channel's chain.
    pub chain: ChainId,
    /// Which.
    pub sender_key: SenderKeyId,
    /// What is known of it.
    pub used: SenderKeyUse,
}

/// How large a community is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommunitySize {
    /// Members.
    pub members: u64,
    /// Chains of channels, also of those that ended.
    pub channels: u64,
    /// Entries of all its chains.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
}

/// What can be asked about communities.
#[async_trait]
pub trait CommunityView {
    /// The community.
    async fn community(
        &mut self,
        community: CommunityId,
    ) -> Result<Option<StoredCommunity>, StorageError>;

    /// Communities that this server is the hub of, by id, after `after`, at most `most`.
    async fn communities(
        &mut self,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<StoredCommunity>, StorageError>;

    /// How large the community is.
    async fn community_size(
        &mut self,
        community: CommunityId,
    ) -> Result<CommunitySize, StorageError>;

    /// What `chain` is of which community.
    async fn chain_place(&mut self, chain: ChainId) -> Result<Option<ChainPlace>, StorageError>;

    /// The communities that the user belongs to, was invited to or asked to join, and that have not ended; by id.
    async fn communities_of(
        &mut self,
        user: UserId,
    ) -> Result<Vec<(StoredCommunity, Belonging)>, StorageError>;

    /// How many communities of this server the user owns that have not ended.
    async fn owned_communities(&mut self, user: UserId) -> Result<u32, StorageError>;

    /// Whether both belong to one community that has not ended.
    async fn share_community(&mut self, user: UserId, other: UserId) -> Result<bool, StorageError>;

    /// Which of `others` are named in a community that `user` belongs to, was invited to or asked to join; in no order.
    async fn related(
        &mut self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<UserId>, StorageError>;

    /// Users who share the most communities with `user`, with how many; the most first, at most `most`.
    async fn co_members(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<(UserId, u32)>, StorageError>;

    /// Users whom the most accepted contacts of `user` have accepted, with how many; the most first, at most `most`.
    async fn contacts_of_contacts(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<(UserId, u32)>, StorageError>;

    /// What is known of those Sender Keys, in no order; unknown ones are left out.
    async fn sender_keys(
        &mut self,
        keys: &[(ChainId, SenderKeyId)],
    ) -> Result<Vec<StoredSenderKey>, StorageError>;

    /// How far members have read a channel, in no order.
    async fn channel_reads(&mut self, chain: ChainId) -> Result<Vec<(UserId, u64)>, StorageError>;
}

/// What can be done to communities.
#[async_trait]
pub trait CommunityRepository: CommunityView {
    /// Puts a community in. Says whether it is new; one that is there stays as it is.
    async fn create_community(&mut self, community: &StoredCommunity)
    -> Result<bool, StorageError>;

    /// Freezes a community, or thaws it. Says whether there is one that has not ended.
    async fn set_community_frozen(
        &mut self,
        community: CommunityId,
        is_frozen: bool,
    ) -> Result<bool, StorageError>;

    /// Gives a community another owner.
    async fn set_community_owner(
        &mut self,
        community: CommunityId,
        owner: UserId,
    ) -> Result<(), StorageError>;

    /// Another server is its hub from now on, or this one; `was_hub` says whether this one was it before.
    async fn set_community_hub(
        &mut self,
        community: CommunityId,
        hub: Option<&ServerName>,
        was_hub: bool,
    ) -> Result<(), StorageError>;

    /// Ends a community: nobody belongs to it any more, its wraps go at once, and the bodies of its channels by and by
    /// ([`super::RetentionRepository::purge`]). Says whether there was one.
    async fn end_community(&mut self, community: CommunityId) -> Result<bool, StorageError>;

    /// Says that a chain, which is there, is a community's.
    async fn place_chain(&mut self, chain: ChainId, place: ChainPlace) -> Result<(), StorageError>;

    /// Says how users have to do with a community from now on.
    async fn put_belongings(
        &mut self,
        community: CommunityId,
        belongings: &[(UserId, Belonging)],
    ) -> Result<(), StorageError>;

    /// Puts in what is known of Sender Keys, in place of what was; each comes once.
    async fn put_sender_keys(&mut self, keys: &[StoredSenderKey]) -> Result<(), StorageError>;

    /// Notes how far users have read channels that are there, each pair once; it never falls.
    async fn note_channel_reads(
        &mut self,
        reads: &[(ChainId, UserId, u64)],
    ) -> Result<(), StorageError>;
}
