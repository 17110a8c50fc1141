//! Communities whose members live on several servers.

use rookery_protocol::{
    chain::{Head, OwnerHead},
    id::{ChainId, Digest},
    key::SigningKey,
    name::ServerName,
};

use super::{
    at,
    community::{community, found, id},
    open_accounts,
    peer::{garden, peer},
    user,
};
use crate::repository::{
    Repository, Storage,
    community::{
        Belonging::{Asking, Invited, Member, Named},
        StoredCommunity,
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
        let foreigner = StoredForeigner { user: user(number), peer: home, name: None, head: None };
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
    assert_eq!(unit.copies_of(&garden()).await.unwrap(), 1);
    assert_eq!(unit.copies_of(&shore()).await.unwrap(), 0);
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
        let signed = signed.unwrap();
        unit.put_copied_head(chain, &signed).await.unwrap();
        assert_eq!(unit.copied_head(chain).await.unwrap(), Some(signed));
    }
    unit.end_community(id(2)).await.unwrap();
    assert_eq!(unit.copies_of(&garden()).await.unwrap(), 0);
    assert_eq!(unit.copies_from(&garden(), None, 9).await.unwrap(), []);
}
