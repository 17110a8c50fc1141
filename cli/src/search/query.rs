//! What a person types to find something, and what it means.
//!
//! Words, beginnings of words (`hel*`, and the last word that was typed), phrases in quotes, `from:alice`, `in:club#general`,
//! `before:2026-01-31`, `after:2026-01-31`, `has:link`; a `-` before any of them turns it around. Everything has to hold.

use std::str::FromStr as _;

use jiff::tz::TimeZone;
use rookery_protocol::{id::UserId, time::Timestamp};

use super::{
    Document, Feature, Room,
    token::{self, Token, Wanted},
};

/// The longest question, in bytes.
const MAX_BYTES: usize = 4_096;
/// The most conditions in one.
const MAX_CONDITIONS: usize = 32;

/// Why a question cannot be answered, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing to find, or only what not to find.
    #[error("that says nothing to look for: write a word, or from:, in:, has:, before:, after:")]
    Empty,
    /// Too much of it.
    #[error("that is too long a question: at most 4,096 bytes and 32 words")]
    Long,
    /// A quote that does not end.
    #[error("a quote is opened and not closed: write \"like this\"")]
    Quote,
    /// A star where it means nothing.
    #[error("{0:?}: a star stands at the end of a word only, such as hel*")]
    Star(String),
    /// A filter without a value.
    #[error("{0}: is followed by nothing: write {0}:{1}, without a space between")]
    Value(&'static str, &'static str),
    /// Not a time.
    #[error("{0:?} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z")]
    Time(String),
    /// Nothing that a message could have.
    #[error("{0:?} is nothing that a message has: write has:link, mention, reply, edit or file")]
    Has(String),
}

/// One condition, as it was typed: people and rooms by what they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition<Person = String, Place = String> {
    /// Words next to one another.
    Words(Wanted),
    /// By somebody.
    From(Person),
    /// In a room.
    In(Place),
    /// Earlier than.
    Before(Timestamp),
    /// Then or later.
    After(Timestamp),
    /// With something.
    Has(Feature),
}

/// A condition, or the opposite of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<Person = String, Place = String> {
    /// Whether it must not hold.
    pub is_negated: bool,
    /// What.
    pub condition: Condition<Person, Place>,
}

/// A question as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Everything that has to hold; one of it at least is not negated.
    pub parts: Vec<Part>,
}

/// A question whose people and rooms are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything that has to hold.
    pub parts: Vec<Part<UserId, Room>>,
}

/// What to look up in the index; a message has to stand under each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Under this token.
    Exact(Token),
    /// Under one that begins so.
    Prefix(Token),
}

impl Query {
    /// Reads a question. Days begin at midnight in `zone`.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, QueryError> {
        if text.len() > MAX_BYTES {
            return Err(QueryError::Long);
        }
        let mut parts = vec![];
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (part, after) = take_part(rest, zone)?;
            parts.extend(part);
            rest = after.trim_start();
        }
        if parts.len() > MAX_CONDITIONS {
            return Err(QueryError::Long);
        }
        if parts.iter().all(|part| part.is_negated) {
            return Err(QueryError::Empty);
        }
        Ok(Self { parts })
    }
}

/// The first condition of `text`, if there is a letter in it, and what comes after it.
fn take_part<'t>(text: &'t str, zone: &TimeZone) -> Result<(Option<Part>, &'t str), QueryError> {
    let (is_negated, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let key = ["from", "in", "before", "after", "has"].into_iter().find(|key| {
        text.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key))
            && text.as_bytes().get(key.len()) == Some(&b':')
    });
    let value = key.map_or(text, |key| text.get(key.len().saturating_add(1)..).unwrap_or_default());
    let (value, is_quoted, after) = take_value(value)?;
    let condition = match key {
        Some(key) => Some(filter(key, value, zone)?),
        None if is_quoted => token::wanted(value, false).map(Condition::Words),
        // The last word is still being typed, unless a space has ended it.
        None => bare(value, after.is_empty() && !is_negated)?.map(Condition::Words),
    };
    Ok((condition.map(|condition| Part { is_negated, condition }), after))
}

/// Everything up to the next space, or between quotes; whether there were any; and the rest.
fn take_value(text: &str) -> Result<(&str, bool, &str), QueryError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, after) = quoted.split_once('"').ok_or(QueryError::Quote)?;
        return Ok((value, true, after));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    Ok((value, false, after))
}

fn bare(text: &str, is_last: bool) -> Result<Option<Wanted>, QueryError> {
    let (word, has_star) = match text.strip_suffix('*') {
        Some(word) => (word, true),
        None => (text, false),
    };
    let wanted = token::wanted(word, has_star || is_last);
    // A star after a mark that is no letter would be the beginning of every word.
    let ends_in_word = token::fold(word).chars().next_back().is_some_and(char::is_alphanumeric);
    if word.contains('*') || (has_star && !(ends_in_word && wanted.is_some())) {
        return Err(QueryError::Star(text.to_owned()));
    }
    Ok(wanted)
}

