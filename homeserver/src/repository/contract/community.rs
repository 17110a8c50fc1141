//! Communities.

use rookery_protocol::{
    chain::Seen,
    community::{CommunityKind, SenderKeyUse},
    id::{ChainId, ChannelId, CommunityId, Digest, SenderKeyId},
};

use super::{at, device, open_accounts, user};
use crate::repository::{
    Repository, Storage,
    chain::ChainKind,
    community::{
        Belonging::{self, Asking, Invited, Member, Named},
        ChainPlace, CommunitySize, StoredCommunity, StoredSenderKey,
    },
};

pub(crate) fn id(number: u8) -> CommunityId {
    CommunityId::from_bytes([number; 32])
}

/// A community of user 1's.
pub(crate) fn community(number: u8) -> StoredCommunity {
    StoredCommunity {
        community: id(number),
        kind: CommunityKind::Community,
        founder: user(1),
        owner: user(1),
        is_frozen: false,
        is_deleted: false,
        created: at(u64::from(number)),
        hub: None,
        was_hub: false,
    }
}

/// Makes the community with its log and channel 1, and says who belongs to it.
pub(in crate::repository) async fn found(
    unit: &mut dyn Repository,
    number: u8,
    belongings: &[(u8, Belonging)],
) {
    assert!(unit.create_community(&community(number)).await.unwrap());
    let channel = ChannelId::from_number(1);
    for (chain, kind, channel) in [
        (ChainId::of_log(id(number)), ChainKind::Log, None),
        (ChainId::of_channel(id(number), channel), ChainKind::Channel, Some(channel)),
    ] {
        unit.create_chain(chain, kind, user(1), 0, at(0)).await.unwrap();
        unit.place_chain(chain, ChainPlace { community: id(number), channel }).await.unwrap();
    }
    let belongings: Vec<_> =
        belongings.iter().map(|(number, belonging)| (user(*number), *belonging)).collect();
    unit.put_belongings(id(number), &belongings).await.unwrap();
}

pub(in crate::repository) fn sender_key(
    chain: ChainId,
    number: u8,
    next_index: u32,
) -> StoredSenderKey {
    let used = SenderKeyUse {
        user: user(1),
        device: device(1),
        channel: ChannelId::from_number(1),
        epoch: 3,
        head: Seen { seq: 4, hash: Digest::from_bytes([5; 32]) },
        next_index,
    };
    StoredSenderKey { chain, sender_key: SenderKeyId::from_bytes([number; 16]), used }
}

pub(super) async fn a_community_is_made_once_and_found_by_its_chains(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.community(id(1)).await.unwrap(), None);
    for number in [3, 1, 2] {
        found(&mut *unit, number, &[(1, Member)]).await;
    }
    let other = StoredCommunity { owner: user(2), ..community(1) };
    assert!(!unit.create_community(&other).await.unwrap());
    assert_eq!(unit.community(id(1)).await.unwrap(), Some(community(1)));
    assert_eq!(unit.owned_communities(user(1)).await.unwrap(), 3);
    unit.set_community_owner(id(1), user(2)).await.unwrap();
    assert_eq!(unit.owned_communities(user(1)).await.unwrap(), 2);
    assert_eq!(unit.community(id(1)).await.unwrap(), Some(other));
    let channel = ChannelId::from_number(1);
    let place = unit.chain_place(ChainId::of_channel(id(2), channel)).await.unwrap();
    assert_eq!(place, Some(ChainPlace { community: id(2), channel: Some(channel) }));
    let place = unit.chain_place(ChainId::of_log(id(2))).await.unwrap();
    assert_eq!(place, Some(ChainPlace { community: id(2), channel: None }));
    assert_eq!(unit.chain_place(ChainId::of_log(id(9))).await.unwrap(), None);
    let page = async |unit: &mut dyn Repository, after, most| {
        let rows = unit.communities(after, most).await.unwrap();
        rows.into_iter().map(|row| row.community).collect::<Vec<_>>()
    };
    assert_eq!(page(&mut *unit, None, 2).await, [id(1), id(2)]);
    assert_eq!(page(&mut *unit, Some(id(2)), 2).await, [id(3)]);
}

pub(super) async fn who_belongs_is_found_by_user(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    found(&mut *unit, 1, &[(1, Member), (2, Member), (3, Asking), (4, Named)]).await;
    found(&mut *unit, 2, &[(1, Member), (2, Member), (5, Invited)]).await;
    found(&mut *unit, 3, &[(1, Member), (3, Member)]).await;
    let of = async |unit: &mut dyn Repository, number| {
        let rows = unit.communities_of(user(number)).await.unwrap();
        rows.into_iter().map(|(row, belonging)| (row.community, belonging)).collect::<Vec<_>>()
    };
    assert_eq!(of(&mut *unit, 3).await, [(id(1), Asking), (id(3), Member)]);
    assert_eq!(of(&mut *unit, 4).await, []);
    for (one, other, shared) in [(1, 2, true), (2, 1, true), (2, 3, false), (1, 5, false)] {
        let found = unit.share_community(user(one), user(other)).await.unwrap();
        assert_eq!(found, shared, "{one} and {other}");
    }
    let related = async |unit: &mut dyn Repository, caller, others: &[u8]| {
        let others: Vec<_> = others.iter().map(|number| user(*number)).collect();
        let mut found = unit.related(user(caller), &others).await.unwrap();
        found.sort();
        found
    };
    assert_eq!(related(&mut *unit, 3, &[2, 4, 5]).await, [user(2), user(4)]);
    assert_eq!(related(&mut *unit, 5, &[1, 3]).await, [user(1)]);
    assert_eq!(related(&mut *unit, 4, &[1, 2]).await, [], "who is only named reads nothing");
    assert_eq!(related(&mut *unit, 1, &[]).await, []);
    assert_eq!(unit.co_members(user(1), 9).await.unwrap(), [(user(2), 2), (user(3), 1)]);
    assert_eq!(unit.co_members(user(1), 1).await.unwrap(), [(user(2), 2)]);
    unit.put_belongings(id(1), &[(user(2), Named), (user(3), Member)]).await.unwrap();
    assert_eq!(of(&mut *unit, 2).await, [(id(2), Member)]);
    assert_eq!(of(&mut *unit, 3).await, [(id(1), Member), (id(3), Member)]);
}

