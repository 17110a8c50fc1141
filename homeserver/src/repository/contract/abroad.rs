//! Communities whose members live on several servers.

use rookery_protocol::{
    chain::{Head, Kind, OwnerHead},
    community::Fork,
    id::{BlobId, ChainId, ChannelId, CommunityId, Digest},
    key::SigningKey,
    name::ServerName,
    request::server::SignedServerRecord,
    schema::Schema as _,
    time::Timestamp,
};

use super::{
    at,
    chain::entries,
    community::{community, found, id},
    open_accounts,
    peer::{garden, peer},
    user,
};
use crate::repository::{
    Repository, Storage,
    abroad::{CopiedHead, Copies},
    blob::BlobKey,
    chain::ChainKind,
    community::{
        Belonging::{Asking, Invited, Member, Named},
        ChainPlace, StoredCommunity,
    },
    peer::StoredForeigner,
};

fn shore() -> ServerName {
    "shore.example".parse().unwrap()
}

/// Users 1 to 3 live here, 11 to 15 on garden.example and 21 on shore.example.
async fn world(storage: &dyn Storage) -> Box<dyn Repository> {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.put_peer(&peer(1)).await.unwrap();
    for number in [11, 12, 13, 14, 15, 21] {
        let home = if number < 20 { garden() } else { shore() };
        let foreigner = StoredForeigner {
            user: user(number),
            peer: home,
            name: None,
            head: None,
            brought: None,
        };
        unit.put_foreigner(&foreigner).await.unwrap();
    }
    unit
}

pub(super) async fn who_has_to_do_with_a_community_is_found_by_home(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    let all = [(1, Member), (11, Member), (12, Invited), (13, Asking), (14, Named), (21, Member)];
    found(&mut *unit, 1, &all).await;
    found(&mut *unit, 2, &[(1, Member), (14, Named)]).await;
    found(&mut *unit, 3, &[(1, Member), (15, Member)]).await;
    let home = |numbers: &[u8]| numbers.iter().map(|number| user(*number)).collect::<Vec<_>>();
    assert_eq!(unit.residents_in(id(1)).await.unwrap(), home(&[1]));
    assert_eq!(unit.foreigners_of_in(&garden(), id(1)).await.unwrap(), home(&[11, 12, 13]));
    assert_eq!(unit.foreigners_of_in(&shore(), id(1)).await.unwrap(), home(&[21]));
    assert_eq!(unit.foreigners_of_in(&garden(), id(2)).await.unwrap(), []);
    let by_home = unit.foreigners_in(id(1)).await.unwrap();
    let wanted = [(garden(), 11), (garden(), 12), (garden(), 13), (shore(), 21)];
    assert_eq!(by_home, wanted.map(|(home, number)| (home, user(number))));
    assert_eq!(unit.communities_for(&garden(), None, 9).await.unwrap(), [id(1), id(3)]);
    assert_eq!(unit.communities_for(&garden(), None, 1).await.unwrap(), [id(1)]);
    assert_eq!(unit.communities_for(&garden(), Some(id(1)), 9).await.unwrap(), [id(3)]);
    assert_eq!(unit.communities_for(&shore(), None, 9).await.unwrap(), [id(1)]);
}

pub(super) async fn a_farewell_never_falls_and_goes_with_its_peer(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member), (11, Named)]).await;
    assert_eq!(unit.farewell(&garden(), id(1)).await.unwrap(), None);
    for seq in [5, 9, 7] {
        unit.put_farewell(&garden(), id(1), seq).await.unwrap();
    }
    assert_eq!(unit.farewell(&garden(), id(1)).await.unwrap(), Some(9));
    assert_eq!(unit.communities_for(&garden(), None, 9).await.unwrap(), [id(1)]);
    // Whoever is no peer is owed none.
    unit.put_farewell(&shore(), id(1), 3).await.unwrap();
    assert_eq!(unit.farewell(&shore(), id(1)).await.unwrap(), None);
    assert!(unit.remove_peer(&garden()).await.unwrap());
    assert_eq!(unit.farewell(&garden(), id(1)).await.unwrap(), None);
}

