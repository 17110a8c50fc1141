//! Channels as this device has taken them in: how far, by which keys, and whose message was last.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Seen,
    id::{ChainId, ChannelId, CommunityId, DeviceId, Digest, SenderKeyId, UserId},
    time::Timestamp,
};
use sqlx::{QueryBuilder, Row as _};
use zeroize::Zeroizing;

use super::{StoreError, Unit};

/// Rows that one statement inserts.
const ROWS_AT_ONCE: usize = 256;

/// A channel as far as this device has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChannelRow {
    /// Of which community.
    #[n(0)]
    pub community: CommunityId,
    /// Which.
    #[n(1)]
    pub channel: ChannelId,
    /// The last entry that was taken in.
    #[n(2)]
    pub have: Option<Seen>,
    /// The position in the log that it was judged at: none after it is judged at an earlier one.
    #[n(3)]
    pub log_pos: u64,
    /// Through which place it was read.
    #[n(4)]
    pub read: Option<u64>,
    /// How many messages of others came after that.
    #[n(5)]
    pub unread: u32,
    /// How many of them mention this user.
    #[n(6)]
    pub mentions: u32,
    /// Since when something waits that cannot be opened yet, because the epoch's secret is not here.
    #[n(7)]
    pub waits_since: Option<Timestamp>,
    /// Entries that were refused, and why the last one was.
    #[n(8)]
    pub refused: u32,
    /// Why the last one was.
    #[n(9)]
    pub refusal: Option<String>,
    /// Places before which messages of one author are missing that others were linked to.
    #[n(10)]
    pub gaps: Vec<u64>,
    /// From which place on the hashes of entries are kept; an earlier version kept none.
    #[n(11)]
    pub hashes_from: Option<u64>,
}

impl ChannelRow {
    /// Counts an entry that was refused.
    pub fn pass_over(&mut self, why: String) {
        self.refused = self.refused.saturating_add(1);
        self.refusal = Some(why);
    }

    /// A channel of which nothing is here yet.
    #[must_use]
    pub const fn new(community: CommunityId, channel: ChannelId) -> Self {
        Self {
            community,
            channel,
            have: None,
            log_pos: 0,
            read: None,
            unread: 0,
            mentions: 0,
            waits_since: None,
            refused: 0,
            refusal: None,
            gaps: vec![],
            hashes_from: Some(0),
        }
    }

    /// Its chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        ChainId::of_channel(self.community, self.channel)
    }
}

impl Unit {
    /// Another device's Sender Key.
    pub async fn sender_key(
        &mut self,
        chain: ChainId,
        id: SenderKeyId,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = self.vault.index("sender_key", &[chain.as_bytes(), id.as_bytes()]);
        self.sealed_bytes("SELECT sealed FROM sender_key WHERE sender_key = $1", "sender_key", &key)
            .await
    }

    /// Stores another device's Sender Key.
    pub async fn put_sender_key(
        &mut self,
        chain: ChainId,
        id: SenderKeyId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let key = self.vault.index("sender_key", &[chain.as_bytes(), id.as_bytes()]);
        let sealed = self.vault.seal_bytes("sender_key", &key, bytes);
        self.put_sealed(
            "INSERT INTO sender_key (sender_key, sealed) VALUES ($1, $2)
             ON CONFLICT (sender_key) DO UPDATE SET sealed = excluded.sealed",
            key,
            sealed,
        )
        .await
    }

    /// This device's Sender Key for a channel, in its next state.
    pub async fn own_sender_key(
        &mut self,
        chain: ChainId,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = self.vault.index("own_sender_key", &[chain.as_bytes()]);
        self.sealed_bytes(
            "SELECT sealed FROM own_sender_key WHERE channel = $1",
            "own_sender_key",
            &key,
        )
        .await
    }

    /// Stores this device's Sender Key for a channel.
    pub async fn put_own_sender_key(
        &mut self,
        chain: ChainId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let key = self.vault.index("own_sender_key", &[chain.as_bytes()]);
        let sealed = self.vault.seal_bytes("own_sender_key", &key, bytes);
        self.put_sealed(
            "INSERT INTO own_sender_key (channel, sealed) VALUES ($1, $2)
             ON CONFLICT (channel) DO UPDATE SET sealed = excluded.sealed",
            key,
            sealed,
        )
        .await
    }

