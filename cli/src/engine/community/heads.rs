//! What others have seen of the logs that one shares with them, told inside direct messages: what the hub withholds from one member, or shows
//! otherwise, is found out by a way that the hub is not on.
//!
//! It is a warning and not an alarm: no hub has signed what a person says here, and one member who lies is not to lock others out.

use std::time::Duration;

use minicbor::{Decode, Encode};
use rookery_protocol::{
    chain::Seen,
    id::{CommunityId, UserId},
    io::client::Client,
    request::message::Purpose,
    time::Timestamp,
};

use super::{
    super::{Engine, new_item},
    book::Book,
    log::Reader,
};
use crate::{
    e2ee::payload::{Heads, Payload, SharedHead},
    error::CommandError,
    store::{Name, Standing, StoreError, Unit},
};

/// How often one person is told: with the first direct message of a day.
const EVERY: Duration = Duration::from_hours(24);
/// Communities that one letter speaks of at most: far below an envelope.
const AT_ONCE: usize = 64;
/// People of whom it is remembered when they were told. Whoever falls out is told again.
const MAX_TOLD: usize = 1_000;
/// Heads of others that are remembered until the log here bears them out.
const MAX_CLAIMS: usize = 256;

/// What somebody has seen of a log, and the log here does not bear out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Claim {
    #[n(0)]
    community: CommunityId,
    #[n(1)]
    by: UserId,
    #[n(2)]
    head: Seen,
    /// What came of comparing; nothing before the hub was asked once more.
    #[n(3)]
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
enum Verdict {
    /// The hub does not show the log so far.
    #[n(1)]
    Withheld,
    /// The log has another entry there.
    #[n(2)]
    Other,
}

impl Unit {
    async fn head_claims(&mut self) -> Result<Vec<Claim>, StoreError> {
        Ok(self.value(Name::HeadClaims).await?.unwrap_or_default())
    }
}

impl Engine {
    /// Remembers what `by` says that they have seen of communities that they are in with this user, in place of what they said before; gives
    /// the communities to look at.
    pub(in super::super) async fn note_heads(
        &self,
        unit: &mut Unit,
        by: UserId,
        heads: &Heads,
    ) -> Result<Vec<CommunityId>, StoreError> {
        let is_shared = |shared: &&SharedHead| {
            let book = self.books.get(shared.community);
            book.and_then(|book| book.state).is_some_and(|state| state.members.contains_key(&by))
        };
        let heads: Vec<_> = heads.heads.iter().take(AT_ONCE).filter(is_shared).copied().collect();
        let mut claims = unit.head_claims().await?;
        for SharedHead { community, head } in &heads {
            claims.retain(|claim| (claim.community, claim.by) != (*community, by));
            claims.push(Claim { community: *community, by, head: *head, verdict: None });
        }
        let too_many = claims.len().saturating_sub(MAX_CLAIMS);
        claims.drain(..too_many);
        unit.put_value(Name::HeadClaims, &claims).await?;
        Ok(heads.iter().map(|shared| shared.community).collect())
    }

    /// Tells a contact once a day what was seen of the logs of shared communities.
    pub(in super::super) async fn share_heads(
        &self,
        unit: &mut Unit,
        to: UserId,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut told: Vec<(UserId, Timestamp)> =
            unit.value(Name::HeadsTold).await?.unwrap_or_default();
        let is_due = is_due(&told, to, now);
        let is_contact = unit.contact(to).await?.is_some_and(|contact| contact.is_accepted());
        if !is_due || !is_contact || to == self.user {
            return Ok(());
        }
        let shares = |book: &Book| {
            let state = book.state.as_ref().filter(|state| state.members.contains_key(&to))?;
            let is_sure = book.row.standing == Standing::Member && book.row.alarm.is_none();
            is_sure.then_some(SharedHead { community: state.community, head: state.head })
        };
        let heads: Vec<_> = self.books.all().iter().filter_map(shares).take(AT_ONCE).collect();
        if heads.is_empty() {
            return Ok(());
        }
        let payload = Payload::Heads(Heads { heads });
        let outgoing = self.outgoing(to, new_item(), Purpose::Receipt, &payload);
        unit.enqueue(self.user, &outgoing).await?;
        told.retain(|(user, _)| *user != to);
        told.push((to, now));
        let too_many = told.len().saturating_sub(MAX_TOLD);
        told.drain(..too_many);
        unit.put_value(Name::HeadsTold, &told).await
    }

