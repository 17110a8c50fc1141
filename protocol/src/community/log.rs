//! A stretch of a log, checked as a whole: signatures on all cores, then the rules in order.

use super::{Chains, Refused, State, apply};
use crate::{
    chain::{BrokenEntry, Entry, Item, verify_all},
    id::{ChainId, CommunityId},
};

/// How many entries have their signatures checked ahead of the rules: a log that breaks early costs no more.
const AHEAD: usize = 2_048;

/// Where a log was not taken in any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the community's log: {why}")]
pub struct Stopped {
    /// The place of the entry that was refused or has to wait.
    pub seq: u64,
    /// Why.
    pub why: Refused,
    /// What all entries before it came to: where to go on from.
    pub state: Option<State>,
}

/// Checks entries that follow `state` (nothing when they begin the log), as [`verify_and_apply`](super::verify_and_apply) does one by one, and
/// says what they come to: nothing if there are none at all.
pub fn check_log(
    community: CommunityId,
    mut state: Option<State>,
    entries: &[Entry],
    chains: &dyn Chains,
) -> Result<Option<State>, Box<Stopped>> {
    for ahead in entries.chunks(AHEAD) {
        for (entry, item) in ahead.iter().zip(verify_all(ahead)) {
            match apply_verified(community, state.as_ref(), entry, item, chains) {
                Ok(next) => state = Some(next),
                Err(why) => return Err(Box::new(Stopped { seq: entry.seq, why, state })),
            }
        }
    }
    Ok(state)
}

/// [`verify_and_apply`](super::verify_and_apply) for an entry of which [`verify_all`] has said `item`: for whoever wants the state after each
/// entry, and chains fetched in between.
pub fn apply_verified(
    community: CommunityId,
    state: Option<&State>,
    entry: &Entry,
    item: Result<Item, BrokenEntry>,
    chains: &dyn Chains,
) -> Result<State, Refused> {
    check_chain(entry, ChainId::of_log(community))?;
    entry.check_place(state.map(|state| state.head))?;
    apply(community, state, entry, &item?, chains)
}

fn check_chain(entry: &Entry, chain: ChainId) -> Result<(), BrokenEntry> {
    if entry.chain == chain { Ok(()) } else { Err(BrokenEntry::OtherChain) }
}
