//! Roles, channels, audiences, and that nobody gains by their own word.

use super::denied;
use crate::{
    community::{Action, History, Permissions, Subject, apply::Denied},
    id::ChannelId,
    town::{EVERYBODY, MEMBERS, Town, audience, channel, role, text},
};

const ROLES: Permissions = Permissions::MANAGE_ROLES;
const CHANNELS: Permissions = Permissions::MANAGE_CHANNELS;

/// Five members; person 1 bears a role of rank 10 with `powers`.
fn town_with(powers: Permissions) -> Town {
    let mut town = Town::found(5);
    town.fill(4);
    town.new_role(10, powers, &[1]);
    town
}

fn exception(channel: ChannelId, to: Subject, allow: Permissions, deny: Permissions) -> Action {
    Town::overwrite(channel, to, allow, deny)
}

#[test]
fn a_role_gets_what_its_maker_has_below_its_maker() {
    let mut town = town_with(ROLES.with(Permissions::PIN));
    let mine = role(1);
    let given = Denied::NotPermitted("that the role is to give");
    assert_eq!(denied(town.say(1, Town::role_set(2, 1, Permissions::MODERATE))), given);
    // Unknown bits are nobody's to give.
    assert_eq!(denied(town.say(0, Town::role_set(2, 1, Permissions::from_bits(1 << 40)))), given);
    for rank in [0, 10, 11, u32::MAX] {
        assert_eq!(
            denied(town.say(1, Town::role_set(2, rank, Permissions::PIN))),
            Denied::NotAbove
        );
    }
    let next = Denied::Not("a new role has the next number");
    assert_eq!(denied(town.say(1, Town::role_set(3, 9, Permissions::PIN))), next);
    town.say(1, Town::role_set(2, 9, Permissions::PIN)).unwrap();
    // Their own role, and one as high, is above them.
    assert_eq!(denied(town.say(1, Town::role_set(1, 9, Permissions::PIN))), Denied::NotAbove);
    assert_eq!(denied(town.say(1, Action::RoleDelete { role: mine })), Denied::NotAbove);
    assert_eq!(denied(town.say(1, town.revoke(1, mine))), Denied::NotAbove);
    assert_eq!(denied(town.say(1, town.grant(2, mine))), Denied::NotAbove);
    // What a role can do already, it may keep.
    town.say(0, Town::role_set(2, 9, Permissions::PIN.with(Permissions::BAN))).unwrap();
    town.say(1, Town::role_set(2, 8, Permissions::BAN)).unwrap();
    assert_eq!(
        denied(town.say(1, town.grant(2, role(2)))),
        Denied::NotPermitted("that the role gives")
    );
    assert_eq!(
        denied(town.say(1, town.grant(1, role(2)))),
        Denied::NotPermitted("that the role gives")
    );
}

#[test]
fn everybody_s_role_is_edited_by_who_stands_above_it() {
    let mut town = town_with(ROLES);
    let odd = Denied::Not("everybody's role has rank 0 and no name");
    assert_eq!(denied(town.say(0, Town::role_set(0, 1, Permissions::POST))), odd);
    let powers = Permissions::DEFAULT.with(ROLES);
    let more = Town::role_set(0, 0, powers.with(Permissions::BAN));
    assert_eq!(denied(town.say(1, more)), Denied::NotPermitted("that the role is to give"));
    town.say(0, Town::role_set(0, 0, powers)).unwrap();
    // Now everybody manages roles, and stands above none.
    assert_eq!(denied(town.say(2, Town::role_set(0, 0, Permissions::NONE))), Denied::NotAbove);
    assert_eq!(denied(town.say(2, Town::role_set(2, 0, Permissions::NONE))), Denied::NotAbove);
    let always = Denied::Not("everybody's role cannot end");
    assert_eq!(denied(town.say(0, Action::RoleDelete { role: EVERYBODY })), always);
    let bears = Denied::Not("everybody has everybody's role");
    assert_eq!(denied(town.say(0, town.grant(2, EVERYBODY))), bears);
    assert_eq!(denied(town.say(0, town.revoke(2, EVERYBODY))), bears);
}

