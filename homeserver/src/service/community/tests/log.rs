//! The log.

use std::time::Duration;

use rookery_protocol::{
    community::{
        Action, Ban, CommunityKind, EpochReason, InviteCreate, Join, JoinBy, JoinPolicy,
        invite_message,
    },
    id::{BlobId, InviteId},
    key::{Domain, SigningKey},
    request::{
        Failure,
        admin::{AdminError, HostedChange, ListHosted},
        blob::{GetBlob, GetBlobError, PutBlob, PutBlobError},
        community::{AppendLogError, MemberStanding, PreviewLog},
    },
    time::Clock as _,
};

use super::{
    super::{admin, append, blob, read},
    town::{Citizen, Draft, Town, channel_set, founding, puk, put},
};
use crate::service::testing::bench;

#[tokio::test]
async fn a_founding_batch_is_whole_or_refused() {
    let bench = bench(&[]);
    let services = &bench.services;
    let alice = Citizen::new(&bench, "alice").await;
    let (draft, wraps) =
        founding(&bench, &alice, CommunityKind::Community, JoinPolicy::Open, [1, 2, 3]).await;
    let community = draft.community.unwrap();
    let refused = append::append(services, alice.who, draft.request()).await;
    assert!(matches!(refused, Err(Failure::Error(AppendLogError::Incomplete { .. }))), "no wraps");
    put(services, alice.who, community, &wraps).await;
    let mut short = draft.request();
    short.statements.truncate(1);
    let refused = append::append(services, alice.who, short).await;
    assert!(matches!(refused, Err(Failure::Error(AppendLogError::Incomplete { .. }))), "no epoch");
    assert!(services.storage.read().await.unwrap().community(community).await.unwrap().is_none());

    let head = append::append(services, alice.who, draft.request()).await.unwrap();
    assert_eq!(head, draft.state.as_ref().unwrap().head.into(), "an author can foretell the head");
    assert_eq!(append::append(services, alice.who, draft.request()).await.unwrap(), head);
    let listed = read::list(services, alice.who).await.unwrap().communities;
    assert_eq!((listed[0].community, listed[0].head), (community, head));
    assert_eq!(listed[0].standing, MemberStanding::Member);
    // What is folded from the log is what was kept.
    let kept = services.hosted(community).await.unwrap().unwrap();
    services.hub.folds.invalidate(&community);
    assert_eq!(services.hosted(community).await.unwrap().unwrap().state, kept.state);
}

#[tokio::test]
async fn a_hub_that_has_forgotten_everything_folds_its_log_again() {
    let town = Town::open(&[]).await;
    for name in ["bob", "carol", "dave"] {
        town.joiner(name).await;
    }
    let (services, known) = (town.services(), town.state().await);
    assert_eq!(known.members.size(), 4);
    services.hub.folds.invalidate_all();
    services.hub.histories.invalidate_all();
    assert_eq!(town.state().await, known);
    // The chains that it needed are in memory again.
    for user in known.members.keys() {
        assert!(services.hub.histories.get(user).is_some());
    }
}

#[tokio::test]
async fn of_two_committers_at_once_one_is_stale() {
    let town = Town::open(&[]).await;
    let (mut one, mut two) = (Draft::on(&town.state().await), Draft::on(&town.state().await));
    one.say(town.services(), &town.alice, town.next(), channel_set(1)).await;
    two.say(town.services(), &town.alice, town.next(), channel_set(2)).await;
    let (one, two) = tokio::join!(
        append::append(town.services(), town.alice.who, one.request()),
        append::append(town.services(), town.alice.who, two.request()),
    );
    let (done, stale) = if one.is_ok() { (one, two) } else { (two, one) };
    let head = Some(done.unwrap());
    assert_eq!(stale, Err(Failure::Error(AppendLogError::Stale { head })));
}

