//! Communities that are about to be handed over to another server.
//!
//! The next hub takes a copy of all of it first, which takes as long as it takes; then posts and other statements wait for the moment that the
//! owner needs to state that it is handed over. What was prepared is in memory only: after a restart the owner begins anew.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use rookery_protocol::{
    community::{Handover, State},
    id::{CommunityId, ServerId},
    name::ServerName,
    request::Refusal,
};
use tokio::time::Instant;

use super::append::Batch;
use crate::repository::{Repository, StorageError};

/// Communities that are being handed over at the same time.
const MAX_MOVES: u64 = 1_000;
/// How long the next hub may read a community that it is not handed.
const OFFERED: Duration = Duration::from_mins(10);
/// How long everything waits for the owner's statement.
const HELD: Duration = Duration::from_secs(20);
/// When somebody comes again who has to wait for it, in milliseconds.
const SOON: u64 = 500;

/// The communities that are about to be handed over.
#[derive(Debug)]
pub struct Moves(Cache<CommunityId, Arc<Move>>);

#[derive(Debug)]
struct Move {
    to: ServerName,
    root: ServerId,
    held_until: Mutex<Option<Instant>>,
}

impl Default for Moves {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_MOVES).time_to_live(OFFERED).build())
    }
}

impl Moves {
    /// A community is offered to a server, and to no other any more.
    pub fn offer(&self, community: CommunityId, to: &ServerName, root: ServerId) {
        let moving = Move { to: to.clone(), root, held_until: Mutex::default() };
        self.0.insert(community, Arc::new(moving));
    }

    /// Whether it is offered to the server with that name.
    pub fn is_offered_to(&self, community: CommunityId, to: &ServerName) -> bool {
        self.0.get(&community).is_some_and(|moving| moving.to == *to)
    }

    /// Has whatever is to be placed wait for the owner's statement.
    pub fn hold(&self, community: CommunityId) {
        self.set(community, Instant::now().checked_add(HELD));
    }

    /// Nothing waits any more.
    pub fn release(&self, community: CommunityId) {
        self.set(community, None);
    }

    fn set(&self, community: CommunityId, until: Option<Instant>) {
        if let Some(moving) = self.0.get(&community) {
            *moving.held_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }

    /// It has been handed over.
    pub fn end(&self, community: CommunityId) {
        self.0.invalidate(&community);
    }

    /// Refuses what is to be placed while the owner's statement is waited for.
    pub fn check_free(&self, community: CommunityId) -> Result<(), Refusal> {
        let is_held = self.0.get(&community).is_some_and(|moving| moving.is_held());
        if is_held { Err(Refusal::Throttled { retry_after_ms: SOON }) } else { Ok(()) }
    }

    /// Whether the hand-over is the one that everything waits for.
    pub fn is_prepared(&self, community: CommunityId, handover: &Handover) -> bool {
        self.0.get(&community).is_some_and(|moving| {
            moving.is_held() && moving.to == handover.hub && moving.root == handover.hub_key
        })
    }
}

impl Move {
    fn is_held(&self) -> bool {
        let until = *self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// Whether all channels stand where the hand-over says that they end, by which the community came to its present hub. Nothing is placed in them
/// before the unit ends.
pub(super) async fn stands_at_ends(
    unit: &mut dyn Repository,
    state: &State,
) -> Result<bool, StorageError> {
    let Some((_, term)) = state.terms.last() else { return Ok(false) };
    let chains: Vec<_> = term
        .ends
        .keys()
        .map(|channel| rookery_protocol::id::ChainId::of_channel(state.community, *channel))
        .collect();
    let stored = unit.hold_chains(&chains).await?;
    Ok(chains.iter().zip(term.ends.values()).all(|(chain, end)| {
        let found = stored.iter().find(|stored| stored.chain == *chain);
        found.is_some_and(|found| found.head == end.map(Into::into))
    }))
}

/// Whether another server becomes the hub by the batch, or this one.
pub(super) fn is_handed_over(batch: &Batch) -> bool {
    let epoch = |state: &State| state.owner_epoch;
    let before = batch.before.as_ref().map_or(0, epoch);
    batch.steps.last().is_some_and(|last| epoch(&last.after) != before)
}
