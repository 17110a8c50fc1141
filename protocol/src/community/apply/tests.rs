//! The laws of a community's log: what is so whatever is said. What each statement may say is in the files beside.

mod bound;
mod handover;
mod key;
mod member;
mod owner;
mod random;
mod structure;

use super::*;
use crate::{
    chain::Submission,
    community::{Edit, Nickname},
    id::{Digest, ItemId},
    key::SigningKey,
    time::Timestamp,
    town::{EVERYBODY, MEMBERS, Manner, Town, text},
};

/// Why something was not allowed.
fn denied(result: Result<(), Refused>) -> Denied {
    match result {
        Err(Refused::Denied(denied)) => denied,
        other => panic!("not denied but {other:?}"),
    }
}

fn edit() -> Action {
    Action::Edit(Edit { name: Some(text(MEMBERS)), topic: None, policy: None })
}

fn nickname(town: &Town, who: usize) -> Action {
    Action::Nickname(Nickname { user: town.user(who), name: Some(text(MEMBERS)) })
}

#[test]
fn a_community_begins_with_its_founder_and_one_epoch_for_them() {
    let town = Town::found(1);
    assert_eq!(town.state.owner, town.user(0));
    assert_eq!(town.state.members.keys().copied().collect::<Vec<_>>(), [town.user(0)]);
    assert_eq!(town.epoch_of(MEMBERS), 0);
    assert!(town.state.owed.is_empty());
}

#[test]
fn the_first_statement_is_the_community_s_own_creation() {
    let mut town = Town::found(2);
    let other = CommunityId::from_bytes([9; 32]);
    let first = town.entries[0].clone();
    let elsewhere = Entry { chain: ChainId::of_log(other), ..first.clone() };
    let broken = verify_and_apply(other, None, &first, &town);
    assert_eq!(broken, Err(BrokenEntry::OtherChain.into()));
    // The item was signed for another chain.
    assert!(verify_and_apply(other, None, &elsewhere, &town).is_err());
    let item = first.signed.verify().unwrap();
    let misplaced = apply(other, None, &first, &item, &town);
    assert_eq!(misplaced, Err(Denied::Misplaced("another community").into()));
    let manner = Manner { place: Place::First, ..town.manner(0, &edit()) };
    let entry = town.entry(0, edit(), &manner);
    let item = entry.signed.verify().unwrap();
    assert!(apply(town.community, None, &entry, &item, &town).is_err());
    let create = match codec::decode::<Statement>(first.body.unwrap().as_slice()).unwrap().action {
        Action::Create(create) => create,
        other => panic!("{other:?}"),
    };
    let again = town.say(0, Action::Create(create));
    assert_eq!(denied(again), Denied::Misplaced("a second creation"));
}

#[test]
fn what_is_no_statement_of_this_log_is_refused() {
    let mut town = Town::found(1);
    let manner = town.manner(0, &edit());
    let good = town.entry(0, edit(), &manner);
    let erased = Entry { body: None, ..good.clone() };
    assert_eq!(denied(town.take(erased)), Denied::Erased);
    let channel = Entry { log_pos: Some(1), ..good.clone() };
    assert_eq!(denied(town.take(channel)), Denied::Misplaced("an entry of a channel"));
    let sign = |kind, body: Vec<u8>| {
        let chain = ChainId::of_log(town.community);
        let (id, at) = (ItemId::from_bytes([5; 16]), Timestamp::from_millis(0));
        Submission::sign(town.people[0].key(0), chain, id, kind, body, at, None).unwrap().place(
            chain,
            0,
            Some(town.state.head),
        )
    };
    let body = good.body.clone().unwrap().as_slice().to_vec();
    let message = sign(Kind::Message, body.clone());
    let nonsense = sign(Kind::CommunityStatement, vec![0xff; 9]);
    let mut statement: Statement = codec::decode(&body).unwrap();
    statement.suite = 2;
    let suite = sign(Kind::CommunityStatement, codec::encode(&statement));
    statement.suite = 1;
    statement.community = None;
    let nowhere = sign(Kind::CommunityStatement, codec::encode(&statement));
    assert_eq!(denied(town.take(message)), Denied::Misplaced("another kind of entry"));
    assert!(matches!(denied(town.take(nonsense)), Denied::Malformed(_)));
    assert_eq!(denied(town.take(suite)), Denied::Misplaced("an unknown suite"));
    assert_eq!(denied(town.take(nowhere)), Denied::Misplaced("another community"));
    town.take(good).unwrap();
}

