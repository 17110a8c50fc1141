//! What is forgotten, and counts.

use rookery_protocol::{
    chain::Kind,
    id::{ChainId, ChannelId},
};

use super::{
    ALL,
    account::{invite, session},
    at, blob, chain, community, device, item,
    mailbox::deposit,
    open_accounts,
    prekey::upload,
    user,
};
use crate::repository::{
    Storage,
    invite::StoredInvite,
    mailbox::MailboxLimits,
    prekey::{NewClaim, OneTime},
    retention::{Census, Purge, Purged},
    session::StoredSession,
};

pub(super) async fn what_is_over_is_forgotten_in_slices(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let batch = (1..=5).map(|number| deposit(1, number, &[(2, 2, 1)])).collect();
    unit.deposit(batch, MailboxLimits::default()).await.unwrap();
    for number in 1..=4 {
        let ended = (number < 3).then(|| at(60));
        let last_seen = if number == 4 { at(0) } else { at(70) };
        unit.create_session(&StoredSession { last_seen, ended, ..session(number, 1) })
            .await
            .unwrap();
    }
    unit.put_prekeys(user(1), device(1), &upload(1, 1..4), at(0)).await.unwrap();
    let devices = vec![(device(1), OneTime::Withhold)];
    let claim = NewClaim { requester: user(2), claim: item(1), at: at(5), devices };
    unit.claim_prekeys(&claim).await.unwrap();
    for (number, uses, expires) in [(1, 1, Some(at(3))), (2, 0, None), (3, 1, None)] {
        unit.create_invite(&StoredInvite { expires, ..invite(number, uses) }).await.unwrap();
    }
    let purge = Purge {
        blobs_before: at(0),
        files_before: at(0),
        unfinished_files_before: at(0),
        messages_before: at(4),
        sessions_ended_before: at(61),
        sessions_idle_before: at(1),
        claims_before: at(1002),
        invites_before: at(4),
        rows: 2,
    };
    let first = unit.purge(&purge).await.unwrap();
    assert_eq!((first.messages, first.sessions, first.invites), (2, 2, 2));
    assert_eq!(unit.deposited(user(1), item(5)).await.unwrap(), Some(at(5)));
    let second = unit.purge(&purge).await.unwrap();
    assert_eq!((second.messages, second.sessions, second.invites), (1, 1, 0));
    assert_eq!((first.claims, second.claims), (3, 0));
    assert_eq!(unit.purge(&purge).await.unwrap(), Purged::default());
    assert_eq!(unit.deposited(user(1), item(3)).await.unwrap(), None);
    assert_eq!(unit.deposited(user(1), item(4)).await.unwrap(), Some(at(4)));
    assert_eq!(unit.sessions(user(1)).await.unwrap().len(), 1);
    assert_eq!(unit.invites().await.unwrap()[0].id, "3");
    assert_eq!(unit.mailbox_head(device(2)).await.unwrap().count, 5);
}

pub(super) async fn what_belongs_to_no_community_is_forgotten(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let mut chains = vec![];
    for number in [1, 2] {
        community::found(&mut *unit, number, &[]).await;
        let id = community::id(number);
        for (of, kind) in [
            (ChainId::of_log(id), Kind::CommunityStatement),
            (ChainId::of_channel(id, ChannelId::from_number(1)), Kind::Message),
        ] {
            unit.append_entries(of, &chain::entries(of, kind, None, 1..8)).await.unwrap();
            chains.push(of);
        }
    }
    for (number, second) in [(1, 10), (2, 20), (3, 10)] {
        unit.append_blob(blob::key(number), 9, 0, &[1], at(second)).await.unwrap().unwrap();
    }
    unit.name_blob(blob::key(3)).await.unwrap();
    let purge = Purge {
        blobs_before: at(20),
        files_before: at(20),
        unfinished_files_before: at(20),
        messages_before: at(0),
        sessions_ended_before: at(0),
        sessions_idle_before: at(0),
        claims_before: at(0),
        invites_before: at(0),
        rows: 5,
    };
    let purged = unit.purge(&purge).await.unwrap();
    assert_eq!((purged.blobs, purged.entries), (1, 0));
    assert_eq!(unit.blob(blob::key(1)).await.unwrap(), None);
    unit.end_community(community::id(1)).await.unwrap();
    let slices = [unit.purge(&purge).await.unwrap(), unit.purge(&purge).await.unwrap()];
    assert_eq!(slices.map(|purged| purged.entries), [5, 2]);
    assert_eq!(unit.purge(&purge).await.unwrap(), Purged::default());
    let mut left = vec![];
    for chain in chains {
        left.push(unit.entries(chain, None, ALL).await.unwrap().rows.len());
    }
    assert_eq!(left, [7, 0, 7, 7], "the log says that it ended");
}

pub(super) async fn everything_is_counted(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_session(&session(1, 1)).await.unwrap();
    let batch = vec![deposit(1, 1, &[(2, 2, 10), (3, 3, 20)])];
    unit.deposit(batch, MailboxLimits::default()).await.unwrap();
    unit.erase_account(user(3)).await.unwrap();
    let census = Census { accounts: 2, sessions: 1, waiting_envelopes: 1, waiting_bytes: 10 };
    assert_eq!(unit.census().await.unwrap(), census);
}
