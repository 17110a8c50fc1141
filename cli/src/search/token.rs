//! Cutting a text into what it is found by.
//!
//! Words are folded: compatibility forms undone, accents taken off, small and capital letters made one (NFKD, marks, full case folding by
//! way of the capital letter, NFC). Scripts that put no spaces between words (Chinese, Japanese, Thai, Khmer, …) are cut into pairs of
//! characters that overlap, and the last character of a run by itself, so that each character begins exactly one token.

use rookery_protocol::id::UserId;
use unicode_normalization::{
    UnicodeNormalization as _,
    char::{canonical_combining_class, is_combining_mark},
};

use super::{Feature, Room};

/// The longest token, in characters; of a longer word its beginning counts, here and in questions alike.
const MAX_CHARACTERS: usize = 64;

/// What the index is sorted by: the kind in the first byte, then what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Vec<u8>);

impl Token {
    const WORD: u8 = 1;
    const PAIR: u8 = 2;
    const AUTHOR: u8 = 3;
    const DIRECT: u8 = 4;
    const CHANNEL: u8 = 5;
    const FEATURE: u8 = 6;

    /// A folded word; as a prefix, the beginning of all that begin with it.
    #[must_use]
    pub fn word(word: &str) -> Self {
        Self::of(Self::WORD, word.as_bytes())
    }

    /// Two words next to one another, as one of 65,536 numbers: a phrase is looked up by them, then checked in the text.
    #[must_use]
    pub fn pair(one: &str, two: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(one.as_bytes()).update(&[0]).update(two.as_bytes());
        Self::of(Self::PAIR, hasher.finalize().as_bytes().split_at(2).0)
    }

    /// Who wrote it.
    #[must_use]
    pub fn author(user: UserId) -> Self {
        Self::of(Self::AUTHOR, user.as_bytes())
    }

    /// Where it stands.
    #[must_use]
    pub fn room(room: Room) -> Self {
        match room {
            Room::Direct(user) => Self::of(Self::DIRECT, user.as_bytes()),
            Room::Channel(chain) => Self::of(Self::CHANNEL, chain.as_bytes()),
        }
    }

    /// What it has.
    #[must_use]
    pub fn feature(feature: Feature) -> Self {
        Self::of(Self::FEATURE, &[feature.number()])
    }

    pub(super) const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As it stands in a segment.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(kind: u8, rest: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(rest.len().saturating_add(1));
        bytes.push(kind);
        bytes.extend_from_slice(rest);
        Self(bytes)
    }
}

/// The folded words of a text, in its order.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = vec![];
    for run in runs(text) {
        match run {
            Run::Word(word) => words.push(word),
            Run::Unspaced(characters) => words.extend(bigrams(&characters)),
        }
    }
    words
}

/// What is asked for by words: their tokens in order, and whether more may follow the last one within its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The folded words, never none.
    pub words: Vec<String>,
    /// Whether the last one is only the beginning of a word.
    pub is_prefix: bool,
}

/// The tokens to look for when `text` is asked for; nothing when there is no letter or digit in it. A run without spaces may go on in the
/// message: only the pairs within what was typed count.
#[must_use]
pub fn wanted(text: &str, is_prefix: bool) -> Option<Wanted> {
    let ends_unspaced = matches!(runs(text).last()?, Run::Unspaced(_));
    let mut words = words(text);
    if !ends_unspaced {
        return Some(Wanted { words, is_prefix });
    }
    let of_the_last_run = match runs(text).pop()? {
        Run::Unspaced(characters) => characters.len(),
        Run::Word(_) => 0,
    };
    if of_the_last_run > 1 {
        words.pop();
        return Some(Wanted { words, is_prefix: false });
    }
    Some(Wanted { words, is_prefix: true })
}

/// A stretch of a text that stands together.
enum Run {
    Word(String),
    Unspaced(Vec<char>),
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = vec![];
    let mut is_open = false;
    for character in fold(text).chars() {
        if !character.is_alphanumeric() && !is_combining_mark(character) {
            is_open = false;
            continue;
        }
        match (is_unspaced(character), runs.last_mut()) {
            (true, Some(Run::Unspaced(run))) if is_open => run.push(character),
            (false, Some(Run::Word(run))) if is_open => run.push(character),
            (true, _) => runs.push(Run::Unspaced(vec![character])),
            (false, _) => runs.push(Run::Word(String::from(character))),
        }
        is_open = true;
    }
    for run in &mut runs {
        if let Run::Word(word) = run
            && let Some((end, _)) = word.char_indices().nth(MAX_CHARACTERS)
        {
            word.truncate(end);
        }
    }
    runs
}

