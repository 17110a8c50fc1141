//! Who comes and who goes.

use super::{denied, nickname};
use crate::{
    codec::Octets,
    community::{
        Action, Approve, Ask, CommunityKind, Edit, History, InviteCreate, JoinBy, JoinPolicy,
        Permissions, Subject, apply::Denied,
    },
    id::{InviteId, UserId},
    key::Signature,
    town::{MEMBERS, Town, channel, kem, text},
};

fn policy(policy: JoinPolicy) -> Action {
    Action::Edit(Edit { name: None, topic: None, policy: Some(policy) })
}

fn found(people: u16, policy: JoinPolicy) -> Town {
    Town::found_as(people, CommunityKind::Community, policy, History::Full)
}

/// Has `who` invite, and says which invitation it is.
fn invite(town: &mut Town, who: usize, invite: InviteCreate) -> InviteId {
    let id = invite.invite;
    town.say(who, Action::InviteCreate(invite)).unwrap();
    id
}

fn ask(town: &Town, who: usize, by: JoinBy) -> Action {
    Action::Ask(Ask { puk: town.people[who].puk(), by })
}

fn approve(user: UserId, is_approved: bool) -> Action {
    Action::Approve(Approve { user, is_approved })
}

/// A link to which epochs are wrapped.
fn wrapped_link(town: &Town) -> InviteCreate {
    InviteCreate { wrap_key: Some(kem(5)), wrap: Some(Octets::default()), ..town.invite(None, &[]) }
}

#[test]
fn an_open_community_is_joined_once_by_who_shows_their_own_key() {
    let mut town = Town::found(4);
    town.join(1).unwrap();
    assert_eq!(denied(town.join(1)), Denied::Already("they belong to it already"));
    let mut join = town.join_by(2, JoinBy::Open);
    if let Action::Join(join) = &mut join {
        join.puk.generation = 2;
    }
    assert_eq!(denied(town.say(2, join)), Denied::OtherKey);
    town.people[3].close();
    assert_eq!(denied(town.join(3)), Denied::NotAnAuthor);
}

#[test]
fn an_invitation_is_for_its_user_and_is_used_up() {
    let mut town = found(4, JoinPolicy::Invited);
    let need = Denied::Not("one has to be invited, or to ask");
    assert_eq!(denied(town.join(1)), need);
    let personal = town.invite(Some(town.user(1)), &[]);
    let id = invite(&mut town, 0, personal);
    let by = JoinBy::Invited { invite: id };
    let unknown = Denied::Unknown("invitation");
    assert_eq!(denied(town.say(2, town.join_by(2, by.clone()))), unknown);
    assert_eq!(denied(town.say(1, town.join_by(1, town.by_link(1, id)))), unknown);
    town.say(1, town.join_by(1, by.clone())).unwrap();
    town.say(1, Action::Leave).unwrap();
    town.renew(0, MEMBERS).unwrap();
    assert_eq!(denied(town.say(1, town.join_by(1, by))), unknown);
}

#[test]
fn a_link_opens_to_who_proves_it_for_themselves_as_often_as_it_may() {
    let mut town = found(4, JoinPolicy::Invited);
    let link = InviteCreate { uses: Some(2), ..town.invite(None, &[]) };
    let id = invite(&mut town, 0, link);
    let other = town.by_link(2, id);
    let proof = Denied::Not("the link's proof does not hold");
    assert_eq!(denied(town.say(1, town.join_by(1, other))), proof);
    let forged = JoinBy::Link { invite: id, proof: Signature::from_bytes([1; 64]) };
    assert_eq!(denied(town.say(1, town.join_by(1, forged))), proof);
    town.say(1, town.join_by(1, town.by_link(1, id))).unwrap();
    assert_eq!(town.state.invites.get(&id).unwrap().uses_left, Some(1));
    town.say(2, town.join_by(2, town.by_link(2, id))).unwrap();
    let spent = town.say(3, town.join_by(3, town.by_link(3, id)));
    assert_eq!(denied(spent), Denied::Unknown("invitation"));
}

