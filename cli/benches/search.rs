//! What a search costs in a store of a million messages in 300 rooms: a first page is to take 150 ms at most in 95 of 100 cases, and a page of
//! 50 messages anywhere in a room 30 ms.
//!
//! `ROOKERY_BENCH_MESSAGES` sets another number of messages. The store is made once a run, in a directory that goes away with it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, and measures time"
)]

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use rookery_cli::{
    config::Place,
    e2ee::content::{Content, Text},
    engine::{Policy, find, index_next},
    search::query::{Condition, Part, Plan, Query},
    store::{MessageState, Post, PostPage, Secret, Store, create},
};
use rookery_protocol::{
    id::{ChainId, DeviceId, ItemId, UserId},
    time::Timestamp,
};

const ROOMS: u64 = 300;
const RUNS: usize = 40;
/// Messages that are committed at once.
const BATCH: u64 = 20_000;
/// So many that a common word is not in every message.
const WORDS: u64 = 50_000;

/// The same sequence in every run (`SplitMix64`).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, small ones far more often, as words are.
    fn skewed(&mut self, bound: u64) -> u64 {
        let one = self.next() % bound + 1;
        self.next() % one % (self.next() % one + 1)
    }
}

fn word(number: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "be", "do", "fa", "gu", "hi", "jo", "pe",
        "zu",
    ];
    let mut rest = number + 16;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[usize::try_from(rest % 16).unwrap()]);
        rest /= 16;
    }
    word
}

fn room(number: u64) -> ChainId {
    ChainId::from_bytes(
        [u8::try_from(number % 256).unwrap(), u8::try_from(number / 256).unwrap()]
            .repeat(16)
            .try_into()
            .unwrap(),
    )
}

fn post(number: u64, text: String) -> Post {
    let content = Content::Text(Text {
        text,
        reply_to: None,
        thread: None,
        mentions: vec![],
        mentions_all: false,
        stays: None,
        file: None,
    });
    Post {
        chain: room(number % ROOMS),
        item: ItemId::from_bytes(u128::from(number).to_be_bytes()),
        author: UserId::from_bytes([u8::try_from(number % 50).unwrap(); 32]),
        device: DeviceId::from_bytes([1; 32]),
        at: Timestamp::from_millis(1_700_000_000_000 + number * 1_000),
        seq: Some(number / ROOMS),
        kind: content.kind(),
        content: content.encode(),
        state: MessageState::Read,
        reason: None,
        erased: None,
        hash: None,
        doubt: None,
    }
}

async fn fill(store: &Store, messages: u64) {
    let mut sequence = Sequence(1);
    let mut unit = store.write().await.unwrap();
    for number in 0..messages {
        let count = 3 + sequence.next() % 14;
        let words: Vec<String> = (0..count).map(|_| word(sequence.skewed(WORDS))).collect();
        let mut text = words.join(" ");
        if number % (messages / 20).max(1) == 7 {
            text.push_str(" quixotic heron");
        }
        unit.add_post(&post(number, text)).await.unwrap();
        if number % BATCH == 0 {
            unit.commit().await.unwrap();
            unit = store.write().await.unwrap();
        }
    }
    unit.commit().await.unwrap();
}

fn plan(text: &str) -> Plan {
    let parts = Query::parse(text, &TimeZone::UTC).unwrap().parts.into_iter().map(|part| {
        let condition = match part.condition {
            Condition::Words(wanted) => Condition::Words(wanted),
            Condition::From(_) => Condition::From(UserId::from_bytes([7; 32])),
            Condition::In(_) => Condition::In(rookery_cli::search::Room::Channel(room(7))),
            Condition::Before(at) => Condition::Before(at),
            Condition::After(at) => Condition::After(at),
            Condition::Has(feature) => Condition::Has(feature),
        };
        Part { is_negated: part.is_negated, condition }
    });
    Plan { parts: parts.collect() }
}

/// Tells the median and the 95th of 100.
fn tell(name: &str, what: usize, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, late) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    println!("{name:<36} p50 {median:>10.2?}  p95 {late:>10.2?}  ({what} found)");
}

async fn measure(store: &Store) {
    for (name, question) in [
        ("a rare word", "quixotic "),
        ("a frequent word", "kalo "),
        ("two frequent words", "kalo milo "),
        ("no such word", "xylophone "),
        ("a prefix", "quix"),
        ("a short prefix", "k"),
        ("a rare phrase", "\"quixotic heron\""),
        ("a phrase of frequent words", "\"kalo milo kalo\""),
        ("a word without another", "kalo -milo"),
        ("one person's in one room", "from:a in:a#b kalo "),
        ("an old day", "kalo before:2023-11-16"),
    ] {
        let plan = plan(question);
        let (mut times, mut count) = (vec![], 0);
        for _ in 0..RUNS {
            let begun = Instant::now();
            let found = find(&mut store.read().await.unwrap(), &plan, None, 50).await.unwrap();
            times.push(begun.elapsed());
            count = found.told.len();
        }
        tell(name, count, times);
    }
}

async fn measure_pages(store: &Store, messages: u64) {
    let mut sequence = Sequence(2);
    let (mut times, mut count) = (vec![], 0);
    for _ in 0..RUNS {
        let place = sequence.next() % (messages / ROOMS).max(1);
        let begun = Instant::now();
        let mut unit = store.read().await.unwrap();
        let page =
            unit.posts(room(sequence.next() % ROOMS), PostPage::Before(place), 50).await.unwrap();
        let messages: Vec<_> =
            page.iter().map(|placed| (placed.post.chain, placed.post.reference())).collect();
        unit.about_each(&messages).await.unwrap();
        unit.thread_counts(&messages).await.unwrap();
        times.push(begun.elapsed());
        count = page.len();
    }
    tell("a page of 50 anywhere", count, times);
}

fn main() {
    // Cargo runs benches as tests too, with few messages then.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let messages = std::env::var("ROOKERY_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok());
    let messages = messages.unwrap_or(if is_bench { 1_000_000 } else { 3_000 });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let home = tempfile::tempdir().unwrap();
        let place = Place::find(Some(home.path().to_owned()), None).unwrap();
        let store = create(&place, Secret::Found).await.unwrap();
        let begun = Instant::now();
        fill(&store, messages).await;
        println!("{messages} messages written in {:.1?}", begun.elapsed());
        let before = std::fs::metadata(place.store()).unwrap().len();
        let (begun, mut longest) = (Instant::now(), Duration::ZERO);
        loop {
            let step = Instant::now();
            if !index_next(&store, Policy::DEFAULT).await.unwrap() {
                break;
            }
            longest = longest.max(step.elapsed());
        }
        println!("indexed in {:.1?}, the longest step {longest:.2?}", begun.elapsed());
        let rows = store.read().await.unwrap().segments().await.unwrap();
        let blocks: usize = rows.iter().map(|row| row.head.blocks()).sum();
        println!(
            "{before} bytes of messages; {} segments of {blocks} blocks of 32 KiB at most",
            rows.len()
        );
        measure(&store).await;
        measure_pages(&store, messages).await;
        store.close().await;
    });
}
