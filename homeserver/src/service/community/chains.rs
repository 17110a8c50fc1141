//! The chains of users that a log speaks of: of those who live here all of it, of others what was fetched.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use rookery_protocol::{
    chain::Seen,
    codec,
    community::{Chains, Missing},
    id::{ChainId, UserId},
    user,
};

use super::PAGE;
use crate::{
    repository::{StorageError, View, chain::StoredEntry},
    service::Services,
};

/// Chains that are read together: some tens of KiB each at the most that a user's chain is expected to have.
const AT_ONCE: usize = 256;

/// Users' chains, entry by entry, as far as they were brought.
#[derive(Debug, Default)]
pub(super) struct Known {
    users: HashMap<UserId, Arc<Vec<user::State>>>,
}

impl Known {
    /// What the chain of `user` came to at `head`.
    pub(super) fn at(&self, user: UserId, head: Seen) -> Result<&user::State, Missing> {
        let place = usize::try_from(head.seq).unwrap_or(usize::MAX);
        let state = self.users.get(&user).and_then(|states| states.get(place));
        match state {
            Some(state) if state.head == head => Ok(state),
            Some(_) => Err(Missing::Contradicts),
            None => Err(Missing::NotAtHand),
        }
    }
}

impl Chains for Known {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        self.at(user, head).cloned()
    }
}

impl Services {
    /// Brings the chains of `users` into `known`; those that are not in memory are read together.
    pub(super) async fn bring_all(
        &self,
        view: &mut (impl View + ?Sized),
        known: &mut Known,
        users: BTreeSet<UserId>,
    ) -> Result<(), StorageError> {
        let mut absent = BTreeMap::new();
        for user in users {
            if known.users.contains_key(&user) {
                continue;
            }
            match self.hub.histories.get(&user) {
                Some(states) => drop(known.users.insert(user, states)),
                None => drop(absent.insert(ChainId::of_user(user), (user, vec![]))),
            }
        }
        let chains: Vec<ChainId> = absent.keys().copied().collect();
        for chains in chains.chunks(AT_ONCE) {
            for stored in view.entries_of(chains).await? {
                if let Some((_, entries)) = absent.get_mut(&stored.entry.chain) {
                    entries.push(stored);
                }
            }
        }
        for (user, entries) in absent.into_values() {
            let mut states = vec![];
            go_on(&mut states, user, entries)?;
            let states = Arc::new(states);
            self.hub.histories.insert(user, Arc::clone(&states));
            known.users.insert(user, states);
        }
        Ok(())
    }

    /// Brings the chain of `user` into `known` as far as place `seq`. Says whether it goes so far.
    pub(super) async fn bring(
        &self,
        view: &mut (impl View + ?Sized),
        known: &mut Known,
        user: UserId,
        seq: u64,
    ) -> Result<bool, StorageError> {
        let reaches = |states: &Arc<Vec<user::State>>| {
            u64::try_from(states.len()).is_ok_and(|length| length > seq)
        };
        let states = if let Some(states) = self.hub.histories.get(&user).filter(reaches) {
            states
        } else {
            let states = Arc::new(read_history(view, user).await?);
            self.hub.histories.insert(user, Arc::clone(&states));
            states
        };
        let is_enough = reaches(&states);
        known.users.insert(user, states);
        Ok(is_enough)
    }
}

/// What the chain of `user` came to at each of its entries.
async fn read_history(
    view: &mut (impl View + ?Sized),
    user: UserId,
) -> Result<Vec<user::State>, StorageError> {
    let mut states: Vec<user::State> = vec![];
    loop {
        let after = states.last().map(|state| state.head.seq);
        let page = view.entries(ChainId::of_user(user), after, PAGE).await?;
        go_on(&mut states, user, page.rows)?;
        if !page.more {
            return Ok(states);
        }
    }
}

/// Folds the next entries of a user's chain. They were checked when they came, so their signatures are not checked again.
fn go_on(
    states: &mut Vec<user::State>,
    user: UserId,
    entries: Vec<StoredEntry>,
) -> Result<(), StorageError> {
    let broken = || StorageError::Inconsistent { table: "entry" };
    for StoredEntry { entry, .. } in entries {
        let item = codec::decode(entry.signed.payload.as_slice()).map_err(|_| broken())?;
        let next = user::apply(user, states.last(), &entry, &item).map_err(|_| broken())?;
        states.push(next);
    }
    Ok(())
}
