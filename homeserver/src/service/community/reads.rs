//! Ephemera of channels: who types, and how far members have read.

use std::{collections::HashMap, sync::Arc};

use rookery_protocol::{
    community::{Channel, RECEIPT_AUDIENCE},
    id::{ChainId, UserId},
    name::ServerName,
    request::{
        Failure,
        channel::{ListReads, ReadPlace, Reads, ReadsError},
        peer_place::Sign,
    },
    session::{Authenticated, FollowDown},
};

use super::Hosted;
use crate::{
    repository::StorageError,
    service::{
        Services,
        feed::{Feed, Live},
    },
};

/// Passes on that somebody types in a channel that they follow. It is never stored.
pub async fn typing(
    services: &Services,
    who: Authenticated,
    feed: &Arc<Feed>,
    chain: ChainId,
) -> Result<(), StorageError> {
    if feed.follows(chain) && services.may_read_place(who.user, chain).await? {
        let Some(place) = services.place_of(chain).await? else { return Ok(()) };
        let (Some(channel), Some(hosted)) =
            (place.channel, services.hosted(place.community).await?)
        else {
            return Ok(());
        };
        let sign = Sign::Typing { community: place.community, channel, user: who.user };
        take_sign(services, &hosted, sign, None);
    }
    Ok(())
}

/// Notes how far somebody has read a channel that they follow, and tells its followers.
pub async fn note(
    services: &Services,
    who: Authenticated,
    feed: &Arc<Feed>,
    chain: ChainId,
    seq: u64,
) -> Result<(), StorageError> {
    if !feed.follows(chain) {
        return Ok(());
    }
    let Some(place) = services.place_of(chain).await? else { return Ok(()) };
    let (Some(channel), Some(hosted)) = (place.channel, services.hosted(place.community).await?)
    else {
        return Ok(());
    };
    let sign = Sign::Read { community: place.community, channel, user: who.user, seq };
    take_sign(services, &hosted, sign, None);
    Ok(())
}

/// Tells followers here, and has other servers told, of a sign of life of somebody who may read the channel; `from` is the peer that told
/// of it.
pub fn take_sign(services: &Services, hosted: &Hosted, sign: Sign, from: Option<ServerName>) {
    match &sign {
        Sign::Typing { community, channel, user } => {
            let chain = ChainId::of_channel(*community, *channel);
            let notice = Live::notice(&FollowDown::TypingIn { chain, user: *user });
            services.feeds.push_chain_beside(chain, *user, &notice);
        }
        Sign::Read { community, channel, user, seq } => {
            let known = hosted.state.channels.get(channel);
            let takes = known.is_some_and(|channel| {
                hosted.state.is_in_audience(*user, channel.audience) && is_small(hosted, channel)
            });
            if !takes {
                return;
            }
            let chain = ChainId::of_channel(*community, *channel);
            services.hub.posts.note_read(chain, *user, *seq);
            let notice = Live::notice(&FollowDown::ReadIn { chain, user: *user, seq: *seq });
            services.feeds.push_chain_beside(chain, *user, &notice);
        }
    }
    services.hub.spread.sign(sign, from);
}

/// Whether members tell each other how far they have read.
fn is_small(hosted: &Hosted, channel: &Channel) -> bool {
    let most = usize::try_from(RECEIPT_AUDIENCE).unwrap_or(usize::MAX);
    hosted.state.roster(channel.audience).take(most.saturating_add(1)).count() <= most
}

/// How far the members of a small audience have read a channel.
pub async fn list(
    services: &Services,
    who: Authenticated,
    request: ListReads,
) -> Result<Reads, Failure<ReadsError>> {
    list_by(services, who.user, request).await
}

/// The same for a user of either side.
pub async fn list_by(
    services: &Services,
    user: UserId,
    request: ListReads,
) -> Result<Reads, Failure<ReadsError>> {
    let not_found = || Failure::Error(ReadsError::NotFound);
    let ListReads { community, channel: id } = request;
    let hosted = services.hosted(community).await?.ok_or_else(not_found)?;
    if !hosted.may_read(user, Some(id)) {
        return Err(not_found());
    }
    let channel = hosted.state.channels.get(&id).ok_or_else(not_found)?;
    if !is_small(&hosted, channel) {
        return Err(Failure::Error(ReadsError::TooMany));
    }
    let chain = ChainId::of_channel(community, id);
    let stored = services.storage.read().await?.channel_reads(chain).await?;
    let mut reads: HashMap<UserId, u64> = stored.into_iter().collect();
    for (user, seq) in services.hub.posts.unstored_reads(chain) {
        let known = reads.entry(user).or_default();
        *known = seq.max(*known);
    }
    let is_reader = |user: &UserId| hosted.state.is_in_audience(*user, channel.audience);
    let reads = reads.into_iter().filter(|(user, _)| is_reader(user));
    Ok(Reads { reads: reads.map(|(user, seq)| ReadPlace { user, seq }).collect() })
}