pub(super) async fn contacts_of_contacts_are_counted(storage: &dyn Storage) {
    use rookery_protocol::request::contact::Standing;

    use crate::repository::contact::StoredContact;
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    for (owner, other, standing) in [
        (1, 2, Standing::Accepted),
        (1, 3, Standing::Asked),
        (2, 1, Standing::Accepted),
        (2, 3, Standing::Accepted),
        (2, 4, Standing::Asking),
        (3, 4, Standing::Accepted),
    ] {
        let contact = StoredContact {
            owner: user(owner),
            name: format!("user{other}").parse().unwrap(),
            server: None,
            user: Some(user(other)),
            standing,
            since: at(0),
        };
        unit.put_contact(&contact).await.unwrap();
    }
    assert_eq!(unit.contacts_of_contacts(user(1), 9).await.unwrap(), [(user(3), 1)]);
    assert_eq!(unit.contacts_of_contacts(user(3), 9).await.unwrap(), []);
}

pub(super) async fn an_ended_community_is_nobody_s_and_stays_ended(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    found(&mut *unit, 1, &[(1, Member), (2, Member)]).await;
    found(&mut *unit, 2, &[(1, Member)]).await;
    let chain = ChainId::of_channel(id(1), ChannelId::from_number(1));
    unit.put_sender_keys(&[sender_key(chain, 1, 5)]).await.unwrap();
    unit.note_channel_reads(&[(chain, user(1), 4)]).await.unwrap();
    assert!(unit.set_community_frozen(id(1), true).await.unwrap());
    assert!(unit.community(id(1)).await.unwrap().unwrap().is_frozen);
    assert!(unit.set_community_frozen(id(1), false).await.unwrap());
    let size = unit.community_size(id(1)).await.unwrap();
    assert_eq!(size, CommunitySize { members: 2, channels: 1, entries: 0, bytes: 0 });
    assert!(unit.end_community(id(1)).await.unwrap());
    assert!(!unit.end_community(id(1)).await.unwrap());
    assert!(!unit.set_community_frozen(id(1), true).await.unwrap());
    assert!(unit.community(id(1)).await.unwrap().unwrap().is_deleted);
    assert!(!unit.create_community(&community(1)).await.unwrap());
    assert_eq!(unit.communities_of(user(2)).await.unwrap(), []);
    assert_eq!(unit.communities_of(user(1)).await.unwrap().len(), 1);
    assert_eq!(unit.owned_communities(user(1)).await.unwrap(), 1);
    let key = SenderKeyId::from_bytes([1; 16]);
    assert_eq!(unit.sender_keys(&[(chain, key)]).await.unwrap(), []);
    assert_eq!(unit.channel_reads(chain).await.unwrap(), []);
}

pub(super) async fn what_is_known_of_sender_keys_is_replaced(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    found(&mut *unit, 1, &[]).await;
    found(&mut *unit, 2, &[]).await;
    let channel = ChannelId::from_number(1);
    let chains = [ChainId::of_channel(id(1), channel), ChainId::of_channel(id(2), channel)];
    let keys: Vec<_> = (0..50).map(|number| sender_key(chains[0], number, 1)).collect();
    unit.put_sender_keys(&keys).await.unwrap();
    unit.put_sender_keys(&[sender_key(chains[1], 7, 2), sender_key(chains[0], 7, 9)])
        .await
        .unwrap();
    let wanted = |chain, number| (chain, SenderKeyId::from_bytes([number; 16]));
    let asked = [wanted(chains[0], 7), wanted(chains[1], 7), wanted(chains[1], 8)];
    let mut found = unit.sender_keys(&asked).await.unwrap();
    found.sort_by_key(|key| key.used.next_index);
    assert_eq!(found, [sender_key(chains[1], 7, 2), sender_key(chains[0], 7, 9)]);
    assert_eq!(unit.sender_keys(&[]).await.unwrap(), []);
    unit.put_sender_keys(&[]).await.unwrap();
}

pub(super) async fn read_marks_never_fall(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    found(&mut *unit, 1, &[]).await;
    let chain = ChainId::of_channel(id(1), ChannelId::from_number(1));
    unit.note_channel_reads(&[(chain, user(1), 4), (chain, user(2), 9)]).await.unwrap();
    unit.note_channel_reads(&[(chain, user(1), 7), (chain, user(2), 3)]).await.unwrap();
    let mut reads = unit.channel_reads(chain).await.unwrap();
    reads.sort();
    assert_eq!(reads, [(user(1), 7), (user(2), 9)]);
    assert_eq!(unit.channel_reads(ChainId::of_log(id(1))).await.unwrap(), []);
}
