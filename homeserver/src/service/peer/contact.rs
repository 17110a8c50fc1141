//! Contacts across servers: each home keeps its own user's side, and tells the other by what it hands over.
//!
//! What somebody learns by asking is the same as at home: a request always waits, and who it went to is not told before they accept. Each side
//! agrees for its own user alone, whatever the other says.

mod take;

use std::sync::Arc;

use rookery_protocol::{
    codec,
    id::{ItemId, UserId},
    name::{Address, ServerName},
    request::{
        Failure, Refusal,
        contact::{ContactChange, ContactError, RequestedContact, Standing},
        peer::{ContactAct, Forwarded, ForwardedContact, ForwardedContent},
    },
    session::{Authenticated, FollowDown},
    time::Timestamp,
};

pub(super) use self::take::take;
use super::{Peer, Services, people, standing};
use crate::{
    repository::{Repository, StorageError, contact::StoredContact, peer::Outbound},
    service::{feed::Live, message::lane_of},
};

/// When to come again while there is no room for the answer, in milliseconds.
const FULL: u64 = 60_000;

/// Asks somebody on another server to be a contact.
pub async fn request(
    services: &Services,
    who: Authenticated,
    address: &Address,
) -> Result<RequestedContact, Failure<ContactError>> {
    let mut act = Acting::begin(services, who, address).await?;
    let is_new = act.row.is_none();
    if is_new && act.unit.contact_count(who.user).await? >= services.config.contacts {
        return Err(Failure::Error(ContactError::Full));
    }
    match act.row.as_ref().map(|row| row.standing) {
        Some(Standing::Accepted) => Ok(RequestedContact::Accepted),
        // They asked before, or wrote before: this is a yes.
        Some(Standing::Asking | Standing::Stranger) => {
            act.put(Standing::Accepted).await?;
            act.hand_over(ContactAct::Accept).await?;
            act.commit().await?;
            Ok(RequestedContact::Accepted)
        }
        Some(Standing::Asked | Standing::Blocked) | None => {
            act.put(Standing::Asked).await?;
            act.hand_over(ContactAct::Ask).await?;
            act.commit().await?;
            Ok(RequestedContact::Waiting)
        }
    }
}

/// Changes how the caller stands to somebody on another server.
pub async fn change(
    services: &Services,
    who: Authenticated,
    address: &Address,
    change: ContactChange,
) -> Result<(), Failure<ContactError>> {
    let mut act = Acting::begin(services, who, address).await?;
    match (change, act.row.as_ref().map(|row| row.standing)) {
        (ContactChange::Accept, Some(Standing::Asking | Standing::Stranger)) => {
            act.put(Standing::Accepted).await?;
            act.hand_over(ContactAct::Accept).await?;
        }
        (ContactChange::Accept, Some(Standing::Accepted))
        | (ContactChange::Block, Some(Standing::Blocked)) => return Ok(()),
        (
            ContactChange::Decline | ContactChange::Remove,
            Some(Standing::Asking | Standing::Stranger),
        )
        | (ContactChange::Unblock, Some(Standing::Blocked)) => {
            act.remove().await?;
            act.close().await?;
        }
        (ContactChange::Block, row) => {
            if row.is_none() && act.unit.contact_count(who.user).await? >= services.config.contacts
            {
                return Err(Failure::Error(ContactError::Full));
            }
            act.block().await?;
            act.close().await?;
        }
        (ContactChange::Remove, Some(Standing::Accepted | Standing::Asked)) => {
            act.remove().await?;
            act.hand_over(ContactAct::End).await?;
            act.close().await?;
        }
        _ => return Err(Failure::Error(ContactError::NotFound)),
    }
    act.commit().await
}

/// A user who changes something about somebody on another server.
struct Acting<'s> {
    services: &'s Services,
    peer: Arc<Peer>,
    me: Arc<crate::service::directory::Resident>,
    address: Address,
    unit: Box<dyn Repository>,
    row: Option<StoredContact>,
    /// Who was blocked.
    blocked: Option<UserId>,
    queued: usize,
    now: Timestamp,
    _turn: tokio::sync::MutexGuard<'s, ()>,
}

