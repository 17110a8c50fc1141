//! What was put into segments is found, and merged ones are as if made at once.

use proptest::prelude::*;

use super::{
    block::{fold_sign, put_number, take_number, unfold_sign},
    *,
};

type Messages = Vec<(u64, u64, Vec<String>)>;

fn build(messages: &[(u64, u64, Vec<String>)]) -> Builder {
    let mut builder = Builder::default();
    for (position, at, words) in messages {
        let tokens = words.iter().map(|word| Token::word(word)).collect();
        builder.add(*position, Timestamp::from_millis(*at), tokens);
    }
    builder
}

fn look_up(segment: &Segment, word: &str, is_prefix: bool) -> BTreeSet<u64> {
    let token = Token::word(word);
    let blocks = segment.head.blocks_of(&token, is_prefix);
    segment.blocks[blocks]
        .iter()
        .flat_map(|block| find(block, &token, is_prefix).unwrap())
        .collect()
}

fn naive(messages: &Messages, word: &str, is_prefix: bool) -> BTreeSet<u64> {
    let is = |known: &String| known == word || (is_prefix && known.starts_with(word));
    let found = messages.iter().filter(|(_, _, words)| words.iter().any(is));
    found.map(|(position, ..)| *position).collect()
}

fn messages() -> impl Strategy<Value = Messages> {
    let words = prop::collection::vec("[a-c]{1,3}", 0..6);
    let message = (1_u64..2_000, any::<u64>(), words);
    // A position has one time.
    prop::collection::btree_map(1_u64..2_000, message, 0..60).prop_map(|messages| {
        messages.into_iter().map(|(position, (_, at, words))| (position, at, words)).collect()
    })
}

#[test]
fn a_token_of_very_many_messages_goes_on_from_block_to_block() {
    let messages: Messages = (1..=60_000)
        .map(|number| (number * 3, number, vec!["all".to_owned(), format!("w{number:05}")]))
        .collect();
    let segment = build(&messages).build(2, 0, 200_000);
    assert!(segment.blocks.iter().all(|block| block.len() <= BLOCK_BYTES));
    assert_eq!(segment.blocks.len(), segment.head.blocks());
    assert!(segment.head.blocks_of(&Token::word("all"), false).len() > 1);
    assert!(segment.head.blocks_of(&Token::word("w31999"), false).len() == 1);
    for (word, is_prefix) in
        [("all", false), ("w00001", false), ("w60000", false), ("w314", true), ("b", true)]
    {
        assert_eq!(look_up(&segment, word, is_prefix), naive(&messages, word, is_prefix), "{word}");
    }
    let positions = [3, 90_000, 180_000];
    let blocks = segment.head.blocks_of_times(&positions);
    assert!(
        blocks.len() > 1 && blocks.len() <= 3 && blocks.len() <= segment.head.all_times().len()
    );
    let times: BTreeMap<_, _> =
        blocks.iter().flat_map(|number| read_times(&segment.blocks[*number]).unwrap()).collect();
    assert!(positions.iter().all(|position| times[position].as_millis() == position / 3));
}

proptest! {
    #[test]
    fn what_was_put_in_is_found(messages in messages(), word in "[a-c]{1,3}", is_prefix in any::<bool>()) {
        let segment = build(&messages).build(0, 0, 2_000);
        prop_assert_eq!(look_up(&segment, &word, is_prefix), naive(&messages, &word, is_prefix));
        let numbers = segment.head.all_times();
        let times: Vec<_> = numbers.iter().flat_map(|number| read_times(&segment.blocks[*number]).unwrap()).collect();
        let expected: Vec<_> = messages.iter().map(|(position, at, _)| (*position, Timestamp::from_millis(*at))).collect();
        prop_assert_eq!(times, expected);
    }

    #[test]
    fn merging_is_building_from_all(messages in messages(), cut in 0_usize..60) {
        let (one, two) = messages.split_at(cut.min(messages.len()));
        let mut merged = Builder::default();
        merged.merge(&build(two).build(0, 0, 0)).unwrap();
        merged.merge(&build(one).build(0, 0, 0)).unwrap();
        prop_assert_eq!(merged.build(1, 0, 2_000), build(&messages).build(1, 0, 2_000));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _found = find(&bytes, &Token::word("a"), true);
        let _times = read_times(&bytes);
        let segment = Segment { head: build(&[]).build(0, 0, 0).head, blocks: vec![bytes] };
        let _merged = Builder::default().merge(&segment);
    }

    #[test]
    fn numbers_are_read_back(number in any::<u64>()) {
        let mut bytes = vec![];
        put_number(&mut bytes, number);
        let mut rest = bytes.as_slice();
        prop_assert_eq!(take_number(&mut rest), Ok(number));
        prop_assert!(rest.is_empty());
        prop_assert_eq!(unfold_sign(fold_sign(number)), number);
    }
}
