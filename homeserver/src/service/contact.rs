//! Contacts: who stands how to whom.
//!
//! The home keeps the graph because it decides by it. What somebody learns by asking is the same whether a name is free, theirs, or blocks
//! them: a request always waits, and who it went to is not told before they accept.

use rookery_protocol::{
    id::UserId,
    name::{Address, UserName},
    request::{
        Failure, Refusal,
        contact::{Contact, ContactChange, ContactError, Contacts, RequestedContact, Standing},
    },
    session::{Authenticated, FollowDown},
    time::Timestamp,
};

use super::{Services, directory::Resident, feed::Live};
use crate::repository::{
    Repository, StorageError,
    contact::{Standings, StoredContact},
};

/// Whether two users have to do with each other, and neither has blocked the other.
#[must_use]
pub fn are_partners(ours: Option<Standing>, theirs: Option<Standing>) -> bool {
    let blocks = |standing| standing == Some(Standing::Blocked);
    (ours.is_some() || theirs.is_some()) && !blocks(ours) && !blocks(theirs)
}

/// Two users of whom one changes something, and the row that each has of the other.
struct Pair<'s> {
    services: &'s Services,
    me: std::sync::Arc<Resident>,
    name: UserName,
    them: Option<std::sync::Arc<Resident>>,
    ours: Option<Standing>,
    theirs: Option<Standing>,
    now: Timestamp,
}

/// Asks somebody to be a contact.
pub async fn request(
    services: &Services,
    who: Authenticated,
    name: UserName,
) -> Result<RequestedContact, Failure<ContactError>> {
    let turn = services.order.lock().await;
    let pair = Pair::read(services, who, name).await?;
    let mut unit = services.storage.begin().await?;
    let is_new = unit.contact(who.user, &pair.who()).await?.is_none();
    if is_new && unit.contact_count(who.user).await? >= services.config.contacts {
        return Err(Failure::Error(ContactError::Full));
    }
    let came = match (pair.ours, pair.theirs) {
        (Some(Standing::Accepted), _) => return Ok(RequestedContact::Accepted),
        // They asked before, or wrote before: this is a yes.
        (Some(Standing::Asking | Standing::Stranger), _) | (_, Some(Standing::Asked)) => {
            pair.put_ours(&mut *unit, Standing::Accepted).await?;
            pair.put_theirs(&mut *unit, Standing::Accepted).await?;
            RequestedContact::Accepted
        }
        _ => {
            pair.put_ours(&mut *unit, Standing::Asked).await?;
            let room = match &pair.them {
                Some(them) => unit.contact_count(them.user).await? < services.config.contacts,
                None => false,
            };
            if room && pair.theirs.is_none_or(|theirs| theirs == Standing::Stranger) {
                pair.put_theirs(&mut *unit, Standing::Asking).await?;
            }
            RequestedContact::Waiting
        }
    };
    unit.commit().await?;
    pair.tell().await;
    drop(turn);
    if came == RequestedContact::Accepted {
        pair.introduce().await;
    }
    Ok(came)
}

/// Changes how the caller stands to somebody.
pub async fn change(
    services: &Services,
    who: Authenticated,
    name: UserName,
    change: ContactChange,
) -> Result<(), Failure<ContactError>> {
    let turn = services.order.lock().await;
    let pair = Pair::read(services, who, name).await?;
    let not_found = Err(Failure::Error(ContactError::NotFound));
    let mut unit = services.storage.begin().await?;
    // A request to a free name has no user, so that only the row by its name shows it.
    let row = unit.contact(who.user, &pair.who()).await?.map(|row| row.standing);
    match (change, row) {
        (ContactChange::Accept, Some(Standing::Asking | Standing::Stranger)) => {
            pair.put_ours(&mut *unit, Standing::Accepted).await?;
            pair.put_theirs(&mut *unit, Standing::Accepted).await?;
        }
        (ContactChange::Accept, Some(Standing::Accepted))
        | (ContactChange::Block, Some(Standing::Blocked)) => {
            return Ok(());
        }
        (
            ContactChange::Decline | ContactChange::Remove,
            Some(Standing::Asking | Standing::Stranger),
        )
        | (ContactChange::Unblock, Some(Standing::Blocked)) => {
            unit.remove_contact(who.user, &pair.who()).await?;
        }
        (ContactChange::Block, row) => {
            if row.is_none() && unit.contact_count(who.user).await? >= services.config.contacts {
                return Err(Failure::Error(ContactError::Full));
            }
            pair.put_ours(&mut *unit, Standing::Blocked).await?;
        }
        (ContactChange::Remove, Some(Standing::Accepted | Standing::Asked)) => {
            unit.remove_contact(who.user, &pair.who()).await?;
            let ends = matches!(pair.theirs, Some(Standing::Accepted | Standing::Asking));
            if let (Some(them), true) = (&pair.them, ends) {
                let me = Address { name: pair.me.name.clone(), server: None };
                unit.remove_contact(them.user, &me).await?;
            }
        }
        _ => return not_found,
    }
    unit.commit().await?;
    pair.tell().await;
    drop(turn);
    match change {
        ContactChange::Accept => pair.introduce().await,
        ContactChange::Block | ContactChange::Remove => pair.part(),
        ContactChange::Decline | ContactChange::Unblock => {}
    }
    Ok(())
}

