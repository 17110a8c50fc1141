//! Taking in a community's log: every statement is checked by the same rules as at the hub, and a log that breaks them is not believed.

use std::collections::BTreeSet;

use rookery_protocol::{
    chain::{self, BrokenEntry, Entry, HeadRef, Item},
    community::{self, Denied, JoinBy, Refused, State},
    id::{ChainId, CommunityId, UserId},
    io::client::{CallError, Client},
    name::ServerName,
    request::{
        chain::{Entries, ReadChain},
        community::{PreviewError, PreviewLog},
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
        let turn = self.books.turn_of(community);
        let _turn = turn.lock().await;
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
        self.books.sights.forget(community);
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

/// What is said when a user's chain does not hold.
fn other_devices(why: &user::Denied) -> String {
    format!("the server shows other devices of a member than they have: {why}")
}
