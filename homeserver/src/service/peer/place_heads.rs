//! What hubs have said of where communities stand, compared between the homes of their members: a hub that shows two homes two histories is
//! found out by whichever of them is further. Homes do so when they connect and every ten minutes, of the communities and channels that
//! users of both read, and of no others.

use std::collections::BTreeSet;

use rookery_protocol::{
    community::Fork,
    id::{ChannelId, CommunityId, ServerId},
    io::client::{CallError, Client},
    request::{
        RateClass, Refusal,
        peer_place::{ComparedHeads, HubHead, PeerCompareHeads, PeerTellForks},
    },
};

use super::{
    Peer, Services,
    answer::peer_of,
    place_copy::{FetchError, ask, unreachable},
    place_right::Theirs,
    place_take::charge,
};
use crate::{
    repository::StorageError,
    service::community::{
        Hosted,
        fork::{self, Compared, MAX_FORKS, NotKept},
    },
};

/// Heads in one request.
const AT_ONCE: usize = 128;
/// Communities that are looked up at once.
const COMMUNITIES: u32 = 64;

/// Shows the peer what hubs have said here, and compares what they have said there.
pub(super) async fn exchange(
    services: &Services,
    peer: &Peer,
    client: &Client,
) -> Result<(), FetchError> {
    let mut after = None;
    loop {
        let mut view = services.storage.read().await?;
        let shared = view.shared_with(&peer.name, after, COMMUNITIES).await?;
        drop(view);
        let mut heads = vec![];
        for community in &shared {
            heads.extend(heads_of(services, peer, *community).await?);
        }
        for heads in heads.chunks(AT_ONCE) {
            let request = PeerCompareHeads { heads: heads.to_vec() };
            match ask(client, &request).await {
                // An older server compares nothing.
                Err(CallError::Refused(Refusal::UnknownMethod)) => return Ok(()),
                Err(error) if client.connection().lost().is_some() => {
                    return Err(unreachable(error));
                }
                // What is said of some communities is not in the way of the others.
                Err(error) => {
                    tracing::warn!(peer = %peer.name, %error, "what hubs have said was not compared");
                }
                Ok(compared) => take_in(services, peer, client, heads, compared).await?,
            }
        }
        after = shared.last().copied();
        if shared.len() < usize::try_from(COMMUNITIES).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// What its hub has said of a community's log and channels, as far as users of the peer read them.
async fn heads_of(
    services: &Services,
    peer: &Peer,
    community: CommunityId,
) -> Result<Vec<HubHead>, FetchError> {
    let Some(hosted) = services.hosted(community).await? else { return Ok(vec![]) };
    let mut heads = vec![];
    let channels = hosted.state.channels.keys().copied().map(Some);
    let mut theirs = Theirs::of(services, peer);
    for channel in std::iter::once(None).chain(channels) {
        if theirs.read_in(&hosted, channel).await? {
            let said = hub_word(services, &hosted, channel).await?;
            heads.extend(said.map(|said| HubHead { community, channel, said }));
        }
    }
    Ok(heads)
}

async fn hub_word(
    services: &Services,
    hosted: &Hosted,
    channel: Option<ChannelId>,
) -> Result<Option<rookery_protocol::community::VouchedHead>, FetchError> {
    let word = services.hub_word(hosted, channel).await;
    word.map_err(|refusal| FetchError::Unreachable(refusal.to_string()))
}

/// Takes in what the peer says of `heads`, and shows it what it has not found out.
async fn take_in(
    services: &Services,
    peer: &Peer,
    client: &Client,
    heads: &[HubHead],
    compared: ComparedHeads,
) -> Result<(), FetchError> {
    for fork in compared.forks.iter().take(MAX_FORKS) {
        note(services, peer, fork).await?;
    }
    let asked: BTreeSet<_> = heads.iter().map(|one| (one.community, one.channel)).collect();
    for one in compared.heads.into_iter().take(AT_ONCE) {
        let HubHead { community, channel, said } = one;
        if !asked.contains(&(community, channel)) {
            continue;
        }
        let Some(hosted) = services.hosted(community).await? else { continue };
        let found = fork::compare(services, &hosted, channel, &said).await;
        let found = found.map_err(|refusal| FetchError::Unreachable(refusal.to_string()))?;
        if let Compared::Forked(fork) = found {
            note(services, peer, &fork).await?;
        }
    }
    let communities: BTreeSet<CommunityId> = heads.iter().map(|one| one.community).collect();
    let mut forks = forks_of(services, &communities).await?;
    forks.retain(|fork| !compared.forks.contains(fork));
    for forks in forks.chunks(MAX_FORKS) {
        let request = PeerTellForks { forks: forks.to_vec() };
        ask(client, &request).await.map_err(unreachable)?;
    }
    Ok(())
}

async fn forks_of(
    services: &Services,
    communities: &BTreeSet<CommunityId>,
) -> Result<Vec<Fork>, StorageError> {
    let communities: Vec<_> = communities.iter().copied().collect();
    let mut view = services.storage.read().await?;
    let mut forks = vec![];
    for (community, _) in view.forked(&communities).await? {
        forks.extend(view.forks_of(community).await?);
    }
    Ok(forks)
}

/// Keeps a proof that a peer shows, or that was made of what it shows.
pub(super) async fn note(
    services: &Services,
    peer: &Peer,
    fork: &Fork,
) -> Result<bool, StorageError> {
    match fork::note(services, fork).await {
        Ok(is_new) => Ok(is_new),
        Err(NotKept::Storage(error)) => Err(error),
        Err(NotKept::NoProof(error)) => {
            tracing::warn!(peer = %peer.name, %error, "a proof that a hub has signed two histories was shown that is none");
            Ok(false)
        }
    }
}

/// Compares what hubs have said to a peer with what they have said here.
pub async fn compare(
    services: &Services,
    root: ServerId,
    request: PeerCompareHeads,
) -> Result<ComparedHeads, Refusal> {
    let peer = peer_of(services, root)?;
    let storage = |error: StorageError| super::super::refusal(&error);
    if request.heads.len() > AT_ONCE {
        return Err(Refusal::Malformed);
    }
    charge(services, root, RateClass::PeerRead, request.heads.len())?;
    let mut theirs = Theirs::of(services, &peer);
    let mut communities = BTreeSet::new();
    let mut heads = vec![];
    for HubHead { community, channel, said } in request.heads {
        let Some(hosted) = services.hosted(community).await.map_err(storage)? else { continue };
        // Nobody learns by asking what their users may not read.
        if !theirs.read_in(&hosted, channel).await.map_err(storage)? {
            continue;
        }
        communities.insert(community);
        match fork::compare(services, &hosted, channel, &said).await? {
            Compared::Forked(fork) => {
                note(services, &peer, &fork).await.map_err(storage)?;
            }
            Compared::Further => {
                let said = services.hub_word(&hosted, channel).await?;
                heads.extend(said.map(|said| HubHead { community, channel, said }));
            }
            Compared::Borne | Compared::Unknown => {}
        }
    }
    let mut forks = forks_of(services, &communities).await.map_err(storage)?;
    forks.truncate(MAX_FORKS);
    Ok(ComparedHeads { heads, forks })
}

/// Takes in proofs that a peer shows.
pub async fn tell(
    services: &Services,
    root: ServerId,
    request: PeerTellForks,
) -> Result<(), Refusal> {
    let peer = peer_of(services, root)?;
    if request.forks.len() > MAX_FORKS {
        return Err(Refusal::Malformed);
    }
    charge(services, root, RateClass::PeerForward, request.forks.len())?;
    for fork in &request.forks {
        note(services, &peer, fork).await.map_err(|error| super::super::refusal(&error))?;
    }
    Ok(())
}
