//! Communities: what their hub lets in, keeps and tells, and copies of those that other servers are the hubs of.
//!
//! A community is a fold over its log ([`rookery_protocol::community::State`]). The hub keeps the folds of those that are asked for in
//! memory; whoever changes one does so under [`Services::order`], puts the new fold here after the commit, and tells followers before
//! letting go. So a post is judged at the log's head, and nobody who was sent away gets what is stored after.

pub mod admin;
pub mod append;
pub mod author;
mod belonging;
pub mod blob;
mod chains;
pub mod copy;
pub mod fork;
mod judge;
pub mod look;
mod moving;
pub mod post;
pub mod read;
pub mod reads;
pub(in crate::service) mod regain;
pub(in crate::service) mod sender_key;
pub mod spread;
pub mod suggest;
mod tell;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use rookery_protocol::{
    chain::{Entry, HeadRef, SignedHead},
    codec,
    community::{Action, Refused, State, Statement, apply},
    id::{ChainId, ChannelId, CommunityId, UserId},
    request::Refusal,
    time::Timestamp,
    user,
};

use self::chains::Known;
use super::Services;
use crate::repository::{
    Limit, StorageError, View,
    abroad::CopiedHead,
    chain::StoredChain,
    community::{ChainPlace, StoredCommunity},
};

/// Folds in memory: a large one takes some megabytes.
const MAX_FOLDS: u64 = 1_000;
/// Users' chains in memory, entry by entry: about 10 KiB each.
const MAX_HISTORIES: u64 = 20_000;
/// Chains of communities by id: about 150 bytes each.
const MAX_PLACES: u64 = 200_000;
/// Members of channels in slow mode, and when they last spoke.
const MAX_SPOKEN: u64 = 200_000;
/// How long somebody who looked at a community by an invitation's right may fetch what belongs to it.
const PREVIEW: Duration = Duration::from_hours(1);
/// How much of a log is read at once.
pub(in crate::service) const PAGE: Limit = Limit { rows: 256, bytes: 1024 * 1024 };

/// A community that this server is the hub of, or that there is a copy of.
#[derive(Clone, Debug)]
pub struct Hosted {
    /// What the server itself says of it.
    pub row: StoredCommunity,
    /// What its log amounts to.
    pub state: State,
    /// What its owner has last vouched for.
    pub(super) vouched: Option<Arc<look::Vouched>>,
}

/// A word for where a log or a channel stands.
pub(super) enum Word {
    /// This server's, which is to be signed.
    Own(StoredChain),
    /// Another hub's.
    Copied(CopiedHead),
}

/// What is kept in memory of communities.
pub struct Hub {
    folds: Cache<CommunityId, Arc<Hosted>>,
    histories: Cache<UserId, Arc<Vec<user::State>>>,
    places: Cache<ChainId, ChainPlace>,
    /// What users have looked at by an invitation's right.
    previews: Cache<UserId, Arc<Vec<CommunityId>>>,
    /// When a user last spoke in a channel in slow mode. A restart forgets it.
    spoken: Cache<(ChainId, UserId), Timestamp>,
    posts: post::Outbox,
    /// What other servers are to be told.
    pub spread: spread::Spread,
    /// Communities that are about to be handed over.
    pub moves: moving::Moves,
    /// Held while a copy of a community is brought up to date.
    copying: Cache<CommunityId, Arc<tokio::sync::Mutex<()>>>,
}

/// A hub, and where its posts are taken out.
#[must_use]
pub fn hub() -> (Hub, post::Inlet, spread::Outlet) {
    let (posts, inlet) = post::queue();
    let (spread, outlet) = spread::spread();
    let hub = Hub {
        folds: Cache::new(MAX_FOLDS),
        histories: Cache::new(MAX_HISTORIES),
        places: Cache::new(MAX_PLACES),
        previews: Cache::builder().max_capacity(MAX_PLACES).time_to_live(PREVIEW).build(),
        spoken: Cache::new(MAX_SPOKEN),
        posts,
        spread,
        moves: moving::Moves::default(),
        copying: Cache::new(MAX_FOLDS),
    };
    (hub, inlet, outlet)
}

