//! Contacts.

use rookery_protocol::{name::ServerName, request::contact::Standing};

use super::{at, open_accounts, user};
use crate::repository::{
    Storage,
    contact::{Standings, StoredContact},
    peer::StoredForeigner,
};

fn contact(owner: u8, name: &str, other: Option<u8>, standing: Standing) -> StoredContact {
    StoredContact {
        owner: user(owner),
        name: name.parse().unwrap(),
        server: None,
        user: other.map(user),
        standing,
        since: at(1),
    }
}

pub(super) async fn a_contact_is_put_and_replaced(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let absent = contact(1, "nobody", None, Standing::Asked);
    let bob = contact(1, "bob", Some(2), Standing::Asked);
    for one in [&absent, &bob] {
        unit.put_contact(one).await.unwrap();
    }
    assert_eq!(unit.contacts(user(1)).await.unwrap(), [bob.clone(), absent.clone()]);
    let accepted = StoredContact { standing: Standing::Accepted, since: at(9), ..bob.clone() };
    unit.put_contact(&accepted).await.unwrap();
    assert_eq!(unit.contact(user(1), &bob.who()).await.unwrap(), Some(accepted));
    assert_eq!(unit.contact(user(2), &bob.who()).await.unwrap(), None);
    assert_eq!(unit.contact_count(user(1)).await.unwrap(), 2);
    assert!(unit.remove_contact(user(1), &absent.who()).await.unwrap());
    assert!(!unit.remove_contact(user(1), &absent.who()).await.unwrap());
    assert_eq!(unit.contact_count(user(1)).await.unwrap(), 1);
}

pub(super) async fn both_standings_are_found(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.standings(user(1), user(2)).await.unwrap(), Standings::default());
    unit.put_contact(&contact(1, "bob", Some(2), Standing::Asked)).await.unwrap();
    unit.put_contact(&contact(2, "alice", Some(1), Standing::Blocked)).await.unwrap();
    let standings = unit.standings(user(1), user(2)).await.unwrap();
    assert_eq!(
        standings,
        Standings { ours: Some(Standing::Asked), theirs: Some(Standing::Blocked) }
    );
    let standings = unit.standings(user(2), user(1)).await.unwrap();
    assert_eq!(
        standings,
        Standings { ours: Some(Standing::Blocked), theirs: Some(Standing::Asked) }
    );
}

pub(super) async fn a_block_by_any_name_is_a_block(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    for (number, [one, two]) in [(7, ["aaron", "zoe"]), (8, ["zora", "abel"])] {
        unit.put_contact(&contact(1, one, Some(number), Standing::Blocked)).await.unwrap();
        unit.put_contact(&contact(1, two, Some(number), Standing::Accepted)).await.unwrap();
        let standings = unit.standings(user(1), user(number)).await.unwrap();
        assert_eq!(standings.ours, Some(Standing::Blocked), "{one} and {two}");
        let standings = unit.standings(user(number), user(1)).await.unwrap();
        assert_eq!(standings.theirs, Some(Standing::Blocked), "{one} and {two}");
        let rows = unit.contacts_with(user(1), user(number)).await.unwrap();
        let mut names = [one, two];
        names.sort_unstable();
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), names);
    }
}

pub(super) async fn accepted_contacts_are_users(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.put_contact(&contact(1, "carol", Some(3), Standing::Accepted)).await.unwrap();
    unit.put_contact(&contact(1, "bob", Some(2), Standing::Accepted)).await.unwrap();
    unit.put_contact(&contact(1, "dave", Some(4), Standing::Stranger)).await.unwrap();
    unit.put_contact(&contact(1, "nobody", None, Standing::Asked)).await.unwrap();
    assert_eq!(unit.accepted_contacts(user(1)).await.unwrap(), [user(2), user(3)]);
    assert_eq!(unit.accepted_contacts(user(2)).await.unwrap(), []);
}

pub(super) async fn contacts_of_a_peer_are_those_who_live_there(storage: &dyn Storage) {
    open_accounts(storage).await;
    let [garden, aviary]: [ServerName; 2] =
        ["garden.example", "aviary.example"].map(|name| name.parse().unwrap());
    let mut unit = storage.begin().await.unwrap();
    for (number, peer) in [(7, &garden), (8, &garden), (9, &aviary)] {
        let (user, peer) = (user(number), peer.clone());
        let foreigner = StoredForeigner { user, peer, name: None, head: None, brought: None };
        unit.put_foreigner(&foreigner).await.unwrap();
    }
    let abroad = |owner, name, other, server: &ServerName, standing| StoredContact {
        server: Some(server.clone()),
        ..contact(owner, name, Some(other), standing)
    };
    for one in [
        abroad(2, "dee", 8, &garden, Standing::Accepted),
        abroad(1, "dee", 8, &garden, Standing::Accepted),
        abroad(1, "deirdre", 8, &garden, Standing::Accepted),
        abroad(1, "ed", 7, &garden, Standing::Asked),
        abroad(1, "flo", 9, &aviary, Standing::Accepted),
        contact(1, "bob", Some(2), Standing::Accepted),
    ] {
        unit.put_contact(&one).await.unwrap();
    }
    let pairs = [(user(1), user(8)), (user(2), user(8))];
    assert_eq!(unit.contacts_at(&garden, 10).await.unwrap(), pairs);
    assert_eq!(unit.contacts_at(&garden, 1).await.unwrap(), pairs[..1]);
    assert_eq!(unit.contacts_at(&aviary, 10).await.unwrap(), [(user(1), user(9))]);
}

pub(super) async fn a_name_of_each_server_is_another(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let here = contact(1, "bob", Some(2), Standing::Accepted);
    let garden: ServerName = "garden.example".parse().unwrap();
    let there = StoredContact {
        server: Some(garden),
        user: Some(user(9)),
        standing: Standing::Asked,
        ..here.clone()
    };
    for one in [&here, &there] {
        unit.put_contact(one).await.unwrap();
    }
    assert_eq!(unit.contacts(user(1)).await.unwrap(), [here.clone(), there.clone()]);
    assert_eq!(unit.contact(user(1), &there.who()).await.unwrap(), Some(there.clone()));
    assert_eq!(
        unit.standings(user(1), user(9)).await.unwrap(),
        Standings { ours: Some(Standing::Asked), theirs: None }
    );
    assert!(unit.remove_contact(user(1), &here.who()).await.unwrap());
    assert_eq!(unit.contacts(user(1)).await.unwrap(), [there]);
}
