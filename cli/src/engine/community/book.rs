//! Communities in memory: what their logs come to, at the end and at every position that something is judged at.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use rookery_protocol::{
    chain::{Entry, Seen},
    codec,
    community::{self, Chains, Epoch, Missing, Refused, State},
    id::{AudienceId, ChainId, ChannelId, CommunityId, DeviceId, UserId},
    name::ServerName,
    user,
};

use super::{super::Engine, keeper::AT_ONCE, sight::Sights};
use crate::{
    e2ee::epoch::EpochPlace,
    store::{CommunityRow, Standing, StoreError, Unit},
};

/// How many states of a log are kept at hand, newest last.
const WINDOW: usize = 1_024;
/// Entries read from the store at once.
const PAGE: u32 = 512;

/// One community as it is now. It is replaced, never changed.
#[derive(Clone, Debug)]
pub(in super::super) struct Book {
    pub(in super::super) row: CommunityRow,
    /// What the log comes to; nothing before its first page was read.
    pub(in super::super) state: Option<State>,
    /// Every epoch that the log has begun.
    pub(in super::super) epochs: Arc<BTreeMap<(AudienceId, u32), Epoch>>,
    /// It is as its owner vouches: its log is still being checked, and nothing is sealed or stated for it.
    pub(in super::super) is_sight: bool,
}

impl Book {
    /// Whether the log has still to be checked to where this user came for the first time.
    pub(in super::super) fn is_checking(&self, user: UserId) -> bool {
        self.is_sight || (self.row.standing == Standing::Member && !self.names(user))
    }

    /// Whether the log, as far as it was checked, says anything of a user, who need not belong to it any more.
    pub(super) fn names(&self, user: UserId) -> bool {
        self.state.as_ref().is_some_and(|state| state.heads.contains_key(&user))
    }

    /// Which epoch it is, by its audience and number.
    pub(super) fn place(&self, audience: AudienceId, epoch: u32) -> EpochPlace {
        EpochPlace { community: self.row.community, audience, epoch }
    }
}

/// All communities, and the chains of their members.
#[derive(Debug, Default)]
pub(in super::super) struct Books {
    shelf: Mutex<BTreeMap<CommunityId, Book>>,
    windows: Mutex<HashMap<CommunityId, VecDeque<State>>>,
    histories: Histories,
    /// What is seen of communities whose logs are being checked.
    pub(super) sights: Sights,
    /// Held while a log is taken in: entries of one are judged one after the other.
    turns: Mutex<HashMap<CommunityId, Arc<tokio::sync::Mutex<()>>>>,
    loaded: tokio::sync::OnceCell<()>,
    /// Where the last looks at old positions ended, of a few communities: channels are read forwards, and so are the positions that they are
    /// judged at.
    replays: tokio::sync::Mutex<HashMap<CommunityId, State>>,
}

/// Users' chains, state by state.
#[derive(Debug, Default)]
pub(super) struct Histories(RwLock<HashMap<UserId, user::History>>);

impl Chains for Histories {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        let histories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        histories.get(&user).map_or(Err(Missing::NotAtHand), |history| history.at(head).cloned())
    }
}

impl Histories {
    /// How far a user's chain is at hand.
    pub(super) fn reaches(&self, user: UserId) -> Option<u64> {
        let histories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        histories.get(&user)?.latest().map(|state| state.head.seq)
    }

    /// The server on which somebody lives whose chain is at hand.
    pub(super) fn home_of(&self, user: UserId) -> Option<ServerName> {
        let histories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        histories.get(&user)?.latest().map(|state| state.home.clone())
    }

    /// Whose device it is or was, among the users whose chains are at hand.
    pub(super) fn owner_of(&self, device: DeviceId) -> Option<UserId> {
        let histories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        histories
            .values()
            .find(|history| {
                history.latest().is_some_and(|state| state.devices.contains_key(&device))
            })
            .map(user::History::user)
    }

