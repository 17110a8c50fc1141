//! What goes on by itself: writing down what is in memory, and forgetting what is over.
//!
//! Forgetting goes by the clock, so a clock that jumps could erase a year at once. The job compares the clock with the time that has really
//! passed, and forgets nothing once they are more than a day apart, until the server is started again and somebody has looked.

use std::{sync::Weak, time::Duration};

use rookery_protocol::time::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Services,
    peer::{forward, outstanding, stranger},
    presence, seen,
};
use crate::{
    identity::SOON,
    repository::{
        StorageError,
        retention::{Purge, Purged},
    },
};

/// How often presence is written down (`DESIGN` §7).
const MINUTE: Duration = Duration::from_mins(1);
/// How many of those go by between two purges.
const PURGE_EVERY: u32 = 60;
/// How far the clock may be from the time that has passed.
const MAX_JUMP: Duration = Duration::from_hours(24);
/// How long records of claims are kept: a claim is retried within minutes, and counted for a day.
const KEEP_CLAIMS: Duration = Duration::from_hours(168);
/// How long a session may go unused: as long as a person may be away and still expects to be logged in.
const KEEP_IDLE_SESSIONS: Duration = Duration::from_hours(9600);
/// How long a blob is kept that no statement names: a batch follows its wraps within minutes.
const KEEP_BLOBS: Duration = Duration::from_hours(1);
/// How long a file is kept that does not go on: whoever sends it may be offline over night.
const KEEP_UNFINISHED_FILES: Duration = Duration::from_hours(24);
/// How long invites that are over are still listed.
const KEEP_INVITES: Duration = Duration::from_hours(720);
/// Rows of each kind in one unit of work, so that none takes long.
const ROWS: u32 = 5_000;

/// Tells whether the clock can be trusted to forget by.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    wall: Timestamp,
    steady: Instant,
}

impl Watch {
    /// Begins to watch.
    #[must_use]
    pub const fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// How far the clock has jumped since, if it is further than it may.
    #[must_use]
    pub fn jump(&self, wall: Timestamp, steady: Instant) -> Option<Duration> {
        let expected = self.wall.plus(steady.saturating_duration_since(self.steady));
        let apart = wall.since(expected).max(expected.since(wall));
        (apart > MAX_JUMP).then_some(apart)
    }
}

/// Takes back what has waited too long for servers that cannot be reached; for the others, their own tasks see to it.
async fn expire_outbound(services: &Services) {
    for peer in services.peers.all() {
        if peer.client().is_none()
            && let Err(error) = forward::expire(services, &peer).await
        {
            tracing::warn!(peer = %peer.name, %error, "what waits for too long was not taken back");
        }
    }
}

/// Runs until `stop`.
pub async fn run(services: Weak<Services>, stop: CancellationToken) {
    let watch = match services.upgrade() {
        Some(services) => Watch::new(services.clock.now(), Instant::now()),
        None => return,
    };
    let mut rounds = 0_u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(MINUTE) => {}
            () = stop.cancelled() => return,
        }
        let Some(services) = services.upgrade() else { return };
        write_down(&services).await;
        services.limiter.forget_quiet();
        rounds = rounds.wrapping_add(1);
        if !rounds.is_multiple_of(PURGE_EVERY) {
            continue;
        }
        renew_record(&services);
        if let Some(apart) = watch.jump(services.clock.now(), Instant::now()) {
            tracing::error!(
                hours = apart.as_secs() / 3_600,
                "the clock has jumped: nothing is forgotten until the server is started again"
            );
            continue;
        }
        match purge(&services).await {
            Ok(purged) => tracing::info!(?purged, "what is over was forgotten"),
            Err(error) => {
                tracing::warn!(%error, "what is over was not forgotten; it is tried again in an hour");
            }
        }
        expire_outbound(&services).await;
        if let Err(error) = stranger::forget(&services).await {
            tracing::warn!(%error, "homeservers that were not reached for long were not forgotten; it is tried again in an hour");
        }
        if let Err(error) = outstanding::forget(&services).await {
            tracing::warn!(%error, "what came back to devices that are gone was not forgotten");
        }
    }
}

/// Renews the server's record in time, or says that it ends.
fn renew_record(services: &Services) {
    let now = services.clock.now();
    match services.identity.renew(now) {
        Ok(true) => tracing::info!("the server's record was renewed"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(%error, "the server's record was not renewed; it is tried again in an hour");
        }
    }
    let left = services.identity.record().left(now);
    metrics::gauge!("rookery_record_seconds_left").set(left.as_secs_f64());
    if left < SOON {
        tracing::warn!(
            days = left.as_secs() / 86_400,
            "the server's record ends soon, and other homeservers will not take it any more: `rookeryd key rotate --root-key FILE`"
        );
    }
}

/// Writes down what is only in memory.
pub async fn write_down(services: &Services) {
    for result in [presence::write_down(services).await, seen::write_down(services).await] {
        if let Err(error) = result {
            tracing::warn!(%error, "presence was not written down; it is tried again in a minute");
        }
    }
}

/// Forgets what is over.
pub async fn purge(services: &Services) -> Result<Purged, StorageError> {
    let now = services.clock.now();
    let before = |kept: Duration| {
        Timestamp::from_millis(
            now.as_millis().saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)),
        )
    };
    let purge = Purge {
        blobs_before: before(KEEP_BLOBS),
        files_before: before(services.config.keep_files),
        unfinished_files_before: before(KEEP_UNFINISHED_FILES),
        messages_before: before(services.config.keep_message_ids),
        sessions_ended_before: before(services.config.keep_ended_sessions),
        sessions_idle_before: before(KEEP_IDLE_SESSIONS),
        claims_before: before(KEEP_CLAIMS),
        invites_before: before(KEEP_INVITES),
        rows: ROWS,
    };
    let mut total = Purged::default();
    loop {
        let mut unit = services.storage.begin().await?;
        let purged = unit.purge(&purge).await?;
        unit.commit().await?;
        total.messages = total.messages.saturating_add(purged.messages);
        total.sessions = total.sessions.saturating_add(purged.sessions);
        total.claims = total.claims.saturating_add(purged.claims);
        total.invites = total.invites.saturating_add(purged.invites);
        total.blobs = total.blobs.saturating_add(purged.blobs);
        total.files = total.files.saturating_add(purged.files);
        total.entries = total.entries.saturating_add(purged.entries);
        if purged == Purged::default() {
            return Ok(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_jumped_is_not_forgotten_by() {
        let (wall, steady) = (Timestamp::from_millis(1_790_000_000_000), Instant::now());
        let watch = Watch::new(wall, steady);
        let later = steady + Duration::from_hours(1);
        assert_eq!(watch.jump(wall.plus(Duration::from_hours(1)), later), None);
        assert!(watch.jump(wall.plus(Duration::from_hours(9600)), later).is_some());
        assert!(watch.jump(Timestamp::from_millis(0), later).is_some());
    }
}
