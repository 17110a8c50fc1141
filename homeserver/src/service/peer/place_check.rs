//! What a hub shows of a chain, looked at before any of it is taken in: whether it is the hub's word, and whom it speaks of.

use std::collections::BTreeMap;

use rookery_protocol::{
    chain::{Entry, Item, Kind, SignedHead},
    codec,
    community::{Action, Announce, AnnounceBody, Redact, Statement},
    id::{ChainId, UserId},
    io::client::Client,
};

use super::{Peer, Services, place::Spot, place_copy::FetchError, place_proof};
use crate::{
    repository::abroad::CopiedHead,
    service::community::{
        copy::{self, CopyFault},
        fork::chain_of,
    },
};

/// What a signed head of one chain takes at most, in bytes, with room. Heads are shown to others many at a time.
const MAX_HEAD: usize = 1_024;

/// Checks that the hub's word for where a chain stands is the hub's, and gives it with those of the entries that it contains: more may have
/// come between the head and the page, for which the next one vouches.
pub(super) async fn checked(
    services: &Services,
    peer: &Peer,
    client: &Client,
    spot: Spot,
    mut entries: Vec<Entry>,
    head: Option<SignedHead>,
) -> Result<(Vec<Entry>, CopiedHead), FetchError> {
    let chain = chain_of(spot.0, spot.1);
    let signed = check_head(peer, chain, &mut entries, head)?;
    let before = services.storage.read().await?.copied_head(chain).await?;
    if let Some(before) = before.and_then(|before| copy::place_of_head(&before, chain))
        && entries.iter().any(|entry| entry.seq == before.seq && entry.hash() != before.hash)
    {
        return Err(forged("other entries than a head says that it has signed before"));
    }
    Ok((entries, CopiedHead { head: signed, record: place_proof::record_of(peer, client).await }))
}

fn forged(why: &str) -> FetchError {
    FetchError::Fault(CopyFault::Broken(why.to_owned()))
}

fn check_head(
    peer: &Peer,
    chain: ChainId,
    entries: &mut Vec<Entry>,
    head: Option<SignedHead>,
) -> Result<SignedHead, FetchError> {
    let signed = head.ok_or_else(|| forged("entries without a signed head"))?;
    if signed.payload.len() > MAX_HEAD {
        return Err(forged("a signed head larger than any"));
    }
    let online = peer.online().ok_or_else(|| forged("no proven key"))?;
    let word = signed.verify(online).map_err(|_| forged("a head that it has not signed"))?;
    let head = word.heads.iter().find(|head| head.chain == chain);
    let head = head.ok_or_else(|| forged("the head of another chain"))?;
    let same = entries.iter().find(|entry| entry.seq == head.seq);
    if same.is_some_and(|entry| entry.hash() != head.hash) {
        return Err(forged("other entries than its head says"));
    }
    entries.retain(|entry| entry.seq <= head.seq);
    Ok(signed)
}

/// Whose chains the statements are judged by, and how far.
pub(super) fn named_in_log(entries: &[Entry]) -> BTreeMap<UserId, u64> {
    let mut wanted = BTreeMap::new();
    for body in entries.iter().filter_map(|entry| entry.body.as_ref()) {
        let Ok(statement) = codec::decode::<Statement>(body.as_slice()) else { continue };
        want(&mut wanted, statement.author, statement.author_head.seq);
        if let Action::Add(add) = &statement.action {
            want(&mut wanted, add.user, add.head.seq);
        }
    }
    wanted
}

/// Whose chains readers of the posts will ask for, and how far.
pub(super) fn named_in_channel(entries: &[Entry]) -> BTreeMap<UserId, u64> {
    let mut wanted = BTreeMap::new();
    for entry in entries {
        let Some(body) = &entry.body else { continue };
        let Ok(item) = codec::decode::<Item>(entry.signed.payload.as_slice()) else { continue };
        if let Some((user, seq)) = named_in_post(item.kind, body.as_slice()) {
            want(&mut wanted, user, seq);
        }
    }
    wanted
}

/// Whose chain a post names, and how far.
pub(super) fn named_in_post(kind: Kind, body: &[u8]) -> Option<(UserId, u64)> {
    match kind {
        Kind::Announce => {
            let announce: Announce = codec::decode(body).ok()?;
            let header: AnnounceBody = codec::decode(announce.header.as_slice()).ok()?;
            Some((header.user, header.head.seq))
        }
        Kind::Redact => {
            let redact: Redact = codec::decode(body).ok()?;
            Some((redact.user, redact.head.seq))
        }
        _ => None,
    }
}

fn want(wanted: &mut BTreeMap<UserId, u64>, user: UserId, seq: u64) {
    let known = wanted.entry(user).or_default();
    *known = seq.max(*known);
}