impl<'s> Acting<'s> {
    async fn begin(
        services: &'s Services,
        who: Authenticated,
        address: &Address,
    ) -> Result<Self, Failure<ContactError>> {
        let unknown = || Failure::Error(ContactError::UnknownServer);
        let server = address.server.as_ref().ok_or_else(unknown)?;
        let me = services.resident(who.user).await?.ok_or(Refusal::NotAuthenticated)?;
        let turn = services.order.lock().await;
        let peer = services.peer(server).ok_or_else(unknown)?;
        let mut unit = services.storage.begin().await?;
        let row = unit.contact(who.user, address).await?;
        let (address, now) = (address.clone(), services.clock.now());
        Ok(Self {
            services,
            peer,
            me,
            address,
            unit,
            row,
            blocked: None,
            queued: 0,
            now,
            _turn: turn,
        })
    }

    async fn put(&mut self, standing: Standing) -> Result<(), StorageError> {
        let row = StoredContact {
            owner: self.me.user,
            name: self.address.name.clone(),
            server: self.address.server.clone(),
            user: self.row.as_ref().and_then(|row| row.user),
            standing,
            since: self.now,
        };
        self.unit.put_contact(&row).await
    }

    /// Blocks whoever bears the name, as far as that is known: a block is of a user, and the name is what their server says.
    async fn block(&mut self) -> Result<(), StorageError> {
        let known = self.row.as_ref().and_then(|row| row.user);
        let user = match known {
            Some(user) => Some(user),
            None => self.unit.foreigner_named(&self.peer.name, &self.address.name).await?,
        };
        self.unit
            .put_contact(&StoredContact {
                owner: self.me.user,
                name: self.address.name.clone(),
                server: self.address.server.clone(),
                user,
                standing: Standing::Blocked,
                since: self.now,
            })
            .await?;
        self.blocked = user;
        Ok(())
    }

    /// The other's server may not read the chain any more, unless somebody else there has to do with this user.
    async fn close(&mut self) -> Result<(), StorageError> {
        standing::close(&mut *self.unit, &self.peer.name, self.me.user).await
    }

    async fn remove(&mut self) -> Result<(), StorageError> {
        self.unit.remove_contact(self.me.user, &self.address).await.map(|_| ())
    }

    async fn hand_over(&mut self, act: ContactAct) -> Result<(), Failure<ContactError>> {
        let outbound = signal(&self.me.name, self.me.user, &self.address, act, self.now)?;
        if !self.peer.has_room(&self.services.config, outbound.content.len()) {
            return Err(Failure::Error(ContactError::QueueFull));
        }
        self.queued = outbound.content.len();
        self.unit.let_peer_read(&self.peer.name, self.me.user).await?;
        Ok(self.unit.put_outbound(&self.peer.name, &[outbound]).await?)
    }

    async fn commit(self) -> Result<(), Failure<ContactError>> {
        self.unit.commit().await?;
        if self.queued > 0 {
            self.peer.note_queued(self.queued);
            self.peer.wake.notify_one();
        }
        self.services.feeds.push_user(self.me.user, &Live::notice(&FollowDown::ContactsChanged));
        let before = self.row.as_ref().map(|row| row.standing);
        if let Some(user) = self.row.and_then(|row| row.user).or(self.blocked) {
            renew(self.services, &self.peer, (self.me.user, before), user).await;
        }
        Ok(())
    }
}

/// Reads anew how two stand to each other, after that was stored; `other` lives at the peer, which is told how the user is if it may know or did.
async fn renew(
    services: &Services,
    peer: &Peer,
    (user, before): (UserId, Option<Standing>),
    other: UserId,
) {
    if let Err(error) = services.renew_standings(user, other).await {
        tracing::warn!(%error, "a relation was not read again");
        services.directory.forget_standings();
    }
    people::note_standing(services, peer, (user, before), other).await;
}

/// A change between contacts, on its way to the other's home.
fn signal(
    name: &rookery_protocol::name::UserName,
    sender: UserId,
    to: &Address,
    act: ContactAct,
    at: Timestamp,
) -> Result<Outbound, Refusal> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Refusal::Internal)?;
    let item = ItemId::from_bytes(id);
    let contact = ForwardedContact { to: to.name.clone(), act };
    let forwarded = Forwarded {
        id: item,
        from: sender,
        name: name.clone(),
        content: ForwardedContent::Contact(contact),
    };
    Ok(Outbound {
        sender,
        device: None,
        item,
        receiver: None,
        lane: lane_of(sender, to.name.as_str().as_bytes()),
        at,
        content: codec::encode(&forwarded),
    })
}

/// By which address somebody of a peer is known here.
#[must_use]
pub fn address_of(server: &ServerName, name: &rookery_protocol::name::UserName) -> Address {
    Address { name: name.clone(), server: Some(server.clone()) }
}
