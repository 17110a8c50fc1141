//! Who may read whom.

use rookery_protocol::{
    chain::Seen,
    community::{Action, Add, Ban, CommunityKind, JoinBy, JoinPolicy},
    id::ChainId,
    request::{
        Failure,
        account::{AccountSettings, Writers},
        community::{AppendLogError, PreviewLog, ReadChains, WantedChain},
        contact::ContactChange,
    },
};

use super::{
    super::{read, suggest},
    town::{Citizen, Town, puk},
};
use crate::service::{account, contact};

async fn set(town: &Town, who: &Citizen, writers: Writers, suggest: bool) {
    let settings = AccountSettings { writers, presence: true, suggest };
    account::change_settings(town.services(), who.who, settings).await.unwrap();
}

#[tokio::test]
async fn members_read_each_other_s_chains_and_names_and_strangers_do_not() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let (bob, dave) = (town.joiner("bob").await, Citizen::new(&town.bench, "dave").await);
    for citizen in [&town.alice, &bob, &dave] {
        set(&town, citizen, Writers::Contacts, true).await;
    }
    let wanted: Vec<WantedChain> = [&town.alice, &bob, &dave]
        .iter()
        .map(|citizen| ChainId::of_user(citizen.user()))
        .chain([town.log(), town.channel()])
        .map(|chain| WantedChain { chain, after: None })
        .collect();
    let chains = async |who: &Citizen| {
        let request = ReadChains { chains: wanted.clone() };
        let found = read::many(services, who.who, request).await.unwrap();
        let mut chains: Vec<ChainId> = found.entries.iter().map(|entry| entry.chain).collect();
        chains.dedup();
        chains
    };
    let expected: Vec<ChainId> =
        [0, 1, 3].iter().map(|place: &usize| wanted[*place].chain).collect();
    assert_eq!(chains(&bob).await, expected, "the channel is empty");
    assert_eq!(chains(&dave).await, [wanted[2].chain]);
    let users = vec![town.alice.user(), bob.user(), dave.user()];
    let names = async |who: &Citizen| {
        let found = read::names(services, who.who, users.clone()).await.unwrap().names;
        found.into_iter().map(|named| named.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&bob).await, ["alice", "bob"]);
    assert_eq!(names(&dave).await, ["dave"]);
    // Who looks at an open community checks its log by the chains of those whom it names.
    let by = JoinBy::Open;
    let request = PreviewLog { community: town.community, by, after: None, limit: 100, hub: None };
    read::preview(services, dave.who, request).await.unwrap();
    assert_eq!(names(&dave).await, ["alice", "bob", "dave"]);
    // Who has left is still named in the log.
    town.say(&bob, Action::Leave).await.unwrap();
    let carol = town.joiner("carol").await;
    assert_eq!(names(&carol).await, ["alice", "bob"]);
    assert_eq!(names(&bob).await, ["bob"]);
    let verified = read::head(services, carol.who, town.log()).await.unwrap();
    let online = services.identity.online.verifying_key();
    assert_eq!(verified.verify(online).unwrap().heads[0].seq, town.state().await.head.seq);
}

#[tokio::test]
async fn co_members_write_to_each_other_where_that_is_wished() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let (bob, dave) = (town.joiner("bob").await, Citizen::new(&town.bench, "dave").await);
    set(&town, &town.alice, Writers::CoMembers, true).await;
    let alice = services.resident(town.alice.user()).await.unwrap().unwrap();
    assert!(services.may_write(bob.user(), &alice).await.unwrap().is_some());
    assert!(services.may_write(dave.user(), &alice).await.unwrap().is_none());
}

#[tokio::test]
async fn an_owner_of_a_group_brings_in_who_lets_them_write() {
    let town = Town::founded(&[], CommunityKind::Group, JoinPolicy::Invited).await;
    let services = town.services();
    let (bob, carol) =
        (Citizen::new(&town.bench, "bob").await, Citizen::new(&town.bench, "carol").await);
    set(&town, &bob, Writers::Contacts, true).await;
    let add = async |citizen: &Citizen| {
        let head: Seen = citizen.person.head;
        let puk = puk(services, citizen.user()).await;
        town.say(&town.alice, Action::Add(Add { user: citizen.user(), head, puk })).await
    };
    assert!(matches!(add(&bob).await, Err(Failure::Error(AppendLogError::Denied { .. }))));
    add(&carol).await.unwrap();
    contact::request(services, town.alice.who, "bob".parse().unwrap()).await.unwrap();
    let accept = ContactChange::Accept;
    contact::change(services, bob.who, "alice".parse().unwrap(), accept).await.unwrap();
    add(&bob).await.unwrap();
    assert_eq!(town.state().await.members.size(), 3);
    let kick = Action::Kick(Ban { user: bob.user(), reason: None });
    let kicked = town.say(&carol, kick).await;
    assert!(matches!(kicked, Err(Failure::Error(AppendLogError::Denied { .. }))), "{kicked:?}");
}

#[tokio::test]
async fn suggestions_are_people_who_allow_it_best_known_first() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let names = ["bob", "carol", "dave", "erin"];
    let mut citizens = vec![];
    for name in names {
        let citizen = town.joiner(name).await;
        set(&town, &citizen, Writers::Everyone, name != "dave").await;
        citizens.push(citizen);
    }
    set(&town, &town.alice, Writers::Everyone, false).await;
    let befriend = async |one: &Citizen, other: &Citizen| {
        let name = |citizen: &Citizen| citizen.person.name.parse().unwrap();
        contact::request(services, one.who, name(other)).await.unwrap();
        contact::request(services, other.who, name(one)).await.unwrap();
    };
    // carol is a friend of erin's, who is a friend of bob's.
    befriend(&citizens[0], &citizens[3]).await;
    befriend(&citizens[3], &citizens[1]).await;
    let suggested = async |who: &Citizen| {
        let found = suggest::suggest(services, who.who).await.unwrap().suggestions;
        found
            .into_iter()
            .map(|one| (one.name.to_string(), one.communities, one.contacts))
            .collect::<Vec<_>>()
    };
    assert_eq!(suggested(&citizens[0]).await, [("carol".to_owned(), 1, 1)]);
    let block = ContactChange::Block;
    contact::change(services, citizens[1].who, "bob".parse().unwrap(), block).await.unwrap();
    assert_eq!(suggested(&citizens[0]).await, []);
}
