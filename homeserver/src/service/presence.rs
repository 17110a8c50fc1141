//! Presence: how people are, in memory, told to accepted contacts only, written down each minute. Of people of other servers it is known what
//! these have told ([`super::peer::people`]), for as long as they can be reached.
//!
//! A user is what their devices are together: invisible if any of them says so, else busy, else online, else away; offline when none
//! follows. An invisible user is offline to others, with the time at which they were last seen otherwise.

mod foreign;
mod known;

use rookery_protocol::{
    id::UserId,
    request::{
        Refusal,
        contact::Standing,
        presence::{PresenceEntry, PresenceState, Presences as PresencesReply, StatusText},
    },
    session::{Authenticated, FollowDown},
};

use self::known::Known;
pub use self::{
    foreign::{Due, Heard, PACE, Pair},
    known::Presences,
};
use super::{Services, feed::Live};
use crate::repository::{StorageError, account::StoredPresence};

/// A device of the user follows now.
pub async fn connected(services: &Services, who: Authenticated) -> Result<(), StorageError> {
    load(services, &[who.user]).await?;
    let differs = services.presences.change(who.user, services.clock.now(), |row| {
        let begins_as = match row.wish {
            None | Some(PresenceState::Offline) => PresenceState::Online,
            Some(wish) => wish,
        };
        row.devices.insert(who.device, begins_as);
    });
    if differs {
        announce(services, who.user).await;
    }
    Ok(())
}

/// A device of the user follows no more.
pub async fn disconnected(services: &Services, who: Authenticated) {
    let differs = services.presences.change(who.user, services.clock.now(), |row| {
        row.devices.remove(&who.device);
    });
    if differs {
        announce(services, who.user).await;
    }
}

/// Says how the user is, on one device.
pub async fn set(
    services: &Services,
    who: Authenticated,
    state: PresenceState,
    status: Option<StatusText>,
) -> Result<(), Refusal> {
    load(services, &[who.user]).await.map_err(|error| super::refusal(&error))?;
    let differs = services.presences.change(who.user, services.clock.now(), |row| {
        row.wish = Some(state);
        row.status = status;
        // A device that only sends a message and leaves is not there.
        if let Some(device) = row.devices.get_mut(&who.device) {
            *device = state;
        }
    });
    if differs {
        announce(services, who.user).await;
    }
    Ok(())
}

/// How the user and their contacts are.
pub async fn list(services: &Services, who: Authenticated) -> Result<PresencesReply, Refusal> {
    let presences = entries(services, who.user).await.map_err(|error| super::refusal(&error))?;
    Ok(PresencesReply { presences })
}