#[test]
fn an_invitation_is_well_formed() {
    let mut town = found(3, JoinPolicy::Invited);
    let link = town.invite(None, &[]);
    let personal = town.invite(Some(town.user(1)), &[]);
    let one = Denied::Not("an invitation is for one user, or for a link");
    let carry = Denied::Not("only links of open communities with full history carry the epoch");
    let cases = [
        (InviteCreate { user: Some(town.user(1)), ..link.clone() }, one.clone()),
        (InviteCreate { key: None, ..link.clone() }, one),
        (wrapped_link(&town), carry.clone()),
        (InviteCreate { wrap: Some(Octets::default()), ..link.clone() }, carry),
        (
            InviteCreate { uses: Some(0), ..link.clone() },
            Denied::Not("an invitation can be used at least once"),
        ),
        (
            InviteCreate { invite: InviteId::from_number(9), ..link.clone() },
            Denied::Not("a new invitation has the next number"),
        ),
        (
            InviteCreate { user: Some(town.user(0)), ..personal.clone() },
            Denied::Already("they belong to it already"),
        ),
    ];
    for (create, expected) in cases {
        assert_eq!(denied(town.say(0, Action::InviteCreate(create))), expected);
    }
    town.say(0, town.ban(1)).unwrap();
    assert_eq!(denied(town.say(0, Action::InviteCreate(personal))), Denied::Banned);
}

#[test]
fn an_invitation_ends_by_who_made_it_whom_it_is_for_or_who_manages() {
    let mut town = Town::found(4);
    town.fill(2);
    let personal = town.invite(Some(town.user(3)), &[]);
    let id = invite(&mut town, 1, personal);
    let end = Action::InviteRevoke { invite: id };
    assert_eq!(denied(town.say(2, end.clone())), Denied::NotPermitted("manage-community"));
    assert_eq!(denied(town.say(3, end.clone())), Denied::NotAMember);
    town.say(1, end.clone()).unwrap();
    assert_eq!(denied(town.say(0, end)), Denied::Unknown("invitation"));
}

#[test]
fn a_link_that_ends_ends_the_epoch_that_it_opens() {
    let mut town = Town::found(3);
    town.fill(2);
    let is_due = |town: &Town| town.state.audiences.get(&MEMBERS).unwrap().stale.is_due;
    let link = wrapped_link(&town);
    let id = invite(&mut town, 0, link);
    assert_eq!(town.state.wrapped_links(MEMBERS).count(), 1);
    town.say(0, Action::InviteRevoke { invite: id }).unwrap();
    assert!(is_due(&town));
    town.renew(1, MEMBERS).unwrap();
    let link = wrapped_link(&town);
    invite(&mut town, 0, link);
    town.say(0, policy(JoinPolicy::Invited)).unwrap();
    assert!(is_due(&town) && town.state.wrapped_links(MEMBERS).count() == 0);
    town.say(0, policy(JoinPolicy::Open)).unwrap();
    assert_eq!(town.state.wrapped_links(MEMBERS).count(), 0, "it does not come back");
    town.renew(1, MEMBERS).unwrap();
    let link = wrapped_link(&town);
    invite(&mut town, 0, link);
    town.do_it(0, town.kick(2)).unwrap();
    assert_eq!(town.state.wrapped_links(MEMBERS).count(), 0, "who was sent away may have it");
}

