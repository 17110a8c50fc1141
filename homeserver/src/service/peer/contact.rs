//! Contacts across servers: each home keeps its own user's side, and tells the other by what it hands over.
//!
//! What somebody learns by asking is the same as at home: a request always waits, and who it went to is not told before they accept. Each side
//! agrees for its own user alone, whatever the other says.

use std::sync::Arc;

use rookery_protocol::{
    codec,
    id::{ItemId, UserId},
    name::{Address, ServerName},
    request::{
        Failure, Refusal,
        contact::{ContactChange, ContactError, RequestedContact, Standing},
        peer::{ContactAct, ForwardOutcome, Forwarded, ForwardedContact, ForwardedContent},
    },
    session::{Authenticated, FollowDown},
    time::Timestamp,
};

use super::{
    Peer, Services,
    copy::Foreigner,
    people,
    standing::{self, Known},
};
use crate::{
    repository::{
        Repository, StorageError,
        contact::StoredContact,
        mailbox::{Deposit, Deposited, MailboxLimits},
        peer::Outbound,
    },
    service::{
        feed::Live,
        limit::{Bucket, Subject},
        message::lane_of,
    },
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

/// Takes in a change that a peer hands over: its user `foreigner`, known as `address`, does it towards somebody here.
pub(super) async fn take(
    services: &Services,
    (peer, root): (&Peer, rookery_protocol::id::ServerId),
    (foreigner, address): (&Foreigner, &Address),
    id: ItemId,
    request: &ForwardedContact,
) -> Result<ForwardOutcome, StorageError> {
    let now = services.clock.now();
    let taken = ForwardOutcome::Taken { at: now };
    // A name that is not there answers as one that is.
    let Some(them) = services.resident_by_name(&request.to).await? else { return Ok(taken) };
    if !them.can_receive() {
        return Ok(taken);
    }
    let turn = services.order.lock().await;
    let user = foreigner.stored.user;
    let mut unit = services.storage.begin().await?;
    let once = Deposit { sender: user, message: id, at: now, letters: vec![] };
    let outcome = unit.deposit(vec![once], MailboxLimits::default()).await?;
    if let Some(Deposited::Duplicate { at }) = outcome.first() {
        return Ok(ForwardOutcome::Taken { at: *at });
    }
    let row = match standing::known_as(&mut *unit, them.user, user, address).await? {
        Known::Row(row) => row,
        // Whoever is blocked is so by whatever name, and is not told.
        Known::Blocked => return Ok(taken),
        Known::Another => return Ok(ForwardOutcome::Refused { reason: standing::ANOTHER.into() }),
    };
    let standing = row.as_ref().map(|row| row.standing);
    let (after, reply) = answer(standing, request.act);
    let is_new = standing.is_none() && after == Some(Standing::Asking);
    if is_new {
        let limited = services.limiter.take(Bucket::PeerStrangers, &Subject::Peer(root));
        if let Err(Refusal::Throttled { retry_after_ms }) = limited {
            let reason = "too many of that server's people write for the first time".to_owned();
            return Ok(ForwardOutcome::Later { retry_after_ms, reason });
        }
        if unit.contact_count(them.user).await? >= services.config.contacts {
            return Ok(taken);
        }
    }
    // What is known under one name goes on under that one.
    let known = row.as_ref().map_or_else(|| address.clone(), StoredContact::who);
    match after {
        Some(standing) => {
            let row = StoredContact {
                owner: them.user,
                name: known.name,
                server: known.server,
                user: Some(user),
                standing,
                since: now,
            };
            unit.put_contact(&row).await?;
        }
        None => {
            unit.remove_contact(them.user, &known).await?;
        }
    }
    let mut queued = 0;
    if let Some(act) = reply
        && let Ok(outbound) = signal(&them.name, them.user, address, act, now)
    {
        if !peer.has_room(&services.config, outbound.content.len()) {
            let reason = "too much waits for your server here".to_owned();
            return Ok(ForwardOutcome::Later { retry_after_ms: FULL, reason });
        }
        queued = outbound.content.len();
        unit.put_outbound(&peer.name, &[outbound]).await?;
    }
    if after.is_some_and(standing::is_live) {
        unit.let_peer_read(&peer.name, them.user).await?;
    } else {
        standing::close(&mut *unit, &peer.name, them.user).await?;
    }
    unit.commit().await?;
    if queued > 0 {
        peer.note_queued(queued);
        peer.wake.notify_one();
    }
    renew(services, peer, (them.user, standing), user).await;
    drop(turn);
    if after != standing {
        services.feeds.push_user(them.user, &Live::notice(&FollowDown::ContactsChanged));
    }
    Ok(taken)
}

/// How one stands after the other's act, and what the other's home is told of it.
const fn answer(
    standing: Option<Standing>,
    act: ContactAct,
) -> (Option<Standing>, Option<ContactAct>) {
    match (act, standing) {
        // A block outlasts whatever is asked.
        (_, Some(Standing::Blocked)) => (Some(Standing::Blocked), None),
        // Both have asked, and that is a yes from either; or they have lost what was agreed.
        (ContactAct::Ask, Some(Standing::Asked | Standing::Accepted)) => {
            (Some(Standing::Accepted), Some(ContactAct::Accept))
        }
        (ContactAct::Accept, Some(Standing::Asked | Standing::Accepted)) => {
            (Some(Standing::Accepted), None)
        }
        // An agreement to what nobody here has asked is a request of theirs.
        (
            ContactAct::Ask | ContactAct::Accept,
            None | Some(Standing::Asking | Standing::Stranger),
        ) => (Some(Standing::Asking), None),
        (ContactAct::End, Some(Standing::Asked)) => (Some(Standing::Asked), None),
        (ContactAct::End, _) => (None, None),
    }
}

/// By which address somebody of a peer is known here.
#[must_use]
pub fn address_of(server: &ServerName, name: &rookery_protocol::name::UserName) -> Address {
    Address { name: name.clone(), server: Some(server.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_made_a_contact_without_having_asked_or_agreed() {
        for act in [ContactAct::Ask, ContactAct::Accept] {
            for before in [None, Some(Standing::Asking), Some(Standing::Stranger)] {
                assert_eq!(answer(before, act).0, Some(Standing::Asking), "{act:?} {before:?}");
            }
        }
        assert_eq!(answer(Some(Standing::Asked), ContactAct::Accept).0, Some(Standing::Accepted));
    }

    #[test]
    fn a_block_outlasts_everything_and_is_not_told() {
        for act in [ContactAct::Ask, ContactAct::Accept, ContactAct::End] {
            assert_eq!(answer(Some(Standing::Blocked), act), (Some(Standing::Blocked), None));
        }
    }

    #[test]
    fn an_end_ends_what_both_had_and_a_request_of_one_s_own_stays() {
        assert_eq!(answer(Some(Standing::Accepted), ContactAct::End), (None, None));
        assert_eq!(answer(Some(Standing::Asking), ContactAct::End), (None, None));
        assert_eq!(answer(Some(Standing::Asked), ContactAct::End).0, Some(Standing::Asked));
    }
}
