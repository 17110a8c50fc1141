//! Files on their way: to the home before the message that they go with leaves, or off it when that message is gone.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::{BlobId, ChainId, ItemId, UserId},
    time::Timestamp,
};
use sqlx::Row as _;

use super::{Message, StoreError, Unit, post::post_key, timeline::item_key};
use crate::e2ee::file::Attachment;

/// One file on its way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Transfer {
    /// Which file, by what it is called where it is kept.
    #[n(0)]
    pub file: BlobId,
    /// What for.
    #[n(1)]
    pub task: TransferTask,
    /// How large it is, sealed, in bytes.
    #[n(2)]
    pub size: u64,
    /// Not before this time.
    #[n(3)]
    pub not_before: Timestamp,
    /// How often it was tried in vain.
    #[n(4)]
    pub attempts: u32,
    /// Why, the last time: a word for people.
    #[n(5)]
    pub trouble: Option<String>,
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TransferTask {
    /// It is put, for a message to somebody, which waits for that.
    #[n(1)]
    ForPerson {
        /// To whom.
        #[n(0)]
        to: UserId,
        /// Which message.
        #[n(1)]
        item: ItemId,
    },
    /// It is put, for a message in a channel, which waits for that.
    #[n(2)]
    ForChannel {
        /// The channel's chain.
        #[n(0)]
        chain: ChainId,
        /// Which message.
        #[n(1)]
        item: ItemId,
    },
    /// The home is to drop it.
    #[n(3)]
    Drop,
}

impl Transfer {
    /// What has not been tried yet.
    #[must_use]
    pub const fn new(file: BlobId, task: TransferTask, size: u64) -> Self {
        let not_before = Timestamp::from_millis(0);
        Self { file, task, size, not_before, attempts: 0, trouble: None }
    }
}

impl Unit {
    fn transfer_key(&self, own: UserId, transfer: &Transfer) -> Vec<u8> {
        match transfer.task {
            TransferTask::ForPerson { to, item } => item_key(&self.vault, to, own, item),
            TransferTask::ForChannel { chain, item } => post_key(&self.vault, chain, own, item),
            TransferTask::Drop => self.vault.index("transfer", &[transfer.file.as_bytes()]),
        }
    }

    /// Has a file go its way; the message that it is for waits. One that the message waits for already is replaced.
    pub async fn put_transfer(
        &mut self,
        own: UserId,
        transfer: &Transfer,
    ) -> Result<(), StoreError> {
        let key = self.transfer_key(own, transfer);
        let sealed = self.vault.seal("transfer", &key, transfer);
        sqlx::query(
            "INSERT INTO transfer (item, sealed) VALUES ($1, $2)
             ON CONFLICT (item) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(key)
        .bind(sealed)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Files on their way, the first ones first, at most `count`.
    pub async fn transfers(&mut self, count: u32) -> Result<Vec<Transfer>, StoreError> {
        let rows = sqlx::query("SELECT item, sealed FROM transfer ORDER BY position LIMIT $1")
            .bind(i64::from(count))
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| self.vault.open("transfer", row.try_get("item")?, row.try_get("sealed")?))
            .collect()
    }

    /// The file that a message waits for.
    pub async fn transfer_for(
        &mut self,
        own: UserId,
        task: TransferTask,
    ) -> Result<Option<Transfer>, StoreError> {
        let key = match task {
            TransferTask::ForPerson { to, item } => item_key(&self.vault, to, own, item),
            TransferTask::ForChannel { chain, item } => post_key(&self.vault, chain, own, item),
            TransferTask::Drop => return Ok(None),
        };
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM transfer WHERE item = $1")
                .bind(&key)
                .fetch_optional(&mut *self.transaction)
                .await?;
        sealed.map(|sealed| self.vault.open("transfer", &key, &sealed)).transpose()
    }

    /// A file has gone its way, or was given up.
    pub async fn end_transfer(
        &mut self,
        own: UserId,
        transfer: &Transfer,
    ) -> Result<(), StoreError> {
        let key = self.transfer_key(own, transfer);
        sqlx::query("DELETE FROM transfer WHERE item = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Moves the files for one conversation to another.
    pub(super) async fn move_transfers(
        &mut self,
        own: UserId,
        from: UserId,
        to: UserId,
    ) -> Result<(), StoreError> {
        for transfer in self.transfers(u32::MAX).await? {
            if let TransferTask::ForPerson { to: known, item } = transfer.task
                && known == from
            {
                self.end_transfer(own, &transfer).await?;
                let task = TransferTask::ForPerson { to, item };
                self.put_transfer(own, &Transfer { task, ..transfer }).await?;
            }
        }
        Ok(())
    }

    /// Has another file go with a message that was not sent.
    pub async fn replace_file(
        &mut self,
        conversation: UserId,
        author: UserId,
        item: ItemId,
        file: Option<Box<Attachment>>,
    ) -> Result<(), StoreError> {
        let Some(placed) = self.message(conversation, author, item).await? else { return Ok(()) };
        let message = Message { file, ..placed.message };
        self.rewrite_message(&message).await.map(|_| ())
    }

    /// Whether the message that a file goes with still waits for it.
    pub async fn is_awaited(
        &mut self,
        own: UserId,
        transfer: &Transfer,
    ) -> Result<bool, StoreError> {
        let query = match transfer.task {
            TransferTask::ForPerson { .. } => "SELECT count(*) FROM outbox WHERE item = $1",
            TransferTask::ForChannel { .. } => "SELECT count(*) FROM posting WHERE item = $1",
            TransferTask::Drop => return Ok(true),
        };
        let count: i64 = sqlx::query_scalar(query)
            .bind(self.transfer_key(own, transfer))
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(count > 0)
    }
}