pub(super) async fn a_copy_is_counted_for_its_hub_and_owned_by_nobody(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member)]).await;
    let copy = StoredCommunity { hub: Some(garden()), ..community(2) };
    assert!(unit.create_community(&copy).await.unwrap());
    unit.put_belongings(id(2), &[(user(1), Member), (user(11), Member)]).await.unwrap();
    assert_eq!(unit.community(id(2)).await.unwrap(), Some(copy.clone()));
    assert_eq!(unit.communities_of(user(1)).await.unwrap().last().unwrap().0, copy);
    assert_eq!(unit.copies_of(&garden()).await.unwrap(), Copies { count: 1, bytes: 0 });
    assert_eq!(unit.copies_of(&shore()).await.unwrap(), Copies::default());
    assert_eq!(unit.copies_from(&garden(), None, 9).await.unwrap(), [id(2)]);
    assert_eq!(unit.copies_from(&garden(), Some(id(2)), 9).await.unwrap(), []);
    assert_eq!(unit.copies_from(&shore(), None, 9).await.unwrap(), []);
    assert_eq!(unit.owned_communities(user(1)).await.unwrap(), 1, "the one of this server");
    assert_eq!(unit.communities(None, 9).await.unwrap(), [community(1)]);
    assert_eq!(unit.communities_for(&garden(), None, 9).await.unwrap(), [], "it is the hub");
    let chain = ChainId::of_log(id(1));
    assert_eq!(unit.copied_head(chain).await.unwrap(), None);
    for seq in [1, 2] {
        let head = Head { chain, owner_epoch: 0, seq, hash: Digest::ZERO, at: at(seq) };
        let signed = OwnerHead { heads: vec![head] }.sign(&SigningKey::from_seed(&[3; 32]));
        let record = (seq > 1).then(SignedServerRecord::sample);
        let copied = CopiedHead { head: signed.unwrap(), record };
        assert_eq!(copied.vouched().is_some(), seq > 1);
        unit.put_copied_head(chain, &copied).await.unwrap();
        assert_eq!(unit.copied_head(chain).await.unwrap(), Some(copied));
    }
    // What is there of it is counted: its chains, and what was put for it.
    let log = ChainId::of_log(id(2));
    unit.create_chain(log, ChainKind::Log, user(11), 0, at(0)).await.unwrap();
    let place = ChainPlace { community: id(2), channel: None };
    unit.place_chain(log, place).await.unwrap();
    let entries = entries(log, Kind::CommunityStatement, None, 0..3);
    unit.append_entries(log, &entries).await.unwrap();
    let bytes = unit.chain(log).await.unwrap().unwrap().bytes;
    let key = BlobKey { community: id(2), blob: BlobId::from_bytes([9; 32]), user: user(1) };
    unit.append_blob(key, 10, 0, &[1; 7], at(0)).await.unwrap().unwrap();
    let copies = Copies { count: 1, bytes: bytes.saturating_add(7) };
    assert_eq!(unit.copies_of(&garden()).await.unwrap(), copies);
    unit.end_community(id(2)).await.unwrap();
    assert_eq!(unit.copies_of(&garden()).await.unwrap(), Copies::default());
    assert_eq!(unit.copies_from(&garden(), None, 9).await.unwrap(), []);
}

pub(super) async fn many_communities_are_looked_up_at_once(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member), (11, Member), (12, Invited), (14, Named)]).await;
    found(&mut *unit, 2, &[(1, Member), (13, Member), (21, Member)]).await;
    found(&mut *unit, 3, &[(1, Member), (15, Named)]).await;
    let all = [id(1), id(2), id(3)];
    let mut users = unit.foreigners_of_in_all(&garden(), &all).await.unwrap();
    users.sort_unstable();
    assert_eq!(users, [(id(1), user(11)), (id(1), user(12)), (id(2), user(13))]);
    assert_eq!(unit.foreigners_of_in_all(&garden(), &[]).await.unwrap(), []);
    let log = ChainId::of_log(id(3));
    unit.create_chain(log, ChainKind::Log, user(1), 0, at(0)).await.unwrap();
    unit.place_chain(log, ChainPlace { community: id(3), channel: None }).await.unwrap();
    let entries = entries(log, Kind::CommunityStatement, None, 0..5);
    unit.append_entries(log, &entries).await.unwrap();
    unit.put_farewell(&garden(), id(3), 2).await.unwrap();
    unit.put_farewell(&garden(), id(2), 7).await.unwrap();
    let last = entries[2].entry.seen().into();
    assert_eq!(unit.farewells(&garden(), &all).await.unwrap(), [(id(3), last)]);
    assert_eq!(unit.farewells(&shore(), &all).await.unwrap(), []);
}

