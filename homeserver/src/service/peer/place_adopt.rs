//! Communities that are handed over to this server: it takes a copy of all of one, whoever here reads it, before it becomes the hub.
//!
//! The hub offers it, and is told when all is here. Then it has nothing placed any more but the owner's statement, with which the copy becomes
//! the original ([`crate::service::community::copy::take_log`]). Where the statement comes first, since this server was restarted, the same is
//! done then.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use rookery_protocol::{
    chain::HeadRef,
    codec,
    community::{Action, Handover, Statement},
    id::{ChainId, ChannelId, CommunityId, ServerId},
    io::client::Client,
    request::{
        Failure,
        peer_place::{PeerOfferError, PeerOfferPlace, PlaceHead, PlaceOffered},
    },
};
use tokio::sync::Mutex;

use super::{
    Peer, Services,
    answer::peer_of,
    place::TOLD_AT_ONCE,
    place_blob,
    place_copy::{self, FetchError},
    place_log,
};
use crate::{
    config::Adoptions,
    repository::StorageError,
    service::community::{PAGE, copy::CopyFault, sender_key},
};

/// Communities that are being taken over at the same time, and channels of them.
const MAX_UNDER_WAY: u64 = 1_000;
const MAX_NOTED: u64 = 100_000;
/// How long it is remembered what was fetched.
const REMEMBERED: Duration = Duration::from_mins(10);
/// How long the hub waits for an answer at most; it asks again.
const ANSWER: Duration = Duration::from_secs(4);

/// The communities that this server is taking over.
#[derive(Debug)]
pub struct UnderWay {
    rows: Cache<CommunityId, Arc<Mutex<Outcome>>>,
    /// How far the Sender Keys of a channel were noted.
    noted: Cache<ChainId, u64>,
}

/// What came of fetching one the last time.
#[derive(Debug, Default)]
enum Outcome {
    #[default]
    None,
    /// It is here, as far as this.
    Here(Vec<PlaceHead>),
    Failed(FetchError),
}

impl Default for UnderWay {
    fn default() -> Self {
        let rows = Cache::builder().max_capacity(MAX_UNDER_WAY).time_to_live(REMEMBERED).build();
        let noted = Cache::builder().max_capacity(MAX_NOTED).time_to_live(REMEMBERED).build();
        Self { rows, noted }
    }
}

/// It is not whole here yet.
const fn not_yet(reason: Option<String>) -> PlaceOffered {
    PlaceOffered { is_ready: false, reason }
}

fn declined(reason: impl Into<String>) -> Failure<PeerOfferError> {
    Failure::Error(PeerOfferError::Declined { reason: reason.into() })
}

/// Takes a copy of a community that is offered, and says whether it is whole.
pub async fn offer(
    services: &Arc<Services>,
    root: ServerId,
    request: PeerOfferPlace,
) -> Result<PlaceOffered, Failure<PeerOfferError>> {
    let peer = peer_of(services, root)?;
    let PeerOfferPlace { community, places } = request;
    if places.len() > TOLD_AT_ONCE {
        return Err(declined("it has more channels than this server takes over"));
    }
    match services.hosted(community).await? {
        Some(hosted) if hosted.row.hub.as_ref() != Some(&peer.name) => {
            return Err(declined("the server that offers it is not its hub"));
        }
        _ => {}
    }
    if let Some(reason) = why_not(services, community).await? {
        return Err(declined(reason));
    }
    let Some(client) = peer.client() else { return Ok(not_yet(None)) };
    let row = services.peers.under_way.rows.get_with(community, Arc::default);
    let mut is_asked_first = true;
    loop {
        let Ok(mut outcome) = tokio::time::timeout(ANSWER, Arc::clone(&row).lock_owned()).await
        else {
            return Ok(not_yet(None));
        };
        match std::mem::take(&mut *outcome) {
            Outcome::Here(here) if here == places => {
                *outcome = Outcome::Here(here);
                return Ok(PlaceOffered { is_ready: true, reason: None });
            }
            Outcome::Failed(FetchError::Fault(fault)) => return Err(declined(fault.to_string())),
            Outcome::Failed(error @ FetchError::TooMany) => {
                return Err(declined(error.to_string()));
            }
            Outcome::Failed(error) if !is_asked_first => {
                return Ok(not_yet(Some(error.to_string())));
            }
            Outcome::None | Outcome::Here(_) if !is_asked_first => return Ok(not_yet(None)),
            Outcome::None | Outcome::Here(_) | Outcome::Failed(_) => is_asked_first = false,
        }
        let (services_, peer, client) = (Arc::clone(services), Arc::clone(&peer), client.clone());
        let places = places.clone();
        services.tasks.spawn(async move {
            *outcome = match take(&services_, &peer, &client, community, &places).await {
                Ok(()) => Outcome::Here(places),
                Err(error) => {
                    tracing::info!(peer = %peer.name, %community, %error, "a community that is handed over was not fetched whole");
                    Outcome::Failed(error)
                }
            };
        });
    }
}