    /// Takes in entries that the store vouches for.
    fn restore(&self, user: UserId, entries: &[Entry]) -> Result<(), user::Denied> {
        let mut histories = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let history = histories.entry(user).or_insert_with(|| user::History::new(user));
        entries.iter().try_for_each(|entry| history.restore(entry))
    }

    /// A user's chain as it is at hand, to be extended and given back once what it was extended by is stored.
    pub(super) fn of(&self, user: UserId) -> user::History {
        let histories = self.0.read().unwrap_or_else(PoisonError::into_inner);
        histories.get(&user).cloned().unwrap_or_else(|| user::History::new(user))
    }

    /// Gives a longer chain back.
    pub(super) fn put(&self, history: user::History) {
        let length = |history: &user::History| history.latest().map(|state| state.head.seq);
        let mut histories = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = histories.entry(history.user()).or_insert_with(|| history.clone());
        if length(known) < length(&history) {
            *known = history;
        }
    }
}

impl Books {
    pub(super) fn histories(&self) -> &Histories {
        &self.histories
    }

    /// What is held while the log of a community is taken in.
    pub(super) fn turn_of(&self, community: CommunityId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(community).or_default())
    }

    fn books(&self) -> MutexGuard<'_, BTreeMap<CommunityId, Book>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<CommunityId, VecDeque<State>>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The community, if it is known here.
    pub(super) fn get(&self, community: CommunityId) -> Option<Book> {
        self.books().get(&community).cloned()
    }

    /// All communities that are known here.
    pub(in super::super) fn all(&self) -> Vec<Book> {
        self.books().values().cloned().collect()
    }

    /// A community as it is shown to people: while its log is being checked, as its owner vouches.
    pub(super) fn shown(&self, book: Book) -> Book {
        match self.sights.of(book.row.community) {
            Some(sight) if book.row.standing != Standing::Gone => sight.book(book.row),
            _ => book,
        }
    }

    /// All communities that are known here, as they are shown.
    pub(in super::super) fn all_shown(&self) -> Vec<Book> {
        self.all().into_iter().map(|book| self.shown(book)).collect()
    }

    /// Puts a community in, or replaces what is known of it besides its log.
    pub(super) fn put_row(&self, row: CommunityRow) {
        let mut books = self.books();
        if let Some(book) = books.get_mut(&row.community) {
            book.row = row;
        } else {
            let book = Book { state: None, epochs: Arc::default(), row, is_sight: false };
            books.insert(book.row.community, book);
        }
    }

    /// Moves a log on by `states`, which follow one another.
    pub(super) fn advance(&self, community: CommunityId, states: Vec<State>) {
        let Some(last) = states.last().cloned() else { return };
        let mut windows = self.windows();
        let window = windows.entry(community).or_default();
        let mut books = self.books();
        let Some(book) = books.get_mut(&community) else { return };
        for state in states {
            for (id, audience) in &state.audiences {
                if let Some(epoch) = &audience.epoch
                    && epoch.seq == state.head.seq
                {
                    Arc::make_mut(&mut book.epochs).insert((*id, epoch.number), epoch.clone());
                }
            }
            window.push_back(state);
            if window.len() > WINDOW {
                window.pop_front();
            }
        }
        book.state = Some(last);
    }

    /// The state at a position, if it is at hand.
    fn state_near(&self, community: CommunityId, seq: u64) -> Option<State> {
        let windows = self.windows();
        let window = windows.get(&community)?;
        let first = window.front()?.head.seq;
        window.get(usize::try_from(seq.checked_sub(first)?).ok()?).cloned()
    }

    /// Which community and channel a chain is, among those that are known here; no channel for the log.
    pub(in super::super) fn place_of(
        &self,
        chain: ChainId,
    ) -> Option<(CommunityId, Option<ChannelId>)> {
        self.books().iter().find_map(|(community, book)| {
            if ChainId::of_log(*community) == chain {
                return Some((*community, None));
            }
            let state = book.state.as_ref()?;
            let channel = state
                .channels
                .keys()
                .find(|channel| ChainId::of_channel(*community, **channel) == chain)?;
            Some((*community, Some(*channel)))
        })
    }
}

