//! What the store notes of letters: resets that are owed, refusals by reason, how far the mailbox was taken in.

use rookery_protocol::{
    id::{DeviceId, ItemId, UserId},
    session::Cursor,
    time::Timestamp,
};

use super::super::again;
use crate::store::{Name, Page, Refused, StoreError, Unit};

use super::Taken;

/// Sessions that are begun anew at most before the first of them is.
const MAX_RESETS: usize = 1_000;
/// How far back is looked for what comes again after a reset.
const AGAIN_WITHIN: u32 = 1_000;

impl Unit {
    /// The first id of what was sent again as `item`, if it is among the newest messages here.
    pub(super) async fn sent_before(
        &mut self,
        conversation: UserId,
        author: UserId,
        item: ItemId,
    ) -> Result<Option<ItemId>, StoreError> {
        let newest = self.page(Page::Last { conversation, count: AGAIN_WITHIN }).await?;
        Ok(newest
            .into_iter()
            .rev()
            .map(|placed| placed.message)
            .filter(|message| message.author == author)
            .map(|message| message.item)
            .find(|first| again(*first) == item))
    }

    /// Sessions that have to be begun anew: kept, for who finds it out may be a command that ends before it is done.
    pub(in crate::engine) async fn resets_owed(
        &mut self,
    ) -> Result<Vec<(UserId, DeviceId)>, StoreError> {
        Ok(self.value(Name::ResetsOwed).await?.unwrap_or_default())
    }

    pub(super) async fn owe_reset(
        &mut self,
        user: UserId,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let mut owed = self.resets_owed().await?;
        if !owed.contains(&(user, device)) && owed.len() < MAX_RESETS {
            owed.push((user, device));
            self.put_value(Name::ResetsOwed, &owed).await?;
        }
        Ok(())
    }

    /// A session was begun anew, or need not be.
    pub(in crate::engine) async fn settle_reset(
        &mut self,
        device: DeviceId,
    ) -> Result<(), StoreError> {
        let mut owed = self.resets_owed().await?;
        owed.retain(|(_, other)| *other != device);
        self.put_value(Name::ResetsOwed, &owed).await
    }

    /// Counts a session that was begun anew, to be shown.
    pub(in crate::engine) async fn count_reset(&mut self) -> Result<(), StoreError> {
        let count: u64 = self.value(Name::Resets).await?.unwrap_or_default();
        self.put_value(Name::Resets, &count.saturating_add(1)).await
    }

    /// Counts a letter that is not taken in, for [`Refused`]; it is done with all the same.
    pub(super) async fn refuse(
        &mut self,
        reason: fn(&mut Refused) -> &mut u64,
    ) -> Result<Taken, StoreError> {
        let mut refused: Refused = self.value(Name::Refused).await?.unwrap_or_default();
        let count = reason(&mut refused);
        *count = count.saturating_add(1);
        self.put_value(Name::Refused, &refused).await?;
        Ok(Taken::Done)
    }

    /// The latest time at which the home had accepted any letter that was taken in here.
    pub(super) async fn newest_accepted(&mut self) -> Result<Timestamp, StoreError> {
        Ok(self.value(Name::Accepted).await?.unwrap_or(Timestamp::from_millis(0)))
    }

    /// Marks the mailbox as taken in through `position`, by letters which the home had accepted until `accepted`.
    pub(super) async fn mark_mailbox(
        &mut self,
        position: u64,
        accepted: Timestamp,
    ) -> Result<(), StoreError> {
        if accepted > self.newest_accepted().await? {
            self.put_value(Name::Accepted, &accepted).await?;
        }
        if let Some(cursor) = self.mailbox().await?
            && position > cursor.position
        {
            self.put_value(Name::Mailbox, &Cursor { position, ..cursor }).await?;
        }
        Ok(())
    }
}
