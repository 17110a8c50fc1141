//! Messages, a conversation each with one other user.
//!
//! A message has two orders. [`Placed::position`] is the order of arrival at this device and never changes: `tail` counts by it. The
//! author's clock is what `read` sorts by, because a device that was linked later gets old messages after new ones.

mod message;

use rookery_protocol::{
    id::{ItemId, UserId},
    time::Timestamp,
};
use sqlx::Row as _;

pub use self::message::{Message, MessageState, Page, Placed, Waits};
use super::{StoreError, Unit, Vault};

/// What names a message within the store: conversation, author and id.
pub(super) fn item_key(
    vault: &Vault,
    conversation: UserId,
    author: UserId,
    item: ItemId,
) -> Vec<u8> {
    vault.index("item", &[conversation.as_bytes(), author.as_bytes(), item.as_bytes()])
}

pub(super) fn conversation_key(vault: &Vault, conversation: UserId) -> Vec<u8> {
    vault.index("conversation", &[conversation.as_bytes()])
}

impl Unit {
    /// Adds a message, unless it is there already; says where it stands now if it is new.
    pub async fn add_message(&mut self, message: &Message) -> Result<Option<u64>, StoreError> {
        let key = item_key(&self.vault, message.conversation, message.author, message.item);
        let sealed = self.vault.seal_text("message", &key, message);
        let position: Option<i64> = sqlx::query_scalar(
            "INSERT INTO message (conversation, item, at, sealed) VALUES ($1, $2, $3, $4)
             ON CONFLICT (item) DO NOTHING RETURNING position",
        )
        .bind(conversation_key(&self.vault, message.conversation))
        .bind(&key)
        .bind(message.at.to_row())
        .bind(sealed)
        .fetch_optional(&mut *self.transaction)
        .await?;
        if position.is_some() && message.is_expiring() {
            self.begin_expiry(&key).await?;
        }
        Ok(position.map(i64::unsigned_abs))
    }

    /// The message `item` that `author` wrote in `conversation`.
    pub async fn message(
        &mut self,
        conversation: UserId,
        author: UserId,
        item: ItemId,
    ) -> Result<Option<Placed>, StoreError> {
        let key = item_key(&self.vault, conversation, author, item);
        let row = sqlx::query("SELECT position, item, sealed FROM message WHERE item = $1")
            .bind(key)
            .fetch_optional(&mut *self.transaction)
            .await?;
        row.map(|row| placed(&self.vault, &row)).transpose()
    }

    /// The message `item` in `conversation`, whichever of the two wrote it.
    pub async fn message_named(
        &mut self,
        conversation: UserId,
        own: UserId,
        item: ItemId,
    ) -> Result<Option<Placed>, StoreError> {
        match self.message(conversation, conversation, item).await? {
            Some(placed) => Ok(Some(placed)),
            None => self.message(conversation, own, item).await,
        }
    }

    /// Moves a message to `state`, if its table of states allows it; says whether it did.
    pub async fn move_message(
        &mut self,
        conversation: UserId,
        author: UserId,
        item: ItemId,
        state: MessageState,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let place = (conversation, author, item);
        self.change_message(place, state, None, reason).await
    }

    /// Notes that a message waits for a server, if its table of states allows it; says whether anything has changed.
    pub async fn await_message(
        &mut self,
        conversation: UserId,
        author: UserId,
        item: ItemId,
        waits: Waits,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let place = (conversation, author, item);
        self.change_message(place, MessageState::Waiting, Some(waits), reason).await
    }

    async fn change_message(
        &mut self,
        (conversation, author, item): (UserId, UserId, ItemId),
        state: MessageState,
        waits: Option<Waits>,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let Some(Placed { mut message, .. }) = self.message(conversation, author, item).await?
        else {
            return Ok(false);
        };
        if !message.state.may_become(state) {
            return Ok(false);
        }
        let before = message.clone();
        message.state = state;
        message.waits = waits;
        message.reason = reason.map(str::to_owned);
        if message == before {
            return Ok(false);
        }
        let key = self.rewrite_message(&message).await?;
        if message.is_expiring() {
            self.begin_expiry(&key).await?;
        }
        Ok(true)
    }

