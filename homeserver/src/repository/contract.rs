//! What every storage must do: a function a law, each run against memory, SQLite and PostgreSQL.
//!
//! PostgreSQL is found by the variable `ROOKERY_TEST_POSTGRES`, which `tests/postgres run` sets. Without it those tests fail and say so: a
//! law that was not tried does not hold. Each test makes a database of its own and takes it away again.

mod abroad;
mod account;
mod blob;
pub(super) mod chain;
pub(crate) mod community;
mod contact;
mod file;
pub(super) mod mailbox;
mod outbound;
mod peer;
pub(super) mod place;
pub(super) mod prekey;
mod retention;
mod server;
mod session;
mod unit;

use rookery_protocol::{
    chain::Kind,
    codec::Octets,
    id::{ChainId, DeviceId, ItemId, UserId},
    request::{
        account::{AccountSettings, Writers},
        contact::Standing,
    },
    time::Timestamp,
    user::PukBox,
};

use super::{
    Limit, Repository, Storage,
    account::{NewAccount, Opened},
    chain::ChainKind,
    community::{Belonging, ChainPlace},
    contact::StoredContact,
    device::DeviceSeen,
    mailbox::{Deposited, MailboxLimits},
    prekey::{NewClaim, OneTime, PrekeyCounts},
};

/// Tries each law on each storage.
macro_rules! laws {
    ($($family:ident: $($law:ident),+ $(,)?;)+) => {
        mod memory { $($(
            #[tokio::test]
            async fn $law() {
                let place = super::place::Memory::new();
                super::$family::$law(&*place).await;
            }
        )+)+ }
        mod sqlite { $($(
            #[tokio::test]
            async fn $law() {
                let place = super::place::Sqlite::new().await;
                super::$family::$law(&*place).await;
                place.close().await;
            }
        )+)+ }
        mod postgres { $($(
            #[tokio::test]
            async fn $law() {
                let place = super::place::Postgres::new(stringify!($law)).await;
                super::$family::$law(&*place).await;
                place.close().await;
            }
        )+)+ }
    };
}

laws! {
    unit:
        an_uncommitted_unit_leaves_no_trace,
        a_reader_sees_what_is_committed_and_nothing_else,
        a_unit_sees_its_own_changes,
        units_that_come_together_all_last,
        a_unit_that_is_dropped_takes_none_of_its_neighbours_along,
        giving_up_a_commit_disturbs_nobody,
        a_storage_that_can_store_says_so,
        a_closed_storage_is_unavailable;
    account:
        an_account_opens_once,
        a_name_is_given_once_and_for_ever,
        an_account_comes_back_as_it_was_stored,
        accounts_are_listed_by_name_with_their_counts,
        profile_and_presence_are_kept,
        what_is_erased_is_gone_but_for_name_and_chain,
        an_invite_is_taken_as_often_as_it_says,
        an_invite_that_is_over_or_withdrawn_is_not_taken;
    server:
        what_is_decided_lasts_until_it_is_taken_back;
    session:
        a_session_comes_back_as_it_was_stored,
        a_session_is_found_by_both_its_tokens,
        a_token_is_exchanged_once,
        ended_sessions_stay_ended,
        times_never_go_back,
        devices_are_a_user_s_own,
        the_newest_box_is_given,
        a_forgotten_device_leaves_its_place_count;
    chain:
        a_chain_grows_from_its_head_only,
        entries_come_back_byte_for_byte,
        several_chains_come_back_together_and_each_in_order,
        an_item_keeps_its_place,
        a_page_ends_at_its_limits,
        an_erased_body_leaves_the_entry,
        heads_of_many_chains_come_at_once,
        many_chains_grow_at_once_or_none_does,
        entries_are_found_by_item_and_by_place;
    community:
        a_community_is_made_once_and_found_by_its_chains,
        who_belongs_is_found_by_user,
        contacts_of_contacts_are_counted,
        an_ended_community_is_nobody_s_and_stays_ended,
        what_is_known_of_sender_keys_is_replaced,
        read_marks_never_fall;
    blob:
        a_blob_grows_part_by_part_and_is_read_anywhere,
        a_blob_is_named_counted_and_dropped;
    file:
        a_file_grows_part_by_part_and_is_read_anywhere,
        a_file_that_was_begun_anew_is_not_the_one_that_was_checked,
        files_are_counted_and_dropped,
        files_are_forgotten_in_time;
    prekey:
        a_one_time_key_goes_to_one_claim,
        the_same_claim_gets_the_same_keys,
        a_key_never_comes_back,
        keys_that_are_over_are_passed_over,
        a_device_without_signed_keys_is_left_out,
        after_a_restore_no_one_time_key_is_left;
    mailbox:
        positions_rise_without_gaps,
        the_same_message_is_stored_once,
        a_full_mailbox_refuses_that_message_only,
        what_is_acknowledged_is_gone_and_makes_room,
        a_page_of_a_mailbox_ends_at_its_limits,
        a_large_batch_is_stored_whole,
        a_dropped_deposit_is_free_to_come_again;
    contact:
        a_contact_is_put_and_replaced,
        both_standings_are_found,
        a_block_by_any_name_is_a_block,
        accepted_contacts_are_users,
        contacts_of_a_peer_are_those_who_live_there,
        a_name_of_each_server_is_another;
    peer:
        a_peer_is_put_once_and_its_roots_stay,
        a_change_of_a_peer_undoes_no_other,
        where_a_peer_was_found_is_kept_for_each_who_said_so,
        a_forgotten_peer_leaves_no_queue_and_no_rights,
        a_stranger_is_idle_until_somebody_here_has_to_do_with_it,
        foreigners_are_found_by_id_and_by_server;
    outbound:
        a_queue_keeps_its_order_until_it_is_settled,
        a_lane_waits_as_one,
        what_joins_a_lane_meanwhile_waits_with_it,
        what_comes_back_stays_until_it_is_replaced_or_dismissed,
        what_waits_for_too_long_comes_back,
        what_waits_for_a_removed_peer_has_come_back,
        what_is_outstanding_is_listed_page_by_page,
        a_lane_comes_back_as_one;
    abroad:
        who_has_to_do_with_a_community_is_found_by_home,
        a_farewell_never_falls_and_goes_with_its_peer,
        a_copy_is_counted_for_its_hub_and_owned_by_nobody,
        many_communities_are_looked_up_at_once,
        what_two_homes_share_is_ordered_by_a_third,
        a_copy_that_nobody_needs_is_dropped_piece_by_piece,
        a_community_that_ended_is_not_being_dropped,
        a_farewell_ends_when_the_peer_needs_it_no_more,
        a_proof_of_two_histories_is_kept_for_ever,
        a_peer_reads_the_chains_of_whom_its_users_communities_name,
        who_ordered_a_community_once_finds_it_again;
    retention:
        what_is_over_is_forgotten_in_slices,
        what_belongs_to_no_community_is_forgotten,
        everything_is_counted;
}

