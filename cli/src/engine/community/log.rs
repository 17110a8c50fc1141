//! Taking in a community's log: every statement is checked by the same rules as at the hub, and a log that breaks them is not believed.

use std::collections::BTreeSet;

use rookery_protocol::{
    chain::{self, BrokenEntry, Entry, HeadRef, Item},
    codec,
    community::{self, Action, Denied, JoinBy, Refused, State, Statement},
    id::{ChainId, CommunityId, UserId},
    io::client::{CallError, Client},
    name::ServerName,
    request::{
        chain::{Entries, ReadChain},
        community::{PreviewError, PreviewLog, ReadChains, WantedChain},
    },
    user,
};

use super::{
    super::{Engine, chains::ChainError, refusal::failed_as},
    abroad::hub_away,
};
use crate::{
    error::{CommandError, Kind},
    store::{CommunityRow, StoreError},
};

/// Entries asked for at once.
const PAGE: u32 = 256;
/// Pages of one log that are fetched in one go.
const MAX_PAGES: usize = 4_096;
/// Chains asked for at once.
const CHAINS: usize = 512;
/// How often one request for chains is repeated for what did not fit.
const MAX_ROUNDS: usize = 64;

/// By which way a log is read.
#[derive(Clone, Debug)]
pub(super) enum Reader {
    /// As a member, or as somebody whom the log names.
    Member,
    /// As somebody who may join.
    Guest {
        /// By what right.
        by: JoinBy,
        /// The hub, when that is another server than one's home.
        hub: Option<ServerName>,
    },
}

/// What taking in an entry came to.
enum Step {
    Next(Box<State>),
    /// Entries before it are missing.
    Gap,
    /// It breaks the rules, or contradicts what was seen before.
    Broken(String),
}

impl Engine {
    /// Takes in entries of a log that follow one another, live or fetched.
    pub(in super::super) async fn take_in_log(
        &self,
        client: &Client,
        community: CommunityId,
        entries: Vec<Entry>,
    ) -> Result<(), ChainError> {
        if self.take_in_log_page(client, community, entries).await? {
            self.fetch_log(client, community, &Reader::Member).await?;
        }
        self.log_changed(community);
        Ok(())
    }

    /// Fetches what is missing of a log.
    pub(super) async fn fetch_log(
        &self,
        client: &Client,
        community: CommunityId,
        reader: &Reader,
    ) -> Result<(), ChainError> {
        let book = self.book(community).await?.ok_or(ChainError::NotFound)?;
        let have = book.state.map(|state| state.head.seq);
        let mut page = self.log_page(client, community, reader, have).await?;
        for _ in 0..MAX_PAGES {
            let book = self.book(community).await?.ok_or(ChainError::NotFound)?;
            if book.row.alarm.is_some() {
                return Ok(());
            }
            let Entries { entries, more, .. } = page;
            let last = entries.last().map(|entry| entry.seq).filter(|_| more);
            // The next page is on its way while this one is judged.
            let next = async {
                match last {
                    Some(last) => {
                        self.log_page(client, community, reader, Some(last)).await.map(Some)
                    }
                    None => Ok(None),
                }
            };
            let (gap, next) = tokio::join!(self.take_in_log_page(client, community, entries), next);
            if gap? {
                self.raise_alarm(community, "the server leaves out entries of the log").await?;
                return Ok(());
            }
            let Some(next) = next? else {
                self.log_changed(community);
                return Ok(());
            };
            page = next;
        }
        self.raise_alarm(community, "the server shows a log without end").await?;
        Ok(())
    }

    async fn log_page(
        &self,
        client: &Client,
        community: CommunityId,
        reader: &Reader,
        after: Option<u64>,
    ) -> Result<Entries, ChainError> {
        match reader {
            Reader::Member => {
                let request = ReadChain { chain: ChainId::of_log(community), after, limit: PAGE };
                Ok(client.call_watched(&request).await?)
            }
            Reader::Guest { by, hub } => {
                let (by, hub) = (by.clone(), hub.clone());
                let request = PreviewLog { community, by, after, limit: PAGE, hub };
                client.call_watched(&request).await.map_err(|error| match error {
                    CallError::Request(PreviewError::NotFound) => ChainError::NotFound,
                    CallError::Request(PreviewError::HubAway { hub, since }) => {
                        ChainError::Call(hub_away(&hub, since))
                    }
                    CallError::Request(unknown @ PreviewError::UnknownHub { .. }) => {
                        ChainError::Call(CommandError::of(Kind::NotFound, &unknown))
                    }
                    error => ChainError::Call(failed_as(error, |_| Kind::Failed)),
                })
            }
        }
    }

