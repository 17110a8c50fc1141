//! Who is meant: addresses as people type them, turned into user ids that everything is sealed for.

use rookery_protocol::{
    id::UserId,
    io::client::{CallError, Client},
    name::Address,
    request::{
        chain::{NameOfUser, ReadError, ResolveUser},
        community::NamesOfUsers,
    },
};

use super::{
    Engine,
    chains::ChainError,
    refusal::{failed, failed_as},
};
use crate::{
    agent::verb::rfc3339,
    error::{CommandError, Kind},
    store::{ContactRow, StoreError},
};

/// Names asked for at once.
const NAMES: usize = 512;

/// What is known of whom `text` names, before the home is asked.
enum Named {
    /// Enough: oneself, or somebody whose chain was seen.
    Known(Box<ContactRow>),
    /// A name, and whatever else is here of who bears it.
    Heard(Address, Option<Box<ContactRow>>),
}

impl Engine {
    /// Learns the names of users who are only known by their ids.
    pub(super) async fn learn_names(
        &self,
        client: &Client,
        users: &[UserId],
    ) -> Result<(), CommandError> {
        let mut unknown = vec![];
        let mut unit = self.store.read().await?;
        for user in users {
            if *user != self.user && unit.name_of(*user).await?.is_none() {
                unknown.push(*user);
            }
        }
        drop(unit);
        for users in unknown.chunks(NAMES) {
            let names = client
                .call(&NamesOfUsers { users: users.to_vec() })
                .await
                .map_err(|error| failed_as(error, |_| Kind::Failed))?
                .names;
            let mut unit = self.store.write().await?;
            for named in names {
                unit.put_name(named.user, &named.name).await?;
            }
            unit.commit().await?;
        }
        Ok(())
    }

    /// The same, if there is a connection, and if it holds: what is here has to do without one.
    pub(super) async fn learn_names_if_online(&self, users: &[UserId]) -> Result<(), CommandError> {
        let Ok(client) = self.online().await else { return Ok(()) };
        match self.learn_names(&client, users).await {
            Err(error) if error.kind == Kind::NoConnection => Ok(()),
            outcome => outcome,
        }
    }

    /// Who `text` names: known already, or found out from the home.
    pub(super) async fn person_named(&self, text: &str) -> Result<ContactRow, CommandError> {
        let address = match self.look_up(text).await? {
            Named::Known(contact) => return Ok(*contact),
            Named::Heard(address, _) => address,
        };
        let client = self.online().await.map_err(|error| {
            let message = format!("{}; {address} was never met from here", error.message);
            CommandError { message, ..error }
        })?;
        self.resolve(&client, &address).await
    }

    /// Whom a message to `text` is for. Without a connection a name is enough: whom it stands for is found out before the message goes.
    pub(super) async fn receiver_named(&self, text: &str) -> Result<ContactRow, CommandError> {
        let (address, heard) = match self.look_up(text).await? {
            Named::Known(contact) => return Ok(*contact),
            Named::Heard(address, heard) => (address, heard),
        };
        let heard = || {
            let server = address.server.clone().unwrap_or_else(|| self.account().server);
            heard.map_or_else(
                || ContactRow::unmet(address.name.clone(), server, self.now()),
                |contact| *contact,
            )
        };
        match self.online().await {
            Ok(client) => match self.resolve(&client, &address).await {
                Err(error) if error.kind == Kind::NoConnection => Ok(heard()),
                outcome => outcome,
            },
            Err(error) if error.kind == Kind::NoConnection => Ok(heard()),
            Err(error) => Err(error),
        }
    }

    /// Whose conversation is to be shown: what was written to a name that turned out to be nobody's is there, too.
    pub(super) async fn conversation_named(&self, text: &str) -> Result<ContactRow, CommandError> {
        let (address, heard) = match self.look_up(text).await? {
            Named::Known(contact) => return Ok(*contact),
            Named::Heard(address, heard) => (address, heard),
        };
        let found = match self.online().await {
            Ok(client) => self.resolve(&client, &address).await,
            Err(error) => Err(error),
        };
        match (found, heard) {
            (Err(error), Some(heard))
                if matches!(error.kind, Kind::NotFound | Kind::NoConnection) =>
            {
                Ok(*heard)
            }
            (found, _) => found,
        }
    }

