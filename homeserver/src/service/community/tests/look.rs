//! The first look at a community: what a newcomer is shown, and nobody else.

use rookery_protocol::{
    chain::Entry,
    community::{Action, CommunityKind, JoinBy, JoinPolicy, Snapshot, State, check_owners},
    id::{BlobId, UserId},
    request::{
        Failure, Refusal,
        blob::GetBlob,
        community::PreviewError,
        look::{LookAtBlob, LookAtPlace, LookAtSnapshot, LookAtUsers, Looking, Snapshotted},
        peer_place::WantedUser,
    },
};

use super::{
    super::chains::Known,
    town::{CHANNEL, Citizen, Town},
};
use crate::service::peer::place_look;

fn at(town: &Town) -> Looking {
    Looking { community: town.community, by: JoinBy::Open, hub: None }
}

/// Has the owner vouch for the log; gives what it had come to.
async fn vouch(town: &Town, owner: &Citizen) -> State {
    let before = town.state().await;
    let digest = before.snapshot().digest();
    town.say(owner, Action::Snapshot { digest }).await.unwrap();
    before
}

async fn shown(town: &Town, who: &Citizen) -> Option<Snapshotted> {
    let request = LookAtSnapshot { at: at(town), offset: 0 };
    place_look::snapshot(town.services(), who.who, request).await.unwrap().snapshot
}

/// The chains of users as far as the server has them.
async fn known(town: &Town, users: &[UserId]) -> Known {
    let mut known = Known::default();
    let mut view = town.services().storage.read().await.unwrap();
    for user in users {
        town.services().bring(&mut *view, &mut known, *user, 0).await.unwrap();
    }
    known
}

#[tokio::test]
async fn a_newcomer_is_shown_what_the_owner_vouches_for_with_proof_of_who_that_is() {
    let town = Town::open(&[]).await;
    let (bob, eve) = (town.joiner("bob").await, Citizen::new(&town.bench, "eve").await);
    assert!(shown(&town, &eve).await.is_none(), "nobody has vouched for anything");
    let before = vouch(&town, &town.alice).await;
    town.joiner("carol").await;
    let seen = shown(&town, &eve).await.unwrap();
    let snapshot = Snapshot::decode(seen.bytes.as_slice()).unwrap();
    assert_eq!(usize::try_from(seen.size).unwrap(), seen.bytes.as_slice().len());
    assert_eq!(snapshot.into_state().unwrap(), before);
    assert_eq!(seen.entry.seq, before.head.seq + 1);
    let alice = town.alice.user();
    let owners = check_owners(town.community, &seen.owners, &known(&town, &[alice]).await);
    assert_eq!(owners.unwrap(), [(0, alice)]);
    // What was folded from the log shows the same, and so does another owner's.
    town.services().hub.forget(town.community);
    assert_eq!(shown(&town, &eve).await.as_ref(), Some(&seen));
    town.say(&town.alice, Action::OwnerSet { user: bob.user() }).await.unwrap();
    let seen = shown(&town, &eve).await.unwrap();
    assert_eq!(seen.owners.len(), 1, "as of the snapshot");
}

#[tokio::test]
async fn nobody_looks_at_what_they_could_not_join() {
    let town = Town::founded(&[], CommunityKind::Community, JoinPolicy::Invited).await;
    let eve = Citizen::new(&town.bench, "eve").await;
    vouch(&town, &town.alice).await;
    let services = town.services();
    let not_found = |failure: Failure<PreviewError>| {
        assert_eq!(failure, Failure::Error(PreviewError::NotFound));
    };
    let (snapshot, place) = (
        LookAtSnapshot { at: at(&town), offset: 0 },
        LookAtPlace { at: at(&town), channel: None, after: None, limit: 9 },
    );
    not_found(place_look::snapshot(services, eve.who, snapshot).await.unwrap_err());
    not_found(place_look::place(services, eve.who, place).await.unwrap_err());
    let wanted = WantedUser { user: town.alice.user(), after: None };
    let users = LookAtUsers { at: at(&town), users: vec![wanted] };
    not_found(place_look::users(services, eve.who, users).await.unwrap_err());
    let part = GetBlob {
        community: town.community,
        blob: BlobId::from_bytes([1; 32]),
        offset: 0,
        length: 9,
    };
    let blob = LookAtBlob { at: at(&town), part };
    not_found(place_look::blob(services, eve.who, blob).await.unwrap_err());
}

#[tokio::test]
async fn a_guest_sees_the_log_and_no_channel() {
    let town = Town::open(&[]).await;
    let eve = Citizen::new(&town.bench, "eve").await;
    let items = vec![
        town.announce(&town.alice, 1).await,
        town.message(&town.alice, 1, 0, 501).await,
        town.message(&town.alice, 1, 1, 502).await,
    ];
    town.post(&town.alice, items).await.unwrap();
    let look = |channel, after, limit| LookAtPlace { at: at(&town), channel, after, limit };
    let places = |entries: &[Entry]| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    let services = town.services();
    let log = place_look::place(services, eve.who, look(None, None, 2)).await.unwrap();
    assert_eq!(places(&log.entries), [1, 2], "the last two");
    let after = place_look::place(services, eve.who, look(None, Some(0), 9)).await.unwrap();
    assert_eq!(places(&after.entries), [1, 2]);
    let request = look(Some(CHANNEL), None, 9);
    let refused = place_look::place(services, eve.who, request.clone()).await;
    assert_eq!(refused.unwrap_err(), Failure::Error(PreviewError::NotFound));
    let read = place_look::place(services, town.alice.who, look(Some(CHANNEL), None, 2)).await;
    assert_eq!(places(&read.unwrap().entries), [1, 2]);
    let everyone = LookAtUsers {
        at: at(&town),
        users: [town.alice.user(), eve.user()].map(|user| WantedUser { user, after: None }).into(),
    };
    let chains = place_look::users(services, eve.who, everyone).await.unwrap();
    assert_eq!(chains.names.len(), 1, "those whom the log names");
}

#[tokio::test]
async fn what_lies_beyond_the_snapshot_is_refused() {
    let town = Town::open(&[]).await;
    vouch(&town, &town.alice).await;
    let beyond = LookAtSnapshot { at: at(&town), offset: u64::MAX };
    let refused = place_look::snapshot(town.services(), town.alice.who, beyond).await;
    assert_eq!(refused.unwrap_err(), Failure::Refused(Refusal::Malformed));
    let at = Looking { hub: Some("shore.example".parse().unwrap()), ..at(&town) };
    // Who names another hub of what is here is shown what is here.
    let request = LookAtSnapshot { at, offset: 0 };
    let seen = place_look::snapshot(town.services(), town.alice.who, request).await.unwrap();
    assert!(seen.snapshot.is_some());
}
