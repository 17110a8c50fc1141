//! Who is meant: addresses as people type them, turned into user ids that everything is sealed for.

use rookery_protocol::{
    id::UserId,
    io::client::{CallError, Client},
    name::Address,
    request::chain::{NameOfUser, ReadError, ResolveUser},
};

use super::{Engine, chains::ChainError, refusal::failed};
use crate::{
    error::{CommandError, Kind},
    store::{ContactRow, StoreError},
};

impl Engine {
    /// Who `text` names: known already, or found out from the home.
    pub(super) async fn person_named(&self, text: &str) -> Result<ContactRow, CommandError> {
        let address: Address = text.parse()?;
        let account = self.account();
        let server = address.server.clone().unwrap_or_else(|| account.server.clone());
        if server != account.server {
            return Err(CommandError::new(
                Kind::NotFound,
                format!(
                    "{address} lives on another server, and this version reaches people of {} only",
                    account.server
                ),
            ));
        }
        if address.name == account.name {
            let mut own =
                ContactRow::met(self.user, Some(account.name), account.server, self.now());
            own.standing = Some(rookery_protocol::request::contact::Standing::Accepted);
            return Ok(own);
        }
        let known = self.store.read().await?.contact_named(&address.name, &server).await?;
        if let Some(contact) = known
            && contact.pin.is_some()
        {
            return Ok(contact);
        }
        let client = self.online().await.map_err(|error| {
            let message = format!(
                "{}; {address} was never met from here, so nothing is queued for them",
                error.message
            );
            CommandError { message, ..error }
        })?;
        let nobody = || {
            CommandError::new(
                Kind::NotFound,
                format!("there is nobody called {address} whom you can write to"),
            )
        };
        let resolved = match client.call(&ResolveUser { name: address.name.clone() }).await {
            Ok(resolved) => resolved,
            Err(CallError::Request(ReadError::NotFound)) => return Err(nobody()),
            Err(error) => return Err(failed(Kind::Failed, error)),
        };
        match self.fetch_chain(&client, resolved.user).await {
            Ok(_) => {}
            Err(ChainError::NotFound) => return Err(nobody()),
            Err(error) => return Err(error.into()),
        }
        let mut unit = self.store.write().await?;
        let mut contact = unit.contact(resolved.user).await?.ok_or_else(nobody)?;
        contact.name = Some(address.name);
        unit.put_contact(&contact).await?;
        unit.commit().await?;
        Ok(contact)
    }

    /// What somebody is called, as far as is known here or the home tells.
    pub(super) async fn address_of(&self, user: UserId) -> Result<String, StoreError> {
        if user == self.user {
            let account = self.account();
            return Ok(format!("{}@{}", account.name, account.server));
        }
        let contact = self.store.read().await?.contact(user).await?;
        let client = match &*self.link.borrow() {
            super::Link::Online(online) => Some(online.client.clone()),
            _ => None,
        };
        match (contact, client) {
            (Some(contact), Some(client)) if contact.name.is_none() => {
                let named = self.learn_name(&client, contact.clone()).await?;
                Ok(named.unwrap_or(contact).address())
            }
            (Some(contact), _) => Ok(contact.address()),
            (None, _) => Ok(format!("{user}@{}", self.account().server)),
        }
    }

    async fn learn_name(
        &self,
        client: &Client,
        contact: ContactRow,
    ) -> Result<Option<ContactRow>, StoreError> {
        let Ok(reply) = client.call(&NameOfUser { user: contact.user }).await else {
            return Ok(None);
        };
        let Some(name) = reply.name else { return Ok(None) };
        let mut unit = self.store.write().await?;
        let mut contact = unit.contact(contact.user).await?.unwrap_or(contact);
        contact.name = Some(name);
        unit.put_contact(&contact).await?;
        unit.commit().await?;
        Ok(Some(contact))
    }
}
