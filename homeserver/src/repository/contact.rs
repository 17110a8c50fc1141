//! Contacts: how each user stands to others, by name.

use async_trait::async_trait;
use rookery_protocol::{
    id::UserId,
    name::{Address, ServerName, UserName},
    request::contact::Standing,
    time::Timestamp,
};

use super::StorageError;

/// How one user stands to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredContact {
    /// Whose list it stands in.
    pub owner: UserId,
    /// By which name; unique in the list, together with the server.
    pub name: UserName,
    /// Their home, when it is another one.
    pub server: Option<ServerName>,
    /// Who; absent where a request went to a name that is free, or that blocks the owner.
    pub user: Option<UserId>,
    /// How they stand.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
}

/// How two users stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// How the first stands to the second.
    pub ours: Option<Standing>,
    /// How the second stands to the first.
    pub theirs: Option<Standing>,
}

/// What can be asked about contacts.
#[async_trait]
pub trait ContactView {
    /// The contact of that address.
    async fn contact(
        &mut self,
        owner: UserId,
        who: &Address,
    ) -> Result<Option<StoredContact>, StorageError>;

    /// What stands in the list of `owner` about `user`, by name: their server may have called them by several.
    async fn contacts_with(
        &mut self,
        owner: UserId,
        user: UserId,
    ) -> Result<Vec<StoredContact>, StorageError>;

    /// How two users stand to each other. Of several rows about one user the one counts that [`binding`] says.
    async fn standings(&mut self, user: UserId, other: UserId) -> Result<Standings, StorageError>;

    /// The list of `owner`, by name.
    async fn contacts(&mut self, owner: UserId) -> Result<Vec<StoredContact>, StorageError>;

    /// How long the list is.
    async fn contact_count(&mut self, owner: UserId) -> Result<u32, StorageError>;

    /// Users here, and whom of `peer` each has accepted; at most `most` such pairs.
    async fn contacts_at(
        &mut self,
        peer: &ServerName,
        most: usize,
    ) -> Result<Vec<(UserId, UserId)>, StorageError>;

    /// The users whom `owner` has accepted, by id.
    async fn accepted_contacts(&mut self, owner: UserId) -> Result<Vec<UserId>, StorageError>;
}

/// What can be done to contacts.
#[async_trait]
pub trait ContactRepository: ContactView {
    /// Puts a contact into its owner's list, in place of one of the same name.
    async fn put_contact(&mut self, contact: &StoredContact) -> Result<(), StorageError>;

    /// Takes the contact out. Says whether there was one.
    async fn remove_contact(&mut self, owner: UserId, who: &Address) -> Result<bool, StorageError>;
}

/// Which of two standings counts, where one user is known by two names: a block outlasts whatever is agreed under another name.
#[must_use]
pub fn binding(one: Standing, other: Standing) -> Standing {
    const fn weight(standing: Standing) -> u8 {
        match standing {
            Standing::Blocked => 4,
            Standing::Accepted => 3,
            Standing::Asked => 2,
            Standing::Asking => 1,
            Standing::Stranger => 0,
        }
    }
    if weight(other) > weight(one) { other } else { one }
}

impl StoredContact {
    /// Name and server.
    #[must_use]
    pub fn who(&self) -> Address {
        Address { name: self.name.clone(), server: self.server.clone() }
    }
}
