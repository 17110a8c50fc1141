//! When devices and sessions were last there: noted in memory, written down each minute, because nothing depends on it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rookery_protocol::{session::Authenticated, time::Timestamp};

use super::Services;
use crate::repository::{StorageError, device::DeviceSeen};

/// What has not been written down yet: at most one row a session that was there.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashMap<Authenticated, Timestamp>>);

impl Seen {
    /// Notes that a device was there.
    pub fn note(&self, who: &Authenticated, at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*who, at);
    }
}

/// Writes down what was noted.
pub async fn write_down(services: &Services) -> Result<(), StorageError> {
    let noted =
        std::mem::take(&mut *services.seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    if noted.is_empty() {
        return Ok(());
    }
    let devices: Vec<DeviceSeen> = noted
        .iter()
        .map(|(who, at)| DeviceSeen { user: who.user, device: who.device, at: *at })
        .collect();
    let sessions: Vec<_> = noted.iter().map(|(who, at)| (who.session, *at)).collect();
    let mut unit = services.storage.begin().await?;
    unit.note_seen(&devices).await?;
    unit.touch_sessions(&sessions).await?;
    unit.commit().await
}
