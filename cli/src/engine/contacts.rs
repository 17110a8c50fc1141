//! Contacts: asked for, agreed to, kept in step with the home; their verification.

use rookery_protocol::{
    id::ChainId,
    io::client::Client,
    name::{Address, ServerName},
    request::{
        community::{SuggestContacts, Suggestion},
        contact::{
            ChangeContact, Contact, ContactChange, ContactError, ListContacts, RequestContact,
            RequestedContact, Standing,
        },
        message::Purpose,
    },
    session::{FollowUp, FollowedChain},
};

use super::{
    Engine, new_item,
    refusal::{failed, failed_as},
};
use crate::{
    agent::verb::{ContactLine, SuggestionLine, VerifyLine, rfc3339},
    e2ee::{
        journal_state::Change,
        payload::{Payload, SharedProfileKey},
        verify::{How, Pin, SafetyNumber},
    },
    error::{CommandError, Kind},
    store::ContactRow,
};

impl Engine {
    /// People whom this user may know, the best known first.
    pub(crate) async fn suggest_contacts(&self) -> Result<Vec<SuggestionLine>, CommandError> {
        let client = self.online().await?;
        let server = self.account().server;
        let suggested = client
            .call(&SuggestContacts {})
            .await
            .map_err(|error| failed_as(error, |_| Kind::Failed))?;
        let line = |one: Suggestion| SuggestionLine {
            v: 1,
            name: format!("{}@{server}", one.name),
            communities: one.communities,
            contacts: one.contacts,
        };
        Ok(suggested.suggestions.into_iter().map(line).collect())
    }
}

fn kind_of(error: &ContactError) -> Kind {
    match error {
        ContactError::NotFound | ContactError::UnknownServer => Kind::NotFound,
        ContactError::Oneself => Kind::Usage,
        ContactError::Full | ContactError::QueueFull => Kind::Failed,
    }
}

/// The word for how somebody stands.
pub(super) const fn standing_word(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::Asked) => "asked",
        Some(Standing::Asking) => "asking",
        Some(Standing::Accepted) => "accepted",
        Some(Standing::Blocked) => "blocked",
        Some(Standing::Stranger) => "stranger",
        None => "known",
    }
}

/// The word for how sure this user is of somebody.
pub(super) fn trust_word(contact: &ContactRow) -> &'static str {
    match &contact.pin {
        _ if contact.name_moved => "changed",
        Some(pin) if pin.is_verified() => "verified",
        _ => "unverified",
    }
}

fn contact_line(contact: &ContactRow) -> ContactLine {
    ContactLine {
        v: 1,
        name: contact.address(),
        state: standing_word(contact.standing).to_owned(),
        trust: Some(trust_word(contact).to_owned()),
        since: Some(rfc3339(contact.since)),
        user: Some(contact.user.to_string()),
        display_name: super::profile::display_name(contact),
    }
}

