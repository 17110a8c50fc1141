//! Who somebody of another server is to a user here: by their id, whichever name their server says they have.
//!
//! A name is a server's word, and a hostile one gives the same user a new name each day. So whoever is blocked is looked for by id first; a
//! name counts only for those of whom nothing but a name is known. A name that is known as one user's is not another's.

use rookery_protocol::{
    id::UserId,
    name::{Address, ServerName},
    request::contact::Standing,
};

use crate::{
    repository::{Repository, StorageError, View, contact::StoredContact},
    service::Services,
};

/// Why nothing is taken from a user who has another's name.
pub(in crate::service) const ANOTHER: &str = "the name is known here as another user's";

/// What is known of somebody of another server in one user's list.
pub(in crate::service) enum Known {
    /// This, or nothing.
    Row(Option<StoredContact>),
    /// They are blocked.
    Blocked,
    /// The name is another user's.
    Another,
}

/// What `owner` knows of `user`, whom their server calls `address`.
pub(in crate::service) async fn known_as<V: View + ?Sized>(
    view: &mut V,
    owner: UserId,
    user: UserId,
    address: &Address,
) -> Result<Known, StorageError> {
    let by_id = view.contacts_with(owner, user).await?;
    if by_id.iter().any(|row| row.standing == Standing::Blocked) {
        return Ok(Known::Blocked);
    }
    let by_name = view.contact(owner, address).await?;
    Ok(match by_name {
        Some(row) if row.user.is_some_and(|known| known != user) => Known::Another,
        Some(row) => Known::Row(Some(row)),
        None => Known::Row(by_id.into_iter().next()),
    })
}

/// Whether somebody who stands so is anything to the user.
pub(in crate::service) const fn is_live(standing: Standing) -> bool {
    !matches!(standing, Standing::Blocked)
}

/// Ends what `peer` may read of the chain of `user`, unless somebody there has to do with them still, or something of theirs is on its way
/// there, which is checked against the chain.
pub(in crate::service) async fn close<R: Repository + ?Sized>(
    unit: &mut R,
    peer: &ServerName,
    user: UserId,
) -> Result<(), StorageError> {
    let contacts = unit.contacts(user).await?;
    let has_to_do =
        contacts.iter().any(|row| row.server.as_ref() == Some(peer) && is_live(row.standing));
    if has_to_do || unit.outbound_count(peer, user).await? > 0 {
        return Ok(());
    }
    unit.end_peer_reading(peer, user).await
}

/// Notes who bears a name that was blocked before anybody was known by it: from then on they are blocked by whatever name.
pub(in crate::service) async fn bind(
    services: &Services,
    row: StoredContact,
    user: UserId,
) -> Result<(), StorageError> {
    let _turn = services.order.lock().await;
    let mut unit = services.storage.begin().await?;
    // It may have become another meanwhile.
    if unit.contact(row.owner, &row.who()).await? != Some(row.clone()) {
        return Ok(());
    }
    let owner = row.owner;
    unit.put_contact(&StoredContact { user: Some(user), ..row }).await?;
    unit.commit().await?;
    services.renew_standings(owner, user).await.map(|_| ())
}
