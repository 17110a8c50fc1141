//! The chains of users that a log speaks of: all users live here, so every chain is at hand.

use std::{collections::HashMap, sync::Arc};

use rookery_protocol::{
    chain::Seen,
    codec,
    community::{Chains, Missing},
    id::{ChainId, UserId},
    user,
};

use super::PAGE;
use crate::{
    repository::{StorageError, View},
    service::Services,
};

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

/// What the chain of `user` came to at each of its entries. They were checked when they came, so their signatures are not checked again.
async fn read_history(
    view: &mut (impl View + ?Sized),
    user: UserId,
) -> Result<Vec<user::State>, StorageError> {
    let broken = || StorageError::Inconsistent { table: "entry" };
    let mut states: Vec<user::State> = vec![];
    loop {
        let after = states.last().map(|state| state.head.seq);
        let page = view.entries(ChainId::of_user(user), after, PAGE).await?;
        for entry in page.rows.into_iter().map(|stored| stored.entry) {
            let item = codec::decode(entry.signed.payload.as_slice()).map_err(|_| broken())?;
            let next = user::apply(user, states.last(), &entry, &item).map_err(|_| broken())?;
            states.push(next);
        }
        if !page.more {
            return Ok(states);
        }
    }
}
