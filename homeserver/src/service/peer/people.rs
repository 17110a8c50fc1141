//! Signs of life between people here and people of another server: how contacts are, and that somebody writes.
//!
//! Presence is told to a peer once for each pair of contacts, when the connection comes about and whenever it changes; the newest counts, so a
//! row a pair is all that waits. What a peer tells is shown once for each who is told, and at a pace that one can look at. While a peer is away
//! its people are offline here. Who is told is decided twice: by the home of whom it is about, when it is sent, and by the home of who is told,
//! when it comes.

mod queue;

use std::{convert::Infallible, time::Duration};

use rookery_protocol::{
    id::{ServerId, UserId},
    io::client::{CallError, Client},
    request::{
        RateClass, Refusal,
        account::Profile,
        contact::Standing,
        peer_people::{PeerFetchProfile, PeerTellPeople, PersonSign},
        presence::{PresenceEntry, PresenceState},
    },
    session::FollowDown,
};

pub use self::queue::Queue;
use self::queue::{AT_ONCE, Batch, MAX_PAIRS};
use super::{
    Peer, Services, answer::peer_of, copy::Foreigner, place_take::charge, place_users::speaks_for,
};
use crate::{
    repository::StorageError,
    service::{
        account,
        feed::Live,
        presence::{self, Heard, Pair},
    },
};

/// The wait after the peer could not be told.
const RETRY: Duration = Duration::from_secs(2);

/// Tells the peer how people here are whom people there have as contacts, and shows what it tells, for as long as the connection is used.
pub async fn run(services: &Services, peer: &Peer, client: &Client) -> Infallible {
    let (never, _) = tokio::join!(tell_all(services, peer, client), show_late(services, peer));
    never
}

