use proptest::prelude::*;
use rookery_protocol::id::{ChainId, DeviceId, ItemId};

use super::*;
use crate::{
    config::Place,
    e2ee::content::{Content, Edit, MessageRef, React, Text},
    engine::index::{Policy, index_next},
    store::{Erased, Message, MessageState, Post, Secret, Store, create},
};

/// Small, so that few messages make many segments and merge often.
const POLICY: Policy = Policy { unit: 4, fan: 2, top: 2 };
const ROOM: ChainId = ChainId::from_bytes([7; 32]);

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 32])
}

fn item(number: usize) -> ItemId {
    ItemId::from_bytes(u128::try_from(number).unwrap().to_be_bytes())
}

fn address_of(name: &str) -> UserId {
    user(name.bytes().next().unwrap())
}

fn plan(text: &str) -> Plan {
    let parts = Query::parse(text, &TimeZone::UTC).unwrap().parts.into_iter().map(|part| {
        let condition = match part.condition {
            Condition::From(who) => Condition::From(address_of(&who)),
            Condition::In(place) if is_room(&place) => Condition::In(Room::Channel(ROOM)),
            Condition::In(who) => Condition::In(Room::Direct(address_of(&who))),
            Condition::Words(wanted) => Condition::Words(wanted),
            Condition::Before(at) => Condition::Before(at),
            Condition::After(at) => Condition::After(at),
            Condition::Has(feature) => Condition::Has(feature),
        };
        Part { is_negated: part.is_negated, condition }
    });
    Plan { parts: parts.collect() }
}

async fn store() -> (tempfile::TempDir, Place, Store) {
    let home = tempfile::tempdir().unwrap();
    let place = Place::find(Some(home.path().to_owned()), None).unwrap();
    let store = create(&place, Secret::Found).await.unwrap();
    (home, place, store)
}

/// What happens in a conversation with bob or in the room.
#[derive(Clone, Debug)]
enum Event {
    Direct { at: u64, text: String },
    Post { author: u8, at: u64, text: String, answers: bool },
    Edit { which: usize, text: String, fails: bool },
    React { which: usize },
    Erase { which: usize },
    Index,
}

/// The same as they are without a store or an index.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what questions ask, each by itself")]
struct Naive {
    item: ItemId,
    at: u64,
    author: &'static str,
    is_direct: bool,
    text: String,
    is_edited: bool,
    answers: bool,
    is_erased: bool,
}

fn post(author: UserId, number: usize, at: u64, content: &Content) -> Post {
    Post {
        chain: ROOM,
        item: item(number),
        author,
        device: DeviceId::from_bytes([1; 32]),
        at: Timestamp::from_millis(at),
        seq: Some(u64::try_from(number).unwrap()),
        kind: content.kind(),
        content: content.encode(),
        state: MessageState::Posted,
        reason: None,
        erased: None,
        hash: None,
        doubt: None,
    }
}

fn text_of(text: &str, reply_to: Option<MessageRef>) -> Content {
    let text = text.to_owned();
    Content::Text(Text {
        text,
        reply_to,
        thread: None,
        mentions: vec![],
        mentions_all: false,
        stays: None,
        file: None,
    })
}

fn name_of(author: u8) -> &'static str {
    if author == 0 { "alice" } else { "bob" }
}

