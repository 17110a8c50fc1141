//! What this device has yet to write into the user's journal, and the account's state that comes of it.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::HeadRef,
    id::{ItemId, UserId},
    time::Timestamp,
};
use sqlx::Row as _;

use super::{Message, Name, StoreError, Unit, timeline::item_key};

/// Something to be appended to the journal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JournalEntry {
    /// Its id: for an archived message, the same on all devices, so that it is archived once.
    #[n(0)]
    pub item: ItemId,
    /// The operation, encoded; sealed for the journal when it goes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub operation: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct JournalCursor {
    #[n(0)]
    head: Option<HeadRef>,
}

impl Unit {
    /// Owes an entry to the journal, unless it is owed already.
    pub async fn owe_journal(&mut self, entry: &JournalEntry) -> Result<(), StoreError> {
        let key = self.vault.index("journal", &[entry.item.as_bytes()]);
        let sealed = self.vault.seal("journal", &key, entry);
        sqlx::query(
            "INSERT INTO journal (item, sealed) VALUES ($1, $2) ON CONFLICT (item) DO NOTHING",
        )
        .bind(key)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// What is owed to the journal, oldest first, at most `count`.
    pub async fn journal_owed(&mut self, count: u32) -> Result<Vec<JournalEntry>, StoreError> {
        let rows = sqlx::query("SELECT item, sealed FROM journal ORDER BY position LIMIT $1")
            .bind(i64::from(count))
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| self.vault.open("journal", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// The journal has it now.
    pub async fn settle_journal(&mut self, item: ItemId) -> Result<(), StoreError> {
        let key = self.vault.index("journal", &[item.as_bytes()]);
        sqlx::query("DELETE FROM journal WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Whether the journal was read from its beginning once.
    pub async fn has_journal(&mut self) -> Result<bool, StoreError> {
        Ok(self.value_bytes(Name::Journal).await?.is_some())
    }

    /// The last entry of the journal that was taken in.
    pub async fn journal_head(&mut self) -> Result<Option<HeadRef>, StoreError> {
        Ok(self.value::<JournalCursor>(Name::Journal).await?.and_then(|cursor| cursor.head))
    }

    /// The journal was taken in through `head`; nothing when it is empty.
    pub async fn mark_journal(&mut self, head: Option<HeadRef>) -> Result<(), StoreError> {
        self.put_value(Name::Journal, &JournalCursor { head }).await
    }

    /// Remembers an operation on the common state, by its stamp.
    pub async fn add_operation(&mut self, stamp: &[u8], record: &[u8]) -> Result<(), StoreError> {
        let key = self.vault.index("operation", &[stamp]);
        let sealed = self.vault.seal_bytes("operation", &key, record);
        sqlx::query(
            "INSERT INTO operation (stamp, sealed) VALUES ($1, $2) ON CONFLICT (stamp) DO NOTHING",
        )
        .bind(key)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// All operations on the common state, in no order.
    pub async fn operations(&mut self) -> Result<Vec<zeroize::Zeroizing<Vec<u8>>>, StoreError> {
        let rows = sqlx::query("SELECT stamp, sealed FROM operation")
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| {
                self.vault.open_bytes("operation", row.try_get("stamp")?, row.try_get("sealed")?)
            })
            .collect()
    }

    /// Holds a message that the journal brought, until the mailbox has had its time to bring it too.
    pub async fn hold_archived(
        &mut self,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = item_key(&self.vault, message.conversation, message.author, message.item);
        let sealed = self.vault.seal_text("archived", &key, message);
        sqlx::query("INSERT INTO archived (item, since, sealed) VALUES ($1, $2, $3) ON CONFLICT (item) DO NOTHING")
            .bind(key)
            .bind(now.to_row())
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Messages that the journal brought before `time`, by their authors' clocks, at most `count`.
    pub async fn archived_before(
        &mut self,
        time: Timestamp,
        count: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let rows = sqlx::query("SELECT item, sealed FROM archived WHERE since <= $1 LIMIT $2")
            .bind(time.to_row())
            .bind(i64::from(count))
            .fetch_all(&mut *self.transaction)
            .await?;
        let mut messages: Vec<Message> = rows
            .iter()
            .map(|row| {
                self.vault.open_text("archived", row.try_get("item")?, row.try_get("sealed")?)
            })
            .collect::<Result<_, StoreError>>()?;
        messages.sort_by_key(|message| message.at);
        Ok(messages)
    }

    /// Whether any message waits that the journal brought.
    pub async fn has_archived(&mut self) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM archived")
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(count > 0)
    }

    /// The message is in the timeline, by whichever way.
    pub async fn release_archived(
        &mut self,
        conversation: UserId,
        author: UserId,
        item: ItemId,
    ) -> Result<(), StoreError> {
        let key = item_key(&self.vault, conversation, author, item);
        sqlx::query("DELETE FROM archived WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}