#[test]
fn who_has_to_be_approved_asks_and_is_let_in_or_not() {
    let mut town = found(5, JoinPolicy::Approved);
    let has_to_ask = Denied::Not("one has to ask, and is let in by a member");
    let link = town.invite(None, &[]);
    let link = invite(&mut town, 0, link);
    assert_eq!(denied(town.say(1, town.join_by(1, town.by_link(1, link)))), has_to_ask);
    town.say(1, ask(&town, 1, JoinBy::Open)).unwrap();
    let by_link = town.by_link(2, link);
    town.say(2, ask(&town, 2, by_link)).unwrap();
    assert_eq!(town.state.members.size(), 1);
    let nobody = Denied::Unknown("request to be let in");
    assert_eq!(denied(town.say(0, approve(town.user(3), true))), nobody);
    town.say(0, approve(town.user(1), false)).unwrap();
    assert_eq!(denied(town.say(0, approve(town.user(1), true))), nobody);
    town.say(0, approve(town.user(2), true)).unwrap();
    assert!(town.state.members.contains_key(&town.user(2)));
    // A member who may invite, but not approve, is no way around it.
    let personal = town.invite(Some(town.user(3)), &[]);
    let id = invite(&mut town, 2, personal);
    let by = JoinBy::Invited { invite: id };
    assert_eq!(denied(town.say(3, town.join_by(3, by))), has_to_ask);
    let personal = town.invite(Some(town.user(4)), &[]);
    let id = invite(&mut town, 0, personal);
    town.say(4, town.join_by(4, JoinBy::Invited { invite: id })).unwrap();
    town.say(0, policy(JoinPolicy::Invited)).unwrap();
    let refused = town.say(1, ask(&town, 1, JoinBy::Open));
    assert_eq!(denied(refused), Denied::Not("one has to be invited"));
}

#[test]
fn the_banned_come_by_no_way() {
    let mut town = found(4, JoinPolicy::Approved);
    let personal = town.invite(Some(town.user(1)), &[]);
    let id = invite(&mut town, 0, personal);
    town.say(1, ask(&town, 1, JoinBy::Open)).unwrap();
    town.say(0, town.ban(1)).unwrap();
    assert!(town.state.owed.is_empty(), "they were no member");
    assert!(town.state.asking.is_empty() && town.state.invites.is_empty());
    assert_eq!(denied(town.say(0, town.ban(1))), Denied::Already("they are banned already"));
    for action in [
        town.join_by(1, JoinBy::Open),
        town.join_by(1, JoinBy::Invited { invite: id }),
        ask(&town, 1, JoinBy::Open),
    ] {
        assert_eq!(denied(town.say(1, action)), Denied::Banned);
    }
    assert!(town.say(0, approve(town.user(1), true)).is_err());
    town.say(0, Action::Unban { user: town.user(1) }).unwrap();
    assert_eq!(denied(town.say(0, Action::Unban { user: town.user(1) })), Denied::Unknown("ban"));
    town.say(1, ask(&town, 1, JoinBy::Open)).unwrap();
    town.say(0, approve(town.user(1), true)).unwrap();
}

#[test]
fn one_sends_away_who_stands_below() {
    let mut town = Town::found(5);
    town.fill(4);
    let powers = Permissions::KICK.with(Permissions::BAN).with(Permissions::MANAGE_NICKNAMES);
    town.new_role(5, powers, &[1, 2]);
    town.new_role(6, powers, &[3]);
    for target in [0, 2, 3] {
        for action in [town.kick(target), town.ban(target), nickname(&town, target)] {
            assert_eq!(denied(town.say(1, action)), Denied::NotAbove);
        }
    }
    assert_eq!(denied(town.say(1, town.kick(1))), Denied::Not("who wants to go leaves"));
    let mut other = crate::community::Ban { user: town.user(4), reason: None };
    other.reason = Some(text(crate::town::audience(3)));
    let wrong = Denied::Not("the text is sealed for another audience");
    assert_eq!(denied(town.say(1, Action::Kick(other))), wrong);
    town.do_it(1, town.kick(4)).unwrap();
    assert_eq!(denied(town.say(1, town.kick(4))), Denied::Unknown("member"));
    town.join(4).unwrap();
    town.do_it(3, town.ban(1)).unwrap();
    assert_eq!(denied(town.join(1)), Denied::Banned);
}

