//! Profiles: sealed under a key of their user's, which contacts are given in a letter.

use minicbor::{Decode, Encode};
use rookery_protocol::{
    codec::{self, Octets},
    id::UserId,
    io::client::Client,
    request::{
        account::{FetchProfile, PutProfile},
        presence::{ListPresence, PresenceState, SetPresence},
    },
};

use super::{Engine, refusal::failed};
use crate::{
    agent::verb::{PresenceLine, PresenceWord, ProfileLine, ProfileSet, rfc3339},
    e2ee::{
        OsRandom,
        journal::{ProfileKey, ProfilePart},
        journal_state::Change,
        payload::SharedProfileKey,
    },
    error::{CommandError, Kind},
    store::ContactRow,
};

/// What a user says of themself; all of it is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Profile {
    /// What to call them.
    #[n(0)]
    pub(super) display_name: Option<String>,
    /// Their first name.
    #[n(1)]
    pub(super) first_name: Option<String>,
    /// Their last name.
    #[n(2)]
    pub(super) last_name: Option<String>,
    /// A status in words.
    #[n(3)]
    pub(super) status: Option<String>,
    /// BCP 47.
    #[n(4)]
    pub(super) locale: Option<String>,
    /// A name of the IANA time zone database.
    #[n(5)]
    pub(super) time_zone: Option<String>,
}

/// The longest value of a profile, in bytes.
const MAX_VALUE: usize = 256;

pub(super) fn display_name(contact: &ContactRow) -> Option<String> {
    let profile: Profile = codec::decode(contact.profile.as_deref()?).ok()?;
    profile.display_name
}

impl Engine {
    /// One's own profile, or a contact's.
    pub(crate) async fn show_profile(
        &self,
        who: Option<&str>,
    ) -> Result<ProfileLine, CommandError> {
        let client = self.online().await?;
        let (user, key, known) = match who {
            None => (self.user, self.profile_key(), None),
            Some(who) => {
                let contact = self.person_named(who).await?;
                let key = if contact.user == self.user {
                    self.profile_key()
                } else {
                    contact.profile_key.and_then(|key| key.try_into().ok())
                };
                let known = contact.profile.and_then(|profile| codec::decode(&profile).ok());
                (contact.user, key, known)
            }
        };
        let profile = match key {
            Some(key) => match (self.open_profile(&client, user, key).await, known) {
                // Their home is away: what it said last.
                (Err(_), Some(known)) => known,
                (profile, _) => profile?.unwrap_or_default(),
            },
            None => Profile::default(),
        };
        Ok(ProfileLine {
            v: 1,
            name: self.address_of(user).await?,
            user: user.to_string(),
            display_name: profile.display_name,
            first_name: profile.first_name,
            last_name: profile.last_name,
            status: profile.status,
            locale: profile.locale,
            time_zone: profile.time_zone,
        })
    }

    /// Changes one's own profile; what is not named stays, and an empty value goes.
    pub(crate) async fn set_profile(&self, set: ProfileSet) -> Result<ProfileLine, CommandError> {
        let client = self.online().await?;
        let key = self.own_profile_key().await?;
        let mut profile = self.open_profile(&client, self.user, key).await?.unwrap_or_default();
        let values = [
            (&mut profile.display_name, set.display_name),
            (&mut profile.first_name, set.first_name),
            (&mut profile.last_name, set.last_name),
            (&mut profile.status, set.status),
            (&mut profile.locale, set.locale),
            (&mut profile.time_zone, set.time_zone),
        ];
        for (place, value) in values {
            let Some(value) = value else { continue };
            if value.len() > MAX_VALUE {
                return Err(CommandError::new(
                    Kind::Usage,
                    format!("a value of a profile has at most {MAX_VALUE} bytes"),
                ));
            }
            *place = (!value.is_empty()).then_some(value);
        }
        let sealed = ProfileKey::from_bytes(key).seal(
            self.user,
            ProfilePart::Profile,
            &codec::encode(&profile),
            &mut OsRandom,
        );
        let sealed =
            Octets::parse(sealed).map_err(|error| CommandError::of(Kind::Usage, &error))?;
        client.call(&PutProfile { sealed }).await.map_err(|error| failed(Kind::Failed, error))?;
        // Contacts who have no key of it yet are sent one.
        self.refresh_contacts(&client).await?;
        self.show_profile(None).await
    }

    /// One's own profile key, if there is one.
    pub(super) fn profile_key(&self) -> Option<[u8; 32]> {
        self.journal().profile_key().map(|shared| shared.key)
    }

