//! Prekeys: what devices publish, and what of it was given to whom.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    prekey::{EcPrekey, KemPrekey, PrekeyUpload},
    time::Timestamp,
};

use super::StorageError;

/// How many one-time keys there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrekeyCounts {
    /// X25519.
    pub one_time: u32,
    /// X-Wing.
    pub one_time_kem: u32,
}

/// Whether a claim gets one-time keys of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneTime {
    /// While there are any.
    Give,
    /// Signed prekeys only.
    Withhold,
}

/// A claim of keys of several devices.
#[derive(Clone, Debug)]
pub struct NewClaim {
    /// Who asks.
    pub requester: UserId,
    /// Chosen by who asks, and unique among theirs.
    pub claim: ItemId,
    /// When.
    pub at: Timestamp,
    /// Of which devices, each at most once.
    pub devices: Vec<(DeviceId, OneTime)>,
}

/// What a claim got of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedKeys {
    /// Of which device.
    pub device: DeviceId,
    /// The signed X25519 prekey that was in force.
    pub signed: EcPrekey,
    /// The signed X-Wing prekey that was in force.
    pub signed_kem: KemPrekey,
    /// A one-time X25519 key, which nobody else ever gets.
    pub one_time: Option<EcPrekey>,
    /// A one-time X-Wing key, likewise.
    pub one_time_kem: Option<KemPrekey>,
}

/// What can be asked about prekeys.
#[async_trait]
pub trait PrekeyView {
    /// How many one-time keys of `device` there still are.
    async fn prekey_counts(&mut self, device: DeviceId) -> Result<PrekeyCounts, StorageError>;

    /// Which of `devices` have given a one-time key to `requester` at or after `since`, in no order.
    async fn claimed_since(
        &mut self,
        requester: UserId,
        devices: &[DeviceId],
        since: Timestamp,
    ) -> Result<Vec<DeviceId>, StorageError>;

    /// What the claim got, by device; nothing when there was no such claim, or it got nothing.
    async fn claim(
        &mut self,
        requester: UserId,
        claim: ItemId,
    ) -> Result<Vec<ClaimedKeys>, StorageError>;
}

/// What can be done to prekeys.
#[async_trait]
pub trait PrekeyRepository: PrekeyView {
    /// Keeps what a device publishes: signed prekeys replace those before, one-time keys are added. A key whose id is not above all that the
    /// device ever published of its kind is passed over, so that an upload that comes twice brings no key back that was given away.
    async fn put_prekeys(
        &mut self,
        user: UserId,
        device: DeviceId,
        upload: &PrekeyUpload,
        at: Timestamp,
    ) -> Result<PrekeyCounts, StorageError>;

    /// Takes keys of each device, the oldest one-time keys first, and records what was taken; one-time keys that end by `at` are passed
    /// over and erased. A claim that is recorded already gets the same again, whatever else it says. A device without signed prekeys is
    /// left out. By device.
    async fn claim_prekeys(&mut self, claim: &NewClaim) -> Result<Vec<ClaimedKeys>, StorageError>;

    /// Erases all one-time keys of all devices, as after a restore: some may have been given away after the copy was made.
    async fn drop_one_time_prekeys(&mut self) -> Result<u64, StorageError>;
}
