//! What this device owes others: messages to be sent, messages that were sent and not yet delivered, receipts.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::HeadRef,
    envelope::Envelope,
    id::{ItemId, UserId},
    request::message::Purpose,
    time::Timestamp,
};
use sqlx::Row as _;

use super::{
    StoreError, Unit,
    timeline::{conversation_key, item_key},
};

/// Something on its way out. It stays until the home has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Outgoing {
    /// To whom.
    #[n(0)]
    pub to: UserId,
    /// Its id.
    #[n(1)]
    pub item: ItemId,
    /// What for.
    #[n(2)]
    pub purpose: Purpose,
    /// What is to be sealed, encoded.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub content: Vec<u8>,
    /// Since when it waits.
    #[n(4)]
    pub since: Timestamp,
    /// Not before this time.
    #[n(5)]
    pub not_before: Timestamp,
    /// How often it was tried in vain.
    #[n(6)]
    pub attempts: u32,
    /// Why, the last time: a word for people.
    #[n(7)]
    pub trouble: Option<String>,
    /// As it was sealed and perhaps sent: the same bytes go again until an answer comes, so that a lost answer costs no ratchet step.
    #[n(8)]
    pub sealed: Option<SealedRequest>,
}

/// A sealed message, for the heads that it was sealed for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedRequest {
    /// Of the receiver's chain.
    #[n(0)]
    pub to_head: HeadRef,
    /// Of one's own chain.
    #[n(1)]
    pub own_head: HeadRef,
    /// One for each other device.
    #[n(2)]
    pub envelopes: Vec<Envelope>,
}

/// A message that the home has, and no device of its receiver yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unconfirmed {
    /// To whom.
    #[n(0)]
    pub to: UserId,
    /// Its id.
    #[n(1)]
    pub item: ItemId,
    /// What was sealed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub content: Vec<u8>,
    /// When it was accepted.
    #[n(3)]
    pub sent: Timestamp,
    /// When it was written.
    #[n(4)]
    pub written: Option<Timestamp>,
}

/// A receipt that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// To whom.
    #[n(0)]
    pub to: UserId,
    /// For which of their messages.
    #[n(1)]
    pub item: ItemId,
    /// Whether it was read, too.
    #[n(2)]
    pub read: bool,
}

/// How long plaintext is kept for a message that nobody took: 35 days, as long as prekeys live.
const KEPT: std::time::Duration = std::time::Duration::from_hours(35 * 24);

