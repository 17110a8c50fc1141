//! What a server without anybody's keys can make of what it has, and what it can make with a stranger's.

use anyhow::{Context as _, Result};
use rookery_protocol::{
    chain::{Entry, Item, Kind, Seen, Submission},
    codec,
    community::{Action, Place, Statement},
    id::{ChainId, CommunityId, Digest, ItemId, UserId},
    key::SigningKey,
    time::{Clock as _, SystemClock},
    version::SUITE,
};

use crate::bare::random;

/// Gives entries of one chain new places, one after the other from the first one's place on, as only its owner can.
#[must_use]
pub fn relink(entries: Vec<Entry>) -> Vec<Entry> {
    let mut head: Option<Seen> = None;
    entries
        .into_iter()
        .map(|entry| {
            let (seq, prev) =
                head.map_or((0, Digest::ZERO), |head| (head.seq.saturating_add(1), head.hash));
            let entry = Entry { seq, prev, ..entry };
            head = Some(entry.seen());
            entry
        })
        .collect()
}

/// What an entry of a log says.
pub fn statement_of(entry: &Entry) -> Result<Statement> {
    let body = entry.body.as_ref().context("a statement without its body")?;
    Ok(codec::decode(body.as_slice())?)
}

/// What the author of an entry signed.
pub fn item_of(entry: &Entry) -> Result<Item> {
    Ok(codec::decode(entry.signed.payload.as_slice())?)
}

/// An entry after `log` that says `action` in the name of `author`, signed by `signing`, whoever that is.
pub fn forge_statement(
    log: &[Entry],
    community: CommunityId,
    (author, author_head): (UserId, Seen),
    signing: &SigningKey,
    action: Action,
) -> Result<Entry> {
    let head = log.last().map(Entry::seen).context("a log that has begun")?;
    let place = if action.is_strict() { Place::Next(head) } else { Place::Later(head) };
    let statement =
        Statement { suite: SUITE, community: Some(community), place, author, author_head, action };
    let (chain, kind) = (ChainId::of_log(community), Kind::CommunityStatement);
    let item = ItemId::from_bytes(random()?);
    let (body, at) = (codec::encode(&statement), SystemClock.now());
    let signed = Submission::sign(signing, chain, item, kind, body, at, Some(head))?;
    Ok(signed.place(chain, 0, Some(head)))
}
