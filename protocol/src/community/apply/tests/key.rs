//! Epochs: who begins one, for whom, and when.

use super::{denied, nickname};
use crate::{
    codec::Octets,
    community::{
        Action, Admit, CommunityKind, EpochReason, EpochStart, History, JoinPolicy, Permissions,
        Subject, apply::Denied,
    },
    id::{AudienceId, Digest},
    town::{EVERYBODY, MEMBERS, Town, audience},
};

fn admit(town: &Town, id: AudienceId, who: usize) -> Action {
    let epoch = town.epoch_of(id);
    Action::Admit(Admit { audience: id, epoch, user: town.user(who), wrap: Octets::default() })
}

fn begin_with(town: &mut Town, who: usize, change: impl FnOnce(&mut EpochStart)) -> Denied {
    let mut start = town.epoch_start(MEMBERS);
    change(&mut start);
    denied(town.say(who, Action::Epoch(start)))
}

#[test]
fn an_epoch_is_the_next_one_for_exactly_the_readers() {
    let mut town = Town::found(3);
    town.fill(2);
    let next = Denied::Not("the epoch's number is not the next one");
    assert_eq!(begin_with(&mut town, 0, |start| start.epoch = 0), next);
    assert_eq!(begin_with(&mut town, 0, |start| start.epoch = 2), next);
    assert_eq!(begin_with(&mut town, 0, |start| start.count = 2), Denied::OtherRoster);
    let other = |start: &mut EpochStart| start.roster_root = Digest::ZERO;
    assert_eq!(begin_with(&mut town, 0, other), Denied::OtherRoster);
    let nowhere = |start: &mut EpochStart| start.audience = audience(7);
    assert_eq!(begin_with(&mut town, 0, nowhere), Denied::Unknown("audience"));
    let roster = town.epoch_start(MEMBERS);
    town.people[2].add_device();
    town.say(2, Action::Head(town.people[2].puk())).unwrap();
    // A roster from before the head moved.
    assert_eq!(denied(town.say(0, Action::Epoch(roster))), Denied::OtherRoster);
    town.renew(0, MEMBERS).unwrap();
    assert_eq!(town.epoch_of(MEMBERS), 1);
}

#[test]
fn the_secret_before_goes_along_exactly_where_history_is_full() {
    let mut town = Town::found(1);
    let history =
        Denied::Not("the secret before goes with the new one exactly where history is full");
    assert_eq!(begin_with(&mut town, 0, |start| start.previous = None), history);
    let meta = Denied::Not("the metadata key before goes with the new one");
    assert_eq!(begin_with(&mut town, 0, |start| start.previous_meta = None), meta);
    for (setting, is_there) in
        [(History::SinceJoin, false), (History::Full, false), (History::Full, true)]
    {
        if town.state.audiences.get(&MEMBERS).unwrap().history != setting {
            town.say(0, Town::audience_set(MEMBERS, &[], &[], setting)).unwrap();
            assert_eq!(denied(town.say(0, nickname(&town, 0))), Denied::EpochOwed);
        }
        assert_eq!(town.epoch_start(MEMBERS).previous.is_some(), is_there);
        let wrong = |start: &mut EpochStart| {
            start.previous = (!is_there).then(Octets::default);
        };
        assert_eq!(begin_with(&mut town, 0, wrong), history);
        town.renew(0, MEMBERS).unwrap();
    }
}

#[test]
fn a_plain_member_begins_an_epoch_when_something_asks_for_it_only() {
    let mut town = Town::found(4);
    town.fill(3);
    let refused = Denied::NotPermitted("manage-channels");
    assert_eq!(denied(town.renew(1, MEMBERS)), refused);
    // Age is for the hub to judge.
    let mut start = town.epoch_start(MEMBERS);
    start.reason = EpochReason::Age;
    town.say(1, Action::Epoch(start)).unwrap();
    town.say(3, Action::Leave).unwrap();
    town.renew(1, MEMBERS).unwrap();
    assert_eq!(denied(town.renew(1, MEMBERS)), refused);
    town.people[2].add_device();
    town.people[2].revoke_device(1);
    town.say(2, Action::Head(town.people[2].puk())).unwrap();
    let stale = town.state.audiences.get(&MEMBERS).unwrap();
    assert_eq!(stale.must_rotate(), Some(EpochReason::Device));
    town.renew(1, MEMBERS).unwrap();
}

