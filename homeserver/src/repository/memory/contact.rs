//! Contacts.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rookery_protocol::{
    id::UserId,
    name::{Address, ServerName},
    request::contact::Standing,
};

use super::{Handle, Rows};
use crate::repository::{
    StorageError,
    contact::{ContactRepository, ContactView, Standings, StoredContact, binding},
};

#[async_trait]
impl ContactView for Handle {
    async fn contact(
        &mut self,
        owner: UserId,
        who: &Address,
    ) -> Result<Option<StoredContact>, StorageError> {
        Ok(self.rows().contacts.get(&(owner, who.clone())).cloned())
    }

    async fn contacts_with(
        &mut self,
        owner: UserId,
        user: UserId,
    ) -> Result<Vec<StoredContact>, StorageError> {
        let rows = self.rows();
        Ok(rows.list(owner).filter(|contact| contact.user == Some(user)).cloned().collect())
    }

    async fn standings(&mut self, user: UserId, other: UserId) -> Result<Standings, StorageError> {
        let rows = self.rows();
        Ok(Standings { ours: rows.standing(user, other), theirs: rows.standing(other, user) })
    }

    async fn contacts(&mut self, owner: UserId) -> Result<Vec<StoredContact>, StorageError> {
        Ok(self.rows().list(owner).cloned().collect())
    }

    async fn contact_count(&mut self, owner: UserId) -> Result<u32, StorageError> {
        Ok(u32::try_from(self.rows().list(owner).count()).unwrap_or(u32::MAX))
    }

    async fn contacts_at(
        &mut self,
        peer: &ServerName,
        most: usize,
    ) -> Result<Vec<(UserId, UserId)>, StorageError> {
        let rows = self.rows();
        let accepted = rows.contacts.values().filter(|row| row.standing == Standing::Accepted);
        let pairs = accepted.filter_map(|row| {
            let user = row.user?;
            let lives_there = rows.foreigners.get(&user).is_some_and(|one| one.peer == *peer);
            lives_there.then_some((user, row.owner))
        });
        let pairs: BTreeSet<(UserId, UserId)> = pairs.collect();
        Ok(pairs.into_iter().take(most).map(|(user, owner)| (owner, user)).collect())
    }

    async fn accepted_contacts(&mut self, owner: UserId) -> Result<Vec<UserId>, StorageError> {
        let rows = self.rows();
        let accepted = rows.list(owner).filter(|contact| contact.standing == Standing::Accepted);
        let mut users: Vec<_> = accepted.filter_map(|contact| contact.user).collect();
        users.sort();
        Ok(users)
    }
}

#[async_trait]
impl ContactRepository for Handle {
    async fn put_contact(&mut self, contact: &StoredContact) -> Result<(), StorageError> {
        let key = (contact.owner, contact.who());
        self.change()?.contacts.insert(key, contact.clone());
        Ok(())
    }

    async fn remove_contact(&mut self, owner: UserId, who: &Address) -> Result<bool, StorageError> {
        Ok(self.change()?.contacts.remove(&(owner, who.clone())).is_some())
    }
}

impl Rows {
    pub(super) fn list(&self, owner: UserId) -> impl Iterator<Item = &StoredContact> {
        self.contacts.values().filter(move |contact| contact.owner == owner)
    }

    fn standing(&self, owner: UserId, other: UserId) -> Option<Standing> {
        let rows = self.list(owner).filter(|contact| contact.user == Some(other));
        rows.map(|contact| contact.standing).reduce(binding)
    }
}
