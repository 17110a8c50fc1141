//! What waits for other homeservers, in lanes.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, Digest, ItemId, UserId},
    name::ServerName,
    request::message::Returned,
    time::Timestamp,
};

use super::{
    Limit, StorageError,
    peer::{Backlog, Outbound, StoredOutbound},
};

/// What is read.
#[async_trait]
pub trait QueueView {
    /// What is to be handed over to `peer` now, in order.
    async fn outbound_due(
        &mut self,
        peer: &ServerName,
        now: Timestamp,
        limit: Limit,
    ) -> Result<Vec<StoredOutbound>, StorageError>;

    /// When the next is to be handed over; nothing while there is none.
    async fn outbound_next(&mut self, peer: &ServerName)
    -> Result<Option<Timestamp>, StorageError>;

    /// How much of what a user has sent waits for `peer`.
    async fn outbound_count(
        &mut self,
        peer: &ServerName,
        sender: UserId,
    ) -> Result<u64, StorageError>;

    /// What a sender has in a queue under this id.
    async fn outbound_item(
        &mut self,
        sender: UserId,
        item: ItemId,
    ) -> Result<Option<StoredOutbound>, StorageError>;

    /// What has come back of a lane, by id, in no order.
    async fn returned_in(
        &mut self,
        peer: &ServerName,
        lane: Digest,
    ) -> Result<Vec<ItemId>, StorageError>;

    /// How much waits for a peer.
    async fn backlog(&mut self, peer: &ServerName) -> Result<Backlog, StorageError>;
}

/// What is changed.
#[async_trait]
pub trait QueueRepository: QueueView {
    /// Puts things into the queue of `peer`, behind what is there, and not before what is there of their lanes. What a sender has there
    /// under the same id already is replaced.
    async fn put_outbound(
        &mut self,
        peer: &ServerName,
        new: &[Outbound],
    ) -> Result<(), StorageError>;

    /// What has arrived is forgotten.
    async fn settle_outbound(
        &mut self,
        peer: &ServerName,
        numbers: &[u64],
    ) -> Result<(), StorageError>;

    /// Something has come back. Its content is forgotten.
    async fn return_outbound(
        &mut self,
        peer: &ServerName,
        number: u64,
        returned: &Returned,
    ) -> Result<(), StorageError>;

    /// Nothing of a lane is handed over before `not_before`.
    async fn delay_lane(
        &mut self,
        peer: &ServerName,
        lane: Digest,
        not_before: Timestamp,
        reason: &str,
    ) -> Result<(), StorageError>;

    /// Everything may be handed over now.
    async fn hurry_outbound(&mut self, peer: &ServerName) -> Result<(), StorageError>;

    /// Forgets what a device has taken note of, of what came back to it. Says how many there were.
    async fn dismiss_returned(
        &mut self,
        sender: UserId,
        device: DeviceId,
        items: &[ItemId],
    ) -> Result<u64, StorageError>;

    /// Has come back what waits since before `before`, and forgets what of it nobody asks about. Gives the devices whose things came back.
    async fn expire_outbound(
        &mut self,
        peer: &ServerName,
        before: Timestamp,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError>;
}
