//! The chains of users whom a community's log names, wherever they live: from its hub, or from the home that hands something in. A chain proves
//! itself from its genesis on, so that it does not matter who shows it; who shows too little has the log wait.

use std::{collections::BTreeMap, sync::Arc};

use rookery_protocol::{
    chain::Entry,
    id::{ChainId, CommunityId, UserId},
    io::client::Client,
    request::{
        community::NamedUser,
        peer_place::{Guest, PeerReadUsers, WantedUser},
    },
    user::{self, State},
};

use super::{
    Peer, Services,
    copy::{self, CopyError, Foreigner, Growth, MAX_SEQ},
    place_copy::{FetchError, ask},
    share,
};
use crate::repository::peer::StoredForeigner;

/// Users asked for at once.
const USERS: usize = 256;
/// How often one request is repeated for what did not fit.
const MAX_ROUNDS: usize = 64;

/// Fetches the chains of `wanted` from the hub, as far as they are not here.
pub(super) async fn fetch(
    services: &Services,
    hub: &Peer,
    client: &Client,
    (community, guest): (CommunityId, Option<&Guest>),
    wanted: BTreeMap<UserId, u64>,
) -> Result<(), FetchError> {
    let mut missing = vec![];
    for (user, seq) in wanted {
        if services.resident(user).await?.is_some() {
            continue;
        }
        let known = services.foreigner(user).await?;
        // Names come with the chains.
        if known.as_ref().is_none_or(|known| known.head.seq < seq || known.stored.name.is_none()) {
            let after = known.map(|known| known.head.seq);
            missing.push(WantedUser { user, after });
        }
    }
    for users in missing.chunks(USERS) {
        let mut users = users.to_vec();
        for _ in 0..MAX_ROUNDS {
            let request = PeerReadUsers { community, users: users.clone(), guest: guest.cloned() };
            let page = ask(client, &request).await;
            let page = page.map_err(|error| FetchError::Unreachable(error.to_string()))?;
            share::take_copy(services, hub).map_err(|_| FetchError::Throttled)?;
            let mut room = share::room_for_foreigners(services, hub).await?;
            let mut by_user = BTreeMap::<UserId, Vec<Entry>>::new();
            for entry in page.entries {
                let of_it = |wanted: &&WantedUser| ChainId::of_user(wanted.user) == entry.chain;
                if let Some(wanted) = users.iter().find(of_it) {
                    by_user.entry(wanted.user).or_default().push(entry);
                }
            }
            let is_over = by_user.is_empty() || !page.more;
            let mut grown = vec![];
            for (user, entries) in by_user {
                match grow(services, hub, user, entries, &mut room).await? {
                    Grown::More(mut growth) => {
                        let name = page.names.iter().find(|named| named.user == user);
                        if let Some(named) = name.filter(|named| is_of_home(hub, named, &growth)) {
                            growth.stored.name.get_or_insert_with(|| named.name.clone());
                        }
                        grown.push(*growth);
                    }
                    Grown::Here(after) => set_after(&mut users, user, after),
                }
            }
            for foreigner in keep_all(services, grown).await? {
                set_after(&mut users, foreigner.stored.user, Some(foreigner.head.seq));
            }
            note_names(services, hub, page.names).await?;
            if is_over {
                break;
            }
        }
    }
    Ok(())
}

/// Whether the hub says a name of somebody at their home.
fn is_of_home(hub: &Peer, named: &NamedUser, growth: &Growth) -> bool {
    *named.server.as_ref().unwrap_or(&hub.name) == growth.stored.peer
}

fn set_after(users: &mut [WantedUser], user: UserId, after: Option<u64>) {
    if let Some(wanted) = users.iter_mut().find(|wanted| wanted.user == user) {
        wanted.after = after.or(wanted.after);
    }
}

/// What was shown of a user's chain.
enum Grown {
    /// More than is here.
    More(Box<Growth>),
    /// Nothing new: it stands there, if it is here at all.
    Here(Option<u64>),
}