async fn apply(store: &Store, number: usize, event: &Event, known: &mut Vec<Naive>) {
    let posts: Vec<usize> = (0..known.len()).filter(|index| !known[*index].is_direct).collect();
    let pick = |which: usize| posts.get(which.checked_rem(posts.len()).unwrap_or(0)).copied();
    let mut unit = store.write().await.unwrap();
    match event {
        Event::Direct { at, text } => {
            let message = Message {
                conversation: address_of("bob"),
                item: item(number),
                author: address_of("bob"),
                device: DeviceId::from_bytes([1; 32]),
                at: Timestamp::from_millis(*at),
                text: text.clone(),
                state: MessageState::Received,
                reason: None,
                waits: None,
                stays: None,
                file: None,
            };
            unit.add_message(&message).await.unwrap();
            let (item, text) = (item(number), text.clone());
            let [is_edited, answers, is_erased] = [false; 3];
            known.push(Naive {
                item,
                at: *at,
                author: "bob",
                is_direct: true,
                text,
                is_edited,
                answers,
                is_erased,
            });
        }
        Event::Post { author, at, text, answers } => {
            let answered = MessageRef { author: user(9), item: item(0) };
            let content = text_of(text, answers.then_some(answered));
            unit.add_post(&post(address_of(name_of(*author)), number, *at, &content))
                .await
                .unwrap();
            known.push(Naive {
                item: item(number),
                at: *at,
                author: name_of(*author),
                is_direct: false,
                text: text.clone(),
                is_edited: false,
                answers: *answers,
                is_erased: false,
            });
        }
        Event::Edit { which, text, fails } => {
            let Some(index) = pick(*which) else { return };
            let target =
                MessageRef { author: address_of(known[index].author), item: known[index].item };
            let edit = Content::Edit(Edit { target, text: text.clone(), mentions: vec![] });
            let mut edit = post(target.author, number, 1, &edit);
            if *fails {
                edit.state = MessageState::Failed;
            } else {
                known[index].text.clone_from(text);
                known[index].is_edited = true;
            }
            unit.add_post(&edit).await.unwrap();
        }
        Event::React { which } => {
            let Some(index) = pick(*which) else { return };
            let target =
                MessageRef { author: address_of(known[index].author), item: known[index].item };
            let react = Content::React(React { target, emoji: "a".to_owned(), on: true });
            unit.add_post(&post(user(9), number, 1, &react)).await.unwrap();
        }
        Event::Erase { which } => {
            let Some(index) = pick(*which) else { return };
            known[index].is_erased = true;
            let author = address_of(known[index].author);
            let target = unit.post(ROOM, author, known[index].item).await.unwrap().unwrap().post;
            let erased = Some(Erased { by: user(9), reason: None });
            unit.update_post(&Post { content: vec![], erased, ..target }).await.unwrap();
        }
        Event::Index => {
            drop(unit);
            while index_next(store, POLICY).await.unwrap() {}
            return;
        }
    }
    unit.commit().await.unwrap();
}

/// The questions of the test below, each with what it means told otherwise.
type Meaning = fn(&Naive) -> bool;

fn has(naive: &Naive, word: &str) -> bool {
    naive.text.split(' ').any(|known| known == word)
}

const QUESTIONS: [(&str, Meaning); 12] = [
    ("aa ", |one| has(one, "aa")),
    ("a", |one| one.text.split(' ').any(|word| word.starts_with('a'))),
    ("b* aa ", |one| has(one, "aa") && one.text.split(' ').any(|word| word.starts_with('b'))),
    ("\"aa b\"", |one| format!(" {} ", one.text).contains(" aa b ")),
    ("aa -b ", |one| has(one, "aa") && !has(one, "b")),
    ("from:alice -aa", |one| one.author == "alice" && !has(one, "aa")),
    ("in:club#general ab ", |one| !one.is_direct && has(one, "ab")),
    ("in:bob", |one| one.is_direct),
    ("before:1970-01-03", |one| one.at < 2 * 86_400_000),
    ("-before:1970-01-03 after:1970-01-02 a ", |one| one.at >= 2 * 86_400_000 && has(one, "a")),
    ("has:edit", |one| one.is_edited),
    ("has:reply b ", |one| one.answers && has(one, "b")),
];

fn expected(known: &[Naive], meaning: Meaning) -> Vec<ItemId> {
    let mut found: Vec<_> =
        known.iter().enumerate().filter(|(_, one)| !one.is_erased && meaning(one)).collect();
    found.sort_by_key(|(arrived, one)| std::cmp::Reverse((one.at, *arrived)));
    found.into_iter().map(|(_, one)| one.item).collect()
}

async fn search_all(store: &Store, plan: &Plan, count: usize) -> Vec<ItemId> {
    let (mut items, mut after) = (vec![], None);
    loop {
        let found = find(&mut store.read().await.unwrap(), plan, after, count).await.unwrap();
        assert!(found.told.len() <= count && found.is_complete);
        assert!(found.next.is_none() || found.told.len() == count, "a page is full, or the last");
        items.extend(found.told.iter().map(|told| match told {
            Told::Direct(placed) => placed.message.item,
            Told::Channel(placed) => placed.post.item,
        }));
        after = match found.next {
            // A cursor comes back as it went.
            Some(next) => Mark::from_cursor(&next.to_cursor()),
            None => return items,
        };
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let words =
        || prop::collection::vec("[ab]{1,2}", 0..4).prop_map(|words: Vec<String>| words.join(" "));
    let at = || (0_u64..4).prop_map(|day: u64| day.saturating_mul(86_400_000));
    let event = prop_oneof![
        3 => (at(), words()).prop_map(|(at, text)| Event::Direct { at, text }),
        5 => (0_u8..2, at(), words(), any::<bool>()).prop_map(|(author, at, text, answers)| Event::Post { author, at, text, answers }),
        4 => (any::<usize>(), words(), prop::bool::weighted(0.2)).prop_map(|(which, text, fails)| Event::Edit { which, text, fails }),
        1 => any::<usize>().prop_map(|which| Event::React { which }),
        2 => any::<usize>().prop_map(|which| Event::Erase { which }),
        2 => Just(Event::Index),
    ];
    prop::collection::vec(event, 1..48)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn search_finds_what_reading_everything_finds(events in events(), count in 1_usize..5) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (_home, _, store) = store().await;
            let mut known = vec![];
            for (number, event) in (1..).zip(&events) {
                apply(&store, number, event, &mut known).await;
            }
            for (question, meaning) in QUESTIONS {
                let found = search_all(&store, &plan(question), count).await;
                prop_assert_eq!(found, expected(&known, meaning), "{}", question);
            }
            store.close().await;
            Ok(())
        })?;
    }
}

