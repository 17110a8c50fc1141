//! Communities as this device has verified them: their logs, and the secrets of their epochs.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Entry,
    codec::{self, MAX_BATCH},
    community::CommunityKind,
    id::{AudienceId, CommunityId, Digest, InviteId, UserId},
    name::{ServerName, UserName},
    time::Timestamp,
};
use sqlx::{QueryBuilder, Row as _};
use zeroize::Zeroizing;

use super::{StoreError, Unit};

/// Entries that one statement inserts.
const ENTRIES_AT_ONCE: usize = 256;

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
    /// A leave that has not taken effect.
    #[n(7)]
    pub leaving: Option<Leaving>,
    /// Its hub, as the link said that this user came by, when that is another server than their home.
    #[n(8)]
    pub hub: Option<ServerName>,
}

impl CommunityRow {
    /// Whether this user is on the way out of it: it is out of the way already.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.refusal.is_none())
    }

    /// Whether there is nothing more to do in it: it was left, or is about to be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.standing == Standing::Gone || self.is_leaving()
    }
}

/// A leave that was ordered and waits for the community's hub, or that the hub has refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Leaving {
    /// The server that it waits for.
    #[n(0)]
    pub hub: ServerName,
    /// When it was ordered.
    #[n(1)]
    pub since: Timestamp,
    /// It is not tried before this time.
    #[n(2)]
    pub not_before: Timestamp,
    /// How often it let what was said before go first.
    #[n(3)]
    pub held: u32,
    /// Why it waits.
    #[n(4)]
    pub trouble: Option<String>,
    /// Why it will not take effect: this user still belongs to the community.
    #[n(5)]
    pub refusal: Option<String>,
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

    pub(super) async fn sealed_bytes(
        &mut self,
        select: &'static str,
        table: &'static str,
        key: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let sealed = self.sealed_row(select, key).await?;
        sealed.map(|sealed| self.vault.open_bytes(table, key, &sealed)).transpose()
    }

    pub(super) async fn sealed_value<T: for<'b> Decode<'b, ()>>(
        &mut self,
        select: &'static str,
        table: &'static str,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let sealed = self.sealed_row(select, key).await?;
        sealed.map(|sealed| self.vault.open(table, key, &sealed)).transpose()
    }

    pub(super) async fn put_sealed(
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

    /// Adds entries of a log that have been verified after the last.
    pub async fn add_log_entries(
        &mut self,
        community: CommunityId,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let key = self.vault.index("log", &[community.as_bytes()]);
        for entries in entries.chunks(ENTRIES_AT_ONCE) {
            let mut insert = QueryBuilder::new("INSERT INTO log (community, seq, sealed) ");
            insert.push_values(entries, |mut row, entry| {
                row.push_bind(key.clone())
                    .push_bind(entry.seq.cast_signed())
                    .push_bind(self.vault.seal("log", &row_id(&key, entry.seq), entry));
            });
            // Whoever was not told that they were stored stores them again.
            insert.push(" ON CONFLICT DO NOTHING");
            insert.build().execute(&mut *self.transaction).await?;
        }
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
