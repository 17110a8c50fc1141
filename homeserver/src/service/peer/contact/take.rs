//! What people of another server do towards somebody here: ask, agree, end.

use rookery_protocol::{
    id::{ItemId, ServerId},
    name::Address,
    request::{
        Refusal,
        contact::Standing,
        peer::{ContactAct, ForwardOutcome, ForwardedContact},
    },
    session::FollowDown,
};

use super::{
    super::{
        Peer, Services,
        copy::Foreigner,
        standing::{self, Known},
    },
    FULL, renew, signal,
};
use crate::{
    repository::{
        StorageError,
        contact::StoredContact,
        mailbox::{Deposit, Deposited, MailboxLimits},
    },
    service::{
        feed::Live,
        limit::{Bucket, Subject},
    },
};

/// Takes in a change that a peer hands over: its user `foreigner`, known as `address`, does it towards somebody here.
pub(in crate::service::peer) async fn take(
    services: &Services,
    (peer, root): (&Peer, ServerId),
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
