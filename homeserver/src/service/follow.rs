//! Following: what a device has missed, out of the database, and what it may follow.

use std::sync::Arc;

use rookery_protocol::{
    chain::{Entry, HeadRef},
    id::{ChainId, DeviceId},
    request::{
        Failure, Refusal,
        device::{DeviceEntry, Devices},
    },
    session::{Authenticated, Cursor, Follow, FollowError, FollowStarted, FollowedChain},
    time::Timestamp,
};

use super::{Services, feed::Feed, presence};
use crate::repository::{Limit, Page, StorageError, mailbox::Waiting};

/// How many chains one device follows.
const MAX_CHAINS: usize = 2_000;
/// How much of a mailbox or a chain is read at once.
const PAGE: Limit = Limit { rows: 500, bytes: 512 * 1024 };

/// A follow stream that was opened.
pub struct Following {
    /// Where live things come from.
    pub feed: Arc<Feed>,
    /// What the device is told first.
    pub started: FollowStarted,
    /// The last position of its mailbox that it has.
    pub position: u64,
    /// What it has of each chain that it follows.
    pub chains: Vec<(ChainId, Option<u64>)>,
}

/// Opens a device's follow stream. What is stored from now on comes through the feed; what was stored before is read by the caller.
pub async fn open(
    services: &Services,
    who: Authenticated,
    request: Follow,
) -> Result<Following, Failure<FollowError>> {
    if request.chains.len() > MAX_CHAINS {
        let limit = u32::try_from(MAX_CHAINS).unwrap_or(u32::MAX);
        return Err(Failure::Error(FollowError::TooMany { limit }));
    }
    let incarnation = services.storage.incarnation();
    let mut chains = Vec::with_capacity(request.chains.len());
    for followed in request.chains {
        if services.may_follow(who, followed.chain).await? {
            let have = has(services, &followed).await?;
            chains.push((followed.chain, have));
        }
    }
    let left = services.storage.read().await?.prekey_counts(who.device).await?;
    let feed = services.feeds.open(who.user, who.device);
    for (chain, _) in &chains {
        services.feeds.follow(&feed, *chain);
    }
    // Whoever was sent away before they followed was not unfollowed.
    for (chain, _) in &chains {
        if !services.still_reads(who.user, *chain).await? {
            services.feeds.end(&feed, *chain);
        }
    }
    // A position of another life of the database says nothing about this one.
    let position = match request.mailbox {
        Some(Cursor { incarnation: known, position }) if known == incarnation => position,
        _ => 0,
    };
    if position > 0 {
        super::message::acknowledge(services, who.device, position);
    }
    let now = services.clock.now();
    services.seen.note(&who, now);
    if let Err(error) = presence::connected(services, who).await {
        tracing::warn!(%error, "a presence was not noted");
    }
    let started = FollowStarted {
        incarnation,
        at: now,
        one_time_left: left.one_time,
        one_time_kem_left: left.one_time_kem,
    };
    Ok(Following { feed, started, position, chains })
}

/// A device's follow stream has ended.
pub async fn close(services: &Services, who: Authenticated, feed: &Arc<Feed>) {
    services.feeds.close(feed);
    services.seen.note(&who, services.clock.now());
    if services.feeds.of_device(who.device).is_none() {
        presence::disconnected(services, who).await;
    }
}

/// Follows one more chain; its place in the feed marks from where what is live counts.
pub async fn more(
    services: &Services,
    who: Authenticated,
    feed: &Arc<Feed>,
    followed: FollowedChain,
) -> Result<(), StorageError> {
    if !services.may_follow(who, followed.chain).await?
        || services.feeds.followed_by(feed) >= MAX_CHAINS
    {
        return Ok(());
    }
    let have = has(services, &followed).await?;
    services.feeds.follow(feed, followed.chain);
    feed.push(super::feed::Live::Begin { chain: followed.chain, have });
    if !services.still_reads(who.user, followed.chain).await? {
        services.feeds.end(feed, followed.chain);
    }
    Ok(())
}

/// What a follower really has: what it says, if our chain agrees; else it gets all of it, and sees for itself.
async fn has(services: &Services, followed: &FollowedChain) -> Result<Option<u64>, StorageError> {
    let Some(HeadRef { seq, hash }) = followed.have else { return Ok(None) };
    let ours = services.storage.read().await?.entry_hash(followed.chain, seq).await?;
    Ok(ours.filter(|ours| ours.hash == hash).map(|ours| ours.seq))
}

/// Entries of a chain after `after`.
pub async fn entries(
    services: &Services,
    chain: ChainId,
    after: Option<u64>,
) -> Result<Page<Entry>, StorageError> {
    let page = services.storage.read().await?.entries(chain, after, PAGE).await?;
    Ok(Page { rows: page.rows.into_iter().map(|stored| stored.entry).collect(), more: page.more })
}

/// The places at which `chains` stand.
pub async fn heads(
    services: &Services,
    chains: &[ChainId],
) -> Result<Vec<(ChainId, u64)>, StorageError> {
    let stored = services.storage.read().await?.chains(chains).await?;
    Ok(stored
        .into_iter()
        .filter_map(|stored| stored.head.map(|head| (stored.chain, head.seq)))
        .collect())
}

/// What waits for a device after `after`.
pub async fn waiting(
    services: &Services,
    device: DeviceId,
    after: u64,
) -> Result<Page<Waiting>, StorageError> {
    services.storage.read().await?.waiting(device, after, PAGE).await
}

/// When the user's live devices were last there.
pub async fn devices(services: &Services, who: Authenticated) -> Result<Devices, Refusal> {
    let storage = |error| super::refusal(&error);
    let resident =
        services.resident(who.user).await.map_err(storage)?.ok_or(Refusal::NotAuthenticated)?;
    let facts =
        services.storage.read().await.map_err(storage)?.devices(who.user).await.map_err(storage)?;
    let entry = |device: &DeviceId| {
        let known = facts.iter().find(|facts| facts.device == *device);
        let here = services.feeds.of_device(*device).map(|_| services.clock.now());
        DeviceEntry {
            device: *device,
            last_seen: here.or(known.and_then(|facts| facts.last_seen)),
            waiting: known.map_or(0, |facts| facts.waiting),
        }
    };
    Ok(Devices { devices: resident.live.iter().map(entry).collect() })
}

/// How long a client waits that is told to come back.
#[must_use]
pub fn come_back(now: Timestamp) -> u32 {
    // Spread over half a second by the clock's last digits, so that not all come at once.
    u32::try_from(now.as_millis() % 500).unwrap_or(0).saturating_add(500)
}