fn filter(key: &'static str, value: &str, zone: &TimeZone) -> Result<Condition, QueryError> {
    let example = match key {
        "from" => "alice",
        "in" => "club#general",
        "has" => "link",
        _ => "2026-01-31",
    };
    if value.is_empty() {
        return Err(QueryError::Value(key, example));
    }
    match key {
        "from" => Ok(Condition::From(value.to_owned())),
        "in" => Ok(Condition::In(value.to_owned())),
        "before" => Ok(Condition::Before(time(value, zone)?)),
        "after" => Ok(Condition::After(time(value, zone)?)),
        _ => Feature::ALL
            .into_iter()
            .find(|feature| value.eq_ignore_ascii_case(feature.word()))
            .map(Condition::Has)
            .ok_or_else(|| QueryError::Has(value.to_owned())),
    }
}

fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, QueryError> {
    let wrong = || QueryError::Time(text.to_owned());
    let at = if let Ok(at) = jiff::Timestamp::from_str(text) {
        at
    } else {
        let day = jiff::civil::Date::from_str(text).map_err(|_| wrong())?;
        day.to_zoned(zone.clone()).map_err(|_| wrong())?.timestamp()
    };
    u64::try_from(at.as_millisecond()).map(Timestamp::from_millis).map_err(|_| wrong())
}

impl Plan {
    /// What the index has to be asked.
    #[must_use]
    pub fn lookups(&self) -> Vec<Lookup> {
        let mut lookups = vec![];
        for part in self.parts.iter().filter(|part| !part.is_negated) {
            match &part.condition {
                Condition::Words(wanted) => look_up_words(wanted, &mut lookups),
                Condition::From(user) => lookups.push(Lookup::Exact(Token::author(*user))),
                Condition::In(room) => lookups.push(Lookup::Exact(Token::room(*room))),
                Condition::Has(feature) => lookups.push(Lookup::Exact(Token::feature(*feature))),
                Condition::Before(_) | Condition::After(_) => {}
            }
        }
        lookups
    }

    /// Whether nothing that was written at `at` can match, whatever it says.
    #[must_use]
    pub fn excludes(&self, at: Timestamp) -> bool {
        self.parts.iter().any(|part| {
            let holds = match part.condition {
                Condition::Before(time) => at < time,
                Condition::After(time) => at >= time,
                _ => return false,
            };
            holds == part.is_negated
        })
    }

    /// Whether `document` is what was asked for.
    #[must_use]
    pub fn matches(&self, document: &Document) -> bool {
        let words = token::words(&document.text);
        self.parts.iter().all(|part| {
            let holds = match &part.condition {
                Condition::Words(wanted) => says(&words, wanted),
                Condition::From(user) => document.author == *user,
                Condition::In(room) => document.room == *room,
                Condition::Before(time) => document.at < *time,
                Condition::After(time) => document.at >= *time,
                Condition::Has(feature) => document.has(*feature),
            };
            holds != part.is_negated
        })
    }
}

fn look_up_words(wanted: &Wanted, lookups: &mut Vec<Lookup>) {
    let whole = match wanted.words.split_last() {
        Some((last, before)) if wanted.is_prefix => {
            lookups.push(Lookup::Prefix(Token::word(last)));
            before
        }
        _ => wanted.words.as_slice(),
    };
    lookups.extend(whole.iter().map(|word| Lookup::Exact(Token::word(word))));
    let pairs = whole.iter().zip(whole.iter().skip(1));
    lookups.extend(pairs.map(|(one, two)| Lookup::Exact(Token::pair(one, two))));
}