#[test]
fn roles_are_given_and_taken_below_oneself() {
    let mut town = town_with(ROLES);
    let low = town.new_role(3, Permissions::NONE, &[]);
    town.new_role(10, Permissions::NONE, &[2]);
    assert_eq!(denied(town.say(1, town.grant(2, low))), Denied::NotAbove);
    assert_eq!(denied(town.say(1, town.grant(0, low))), Denied::NotAbove);
    town.say(1, town.grant(3, low)).unwrap();
    let already = Denied::Already("they have the role already");
    assert_eq!(denied(town.say(1, town.grant(3, low))), already);
    town.say(1, town.grant(1, low)).unwrap();
    town.say(1, town.revoke(1, low)).unwrap();
    assert_eq!(denied(town.say(1, town.revoke(1, low))), Denied::Unknown("role of theirs"));
    assert_eq!(denied(town.say(1, town.grant(3, role(9)))), Denied::Unknown("role"));
    let stranger = Action::RoleGrant { user: crate::id::UserId::from_bytes([1; 32]), role: low };
    assert_eq!(denied(town.say(1, stranger)), Denied::Unknown("member"));
    // To take something away, one need not have it.
    town.say(0, Town::role_set(2, 3, Permissions::BAN)).unwrap();
    town.say(1, town.revoke(3, low)).unwrap();
}

#[test]
fn a_role_ends_everywhere() {
    let mut town = town_with(ROLES);
    let low = town.new_role(3, Permissions::NONE, &[2]);
    let free = town.new_role(4, Permissions::NONE, &[2]);
    let private = town.new_audience(&[low], &[], History::Full);
    let room = town.new_channel(MEMBERS);
    town.say(0, exception(room, Subject::Role(free), Permissions::PIN, Permissions::NONE)).unwrap();
    let invite = town.invite(None, &[free]);
    let id = invite.invite;
    town.say(0, Action::InviteCreate(invite)).unwrap();
    town.do_it(0, Action::RoleDelete { role: free }).unwrap();
    town.do_it(0, Action::RoleDelete { role: low }).unwrap();
    assert!(town.state.members.get(&town.user(2)).unwrap().roles.is_empty());
    assert!(town.state.channels.get(&room).unwrap().overwrites.is_empty());
    assert!(town.state.invites.get(&id).unwrap().roles.is_empty());
    assert!(town.state.audiences.get(&private).unwrap().rule.as_ref().unwrap().roles.is_empty());
    assert_eq!(town.epoch_of(private), 1);
    assert_eq!(denied(town.say(0, Action::RoleDelete { role: low })), Denied::Unknown("role"));
    // Its number is not given again.
    let again = Town::role_set(2, 3, Permissions::NONE);
    assert_eq!(denied(town.say(0, again)), Denied::Not("a new role has the next number"));
}

#[test]
fn nobody_gives_a_role_that_opens_what_they_may_not_read() {
    let mut town = town_with(ROLES);
    let door = town.new_role(3, Permissions::NONE, &[2]);
    town.new_audience(&[door], &[], History::Full);
    let closed = Denied::NotPermitted("to read what the role opens");
    // Neither to themselves nor to an accomplice.
    assert_eq!(denied(town.say(1, town.grant(1, door))), closed);
    assert_eq!(denied(town.say(1, town.grant(3, door))), closed);
    town.do_it(0, town.grant(1, door)).unwrap();
    town.do_it(1, town.grant(3, door)).unwrap();
}