#[tokio::test]
async fn who_is_sent_away_takes_the_epoch_along() {
    let town = Town::open(&[]).await;
    let bob = town.joiner("bob").await;
    let kick = Action::Kick(Ban { user: bob.user(), reason: None });
    let alone = town.say(&town.alice, kick.clone()).await;
    assert!(matches!(alone, Err(Failure::Error(AppendLogError::Incomplete { .. }))));
    // Wraps of the wrong size are none.
    let services = town.services();
    let mut draft = Draft::on(&town.state().await);
    draft.say(services, &town.alice, town.next(), kick).await;
    let wraps = draft.epoch(services, &town.alice, town.next(), EpochReason::Removal).await;
    assert_eq!(wraps.len(), 1_168);
    let short = append::append(services, town.alice.who, draft.request()).await;
    assert!(matches!(short, Err(Failure::Error(AppendLogError::Incomplete { .. }))));
    put(services, town.alice.who, town.community, &wraps).await;
    append::append(services, town.alice.who, draft.request()).await.unwrap();
    assert!(!town.state().await.members.contains_key(&bob.user()));
    assert_eq!(read::list(services, bob.who).await.unwrap().communities, []);
}

#[tokio::test]
async fn an_invitation_ends_in_time_and_shows_the_log_until_then() {
    let town = Town::founded(&[], CommunityKind::Community, JoinPolicy::Invited).await;
    let services = town.services();
    let bob = Citizen::new(&town.bench, "bob").await;
    let invite = InviteId::from_number(1);
    let preview = |by: JoinBy| PreviewLog {
        community: town.community,
        by,
        after: None,
        limit: 100,
        hub: None,
    };
    let by = JoinBy::Invited { invite };
    assert!(read::preview(services, bob.who, preview(by.clone())).await.is_err());
    let expires = Some(town.bench.clock.now().plus(Duration::from_hours(1)));
    let create = InviteCreate {
        invite,
        user: Some(bob.user()),
        key: None,
        wrap_key: None,
        wrap: None,
        roles: vec![],
        uses: None,
        expires,
    };
    town.say(&town.alice, Action::InviteCreate(create)).await.unwrap();
    let listed = read::list(services, bob.who).await.unwrap().communities;
    assert_eq!(listed[0].standing, MemberStanding::Invited);
    let seen = read::preview(services, bob.who, preview(by.clone())).await.unwrap();
    assert_eq!(seen.entries.len(), 4);
    assert!(read::preview(services, bob.who, preview(JoinBy::Open)).await.is_err());
    let join = Action::Join(Join { puk: puk(services, bob.user()).await, by });
    town.bench.clock.advance(Duration::from_hours(2));
    let late = town.say(&bob, join.clone()).await;
    assert_eq!(late, Err(Failure::Error(AppendLogError::Expired)));
    let stranger = Citizen::new(&town.bench, "carol").await;
    let outside = town.say(&stranger, channel_set(0)).await;
    assert_eq!(outside, Err(Failure::Error(AppendLogError::NotFound)));
}

#[tokio::test]
async fn an_epoch_is_given_up_for_its_age_when_it_is_old() {
    let town = Town::open(&[]).await;
    let (services, bob) = (town.services(), town.joiner("bob").await);
    for (days, is_old) in [(1, false), (8, true)] {
        town.bench.clock.advance(Duration::from_hours(24 * days));
        let mut draft = Draft::on(&town.state().await);
        let wraps = draft.epoch(services, &bob, town.next(), EpochReason::Age).await;
        put(services, bob.who, town.community, &wraps).await;
        let came = append::append(services, bob.who, draft.request()).await;
        assert_eq!(came.is_ok(), is_old, "{days} days: {came:?}");
    }
}

