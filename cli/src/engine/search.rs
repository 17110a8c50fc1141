//! Searching: what the index offers, newest first, each held against the message as it is now.
//!
//! Segments are asked in the order of their newest message, and no further than the page needs: what they offer is sorted by time, and the
//! newest of it is looked at once no other segment can have anything newer.

use std::{
    collections::{BTreeSet, BinaryHeap},
    time::Duration,
};

use jiff::tz::TimeZone;
use rookery_protocol::{
    id::{UserId, from_base32, to_base32},
    name::{Address, UserName},
    time::Timestamp,
};

use super::{
    Engine,
    index::{current, gather, indexed_through},
    is_room,
};
use crate::{
    agent::verb::SearchLines,
    error::{CommandError, Kind},
    search::{
        Room,
        query::{Condition, Lookup, Part, Plan, Query},
        segment::{Head, Segment, find as find_in, read_times},
        token::Token,
    },
    store::{SegmentRow, StoreError, Told, Unit},
};

/// How long a search waits for what the home has.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);
/// The most that one page has.
const MAX_COUNT: u32 = 1_000;
/// How much of what is not indexed yet is looked through, newest first.
const MAX_TAIL: u32 = 4_096;
/// How many messages one page looks at; a page that has not found enough among them says where to go on.
const MAX_EXAMINED: usize = 4_096;

/// Where a message stands among results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When it was written.
    pub at: Timestamp,
    /// The order of its arrival.
    pub position: u64,
}

/// A page of what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Newest first.
    pub told: Vec<Told>,
    /// What the next page comes after; nothing when there is none.
    pub next: Option<Mark>,
    /// Whether everything was looked through: not while the index is still far behind.
    pub is_complete: bool,
}

impl Mark {
    fn to_cursor(self) -> String {
        to_base32(&[self.at.as_millis().to_be_bytes(), self.position.to_be_bytes()].concat())
    }

    fn from_cursor(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = from_base32(text)?.try_into().ok()?;
        let number = u128::from_be_bytes(bytes);
        let [at, position] = [number >> 64, number & u128::from(u64::MAX)]
            .map(|half| u64::try_from(half).unwrap_or(u64::MAX));
        Some(Self { at: Timestamp::from_millis(at), position })
    }
}

impl Engine {
    /// Finds messages, newest first.
    pub(crate) async fn search(
        &self,
        query: &str,
        count: u32,
        cursor: Option<&str>,
    ) -> Result<SearchLines, CommandError> {
        let wrong =
            |error: &dyn std::error::Error| CommandError::new(Kind::Usage, error.to_string());
        let query = Query::parse(query, &TimeZone::system()).map_err(|error| wrong(&error))?;
        let after = match cursor.map(Mark::from_cursor) {
            Some(None) => {
                return Err(CommandError::new(Kind::Usage, "that is no cursor of a search"));
            }
            Some(after) => after,
            None => None,
        };
        let synced = self.wait_communities(SYNC_PATIENCE).await;
        let plan = self.plan(query).await?;
        let count = usize::try_from(count.clamp(1, MAX_COUNT)).unwrap_or(1);
        let mut unit = self.store.read().await?;
        let found = find(&mut unit, &plan, after, count).await;
        // Lines are written by units of their own, of which there are few.
        drop(unit);
        let found = match found {
            Ok(found) => found,
            Err(error) if self.forget_damaged_index(&error).await? => {
                return Err(CommandError::new(Kind::Failed, "the search index was damaged")
                    .hint("it is being made anew: search again in a moment"));
            }
            Err(error) => return Err(error.into()),
        };
        let messages = self.lines(found.told).await?;
        let next = found.next.map(Mark::to_cursor);
        Ok(SearchLines { messages, next, synced, complete: found.is_complete })
    }

    async fn plan(&self, query: Query) -> Result<Plan, CommandError> {
        let mut parts = vec![];
        for Part { is_negated, condition } in query.parts {
            let condition = match condition {
                Condition::Words(wanted) => Condition::Words(wanted),
                Condition::From(who) => Condition::From(self.known_person(&who).await?),
                Condition::In(place) if is_room(&place) => {
                    Condition::In(Room::Channel(self.chain_named(&place).await?))
                }
                Condition::In(who) => Condition::In(Room::Direct(self.known_person(&who).await?)),
                Condition::Before(at) => Condition::Before(at),
                Condition::After(at) => Condition::After(at),
                Condition::Has(feature) => Condition::Has(feature),
            };
            parts.push(Part { is_negated, condition });
        }
        Ok(Plan { parts })
    }

    /// Who is called `text` here: oneself, a contact, a member of a community. Nobody else has written anything that is here, so no
    /// server is asked.
    async fn known_person(&self, text: &str) -> Result<UserId, CommandError> {
        let address: Address = text.parse()?;
        let account = self.account();
        let server = address.server.unwrap_or_else(|| account.server.clone());
        if server == account.server && (address.name == account.name || text == "me") {
            return Ok(self.user);
        }
        let contact = self.store.read().await?.contact_named(&address.name, &server).await?;
        if let Some(contact) = contact {
            return Ok(contact.user);
        }
        match self.known_member(&address.name).await? {
            Some(user) if server == account.server => Ok(user),
            _ => Err(CommandError::new(
                Kind::NotFound,
                format!("nobody called {text} is known on this device"),
            )
            .hint("`rookery contact list` and `rookery member list` show who is")),
        }
    }