/// A time long after 1970, and `seconds` more.
pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000_u64.saturating_add(seconds.saturating_mul(1000)))
}

pub(super) fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 32])
}

pub(super) fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 32])
}

pub(super) fn item(number: u16) -> ItemId {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ItemId::from_bytes(bytes)
}

pub(super) const ALL: Limit = Limit { rows: 10_000, bytes: usize::MAX };

fn account(number: u8, name: &str) -> NewAccount {
    NewAccount {
        user: user(number),
        name: name.parse().unwrap(),
        password: format!("$argon2id$v=19$m=8,t=1,p=1$salt{number}$hash"),
        created: at(0),
        email: (number == 1).then(|| "one@nest.example".to_owned()),
        settings: AccountSettings { writers: Writers::Everyone, presence: true, suggest: false },
    }
}

/// Does something in a unit of its own and commits it.
async fn commit<T>(storage: &dyn Storage, work: impl AsyncFnOnce(&mut dyn Repository) -> T) -> T {
    let mut unit = storage.begin().await.unwrap();
    let outcome = work(&mut *unit).await;
    unit.commit().await.unwrap();
    outcome
}

/// Opens the accounts of alice (1), bob (2) and carol (3).
pub(super) async fn open_accounts(storage: &dyn Storage) {
    commit(storage, async |unit| {
        for (number, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
            unit.open_account(&account(number, name)).await.unwrap();
        }
    })
    .await;
}

