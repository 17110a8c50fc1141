//! Accounts and invites.

use rookery_protocol::{
    chain::Kind,
    codec::Octets,
    id::{ChainId, SessionId},
    key::VerifyingKey,
    request::{
        account::{AccountSettings, Writers},
        admin::AccountState,
        contact::Standing,
        presence::PresenceState,
    },
    user::PukBox,
};

use super::{account, at, chain::entries, device, mailbox::deposit, open_accounts, prekey, user};
use crate::repository::{
    Storage,
    account::{Opened, StoredPresence, StoredProfile},
    chain::ChainKind,
    contact::StoredContact,
    device::DeviceSeen,
    invite::{InviteHash, StoredInvite},
    mailbox::MailboxLimits,
    session::{StoredSession, TokenHash},
};

pub(super) async fn an_account_opens_once(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.open_account(&account(1, "alice")).await.unwrap(), Opened::New);
    assert_eq!(unit.open_account(&account(1, "alice")).await.unwrap(), Opened::Already);
    assert_eq!(unit.open_account(&account(1, "alicia")).await.unwrap(), Opened::NameTaken);
    assert_eq!(unit.open_account(&account(2, "alice")).await.unwrap(), Opened::NameTaken);
    unit.commit().await.unwrap();
}

pub(super) async fn a_name_is_given_once_and_for_ever(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    assert!(unit.erase_account(user(1)).await.unwrap());
    assert!(!unit.erase_account(user(1)).await.unwrap());
    assert_eq!(unit.open_account(&account(9, "alice")).await.unwrap(), Opened::NameTaken);
    assert!(!unit.set_account_state(user(1), AccountState::Active).await.unwrap());
    assert!(!unit.set_password(user(1), "again").await.unwrap());
    let gone = unit.account(user(1)).await.unwrap().unwrap();
    assert_eq!((gone.state, gone.password.as_str()), (AccountState::Deleted, ""));
}

pub(super) async fn an_account_comes_back_as_it_was_stored(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let (new, stored) = (account(1, "alice"), unit.account(user(1)).await.unwrap().unwrap());
    assert_eq!((stored.user, &stored.name, &stored.password), (new.user, &new.name, &new.password));
    assert_eq!((stored.created, &stored.email), (new.created, &new.email));
    assert_eq!((stored.state, stored.last_seen), (AccountState::Active, None));
    assert_eq!(stored.settings, new.settings);
    let settings = AccountSettings { writers: Writers::Contacts, presence: false, suggest: true };
    assert!(unit.set_settings(user(1), &settings).await.unwrap());
    assert!(unit.set_account_state(user(1), AccountState::Disabled).await.unwrap());
    let stored = unit.account(user(1)).await.unwrap().unwrap();
    assert_eq!((stored.settings, stored.state), (settings, AccountState::Disabled));
    assert!(!unit.set_account_state(user(9), AccountState::Disabled).await.unwrap());
}

pub(super) async fn accounts_are_listed_by_name_with_their_counts(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_session(&session(1, 1)).await.unwrap();
    let batch = vec![deposit(2, 1, &[(1, 1, 10), (3, 3, 10)]), deposit(2, 2, &[(1, 1, 10)])];
    unit.deposit(batch, MailboxLimits::default()).await.unwrap();
    let listed = unit.accounts(None, 2).await.unwrap();
    let names: Vec<_> = listed.iter().map(|summary| summary.account.name.to_string()).collect();
    assert_eq!(names, ["alice", "bob"]);
    assert_eq!((listed[0].sessions, listed[0].waiting_envelopes), (1, 2));
    assert_eq!((listed[1].sessions, listed[1].waiting_envelopes), (0, 0));
    let rest = unit.accounts(Some(&listed[1].account.name), 5).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(
        unit.account_summary(&"carol".parse().unwrap()).await.unwrap(),
        rest.first().cloned()
    );
    assert_eq!(unit.account_summary(&"dave".parse().unwrap()).await.unwrap(), None);
}

pub(super) async fn profile_and_presence_are_kept(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.profile(user(1)).await.unwrap(), None);
    let profile = StoredProfile { sealed: vec![], at: at(4) };
    unit.put_profile(user(1), &profile).await.unwrap();
    assert_eq!(unit.profile(user(1)).await.unwrap(), Some(profile));
    let presence = |number, status| StoredPresence {
        user: user(number),
        state: PresenceState::Busy,
        last_online: Some(at(3)),
        status,
    };
    let (one, two) = (presence(1, Some(vec![1, 2])), presence(2, None));
    unit.note_presences(&[two.clone(), one.clone(), presence(9, None)]).await.unwrap();
    let mut found = unit.presences(&[user(1), user(2), user(3), user(9)]).await.unwrap();
    found.sort_by_key(|presence| presence.user);
    assert_eq!(found, [one, two]);
    assert_eq!(unit.presences(&[]).await.unwrap(), []);
}

