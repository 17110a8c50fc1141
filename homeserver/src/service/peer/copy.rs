//! Copies of foreigners' chains: fetched from their homes, checked entry by entry by the rules that clients run, served to users here.
//!
//! Copies are kept up to date by heads that are compared at each connection and every minute, and by what peers answer when something was
//! sealed for a chain that has gone on. They stand in the same table as chains of users who live here, so that reading and following them
//! is the same for clients.

mod keep;

use std::sync::Arc;

use rookery_protocol::{
    chain::{Entry, HeadRef, SignedHead},
    id::{ChainId, DeviceId, UserId},
    io::client::{CallError, Client},
    name::ServerName,
    request::{
        chain::ReadError,
        peer::{PeerHeads, PeerReadChain},
    },
    session::FollowedChain,
    user::{self, Denied, State},
};

pub use self::keep::note_name;
pub(super) use self::keep::{Growth, keep, keep_all};
use super::{Peer, Services, share};
use crate::{
    repository::{StorageError, peer::StoredForeigner},
    service::{contact, directory},
};

/// Entries asked for at once.
const PAGE: u32 = 256;
/// Pages of one chain: a user's chain has tens of entries, and a home that sends more is up to something.
const MAX_PAGES: usize = 16;
/// How far a user's chain goes at most that is copied here.
pub(super) const MAX_SEQ: u64 = 10_000;
/// Chains in one comparison of heads.
const HEADS: u32 = 2_000;

/// A user of another server.
#[derive(Clone, Debug)]
pub struct Foreigner {
    /// What is stored of them.
    pub stored: StoredForeigner,
    /// What their chain amounts to.
    pub state: State,
    /// Where it stands.
    pub head: HeadRef,
    /// The devices that may act now.
    pub live: Vec<DeviceId>,
}

impl Foreigner {
    fn new(stored: StoredForeigner, state: State) -> Self {
        let live = if state.closed { vec![] } else { state.live_device_ids() };
        Self { stored, head: state.head.into(), live, state }
    }
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The peer shows no such chain.
    #[error("the peer shows no such chain")]
    NotFound,
    /// The peer does not answer, or not now.
    #[error("the peer does not answer: {0}")]
    Unreachable(String),
    /// The peer shows a chain that the rules forbid, or another one than before.
    #[error("the peer shows a chain that does not hold: {0}")]
    Denied(#[from] Denied),
    /// The chain begins at another server: the peer does not speak for this user.
    #[error("the user lives on another server")]
    NotTheirs,
    /// The peer has had as much copied here as it may, for now.
    #[error("as much was copied from the peer as may be for now")]
    Throttled {
        /// When there is room again, in milliseconds.
        retry_after_ms: u64,
    },
    /// No user's chain is so long.
    #[error("the peer shows a chain of more than {MAX_SEQ} statements")]
    TooLong,
    /// What the peer says of its chain is not signed by it.
    #[error("the peer's head is not signed by the peer")]
    Forged,
}

impl Services {
    /// The user of another server, if there is a copy of their chain.
    pub async fn foreigner(&self, user: UserId) -> Result<Option<Arc<Foreigner>>, StorageError> {
        if let Some(known) = self.peers.foreigners.get(&user) {
            return Ok(Some(known));
        }
        let mut view = self.storage.read().await?;
        let Some(stored) = view.foreigner(user).await? else { return Ok(None) };
        let Some(state) = directory::read_state(&mut *view, user).await? else { return Ok(None) };
        let foreigner = Arc::new(Foreigner::new(stored, state));
        Ok(Some(self.peers.foreigners.entry(user).or_insert(foreigner).into_value()))
    }

    /// Whether `caller`, who lives here, may read what a foreigner states about their devices, by what is known here: no other server is
    /// asked, which may be away.
    pub async fn may_follow_foreigner(
        &self,
        caller: UserId,
        foreigner: &Foreigner,
    ) -> Result<bool, StorageError> {
        let user = foreigner.stored.user;
        let standings = self.standings(caller, user).await?;
        Ok(contact::are_partners(standings.ours, standings.theirs)
            || self.is_named_to(caller, &[user]).await?.contains(&user)
            || self.peers.grants.contains_key(&(caller, user)))
    }

