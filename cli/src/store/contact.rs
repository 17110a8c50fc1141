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

    /// Who bears `name` at `server`, as far as this device knows.
    pub async fn contact_named(
        &mut self,
        name: &UserName,
        server: &ServerName,
    ) -> Result<Option<ContactRow>, StoreError> {
        let contacts = self.contacts().await?;
        Ok(contacts
            .into_iter()
            .find(|contact| contact.name.as_ref() == Some(name) && contact.server == *server))
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