/// How the user and their contacts are, oneself first and as one is.
pub async fn entries(
    services: &Services,
    user: UserId,
) -> Result<Vec<PresenceEntry>, StorageError> {
    let contacts = services.storage.read().await?.accepted_contacts(user).await?;
    let everybody: Vec<UserId> = [user].into_iter().chain(contacts.iter().copied()).collect();
    load(services, &everybody).await?;
    let mut entries = Vec::with_capacity(everybody.len());
    entries.extend(services.presences.known().get(&user).map(|own| {
        let state = own.state();
        PresenceEntry { state, ..own.shown(user) }
    }));
    for contact in contacts {
        if let Some(entry) = shown_to(services, contact, user).await? {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Tells all accepted contacts, and the user's own devices, how the user is.
pub async fn announce(services: &Services, user: UserId) {
    let own = services
        .presences
        .known()
        .get(&user)
        .map(|own| PresenceEntry { state: own.state(), ..own.shown(user) });
    if let Some(own) = own {
        services.feeds.push_user(user, &Live::notice(&notice(own)));
    }
    let contacts = match services.storage.read().await {
        Ok(mut view) => view.contacts(user).await,
        Err(error) => Err(error),
    };
    match contacts {
        Ok(contacts) => {
            for row in contacts.into_iter().filter(|row| row.standing == Standing::Accepted) {
                match (row.user, &row.server) {
                    (Some(contact), None) => announce_to(services, user, contact).await,
                    (Some(contact), Some(server)) => {
                        if let Some(peer) = services.peer(server) {
                            peer.people.note_presence(user, contact);
                        }
                    }
                    (None, _) => {}
                }
            }
        }
        Err(error) => tracing::warn!(%error, "contacts were not told of a presence"),
    }
}

/// Tells `to` how `user` is, if they may know.
pub async fn announce_to(services: &Services, user: UserId, to: UserId) {
    if !services.feeds.is_followed(to) {
        return;
    }
    match shown_to(services, user, to).await {
        Ok(Some(entry)) => services.feeds.push_user(to, &Live::notice(&notice(entry))),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a contact was not told of a presence"),
    }
}

/// How `user` is as far as `to`, who lives here, may know: nothing, unless each has accepted the other.
async fn shown_to(
    services: &Services,
    user: UserId,
    to: UserId,
) -> Result<Option<PresenceEntry>, StorageError> {
    let standings = services.standings(user, to).await?;
    if standings.theirs != Some(Standing::Accepted) {
        return Ok(None);
    }
    if services.resident(user).await?.is_none() {
        // Whether they have accepted anybody here, their home has judged.
        let told = services.presences.of_foreign(user, to);
        return Ok(Some(told.unwrap_or_else(|| absent(user))));
    }
    if standings.ours != Some(Standing::Accepted) {
        return Ok(None);
    }
    as_set(services, user).await
}

/// How `user` is by what they let others know; nothing of nobody.
async fn as_set(services: &Services, user: UserId) -> Result<Option<PresenceEntry>, StorageError> {
    let Some(resident) = services.resident(user).await? else { return Ok(None) };
    if !resident.settings.presence {
        return Ok(Some(absent(user)));
    }
    let known = services.presences.known();
    Ok(Some(known.get(&user).cloned().unwrap_or_default().shown(user)))
}

/// How `user` is as far as `to` on another server may know: offline, unless the user has accepted them.
pub async fn shown_abroad(
    services: &Services,
    user: UserId,
    to: UserId,
) -> Result<PresenceEntry, StorageError> {
    if services.standings(user, to).await?.ours != Some(Standing::Accepted) {
        return Ok(absent(user));
    }
    load(services, &[user]).await?;
    Ok(as_set(services, user).await?.unwrap_or_else(|| absent(user)))
}

const fn absent(user: UserId) -> PresenceEntry {
    PresenceEntry { user, state: PresenceState::Offline, last_online: None, status: None }
}

/// What a follower is told of it.
#[must_use]
pub fn notice(entry: PresenceEntry) -> FollowDown {
    let PresenceEntry { user, state, last_online, status } = entry;
    FollowDown::Presence { user, state, last_online, status }
}

/// Somebody of whom nothing is told any more.
#[must_use]
pub fn offline(user: UserId) -> FollowDown {
    notice(absent(user))
}

/// Passes on that somebody types, to an accepted contact only.
pub async fn typing(
    services: &Services,
    who: Authenticated,
    to: UserId,
) -> Result<(), StorageError> {
    let standings = services.standings(who.user, to).await?;
    if standings.ours != Some(Standing::Accepted) {
        return Ok(());
    }
    if standings.theirs == Some(Standing::Accepted) {
        services.feeds.push_user(to, &Live::notice(&FollowDown::Typing { user: who.user }));
    } else if let Some(foreigner) = services.foreigner(to).await?
        && let Some(peer) = services.peer(&foreigner.stored.peer)
    {
        peer.people.note_typing(who.user, to);
    }
    Ok(())
}

/// Reads how `users` were, as far as it is not known.
async fn load(services: &Services, users: &[UserId]) -> Result<(), StorageError> {
    let unknown: Vec<UserId> = {
        let known = services.presences.known();
        users.iter().copied().filter(|user| !known.contains_key(user)).collect()
    };
    if unknown.is_empty() {
        return Ok(());
    }
    let stored = services.storage.read().await?.presences(&unknown).await?;
    let mut known = services.presences.known();
    for StoredPresence { user, state, last_online, status } in stored {
        let status = status.and_then(|status| StatusText::parse(status).ok());
        let row = Known { wish: Some(state), status, last_online, ..Known::default() };
        known.entry(user).or_insert(row);
    }
    Ok(())
}

/// Writes down what has changed.
pub async fn write_down(services: &Services) -> Result<(), StorageError> {
    let users = std::mem::take(&mut *services.presences.unwritten());
    let rows: Vec<StoredPresence> = {
        let known = services.presences.known();
        let row = |user: UserId| {
            let row = known.get(&user)?;
            let there = row.shown(user).state != PresenceState::Offline;
            let last_online = if there { Some(services.clock.now()) } else { row.last_online };
            Some(StoredPresence {
                user,
                state: row.wish.unwrap_or(PresenceState::Online),
                last_online,
                status: row.status.as_ref().map(|status| status.as_slice().to_vec()),
            })
        };
        users.into_iter().filter_map(row).collect()
    };
    if rows.is_empty() {
        return Ok(());
    }
    let mut unit = services.storage.begin().await?;
    unit.note_presences(&rows).await?;
    unit.commit().await
}

#[cfg(test)]
mod tests {
    use rookery_protocol::request::contact::ContactChange;

    use super::*;
    use crate::service::{
        contact,
        testing::{Bench, bench},
    };

    async fn seen(bench: &Bench, who: Authenticated, of: UserId) -> Option<PresenceState> {
        let entries = entries(&bench.services, who.user).await.unwrap();
        entries.into_iter().find(|entry| entry.user == of).map(|entry| entry.state)
    }

    #[tokio::test]
    async fn presence_is_told_to_accepted_contacts_only() {
        let bench = bench(&[]);
        let services = &bench.services;
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        let (_, carol, ..) = bench.person("carol").await;
        contact::request(services, alice, "bob".parse().unwrap()).await.unwrap();
        let (bobs, carols) = (
            services.feeds.open(bob.user, bob.device),
            services.feeds.open(carol.user, carol.device),
        );
        connected(services, alice).await.unwrap();
        assert_eq!(seen(&bench, bob, alice.user).await, None, "a request is no contact yet");
        assert!(bobs.take().is_none());
        contact::change(services, bob, "alice".parse().unwrap(), ContactChange::Accept)
            .await
            .unwrap();
        assert_eq!(seen(&bench, bob, alice.user).await, Some(PresenceState::Online));
        assert!(bobs.take().is_some_and(|taken| !taken.items.is_empty()));
        contact::change(services, bob, "alice".parse().unwrap(), ContactChange::Block)
            .await
            .unwrap();
        connected(services, bob).await.unwrap();
        assert_eq!(seen(&bench, alice, bob.user).await, None, "a block hides who blocks");
        assert_eq!(seen(&bench, carol, alice.user).await, None);
        assert!(carols.take().is_none());
    }

    #[tokio::test]
    async fn an_invisible_user_is_offline_to_others_and_devices_add_up() {
        let bench = bench(&[]);
        let services = &bench.services;
        let (mut alice, first, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        contact::request(services, first, "bob".parse().unwrap()).await.unwrap();
        contact::request(services, bob, "alice".parse().unwrap()).await.unwrap();
        let (_, second, _) = bench.second(&mut alice, first).await;
        connected(services, first).await.unwrap();
        connected(services, second).await.unwrap();
        set(services, first, PresenceState::Away, None).await.unwrap();
        assert_eq!(
            seen(&bench, bob, alice.user).await,
            Some(PresenceState::Online),
            "the other device is there"
        );
        set(services, second, PresenceState::Invisible, None).await.unwrap();
        assert_eq!(seen(&bench, bob, alice.user).await, Some(PresenceState::Offline));
        assert_eq!(
            seen(&bench, first, alice.user).await,
            Some(PresenceState::Invisible),
            "to oneself one is what one is"
        );
        disconnected(services, second).await;
        disconnected(services, first).await;
        assert_eq!(seen(&bench, bob, alice.user).await, Some(PresenceState::Offline));
        write_down(services).await.unwrap();
        let stored = services.storage.read().await.unwrap().presences(&[alice.user]).await.unwrap();
        assert!(stored[0].last_online.is_some());
    }
}
