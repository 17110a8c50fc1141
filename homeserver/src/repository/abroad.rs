//! Communities whose members live on several servers: which peer has to do with which, and what their hubs say of copied chains.

use async_trait::async_trait;
use rookery_protocol::{
    chain::{HeadRef, SignedHead},
    community::{Fork, VouchedHead},
    id::{ChainId, CommunityId, UserId},
    name::ServerName,
    request::server::SignedServerRecord,
    time::Timestamp,
};

use super::StorageError;

/// What its hub says of where a copied chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedHead {
    /// As it was signed.
    pub head: SignedHead,
    /// The hub's record that shows whose word it is; absent for what was copied before that was kept.
    pub record: Option<SignedServerRecord>,
}

impl CopiedHead {
    /// The head with the record, where that was kept.
    #[must_use]
    pub fn vouched(&self) -> Option<VouchedHead> {
        Some(VouchedHead { head: self.head.clone(), record: self.record.clone()? })
    }
}

/// How much there is of one hub's communities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Communities that there are copies of.
    pub count: u64,
    /// What their chains and blobs take, in bytes.
    pub bytes: u64,
}

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

    /// The communities that this server is or was the hub of, and that users of `peer` have or had to do with; by id, after `after`, at most
    /// `most`.
    async fn communities_for(
        &mut self,
        peer: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError>;

    /// The users of `peer` who have to do with those communities, in no order.
    async fn foreigners_of_in_all(
        &mut self,
        peer: &ServerName,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, UserId)>, StorageError>;

    /// Through which entries `peer` may read the logs of those communities that its users have left; in no order.
    async fn farewells(
        &mut self,
        peer: &ServerName,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, HeadRef)>, StorageError>;

    /// The communities that a third server is the hub of, and that users of `peer` have to do with; by id, after `after`, at most `most`.
    async fn shared_with(
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
    async fn copied_head(&mut self, chain: ChainId) -> Result<Option<CopiedHead>, StorageError>;

    /// Communities that `hub` is or was the hub of, as far as that is known here, by id, after `after`, at most `most`.
    async fn copies_from(
        &mut self,
        hub: &ServerName,
        after: Option<CommunityId>,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError>;

    /// How much there is of the communities of `hub`.
    async fn copies_of(&mut self, hub: &ServerName) -> Result<Copies, StorageError>;

    /// Copies of which it is noted wrongly whether somebody who lives here and whose account is not deleted has to do with them; at most `most`.
    async fn copies_to_note(&mut self, most: u32) -> Result<Vec<CommunityId>, StorageError>;

    /// Copies that nobody here has had to do with since `before` or longer, and those that are being dropped; at most `most`.
    async fn unused_copies(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError>;

    /// Through which place the log of a community was here whose copy was dropped, as long as that is remembered.
    async fn dropped_copy(&mut self, community: CommunityId) -> Result<Option<u64>, StorageError>;

    /// Communities of `hub` whose copies were dropped, which it was not told yet; by id, at most `most`.
    async fn dropped_untold(
        &mut self,
        hub: &ServerName,
        most: u32,
    ) -> Result<Vec<CommunityId>, StorageError>;

    /// The proofs that the community's hub has signed two histories of it, by chain.
    async fn forks_of(&mut self, community: CommunityId) -> Result<Vec<Fork>, StorageError>;

    /// Which of those communities there are such proofs of, and how many; in no order.
    async fn forked(
        &mut self,
        communities: &[CommunityId],
    ) -> Result<Vec<(CommunityId, u32)>, StorageError>;
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

    /// `peer` needs nothing of the log any more.
    async fn end_farewell(
        &mut self,
        peer: &ServerName,
        community: CommunityId,
    ) -> Result<(), StorageError>;

    /// Notes of a copy, with `now`, since when nobody who lives here and whose account is not deleted has had to do with it, if that
    /// is so. What this server ordered once is kept: others may come for it.
    async fn note_copy(
        &mut self,
        community: CommunityId,
        now: Timestamp,
    ) -> Result<(), StorageError>;

    /// Begins to drop a copy that nobody needs: from now on there is no such community here, and it is remembered how far its log was here.
    /// Says whether there is such a copy and still nobody needs it.
    async fn begin_drop(&mut self, community: CommunityId) -> Result<bool, StorageError>;

    /// Goes on with dropping a copy, by at most `entries` of them or `blobs`, and says whether there is more to do; nothing happens to what is
    /// not being dropped. With the last of it goes what says that it is.
    async fn go_on_with_drop(
        &mut self,
        community: CommunityId,
        entries: u32,
        blobs: u32,
    ) -> Result<bool, StorageError>;

    /// The hub of a community knows that its copy was dropped. How far it was here is forgotten if `is_over`.
    async fn settle_drop(
        &mut self,
        community: CommunityId,
        is_over: bool,
    ) -> Result<(), StorageError>;

    /// Notes that a peer was the hub of a community, and has handed it over.
    async fn put_former_hub(
        &mut self,
        community: CommunityId,
        hub: &ServerName,
    ) -> Result<(), StorageError>;

    /// Notes where its hub says that a copied chain stands.
    async fn put_copied_head(
        &mut self,
        chain: ChainId,
        head: &CopiedHead,
    ) -> Result<(), StorageError>;

    /// Keeps the proof that the hub of `community` has signed two histories of a chain, unless there is one of that chain; says whether it did.
    async fn put_fork(
        &mut self,
        community: CommunityId,
        fork: &Fork,
        at: Timestamp,
    ) -> Result<bool, StorageError>;
}
