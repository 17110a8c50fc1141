//! People whom somebody may know.

use std::collections::HashMap;

use rookery_protocol::{
    id::UserId,
    request::community::{Suggestion, Suggestions},
    session::Authenticated,
};

use crate::{repository::StorageError, service::Services};

/// How many are given.
const MOST: usize = 50;
/// How many are looked at, by communities and by contacts each.
const CANDIDATES: u32 = 500;

/// Users who share communities or accepted contacts with the caller, have nothing to do with them yet, and allow it to be said.
pub async fn suggest(services: &Services, who: Authenticated) -> Result<Suggestions, StorageError> {
    let mut view = services.storage.read().await?;
    let communities = view.co_members(who.user, CANDIDATES).await?;
    let contacts = view.contacts_of_contacts(who.user, CANDIDATES).await?;
    drop(view);
    let mut shared: HashMap<UserId, (u32, u32)> = HashMap::new();
    for (user, count) in communities {
        shared.entry(user).or_default().0 = count;
    }
    for (user, count) in contacts {
        shared.entry(user).or_default().1 = count;
    }
    let mut ranked: Vec<(UserId, (u32, u32))> = shared.into_iter().collect();
    ranked.sort_by_key(|(user, (communities, contacts))| {
        (std::cmp::Reverse(communities.saturating_add(*contacts)), *user)
    });
    let mut suggestions = vec![];
    for (user, (communities, contacts)) in ranked {
        if suggestions.len() >= MOST {
            break;
        }
        let standings = services.standings(who.user, user).await?;
        if standings.ours.is_some() || standings.theirs.is_some() {
            continue;
        }
        let Some(resident) = services.resident(user).await? else { continue };
        if resident.is_active() && resident.settings.suggest {
            let name = resident.name.clone();
            suggestions.push(Suggestion { name, user, communities, contacts });
        }
    }
    Ok(Suggestions { suggestions })
}