#[test]
fn whoever_takes_something_away_begins_the_epoch_before_anything_else_is_said() {
    let mut town = Town::found(5);
    town.fill(3);
    let role = town.new_role(5, Permissions::NONE, &[1, 2]);
    let private = town.new_audience(&[role], &[], History::Full);
    let owed = |town: &mut Town, action: Action, audiences: &[AudienceId]| {
        town.say(0, action).unwrap();
        assert_eq!(town.state.owed.keys().copied().collect::<Vec<_>>(), audiences);
        assert!(town.state.owed.values().all(|debtor| *debtor == town.user(0)));
        // Neither anybody else, nor the debtor themselves, nor an epoch of another audience or by another.
        assert_eq!(denied(town.say(1, Action::Leave)), Denied::EpochOwed);
        assert_eq!(denied(town.join(4)), Denied::EpochOwed);
        assert_eq!(denied(town.say(0, nickname(town, 0))), Denied::EpochOwed);
        assert_eq!(denied(town.say(0, Action::Delete)), Denied::EpochOwed);
        assert!(town.renew(1, *audiences.first().unwrap()).is_err());
        if audiences == [private] {
            assert_eq!(denied(town.renew(0, MEMBERS)), Denied::EpochOwed);
        }
        town.settle();
    };
    let revoke = town.revoke(2, role);
    owed(&mut town, revoke, &[private]);
    let only_one = Town::audience_set(private, &[], &[town.user(1), town.user(3)], History::Full);
    // Person 1 stays by name, person 3 comes: nobody is lost.
    town.say(0, only_one).unwrap();
    assert!(town.state.owed.is_empty());
    owed(&mut town, Town::audience_set(private, &[], &[], History::Full), &[private]);
    owed(&mut town, Town::audience_set(private, &[], &[], History::SinceJoin), &[private]);
    let back = Town::audience_set(private, &[role], &[], History::SinceJoin);
    owed(&mut town, back, &[private]);
    let kick = town.kick(1);
    owed(&mut town, kick, &[MEMBERS, private]);
    let ban = town.ban(2);
    owed(&mut town, ban, &[MEMBERS]);
    let grant = town.grant(3, role);
    owed(&mut town, grant, &[private]);
    owed(&mut town, Action::RoleDelete { role }, &[private]);
}

#[test]
fn an_audience_of_which_the_author_is_none_waits_for_whoever_seals_next() {
    let mut town = Town::found(4);
    town.fill(3);
    let private = town.new_audience(&[], &[2, 3], History::Full);
    town.new_role(9, Permissions::KICK, &[1]);
    town.do_it(1, town.kick(2)).unwrap();
    assert_eq!(town.epoch_of(private), 0);
    let is_due = |town: &Town| town.state.audiences.get(&private).unwrap().must_rotate();
    assert_eq!(is_due(&town), Some(EpochReason::Removal));
    let outsider = Denied::Not("who starts an epoch belongs to the audience");
    assert_eq!(denied(town.renew(1, private)), outsider);
    town.renew(3, private).unwrap();
    assert_eq!(is_due(&town), None);
}

#[test]
fn the_founder_owes_epoch_0_and_its_maker_that_of_an_audience() {
    let mut town = Town::found(3);
    town.fill(2);
    town.new_role(9, Permissions::MANAGE_CHANNELS, &[1]);
    let id = audience(1);
    let without = Town::audience_set(id, &[], &[town.user(2)], History::Full);
    let left_out = Denied::Not("who makes an audience belongs to it");
    assert_eq!(denied(town.say(1, without)), left_out);
    town.say(1, Town::audience_set(id, &[], &[town.user(1)], History::Full)).unwrap();
    assert_eq!(denied(town.renew(0, id)), Denied::EpochOwed);
    town.renew(1, id).unwrap();
    assert_eq!(town.state.audiences.get(&id).unwrap().epoch.as_ref().unwrap().count, 2);
}

#[test]
fn the_epoch_in_force_is_wrapped_for_who_may_read_it() {
    let mut town = Town::found(4);
    town.fill(2);
    let private = town.new_audience(&[], &[1], History::Full);
    town.say(1, admit(&town, MEMBERS, 2)).unwrap();
    town.say(1, admit(&town, private, 0)).unwrap();
    let reader = Denied::Not("an epoch is wrapped for who may read only");
    assert_eq!(denied(town.say(1, admit(&town, MEMBERS, 3))), reader);
    assert_eq!(denied(town.say(1, admit(&town, private, 2))), reader);
    let outsider = Denied::Not("who wraps an epoch belongs to the audience");
    assert_eq!(denied(town.say(2, admit(&town, private, 1))), outsider);
    let old = admit(&town, MEMBERS, 2);
    town.renew(0, MEMBERS).unwrap();
    assert_eq!(denied(town.say(1, old)), Denied::Not("another epoch is in force"));
}

#[test]
fn who_comes_where_history_begins_with_coming_gets_no_earlier_epoch() {
    let kind = CommunityKind::Community;
    let mut town = Town::found_as(4, kind, JoinPolicy::Open, History::SinceJoin);
    town.fill(2);
    let before = Denied::Not("they came after this epoch, and history begins with coming");
    assert_eq!(denied(town.say(0, admit(&town, MEMBERS, 1))), before);
    assert!(town.state.audiences.get(&MEMBERS).unwrap().must_rotate().is_some());
    town.renew(2, MEMBERS).unwrap();
    town.say(0, admit(&town, MEMBERS, 1)).unwrap();
    // Nor does who comes into a private audience, by the ownership.
    let private = town.new_audience(&[], &[1], History::SinceJoin);
    town.say(0, Action::OwnerSet { user: town.user(2) }).unwrap();
    assert_eq!(town.epoch_of(private), 0);
    assert_eq!(denied(town.say(1, admit(&town, private, 2))), before);
    town.renew(1, private).unwrap();
    town.say(1, admit(&town, private, 2)).unwrap();
}

#[test]
fn exceptions_change_no_readers() {
    let mut town = Town::found(2);
    town.fill(1);
    let channel = town.new_channel(MEMBERS);
    let action =
        Town::overwrite(channel, Subject::Role(EVERYBODY), Permissions::NONE, Permissions::POST);
    town.say(0, action).unwrap();
    assert!(town.state.owed.is_empty() && town.state.may_read(town.user(1), channel));
}
