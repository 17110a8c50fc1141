//! Taking back from a peer what this server had ordered after the copy was made from which it was restored.
//!
//! Users' chains come first, then logs, then channels, since each is judged by those before it. Nothing is ever taken back in the place of
//! something that is here. A user's chain proves itself: every statement is signed by a device that the ones before it name. What stands in
//! a log or a channel is taken if this server's own signature says that it had its place: the peer shows a head that the online key has
//! signed, and entries that lead from what is here to that head. What lies beyond it is not taken.

use std::{collections::BTreeMap, sync::Arc};

use rookery_protocol::{
    chain::{Entry, HeadRef, Seen, SignedHead},
    id::{ChainId, ChannelId, CommunityId, UserId},
    io::client::{CallError, Client},
    request::{
        Refusal,
        chain::{Entries, ReadError},
        peer::PeerReadChain,
        peer_place::{PeerReadPlace, PlaceHead},
        peer_return::{KeptChain, PeerReturnPlaces, PeerReturnUsers},
    },
};

use super::{
    Peer, Services, place_blob, place_check,
    place_copy::{FetchError, ask, unreachable},
    place_users, regain_users,
};
use crate::service::{
    community::{copy::CopyFault, regain},
    fence,
};

/// Entries asked for at once.
const PAGE: u32 = 256;
/// Pages of one chain, and of one list.
const MAX_PAGES: usize = 4_096;

/// A chain as the peer is asked for it.
#[derive(Clone, Copy, Debug)]
enum Lost {
    User(UserId),
    Place(CommunityId, Option<ChannelId>),
}

impl Lost {
    fn chain(self) -> ChainId {
        match self {
            Self::User(user) => ChainId::of_user(user),
            Self::Place(community, Some(channel)) => ChainId::of_channel(community, channel),
            Self::Place(community, None) => ChainId::of_log(community),
        }
    }
}

fn broken(why: &str) -> FetchError {
    FetchError::Fault(CopyFault::Broken(why.to_owned()))
}

/// Takes back all that the peer has, and notes that it was asked.
pub async fn run(
    services: &Arc<Services>,
    peer: &Arc<Peer>,
    client: &Client,
) -> Result<(), String> {
    let taken = async {
        users(services, peer, client).await?;
        places(services, peer, client).await?;
        fence::asked(services, &peer.name).await.map_err(FetchError::from)
    };
    taken.await.map_err(|error| format!("what the peer has kept was not taken back: {error}"))
}

