//! Reading chains: who may read which, and what they get.

use rookery_protocol::{
    chain::SignedHead,
    id::{ChainId, UserId},
    io::client::CallError,
    name::{ServerName, UserName},
    request::{
        Failure, Refusal,
        account::Writers,
        chain::{Entries, ReadChain, ReadError, ResolvedUser, UserNameReply},
        contact::Standing,
        peer::PeerResolve,
    },
    session::{Authenticated, FollowDown, Principal},
};

use super::{
    Services, contact,
    directory::Resident,
    feed::Live,
    peer::copy::{self, CopyError},
};
use crate::repository::{
    Limit, StorageError,
    chain::{ChainKind, StoredChain},
};

/// A reply is a frame of at most a batch: this leaves room for places, hashes and signatures beside the bodies.
const PAGE_BYTES: usize = 900 * 1024;
const PAGE_ROWS: u32 = 256;

impl Services {
    /// Whether `who` may read `chain`, and whose it is: one's own, one's journal, and the chains of people one has to
    /// do with, or may write to.
    pub async fn may_read(&self, who: &Principal, chain: ChainId) -> Result<bool, StorageError> {
        let (caller, certified) = match who {
            Principal::Device(who) => (who.user, true),
            Principal::Uncertified(who) => (who.user, false),
            Principal::Anonymous | Principal::Peer(_) | Principal::Administrator => {
                return Ok(false);
            }
        };
        if chain == ChainId::of_user(caller) {
            return Ok(true);
        }
        if !certified {
            return Ok(false);
        }
        if chain == ChainId::of_journal(caller) {
            return Ok(true);
        }
        let Some(stored) = self.storage.read().await?.chain(chain).await? else { return Ok(false) };
        match stored.kind {
            ChainKind::User => self.may_read_user(caller, stored.owner).await,
            ChainKind::Journal => Ok(false),
            ChainKind::Log | ChainKind::Channel => self.may_read_place(caller, chain).await,
        }
    }

    /// Whether `who` may follow a chain: as [`Services::may_read`] says, but by what is known here. A device's stream waits for no other server.
    pub async fn may_follow(
        &self,
        who: Authenticated,
        chain: ChainId,
    ) -> Result<bool, StorageError> {
        let stored = self.storage.read().await?.chain(chain).await?;
        if let Some(stored) = stored.filter(|stored| stored.kind == ChainKind::User)
            && stored.owner != who.user
            && self.resident(stored.owner).await?.is_none()
            && let Some(foreigner) = self.foreigner(stored.owner).await?
        {
            return self.may_follow_foreigner(who.user, &foreigner).await;
        }
        self.may_read(&Principal::Device(who), chain).await
    }

    /// Whether `caller` may read what `owner` states about their devices.
    pub async fn may_read_user(&self, caller: UserId, owner: UserId) -> Result<bool, StorageError> {
        if caller == owner {
            return Ok(true);
        }
        let standings = self.standings(caller, owner).await?;
        if contact::are_partners(standings.ours, standings.theirs) {
            return Ok(true);
        }
        // Whoever reads a community's log checks it by the chains of all whom it names, whatever they think of the reader.
        if self.is_named_to(caller, &[owner]).await?.contains(&owner) {
            return Ok(true);
        }
        let resident = self.resident(owner).await?;
        if resident.is_none()
            && let Some(foreigner) = self.foreigner(owner).await?
        {
            return self.may_read_foreigner(caller, &foreigner).await;
        }
        let is_open = standings.theirs != Some(Standing::Blocked)
            && resident.is_some_and(|owner| {
                owner.can_receive() && owner.settings.writers == Writers::Everyone
            });
        Ok(is_open)
    }

    /// The word of a chain's owner for where it stands: of a foreigner's chain that is their home, and of a copied log or channel its hub.
    pub async fn head_of(&self, stored: &StoredChain) -> Result<Option<SignedHead>, Refusal> {
        let storage = |error| super::refusal(&error);
        match stored.kind {
            ChainKind::User => {
                if let Some(foreigner) = self.foreigner(stored.owner).await.map_err(storage)? {
                    return Ok(foreigner.stored.head.clone());
                }
            }
            ChainKind::Log | ChainKind::Channel => {
                return self.head_of_place(stored).await;
            }
            ChainKind::Journal => {}
        }
        self.sign_head(stored)
    }