/// Checks entries of a user's chain that follow what is here, and stores them; gives where the copy stands then.
pub(in crate::service) async fn adopt(
    services: &Services,
    by: &Peer,
    user: UserId,
    entries: Vec<Entry>,
    room: &mut u64,
) -> Result<Option<u64>, FetchError> {
    match grow(services, by, user, entries, room).await? {
        Grown::Here(after) => Ok(after),
        Grown::More(growth) => {
            let kept = keep_all(services, vec![*growth]).await?;
            match kept.first() {
                Some(foreigner) => Ok(Some(foreigner.head.seq)),
                // Their home was faster.
                None => Ok(services.foreigner(user).await?.map(|known| known.head.seq)),
            }
        }
    }
}

async fn keep_all(
    services: &Services,
    grown: Vec<Growth>,
) -> Result<Vec<Arc<Foreigner>>, FetchError> {
    if grown.is_empty() {
        return Ok(vec![]);
    }
    copy::keep_all(services, grown).await.map_err(|error| match error {
        CopyError::Storage(error) => error.into(),
        error => FetchError::Unreachable(error.to_string()),
    })
}

/// Checks entries of a user's chain that follow what is here. Who is new takes of the room that there is for whom `by` shows, wherever they say
/// to live. Users who live here have their chains here.
async fn grow(
    services: &Services,
    by: &Peer,
    user: UserId,
    entries: Vec<Entry>,
    room: &mut u64,
) -> Result<Grown, FetchError> {
    if services.resident(user).await?.is_some() {
        return Ok(Grown::Here(None));
    }
    let known = services.foreigner(user).await?;
    let mut states: Vec<State> = Vec::with_capacity(entries.len());
    let mut new = vec![];
    for entry in entries {
        let before = states.last().or(known.as_ref().map(|known| &known.state));
        if before.is_some_and(|before| entry.seq <= before.head.seq) {
            continue;
        }
        if entry.seq > MAX_SEQ {
            tracing::warn!(peer = %by.name, %user, "a user's chain was shown that is longer than any");
            break;
        }
        match user::verify_and_apply(user, before, &entry) {
            Ok(state) => states.push(state),
            Err(error) => {
                tracing::warn!(%user, %error, "a user's chain was shown that does not hold");
                break;
            }
        }
        new.push(entry);
    }
    let here = known.as_ref().map(|known| known.head.seq);
    let Some(state) = states.into_iter().next_back() else { return Ok(Grown::Here(here)) };
    if known.is_none() {
        *room = room.checked_sub(1).ok_or(FetchError::TooMany)?;
    }
    let brought = match &known {
        Some(known) => known.stored.brought.clone(),
        None => (state.home != by.name).then(|| by.name.clone()),
    };
    let stored = StoredForeigner {
        user,
        brought,
        peer: state.home.clone(),
        name: known.as_ref().and_then(|known| known.stored.name.clone()),
        head: known.as_ref().and_then(|known| known.stored.head.clone()),
    };
    Ok(Grown::More(Box::new(Growth { stored, state, entries: new })))
}

/// Notes by which names the users are known at their homes, by the word of the hub: names are for people, and ids for everything else.
async fn note_names(
    services: &Services,
    hub: &Peer,
    names: Vec<NamedUser>,
) -> Result<(), FetchError> {
    for NamedUser { user, name, server } in names {
        let Some(known) = services.foreigner(user).await? else { continue };
        let home = server.as_ref().unwrap_or(&hub.name);
        let is_told_by_home = known.stored.name.is_some() && known.stored.peer != hub.name;
        if known.stored.peer == *home && !is_told_by_home {
            copy::note_name(services, hub, &known, &name).await?;
        }
    }
    Ok(())
}

/// Whether `peer` speaks for the foreigner: their chain begins at one of its roots.
pub(super) fn speaks_for(peer: &Peer, foreigner: &Foreigner) -> bool {
    foreigner.stored.peer == peer.name && peer.has_root(foreigner.state.home_key)
}
