//! What sealing for a community costs: a new epoch for 4,000 users, which is to take 3 s and 5 MB at most, a channel's messages,
//! and files.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rookery_cli::e2ee::{
    KemSecret, SeededRandom,
    content::{Content, Text},
    epoch::{EpochKeys, EpochPlace, EpochPlan, EpochSecret, MemberKey, build_epoch},
    file::{FileKey, HEADER_BYTES, Opener, Sealer},
    sender_key::{AnnounceFacts, ChannelPlace, InboundSenderKey, MessageFacts, OutboundSenderKey},
};
use rookery_protocol::{
    chain::Seen,
    community::{EpochReason, History, PukPin},
    hash::plain,
    id::{AudienceId, ChannelId, CommunityId, DeviceId, Digest, ItemId, UserId},
    time::Timestamp,
};

const USERS: u32 = 4_000;
const PLACE: EpochPlace = EpochPlace {
    community: CommunityId::from_bytes([1; 32]),
    audience: AudienceId::MEMBERS,
    epoch: 0,
};
const ROOT: Digest = Digest::from_bytes([2; 32]);
const USER: UserId = UserId::from_bytes([3; 32]);
const DEVICE: DeviceId = DeviceId::from_bytes([4; 32]);
const SEEN: Seen = Seen { seq: 5, hash: ROOT };
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn epoch(criterion: &mut Criterion) {
    let mut random = SeededRandom::new(1);
    let keys: Vec<_> = (0..USERS).map(|_| KemSecret::generate(&mut random).public()).collect();
    let members = (0_u32..).zip(&keys).map(|(number, key)| {
        let mut user = [0; 32];
        user.split_at_mut(4).0.copy_from_slice(&number.to_be_bytes());
        let pin = PukPin { generation: 1, public: plain(key.as_bytes()) };
        MemberKey { user: UserId::from_bytes(user), key, pin }
    });
    let plan = EpochPlan {
        place: PLACE,
        reason: EpochReason::Age,
        roster_root: ROOT,
        members: members.collect(),
        links: vec![],
        former: None,
        continues: false,
    };
    let mut group = criterion.benchmark_group("epoch");
    group.sample_size(10);
    group.bench_function("begin for 4,000 users", |bencher| {
        bencher.iter(|| black_box(build_epoch(&plan, &mut random).unwrap().wraps.len()));
    });
    group.finish();
}

fn content() -> Content {
    Content::Text(Text {
        text: "a message as people write them, of some eighty bytes in one or two sentences"
            .to_owned(),
        reply_to: None,
        thread: None,
        mentions: vec![],
        mentions_all: false,
        stays: None,
        file: None,
    })
}

fn key(random: &mut SeededRandom) -> OutboundSenderKey {
    let place = ChannelPlace { epoch: PLACE, channel: ChannelId::from_number(1) };
    OutboundSenderKey::generate(place, NOW, random)
}

fn keys() -> EpochKeys {
    EpochSecret::generate(&mut SeededRandom::new(2)).keys(PLACE, &ROOT, &ROOT)
}

fn channel(criterion: &mut Criterion) {
    let (mut random, keys, content) = (SeededRandom::new(3), keys(), content());
    let facts = MessageFacts {
        user: USER,
        device: DEVICE,
        log: SEEN,
        item: ItemId::from_bytes([6; 16]),
        own_prev: Some(ROOT),
        seen: Some(ROOT),
    };
    let stored = key(&mut random).to_bytes();
    criterion.bench_function("channel message: seal", |bencher| {
        bencher.iter_batched(
            || OutboundSenderKey::from_bytes(&stored).unwrap(),
            |key| key.seal(&keys, &facts, &content, &mut random).unwrap().message,
            BatchSize::SmallInput,
        );
    });
    let key = key(&mut random);
    let announced =
        AnnounceFacts { user: USER, device: DEVICE, head: SEEN, history: History::Full };
    let announce = key.announce(&keys, &announced, &mut random).unwrap();
    criterion.bench_function("sender key: open", |bencher| {
        bencher.iter(|| InboundSenderKey::from_announce(&keys, black_box(&announce)).unwrap());
    });
    let inbound = InboundSenderKey::from_announce(&keys, &announce).unwrap();
    let message = key.seal(&keys, &facts, &content, &mut random).unwrap().message;
    let (header, sealed) = (message.header.as_slice(), message.sealed.as_slice());
    criterion.bench_function("channel message: open", |bencher| {
        bencher.iter(|| inbound.open(&keys, black_box(header), sealed).unwrap());
    });
}

fn sealed_file(key: &FileKey, plain: &[u8]) -> (Vec<Vec<u8>>, [u8; HEADER_BYTES]) {
    let mut random = SeededRandom::new(4);
    let (mut sealer, header) =
        Sealer::begin(key, u64::try_from(plain.len()).unwrap(), &mut random).unwrap();
    let mut rest = plain;
    let mut chunks = vec![];
    while let Some(wants) = sealer.wants() {
        let (chunk, after) = rest.split_at(wants);
        chunks.push(sealer.seal(chunk.to_vec()).unwrap());
        rest = after;
    }
    (chunks, header)
}

fn file(criterion: &mut Criterion) {
    let (key, plain) = (FileKey::draw(&mut SeededRandom::new(5)), vec![7; 4 << 20]);
    let size = u64::try_from(plain.len()).unwrap();
    let mut group = criterion.benchmark_group("file of 4 MiB");
    group.throughput(Throughput::Bytes(size)).sample_size(20);
    group.bench_function("seal", |bencher| {
        bencher.iter(|| black_box(sealed_file(&key, &plain).0.len()));
    });
    let (chunks, header) = sealed_file(&key, &plain);
    group.bench_function("open", |bencher| {
        bencher.iter(|| {
            let mut opener = Opener::begin(&key, size, &header).unwrap();
            for chunk in &chunks {
                black_box(opener.open(chunk.clone()).unwrap());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, epoch, channel, file);
criterion_main!(benches);
