//! The fuzz targets on stable: their seeds, and a fixed number of mutations of them. The fuzzers themselves run without end by
//! `cargo +nightly fuzz run wire`, and so on for `user`, `community`, `snapshot` and `posts`, in `protocol/`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

#[path = "../fuzz/targets.rs"]
mod targets;

use targets::town::{MEMBERS, Town, channel, role};

use rookery_protocol::{
    chain::{Entry, Kind, Submission},
    codec::{self, Octets},
    community::{self, Action},
    id::{ChainId, Digest, InviteId, ItemId, SenderKeyId},
    key::{AgreementKey, Domain, KEM_KEY_BYTES, KemKey, SigningKey},
    time::Timestamp,
    user::{
        self, DeviceAdd, DeviceKeys, Genesis, Lane, PukPublic, RecoveryKeys, Statement,
        reverse_message,
    },
};

/// Mutations of each target; a few seconds of a debug build.
const MUTATIONS: u32 = 100_000;

/// A small generator (xorshift64*), so that a failure comes back by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// Flips, cuts, repeats and splices.
    fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                2 => bytes.truncate(at),
                3 => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
                4 => drop(bytes.remove(at)),
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    bytes.splice(at.., other[from..].iter().copied());
                }
            }
        }
        bytes
    }
}

fn run(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    run_times(target, seeds, MUTATIONS);
}

fn run_times(target: fn(&[u8]), seeds: &[Vec<u8>], mutations: u32) {
    let seed = 0x726f_6f6b_6572_7900;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    for seed in seeds {
        target(seed);
    }
    for _ in 0..mutations {
        target(&random.mutate(seeds));
    }
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    let mut seeds = vec![];
    for (index, rule) in targets::RULES.iter().enumerate() {
        for golden in &rule.golden {
            let index = u16::try_from(index).unwrap();
            seeds.push([&index.to_be_bytes()[..], golden].concat());
        }
    }
    run(targets::wire, &seeds);
}

#[test]
fn no_entries_make_the_fold_panic() {
    run(targets::user, &[a_user_with_two_devices()]);
}

#[test]
fn no_statements_make_a_community_s_fold_panic() {
    let bodies = |entries: &[Entry]| {
        let bodies = entries.iter().filter_map(|entry| entry.body.as_ref());
        let statements = bodies.map(|body| codec::decode::<community::Statement>(body.as_slice()));
        codec::encode(&statements.collect::<Result<Vec<_>, _>>().unwrap())
    };
    let town = &*targets::TOWN;
    let (user, stranger) = (town.user(1), town.user(3));
    let said = |author, action| community::Statement {
        suite: 1,
        community: Some(town.community),
        place: community::Place::First,
        author,
        author_head: town.state.head,
        action,
    };
    let ban = community::Ban { user, reason: None };
    let more = vec![
        said(stranger, town.join_by(3, community::JoinBy::Open)),
        said(town.user(0), Action::Nickname(community::Nickname { user, name: None })),
        said(town.user(0), Action::Kick(ban)),
        said(user, Action::Leave),
        said(user, town.join_by(1, town.by_link(1, InviteId::from_number(1)))),
        said(town.user(0), Action::OwnerSet { user: town.user(2) }),
        said(town.user(0), Town::audience_set(MEMBERS, &[], &[], community::History::SinceJoin)),
        said(town.user(0), Action::Epoch(town.epoch_start(MEMBERS))),
        said(town.user(0), Action::RoleDelete { role: role(1) }),
        said(town.user(0), Action::Delete),
    ];
    let one_by_one = more.iter().map(|statement| codec::encode(&vec![statement.clone()]));
    let seeds: Vec<_> =
        [bodies(&town.entries), codec::encode(&more)].into_iter().chain(one_by_one).collect();
    run_times(targets::community, &seeds, MUTATIONS / 4);
}

