//! Periods of ownership: which server orders a community from where to where.
//!
//! A hub hands over by a statement of the community's owner, the last that it places. It names the next hub and the last entry of each channel.
//! From there on entries carry the next number ([`State::owner_epoch`]), which their hashes cover. So whatever a former hub places later is
//! seen to be no part of the community by whoever has the statement.

use rpds::RedBlackTreeMapSync;

use super::{State, VouchedHead};
use crate::{
    chain::{Entry, Head, Seen},
    id::{ChainId, ChannelId, ServerId},
    name::ServerName,
};

/// How often a community is handed over at most.
pub const MAX_HANDOVERS: usize = 64;

/// A period of ownership that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Who was the hub.
    pub hub: ServerName,
    /// Its root key.
    pub hub_key: ServerId,
    /// The last entry of the log that it placed: the hand-over.
    pub last: Seen,
    /// The last entry of each channel that there was; nothing of one that had none.
    pub ends: RedBlackTreeMapSync<ChannelId, Option<Seen>>,
}

/// Why an entry of a channel is no part of the community, whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeyondTerm {
    /// Its number is not that of the period in which its position in the log lies.
    #[error("the entry was placed by a server that is not the community's hub there")]
    OtherTerm,
    /// It is not the entry with which its period ended, or does not follow the one with which the period before ended.
    #[error("the entry is another than the one with which the channel was handed over")]
    OtherEnd,
}

impl State {
    /// What a server says of where a log or a channel stands, if it was the community's hub in the period that it speaks of.
    #[must_use]
    pub fn word(&self, said: &VouchedHead, chain: ChainId) -> Option<Head> {
        self.hubs().find_map(|(owner_epoch, _, root)| {
            said.verify(root, chain).ok().filter(|head| head.owner_epoch == owner_epoch)
        })
    }

    /// The servers that have ordered the community and the one that does: in which period, its name and its root key.
    pub fn hubs(&self) -> impl Iterator<Item = (u64, &ServerName, ServerId)> {
        let ended = self.terms.iter().map(|(epoch, term)| (*epoch, &term.hub, term.hub_key));
        ended.chain(std::iter::once((self.owner_epoch, &self.hub, self.hub_key)))
    }

    /// How far a server's word on the log, or on a channel, goes that is the hub no more: through the last entry that it placed. Nothing for a
    /// server that never was the hub, and for a channel that it has placed nothing in.
    #[must_use]
    pub fn end_by(&self, hub_key: ServerId, channel: Option<ChannelId>) -> Option<(u64, Seen)> {
        let mut own = self.terms.iter().rev().filter(|(_, term)| term.hub_key == hub_key);
        own.find_map(|(epoch, term)| {
            let end = match channel {
                Some(channel) => *term.ends.get(&channel)?,
                None => Some(term.last),
            };
            end.map(|end| (*epoch, end))
        })
    }

    /// In which period the entry of a channel is placed that has the number `seq`.
    #[must_use]
    pub fn owner_epoch_at(&self, channel: ChannelId, seq: u64) -> u64 {
        let has_it = |(_, term): &(&u64, &Term)| matches!(term.ends.get(&channel), Some(Some(end)) if seq <= end.seq);
        self.terms.iter().find(has_it).map_or(self.owner_epoch, |(epoch, _)| *epoch)
    }

    /// Checks what was taken in of a channel while `owner_epoch` was the period in force, and it was not known where that would end: that
    /// `have`, the last entry of it, is not beyond that end, nor another entry there.
    pub fn check_held(
        &self,
        owner_epoch: u64,
        channel: ChannelId,
        have: Seen,
    ) -> Result<(), BeyondTerm> {
        // A channel that had ended before is in no later period.
        let Some(end) = self.terms.get(&owner_epoch).and_then(|term| term.ends.get(&channel))
        else {
            return Ok(());
        };
        match end {
            Some(end) if have.seq < end.seq || *end == have => Ok(()),
            Some(end) if have.seq == end.seq => Err(BeyondTerm::OtherEnd),
            _ => Err(BeyondTerm::OtherTerm),
        }
    }

    /// Checks that an entry of a channel stands in its period of ownership: that its number is the period's, that it leads to the entry with
    /// which the period ends, or follows it, and that it speaks of the log as of that period. This state is the newest that there is.
    pub fn check_term(&self, channel: ChannelId, entry: &Entry) -> Result<(), BeyondTerm> {
        if entry.owner_epoch != self.owner_epoch_at(channel, entry.seq) {
            return Err(BeyondTerm::OtherTerm);
        }
        if let Some(term) = self.terms.get(&entry.owner_epoch) {
            let end = term.ends.get(&channel).copied().flatten();
            if end.is_some_and(|end| end.seq == entry.seq && end.hash != entry.hash()) {
                return Err(BeyondTerm::OtherEnd);
            }
            // What the hub placed last knew nothing of the hand-over.
            if entry.log_pos.is_none_or(|position| position >= term.last.seq) {
                return Err(BeyondTerm::OtherTerm);
            }
        }
        let before = entry.owner_epoch.checked_sub(1).and_then(|before| self.terms.get(&before));
        let Some(before) = before else { return Ok(()) };
        if entry.log_pos.is_none_or(|position| position < before.last.seq) {
            return Err(BeyondTerm::OtherTerm);
        }
        let end = before.ends.get(&channel).copied().flatten();
        let is_next = end.is_some_and(|end| end.seq.checked_add(1) == Some(entry.seq));
        if is_next && end.is_some_and(|end| end.hash != entry.prev) {
            return Err(BeyondTerm::OtherEnd);
        }
        Ok(())
    }
}
