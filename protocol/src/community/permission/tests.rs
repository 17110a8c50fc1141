//! The laws of exceptions, and that the cache is the function.

use proptest::prelude::*;

use super::*;
use crate::{
    community::{Action, History, Overwrite},
    town::{EVERYBODY, MEMBERS, Town, channel},
};

const LOW: RoleId = RoleId::from_number(1);
const HIGH: RoleId = RoleId::from_number(2);

/// Person 1 bears both roles, person 2 none; person 3 reads no private channel. Channel 1 is all members', channel 2 is private.
fn town() -> Town {
    let mut town = Town::found(5);
    town.fill(3);
    town.new_role(1, Permissions::PIN, &[1]);
    town.new_role(2, Permissions::NONE, &[1]);
    town.new_channel(MEMBERS);
    let private = town.new_audience(&[], &[1, 2], History::Full);
    town.new_channel(private);
    town
}

fn with(town: &Town, exceptions: &[(Subject, Permissions, Permissions)]) -> State {
    let mut state = town.state.clone();
    for id in [channel(1), channel(2)] {
        let mut place = state.channels.get(&id).unwrap().clone();
        for (subject, allow, deny) in exceptions {
            let overwrite = Overwrite { allow: *allow, deny: *deny };
            place.overwrites = place.overwrites.insert(*subject, overwrite);
        }
        state.channels = state.channels.insert(id, place);
    }
    state
}

#[test]
fn who_belongs_may_do_what_their_roles_say_and_the_owner_everything() {
    let town = town();
    let of = |who: usize| town.state.permissions_of(town.user(who), None);
    assert_eq!(of(0), Permissions::ALL);
    assert_eq!(of(1), Permissions::DEFAULT.with(Permissions::PIN));
    assert_eq!(of(2), Permissions::DEFAULT);
    assert_eq!(of(4), Permissions::NONE);
}

#[test]
fn nobody_does_anything_where_they_may_not_read() {
    let town = town();
    let own = (Subject::User(town.user(3)), Permissions::ALL, Permissions::NONE);
    let state = with(&town, &[own]);
    assert_eq!(state.permissions_of(town.user(3), Some(channel(2))), Permissions::NONE);
    assert_eq!(state.permissions_of(town.user(3), Some(channel(1))), Permissions::ALL);
    assert_eq!(state.permissions_of(town.user(0), Some(channel(9))), Permissions::NONE);
    assert_eq!(state.permissions_of(town.user(0), Some(channel(2))), Permissions::ALL);
    assert_eq!(state.permissions_of(town.user(4), Some(channel(1))), Permissions::NONE);
}

#[test]
fn nobody_posts_in_an_archive() {
    let mut town = town();
    let mut set = Town::channel_set(1, MEMBERS);
    set.is_archived = true;
    town.say(0, Action::ChannelSet(set)).unwrap();
    for who in [0, 1] {
        let may = town.state.permissions_of(town.user(who), Some(channel(1)));
        assert!(!may.contain(Permissions::POST) && !may.contain(Permissions::REACT));
        assert!(may.contain(Permissions::SPEAK));
    }
}

#[test]
fn words_and_bits_are_the_same_permissions() {
    for (word, permission) in Permissions::WORDS {
        assert_eq!(Permissions::parse(word), Some(permission));
        assert_eq!(permission.words().collect::<Vec<_>>(), [word]);
    }
    let all = Permissions::WORDS.iter().fold(Permissions::NONE, |sum, (_, one)| sum.with(*one));
    assert_eq!(all, Permissions::ALL);
    assert_eq!(Permissions::parse("everything"), None);
}

fn some() -> impl Strategy<Value = Permissions> {
    (0..=Permissions::ALL.bits()).prop_map(Permissions::from_bits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn later_exceptions_outweigh_earlier_ones_and_allowing_outweighs_denying_among_roles(
        everybody in (some(), some()),
        low in (some(), some()),
        high in (some(), some()),
        own in (some(), some()),
    ) {
        let town = town();
        let (one, two) = (town.user(1), town.user(2));
        let state = with(&town, &[
            (Subject::Role(EVERYBODY), everybody.0, everybody.1),
            (Subject::Role(LOW), low.0, low.1),
            (Subject::Role(HIGH), high.0, high.1),
            (Subject::User(one), own.0, own.1),
        ]);
        let base = state.permissions_of(one, None);
        for id in [channel(1), channel(2)] {
            for (word, bit) in Permissions::WORDS {
                // Bit by bit, from the strongest voice to the weakest.
                let expected = own.0.contain(bit)
                    || !own.1.contain(bit)
                        && (low.0.contain(bit) || high.0.contain(bit)
                            || !(low.1.contain(bit) || high.1.contain(bit))
                                && (everybody.0.contain(bit)
                                    || !everybody.1.contain(bit) && base.contain(bit)));
                let found = state.permissions_of(one, Some(id)).contain(bit);
                prop_assert_eq!(found, expected, "{}", word);
            }
            let plain = Permissions::DEFAULT.without(everybody.1).with(everybody.0);
            prop_assert_eq!(state.permissions_of(two, Some(id)), plain);
            prop_assert_eq!(state.permissions_of(town.user(0), Some(id)), Permissions::ALL);
        }
    }
}

#[test]
fn the_cache_answers_as_the_function_does_after_every_statement() {
    let mut town = town();
    let mut cache = Cache::default();
    let ask = |town: &Town, cache: &mut Cache| {
        for who in 0..5 {
            for id in [None, Some(channel(1)), Some(channel(2)), Some(channel(3))] {
                let expected = town.state.permissions_of(town.user(who), id);
                for _ in 0..2 {
                    assert_eq!(cache.permissions_of(&town.state, town.user(who), id), expected);
                }
            }
        }
    };
    ask(&town, &mut cache);
    let deny = Permissions::POST;
    for action in [
        Town::overwrite(channel(1), Subject::Role(LOW), Permissions::BAN, deny),
        town.revoke(1, LOW),
        Town::role_set(0, 0, Permissions::NONE),
        town.kick(2),
        Action::OwnerSet { user: town.user(1) },
    ] {
        town.do_it(0, action).unwrap();
        ask(&town, &mut cache);
    }
}
