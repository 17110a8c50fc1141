//! Hubs that sign two histories of one community: found by comparing what they have said elsewhere with what they have said here, proven, kept
//! and told. From then on nothing is handed to such a hub for that community, nor taken from it.

use rookery_protocol::{
    chain::{Head, HeadRef},
    codec::Octets,
    community::{Fork, ForkLink, MAX_LINKS, NoProof, VouchedHead},
    id::{ChainId, ChannelId, CommunityId},
    request::{Failure, Refusal, chain::ReadError, community::Forks},
    session::{Authenticated, FollowDown},
};

use super::{Hosted, Word};
use crate::{
    repository::{Limit, StorageError},
    service::{Services, feed::Live},
};

/// Proofs that are kept of one community, one a chain: one is enough not to believe its hub.
pub const MAX_FORKS: usize = 8;

/// What a head comes to beside what is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Of one history with what is here, and not further.
    Borne,
    /// Further than what is here.
    Further,
    /// Of another history.
    Forked(Box<Fork>),
    /// It cannot be told: it is not the hub's, or what is here is not vouched for so far.
    Unknown,
}

/// Why a proof was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It shows nothing.
    #[error(transparent)]
    NoProof(#[from] NoProof),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The chain of a community's log, or of a channel.
#[must_use]
pub fn chain_of(community: CommunityId, channel: Option<ChannelId>) -> ChainId {
    match channel {
        Some(channel) => ChainId::of_channel(community, channel),
        None => ChainId::of_log(community),
    }
}

impl Services {
    /// Whether the hub of a community has been found to have signed two histories of it.
    pub async fn is_forked(&self, community: CommunityId) -> Result<bool, StorageError> {
        Ok(!self.storage.read().await?.forked(&[community]).await?.is_empty())
    }

    /// The hub's newest word for where a log or a channel stands, with the record that shows whose it is.
    pub async fn hub_word(
        &self,
        hosted: &Hosted,
        channel: Option<ChannelId>,
    ) -> Result<Option<VouchedHead>, Refusal> {
        let storage = |error| crate::service::refusal(&error);
        let stored = match self.newest_word(hosted, channel).await.map_err(storage)? {
            Some(Word::Copied(copied)) => return Ok(copied.vouched()),
            Some(Word::Own(stored)) => stored,
            None => return Ok(None),
        };
        let head = self.sign_head(&stored)?;
        Ok(head.map(|head| VouchedHead { head, record: self.identity.record().signed.clone() }))
    }
}

/// Compares a head that the hub of a community has signed for somebody else with what is here.
pub async fn compare(
    services: &Services,
    hosted: &Hosted,
    channel: Option<ChannelId>,
    theirs: &VouchedHead,
) -> Result<Compared, Refusal> {
    let storage = |error| crate::service::refusal(&error);
    let chain = chain_of(hosted.row.community, channel);
    let Some(head) = hosted.state.word(theirs, chain) else { return Ok(Compared::Unknown) };
    let mut view = services.storage.read().await.map_err(storage)?;
    let Some(stored) = view.chain(chain).await.map_err(storage)? else {
        return Ok(Compared::Unknown);
    };
    if stored.owner_epoch != head.owner_epoch {
        return Ok(Compared::Unknown);
    }
    let Some(here) = view.entry_hash(chain, head.seq).await.map_err(storage)? else {
        return Ok(Compared::Further);
    };
    drop(view);
    if here.hash == head.hash {
        return Ok(Compared::Borne);
    }
    let Some(ours) = services.hub_word(hosted, channel).await? else {
        return Ok(Compared::Unknown);
    };
    let Some(word) = hosted.state.word(&ours, chain) else { return Ok(Compared::Unknown) };
    let fork = prove(services, (hosted, channel), (theirs, head), (ours, word), here).await;
    Ok(fork.map_err(storage)?.map_or(Compared::Unknown, |fork| Compared::Forked(Box::new(fork))))
}

/// The proof, made with the entries that are here between the two heads.
async fn prove(
    services: &Services,
    (hosted, channel): (&Hosted, Option<ChannelId>),
    (lower, head): (&VouchedHead, Head),
    (upper, word): (VouchedHead, Head),
    base: HeadRef,
) -> Result<Option<Fork>, StorageError> {
    let chain = chain_of(hosted.row.community, channel);
    let count = usize::try_from(word.seq.saturating_sub(head.seq)).unwrap_or(usize::MAX);
    if word.seq < head.seq || count > MAX_LINKS {
        return Ok(None);
    }
    let mut links = Vec::with_capacity(count);
    let mut after = head.seq;
    let mut view = services.storage.read().await?;
    while links.len() < count {
        let page = view.entries(chain, Some(after), super::PAGE).await?;
        let left = count.saturating_sub(links.len());
        let entries = page.rows.iter().map(|stored| &stored.entry).take(left);
        links.extend(entries.map(ForkLink::of));
        match page.rows.last() {
            Some(last) => after = last.entry.seq,
            // What is here does not reach what the hub has signed.
            None => return Ok(None),
        }
    }
    drop(view);
    let made = make(services, hosted, channel, (lower.clone(), upper), (base, links)).await?;
    Ok(made.filter(|fork| fork.verify_in(&hosted.state).is_ok()))
}

/// A proof of two heads, the entry at the lower one's place in the history of the upper, and what leads from there to it.
pub async fn make(
    services: &Services,
    hosted: &Hosted,
    channel: Option<ChannelId>,
    (lower, upper): (VouchedHead, VouchedHead),
    (base, links): (HeadRef, Vec<ForkLink>),
) -> Result<Option<Fork>, StorageError> {
    let log = ChainId::of_log(hosted.row.community);
    let first = Limit { rows: 1, bytes: usize::MAX };
    let page = services.storage.read().await?.entries(log, None, first).await?;
    let genesis = page.rows.into_iter().next().and_then(|stored| stored.entry.body);
    let genesis = genesis.and_then(|body| Octets::parse(body.as_slice().to_vec()).ok());
    Ok(genesis.map(|genesis| Fork { genesis, channel, lower, upper, base: base.hash, links }))
}

/// Keeps a proof, whoever shows it, if it is of a community that is here, and has those told whom it concerns. Says whether it is new.
pub async fn note(services: &Services, fork: &Fork) -> Result<bool, NotKept> {
    let community = fork.community();
    let Some(hosted) = services.hosted(community).await? else { return Ok(false) };
    let shown = fork.verify_in(&hosted.state)?;
    let known = services.storage.read().await?.forks_of(community).await?;
    if known.len() >= MAX_FORKS || known.iter().any(|known| known.chain() == fork.chain()) {
        return Ok(false);
    }
    let mut unit = services.storage.begin().await?;
    if !unit.put_fork(community, fork, services.clock.now()).await? {
        return Ok(false);
    }
    unit.commit().await?;
    metrics::counter!("rookery_forks_total", "hub" => shown.hub.to_string()).increment(1);
    tracing::error!(
        %community,
        hub = %shown.hub,
        channel = shown.channel.map(tracing::field::debug),
        seq = shown.seq,
        "the hub of a community has signed two histories of it: the proof is kept, and nothing is handed to it for this community any more"
    );
    let residents = services.storage.read().await?.residents_in(community).await?;
    for user in residents {
        services.feeds.push_user(user, &Live::notice(&FollowDown::CommunitiesChanged));
    }
    for (home, _) in services.foreigners_in(community).await?.iter() {
        if let Some(peer) = services.peer(home) {
            peer.places.heads_soon();
        }
    }
    Ok(true)
}

/// The proofs that there are of a community, for somebody who has to do with it.
pub async fn read(
    services: &Services,
    who: Authenticated,
    community: CommunityId,
) -> Result<Forks, Failure<ReadError>> {
    let hosted = services.hosted(community).await?;
    if !hosted.is_some_and(|hosted| hosted.may_read_log(who.user)) {
        return Err(Failure::Error(ReadError::NotFound));
    }
    let mut forks = services.storage.read().await?.forks_of(community).await?;
    forks.truncate(MAX_FORKS);
    Ok(Forks { forks })
}
