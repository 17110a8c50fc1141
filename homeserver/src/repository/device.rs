//! What the home keeps of devices beyond their chain: boxes of the per-user key, and when they were last there.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, UserId},
    time::Timestamp,
    user::PukBox,
};

use super::StorageError;

/// When a device was last there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSeen {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
}

/// A device, as far as the home has heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Which.
    pub device: DeviceId,
    /// When it was last there.
    pub last_seen: Option<Timestamp>,
    /// Envelopes that wait for it.
    pub waiting: u64,
}

/// What can be asked about devices.
#[async_trait]
pub trait DeviceView {
    /// The devices of `user` that were ever there or ever got an envelope, by id, certified or not: the chain says which are live.
    async fn devices(&mut self, user: UserId) -> Result<Vec<DeviceFacts>, StorageError>;

    /// The newest box for `device` and the newest for the recovery key, as far as there are any.
    async fn boxes(&mut self, user: UserId, device: DeviceId) -> Result<Vec<PukBox>, StorageError>;
}

/// What can be done to devices.
#[async_trait]
pub trait DeviceRepository: DeviceView {
    /// Notes when devices were last there, and with them their accounts; earlier times than the known ones are passed over. A device is its
    /// first user's.
    async fn note_seen(&mut self, seen: &[DeviceSeen]) -> Result<(), StorageError>;

    /// Keeps boxes; one that is there already (same generation, same receiver) is replaced.
    async fn put_boxes(&mut self, user: UserId, boxes: &[PukBox]) -> Result<(), StorageError>;

    /// Forgets a device that was revoked: its prekeys, its boxes, its mailbox with all that waits. Its sessions are ended by
    /// [`super::SessionRepository::end_sessions_of_device`]. Positions of its mailbox are never given again.
    async fn forget_device(&mut self, user: UserId, device: DeviceId) -> Result<(), StorageError>;
}
