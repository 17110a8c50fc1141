//! The chains of those whom a log speaks of: brought from the store, or fetched, checked and kept.

use std::collections::{BTreeMap, BTreeSet};

use rookery_protocol::{
    chain::Entry,
    codec,
    community::{Action, Statement},
    id::{ChainId, CommunityId, UserId},
    io::client::Client,
    request::community::{ReadChains, WantedChain},
    user::History,
};

use super::super::{Engine, chains::ChainError, refusal::failed_as};
use crate::{error::Kind, store::StoreError};

/// Chains asked for at once.
const CHAINS: usize = 512;
/// How often one request for chains is repeated for what did not fit.
const MAX_ROUNDS: usize = 64;

impl Engine {
    /// Fetches the chains that a page of statements will ask for, all at once.
    pub(super) async fn fetch_authors(
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
        let missing: Vec<UserId> = missing.into_iter().map(|(user, _)| user).collect();
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

    /// Those of `wanted` whose chains are not here as far, each once, brought into memory from the store where they are.
    pub(super) async fn missing_histories(
        &self,
        wanted: Vec<(UserId, u64)>,
    ) -> Result<Vec<(UserId, u64)>, StoreError> {
        let reaches = |user, seq| self.books.histories().reaches(user) >= Some(seq);
        let mut missing = BTreeMap::<UserId, u64>::new();
        for (user, seq) in wanted {
            if !reaches(user, seq) {
                self.recall(user).await?;
            }
            if !reaches(user, seq) {
                let furthest = missing.entry(user).or_default();
                *furthest = seq.max(*furthest);
            }
        }
        Ok(missing.into_iter().collect())
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

    /// Checks chains and stores them, each as far as it holds. They are at hand once they are stored, and not before: who gives up waiting for
    /// this leaves no gap.
    async fn keep_histories(&self, by_user: Vec<(UserId, Vec<Entry>)>) -> Result<(), ChainError> {
        let mut unit = self.store.write().await?;
        let mut held = Ok(());
        let mut longer: BTreeMap<UserId, History> = BTreeMap::new();
        for (user, entries) in by_user {
            let stored = unit.person(user).await?.map(|state| state.head.seq);
            let history = longer.entry(user).or_insert_with(|| self.books.histories().of(user));
            for entry in entries {
                if let Err(why) = history.extend(&entry) {
                    held = held.and(Err(why));
                    break;
                }
                if stored.is_none_or(|stored| entry.seq > stored) {
                    unit.add_statement(user, &entry).await?;
                }
            }
        }
        unit.commit().await?;
        for history in longer.into_values() {
            self.books.histories().put(history);
        }
        Ok(held?)
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