pub(super) async fn what_is_erased_is_gone_but_for_name_and_chain(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let (statements, journal) = (ChainId::of_user(user(1)), ChainId::of_journal(user(1)));
    for (chain, kind) in [(statements, ChainKind::User), (journal, ChainKind::Journal)] {
        unit.create_chain(chain, kind, user(1), 0, at(0)).await.unwrap();
        let entries = entries(chain, Kind::Journal, None, 1..3);
        unit.append_entries(chain, &entries).await.unwrap();
    }
    unit.create_session(&session(1, 1)).await.unwrap();
    let sealed = Octets::parse(vec![3]).unwrap();
    unit.put_boxes(user(1), &[PukBox { generation: 1, device: Some(device(1)), sealed }])
        .await
        .unwrap();
    unit.put_profile(user(1), &StoredProfile { sealed: vec![1], at: at(4) }).await.unwrap();
    unit.note_seen(&[DeviceSeen { user: user(1), device: device(1), at: at(5) }]).await.unwrap();
    unit.put_prekeys(user(1), device(1), &prekey::upload(1, 1..3), at(0)).await.unwrap();
    unit.deposit(vec![deposit(2, 1, &[(1, 1, 10)])], MailboxLimits::default()).await.unwrap();
    let contact = |owner, name: &str, other, standing| StoredContact {
        owner: user(owner),
        name: name.parse().unwrap(),
        server: None,
        user: Some(user(other)),
        standing,
        since: at(0),
    };
    unit.put_contact(&contact(1, "bob", 2, Standing::Accepted)).await.unwrap();
    unit.put_contact(&contact(2, "alice", 1, Standing::Accepted)).await.unwrap();
    unit.put_contact(&contact(3, "alice", 1, Standing::Stranger)).await.unwrap();
    assert!(unit.erase_account(user(1)).await.unwrap());
    unit.commit().await.unwrap();

    let mut reader = storage.read().await.unwrap();
    assert!(reader.chain(statements).await.unwrap().unwrap().head.is_some());
    assert_eq!(reader.chain(journal).await.unwrap(), None);
    assert_eq!(reader.entries(journal, None, super::ALL).await.unwrap().rows, []);
    assert_eq!(reader.sessions(user(1)).await.unwrap(), []);
    assert_eq!(reader.boxes(user(1), device(1)).await.unwrap(), []);
    assert_eq!(reader.profile(user(1)).await.unwrap(), None);
    assert_eq!(reader.devices(user(1)).await.unwrap(), []);
    assert_eq!(reader.prekey_counts(device(1)).await.unwrap().one_time, 0);
    assert_eq!(reader.mailbox_head(device(1)).await.unwrap().count, 0);
    assert_eq!(reader.waiting(device(1), 0, super::ALL).await.unwrap().rows, []);
    assert_eq!(reader.contacts(user(1)).await.unwrap(), []);
    assert_eq!(reader.contacts(user(2)).await.unwrap().len(), 1);
    assert_eq!(reader.contacts(user(3)).await.unwrap(), []);
    let account = reader.account(user(1)).await.unwrap().unwrap();
    assert_eq!((account.email, account.last_seen), (None, None));
}

pub(super) async fn an_invite_is_taken_as_often_as_it_says(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    assert!(unit.create_invite(&invite(1, 2)).await.unwrap());
    assert!(!unit.create_invite(&invite(1, 2)).await.unwrap());
    assert!(!unit.create_invite(&StoredInvite { id: "1".into(), ..invite(2, 1) }).await.unwrap());
    assert!(unit.take_invite(InviteHash([1; 32]), at(1)).await.unwrap());
    assert!(unit.take_invite(InviteHash([1; 32]), at(1)).await.unwrap());
    assert!(!unit.take_invite(InviteHash([1; 32]), at(1)).await.unwrap());
    assert!(!unit.take_invite(InviteHash([9; 32]), at(1)).await.unwrap());
    assert_eq!(unit.invites().await.unwrap(), [StoredInvite { uses_left: 0, ..invite(1, 2) }]);
}

pub(super) async fn an_invite_that_is_over_or_withdrawn_is_not_taken(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    unit.create_invite(&invite(1, 5)).await.unwrap();
    unit.create_invite(&StoredInvite { created: at(1), ..invite(2, 5) }).await.unwrap();
    assert!(unit.take_invite(InviteHash([1; 32]), at(99)).await.unwrap());
    assert!(!unit.take_invite(InviteHash([1; 32]), at(100)).await.unwrap());
    assert!(unit.revoke_invite("2").await.unwrap());
    assert!(unit.revoke_invite("2").await.unwrap());
    assert!(!unit.revoke_invite("3").await.unwrap());
    assert!(!unit.take_invite(InviteHash([2; 32]), at(2)).await.unwrap());
    let ids: Vec<_> = unit.invites().await.unwrap().into_iter().map(|invite| invite.id).collect();
    assert_eq!(ids, ["2", "1"]);
}

pub(super) fn invite(number: u8, uses: u32) -> StoredInvite {
    StoredInvite {
        hash: InviteHash([number; 32]),
        id: number.to_string(),
        uses_left: uses,
        created: at(0),
        expires: Some(at(100)),
        note: Some("for the newcomers".to_owned()),
        revoked: false,
    }
}

pub(super) fn session(number: u8, whose: u8) -> StoredSession {
    StoredSession {
        session: SessionId::from_bytes([number; 16]),
        user: user(whose),
        device: device(whose),
        key: VerifyingKey::from_bytes([number; 32]),
        created: at(u64::from(number)),
        last_seen: at(u64::from(number)),
        generation: 0,
        current: TokenHash([number; 32]),
        previous: None,
        current_used: false,
        ended: None,
    }
}