/// Puts something of everything into an empty storage, for [`check_restored`].
pub(super) async fn fill(storage: &dyn Storage) {
    open_accounts(storage).await;
    commit(storage, async |unit| {
        let chain = ChainId::of_user(user(1));
        unit.create_chain(chain, ChainKind::User, user(1), 0, at(0)).await.unwrap();
        let entries = chain::entries(chain, Kind::UserStatement, None, 0..20);
        unit.append_entries(chain, &entries).await.unwrap();
        unit.create_session(&account::session(1, 1)).await.unwrap();
        unit.create_invite(&account::invite(1, 3)).await.unwrap();
        unit.note_seen(&[DeviceSeen { user: user(1), device: device(1), at: at(5) }])
            .await
            .unwrap();
        let sealed = Octets::parse(vec![3; 100]).unwrap();
        unit.put_boxes(user(1), &[PukBox { generation: 1, device: None, sealed }]).await.unwrap();
        unit.put_prekeys(user(1), device(1), &prekey::upload(1, 1..9), at(0)).await.unwrap();
        let devices = vec![(device(1), OneTime::Give)];
        let claim = NewClaim { requester: user(2), claim: item(1), at: at(10), devices };
        unit.claim_prekeys(&claim).await.unwrap();
        let batch = (1..=9).map(|number| mailbox::deposit(1, number, &[(2, 2, 50)])).collect();
        unit.deposit(batch, MailboxLimits::default()).await.unwrap();
        unit.acknowledge(&[(device(2), 3)]).await.unwrap();
        let contact = StoredContact {
            owner: user(1),
            name: "bob".parse().unwrap(),
            server: None,
            user: Some(user(2)),
            standing: Standing::Accepted,
            since: at(0),
        };
        unit.put_contact(&contact).await.unwrap();
        let absent = StoredContact { name: "nobody".parse().unwrap(), user: None, ..contact };
        unit.put_contact(&absent).await.unwrap();
        community::found(unit, 1, &[(1, Belonging::Member), (2, Belonging::Asking)]).await;
        let log = ChainId::of_log(community::id(1));
        let entries = chain::entries(log, Kind::CommunityStatement, None, 30..33);
        unit.append_entries(log, &entries).await.unwrap();
        unit.put_sender_keys(&[community::sender_key(log, 1, 5)]).await.unwrap();
        unit.note_channel_reads(&[(log, user(1), 2)]).await.unwrap();
        unit.append_blob(blob::key(1), 4, 0, &[1, 2, 3, 4], at(1)).await.unwrap().unwrap();
        unit.name_blob(blob::key(1)).await.unwrap();
        unit.put_peer(&peer::peer(1)).await.unwrap();
        unit.put_outbound(&peer::garden(), &[peer::outbound(1)]).await.unwrap();
        unit.let_peer_read(&peer::garden(), user(1)).await.unwrap();
    })
    .await;
}

/// Checks that everything that [`fill`] stored is there, but for one-time keys.
pub(super) async fn check_restored(storage: &dyn Storage) {
    let mut unit = storage.begin().await.unwrap();
    assert_eq!(unit.open_account(&account(3, "carol")).await.unwrap(), Opened::Already);
    let chain = ChainId::of_user(user(1));
    let entries = chain::entries(chain, Kind::UserStatement, None, 0..20);
    assert_eq!(unit.entries(chain, None, ALL).await.unwrap().rows, entries);
    assert_eq!(unit.sessions(user(1)).await.unwrap(), [account::session(1, 1)]);
    assert_eq!(unit.invites().await.unwrap(), [account::invite(1, 3)]);
    assert_eq!(unit.devices(user(1)).await.unwrap()[0].last_seen, Some(at(5)));
    assert_eq!(unit.boxes(user(1), device(1)).await.unwrap().len(), 1);
    let claimed = unit.claim(user(2), item(1)).await.unwrap();
    assert_eq!(claimed[0].one_time.as_ref().unwrap().id, 1);
    assert_eq!(unit.prekey_counts(device(1)).await.unwrap(), PrekeyCounts::default());
    // What was published before the copy does not come back.
    let counts = unit.put_prekeys(user(1), device(1), &prekey::upload(1, 1..9), at(0)).await;
    assert_eq!(counts.unwrap(), PrekeyCounts::default());
    let rows = unit.waiting(device(2), 0, ALL).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.position).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
    assert_eq!(unit.deposited(user(1), item(2)).await.unwrap(), Some(at(2)));
    assert_eq!(unit.contacts(user(1)).await.unwrap().len(), 2);
    let belongs = [(community::community(1), Belonging::Asking)];
    assert_eq!(unit.communities_of(user(2)).await.unwrap(), belongs);
    let log = ChainId::of_log(community::id(1));
    let entries = chain::entries(log, Kind::CommunityStatement, None, 30..33);
    assert_eq!(unit.entries(log, None, ALL).await.unwrap().rows, entries);
    let place = ChainPlace { community: community::id(1), channel: None };
    assert_eq!(unit.chain_place(log).await.unwrap(), Some(place));
    let key = community::sender_key(log, 1, 5);
    assert_eq!(unit.sender_keys(&[(log, key.sender_key)]).await.unwrap(), [key]);
    assert_eq!(unit.channel_reads(log).await.unwrap(), [(user(1), 2)]);
    assert!(unit.blob(blob::key(1)).await.unwrap().unwrap().is_named);
    assert_eq!(unit.blob_bytes(blob::key(1), 1, 2).await.unwrap(), [2, 3]);
    assert_eq!(unit.peers().await.unwrap(), [peer::peer(1)]);
    let waiting = unit.outbound_item(user(1), item(1)).await.unwrap().unwrap();
    assert_eq!(waiting.outbound, peer::outbound(1));
    assert!(unit.peer_may_read(&peer::garden(), user(1)).await.unwrap());
    let batch = vec![mailbox::deposit(1, 100, &[(2, 2, 50)])];
    let outcomes = unit.deposit(batch, MailboxLimits::default()).await.unwrap();
    assert_eq!(outcomes, [Deposited::Stored { positions: vec![10] }]);
    unit.commit().await.unwrap();
}