impl<'s> Pair<'s> {
    async fn read(
        services: &'s Services,
        who: Authenticated,
        name: UserName,
    ) -> Result<Self, Failure<ContactError>> {
        let me = services.resident(who.user).await?.ok_or(Refusal::NotAuthenticated)?;
        if me.name == name {
            return Err(Failure::Error(ContactError::Oneself));
        }
        let them = services.resident_by_name(&name).await?;
        let them = them.filter(|them| them.can_receive());
        let standings = match &them {
            Some(them) => services.standings(me.user, them.user).await?,
            None => Standings::default(),
        };
        let now = services.clock.now();
        Ok(Self { services, me, name, them, ours: standings.ours, theirs: standings.theirs, now })
    }

    async fn put_ours(
        &self,
        unit: &mut dyn Repository,
        standing: Standing,
    ) -> Result<(), StorageError> {
        let user = self.them.as_ref().map(|them| them.user);
        let (owner, name) = (self.me.user, self.name.clone());
        let row = StoredContact { owner, name, server: None, user, standing, since: self.now };
        unit.put_contact(&row).await
    }

    /// By which name the other stands in the list.
    fn who(&self) -> Address {
        Address { name: self.name.clone(), server: None }
    }

    async fn put_theirs(
        &self,
        unit: &mut dyn Repository,
        standing: Standing,
    ) -> Result<(), StorageError> {
        // A block of theirs outlasts whatever is asked here.
        let (Some(them), false) = (&self.them, self.theirs == Some(Standing::Blocked)) else {
            return Ok(());
        };
        let (user, name) = (Some(self.me.user), self.me.name.clone());
        let (owner, since) = (them.user, self.now);
        unit.put_contact(&StoredContact { owner, name, server: None, user, standing, since }).await
    }

    /// Keeps the new relation in memory, and tells both sides' devices that their lists changed.
    async fn tell(&self) {
        let notice = Live::notice(&FollowDown::ContactsChanged);
        self.services.feeds.push_user(self.me.user, &notice);
        let Some(them) = &self.them else { return };
        let after = self.services.renew_standings(self.me.user, them.user).await;
        if let Err(error) = &after {
            tracing::warn!(%error, "a relation was not read again");
            self.services.directory.forget_standings();
        }
        if after.is_ok_and(|after| after.theirs != self.theirs) {
            self.services.feeds.push_user(them.user, &notice);
        }
    }

    /// Tells two new contacts how the other is.
    async fn introduce(&self) {
        let Some(them) = &self.them else { return };
        super::presence::announce_to(self.services, self.me.user, them.user).await;
        super::presence::announce_to(self.services, them.user, self.me.user).await;
    }

    /// To each other, two who are contacts no more are offline.
    fn part(&self) {
        let Some(them) = &self.them else { return };
        let offline = |user: UserId| Live::notice(&super::presence::offline(user));
        if self.ours == Some(Standing::Accepted) {
            self.services.feeds.push_user(them.user, &offline(self.me.user));
            self.services.feeds.push_user(self.me.user, &offline(them.user));
        }
    }
}

