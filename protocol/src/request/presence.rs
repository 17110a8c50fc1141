//! Presence: told to accepted contacts only, kept in memory, written down now and then.

use crate::{
    codec::Octets, id::UserId, request, request::Never, session::Authenticated, time::Timestamp,
    wire_index, wire_struct,
};

/// A status text, sealed under its user's profile key.
pub type StatusText = Octets<1024>;

wire_index! {
    /// How somebody is.
    pub enum PresenceState {
        /// There.
        #[n(1)] Online,
        /// There, but not at the keyboard.
        #[n(2)] Away,
        /// There, and not to be disturbed.
        #[n(3)] Busy,
        /// There, and shown as offline.
        #[n(4)] Invisible,
        /// Not there.
        #[n(5)] Offline,
    }
}

wire_struct! {
    /// Says how the user is, on this device.
    pub struct SetPresence {
        /// How.
        #[n(0)] pub state: PresenceState,
        /// A status text; none when absent.
        #[n(1)] pub status: Option<StatusText>,
    }
}

request!(SetPresence: "presence/set/1", Ephemera, Authenticated => (), Never);

wire_struct! {
    /// Asks how the contacts are.
    pub struct ListPresence {}
}

wire_struct! {
    /// How one user is.
    pub struct PresenceEntry {
        /// Who.
        #[n(0)] pub user: UserId,
        /// How.
        #[n(1)] pub state: PresenceState,
        /// When they were last online, if they are not.
        #[n(2)] pub last_online: Option<Timestamp>,
        /// Their status text.
        #[n(3)] pub status: Option<StatusText>,
    }
}

wire_struct! {
    /// How the contacts are; oneself is among them.
    pub struct Presences {
        /// One a user.
        #[n(0)] pub presences: Vec<PresenceEntry>,
    }
}

request!(ListPresence: "presence/list/1", Read, Authenticated => Presences, Never);
