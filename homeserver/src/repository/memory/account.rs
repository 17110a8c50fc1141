//! Accounts and invites.

use std::ops::Bound;

use async_trait::async_trait;
use rookery_protocol::{
    id::UserId,
    name::UserName,
    request::{account::AccountSettings, admin::AccountState, contact::Standing},
    time::Timestamp,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    account::{
        Account, AccountRepository, AccountSummary, AccountView, NewAccount, Opened,
        StoredPresence, StoredProfile,
    },
    chain::ChainKind,
    invite::{InviteHash, InviteRepository, InviteView, StoredInvite},
};

#[async_trait]
impl AccountView for Handle {
    async fn account(&mut self, user: UserId) -> Result<Option<Account>, StorageError> {
        Ok(self.rows().accounts.get(&user).cloned())
    }

    async fn account_by_name(&mut self, name: &UserName) -> Result<Option<Account>, StorageError> {
        let rows = self.rows();
        Ok(rows.names.get(name).and_then(|user| rows.accounts.get(user)).cloned())
    }

    async fn profile(&mut self, user: UserId) -> Result<Option<StoredProfile>, StorageError> {
        Ok(self.rows().profiles.get(&user).cloned())
    }

    async fn presences(&mut self, users: &[UserId]) -> Result<Vec<StoredPresence>, StorageError> {
        let rows = self.rows();
        Ok(users.iter().filter_map(|user| rows.presences.get(user).cloned()).collect())
    }

    async fn accounts(
        &mut self,
        after: Option<&UserName>,
        limit: u32,
    ) -> Result<Vec<AccountSummary>, StorageError> {
        let rows = self.rows();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = rows.names.range((from, Bound::Unbounded)).map(|(_, user)| *user);
        Ok(users.filter_map(|user| rows.summary(user)).take(limit as usize).collect())
    }

    async fn account_summary(
        &mut self,
        name: &UserName,
    ) -> Result<Option<AccountSummary>, StorageError> {
        let rows = self.rows();
        Ok(rows.names.get(name).and_then(|user| rows.summary(*user)))
    }
}

#[async_trait]
impl AccountRepository for Handle {
    async fn open_account(&mut self, new: &NewAccount) -> Result<Opened, StorageError> {
        let rows = self.change()?;
        match (rows.names.get(&new.name), rows.accounts.get(&new.user)) {
            (None, None) => {}
            (Some(user), Some(_)) if *user == new.user => return Ok(Opened::Already),
            _ => return Ok(Opened::NameTaken),
        }
        rows.names.insert(new.name.clone(), new.user);
        rows.accounts.insert(
            new.user,
            Account {
                user: new.user,
                name: new.name.clone(),
                password: new.password.clone(),
                state: AccountState::Active,
                created: new.created,
                last_seen: None,
                email: new.email.clone(),
                settings: new.settings.clone(),
            },
        );
        Ok(Opened::New)
    }

    async fn set_password(&mut self, user: UserId, password: &str) -> Result<bool, StorageError> {
        Ok(self
            .change()?
            .alive(user)
            .map(|account| password.clone_into(&mut account.password))
            .is_some())
    }

    async fn set_account_state(
        &mut self,
        user: UserId,
        state: AccountState,
    ) -> Result<bool, StorageError> {
        Ok(self.change()?.alive(user).map(|account| account.state = state).is_some())
    }

    async fn set_settings(
        &mut self,
        user: UserId,
        settings: &AccountSettings,
    ) -> Result<bool, StorageError> {
        Ok(self.change()?.alive(user).map(|account| account.settings = settings.clone()).is_some())
    }

    async fn put_profile(
        &mut self,
        user: UserId,
        profile: &StoredProfile,
    ) -> Result<(), StorageError> {
        let rows = self.change()?;
        if rows.alive(user).is_some() {
            rows.profiles.insert(user, profile.clone());
        }
        Ok(())
    }

