//! Telling other homeservers what their users follow: which logs and channels have gone on, who types, who has read.
//!
//! Whoever stores something rings and goes on. One task finds out whom it concerns and puts it into the queues of those peers
//! ([`crate::service::peer::place`]), where the newest head of each chain takes the place of the one before: a peer that is slow or away costs
//! one row a chain, and finds by comparing heads what it was not told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use moka::sync::Cache;
use rookery_protocol::{
    chain::HeadRef,
    id::{ChainId, ChannelId, CommunityId, UserId},
    name::ServerName,
    request::peer_place::{PlaceHead, Sign},
};
use tokio::sync::mpsc;

use super::{Hosted, append::Batch, belonging};
use crate::{
    repository::{StorageError, community::Belonging, community::StoredCommunity},
    service::Services,
};

/// Signs of life that wait to be passed on. Nobody misses one that is dropped because there are more.
const MAX_SIGNS: usize = 1_000;
/// Communities whose foreign members are in memory.
const MAX_ABROAD: u64 = 10_000;
/// How long they are, where another node may have changed them.
const ABROAD: Duration = Duration::from_mins(1);

/// The users of other servers who have to do with a community, with their homes.
pub(super) type Foreigners = Arc<Vec<(ServerName, UserId)>>;

/// What is to be told to other homeservers.
#[derive(Debug)]
pub struct Spread {
    waiting: Arc<Mutex<Waiting>>,
    bell: mpsc::Sender<()>,
    abroad: Cache<CommunityId, Foreigners>,
}

/// The end out of which [`run`] takes.
#[derive(Debug)]
pub struct Outlet {
    waiting: Arc<Mutex<Waiting>>,
    rung: mpsc::Receiver<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// One row a chain at most.
    moved: BTreeSet<ChainId>,
    /// With the peer that told of it.
    signs: VecDeque<(Sign, Option<ServerName>)>,
}

/// Nothing to be told yet, and its other end.
pub(super) fn spread() -> (Spread, Outlet) {
    let (bell, rung) = mpsc::channel(1);
    let waiting = Arc::<Mutex<Waiting>>::default();
    let abroad = Cache::builder().max_capacity(MAX_ABROAD).time_to_live(ABROAD).build();
    (Spread { waiting: Arc::clone(&waiting), bell, abroad }, Outlet { waiting, rung })
}

impl Spread {
    /// A log or a channel has gone on.
    pub(super) fn moved(&self, chain: ChainId) {
        lock(&self.waiting).moved.insert(chain);
        self.ring();
    }

    /// Somebody has shown a sign of life; `from` is the peer that told of it.
    pub fn sign(&self, sign: Sign, from: Option<ServerName>) {
        let mut waiting = lock(&self.waiting);
        if waiting.signs.len() >= MAX_SIGNS {
            waiting.signs.pop_front();
        }
        waiting.signs.push_back((sign, from));
        drop(waiting);
        self.ring();
    }

