//! Communities as this device has verified them: their logs, the secrets of their epochs, their channels.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::{Entry, Seen},
    codec::{self, MAX_BATCH},
    community::CommunityKind,
    id::{
        AudienceId, ChainId, ChannelId, CommunityId, DeviceId, Digest, InviteId, SenderKeyId,
        UserId,
    },
    name::UserName,
    time::Timestamp,
};
use sqlx::Row as _;
use zeroize::Zeroizing;

use super::{StoreError, Unit};

/// How this user stands to a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Standing {
    /// Belongs to it.
    #[n(1)]
    Member,
    /// Was invited.
    #[n(2)]
    Invited,
    /// Asked to be let in.
    #[n(3)]
    Asking,
    /// Left, or was sent away: what was read stays here.
    #[n(4)]
    Gone,
}

/// One community.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CommunityRow {
    /// Which.
    #[n(0)]
    pub community: CommunityId,
    /// What sort.
    #[n(1)]
    pub kind: CommunityKind,
    /// How this user stands to it.
    #[n(2)]
    pub standing: Standing,
    /// The secret of the link that this user came by.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub link_secret: Option<Vec<u8>>,
    /// The invitation that the link is of.
    #[n(6)]
    pub invite: Option<InviteId>,
    /// Why the log is not trusted any more: nothing is taken from it or sealed for it until a person has looked.
    #[n(4)]
    pub alarm: Option<String>,
    /// Since when it is known here.
    #[n(5)]
    pub since: Timestamp,
}

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
        }
    }

    /// Its chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        ChainId::of_channel(self.community, self.channel)
    }
}

/// Rows that have one key and one sealed value.
impl Unit {
    async fn sealed_row(
        &mut self,
        select: &'static str,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(sqlx::query_scalar(select).bind(key).fetch_optional(&mut *self.transaction).await?)
    }

    async fn sealed_bytes(
        &mut self,
        select: &'static str,
        table: &'static str,
        key: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let sealed = self.sealed_row(select, key).await?;
        sealed.map(|sealed| self.vault.open_bytes(table, key, &sealed)).transpose()
    }

    async fn sealed_value<T: for<'b> Decode<'b, ()>>(
        &mut self,
        select: &'static str,
        table: &'static str,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let sealed = self.sealed_row(select, key).await?;
        sealed.map(|sealed| self.vault.open(table, key, &sealed)).transpose()
    }

    async fn put_sealed(
        &mut self,
        insert: &'static str,
        key: Vec<u8>,
        sealed: Vec<u8>,
    ) -> Result<(), StoreError> {
        sqlx::query(insert).bind(key).bind(sealed).execute(&mut *self.transaction).await?;
        Ok(())
    }
}

impl Unit {
    /// All communities, in no order.
    pub async fn communities(&mut self) -> Result<Vec<CommunityRow>, StoreError> {
        let rows = sqlx::query("SELECT community, sealed FROM community")
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter()
            .map(|row| {
                self.vault.open("community", row.try_get("community")?, row.try_get("sealed")?)
            })
            .collect()
    }

    /// Stores a community.
    pub async fn put_community(&mut self, row: &CommunityRow) -> Result<(), StoreError> {
        let key = self.vault.index("community", &[row.community.as_bytes()]);
        let sealed = self.vault.seal("community", &key, row);
        self.put_sealed(
            "INSERT INTO community (community, sealed) VALUES ($1, $2)
             ON CONFLICT (community) DO UPDATE SET sealed = excluded.sealed",
            key,
            sealed,
        )
        .await
    }

    /// Entries of a community's log from place `from` on, at most `count`.
    pub async fn log_entries(
        &mut self,
        community: CommunityId,
        from: u64,
        count: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let key = self.vault.index("log", &[community.as_bytes()]);
        let rows = sqlx::query(
            "SELECT seq, sealed FROM log WHERE community = $1 AND seq >= $2 ORDER BY seq LIMIT $3",
        )
        .bind(&key)
        .bind(from.cast_signed())
        .bind(i64::from(count))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.iter()
            .map(|row| {
                let (seq, sealed): (i64, &[u8]) = (row.try_get("seq")?, row.try_get("sealed")?);
                let bytes =
                    self.vault.open_bytes("log", &row_id(&key, seq.unsigned_abs()), sealed)?;
                codec::decode_within(&bytes, MAX_BATCH)
                    .map_err(|_| StoreError::Damaged { table: "log" })
            })
            .collect()
    }

    /// Adds an entry of a log that has been verified after the last.
    pub async fn add_log_entry(
        &mut self,
        community: CommunityId,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let key = self.vault.index("log", &[community.as_bytes()]);
        let sealed = self.vault.seal("log", &row_id(&key, entry.seq), entry);
        sqlx::query("INSERT INTO log (community, seq, sealed) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(entry.seq.cast_signed())
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// The secret of the epoch that the log commits to by `commit`, if it is here.
    pub async fn epoch_secret(
        &mut self,
        community: CommunityId,
        audience: AudienceId,
        epoch: u32,
        commit: Digest,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = self.epoch_key(community, audience, epoch, commit);
        self.sealed_bytes("SELECT sealed FROM epoch WHERE epoch = $1", "epoch", &key).await
    }

    /// Keeps a secret that somebody commits to by `commit`. Of two that compete for one number, the log will say which it is.
    pub async fn put_epoch_secret(
        &mut self,
        community: CommunityId,
        audience: AudienceId,
        epoch: u32,
        commit: Digest,
        secret: &[u8],
    ) -> Result<(), StoreError> {
        let key = self.epoch_key(community, audience, epoch, commit);
        let sealed = self.vault.seal_bytes("epoch", &key, secret);
        self.put_sealed(
            "INSERT INTO epoch (epoch, sealed) VALUES ($1, $2) ON CONFLICT (epoch) DO NOTHING",
            key,
            sealed,
        )
        .await
    }

    fn epoch_key(
        &self,
        community: CommunityId,
        audience: AudienceId,
        epoch: u32,
        commit: Digest,
    ) -> Vec<u8> {
        let (audience, epoch) = (audience.number().to_be_bytes(), epoch.to_be_bytes());
        self.vault.index("epoch", &[community.as_bytes(), &audience, &epoch, commit.as_bytes()])
    }

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

    /// The name of a user's account, as their home has told it.
    pub async fn name_of(&mut self, user: UserId) -> Result<Option<UserName>, StoreError> {
        let key = self.vault.index("name", &[user.as_bytes()]);
        self.sealed_value("SELECT sealed FROM name WHERE person = $1", "name", &key).await
    }

    /// Remembers the name of a user's account.
    pub async fn put_name(&mut self, user: UserId, name: &UserName) -> Result<(), StoreError> {
        let key = self.vault.index("name", &[user.as_bytes()]);
        let sealed = self.vault.seal("name", &key, name);
        self.put_sealed(
            "INSERT INTO name (person, sealed) VALUES ($1, $2)
             ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed",
            key,
            sealed,
        )
        .await
    }
}

fn row_id(key: &[u8], seq: u64) -> Vec<u8> {
    [key, &seq.to_be_bytes()].concat()
}