/// Why this server does not take a community over.
async fn why_not(
    services: &Services,
    community: CommunityId,
) -> Result<Option<&'static str>, StorageError> {
    if services.config.adoptions == Adoptions::None {
        return Ok(Some(
            "it takes none from other servers: its administrator decides by server.adoptions",
        ));
    }
    let mut view = services.storage.read().await?;
    if view.residents_in(community).await?.is_empty() {
        return Ok(Some(
            "it takes only those that somebody on it belongs to: have somebody there join first",
        ));
    }
    let is_forked = !view.forked(&[community]).await?.is_empty();
    Ok(is_forked.then_some("its hub has signed two histories of it"))
}

/// Fetches all of a community that is not here yet.
async fn take(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    places: &[PlaceHead],
) -> Result<(), FetchError> {
    let turn = services.hub.copying(community).await;
    place_log::fetch_log(services, peer, client, community, None).await?;
    let log = places.iter().find(|place| place.channel.is_none()).map(|place| place.head);
    check_here(services, ChainId::of_log(community), log).await?;
    let channels = places.iter().filter_map(|place| Some((place.channel?, Some(place.head))));
    fetch_rest(services, peer, client, community, channels.collect()).await?;
    drop(turn);
    Ok(())
}

/// Fetches all of a community that is not here yet and that its owner has handed over to this server. Under the community's turn.
pub(super) async fn complete(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    handover: &Handover,
) -> Result<(), FetchError> {
    if let Some(reason) = why_not(services, community).await? {
        tracing::warn!(peer = %peer.name, %community, reason, "a community that was handed over to this server is not taken");
        return Err(CopyFault::NotTheirs.into());
    }
    let ends = handover.ends.iter().map(|end| (end.channel, end.last.map(HeadRef::from)));
    fetch_rest(services, peer, client, community, ends.collect()).await
}

async fn fetch_rest(
    services: &Arc<Services>,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
    channels: Vec<(ChannelId, Option<HeadRef>)>,
) -> Result<(), FetchError> {
    for (channel, head) in channels {
        let chain = ChainId::of_channel(community, channel);
        let here = services.storage.read().await?.chain(chain).await?;
        if here.and_then(|here| here.head) != head {
            place_copy::fetch_channel(services, peer, client, (community, Some(channel))).await?;
        }
        check_here(services, chain, head).await?;
        note_sender_keys(services, chain).await?;
    }
    fetch_wraps(services, peer, client, community).await
}

/// Makes sure that a chain stands here as the hub has said.
async fn check_here(
    services: &Services,
    chain: ChainId,
    said: Option<HeadRef>,
) -> Result<(), FetchError> {
    let here = services.storage.read().await?.chain(chain).await?;
    if here.and_then(|here| here.head) == said {
        return Ok(());
    }
    // It has gone on, or the hub has not shown all yet.
    Err(FetchError::Unreachable("it has gone on meanwhile".to_owned()))
}

/// Notes what stands in a channel of Sender Keys: a home does not need it, a hub judges posts by it.
async fn note_sender_keys(services: &Services, chain: ChainId) -> Result<(), StorageError> {
    let noted = &services.peers.under_way.noted;
    loop {
        let after = noted.get(&chain);
        let page = services.storage.read().await?.entries(chain, after, PAGE).await?;
        let Some(last) = page.rows.last() else { return Ok(()) };
        let mut unit = services.storage.begin().await?;
        sender_key::note(&mut *unit, chain, &page.rows).await?;
        unit.commit().await?;
        noted.insert(chain, last.entry.seq);
    }
}

/// Fetches the wraps of all epochs, whoever they are for.
async fn fetch_wraps(
    services: &Services,
    peer: &Peer,
    client: &Client,
    community: CommunityId,
) -> Result<(), FetchError> {
    let mut after = None;
    loop {
        let mut view = services.storage.read().await?;
        let page = view.entries(ChainId::of_log(community), after, PAGE).await?;
        drop(view);
        let bodies = page.rows.iter().filter_map(|stored| stored.entry.body.as_ref());
        let statements = bodies.filter_map(|body| codec::decode::<Statement>(body.as_slice()).ok());
        for statement in statements {
            let Action::Epoch(start) = statement.action else { continue };
            let is_here = services.storage.read().await?.whole_blob(community, start.wraps).await?;
            if is_here.is_some() {
                continue;
            }
            let blob = (community, start.wraps);
            match place_blob::fetch_blob(services, peer, client, blob, None).await {
                // What its hub does not have nobody can have from it, then or now.
                Ok(()) | Err(FetchError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        match page.rows.last() {
            Some(last) if page.more => after = Some(last.entry.seq),
            _ => return Ok(()),
        }
    }
}
