//! A user's chain with what it came to at each of its entries, for whoever checks a community's log against it.

use super::{Denied, State, apply, verify_and_apply};
use crate::{
    chain::{BrokenEntry, Entry, Seen},
    codec,
    community::Missing,
    id::UserId,
};

/// What a user's chain came to, entry by entry. States share what did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    user: UserId,
    states: Vec<State>,
}

impl History {
    /// The chain of `user`, of which nothing is known yet.
    #[must_use]
    pub const fn new(user: UserId) -> Self {
        Self { user, states: vec![] }
    }

    /// Whose it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// Checks the next entry, and takes it in. What is there already is passed over if it is the same, and a fork if it is not.
    pub fn extend(&mut self, entry: &Entry) -> Result<(), Denied> {
        let place = usize::try_from(entry.seq).unwrap_or(usize::MAX);
        if let Some(known) = self.states.get(place) {
            let is_same = known.head.hash == entry.hash();
            return if is_same { Ok(()) } else { Err(BrokenEntry::Fork { seq: entry.seq }.into()) };
        }
        let next = verify_and_apply(self.user, self.states.last(), entry)?;
        self.states.push(next);
        Ok(())
    }

    /// Takes in the next entry, whose place and signatures were checked before it was stored.
    pub fn restore(&mut self, entry: &Entry) -> Result<(), Denied> {
        if usize::try_from(entry.seq).is_ok_and(|place| place < self.states.len()) {
            return Ok(());
        }
        let item = codec::decode(entry.signed.payload.as_slice())?;
        let next = apply(self.user, self.states.last(), entry, &item)?;
        self.states.push(next);
        Ok(())
    }

    /// What the chain came to last.
    #[must_use]
    pub fn latest(&self) -> Option<&State> {
        self.states.last()
    }

    /// What it came to at `head`.
    pub fn at(&self, head: Seen) -> Result<&State, Missing> {
        let place = usize::try_from(head.seq).unwrap_or(usize::MAX);
        match self.states.get(place) {
            Some(state) if state.head == head => Ok(state),
            Some(_) => Err(Missing::Contradicts),
            None => Err(Missing::NotAtHand),
        }
    }
}