#[test]
fn no_snapshot_makes_a_newcomer_panic() {
    let town = &*targets::TOWN;
    let bytes = town.state.snapshot().encode();
    let read = community::Snapshot::decode(&bytes).unwrap().into_state();
    assert_eq!(read.as_ref(), Some(&town.state), "the seed is a good one");
    run_times(targets::snapshot, &[bytes], MUTATIONS / 4);
}

#[test]
fn no_bodies_make_the_judge_of_a_channel_panic() {
    let town = &*targets::TOWN;
    let (user, device, head) = (town.user(1), town.people[1].device(0), town.people[1].head());
    let (community, epoch, log) = (town.community, town.epoch_of(MEMBERS), town.state.head);
    let sender_key = SenderKeyId::from_bytes([4; 16]);
    let announce = community::AnnounceBody {
        suite: 1,
        community,
        channel: channel(1),
        audience: MEMBERS,
        epoch,
        user,
        device,
        head,
        sender_key,
        start_index: 0,
        history: community::History::Full,
    };
    let message = community::MessageHeader {
        suite: 1,
        community,
        channel: channel(1),
        audience: MEMBERS,
        epoch,
        log,
        user,
        device,
        sender_key,
        index: 3,
        item: ItemId::from_bytes([1; 16]),
    };
    let redact = community::Redact {
        suite: 1,
        community,
        channel: channel(1),
        log,
        user,
        head,
        targets: vec![1, 2],
        reason: None,
    };
    let announce = community::Announce {
        header: Octets::parse(codec::encode(&announce)).unwrap(),
        sealed: Octets::default(),
    };
    let message = community::ChannelMessage {
        header: Octets::parse(codec::encode(&message)).unwrap(),
        sealed: Octets::default(),
    };
    let seeds = [
        [&[4][..], &codec::encode(&announce)].concat(),
        [&[5][..], &codec::encode(&message)].concat(),
        [&[6][..], &codec::encode(&redact)].concat(),
    ];
    run(targets::posts, &seeds);
}

fn a_user_with_two_devices() -> Vec<u8> {
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]);
    let kem = || KemKey::from_slice(&[7; KEM_KEY_BYTES]).unwrap();
    let keys = |seed: u8| DeviceKeys {
        signing: key(seed).verifying_key(),
        identity: AgreementKey::from_bytes([seed; 32]),
        sealing: kem(),
        bot: false,
        sealed_name: Octets::default(),
    };
    let genesis = Statement::genesis(Genesis {
        home: "nest.example".parse().unwrap(),
        home_key: key(9).verifying_key().server_id(),
        recovery: RecoveryKeys { signing: key(8).verifying_key(), sealing: kem() },
        device: keys(1),
        puk: PukPublic {
            lane: Lane::Durable,
            generation: 1,
            public: kem(),
            commit: Digest::ZERO,
            boxes_root: Digest::ZERO,
        },
        nonce: Octets::default(),
    });
    let body = codec::encode(&genesis);
    let user = Statement::user_id(&body);
    let chain = ChainId::of_user(user);
    let sign = |body, id| {
        let at = Timestamp::from_millis(1);
        Submission::sign(
            &key(1),
            chain,
            ItemId::from_bytes([id; 16]),
            Kind::UserStatement,
            body,
            at,
            None,
        )
        .unwrap()
    };
    let mut first = sign(body, 1);
    first.signed = first.signed.cosign(&key(8));
    let first = first.place(chain, 0, None);
    let message = reverse_message(user, first.hash(), &codec::encode(&keys(2)));
    let add = DeviceAdd { keys: keys(2), reverse: key(2).sign(Domain::REVERSE, &message) };
    let second = Statement::next(user, first.seen(), user::Action::DeviceAdd(add));
    let second = sign(codec::encode(&second), 2).place(chain, 0, Some(first.seen()));
    let bytes = codec::encode(&vec![first.clone(), second.clone()]);
    let mut state = None;
    for entry in [first, second] {
        state = Some(user::verify_and_apply(user, state.as_ref(), &entry).unwrap());
    }
    assert_eq!(state.unwrap().live_devices().len(), 2, "the seed is a good one");
    bytes
}
