//! Peers, copies of their users, and queues for them.

use rookery_protocol::{
    id::{Digest, ServerId},
    name::ServerName,
    request::{contact::Standing, discovery::Rank, peering::PeerStanding},
};

use super::{
    at,
    community::{community, found, id},
    device, item, open_accounts, user,
};
use crate::repository::{
    Limit, Repository, Storage,
    community::{Belonging, StoredCommunity},
    contact::StoredContact,
    peer::{Backlog, Outbound, PeerEdit, StoredFinding, StoredForeigner, StoredPeer},
};

pub(super) const ALL: Limit = Limit { rows: 1_000, bytes: usize::MAX };

fn root(number: u8) -> ServerId {
    ServerId::from_bytes([number; 32])
}

pub(super) fn lane(number: u8) -> Digest {
    Digest::from_bytes([number; 32])
}

pub(super) fn garden() -> ServerName {
    "garden.example".parse().unwrap()
}

pub(super) fn peer(number: u8) -> StoredPeer {
    StoredPeer {
        name: garden(),
        address: Some("192.0.2.1:7665".parse().unwrap()),
        root: Some(root(number)),
        standing: PeerStanding::Active,
        offered: None,
        record: 3,
        added: at(0),
        roots: vec![root(number)],
        findings: vec![],
    }
}

/// What user 1's device 1 sends to user 9, in lane 1.
pub(super) fn outbound(number: u16) -> Outbound {
    Outbound {
        sender: user(1),
        device: Some(device(1)),
        item: item(number),
        receiver: Some(user(9)),
        lane: lane(1),
        at: at(u64::from(number)),
        content: vec![7; 100],
    }
}

pub(super) async fn with_peer(storage: &dyn Storage) -> Box<dyn Repository> {
    let mut unit = storage.begin().await.unwrap();
    unit.put_peer(&peer(1)).await.unwrap();
    unit
}

pub(super) async fn a_peer_is_put_once_and_its_roots_stay(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    assert_eq!(unit.peers().await.unwrap(), [peer(1)]);
    let again = StoredPeer { root: Some(root(2)), standing: PeerStanding::Paused, ..peer(1) };
    assert!(!unit.put_peer(&again).await.unwrap());
    assert_eq!(unit.peers().await.unwrap(), [peer(1)], "it was there already");
    assert!(unit.edit_peer(&garden(), &PeerEdit::Root(root(2))).await.unwrap());
    let roots = vec![root(1), root(2)];
    let stands = StoredPeer { root: Some(root(2)), record: 0, roots, ..peer(1) };
    assert_eq!(unit.peers().await.unwrap(), [stands]);
    // A name that is only blocked has no root.
    let name: ServerName = "aviary.example".parse().unwrap();
    let blocked = StoredPeer {
        name: name.clone(),
        address: None,
        root: None,
        standing: PeerStanding::Blocked,
        roots: vec![],
        ..peer(1)
    };
    assert!(unit.put_peer(&blocked).await.unwrap());
    assert_eq!(unit.peers().await.unwrap().first(), Some(&blocked), "by name");
    assert!(unit.remove_peer(&name).await.unwrap() && !unit.remove_peer(&name).await.unwrap());
}

pub(super) async fn a_change_of_a_peer_undoes_no_other(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let name = garden();
    let mut stands = StoredPeer { standing: PeerStanding::Blocked, ..peer(1) };
    let blocked = PeerEdit::Standing(PeerStanding::Blocked);
    assert!(unit.edit_peer(&name, &blocked).await.unwrap());
    // What others do who have not heard of that yet.
    assert!(!unit.put_peer(&peer(1)).await.unwrap());
    let record = |by, number| PeerEdit::Record { root: root(by), number };
    assert!(unit.edit_peer(&name, &record(1, 9)).await.unwrap());
    assert!(!unit.edit_peer(&name, &record(1, 8)).await.unwrap(), "an older one");
    assert!(!unit.edit_peer(&name, &record(2, 10)).await.unwrap(), "another root's");
    stands.record = 9;
    let place = |by| PeerEdit::Place { address: "192.0.2.9:1".parse().unwrap(), root: root(by) };
    assert!(!unit.edit_peer(&name, &place(2)).await.unwrap(), "another root is pinned");
    assert!(unit.edit_peer(&name, &place(1)).await.unwrap());
    stands.address = Some("192.0.2.9:1".parse().unwrap());
    let offered = |by| PeerEdit::Offered { pinned: root(by), offered: root(7) };
    assert!(!unit.edit_peer(&name, &offered(2)).await.unwrap(), "it was not pinned");
    assert!(unit.edit_peer(&name, &offered(1)).await.unwrap());
    stands.offered = Some(root(7));
    assert_eq!(unit.peers().await.unwrap(), [stands.clone()]);
    assert!(unit.edit_peer(&name, &PeerEdit::Root(root(1))).await.unwrap());
    stands.offered = None;
    assert_eq!(unit.peers().await.unwrap(), [stands], "records go on under the same root");
    let nobody = "aviary.example".parse().unwrap();
    assert!(!unit.edit_peer(&nobody, &blocked).await.unwrap());
}

