//! Invites. The secret in a link is not kept, only its hash.

use async_trait::async_trait;
use rookery_protocol::time::Timestamp;

use super::StorageError;

/// BLAKE3 of an invite's token. The token is 16 random bytes, so that a plain hash gives nothing away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteHash(pub [u8; 32]);

/// One invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInvite {
    /// The hash of its token.
    pub hash: InviteHash,
    /// A short name for it that is no secret.
    pub id: String,
    /// How often it can still be used.
    pub uses_left: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// What for.
    pub note: Option<String>,
    /// Whether it was withdrawn.
    pub revoked: bool,
}

/// What can be asked about invites.
#[async_trait]
pub trait InviteView {
    /// All invites, newest first.
    async fn invites(&mut self) -> Result<Vec<StoredInvite>, StorageError>;
}

/// What can be done to invites.
#[async_trait]
pub trait InviteRepository: InviteView {
    /// Keeps a new invite. Says whether its id and hash are new; if not, nothing was stored.
    async fn create_invite(&mut self, invite: &StoredInvite) -> Result<bool, StorageError>;

    /// Takes one use off the invite, if it is good at `now`: neither used up, over, withdrawn nor unknown. Two takers never share a use.
    async fn take_invite(&mut self, hash: InviteHash, now: Timestamp)
    -> Result<bool, StorageError>;

    /// Withdraws the invite. Says whether there is one of this id; withdrawing twice is withdrawing once.
    async fn revoke_invite(&mut self, id: &str) -> Result<bool, StorageError>;
}
