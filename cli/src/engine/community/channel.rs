//! Taking in what stands in a channel: judged at its position in the log, opened, and kept.

mod entry;
mod gathered;

pub(super) use self::entry::is_allowed;

use std::time::Duration;

use rookery_protocol::{
    chain::{self, Entry, Item, Kind},
    codec,
    community::{Announce, Redact, State},
    id::{ChainId, ChannelId, CommunityId, UserId},
    io::client::Client,
    request::chain::{Entries, ReadChain},
};

use self::gathered::Gathered;
use super::{
    super::{Engine, chains::ChainError},
    book::Book,
    log::Reader,
};
use crate::{
    e2ee::epoch::{EpochKeys, EpochPlace},
    store::ChannelRow,
};

const PAGE: u32 = 256;
/// Pages of one channel that are fetched in one go.
const MAX_PAGES: usize = 65_536;
/// How long a channel is held for a user's chain that the server does not show.
const MAX_HOLD: Duration = Duration::from_hours(24);

/// What taking in an entry came to.
enum Step {
    /// It is taken in.
    Taken,
    /// The epoch's secret is not here yet, and will be: nothing after it is taken in before it.
    Wait,
    /// The hub does not show the devices of its author: a chain that is not at hand means to hold, never to refuse.
    Hold,
    /// It may not stand there. It stays in the chain, and is passed over.
    Passed(String),
    /// The hub contradicts itself.
    Broken(String),
}

/// How it goes on after a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Onward {
    /// With the next.
    Next,
    /// When the keeper has got what is missing.
    Waits,
    /// Not at all: the hub was caught lying.
    Ends,
}

/// What the entries of a page are judged and opened by.
struct Reading<'p> {
    book: &'p Book,
    /// The community at every position in the log that the page names.
    states: &'p [State],
    keyring: &'p EpochKeyring,
}

/// Keys of epochs, made once a page.
#[derive(Default)]
struct EpochKeyring {
    open: Vec<EpochKeys>,
    /// Epochs whose secrets are not here yet, and may come.
    expected: Vec<EpochPlace>,
}

impl Engine {
    /// Takes in entries of a channel that follow one another, live or fetched.
    pub(in super::super) async fn take_in_channel(
        &self,
        client: &Client,
        community: CommunityId,
        channel: ChannelId,
        entries: Vec<Entry>,
    ) -> Result<(), ChainError> {
        let Some(last) = entries.last() else { return Ok(()) };
        let book = self.book(community).await?.ok_or(ChainError::NotFound)?;
        if book.row.is_leaving() {
            return Ok(());
        }
        // What the log does not reach yet is held, and the log fetched.
        let reaches = book.state.as_ref().map_or(0, |state| state.head.seq);
        if last.log_pos.is_some_and(|position| position > reaches) {
            self.fetch_log(client, community, &Reader::Member).await?;
        }
        let chain = ChainId::of_channel(community, channel);
        let have = self.store.read().await?.channel(chain).await?.and_then(|row| row.have);
        let next = have.map_or(0, |have| have.seq.saturating_add(1));
        if entries.first().is_some_and(|first| first.seq > next) {
            return self.fetch_channel(client, community, channel).await;
        }
        if self.take_in_page(client, community, channel, entries).await? == Onward::Waits {
            self.owe_community(community);
        }
        Ok(())
    }