impl Hub {
    /// Forgets what is in memory of a community.
    pub fn forget(&self, community: CommunityId) {
        self.folds.invalidate(&community);
    }

    /// Waits for the turn to bring the copy of a community up to date.
    pub async fn copying(&self, community: CommunityId) -> tokio::sync::OwnedMutexGuard<()> {
        self.copying.get_with(community, Arc::default).lock_owned().await
    }
}

impl Hosted {
    /// Whether `user` may follow and read the log: members, those who were invited by name, and those who ask.
    #[must_use]
    pub fn may_read_log(&self, user: UserId) -> bool {
        let State { members, asking, invites, .. } = &self.state;
        members.contains_key(&user)
            || asking.contains_key(&user)
            || invites.values().any(|invite| invite.user == Some(user))
    }

    /// Whether `user` may read the log, or a channel.
    #[must_use]
    pub fn may_read(&self, user: UserId, channel: Option<ChannelId>) -> bool {
        let may = match channel {
            Some(channel) => self.state.may_read(user, channel),
            None => self.may_read_log(user),
        };
        may && !self.state.is_deleted
    }

    /// Where the log stands.
    #[must_use]
    pub fn head(&self) -> HeadRef {
        self.state.head.into()
    }
}

/// Whose chains a statement is judged by: its author's, and that of whom it brings in.
fn named_by(entry: &Entry) -> Vec<UserId> {
    let statement: Option<Statement> =
        entry.body.as_ref().and_then(|body| codec::decode(body.as_slice()).ok());
    let Some(Statement { author, action, .. }) = statement else { return vec![] };
    match action {
        Action::Add(add) => vec![author, add.user],
        _ => vec![author],
    }
}

impl Services {
    /// The community `community`, if this server is its hub or has a copy of it, and it has not ended.
    pub async fn hosted(
        &self,
        community: CommunityId,
    ) -> Result<Option<Arc<Hosted>>, StorageError> {
        if let Some(hosted) = self.hub.folds.get(&community) {
            return Ok(Some(hosted));
        }
        let mut view = self.storage.read().await?;
        let Some(row) = view.community(community).await?.filter(|row| !row.is_deleted) else {
            return Ok(None);
        };
        let (state, vouched) = self.fold(&mut *view, community).await?;
        let state = state.ok_or(StorageError::Inconsistent { table: "community" })?;
        let hosted = Arc::new(Hosted { row, state, vouched });
        Ok(Some(self.hub.folds.entry(community).or_insert(hosted).into_value()))
    }

    /// What the log amounts to, and what its owner has last vouched for. The entries were checked when they came, so their signatures are not
    /// checked again.
    async fn fold(
        &self,
        view: &mut (impl View + ?Sized),
        community: CommunityId,
    ) -> Result<(Option<State>, Option<Arc<look::Vouched>>), StorageError> {
        let (mut state, mut vouched) = (None, None);
        let broken = StorageError::Inconsistent { table: "entry" };
        let mut known = Known::default();
        loop {
            let after = state.as_ref().map(|state: &State| state.head.seq);
            let page = view.entries(ChainId::of_log(community), after, PAGE).await?;
            let named = page.rows.iter().flat_map(|stored| named_by(&stored.entry)).collect();
            self.bring_all(view, &mut known, named).await?;
            for entry in page.rows.into_iter().map(|stored| stored.entry) {
                let payload = entry.signed.payload.as_slice();
                let item = codec::decode(payload).map_err(|_| broken.clone())?;
                let next = loop {
                    match apply(community, state.as_ref(), &entry, &item, &known) {
                        Ok(next) => break next,
                        Err(Refused::Hold { user, head }) => {
                            if !self.bring(view, &mut known, user, head.seq).await? {
                                return Err(broken);
                            }
                        }
                        Err(Refused::Denied(error)) => {
                            tracing::error!(%community, seq = entry.seq, %error, "a stored log breaks its rules");
                            return Err(broken);
                        }
                    }
                };
                vouched = look::Vouched::by(&entry, state.as_ref(), &next).or(vouched);
                state = Some(next);
            }
            if !page.more {
                return Ok((state, vouched));
            }
        }
    }

