//! Signs of life between people here and people of another server: how contacts are, and that somebody writes.
//!
//! Presence is told to a peer once for each pair of contacts, when the connection comes about and whenever it changes; the newest counts, so a
//! row a pair is all that waits. While a peer is away its people are offline here. Who is told is decided twice: by the home of whom it is
//! about, when it is sent, and by the home of who is told, when it comes.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rookery_protocol::{
    id::{ServerId, UserId},
    io::client::{CallError, Client},
    request::{
        Refusal,
        contact::Standing,
        peer_people::{PeerTellPeople, PersonSign},
        presence::{PresenceEntry, PresenceState},
    },
    session::FollowDown,
};
use tokio::sync::Notify;

use super::{Peer, Services, answer::peer_of, place_take::charge, place_users::speaks_for};
use crate::{
    repository::StorageError,
    service::{feed::Live, presence},
};

/// Signs that are told at once.
const AT_ONCE: usize = 64;
/// Pairs whose presence waits to be told, and of which it is told when a connection comes about.
const MAX_PAIRS: usize = 20_000;
/// Signs of writing that wait; older ones are worth nothing.
const MAX_TYPING: usize = 256;
/// The wait after the peer could not be told.
const RETRY: Duration = Duration::from_secs(2);

/// What is to be told to a peer.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    some: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Somebody here, and whom it is told how they are.
    presences: BTreeSet<(UserId, UserId)>,
    /// Somebody here, and of whom they want to know.
    wanted: BTreeSet<(UserId, UserId)>,
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
    fn note_wanted(&self, user: UserId, of: UserId) {
        let mut waiting = self.waiting();
        if waiting.wanted.len() < MAX_PAIRS {
            waiting.wanted.insert((user, of));
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
    fn take(&self) -> Batch {
        let mut waiting = self.waiting();
        let mut batch = Batch::default();
        while batch.len() < AT_ONCE {
            if let Some(pair) = waiting.typing.pop_front() {
                batch.typing.push(pair);
            } else if let Some(pair) = waiting.wanted.pop_first() {
                batch.wanted.push(pair);
            } else if let Some(pair) = waiting.presences.pop_first() {
                batch.presences.push(pair);
            } else {
                break;
            }
        }
        batch
    }

    /// What could not be told is told later, but for what has passed by then.
    fn put_back(&self, batch: Batch) {
        let mut waiting = self.waiting();
        waiting.presences.extend(batch.presences);
        waiting.wanted.extend(batch.wanted);
    }
}

/// What is told at once.
#[derive(Debug, Default)]
struct Batch {
    presences: Vec<(UserId, UserId)>,
    wanted: Vec<(UserId, UserId)>,
    typing: Vec<(UserId, UserId)>,
}

impl Batch {
    fn len(&self) -> usize {
        self.presences.len().saturating_add(self.wanted.len()).saturating_add(self.typing.len())
    }

    async fn signs(&self, services: &Services) -> Result<Vec<PersonSign>, StorageError> {
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
        Ok(signs)
    }
}

/// Tells the peer how people here are whom people there have as contacts, for as long as the connection is used.
pub async fn run(services: &Services, peer: &Peer, client: &Client) -> Infallible {
    loop {
        match remember(services, peer).await {
            Ok(()) => break,
            Err(error) => {
                tracing::warn!(peer = %peer.name, %error, "contacts there were not looked up");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    loop {
        let batch = peer.people.take();
        if batch.len() == 0 {
            peer.people.some.notified().await;
            continue;
        }
        if let Err((error, wait)) = tell(services, client, &batch).await {
            tracing::debug!(peer = %peer.name, error, "the peer was not told how people here are");
            peer.people.put_back(batch);
            tokio::time::sleep(wait).await;
        }
    }
}

async fn tell(
    services: &Services,
    client: &Client,
    batch: &Batch,
) -> Result<(), (String, Duration)> {
    let signs = batch.signs(services).await.map_err(|error| (error.to_string(), RETRY))?;
    client.call_watched(&PeerTellPeople { signs }).await.map_err(|error| {
        let wait = match &error {
            CallError::Refused(Refusal::Throttled { retry_after_ms }) => {
                Duration::from_millis((*retry_after_ms).clamp(100, 60_000))
            }
            _ => RETRY,
        };
        (error.to_string(), wait)
    })
}

/// Has all contacts there be told how people here are.
async fn remember(services: &Services, peer: &Peer) -> Result<(), StorageError> {
    let mut view = services.storage.read().await?;
    let pairs = view.contacts_at(&peer.name, MAX_PAIRS).await?;
    drop(view);
    for (user, to) in pairs {
        peer.people.note_presence(user, to);
    }
    Ok(())
}

/// The peer is away: its people are offline.
pub async fn lose(services: &Services, peer: &Peer) {
    let gone = services.presences.forget_of(&peer.name);
    if gone.is_empty() {
        return;
    }
    let pairs = match services.storage.read().await {
        Ok(mut view) => view.contacts_at(&peer.name, MAX_PAIRS).await,
        Err(error) => Err(error),
    };
    match pairs {
        Ok(pairs) => {
            for (owner, other) in pairs {
                if gone.contains(&other) {
                    services.feeds.push_user(owner, &Live::notice(&presence::offline(other)));
                }
            }
        }
        Err(error) => {
            tracing::warn!(peer = %peer.name, %error, "contacts were not told who is offline");
        }
    }
}

/// How `user` here stands to `other` there has changed.
pub(super) async fn note_standing(services: &Services, peer: &Peer, user: UserId, other: UserId) {
    peer.people.note_presence(user, other);
    let standings = services.standings(user, other).await.unwrap_or_default();
    if standings.ours == Some(Standing::Accepted) {
        peer.people.note_wanted(user, other);
    } else {
        services.feeds.push_user(user, &Live::notice(&presence::offline(other)));
    }
}

/// Takes in what a peer tells of its people.
pub async fn take(
    services: &Services,
    root: ServerId,
    request: PeerTellPeople,
) -> Result<(), Refusal> {
    let peer = peer_of(services, root)?;
    if request.signs.len() > AT_ONCE {
        return Err(Refusal::Malformed);
    }
    charge(services, root, request.signs.len())?;
    for sign in request.signs {
        let taken = take_sign(services, &peer, sign).await;
        taken.map_err(|error| super::super::refusal(&error))?;
    }
    Ok(())
}

async fn take_sign(services: &Services, peer: &Peer, sign: PersonSign) -> Result<(), StorageError> {
    let (theirs, ours) = match &sign {
        PersonSign::Presence { presence, to } => (presence.user, *to),
        PersonSign::Typing { user, to } => (*user, *to),
        PersonSign::Wanted { user, of } => (*user, *of),
    };
    let foreigner = services.foreigner(theirs).await?;
    if !foreigner.is_some_and(|foreigner| speaks_for(peer, &foreigner)) {
        return Ok(());
    }
    if services.standings(ours, theirs).await?.ours != Some(Standing::Accepted) {
        return Ok(());
    }
    match sign {
        PersonSign::Presence { presence, .. } => {
            let presence = bounded(presence);
            if services.presences.note_foreign(&peer.name, &presence) {
                services.feeds.push_user(ours, &Live::notice(&presence::notice(presence)));
            }
        }
        PersonSign::Typing { .. } => {
            services.feeds.push_user(ours, &Live::notice(&FollowDown::Typing { user: theirs }));
        }
        PersonSign::Wanted { .. } => peer.people.note_presence(ours, theirs),
    }
    Ok(())
}

/// Nobody is shown as invisible, whatever their server says.
fn bounded(presence: PresenceEntry) -> PresenceEntry {
    match presence.state {
        PresenceState::Invisible => PresenceEntry { state: PresenceState::Offline, ..presence },
        _ => presence,
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
