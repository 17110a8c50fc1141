//! What a community's log costs whoever checks it: 10,000 statements are to take at most a second.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a bench fails by panicking"
)]

use std::{collections::HashMap, hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rookery_protocol::{
    chain::Seen,
    community::{
        Action, Chains, History, Missing, Nickname, Permissions, check_log, verify_and_apply,
    },
    id::UserId,
    user,
};

#[expect(dead_code, reason = "tests use the rest")]
#[path = "../tests/town/mod.rs"]
mod town;

use town::{MEMBERS, Town, text};

const STATEMENTS: usize = 10_000;
const MEMBERS_COUNT: u16 = 5_000;

struct Known(HashMap<UserId, user::History>);

impl Chains for Known {
    fn user_at(&self, user: UserId, head: Seen) -> Result<user::State, Missing> {
        self.0.get(&user).ok_or(Missing::NotAtHand)?.at(head).cloned()
    }
}

impl Known {
    fn of(town: &Town) -> Self {
        Self(town.people.iter().map(|person| (person.user, person.history.clone())).collect())
    }
}

/// Half of it joins, then roles, nicknames, 50 channels, two private audiences, and a kick with its epochs in every 200.
fn busy() -> Town {
    let mut town = Town::found(MEMBERS_COUNT);
    let roles: Vec<_> = (1..=5).map(|rank| town.new_role(rank, Permissions::PIN, &[])).collect();
    for number in 1..=50 {
        town.say(0, Action::ChannelSet(Town::channel_set(number, MEMBERS))).unwrap();
    }
    for role in &roles[..2] {
        town.new_audience(&[*role], &[], History::Full);
    }
    for who in 1..usize::from(MEMBERS_COUNT) {
        town.join(who).unwrap();
    }
    let mut turn = 1;
    while town.entries.len() < STATEMENTS {
        turn += 1;
        let who = 1 + turn * 7 % (usize::from(MEMBERS_COUNT) - 1);
        if !town.state.members.contains_key(&town.user(who)) {
            continue;
        }
        let name = Nickname { user: town.user(who), name: Some(text(MEMBERS)) };
        match turn % 200 {
            0 => town.do_it(0, town.kick(who)).unwrap(),
            1..100 => {
                // Somebody who has the role already is passed over.
                if let Err(_already) = town.do_it(0, town.grant(who, roles[turn % 5])) {}
            }
            _ => town.say(who, Action::Nickname(name)).unwrap(),
        }
    }
    town.entries.truncate(STATEMENTS);
    town
}

fn log(criterion: &mut Criterion) {
    let town = busy();
    let chains = Known::of(&town);
    let mut group = criterion.benchmark_group("community");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(u64::try_from(STATEMENTS).unwrap()));
    group.bench_function("check a log of 10,000 statements", |bencher| {
        bencher.iter(|| check_log(town.community, None, &town.entries, &chains).unwrap());
    });
    group.bench_function("check it one by one", |bencher| {
        bencher.iter(|| {
            town.entries.iter().fold(None, |state, entry| {
                Some(verify_and_apply(town.community, state.as_ref(), entry, &chains).unwrap())
            })
        });
    });
    group.finish();
    criterion.bench_function("the roster root of 5,000 members", |bencher| {
        bencher.iter(|| black_box(&town.state).roster_root(MEMBERS));
    });
}

criterion_group!(benches, log);
criterion_main!(benches);
