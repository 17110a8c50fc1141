//! Communities whose members live on several servers: which peer has to do with which, and what their hubs say of copied chains.

use async_trait::async_trait;
use rookery_protocol::{
    chain::SignedHead,
    id::{ChainId, CommunityId, UserId},
    name::ServerName,
};

use super::StorageError;

/// What can be asked about communities across servers. Whoever belongs to a community, was invited to it or asks to be let in *has to do*
/// with it.
#[async_trait]
pub trait AbroadView {
    /// The users of other servers who have to do with the community, with their homes, by home.
    async fn foreigners_in(
        &mut self,
        community: CommunityId,
    ) -> Result<Vec<(ServerName, UserId)>, StorageError>;

    /// The users of `peer` who have to do with the community.
    async fn foreigners_of_in(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Vec<UserId>, StorageError>;

    /// The users who live here and have to do with the community.
    async fn residents_in(&mut self, community: CommunityId) -> Result<Vec<UserId>, StorageError>;

    /// The communities of this server that users of `peer` have or had to do with, by id, after `after`, at most `most`.
    async fn communities_for(
        &mut self,
        peer: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError>;

    /// Through which place `peer` may read the log of a community that its users have left.
    async fn farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<Option<u64>, StorageError>;

    /// Where its hub says that a copied chain stands.
    async fn copied_head(&mut self, chain: ChainId) -> Result<Option<SignedHead>, StorageError>;

    /// Communities of `hub` that there are copies of, by id, after `after`, at most `most`.
    async fn copies_from(
        &mut self,
        hub: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError>;

    /// How many communities of `hub` there are copies of.
    async fn copies_of(&mut self, hub: &ServerName) -> Result<u64, StorageError>;
}

/// What can be done about them.
#[async_trait]
pub trait AbroadRepository: AbroadView {
    /// From now on `peer` may read the log through place `seq`, whoever of its users is left; it never falls.
    async fn put_farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
        seq: u64,
    ) -> Result<(), StorageError>;

    /// Notes where its hub says that a copied chain stands.
    async fn put_copied_head(
        &mut self,
        chain: ChainId,
        head: &SignedHead,
    ) -> Result<(), StorageError>;
}
