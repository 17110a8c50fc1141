//! The people this user knows: names, standing, verification, profile.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    id::UserId,
    name::{ServerName, UserName},
    request::contact::Standing,
    time::Timestamp,
};
use sqlx::Row as _;

use super::{StoreError, Unit};
use crate::e2ee::verify::Pin;

/// What is kept of one person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContactRow {
    /// Who.
    #[n(0)]
    pub user: UserId,
    /// The name at their home.
    #[n(1)]
    pub name: Option<UserName>,
    /// Their home's name.
    #[n(2)]
    pub server: ServerName,
    /// How the two stand; absent for somebody only looked up.
    #[n(3)]
    pub standing: Option<Standing>,
    /// What is remembered of who they are, once their chain has been seen.
    #[n(4)]
    pub pin: Option<Pin>,
    /// The name has come to stand for another user: nothing is sent to this one by name until a person decides.
    #[n(5)]
    pub name_moved: bool,
    /// The key that their profile is sealed under, once they have sent it.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub profile_key: Option<Vec<u8>>,
    /// Whether this user's profile key is on its way to them.
    #[n(7)]
    pub knows_us: bool,
    /// Their profile, as last opened: encoded.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub profile: Option<Vec<u8>>,
    /// Since when they stand so.
    #[n(9)]
    pub since: Timestamp,
}

impl ContactRow {
    /// Somebody seen for the first time.
    #[must_use]
    pub fn met(user: UserId, name: Option<UserName>, server: ServerName, now: Timestamp) -> Self {
        Self {
            user,
            name,
            server,
            standing: None,
            pin: None,
            name_moved: false,
            profile_key: None,
            knows_us: false,
            profile: None,
            since: now,
        }
    }

    /// Somebody who is known by nothing but the name that was typed without a connection: messages for them wait under an id made of that
    /// name, until the home says whom it stands for.
    #[must_use]
    pub fn unmet(name: UserName, server: ServerName, now: Timestamp) -> Self {
        Self::met(unmet_id(&name, &server), Some(name), server, now)
    }

    /// Whether they are known by nothing but a name.
    #[must_use]
    pub fn is_unmet(&self) -> bool {
        self.pin.is_none()
            && self.name.as_ref().is_some_and(|name| unmet_id(name, &self.server) == self.user)
    }

    /// Whether both agreed.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.standing == Some(Standing::Accepted)
    }

    /// `alice@nest.example`, or the user id where no name is known.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}@{}", self.server),
            None => format!("{}@{}", self.user, self.server),
        }
    }
}

/// What stands for a user whose id is not known yet. No user has such an id: those are hashes of another kind.
fn unmet_id(name: &UserName, server: &ServerName) -> UserId {
    let hash = rookery_protocol::hash::labelled(
        "client/unmet",
        &[server.as_str().as_bytes(), name.as_str().as_bytes()],
    );
    UserId::from_bytes(*hash.as_bytes())
}

impl Unit {
    /// What is kept of `user`.
    pub async fn contact(&mut self, user: UserId) -> Result<Option<ContactRow>, StoreError> {
        let key = self.vault.index("contact", &[user.as_bytes()]);
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM contact WHERE person = $1")
                .bind(&key)
                .fetch_optional(&mut *self.transaction)
                .await?;
        sealed.map(|sealed| self.vault.open("contact", &key, &sealed)).transpose()
    }

    /// Everybody, by name.
    pub async fn contacts(&mut self) -> Result<Vec<ContactRow>, StoreError> {
        let rows = sqlx::query("SELECT person, sealed FROM contact")
            .fetch_all(&mut *self.transaction)
            .await?;
        let mut contacts: Vec<ContactRow> = rows
            .iter()
            .map(|row| self.vault.open("contact", row.try_get("person")?, row.try_get("sealed")?))
            .collect::<Result<_, StoreError>>()?;
        contacts.sort_by(|one, other| (&one.name, one.user).cmp(&(&other.name, other.user)));
        Ok(contacts)
    }

    /// Who bears `name` at `server`, as far as this device knows; whoever is known by more than that name goes before.
    pub async fn contact_named(
        &mut self,
        name: &UserName,
        server: &ServerName,
    ) -> Result<Option<ContactRow>, StoreError> {
        let contacts = self.contacts().await?;
        let (unmet, met): (Vec<_>, Vec<_>) = contacts
            .into_iter()
            .filter(|contact| contact.name.as_ref() == Some(name) && contact.server == *server)
            .partition(ContactRow::is_unmet);
        Ok(met.into_iter().chain(unmet).next())
    }

    /// Gives `contact` what was written to nothing but their name: the conversation, and what of it waits, before anything that is written
    /// from now on. Says whether there was any.
    pub async fn adopt_unmet(
        &mut self,
        author: UserId,
        contact: &ContactRow,
    ) -> Result<bool, StoreError> {
        let Some(name) = &contact.name else { return Ok(false) };
        let unmet = unmet_id(name, &contact.server);
        if contact.user == unmet || self.contact(unmet).await?.is_none() {
            return Ok(false);
        }
        self.move_messages(unmet, contact.user).await?;
        self.move_outbox(author, unmet, contact.user).await?;
        sqlx::query("DELETE FROM contact WHERE person = $1")
            .bind(self.vault.index("contact", &[unmet.as_bytes()]))
            .execute(&mut *self.transaction)
            .await?;
        Ok(true)
    }

    /// Stores what is known of somebody.
    pub async fn put_contact(&mut self, contact: &ContactRow) -> Result<(), StoreError> {
        let key = self.vault.index("contact", &[contact.user.as_bytes()]);
        let sealed = self.vault.seal("contact", &key, contact);
        sqlx::query("INSERT INTO contact (person, sealed) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed")
            .bind(key)
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}