async fn filled(texts: &[&str]) -> (tempfile::TempDir, Place, Store) {
    let (home, place, store) = store().await;
    let mut known = vec![];
    for (number, text) in texts.iter().enumerate() {
        let event = Event::Direct { at: u64::try_from(number).unwrap(), text: (*text).to_owned() };
        apply(&store, number, &event, &mut known).await;
    }
    while index_next(&store, POLICY).await.unwrap() {}
    (home, place, store)
}

#[tokio::test]
async fn segments_merge_by_their_levels_and_leave_less_than_a_unit() {
    let (_home, _, store) = filled(&["heron"; 4 * 7 + 3]).await;
    let segments = store.read().await.unwrap().segments().await.unwrap();
    let levels: Vec<u32> = segments.iter().map(|row| row.head.level).collect();
    assert_eq!(levels, [2, 1, 0]);
    assert_eq!(indexed_through(&segments), 28);
    let all = search_all(&store, &plan("heron "), 100).await;
    assert_eq!(all.len(), 31, "what is in no segment is found too");
}

#[tokio::test]
async fn no_word_and_no_token_stands_in_the_files() {
    let words = ["midnight heron"; 8];
    let (home, _, store) = filled(&words).await;
    assert!(!store.read().await.unwrap().segments().await.unwrap().is_empty());
    store.close().await;
    let token = Token::word("midnight");
    let pair = [Token::pair("midnight", "heron"), Token::author(address_of("bob"))];
    let needles = [&b"midnight"[..], b"heron", token.as_bytes(), pair[1].as_bytes()];
    let mut looked_at = 0_usize;
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        looked_at += bytes.len();
        for needle in needles {
            assert!(
                !bytes.windows(needle.len()).any(|window| window == needle),
                "{} shows what is written",
                path.display()
            );
        }
    }
    assert!(looked_at > 8 * 1024, "the index was not there");
}

#[tokio::test]
async fn a_damaged_index_is_told_from_damaged_messages_and_is_made_anew() {
    let texts = ["heron"; 8];
    let (_home, place, store) = filled(&texts).await;
    let plan = plan("heron ");
    for (spoil, mend) in [
        (
            "UPDATE segment_block SET sealed = CAST(substr(sealed, 1, 4000) || x'00' || substr(sealed, 4002) AS BLOB)",
            true,
        ),
        (
            "UPDATE segment_block SET sealed = (SELECT sealed FROM segment_block WHERE block = 0) WHERE block = 1",
            true,
        ),
        ("DELETE FROM segment_block WHERE block = 1", true),
        ("UPDATE segment SET sealed = x'0102'", true),
        ("UPDATE message SET sealed = x'0102'", false),
    ] {
        let pool = sqlx::SqlitePool::connect_with(
            sqlx::sqlite::SqliteConnectOptions::new().filename(place.store()),
        )
        .await
        .unwrap();
        sqlx::raw_sql(spoil).execute(&pool).await.unwrap();
        pool.close().await;
        let found = find(&mut store.read().await.unwrap(), &plan, None, 10).await;
        let error = found.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{spoil}: {error}");
        assert_eq!(error.is_of_index(), mend, "{spoil}");
        if mend {
            let mut unit = store.write().await.unwrap();
            unit.forget_index().await.unwrap();
            unit.commit().await.unwrap();
            while index_next(&store, POLICY).await.unwrap() {}
            assert_eq!(search_all(&store, &plan, 3).await.len(), texts.len());
        }
    }
}

#[test]
fn a_cursor_is_read_back_and_nothing_else_is_one() {
    let mark = Mark { at: Timestamp::from_millis(u64::MAX), position: 3 };
    assert_eq!(Mark::from_cursor(&mark.to_cursor()), Some(mark));
    for text in ["", "x", "ñ", &mark.to_cursor()[1..]] {
        assert_eq!(Mark::from_cursor(text), None, "{text}");
    }
}

#[test]
fn what_two_lists_share_is_found() {
    assert_eq!(intersect(&[1, 4, 9, 12], &[0, 1, 2, 9, 11, 12, 13]), [1, 9, 12]);
    assert_eq!(intersect(&[], &[1]), Vec::<u64>::new());
    assert_eq!(intersect(&[5], &[1, 2]), Vec::<u64>::new());
}