    /// Forgets this device's Sender Key for a channel: the next message announces another.
    pub async fn drop_own_sender_key(&mut self, chain: ChainId) -> Result<(), StoreError> {
        let key = self.vault.index("own_sender_key", &[chain.as_bytes()]);
        sqlx::query("DELETE FROM own_sender_key WHERE channel = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// How far a channel was taken in.
    pub async fn channel(&mut self, chain: ChainId) -> Result<Option<ChannelRow>, StoreError> {
        let key = self.vault.index("channel", &[chain.as_bytes()]);
        self.sealed_value("SELECT sealed FROM channel WHERE channel = $1", "channel", &key).await
    }

    /// All channels of which something is here.
    pub async fn channels(&mut self) -> Result<Vec<ChannelRow>, StoreError> {
        let rows = sqlx::query("SELECT channel, sealed FROM channel")
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| self.vault.open("channel", row.try_get("channel")?, row.try_get("sealed")?))
            .collect()
    }

    /// Stores how far a channel was taken in.
    pub async fn put_channel(&mut self, row: &ChannelRow) -> Result<(), StoreError> {
        let key = self.vault.index("channel", &[row.chain().as_bytes()]);
        let sealed = self.vault.seal("channel", &key, row);
        self.put_sealed(
            "INSERT INTO channel (channel, sealed) VALUES ($1, $2)
             ON CONFLICT (channel) DO UPDATE SET sealed = excluded.sealed",
            key,
            sealed,
        )
        .await
    }

    /// Whether an entry of that hash was taken in.
    pub async fn has_channel_entry(
        &mut self,
        chain: ChainId,
        hash: Digest,
    ) -> Result<bool, StoreError> {
        let key = self.entry_key(chain, hash);
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM channel_entry WHERE entry = $1")
            .bind(key)
            .fetch_optional(&mut *self.transaction)
            .await?;
        Ok(found.is_some())
    }

    /// Remembers the hashes of entries that were taken in.
    pub async fn add_channel_entries(
        &mut self,
        chain: ChainId,
        hashes: &[Digest],
    ) -> Result<(), StoreError> {
        for hashes in hashes.chunks(ROWS_AT_ONCE) {
            let keys: Vec<_> = hashes.iter().map(|hash| self.entry_key(chain, *hash)).collect();
            let mut insert = QueryBuilder::new("INSERT INTO channel_entry (entry) ");
            insert.push_values(keys, |mut row, key| {
                row.push_bind(key);
            });
            insert.push(" ON CONFLICT (entry) DO NOTHING");
            insert.build().execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    fn entry_key(&self, chain: ChainId, hash: Digest) -> Vec<u8> {
        self.vault.index("channel_entry", &[chain.as_bytes(), hash.as_bytes()])
    }

    /// The hash of the last message of a device in a channel: its next one is linked to it.
    pub async fn last_hash(
        &mut self,
        chain: ChainId,
        author: UserId,
        device: DeviceId,
    ) -> Result<Option<Digest>, StoreError> {
        let key = self.author_key(chain, author, device);
        self.sealed_value("SELECT sealed FROM last_message WHERE author = $1", "last_message", &key)
            .await
    }

    /// Remembers the last message of a device in a channel.
    pub async fn put_last_hash(
        &mut self,
        chain: ChainId,
        author: UserId,
        device: DeviceId,
        hash: Digest,
    ) -> Result<(), StoreError> {
        let key = self.author_key(chain, author, device);
        let sealed = self.vault.seal("last_message", &key, &hash);
        self.put_sealed(
            "INSERT INTO last_message (author, sealed) VALUES ($1, $2)
             ON CONFLICT (author) DO UPDATE SET sealed = excluded.sealed",
            key,
            sealed,
        )
        .await
    }

    fn author_key(&self, chain: ChainId, author: UserId, device: DeviceId) -> Vec<u8> {
        let parts: [&[u8]; 3] = [chain.as_bytes(), author.as_bytes(), device.as_bytes()];
        self.vault.index("last_message", &parts)
    }
}
