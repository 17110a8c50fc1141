//! Conversations that somebody wants to count as unread again, from a message on.
//!
//! How far something was read never goes back: that is a fact, which receipts have told others. That it is to count as unread all the same
//! is another item of the account's common state (`pain 9`: marks that are wrong after a restart), which a later read ends. What counts is
//! worked out from both wherever it is asked, so that it does not matter in which order a device learns of them.

use rookery_protocol::{
    id::{ChainId, UserId},
    time::Timestamp,
};

use super::{Engine, is_room};
use crate::{
    e2ee::journal_state::Change,
    error::{CommandError, Kind},
    store::{ChannelRow, MessageState, Page, Placed, StoreError, Unit},
};

/// Messages with one person that are looked at.
const MOST: u32 = 100;

impl Engine {
    /// Counts a conversation as unread from a message on, on all devices of this user: from the newest of others where none is named.
    pub(crate) async fn mark_unread(
        &self,
        target: &str,
        from: Option<&str>,
    ) -> Result<(), CommandError> {
        let mut unit;
        if is_room(target) {
            let room = self.known_room(target).await?;
            let chain = ChainId::of_channel(room.community, room.channel);
            let place = self.place_of_unread(&room, chain, from).await?;
            unit = self.store.write().await?;
            let row = unit.channel(chain).await?.ok_or_else(nothing_there)?;
            let (community, channel) = (room.community, room.channel);
            let count = self.count_after(&mut unit, &row, place.checked_sub(1)).await?;
            if count.0 == 0 {
                return Err(nothing_there());
            }
            self.change_common(
                &mut unit,
                Change::ChannelUnread { community, channel, from: place },
            )
            .await?;
            let row = self.counted(&mut unit, row).await?;
            unit.put_channel(&row).await?;
        } else {
            let contact = self.conversation_named(target).await?;
            let peer = contact.user;
            let point = match from {
                Some(message) => Some(self.point_of(peer, message).await?.0),
                None => None,
            };
            unit = self.store.write().await?;
            let page = unit.page(Page::Last { conversation: peer, count: MOST }).await?;
            let mut theirs = page.iter().filter(|placed| placed.message.author == peer);
            let first = match point {
                Some(at) => theirs.find(|placed| placed.message.at >= at),
                None => theirs.next_back(),
            };
            let message = &first.ok_or_else(nothing_there)?.message;
            let mark = Change::Unread { peer, message: message.item, at: message.at };
            self.change_common(&mut unit, mark).await?;
        }
        unit.commit().await?;
        self.timeline_changed();
        self.chores_wake.notify_one();
        Ok(())
    }

    /// Marks a conversation with one person as read, as far as one of its messages or all of it.
    pub(crate) async fn mark_person_read(
        &self,
        target: &str,
        through: Option<&str>,
    ) -> Result<(), CommandError> {
        let contact = self.conversation_named(target).await?;
        let through = match through {
            Some(message) => Some(self.point_of(contact.user, message).await?.0),
            None => None,
        };
        let marked = self.journal().unread_from(contact.user);
        let mut unit = self.store.read().await?;
        let mut page = unit.page(Page::Last { conversation: contact.user, count: MOST }).await?;
        drop(unit);
        page.retain(|placed| through.is_none_or(|at| placed.message.at <= at));
        Ok(self.mark_read(contact.user, &page, marked).await?)
    }

    /// Through which place a channel counts as read.
    pub(super) fn read_through(&self, row: &ChannelRow) -> Option<u64> {
        match self.journal().channel_unread_from(row.community, row.channel) {
            Some(from) => row.read.min(from.checked_sub(1)),
            None => row.read,
        }
    }

    /// The row of a channel with what counts as unread counted anew.
    pub(super) async fn counted(
        &self,
        unit: &mut Unit,
        row: ChannelRow,
    ) -> Result<ChannelRow, StoreError> {
        let through = self.read_through(&row);
        let (unread, mentions) = self.count_after(unit, &row, through).await?;
        Ok(ChannelRow { unread, mentions, ..row })
    }

    /// How many of the last messages with `peer` count as unread.
    pub(super) fn unread_of(&self, peer: UserId, page: &[Placed]) -> u32 {
        let from = self.journal().unread_from(peer).map(|(_, at)| at);
        let count = page.iter().filter(|placed| counts(placed, peer, from)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How many messages of people were read and count as unread all the same.
    pub(super) async fn unread_again(&self, unit: &mut Unit) -> Result<u64, StoreError> {
        let marks = self.journal().unread_marks();
        let mut count = 0_u64;
        for (peer, from) in marks {
            let page = unit.page(Page::Last { conversation: peer, count: MOST }).await?;
            let again = page.iter().filter(|placed| {
                placed.message.state != MessageState::Received && counts(placed, peer, Some(from))
            });
            count = count.saturating_add(u64::try_from(again.count()).unwrap_or(u64::MAX));
        }
        Ok(count)
    }
}

/// Whether a message counts as unread, where everything of `peer` does from a time on.
fn counts(placed: &Placed, peer: UserId, from: Option<Timestamp>) -> bool {
    let message = &placed.message;
    message.state == MessageState::Received
        || (message.author == peer && from.is_some_and(|from| from <= message.at))
}

fn nothing_there() -> CommandError {
    CommandError::new(Kind::NotFound, "nobody else has said anything from there on")
}