#[tokio::test]
async fn a_frozen_community_is_read_only_and_a_deleted_one_is_gone() {
    let town = Town::open(&[]).await;
    let services = town.services();
    admin::change(services, town.community, HostedChange::Freeze).await.unwrap();
    let frozen = town.say(&town.alice, channel_set(3)).await;
    assert_eq!(frozen, Err(Failure::Error(AppendLogError::Frozen)));
    let announce = town.announce(&town.alice, 1).await;
    let posted = town.post(&town.alice, vec![announce.clone()]).await;
    assert_eq!(posted, Err(Failure::Error(rookery_protocol::request::channel::PostError::Frozen)));
    assert!(services.may_read_place(town.alice.user(), town.channel()).await.unwrap());
    admin::change(services, town.community, HostedChange::Unfreeze).await.unwrap();
    town.post(&town.alice, vec![announce]).await.unwrap();
    let listed = admin::list(services, ListHosted { after: None, limit: 10 }).await.unwrap();
    let shown = &listed.communities[0];
    assert_eq!((shown.members, shown.channels, shown.entries), (1, 1, 4));

    admin::change(services, town.community, HostedChange::Delete).await.unwrap();
    assert!(!services.may_read_place(town.alice.user(), town.log()).await.unwrap());
    let again = admin::change(services, town.community, HostedChange::Delete).await;
    assert!(matches!(again, Err(Failure::Error(AdminError::Precondition { .. }))));
    // Its id is never given again.
    let (draft, wraps) = founding(
        &town.bench,
        &town.alice,
        CommunityKind::Community,
        JoinPolicy::Open,
        [60, 61, 62],
    )
    .await;
    assert_eq!(draft.community, Some(town.community));
    put(services, town.alice.who, town.community, &wraps).await;
    let refounded = append::append(services, town.alice.who, draft.request()).await;
    assert_eq!(refounded, Err(Failure::Error(AppendLogError::NotFound)));
    assert!(crate::service::retention::purge(services).await.unwrap().entries > 0);
}

#[tokio::test]
async fn the_owner_ends_a_community_and_owns_a_bounded_number() {
    let town = Town::open(&[("storage.communities", "1")]).await;
    let services = town.services();
    let mut draft = Draft { community: None, state: None, made: vec![] };
    let puk = puk(services, town.alice.user()).await;
    let mut second =
        super::town::create(&town.bench, puk, CommunityKind::Community, JoinPolicy::Invited);
    if let Action::Create(create) = &mut second {
        create.permissions = 0;
    }
    draft.say(services, &town.alice, 50, second).await;
    let full = append::append(services, town.alice.who, draft.request()).await;
    assert_eq!(full, Err(Failure::Error(AppendLogError::TooMany)));
    let bob = town.joiner("bob").await;
    let feed = bob.follow(services, &[town.log(), town.channel()]);
    town.say(&town.alice, Action::Delete).await.unwrap();
    let (entries, notices) = super::town::heard(&feed);
    assert_eq!(entries.len(), 1, "the end itself is heard");
    assert!(notices.iter().any(|notice| matches!(
        notice,
        rookery_protocol::session::FollowDown::Unfollowed { chain } if *chain == town.channel()
    )));
    assert_eq!(read::list(services, bob.who).await.unwrap().communities, []);
    assert!(services.hosted(town.community).await.unwrap().is_none());
}

