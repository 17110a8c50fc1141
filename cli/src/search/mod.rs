//! Search over everything that this device holds, offline: what is asked for ([`query`]), what a text is cut into ([`token`]), and an index
//! that answers without reading the messages ([`segment`]). Pure: the store seals what comes out of here, and the engine knows the messages.
//!
//! The index may promise too much and never too little. A message stands in it with every text that it ever had, so whatever it offers is
//! held against the message as it is now ([`query::Plan::matches`]): what was edited away or erased is never shown, and nothing in the index
//! ever has to be taken out.

pub mod query;
pub mod segment;
pub mod token;

use std::collections::BTreeSet;

use rookery_protocol::{
    id::{ChainId, UserId},
    time::Timestamp,
};

use self::token::Token;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Room {
    /// A conversation with one other user.
    Direct(UserId),
    /// A channel or a group, by its chain.
    Channel(ChainId),
}

/// What a message has beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// A link.
    Link,
    /// Somebody whom it mentions.
    Mention,
    /// A message that it answers.
    Reply,
    /// Another text than at first.
    Edit,
    /// A file.
    File,
}

impl Feature {
    /// All that there are.
    pub const ALL: [Self; 5] = [Self::Link, Self::Mention, Self::Reply, Self::Edit, Self::File];

    /// The word after `has:`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Mention => "mention",
            Self::Reply => "reply",
            Self::Edit => "edit",
            Self::File => "file",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Mention => 2,
            Self::Reply => 3,
            Self::Edit => 4,
            Self::File => 5,
        }
    }
}

/// A message as search sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Who wrote it.
    pub author: UserId,
    /// Where.
    pub room: Room,
    /// When, by its author's clock.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
    /// What else it has. [`Feature::Link`] follows from the text, and is not asked for here.
    pub features: BTreeSet<Feature>,
}

impl Document {
    /// Everything that the index finds it by.
    #[must_use]
    pub fn tokens(&self) -> BTreeSet<Token> {
        let words = token::words(&self.text);
        let pairs = words.iter().zip(words.iter().skip(1)).map(|(one, two)| Token::pair(one, two));
        let mut tokens: BTreeSet<Token> = pairs.collect();
        tokens.extend(words.iter().map(|word| Token::word(word)));
        tokens.insert(Token::author(self.author));
        tokens.insert(Token::room(self.room));
        tokens.extend(Feature::ALL.into_iter().filter(|one| self.has(*one)).map(Token::feature));
        tokens
    }

    /// Whether it has `feature`.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::Link => has_link(&self.text),
            other => self.features.contains(&other),
        }
    }
}

/// Whether there is an address in `text` that a program could open.
fn has_link(text: &str) -> bool {
    ["http://", "https://", "rookery://"].iter().any(|scheme| {
        text.match_indices(scheme).any(|(at, _)| {
            let rest = text.get(at.saturating_add(scheme.len())..).unwrap_or_default();
            rest.chars().next().is_some_and(|first| !first.is_whitespace())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_scheme_with_something_after_it() {
        assert!(has_link("see https://nest.example/a, and http:// "));
        assert!(!has_link("http:// is how it begins") && !has_link("nest.example"));
    }
}
