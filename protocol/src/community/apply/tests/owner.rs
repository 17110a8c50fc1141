//! What an owner vouches for, and how a newcomer knows who the owner is.

use super::*;
use crate::{
    community::{History, JoinPolicy, Snapshot, check_log, check_owners},
    id::UserId,
};

fn vouch(town: &Town) -> Action {
    Action::Snapshot { digest: town.state.snapshot().digest() }
}

/// The statements of a town by which it got its owners.
fn owner_entries(town: &Town) -> Vec<Entry> {
    town.state
        .owners
        .keys()
        .map(|seq| town.entries[usize::try_from(*seq).unwrap()].clone())
        .collect()
}

/// Has no chain at hand.
struct Nobody;

impl Chains for Nobody {
    fn user_at(&self, _: UserId, _: Seen) -> Result<user::State, Missing> {
        Err(Missing::NotAtHand)
    }
}

fn owners(town: &Town, entries: &[Entry]) -> Result<Vec<(u64, UserId)>, Refused> {
    check_owners(town.community, entries, town)
}

#[test]
fn who_goes_on_from_a_snapshot_comes_to_the_same_as_who_has_read_all() {
    let mut town = Town::found(6);
    town.fill(3);
    let channel = town.new_channel(MEMBERS);
    town.new_role(5, Permissions::POST, &[1, 2]);
    town.do_it(0, town.kick(3)).unwrap();
    let bytes = town.state.snapshot().encode();
    town.say(0, vouch(&town)).unwrap();
    let vouched = town.state.vouched.unwrap();
    town.join(4).unwrap();
    town.say(1, nickname(&town, 1)).unwrap();
    let read = Snapshot::decode(&bytes).unwrap().into_state().unwrap();
    let after = &town.entries[usize::try_from(vouched).unwrap()..];
    let state = check_log(town.community, Some(read), after, &town).unwrap().unwrap();
    assert_eq!(state, town.state);
    assert!(state.may_read(town.user(4), channel));
}

#[test]
fn an_owner_vouches_for_nothing_but_what_the_log_came_to() {
    let mut town = Town::found(3);
    town.fill(2);
    let by_another = town.say(1, vouch(&town));
    assert_eq!(denied(by_another), Denied::NotTheOwner);
    let before = town.state.snapshot().digest();
    town.say(1, nickname(&town, 1)).unwrap();
    let other = Denied::Not("the snapshot is not of what the log comes to");
    assert_eq!(denied(town.say(0, Action::Snapshot { digest: before })), other);
    let mut invented = town.state.snapshot();
    invented.members.truncate(2);
    let invented = Action::Snapshot { digest: invented.digest() };
    assert_eq!(denied(town.say(0, invented)), other);
    town.say(0, vouch(&town)).unwrap();
    let early = Denied::Already("the owner has vouched for one of the last entries");
    assert_eq!(denied(town.say(0, vouch(&town))), early);
    for _ in 0..255 {
        town.say(1, nickname(&town, 1)).unwrap();
    }
    town.say(0, vouch(&town)).unwrap();
}

#[test]
fn nothing_is_vouched_for_in_a_group_or_while_an_epoch_is_owed() {
    let mut group = Town::group(2, 2);
    let none = Denied::Not("a group has one channel and no roles");
    assert_eq!(denied(group.say(0, vouch(&group))), none);
    let mut town = Town::found(2);
    town.fill(1);
    town.say(0, town.kick(1)).unwrap();
    assert_eq!(denied(town.say(0, vouch(&town))), Denied::EpochOwed);
}

#[test]
fn a_newcomer_follows_the_owners_from_the_founding_on() {
    let mut town = Town::found(4);
    town.fill(3);
    assert_eq!(owners(&town, &owner_entries(&town)), Ok(vec![(0, town.user(0))]));
    for next in [2, 1] {
        let owner = (0..4).find(|who| town.user(*who) == town.state.owner).unwrap();
        town.say(owner, Action::OwnerSet { user: town.user(next) }).unwrap();
        town.settle();
    }
    let entries = owner_entries(&town);
    let known: Vec<_> = town.state.owners.iter().map(|(seq, user)| (*seq, *user)).collect();
    assert_eq!(owners(&town, &entries), Ok(known.clone()));
    assert_eq!(known.last().unwrap().1, town.user(1));
    // Fewer lead to an earlier owner: what the snapshot says is compared with it.
    assert_eq!(owners(&town, &entries[..2]).unwrap(), known[..2]);
}

#[test]
fn nobody_gets_to_own_a_community_but_by_its_owners_own_words() {
    let mut town = Town::found(4);
    town.fill(3);
    town.say(0, Action::OwnerSet { user: town.user(2) }).unwrap();
    town.settle();
    let entries = owner_entries(&town);
    // Somebody else says that they own it.
    let claim = Action::OwnerSet { user: town.user(3) };
    let manner = town.manner(3, &claim);
    let usurped = town.entry(3, claim, &manner);
    let refused = |entries: &[Entry]| match owners(&town, entries) {
        Err(Refused::Denied(denied)) => denied,
        other => panic!("not refused but {other:?}"),
    };
    assert_eq!(refused(&[]), Denied::NotTheOwner);
    assert_eq!(refused(&entries[1..]), Denied::NotTheOwner);
    assert_eq!(refused(&[entries[0].clone(), entries[0].clone()]), Denied::NotTheOwner);
    assert_eq!(
        refused(&[entries[0].clone(), entries[1].clone(), entries[1].clone()]),
        Denied::NotTheOwner
    );
    assert_eq!(refused(&[entries[0].clone(), usurped]), Denied::NotTheOwner);
    // The owner's own, changed.
    let mut forged = entries[1].clone();
    forged.signed.signatures[0] = entries[0].signed.signatures[0].clone();
    assert!(matches!(refused(&[entries[0].clone(), forged]), Denied::Broken(_)));
    let elsewhere = Town::found_as(1, CommunityKind::Community, JoinPolicy::Invited, History::Full);
    assert!(check_owners(town.community, &owner_entries(&elsewhere), &elsewhere).is_err());
    // Whose devices are not at hand is fetched.
    let held = check_owners(town.community, &entries, &Nobody);
    assert!(matches!(held, Err(Refused::Hold { user, .. }) if user == town.user(0)));
}