#[test]
fn a_strict_statement_stands_where_its_author_put_it_and_nowhere_else() {
    let mut town = Town::found(2);
    let before = town.state.head;
    town.join(1).unwrap();
    let manner = |town: &Town, place| Manner { place, ..town.manner(0, &edit()) };
    let late = manner(&town, Place::Next(before));
    assert_eq!(denied(town.say_so(0, edit(), &late)), Denied::Misplaced("another place"));
    let loose = manner(&town, Place::Later(town.state.head));
    let wrong = Denied::Misplaced("a place of the wrong kind");
    assert_eq!(denied(town.say_so(0, edit(), &loose)), wrong);
    let strict = manner(&town, Place::Next(town.state.head));
    assert_eq!(denied(town.say_so(0, nickname(&town, 0), &strict)), wrong);
    town.say_so(0, edit(), &strict).unwrap();
}

#[test]
fn a_loose_statement_stands_within_the_window_after_its_base() {
    let mut town = Town::found(2);
    let base = town.state.head;
    town.join(1).unwrap();
    let early = Manner { place: Place::Later(base), ..town.manner(1, &nickname(&town, 1)) };
    for _ in 0..254 {
        town.say(0, nickname(&town, 0)).unwrap();
    }
    assert_eq!(town.state.head.seq, base.seq.saturating_add(255));
    town.say_so(1, nickname(&town, 1), &early).unwrap();
    let too_old = Denied::Misplaced("an entry that is not among the last");
    assert_eq!(denied(town.say_so(1, nickname(&town, 1), &early)), too_old);
    assert_eq!(town.state.recent.size(), 256);
    assert_eq!(town.state.placed.size(), 256);
    let other = Seen { hash: Digest::ZERO, ..town.state.head };
    let forked = Manner { place: Place::Later(other), ..early };
    assert_eq!(denied(town.say_so(1, nickname(&town, 1), &forked)), too_old);
}

#[test]
fn a_hub_cannot_place_what_somebody_said_a_second_time() {
    let mut town = Town::found(3);
    town.fill(2);
    town.say(1, Action::Leave).unwrap();
    town.renew(0, MEMBERS).unwrap();
    town.join(1).unwrap();
    town.do_it(0, town.kick(1)).unwrap();
    let mine: Vec<_> = town.entries.clone();
    let author = town.people[1].key(0).verifying_key();
    let mine: Vec<_> = mine.iter().filter(|entry| entry.signed.author() == Some(author)).collect();
    assert_eq!(mine.len(), 3, "two joins and a leave");
    for entry in mine {
        let head = town.state.head;
        let (seq, prev) = (head.seq.saturating_add(1), head.hash);
        let replayed = Entry { seq, prev, ..entry.clone() };
        let already = Denied::Already("the log has that statement already");
        assert_eq!(denied(town.take(replayed)), already);
    }
    assert!(!town.state.members.contains_key(&town.user(1)));
}

#[test]
fn only_a_device_that_is_live_at_the_named_head_speaks_and_heads_never_go_back() {
    let mut town = Town::found(3);
    town.fill(2);
    let old = town.people[1].head();
    town.people[1].add_device();
    let with_two = town.people[1].head();
    let by = |town: &Town, device, head| Manner { device, head, ..town.manner(1, &Action::Leave) };
    assert_eq!(denied(town.say_so(1, nickname(&town, 1), &by(&town, 1, old))), Denied::NotAnAuthor);
    town.say_so(1, nickname(&town, 1), &by(&town, 1, with_two)).unwrap();
    assert_eq!(denied(town.say_so(1, nickname(&town, 1), &by(&town, 0, old))), Denied::OldHead);
    town.people[1].revoke_device(1);
    let after = town.people[1].head();
    // The log does not know of it yet: in its one order, the revocation has not happened.
    town.say_so(1, nickname(&town, 1), &by(&town, 1, with_two)).unwrap();
    let refused = town.say_so(1, nickname(&town, 1), &by(&town, 1, after));
    assert_eq!(denied(refused), Denied::NotAnAuthor);
    town.say(1, Action::Head(town.people[1].puk())).unwrap();
    let stolen = town.say_so(1, nickname(&town, 1), &by(&town, 1, with_two));
    assert_eq!(denied(stolen), Denied::OldHead);
    let fake = Seen { hash: Digest::ZERO, ..after };
    let forged = town.say_so(1, nickname(&town, 1), &by(&town, 0, fake));
    assert_eq!(denied(forged), Denied::OtherChain);
    let contradicted = Seen { hash: Digest::ZERO, ..town.people[2].head() };
    town.people[2].add_device();
    let mut entry = by(&town, 0, contradicted);
    entry.head = Seen { seq: 1, ..contradicted };
    assert_eq!(denied(town.say_so(2, Action::Leave, &entry)), Denied::OtherChain);
}