async fn tell_all(services: &Services, peer: &Peer, client: &Client) -> Infallible {
    loop {
        match remember(services, peer).await {
            Ok(()) => break,
            Err(error) => {
                tracing::warn!(peer = %peer.name, %error, "contacts there were not looked up");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    loop {
        let batch = peer.people.take();
        if batch.len() == 0 {
            peer.people.some.notified().await;
            continue;
        }
        let Err((error, next)) = tell(services, client, &batch).await else { continue };
        tracing::debug!(peer = %peer.name, error, ?next, "the peer was not told how people here are");
        match next {
            Next::Again(wait) => {
                peer.people.put_back(batch);
                tokio::time::sleep(wait).await;
            }
            Next::Silence => return std::future::pending().await,
        }
    }
}

/// What follows when the peer could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It is told after so long.
    Again(Duration),
    /// It is too old to be told anything on this connection.
    Silence,
}

impl Next {
    fn after<E: std::error::Error>(error: &CallError<E>) -> Self {
        match error {
            CallError::Refused(Refusal::UnknownMethod) => Self::Silence,
            CallError::Refused(Refusal::Throttled { retry_after_ms }) => {
                Self::Again(Duration::from_millis((*retry_after_ms).clamp(100, 60_000)))
            }
            _ => Self::Again(RETRY),
        }
    }
}

async fn tell(services: &Services, client: &Client, batch: &Batch) -> Result<(), (String, Next)> {
    let signs = batch.signs(services).await;
    let signs = signs.map_err(|error| (error.to_string(), Next::Again(RETRY)))?;
    let told = client.call_watched(&PeerTellPeople { signs }).await;
    told.map_err(|error| (error.to_string(), Next::after(&error)))
}

/// Has all contacts there be told how people here are.
async fn remember(services: &Services, peer: &Peer) -> Result<(), StorageError> {
    let mut view = services.storage.read().await?;
    let pairs = view.contacts_at(&peer.name, MAX_PAIRS).await?;
    drop(view);
    for (user, to) in pairs {
        peer.people.note_presence(user, to);
    }
    Ok(())
}

/// The peer is away: its people are offline.
pub fn lose(services: &Services, peer: &Peer) {
    for Pair { user, to } in services.presences.forget_of(&peer.name) {
        services.feeds.push_user(to, &Live::notice(&presence::offline(user)));
    }
}

/// How `user` here stands to `other` there has changed, `before` it was so. The peer hears of it only where the user knows them as a contact, or
/// did: otherwise that somebody has the name, who that is, and that they decline would be told to whoever asks.
pub(super) async fn note_standing(
    services: &Services,
    peer: &Peer,
    (user, before): (UserId, Option<Standing>),
    other: UserId,
) {
    let standings = services.standings(user, other).await.unwrap_or_default();
    let [was, is] = [before, standings.ours].map(|standing| standing == Some(Standing::Accepted));
    if was || is {
        peer.people.note_presence(user, other);
    }
    if is {
        peer.people.note_wanted(user, other);
    } else if was {
        services.presences.forget_pair(Pair { user: other, to: user });
        services.feeds.push_user(user, &Live::notice(&presence::offline(other)));
    }
}

/// Takes in what a peer tells of its people.
pub async fn take(
    services: &Services,
    root: ServerId,
    request: PeerTellPeople,
) -> Result<(), Refusal> {
    let peer = peer_of(services, root)?;
    if request.signs.len() > AT_ONCE {
        return Err(Refusal::Malformed);
    }
    charge(services, root, RateClass::PeerForward, request.signs.len())?;
    for sign in request.signs {
        let taken = take_sign(services, &peer, sign).await;
        taken.map_err(|error| super::super::refusal(&error))?;
    }
    Ok(())
}

async fn take_sign(services: &Services, peer: &Peer, sign: PersonSign) -> Result<(), StorageError> {
    let (theirs, ours) = match &sign {
        PersonSign::Presence { presence, to } => (presence.user, *to),
        PersonSign::Typing { user, to } | PersonSign::Profile { user, to } => (*user, *to),
        PersonSign::Wanted { user, of } => (*user, *of),
    };
    let foreigner = services.foreigner(theirs).await?;
    if !foreigner.is_some_and(|foreigner| speaks_for(peer, &foreigner)) {
        return Ok(());
    }
    if services.standings(ours, theirs).await?.ours != Some(Standing::Accepted) {
        return Ok(());
    }
    match sign {
        PersonSign::Presence { presence, .. } => {
            let presence = bounded(presence);
            match services.presences.note_foreign(&peer.name, ours, &presence) {
                Heard::Known => {}
                Heard::Now => show(services, ours, presence),
                Heard::Later => peer.people.late.notify_one(),
            }
            // Whoever was removed meanwhile says nothing any more.
            if peer.end.is_cancelled() || !peer.is_wanted() {
                lose(services, peer);
            }
        }
        PersonSign::Typing { .. } => {
            services.feeds.push_user(ours, &Live::notice(&FollowDown::Typing { user: theirs }));
        }
        PersonSign::Wanted { .. } => peer.people.note_presence(ours, theirs),
        PersonSign::Profile { .. } => {
            let notice = FollowDown::ProfileChanged { user: theirs };
            services.feeds.push_user(ours, &Live::notice(&notice));
        }
    }
    Ok(())
}

/// Tells the contacts of `user` on other servers that their profile has changed.
pub async fn note_profile(
    services: &Services,
    user: UserId,
    contacts: &[UserId],
) -> Result<(), StorageError> {
    for to in contacts {
        if let Some(foreigner) = services.foreigner(*to).await?
            && let Some(peer) = services.peer(&foreigner.stored.peer)
        {
            peer.people.note_profile(user, *to);
        }
    }
    Ok(())
}

/// The sealed profile of a contact on another server, as that has it.
pub async fn fetch_profile(
    services: &Services,
    asker: UserId,
    foreigner: &Foreigner,
) -> Result<Profile, Refusal> {
    let peer = services.peer(&foreigner.stored.peer).ok_or(Refusal::Unavailable)?;
    let client = peer.client().ok_or(Refusal::Unavailable)?;
    let request = PeerFetchProfile { user: foreigner.stored.user, asker };
    match client.call_watched(&request).await {
        Ok(profile) => Ok(profile),
        // An older server shows none.
        Err(CallError::Refused(Refusal::UnknownMethod)) => Ok(Profile { sealed: None, at: None }),
        Err(CallError::Refused(throttled @ Refusal::Throttled { .. })) => Err(throttled),
        Err(error) => {
            tracing::debug!(peer = %peer.name, %error, "a profile was not shown");
            Err(Refusal::Unavailable)
        }
    }
}

/// The sealed profile of somebody here, for a contact of theirs at the peer.
pub async fn show_profile(
    services: &Services,
    root: ServerId,
    request: PeerFetchProfile,
) -> Result<Profile, Refusal> {
    let storage = |error: StorageError| super::super::refusal(&error);
    let peer = peer_of(services, root)?;
    let PeerFetchProfile { user, asker } = request;
    let foreigner = services.foreigner(asker).await.map_err(storage)?;
    let is_theirs = foreigner.is_some_and(|foreigner| speaks_for(&peer, &foreigner));
    let is_here = services.resident(user).await.map_err(storage)?.is_some();
    if !is_theirs || !is_here {
        return Ok(Profile { sealed: None, at: None });
    }
    account::profile_for(services, asker, user).await
}

fn show(services: &Services, to: UserId, presence: PresenceEntry) {
    services.feeds.push_user(to, &Live::notice(&presence::notice(presence)));
}

/// Shows what was put off of what the peer has told.
async fn show_late(services: &Services, peer: &Peer) -> Infallible {
    loop {
        let due = services.presences.take_due(&peer.name);
        for (to, presence) in due.entries {
            show(services, to, presence);
        }
        match due.next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => peer.people.late.notified().await,
        }
    }
}

/// Nobody is shown as invisible, whatever their server says.
fn bounded(presence: PresenceEntry) -> PresenceEntry {
    match presence.state {
        PresenceState::Invisible => PresenceEntry { state: PresenceState::Offline, ..presence },
        _ => presence,
    }
}

#[cfg(test)]
mod tests {
    use rookery_protocol::{
        codec,
        request::{Never, contact::ContactChange, peer::ContactAct},
    };

    use super::*;
    use crate::service::peer::{
        contact,
        tests::{act, address, foreigner, with_garden},
    };

    #[test]
    fn who_does_not_know_the_request_is_not_asked_again() {
        let after = |refusal| Next::after(&CallError::<Never>::Refused(refusal));
        assert_eq!(after(Refusal::UnknownMethod), Next::Silence);
        assert_eq!(after(Refusal::Unavailable), Next::Again(RETRY));
        for (told, waits) in [(0, 100), (700, 700), (u64::MAX, 60_000)] {
            let throttled = after(Refusal::Throttled { retry_after_ms: told });
            assert_eq!(throttled, Next::Again(Duration::from_millis(waits)));
        }
    }

    #[tokio::test]
    async fn only_contacts_are_told_how_somebody_is_and_who_that_is() {
        let (bench, peer) = with_garden(&[]).await;
        let services = &bench.services;
        let (_, bob, ..) = bench.person("bob").await;
        let (_, carol) = foreigner(services, "carol").await;
        let carols = carol.stored.user;
        let told = || peer.people.take().presences;
        let change = async |change| {
            contact::change(services, bob, &address("carol"), change).await.unwrap();
        };
        act(services, &peer, &carol, ("carol", 1), ContactAct::Ask).await;
        assert_eq!(told(), [], "a request is not answered");
        change(ContactChange::Decline).await;
        assert_eq!(told(), [], "nor is it told that it was declined");
        act(services, &peer, &carol, ("carol", 2), ContactAct::Ask).await;
        change(ContactChange::Block).await;
        change(ContactChange::Unblock).await;
        assert_eq!(told(), [], "nor a block");
        act(services, &peer, &carol, ("carol", 3), ContactAct::Ask).await;
        change(ContactChange::Accept).await;
        assert_eq!(told(), [(bob.user, carols)]);
        act(services, &peer, &carol, ("carol", 4), ContactAct::End).await;
        assert_eq!(told(), [(bob.user, carols)], "who was a contact is offline from then on");
    }

    /// What Bob's device was shown, as far as it is how somebody is.
    fn shown(feed: &crate::service::feed::Feed) -> Vec<PresenceState> {
        let items = feed.take().map(|taken| taken.items).unwrap_or_default();
        let state = |live| match live {
            Live::Notice(frame) => match codec::decode(&frame).unwrap() {
                FollowDown::Presence { state, .. } => Some(state),
                _ => None,
            },
            _ => None,
        };
        items.into_iter().filter_map(state).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_peer_tells_is_shown_once_to_each_in_the_end_and_lost_with_the_peer() {
        use PresenceState::{Away, Busy, Offline, Online};
        let (bench, peer) = with_garden(&[]).await;
        let services = &bench.services;
        let (_, bob, ..) = bench.person("bob").await;
        let (_, eve, ..) = bench.person("eve").await;
        let (_, carol) = foreigner(services, "carol").await;
        act(services, &peer, &carol, ("carol", 1), ContactAct::Ask).await;
        contact::change(services, bob, &address("carol"), ContactChange::Accept).await.unwrap();
        let root = peer.stored().root.unwrap();
        let tells = async |to, state| {
            let user = carol.stored.user;
            let presence = PresenceEntry { user, state, last_online: None, status: None };
            let signs = vec![PersonSign::Presence { presence, to }];
            take(services, root, PeerTellPeople { signs }).await.unwrap();
        };
        let (bobs, eves) =
            (services.feeds.open(bob.user, bob.device), services.feeds.open(eve.user, eve.device));
        for state in [Online, Online, Busy, Away, Busy] {
            tells(bob.user, state).await;
            tells(eve.user, state).await;
        }
        assert_eq!(shown(&bobs), [Online]);
        tokio::time::timeout(presence::PACE * 3, show_late(services, &peer)).await.unwrap_err();
        assert_eq!(shown(&bobs), [Busy]);
        assert_eq!(shown(&eves), [], "she does not know Carol");
        lose(services, &peer);
        assert_eq!(shown(&bobs), [Offline]);
        // What comes from a peer that has been removed meanwhile is not kept.
        peer.end.cancel();
        tells(bob.user, Online).await;
        assert_eq!(shown(&bobs), [Online, Offline]);
    }
}