impl Engine {
    /// Asks somebody to be a contact.
    pub(crate) async fn add_contact(&self, who: &str) -> Result<ContactLine, CommandError> {
        let (address, abroad) = self.whose(who)?;
        let client = self.online().await?;
        let outcome = client
            .call(&RequestContact { name: address.name.clone(), server: abroad })
            .await
            .map_err(|error| failed_as(error, kind_of))?;
        self.refresh_contacts(&client).await?;
        // Whoever is known from now on can be written to without a connection, too. Whether the name is there at all is not
        // told: a request to an absent name looks like any other.
        match self.person_named(who).await {
            Ok(_) => {}
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::NoConnection) => {}
            Err(error) => return Err(error),
        }
        let state = match outcome {
            RequestedContact::Waiting => "asked",
            RequestedContact::Accepted => "accepted",
        };
        Ok(ContactLine {
            v: 1,
            name: address.to_string(),
            state: state.to_owned(),
            trust: None,
            since: None,
            user: None,
            display_name: None,
        })
    }

    /// Changes how somebody stands.
    pub(crate) async fn change_contact(
        &self,
        who: &str,
        change: ContactChange,
    ) -> Result<ContactLine, CommandError> {
        let (address, abroad) = self.whose(who)?;
        let client = self.online().await?;
        client
            .call(&ChangeContact { name: address.name.clone(), change, server: abroad })
            .await
            .map_err(|error| failed_as(error, kind_of))?;
        self.refresh_contacts(&client).await?;
        let server = address.server.clone().unwrap_or_else(|| self.account().server);
        let known = self.store.read().await?.contact_named(&address.name, &server).await?;
        let line = known.map(|contact| contact_line(&contact));
        Ok(line.unwrap_or_else(|| ContactLine {
            v: 1,
            name: address.to_string(),
            state: "known".to_owned(),
            trust: None,
            since: None,
            user: None,
            display_name: None,
        }))
    }

    /// The contacts: as the home has them, or as they were last known when it cannot be asked.
    pub(crate) async fn list_contacts(&self) -> Result<Vec<ContactLine>, CommandError> {
        let client = self.online().await?;
        let listed = self.refresh_contacts(&client).await?;
        let mut lines = vec![];
        let mut unit = self.store.read().await?;
        let server = self.account().server;
        for contact in listed {
            let row = match contact.user {
                Some(user) => unit.contact(user).await?,
                None => None,
            };
            lines.push(match row {
                Some(row) => contact_line(&row),
                None => ContactLine {
                    v: 1,
                    name: format!(
                        "{}@{}",
                        contact.name,
                        contact.server.as_ref().unwrap_or(&server)
                    ),
                    state: standing_word(Some(contact.standing)).to_owned(),
                    trust: None,
                    since: Some(rfc3339(contact.since)),
                    user: None,
                    display_name: None,
                },
            });
        }
        Ok(lines)
    }

    /// Takes over the home's list, follows new contacts' chains, and sends them the profile key.
    pub(super) async fn refresh_contacts(
        &self,
        client: &Client,
    ) -> Result<Vec<Contact>, CommandError> {
        let listed = client
            .call(&ListContacts {})
            .await
            .map_err(|error| failed(Kind::Failed, error))?
            .contacts;
        let mut met = vec![];
        let mut unit = self.store.write().await?;
        let server = self.account().server;
        let known = unit.contacts().await?;
        for contact in &listed {
            let Some(user) = contact.user else { continue };
            let old = known.iter().find(|row| row.user == user);
            // The name stood for somebody else who is known: this is what impersonation looks like.
            let server = contact.server.as_ref().unwrap_or(&server);
            let moved = known.iter().any(|row| {
                row.name.as_ref() == Some(&contact.name)
                    && row.user != user
                    && row.pin.is_some()
                    && row.server == *server
            });
            let mut row = old
                .cloned()
                .unwrap_or_else(|| ContactRow::met(user, None, server.clone(), self.now()));
            let was_accepted = row.is_accepted();
            row.name = Some(contact.name.clone());
            row.standing = Some(contact.standing);
            row.since = contact.since;
            row.name_moved |= moved && !was_accepted && contact.standing != Standing::Accepted;
            if contact.standing == Standing::Accepted {
                row.name_moved = false;
            }
            if old != Some(&row) {
                unit.put_contact(&row).await?;
            }
            if row.is_accepted() {
                let state = unit.person(user).await?;
                let is_behind = contact.head.is_some_and(|head| {
                    state.as_ref().is_none_or(|state| state.head.seq < head.seq)
                });
                if is_behind || !was_accepted || !row.knows_us {
                    met.push((user, state.map(|state| state.head.into())));
                }
            }
        }
        // Whoever is not on the list any more stands no way at all.
        for row in known {
            if row.standing.is_some()
                && !listed.iter().any(|contact| contact.user == Some(row.user))
            {
                unit.put_contact(&ContactRow { standing: None, ..row }).await?;
            }
        }
        unit.commit().await?;
        for (user, have) in met {
            if let Err(error) = self.fetch_chain(client, user).await {
                tracing::debug!(%error, "a contact's devices are not known yet");
                continue;
            }
            self.send_up(FollowUp::Follow(FollowedChain { chain: ChainId::of_user(user), have }))
                .await;
            self.share_profile_key(user).await?;
        }
        Ok(listed)
    }

    /// Sends a new contact the key of this user's profile, once.
    pub(super) async fn share_profile_key(
        &self,
        user: rookery_protocol::id::UserId,
    ) -> Result<(), CommandError> {
        let Some(key) = self.profile_key() else { return Ok(()) };
        let mut unit = self.store.write().await?;
        let Some(contact) = unit.contact(user).await? else { return Ok(()) };
        if contact.knows_us || !contact.is_accepted() {
            return Ok(());
        }
        let payload = Payload::ProfileKey(SharedProfileKey { key });
        unit.enqueue(self.user, &self.outgoing(user, new_item(), Purpose::Receipt, &payload))
            .await?;
        unit.put_contact(&ContactRow { knows_us: true, ..contact }).await?;
        unit.commit().await?;
        self.outbox_wake.notify_one();
        Ok(())
    }

    /// The number that two people compare, and whether they have.
    pub(crate) async fn verify(
        &self,
        who: &str,
        mark: Option<bool>,
    ) -> Result<VerifyLine, CommandError> {
        let mut contact = self.person_named(who).await?;
        if contact.user == self.user {
            return Err(CommandError::new(Kind::Usage, "that is you"));
        }
        if let Some(is_same) = mark {
            let mut unit = self.store.write().await?;
            let state = unit.person(contact.user).await?;
            let state = state.ok_or_else(|| {
                CommandError::new(Kind::NotFound, "nothing of this person's is known here yet")
            })?;
            let known = contact.pin.take().unwrap_or_else(|| Pin::of(&state, How::FirstUse));
            let pin = if is_same {
                Pin {
                    how: How::SafetyNumber,
                    verified_at: Some(self.now()),
                    head: state.head.into(),
                    ..known
                }
            } else {
                Pin { how: How::FirstUse, verified_at: None, ..known }
            };
            contact.pin = Some(pin.clone());
            contact.name_moved &= !is_same;
            unit.put_contact(&contact).await?;
            self.change_common(&mut unit, Change::Pin(pin)).await?;
            unit.commit().await?;
            self.chores_wake.notify_one();
        }
        Ok(VerifyLine {
            v: 1,
            name: contact.address(),
            safety_number: SafetyNumber::of(self.user, contact.user).to_string(),
            trust: trust_word(&contact).to_owned(),
            verified_at: contact.pin.as_ref().and_then(|pin| pin.verified_at).map(rfc3339),
        })
    }

    /// Who is meant, with their server; and that server, if it is another than this user's.
    fn whose(&self, who: &str) -> Result<(Address, Option<ServerName>), CommandError> {
        let address: Address = who.parse()?;
        let own = self.account().server;
        let server = address.server.unwrap_or_else(|| own.clone());
        let abroad = (server != own).then(|| server.clone());
        Ok((Address { name: address.name, server: Some(server) }, abroad))
    }
}