    /// Whether `sender` may write to `receiver`, and whether as a stranger.
    pub async fn may_write(
        &self,
        sender: UserId,
        receiver: &Resident,
    ) -> Result<Option<WritesAs>, StorageError> {
        if !receiver.can_receive() {
            return Ok(None);
        }
        if sender == receiver.user {
            return Ok(Some(WritesAs::Partner));
        }
        let standings = self.standings(receiver.user, sender).await?;
        Ok(match standings.ours {
            // Whoever asked somebody wants to hear from them.
            Some(Standing::Accepted | Standing::Asked) => Some(WritesAs::Partner),
            Some(Standing::Blocked) => None,
            _ if !self.lets_strangers_write(sender, receiver).await? => None,
            Some(Standing::Asking | Standing::Stranger) => Some(WritesAs::KnownStranger),
            None => Some(WritesAs::NewStranger),
        })
    }

    async fn lets_strangers_write(
        &self,
        sender: UserId,
        receiver: &Resident,
    ) -> Result<bool, StorageError> {
        match receiver.settings.writers {
            Writers::Everyone => Ok(true),
            Writers::CoMembers => {
                self.storage.read().await?.share_community(sender, receiver.user).await
            }
            Writers::Contacts => Ok(false),
        }
    }
}

/// As what somebody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritesAs {
    /// As oneself, a contact, or somebody who was asked to be one.
    Partner,
    /// As somebody whose request is shown already.
    KnownStranger,
    /// As somebody who writes for the first time.
    NewStranger,
}

/// Reads some of a chain.
pub async fn read(
    services: &Services,
    who: Principal,
    request: ReadChain,
) -> Result<Entries, Failure<ReadError>> {
    let not_found = || Failure::Error(ReadError::NotFound);
    if !services.may_read(&who, request.chain).await? {
        return Err(not_found());
    }
    // A journal exists for its reader before anything is in it.
    let none = Entries { entries: vec![], head: None, more: false };
    let entries = page(services, request.chain, request.after, request.limit).await?;
    // Whoever was sent away while this was read gets nothing that came after.
    if !services.may_read(&who, request.chain).await? {
        return Err(not_found());
    }
    Ok(entries.unwrap_or(none))
}

/// Some entries of a chain, whoever may read it.
pub async fn page(
    services: &Services,
    chain: ChainId,
    after: Option<u64>,
    limit: u32,
) -> Result<Option<Entries>, Refusal> {
    let storage = |error| super::refusal(&error);
    let mut view = services.storage.read().await.map_err(storage)?;
    let Some(stored) = view.chain(chain).await.map_err(storage)? else { return Ok(None) };
    let limit = Limit { rows: limit.clamp(1, PAGE_ROWS), bytes: PAGE_BYTES };
    let page = view.entries(chain, after, limit).await.map_err(storage)?;
    drop(view);
    let head = services.head_of(&stored).await?;
    let entries = page.rows.into_iter().map(|stored| stored.entry).collect();
    Ok(Some(Entries { entries, head, more: page.more }))
}

/// After which place the last `limit` entries of a chain come; nothing if that is all of them.
pub async fn before_last(
    services: &Services,
    chain: ChainId,
    limit: u32,
) -> Result<Option<u64>, StorageError> {
    let stored = services.storage.read().await?.chain(chain).await?;
    let head = stored.and_then(|stored| stored.head);
    Ok(head.and_then(|head| head.seq.checked_sub(u64::from(limit.clamp(1, PAGE_ROWS)))))
}

