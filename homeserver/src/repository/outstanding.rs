//! What devices have sent to other servers that is not there yet, or has come back; and what comes back together.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, Digest, ItemId, UserId},
    name::ServerName,
    request::message::{OutstandingPlace, Returned},
    time::Timestamp,
};

use super::StorageError;

/// Something that a device has sent, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutstanding {
    /// Where it stands among all of the device's.
    pub place: OutstandingPlace,
    /// To whom.
    pub receiver: UserId,
    /// Since when it waits.
    pub at: Timestamp,
    /// Why it has come back, if it has.
    pub returned: Option<Returned>,
    /// Why it waits, for people.
    pub reason: Option<String>,
}

/// Something that was taken out of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Who sent it.
    pub sender: UserId,
    /// By which device.
    pub device: DeviceId,
    /// Its id.
    pub item: ItemId,
    /// What it took of the queue, in bytes.
    pub size: u64,
}

/// What can be asked about it.
#[async_trait]
pub trait OutstandingView {
    /// What a device has on its way, or back, after `after`, in order of server, number and id; at most `limit`.
    async fn outstanding(
        &mut self,
        sender: UserId,
        device: DeviceId,
        after: Option<&OutstandingPlace>,
        limit: u32,
    ) -> Result<Vec<StoredOutstanding>, StorageError>;

    /// Whether something came back when its peer was removed.
    async fn is_undelivered(&mut self, sender: UserId, item: ItemId) -> Result<bool, StorageError>;

    /// The devices to whom something has come back that they sent before `before` and have not taken note of, by user.
    async fn returned_before(
        &mut self,
        before: Timestamp,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError>;
}

/// What can be done about it.
#[async_trait]
pub trait OutstandingRepository: OutstandingView {
    /// Has come back what devices have in a lane behind `after`, in order; nothing can join the lane meanwhile.
    async fn return_lane(
        &mut self,
        peer: &ServerName,
        lane: Digest,
        after: u64,
        returned: &Returned,
    ) -> Result<Vec<Recalled>, StorageError>;

    /// Keeps what devices have in the queue of `peer`, which is about to be removed, as come back: for the reason that it has, or else for
    /// `returned`. Gives whose it is.
    async fn keep_undelivered(
        &mut self,
        peer: &ServerName,
        returned: &Returned,
    ) -> Result<Vec<(UserId, DeviceId)>, StorageError>;

    /// Forgets all that has come back to a device which will not ask for it any more.
    async fn forget_returned(
        &mut self,
        sender: UserId,
        device: DeviceId,
    ) -> Result<(), StorageError>;
}
