//! Messages that do not stay: which of them are to be forgotten, and when.
//!
//! A message's time runs from its reading (a direct one) or its posting (one of a channel). When a row comes to say that it does, its position
//! is noted here with no time, for the store has no clock; whoever has one sets it.

use rookery_protocol::time::Timestamp;
use sqlx::Row as _;

use super::{Message, MessageState, Post, StoreError, Told, Unit};
use crate::e2ee::content::Content;

/// Why a message is gone that has expired: what is told of one that somebody has deleted, too.
pub const EXPIRED: &str = "expired";

/// A message whose time runs, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// Its position.
    pub position: u64,
    /// Whether it was said when it is to be forgotten.
    pub is_timed: bool,
    /// The message; nothing if it stands there no more.
    pub told: Option<Told>,
}

impl Message {
    /// Whether it was forgotten when its time was over: our senders write no empty ones.
    #[must_use]
    pub const fn has_expired(&self) -> bool {
        self.stays.is_some() && self.text.is_empty() && self.file.is_none()
    }

    /// Whether its time runs.
    pub(super) const fn is_expiring(&self) -> bool {
        use MessageState::{Delivered, Read, Sent};
        self.stays.is_some() && !self.has_expired() && matches!(self.state, Sent | Delivered | Read)
    }
}

impl Post {
    /// Whether its time runs: from its place in the channel on.
    pub(super) fn is_expiring(&self) -> bool {
        self.seq.is_some()
            && self.erased.is_none()
            && matches!(self.said(), Content::Text(text) if text.stays.is_some())
    }
}

impl Unit {
    /// Notes that the time of the message with this key runs, unless that is known.
    pub(super) async fn begin_expiry(&mut self, key: &[u8]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO expiring (position, due) SELECT position, 0 FROM message WHERE item = $1
             ON CONFLICT (position) DO NOTHING",
        )
        .bind(key)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// At most `count` messages whose time is over by `now`, or was never set.
    pub async fn due(&mut self, now: Timestamp, count: u32) -> Result<Vec<Expiring>, StoreError> {
        let rows =
            sqlx::query("SELECT position, due FROM expiring WHERE due <= $1 ORDER BY due LIMIT $2")
                .bind(now.to_row())
                .bind(i64::from(count))
                .fetch_all(&mut *self.transaction)
                .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let (position, due): (i64, i64) = (row.try_get("position")?, row.try_get("due")?);
            let position = position.unsigned_abs();
            let told = self.told_at(position).await?;
            found.push(Expiring { position, is_timed: due > 0, told });
        }
        Ok(found)
    }

    /// When the next message has to be looked at.
    pub async fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = sqlx::query_scalar("SELECT min(due) FROM expiring")
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(next.map(|next| Timestamp::from_millis(next.unsigned_abs())))
    }

    /// Says when the message at a position is to be forgotten.
    pub async fn set_due(&mut self, position: u64, due: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE expiring SET due = $1 WHERE position = $2")
            .bind(due.to_row().max(1))
            .bind(position.cast_signed())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// There is nothing more to forget at a position.
    pub async fn settle_expiry(&mut self, position: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM expiring WHERE position = $1")
            .bind(position.cast_signed())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Forgets what a direct message said. It stays, empty, so that it is not taken in again.
    pub async fn expire_message(&mut self, message: Message) -> Result<(), StoreError> {
        let message = Message { text: String::new(), file: None, ..message };
        self.rewrite_message(&message).await.map(|_| ())
    }
}