fn bigrams(characters: &[char]) -> impl Iterator<Item = String> {
    let pairs = characters.windows(2).map(|pair| pair.iter().collect());
    pairs.chain(characters.last().map(|last| String::from(*last)))
}

/// `text` with compatibility forms undone, accents taken off and case folded. Folding twice is folding once.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // By way of the capital letters, because ß and ς share theirs with others; and of small ones before, for ẞ is its own capital.
    let case = |character: char| {
        let capital = character.to_lowercase().flat_map(char::to_uppercase);
        capital.flat_map(char::to_lowercase).collect::<Vec<char>>()
    };
    text.nfkd()
        .filter(|character| !is_accent(*character))
        .flat_map(case)
        .nfkd()
        .filter(|character| !is_accent(*character))
        .nfc()
        .collect()
}

/// Whether a mark only stands above, below or through a letter. Those that make it another one stay: the marks of voice in Japanese, vowel
/// signs and viramas of India, tones of Thailand.
fn is_accent(character: char) -> bool {
    matches!(canonical_combining_class(character), 1..=6 | 10..=36 | 200..=240)
}

/// Whether words of its script are written without spaces between them.
const fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Myanmar
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{2e80}'..='\u{2fff}' // radicals
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{312f}' // kana, bopomofo
        | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{1b000}'..='\u{1b16f}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_folded() {
        for (text, expected) in [
            ("Grüße, STRASSE!", &["grusse", "strasse"][..]),
            ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ", &["οδυσσευσ", "οδυσσευσ"]),
            ("ﬁne ① Å don't", &["fine", "1", "a", "don", "t"]),
            ("foo_bar example.com", &["foo", "bar", "example", "com"]),
            ("İstanbul", &["istanbul"]),
            ("한국어", &["한국어"]),
            ("हिन्दी", &["हिन्दी"]),
            ("", &[]),
            ("👍 — …", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_pairs() {
        assert_eq!(words("日本語"), ["日本", "本語", "語"]);
        assert_eq!(words("がか ﾊﾟ"), ["がか", "か", "パ"]);
        assert_eq!(words("v2日本"), ["v2", "日本", "本"]);
        let of = |text, is_prefix| wanted(text, is_prefix).map(|it| (it.words, it.is_prefix));
        assert_eq!(of("日本語", true), Some((vec!["日本".into(), "本語".into()], false)));
        assert_eq!(of("語", false), Some((vec!["語".into()], true)));
        assert_eq!(of("日本 foo", true).unwrap().0, ["日本", "本", "foo"]);
        assert_eq!(of("…", true), None);
    }

    #[test]
    fn every_character_folds_to_what_stays() {
        for character in char::MIN..=char::MAX {
            let once = fold(&String::from(character));
            assert_eq!(fold(&once), once, "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once_and_case_and_form_do_not_count(text in any::<String>()) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
            prop_assert_eq!(fold(&text.nfd().collect::<String>()), once.clone());
            prop_assert_eq!(fold(&text.nfc().collect::<String>()), once);
        }

        #[test]
        fn no_text_makes_the_tokenizer_panic(text in any::<String>(), is_prefix in any::<bool>()) {
            for word in words(&text) {
                prop_assert!(!word.is_empty() && word.chars().count() <= MAX_CHARACTERS);
            }
            if let Some(wanted) = wanted(&text, is_prefix) {
                prop_assert!(!wanted.words.is_empty());
            }
        }

        #[test]
        fn case_does_not_count(text in "[a-zà-öα-ωа-яß ]{0,24}") {
            prop_assert_eq!(words(&text.to_uppercase()), words(&text));
        }

        #[test]
        fn any_part_of_a_run_without_spaces_is_found_in_it(run in "[一-丄ぁ-お]{1,12}", from in 0_usize..12, length in 1_usize..12) {
            let part: String = run.chars().skip(from).take(length).collect();
            let Some(wanted) = wanted(&part, false) else { return Ok(()) };
            let words = words(&run);
            let found = words.windows(wanted.words.len()).any(|window| {
                wanted.words.iter().zip(window).all(|(one, two)| one == two || (wanted.is_prefix && two.starts_with(one.as_str())))
            });
            prop_assert!(found, "{} in {}", part, run);
        }
    }
}
