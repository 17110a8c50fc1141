//! The signatures of many entries at once: they are most of what a newcomer to a chain waits for.

use std::{num::NonZero, thread};

use super::{BrokenEntry, Entry, Item};

/// Fewer entries than this for each core are not worth a thread.
const WORTH_A_THREAD: usize = 32;

/// What each entry's signatures vouch for, in order: worked out on all cores, whatever the entries' places are.
#[must_use]
pub fn verify_all(entries: &[Entry]) -> Vec<Result<Item, BrokenEntry>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = entries.len().div_ceil(cores).max(WORTH_A_THREAD);
    let verify_each = |entries: &[Entry]| entries.iter().map(Entry::verify).collect::<Vec<_>>();
    let (own, others) = entries.split_at(share.min(entries.len()));
    thread::scope(|scope| {
        let started: Vec<_> = others
            .chunks(share)
            .map(|entries| {
                let thread =
                    thread::Builder::new().spawn_scoped(scope, move || verify_each(entries));
                (entries, thread)
            })
            .collect();
        let mut items = verify_each(own);
        for (entries, thread) in started {
            // Without a thread, and after one that ended early, the work is still to be done.
            let done = thread.ok().and_then(|thread| thread.join().ok());
            items.extend(done.unwrap_or_else(|| verify_each(entries)));
        }
        items
    })
}
