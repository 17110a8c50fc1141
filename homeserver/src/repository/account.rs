//! Accounts: names, passwords, settings, profiles, and how people were when they were last there.

use async_trait::async_trait;
use rookery_protocol::{
    id::UserId,
    name::UserName,
    request::{account::AccountSettings, admin::AccountState, presence::PresenceState},
    time::Timestamp,
};

use super::StorageError;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub user: UserId,
    /// By which name; for ever, even when the account is deleted.
    pub name: UserName,
    /// The password's hash as a PHC string; empty when the account is deleted.
    pub password: String,
    /// How it is.
    pub state: AccountState,
    /// Since when.
    pub created: Timestamp,
    /// When one of its devices was last there.
    pub last_seen: Option<Timestamp>,
    /// The e-mail address that it gave.
    pub email: Option<String>,
    /// What its user wishes.
    pub settings: AccountSettings,
}

/// An account with what an administrator wants to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub account: Account,
    /// Sessions that have not ended.
    pub sessions: u32,
    /// Envelopes that wait for its devices.
    pub waiting_envelopes: u64,
}

/// An account that is to be.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Who.
    pub user: UserId,
    /// By which name.
    pub name: UserName,
    /// The password's hash as a PHC string.
    pub password: String,
    /// Since when.
    pub created: Timestamp,
    /// An e-mail address.
    pub email: Option<String>,
    /// The settings to begin with.
    pub settings: AccountSettings,
}

/// What came of opening an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    New,
    /// The user had it already, by this name: a retry.
    Already,
    /// The name is another user's, or was, or the user has another name. Nothing was stored.
    NameTaken,
}

/// A user's profile, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProfile {
    /// What only its readers can open.
    pub sealed: Vec<u8>,
    /// When it was stored.
    pub at: Timestamp,
}

/// How a user was when presence was last written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPresence {
    /// Who.
    pub user: UserId,
    /// What they had set.
    pub state: PresenceState,
    /// When they were last online.
    pub last_online: Option<Timestamp>,
    /// Their sealed status text.
    pub status: Option<Vec<u8>>,
}

/// What can be asked about accounts.
#[async_trait]
pub trait AccountView {
    /// The account of `user`, deleted ones too.
    async fn account(&mut self, user: UserId) -> Result<Option<Account>, StorageError>;

    /// The account that has or had `name`.
    async fn account_by_name(&mut self, name: &UserName) -> Result<Option<Account>, StorageError>;

    /// The profile of `user`.
    async fn profile(&mut self, user: UserId) -> Result<Option<StoredProfile>, StorageError>;

    /// How `users` were, in no order; those of whom nothing was written down are left out.
    async fn presences(&mut self, users: &[UserId]) -> Result<Vec<StoredPresence>, StorageError>;

    /// At most `limit` accounts by name, after `after`.
    async fn accounts(
        &mut self,
        after: Option<&UserName>,
        limit: u32,
    ) -> Result<Vec<AccountSummary>, StorageError>;

    /// One account with its counts.
    async fn account_summary(
        &mut self,
        name: &UserName,
    ) -> Result<Option<AccountSummary>, StorageError>;
}

/// What can be done to accounts.
#[async_trait]
pub trait AccountRepository: AccountView {
    /// Opens an account.
    async fn open_account(&mut self, account: &NewAccount) -> Result<Opened, StorageError>;

    /// Replaces the password's hash. Says whether there is such an account.
    async fn set_password(&mut self, user: UserId, password: &str) -> Result<bool, StorageError>;

    /// Disables or enables. Says whether there is such an account; a deleted one stays deleted.
    async fn set_account_state(
        &mut self,
        user: UserId,
        state: AccountState,
    ) -> Result<bool, StorageError>;

    /// Replaces the settings. Says whether there is such an account.
    async fn set_settings(
        &mut self,
        user: UserId,
        settings: &AccountSettings,
    ) -> Result<bool, StorageError>;

    /// Replaces the sealed profile.
    async fn put_profile(
        &mut self,
        user: UserId,
        profile: &StoredProfile,
    ) -> Result<(), StorageError>;

    /// Writes down how users are; of the users that have no account, nothing.
    async fn note_presences(&mut self, presences: &[StoredPresence]) -> Result<(), StorageError>;

    /// Erases everything of `user` but the name and the chain of their statements: password, e-mail, settings, profile, presence, sessions,
    /// boxes, prekeys and claims, mailboxes with all that waits, the journal, and contacts. Others keep the user among theirs, except as one who asks or
    /// as a stranger. The account's state becomes [`AccountState::Deleted`]. Says whether there was such an account.
    async fn erase_account(&mut self, user: UserId) -> Result<bool, StorageError>;
}