    /// What `chain` is of which community.
    async fn place_of(&self, chain: ChainId) -> Result<Option<ChainPlace>, StorageError> {
        if let Some(place) = self.hub.places.get(&chain) {
            return Ok(Some(place));
        }
        let place = self.storage.read().await?.chain_place(chain).await?;
        if let Some(place) = place {
            self.hub.places.insert(chain, place);
        }
        Ok(place)
    }

    /// The newest word of a hub for where a log or a channel stands.
    pub async fn head_of_place(&self, stored: &StoredChain) -> Result<Option<SignedHead>, Refusal> {
        let storage = |error| super::refusal(&error);
        let Some(place) = self.place_of(stored.chain).await.map_err(storage)? else {
            return Ok(None);
        };
        match self.hosted(place.community).await.map_err(storage)? {
            Some(hosted) => {
                match self.newest_word(&hosted, place.channel).await.map_err(storage)? {
                    Some(Word::Own(stored)) => self.sign_head(&stored),
                    Some(Word::Copied(copied)) => Ok(Some(copied.head)),
                    None => Ok(None),
                }
            }
            None => Ok(None),
        }
    }

    /// Whose word on a log, or a channel, is the newest: another hub's that was copied, or that of this server on what it ordered.
    pub(super) async fn newest_word(
        &self,
        hosted: &Hosted,
        channel: Option<ChannelId>,
    ) -> Result<Option<Word>, StorageError> {
        let own = self.shown_through(hosted, channel).await?;
        if hosted.row.hub.is_none() {
            return Ok(own.map(Word::Own));
        }
        let chain = fork::chain_of(hosted.row.community, channel);
        let copied = self.storage.read().await?.copied_head(chain).await?;
        let reaches = |copied: &CopiedHead| {
            copy::place_of_head(copied, chain).map(|head| head.seq)
                >= own.as_ref().and_then(|own| own.head).map(|head| head.seq)
        };
        Ok(match copied.filter(reaches) {
            Some(copied) => Some(Word::Copied(copied)),
            None => own.map(Word::Own),
        })
    }

    /// The log, or a channel, of a community as far as this server's word on it goes: what it has ordered, and nothing that comes after.
    pub async fn shown_through(
        &self,
        hosted: &Hosted,
        channel: Option<ChannelId>,
    ) -> Result<Option<StoredChain>, StorageError> {
        let chain = fork::chain_of(hosted.row.community, channel);
        let stored = self.storage.read().await?.chain(chain).await?;
        if hosted.row.hub.is_none() {
            return Ok(stored);
        }
        let end = hosted.state.end_by(self.identity.server(), channel);
        Ok(stored.zip(end).map(|(stored, (owner_epoch, end))| StoredChain {
            owner_epoch,
            head: Some(end.into()),
            ..stored
        }))
    }

    /// Whether `user` may read `chain`, which is a log or a channel.
    pub async fn may_read_place(&self, user: UserId, chain: ChainId) -> Result<bool, StorageError> {
        let Some(place) = self.place_of(chain).await? else { return Ok(false) };
        let hosted = self.hosted(place.community).await?;
        Ok(hosted.is_some_and(|hosted| hosted.may_read(user, place.channel)))
    }

    /// Whether `user`, who could read `chain` a moment ago, still can.
    pub async fn still_reads(&self, user: UserId, chain: ChainId) -> Result<bool, StorageError> {
        // Chains of communities were looked up a moment ago; all others are read for ever.
        match self.hub.places.get(&chain) {
            Some(_) => self.may_read_place(user, chain).await,
            None => Ok(true),
        }
    }

    /// Which of `users` are named in a community whose log `caller` may read, or has just looked at.
    pub async fn is_named_to(
        &self,
        caller: UserId,
        users: &[UserId],
    ) -> Result<Vec<UserId>, StorageError> {
        let mut named = self.storage.read().await?.related(caller, users).await?;
        let looked_at = self.hub.previews.get(&caller).unwrap_or_default();
        for community in looked_at.iter() {
            if let Some(hosted) = self.hosted(*community).await? {
                named.extend(users.iter().filter(|user| hosted.state.heads.contains_key(user)));
            }
        }
        Ok(named)
    }
}
