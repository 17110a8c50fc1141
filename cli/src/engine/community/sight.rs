//! The first look at a large community: it is read on what its owner vouches for, while its log is being checked.
//!
//! Checking the log of a community of thousands takes its statements, the chain of everybody who made one, and a while. Until then there is a
//! *sight* of it: a snapshot that the owner has signed, what the log says after it, and the newest messages, which are kept in memory alone and
//! shown with the word that it is being checked. Nothing is sealed or stated on a sight but the statement by which one comes in. It ends when
//! the log has been checked as far as that; a snapshot that turns out not to be in the log is a lie of the hub's.

mod fetch;
mod glance;
mod join;
mod page;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rookery_protocol::{
    chain::{Entry, Seen},
    community::{Admit, Epoch, JoinBy, State},
    id::{AudienceId, ChainId, ChannelId, CommunityId},
    io::client::Client,
    request::look::Looking,
};
use tokio::time::Instant;

use super::{super::Engine, book::Book};
use crate::{
    error::{CommandError, Kind},
    store::{CommunityRow, PlacedPost, Standing, StoreError},
};

pub(super) use self::page::page_of;

/// How long a community that its home does not list may still be on its way there.
const ON_ITS_WAY: Duration = Duration::from_hours(1);
/// How soon, and how seldom at most, it is looked again.
const LOOK: Duration = Duration::from_secs(2);
const MOST_SELDOM: Duration = Duration::from_mins(1);
/// How many states of the log a sight has, newest last.
const WINDOW: usize = 1_024;

/// What is seen of a community whose log is being checked. It is replaced, never changed.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    at: Looking,
    /// The owner's statement that vouches for the snapshot.
    vouched: Seen,
    /// What the log came to at the snapshot and after it.
    states: VecDeque<State>,
    /// Wraps of epochs that members have given this user since.
    admits: Vec<Admit>,
    /// When it was first and last looked.
    began: Instant,
    looked: Instant,
}

/// All sights, and the messages that were read on them.
#[derive(Debug, Default)]
pub(super) struct Sights {
    seen: Mutex<BTreeMap<CommunityId, Arc<Sight>>>,
    posts: Mutex<BTreeMap<ChainId, Arc<Vec<PlacedPost>>>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sights {
    pub(super) fn of(&self, community: CommunityId) -> Option<Arc<Sight>> {
        lock(&self.seen).get(&community).cloned()
    }

    fn put(&self, sight: Sight) {
        lock(&self.seen).insert(sight.at.community, Arc::new(sight));
    }

    /// Puts the next state of a sight in its place, unless it has ended meanwhile.
    fn replace(&self, sight: Sight) {
        if let Some(seen) = lock(&self.seen).get_mut(&sight.at.community) {
            *seen = Arc::new(sight);
        }
    }

    /// The log has been checked as far as `state`, by `entries` that were new: the sight ends where it is not needed any more. Says why the hub
    /// is not to be believed, if so.
    pub(super) fn end(
        &self,
        state: &State,
        entries: &[Entry],
        is_member: bool,
    ) -> Result<(), String> {
        let Some(sight) = self.of(state.community) else { return Ok(()) };
        check_vouched(sight.vouched, entries)?;
        let reaches = |newest: &State| state.head.seq >= newest.head.seq;
        if is_member && sight.newest().is_some_and(reaches) {
            lock(&self.seen).remove(&state.community);
        }
        Ok(())
    }

    /// Forgets what was in sight, messages too.
    pub(super) fn forget(&self, community: CommunityId) {
        let Some(sight) = lock(&self.seen).remove(&community) else { return };
        let mut posts = lock(&self.posts);
        for channel in sight.newest().into_iter().flat_map(|state| state.channels.keys()) {
            posts.remove(&ChainId::of_channel(community, *channel));
        }
    }

    fn put_posts(&self, chain: ChainId, posts: Vec<PlacedPost>) {
        lock(&self.posts).insert(chain, Arc::new(posts));
    }

    /// The newest messages of a channel, while they have not all been taken in: `have` is the last entry that was.
    pub(super) fn posts(&self, chain: ChainId, have: Option<Seen>) -> Option<Arc<Vec<PlacedPost>>> {
        let mut all = lock(&self.posts);
        let posts = all.get(&chain)?;
        let last = posts.last().and_then(|placed| placed.post.seq);
        if have.map(|have| have.seq) >= last {
            all.remove(&chain);
            return None;
        }
        Some(Arc::clone(posts))
    }

    /// The channel of a sight that a chain is.
    pub(super) fn place_of(&self, chain: ChainId) -> Option<(CommunityId, ChannelId)> {
        lock(&self.seen).iter().find_map(|(community, sight)| {
            let channels = sight.newest()?.channels.keys();
            let mut found = channels.filter(|id| ChainId::of_channel(*community, **id) == chain);
            found.next().map(|channel| (*community, *channel))
        })
    }
}

/// Checks that the statement on which a newcomer has read is the one that the log has there.
fn check_vouched(vouched: Seen, entries: &[Entry]) -> Result<(), String> {
    let is_other = |entry: &Entry| entry.seq == vouched.seq && entry.hash() != vouched.hash;
    if entries.iter().any(is_other) {
        return Err("what newcomers were shown of the community is not in its log".to_owned());
    }
    Ok(())
}

impl Sight {
    /// What the log has come to.
    pub(super) fn newest(&self) -> Option<&State> {
        self.states.back()
    }