    fn ring(&self) {
        // A bell that has rung already has been heard of.
        self.bell.try_send(()).ok();
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Services {
    /// The users of other servers who have to do with a community.
    pub(super) async fn foreigners_in(
        &self,
        community: CommunityId,
    ) -> Result<Foreigners, StorageError> {
        if let Some(known) = self.hub.spread.abroad.get(&community) {
            return Ok(known);
        }
        let found = Arc::new(self.storage.read().await?.foreigners_in(community).await?);
        self.hub.spread.abroad.insert(community, Arc::clone(&found));
        Ok(found)
    }
}

/// A log that this server orders, or has just handed over, has gone on: tells the peers that follow it, and those that follow it no more.
pub(super) fn log_moved(services: &Services, hosted: &Hosted, farewells: &[(ServerName, u64)]) {
    if hosted.row.hub.is_some() && !hosted.row.was_hub {
        return;
    }
    let (community, head) = (hosted.row.community, hosted.head());
    services.hub.spread.abroad.invalidate(&community);
    services.hub.spread.moved(ChainId::of_log(community));
    if let Some(next) = hosted.row.hub.as_ref().and_then(|next| services.peers.named(next)) {
        next.places.note_moved(&PlaceHead { community, channel: None, head });
    }
    for (name, _) in farewells {
        if let Some(peer) = services.peers.named(name) {
            peer.places.note_moved(&PlaceHead { community, channel: None, head });
        }
    }
}

/// Peers whose users the batch parts from the community, with the last statement that each may read: the one by which they went.
pub(super) async fn farewells(
    services: &Services,
    row: &StoredCommunity,
    batch: &Batch,
) -> Result<Vec<(ServerName, u64)>, StorageError> {
    let (Some(before), Some(last)) = (&batch.before, batch.steps.last()) else { return Ok(vec![]) };
    if row.hub.is_some() {
        return Ok(vec![]);
    }
    let gone: Vec<UserId> = if last.after.is_deleted {
        services.foreigners_in(row.community).await?.iter().map(|(_, user)| *user).collect()
    } else {
        let changes = belonging::changes(batch).into_iter();
        changes.filter(|(_, now)| *now == Belonging::Named).map(|(user, _)| user).collect()
    };
    let mut farewells = BTreeMap::<ServerName, u64>::new();
    for user in gone {
        let Some(foreigner) = services.foreigner(user).await? else { continue };
        let mut was_gone = belonging::of(before, user) == Belonging::Named;
        for step in &batch.steps {
            let is_gone =
                step.after.is_deleted || belonging::of(&step.after, user) == Belonging::Named;
            if is_gone && !was_gone {
                let seq = step.stored.entry.seq;
                let known = farewells.entry(foreigner.stored.peer.clone()).or_default();
                *known = seq.max(*known);
            }
            was_gone = is_gone;
        }
    }
    Ok(farewells.into_iter().collect())
}

/// Finds out whom it concerns, until the services are gone.
pub async fn run(services: Weak<Services>, outlet: Outlet) {
    let Outlet { waiting, mut rung } = outlet;
    while rung.recv().await.is_some() {
        let Some(services) = services.upgrade() else { return };
        let Waiting { moved, signs } = std::mem::take(&mut *lock(&waiting));
        for chain in moved {
            if let Err(error) = spread_moved(&services, chain).await {
                tracing::debug!(%error, "peers were not told of a chain that has gone on");
            }
        }
        for (sign, from) in signs {
            if let Err(error) = spread_sign(&services, &sign, from.as_ref()).await {
                tracing::debug!(%error, "peers were not told of a sign of life");
            }
        }
    }
}

async fn spread_moved(services: &Services, chain: ChainId) -> Result<(), StorageError> {
    let Some(place) = services.place_of(chain).await? else { return Ok(()) };
    let readers = readers_abroad(services, place.community, place.channel).await?;
    if readers.is_empty() {
        return Ok(());
    }
    let Some(hosted) = services.hosted(place.community).await? else { return Ok(()) };
    let shown = services.shown_through(&hosted, place.channel).await?;
    let Some(head) = shown.and_then(|shown| shown.head) else { return Ok(()) };
    for peer in readers {
        tell(services, &peer, (place.community, place.channel), head);
    }
    Ok(())
}

fn tell(
    services: &Services,
    peer: &ServerName,
    (community, channel): (CommunityId, Option<ChannelId>),
    head: HeadRef,
) {
    if let Some(peer) = services.peer(peer) {
        peer.places.note_moved(&PlaceHead { community, channel, head });
    }
}

/// The peers of whose users somebody may read the log, or a channel, of a community that this server orders, or ordered.
async fn readers_abroad(
    services: &Services,
    community: CommunityId,
    channel: Option<ChannelId>,
) -> Result<BTreeSet<ServerName>, StorageError> {
    let Some(hosted) = services.hosted(community).await? else { return Ok(BTreeSet::new()) };
    if hosted.row.hub.is_some() && !hosted.row.was_hub {
        return Ok(BTreeSet::new());
    }
    let foreigners = services.foreigners_in(community).await?;
    let mut readers = BTreeSet::new();
    for (peer, user) in foreigners.iter() {
        if !readers.contains(peer) && hosted.may_read(*user, channel) {
            readers.insert(peer.clone());
        }
    }
    Ok(readers)
}

async fn spread_sign(
    services: &Services,
    sign: &Sign,
    from: Option<&ServerName>,
) -> Result<(), StorageError> {
    let (Sign::Typing { community, channel, .. } | Sign::Read { community, channel, .. }) = sign;
    let Some(hosted) = services.hosted(*community).await? else { return Ok(()) };
    let receivers: Vec<ServerName> = match &hosted.row.hub {
        // A home tells the hub, and the hub all others.
        Some(hub) if from.is_none() => vec![hub.clone()],
        Some(_) => vec![],
        None => readers_abroad(services, *community, Some(*channel)).await?.into_iter().collect(),
    };
    for name in receivers.iter().filter(|name| Some(*name) != from) {
        if let Some(peer) = services.peer(name) {
            peer.places.note_sign(sign.clone());
        }
    }
    Ok(())
}
