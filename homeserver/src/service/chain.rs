//! Reading chains: who may read which, and what they get.

use rookery_protocol::{
    id::{ChainId, UserId},
    name::UserName,
    request::{
        Failure, Refusal,
        account::Writers,
        chain::{Entries, ReadChain, ReadError, ResolvedUser},
        contact::Standing,
    },
    session::{Authenticated, FollowDown, Principal},
};

use super::{Services, contact, directory::Resident, feed::Live};
use crate::repository::{Limit, StorageError, chain::ChainKind};

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
            Principal::Anonymous | Principal::Administrator => return Ok(false),
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

    /// Whether `caller` may read what `owner` states about their devices.
    pub async fn may_read_user(&self, caller: UserId, owner: UserId) -> Result<bool, StorageError> {
        if caller == owner {
            return Ok(true);
        }
        let standings = self.standings(caller, owner).await?;
        if contact::are_partners(standings.ours, standings.theirs) {
            return Ok(true);
        }
        let resident = self.resident(owner).await?;
        let is_open = standings.theirs != Some(Standing::Blocked)
            && resident.is_some_and(|owner| {
                owner.can_receive() && owner.settings.writers == Writers::Everyone
            });
        // Whoever reads a community's log checks it by the chains of all whom it names, whatever they think of the reader.
        Ok(is_open || self.is_named_to(caller, &[owner]).await?.contains(&owner))
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
    let mut view = services.storage.read().await?;
    let Some(chain) = view.chain(request.chain).await? else {
        // A journal exists for its reader before anything is in it.
        return Ok(Entries { entries: vec![], head: None, more: false });
    };
    let limit = Limit { rows: request.limit.clamp(1, PAGE_ROWS), bytes: PAGE_BYTES };
    let page = view.entries(request.chain, request.after, limit).await?;
    drop(view);
    // Whoever was sent away while this was read gets nothing that came after.
    if !services.may_read(&who, request.chain).await? {
        return Err(not_found());
    }
    let entries = page.rows.into_iter().map(|stored| stored.entry).collect();
    Ok(Entries { entries, head: services.sign_head(&chain)?, more: page.more })
}

/// Whose name it is, for whoever may write to them.
pub async fn resolve(
    services: &Services,
    who: Authenticated,
    name: &UserName,
) -> Result<ResolvedUser, Failure<ReadError>> {
    let resident = services.resident_by_name(name).await?;
    let resident = resident.ok_or(Failure::Error(ReadError::NotFound))?;
    let partners = services.may_read_user(who.user, resident.user).await?;
    let writable = services.may_write(who.user, &resident).await?.is_some();
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
) -> Result<Option<UserName>, Refusal> {
    let storage = |error| super::refusal(&error);
    if !services.may_read_user(who.user, user).await.map_err(storage)? {
        return Ok(None);
    }
    Ok(services.resident(user).await.map_err(storage)?.map(|resident| resident.name.clone()))
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
