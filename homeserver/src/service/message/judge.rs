//! Whether a message may be stored: by who sends it, who it is for, and the devices that both have now.

use std::sync::Arc;

use rookery_protocol::{
    chain::HeadRef,
    id::{DeviceId, UserId},
    name::UserName,
    request::{
        Failure, Refusal,
        contact::Standing,
        message::{Awaits, SendError, Sent},
    },
    time::Timestamp,
};

use super::{Abroad, Job, Lane, Origin, lane_of};
use crate::{
    repository::{
        contact::{Standings, StoredContact},
        mailbox::Letter,
        peer::Outbound,
    },
    service::{
        Services,
        chain::WritesAs,
        directory::Resident,
        peer::{
            self, Peer,
            copy::Foreigner,
            standing::{self, Known},
        },
    },
};

/// What is thought of a job.
pub(super) enum Verdict {
    /// It may be stored.
    Store,
    /// It may be stored, and its receiver does not know its sender yet.
    StoreStranger(Box<(StoredContact, Standings)>),
    /// It may be stored, with what goes to another server.
    StoreAbroad(Arc<Peer>, Box<Outbound>),
    /// It was stored before.
    Known(Sent),
}

/// Whether the job may be stored, and the receiver's note of a stranger that goes with it.
pub(super) async fn judge(
    services: &Services,
    job: &Job,
    at: Timestamp,
) -> Result<Verdict, Failure<SendError>> {
    let (who, own_head, abroad) = match &job.from {
        Origin::Here { who, own_head, abroad } => (who, *own_head, abroad),
        Origin::Peer { foreigner, name, lane } => {
            return judge_foreign(services, job, (foreigner, name), lane, at).await;
        }
    };
    let own = services.resident(who.user).await?.ok_or(Refusal::NotAuthenticated)?;
    if !own.is_active() || !own.live.contains(&who.device) {
        return Err(Refusal::NotPermitted.into());
    }
    if let Some(abroad) = abroad {
        return judge_abroad(services, job, (&own, who.device, own_head), abroad, at).await;
    }
    let not_found = || Failure::Error(SendError::NotFound);
    let to = if job.to == own.user {
        Arc::clone(&own)
    } else {
        services.resident(job.to).await?.ok_or_else(not_found)?
    };
    let writes = services.may_write(own.user, &to).await?.ok_or_else(not_found)?;
    if job.to_head != to.head || own_head != own.head {
        return Err(Failure::Error(SendError::Stale { to_head: to.head, own_head: own.head }));
    }
    let others = own.live.iter().filter(|device| **device != who.device);
    let receivers = to.live.iter().filter(|_| to.user != own.user);
    let wanted =
        others.map(|device| (own.user, *device)).chain(receivers.map(|device| (to.user, *device)));
    if !match_devices(&job.letters, wanted) {
        return Err(Failure::Error(SendError::Refused { reason: NOT_EACH.to_owned() }));
    }
    if writes != WritesAs::NewStranger {
        return Ok(Verdict::Store);
    }
    let note = StoredContact {
        owner: to.user,
        name: own.name.clone(),
        server: None,
        user: Some(own.user),
        standing: Standing::Stranger,
        since: at,
    };
    let theirs = services.standings(to.user, own.user).await?.theirs;
    let standings = (note, Standings { ours: Some(Standing::Stranger), theirs });
    Ok(Verdict::StoreStranger(Box::new(standings)))
}

const NOT_EACH: &str = "the envelopes are not one for each live device of both sides";

