//! Sessions: one log-in of one device, and where its refresh tokens stand.
//!
//! The service derives the token of a generation by a key of its own, so that only hashes are kept here, and the successor of a token can
//! still be given again until it is used.

use async_trait::async_trait;
use rookery_protocol::{
    id::{DeviceId, SessionId, UserId},
    key::VerifyingKey,
    time::Timestamp,
};

use super::StorageError;

/// BLAKE3 of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// Of which device.
    pub device: DeviceId,
    /// The device's key, to which access tokens are bound.
    pub key: VerifyingKey,
    /// Since when.
    pub created: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// How often its token was exchanged; the token in force is of this generation.
    pub generation: u64,
    /// The hash of the token in force.
    pub current: TokenHash,
    /// The hash of the token before it: whoever shows that gets the token in force again, until that is used.
    pub previous: Option<TokenHash>,
    /// Whether the token in force, or an access token that came with it, was used since it was given.
    pub current_used: bool,
    /// When it ended, if it did.
    pub ended: Option<Timestamp>,
}

/// What can be asked about sessions.
#[async_trait]
pub trait SessionView {
    /// The session, ended ones too, until they are purged.
    async fn session(&mut self, session: SessionId) -> Result<Option<StoredSession>, StorageError>;

    /// The session whose current or previous token has this hash, ended ones too.
    async fn session_by_token(
        &mut self,
        token: TokenHash,
    ) -> Result<Option<StoredSession>, StorageError>;

    /// The sessions of `user` that have not ended, newest first.
    async fn sessions(&mut self, user: UserId) -> Result<Vec<StoredSession>, StorageError>;
}

/// What can be done to sessions.
#[async_trait]
pub trait SessionRepository: SessionView {
    /// Keeps a new session. Says whether its id and its token's hash are new; if not, nothing was stored.
    async fn create_session(&mut self, session: &StoredSession) -> Result<bool, StorageError>;

    /// Goes on to the next token, if the session is at `generation` and has not ended: the token in force becomes the previous one, `next`
    /// the one in force, unused. Says whether it was so.
    async fn rotate_session(
        &mut self,
        session: SessionId,
        generation: u64,
        next: TokenHash,
        at: Timestamp,
    ) -> Result<bool, StorageError>;

    /// Notes that the token in force was used; the one before it is worth nothing from now on.
    async fn mark_token_used(&mut self, session: SessionId) -> Result<(), StorageError>;

    /// Notes when sessions were last used; earlier times than the known ones are passed over.
    async fn touch_sessions(&mut self, seen: &[(SessionId, Timestamp)])
    -> Result<(), StorageError>;

    /// Ends a session. Says whether it was there and had not ended.
    async fn end_session(
        &mut self,
        session: SessionId,
        at: Timestamp,
    ) -> Result<bool, StorageError>;

    /// Ends all sessions of `user` but `except`, and says which.
    async fn end_sessions_of_user(
        &mut self,
        user: UserId,
        except: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StorageError>;

    /// Ends all sessions of `device`, and says which.
    async fn end_sessions_of_device(
        &mut self,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StorageError>;
}