pub(super) async fn what_two_homes_share_is_ordered_by_a_third(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member), (11, Member)]).await;
    for (number, hub) in [(2, shore()), (3, shore()), (4, garden()), (5, shore())] {
        let copy = StoredCommunity { hub: Some(hub), ..community(number) };
        unit.create_community(&copy).await.unwrap();
        let standing = if number == 3 { Named } else { Member };
        unit.put_belongings(id(number), &[(user(1), Member), (user(11), standing)]).await.unwrap();
    }
    assert_eq!(unit.shared_with(&garden(), None, 9).await.unwrap(), [id(2), id(5)]);
    assert_eq!(unit.shared_with(&garden(), Some(id(2)), 9).await.unwrap(), [id(5)]);
    assert_eq!(unit.shared_with(&garden(), None, 1).await.unwrap(), [id(2)]);
    assert_eq!(unit.shared_with(&shore(), None, 9).await.unwrap(), []);
    unit.end_community(id(5)).await.unwrap();
    assert_eq!(unit.shared_with(&garden(), None, 9).await.unwrap(), [id(2)]);
}

/// Notes of all copies whether somebody needs them; gives those of which that was noted wrongly.
async fn note_copies(unit: &mut dyn Repository, now: Timestamp) -> Vec<CommunityId> {
    let wrong = unit.copies_to_note(9).await.unwrap();
    for community in &wrong {
        unit.note_copy(*community, now).await.unwrap();
    }
    assert_eq!(unit.copies_to_note(9).await.unwrap(), []);
    wrong
}

/// A copy of a community of garden.example with a log of so many entries, to which `members` belong.
async fn copied(unit: &mut dyn Repository, number: u8, length: u16, members: &[u8]) {
    let copy = StoredCommunity { hub: Some(garden()), ..community(number) };
    assert!(unit.create_community(&copy).await.unwrap());
    let log = ChainId::of_log(id(number));
    unit.create_chain(log, ChainKind::Log, user(11), 0, at(0)).await.unwrap();
    unit.place_chain(log, ChainPlace { community: id(number), channel: None }).await.unwrap();
    let entries = entries(log, Kind::CommunityStatement, None, 0..length);
    unit.append_entries(log, &entries).await.unwrap();
    let members: Vec<_> = members.iter().map(|number| (user(*number), Member)).collect();
    unit.put_belongings(id(number), &members).await.unwrap();
}