impl Engine {
    /// Folds the stored logs, once.
    pub(in super::super) async fn load_books(&self) -> Result<(), StoreError> {
        self.books
            .loaded
            .get_or_try_init(|| async {
                let rows = self.store.read().await?.communities().await?;
                for row in rows {
                    let community = row.community;
                    self.books.put_row(row);
                    self.fold_stored(community).await?;
                }
                Ok(())
            })
            .await
            .copied()
    }

    async fn fold_stored(&self, community: CommunityId) -> Result<(), StoreError> {
        let mut state: Option<State> = None;
        loop {
            let from = state.as_ref().map_or(0, |state| state.head.seq.saturating_add(1));
            let entries = self.store.read().await?.log_entries(community, from, PAGE).await?;
            if entries.is_empty() {
                return Ok(());
            }
            let mut states = vec![];
            for entry in &entries {
                let next = self.refold(community, state.as_ref(), entry).await?;
                state = Some(next.clone());
                states.push(next);
            }
            self.books.advance(community, states);
        }
    }

    /// Applies an entry that was verified before it was stored.
    async fn refold(
        &self,
        community: CommunityId,
        state: Option<&State>,
        entry: &Entry,
    ) -> Result<State, StoreError> {
        let damaged = || StoreError::Damaged { table: "log" };
        let item = codec::decode(entry.signed.payload.as_slice()).map_err(|_| damaged())?;
        let mut held = None;
        loop {
            match community::apply(community, state, entry, &item, &self.books.histories) {
                Ok(next) => return Ok(next),
                Err(Refused::Hold { user, .. }) if held != Some(user) => {
                    held = Some(user);
                    self.recall(user).await?;
                }
                Err(error) => {
                    tracing::error!(%error, seq = entry.seq, "a stored statement does not hold any more");
                    return Err(damaged());
                }
            }
        }
    }

    /// Brings a user's chain into memory, as far as the store has it.
    pub(super) async fn recall(&self, user: UserId) -> Result<(), StoreError> {
        let chain = self.store.read().await?.chain(user).await?;
        let Some(chain) = chain else { return Ok(()) };
        self.books
            .histories
            .restore(user, &chain.entries)
            .map_err(|_| StoreError::Damaged { table: "statement" })
    }

    /// What a log came to at a position.
    pub(super) async fn state_at(
        &self,
        community: CommunityId,
        seq: u64,
    ) -> Result<Option<State>, StoreError> {
        if let Some(state) = self.books.state_near(community, seq) {
            return Ok(Some(state));
        }
        let mut replays = self.books.replays.lock().await;
        let mut state = replays.remove(&community).filter(|state| state.head.seq <= seq);
        while state.as_ref().is_none_or(|state| state.head.seq < seq) {
            let from = state.as_ref().map_or(0, |state| state.head.seq.saturating_add(1));
            let entries = self.store.read().await?.log_entries(community, from, PAGE).await?;
            if entries.is_empty() {
                return Ok(None);
            }
            for entry in entries.iter().take_while(|entry| entry.seq <= seq) {
                state = Some(self.refold(community, state.as_ref(), entry).await?);
            }
        }
        if replays.len() >= AT_ONCE {
            replays.clear();
        }
        replays.extend(state.clone().map(|state| (community, state)));
        Ok(state)
    }

    /// The community as it is now.
    pub(in super::super) async fn book(
        &self,
        community: CommunityId,
    ) -> Result<Option<Book>, StoreError> {
        self.load_books().await?;
        Ok(self.books.get(community))
    }

    /// Stores what is known of a community besides its log.
    pub(super) async fn put_row(
        &self,
        unit: &mut Unit,
        row: CommunityRow,
    ) -> Result<(), StoreError> {
        unit.put_community(&row).await?;
        self.books.put_row(row);
        Ok(())
    }
}
