//! What there is one of: the account, its session, its secrets, its cursors.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Submission,
    codec::{self, MAX_BATCH},
    id::{DeviceId, ServerId, SessionId, UserId},
    name::{ServerName, UserName},
    prekey::PrekeyUpload,
    session::Cursor,
    time::Timestamp,
    user::PukBox,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{StoreError, Unit};

/// The name of a value that there is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// [`Account`].
    Account,
    /// [`Session`].
    Session,
    /// [`Registering`], from before the request until its answer.
    Registering,
    /// The device's secret keys.
    Device,
    /// The per-user key's generations.
    PerUserKeys,
    /// Where the mailbox stands: a [`Cursor`].
    Mailbox,
    /// The latest time at which the home has accepted a letter, by its own clock: a [`Timestamp`].
    ///
    /// [`Timestamp`]: rookery_protocol::time::Timestamp
    Accepted,
    /// What is with this user's home, on its way to another: receivers and messages.
    Awaited,
    /// The root keys that other servers are known by.
    ServerRoots,
    /// Where the journal stands.
    Journal,
    /// The device's prekeys.
    Prekeys,
    /// How many letters were refused, and why: [`Refused`].
    Refused,
    /// How many sessions were begun anew by either side.
    Resets,
    /// Which sessions have to be begun anew.
    ResetsOwed,
    /// Who was told, and when, what was seen of shared logs.
    HeadsTold,
    /// What others have seen of shared logs, while the logs here do not bear it out.
    HeadClaims,
    /// Proofs that hubs have signed two histories of communities.
    Forks,
}

impl Name {
    const fn text(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Session => "session",
            Self::Registering => "registering",
            Self::Device => "device",
            Self::PerUserKeys => "per-user-keys",
            Self::Mailbox => "mailbox",
            Self::Accepted => "accepted",
            Self::Awaited => "awaited",
            Self::ServerRoots => "server-roots",
            Self::Journal => "journal",
            Self::Prekeys => "prekeys",
            Self::Refused => "refused",
            Self::Resets => "resets",
            Self::ResetsOwed => "resets-owed",
            Self::HeadsTold => "heads-told",
            Self::HeadClaims => "head-claims",
            Self::Forks => "forks",
        }
    }
}

/// Letters that were not taken in, by reason, since the profile was made.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema,
)]
#[cbor(map)]
pub struct Refused {
    /// Meant for another device, or without a header.
    #[n(0)]
    pub misdirected: u64,
    /// Taken in before.
    #[n(1)]
    pub replayed: u64,
    /// Did not open: damaged, forged, or of a session that is lost.
    #[n(2)]
    pub unopenable: u64,
    /// Sealed against another chain than the one that was verified.
    #[n(3)]
    pub forked: u64,
}

/// How far this device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AccountStage {
    /// The password was right; another device or the recovery key has yet to certify this one.
    #[n(1)]
    Uncertified,
    /// In the user's chain.
    #[n(2)]
    Certified,
    /// Signed out, revoked, or the account was closed: nothing goes any more.
    #[n(3)]
    Ended,
}

/// Whose profile this is, and where its home listens.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Account {
    /// Who.
    #[n(0)]
    pub user: UserId,
    /// Which device this is.
    #[n(1)]
    pub device: DeviceId,
    /// The account's name at its home.
    #[n(2)]
    pub name: UserName,
    /// The home's name.
    #[n(3)]
    pub server: ServerName,
    /// Where the home listens, `host:port`.
    #[n(4)]
    pub address: String,
    /// The home's root key, pinned; its domain's certificate counts when absent.
    #[n(5)]
    pub pin: Option<ServerId>,
    /// How far the device has come.
    #[n(6)]
    pub stage: AccountStage,
    /// What the device is called.
    #[n(7)]
    pub device_name: String,
    /// The place in the user's chain at which the device was added: what was sealed for earlier heads never reaches its mailbox.
    #[n(8)]
    pub added: u64,
    /// Whether messages are archived in the journal.
    #[n(9)]
    pub archive: bool,
    /// Whether contacts are told what was read.
    #[n(10)]
    pub read_receipts: bool,
}

/// What the session with the home lives by.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Session {
    /// Which.
    #[n(0)]
    pub session: SessionId,
    /// The access token.
    #[n(1)]
    pub access: String,
    /// When it ends.
    #[n(2)]
    pub access_expires: Timestamp,
    /// The refresh token.
    #[n(3)]
    pub refresh: String,
}

/// Never the tokens.
impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("session", &self.session).finish_non_exhaustive()
    }
}

impl From<rookery_protocol::request::session::Tokens> for Session {
    fn from(tokens: rookery_protocol::request::session::Tokens) -> Self {
        Self {
            session: tokens.session,
            access: tokens.access,
            access_expires: tokens.access_expires,
            refresh: tokens.refresh,
        }
    }
}

/// A registration that was begun: what is asked for, so that a retry after a lost answer asks for the very same account.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Registering {
    /// Which name was asked for; another name or server begins anew.
    #[n(0)]
    pub name: UserName,
    /// Where.
    #[n(1)]
    pub server: ServerId,
    /// Who the user will be.
    #[n(2)]
    pub user: UserId,
    /// The first statement.
    #[n(3)]
    pub genesis: Submission,
    /// The per-user key's boxes.
    #[n(4)]
    pub boxes: Vec<PukBox>,
    /// The device's first prekeys.
    #[n(5)]
    pub prekeys: PrekeyUpload,
}

impl Unit {
    /// The value called `name`.
    pub async fn value<T: for<'b> Decode<'b, ()>>(
        &mut self,
        name: Name,
    ) -> Result<Option<T>, StoreError> {
        let bytes = self.value_bytes(name).await?;
        bytes
            .map(|bytes| {
                codec::decode_within(&bytes, MAX_BATCH)
                    .map_err(|_| StoreError::Damaged { table: "value" })
            })
            .transpose()
    }

    /// The bytes of the value called `name`.
    pub async fn value_bytes(
        &mut self,
        name: Name,
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, StoreError> {
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM value WHERE name = $1")
                .bind(name.text())
                .fetch_optional(&mut *self.transaction)
                .await?;
        sealed
            .map(|sealed| self.vault.open_bytes("value", name.text().as_bytes(), &sealed))
            .transpose()
    }

    /// Stores `value` as `name`.
    pub async fn put_value<T: Encode<()>>(
        &mut self,
        name: Name,
        value: &T,
    ) -> Result<(), StoreError> {
        let bytes = zeroize::Zeroizing::new(codec::encode(value));
        self.put_value_bytes(name, &bytes).await
    }

    /// Stores bytes as `name`.
    pub async fn put_value_bytes(&mut self, name: Name, bytes: &[u8]) -> Result<(), StoreError> {
        let sealed = self.vault.seal_bytes("value", name.text().as_bytes(), bytes);
        sqlx::query("INSERT INTO value (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed")
            .bind(name.text())
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Erases the value called `name`.
    pub async fn erase_value(&mut self, name: Name) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM value WHERE name = $1")
            .bind(name.text())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// The account, if there is one.
    pub async fn account(&mut self) -> Result<Option<Account>, StoreError> {
        self.value(Name::Account).await
    }

    /// The session's tokens.
    pub async fn session(&mut self) -> Result<Option<Session>, StoreError> {
        self.value(Name::Session).await
    }

    /// How far the mailbox was taken in.
    pub async fn mailbox(&mut self) -> Result<Option<Cursor>, StoreError> {
        self.value(Name::Mailbox).await
    }
}