#[test]
fn what_was_set_for_somebody_goes_with_them() {
    let mut town = Town::found(3);
    town.fill(2);
    let private = town.new_audience(&[], &[1, 2], History::Full);
    let room = town.new_channel(private);
    let subject = Subject::User(town.user(1));
    town.say(0, Town::overwrite(room, subject, Permissions::PIN, Permissions::NONE)).unwrap();
    town.say(1, Action::Leave).unwrap();
    assert!(town.state.channels.get(&room).unwrap().overwrites.is_empty());
    assert!(!town.state.is_in_audience(town.user(1), private));
    for id in [MEMBERS, private] {
        assert_eq!(town.state.audiences.get(&id).unwrap().stale.leaves, 1);
    }
    town.join(1).unwrap();
    assert!(!town.state.is_in_audience(town.user(1), private), "they come back without it");
    let owner = Denied::Not("the owner hands the community over, or deletes it");
    assert_eq!(denied(town.say(0, Action::Leave)), owner);
}

#[test]
fn an_invitation_gives_what_its_maker_could_still_give() {
    let mut town = found(6, JoinPolicy::Invited);
    for who in 1..=2 {
        let personal = town.invite(Some(town.user(who)), &[]);
        let id = invite(&mut town, 0, personal);
        town.say(who, town.join_by(who, JoinBy::Invited { invite: id })).unwrap();
    }
    let captain = town.new_role(9, Permissions::MANAGE_ROLES.with(Permissions::PIN), &[1]);
    let pinner = town.new_role(3, Permissions::PIN, &[]);
    let door = town.new_role(2, Permissions::NONE, &[]);
    let link = town.invite(None, &[pinner, door]);
    let id = invite(&mut town, 1, link);
    let roles =
        |town: &Town, who: usize| town.state.members.get(&town.user(who)).unwrap().roles.clone();
    town.say(3, town.join_by(3, town.by_link(3, id))).unwrap();
    assert_eq!(roles(&town, 3), [pinner, door]);
    // A role that opens something private by now is not given by who cannot wrap its epochs.
    town.new_audience(&[door], &[], History::SinceJoin);
    town.say(4, town.join_by(4, town.by_link(4, id))).unwrap();
    assert_eq!(roles(&town, 4), [pinner]);
    town.do_it(0, town.revoke(1, captain)).unwrap();
    town.say(5, town.join_by(5, town.by_link(5, id))).unwrap();
    assert!(roles(&town, 5).is_empty());
    let opens =
        Denied::Not("a role that opens a private channel is given to a member, not by invitation");
    let create = town.invite(None, &[door]);
    assert_eq!(denied(town.say(0, Action::InviteCreate(create))), opens);
    let create = town.invite(None, &[crate::town::EVERYBODY]);
    assert_eq!(denied(town.say(0, Action::InviteCreate(create))), Denied::NotAbove);
    let create = town.invite(None, &[pinner]);
    let refused = Denied::NotPermitted("manage-roles");
    assert_eq!(denied(town.say(2, Action::InviteCreate(create))), refused);
}

#[test]
fn a_head_goes_on_and_its_new_key_asks_for_an_epoch() {
    let mut town = Town::found(2);
    town.fill(1);
    let puk = town.people[1].puk();
    let known = Denied::Already("the log knows that head");
    assert_eq!(denied(town.say(1, Action::Head(puk))), known);
    town.people[1].add_device();
    town.say(1, Action::Head(puk)).unwrap();
    assert_eq!(town.state.audiences.get(&MEMBERS).unwrap().stale.devices, 0);
    town.people[1].revoke_device(1);
    assert_eq!(denied(town.say(1, Action::Head(puk))), Denied::OtherKey);
    town.say(1, Action::Head(town.people[1].puk())).unwrap();
    assert_eq!(town.state.audiences.get(&MEMBERS).unwrap().stale.devices, 1);
    assert_eq!(town.state.members.get(&town.user(1)).unwrap().puk.generation, 2);
}

