//! What users of this server had stated after the copy was made from which it was restored.

use std::sync::Arc;

use rookery_protocol::{
    chain::{Entry, Item},
    codec,
    id::{ChainId, DeviceId, UserId},
    user::{self, State},
};

use super::{Services, place_copy::FetchError};
use crate::{
    repository::chain::{Append, ChainKind, StoredEntry},
    service::{chain, community::copy::CopyFault, directory, statement},
};

fn broken(error: impl std::fmt::Display) -> FetchError {
    FetchError::Fault(CopyFault::Broken(error.to_string()))
}

/// Takes back entries that follow what is here of a user's chain. A user whose account was opened after the copy was made has no account any
/// more; their chain is kept all the same, by which others check what they have said.
pub(super) async fn take(
    services: &Services,
    user: UserId,
    entries: Vec<Entry>,
) -> Result<(), FetchError> {
    let turn = services.order.lock().await;
    let chain = ChainId::of_user(user);
    let now = services.clock.now();
    let resident = services.resident(user).await?;
    let mut view = services.storage.read().await?;
    let mut state = directory::read_state(&mut *view, user).await?;
    drop(view);
    let before: Vec<DeviceId> = state.as_ref().map(State::live_device_ids).unwrap_or_default();
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let after = user::verify_and_apply(user, state.as_ref(), &entry).map_err(broken)?;
        let is_own =
            after.home == services.identity.name && after.home_key == services.identity.server();
        if !is_own {
            return Err(broken("the user lives on another server"));
        }
        let item: Item = codec::decode(entry.signed.payload.as_slice()).map_err(broken)?;
        let author = entry.signed.author().ok_or_else(|| broken("an entry without an author"))?;
        let author = author.device_id();
        rows.push(StoredEntry { entry, item: item.item_id, kind: item.kind, author, at: now });
        state = Some(after);
    }
    let Some(state) = state else { return Ok(()) };
    let mut unit = services.storage.begin().await?;
    unit.create_chain(chain, ChainKind::User, user, 0, now).await?;
    match unit.append_entries(chain, &rows).await? {
        Append::Done(_) => {}
        Append::ItemExists | Append::Stale(_) | Append::NoChain => {
            return Err(FetchError::Fault(CopyFault::Raced));
        }
    }
    let revoked: Vec<DeviceId> =
        before.into_iter().filter(|device| state.live_device(*device).is_none()).collect();
    for device in &revoked {
        unit.end_sessions_of_device(*device, now).await?;
        unit.forget_device(user, *device).await?;
    }
    unit.commit().await?;
    for row in &rows {
        services.feeds.push_chain(chain, &statement::live(&row.entry));
    }
    let resident = resident.map(|resident| Arc::new(resident.with_state(state)));
    if let Some(resident) = &resident {
        services.directory.put(resident);
    }
    drop(turn);
    for device in revoked {
        services.seats.cut_device(user, device);
    }
    if let Some(resident) = &resident {
        chain::tell_partners(services, resident).await;
    }
    Ok(())
}