    /// Compares what others have seen of a log with what stands here, and forgets what is borne out.
    pub(super) async fn compare_heads(
        &self,
        client: &Client,
        community: CommunityId,
    ) -> Result<(), CommandError> {
        let before = self.store.read().await?.head_claims().await?;
        let of_this = |claim: &&Claim| claim.community == community;
        if !before.iter().any(|claim| of_this(&claim)) {
            return Ok(());
        }
        // What they have seen is at the hub: whatever an honest one has not told yet comes with the asking.
        let reached = |book: &Book| book.state.as_ref().map(|state| state.head.seq);
        let here = self.book(community).await?.as_ref().and_then(reached);
        let is_new_and_ahead =
            |claim: &Claim| claim.verdict.is_none() && Some(claim.head.seq) > here;
        if before.iter().filter(of_this).any(is_new_and_ahead) {
            self.fetch_log(client, community, &Reader::Member).await?;
        }
        let Some(Book { state: Some(state), .. }) = self.book(community).await? else {
            return Ok(());
        };
        let mut unit = self.store.write().await?;
        let claims = unit.head_claims().await?;
        let mut kept = vec![];
        for claim in &claims {
            if claim.community != community {
                kept.push(*claim);
            } else if state.members.contains_key(&claim.by) {
                let verdict = if claim.head.seq > state.head.seq {
                    Some(Verdict::Withheld)
                } else {
                    let there = unit.log_entries(community, claim.head.seq, 1).await?;
                    let is_same = there.first().is_some_and(|entry| entry.seen() == claim.head);
                    (!is_same).then_some(Verdict::Other)
                };
                kept.extend(verdict.map(|verdict| Claim { verdict: Some(verdict), ..*claim }));
            }
        }
        if kept != claims {
            unit.put_value(Name::HeadClaims, &kept).await?;
            unit.commit().await?;
            self.timeline_changed();
        }
        Ok(())
    }

    /// What a person should know of a log that others have seen otherwise.
    pub(super) async fn head_warning(&self, book: &Book) -> Result<Option<String>, CommandError> {
        let claims = self.store.read().await?.head_claims().await?;
        for claim in claims.iter().filter(|claim| claim.community == book.row.community) {
            let Some(verdict) = claim.verdict else { continue };
            let who = self.name_of_user(claim.by).await?;
            let count = claim.head.seq.saturating_add(1);
            let here = book.state.as_ref().map_or(0, |state| state.head.seq.saturating_add(1));
            return Ok(Some(match verdict {
                Verdict::Withheld => format!(
                    "{who} has seen {count} statements of the log, and the server shows {here} here: it withholds the others, or they were misled"
                ),
                Verdict::Other => format!(
                    "{who} was shown another log: statement {count} is not the one here; compare `rookery community verify` by another way"
                ),
            }));
        }
        Ok(None)
    }
}

/// Whether somebody is to be told again: once a day at most, by when others were told.
fn is_due(told: &[(UserId, Timestamp)], to: UserId, now: Timestamp) -> bool {
    told.iter().all(|(user, at)| *user != to || now.since(*at) >= EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_once_a_day_whatever_others_were_told() {
        let [ada, bo] = [1, 2].map(|number| UserId::from_bytes([number; 32]));
        let noon = Timestamp::from_millis(1_000_000_000);
        let later = |hours: u64| Timestamp::from_millis(noon.as_millis() + hours * 3_600_000);
        let told = [(ada, noon)];
        assert!(!is_due(&told, ada, later(0)) && !is_due(&told, ada, later(23)));
        assert!(is_due(&told, ada, later(24)));
        assert!(is_due(&told, bo, later(0)) && is_due(&[], ada, noon));
        // A clock that was set back does not have somebody told with every message.
        assert!(!is_due(&[(ada, later(5))], ada, noon));
    }
}