    /// One's own profile key, made when there is none; contacts who are there already get it.
    async fn own_profile_key(&self) -> Result<[u8; 32], CommandError> {
        if let Some(key) = self.profile_key() {
            return Ok(key);
        }
        let key = *ProfileKey::generate(&mut OsRandom).as_bytes();
        let mut unit = self.store.write().await?;
        self.change_common(&mut unit, Change::ProfileKey(SharedProfileKey { key })).await?;
        let contacts = unit.contacts().await?;
        unit.commit().await?;
        for contact in contacts.into_iter().filter(ContactRow::is_accepted) {
            self.share_profile_key(contact.user).await?;
        }
        Ok(key)
    }

    async fn open_profile(
        &self,
        client: &Client,
        user: UserId,
        key: [u8; 32],
    ) -> Result<Option<Profile>, CommandError> {
        let fetched = client
            .call(&FetchProfile { user })
            .await
            .map_err(|error| failed(Kind::Failed, error))?;
        let Some(sealed) = fetched.sealed else { return Ok(None) };
        let Ok(bytes) =
            ProfileKey::from_bytes(key).open(user, ProfilePart::Profile, sealed.as_slice())
        else {
            return Ok(None);
        };
        Ok(codec::decode(&bytes).ok())
    }

    /// Fetches a contact's profile, for their name in lists.
    pub(super) async fn fetch_profile(
        &self,
        client: &Client,
        user: UserId,
    ) -> Result<(), CommandError> {
        let contact = self.store.read().await?.contact(user).await?;
        let Some(key) =
            contact.and_then(|contact| contact.profile_key).and_then(|key| key.try_into().ok())
        else {
            return Ok(());
        };
        let Some(profile) = self.open_profile(client, user, key).await? else { return Ok(()) };
        let mut unit = self.store.write().await?;
        if let Some(contact) = unit.contact(user).await? {
            unit.put_contact(&ContactRow { profile: Some(codec::encode(&profile)), ..contact })
                .await?;
        }
        Ok(unit.commit().await?)
    }

    /// How this user and the contacts are.
    pub(crate) async fn list_presence(&self) -> Result<Vec<PresenceLine>, CommandError> {
        let client = self.online().await?;
        let listed = client
            .call(&ListPresence {})
            .await
            .map_err(|error| failed(Kind::Failed, error))?
            .presences;
        let mut lines = vec![];
        for entry in listed {
            let key = if entry.user == self.user {
                self.profile_key()
            } else {
                let contact = self.store.read().await?.contact(entry.user).await?;
                contact.and_then(|contact| contact.profile_key).and_then(|key| key.try_into().ok())
            };
            let status = key.zip(entry.status).and_then(|(key, sealed)| {
                let bytes = ProfileKey::from_bytes(key)
                    .open(entry.user, ProfilePart::Status, sealed.as_slice())
                    .ok()?;
                String::from_utf8(bytes.to_vec()).ok()
            });
            lines.push(PresenceLine {
                v: 1,
                name: self.address_of(entry.user).await?,
                state: presence_word(entry.state).to_owned(),
                status,
                last_online: entry.last_online.map(rfc3339),
            });
        }
        lines.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(lines)
    }

    /// Says how this user is, on this device, for as long as it is connected.
    pub(crate) async fn set_presence(
        &self,
        state: PresenceWord,
        status: Option<String>,
    ) -> Result<(), CommandError> {
        let client = self.online().await?;
        let status =
            match status.filter(|status| !status.is_empty()) {
                None => None,
                Some(status) => {
                    let key = ProfileKey::from_bytes(self.own_profile_key().await?);
                    let sealed =
                        key.seal(self.user, ProfilePart::Status, status.as_bytes(), &mut OsRandom);
                    Some(Octets::parse(sealed).map_err(|_| {
                        CommandError::new(Kind::Usage, "the status text is too long")
                    })?)
                }
            };
        let state = match state {
            PresenceWord::Online => PresenceState::Online,
            PresenceWord::Away => PresenceState::Away,
            PresenceWord::Busy => PresenceState::Busy,
            PresenceWord::Invisible => PresenceState::Invisible,
        };
        client
            .call(&SetPresence { state, status })
            .await
            .map_err(|error| failed(Kind::Failed, error))
    }
}

const fn presence_word(state: PresenceState) -> &'static str {
    match state {
        PresenceState::Online => "online",
        PresenceState::Away => "away",
        PresenceState::Busy => "busy",
        PresenceState::Invisible => "invisible",
        PresenceState::Offline => "offline",
    }
}