#[test]
fn nobody_gives_a_role_for_which_a_channel_makes_an_exception_beyond_them() {
    let mut town = town_with(ROLES);
    let low = town.new_role(3, Permissions::NONE, &[]);
    let room = town.new_channel(MEMBERS);
    let moderate = Permissions::MODERATE;
    town.say(0, exception(room, Subject::Role(low), moderate, Permissions::NONE)).unwrap();
    let beyond = Denied::NotPermitted("that the role gives in a channel");
    assert_eq!(denied(town.say(1, town.grant(1, low))), beyond);
    assert_eq!(denied(town.say(1, town.grant(3, low))), beyond);
    assert_eq!(denied(town.say(1, Action::InviteCreate(town.invite(None, &[low])))), beyond);
}

#[test]
fn nobody_lifts_what_holds_themselves_back() {
    let mut town = town_with(ROLES.with(CHANNELS));
    let muted = town.new_role(3, Permissions::NONE, &[1]);
    let room = town.new_channel(MEMBERS);
    let (none, moderate) = (Permissions::NONE, Permissions::MODERATE);
    town.say(0, exception(room, Subject::Role(EVERYBODY), moderate, none)).unwrap();
    town.say(0, exception(room, Subject::Role(muted), none, moderate)).unwrap();
    let gain = Denied::NotPermitted("that they would gain");
    assert_eq!(denied(town.say(1, town.revoke(1, muted))), gain);
    assert_eq!(denied(town.say(1, Action::RoleDelete { role: muted })), gain);
    let lift = exception(room, Subject::Role(muted), none, none);
    assert_eq!(denied(town.say(1, lift)), gain);
    town.say(0, town.revoke(1, muted)).unwrap();
}

#[test]
fn exceptions_are_made_for_who_stands_below_of_what_one_has() {
    let mut town = town_with(CHANNELS.with(Permissions::PIN));
    let low = town.new_role(3, Permissions::NONE, &[]);
    let private = town.new_audience(&[], &[2], History::Full);
    let (room, hidden) = (town.new_channel(MEMBERS), town.new_channel(private));
    let (none, pin) = (Permissions::NONE, Permissions::PIN);
    let moderate = exception(room, Subject::Role(low), Permissions::MODERATE, none);
    assert_eq!(denied(town.say(1, moderate)), Denied::NotPermitted("that the exception gives"));
    for subject in
        [Subject::Role(role(1)), Subject::User(town.user(0)), Subject::User(town.user(1))]
    {
        assert_eq!(denied(town.say(1, exception(room, subject, pin, none))), Denied::NotAbove);
    }
    let unseen = exception(hidden, Subject::Role(low), pin, none);
    assert_eq!(denied(town.say(1, unseen)), Denied::Unknown("channel"));
    let nobody = Subject::User(crate::id::UserId::from_bytes([1; 32]));
    assert_eq!(denied(town.say(1, exception(room, nobody, pin, none))), Denied::Unknown("member"));
    let unknown = Subject::Role(role(77));
    assert_eq!(denied(town.say(1, exception(room, unknown, pin, none))), Denied::Unknown("role"));
    town.say(1, exception(room, Subject::User(town.user(2)), pin, none)).unwrap();
    town.say(1, exception(room, Subject::User(town.user(2)), none, none)).unwrap();
    assert!(town.state.channels.get(&room).unwrap().overwrites.is_empty());
}

#[test]
fn a_channel_keeps_its_kind_and_audience_and_is_set_by_its_readers() {
    let mut town = town_with(CHANNELS);
    let private = town.new_audience(&[], &[2], History::Full);
    let set = Town::channel_set(1, MEMBERS);
    let say =
        |town: &mut Town, set: crate::community::ChannelSet| town.say(1, Action::ChannelSet(set));
    let mut other = set.clone();
    other.channel = channel(2);
    let next = Denied::Not("a new channel has the next number");
    assert_eq!(denied(say(&mut town, other)), next);
    for id in [private, audience(9)] {
        let unseen = Town::channel_set(1, id);
        assert_eq!(denied(say(&mut town, unseen)), Denied::Unknown("audience"));
    }
    let mut sealed = set.clone();
    sealed.topic = Some(text(private));
    let wrong = Denied::Not("the text is sealed for another audience");
    assert_eq!(denied(say(&mut town, sealed)), wrong);
    say(&mut town, set.clone()).unwrap();
    let keeps = Denied::Not("a channel keeps its kind and its audience");
    let mut voice = set.clone();
    voice.kind = crate::community::ChannelKind::Voice;
    assert_eq!(denied(say(&mut town, voice)), keeps);
    let moved = Action::ChannelSet(Town::channel_set(1, private));
    assert_eq!(denied(town.say(0, moved)), keeps);
    let hidden = town.new_channel(private);
    let gone = Denied::Unknown("channel");
    assert_eq!(denied(town.say(1, Action::ChannelDelete { channel: hidden })), gone);
    town.say(1, Action::ChannelDelete { channel: channel(1) }).unwrap();
    assert_eq!(denied(town.say(1, Action::ChannelDelete { channel: channel(1) })), gone);
    assert_eq!(denied(say(&mut town, set)), Denied::Not("a new channel has the next number"));
}