    async fn known_member(&self, name: &UserName) -> Result<Option<UserId>, StoreError> {
        self.load_books().await?;
        let mut looked_at = BTreeSet::new();
        let mut unit = self.store.read().await?;
        for book in self.books.all() {
            let Some(state) = &book.state else { continue };
            for user in state.members.keys() {
                if looked_at.insert(*user) && unit.name_of(*user).await?.as_ref() == Some(name) {
                    return Ok(Some(*user));
                }
            }
        }
        Ok(None)
    }
}

/// Finds at most `count` messages that `plan` asks for, newest first, after the mark of the last that is known.
pub async fn find(
    unit: &mut Unit,
    plan: &Plan,
    after: Option<Mark>,
    count: usize,
) -> Result<Found, StoreError> {
    let rows = unit.segments().await?;
    let tail = unit.told_last(indexed_through(&rows), MAX_TAIL).await?;
    let is_complete = tail.len() < usize::try_from(MAX_TAIL).unwrap_or(usize::MAX);
    let tail = gather(unit, tail).await?.build(0, 0, 0);
    let mut sources: Vec<Source> = rows.into_iter().map(Source::Stored).collect();
    sources.push(Source::Made(tail));
    sources.sort_by_key(|source| source.head().newest);
    let mut found = Found { told: vec![], next: None, is_complete };
    let mut offered: BinaryHeap<Mark> = BinaryHeap::new();
    let (mut seen, mut last) = (BTreeSet::new(), None);
    loop {
        while let Some(source) = sources
            .pop_if(|source| offered.peek().is_none_or(|newest| newest.at <= source.head().newest))
        {
            offered.extend(ask(unit, &source, plan, after).await?);
        }
        let Some(mark) = offered.pop() else {
            found.next = None;
            return Ok(found);
        };
        if !seen.insert(mark.position) {
            continue;
        }
        if seen.len() > MAX_EXAMINED {
            found.next = last;
            return Ok(found);
        }
        if let Some(told) = unit.told_at(mark.position).await?
            && let Some(document) = current(unit, &told).await?
            && plan.matches(&document)
        {
            // One more than is wanted: then there is a next page.
            if found.told.len() >= count {
                return Ok(found);
            }
            found.told.push(told);
            if found.told.len() == count {
                found.next = Some(mark);
            }
        }
        last = Some(mark);
    }
}

/// A segment in the store, or the one that what is not indexed yet makes.
enum Source {
    Stored(SegmentRow),
    Made(Segment),
}

impl Source {
    const fn head(&self) -> &Head {
        match self {
            Self::Stored(row) => &row.head,
            Self::Made(segment) => &segment.head,
        }
    }

    async fn blocks(
        &self,
        unit: &mut Unit,
        numbers: std::ops::Range<usize>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        match self {
            Self::Stored(row) => unit.segment_blocks(row, numbers).await,
            Self::Made(segment) => Ok(segment.blocks.get(numbers).unwrap_or_default().to_vec()),
        }
    }
}

/// What a segment offers: everything that stands under all that is looked up, but for what is known already or of another time.
async fn ask(
    unit: &mut Unit,
    source: &Source,
    plan: &Plan,
    after: Option<Mark>,
) -> Result<Vec<Mark>, StoreError> {
    let mut positions: Option<Vec<u64>> = None;
    for lookup in plan.lookups() {
        let found = look_up(unit, source, &lookup).await?;
        let both = match positions {
            Some(known) => intersect(&known, &found),
            None => found,
        };
        if both.is_empty() {
            return Ok(vec![]);
        }
        positions = Some(both);
    }
    let numbers = match &positions {
        Some(positions) => source.head().blocks_of_times(positions),
        None => source.head().all_times(),
    };
    let mut marks = vec![];
    for number in numbers {
        for block in source.blocks(unit, number..number.saturating_add(1)).await? {
            for (position, at) in read_times(&block)? {
                let mark = Mark { at, position };
                let is_offered =
                    positions.as_ref().is_none_or(|known| known.binary_search(&position).is_ok());
                if is_offered && after.is_none_or(|after| mark < after) && !plan.excludes(at) {
                    marks.push(mark);
                }
            }
        }
    }
    Ok(marks)
}

/// The positions under what is looked up, rising.
async fn look_up(
    unit: &mut Unit,
    source: &Source,
    lookup: &Lookup,
) -> Result<Vec<u64>, StoreError> {
    let (token, is_prefix): (&Token, bool) = match lookup {
        Lookup::Exact(token) => (token, false),
        Lookup::Prefix(token) => (token, true),
    };
    let numbers = source.head().blocks_of(token, is_prefix);
    let mut positions = vec![];
    for block in source.blocks(unit, numbers).await? {
        positions.extend(find_in(&block, token, is_prefix)?);
    }
    if is_prefix {
        positions.sort_unstable();
        positions.dedup();
    }
    Ok(positions)
}

/// What is in both of two rising lists.
fn intersect(one: &[u64], two: &[u64]) -> Vec<u64> {
    let (few, many) = if one.len() <= two.len() { (one, two) } else { (two, one) };
    let mut rest = many;
    few.iter()
        .filter(|position| {
            let skip = rest.partition_point(|other| other < *position);
            rest = rest.get(skip..).unwrap_or_default();
            rest.first() == Some(*position)
        })
        .copied()
        .collect()
}

#[cfg(test)]
#[path = "search/tests.rs"]
mod tests;