    /// Whether `caller`, who lives here, may read what a foreigner states about their devices: people they have to do with, and those whose
    /// home lets them.
    pub async fn may_read_foreigner(
        &self,
        caller: UserId,
        foreigner: &Foreigner,
    ) -> Result<bool, StorageError> {
        if self.may_follow_foreigner(caller, foreigner).await? {
            return Ok(true);
        }
        let user = foreigner.stored.user;
        let away = || StorageError::Unavailable("the user's server does not answer".to_owned());
        let peer = self.peer(&foreigner.stored.peer).ok_or_else(away)?;
        let client = peer.client().ok_or_else(away)?;
        let after = Some(foreigner.head.seq);
        let request = PeerReadChain { user, after, limit: 1, asker: Some(caller) };
        match client.call_watched(&request).await {
            Ok(_) => {
                self.peers.grants.insert((caller, user), ());
                Ok(true)
            }
            Err(CallError::Request(_)) => Ok(false),
            Err(_) => Err(away()),
        }
    }
}

/// The chain of a foreigner as it is here, or fetched from `peer` when it does not reach to `head`.
pub async fn reach(
    services: &Services,
    peer: &Peer,
    client: &Client,
    user: UserId,
    head: Option<HeadRef>,
) -> Result<Arc<Foreigner>, CopyError> {
    if let Some(known) = services.foreigner(user).await? {
        if known.stored.peer != peer.name || !peer.has_root(known.state.home_key) {
            return Err(CopyError::NotTheirs);
        }
        if head.is_none_or(|head| known.head.seq >= head.seq) {
            return Ok(known);
        }
    }
    fetch(services, peer, client, user, None).await
}

/// Fetches what is missing of a foreigner's chain from their home. `asker` is for whom, where nobody here has had to do with them before.
pub async fn fetch(
    services: &Services,
    peer: &Peer,
    client: &Client,
    user: UserId,
    asker: Option<UserId>,
) -> Result<Arc<Foreigner>, CopyError> {
    let turn = peer.copying.lock().await;
    for _ in 0..MAX_PAGES {
        let known = services.foreigner(user).await?;
        if let Some(known) = &known
            && known.stored.peer != peer.name
        {
            return Err(CopyError::NotTheirs);
        }
        let throttled = |retry_after_ms| CopyError::Throttled { retry_after_ms };
        if known.is_none() {
            share::admit_foreigner(services, peer).await?.map_err(throttled)?;
        }
        let after = known.as_ref().map(|known| known.head.seq);
        if after.is_some_and(|seq| seq >= MAX_SEQ) {
            return Err(CopyError::TooLong);
        }
        let request = PeerReadChain { user, after, limit: PAGE, asker };
        let page = match client.call_watched(&request).await {
            Ok(page) => page,
            Err(CallError::Request(ReadError::NotFound)) => return Err(CopyError::NotFound),
            Err(error) => return Err(CopyError::Unreachable(error.to_string())),
        };
        let head = check_head(peer, page.head)?;
        let states = check(peer, user, known.as_deref(), &page.entries)?;
        let stored = StoredForeigner {
            user,
            peer: peer.name.clone(),
            name: known.as_ref().and_then(|known| known.stored.name.clone()),
            head: head.or_else(|| known.as_ref().and_then(|known| known.stored.head.clone())),
            brought: bringer(services, peer, known.as_deref()).await?,
        };
        let is_last = !page.more || page.entries.is_empty();
        let state = states.into_iter().next_back();
        let foreigner = match (state, known) {
            (Some(state), _) => {
                share::take_copy(services, peer).map_err(throttled)?;
                keep(services, Growth { stored, state, entries: page.entries }).await?
            }
            (None, Some(known)) => known,
            (None, None) => return Err(CopyError::NotFound),
        };
        if is_last {
            drop(turn);
            return Ok(foreigner);
        }
    }
    Err(CopyError::Unreachable("the peer shows a chain without end".to_owned()))
}

/// Who has had us store a user's chain, now that their home shows it: nobody else, if the home has room for them.
async fn bringer(
    services: &Services,
    peer: &Peer,
    known: Option<&Foreigner>,
) -> Result<Option<ServerName>, StorageError> {
    let Some(brought) = known.and_then(|known| known.stored.brought.clone()) else {
        return Ok(None);
    };
    let is_full = share::admit_foreigner(services, peer).await?.is_err();
    Ok(is_full.then_some(brought))
}

/// Checks the peer's word for where the chain stands.
fn check_head(peer: &Peer, head: Option<SignedHead>) -> Result<Option<SignedHead>, CopyError> {
    let (Some(signed), Some(online)) = (&head, peer.online()) else { return Ok(None) };
    signed.verify(online).map_err(|_| CopyError::Forged)?;
    Ok(head)
}

/// Runs the rules over entries that follow what is known, and sees to it that the chain begins at the peer.
fn check(
    peer: &Peer,
    user: UserId,
    known: Option<&Foreigner>,
    entries: &[Entry],
) -> Result<Vec<State>, CopyError> {
    let mut states: Vec<State> = Vec::with_capacity(entries.len());
    for entry in entries {
        let before = states.last().or(known.map(|known| &known.state));
        let state = user::verify_and_apply(user, before, entry)?;
        if state.home != peer.name || !peer.has_root(state.home_key) {
            metrics::counter!("rookery_peer_refused_total", "reason" => "other server's user")
                .increment(1);
            tracing::warn!(peer = %peer.name, %user, "the peer showed another server's user as its own");
            return Err(CopyError::NotTheirs);
        }
        states.push(state);
    }
    Ok(states)
}

/// Lets a local user read a foreigner's chain, by the word of the foreigner's home.
pub fn grant(services: &Services, caller: UserId, user: UserId) {
    services.peers.grants.insert((caller, user), ());
}

/// Compares the heads of all copies of a peer's users with the peer's, and fetches what is new.
pub async fn compare(services: &Services, peer: &Peer, client: &Client) -> Result<(), CopyError> {
    let mut after = None;
    loop {
        let mut view = services.storage.read().await?;
        let users = view.foreigners_of(&peer.name, after, HEADS).await?;
        let Some(last) = users.last().copied() else { return Ok(()) };
        let ids: Vec<ChainId> = users.iter().map(|user| ChainId::of_user(*user)).collect();
        let chains = view.chains(&ids).await?;
        drop(view);
        let chains: Vec<_> = chains
            .into_iter()
            .map(|stored| FollowedChain { chain: stored.chain, have: stored.head })
            .collect();
        let moved = client.call_watched(&PeerHeads { chains }).await;
        let moved = moved.map_err(|error| CopyError::Unreachable(error.to_string()))?.moved;
        for one in moved {
            let Some(user) = users.iter().find(|user| ChainId::of_user(**user) == one.chain) else {
                continue;
            };
            match fetch(services, peer, client, *user, None).await {
                Ok(_) => {}
                // The rest is found a minute later.
                Err(CopyError::Throttled { .. }) => return Ok(()),
                Err(error @ (CopyError::Storage(_) | CopyError::Unreachable(_))) => {
                    return Err(error);
                }
                // One chain that does not hold says nothing about the others.
                Err(error) => {
                    metrics::counter!("rookery_peer_copies_refused_total", "peer" => peer.name.to_string())
                        .increment(1);
                    tracing::warn!(peer = %peer.name, %user, %error, "a copy was not brought up to date");
                }
            }
        }
        if users.len() < usize::try_from(HEADS).unwrap_or(usize::MAX) {
            return Ok(());
        }
        after = Some(last);
    }
}
