//! What the hub sees to beyond the rules: time, age, and whom people let write to them.

use rookery_protocol::{
    community::{Action, EpochReason, EpochStart, JoinBy, Permissions, State},
    id::ChainId,
    request::{Failure, community::AppendLogError},
    time::Timestamp,
};

use super::super::author::Author;
use crate::{
    repository::{StorageError, View},
    service::Services,
};

use super::{Error, denied};

/// How long an epoch lasts before another is taken for its age alone, in audiences up to [`LARGE`] and above it.
const AGE: std::time::Duration = std::time::Duration::from_hours(7 * 24);
const AGE_OF_LARGE: std::time::Duration = std::time::Duration::from_hours(30 * 24);
const LARGE: u32 = 1_000;

/// What the hub sees to beyond the rules.
pub(super) struct Policy<'s> {
    pub(super) services: &'s Services,
    pub(super) author: &'s Author,
    pub(super) state: &'s State,
    pub(super) at: Timestamp,
}

impl Policy<'_> {
    pub(super) async fn check(
        &self,
        view: &mut (impl View + ?Sized),
        action: &Action,
    ) -> Result<(), Error> {
        match action {
            Action::Join(join) => self.check_time(&join.by),
            Action::Ask(ask) => self.check_time(&ask.by),
            Action::Add(add) => {
                let Some(added) = self.services.resident(add.user).await? else {
                    // Their home was asked whether they let the author write to them.
                    let known = self.services.foreigner(add.user).await?;
                    let unknown = AppendLogError::UnknownUser { user: add.user };
                    return known.map(|_| ()).ok_or(Failure::Error(unknown));
                };
                let writes = self.services.may_write(self.author.user(), &added).await?;
                writes.map(|_| ()).ok_or_else(|| denied("they do not let you write to them"))
            }
            Action::Epoch(start) if start.reason == EpochReason::Age => {
                self.check_age(view, start).await
            }
            _ => Ok(()),
        }
    }

    fn check_time(&self, by: &JoinBy) -> Result<(), Error> {
        let (JoinBy::Invited { invite } | JoinBy::Link { invite, .. }) = by else { return Ok(()) };
        let expires = self.state.invites.get(invite).and_then(|invite| invite.expires);
        if expires.is_some_and(|expires| expires <= self.at) {
            return Err(Failure::Error(AppendLogError::Expired));
        }
        Ok(())
    }

    /// An epoch is given up for its age when it is old, or by whoever may do it at any time.
    async fn check_age(
        &self,
        view: &mut (impl View + ?Sized),
        start: &EpochStart,
    ) -> Result<(), Error> {
        let Some(audience) = self.state.audiences.get(&start.audience) else { return Ok(()) };
        let manages = self.state.permissions_of(self.author.user(), None);
        let Some(epoch) = &audience.epoch else { return Ok(()) };
        if audience.should_rotate().is_some()
            || !self.state.owed.is_empty()
            || manages.contain(Permissions::MANAGE_CHANNELS)
        {
            return Ok(());
        }
        let chain = ChainId::of_log(self.state.community);
        let began = view.notes_at(&[(chain, epoch.seq)]).await?.first().map(|note| note.at);
        let began = began.ok_or(StorageError::Inconsistent { table: "entry" })?;
        let lasts = if epoch.count > LARGE { AGE_OF_LARGE } else { AGE };
        if self.at.since(began) < lasts {
            return Err(denied("the epoch is not old enough to be given up"));
        }
        Ok(())
    }
}
