//! Storing what was checked of foreigners' chains, and what is said of them.

use std::sync::Arc;

use rookery_protocol::{
    chain::{Entry, OwnerHead, SignedHead},
    codec,
    id::ChainId,
    name::UserName,
    time::Timestamp,
    user::{Denied, State},
};

use super::{
    super::{Peer, Services, share},
    CopyError, Foreigner,
};
use crate::{
    repository::{
        StorageError,
        chain::{Append, ChainKind, StoredEntry},
        peer::StoredForeigner,
    },
    service::statement,
};

/// More of a foreigner's chain, which was checked.
pub(in crate::service::peer) struct Growth {
    /// What is known of them from then on.
    pub(in crate::service::peer) stored: StoredForeigner,
    /// What their chain comes to.
    pub(in crate::service::peer) state: State,
    /// The entries.
    pub(in crate::service::peer) entries: Vec<Entry>,
}

/// Stores checked entries, and tells who follows.
pub(in crate::service::peer) async fn keep(
    services: &Services,
    growth: Growth,
) -> Result<Arc<Foreigner>, CopyError> {
    let kept = keep_all(services, vec![growth]).await?;
    let changed = || CopyError::Unreachable("the copy has changed meanwhile".to_owned());
    kept.into_iter().next().ok_or_else(changed)
}

/// The same for several users in one unit of work. Left out are those whose chains have changed meanwhile.
pub(in crate::service::peer) async fn keep_all(
    services: &Services,
    grown: Vec<Growth>,
) -> Result<Vec<Arc<Foreigner>>, CopyError> {
    let now = services.clock.now();
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    let mut kept = Vec::with_capacity(grown.len());
    for Growth { stored, state, entries } in grown {
        let (user, chain) = (stored.user, ChainId::of_user(stored.user));
        let rows = rows_of(entries, now)?;
        // The name may have been told meanwhile, and the older of two words for where the chain stands is none.
        let stored = match services.foreigner(user).await? {
            Some(known) => StoredForeigner {
                name: known.stored.name.clone().or(stored.name),
                head: newer(known.stored.head.clone(), stored.head),
                ..stored
            },
            None => stored,
        };
        unit.create_chain(chain, ChainKind::User, user, 0, now).await?;
        if let Append::Done(_) = unit.append_entries(chain, &rows).await? {
            unit.put_foreigner(&stored).await?;
            kept.push((Arc::new(Foreigner::new(stored, state)), rows));
        }
    }
    unit.commit().await?;
    let told = kept.into_iter().map(|(foreigner, rows)| {
        let chain = ChainId::of_user(foreigner.stored.user);
        for row in &rows {
            services.feeds.push_chain(chain, &statement::live(&row.entry));
        }
        services.peers.foreigners.insert(foreigner.stored.user, Arc::clone(&foreigner));
        foreigner
    });
    let told = told.collect();
    drop(turn);
    Ok(told)
}

fn rows_of(entries: Vec<Entry>, at: Timestamp) -> Result<Vec<StoredEntry>, Denied> {
    let row = |entry: Entry| {
        let item: rookery_protocol::chain::Item =
            codec::decode(entry.signed.payload.as_slice()).map_err(Denied::from)?;
        let author = entry.signed.author().map(|key| key.device_id()).ok_or(Denied::NotAnAuthor)?;
        Ok(StoredEntry { entry, item: item.item_id, kind: item.kind, author, at })
    };
    entries.into_iter().map(row).collect()
}

/// The newer of two words for where a chain stands. Both were checked when they came.
fn newer(known: Option<SignedHead>, other: Option<SignedHead>) -> Option<SignedHead> {
    let place = |signed: &SignedHead| {
        let heads = codec::decode::<OwnerHead>(signed.payload.as_slice()).ok()?.heads;
        heads.into_iter().map(|head| head.seq).max()
    };
    match (known, other) {
        (Some(known), Some(other)) if place(&known) > place(&other) => Some(known),
        (known, other) => other.or(known),
    }
}

/// Notes by which name a foreigner is known at home, and nothing else: `foreigner` may be older than what is known of their chain by now. A
/// server that gives out new names all the time is not followed: it is charged to `by`, the peer that says so.
pub async fn note_name(
    services: &Services,
    by: &Peer,
    foreigner: &Foreigner,
    name: &UserName,
) -> Result<(), StorageError> {
    let user = foreigner.stored.user;
    let is_noted = |known: &Foreigner| known.stored.name.as_ref() == Some(name);
    if services.foreigner(user).await?.is_none_or(|known| is_noted(&known)) {
        return Ok(());
    }
    if share::take_copy(services, by).is_err() {
        return Ok(());
    }
    let turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    unit.name_foreigner(user, name).await?;
    unit.commit().await?;
    if let Some(known) = services.foreigner(user).await? {
        let stored = StoredForeigner { name: Some(name.clone()), ..known.stored.clone() };
        let named = Foreigner { stored, ..Foreigner::clone(&known) };
        services.peers.foreigners.insert(user, Arc::new(named));
    }
    drop(turn);
    Ok(())
}
