//! Sessions and devices.

use rookery_protocol::{codec::Octets, id::SessionId, user::PukBox};

use super::{account::session, at, device, mailbox::deposit, open_accounts, prekey, user};
use crate::repository::{
    Storage,
    device::{DeviceFacts, DeviceSeen},
    mailbox::{Deposited, MailboxHead, MailboxLimits},
    session::{StoredSession, TokenHash},
};

pub(super) async fn a_session_comes_back_as_it_was_stored(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let stored =
        StoredSession { previous: Some(TokenHash([77; 32])), generation: 3, ..session(1, 1) };
    assert!(unit.create_session(&stored).await.unwrap());
    assert!(!unit.create_session(&stored).await.unwrap());
    let clash = StoredSession { current: TokenHash([1; 32]), ..session(2, 1) };
    assert!(!unit.create_session(&clash).await.unwrap());
    assert_eq!(unit.session(stored.session).await.unwrap(), Some(stored.clone()));
    assert!(unit.create_session(&session(2, 1)).await.unwrap());
    assert_eq!(unit.sessions(user(1)).await.unwrap(), [session(2, 1), stored]);
}

pub(super) async fn a_session_is_found_by_both_its_tokens(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_session(&session(1, 1)).await.unwrap();
    let id = session(1, 1).session;
    assert!(unit.rotate_session(id, 0, TokenHash([8; 32]), at(50)).await.unwrap());
    for token in [TokenHash([1; 32]), TokenHash([8; 32])] {
        assert_eq!(unit.session_by_token(token).await.unwrap().unwrap().session, id);
    }
    assert!(unit.rotate_session(id, 1, TokenHash([9; 32]), at(51)).await.unwrap());
    assert_eq!(unit.session_by_token(TokenHash([1; 32])).await.unwrap(), None);
}

pub(super) async fn a_token_is_exchanged_once(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_session(&session(1, 1)).await.unwrap();
    let id = session(1, 1).session;
    unit.mark_token_used(id).await.unwrap();
    assert!(unit.session(id).await.unwrap().unwrap().current_used);
    assert!(unit.rotate_session(id, 0, TokenHash([8; 32]), at(50)).await.unwrap());
    assert!(!unit.rotate_session(id, 0, TokenHash([9; 32]), at(51)).await.unwrap());
    let stored = unit.session(id).await.unwrap().unwrap();
    assert_eq!((stored.generation, stored.current), (1, TokenHash([8; 32])));
    assert_eq!((stored.previous, stored.current_used), (Some(TokenHash([1; 32])), false));
    assert_eq!(stored.last_seen, at(50));
}

pub(super) async fn ended_sessions_stay_ended(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    for number in 1..=5 {
        unit.create_session(&session(number, if number < 4 { 1 } else { 2 })).await.unwrap();
    }
    let id = |number| SessionId::from_bytes([number; 16]);
    assert!(unit.end_session(id(1), at(60)).await.unwrap());
    assert!(!unit.end_session(id(1), at(61)).await.unwrap());
    assert!(!unit.rotate_session(id(1), 0, TokenHash([8; 32]), at(62)).await.unwrap());
    assert_eq!(unit.session(id(1)).await.unwrap().unwrap().ended, Some(at(60)));
    assert_eq!(unit.end_sessions_of_user(user(1), Some(id(3)), at(63)).await.unwrap(), [id(2)]);
    assert_eq!(unit.sessions(user(1)).await.unwrap(), [session(3, 1)]);
    let mut ended = unit.end_sessions_of_device(device(2), at(64)).await.unwrap();
    ended.sort();
    assert_eq!(ended, [id(4), id(5)]);
    assert_eq!(unit.end_sessions_of_user(user(1), None, at(65)).await.unwrap(), [id(3)]);
}

