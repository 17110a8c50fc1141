//! Who people are: users as their chains and accounts make them, kept in memory as long as they are asked for.
//!
//! A message needs the heads and live devices of two users and how they stand to each other; reading those from the database for each one
//! would cost more than storing it. Whoever changes any of it does so under [`Services::order`] and puts the new value here after the
//! commit; a value that is read meanwhile never replaces one that is there.

use std::sync::Arc;

use moka::sync::Cache;
use rookery_protocol::{
    chain::{Entry, HeadRef},
    codec,
    id::{ChainId, DeviceId, UserId},
    name::UserName,
    request::{account::AccountSettings, admin::AccountState},
    user,
};

use super::Services;
use crate::repository::{Limit, StorageError, View, account::Account, contact::Standings};

/// Users in memory: about 10 KiB each.
const MAX_USERS: u64 = 20_000;
/// Names and relations in memory: about 200 bytes each.
const MAX_RELATIONS: u64 = 200_000;
/// How much of a chain is read at once.
const PAGE: Limit = Limit { rows: 256, bytes: 1024 * 1024 };

/// A user who lives here.
#[derive(Clone, Debug)]
pub struct Resident {
    /// Who.
    pub user: UserId,
    /// By which name.
    pub name: UserName,
    /// How the account is.
    pub account: AccountState,
    /// What they wish.
    pub settings: AccountSettings,
    /// What their chain amounts to.
    pub state: user::State,
    /// Where it stands.
    pub head: HeadRef,
    /// The devices that may act now.
    pub live: Vec<DeviceId>,
}

impl Resident {
    /// A user out of account and chain.
    #[must_use]
    pub fn new(account: &Account, state: user::State) -> Self {
        Self {
            user: account.user,
            name: account.name.clone(),
            account: account.state,
            settings: account.settings.clone(),
            head: state.head.into(),
            live: if state.closed { vec![] } else { state.live_device_ids() },
            state,
        }
    }

    /// The same user with a chain that went on.
    #[must_use]
    pub fn with_state(&self, state: user::State) -> Self {
        let live = if state.closed { vec![] } else { state.live_device_ids() };
        Self { head: state.head.into(), live, state, ..self.clone() }
    }

    /// Whether anything may be done in this user's name or sent to them.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.account == AccountState::Active && !self.state.closed
    }

    /// Whether anything can be sent to them: a disabled account keeps its mail.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.account != AccountState::Deleted && !self.state.closed
    }
}

/// What is kept in memory.
pub struct Directory {
    users: Cache<UserId, Arc<Resident>>,
    names: Cache<UserName, UserId>,
    standings: Cache<(UserId, UserId), Standings>,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            users: Cache::new(MAX_USERS),
            names: Cache::new(MAX_RELATIONS),
            standings: Cache::new(MAX_RELATIONS),
        }
    }
}

impl Directory {
    /// Keeps what a user has become. Under [`Services::order`], after the commit.
    pub fn put(&self, resident: Resident) -> Arc<Resident> {
        let resident = Arc::new(resident);
        self.users.insert(resident.user, Arc::clone(&resident));
        resident
    }

    /// Keeps how two users stand to each other. Under [`Services::order`], after the commit.
    pub fn put_standings(&self, user: UserId, other: UserId, standings: Standings) {
        self.standings.insert((user, other), standings);
        let reverse = Standings { ours: standings.theirs, theirs: standings.ours };
        self.standings.insert((other, user), reverse);
    }

    /// Forgets all relations, after one that touches many. Under [`Services::order`], after the commit.
    pub fn forget_standings(&self) {
        self.standings.invalidate_all();
    }
}

impl Services {
    /// The user `user`, if they ever lived here.
    pub async fn resident(&self, user: UserId) -> Result<Option<Arc<Resident>>, StorageError> {
        if let Some(resident) = self.directory.users.get(&user) {
            return Ok(Some(resident));
        }
        let mut view = self.storage.read().await?;
        let Some(account) = view.account(user).await? else { return Ok(None) };
        let Some(state) = read_state(&mut *view, user).await? else { return Ok(None) };
        let resident = Arc::new(Resident::new(&account, state));
        Ok(Some(self.directory.users.entry(user).or_insert(resident).into_value()))
    }

    /// The user of that name.
    pub async fn resident_by_name(
        &self,
        name: &UserName,
    ) -> Result<Option<Arc<Resident>>, StorageError> {
        if let Some(user) = self.directory.names.get(name) {
            return self.resident(user).await;
        }
        let Some(account) = self.storage.read().await?.account_by_name(name).await? else {
            return Ok(None);
        };
        // A name belongs to one user for ever, so this can never be stale.
        self.directory.names.insert(name.clone(), account.user);
        self.resident(account.user).await
    }

    /// Reads anew how two users stand to each other, and keeps it. Under [`Services::order`], after the commit.
    pub async fn renew_standings(
        &self,
        user: UserId,
        other: UserId,
    ) -> Result<Standings, StorageError> {
        let standings = self.storage.read().await?.standings(user, other).await?;
        self.directory.put_standings(user, other, standings);
        Ok(standings)
    }

    /// How `user` stands to `other`, and `other` to `user`.
    pub async fn standings(&self, user: UserId, other: UserId) -> Result<Standings, StorageError> {
        if let Some(standings) = self.directory.standings.get(&(user, other)) {
            return Ok(standings);
        }
        let standings = self.storage.read().await?.standings(user, other).await?;
        Ok(self.directory.standings.entry((user, other)).or_insert(standings).into_value())
    }
}

/// What the chain of `user` amounts to. The entries were checked when they came, so their signatures are not checked again.
pub async fn read_state(
    view: &mut (impl View + ?Sized),
    user: UserId,
) -> Result<Option<user::State>, StorageError> {
    let chain = ChainId::of_user(user);
    let mut state = None;
    loop {
        let after = state.as_ref().map(|state: &user::State| state.head.seq);
        let page = view.entries(chain, after, PAGE).await?;
        for stored in page.rows {
            state = Some(replay(user, state.as_ref(), &stored.entry)?);
        }
        if !page.more {
            return Ok(state);
        }
    }
}

fn replay(
    user: UserId,
    state: Option<&user::State>,
    entry: &Entry,
) -> Result<user::State, StorageError> {
    let broken = StorageError::Inconsistent { table: "entry" };
    let item = codec::decode(entry.signed.payload.as_slice()).map_err(|_| broken.clone())?;
    user::apply(user, state, entry, &item).map_err(|_| broken)
}
