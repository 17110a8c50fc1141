//! When a member's device starts an epoch without being asked: for who has come, against who was revoked, and after a while.

use std::time::Duration;

use rookery_protocol::{
    chain::Item,
    codec,
    community::{EpochReason, State},
    id::CommunityId,
};

use super::{super::Engine, book::Book};
use crate::error::{CommandError, Kind};

/// How long an epoch lasts in audiences of up to [`SMALL`] users, and in larger ones.
const SMALL_AGE: Duration = Duration::from_hours(8 * 24);
const LARGE_AGE: Duration = Duration::from_hours(31 * 24);
const SMALL: u32 = 1_000;

impl Engine {
    /// Starts the epoch that has to be where somebody has come meanwhile, who otherwise had none.
    ///
    /// Nobody rotates because somebody has left: the next who seals does. Whoever comes before that, though, may not be given an epoch that may not be
    /// used any more, and could not even read what the community is called until somebody spoke. So a member who has the epoch in force starts the
    /// next one as soon as there is somebody whom it is for.
    pub(super) async fn begin_for_newcomers(
        &self,
        community: CommunityId,
        state: &State,
    ) -> Result<(), CommandError> {
        for (id, audience) in &state.audiences {
            let (Some(reason), Some(epoch)) = (audience.must_rotate(), &audience.epoch) else {
                continue;
            };
            let is_lacked = audience.lacking.size() > 0 && !audience.lacking.contains(&self.user);
            if !is_lacked
                || !state.is_in_audience(self.user, *id)
                || self.epoch_secret(community, *id, epoch).await?.is_none()
            {
                continue;
            }
            self.jitter().await;
            self.rotate(community, *id, reason).await?;
        }
        Ok(())
    }

    /// Starts the epoch that follows this user's own revocation of a device, so that it reads nothing even if nobody says anything.
    pub(super) async fn shut_out_own_revoked(
        &self,
        community: CommunityId,
    ) -> Result<(), CommandError> {
        let Some(Book { state: Some(state), .. }) = self.book(community).await? else {
            return Ok(());
        };
        for (id, audience) in &state.audiences {
            let Some(reason) = audience.must_rotate() else { continue };
            let is_devices = audience.stale.devices > 0;
            if is_devices && state.is_in_audience(self.user, *id) {
                self.jitter().await;
                self.rotate(community, *id, reason).await?;
            }
        }
        Ok(())
    }

    /// Begins epochs anew that have lasted long enough, so that a secret that was stolen is of no use for long.
    pub(super) async fn renew_old_epochs(
        &self,
        community: CommunityId,
        state: &State,
    ) -> Result<(), CommandError> {
        for (id, audience) in &state.audiences {
            let Some(epoch) = &audience.epoch else { continue };
            if !state.is_in_audience(self.user, *id) {
                continue;
            }
            let entries = self.store.read().await?.log_entries(community, epoch.seq, 1).await?;
            let began = entries.first().and_then(|entry| {
                codec::decode::<Item>(entry.signed.payload.as_slice()).ok().map(|item| item.at)
            });
            let span = if epoch.count <= SMALL { SMALL_AGE } else { LARGE_AGE };
            // A day more than the hub asks for: its clock and the author's may differ.
            if began.is_none_or(|began| self.now() < began.plus(span)) {
                continue;
            }
            self.jitter().await;
            match self.rotate(community, *id, EpochReason::Age).await {
                // The hub sees it otherwise, or somebody was faster.
                Err(error) if error.kind == Kind::NotPermitted => {}
                rotated => rotated?,
            }
        }
        Ok(())
    }
}
