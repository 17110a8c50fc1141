//! That a community has no more of anything than its bounds say, and as many.

use super::denied;
use crate::{
    community::{
        Action, Ask, CommunityKind, History, JoinBy, JoinPolicy, Permissions,
        apply::{
            Denied, MAX_ASKING, MAX_CHANNELS, MAX_INVITES, MAX_MEMBERS, MAX_ROLES,
            structure::MAX_MEMBER_ROLES,
        },
    },
    id::{AudienceId, ChannelId, InviteId, RoleId, UserId},
    town::{MEMBERS, Town},
};

/// Numbers that nothing else has.
fn numbers(count: usize) -> impl Iterator<Item = u32> {
    (1_000_000..).take(count)
}

/// A user that is nobody of the town's.
fn stranger(number: u32) -> UserId {
    let mut id = [0xee; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    UserId::from_bytes(id)
}

/// Has `who` be refused `action` while there is one too many, and do it when `spare` has made room for one.
fn is_full(town: &mut Town, who: usize, action: &Action, what: &'static str, spare: fn(&mut Town)) {
    assert_eq!(denied(town.say(who, action.clone())), Denied::TooMany(what));
    spare(town);
    town.say(who, action.clone()).unwrap();
}

const FIRST: u32 = 1_000_000;

#[test]
fn roles_are_bounded() {
    let mut town = Town::found(1);
    town.new_role(5, Permissions::NONE, &[]);
    let known = town.state.roles.get(&RoleId::from_number(1)).unwrap().clone();
    for number in numbers(MAX_ROLES - town.state.roles.size()) {
        town.state.roles = town.state.roles.insert(RoleId::from_number(number), known.clone());
    }
    let one_more = Town::role_set(2, 5, Permissions::NONE);
    is_full(&mut town, 0, &one_more, "roles", |town| {
        town.state.roles = town.state.roles.remove(&RoleId::from_number(FIRST));
    });
}

#[test]
fn roles_of_one_member_are_bounded() {
    let mut town = Town::found(2);
    town.fill(1);
    for _ in 0..MAX_MEMBER_ROLES {
        town.new_role(5, Permissions::NONE, &[1]);
    }
    let last = town.new_role(5, Permissions::NONE, &[]);
    let one_more = town.grant(1, last);
    is_full(&mut town, 0, &one_more, "roles of one member", |town| {
        let one_less = town.revoke(1, RoleId::from_number(1));
        town.say(0, one_less).unwrap();
    });
}

#[test]
fn channels_are_bounded() {
    let mut town = Town::found(1);
    let channel = town.new_channel(MEMBERS);
    let known = town.state.channels.get(&channel).unwrap().clone();
    for number in numbers(MAX_CHANNELS - town.state.channels.size()) {
        let id = ChannelId::from_number(number);
        town.state.channels = town.state.channels.insert(id, known.clone());
    }
    let one_more = Action::ChannelSet(Town::channel_set(2, MEMBERS));
    is_full(&mut town, 0, &one_more, "channels", |town| {
        let channel = ChannelId::from_number(FIRST);
        town.say(0, Action::ChannelDelete { channel }).unwrap();
    });
}

#[test]
fn audiences_are_bounded_and_those_that_have_ended_do_not_count() {
    let mut town = Town::found(1);
    let private = town.new_audience(&[], &[0], History::Full);
    let known = town.state.audiences.get(&private).unwrap().clone();
    for number in numbers(MAX_CHANNELS - town.state.audiences.size()) {
        let id = AudienceId::from_number(number);
        town.state.audiences = town.state.audiences.insert(id, known.clone());
    }
    let next = AudienceId::from_number(town.state.next_audience);
    let one_more = Town::audience_set(next, &[], &[town.user(0)], History::Full);
    is_full(&mut town, 0, &one_more, "audiences", |town| {
        let audience = AudienceId::from_number(FIRST);
        town.say(0, Action::AudienceDelete { audience }).unwrap();
    });
}

#[test]
fn invitations_are_bounded() {
    let mut town = Town::found(1);
    town.say(0, Action::InviteCreate(town.invite(None, &[]))).unwrap();
    let known = town.state.invites.first().unwrap().1.clone();
    for number in numbers(MAX_INVITES - town.state.invites.size()) {
        let id = InviteId::from_number(number);
        town.state.invites = town.state.invites.insert(id, known.clone());
    }
    let one_more = Action::InviteCreate(town.invite(None, &[]));
    is_full(&mut town, 0, &one_more, "invitations", |town| {
        let invite = InviteId::from_number(FIRST);
        town.say(0, Action::InviteRevoke { invite }).unwrap();
    });
}

#[test]
fn people_who_ask_are_bounded_and_may_ask_again() {
    let mut town = Town::found_as(3, CommunityKind::Community, JoinPolicy::Approved, History::Full);
    let ask = |town: &Town, who: usize| {
        Action::Ask(Ask { puk: town.people[who].puk(), by: JoinBy::Open })
    };
    town.say(1, ask(&town, 1)).unwrap();
    let known = town.state.asking.first().unwrap().1.clone();
    for number in numbers(MAX_ASKING - town.state.asking.size()) {
        town.state.asking = town.state.asking.insert(stranger(number), known.clone());
    }
    town.say(1, ask(&town, 1)).unwrap();
    let one_more = ask(&town, 2);
    is_full(&mut town, 2, &one_more, "people who ask to be let in", |town| {
        town.state.asking = town.state.asking.remove(&stranger(FIRST));
    });
}

#[test]
fn members_are_bounded() {
    let mut town = Town::found(3);
    town.fill(1);
    let known = town.state.members.get(&town.user(1)).unwrap().clone();
    for number in numbers(MAX_MEMBERS - town.state.members.size()) {
        town.state.members = town.state.members.insert(stranger(number), known.clone());
    }
    let one_more = town.join_by(2, JoinBy::Open);
    is_full(&mut town, 2, &one_more, "members", |town| {
        town.state.members = town.state.members.remove(&stranger(FIRST));
    });
}