/// The caller's contacts.
pub async fn list(services: &Services, who: Authenticated) -> Result<Contacts, Refusal> {
    let storage = |error| super::refusal(&error);
    let rows = services
        .storage
        .read()
        .await
        .map_err(storage)?
        .contacts(who.user)
        .await
        .map_err(storage)?;
    let mut contacts = Vec::with_capacity(rows.len());
    for row in rows {
        // While one's own request waits, nothing is told of whom it went to.
        let user = row.user.filter(|_| row.standing != Standing::Asked);
        let head = match user {
            Some(user) if row.server.is_some() => {
                services.foreigner(user).await.map_err(storage)?.map(|them| them.head)
            }
            Some(user) => services.resident(user).await.map_err(storage)?.map(|them| them.head),
            None => None,
        };
        contacts.push(Contact {
            name: row.name,
            user,
            standing: row.standing,
            since: row.since,
            head,
            server: row.server,
        });
    }
    Ok(Contacts { contacts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Bench, bench};

    async fn ask(bench: &Bench, who: Authenticated, name: &str) -> RequestedContact {
        request(&bench.services, who, name.parse().unwrap()).await.unwrap()
    }

    async fn standing(bench: &Bench, who: Authenticated, name: &str) -> Option<Standing> {
        let contacts = list(&bench.services, who).await.unwrap().contacts;
        contacts
            .into_iter()
            .find(|contact| contact.name.as_str() == name)
            .map(|contact| contact.standing)
    }

    #[tokio::test]
    async fn free_blocking_and_existing_names_answer_alike() {
        let bench = bench(&[]);
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        bench.person("carol").await;
        change(&bench.services, bob, "alice".parse().unwrap(), ContactChange::Block).await.unwrap();
        for name in ["bob", "carol", "nobody"] {
            assert_eq!(ask(&bench, alice, name).await, RequestedContact::Waiting);
        }
        let listed = list(&bench.services, alice).await.unwrap().contacts;
        assert!(listed.iter().all(|contact| contact.standing == Standing::Asked
            && contact.user.is_none()
            && contact.head.is_none()));
        assert_eq!(listed.len(), 3);
        assert_eq!(
            standing(&bench, bob, "alice").await,
            Some(Standing::Blocked),
            "a block outlasts a request"
        );
    }

    #[tokio::test]
    async fn two_who_ask_each_other_are_contacts_and_either_can_end_it() {
        let bench = bench(&[]);
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        ask(&bench, alice, "bob").await;
        assert_eq!(standing(&bench, bob, "alice").await, Some(Standing::Asking));
        assert_eq!(ask(&bench, bob, "alice").await, RequestedContact::Accepted);
        for (who, name) in [(alice, "bob"), (bob, "alice")] {
            assert_eq!(standing(&bench, who, name).await, Some(Standing::Accepted));
        }
        change(&bench.services, bob, "alice".parse().unwrap(), ContactChange::Remove)
            .await
            .unwrap();
        for (who, name) in [(alice, "bob"), (bob, "alice")] {
            assert_eq!(standing(&bench, who, name).await, None);
        }
    }

    #[tokio::test]
    async fn a_declined_request_is_not_told() {
        let bench = bench(&[]);
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        ask(&bench, alice, "bob").await;
        change(&bench.services, bob, "alice".parse().unwrap(), ContactChange::Decline)
            .await
            .unwrap();
        assert_eq!(standing(&bench, bob, "alice").await, None);
        assert_eq!(standing(&bench, alice, "bob").await, Some(Standing::Asked));
        let again =
            change(&bench.services, bob, "alice".parse().unwrap(), ContactChange::Accept).await;
        assert_eq!(again, Err(Failure::Error(ContactError::NotFound)));
    }

    #[tokio::test]
    async fn a_withdrawn_request_is_gone_on_both_sides() {
        let bench = bench(&[]);
        let (_, alice, ..) = bench.person("alice").await;
        let (_, bob, ..) = bench.person("bob").await;
        ask(&bench, alice, "bob").await;
        change(&bench.services, alice, "bob".parse().unwrap(), ContactChange::Remove)
            .await
            .unwrap();
        assert_eq!(standing(&bench, bob, "alice").await, None);
        let oneself = request(&bench.services, alice, "alice".parse().unwrap()).await;
        assert_eq!(oneself, Err(Failure::Error(ContactError::Oneself)));
    }
}