pub(super) async fn a_copy_that_nobody_needs_is_dropped_piece_by_piece(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(11, Member)]).await;
    copied(&mut *unit, 2, 5, &[1, 2, 11]).await;
    copied(&mut *unit, 3, 5, &[2, 12]).await;
    unit.put_farewell(&garden(), id(2), 3).await.unwrap();
    let key = |number| {
        let blob = BlobId::from_bytes([number; 32]);
        BlobKey { community: id(2), blob, user: user(1) }
    };
    for number in 1..4 {
        unit.append_blob(key(number), 7, 0, &[1; 7], at(0)).await.unwrap().unwrap();
    }
    note_copies(&mut *unit, at(10)).await;
    assert_eq!(unit.unused_copies(at(99), 9).await.unwrap(), [], "somebody is left in each");
    assert!(!unit.begin_drop(id(2)).await.unwrap());
    // One leaves, and the account of the other is deleted; those who live elsewhere do not count.
    unit.put_belongings(id(2), &[(user(1), Named)]).await.unwrap();
    assert!(unit.erase_account(user(2)).await.unwrap());
    assert_eq!(unit.copies_to_note(1).await.unwrap().len(), 1);
    assert_eq!(note_copies(&mut *unit, at(20)).await, [id(2), id(3)]);
    assert_eq!(note_copies(&mut *unit, at(30)).await, [], "what stays as it is is not written");
    unit.note_copy(id(2), at(30)).await.unwrap();
    assert_eq!(unit.unused_copies(at(19), 9).await.unwrap(), []);
    assert_eq!(
        unit.unused_copies(at(20), 9).await.unwrap(),
        [id(2), id(3)],
        "since the first time"
    );
    assert_eq!(unit.unused_copies(at(20), 1).await.unwrap(), [id(2)]);
    // Whoever comes back needs it again; the community of this server is no copy.
    unit.put_belongings(id(3), &[(user(3), Invited)]).await.unwrap();
    assert_eq!(note_copies(&mut *unit, at(40)).await, [id(3)]);
    assert_eq!(unit.unused_copies(at(99), 9).await.unwrap(), [id(2)]);
    assert!(!unit.begin_drop(id(1)).await.unwrap());
    assert!(!unit.begin_drop(id(3)).await.unwrap());
    assert!(!unit.go_on_with_drop(id(2), 2, 1).await.unwrap(), "it is not being dropped yet");
    assert_eq!(unit.dropped_copy(id(2)).await.unwrap(), None);

    assert!(unit.begin_drop(id(2)).await.unwrap());
    assert!(!unit.begin_drop(id(2)).await.unwrap(), "it is under way");
    assert!(unit.community(id(2)).await.unwrap().unwrap().is_deleted);
    assert_eq!(unit.dropped_copy(id(2)).await.unwrap(), Some(4));
    assert_eq!(unit.foreigners_in(id(2)).await.unwrap(), []);
    assert_eq!(
        unit.unused_copies(at(0), 9).await.unwrap(),
        [id(2)],
        "a crash leaves it to be done"
    );
    let mut pieces = 1_u32..12;
    while unit.go_on_with_drop(id(2), 2, 1).await.unwrap() {
        assert!(unit.community(id(2)).await.unwrap().is_some());
        assert!(pieces.next().is_some(), "it does not end");
    }
    assert_eq!(pieces.start, 7, "five entries, two at once, and three blobs, one at once");
    assert_eq!(unit.community(id(2)).await.unwrap(), None);
    assert_eq!(unit.chain(ChainId::of_log(id(2))).await.unwrap(), None);
    assert_eq!(unit.chain_place(ChainId::of_log(id(2))).await.unwrap(), None);
    assert_eq!(unit.blob(key(3)).await.unwrap(), None);
    assert_eq!(unit.farewell(&garden(), id(2)).await.unwrap(), None);
    assert_eq!(unit.unused_copies(at(99), 9).await.unwrap(), []);
    let kept = unit.chain(ChainId::of_log(id(3))).await.unwrap().unwrap();
    assert_eq!(kept.head.map(|head| head.seq), Some(4), "nothing of another went with it");

    // It is remembered until the hub knows, and has nobody of ours any more.
    assert_eq!(unit.dropped_untold(&garden(), 9).await.unwrap(), [id(2)]);
    assert_eq!(unit.dropped_untold(&shore(), 9).await.unwrap(), []);
    unit.settle_drop(id(2), false).await.unwrap();
    assert_eq!(unit.dropped_untold(&garden(), 9).await.unwrap(), []);
    assert_eq!(unit.dropped_copy(id(2)).await.unwrap(), Some(4));
    unit.settle_drop(id(2), true).await.unwrap();
    assert_eq!(unit.dropped_copy(id(2)).await.unwrap(), None);
    // There can be a new copy.
    copied(&mut *unit, 2, 6, &[1]).await;
    note_copies(&mut *unit, at(50)).await;
    assert_eq!(unit.unused_copies(at(99), 9).await.unwrap(), []);
}

pub(super) async fn a_community_that_ended_is_not_being_dropped(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    copied(&mut *unit, 2, 3, &[11]).await;
    note_copies(&mut *unit, at(10)).await;
    assert_eq!(unit.unused_copies(at(10), 9).await.unwrap(), [id(2)]);
    assert!(unit.end_community(id(2)).await.unwrap());
    assert_eq!(unit.unused_copies(at(99), 9).await.unwrap(), []);
    assert!(!unit.begin_drop(id(2)).await.unwrap());
    assert!(!unit.go_on_with_drop(id(2), 2, 1).await.unwrap());
    assert!(unit.community(id(2)).await.unwrap().is_some(), "its id is never given again");
}

pub(super) async fn a_farewell_ends_when_the_peer_needs_it_no_more(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member), (11, Named)]).await;
    unit.put_farewell(&garden(), id(1), 5).await.unwrap();
    unit.end_farewell(&shore(), id(1)).await.unwrap();
    assert_eq!(unit.farewell(&garden(), id(1)).await.unwrap(), Some(5));
    unit.end_farewell(&garden(), id(1)).await.unwrap();
    assert_eq!(unit.farewell(&garden(), id(1)).await.unwrap(), None);
    assert_eq!(unit.communities_for(&garden(), None, 9).await.unwrap(), []);
}