    /// Writes a message that is there as it is now. Gives its key.
    pub(super) async fn rewrite_message(
        &mut self,
        message: &Message,
    ) -> Result<Vec<u8>, StoreError> {
        let key = item_key(&self.vault, message.conversation, message.author, message.item);
        let sealed = self.vault.seal_text("message", &key, message);
        sqlx::query("UPDATE message SET sealed = $1 WHERE item = $2")
            .bind(sealed)
            .bind(&key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(key)
    }

    /// A page of the timeline.
    pub async fn page(&mut self, page: Page) -> Result<Vec<Placed>, StoreError> {
        let rows = match page {
            Page::Last { conversation, count } => {
                let mut rows = sqlx::query(
                    "SELECT position, item, sealed FROM message WHERE conversation = $1 ORDER BY at DESC, position DESC LIMIT $2",
                )
                .bind(conversation_key(&self.vault, conversation))
                .bind(i64::from(count))
                .fetch_all(&mut *self.transaction)
                .await?;
                rows.reverse();
                rows
            }
            Page::Before { conversation, point: (at, position), count } => {
                let mut rows = sqlx::query(
                    "SELECT position, item, sealed FROM message
                     WHERE conversation = $1 AND kind = 0 AND (at, position) < ($2, $3)
                     ORDER BY at DESC, position DESC LIMIT $4",
                )
                .bind(conversation_key(&self.vault, conversation))
                .bind(at.to_row())
                .bind(position.cast_signed())
                .bind(i64::from(count))
                .fetch_all(&mut *self.transaction)
                .await?;
                rows.reverse();
                rows
            }
            Page::From { conversation, point: (at, position), count } => {
                sqlx::query(
                    "SELECT position, item, sealed FROM message
                     WHERE conversation = $1 AND kind = 0 AND (at, position) > ($2, $3)
                     ORDER BY at, position LIMIT $4",
                )
                .bind(conversation_key(&self.vault, conversation))
                .bind(at.to_row())
                .bind(position.cast_signed())
                .bind(i64::from(count))
                .fetch_all(&mut *self.transaction)
                .await?
            }
            Page::After { position, count } => {
                sqlx::query("SELECT position, item, sealed FROM message WHERE position > $1 AND kind = 0 ORDER BY position LIMIT $2")
                    .bind(position.cast_signed())
                    .bind(i64::from(count))
                    .fetch_all(&mut *self.transaction)
                    .await?
            }
        };
        rows.iter().map(|row| placed(&self.vault, row)).collect()
    }

    /// Moves a conversation's messages to another one, in their places.
    pub(super) async fn move_messages(
        &mut self,
        from: UserId,
        to: UserId,
    ) -> Result<(), StoreError> {
        let rows =
            sqlx::query("SELECT position, item, sealed FROM message WHERE conversation = $1")
                .bind(conversation_key(&self.vault, from))
                .fetch_all(&mut *self.transaction)
                .await?;
        for row in &rows {
            let Placed { position, mut message } = placed(&self.vault, row)?;
            message.conversation = to;
            let key = item_key(&self.vault, to, message.author, message.item);
            let sealed = self.vault.seal_text("message", &key, &message);
            sqlx::query(
                "UPDATE OR IGNORE message SET conversation = $1, item = $2, sealed = $3 WHERE position = $4",
            )
            .bind(conversation_key(&self.vault, to))
            .bind(key)
            .bind(sealed)
            .bind(position.cast_signed())
            .execute(&mut *self.transaction)
            .await?;
        }
        // What is there under the same id already stays as it is.
        sqlx::query("DELETE FROM message WHERE conversation = $1")
            .bind(conversation_key(&self.vault, from))
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// The place of the newest message, 0 when there is none.
    pub async fn last_position(&mut self) -> Result<u64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(position) FROM message")
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(last.unwrap_or(0).unsigned_abs())
    }

    /// The place before the first message whose author's clock says `at` or later.
    pub async fn position_before(&mut self, at: Timestamp) -> Result<u64, StoreError> {
        let first: Option<i64> =
            sqlx::query_scalar("SELECT min(position) FROM message WHERE at >= $1")
                .bind(at.to_row())
                .fetch_one(&mut *self.transaction)
                .await?;
        match first {
            Some(first) => Ok(first.saturating_sub(1).unsigned_abs()),
            None => self.last_position().await,
        }
    }

    /// How many of the newest thousand messages were not read yet.
    pub async fn unread(&mut self) -> Result<u64, StoreError> {
        self.newest_in(MessageState::Received).await
    }

    /// How many of the newest thousand messages are in `state`.
    pub async fn newest_in(&mut self, state: MessageState) -> Result<u64, StoreError> {
        let rows = sqlx::query(
            "SELECT position, item, sealed FROM message WHERE kind = 0 ORDER BY position DESC LIMIT 1000",
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let mut count = 0_u64;
        for row in &rows {
            count =
                count.saturating_add(u64::from(placed(&self.vault, row)?.message.state == state));
        }
        Ok(count)
    }

    /// A time for a new message of one's own: now, or just after the newest in the conversation, so that one's own order shows in the
    /// times even when the clock is put back.
    pub async fn next_time(
        &mut self,
        conversation: UserId,
        author: UserId,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let own = self.latest_of(conversation, author, 16).await?;
        Ok(own.map_or(now, |own| now.max(own.plus(std::time::Duration::from_millis(1)))))
    }

    /// The time of the newest message of `author` among the newest `count` of a conversation.
    pub async fn latest_of(
        &mut self,
        conversation: UserId,
        author: UserId,
        count: u32,
    ) -> Result<Option<Timestamp>, StoreError> {
        let page = self.page(Page::Last { conversation, count }).await?;
        let own = page.iter().rev().find(|placed| placed.message.author == author);
        Ok(own.map(|placed| placed.message.at))
    }
}

fn placed(vault: &Vault, row: &sqlx::sqlite::SqliteRow) -> Result<Placed, StoreError> {
    let key: Vec<u8> = row.try_get("item")?;
    let sealed: Vec<u8> = row.try_get("sealed")?;
    let position: i64 = row.try_get("position")?;
    Ok(Placed {
        position: position.unsigned_abs(),
        message: vault.open_text("message", &key, &sealed)?,
    })
}