    /// What it came to at a position; at the snapshot, for what was said before.
    fn state_at(&self, position: u64) -> Option<&State> {
        let first = self.states.front()?;
        let index = position.saturating_sub(first.head.seq);
        self.states.get(usize::try_from(index).ok()?)
    }

    fn push(&mut self, state: State) {
        self.states.push_back(state);
        if self.states.len() > WINDOW {
            self.states.pop_front();
        }
    }

    /// The community as it is shown: nothing is sealed or stated on it.
    pub(super) fn book(&self, row: CommunityRow) -> Book {
        let state = self.newest().cloned();
        let mut epochs = BTreeMap::<(AudienceId, u32), Epoch>::new();
        for (id, audience) in state.iter().flat_map(|state| &state.audiences) {
            for epoch in audience.former.values().chain(&audience.epoch) {
                epochs.insert((*id, epoch.number), epoch.clone());
            }
        }
        Book { row, state, epochs: Arc::new(epochs), is_sight: true }
    }
}

impl Engine {
    fn is_in(&self, sight: &Sight) -> bool {
        sight.newest().is_some_and(|state| state.members.contains_key(&self.user))
    }

    /// Looks on while the log is being checked; says whether there is anything in sight.
    pub(super) async fn keep_in_sight(
        &self,
        client: &Client,
        book: &Book,
    ) -> Result<bool, CommandError> {
        let community = book.row.community;
        let sight = match self.books.sights.of(community) {
            Some(sight) => Some(Sight::clone(&sight)),
            None => self.look_again_at(client, book).await?,
        };
        let Some(mut sight) = sight else { return Ok(false) };
        // The longer it takes, the less often: what the home copies comes from the same hub.
        let pause = sight.began.elapsed().div_f64(4.0).clamp(LOOK, MOST_SELDOM);
        if sight.looked.elapsed() < pause {
            return Ok(true);
        }
        let seen = async {
            self.look_on(client, &mut sight).await?;
            if !self.is_in(&sight) {
                // Sent away before the log was checked.
                self.books.sights.forget(community);
                let row = CommunityRow { standing: Standing::Gone, ..book.row.clone() };
                let mut unit = self.store.write().await?;
                self.put_row(&mut unit, row).await?;
                return Ok(unit.commit().await?);
            }
            sight.looked = Instant::now();
            self.obtain_on_sight(client, &sight).await?;
            self.books.sights.replace(sight.clone());
            self.read_on_sight(client, &sight).await
        };
        if let Err(error) = seen.await {
            self.doubt_sight(community, error).await?;
        }
        self.timeline_changed();
        Ok(self.books.sights.of(community).is_some())
    }

