//! What waits to be told to a peer: bounded, and the newest only.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rookery_protocol::{id::UserId, request::peer_people::PersonSign};
use tokio::sync::Notify;

use super::super::Services;
use crate::{repository::StorageError, service::presence};

/// Signs that are told at once.
pub(super) const AT_ONCE: usize = 64;
/// Pairs whose presence waits to be told, and of which it is told when a connection comes about.
pub(super) const MAX_PAIRS: usize = 20_000;
/// Signs of writing that wait; older ones are worth nothing.
const MAX_TYPING: usize = 256;

/// What is to be told to a peer.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    pub(super) some: Notify,
    /// Something that the peer has told is shown later.
    pub(super) late: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Somebody here, and whom it is told how they are.
    presences: BTreeSet<(UserId, UserId)>,
    /// Somebody here, and of whom they want to know.
    wanted: BTreeSet<(UserId, UserId)>,
    /// Somebody here who has changed their profile, and whom it is told.
    profiles: BTreeSet<(UserId, UserId)>,
    /// Somebody here, and to whom they write.
    typing: VecDeque<(UserId, UserId)>,
}

impl Queue {
    /// Tells `to` how `user` is.
    pub fn note_presence(&self, user: UserId, to: UserId) {
        let mut waiting = self.waiting();
        if waiting.presences.len() < MAX_PAIRS {
            waiting.presences.insert((user, to));
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Asks how `of` is, on behalf of `user`.
    pub(super) fn note_wanted(&self, user: UserId, of: UserId) {
        let mut waiting = self.waiting();
        if waiting.wanted.len() < MAX_PAIRS {
            waiting.wanted.insert((user, of));
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Tells `to` that `user` has changed their profile.
    pub fn note_profile(&self, user: UserId, to: UserId) {
        let mut waiting = self.waiting();
        if waiting.profiles.len() < MAX_PAIRS {
            waiting.profiles.insert((user, to));
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Tells `to` that `user` writes to them.
    pub fn note_typing(&self, user: UserId, to: UserId) {
        let mut waiting = self.waiting();
        if waiting.typing.len() >= MAX_TYPING {
            waiting.typing.pop_front();
        }
        waiting.typing.push_back((user, to));
        drop(waiting);
        self.some.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is told next.
    pub(super) fn take(&self) -> Batch {
        let mut waiting = self.waiting();
        let mut batch = Batch::default();
        while batch.len() < AT_ONCE {
            if let Some(pair) = waiting.typing.pop_front() {
                batch.typing.push(pair);
            } else if let Some(pair) = waiting.wanted.pop_first() {
                batch.wanted.push(pair);
            } else if let Some(pair) = waiting.presences.pop_first() {
                batch.presences.push(pair);
            } else if let Some(pair) = waiting.profiles.pop_first() {
                batch.profiles.push(pair);
            } else {
                break;
            }
        }
        batch
    }

    /// What could not be told is told later, but for what has passed by then.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut waiting = self.waiting();
        waiting.presences.extend(batch.presences);
        waiting.wanted.extend(batch.wanted);
        waiting.profiles.extend(batch.profiles);
    }
}

/// What is told at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) presences: Vec<(UserId, UserId)>,
    wanted: Vec<(UserId, UserId)>,
    profiles: Vec<(UserId, UserId)>,
    typing: Vec<(UserId, UserId)>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        [&self.presences, &self.wanted, &self.profiles, &self.typing]
            .map(Vec::len)
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    pub(super) async fn signs(&self, services: &Services) -> Result<Vec<PersonSign>, StorageError> {
        let mut signs = vec![];
        for &(user, to) in &self.typing {
            signs.push(PersonSign::Typing { user, to });
        }
        for &(user, of) in &self.wanted {
            signs.push(PersonSign::Wanted { user, of });
        }
        for &(user, to) in &self.presences {
            let presence = presence::shown_abroad(services, user, to).await?;
            signs.push(PersonSign::Presence { presence, to });
        }
        for &(user, to) in &self.profiles {
            signs.push(PersonSign::Profile { user, to });
        }
        Ok(signs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 32])
    }

    #[test]
    fn a_pair_waits_once_and_writing_goes_first() {
        let queue = Queue::default();
        for _ in 0..3 {
            queue.note_presence(user(1), user(9));
        }
        queue.note_typing(user(2), user(9));
        let batch = queue.take();
        assert_eq!((batch.presences.len(), batch.typing.len()), (1, 1));
        assert_eq!(queue.take().len(), 0);
        queue.put_back(batch);
        let again = queue.take();
        assert_eq!((again.presences.len(), again.typing.len()), (1, 0), "writing has passed");
        queue.note_profile(user(1), user(9));
        let changed = queue.take();
        queue.put_back(changed);
        assert_eq!(queue.take().profiles, [(user(1), user(9))], "a change is told in the end");
    }

    #[test]
    fn what_waits_is_bounded() {
        let queue = Queue::default();
        for number in 0..=255 {
            queue.note_typing(user(number), user(1));
            queue.note_typing(user(number), user(2));
        }
        let mut told = 0;
        loop {
            let batch = queue.take();
            if batch.len() == 0 {
                break;
            }
            assert!(batch.len() <= AT_ONCE);
            told += batch.typing.len();
        }
        assert_eq!(told, MAX_TYPING);
    }
}