    async fn note_presences(&mut self, presences: &[StoredPresence]) -> Result<(), StorageError> {
        let rows = self.change()?;
        for presence in presences {
            if rows.alive(presence.user).is_some() {
                rows.presences.insert(presence.user, presence.clone());
            }
        }
        Ok(())
    }

    async fn erase_account(&mut self, user: UserId) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let Some(account) = rows.alive(user) else { return Ok(false) };
        account.state = AccountState::Deleted;
        account.password = String::new();
        account.email = None;
        account.last_seen = None;
        account.settings = ERASED_SETTINGS;
        rows.profiles.remove(&user);
        rows.presences.remove(&user);
        rows.sessions.retain(|_, session| session.user != user);
        rows.boxes.retain(|(owner, ..), _| *owner != user);
        let theirs: Vec<_> = rows
            .prekeys
            .iter()
            .filter(|(_, prekeys)| prekeys.user == user)
            .map(|(device, _)| *device)
            .collect();
        rows.prekeys.retain(|_, prekeys| prekeys.user != user);
        rows.claims
            .retain(|(requester, _, device), _| *requester != user && !theirs.contains(device));
        rows.mailboxes.retain(|_, mailbox| mailbox.user != user);
        rows.devices.retain(|_, (owner, _)| *owner != user);
        rows.chains.retain(|_, (chain, _)| chain.owner != user || chain.kind != ChainKind::Journal);
        rows.contacts.retain(|(owner, _), contact| {
            let unanswered = matches!(contact.standing, Standing::Asking | Standing::Stranger);
            *owner != user && !(unanswered && contact.user == Some(user))
        });
        Ok(true)
    }
}

/// What stands in the row of an account that is gone.
const ERASED_SETTINGS: AccountSettings = AccountSettings {
    writers: rookery_protocol::request::account::Writers::Contacts,
    presence: false,
    suggest: false,
};

impl Rows {
    /// The account, unless it is deleted.
    fn alive(&mut self, user: UserId) -> Option<&mut Account> {
        self.accounts.get_mut(&user).filter(|account| account.state != AccountState::Deleted)
    }

    fn summary(&self, user: UserId) -> Option<AccountSummary> {
        let account = self.accounts.get(&user)?.clone();
        let live = self
            .sessions
            .values()
            .filter(|session| session.user == user && session.ended.is_none());
        let waiting = self.mailboxes.values().filter(|mailbox| mailbox.user == user);
        Some(AccountSummary {
            account,
            sessions: u32::try_from(live.count()).unwrap_or(u32::MAX),
            waiting_envelopes: waiting.map(|mailbox| mailbox.head.count).sum(),
        })
    }
}

#[async_trait]
impl InviteView for Handle {
    async fn invites(&mut self) -> Result<Vec<StoredInvite>, StorageError> {
        let mut invites: Vec<_> = self.rows().invites.values().cloned().collect();
        invites.sort_by(|one, other| {
            other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id))
        });
        Ok(invites)
    }
}

#[async_trait]
impl InviteRepository for Handle {
    async fn create_invite(&mut self, invite: &StoredInvite) -> Result<bool, StorageError> {
        let rows = self.change()?;
        let known =
            rows.invites.values().any(|other| other.id == invite.id || other.hash == invite.hash);
        if !known {
            rows.invites.insert(invite.hash, invite.clone());
        }
        Ok(!known)
    }

    async fn take_invite(
        &mut self,
        hash: InviteHash,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let Some(invite) = self.change()?.invites.get_mut(&hash) else { return Ok(false) };
        let over = invite.revoked || invite.expires.is_some_and(|expires| expires <= now);
        let left = invite.uses_left.checked_sub(1).filter(|_| !over);
        if let Some(left) = left {
            invite.uses_left = left;
        }
        Ok(left.is_some())
    }

    async fn revoke_invite(&mut self, id: &str) -> Result<bool, StorageError> {
        let found = self.change()?.invites.values_mut().find(|invite| invite.id == id);
        Ok(found.map(|invite| invite.revoked = true).is_some())
    }
}
