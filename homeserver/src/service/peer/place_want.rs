//! Whether anybody here has to do with a community that a hub tells of: nothing is stored on its mere word.
//!
//! What counts is a statement of the log by which somebody who lives here comes to have to do with it: their own, signed by a device of theirs,
//! or one by which somebody brings them in or invites them who may write to them.

use rookery_protocol::{
    chain::Entry,
    codec,
    community::{Action, Statement},
    id::{ChainId, CommunityId, UserId},
    io::client::Client,
};

use super::{
    Peer, Services,
    place_copy::{FetchError, read},
    share,
};
use crate::{
    repository::StorageError,
    service::{
        chain::WritesAs,
        limit::{Bucket, Subject},
    },
};

/// Statements that are asked for at once.
const PAGE: u64 = 256;
/// Pages that are looked through at most, from the end of the log: those who live here are named near it, or it is a large community.
const MAX_PAGES: usize = 256;

/// Whether a statement after `after` and not after `through` has somebody here have to do with the community.
pub(super) async fn concerns(
    services: &Services,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    (after, through): (Option<u64>, u64),
) -> Result<bool, FetchError> {
    let first = after.map_or(0, |after| after.saturating_add(1));
    let mut pages = 0..MAX_PAGES;
    let mut end = through;
    while end >= first {
        let from = end.saturating_sub(PAGE.saturating_sub(1)).max(first);
        let mut next = from;
        while next <= end {
            if pages.next().is_none() {
                return Ok(false);
            }
            share::take_copy(services, peer).map_err(|_| FetchError::Throttled)?;
            let page = read(client, (community, None), next.checked_sub(1), None).await?;
            let Some(last) = page.entries.last().map(|last| last.seq) else { return Ok(false) };
            if last < next {
                return Ok(false);
            }
            for entry in &page.entries {
                if is_of_somebody_here(services, peer, community, entry).await? {
                    return Ok(true);
                }
            }
            next = last.saturating_add(1);
        }
        let Some(before) = from.checked_sub(1) else { return Ok(false) };
        end = before;
    }
    Ok(false)
}

async fn is_of_somebody_here(
    services: &Services,
    peer: &Peer,
    community: CommunityId,
    entry: &Entry,
) -> Result<bool, StorageError> {
    let Some(body) = &entry.body else { return Ok(false) };
    let Ok(statement) = codec::decode::<Statement>(body.as_slice()) else { return Ok(false) };
    let (author, whom) = match &statement.action {
        Action::Join(_) | Action::Ask(_) => (statement.author, statement.author),
        Action::Add(add) => (statement.author, add.user),
        Action::InviteCreate(create) => match create.user {
            Some(user) => (statement.author, user),
            None => return Ok(false),
        },
        _ => return Ok(false),
    };
    let Some(resident) = services.resident(whom).await? else { return Ok(false) };
    if statement.community != Some(community)
        || entry.chain != ChainId::of_log(community)
        || entry.verify().is_err()
    {
        return Ok(false);
    }
    if author == whom {
        let signer = entry.signed.author().and_then(|key| resident.state.signer(key));
        return Ok(signer.is_some());
    }
    lets_in(services, peer, author, whom).await
}

/// Whether somebody here lets `author` bring them in. Strangers of one server do so as often as they write for the first time.
async fn lets_in(
    services: &Services,
    peer: &Peer,
    author: UserId,
    whom: UserId,
) -> Result<bool, StorageError> {
    let Some(resident) = services.resident(whom).await? else { return Ok(false) };
    Ok(match services.may_write(author, &resident).await? {
        None => false,
        Some(WritesAs::Partner | WritesAs::KnownStranger) => true,
        Some(WritesAs::NewStranger) => peer.stored().root.is_some_and(|root| {
            services.limiter.take(Bucket::PeerStrangers, &Subject::Peer(root)).is_ok()
        }),
    })
}