pub(super) async fn times_never_go_back(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    unit.create_session(&session(1, 1)).await.unwrap();
    let id = session(1, 1).session;
    unit.touch_sessions(&[(id, at(9)), (id, at(7))]).await.unwrap();
    assert_eq!(unit.session(id).await.unwrap().unwrap().last_seen, at(9));
    let seen = |at| DeviceSeen { user: user(1), device: device(1), at };
    unit.note_seen(&[seen(at(9)), seen(at(7))]).await.unwrap();
    unit.note_seen(&[seen(at(8))]).await.unwrap();
    assert_eq!(unit.account(user(1)).await.unwrap().unwrap().last_seen, Some(at(9)));
    assert_eq!(unit.devices(user(1)).await.unwrap()[0].last_seen, Some(at(9)));
}

pub(super) async fn devices_are_a_user_s_own(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let seen = |whose, which, seconds| DeviceSeen {
        user: user(whose),
        device: device(which),
        at: at(seconds),
    };
    unit.note_seen(&[seen(1, 1, 5), seen(9, 9, 5)]).await.unwrap();
    unit.note_seen(&[seen(2, 1, 6)]).await.unwrap();
    unit.deposit(vec![deposit(3, 1, &[(1, 1, 10), (1, 4, 10)])], MailboxLimits::default())
        .await
        .unwrap();
    let facts = |which, last_seen| DeviceFacts { device: device(which), last_seen, waiting: 1 };
    assert_eq!(unit.devices(user(1)).await.unwrap(), [facts(1, Some(at(5))), facts(4, None)]);
    assert_eq!(unit.devices(user(2)).await.unwrap(), []);
    assert_eq!(unit.devices(user(9)).await.unwrap(), []);
}

pub(super) async fn the_newest_box_is_given(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let sealed = |generation, device, byte| PukBox {
        generation,
        device,
        sealed: Octets::parse(vec![byte; 40]).unwrap(),
    };
    let first = [sealed(1, Some(device(1)), 1), sealed(1, None, 2), sealed(1, Some(device(2)), 3)];
    unit.put_boxes(user(1), &first).await.unwrap();
    let second = [sealed(2, Some(device(1)), 4), sealed(2, None, 5)];
    unit.put_boxes(user(1), &second).await.unwrap();
    assert_eq!(unit.boxes(user(1), device(1)).await.unwrap(), second);
    assert_eq!(
        unit.boxes(user(1), device(2)).await.unwrap(),
        [first[2].clone(), second[1].clone()]
    );
    assert_eq!(unit.boxes(user(1), device(3)).await.unwrap(), [second[1].clone()]);
    assert_eq!(unit.boxes(user(2), device(1)).await.unwrap(), []);
    unit.put_boxes(user(1), &[sealed(2, None, 6)]).await.unwrap();
    assert_eq!(unit.boxes(user(1), device(3)).await.unwrap(), [sealed(2, None, 6)]);
}

pub(super) async fn a_forgotten_device_leaves_its_place_count(storage: &dyn Storage) {
    open_accounts(storage).await;
    let mut unit = storage.begin().await.unwrap();
    let limits = MailboxLimits::default();
    unit.put_prekeys(user(1), device(1), &prekey::upload(1, 1..3), at(0)).await.unwrap();
    let sealed = Octets::parse(vec![1]).unwrap();
    unit.put_boxes(user(1), &[PukBox { generation: 1, device: Some(device(1)), sealed }])
        .await
        .unwrap();
    unit.deposit(vec![deposit(2, 1, &[(1, 1, 10)])], limits).await.unwrap();
    unit.forget_device(user(2), device(1)).await.unwrap();
    assert_eq!(unit.mailbox_head(device(1)).await.unwrap().count, 1);
    unit.forget_device(user(1), device(1)).await.unwrap();
    assert_eq!(unit.prekey_counts(device(1)).await.unwrap().one_time, 0);
    assert_eq!(unit.boxes(user(1), device(1)).await.unwrap(), []);
    let head = unit.mailbox_head(device(1)).await.unwrap();
    assert_eq!(head, MailboxHead { last: 1, count: 0, bytes: 0 });
    let stored = unit.deposit(vec![deposit(2, 2, &[(1, 1, 10)])], limits).await.unwrap();
    assert_eq!(stored, [Deposited::Stored { positions: vec![2] }]);
}