    /// The same as far as it is known here, without asking anybody.
    pub(super) async fn conversation_here(
        &self,
        text: &str,
    ) -> Result<Option<ContactRow>, CommandError> {
        Ok(match self.look_up(text).await? {
            Named::Known(contact) => Some(*contact),
            Named::Heard(_, heard) => heard.map(|contact| *contact),
        })
    }

    /// What waits for nobody but a name finds whom that name stands for; says whether it was such a one. The error is why nobody can be
    /// found, now or ever.
    pub(super) async fn find_unmet(
        &self,
        client: &Client,
        unmet: UserId,
    ) -> Result<bool, CommandError> {
        let Some(contact) = self.store.read().await?.contact(unmet).await? else {
            return Ok(false);
        };
        let (true, Some(name)) = (contact.is_unmet(), contact.name) else { return Ok(false) };
        self.resolve(client, &Address { name, server: Some(contact.server) }).await?;
        Ok(true)
    }

    async fn look_up(&self, text: &str) -> Result<Named, CommandError> {
        let address: Address = text.parse()?;
        let account = self.account();
        let server = address.server.clone().unwrap_or_else(|| account.server.clone());
        let address = Address { name: address.name, server: Some(server.clone()) };
        if server == account.server && address.name == account.name {
            let mut own =
                ContactRow::met(self.user, Some(account.name), account.server, self.now());
            own.standing = Some(rookery_protocol::request::contact::Standing::Accepted);
            return Ok(Named::Known(Box::new(own)));
        }
        let known = self.store.read().await?.contact_named(&address.name, &server).await?;
        Ok(match known {
            Some(contact) if contact.pin.is_some() => Named::Known(Box::new(contact)),
            heard => Named::Heard(address, heard.map(Box::new)),
        })
    }

    /// Finds out from the home whom `address` names. What was written to the bare name is theirs from now on.
    async fn resolve(
        &self,
        client: &Client,
        address: &Address,
    ) -> Result<ContactRow, CommandError> {
        let nobody = || {
            CommandError::new(
                Kind::NotFound,
                format!("there is nobody called {address} whom you can write to"),
            )
        };
        let own = self.account().server;
        let server = address.server.clone().unwrap_or_else(|| own.clone());
        let abroad = (server != own).then(|| server.clone());
        let request = ResolveUser { name: address.name.clone(), server: abroad };
        let resolved = match client.call(&request).await {
            Ok(resolved) => resolved,
            Err(CallError::Request(ReadError::NotFound)) => return Err(nobody()),
            Err(CallError::Request(ReadError::UnknownServer)) => {
                return Err(CommandError::new(
                    Kind::NotFound,
                    format!("{own} is not in touch with {server}, where {address} lives"),
                )
                .hint("its administrator adds a server by `rookeryd peer add`"));
            }
            Err(CallError::Request(ReadError::Unreachable { since })) => {
                return Err(CommandError::new(
                    Kind::NoConnection,
                    format!("{server} does not answer {own} since {}", rfc3339(since)),
                ));
            }
            Err(error) => return Err(failed(Kind::Failed, error)),
        };
        match self.fetch_chain(client, resolved.user).await {
            Ok(_) => {}
            Err(ChainError::NotFound) => return Err(nobody()),
            Err(error) => return Err(error.into()),
        }
        let mut unit = self.store.write().await?;
        let mut contact = unit.contact(resolved.user).await?.ok_or_else(nobody)?;
        // Where somebody lives is what their own chain says, and not what this user's home says.
        if contact.server != server {
            return Err(CommandError::new(
                Kind::Trust,
                format!(
                    "{address} was said to be somebody who lives on {}: nothing was sent",
                    contact.server
                ),
            ));
        }
        contact.name = Some(address.name.clone());
        unit.put_contact(&contact).await?;
        let has_moved = unit.adopt_unmet(self.user, &contact).await?;
        unit.commit().await?;
        if has_moved {
            self.timeline_changed();
            self.outbox_wake.notify_one();
        }
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
