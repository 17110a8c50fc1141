//! What a user's chain amounts to.

use rpds::RedBlackTreeMapSync;

use crate::{
    chain::Seen,
    id::{DeviceId, ServerId, UserId},
    key::VerifyingKey,
    name::ServerName,
    user::{DeviceKeys, PukPublic, RecoveryKeys},
};

/// One device of a user, live or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its public keys.
    pub keys: DeviceKeys,
    /// Where in the chain it was added: the lower, the more senior.
    pub added: u64,
    /// Where it was revoked, if it was.
    pub revoked: Option<u64>,
}

impl Device {
    /// Whether the device may act now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.revoked.is_none()
    }

    /// Whether the device was live at place `seq` of the chain.
    #[must_use]
    pub fn was_live_at(&self, seq: u64) -> bool {
        self.added <= seq && self.revoked.is_none_or(|revoked| seq < revoked)
    }
}

/// The per-user key as the chain shows it: the public half of the generation in force.
pub type PerUserKey = PukPublic;

/// A user, as of one head of their chain. Copies share what did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Who.
    pub user: UserId,
    /// The last entry.
    pub head: Seen,
    /// The home's name.
    pub home: ServerName,
    /// The home's root key.
    pub home_key: ServerId,
    /// The recovery key in force.
    pub recovery: RecoveryKeys,
    /// All devices there ever were.
    pub devices: RedBlackTreeMapSync<DeviceId, Device>,
    /// All generations of the per-user key, by generation.
    pub puks: RedBlackTreeMapSync<u32, PerUserKey>,
    /// Sealed links from each generation to the one before it.
    pub puk_links: RedBlackTreeMapSync<u32, Vec<u8>>,
    /// A device was revoked, and the new per-user key that has to follow has not come yet.
    pub owes_rotation: bool,
    /// The user has ended.
    pub closed: bool,
}

impl State {
    /// The devices that may act now, oldest first.
    #[must_use]
    pub fn live_devices(&self) -> Vec<(DeviceId, &Device)> {
        let mut live: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, device)| device.is_live())
            .map(|(id, device)| (*id, device))
            .collect();
        live.sort_by_key(|(_, device)| device.added);
        live
    }

    /// The ids of the devices that may act now, oldest first.
    #[must_use]
    pub fn live_device_ids(&self) -> Vec<DeviceId> {
        self.live_devices().into_iter().map(|(id, _)| id).collect()
    }

    /// The device `id`, if it may act now.
    #[must_use]
    pub fn live_device(&self, id: DeviceId) -> Option<&Device> {
        if self.closed {
            return None;
        }
        self.devices.get(&id).filter(|device| device.is_live())
    }

    /// The live device that signs with `key`.
    #[must_use]
    pub fn signer(&self, key: VerifyingKey) -> Option<(DeviceId, &Device)> {
        let id = key.device_id();
        self.live_device(id).map(|device| (id, device))
    }

    /// The per-user key in force.
    #[must_use]
    pub fn puk(&self) -> Option<&PerUserKey> {
        self.puks.values().next_back()
    }
}