#[test]
fn a_stranger_s_key_and_a_second_signature_are_no_author() {
    let mut town = Town::found(3);
    town.fill(2);
    let manner = town.manner(1, &nickname(&town, 1));
    let mut entry = town.entry(1, nickname(&town, 1), &manner);
    let other: &SigningKey = town.people[2].key(0);
    entry.signed = entry.signed.cosign(other);
    assert_eq!(denied(town.take(entry.clone())), Denied::NotAnAuthor);
    let item = entry.signed.verify().unwrap();
    entry.signed = item.sign(town.people[2].key(0));
    assert_eq!(denied(town.take(entry.clone())), Denied::NotAnAuthor);
    entry.signed.payload = town.entries[0].signed.payload.clone();
    assert!(matches!(denied(town.take(entry)), Denied::Broken(BrokenEntry::Forged(_))));
}

#[test]
fn a_chain_that_is_not_at_hand_means_hold() {
    let mut town = Town::found(2);
    town.people[1].add_device();
    let (user, head) = (town.user(1), town.people[1].head());
    let short = town.people[1].chain[0].clone();
    let manner = town.manner(1, &town.join_by(1, crate::community::JoinBy::Open));
    let join = town.join_by(1, crate::community::JoinBy::Open);
    let entry = town.entry(1, join, &manner);
    let mut history = user::History::new(user);
    history.extend(&short).unwrap();
    let whole = std::mem::replace(&mut town.people[1].history, history);
    assert_eq!(town.take(entry.clone()), Err(Refused::Hold { user, head }));
    town.people[1].history = whole;
    town.take(entry).unwrap();
}

#[test]
fn nobody_but_members_says_anything_and_nothing_follows_the_end() {
    let mut town = Town::found(3);
    town.fill(1);
    for action in [edit(), nickname(&town, 2), Action::Leave, town.kick(1), Action::Delete] {
        assert_eq!(denied(town.say(2, action)), Denied::NotAMember);
    }
    assert_eq!(denied(town.say(1, Action::Delete)), Denied::NotTheOwner);
    town.say(0, Action::Delete).unwrap();
    assert_eq!(denied(town.join(2)), Denied::Deleted);
    assert_eq!(denied(town.renew(0, MEMBERS)), Denied::Deleted);
}

#[test]
fn what_each_action_takes_is_refused_to_those_without_it() {
    let mut town = Town::found(3);
    town.fill(2);
    let channel = town.new_channel(MEMBERS);
    let role = town.new_role(5, Permissions::NONE, &[]);
    let cases = [
        (edit(), "manage-community"),
        (Town::role_set(2, 1, Permissions::NONE), "manage-roles"),
        (Action::RoleDelete { role }, "manage-roles"),
        (town.grant(2, role), "manage-roles"),
        (town.revoke(2, role), "manage-roles"),
        (Action::ChannelSet(Town::channel_set(2, MEMBERS)), "manage-channels"),
        (Action::ChannelDelete { channel }, "manage-channels"),
        (
            Town::overwrite(
                channel,
                crate::community::Subject::Role(EVERYBODY),
                Permissions::POST,
                Permissions::NONE,
            ),
            "manage-channels",
        ),
        (
            Town::audience_set(MEMBERS, &[], &[], crate::community::History::SinceJoin),
            "manage-channels",
        ),
        (Action::AudienceDelete { audience: crate::town::audience(1) }, "manage-channels"),
        (nickname(&town, 2), "manage-nicknames"),
        (town.kick(2), "kick"),
        (town.ban(2), "ban"),
        (Action::Unban { user: town.user(2) }, "ban"),
        (
            Action::Approve(crate::community::Approve { user: town.user(2), is_approved: true }),
            "approve",
        ),
        (Action::Epoch(town.epoch_start(MEMBERS)), "manage-channels"),
    ];
    for (action, permission) in cases {
        let before = town.state.clone();
        assert_eq!(denied(town.say(1, action)), Denied::NotPermitted(permission));
        assert_eq!(town.state, before, "what is refused changes nothing");
    }
    assert_eq!(denied(town.say(1, Action::OwnerSet { user: town.user(1) })), Denied::NotTheOwner);
    town.say(0, Town::role_set(0, 0, Permissions::NONE)).unwrap();
    assert_eq!(denied(town.say(1, nickname(&town, 1))), Denied::NotPermitted("nickname"));
    let invite = Action::InviteCreate(town.invite(None, &[]));
    assert_eq!(denied(town.say(1, invite)), Denied::NotPermitted("invite"));
}

#[test]
fn a_statement_reads_back_as_it_was_written() {
    let mut town = Town::found(2);
    town.fill(1);
    for entry in &town.entries {
        let body = entry.body.as_ref().unwrap().as_slice();
        let statement: Statement = codec::decode(body).unwrap();
        assert_eq!(codec::encode(&statement), body);
        // Every cut of it is refused.
        for cut in 0..body.len() {
            assert!(codec::decode::<Statement>(&body[..cut]).is_err());
        }
    }
}
