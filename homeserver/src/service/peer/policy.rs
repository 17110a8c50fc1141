//! With which other homeservers there is anything to do: what the configuration says, unless an administrator has decided otherwise while the
//! server ran.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use rookery_protocol::request::{
    Refusal,
    peering::{Federation, Policy},
};

use super::{Services, admin::cut};
use crate::repository::StorageError;

/// What holds, and what all peers know of it.
#[derive(Debug)]
pub struct InForce {
    decided: RwLock<Option<Federation>>,
    is_off: Arc<AtomicBool>,
}

impl InForce {
    /// What `configured` says.
    #[must_use]
    pub fn new(configured: Federation) -> Self {
        let is_off = Arc::new(AtomicBool::new(configured == Federation::Off));
        Self { decided: RwLock::default(), is_off }
    }

    /// Whether there is nothing to do with any, for who has no access to more.
    pub(super) fn switch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_off)
    }
}

impl Services {
    /// With which other homeservers there is anything to do.
    #[must_use]
    pub fn federation(&self) -> Federation {
        let decided = *self.peers.policy.decided.read().unwrap_or_else(PoisonError::into_inner);
        decided.unwrap_or(self.config.federation)
    }
}

/// What holds, whether or not the server runs.
pub async fn show(services: &Services) -> Result<Policy, Refusal> {
    let decided = async { services.storage.read().await?.federation().await }.await;
    let decided = decided.map_err(|error| super::super::refusal(&error))?;
    let configured = services.config.federation;
    Ok(Policy { federation: decided.unwrap_or(configured), configured })
}

/// Reads what was decided before, when a server starts.
pub(super) async fn load(services: &Services) -> Result<(), StorageError> {
    let decided = services.storage.read().await?.federation().await?;
    put(services, decided);
    Ok(())
}

fn put(services: &Services, decided: Option<Federation>) {
    let policy = &services.peers.policy;
    *policy.decided.write().unwrap_or_else(PoisonError::into_inner) = decided;
    policy.is_off.store(services.federation() == Federation::Off, Ordering::Relaxed);
}

/// Decides it. What was open and is an allow list now goes on with those that are known.
pub async fn set(services: &Services, decided: Option<Federation>) -> Result<Policy, Refusal> {
    let _turn = services.peers.editing.lock().await;
    let stored = async {
        let mut unit = services.storage.begin().await?;
        unit.set_federation(decided).await?;
        unit.commit().await
    };
    stored.await.map_err(|error| super::super::refusal(&error))?;
    put(services, decided);
    let is_off = services.federation() == Federation::Off;
    tracing::info!(federation = ?services.federation(), "an administrator decided with which homeservers there is anything to do");
    for peer in services.peers.all() {
        if is_off {
            cut(services, &peer.stored());
        }
        peer.changed.notify_one();
    }
    show(services).await
}
