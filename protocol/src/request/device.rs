//! What the home knows of a user's devices beyond their chain.

use crate::{
    id::DeviceId, request, request::Never, session::Authenticated, time::Timestamp, wire_struct,
};

wire_struct! {
    /// Asks when the user's devices were last there.
    pub struct ListDevices {}
}

wire_struct! {
    /// One device.
    pub struct DeviceEntry {
        /// Which.
        #[n(0)] pub device: DeviceId,
        /// When it was last connected.
        #[n(1)] pub last_seen: Option<Timestamp>,
        /// Envelopes that wait for it.
        #[n(2)] pub waiting: u64,
    }
}

wire_struct! {
    /// The devices.
    pub struct Devices {
        /// Live ones, oldest first.
        #[n(0)] pub devices: Vec<DeviceEntry>,
    }
}

request!(ListDevices: "device/list/1", Read, Authenticated => Devices, Never);