    /// Takes in one page; says whether entries before it are missing.
    async fn take_in_log_page(
        &self,
        client: &Client,
        community: CommunityId,
        entries: Vec<Entry>,
    ) -> Result<bool, ChainError> {
        let _turn = self.books.turn.lock().await;
        let Some(book) = self.book(community).await? else { return Ok(false) };
        if book.row.alarm.is_some() {
            return Ok(false);
        }
        let fetched = self.fetch_authors(client, community, &entries).await;
        if !self.believe(community, fetched).await? {
            return Ok(false);
        }
        let before = book.state;
        let (mut state, mut states, mut taken) = (before.clone(), vec![], vec![]);
        let mut outcome = Ok(false);
        // On all cores: they are most of what a newcomer waits for. What they say counts only once an entry's turn has come.
        let items = chain::verify_all(&entries);
        for (entry, item) in entries.into_iter().zip(items) {
            match self.step(client, community, state.as_ref(), &entry, &item).await? {
                None => {}
                Some(Step::Next(next)) => {
                    state = Some((*next).clone());
                    states.push(*next);
                    taken.push(entry);
                }
                Some(Step::Gap) => {
                    outcome = Ok(true);
                    break;
                }
                Some(Step::Broken(why)) => {
                    outcome = Err(why);
                    break;
                }
            }
        }
        if let (Some(now), Ok(_)) = (&state, &outcome)
            && let Err(why) =
                self.books.sights.end(now, &taken, now.members.contains_key(&self.user))
        {
            outcome = Err(why);
        }
        if !taken.is_empty() {
            let mut unit = self.store.write().await?;
            unit.add_log_entries(community, &taken).await?;
            unit.commit().await?;
            self.books.advance(community, states);
        }
        if let Some(now) = &state
            && let Some(why) = self.fault_of_former_hub(before.as_ref(), now).await?
        {
            outcome = Err(why);
        }
        match outcome {
            Ok(gap) => Ok(gap),
            Err(why) => {
                self.raise_alarm(community, &why).await?;
                Ok(false)
            }
        }
    }

    /// Judges one entry, of which its signatures say `item`; nothing when it is known already.
    async fn step(
        &self,
        client: &Client,
        community: CommunityId,
        state: Option<&State>,
        entry: &Entry,
        item: &Result<Item, BrokenEntry>,
    ) -> Result<Option<Step>, ChainError> {
        if let Some(state) = state
            && entry.seq <= state.head.seq
        {
            let forked = state.recent.get(&entry.seq).is_some_and(|known| *known != entry.hash());
            return Ok(forked.then(|| {
                Step::Broken(format!("the server shows another entry {} than before", entry.seq))
            }));
        }
        let mut held: BTreeSet<(UserId, u64)> = BTreeSet::new();
        loop {
            let chains = self.books.histories();
            let judged = community::apply_verified(community, state, entry, item.clone(), chains);
            return Ok(Some(match judged {
                Ok(next) => Step::Next(Box::new(next)),
                Err(Refused::Denied(Denied::Broken(BrokenEntry::Gap { .. }))) => Step::Gap,
                Err(Refused::Denied(why)) => {
                    Step::Broken(format!("entry {} breaks the rules: {why}", entry.seq))
                }
                Err(Refused::Hold { user, head }) => {
                    if !held.insert((user, head.seq)) {
                        // The home does not show the chain that the statement names: it is held, and asked for again with the next look.
                        return Err(ChainError::Call(CommandError::new(
                            Kind::NoConnection,
                            "the server does not show the devices of a member yet",
                        )));
                    }
                    match self.fetch_histories(client, vec![(user, head.seq)]).await {
                        Err(ChainError::Denied(why)) => Step::Broken(other_devices(&why)),
                        fetched => {
                            fetched?;
                            continue;
                        }
                    }
                }
            }));
        }
    }

    /// Fetches the chains that a page of statements will ask for, all at once.
    async fn fetch_authors(
        &self,
        client: &Client,
        community: CommunityId,
        entries: &[Entry],
    ) -> Result<(), ChainError> {
        let mut wanted: Vec<(UserId, u64)> = entries.iter().flat_map(named_by).collect();
        wanted.sort_unstable_by_key(|(user, seq)| (*user, std::cmp::Reverse(*seq)));
        wanted.dedup_by_key(|(user, _)| *user);
        tracing::trace!(%community, users = wanted.len(), "statements of these users are judged");
        self.fetch_histories(client, wanted).await
    }