#[test]
fn an_audience_ends_when_no_channel_is_for_it() {
    let mut town = town_with(CHANNELS);
    let ends = |audience| Action::AudienceDelete { audience };
    let private = town.new_audience(&[], &[0], History::Full);
    // Who does not belong to it does not know it.
    assert_eq!(denied(town.say(1, ends(private))), Denied::Unknown("audience"));
    assert_eq!(denied(town.say(0, ends(audience(9)))), Denied::Unknown("audience"));
    let all = Denied::Not("the audience of all members does not end");
    assert_eq!(denied(town.say(0, ends(MEMBERS))), all);
    let channels = [town.new_channel(private), town.new_channel(private)];
    for channel in channels {
        let used = Denied::Not("a channel is for this audience");
        assert_eq!(denied(town.say(0, ends(private))), used);
        town.say(0, Action::ChannelDelete { channel }).unwrap();
    }
    // It does not end with an epoch owed, which nobody could begin any more.
    town.say(0, Town::audience_set(private, &[], &[town.user(0)], History::SinceJoin)).unwrap();
    assert_eq!(denied(town.say(0, ends(private))), Denied::EpochOwed);
    town.settle();
    town.say(0, ends(private)).unwrap();
    assert!(!town.state.audiences.contains_key(&private));
    let number = Denied::Not("a new audience has the next number");
    let again = Town::audience_set(private, &[], &[town.user(0)], History::Full);
    assert_eq!(denied(town.say(0, again)), number);
    assert_ne!(town.new_audience(&[], &[0], History::Full), private);
}

#[test]
fn an_audience_is_made_and_changed_by_who_belongs_to_it() {
    let mut town = town_with(CHANNELS);
    let full = History::Full;
    let all = Denied::Not("audience 0 is all members, and no other is");
    let mut none = Town::audience_set(audience(1), &[], &[], full);
    if let Action::AudienceSet(set) = &mut none {
        set.rule = None;
    }
    assert_eq!(denied(town.say(0, none)), all);
    let number = Denied::Not("a new audience has the next number");
    assert_eq!(denied(town.say(0, Town::audience_set(audience(2), &[], &[], full))), number);
    let twice = [role(1), role(1)];
    let order = Denied::Not("the rule is too long or not in order");
    assert_eq!(denied(town.say(0, Town::audience_set(audience(1), &twice, &[], full))), order);
    let strange = Town::audience_set(audience(1), &[role(8)], &[], full);
    assert_eq!(denied(town.say(0, strange)), Denied::Unknown("role or member"));
    let private = town.new_audience(&[], &[2], full);
    let users = [town.user(1), town.user(2)];
    let let_oneself_in = Town::audience_set(private, &[], &users, full);
    assert_eq!(denied(town.say(1, let_oneself_in.clone())), Denied::Unknown("audience"));
    town.do_it(0, let_oneself_in).unwrap();
    let out = Town::audience_set(private, &[], &users[1..], full);
    let stays = Denied::Not("who changes an audience stays in it");
    assert_eq!(denied(town.say(1, out)), stays);
}
