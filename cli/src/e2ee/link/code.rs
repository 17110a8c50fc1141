//! The code that a person types: the number of a place and three words.

use std::fmt;

use crate::e2ee::{Random, random::array};

/// The English list of BIP-39 (MIT licence): 2,048 words of which the first four letters tell each from every other.
const WORDS: &str = include_str!("words.txt");
/// How many words there are: a power of two, so that a draw of bits is uniform.
const COUNT: u16 = 2_048;

/// The code that links a device: the number of the place, and three words worth 33 bits.
#[derive(PartialEq, Eq)]
pub struct LinkCode {
    place: u32,
    words: [&'static str; 3],
}

/// Text that is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACode {
    /// Not a number and three words.
    #[error("a code is a number and three words, such as 7-river-oxygen-stage")]
    Shape,
    /// A word that is not in the list.
    #[error("{0:?} is not one of the words that codes are made of: check its spelling")]
    UnknownWord(String),
}

impl LinkCode {
    /// A new code for the place with this number.
    #[must_use]
    pub fn generate(place: u32, random: &mut dyn Random) -> Self {
        let mut draw = || {
            let number = u16::from_be_bytes(array(random)).rem_euclid(COUNT);
            WORDS.lines().nth(number.into()).unwrap_or_default()
        };
        Self { place, words: [draw(), draw(), draw()] }
    }

    /// Reads what [`LinkCode::to_text`] wrote: in either case, with hyphens or spaces.
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        let mut parts = text
            .split(|letter: char| letter == '-' || letter.is_whitespace())
            .filter(|part| !part.is_empty());
        let place = parts.next().and_then(|number| number.parse().ok()).ok_or(NotACode::Shape)?;
        let mut word = || {
            let typed = parts.next().ok_or(NotACode::Shape)?.to_lowercase();
            WORDS.lines().find(|word| *word == typed).ok_or(NotACode::UnknownWord(typed))
        };
        let words = [word()?, word()?, word()?];
        if parts.next().is_some() { Err(NotACode::Shape) } else { Ok(Self { place, words }) }
    }

    /// `NNN-word-word-word`.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}-{}", self.place, self.password())
    }

    /// The number of the place.
    #[must_use]
    pub fn place(&self) -> u32 {
        self.place
    }

    /// What both sides put into the key exchange.
    pub(super) fn password(&self) -> String {
        self.words.join("-")
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LinkCode({}, secret)", self.place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::e2ee::SeededRandom;

    #[test]
    fn the_list_has_2048_words_that_differ_in_four_letters() {
        let words: Vec<&str> = WORDS.lines().collect();
        assert_eq!(words.len(), usize::from(COUNT));
        let starts: BTreeSet<String> =
            words.iter().map(|word| word.chars().take(4).collect()).collect();
        assert_eq!(starts.len(), words.len());
        assert!(words.iter().all(|word| word.bytes().all(|letter| letter.is_ascii_lowercase())));
    }

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        let code = LinkCode::generate(42, &mut SeededRandom::new(1));
        let text = code.to_text();
        for typed in [text.clone(), text.to_uppercase(), text.replace('-', "  ")] {
            assert_eq!(LinkCode::parse(&typed).unwrap(), code);
        }
        assert!(!format!("{code:?}").contains(code.words[0]));
    }

    #[test]
    fn errors_say_which_word_is_wrong() {
        assert_eq!(LinkCode::parse("7-river-oxygen").unwrap_err(), NotACode::Shape);
        assert_eq!(LinkCode::parse("7-river-oxygen-stage-zoo").unwrap_err(), NotACode::Shape);
        assert_eq!(LinkCode::parse("river-oxygen-stage-zoo").unwrap_err(), NotACode::Shape);
        assert_eq!(
            LinkCode::parse("7-river-oxigen-stage").unwrap_err(),
            NotACode::UnknownWord("oxigen".to_owned())
        );
    }
}