async fn users(services: &Services, peer: &Peer, client: &Client) -> Result<(), FetchError> {
    let mut after = None;
    for _ in 0..MAX_PAGES {
        let page = match ask(client, &PeerReturnUsers { after }).await {
            // An older server keeps nothing for others.
            Err(CallError::Refused(Refusal::UnknownMethod)) => return Ok(()),
            page => page.map_err(unreachable)?,
        };
        for kept in &page.chains {
            if let Err(error) = take_user(services, client, kept).await {
                if matches!(error, FetchError::Unreachable(_) | FetchError::Storage(_)) {
                    return Err(error);
                }
                tracing::warn!(peer = %peer.name, user = %kept.user, %error, "what the peer has kept of a user's chain was not taken back");
            }
        }
        after = page.chains.last().map(|kept| kept.user);
        if !page.more || after.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes back what a user has stated.
async fn take_user(
    services: &Services,
    client: &Client,
    kept: &KeptChain,
) -> Result<(), FetchError> {
    let lost = Lost::User(kept.user);
    for _ in 0..MAX_PAGES {
        let here = here(services, lost).await?;
        if here.is_some_and(|here| here.seq >= kept.head.seq) {
            return Ok(());
        }
        let page = read(client, lost, here.map(|here| here.seq)).await?;
        if page.entries.is_empty() {
            return Err(broken("fewer entries than it said"));
        }
        regain_users::take(services, kept.user, page.entries).await?;
        tracing::info!(user = %kept.user, "a user's statements were taken back");
    }
    Ok(())
}

async fn places(services: &Arc<Services>, peer: &Peer, client: &Client) -> Result<(), FetchError> {
    let mut after = None;
    for _ in 0..MAX_PAGES {
        let page = match ask(client, &PeerReturnPlaces { after }).await {
            Err(CallError::Refused(Refusal::UnknownMethod)) => return Ok(()),
            page => page.map_err(unreachable)?,
        };
        let mut communities = BTreeMap::<CommunityId, Vec<PlaceHead>>::new();
        for place in page.places {
            communities.entry(place.community).or_default().push(place);
        }
        for (community, places) in communities {
            let turn = services.hub.copying(community).await;
            let (logs, channels): (Vec<_>, Vec<_>) =
                places.into_iter().partition(|place| place.channel.is_none());
            for place in logs.into_iter().chain(channels) {
                if let Err(error) = take_place(services, peer, client, &place).await {
                    if matches!(error, FetchError::Unreachable(_) | FetchError::Storage(_)) {
                        return Err(error);
                    }
                    // One community that does not hold says nothing about the others.
                    tracing::warn!(peer = %peer.name, %community, %error, "what the peer has kept of a community was not taken back");
                }
            }
            drop(turn);
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

async fn take_place(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    place: &PlaceHead,
) -> Result<(), FetchError> {
    let (community, channel) = (place.community, place.channel);
    let lost = Lost::Place(community, channel);
    let Some(through) = missing(services, client, lost, place.head).await? else { return Ok(()) };
    let mut pages = Pages::new(services, lost, through).await?;
    while let Some(entries) = pages.next(client).await? {
        let wanted = match channel {
            Some(_) => place_check::named_in_channel(&entries),
            None => place_check::named_in_log(&entries),
        };
        place_users::fetch(services, peer, client, (community, None), wanted).await?;
        if let Some(channel) = channel {
            regain::take_channel(services, (community, channel), entries).await?;
            continue;
        }
        for epoch in regain::take_log(services, community, entries).await? {
            let blob = (community, epoch.wraps);
            let is_here = services.storage.read().await?.whole_blob(blob.0, blob.1).await?;
            if is_here.is_none()
                && let Err(error) = place_blob::fetch_blob(services, peer, client, blob, None).await
            {
                // Members give each other what is missing.
                tracing::info!(peer = %peer.name, %community, %error, "the wraps of an epoch were not taken back");
            }
        }
    }
    tracing::info!(peer = %peer.name, %community, ?channel, through = through.seq, "entries were taken back");
    Ok(())
}

/// How far this server's own signature goes over what the peer has of a chain beyond what is here; nothing if that is nothing.
async fn missing(
    services: &Services,
    client: &Client,
    lost: Lost,
    kept: HeadRef,
) -> Result<Option<Seen>, FetchError> {
    let here = here(services, lost).await?;
    if here.is_some_and(|here| here.seq >= kept.seq) {
        return Ok(None);
    }
    let (mut end, mut signed) = (here, None);
    for _ in 0..MAX_PAGES {
        let page = read(client, lost, end.map(|end| end.seq)).await?;
        if signed.is_none() {
            signed = own_head(services, lost, page.head.as_ref());
        }
        let Some(signed) = signed else { return Ok(None) };
        for entry in &page.entries {
            entry.check_place(end).map_err(|error| broken(&error.to_string()))?;
            let seen = entry.seen();
            if seen.seq == signed.seq {
                let is_own = seen == signed;
                return if is_own {
                    Ok(Some(seen))
                } else {
                    Err(broken("other entries than were signed"))
                };
            }
            end = Some(seen);
        }
        if page.entries.is_empty() {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Where the chain stood by this server's own signature.
fn own_head(services: &Services, lost: Lost, head: Option<&SignedHead>) -> Option<Seen> {
    let word = head?.verify(services.identity.online.verifying_key()).ok()?;
    let head = word.heads.into_iter().find(|head| head.chain == lost.chain())?;
    Some(Seen { seq: head.seq, hash: head.hash })
}

/// Where the chain stands here.
async fn here(services: &Services, lost: Lost) -> Result<Option<Seen>, FetchError> {
    let stored = services.storage.read().await?.chain(lost.chain()).await?;
    Ok(stored.and_then(|stored| stored.head).map(Seen::from))
}

async fn read(client: &Client, lost: Lost, after: Option<u64>) -> Result<Entries, FetchError> {
    let limit = PAGE;
    let page = match lost {
        Lost::User(user) => ask(client, &PeerReadChain { user, after, limit, asker: None }).await,
        Lost::Place(community, channel) => {
            ask(
                client,
                &PeerReadPlace { community, channel, after, limit, guest: None, last: None },
            )
            .await
        }
    };
    page.map_err(|error| match error {
        CallError::Request(ReadError::NotFound) => FetchError::NotFound,
        error => unreachable(error),
    })
}

/// The entries of a chain from what is here through where this server's signature goes, page by page. Each page follows from what was taken
/// before it, and the last ends in what was signed.
struct Pages {
    lost: Lost,
    last: Option<Seen>,
    through: Seen,
}

impl Pages {
    async fn new(services: &Services, lost: Lost, through: Seen) -> Result<Self, FetchError> {
        Ok(Self { lost, last: here(services, lost).await?, through })
    }

    async fn next(&mut self, client: &Client) -> Result<Option<Vec<Entry>>, FetchError> {
        if self.last.is_some_and(|last| last.seq >= self.through.seq) {
            return Ok(None);
        }
        let mut entries = read(client, self.lost, self.last.map(|last| last.seq)).await?.entries;
        entries.retain(|entry| entry.seq <= self.through.seq);
        for entry in &entries {
            entry.check_place(self.last).map_err(|error| broken(&error.to_string()))?;
            self.last = Some(entry.seen());
        }
        match self.last {
            _ if entries.is_empty() => Err(broken("fewer entries than before")),
            Some(last) if last.seq == self.through.seq && last != self.through => {
                Err(broken("other entries than before"))
            }
            _ => Ok(Some(entries)),
        }
    }
}