#[test]
fn the_owner_hands_over_and_readers_follow() {
    let mut town = Town::found(3);
    town.fill(2);
    let private = town.new_audience(&[], &[1], History::Full);
    assert_eq!(
        denied(town.say(0, Action::OwnerSet { user: town.user(0) })),
        Denied::Already("they own it already")
    );
    let stranger = UserId::from_bytes([1; 32]);
    let unknown = Denied::Unknown("member");
    assert_eq!(denied(town.say(0, Action::OwnerSet { user: stranger })), unknown);
    town.say(0, Action::OwnerSet { user: town.user(2) }).unwrap();
    assert!(!town.state.is_in_audience(town.user(0), private));
    assert!(town.state.is_in_audience(town.user(2), private));
    assert!(town.state.audiences.get(&private).unwrap().must_rotate().is_some());
    town.say(0, Action::Leave).unwrap();
}

#[test]
fn a_group_has_one_channel_and_no_roles() {
    let mut town = Town::group(5, 3);
    let one = Denied::Not("a group has one channel and no roles");
    let user = town.user(1);
    for action in [
        Town::role_set(1, 1, Permissions::NONE),
        Action::RoleDelete { role: crate::town::role(1) },
        town.grant(1, crate::town::role(1)),
        town.revoke(1, crate::town::role(1)),
        Action::ChannelSet(Town::channel_set(2, MEMBERS)),
        Action::ChannelDelete { channel: channel(1) },
        Town::overwrite(channel(1), Subject::User(user), Permissions::PIN, Permissions::NONE),
        Town::audience_set(crate::town::audience(1), &[], &[user], History::Full),
        Action::AudienceDelete { audience: MEMBERS },
        Action::InviteCreate(town.invite(Some(town.user(4)), &[])),
        Action::InviteRevoke { invite: InviteId::from_number(1) },
        approve(user, true),
    ] {
        assert_eq!(denied(town.say(0, action)), one);
    }
    assert_eq!(denied(town.join(4)), one);
    assert_eq!(denied(town.say(4, ask(&town, 4, JoinBy::Open))), one);
    let brought = Denied::Not("a group is joined by being brought in");
    assert_eq!(denied(town.say(0, policy(JoinPolicy::Open))), brought);
    town.new_channel(MEMBERS);
    assert_eq!(denied(town.say(1, town.add(4))), Denied::NotTheOwner);
    assert_eq!(denied(town.say(1, town.kick(2))), Denied::NotTheOwner);
    assert_eq!(denied(town.say(1, town.ban(2))), Denied::NotTheOwner);
    let present = Denied::Already("they belong to it already");
    assert_eq!(denied(town.say(0, town.add(2))), present);
    town.do_it(0, town.ban(2)).unwrap();
    assert_eq!(denied(town.say(0, town.add(2))), Denied::Banned);
    assert_eq!(denied(town.say(1, Action::Unban { user: town.user(2) })), Denied::NotTheOwner);
    let mut stale = town.add(4);
    town.people[4].add_device();
    town.say(0, stale.clone()).unwrap();
    town.do_it(0, town.kick(4)).unwrap();
    town.say(0, town.add(4)).unwrap();
    town.do_it(0, town.kick(4)).unwrap();
    assert_eq!(denied(town.say(0, stale.clone())), Denied::OldHead);
    if let Action::Add(add) = &mut stale {
        add.head = town.people[4].head();
        add.puk.public = crate::id::Digest::ZERO;
    }
    assert_eq!(denied(town.say(0, stale)), Denied::OtherKey);
    let mut community = Town::found(2);
    let joined = Denied::Not("a community is joined, nobody is brought in");
    assert_eq!(denied(community.say(0, community.add(1))), joined);
}

#[test]
fn a_group_ends_at_64() {
    let mut town = Town::group(65, 64);
    assert_eq!(denied(town.say(0, town.add(64))), Denied::TooMany("members of a group"));
}