    /// Fetches what is missing of a channel.
    pub(in super::super) async fn fetch_channel(
        &self,
        client: &Client,
        community: CommunityId,
        channel: ChannelId,
    ) -> Result<(), ChainError> {
        let chain = ChainId::of_channel(community, channel);
        let row = self.store.read().await?.channel(chain).await?;
        let have = row.and_then(|row| row.have).map(|have| have.seq);
        let mut page = self.channel_page(client, chain, have).await?;
        for _ in 0..MAX_PAGES {
            let Some(Entries { entries, more, .. }) = page else { return Ok(()) };
            let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(()) };
            let furthest = entries.iter().filter_map(|entry| entry.log_pos).max();
            let book = self.book(community).await?.ok_or(ChainError::NotFound)?;
            if furthest > book.state.as_ref().map(|state| state.head.seq) {
                self.fetch_log(client, community, &Reader::Member).await?;
            }
            // The next page is on its way while this one is opened.
            let next = async {
                if more { self.channel_page(client, chain, Some(last)).await } else { Ok(None) }
            };
            let (onward, next) =
                tokio::join!(self.take_in_page(client, community, channel, entries), next);
            if onward? != Onward::Next {
                return Ok(());
            }
            page = next?;
        }
        Ok(())
    }

    /// A page of a channel after a place; nothing when it is not to be read any more: what is here stays.
    async fn channel_page(
        &self,
        client: &Client,
        chain: ChainId,
        after: Option<u64>,
    ) -> Result<Option<Entries>, ChainError> {
        let request = ReadChain { chain, after, limit: PAGE };
        match client.call_watched(&request).await.map_err(ChainError::from) {
            Ok(page) => Ok(Some(page)),
            Err(ChainError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes in one page in one unit of the store; says how to go on.
    async fn take_in_page(
        &self,
        client: &Client,
        community: CommunityId,
        channel: ChannelId,
        entries: Vec<Entry>,
    ) -> Result<Onward, ChainError> {
        let _turn = self.channel_turn.lock().await;
        let book = self.book(community).await?.ok_or(ChainError::NotFound)?;
        if book.row.alarm.is_some() {
            return Ok(Onward::Ends);
        }
        let authors = authors_of(&entries);
        let fetched = self.fetch_histories(client, authors).await;
        if !self.believe(community, fetched).await? {
            return Ok(Onward::Ends);
        }
        let chain = ChainId::of_channel(community, channel);
        // States at old positions are looked up before the store is written: the two would wait for each other.
        let mut states: Vec<State> = vec![];
        for position in entries.iter().filter_map(|entry| entry.log_pos) {
            if states.last().is_none_or(|state| state.head.seq != position)
                && let Some(state) = self.state_at(community, position).await?
            {
                states.push(state);
            }
        }
        let mut keyring = EpochKeyring::default();
        for state in &states {
            self.gather_keys(client, &book, state, channel, &mut keyring).await?;
        }
        let reading = Reading { book: &book, states: &states, keyring: &keyring };
        let items = chain::verify_all(&entries);
        let mut unit = self.store.write().await?;
        let mut row = unit.channel(chain).await?.unwrap_or_else(|| {
            // What another device has read before this one had anything of it.
            let read = self.journal().channel_read(community, channel);
            ChannelRow { read, ..ChannelRow::new(community, channel) }
        });
        let mut gathered = Gathered::new(unit);
        let (mut onward, mut alarm) = (Onward::Next, None);
        for (entry, item) in entries.iter().zip(items) {
            if row.have.is_some_and(|have| entry.seq <= have.seq) {
                continue;
            }
            match self.take_in_entry(&reading, &mut gathered, &mut row, entry, item).await? {
                Step::Taken => {}
                Step::Wait => {
                    row.waits_since.get_or_insert(self.now());
                    onward = Onward::Waits;
                    break;
                }
                Step::Hold if !self.has_waited_enough(&row) => {
                    row.waits_since.get_or_insert(self.now());
                    onward = Onward::Waits;
                    break;
                }
                Step::Hold => {
                    row.pass_over("the server does not show the devices of its author".to_owned());
                }
                Step::Passed(why) => {
                    tracing::warn!(seq = entry.seq, why, "an entry of a channel was passed over");
                    row.pass_over(why);
                }
                Step::Broken(why) => {
                    alarm = Some(why);
                    onward = Onward::Ends;
                    break;
                }
            }
            row.waits_since = None;
            let seen = entry.seen();
            gathered.passed.push(seen.hash);
            row.have = Some(seen);
            row.log_pos = entry.log_pos.unwrap_or(row.log_pos);
        }
        gathered.write(row).await?.commit().await?;
        self.timeline_changed();
        if let Some(why) = alarm {
            self.raise_alarm(community, &why).await?;
        }
        Ok(onward)
    }

    /// Whether a channel has waited for a chain for as long as it waits: a member and a hub together could have it wait for ever.
    fn has_waited_enough(&self, row: &ChannelRow) -> bool {
        row.waits_since.is_some_and(|since| self.now().since(since) >= MAX_HOLD)
    }

    async fn gather_keys(
        &self,
        client: &Client,
        book: &Book,
        state: &State,
        channel: ChannelId,
        keyring: &mut EpochKeyring,
    ) -> Result<(), ChainError> {
        let Some(audience) = state.channels.get(&channel).map(|channel| channel.audience) else {
            return Ok(());
        };
        let Some(epoch) = state.audiences.get(&audience).and_then(|known| known.epoch.as_ref())
        else {
            return Ok(());
        };
        let place = book.place(audience, epoch.number);
        if keyring.has(place) {
            return Ok(());
        }
        let obtained = self.obtain_secret(client, book, place, epoch).await;
        if let Some(secret) = obtained.map_err(ChainError::Call)? {
            keyring.open.push(secret.keys(place, &epoch.roster_root, &epoch.log_root));
            return Ok(());
        }
        // While the epoch in force has not come, it may still open the ones before; and whoever may not read at present may come back.
        let in_force = book.state.as_ref().and_then(|now| {
            let epoch = now.audiences.get(&audience)?.epoch.as_ref();
            epoch.filter(|_| now.is_in_audience(self.user, audience))
        });
        let is_here = match in_force {
            Some(in_force) => {
                self.epoch_secret(place.community, audience, in_force).await?.is_some()
            }
            None => false,
        };
        if !is_here {
            keyring.expected.push(place);
        }
        Ok(())
    }
}

/// Whose chains, and how far, a page of entries will ask for.
pub(super) fn authors_of(entries: &[Entry]) -> Vec<(UserId, u64)> {
    let mut wanted: Vec<(UserId, u64)> = entries
        .iter()
        .filter_map(|entry| {
            let body = entry.body.as_ref()?;
            let item: Item = codec::decode(entry.signed.payload.as_slice()).ok()?;
            match item.kind {
                Kind::Announce => {
                    let announce: Announce = codec::decode(body.as_slice()).ok()?;
                    let header: rookery_protocol::community::AnnounceBody =
                        codec::decode(announce.header.as_slice()).ok()?;
                    Some((header.user, header.head.seq))
                }
                Kind::Redact => {
                    let redact: Redact = codec::decode(body.as_slice()).ok()?;
                    Some((redact.user, redact.head.seq))
                }
                _ => None,
            }
        })
        .collect();
    wanted.sort_unstable_by_key(|(user, seq)| (*user, std::cmp::Reverse(*seq)));
    wanted.dedup_by_key(|(user, _)| *user);
    wanted
}

impl EpochKeyring {
    fn of(&self, place: EpochPlace) -> Option<&EpochKeys> {
        self.open.iter().find(|keys| keys.place() == place)
    }

    fn has(&self, place: EpochPlace) -> bool {
        self.expected.contains(&place) || self.open.iter().any(|keys| keys.place() == place)
    }
}