pub(super) async fn where_a_peer_was_found_is_kept_for_each_who_said_so(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let name = garden();
    let one = |rank, place: &str, reached: Option<&str>| StoredFinding {
        rank,
        place: place.parse().unwrap(),
        reached: reached.map(|text| text.parse().unwrap()),
    };
    let found =
        |by, finding: &StoredFinding| PeerEdit::Found { root: root(by), finding: finding.clone() };
    let srv = one(Rank::Srv, "burrow.example:9", Some("[2001:db8::1]:9"));
    let record = one(Rank::Record, "garden.example", None);
    assert!(unit.edit_peer(&name, &found(1, &srv)).await.unwrap());
    assert!(unit.edit_peer(&name, &found(1, &record)).await.unwrap());
    assert!(!unit.edit_peer(&name, &found(2, &record)).await.unwrap(), "of another root");
    let findings = vec![record, srv.clone()];
    let stands = StoredPeer { findings, ..peer(1) };
    assert_eq!(unit.peers().await.unwrap(), [stands], "the highest rank first");
    // The same one says something else, and the other's word stands.
    let moved = one(Rank::Record, "192.0.2.7:1", Some("192.0.2.7:1"));
    assert!(unit.edit_peer(&name, &found(1, &moved)).await.unwrap());
    assert_eq!(unit.peers().await.unwrap()[0].findings, [moved, srv.clone()]);
    let lost = |by, rank| PeerEdit::Lost { root: root(by), rank };
    assert!(!unit.edit_peer(&name, &lost(2, Rank::Record)).await.unwrap());
    assert!(unit.edit_peer(&name, &lost(1, Rank::Record)).await.unwrap());
    assert!(!unit.edit_peer(&name, &lost(1, Rank::Record)).await.unwrap(), "it is gone");
    assert_eq!(unit.peers().await.unwrap()[0].findings, std::slice::from_ref(&srv));
    assert!(unit.edit_peer(&name, &PeerEdit::Root(root(1))).await.unwrap());
    assert_eq!(unit.peers().await.unwrap()[0].findings, [srv], "the same root");
    assert!(unit.edit_peer(&name, &PeerEdit::Root(root(2))).await.unwrap());
    assert_eq!(unit.peers().await.unwrap()[0].findings, [], "the other one was found there");
}

pub(super) async fn a_forgotten_peer_leaves_no_queue_and_no_rights(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    unit.put_outbound(&garden(), &[outbound(1)]).await.unwrap();
    unit.let_peer_read(&garden(), user(1)).await.unwrap();
    unit.let_peer_read(&garden(), user(1)).await.unwrap();
    assert!(unit.peer_may_read(&garden(), user(1)).await.unwrap());
    assert!(!unit.peer_may_read(&garden(), user(2)).await.unwrap());
    unit.let_peer_read(&garden(), user(2)).await.unwrap();
    let finding =
        StoredFinding { rank: Rank::Name, place: "garden.example".parse().unwrap(), reached: None };
    let found = PeerEdit::Found { root: root(1), finding };
    assert!(unit.edit_peer(&garden(), &found).await.unwrap());
    unit.end_peer_reading(&garden(), user(2)).await.unwrap();
    assert!(!unit.peer_may_read(&garden(), user(2)).await.unwrap());
    assert!(unit.remove_peer(&garden()).await.unwrap());
    unit.put_peer(&peer(2)).await.unwrap();
    assert_eq!(unit.peers().await.unwrap(), [peer(2)]);
    assert_eq!(unit.backlog(&garden()).await.unwrap(), Backlog::default());
    assert!(!unit.peer_may_read(&garden(), user(1)).await.unwrap());
}