    /// Brings users' chains into memory as far as `wanted`, from the store or else from the home.
    pub(super) async fn fetch_histories(
        &self,
        client: &Client,
        wanted: Vec<(UserId, u64)>,
    ) -> Result<(), ChainError> {
        let missing = self.missing_histories(wanted).await?;
        for users in missing.chunks(CHAINS) {
            let mut users: Vec<UserId> = users.to_vec();
            for _ in 0..MAX_ROUNDS {
                let chains = users
                    .iter()
                    .map(|user| WantedChain {
                        chain: ChainId::of_user(*user),
                        after: self.books.histories().reaches(*user),
                    })
                    .collect();
                let page = client
                    .call_watched(&ReadChains { chains })
                    .await
                    .map_err(|error| ChainError::Call(failed_as(error, |_| Kind::Failed)))?;
                let seen = self.keep_of(&users, page.entries).await?;
                users.retain(|user| !seen.contains(user));
                if !page.more || users.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Those of `wanted` whose chains are not here as far, brought into memory from the store where they are.
    pub(super) async fn missing_histories(
        &self,
        wanted: Vec<(UserId, u64)>,
    ) -> Result<Vec<UserId>, StoreError> {
        let reaches = |user, seq| self.books.histories().reaches(user) >= Some(seq);
        let mut missing = vec![];
        for (user, seq) in wanted {
            if !reaches(user, seq) {
                self.recall(user).await?;
            }
            if !reaches(user, seq) && !missing.contains(&user) {
                missing.push(user);
            }
        }
        Ok(missing)
    }

    /// Checks and stores those entries that are of the chains of `users`; says whose there were.
    pub(super) async fn keep_of(
        &self,
        users: &[UserId],
        entries: Vec<Entry>,
    ) -> Result<BTreeSet<UserId>, ChainError> {
        let mut by_user: Vec<(UserId, Vec<Entry>)> = vec![];
        for entry in entries {
            let of_it = |user: &&UserId| ChainId::of_user(**user) == entry.chain;
            let Some(user) = users.iter().find(of_it) else { continue };
            match by_user.last_mut() {
                Some((last, entries)) if last == user => entries.push(entry),
                _ => by_user.push((*user, vec![entry])),
            }
        }
        let seen = by_user.iter().map(|(user, _)| *user).collect();
        self.keep_histories(by_user).await?;
        Ok(seen)
    }

    /// Checks chains and stores them, each as far as it holds.
    async fn keep_histories(&self, by_user: Vec<(UserId, Vec<Entry>)>) -> Result<(), ChainError> {
        let mut unit = self.store.write().await?;
        let mut held = Ok(());
        for (user, entries) in by_user {
            let have = unit.person(user).await?.map(|state| state.head.seq);
            let (new, all) = self.books.histories().extend(user, entries);
            for entry in new.iter().filter(|entry| have.is_none_or(|have| entry.seq > have)) {
                unit.add_statement(user, entry).await?;
            }
            held = held.and(all);
        }
        unit.commit().await?;
        Ok(held?)
    }

    /// Whether the chains that were fetched hold; raises the alarm if not. Who shows another chain of a user's would have us seal for others.
    pub(super) async fn believe(
        &self,
        community: CommunityId,
        fetched: Result<(), ChainError>,
    ) -> Result<bool, ChainError> {
        match fetched {
            Ok(()) => Ok(true),
            Err(ChainError::Denied(why)) => {
                self.raise_alarm(community, &other_devices(&why)).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers that a log is not to be believed. What was read stays; nothing is sealed for the community any more.
    pub(super) async fn raise_alarm(
        &self,
        community: CommunityId,
        why: &str,
    ) -> Result<(), StoreError> {
        tracing::error!(%community, why, "the hub of a community lies");
        self.load_books().await?;
        let mut unit = self.store.write().await?;
        let Some(book) = self.books.get(community) else { return Ok(()) };
        let row = CommunityRow { alarm: Some(why.to_owned()), ..book.row };
        self.put_row(&mut unit, row).await?;
        unit.commit().await?;
        self.timeline_changed();
        Ok(())
    }

    /// Where a log stands here.
    pub(super) async fn log_head(
        &self,
        community: CommunityId,
    ) -> Result<Option<HeadRef>, StoreError> {
        Ok(self.book(community).await?.and_then(|book| book.state).map(|state| state.head.into()))
    }
}

/// Whose chains, and how far, a statement is judged by.
pub(super) fn named_by(entry: &Entry) -> Vec<(UserId, u64)> {
    let statement = entry.body.as_ref().map(|body| codec::decode::<Statement>(body.as_slice()));
    let Some(Ok(statement)) = statement else { return vec![] };
    let mut named = vec![(statement.author, statement.author_head.seq)];
    if let Action::Add(add) = &statement.action {
        named.push((add.user, add.head.seq));
    }
    named
}

/// What is said when a user's chain does not hold.
fn other_devices(why: &user::Denied) -> String {
    format!("the server shows other devices of a member than they have: {why}")
}