/// Whose name it is, for whoever may write to them.
pub async fn resolve(
    services: &Services,
    caller: UserId,
    name: &UserName,
) -> Result<ResolvedUser, Failure<ReadError>> {
    let resident = services.resident_by_name(name).await?;
    let resident = resident.ok_or(Failure::Error(ReadError::NotFound))?;
    let partners = services.may_read_user(caller, resident.user).await?;
    let writable = services.may_write(caller, &resident).await?.is_some();
    if !(partners || writable) || !resident.can_receive() {
        return Err(Failure::Error(ReadError::NotFound));
    }
    Ok(ResolvedUser { user: resident.user, head: resident.head })
}

/// The name of a user whom the caller may read.
pub async fn name_of(
    services: &Services,
    who: Authenticated,
    user: UserId,
) -> Result<UserNameReply, Refusal> {
    let storage = |error| super::refusal(&error);
    if !services.may_read_user(who.user, user).await.map_err(storage)? {
        return Ok(UserNameReply { name: None, server: None });
    }
    if let Some(resident) = services.resident(user).await.map_err(storage)? {
        return Ok(UserNameReply { name: Some(resident.name.clone()), server: None });
    }
    let foreigner = services.foreigner(user).await.map_err(storage)?;
    let stored = foreigner.map(|foreigner| foreigner.stored.clone());
    Ok(UserNameReply {
        name: stored.as_ref().and_then(|stored| stored.name.clone()),
        server: stored.map(|stored| stored.peer),
    })
}

/// Whose name it is at another server, for whoever that lets write to them.
pub async fn resolve_abroad(
    services: &Services,
    who: Authenticated,
    server: &ServerName,
    name: &UserName,
) -> Result<ResolvedUser, Failure<ReadError>> {
    let peer = services.peer(server).ok_or(Failure::Error(ReadError::UnknownServer))?;
    let away = || Failure::Error(ReadError::Unreachable { since: peer.state().1 });
    let client = peer.client().ok_or_else(away)?;
    // The other side sees to it that the asker is a user of this one.
    let mut unit = services.storage.begin().await?;
    unit.let_peer_read(server, who.user).await?;
    unit.commit().await?;
    let request = PeerResolve { name: name.clone(), asker: who.user };
    let resolved = match client.call_watched(&request).await {
        Ok(resolved) => resolved,
        Err(CallError::Request(ReadError::NotFound)) => {
            return Err(Failure::Error(ReadError::NotFound));
        }
        Err(CallError::Refused(refusal @ Refusal::Throttled { .. })) => return Err(refusal.into()),
        Err(error) => {
            tracing::debug!(peer = %server, %error, "a name was not resolved");
            return Err(away());
        }
    };
    let reached = copy::reach(services, &peer, &client, resolved.user, Some(resolved.head)).await;
    let foreigner = match reached {
        Ok(foreigner) => foreigner,
        Err(CopyError::Storage(error)) => return Err(error.into()),
        Err(CopyError::Unreachable(_)) => return Err(away()),
        Err(CopyError::Throttled { retry_after_ms }) => {
            return Err(Refusal::Throttled { retry_after_ms }.into());
        }
        Err(error) => {
            tracing::warn!(peer = %server, user = %resolved.user, %error, "a peer showed a user that does not hold");
            return Err(Failure::Error(ReadError::NotFound));
        }
    };
    copy::note_name(services, &peer, &foreigner, name).await?;
    copy::grant(services, who.user, resolved.user);
    Ok(ResolvedUser { user: resolved.user, head: foreigner.head })
}

/// Tells accepted contacts that do not follow a user's chain that it has moved, so that they fetch it before they next write.
pub async fn tell_partners(services: &Services, resident: &Resident) {
    let chain = ChainId::of_user(resident.user);
    let contacts = match services.storage.read().await {
        Ok(mut view) => view.accepted_contacts(resident.user).await,
        Err(error) => Err(error),
    };
    match contacts {
        Ok(contacts) => {
            let moved = Live::notice(&FollowDown::ChainMoved { chain, head: resident.head });
            for user in contacts {
                services.feeds.push_user_unless_following(user, chain, &moved);
            }
        }
        Err(error) => tracing::warn!(%error, "contacts were not told of a chain that moved"),
    }
}