/// Judges what a device here sends to somebody on another server: the copy of the receiver's chain stands for the chain.
async fn judge_abroad(
    services: &Services,
    job: &Job,
    (own, device, own_head): (&Resident, DeviceId, HeadRef),
    abroad: &Abroad,
    at: Timestamp,
) -> Result<Verdict, Failure<SendError>> {
    let peer = &abroad.peer;
    let lane = lane_of(own.user, job.to.as_bytes());
    let mut view = services.storage.read().await?;
    let known = view.outbound_item(own.user, job.message).await?;
    let awaits = |since| Some(Awaits { server: peer.name.clone(), since });
    let has_come_back = match known {
        Some(row) if row.returned.is_none() => {
            let at = row.outbound.at;
            return Ok(Verdict::Known(Sent { at, awaits: awaits(at) }));
        }
        Some(_) => true,
        None => view.is_undelivered(own.user, job.message).await?,
    };
    if !has_come_back && let Some(at) = view.deposited(own.user, job.message).await? {
        return Ok(Verdict::Known(Sent { at, awaits: None }));
    }
    let returned = view.returned_in(&peer.name, lane).await?;
    drop(view);
    let to = services.foreigner(job.to).await?.ok_or(Failure::Error(SendError::NotFound))?;
    if to.state.closed {
        return Err(Failure::Error(SendError::NotFound));
    }
    // What came back goes first, or its receiver would get it out of order.
    let overtakes = !has_come_back && !returned.is_empty();
    if job.to_head != to.head || own_head != own.head || overtakes {
        return Err(Failure::Error(SendError::Stale { to_head: to.head, own_head: own.head }));
    }
    let others = own.live.iter().filter(|live| **live != device);
    let is_each = abroad.devices.len() == to.live.len()
        && to.live.iter().all(|device| abroad.devices.contains(device));
    if !is_each || !match_devices(&job.letters, others.map(|device| (own.user, *device))) {
        return Err(Failure::Error(SendError::Refused { reason: NOT_EACH.to_owned() }));
    }
    if !peer.has_room(&services.config, abroad.content.len()) {
        return Err(Failure::Error(SendError::QueueFull { server: peer.name.clone() }));
    }
    let outbound = Outbound {
        sender: own.user,
        device: Some(device),
        item: job.message,
        receiver: Some(job.to),
        lane,
        at,
        content: abroad.content.clone(),
    };
    Ok(Verdict::StoreAbroad(Arc::clone(peer), Box::new(outbound)))
}

/// Judges what a peer hands over: whose it is was seen to before.
async fn judge_foreign(
    services: &Services,
    job: &Job,
    (foreigner, name): (&Foreigner, &UserName),
    lane: &Lane,
    at: Timestamp,
) -> Result<Verdict, Failure<SendError>> {
    if lane.is_blocked() {
        return Err(Refusal::Unavailable.into());
    }
    let not_found = || Failure::Error(SendError::NotFound);
    let user = foreigner.stored.user;
    let to = services.resident(job.to).await?.ok_or_else(not_found)?;
    let writes = services.may_write(user, &to).await?.ok_or_else(not_found)?;
    if job.to_head != to.head {
        let own_head = foreigner.head;
        return Err(Failure::Error(SendError::Stale { to_head: to.head, own_head }));
    }
    if !match_devices(&job.letters, to.live.iter().map(|device| (to.user, *device))) {
        return Err(Failure::Error(SendError::Refused { reason: NOT_EACH.to_owned() }));
    }
    if writes != WritesAs::NewStranger {
        return Ok(Verdict::Store);
    }
    let address = peer::contact::address_of(&foreigner.stored.peer, name);
    let mut view = services.storage.read().await?;
    let note = match standing::known_as(&mut *view, to.user, user, &address).await? {
        Known::Row(Some(row)) if row.standing != Standing::Blocked => {
            // They were asked by that name, and it is known now who bears it.
            StoredContact { user: Some(user), ..row }
        }
        Known::Row(None) => StoredContact {
            owner: to.user,
            name: address.name,
            server: address.server,
            user: Some(user),
            standing: Standing::Stranger,
            since: at,
        },
        Known::Row(Some(_)) | Known::Blocked => return Err(not_found()),
        Known::Another => {
            let reason = standing::ANOTHER.to_owned();
            return Err(Failure::Error(SendError::Refused { reason }));
        }
    };
    let standings = Standings { ours: Some(note.standing), theirs: None };
    let standings = (note, standings);
    Ok(Verdict::StoreStranger(Box::new(standings)))
}

/// Whether there is exactly one letter for each of the devices that are wanted.
fn match_devices(letters: &[Letter], wanted: impl Iterator<Item = (UserId, DeviceId)>) -> bool {
    let mut count = 0_usize;
    for (user, device) in wanted {
        count = count.saturating_add(1);
        if !letters.iter().any(|letter| letter.device == device && letter.user == user) {
            return false;
        }
    }
    count == letters.len()
}