#[tokio::test]
async fn a_blob_is_its_hash_and_for_readers_only() {
    let town = Town::founded(&[], CommunityKind::Community, JoinPolicy::Invited).await;
    let services = town.services();
    let (alice, bob) = (&town.alice, Citizen::new(&town.bench, "bob").await);
    let bytes: Vec<u8> = (0..1_300_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    put(services, alice.who, town.community, &bytes).await;
    put(services, alice.who, town.community, &bytes).await;
    let name = BlobId::of(&bytes);
    let part = |offset, length| GetBlob { community: town.community, blob: name, offset, length };
    let got = blob::get(services, alice.who, part(262_000, 300)).await.unwrap();
    assert_eq!((got.size, got.bytes.as_slice()), (1_300_000, &bytes[262_000..262_300]));
    let end = blob::get(services, alice.who, part(1_299_990, 300)).await.unwrap();
    assert_eq!(end.bytes.len(), 10);
    let none = blob::get(services, bob.who, part(0, 10)).await;
    assert_eq!(none, Err(Failure::Error(GetBlobError::NotFound)));
    let wrong = PutBlob {
        community: town.community,
        blob: BlobId::from_bytes([9; 32]),
        size: 10,
        offset: 0,
        bytes: rookery_protocol::codec::Octets::parse(vec![1; 10]).unwrap(),
    };
    let refused = blob::put(services, alice.who, wrong.clone()).await;
    assert_eq!(refused, Err(Failure::Error(PutBlobError::OtherHash)));
    let gap = PutBlob { offset: 5, ..wrong };
    let refused = blob::put(services, alice.who, gap).await;
    assert_eq!(refused, Err(Failure::Error(PutBlobError::Gap { have: 0 })));
    town.bench.clock.advance(Duration::from_hours(2));
    assert_eq!(crate::service::retention::purge(services).await.unwrap().blobs, 1);
    assert!(blob::get(services, alice.who, part(0, 10)).await.is_err());
}

#[tokio::test]
async fn what_need_not_be_next_is_placed_by_the_hub_within_a_window() {
    let town = Town::open(&[]).await;
    let services = town.services();
    let (bob, carol) =
        (Citizen::new(&town.bench, "bob").await, Citizen::new(&town.bench, "carol").await);
    let before = town.state().await;
    let mut drafts = vec![];
    for citizen in [&bob, &carol] {
        let mut draft = Draft::on(&before);
        let join = Join { puk: puk(services, citizen.user()).await, by: JoinBy::Open };
        draft.say(services, citizen, town.next(), Action::Join(join)).await;
        drafts.push(draft.request());
    }
    let [bobs, carols] = <[_; 2]>::try_from(drafts).unwrap();
    append::append(services, bob.who, bobs).await.unwrap();
    for _ in 0..255 {
        town.say(&town.alice, channel_set(0)).await.unwrap();
    }
    let head = Some(town.state().await.head.into());
    let late = append::append(services, carol.who, carols).await;
    assert_eq!(late, Err(Failure::Error(AppendLogError::Stale { head })), "256 entries back");
    let members = town.state().await.members;
    assert!(members.contains_key(&bob.user()) && !members.contains_key(&carol.user()));
}

#[tokio::test]
async fn a_link_shows_the_log_to_whoever_proves_it_and_is_used_up() {
    let town = Town::founded(&[], CommunityKind::Community, JoinPolicy::Invited).await;
    let services = town.services();
    let (bob, carol) =
        (Citizen::new(&town.bench, "bob").await, Citizen::new(&town.bench, "carol").await);
    let (invite, key) = (InviteId::from_number(1), SigningKey::from_seed(&[0x11; 32]));
    let create = InviteCreate {
        invite,
        user: None,
        key: Some(key.verifying_key()),
        wrap_key: None,
        wrap: None,
        roles: vec![],
        uses: Some(1),
        expires: None,
    };
    town.say(&town.alice, Action::InviteCreate(create)).await.unwrap();
    let by = |citizen: &Citizen| {
        let message = invite_message(town.community, invite, citizen.user());
        JoinBy::Link { invite, proof: key.sign(Domain::INVITE, &message) }
    };
    let preview =
        |by| PreviewLog { community: town.community, by, after: None, limit: 9, hub: None };
    assert!(read::preview(services, bob.who, preview(by(&carol))).await.is_err());
    assert_eq!(read::list(services, bob.who).await.unwrap().communities, []);
    let shown = read::preview(services, bob.who, preview(by(&bob))).await.unwrap();
    assert_eq!(shown.entries.len(), 4);
    for (citizen, comes) in [(&bob, true), (&carol, false)] {
        let join = Join { puk: puk(services, citizen.user()).await, by: by(citizen) };
        assert_eq!(town.say(citizen, Action::Join(join)).await.is_ok(), comes);
    }
    assert!(read::preview(services, carol.who, preview(by(&carol))).await.is_err(), "used up");
}