    /// A sight of a community that this user had come into when the program ended, if they belong to it.
    async fn look_again_at(
        &self,
        client: &Client,
        book: &Book,
    ) -> Result<Option<Sight>, CommandError> {
        let community = book.row.community;
        let by = match book.row.link() {
            Some((secret, invite)) => {
                JoinBy::Link { invite, proof: secret.keys().prove(community, invite, self.user) }
            }
            None => JoinBy::Open,
        };
        let at = Looking { community, by, hub: book.row.hub.clone() };
        let sight = match self.first_look(client, at).await {
            Ok(sight) => sight,
            Err(error) => {
                self.doubt_sight(community, error).await?;
                None
            }
        };
        // What was checked already does not go with it.
        let is_ahead = |sight: &Sight| {
            let checked = book.state.as_ref().map(|state| state.head.seq);
            checked < Some(sight.vouched.seq)
        };
        let sight = sight.filter(|sight| self.is_in(sight) && is_ahead(sight));
        if let Some(sight) = &sight {
            self.show_sight(sight.clone()).await?;
        }
        Ok(sight)
    }

    /// Shows a sight, unless the log has been checked by now: not while it is.
    async fn show_sight(&self, sight: Sight) -> Result<(), StoreError> {
        let turn = self.books.turn_of(sight.at.community);
        let _turn = turn.lock().await;
        let book = self.book(sight.at.community).await?;
        if book.is_some_and(|book| book.is_checking(self.user)) {
            self.books.sights.put(sight);
        }
        Ok(())
    }

    /// Whether a community that this user's home does not list yet is on its way there: it is copied from its hub first.
    pub(super) fn is_on_its_way(&self, book: &Book) -> bool {
        let is_seen = self.books.sights.of(book.row.community).is_some();
        book.is_checking(self.user) && (is_seen || self.now().since(book.row.since) < ON_ITS_WAY)
    }

    /// A hub that shows what does not hold is not believed any more; anything else comes with the next look.
    async fn doubt_sight(
        &self,
        community: CommunityId,
        error: CommandError,
    ) -> Result<(), StoreError> {
        if error.kind == Kind::Trust {
            return self.raise_alarm(community, &error.message).await;
        }
        tracing::debug!(%community, %error, "a community could not be looked at");
        Ok(())
    }

    /// The community as it is shown to people: as its log says, or while that is being checked, as its owner vouches.
    pub(in super::super) async fn shown(
        &self,
        community: CommunityId,
    ) -> Result<Option<Book>, StoreError> {
        let book = self.book(community).await?;
        Ok(book.map(|book| self.books.shown(book)))
    }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        chain::{Kind, Submission},
        id::{Digest, ItemId},
        key::SigningKey,
        time::Timestamp,
    };

    use super::*;

    fn entry(seq: u64, says: u8) -> Entry {
        let chain = ChainId::of_log(CommunityId::from_bytes([1; 32]));
        let key = SigningKey::from_seed(&[7; 32]);
        let before = seq.checked_sub(1).map(|seq| Seen { seq, hash: Digest::from_bytes([9; 32]) });
        let (item, kind) = (ItemId::from_bytes([says; 16]), Kind::CommunityStatement);
        let at = Timestamp::from_millis(0);
        Submission::sign(&key, chain, item, kind, vec![says], at, None)
            .unwrap()
            .place(chain, 0, before)
    }

    #[test]
    fn a_log_that_has_something_else_where_the_owner_vouched_is_a_lie() {
        let vouched = entry(4, 1).seen();
        let log = |says| [3, 4, 5].map(|seq| entry(seq, if seq == 4 { says } else { 2 }));
        assert_eq!(check_vouched(vouched, &log(1)), Ok(()));
        assert_eq!(check_vouched(vouched, &log(1)[..1]), Ok(()), "not as far yet");
        let why = check_vouched(vouched, &log(3)).unwrap_err();
        assert!(why.contains("not in its log"), "{why}");
    }
}