pub(super) async fn a_proof_of_two_histories_is_kept_for_ever(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member)]).await;
    let log = Fork { channel: None, ..Fork::sample() };
    let channel = Fork { channel: Some(ChannelId::from_number(2)), ..log.clone() };
    assert_eq!(unit.forked(&[id(1), id(2)]).await.unwrap(), []);
    for (fork, is_new) in [(&log, true), (&channel, true), (&log, false)] {
        assert_eq!(unit.put_fork(id(1), fork, at(1)).await.unwrap(), is_new);
    }
    let other = Fork { base: Digest::from_bytes([8; 32]), ..log.clone() };
    assert!(!unit.put_fork(id(1), &other, at(2)).await.unwrap(), "the first one stays");
    unit.end_community(id(1)).await.unwrap();
    let kept = unit.forks_of(id(1)).await.unwrap();
    assert!(kept.len() == 2 && kept.contains(&log) && kept.contains(&channel), "{kept:?}");
    assert_eq!(unit.forked(&[id(1), id(2)]).await.unwrap(), [(id(1), 2)]);
    assert_eq!(unit.forks_of(id(2)).await.unwrap(), []);
}

pub(super) async fn a_peer_reads_the_chains_of_whom_its_users_communities_name(
    storage: &dyn Storage,
) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(1, Member), (2, Named), (11, Invited), (21, Named)]).await;
    for (number, may) in [(1, true), (2, true), (3, false)] {
        assert_eq!(unit.peer_may_read(&garden(), user(number)).await.unwrap(), may, "{number}");
    }
    assert!(!unit.peer_may_read(&shore(), user(1)).await.unwrap(), "its user is only named");
    // As its last user goes, so does the right.
    unit.put_belongings(id(1), &[(user(11), Named)]).await.unwrap();
    assert!(!unit.peer_may_read(&garden(), user(1)).await.unwrap());
    // A hub reads the chains of who belongs to its communities.
    let copy = StoredCommunity { hub: Some(garden()), ..community(2) };
    unit.create_community(&copy).await.unwrap();
    unit.put_belongings(id(2), &[(user(1), Member), (user(2), Named)]).await.unwrap();
    for (number, may) in [(1, true), (2, false)] {
        assert_eq!(unit.peer_may_read(&garden(), user(number)).await.unwrap(), may, "{number}");
    }
    assert!(!unit.peer_may_read(&shore(), user(1)).await.unwrap());
    unit.put_belongings(id(2), &[(user(1), Named)]).await.unwrap();
    assert!(!unit.peer_may_read(&garden(), user(1)).await.unwrap());
}

pub(super) async fn who_ordered_a_community_once_finds_it_again(storage: &dyn Storage) {
    let mut unit = world(storage).await;
    found(&mut *unit, 1, &[(11, Member)]).await;
    let copy = StoredCommunity { hub: Some(garden()), ..community(2) };
    assert!(unit.create_community(&copy).await.unwrap());
    assert_eq!(unit.copies_from(&garden(), None, 9).await.unwrap(), [id(2)]);
    // This server hands one over to garden.example, which goes on to shore.example; and that hands the other over to this one.
    unit.set_community_hub(id(1), Some(&shore()), true).await.unwrap();
    unit.put_former_hub(id(1), &garden()).await.unwrap();
    unit.set_community_hub(id(2), None, false).await.unwrap();
    unit.put_former_hub(id(2), &garden()).await.unwrap();
    unit.put_former_hub(id(2), &garden()).await.unwrap();
    let moved = unit.community(id(1)).await.unwrap().unwrap();
    assert_eq!((moved.hub, moved.was_hub), (Some(shore()), true));
    assert_eq!(unit.community(id(2)).await.unwrap().unwrap().hub, None);
    assert_eq!(unit.copies_from(&garden(), None, 9).await.unwrap(), [id(1), id(2)]);
    assert_eq!(unit.copies_from(&garden(), Some(id(1)), 9).await.unwrap(), [id(2)]);
    assert_eq!(unit.copies_from(&shore(), None, 9).await.unwrap(), [id(1)]);
    // It goes on to be shown to those whose users have to do with it, and nobody has to need it for it to be kept.
    assert_eq!(unit.communities_for(&garden(), None, 9).await.unwrap(), [id(1)]);
    unit.put_belongings(id(1), &[(user(11), Named)]).await.unwrap();
    assert_eq!(unit.copies_to_note(9).await.unwrap(), []);
    unit.note_copy(id(1), at(5)).await.unwrap();
    assert_eq!(unit.unused_copies(at(9), 9).await.unwrap(), []);
}