pub(super) async fn a_stranger_is_idle_until_somebody_here_has_to_do_with_it(
    storage: &dyn Storage,
) {
    open_accounts(storage).await;
    let mut unit = with_peer(storage).await;
    assert_eq!(unit.idle_strangers(None).await.unwrap(), [], "it was named");
    let idle = [(garden(), at(7))];
    unit.reach_stranger(&garden(), at(4)).await.unwrap();
    assert_eq!(unit.idle_strangers(None).await.unwrap(), []);
    unit.put_stranger(&garden(), at(5)).await.unwrap();
    unit.reach_stranger(&garden(), at(7)).await.unwrap();
    let aviary: ServerName = "aviary.example".parse().unwrap();
    unit.put_stranger(&aviary, at(5)).await.unwrap();
    assert_eq!(unit.idle_strangers(None).await.unwrap(), idle, "the other one is no peer");
    assert_eq!(unit.idle_strangers(Some(&garden())).await.unwrap(), idle);
    assert_eq!(unit.idle_strangers(Some(&aviary)).await.unwrap(), []);
    // What the peer alone has begun is nothing.
    let carol =
        StoredForeigner { user: user(11), peer: garden(), name: None, head: None, brought: None };
    unit.put_foreigner(&carol).await.unwrap();
    let mut contact = StoredContact {
        owner: user(1),
        name: "carol".parse().unwrap(),
        server: Some(garden()),
        user: Some(user(11)),
        standing: Standing::Asking,
        since: at(0),
    };
    unit.put_contact(&contact).await.unwrap();
    found(&mut *unit, 1, &[(1, Belonging::Member), (11, Belonging::Asking)]).await;
    let copy = StoredCommunity { hub: Some(garden()), ..community(2) };
    unit.create_community(&copy).await.unwrap();
    let belongings = [(user(1), Belonging::Invited), (user(11), Belonging::Member)];
    unit.put_belongings(id(2), &belongings).await.unwrap();
    assert_eq!(unit.idle_strangers(None).await.unwrap(), idle);
    // What somebody here has said yes to is something.
    for (standing, is_idle) in
        [(Standing::Asked, false), (Standing::Accepted, false), (Standing::Blocked, true)]
    {
        contact.standing = standing;
        unit.put_contact(&contact).await.unwrap();
        assert_eq!(unit.idle_strangers(None).await.unwrap().len(), usize::from(is_idle));
    }
    for (number, who) in [(1, 11), (2, 1)] {
        unit.put_belongings(id(number), &[(user(who), Belonging::Member)]).await.unwrap();
        assert_eq!(unit.idle_strangers(None).await.unwrap(), [], "{number}");
        unit.put_belongings(id(number), &[(user(who), Belonging::Named)]).await.unwrap();
        assert_eq!(unit.idle_strangers(None).await.unwrap(), idle, "{number}");
    }
    unit.put_outbound(&garden(), &[outbound(1)]).await.unwrap();
    assert_eq!(unit.idle_strangers(Some(&garden())).await.unwrap(), []);
    // Whoever is forgotten or named is a stranger no more.
    assert!(unit.remove_peer(&garden()).await.unwrap());
    unit.put_peer(&peer(1)).await.unwrap();
    assert_eq!(unit.idle_strangers(None).await.unwrap(), []);
    unit.put_stranger(&garden(), at(9)).await.unwrap();
    assert_eq!(unit.idle_strangers(None).await.unwrap(), [(garden(), at(9))]);
    unit.end_stranger(&garden()).await.unwrap();
    assert_eq!(unit.idle_strangers(None).await.unwrap(), []);
}

pub(super) async fn foreigners_are_found_by_id_and_by_server(storage: &dyn Storage) {
    let mut unit = with_peer(storage).await;
    let one = |number, name: Option<&str>| StoredForeigner {
        user: user(number),
        peer: garden(),
        name: name.map(|name| name.parse().unwrap()),
        head: None,
        brought: None,
    };
    for number in [3, 1, 2] {
        unit.put_foreigner(&one(number, None)).await.unwrap();
    }
    unit.put_foreigner(&one(2, Some("dee"))).await.unwrap();
    assert_eq!(unit.foreigner(user(2)).await.unwrap(), Some(one(2, Some("dee"))));
    assert_eq!(unit.foreigner(user(4)).await.unwrap(), None);
    let named = |name: &str| name.parse().unwrap();
    unit.name_foreigner(user(1), &named("ann")).await.unwrap();
    assert_eq!(unit.foreigner(user(1)).await.unwrap(), Some(one(1, Some("ann"))));
    assert_eq!(unit.foreigner_named(&garden(), &named("ann")).await.unwrap(), Some(user(1)));
    assert_eq!(unit.foreigner_named(&garden(), &named("ben")).await.unwrap(), None);
    assert_eq!(unit.foreigners_of(&garden(), None, 2).await.unwrap(), [user(1), user(2)]);
    assert_eq!(unit.foreigners_of(&garden(), Some(user(2)), 2).await.unwrap(), [user(3)]);
    assert_eq!(unit.foreigner_count(&garden()).await.unwrap(), 3);
    let other = "aviary.example".parse().unwrap();
    assert_eq!(unit.foreigner_count(&other).await.unwrap(), 0);
    // Who was invented by another server is that one's.
    let brought = StoredForeigner { brought: Some(other.clone()), ..one(4, None) };
    unit.put_foreigner(&brought).await.unwrap();
    assert_eq!(unit.foreigner(user(4)).await.unwrap(), Some(brought));
    assert_eq!(unit.foreigner_count(&garden()).await.unwrap(), 3);
    assert_eq!(unit.foreigner_count(&other).await.unwrap(), 1);
    unit.put_foreigner(&one(4, None)).await.unwrap();
    assert_eq!(unit.foreigner_count(&garden()).await.unwrap(), 4, "their home has shown them");
}
