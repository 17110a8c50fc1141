//! How people are, as it is known at this moment.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rookery_protocol::{
    id::{DeviceId, UserId},
    name::ServerName,
    request::presence::{PresenceEntry, PresenceState, StatusText},
    time::Timestamp,
};
use tokio::time::Instant;

use super::foreign::{Due, Foreign, Heard, Pair};

/// How one user is.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) devices: HashMap<DeviceId, PresenceState>,
    /// What was set last: a device that connects begins with it.
    pub(super) wish: Option<PresenceState>,
    pub(super) status: Option<StatusText>,
    pub(super) last_online: Option<Timestamp>,
}

impl Known {
    /// How the user is to themselves.
    pub(super) fn state(&self) -> PresenceState {
        let any = |state| self.devices.values().any(|device| *device == state);
        let order = [
            PresenceState::Invisible,
            PresenceState::Busy,
            PresenceState::Online,
            PresenceState::Away,
        ];
        order.into_iter().find(|state| any(*state)).unwrap_or(PresenceState::Offline)
    }

    /// How the user is to others.
    pub(super) fn shown(&self, user: UserId) -> PresenceEntry {
        let state = match self.state() {
            PresenceState::Invisible => PresenceState::Offline,
            state => state,
        };
        let last_online = if state == PresenceState::Offline { self.last_online } else { None };
        PresenceEntry { user, state, last_online, status: self.status.clone() }
    }
}

/// How everybody is who was there since the start: at most one row an account.
#[derive(Debug, Default)]
pub struct Presences {
    known: Mutex<HashMap<UserId, Known>>,
    unwritten: Mutex<HashSet<UserId>>,
    /// How contacts of people here are who live elsewhere.
    foreign: Mutex<Foreign>,
}

impl Presences {
    /// The account is gone.
    pub fn forget(&self, user: UserId) {
        self.known().remove(&user);
        self.unwritten().remove(&user);
        self.foreign().forget_to(user);
    }

    /// A peer says to `to` how one of its users is.
    pub fn note_foreign(&self, peer: &ServerName, to: UserId, entry: &PresenceEntry) -> Heard {
        self.foreign().note(peer, to, entry, Instant::now())
    }

    /// Takes what a peer has said and is to be shown now.
    pub fn take_due(&self, peer: &ServerName) -> Due {
        self.foreign().take_due(peer, Instant::now())
    }

    /// Nothing is known any more of the users of a peer. Gives those who were not offline.
    pub fn forget_of(&self, peer: &ServerName) -> Vec<Pair> {
        self.foreign().forget_of(peer)
    }

    /// Nothing more is to be known of somebody who lives elsewhere, by somebody here.
    pub fn forget_pair(&self, pair: Pair) {
        self.foreign().forget(pair);
    }

    pub(super) fn of_foreign(&self, user: UserId, to: UserId) -> Option<PresenceEntry> {
        self.foreign().of(Pair { user, to }).cloned()
    }

    fn foreign(&self) -> MutexGuard<'_, Foreign> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<UserId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unwritten(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a user's row; whether others see a difference.
    pub(super) fn change(
        &self,
        user: UserId,
        now: Timestamp,
        change: impl FnOnce(&mut Known),
    ) -> bool {
        let mut rows = self.known();
        let row = rows.entry(user).or_default();
        let before = row.shown(user);
        change(row);
        if !matches!(before.state, PresenceState::Offline) {
            row.last_online = Some(now);
        }
        let differs = before != row.shown(user);
        drop(rows);
        self.unwritten().insert(user);
        differs
    }
}