/// Whether the wanted words stand next to one another in `words`.
fn says(words: &[String], wanted: &Wanted) -> bool {
    let Some((last, before)) = wanted.words.split_last() else { return false };
    words.windows(wanted.words.len()).any(|window| {
        let Some((end, start)) = window.split_last() else { return false };
        let ends = if wanted.is_prefix { end.starts_with(last.as_str()) } else { end == last };
        ends && start == before
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Query, QueryError> {
        Query::parse(text, &TimeZone::UTC)
    }

    fn words(words: &[&str], is_prefix: bool) -> Condition {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Condition::Words(Wanted { words, is_prefix })
    }

    #[test]
    fn every_kind_of_condition_is_read() {
        let query = parse("Hel* \"good Morning\" -bad from:alice -in:+week has:LINK after:2026-01-31 before:2026-02-01T00:00:00Z don't").unwrap();
        let of = |is_negated, condition| Part { is_negated, condition };
        let expected = [
            of(false, words(&["hel"], true)),
            of(false, words(&["good", "morning"], false)),
            of(true, words(&["bad"], false)),
            of(false, Condition::From("alice".to_owned())),
            of(true, Condition::In("+week".to_owned())),
            of(false, Condition::Has(Feature::Link)),
            of(false, Condition::After(Timestamp::from_millis(1_769_817_600_000))),
            of(false, Condition::Before(Timestamp::from_millis(1_769_904_000_000))),
            of(false, words(&["don", "t"], true)),
        ];
        assert_eq!(query.parts, expected);
    }

    #[test]
    fn the_last_word_is_a_beginning_until_a_space_ends_it() {
        assert_eq!(parse("a b").unwrap().parts[1].condition, words(&["b"], true));
        assert_eq!(parse("a b").unwrap().parts[0].condition, words(&["a"], false));
        assert_eq!(parse("b ").unwrap().parts[0].condition, words(&["b"], false));
        assert_eq!(parse("\"b\"").unwrap().parts[0].condition, words(&["b"], false));
        assert_eq!(parse("12:30").unwrap().parts[0].condition, words(&["12", "30"], true));
    }

    #[test]
    fn what_cannot_be_answered_says_what_to_write() {
        for (text, error) in [
            ("", QueryError::Empty),
            ("-", QueryError::Empty),
            ("👍 ?", QueryError::Empty),
            ("-word", QueryError::Empty),
            ("a \"b", QueryError::Quote),
            ("h*l", QueryError::Star("h*l".to_owned())),
            ("*", QueryError::Star("*".to_owned())),
            ("a-*", QueryError::Star("a-*".to_owned())),
            ("from: alice", QueryError::Value("from", "alice")),
            ("before:yesterday", QueryError::Time("yesterday".to_owned())),
            ("has:fun", QueryError::Has("fun".to_owned())),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(parse(&"a ".repeat(33)), Err(QueryError::Long));
        assert_eq!(parse(&"a".repeat(4_097)), Err(QueryError::Long));
    }

    fn plan(text: &str) -> Plan {
        let parts = parse(text).unwrap().parts.into_iter().map(|part| {
            let condition = match part.condition {
                Condition::From(_) => Condition::From(UserId::from_bytes([1; 32])),
                Condition::In(_) => Condition::In(Room::Direct(UserId::from_bytes([2; 32]))),
                Condition::Words(wanted) => Condition::Words(wanted),
                Condition::Before(at) => Condition::Before(at),
                Condition::After(at) => Condition::After(at),
                Condition::Has(feature) => Condition::Has(feature),
            };
            Part { is_negated: part.is_negated, condition }
        });
        Plan { parts: parts.collect() }
    }

    fn document(text: &str) -> Document {
        Document {
            author: UserId::from_bytes([1; 32]),
            room: Room::Direct(UserId::from_bytes([2; 32])),
            at: Timestamp::from_millis(1_769_817_600_000),
            text: text.to_owned(),
            features: BTreeSet::from([Feature::Reply]),
        }
    }

    #[test]
    fn a_message_is_held_against_every_condition() {
        let hello = document("Hello, good morning to the Café: https://nest.example");
        for (text, expected) in [
            ("hello", true),
            ("hel", true),
            ("hel ", false),
            ("cafe ", true),
            ("\"good morning\"", true),
            ("\"morning good\"", false),
            ("\"hello morning\"", false),
            ("good -evening", true),
            ("good -morning", false),
            ("from:a in:b has:link has:reply after:2026-01-31", true),
            ("before:2026-01-31", false),
            ("has:edit", false),
            ("nest.exam", true),
        ] {
            assert_eq!(plan(text).matches(&hello), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _outcome = parse(&text);
        }

        #[test]
        fn nor_does_what_looks_like_a_question(text in "[ab*:\"\\- 語0-9]{0,12}(from:|has:|in:|before:|after:|-){0,2}[ab*\"\\- 語]{0,12}") {
            if let Ok(query) = parse(&text) {
                prop_assert!(query.parts.iter().any(|part| !part.is_negated));
            }
        }

        #[test]
        fn what_a_message_matches_the_index_has_it_under(
            text in "[abAB語本 ]{0,16}",
            question in "(\"[ab語]{1,3} [ab本]{1,3}\"|[ab語本]{1,3}\\*?)( [abß語]{1,2}){0,2} ?",
        ) {
            let plan = match parse(&question) {
                Ok(_) => plan(&question),
                Err(_) => return Ok(()),
            };
            let document = document(&text);
            let tokens = document.tokens();
            let offered = plan.lookups().iter().all(|lookup| match lookup {
                Lookup::Exact(token) => tokens.contains(token),
                Lookup::Prefix(prefix) => tokens.iter().any(|token| token.as_bytes().starts_with(prefix.as_bytes())),
            });
            prop_assert!(offered || !plan.matches(&document));
        }
    }
}