impl Unit {
    /// Puts something into the outbox, unless it is there already; says whether it is new.
    pub async fn enqueue(&mut self, from: UserId, outgoing: &Outgoing) -> Result<bool, StoreError> {
        let key = item_key(&self.vault, outgoing.to, from, outgoing.item);
        let sealed = self.vault.seal("outbox", &key, outgoing);
        let result = sqlx::query(
            "INSERT INTO outbox (conversation, item, sealed) VALUES ($1, $2, $3) ON CONFLICT (item) DO NOTHING",
        )
        .bind(conversation_key(&self.vault, outgoing.to))
        .bind(key)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Puts things into the outbox of one conversation before everything that waits in it, in their order. What waits in it already goes
    /// with them.
    pub async fn enqueue_first(
        &mut self,
        from: UserId,
        to: UserId,
        first: &[Outgoing],
    ) -> Result<(), StoreError> {
        let conversation = conversation_key(&self.vault, to);
        let rows = sqlx::query(
            "SELECT item, sealed FROM outbox WHERE conversation = $1 ORDER BY position",
        )
        .bind(&conversation)
        .fetch_all(&mut *self.transaction)
        .await?;
        let behind: Vec<Outgoing> = rows
            .iter()
            .map(|row| self.vault.open("outbox", row.try_get("item")?, row.try_get("sealed")?))
            .collect::<Result<_, StoreError>>()?;
        sqlx::query("DELETE FROM outbox WHERE conversation = $1")
            .bind(conversation)
            .execute(&mut *self.transaction)
            .await?;
        for outgoing in first.iter().chain(&behind) {
            self.enqueue(from, outgoing).await?;
        }
        Ok(())
    }

    /// The first that waits in each conversation, at most `count`: nothing overtakes within a conversation, but what waits for its file.
    pub async fn outbox_fronts(&mut self, count: u32) -> Result<Vec<Outgoing>, StoreError> {
        let rows = sqlx::query(
            "SELECT item, sealed FROM outbox WHERE position IN
             (SELECT min(position) FROM outbox WHERE item NOT IN (SELECT item FROM transfer) GROUP BY conversation)
             ORDER BY position LIMIT $1",
        )
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter()
            .map(|row| self.vault.open("outbox", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// How much waits.
    pub async fn outbox_length(&mut self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// The entry of the outbox for `item`.
    pub async fn outgoing(
        &mut self,
        from: UserId,
        to: UserId,
        item: ItemId,
    ) -> Result<Option<Outgoing>, StoreError> {
        let key = item_key(&self.vault, to, from, item);
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM outbox WHERE item = $1")
                .bind(&key)
                .fetch_optional(&mut *self.transaction)
                .await?;
        sealed.map(|sealed| self.vault.open("outbox", &key, &sealed)).transpose()
    }

    /// Writes an entry of the outbox anew, in its place.
    pub async fn update_outgoing(
        &mut self,
        from: UserId,
        outgoing: &Outgoing,
    ) -> Result<(), StoreError> {
        let key = item_key(&self.vault, outgoing.to, from, outgoing.item);
        let sealed = self.vault.seal("outbox", &key, outgoing);
        sqlx::query("UPDATE outbox SET sealed = $1 WHERE item = $2")
            .bind(sealed)
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Moves what waits for one conversation to another, in its places.
    pub(super) async fn move_outbox(
        &mut self,
        author: UserId,
        from: UserId,
        to: UserId,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query("SELECT position, item, sealed FROM outbox WHERE conversation = $1")
            .bind(conversation_key(&self.vault, from))
            .fetch_all(&mut *self.transaction)
            .await?;
        for row in &rows {
            let outgoing: Outgoing =
                self.vault.open("outbox", row.try_get("item")?, row.try_get("sealed")?)?;
            let key = item_key(&self.vault, to, author, outgoing.item);
            let sealed = self.vault.seal("outbox", &key, &Outgoing { to, ..outgoing });
            sqlx::query(
                "UPDATE OR IGNORE outbox SET conversation = $1, item = $2, sealed = $3 WHERE position = $4",
            )
            .bind(conversation_key(&self.vault, to))
            .bind(key)
            .bind(sealed)
            .bind(row.try_get::<i64, _>("position")?)
            .execute(&mut *self.transaction)
            .await?;
        }
        sqlx::query("DELETE FROM outbox WHERE conversation = $1")
            .bind(conversation_key(&self.vault, from))
            .execute(&mut *self.transaction)
            .await?;
        self.move_transfers(author, from, to).await
    }

    /// Takes an entry out of the outbox.
    pub async fn dequeue(
        &mut self,
        from: UserId,
        to: UserId,
        item: ItemId,
    ) -> Result<(), StoreError> {
        let key = item_key(&self.vault, to, from, item);
        sqlx::query("DELETE FROM outbox WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Keeps the content of a message that was sent, until it is delivered or 35 days has passed.
    pub async fn keep_unconfirmed(
        &mut self,
        from: UserId,
        unconfirmed: &Unconfirmed,
    ) -> Result<(), StoreError> {
        let key = item_key(&self.vault, unconfirmed.to, from, unconfirmed.item);
        let sealed = self.vault.seal("unconfirmed", &key, unconfirmed);
        sqlx::query(
            "INSERT INTO unconfirmed (item, conversation, until, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT (item) DO NOTHING",
        )
        .bind(key)
        .bind(conversation_key(&self.vault, unconfirmed.to))
        .bind(unconfirmed.sent.plus(KEPT).to_row())
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Everything that was sent to `to` and not delivered, oldest first by its sending.
    pub async fn unconfirmed(&mut self, to: UserId) -> Result<Vec<Unconfirmed>, StoreError> {
        let rows = sqlx::query("SELECT item, sealed FROM unconfirmed WHERE conversation = $1 ORDER BY until LIMIT 1000")
            .bind(conversation_key(&self.vault, to))
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| self.vault.open("unconfirmed", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// Lets go of the content of a message that was delivered.
    pub async fn confirm(
        &mut self,
        from: UserId,
        to: UserId,
        item: ItemId,
    ) -> Result<(), StoreError> {
        let key = item_key(&self.vault, to, from, item);
        sqlx::query("DELETE FROM unconfirmed WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Lets go of what nobody took for 35 days.
    pub async fn forget_unconfirmed(&mut self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM unconfirmed WHERE until < $1")
            .bind(now.to_row())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Notes that a receipt is owed; a reading replaces a delivery, never the other way round.
    pub async fn owe_receipt(&mut self, receipt: Receipt) -> Result<(), StoreError> {
        let key = self.vault.index("receipt", &[receipt.to.as_bytes(), receipt.item.as_bytes()]);
        if !receipt.read {
            let known: i64 = sqlx::query_scalar("SELECT count(*) FROM receipt WHERE item = $1")
                .bind(&key)
                .fetch_one(&mut *self.transaction)
                .await?;
            if known > 0 {
                return Ok(());
            }
        }
        let sealed = self.vault.seal("receipt", &key, &receipt);
        sqlx::query("INSERT INTO receipt (item, sealed) VALUES ($1, $2) ON CONFLICT (item) DO UPDATE SET sealed = excluded.sealed")
            .bind(key)
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Receipts that are owed, at most `count`.
    pub async fn receipts_owed(&mut self, count: u32) -> Result<Vec<Receipt>, StoreError> {
        let rows = sqlx::query("SELECT item, sealed FROM receipt LIMIT $1")
            .bind(i64::from(count))
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| self.vault.open("receipt", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// A receipt was told, or is not owed any more. One for a reading stays when only the delivery was told.
    pub async fn settle_receipt(&mut self, receipt: Receipt) -> Result<(), StoreError> {
        let key = self.vault.index("receipt", &[receipt.to.as_bytes(), receipt.item.as_bytes()]);
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM receipt WHERE item = $1")
                .bind(&key)
                .fetch_optional(&mut *self.transaction)
                .await?;
        let Some(sealed) = sealed else { return Ok(()) };
        let owed: Receipt = self.vault.open("receipt", &key, &sealed)?;
        if owed.read && !receipt.read {
            return Ok(());
        }
        sqlx::query("DELETE FROM receipt WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}
